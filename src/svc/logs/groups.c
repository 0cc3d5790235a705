/* Groups, their retention and their tags. */

#include "base/check.h"
#include "base/cleanup.h"
#include "svc/common/arn.h"
#include "svc/common/ids.h"
#include "svc/common/page.h"
#include "svc/common/tags.h"
#include "svc/logs/handlers.h"

#include <stdlib.h>

/* ---- names ----------------------------------------------------------------------------------- */

static bool is_stream_name(struct str name)
{
    return name.len >= 1 && name.len <= 512 && str_find_char(name, ':', 0) == STR_NOT_FOUND &&
           str_find_char(name, '*', 0) == STR_NOT_FOUND &&
           str_find_char(name, '\n', 0) == STR_NOT_FOUND &&
           str_find_char(name, '\0', 0) == STR_NOT_FOUND;
}

enum err logs_name_check(struct op *op, struct str name, const char *member, bool is_stream)
{
    bool is_good = is_stream ? is_stream_name(name) : name_is(name, 1, 512, STR(".-_/#"));
    if (is_good) {
        return ERR_OK;
    }
    return op_fail_as(op, ERR_INPUT, &logs_error_invalid_parameter_exception,
                      "1 validation error detected: Value '%.*s' at '%s' failed to satisfy "
                      "constraint: Member must satisfy regular expression pattern: %s",
                      STR_ARG(str_slice(name, 0, 600)), member,
                      is_stream ? "[^:*]*" : "[\\.\\-_/#A-Za-z0-9]+");
}

struct str logs_group_arn(struct op *op, struct str name)
{
    return arn_makef(op, STR("logs"), "log-group:%.*s", STR_ARG(name));
}

/* "arn:aws:logs:eu-west-1:123456789012:log-group:NAME" with or without ":*" */
static bool name_of_arn(struct str text, struct str *ret_name)
{
    struct arn arn = {0};
    struct str name = STR_NONE;
    if (!arn_parse(text, &arn) || !STR_IS(arn.service, "logs") ||
        !arn_tail(&arn, STR("log-group:"), &name)) {
        return false;
    }
    *ret_name = str_ends_with(name, STR(":*")) ? str_slice(name, 0, name.len - 2) : name;
    return ret_name->len > 0;
}

enum err logs_group_name(struct op *op, struct str name, struct str identifier, struct str *ret)
{
    if (str_is_set(name) == str_is_set(identifier)) {
        return op_fail_as(op, ERR_INPUT, &logs_error_invalid_parameter_exception,
                          "Exactly one of logGroupName and logGroupIdentifier must be specified.");
    }
    *ret = name;
    if (str_is_set(identifier) && !name_of_arn(identifier, ret)) {
        *ret = identifier;
    }
    return ERR_OK;
}

static enum err no_group(struct op *op)
{
    return op_fail_as(op, ERR_NOT_FOUND, &logs_error_resource_not_found_exception,
                      "The specified log group does not exist.");
}

enum err logs_group_get(struct op *op, struct logs *logs, struct str name,
                        struct engine_logs_group *ret)
{
    enum err e = store_get(op, logs->config.store, &logs_groups, name, ret);
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        return no_group(op);
    }
    return e;
}

static enum err group_put(struct op *op, struct logs *logs, struct str name,
                          const struct engine_logs_group *row)
{
    return store_put(op, logs->config.store, &logs_groups, name, STR(""), row);
}

/* ---- create, delete -------------------------------------------------------------------------- */

static const struct tag_errors tag_errors = {
    .too_many = &logs_error_invalid_parameter_exception,
    .duplicate = &logs_error_invalid_parameter_exception,
    .invalid = &logs_error_invalid_parameter_exception,
};

LOGS_OPERATION(create_log_group)
{
    (void)ret;
    TRY(logs_name_check(op, in->log_group_name, "logGroupName", false));
    struct tags tags = TAGS_FROM(&op->arena, in->tags);
    TRY(tags_check(op, &tag_errors, &tags));
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, logs->config.store, &tx));
    if (store_has(op, logs->config.store, &logs_groups, in->log_group_name)) {
        return op_fail_as(op, ERR_EXISTS, &logs_error_resource_already_exists_exception,
                          "The specified log group already exists");
    }
    struct str region = op->region;
    int64_t number = 0;
    op->region = STR("global"); /* numbers are never given twice, in whatever region */
    enum err e = store_next_number(op, logs->config.store, STR("logs.group"), &number);
    op->region = region;
    TRY(e);
    struct engine_logs_group row = {
        .number = OPT_I64(number),
        .created_at = OPT_TIME(op->now),
        .kms_key_id = in->kms_key_id,
        .log_group_class =
            in->log_group_class == LOGS_LOG_GROUP_CLASS_UNSET
                ? STR("STANDARD")
                : str_of(shape_enum_name(&shape_logs_log_group_class, (int)in->log_group_class)),
        .is_protected = in->deletion_protection_enabled,
    };
    TAGS_INTO(&op->arena, tags, &row.tags);
    TRY(group_put(op, logs, in->log_group_name, &row));
    return store_tx_commit(op, &tx);
}

LOGS_OPERATION(delete_log_group)
{
    (void)ret;
    struct engine_logs_group row = {0};
    TRY(logs_group_get(op, logs, in->log_group_name, &row));
    if (OPT_OR(row.is_protected, false)) {
        return op_fail_as(op, ERR_STATE, &logs_error_operation_aborted_exception,
                          "The log group has deletion protection enabled.");
    }
    int64_t number = OPT_OR(row.number, 0);
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, logs->config.store, &tx));
    TRY(store_remove(op, logs->config.store, &logs_groups, in->log_group_name));
    auto_query struct store_query q = {0};
    TRY(store_query_begin(op, logs->config.store, "DELETE FROM log_stream WHERE grp = ?1", &q));
    store_bind_i64(&q, number);
    TRY(store_run(op, &q));
    TRY(logs_purge_later(op, logs, number, 0));
    TRY(store_tx_commit(op, &tx));
    logs_streams_forget(op, logs, number, in->log_group_name, STR_NONE);
    return ERR_OK;
}

/* ---- describe -------------------------------------------------------------------------------- */

static const struct page_rules group_pages = {
    .list_name = "logs.groups",
    .default_count = 50,
    .max_count = 50,
    .bad_token = &logs_error_invalid_parameter_exception,
    .bad_token_text = "The specified nextToken is invalid.",
};

static enum err stored_bytes(struct op *op, struct logs *logs, int64_t number, int64_t *ret)
{
    auto_query struct store_query q = {0};
    bool has_row = false;
    TRY(store_query_begin(op, logs->config.store,
                          "SELECT coalesce(sum(bytes), 0) FROM log_stream WHERE grp = ?1", &q));
    store_bind_i64(&q, number);
    TRY(store_step(op, &q, &has_row));
    *ret = store_column_i64(&q, 0);
    return ERR_OK;
}

static enum err show_group(struct op *op, struct logs *logs, const struct store_item *item,
                           struct logs_log_group *to)
{
    const struct engine_logs_group *row = item->value;
    int64_t bytes = 0;
    TRY(stored_bytes(op, logs, OPT_OR(row->number, 0), &bytes));
    to->log_group_name = item->key;
    to->creation_time = OPT_I64(logs_ms(row->created_at.value));
    to->retention_in_days = row->retention_days;
    to->metric_filter_count = OPT_I32(0);
    to->log_group_arn = logs_group_arn(op, item->key);
    to->arn = arena_printf(&op->arena, "%.*s:*", STR_ARG(to->log_group_arn));
    to->stored_bytes = OPT_I64(bytes);
    to->kms_key_id = row->kms_key_id.len > 0 ? row->kms_key_id : STR_NONE;
    to->log_group_class = (enum logs_log_group_class)shape_enum_value(&shape_logs_log_group_class,
                                                                      row->log_group_class);
    to->deletion_protection_enabled = OPT_BOOL(OPT_OR(row->is_protected, false));
    return ERR_OK;
}

static bool is_wanted(const struct logs_describe_log_groups_in *in, const struct store_item *item)
{
    const struct engine_logs_group *row = item->value;
    bool has_class = in->log_group_class == LOGS_LOG_GROUP_CLASS_UNSET ||
                     shape_enum_value(&shape_logs_log_group_class, row->log_group_class) ==
                         (int)in->log_group_class;
    bool is_named = in->log_group_identifiers.count == 0;
    for (size_t i = 0; i < in->log_group_identifiers.count; i++) {
        struct str name = in->log_group_identifiers.items[i];
        (void)name_of_arn(name, &name);
        is_named = is_named || str_equal(name, item->key);
    }
    return has_class && is_named &&
           (!str_is_set(in->log_group_name_pattern) ||
            str_find(item->key, in->log_group_name_pattern, 0) != STR_NOT_FOUND);
}

LOGS_OPERATION(describe_log_groups)
{
    if (str_is_set(in->log_group_name_prefix) && str_is_set(in->log_group_name_pattern)) {
        return op_fail_as(op, ERR_INPUT, &logs_error_invalid_parameter_exception,
                          "LogGroup name prefix and LogGroup name pattern are mutually exclusive "
                          "parameters.");
    }
    TRY(logs_batch_flush(op, logs));
    struct store_range range = {.prefix = in->log_group_name_prefix};
    struct store_items rows = {0};
    TRY(store_list(op, logs->config.store, &logs_groups, &range, &rows));
    struct store_items wanted = {0};
    for (size_t i = 0; i < rows.count; i++) {
        if (!is_wanted(in, &rows.items[i])) {
            continue;
        }
        *ARENA_PUSH(&op->arena, &wanted) = rows.items[i];
    }
    struct str *keys = ARENA_ARRAY(&op->arena, struct str, wanted.count + 1);
    for (size_t i = 0; i < wanted.count; i++) {
        keys[i] = wanted.items[i].key;
    }
    size_t from = 0;
    size_t to = 0;
    struct page_ask ask = {.token = in->next_token, .max_results = in->limit};
    TRY(page_cut(op, &group_pages, ask, keys, wanted.count, &from, &to, &ret->next_token));
    ret->log_groups.is_set = true;
    for (size_t i = from; i < to; i++) {
        struct logs_log_group *group = ARENA_PUSH(&op->arena, &ret->log_groups);
        TRY(show_group(op, logs, &wanted.items[i], group));
    }
    return ERR_OK;
}

/* ---- retention ------------------------------------------------------------------------------- */

static const int32_t retention_days[] = {1,    3,    5,    7,    14,   30,  60,  90,
                                         120,  150,  180,  365,  400,  545, 731, 1096,
                                         1827, 2192, 2557, 2922, 3288, 3653};

LOGS_OPERATION(put_retention_policy)
{
    (void)ret;
    bool is_known = false;
    for (size_t i = 0; i < ARRAY_COUNT(retention_days); i++) {
        is_known = is_known || in->retention_in_days.value == retention_days[i];
    }
    if (!is_known) {
        return op_fail_as(
            op, ERR_INPUT, &logs_error_invalid_parameter_exception,
            "1 validation error detected: Value '%d' at 'retentionInDays' failed to "
            "satisfy constraint: Member must satisfy enum value set: [1, 3, 5, 7, 14, "
            "30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, "
            "2922, 3288, 3653]",
            in->retention_in_days.value);
    }
    struct engine_logs_group row = {0};
    TRY(logs_group_get(op, logs, in->log_group_name, &row));
    row.retention_days = in->retention_in_days;
    return group_put(op, logs, in->log_group_name, &row);
}

LOGS_OPERATION(delete_retention_policy)
{
    (void)ret;
    struct engine_logs_group row = {0};
    TRY(logs_group_get(op, logs, in->log_group_name, &row));
    row.retention_days = (struct opt_i32){0};
    return group_put(op, logs, in->log_group_name, &row);
}

/* ---- tags ------------------------------------------------------------------------------------ */

static enum err add_tags(struct op *op, struct logs *logs, struct str group, const struct tags *add)
{
    struct engine_logs_group row = {0};
    struct tags merged = {0};
    TRY(logs_group_get(op, logs, group, &row));
    TRY(tags_check(op, &tag_errors, add));
    struct tags have = TAGS_FROM(&op->arena, row.tags);
    TRY(tags_merge(op, &tag_errors, &have, add, &merged));
    TAGS_INTO(&op->arena, merged, &row.tags);
    return group_put(op, logs, group, &row);
}

static enum err drop_tags(struct op *op, struct logs *logs, struct str group,
                          const struct str *keys, size_t count)
{
    struct engine_logs_group row = {0};
    TRY(logs_group_get(op, logs, group, &row));
    struct tags have = TAGS_FROM(&op->arena, row.tags);
    struct tags left = tags_without(&op->arena, &have, keys, count);
    TAGS_INTO(&op->arena, left, &row.tags);
    return group_put(op, logs, group, &row);
}

static enum err list_tags(struct op *op, struct logs *logs, struct str group, struct logs_tags *ret)
{
    struct engine_logs_group row = {0};
    TRY(logs_group_get(op, logs, group, &row));
    struct tags have = TAGS_FROM(&op->arena, row.tags);
    TAGS_INTO(&op->arena, have, ret);
    return ERR_OK;
}

static enum err group_of_arn(struct op *op, struct str arn, struct str *ret_group)
{
    return name_of_arn(arn, ret_group) ? ERR_OK : no_group(op);
}

LOGS_OPERATION(tag_resource)
{
    (void)ret;
    struct str group = STR_NONE;
    TRY(group_of_arn(op, in->resource_arn, &group));
    struct tags add = TAGS_FROM(&op->arena, in->tags);
    return add_tags(op, logs, group, &add);
}

LOGS_OPERATION(untag_resource)
{
    (void)ret;
    struct str group = STR_NONE;
    TRY(group_of_arn(op, in->resource_arn, &group));
    return drop_tags(op, logs, group, in->tag_keys.items, in->tag_keys.count);
}

LOGS_OPERATION(list_tags_for_resource)
{
    struct str group = STR_NONE;
    TRY(group_of_arn(op, in->resource_arn, &group));
    return list_tags(op, logs, group, &ret->tags);
}

LOGS_OPERATION(tag_log_group)
{
    (void)ret;
    struct tags add = TAGS_FROM(&op->arena, in->tags);
    return add_tags(op, logs, in->log_group_name, &add);
}

LOGS_OPERATION(untag_log_group)
{
    (void)ret;
    return drop_tags(op, logs, in->log_group_name, in->tags.items, in->tags.count);
}

LOGS_OPERATION(list_tags_log_group)
{
    return list_tags(op, logs, in->log_group_name, &ret->tags);
}
