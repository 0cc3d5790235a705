/* Dashboards: kept as they are sent; what would not show is told as validation messages. */

#include "base/check.h"
#include "base/cleanup.h"
#include "codec/json.h"
#include "gen/engine.h"
#include "store/store.h"
#include "svc/cloudwatch/handlers.h"
#include "svc/common/arn.h"
#include "svc/common/ids.h"
#include "svc/common/page.h"

#define NAME_CHARS_MAX 255
#define BODY_BYTES_MAX (900u << 10) /* ours; fits a row of the store */
#define WIDGETS_MAX    500

static const struct store_kind dashboards = {"cloudwatch.dashboard",
                                             &shape_engine_cloudwatch_dashboard};

static struct str dashboard_arn(struct op *op, struct str name)
{
    return arn_make_global(op, STR("cloudwatch"),
                           arena_printf(&op->arena, "dashboard/%.*s", STR_ARG(name)));
}

bool cw_dashboard_exists(struct op *op, struct store *st, struct str name)
{
    return store_has(op, st, &dashboards, name);
}

enum err cw_dashboards_reset(struct op *op, struct store *st)
{
    return store_remove_all(op, st, &dashboards, &(struct store_range){.is_every_region = true});
}

static enum err invalid_body(struct op *op, struct str why)
{
    return op_fail_as(op, ERR_INPUT, &cloudwatch_error_dashboard_invalid_input_error, "%.*s",
                      STR_ARG(why));
}

/* ---- checking a body ------------------------------------------------------------------------- */

static void complain(struct op *op, struct cloudwatch_put_dashboard_out *ret, struct str path,
                     struct str message)
{
    struct cloudwatch_dashboard_validation_message *m =
        ARENA_PUSH(&op->arena, &ret->dashboard_validation_messages);
    m->data_path = path;
    m->message = message;
}

static const char *const widget_types[] = {"metric", "text", "log", "alarm", "explorer", "custom"};

/* The members of a widget that are checked. */
struct widget {
    struct str type;
    bool has_properties;
    bool has_region;
};

static void read_properties(struct json_reader *r, struct widget *w)
{
    struct str key = STR_NONE;
    if (json_peek(r) != JSON_OBJECT) {
        json_skip(r);
        return;
    }
    w->has_properties = true;
    json_enter_object(r);
    while (json_next_key(r, &key)) {
        w->has_region = w->has_region || STR_IS(key, "region");
        json_skip(r);
    }
}

static void check_widget(struct op *op, struct json_reader *r, size_t index,
                         struct cloudwatch_put_dashboard_out *ret)
{
    struct widget w = {0};
    struct str key = STR_NONE;
    struct str path = arena_printf(&op->arena, "/widgets/%zu", index);
    if (json_peek(r) != JSON_OBJECT) {
        json_skip(r);
        complain(op, ret, path, STR("Should be object"));
        return;
    }
    json_enter_object(r);
    while (json_next_key(r, &key)) {
        if (STR_IS(key, "type") && json_peek(r) == JSON_STRING) {
            json_read_string(r, &w.type);
        } else if (STR_IS(key, "properties")) {
            read_properties(r, &w);
        } else {
            json_skip(r);
        }
    }
    bool is_known = false;
    for (size_t i = 0; i < ARRAY_COUNT(widget_types); i++) {
        is_known = is_known || str_equal(w.type, str_of(widget_types[i]));
    }
    if (!str_is_set(w.type)) {
        complain(op, ret, path, STR("Should have property type"));
    } else if (!is_known) {
        complain(op, ret, arena_printf(&op->arena, "%.*s/type", STR_ARG(path)),
                 STR("Should match exactly one schema in oneOf"));
    }
    if (!w.has_properties) {
        complain(op, ret, path, STR("Should have property properties"));
    } else if (STR_IS(w.type, "metric") && !w.has_region) {
        complain(op, ret, arena_printf(&op->arena, "%.*s/properties", STR_ARG(path)),
                 STR("Should have property region"));
    }
}

static enum err check_body(struct op *op, struct str body, struct cloudwatch_put_dashboard_out *ret)
{
    struct json_reader r = {0};
    json_reader_init(&r, &op->arena, body);
    struct str key = STR_NONE;
    size_t count = 0;
    bool has_widgets = false;
    if (json_peek(&r) != JSON_OBJECT) {
        return invalid_body(op, STR("The field DashboardBody must be a valid JSON object"));
    }
    json_enter_object(&r);
    while (json_next_key(&r, &key)) {
        if (!STR_IS(key, "widgets") || json_peek(&r) != JSON_ARRAY) {
            json_skip(&r);
            continue;
        }
        has_widgets = true;
        json_enter_array(&r);
        while (json_next_item(&r)) {
            check_widget(op, &r, count++, ret);
        }
    }
    if (json_finish(&r, op) != ERR_OK) {
        struct str why = arena_printf(&op->arena,
                                      "The field DashboardBody must be a valid JSON "
                                      "object: %s",
                                      op->note.text);
        op_note_clear(op);
        return invalid_body(op, why);
    }
    if (count > WIDGETS_MAX) {
        return invalid_body(op, STR("A dashboard must not have more than 500 widgets"));
    }
    if (!has_widgets) {
        complain(op, ret, STR("/"), STR("Should have property widgets"));
    }
    return ERR_OK;
}

/* ---- operations ------------------------------------------------------------------------------ */

enum err cw_op_put_dashboard(struct op *op, struct cloudwatch *cw,
                             const struct cloudwatch_put_dashboard_in *in,
                             struct cloudwatch_put_dashboard_out *ret)
{
    if (!name_is(in->dashboard_name, 1, NAME_CHARS_MAX, STR("-_"))) {
        return invalid_body(op,
                            arena_printf(&op->arena,
                                         "The value %.*s for field DashboardName contains "
                                         "invalid characters. It can only contain alphanumerics, "
                                         "dash (-) and underscore (_).",
                                         STR_ARG(str_slice(in->dashboard_name, 0, 300))));
    }
    if (in->dashboard_body.len > BODY_BYTES_MAX) {
        return invalid_body(op, STR("The field DashboardBody is too long"));
    }
    TRY(check_body(op, in->dashboard_body, ret));
    ret->dashboard_validation_messages.is_set = true;
    struct engine_cloudwatch_dashboard row = {.body = in->dashboard_body,
                                              .modified_at = OPT_TIME(op->now)};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, cw->config.store, &tx));
    bool is_new = !cw_dashboard_exists(op, cw->config.store, in->dashboard_name);
    TRY(store_put(op, cw->config.store, &dashboards, in->dashboard_name, STR(""), &row));
    if (is_new) {
        TRY(cw_tags_put_new(op, cw->config.store, dashboard_arn(op, in->dashboard_name),
                            &in->tags));
    }
    return store_tx_commit(op, &tx);
}

static enum err not_found(struct op *op, struct str name)
{
    return op_fail_as(op, ERR_NOT_FOUND, &cloudwatch_error_dashboard_not_found_error,
                      "Dashboard %.*s does not exist", STR_ARG(name));
}

enum err cw_op_get_dashboard(struct op *op, struct cloudwatch *cw,
                             const struct cloudwatch_get_dashboard_in *in,
                             struct cloudwatch_get_dashboard_out *ret)
{
    struct engine_cloudwatch_dashboard row = {0};
    enum err e = store_get(op, cw->config.store, &dashboards, in->dashboard_name, &row);
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        return not_found(op, in->dashboard_name);
    }
    TRY(e);
    ret->dashboard_arn = dashboard_arn(op, in->dashboard_name);
    ret->dashboard_body = row.body;
    ret->dashboard_name = in->dashboard_name;
    return ERR_OK;
}

static const struct page_rules dashboard_pages = {
    .list_name = "cloudwatch.dashboards",
    .default_count = 1000,
    .max_count = 1000,
    .bad_token = &cloudwatch_error_invalid_parameter_value_exception,
    .bad_token_text = "The value for field NextToken is invalid",
};

enum err cw_op_list_dashboards(struct op *op, struct cloudwatch *cw,
                               const struct cloudwatch_list_dashboards_in *in,
                               struct cloudwatch_list_dashboards_out *ret)
{
    struct store_range range = {.prefix = in->dashboard_name_prefix};
    struct store_items rows = {0};
    TRY(page_list(op, cw->config.store, &dashboards, &range, &dashboard_pages,
                  (struct page_ask){.token = in->next_token}, &rows, &ret->next_token));
    ret->dashboard_entries.is_set = true;
    for (size_t i = 0; i < rows.count; i++) {
        const struct engine_cloudwatch_dashboard *row = rows.items[i].value;
        struct cloudwatch_dashboard_entry *entry = ARENA_PUSH(&op->arena, &ret->dashboard_entries);
        entry->dashboard_name = rows.items[i].key;
        entry->dashboard_arn = dashboard_arn(op, rows.items[i].key);
        entry->last_modified = row->modified_at;
        entry->size = OPT_I64((int64_t)row->body.len);
    }
    return ERR_OK;
}

/* All or none: one name that is not there, and nothing is deleted. */
enum err cw_op_delete_dashboards(struct op *op, struct cloudwatch *cw,
                                 const struct cloudwatch_delete_dashboards_in *in,
                                 struct cloudwatch_delete_dashboards_out *ret)
{
    (void)ret;
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, cw->config.store, &tx));
    for (size_t i = 0; i < in->dashboard_names.count; i++) {
        struct str name = in->dashboard_names.items[i];
        if (!cw_dashboard_exists(op, cw->config.store, name)) {
            return not_found(op, name);
        }
        TRY(store_remove(op, cw->config.store, &dashboards, name));
        TRY(cw_tags_forget(op, cw->config.store, dashboard_arn(op, name)));
    }
    return store_tx_commit(op, &tx);
}
