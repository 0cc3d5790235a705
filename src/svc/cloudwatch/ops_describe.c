/* DescribeAlarms, DescribeAlarmsForMetric, DescribeAlarmHistory. */

#include "base/check.h"
#include "svc/cloudwatch/errors.h"
#include "svc/cloudwatch/handlers.h"
#include "svc/cloudwatch/history.h"
#include "svc/common/page.h"

#include <stdlib.h>

static const struct page_rules alarm_pages = {
    .list_name = "cloudwatch.alarms",
    .default_count = 50,
    .max_count = 100,
    .bad_token = &cloudwatch_error_invalid_next_token,
    .bad_token_text = "Invalid NextToken",
};

struct found {
    struct cw_alarm **items;
    size_t count;
};

/* Metric alarms first, then composites, each by name. */
static struct str sort_key(struct arena *a, const struct cw_alarm *alarm)
{
    return arena_printf(a, "%c/%.*s", alarm->metric != NULL ? '1' : '2', STR_ARG(alarm->name));
}

static int compare_alarms(const void *left, const void *right)
{
    const struct cw_alarm *a = *(struct cw_alarm *const *)left;
    const struct cw_alarm *b = *(struct cw_alarm *const *)right;
    if ((a->metric != NULL) != (b->metric != NULL)) {
        return a->metric != NULL ? -1 : 1;
    }
    return str_compare(a->name, b->name);
}

/* ---- filters --------------------------------------------------------------------------------- */

static bool has_type(const struct cloudwatch_alarm_types *types, enum cloudwatch_alarm_type type,
                     bool by_default)
{
    for (size_t i = 0; i < types->count; i++) {
        if (types->items[i] == type) {
            return true;
        }
    }
    return types->count == 0 && by_default;
}

static bool has_name(const struct cloudwatch_alarm_names *names, struct str name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (str_equal(names->items[i], name)) {
            return true;
        }
    }
    return names->count == 0;
}

static bool has_action(const struct cw_alarm *alarm, struct str prefix)
{
    for (enum cloudwatch_state_value s = CLOUDWATCH_STATE_VALUE_OK;
         s <= CLOUDWATCH_STATE_VALUE_INSUFFICIENT_DATA; s++) {
        const struct cloudwatch_resource_list *actions = cw_alarm_actions(alarm, s);
        for (size_t i = 0; i < actions->count; i++) {
            if (str_starts_with(actions->items[i], prefix)) {
                return true;
            }
        }
    }
    return !str_is_set(prefix);
}

static bool is_wanted(const struct cloudwatch_describe_alarms_in *in, const struct cw_alarm *alarm)
{
    enum cloudwatch_alarm_type type = alarm->metric != NULL ? CLOUDWATCH_ALARM_TYPE_METRICALARM
                                                            : CLOUDWATCH_ALARM_TYPE_COMPOSITEALARM;
    return has_type(&in->alarm_types, type, alarm->metric != NULL) &&
           has_name(&in->alarm_names, alarm->name) &&
           str_starts_with(alarm->name, in->alarm_name_prefix) &&
           (in->state_value == CLOUDWATCH_STATE_VALUE_UNSET ||
            in->state_value == cw_alarm_view(alarm).state) &&
           has_action(alarm, in->action_prefix);
}

static bool is_child(const struct cw_alarm *parent, struct str name)
{
    for (size_t i = 0; parent->composite != NULL && i < parent->rule.count; i++) {
        if (parent->rule.items[i].kind == CW_RULE_STATE &&
            str_equal(parent->rule.items[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* ---- DescribeAlarms -------------------------------------------------------------------------- */

static enum err check_family(struct op *op, const struct cloudwatch_describe_alarms_in *in)
{
    bool has_others =
        in->alarm_names.count > 0 || str_is_set(in->alarm_name_prefix) ||
        in->state_value != CLOUDWATCH_STATE_VALUE_UNSET || str_is_set(in->action_prefix) ||
        (str_is_set(in->children_of_alarm_name) && str_is_set(in->parents_of_alarm_name));
    if (has_others) {
        return CW_INVALID(op,
                          "ChildrenOfAlarmName and ParentsOfAlarmName can not be specified with "
                          "other parameters than AlarmTypes, MaxRecords and NextToken");
    }
    return ERR_OK;
}

static enum err gather(struct op *op, const struct cloudwatch *cw,
                       const struct cloudwatch_describe_alarms_in *in, struct found *ret)
{
    bool wants_children = str_is_set(in->children_of_alarm_name);
    bool wants_parents = str_is_set(in->parents_of_alarm_name);
    const struct cw_alarm *parent = NULL;
    if (wants_children || wants_parents) {
        TRY(check_family(op, in));
    }
    if (wants_children) {
        parent = cw_alarms_find(op, &cw->alarms, op->region,
                                cw_alarm_name_of(in->children_of_alarm_name));
    }
    struct str child = cw_alarm_name_of(in->parents_of_alarm_name);
    size_t at = 0;
    for (struct cw_alarm *a = cw_alarms_next(&cw->alarms, &at); a != NULL;
         a = cw_alarms_next(&cw->alarms, &at)) {
        bool is_shown = wants_children  ? parent != NULL && is_child(parent, a->name)
                        : wants_parents ? is_child(a, child)
                                        : is_wanted(in, a);
        if (!is_shown || !str_equal(a->region, op->region)) {
            continue;
        }
        // NOLINTNEXTLINE(bugprone-sizeof-expression): items are pointers
        *ARENA_PUSH(&op->arena, ret) = a;
    }
    return ERR_OK;
}

/* What is shown of children and parents. */
static void show_family(const struct cw_alarm *alarm, bool is_child_of,
                        struct cloudwatch_describe_alarms_out *ret)
{
    struct cw_alarm_view v = cw_alarm_view(alarm);
    if (alarm->metric != NULL) {
        struct cloudwatch_metric_alarm *m = &ret->metric_alarms.items[ret->metric_alarms.count++];
        m->alarm_name = alarm->name;
        m->alarm_arn = v.arn;
        m->state_value = is_child_of ? v.state : CLOUDWATCH_STATE_VALUE_UNSET;
        m->state_updated_timestamp = alarm->metric->state_updated_timestamp;
        m->state_updated_timestamp.is_set = is_child_of;
        return;
    }
    struct cloudwatch_composite_alarm *c =
        &ret->composite_alarms.items[ret->composite_alarms.count++];
    c->alarm_name = alarm->name;
    c->alarm_arn = v.arn;
    c->state_value = is_child_of ? v.state : CLOUDWATCH_STATE_VALUE_UNSET;
    c->state_updated_timestamp = alarm->composite->state_updated_timestamp;
    c->state_updated_timestamp.is_set = is_child_of;
}

static void show_whole(struct op *op, const struct cw_alarm *alarm,
                       struct cloudwatch_describe_alarms_out *ret)
{
    if (alarm->metric != NULL) {
        shape_copy(&op->arena, &shape_cloudwatch_metric_alarm, alarm->metric,
                   &ret->metric_alarms.items[ret->metric_alarms.count++]);
    } else {
        shape_copy(&op->arena, &shape_cloudwatch_composite_alarm, alarm->composite,
                   &ret->composite_alarms.items[ret->composite_alarms.count++]);
    }
}

enum err cw_op_describe_alarms(struct op *op, struct cloudwatch *cw,
                               const struct cloudwatch_describe_alarms_in *in,
                               struct cloudwatch_describe_alarms_out *ret)
{
    if (in->alarm_names.count > 0 && str_is_set(in->alarm_name_prefix)) {
        return op_fail_as(
            op, ERR_INPUT, &cloudwatch_error_invalid_parameter_combination_exception,
            "The parameters AlarmNames and AlarmNamePrefix are mutually exclusive and "
            "you have specified both.");
    }
    struct found found = {0};
    TRY(gather(op, cw, in, &found));
    if (found.count > 0) {
        qsort(found.items, found.count, sizeof(struct cw_alarm *), compare_alarms);
    }
    struct str *keys = ARENA_ARRAY(&op->arena, struct str, found.count + 1);
    for (size_t i = 0; i < found.count; i++) {
        keys[i] = sort_key(&op->arena, found.items[i]);
    }
    size_t from = 0;
    size_t to = 0;
    struct page_ask ask = {.token = in->next_token, .max_results = in->max_records};
    TRY(page_cut(op, &alarm_pages, ask, keys, found.count, &from, &to, &ret->next_token));
    ret->metric_alarms.items =
        ARENA_ARRAY(&op->arena, struct cloudwatch_metric_alarm, to - from + 1);
    ret->composite_alarms.items =
        ARENA_ARRAY(&op->arena, struct cloudwatch_composite_alarm, to - from + 1);
    ret->metric_alarms.is_set = true;
    ret->composite_alarms.is_set = true;
    bool is_child_of = str_is_set(in->children_of_alarm_name);
    bool is_family = is_child_of || str_is_set(in->parents_of_alarm_name);
    for (size_t i = from; i < to; i++) {
        if (is_family) {
            show_family(found.items[i], is_child_of, ret);
        } else {
            show_whole(op, found.items[i], ret);
        }
    }
    return ERR_OK;
}

/* ---- DescribeAlarmsForMetric ----------------------------------------------------------------- */

static bool has_same_dimensions(const struct cloudwatch_dimensions *a,
                                const struct cloudwatch_dimensions *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        bool is_found = false;
        for (size_t j = 0; j < b->count; j++) {
            is_found = is_found || (str_equal(a->items[i].name, b->items[j].name) &&
                                    str_equal(a->items[i].value, b->items[j].value));
        }
        if (!is_found) {
            return false;
        }
    }
    return true;
}

static bool is_for_metric(const struct cloudwatch_describe_alarms_for_metric_in *in,
                          const struct cloudwatch_metric_alarm *m)
{
    return str_equal(m->metric_name, in->metric_name) && str_equal(m->namespace, in->namespace) &&
           has_same_dimensions(&m->dimensions, &in->dimensions) &&
           (in->statistic == CLOUDWATCH_STATISTIC_UNSET || in->statistic == m->statistic) &&
           (!str_is_set(in->extended_statistic) ||
            str_equal(in->extended_statistic, m->extended_statistic)) &&
           (!in->period.is_set || in->period.value == OPT_OR(m->period, 0)) &&
           (in->unit == CLOUDWATCH_STANDARD_UNIT_UNSET || in->unit == m->unit);
}

enum err cw_op_describe_alarms_for_metric(struct op *op, struct cloudwatch *cw,
                                          const struct cloudwatch_describe_alarms_for_metric_in *in,
                                          struct cloudwatch_describe_alarms_for_metric_out *ret)
{
    struct found found = {0};
    size_t at = 0;
    for (struct cw_alarm *a = cw_alarms_next(&cw->alarms, &at); a != NULL;
         a = cw_alarms_next(&cw->alarms, &at)) {
        if (a->metric == NULL || !str_equal(a->region, op->region) ||
            !is_for_metric(in, a->metric)) {
            continue;
        }
        // NOLINTNEXTLINE(bugprone-sizeof-expression): items are pointers
        *ARENA_PUSH(&op->arena, &found) = a;
    }
    if (found.count > 0) {
        qsort(found.items, found.count, sizeof(struct cw_alarm *), compare_alarms);
    }
    ret->metric_alarms.is_set = true;
    for (size_t i = 0; i < found.count; i++) {
        shape_copy(&op->arena, &shape_cloudwatch_metric_alarm, found.items[i]->metric,
                   ARENA_PUSH(&op->arena, &ret->metric_alarms));
    }
    return ERR_OK;
}

/* ---- DescribeAlarmHistory -------------------------------------------------------------------- */

/* "id:time" of the last item shown */
static enum err read_history_token(struct op *op, struct str token, struct cw_history_query *query)
{
    if (token.len == 0) {
        return ERR_OK;
    }
    struct str text = STR_NONE;
    struct str id = STR_NONE;
    struct str at = STR_NONE;
    if (token.len > 256 || !page_decode(&op->arena, token, &text) ||
        !str_cut(text, ':', &id, &at) || !str_parse_i64(id, 1, INT64_MAX, &query->after_id) ||
        !str_parse_i64(at, 0, INT64_MAX, &query->after_us)) {
        return op_fail_as(op, ERR_INPUT, &cloudwatch_error_invalid_next_token, "Invalid NextToken");
    }
    return ERR_OK;
}

enum err cw_op_describe_alarm_history(struct op *op, struct cloudwatch *cw,
                                      const struct cloudwatch_describe_alarm_history_in *in,
                                      struct cloudwatch_describe_alarm_history_out *ret)
{
    struct cw_history_query query = {
        .alarm_name = in->alarm_name,
        .wants_metric = has_type(&in->alarm_types, CLOUDWATCH_ALARM_TYPE_METRICALARM, true),
        .wants_composite = has_type(&in->alarm_types, CLOUDWATCH_ALARM_TYPE_COMPOSITEALARM, false),
        .type = in->history_item_type,
        .from_us = in->start_date.is_set ? in->start_date.value.us : 0,
        .to_us = in->end_date.is_set ? in->end_date.value.us : INT64_MAX,
        .is_ascending = in->scan_by == CLOUDWATCH_SCAN_BY_TIMESTAMPASCENDING,
        .limit = (size_t)OPT_OR(in->max_records, 100),
    };
    TRY(read_history_token(op, in->next_token, &query));
    struct cw_history_page page = {0};
    TRY(cw_history_list(op, cw->config.store, &query, &page));
    ret->alarm_history_items = (struct cloudwatch_alarm_history_items){
        .items = page.items, .count = page.count, .is_set = true};
    if (page.has_more) {
        ret->next_token =
            page_encode(&op->arena, arena_printf(&op->arena, "%lld:%lld", (long long)page.last_id,
                                                 (long long)page.last_us));
    }
    return ERR_OK;
}
