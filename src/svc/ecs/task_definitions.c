/* Task definitions: families and revisions. */
#include "svc/ecs/ecs_priv.h"

#include <stdlib.h>

struct str ecs_task_definition_key(struct op *op, struct str family, int32_t revision)
{
    return arena_printf(&op->arena, "%.*s %010d", STR_ARG(family), revision);
}

static enum err put_definition(struct op *op, struct ecs *ecs,
                               const struct engine_ecs_task_definition *row)
{
    const struct ecs_task_definition *td = row->definition;
    return store_put(op, ecs->config.store, &ecs_kind_task_definition,
                     ecs_task_definition_key(op, td->family, td->revision.value), td->family, row);
}

/* The revision that the bare name of a family means. */
static enum err find_latest(struct op *op, struct ecs *ecs, struct str family,
                            struct engine_ecs_task_definition *ret)
{
    struct store_items rows = {0};
    struct store_range range = {.parent = family};
    TRY(store_list(op, ecs->config.store, &ecs_kind_task_definition, &range, &rows));
    for (size_t i = rows.count; i > 0; i--) {
        const struct engine_ecs_task_definition *row = rows.items[i - 1].value;
        if (row->definition->status == ECS_TASK_DEFINITION_STATUS_ACTIVE) {
            *ret = *row;
            return ERR_OK;
        }
    }
    return op_fail(op, ERR_NOT_FOUND, "the family \"%.*s\" has no active revision",
                   STR_ARG(family));
}

enum err ecs_task_definition_find(struct op *op, struct ecs *ecs, struct str ref,
                                  struct engine_ecs_task_definition *ret)
{
    struct str family = STR_NONE;
    int32_t revision = 0;
    if (!ecs_task_definition_ref(op, ref, &family, &revision)) {
        return op_fail(op, ERR_NOT_FOUND, "no task definition is named so");
    }
    if (revision == 0) {
        return find_latest(op, ecs, family, ret);
    }
    return store_get(op, ecs->config.store, &ecs_kind_task_definition,
                     ecs_task_definition_key(op, family, revision), ret);
}

enum err ecs_task_definition_for_use(struct op *op, struct ecs *ecs, struct str ref,
                                     struct engine_ecs_task_definition *ret)
{
    struct engine_ecs_task_definition row = {0};
    enum err e = ecs_task_definition_find(op, ecs, ref, &row);
    if (e == ERR_NOT_FOUND) {
        return fail_client(op, "TaskDefinition not found.");
    }
    TRY(e);
    if (row.definition->status != ECS_TASK_DEFINITION_STATUS_ACTIVE) {
        return fail_client(op, "TaskDefinition is inactive");
    }
    *ret = row;
    return ERR_OK;
}

enum err ecs_task_definition_of(struct op *op, struct ecs *ecs, struct str arn,
                                struct ecs_task_definition *ret)
{
    struct engine_ecs_task_definition row = {0};
    TRY(ecs_task_definition_find(op, ecs, arn, &row));
    *ret = *row.definition;
    return ERR_OK;
}

/* ---- register, describe, deregister, delete ---------------------------------------------------*/

enum err ecs_register_task_definition(struct op *op, struct ecs *ecs,
                                      const struct ecs_register_task_definition_in *in,
                                      struct ecs_register_task_definition_out *ret)
{
    TRY(ecs_task_definition_check(op, in));
    TRY(ecs_tags_check(op, &in->tags));
    struct ecs_task_definition *td = ARENA_NEW(&op->arena, struct ecs_task_definition);
    TRY(ecs_task_definition_fill(op, in, td));

    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ecs->config.store, &tx));
    struct str series = arena_printf(&op->arena, "ecs.task_definition %.*s", STR_ARG(td->family));
    int64_t revision = 0;
    TRY(store_next_number(op, ecs->config.store, series, &revision));
    td->revision = OPT_I32((int32_t)revision);
    td->task_definition_arn = ecs_task_definition_arn(op, td->family, td->revision.value);
    td->registered_at = OPT_TIME(op->now);
    td->registered_by = op->caller_arn;
    struct engine_ecs_task_definition row = {.definition = td, .tags = in->tags};
    TRY(put_definition(op, ecs, &row));
    TRY(store_tx_commit(op, &tx));
    ret->task_definition = td;
    ret->tags = in->tags;
    return ERR_OK;
}

enum err ecs_describe_task_definition(struct op *op, struct ecs *ecs,
                                      const struct ecs_describe_task_definition_in *in,
                                      struct ecs_describe_task_definition_out *ret)
{
    struct engine_ecs_task_definition row = {0};
    enum err e = ecs_task_definition_find(op, ecs, in->task_definition, &row);
    if (e == ERR_NOT_FOUND) {
        return fail_client(op, "Unable to describe task definition.");
    }
    TRY(e);
    ret->task_definition = row.definition;
    for (size_t i = 0; i < in->include.count; i++) {
        if (in->include.items[i] == ECS_TASK_DEFINITION_FIELD_TAGS) {
            ret->tags = row.tags;
            ret->tags.is_set = true;
        }
    }
    return ERR_OK;
}

/* Operations that change a revision want it named in full. */
static enum err find_revision(struct op *op, struct ecs *ecs, struct str ref,
                              struct engine_ecs_task_definition *ret)
{
    struct str family = STR_NONE;
    int32_t revision = 0;
    if (!ecs_task_definition_ref(op, ref, &family, &revision)) {
        return fail_client(op, "Invalid identifier: \"%.*s\"", STR_ARG(str_slice(ref, 0, 256)));
    }
    if (revision == 0) {
        return fail_client(op, "Task definition is missing revision.");
    }
    enum err e = ecs_task_definition_find(op, ecs, ref, ret);
    if (e == ERR_NOT_FOUND) {
        return fail_client(op, "The specified task definition does not exist.");
    }
    return e;
}

enum err ecs_deregister_task_definition(struct op *op, struct ecs *ecs,
                                        const struct ecs_deregister_task_definition_in *in,
                                        struct ecs_deregister_task_definition_out *ret)
{
    struct engine_ecs_task_definition row = {0};
    TRY(find_revision(op, ecs, in->task_definition, &row));
    if (row.definition->status == ECS_TASK_DEFINITION_STATUS_ACTIVE) {
        row.definition->status = ECS_TASK_DEFINITION_STATUS_INACTIVE;
        row.definition->deregistered_at = OPT_TIME(op->now);
        TRY(put_definition(op, ecs, &row));
    }
    ret->task_definition = row.definition;
    return ERR_OK;
}

static enum err delete_one(struct op *op, struct ecs *ecs, struct str ref,
                           struct ecs_delete_task_definitions_out *ret)
{
    struct engine_ecs_task_definition row = {0};
    TRY(find_revision(op, ecs, ref, &row));
    struct ecs_task_definition *td = row.definition;
    if (td->status == ECS_TASK_DEFINITION_STATUS_ACTIVE) {
        *ARENA_PUSH(&op->arena, &ret->failures) = (struct ecs_failure){
            .arn = td->task_definition_arn,
            .reason = STR("The specified task definition is still in ACTIVE status. Please "
                          "deregister the target and try again.")};
        return ERR_OK;
    }
    if (td->status == ECS_TASK_DEFINITION_STATUS_INACTIVE) {
        td->status = ECS_TASK_DEFINITION_STATUS_DELETE_IN_PROGRESS;
        td->delete_requested_at = OPT_TIME(op->now);
        TRY(put_definition(op, ecs, &row));
    }
    *ARENA_PUSH(&op->arena, &ret->task_definitions) = *td;
    return ERR_OK;
}

enum err ecs_delete_task_definitions(struct op *op, struct ecs *ecs,
                                     const struct ecs_delete_task_definitions_in *in,
                                     struct ecs_delete_task_definitions_out *ret)
{
    if (in->task_definitions.count == 0) {
        return fail_parameter(op, "Task definitions cannot be empty.");
    }
    if (in->task_definitions.count > ECS_DELETE_DEFINITIONS_MAX) {
        return fail_parameter(op, "At most %d task definitions can be deleted at once",
                              ECS_DELETE_DEFINITIONS_MAX);
    }
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ecs->config.store, &tx));
    struct ecs_delete_task_definitions_out out = {.task_definitions = {.is_set = true},
                                                  .failures = {.is_set = true}};
    for (size_t i = 0; i < in->task_definitions.count; i++) {
        TRY(delete_one(op, ecs, in->task_definitions.items[i], &out));
    }
    TRY(store_tx_commit(op, &tx));
    *ret = out;
    return ERR_OK;
}

/* ---- lists ------------------------------------------------------------------------------------*/

/* Keys for the pages of a descending list: the order of the keys is turned around. */
static struct str turned(struct op *op, struct str key)
{
    char *bytes = arena_alloc(&op->arena, key.len + 1);
    for (size_t i = 0; i < key.len; i++) {
        bytes[i] = (char)(0x7f - (key.ptr[i] & 0x7f));
    }
    bytes[key.len] = 0x7f; /* a shorter key now comes behind a longer one that it begins */
    return str_make(bytes, key.len + 1);
}

struct listed {
    struct str key;
    struct str arn;
};

static int compare_listed(const void *a, const void *b)
{
    return str_compare(((const struct listed *)a)->key, ((const struct listed *)b)->key);
}

/* In this operation familyPrefix is the full name of one family (the API reference says so). */
static enum err collect(struct op *op, struct ecs *ecs,
                        const struct ecs_list_task_definitions_in *in, struct listed **ret_items,
                        size_t *ret_count)
{
    struct store_range range = {.parent = in->family_prefix.len > 0 ? in->family_prefix : STR_NONE};
    struct store_items rows = {0};
    TRY(store_list(op, ecs->config.store, &ecs_kind_task_definition, &range, &rows));
    enum ecs_task_definition_status wanted = in->status == ECS_TASK_DEFINITION_STATUS_UNSET
                                                 ? ECS_TASK_DEFINITION_STATUS_ACTIVE
                                                 : in->status;
    struct listed *items = ARENA_ARRAY(&op->arena, struct listed, rows.count + 1);
    size_t count = 0;
    bool is_descending = in->sort == ECS_SORT_ORDER_DESC;
    for (size_t i = 0; i < rows.count; i++) {
        const struct engine_ecs_task_definition *row = rows.items[i].value;
        if (row->definition->status == wanted) {
            struct str key = rows.items[i].key;
            items[count++] = (struct listed){.key = is_descending ? turned(op, key) : key,
                                             .arn = row->definition->task_definition_arn};
        }
    }
    qsort(items, count, sizeof(*items), compare_listed);
    *ret_items = items;
    *ret_count = count;
    return ERR_OK;
}

enum err ecs_list_task_definitions(struct op *op, struct ecs *ecs,
                                   const struct ecs_list_task_definitions_in *in,
                                   struct ecs_list_task_definitions_out *ret)
{
    static const struct page_rules rules = {.list_name = "ecs.task_definitions",
                                            .default_count = ECS_PAGE_MAX,
                                            .max_count = ECS_PAGE_MAX,
                                            .bad_token = &ecs_error_invalid_parameter_exception,
                                            .bad_token_text = "Invalid token"};
    struct listed *items = NULL;
    size_t count = 0;
    TRY(collect(op, ecs, in, &items, &count));
    struct str *keys = ARENA_ARRAY(&op->arena, struct str, count + 1);
    for (size_t i = 0; i < count; i++) {
        keys[i] = items[i].key;
    }
    struct page_ask ask = {.token = in->next_token, .max_results = in->max_results};
    size_t from = 0;
    size_t to = 0;
    struct ecs_list_task_definitions_out out = {.task_definition_arns = {.is_set = true}};
    TRY(page_cut(op, &rules, ask, keys, count, &from, &to, &out.next_token));
    for (size_t i = from; i < to; i++) {
        *ARENA_PUSH(&op->arena, &out.task_definition_arns) = items[i].arn;
    }
    *ret = out;
    return ERR_OK;
}

static bool is_family_wanted(enum ecs_task_definition_family_status status, bool has_active)
{
    switch (status) {
    case ECS_TASK_DEFINITION_FAMILY_STATUS_ACTIVE:
        return has_active;
    case ECS_TASK_DEFINITION_FAMILY_STATUS_INACTIVE:
        return !has_active;
    case ECS_TASK_DEFINITION_FAMILY_STATUS_UNSET:
    case ECS_TASK_DEFINITION_FAMILY_STATUS_ALL:
        break;
    }
    return true;
}

enum err ecs_list_task_definition_families(struct op *op, struct ecs *ecs,
                                           const struct ecs_list_task_definition_families_in *in,
                                           struct ecs_list_task_definition_families_out *ret)
{
    static const struct page_rules rules = {.list_name = "ecs.families",
                                            .default_count = ECS_PAGE_MAX,
                                            .max_count = ECS_PAGE_MAX,
                                            .bad_token = &ecs_error_invalid_parameter_exception,
                                            .bad_token_text = "Invalid token"};
    struct store_range range = {.prefix = in->family_prefix};
    struct store_items rows = {0};
    TRY(store_list(op, ecs->config.store, &ecs_kind_task_definition, &range, &rows));
    struct str *families = ARENA_ARRAY(&op->arena, struct str, rows.count + 1);
    size_t count = 0;
    for (size_t i = 0; i < rows.count;) {
        struct str family = rows.items[i].parent;
        bool has_active = false;
        for (; i < rows.count && str_equal(rows.items[i].parent, family); i++) {
            const struct engine_ecs_task_definition *row = rows.items[i].value;
            has_active |= row->definition->status == ECS_TASK_DEFINITION_STATUS_ACTIVE;
        }
        if (is_family_wanted(in->status, has_active)) {
            families[count++] = family;
        }
    }
    struct page_ask ask = {.token = in->next_token, .max_results = in->max_results};
    size_t from = 0;
    size_t to = 0;
    struct ecs_list_task_definition_families_out out = {.families = {.is_set = true}};
    TRY(page_cut(op, &rules, ask, families, count, &from, &to, &out.next_token));
    for (size_t i = from; i < to; i++) {
        *ARENA_PUSH(&op->arena, &out.families) = families[i];
    }
    *ret = out;
    return ERR_OK;
}
