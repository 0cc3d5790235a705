/* Task sets: several versions of one service side by side (aws-semantics 1.15). */
#include "svc/ecs/task_sets.h"

#include "base/check.h"

/* ---- rows -------------------------------------------------------------------------------------*/

enum err ecs_task_sets_list(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                            struct store_items *ret)
{
    struct store_range range = {.parent = ref->key};
    return store_list(op, ecs->config.store, &ecs_kind_task_set, &range, ret);
}

enum err ecs_task_set_put(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                          struct engine_ecs_task_set *row)
{
    row->task_set->updated_at = OPT_TIME(op->now);
    TRY(store_put(op, ecs->config.store, &ecs_kind_task_set,
                  ecs_key(op, ref->key, ecs_last_part(row->task_set->id)), ref->key, row));
    ecs_wake_service(op, ecs, ref->cluster, ref->name);
    return ERR_OK;
}

enum err ecs_task_set_find(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                           struct str id_or_arn, struct engine_ecs_task_set *ret)
{
    struct str digits = STR_NONE;
    enum err e = ERR_NOT_FOUND;
    if (ecs_task_set_ref(id_or_arn, &digits)) {
        e = store_get(op, ecs->config.store, &ecs_kind_task_set, ecs_key(op, ref->key, digits),
                      ret);
    }
    if (e == ERR_NOT_FOUND) {
        return op_fail_as(op, e, &ecs_error_task_set_not_found_exception, "Task set not found.");
    }
    return e;
}

static void count_desired(const struct ecs_service *s, struct ecs_task_set *set)
{
    double percent = set->scale == NULL ? 0 : OPT_OR(set->scale->value, 0);
    set->computed_desired_count =
        OPT_I32(rollout_task_set_count(OPT_OR(s->desired_count, 0), percent));
}

enum err ecs_task_sets_count_again(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                                   const struct engine_ecs_service *row)
{
    struct store_items sets = {0};
    TRY(ecs_task_sets_list(op, ecs, ref, &sets));
    for (size_t i = 0; i < sets.count; i++) {
        struct engine_ecs_task_set *set = sets.items[i].value;
        count_desired(row->service, set->task_set);
        ecs_memory_update(op, &set->memory);
        TRY(ecs_task_set_put(op, ecs, ref, set));
    }
    return ERR_OK;
}

static struct ecs_scale *make_scale(struct op *op, double percent)
{
    struct ecs_scale *scale = ARENA_NEW(&op->arena, struct ecs_scale);
    *scale = (struct ecs_scale){.value = OPT_F64(percent), .unit = ECS_SCALE_UNIT_PERCENT};
    return scale;
}

enum err ecs_task_set_make(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                           const struct ecs_service *service, const struct task_set_wish *wish,
                           struct engine_ecs_task_set *ret)
{
    struct ecs_task_set *set = ARENA_NEW(&op->arena, struct ecs_task_set);
    struct str digits = id_digits19(&op->arena);
    const struct ecs_service_revision *r = &wish->revision;
    *set = (struct ecs_task_set){
        .id = arena_printf(&op->arena, "ecs-svc/%.*s", STR_ARG(digits)),
        .task_set_arn = arn_makef(op, STR("ecs"), "task-set/%.*s/ecs-svc/%.*s", STR_ARG(ref->key),
                                  STR_ARG(digits)),
        .service_arn = service->service_arn,
        .cluster_arn = service->cluster_arn,
        .started_by = wish->started_by,
        .external_id = wish->external_id,
        .status = wish->is_primary ? STR("PRIMARY") : STR("ACTIVE"),
        .task_definition = r->task_definition,
        .pending_count = OPT_I32(0),
        .running_count = OPT_I32(0),
        .created_at = OPT_TIME(op->now),
        .launch_type = r->launch_type,
        .capacity_provider_strategy = r->capacity_provider_strategy,
        .platform_version = r->platform_version,
        .platform_family = r->platform_family,
        .network_configuration = r->network_configuration,
        .load_balancers = r->load_balancers,
        .service_registries = {.is_set = true},
        .scale = make_scale(op, wish->percent),
        .stability_status = ECS_STABILITY_STATUS_STABILIZING,
        .stability_status_at = OPT_TIME(op->now),
        .tags = wish->tags,
    };
    set->load_balancers.is_set = true;
    set->tags.is_set = true;
    count_desired(service, set);
    struct engine_ecs_task_set row = {
        .task_set = set, .client_token = wish->client_token, .failed_count = OPT_I32(0)};
    TRY(ecs_task_set_put(op, ecs, ref, &row));
    *ret = row;
    return ERR_OK;
}

enum err ecs_task_set_begin(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                            const struct engine_ecs_service *row)
{
    const struct ecs_service *s = row->service;
    enum ecs_launch_type launch_type = s->launch_type;
    struct str provider = STR_NONE;
    ecs_pick_capacity(&s->capacity_provider_strategy, &launch_type, &provider);
    struct task_set_wish wish = {
        .revision = {.task_definition = s->task_definition,
                     .launch_type = s->launch_type,
                     .capacity_provider_strategy = s->capacity_provider_strategy,
                     .platform_version = ecs_platform_version(launch_type, s->platform_version),
                     .platform_family = s->platform_family,
                     .network_configuration = s->network_configuration,
                     .load_balancers = s->load_balancers},
        .percent = 100,
        .is_primary = true,
        .started_by = STR("ecs-svc"),
    };
    struct engine_ecs_task_set set = {0};
    return ecs_task_set_make(op, ecs, ref, s, &wish, &set);
}

/* ---- what several operations do ---------------------------------------------------------------*/

/* The service, of a controller that has task sets. */
static enum err find_service(struct op *op, struct ecs *ecs, struct str cluster, struct str service,
                             struct service_ref *ret_ref, struct engine_ecs_service *ret)
{
    TRY(ecs_service_find_active(op, ecs, cluster, service, ret_ref, ret));
    if (!ecs_service_has_task_sets(ret->service)) {
        return fail_parameter(op, "Task sets are only supported for services with the EXTERNAL or "
                                  "CODE_DEPLOY deployment controller.");
    }
    return ERR_OK;
}

static enum err view(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                     const struct engine_ecs_task_set *row, bool with_tags,
                     struct ecs_task_set *ret)
{
    struct store_items tasks = {0};
    TRY(ecs_service_tasks(op, ecs, ref, &tasks));
    ecs_task_set_view(row, &tasks, ret);
    if (!with_tags) {
        ret->tags = (struct ecs_tags){0};
    }
    return ERR_OK;
}

static enum err show(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                     const struct engine_ecs_task_set *row, struct ecs_task_set **ret)
{
    struct ecs_task_set *set = ARENA_NEW(&op->arena, struct ecs_task_set);
    TRY(view(op, ecs, ref, row, true, set));
    *ret = set;
    return ERR_OK;
}

static enum err read_scale(struct op *op, const struct ecs_scale *scale, double otherwise,
                           double *ret_percent)
{
    double percent = scale == NULL ? otherwise : OPT_OR(scale->value, otherwise);
    if (!(percent >= 0 && percent <= 100)) {
        return fail_parameter(op, "The scale value must be between 0.0 and 100.0.");
    }
    *ret_percent = percent;
    return ERR_OK;
}

/* ---- create -----------------------------------------------------------------------------------*/

enum err ecs_task_set_wish(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                           const struct ecs_service *s, const struct ecs_create_task_set_in *in,
                           struct task_set_wish *ret)
{
    struct engine_ecs_task_definition td = {0};
    TRY(ecs_task_definition_for_use(op, ecs, in->task_definition, &td));
    struct ecs_cluster cluster = {0};
    TRY(ecs_cluster_find(op, ecs, ref->cluster, &cluster));
    struct task_set_wish wish = {.external_id = in->external_id,
                                 .client_token = in->client_token,
                                 .tags = in->tags,
                                 .revision = {.load_balancers = in->load_balancers,
                                              .network_configuration = in->network_configuration}};
    struct ecs_service_revision *r = &wish.revision;
    TRY(ecs_launch_resolve(op, &cluster, in->launch_type, &in->capacity_provider_strategy,
                           &r->launch_type, &r->capacity_provider_strategy));
    TRY(ecs_wish_complete(op, ecs, td.definition,
                          ecs_default(in->platform_version, s->platform_version), false, r));
    TRY(read_scale(op, in->scale, 0, &wish.percent));
    *ret = wish;
    return ERR_OK;
}

static enum err find_by_token(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                              struct str token, struct engine_ecs_task_set *ret, bool *ret_is_there)
{
    struct store_items sets = {0};
    *ret_is_there = false;
    TRY(ecs_task_sets_list(op, ecs, ref, &sets));
    for (size_t i = 0; token.len > 0 && i < sets.count; i++) {
        const struct engine_ecs_task_set *row = sets.items[i].value;
        if (str_equal(row->client_token, token)) {
            *ret = *row;
            *ret_is_there = true;
        }
    }
    if (!*ret_is_there && sets.count >= ECS_TASK_SETS_MAX) {
        return op_fail_as(op, ERR_LIMIT, &ecs_error_limit_exceeded_exception,
                          "A service can have at most %d task sets.", ECS_TASK_SETS_MAX);
    }
    return ERR_OK;
}

enum err ecs_create_task_set(struct op *op, struct ecs *ecs,
                             const struct ecs_create_task_set_in *in,
                             struct ecs_create_task_set_out *ret)
{
    TRY(ecs_tags_check(op, &in->tags));
    TRY(ecs_extras_check(
        op, &(struct service_extras){.registries = &in->service_registries,
                                     .volumes = &(struct ecs_service_volume_configurations){0},
                                     .lattice = &(struct ecs_vpc_lattice_configurations){0}}));
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ecs->config.store, &tx));
    struct service_ref ref = {0};
    struct engine_ecs_service row = {0};
    TRY(find_service(op, ecs, in->cluster, in->service, &ref, &row));
    struct engine_ecs_task_set set = {0};
    bool is_there = false;
    TRY(find_by_token(op, ecs, &ref, in->client_token, &set, &is_there));
    if (!is_there) {
        struct task_set_wish wish = {0};
        TRY(ecs_task_set_wish(op, ecs, &ref, row.service, in, &wish));
        TRY(ecs_task_set_make(op, ecs, &ref, row.service, &wish, &set));
    }
    TRY(show(op, ecs, &ref, &set, &ret->task_set));
    FAULT_POINT("ecs.create_task_set.commit");
    return store_tx_commit(op, &tx);
}

/* ---- update, delete, primary ------------------------------------------------------------------*/

enum err ecs_update_task_set(struct op *op, struct ecs *ecs,
                             const struct ecs_update_task_set_in *in,
                             struct ecs_update_task_set_out *ret)
{
    struct service_ref ref = {0};
    struct engine_ecs_service row = {0};
    TRY(find_service(op, ecs, in->cluster, in->service, &ref, &row));
    struct engine_ecs_task_set set = {0};
    TRY(ecs_task_set_find(op, ecs, &ref, in->task_set, &set));
    double percent = 0;
    TRY(read_scale(op, in->scale, 0, &percent));
    set.task_set->scale = make_scale(op, percent);
    count_desired(row.service, set.task_set);
    set.task_set->stability_status = ECS_STABILITY_STATUS_STABILIZING;
    set.task_set->stability_status_at = OPT_TIME(op->now);
    ecs_memory_update(op, &set.memory);
    TRY(ecs_task_set_put(op, ecs, &ref, &set));
    return show(op, ecs, &ref, &set, &ret->task_set);
}

enum err ecs_task_set_drain(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                            struct engine_ecs_task_set *set)
{
    if (STR_IS(set->task_set->status, "DRAINING")) {
        return ERR_OK;
    }
    set->task_set->status = STR("DRAINING");
    set->task_set->scale = make_scale(op, 0);
    set->task_set->computed_desired_count = OPT_I32(0);
    return ecs_task_set_put(op, ecs, ref, set);
}

enum err ecs_delete_task_set(struct op *op, struct ecs *ecs,
                             const struct ecs_delete_task_set_in *in,
                             struct ecs_delete_task_set_out *ret)
{
    struct service_ref ref = {0};
    struct engine_ecs_service row = {0};
    TRY(find_service(op, ecs, in->cluster, in->service, &ref, &row));
    struct engine_ecs_task_set set = {0};
    TRY(ecs_task_set_find(op, ecs, &ref, in->task_set, &set));
    bool is_forced = OPT_OR(in->force, false);
    if (!is_forced && OPT_OR(set.task_set->computed_desired_count, 0) > 0) {
        return fail_parameter(op, "The task set cannot be deleted while it is scaled above 0. Use "
                                  "the force option to delete it.");
    }
    TRY(ecs_task_set_drain(op, ecs, &ref, &set));
    return show(op, ecs, &ref, &set, &ret->task_set);
}

static void take_task_set(struct ecs_service *s, const struct ecs_task_set *set)
{
    s->task_definition = set->task_definition;
    s->launch_type = set->launch_type;
    s->capacity_provider_strategy = set->capacity_provider_strategy;
    s->platform_version = set->platform_version;
    s->platform_family = set->platform_family;
    s->network_configuration = set->network_configuration;
    s->load_balancers = set->load_balancers;
}

enum err ecs_task_set_make_primary(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                                   struct engine_ecs_service *row, struct engine_ecs_task_set *set)
{
    if (STR_IS(set->task_set->status, "DRAINING")) {
        return fail_parameter(op, "A task set that is draining cannot become the primary one.");
    }
    struct store_items sets = {0};
    TRY(ecs_task_sets_list(op, ecs, ref, &sets));
    for (size_t i = 0; i < sets.count; i++) {
        struct engine_ecs_task_set *other = sets.items[i].value;
        if (!STR_IS(other->task_set->status, "PRIMARY") ||
            str_equal(other->task_set->id, set->task_set->id)) {
            continue;
        }
        other->task_set->status = STR("ACTIVE");
        TRY(ecs_task_set_put(op, ecs, ref, other));
    }
    set->task_set->status = STR("PRIMARY");
    TRY(ecs_task_set_put(op, ecs, ref, set));
    take_task_set(row->service, set->task_set);
    return ecs_service_put(op, ecs, ref, row);
}

enum err ecs_update_service_primary_task_set(
    struct op *op, struct ecs *ecs, const struct ecs_update_service_primary_task_set_in *in,
    struct ecs_update_service_primary_task_set_out *ret)
{
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ecs->config.store, &tx));
    struct service_ref ref = {0};
    struct engine_ecs_service row = {0};
    TRY(find_service(op, ecs, in->cluster, in->service, &ref, &row));
    struct engine_ecs_task_set set = {0};
    TRY(ecs_task_set_find(op, ecs, &ref, in->primary_task_set, &set));
    TRY(ecs_task_set_make_primary(op, ecs, &ref, &row, &set));
    TRY(show(op, ecs, &ref, &set, &ret->task_set));
    FAULT_POINT("ecs.primary_task_set.commit");
    return store_tx_commit(op, &tx);
}

/* ---- describe ---------------------------------------------------------------------------------*/

static bool wants_tags(const struct ecs_task_set_field_list *include)
{
    for (size_t i = 0; i < include->count; i++) {
        if (include->items[i] == ECS_TASK_SET_FIELD_TAGS) {
            return true;
        }
    }
    return false;
}

static enum err describe_all(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                             bool with_tags, struct ecs_describe_task_sets_out *out)
{
    struct store_items sets = {0};
    TRY(ecs_task_sets_list(op, ecs, ref, &sets));
    for (size_t i = 0; i < sets.count; i++) {
        struct ecs_task_set *set = ARENA_PUSH(&op->arena, &out->task_sets);
        TRY(view(op, ecs, ref, sets.items[i].value, with_tags, set));
    }
    return ERR_OK;
}

enum err ecs_describe_task_sets(struct op *op, struct ecs *ecs,
                                const struct ecs_describe_task_sets_in *in,
                                struct ecs_describe_task_sets_out *ret)
{
    struct service_ref ref = {0};
    struct engine_ecs_service row = {0};
    TRY(find_service(op, ecs, in->cluster, in->service, &ref, &row));
    bool with_tags = wants_tags(&in->include);
    struct ecs_describe_task_sets_out out = {.task_sets = {.is_set = true},
                                             .failures = {.is_set = true}};
    if (in->task_sets.count == 0) {
        TRY(describe_all(op, ecs, &ref, with_tags, &out));
    }
    for (size_t i = 0; i < in->task_sets.count; i++) {
        struct engine_ecs_task_set set = {0};
        enum err e = ecs_task_set_find(op, ecs, &ref, in->task_sets.items[i], &set);
        if (e == ERR_NOT_FOUND) {
            op_note_clear(op);
            ecs_add_failure(op, &out.failures, in->task_sets.items[i], STR("MISSING"));
            continue;
        }
        TRY(e);
        struct ecs_task_set *shown = ARENA_PUSH(&op->arena, &out.task_sets);
        TRY(view(op, ecs, &ref, &set, with_tags, shown));
    }
    *ret = out;
    return ERR_OK;
}
