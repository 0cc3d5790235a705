/* TagResource, UntagResource, ListTagsForResource. Every kind of row keeps its own tags; a table
 * says where. */
#include "svc/ecs/ecs_priv.h"

static const struct tag_errors tag_errors = {.too_many = &ecs_error_invalid_parameter_exception,
                                             .duplicate = &ecs_error_invalid_parameter_exception,
                                             .invalid = &ecs_error_invalid_parameter_exception};

/* A row of any kind that has tags. */
union tagged {
    struct ecs_cluster cluster;
    struct engine_ecs_service service;
    struct engine_ecs_task task;
    struct engine_ecs_task_set task_set;
    struct engine_ecs_task_definition definition;
};

struct tagged_kind {
    const char *resource; /* in the ARN, before the first slash */
    const struct store_kind *kind;
    bool is_service_part; /* <cluster>/<service>/ecs-svc/<id> */
    struct ecs_tags *(*tags_of)(union tagged *row);
};

static struct ecs_tags *tags_of_cluster(union tagged *row)
{
    return &row->cluster.tags;
}

static struct ecs_tags *tags_of_service(union tagged *row)
{
    return &row->service.service->tags;
}

static struct ecs_tags *tags_of_task(union tagged *row)
{
    return &row->task.task->tags;
}

static struct ecs_tags *tags_of_task_set(union tagged *row)
{
    return &row->task_set.task_set->tags;
}

static struct ecs_tags *tags_of_definition(union tagged *row)
{
    return &row->definition.tags;
}

static const struct tagged_kind kinds[] = {
    {"cluster", &ecs_kind_cluster, false, tags_of_cluster},
    {"service", &ecs_kind_service, false, tags_of_service},
    {"task", &ecs_kind_task, false, tags_of_task},
    {"task-set", &ecs_kind_task_set, true, tags_of_task_set},
    {"task-definition", &ecs_kind_task_definition, false, tags_of_definition},
};

struct found {
    const struct tagged_kind *kind;
    struct str key;
    struct str parent;
    union tagged row;
};

static bool make_key(struct op *op, const struct tagged_kind *k, struct str resource,
                     struct str arn, struct str *ret_key)
{
    if (k->kind == &ecs_kind_task_definition) {
        struct str family = STR_NONE;
        int32_t revision = 0;
        if (!ecs_task_definition_ref(op, arn, &family, &revision) || revision == 0) {
            return false;
        }
        *ret_key = ecs_task_definition_key(op, family, revision);
        return true;
    }
    struct str key = str_from(resource, strlen(k->resource) + 1);
    if (k->is_service_part) {
        size_t at = str_find(key, STR("/ecs-svc/"), 0);
        if (at == STR_NOT_FOUND) {
            return false;
        }
        key = arena_printf(&op->arena, "%.*s/%.*s", STR_ARG(str_slice(key, 0, at)),
                           STR_ARG(ecs_last_part(key)));
    }
    *ret_key = key;
    return key.len > 0 && key.len <= STORE_KEY_BYTES_MAX;
}

static struct str parent_of(struct op *op, const struct found *f)
{
    if (f->kind->kind == &ecs_kind_task_definition) {
        return f->row.definition.definition->family;
    }
    size_t slash = str_find_last_char(f->key, '/');
    (void)op;
    return slash == STR_NOT_FOUND ? STR("") : str_slice(f->key, 0, slash);
}

static enum err find_resource(struct op *op, struct ecs *ecs, struct str text, struct found *ret)
{
    struct arn arn = {0};
    if (!arn_parse(text, &arn) || !arn_is_here(op, &arn, STR("ecs"))) {
        return fail_parameter(op, "Invalid ARN: %.*s", STR_ARG(str_slice(text, 0, 256)));
    }
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        struct str prefix = arena_printf(&op->arena, "%s/", kinds[i].resource);
        struct found f = {.kind = &kinds[i]};
        if (!str_starts_with(arn.resource, prefix) ||
            !make_key(op, f.kind, arn.resource, text, &f.key)) {
            continue;
        }
        enum err e = store_get(op, ecs->config.store, f.kind->kind, f.key, &f.row);
        if (e == ERR_NOT_FOUND) {
            break;
        }
        TRY(e);
        f.parent = parent_of(op, &f);
        *ret = f;
        return ERR_OK;
    }
    return op_fail_as(op, ERR_NOT_FOUND, &ecs_error_resource_not_found_exception,
                      "The specified resource was not found: %.*s",
                      STR_ARG(str_slice(text, 0, 256)));
}

/* A task's row goes through its own door, which knows its parent and version. */
static enum err put_resource(struct op *op, struct ecs *ecs, struct found *f)
{
    if (f->kind->kind == &ecs_kind_task) {
        return ecs_task_put(op, ecs, &f->row.task);
    }
    return store_put(op, ecs->config.store, f->kind->kind, f->key, f->parent, &f->row);
}

enum err ecs_tag_resource(struct op *op, struct ecs *ecs, const struct ecs_tag_resource_in *in,
                          struct ecs_tag_resource_out *ret)
{
    (void)ret;
    TRY(ecs_tags_check(op, &in->tags));
    struct found f = {0};
    TRY(find_resource(op, ecs, in->resource_arn, &f));
    struct ecs_tags *list = f.kind->tags_of(&f.row);
    struct tags have = TAGS_FROM(&op->arena, *list);
    struct tags add = TAGS_FROM(&op->arena, in->tags);
    struct tags merged = {0};
    TRY(tags_merge(op, &tag_errors, &have, &add, &merged));
    TAGS_INTO(&op->arena, merged, list);
    return put_resource(op, ecs, &f);
}

enum err ecs_untag_resource(struct op *op, struct ecs *ecs, const struct ecs_untag_resource_in *in,
                            struct ecs_untag_resource_out *ret)
{
    (void)ret;
    struct found f = {0};
    TRY(find_resource(op, ecs, in->resource_arn, &f));
    struct ecs_tags *list = f.kind->tags_of(&f.row);
    struct tags have = TAGS_FROM(&op->arena, *list);
    struct tags left = tags_without(&op->arena, &have, in->tag_keys.items, in->tag_keys.count);
    TAGS_INTO(&op->arena, left, list);
    return put_resource(op, ecs, &f);
}

enum err ecs_list_tags_for_resource(struct op *op, struct ecs *ecs,
                                    const struct ecs_list_tags_for_resource_in *in,
                                    struct ecs_list_tags_for_resource_out *ret)
{
    struct found f = {0};
    TRY(find_resource(op, ecs, in->resource_arn, &f));
    ret->tags = *f.kind->tags_of(&f.row);
    ret->tags.is_set = true;
    return ERR_OK;
}
