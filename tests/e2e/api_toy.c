/* The AWS endpoint with toy services, for tests with stock clients: shows that what they write is
 * read as they mean it, and what we write is read as we mean it. Prints its port, serves until
 * SIGTERM. */

#include "api/api.h"
#include "base/check.h"
#include "ev/loop.h"
#include "gen/cloudwatch.h"
#include "gen/ec2.h"
#include "gen/ecs.h"
#include "gen/elbv2.h"
#include "gen/logs.h"
#include "gen/sts.h"
#include "net/socket.h"

#include <signal.h>
#include <stdio.h>

static enum err list_clusters(struct op *op, struct ecs *ecs, const struct ecs_list_clusters_in *in,
                              struct ecs_list_clusters_out *ret)
{
    (void)ecs;
    int from = str_is_set(in->next_token) ? in->next_token.ptr[0] - '0' : 0;
    for (int i = from; i < from + 2; i++) {
        *ARENA_PUSH(&op->arena, &ret->cluster_arns) =
            arena_printf(&op->arena, "arn:aws:ecs:%.*s:%.*s:cluster/c%d", STR_ARG(op->region),
                         STR_ARG(op->account), i);
    }
    ret->next_token = from < 4 ? arena_printf(&op->arena, "%d", from + 2) : STR_NONE;
    return ERR_OK;
}

static enum err describe_services(struct op *op, struct ecs *ecs,
                                  const struct ecs_describe_services_in *in,
                                  struct ecs_describe_services_out *ret)
{
    (void)ecs;
    if (STR_IS(in->cluster, "gone")) {
        return op_fail_as(op, ERR_NOT_FOUND, &ecs_error_cluster_not_found_exception,
                          "Cluster not found.");
    }
    ret->failures.is_set = true;
    for (size_t i = 0; i < in->services.count; i++) {
        struct ecs_service *s = ARENA_PUSH(&op->arena, &ret->services);
        s->service_name = in->services.items[i];
        s->status = STR("ACTIVE");
        s->desired_count = OPT_I32(2);
        s->running_count = OPT_I32(2);
        s->created_at = OPT_TIME(((wall_t){.us = 1700000000123000}));
        s->events.is_set = true;
        struct ecs_deployment *d = ARENA_PUSH(&op->arena, &s->deployments);
        d->id = STR("ecs-svc/1234567890123456789");
        d->rollout_state = ECS_DEPLOYMENT_ROLLOUT_STATE_COMPLETED;
    }
    return ERR_OK;
}

static enum err register_task_definition(struct op *op, struct ecs *ecs,
                                         const struct ecs_register_task_definition_in *in,
                                         struct ecs_register_task_definition_out *ret)
{
    (void)ecs;
    ret->task_definition = ARENA_NEW(&op->arena, struct ecs_task_definition);
    ret->task_definition->family = in->family;
    ret->task_definition->container_definitions = in->container_definitions;
    return ERR_OK;
}

static const struct ecs_handlers ecs_handlers = {.list_clusters = list_clusters,
                                                 .describe_services = describe_services,
                                                 .register_task_definition =
                                                     register_task_definition};

static enum err create_rule(struct op *op, struct elbv2 *elbv2,
                            const struct elbv2_create_rule_in *in,
                            struct elbv2_create_rule_out *ret)
{
    (void)elbv2;
    struct elbv2_rule *rule = ARENA_PUSH(&op->arena, &ret->rules);
    rule->rule_arn = STR("arn:rule");
    rule->priority = arena_printf(&op->arena, "%d", in->priority.value);
    rule->conditions = in->conditions;
    rule->actions = in->actions;
    return ERR_OK;
}

static enum err describe_load_balancers(struct op *op, struct elbv2 *elbv2,
                                        const struct elbv2_describe_load_balancers_in *in,
                                        struct elbv2_describe_load_balancers_out *ret)
{
    (void)elbv2;
    (void)ret;
    return op_fail_as(op, ERR_NOT_FOUND, &elbv2_error_load_balancer_not_found_exception,
                      "Load balancers '[%.*s]' not found", STR_ARG(in->names.items[0]));
}

static const struct elbv2_handlers elbv2_handlers = {
    .create_rule = create_rule, .describe_load_balancers = describe_load_balancers};

static size_t datum_count;

static enum err put_metric_data(struct op *op, struct cloudwatch *cloudwatch,
                                const struct cloudwatch_put_metric_data_in *in,
                                struct cloudwatch_put_metric_data_out *ret)
{
    (void)op;
    (void)cloudwatch;
    (void)ret;
    datum_count += in->metric_data.count;
    return ERR_OK;
}

static enum err describe_alarms(struct op *op, struct cloudwatch *cloudwatch,
                                const struct cloudwatch_describe_alarms_in *in,
                                struct cloudwatch_describe_alarms_out *ret)
{
    (void)cloudwatch;
    (void)in;
    struct cloudwatch_metric_alarm *a = ARENA_PUSH(&op->arena, &ret->metric_alarms);
    a->alarm_name = arena_printf(&op->arena, "%zu data", datum_count);
    a->threshold = OPT_F64(0.1);
    a->state_value = CLOUDWATCH_STATE_VALUE_ALARM;
    a->state_updated_timestamp = OPT_TIME(((wall_t){.us = 1700000000500000}));
    return ERR_OK;
}

static enum err get_dashboard(struct op *op, struct cloudwatch *cloudwatch,
                              const struct cloudwatch_get_dashboard_in *in,
                              struct cloudwatch_get_dashboard_out *ret)
{
    (void)cloudwatch;
    (void)ret;
    return op_fail_as(op, ERR_NOT_FOUND, &cloudwatch_error_dashboard_not_found_error,
                      "Dashboard %.*s does not exist", STR_ARG(in->dashboard_name));
}

static const struct cloudwatch_handlers cloudwatch_handlers = {.put_metric_data = put_metric_data,
                                                               .describe_alarms = describe_alarms,
                                                               .get_dashboard = get_dashboard};

static enum err get_caller_identity(struct op *op, struct sts *sts,
                                    const struct sts_get_caller_identity_in *in,
                                    struct sts_get_caller_identity_out *ret)
{
    (void)sts;
    (void)in;
    ret->arn = op->caller_arn;
    ret->user_id = op->caller_id;
    ret->account = op->account;
    return ERR_OK;
}

static const struct sts_handlers sts_handlers = {.get_caller_identity = get_caller_identity};

static enum err describe_vpcs(struct op *op, struct ec2 *ec2, const struct ec2_describe_vpcs_in *in,
                              struct ec2_describe_vpcs_out *ret)
{
    (void)ec2;
    for (size_t i = 0; i < in->filters.count; i++) {
        struct ec2_vpc *vpc = ARENA_PUSH(&op->arena, &ret->vpcs);
        vpc->vpc_id = in->filters.items[i].values.items[0];
        vpc->is_default = OPT_BOOL(true);
    }
    return ERR_OK;
}

static const struct ec2_handlers ec2_handlers = {.describe_vpcs = describe_vpcs};

static enum err create_log_group(struct op *op, struct logs *logs,
                                 const struct logs_create_log_group_in *in,
                                 struct logs_create_log_group_out *ret)
{
    (void)op;
    (void)logs;
    (void)in;
    (void)ret;
    return ERR_OK;
}

static const struct logs_handlers logs_handlers = {.create_log_group = create_log_group};

static enum err find_key(void *self, struct op *op, struct str access_key_id,
                         struct str session_token, struct api_identity *ret)
{
    (void)self;
    if (!STR_IS(access_key_id, "AKIATOY") || str_is_set(session_token)) {
        return op_fail(op, ERR_NOT_FOUND, "no such key");
    }
    *ret = (struct api_identity){.secret_access_key = STR("toy secret"),
                                 .caller_arn = STR("arn:aws:iam::123456789012:user/toy"),
                                 .caller_id = STR("AIDATOY"),
                                 .account = STR("123456789012")};
    return ERR_OK;
}

static struct ev_loop loop;

static void stop(int signal_number)
{
    (void)signal_number;
    _exit(0);
}

int main(void)
{
    auto_op struct op op;
    op_init(&op);
    struct net_addr addr;
    int fd = -1;
    static struct api api;
    const struct api_options options = {.account = STR("123456789012"),
                                        .default_region = STR("us-east-1"),
                                        .version = STR("toy"),
                                        .hooks = {.find_key = find_key}};
    (void)signal(SIGTERM, stop);
    api_init(&api, &options);
    api_add(&api, &ecs_service, &ecs_handlers, NULL);
    api_add(&api, &elbv2_service, &elbv2_handlers, NULL);
    api_add(&api, &cloudwatch_service, &cloudwatch_handlers, NULL);
    api_add(&api, &sts_service, &sts_handlers, NULL);
    api_add(&api, &ec2_service, &ec2_handlers, NULL);
    api_add(&api, &logs_service, &logs_handlers, NULL);
    CHECK(ev_loop_open(&op, &loop) == ERR_OK);
    CHECK(net_addr_parse(STR("127.0.0.1:0"), &addr));
    CHECK(net_listen(&op, &addr, NULL, &fd) == ERR_OK);
    CHECK(net_local_addr(&op, fd, &addr) == ERR_OK);
    CHECK(api_open(&op, &api, &loop, fd) == ERR_OK);
    (void)printf("%u\n", (unsigned)net_addr_port(&addr));
    (void)fflush(stdout);
    ev_loop_run(&loop);
    return 0;
}
