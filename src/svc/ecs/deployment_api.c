/* ListServiceDeployments, DescribeServiceDeployments, StopServiceDeployment and
 * DescribeServiceRevisions (aws-semantics 1.13). */
#include "svc/ecs/ecs_priv.h"

#include <stdlib.h>

/* ---- list -------------------------------------------------------------------------------------*/

static bool is_wanted(const struct ecs_list_service_deployments_in *in,
                      const struct ecs_service_deployment *d)
{
    bool has_status = in->status.count == 0;
    for (size_t i = 0; i < in->status.count; i++) {
        has_status = has_status || in->status.items[i] == d->status;
    }
    if (!has_status) {
        return false;
    }
    if (in->created_at == NULL) {
        return true;
    }
    int64_t at_us = d->created_at.value.us;
    return (!in->created_at->before.is_set || at_us < in->created_at->before.value.us) &&
           (!in->created_at->after.is_set || at_us > in->created_at->after.value.us);
}

struct listed {
    struct str key; /* newest first */
    const struct ecs_service_deployment *deployment;
};

static int compare_listed(const void *a, const void *b)
{
    return str_compare(((const struct listed *)a)->key, ((const struct listed *)b)->key);
}

static struct ecs_service_deployment_brief brief(const struct ecs_service_deployment *d)
{
    return (struct ecs_service_deployment_brief){
        .service_deployment_arn = d->service_deployment_arn,
        .service_arn = d->service_arn,
        .cluster_arn = d->cluster_arn,
        .started_at = d->started_at,
        .created_at = d->created_at,
        .finished_at = d->finished_at,
        .target_service_revision_arn =
            d->target_service_revision == NULL ? STR_NONE : d->target_service_revision->arn,
        .status = d->status,
        .status_reason = d->status_reason,
    };
}

static enum err collect(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                        const struct ecs_list_service_deployments_in *in, struct listed **ret_items,
                        size_t *ret_count)
{
    struct store_range range = {.parent = ref->key};
    struct store_items rows = {0};
    TRY(store_list(op, ecs->config.store, &ecs_kind_service_deployment, &range, &rows));
    struct listed *items = ARENA_ARRAY(&op->arena, struct listed, rows.count + 1);
    size_t count = 0;
    for (size_t i = 0; i < rows.count; i++) {
        const struct engine_ecs_service_deployment *row = rows.items[i].value;
        if (is_wanted(in, row->deployment)) {
            long long age = INT64_MAX - row->deployment->created_at.value.us;
            items[count++] = (struct listed){
                .key = arena_printf(&op->arena, "%019lld %.*s", age, STR_ARG(rows.items[i].key)),
                .deployment = row->deployment};
        }
    }
    qsort(items, count, sizeof(*items), compare_listed);
    *ret_items = items;
    *ret_count = count;
    return ERR_OK;
}

enum err ecs_list_service_deployments(struct op *op, struct ecs *ecs,
                                      const struct ecs_list_service_deployments_in *in,
                                      struct ecs_list_service_deployments_out *ret)
{
    static const struct page_rules rules = {.list_name = "ecs.service_deployments",
                                            .default_count = 20,
                                            .max_count = ECS_PAGE_MAX,
                                            .bad_token = &ecs_error_invalid_parameter_exception,
                                            .bad_token_text = "Invalid token"};
    struct service_ref ref = {0};
    struct engine_ecs_service row = {0};
    TRY(ecs_service_find(op, ecs, in->cluster, in->service, &ref, &row));
    struct listed *items = NULL;
    size_t count = 0;
    TRY(collect(op, ecs, &ref, in, &items, &count));
    struct str *keys = ARENA_ARRAY(&op->arena, struct str, count + 1);
    for (size_t i = 0; i < count; i++) {
        keys[i] = items[i].key;
    }
    struct page_ask ask = {.token = in->next_token, .max_results = in->max_results};
    size_t from = 0;
    size_t to = 0;
    struct ecs_list_service_deployments_out out = {.service_deployments = {.is_set = true}};
    TRY(page_cut(op, &rules, ask, keys, count, &from, &to, &out.next_token));
    for (size_t i = from; i < to; i++) {
        *ARENA_PUSH(&op->arena, &out.service_deployments) = brief(items[i].deployment);
    }
    *ret = out;
    return ERR_OK;
}

/* ---- describe ---------------------------------------------------------------------------------*/

/* "<cluster>/<service>/<id>" */
static struct service_ref ref_of_key(struct op *op, struct str key)
{
    struct str cluster = STR_NONE;
    struct str rest = STR_NONE;
    struct str name = STR_NONE;
    (void)str_cut(key, '/', &cluster, &rest);
    (void)str_cut(rest, '/', &name, &rest);
    return ecs_make_ref(op, cluster, name);
}

struct sight {
    struct ecs_service *service;
    struct store_items deployments;
    struct store_items tasks;
};

static void fill_summary(const struct sight *s, struct ecs_service_revision_summary *r)
{
    struct task_counts sum = {0};
    int32_t requested = 0;
    for (size_t i = 0; i < s->deployments.count; i++) {
        const struct engine_ecs_deployment *row = s->deployments.items[i].value;
        if (!str_equal(row->revision_arn, r->arn) || STR_IS(row->deployment->status, "INACTIVE")) {
            continue;
        }
        struct task_counts n = ecs_count_tasks(&s->tasks, row->deployment->id);
        sum.running += n.running;
        sum.pending += n.pending;
        bool is_primary = STR_IS(row->deployment->status, "PRIMARY") &&
                          row->deployment->rollout_state != ECS_DEPLOYMENT_ROLLOUT_STATE_FAILED;
        requested += is_primary ? OPT_OR(s->service->desired_count, 0) : n.wanted;
    }
    r->requested_task_count = OPT_I32(requested);
    r->running_task_count = OPT_I32(sum.running);
    r->pending_task_count = OPT_I32(sum.pending);
}

static enum err view_service_deployment(struct op *op, struct ecs *ecs, struct str key,
                                        const struct engine_ecs_service_deployment *row,
                                        struct ecs_service_deployment *ret)
{
    struct service_ref ref = ref_of_key(op, key);
    struct engine_ecs_service service = {0};
    TRY(store_get(op, ecs->config.store, &ecs_kind_service, ref.key, &service));
    struct sight s = {.service = service.service};
    TRY(ecs_deployments_list(op, ecs, &ref, &s.deployments));
    TRY(ecs_service_tasks(op, ecs, &ref, &s.tasks));
    *ret = *row->deployment;
    for (size_t i = 0; i < ret->source_service_revisions.count; i++) {
        fill_summary(&s, &ret->source_service_revisions.items[i]);
    }
    if (ret->target_service_revision != NULL) {
        fill_summary(&s, ret->target_service_revision);
    }
    return ERR_OK;
}

enum err ecs_describe_service_deployments(struct op *op, struct ecs *ecs,
                                          const struct ecs_describe_service_deployments_in *in,
                                          struct ecs_describe_service_deployments_out *ret)
{
    if (in->service_deployment_arns.count == 0 ||
        in->service_deployment_arns.count > ECS_DESCRIBE_REVISIONS_MAX) {
        return fail_parameter(op, "serviceDeploymentArns must have between 1 and %d items.",
                              ECS_DESCRIBE_REVISIONS_MAX);
    }
    struct ecs_describe_service_deployments_out out = {.service_deployments = {.is_set = true},
                                                       .failures = {.is_set = true}};
    for (size_t i = 0; i < in->service_deployment_arns.count; i++) {
        struct str arn = in->service_deployment_arns.items[i];
        struct str key = STR_NONE;
        struct engine_ecs_service_deployment row = {0};
        enum err e = ERR_NOT_FOUND;
        if (ecs_service_part_ref(op, arn, STR("service-deployment"), &key)) {
            e = store_get(op, ecs->config.store, &ecs_kind_service_deployment, key, &row);
        }
        if (e == ERR_NOT_FOUND) {
            op_note_clear(op);
            ecs_add_failure(op, &out.failures, arn, STR("MISSING"));
            continue;
        }
        TRY(e);
        struct ecs_service_deployment *d = ARENA_PUSH(&op->arena, &out.service_deployments);
        TRY(view_service_deployment(op, ecs, key, &row, d));
    }
    *ret = out;
    return ERR_OK;
}

/* ---- stop -------------------------------------------------------------------------------------*/

enum err ecs_stop_service_deployment(struct op *op, struct ecs *ecs,
                                     const struct ecs_stop_service_deployment_in *in,
                                     struct ecs_stop_service_deployment_out *ret)
{
    if (in->stop_type == ECS_STOP_SERVICE_DEPLOYMENT_STOP_TYPE_ABORT) {
        return fail_unsupported(op, "the stop type ABORT is not offered here; use ROLLBACK");
    }
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ecs->config.store, &tx));
    struct str key = STR_NONE;
    struct engine_ecs_service_deployment row = {0};
    enum err e = ERR_NOT_FOUND;
    if (ecs_service_part_ref(op, in->service_deployment_arn, STR("service-deployment"), &key)) {
        e = store_get(op, ecs->config.store, &ecs_kind_service_deployment, key, &row);
    }
    if (e == ERR_NOT_FOUND) {
        return op_fail_as(op, e, &ecs_error_service_deployment_not_found_exception,
                          "The service deployment does not exist.");
    }
    TRY(e);
    if (row.deployment->finished_at.is_set) {
        return op_fail_as(op, ERR_STATE, &ecs_error_conflict_exception,
                          "The service deployment is in a terminal state and cannot be stopped.");
    }
    if (row.deployment->status == ECS_SERVICE_DEPLOYMENT_STATUS_PENDING ||
        row.deployment->status == ECS_SERVICE_DEPLOYMENT_STATUS_IN_PROGRESS) {
        row.deployment->status = ECS_SERVICE_DEPLOYMENT_STATUS_ROLLBACK_REQUESTED;
    }
    struct service_ref ref = ref_of_key(op, key);
    TRY(ecs_service_deployment_put(op, ecs, &ref, &row));
    ecs_wake_service(op, ecs, ref.cluster, ref.name);
    ret->service_deployment_arn = in->service_deployment_arn;
    return store_tx_commit(op, &tx);
}

/* ---- revisions --------------------------------------------------------------------------------*/

enum err ecs_describe_service_revisions(struct op *op, struct ecs *ecs,
                                        const struct ecs_describe_service_revisions_in *in,
                                        struct ecs_describe_service_revisions_out *ret)
{
    if (in->service_revision_arns.count == 0 ||
        in->service_revision_arns.count > ECS_DESCRIBE_REVISIONS_MAX) {
        return fail_parameter(op, "serviceRevisionArns must have between 1 and %d items.",
                              ECS_DESCRIBE_REVISIONS_MAX);
    }
    struct ecs_describe_service_revisions_out out = {.service_revisions = {.is_set = true},
                                                     .failures = {.is_set = true}};
    for (size_t i = 0; i < in->service_revision_arns.count; i++) {
        struct str arn = in->service_revision_arns.items[i];
        struct str key = STR_NONE;
        struct ecs_service_revision row = {0};
        enum err e = ERR_NOT_FOUND;
        if (ecs_service_part_ref(op, arn, STR("service-revision"), &key)) {
            e = store_get(op, ecs->config.store, &ecs_kind_revision, key, &row);
        }
        if (e == ERR_NOT_FOUND) {
            op_note_clear(op);
            ecs_add_failure(op, &out.failures, arn, STR("MISSING"));
            continue;
        }
        TRY(e);
        *ARENA_PUSH(&op->arena, &out.service_revisions) = row;
    }
    *ret = out;
    return ERR_OK;
}
