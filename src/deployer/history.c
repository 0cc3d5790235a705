#include "deployer/history.h"

#include "base/check.h"
#include "deployer/deploy.h"

static enum err read_revisions(struct op *op, const struct cloud *cloud,
                               const struct ecs_service_deployments_brief *list,
                               struct ecs_service_revisions *ret)
{
    struct ecs_string_list arns = {.is_set = true};
    for (size_t i = 0; i < list->count && i < HISTORY_MAX; i++) {
        *ARENA_PUSH(&op->arena, &arns) = list->items[i].target_service_revision_arn;
    }
    struct ecs_describe_service_revisions_in in = {.service_revision_arns = arns};
    struct ecs_describe_service_revisions_out out = {0};
    TRY(ecs_call_describe_service_revisions(op, cloud->client, &in, &out));
    *ret = out.service_revisions;
    return ERR_OK;
}

static struct str definition_of(const struct ecs_service_revisions *revisions, struct str arn)
{
    for (size_t i = 0; i < revisions->count; i++) {
        if (str_equal(revisions->items[i].service_revision_arn, arn)) {
            return revisions->items[i].task_definition;
        }
    }
    return STR_NONE;
}

/* A deployment group of CodeDeploy is not listed by ECS: the revisions of the family stand in. */
static enum err read_family(struct op *op, const struct cloud *cloud, const struct place *place,
                            struct history *h)
{
    struct ecs_list_task_definitions_in in = {.family_prefix = place->family,
                                              .sort = ECS_SORT_ORDER_DESC,
                                              .max_results = OPT_I32(HISTORY_MAX)};
    struct ecs_list_task_definitions_out out = {0};
    TRY(ecs_call_list_task_definitions(op, cloud->client, &in, &out));
    for (size_t i = 0; i < out.task_definition_arns.count; i++) {
        struct str arn = out.task_definition_arns.items[i];
        *ARENA_PUSH(&op->arena, h) =
            (struct history_row){.task_definition = arn,
                                 .version = deploy_version_of(op, cloud, arn),
                                 .status = "REGISTERED"};
    }
    return ERR_OK;
}

enum err history_read(struct op *op, const struct cloud *cloud, const struct place *place,
                      struct history *ret)
{
    struct history h = {0};
    struct ecs_list_service_deployments_in in = {.cluster = place->cluster,
                                                 .service = place->service_name,
                                                 .max_results = OPT_I32(HISTORY_MAX)};
    struct ecs_list_service_deployments_out out = {0};
    TRY(ecs_call_list_service_deployments(op, cloud->client, &in, &out));
    if (out.service_deployments.count == 0) {
        TRY(read_family(op, cloud, place, &h));
        *ret = h;
        return ERR_OK;
    }
    struct ecs_service_revisions revisions = {0};
    TRY(read_revisions(op, cloud, &out.service_deployments, &revisions));
    for (size_t i = 0; i < out.service_deployments.count && i < HISTORY_MAX; i++) {
        const struct ecs_service_deployment_brief *b = &out.service_deployments.items[i];
        struct str definition = definition_of(&revisions, b->target_service_revision_arn);
        *ARENA_PUSH(&op->arena, &h) = (struct history_row){
            .task_definition = definition,
            .version = str_is_set(definition) ? deploy_version_of(op, cloud, definition) : STR_NONE,
            .status = shape_enum_name(&shape_ecs_service_deployment_status, (int)b->status),
            .reason = b->status_reason,
            .started = b->created_at.value,
            .finished = b->finished_at.value};
    }
    *ret = h;
    return ERR_OK;
}

/* What was merely registered says nothing about how it went: only what is older than the live one
 * was live before. */
static bool is_good(const struct history_row *row, bool is_older)
{
    return row->status != NULL && (strcmp(row->status, "SUCCESSFUL") == 0 ||
                                   (is_older && strcmp(row->status, "REGISTERED") == 0));
}

const struct history_row *history_previous(const struct history *h, struct str current)
{
    bool is_older = false;
    for (size_t i = 0; i < h->count; i++) {
        const struct history_row *row = &h->items[i];
        bool is_live = str_equal(row->task_definition, current);
        if (is_good(row, is_older) && str_is_set(row->task_definition) && !is_live) {
            return row;
        }
        is_older = is_older || is_live;
    }
    return NULL;
}

const struct history_row *history_find(const struct history *h, struct str word)
{
    for (size_t i = 0; i < h->count; i++) {
        struct str revision = sight_revision(h->items[i].task_definition);
        struct str number = str_from(revision, str_find_last_char(revision, ':') + 1);
        if (str_equal(word, revision) || str_equal(word, number) ||
            str_equal(word, h->items[i].version) || str_equal(word, h->items[i].task_definition)) {
            return &h->items[i];
        }
    }
    return NULL;
}
