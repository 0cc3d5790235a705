/* port_task_sets: task sets as codedeploy uses them. */
#include "svc/ecs/scheduler.h"
#include "svc/ecs/task_sets.h"

static enum err port_find_service(void *self, struct op *op, struct str cluster, struct str service,
                                  struct port_service *ret)
{
    struct ecs *ecs = self;
    struct service_ref ref = {0};
    struct engine_ecs_service row = {0};
    TRY(ecs_service_find_active(op, ecs, cluster, service, &ref, &row));
    const struct ecs_service *s = row.service;
    enum ecs_deployment_controller_type controller = ecs_service_controller(s);
    struct port_service found = {
        .service_arn = s->service_arn,
        .cluster_arn = s->cluster_arn,
        .cluster_name = ref.cluster,
        .service_name = ref.name,
        .task_definition_arn = s->task_definition,
        .deployment_controller =
            str_of(shape_enum_name(&shape_ecs_deployment_controller_type, (int)controller)),
        .desired_count = OPT_OR(s->desired_count, 0),
    };
    struct store_items sets = {0};
    TRY(ecs_task_sets_list(op, ecs, &ref, &sets));
    for (size_t i = 0; i < sets.count; i++) {
        const struct ecs_task_set *set =
            ((const struct engine_ecs_task_set *)sets.items[i].value)->task_set;
        if (STR_IS(set->status, "PRIMARY")) {
            found.primary_task_set_id = set->id;
            found.task_definition_arn = set->task_definition;
        }
    }
    *ret = found;
    return ERR_OK;
}

/* ---- seeing -----------------------------------------------------------------------------------*/

static enum err count_healthy(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                              const struct engine_ecs_service *row,
                              const struct engine_ecs_task_set *set, struct port_task_set *ret)
{
    struct scene s = {.op = op, .ecs = ecs, .ref = *ref, .row = *row};
    TRY(ecs_service_tasks(op, ecs, ref, &s.tasks));
    struct rollout_task_set_sight sight = {0};
    struct rollout_task *tasks = NULL;
    struct engine_ecs_task **rows = NULL;
    TRY(scene_task_set_sight(&s, set, &sight, &tasks, &rows));
    for (size_t i = 0; i < sight.task_count; i++) {
        bool is_healthy = rollout_task_is_healthy(&sight.config, &sight.tasks[i], op->now);
        ret->healthy_count += is_healthy ? 1 : 0;
    }
    struct task_counts n = ecs_count_tasks(&s.tasks, set->task_set->id);
    ret->running_count = n.running;
    ret->pending_count = n.pending;
    return ERR_OK;
}

static enum err fill(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                     const struct engine_ecs_service *row, const struct engine_ecs_task_set *set,
                     struct port_task_set *ret)
{
    const struct ecs_task_set *t = set->task_set;
    struct port_task_set seen = {
        .id = t->id,
        .arn = t->task_set_arn,
        .task_definition_arn = t->task_definition,
        .target_group_arn =
            t->load_balancers.count == 0 ? STR_NONE : t->load_balancers.items[0].target_group_arn,
        .external_id = t->external_id,
        .status = t->status,
        .desired_count = OPT_OR(t->computed_desired_count, 0),
        .failed_count = OPT_OR(set->failed_count, 0),
        .is_steady = t->stability_status == ECS_STABILITY_STATUS_STEADY_STATE,
        .last_failure = set->last_failure,
    };
    TRY(count_healthy(op, ecs, ref, row, set, &seen));
    *ret = seen;
    return ERR_OK;
}

static enum err port_see(void *self, struct op *op, struct str cluster, struct str service,
                         struct str task_set_id, struct port_task_set *ret)
{
    struct ecs *ecs = self;
    struct service_ref ref = {0};
    struct engine_ecs_service row = {0};
    TRY(ecs_service_find(op, ecs, cluster, service, &ref, &row));
    struct engine_ecs_task_set set = {0};
    TRY(ecs_task_set_find(op, ecs, &ref, task_set_id, &set));
    return fill(op, ecs, &ref, &row, &set, ret);
}

/* ---- creating ---------------------------------------------------------------------------------*/

static enum err find_by_external_id(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                                    struct str external_id, struct engine_ecs_task_set *ret,
                                    bool *ret_is_there)
{
    struct store_items sets = {0};
    *ret_is_there = false;
    TRY(ecs_task_sets_list(op, ecs, ref, &sets));
    for (size_t i = 0; i < sets.count; i++) {
        const struct engine_ecs_task_set *row = sets.items[i].value;
        if (str_equal(row->task_set->external_id, external_id)) {
            *ret = *row;
            *ret_is_there = true;
        }
    }
    return ERR_OK;
}

static struct ecs_string_list make_list(struct op *op, const struct str *items, size_t count)
{
    struct ecs_string_list list = {.is_set = true};
    for (size_t i = 0; i < count; i++) {
        *ARENA_PUSH(&op->arena, &list) = items[i];
    }
    return list;
}

/* The service's network, where the request says nothing else. */
static struct ecs_network_configuration *make_network(struct op *op, const struct ecs_service *s,
                                                      const struct port_task_set_in *in)
{
    if (s->network_configuration == NULL && in->subnet_count == 0) {
        return NULL;
    }
    struct ecs_network_configuration *n = ARENA_NEW(&op->arena, struct ecs_network_configuration);
    n->awsvpc_configuration = ARENA_NEW(&op->arena, struct ecs_aws_vpc_configuration);
    struct ecs_aws_vpc_configuration *vpc = n->awsvpc_configuration;
    if (s->network_configuration != NULL) {
        *vpc = *s->network_configuration->awsvpc_configuration;
    }
    if (in->subnet_count > 0) {
        vpc->subnets = make_list(op, in->subnets, in->subnet_count);
    }
    if (in->security_group_count > 0) {
        vpc->security_groups = make_list(op, in->security_groups, in->security_group_count);
    }
    int assign = shape_enum_value(&shape_ecs_assign_public_ip, in->assign_public_ip);
    if (assign != 0) {
        vpc->assign_public_ip = (enum ecs_assign_public_ip)assign;
    }
    return n;
}

static struct ecs_create_task_set_in make_request(struct op *op, const struct ecs_service *s,
                                                  const struct port_task_set_in *in)
{
    struct ecs_create_task_set_in request = {
        .task_definition = in->task_definition,
        .external_id = in->external_id,
        .launch_type =
            s->capacity_provider_strategy.count > 0 ? ECS_LAUNCH_TYPE_UNSET : s->launch_type,
        .capacity_provider_strategy = s->capacity_provider_strategy,
        .platform_version = in->platform_version,
        .network_configuration = make_network(op, s, in),
        .load_balancers = {.is_set = true},
    };
    if (in->target_group_arn.len > 0) {
        *ARENA_PUSH(&op->arena, &request.load_balancers) =
            (struct ecs_load_balancer){.target_group_arn = in->target_group_arn,
                                       .container_name = in->container_name,
                                       .container_port = OPT_I32(in->container_port)};
    }
    return request;
}

/* The replacement's target group gets its first listener from codedeploy, later than its tasks. */
static enum err make_set(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                         const struct ecs_service *s, const struct port_task_set_in *in,
                         struct engine_ecs_task_set *ret)
{
    struct ecs_create_task_set_in request = make_request(op, s, in);
    struct task_set_wish wish = {0};
    TRY(ecs_task_set_wish(op, ecs, ref, s, &request, &wish));
    wish.percent = 100;
    wish.started_by = STR("CODE_DEPLOY");
    return ecs_task_set_make(op, ecs, ref, s, &wish, ret);
}

static enum err port_create(void *self, struct op *op, const struct port_task_set_in *in,
                            struct port_task_set *ret)
{
    struct ecs *ecs = self;
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ecs->config.store, &tx));
    struct service_ref ref = {0};
    struct engine_ecs_service row = {0};
    TRY(ecs_service_find_active(op, ecs, in->cluster, in->service, &ref, &row));
    struct engine_ecs_task_set set = {0};
    bool is_there = false;
    TRY(find_by_external_id(op, ecs, &ref, in->external_id, &set, &is_there));
    if (!is_there) {
        TRY(make_set(op, ecs, &ref, row.service, in, &set));
    }
    TRY(fill(op, ecs, &ref, &row, &set, ret));
    FAULT_POINT("ecs.port_task_set.commit");
    return store_tx_commit(op, &tx);
}

/* ---- primary, remove --------------------------------------------------------------------------*/

static enum err port_set_primary(void *self, struct op *op, struct str cluster, struct str service,
                                 struct str task_set_id)
{
    struct ecs *ecs = self;
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ecs->config.store, &tx));
    struct service_ref ref = {0};
    struct engine_ecs_service row = {0};
    TRY(ecs_service_find_active(op, ecs, cluster, service, &ref, &row));
    struct engine_ecs_task_set set = {0};
    TRY(ecs_task_set_find(op, ecs, &ref, task_set_id, &set));
    if (!STR_IS(set.task_set->status, "PRIMARY")) {
        TRY(ecs_task_set_make_primary(op, ecs, &ref, &row, &set));
    }
    return store_tx_commit(op, &tx);
}

static enum err port_remove(void *self, struct op *op, struct str cluster, struct str service,
                            struct str task_set_id)
{
    struct ecs *ecs = self;
    struct service_ref ref = {0};
    struct engine_ecs_service row = {0};
    struct engine_ecs_task_set set = {0};
    enum err e = ecs_service_find(op, ecs, cluster, service, &ref, &row);
    if (e == ERR_OK) {
        e = ecs_task_set_find(op, ecs, &ref, task_set_id, &set);
    }
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        return ERR_OK; /* gone already */
    }
    TRY(e);
    return ecs_task_set_drain(op, ecs, &ref, &set);
}

struct port_task_sets ecs_port_task_sets(struct ecs *ecs)
{
    return (struct port_task_sets){.self = ecs,
                                   .find_service = port_find_service,
                                   .create = port_create,
                                   .see = port_see,
                                   .set_primary = port_set_primary,
                                   .remove = port_remove};
}
