#include "deployer/migrate.h"

#define ONE(list_items)   .items = (list_items), .count = 1, .is_set = true
#define WORDS(list_words) .items = (list_words).items, .count = (list_words).count, .is_set = true

static enum err start(struct op *op, const struct cloud *cloud, const struct place *place,
                      const struct resources *r, struct str task_definition, struct str container,
                      struct str *ret_task)
{
    struct ecs_container_override over = {.name = container,
                                          .command = {WORDS(place->config->migrations.command)}};
    struct ecs_task_override overrides = {.container_overrides = {ONE(&over)}};
    struct ecs_aws_vpc_configuration vpc = {.subnets = {WORDS(r->subnets)},
                                            .assign_public_ip = ECS_ASSIGN_PUBLIC_IP_ENABLED};
    if (r->security_groups.count > 0) {
        vpc.security_groups = (struct ecs_string_list){WORDS(r->security_groups)};
    }
    struct ecs_network_configuration network = {.awsvpc_configuration = &vpc};
    struct ecs_run_task_in in = {
        .cluster = place->cluster,
        .count = OPT_I32(1),
        .launch_type = ECS_LAUNCH_TYPE_FARGATE,
        .network_configuration = r->service != NULL && r->service->network_configuration != NULL
                                     ? r->service->network_configuration
                                     : &network,
        .overrides = &overrides,
        .started_by = STR("hitless-migrate"),
        .task_definition = task_definition,
    };
    struct ecs_run_task_out out = {0};
    TRY(ecs_call_run_task(op, cloud->client, &in, &out));
    if (out.tasks.count == 0) {
        return op_fail(op, ERR_REMOTE, "the migration could not be started: %.*s",
                       STR_ARG(out.failures.count > 0 ? out.failures.items[0].reason
                                                      : STR("no reason given")));
    }
    *ret_task = out.tasks.items[0].task_arn;
    return ERR_OK;
}

static bool has_failed(const struct ecs_task *t)
{
    for (size_t i = 0; i < t->containers.count; i++) {
        if (!t->containers.items[i].exit_code.is_set ||
            t->containers.items[i].exit_code.value != 0) {
            return true;
        }
    }
    return false;
}

/* Gives true when it has stopped. */
static enum err look(struct op *op, const struct cloud *cloud, const struct place *place,
                     struct str arn, struct why *ret_why, bool *ret_is_over)
{
    auto_op struct op one;
    cloud_op_init(&one, cloud);
    struct ecs_describe_tasks_in in = {.cluster = place->cluster, .tasks = {ONE(&arn)}};
    struct ecs_describe_tasks_out out = {0};
    enum err e = ecs_call_describe_tasks(&one, cloud->client, &in, &out);
    if (e != ERR_OK) {
        return cloud_op_fail(op, &one, e);
    }
    if (out.tasks.count == 0 || !STR_IS(out.tasks.items[0].last_status, "STOPPED")) {
        return ERR_OK;
    }
    *ret_is_over = true;
    struct ecs_task *kept = ARENA_NEW(&op->arena, struct ecs_task);
    shape_copy(&op->arena, &shape_ecs_task, &out.tasks.items[0], kept);
    why_of_task(op, cloud, place->log_group, kept, ret_why);
    return has_failed(kept) ? op_fail(op, ERR_REMOTE, "the migration failed: %.*s",
                                      STR_ARG(kept->stopped_reason))
                            : ERR_OK;
}

static void stop(struct op *op, const struct cloud *cloud, const struct place *place,
                 struct str arn, struct str reason)
{
    struct ecs_stop_task_in in = {.cluster = place->cluster, .task = arn, .reason = reason};
    struct ecs_stop_task_out out = {0};
    if (ecs_call_stop_task(op, cloud->client, &in, &out) != ERR_OK) {
        op_note_clear(op); /* the sentence that stands is the time that it took */
    }
}

enum err migrate_run(struct op *op, const struct cloud *cloud, const struct place *place,
                     const struct resources *r, struct str task_definition, struct str container,
                     struct why *ret_why)
{
    struct str arn = STR_NONE;
    *ret_why = (struct why){0};
    TRY(start(op, cloud, place, r, task_definition, container, &arn));
    int64_t timeout_s = place->config->migrations.timeout_s;
    mono_t end = mono_add(clock_mono(), DUR_S(timeout_s));
    bool is_over = false;
    while (!is_over) {
        TRY(look(op, cloud, place, arn, ret_why, &is_over));
        if (!is_over && clock_mono().us >= end.us) {
            stop(op, cloud, place, arn, STR("the migration took too long"));
            return op_fail(op, ERR_TIMEOUT, "the migration took longer than %lld s and was stopped",
                           (long long)timeout_s);
        }
        if (!is_over) {
            cloud_wait(cloud->poll);
        }
    }
    return ERR_OK;
}
