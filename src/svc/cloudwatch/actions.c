#include "svc/cloudwatch/actions.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "codec/json.h"
#include "store/store.h"
#include "svc/cloudwatch/history.h"

#define MESSAGE_BYTES_MAX (256u << 10) /* what SNS carries at most */

/* ---- JSON ------------------------------------------------------------------------------------ */

struct str cw_json_string(struct arena *a, struct str text)
{
    auto_buf struct buf b = {0};
    buf_init(&b, text.len * 6 + 2);
    struct json_writer w = {0};
    json_writer_init(&w, &b);
    json_add_string(&w, text);
    CHECK(!b.is_overflown);
    return arena_str(a, buf_str(&b));
}

bool cw_json_is_valid(struct arena *a, struct str text)
{
    auto_op struct op op = {0};
    op_init(&op);
    struct json_reader r = {0};
    json_reader_init(&r, a, text);
    json_skip(&r);
    return json_finish(&r, &op) == ERR_OK;
}

static void add_text(struct json_writer *w, const char *key, struct str text)
{
    json_key(w, str_of(key));
    if (str_is_set(text)) {
        json_add_string(w, text);
    } else {
        json_add_null(w);
    }
}

static void add_list(struct json_writer *w, const char *key,
                     const struct cloudwatch_resource_list *list)
{
    json_key(w, str_of(key));
    json_begin_array(w);
    for (size_t i = 0; i < list->count; i++) {
        json_add_string(w, list->items[i]);
    }
    json_end_array(w);
}

/* ---- the message ----------------------------------------------------------------------------- */

static void add_dimensions(struct json_writer *w, const struct cloudwatch_dimensions *dimensions)
{
    json_key(w, STR("Dimensions"));
    json_begin_array(w);
    for (size_t i = 0; i < dimensions->count; i++) {
        json_begin_object(w);
        add_text(w, "value", dimensions->items[i].value);
        add_text(w, "name", dimensions->items[i].name);
        json_end_object(w);
    }
    json_end_array(w);
}

static struct str upper(struct arena *a, struct str text)
{
    char *copy = arena_alloc(a, text.len + 1);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        copy[i] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    return str_make(copy, text.len);
}

static void add_metric_of_trigger(struct json_writer *w, struct arena *a,
                                  const struct cw_alarm *alarm)
{
    const struct cloudwatch_metric_alarm *m = alarm->metric;
    add_text(w, "MetricName", m->metric_name);
    add_text(w, "Namespace", m->namespace);
    bool is_extended = str_is_set(m->extended_statistic);
    add_text(w, "StatisticType", is_extended ? STR("ExtendedStatistic") : STR("Statistic"));
    struct str statistic = str_of(shape_enum_name(&shape_cloudwatch_statistic, (int)m->statistic));
    add_text(w, is_extended ? "ExtendedStatistic" : "Statistic",
             is_extended ? m->extended_statistic : upper(a, statistic));
    add_text(w, "Unit", str_of(shape_enum_name(&shape_cloudwatch_standard_unit, (int)m->unit)));
    add_dimensions(w, &m->dimensions);
}

static void add_trigger(struct json_writer *w, struct arena *a, const struct cw_alarm *alarm)
{
    const struct cloudwatch_metric_alarm *m = alarm->metric;
    json_key(w, STR("Trigger"));
    json_begin_object(w);
    if (alarm->plan.count == 0) {
        add_metric_of_trigger(w, a, alarm);
    }
    json_key(w, STR("Period"));
    json_add_i64(w, alarm->period);
    json_key(w, STR("EvaluationPeriods"));
    json_add_i64(w, alarm->decision.evaluation_periods);
    if (alarm->decision.is_m_of_n) {
        json_key(w, STR("DatapointsToAlarm"));
        json_add_i64(w, alarm->decision.datapoints_to_alarm);
    }
    add_text(w, "ComparisonOperator",
             str_of(shape_enum_name(&shape_cloudwatch_comparison_operator,
                                    (int)m->comparison_operator)));
    json_key(w, STR("Threshold"));
    json_add_f64(w, alarm->decision.threshold);
    add_text(w, "TreatMissingData",
             str_is_set(m->treat_missing_data) ? m->treat_missing_data : STR("missing"));
    add_text(w, "EvaluateLowSampleCountPercentile",
             str_is_set(m->evaluate_low_sample_count_percentile)
                 ? m->evaluate_low_sample_count_percentile
                 : STR(""));
    json_end_object(w);
}

static wall_t configured_at(const struct cw_alarm *alarm)
{
    return alarm->metric != NULL ? alarm->metric->alarm_configuration_updated_timestamp.value
                                 : alarm->composite->alarm_configuration_updated_timestamp.value;
}

static struct str make_message(struct op *op, const struct cw_alarm *alarm,
                               enum cloudwatch_state_value old_state)
{
    auto_buf struct buf b = {0};
    buf_init(&b, MESSAGE_BYTES_MAX);
    struct arena *a = &op->arena;
    struct cw_alarm_view v = cw_alarm_view(alarm);
    struct json_writer w = {0};
    json_writer_init(&w, &b);
    json_begin_object(&w);
    add_text(&w, "AlarmName", alarm->name);
    add_text(&w, "AlarmDescription", v.description);
    add_text(&w, "AWSAccountId", op->account);
    add_text(&w, "AlarmConfigurationUpdatedTimestamp", cw_alarm_time(a, configured_at(alarm)));
    if (alarm->composite != NULL) {
        add_text(&w, "AlarmRule", alarm->composite->alarm_rule);
    }
    add_text(&w, "NewStateValue", cw_state_name(v.state));
    add_text(&w, "NewStateReason", v.reason);
    if (alarm->composite != NULL) {
        add_text(&w, "NewStateReasonData", v.reason_data);
    }
    add_text(&w, "StateChangeTime", cw_alarm_time(a, v.state_updated_at));
    add_text(&w, "Region", alarm->region);
    add_text(&w, "AlarmArn", v.arn);
    add_text(&w, "OldStateValue", cw_state_name(old_state));
    add_list(&w, "OKActions", cw_alarm_actions(alarm, CLOUDWATCH_STATE_VALUE_OK));
    add_list(&w, "AlarmActions", cw_alarm_actions(alarm, CLOUDWATCH_STATE_VALUE_ALARM));
    add_list(&w, "InsufficientDataActions",
             cw_alarm_actions(alarm, CLOUDWATCH_STATE_VALUE_INSUFFICIENT_DATA));
    if (alarm->metric != NULL) {
        add_trigger(&w, a, alarm);
    }
    json_end_object(&w);
    CHECK(!b.is_overflown);
    return arena_str(a, buf_str(&b));
}

/* ---- delivery -------------------------------------------------------------------------------- */

static enum err deliver(struct op *op, struct cloudwatch *cw, struct str action, struct str subject,
                        struct str message)
{
    const struct cloudwatch_actions *actions = cw->config.actions;
    if (actions == NULL) {
        return op_fail(op, ERR_UNSUPPORTED, "Nothing on this endpoint delivers to this resource");
    }
    return actions->run(actions->self, op, action, subject, message);
}

static void run_one(struct op *op, struct cloudwatch *cw, const struct cw_alarm *alarm,
                    struct str action, struct str subject, struct str message)
{
    struct arena *a = &op->arena;
    bool is_done = deliver(op, cw, action, subject, message) == ERR_OK;
    struct str error = is_done ? STR("") : arena_str(a, str_of(op->note.text));
    op_note_clear(op);
    struct str summary =
        is_done ? arena_printf(a, "Successfully executed action %.*s", STR_ARG(action))
                : arena_printf(a, "Failed to execute action %.*s. Received error: \"%.*s\"",
                               STR_ARG(action), STR_ARG(error));
    struct cw_alarm_view v = cw_alarm_view(alarm);
    struct str data = arena_printf(
        a,
        "{\"actionState\":\"%s\",\"stateUpdateTimestamp\":%lld,\"notificationResource\":%.*s,"
        "\"error\":%.*s}",
        is_done ? "Succeeded" : "Failed", (long long)(v.state_updated_at.us / 1000),
        STR_ARG(cw_json_string(a, action)),
        STR_ARG(is_done ? STR("null") : cw_json_string(a, error)));
    enum err e = cw_history_add(op, cw->config.store, alarm->name, alarm->composite != NULL,
                                CLOUDWATCH_HISTORY_ITEM_TYPE_ACTION, summary, data);
    if (e != ERR_OK) {
        log_warn("cloudwatch", "alarm=%.*s: what became of an action was not kept: %s",
                 STR_ARG(alarm->name), op->note.text);
        op_note_clear(op);
    }
}

static void run_all(struct op *op, struct cloudwatch *cw, const struct cw_alarm *alarm,
                    enum cloudwatch_state_value old_state)
{
    struct cw_alarm_view v = cw_alarm_view(alarm);
    if (!v.has_actions_enabled || v.actions->count == 0) {
        return;
    }
    struct str region = op->region;
    op->region = alarm->region;
    struct str message = make_message(op, alarm, old_state);
    struct str subject =
        arena_printf(&op->arena, "%.*s: \"%.*s\" in %.*s", STR_ARG(cw_state_name(v.state)),
                     STR_ARG(alarm->name), STR_ARG(alarm->region));
    for (size_t i = 0; i < v.actions->count; i++) {
        run_one(op, cw, alarm, v.actions->items[i], subject, message);
    }
    op->region = region;
}

/* ---- suppression ----------------------------------------------------------------------------- */

/* Marks (or clears) what holds the alarm's actions back. */
static void mark_suppressed(struct op *op, struct cloudwatch *cw, const struct cw_alarm *alarm,
                            enum cloudwatch_actions_suppressed_by by)
{
    static const char *const reasons[] = {
        [CLOUDWATCH_ACTIONS_SUPPRESSED_BY_WAITPERIOD] = "waits for its actions suppressor",
        [CLOUDWATCH_ACTIONS_SUPPRESSED_BY_EXTENSIONPERIOD] =
            "left ALARM, the extension period runs",
        [CLOUDWATCH_ACTIONS_SUPPRESSED_BY_ALARM] = "is in ALARM",
    };
    struct cw_alarm *changed = NULL;
    struct cloudwatch_composite_alarm row = *alarm->composite;
    row.actions_suppressed_by = by;
    row.actions_suppressed_reason =
        by == CLOUDWATCH_ACTIONS_SUPPRESSED_BY_UNSET
            ? STR_NONE
            : arena_printf(&op->arena, "%.*s %s", STR_ARG(row.actions_suppressor), reasons[by]);
    enum err e = cw_alarm_make(op, alarm->region, NULL, &row, &changed);
    if (e == ERR_OK) {
        e = cw_alarms_save(op, &cw->alarms, changed);
    }
    if (e != ERR_OK) {
        cw_alarm_free(changed);
        log_warn("cloudwatch", "alarm=%.*s: the suppression of its actions was not kept: %s",
                 STR_ARG(alarm->name), op->note.text);
        op_note_clear(op);
        return;
    }
    cw_alarms_replace(op, &cw->alarms, changed);
}

static const struct cw_alarm *suppressor_of(struct op *op, const struct cloudwatch *cw,
                                            const struct cw_alarm *alarm)
{
    if (alarm->composite == NULL || !str_is_set(alarm->composite->actions_suppressor)) {
        return NULL;
    }
    return cw_alarms_find(op, &cw->alarms, alarm->region,
                          cw_alarm_name_of(alarm->composite->actions_suppressor));
}

void cw_actions_run(struct op *op, struct cloudwatch *cw, const struct cw_alarm *alarm,
                    enum cloudwatch_state_value old_state)
{
    const struct cw_alarm *suppressor = suppressor_of(op, cw, alarm);
    if (suppressor == NULL) {
        run_all(op, cw, alarm, old_state);
        return;
    }
    bool is_suppressing = cw_alarm_view(suppressor).state == CLOUDWATCH_STATE_VALUE_ALARM;
    mark_suppressed(op, cw, alarm,
                    is_suppressing ? CLOUDWATCH_ACTIONS_SUPPRESSED_BY_ALARM
                                   : CLOUDWATCH_ACTIONS_SUPPRESSED_BY_WAITPERIOD);
}

static bool has_passed(wall_t now, struct opt_time since, struct opt_i32 seconds)
{
    dur_t wait = dur_scaled(DUR_S(OPT_OR(seconds, 0)));
    return now.us - OPT_OR(since, now).us >= wait.us;
}

static struct opt_time transitioned_at(const struct cw_alarm *alarm)
{
    return alarm->metric != NULL ? alarm->metric->state_transitioned_timestamp
                                 : alarm->composite->state_transitioned_timestamp;
}

/* One alarm whose actions are held back: what comes next? */
static void turn_suppressed(struct op *op, struct cloudwatch *cw, const struct cw_alarm *alarm)
{
    const struct cloudwatch_composite_alarm *row = alarm->composite;
    const struct cw_alarm *suppressor = suppressor_of(op, cw, alarm);
    bool is_suppressing =
        suppressor != NULL && cw_alarm_view(suppressor).state == CLOUDWATCH_STATE_VALUE_ALARM;
    enum cloudwatch_actions_suppressed_by next = row->actions_suppressed_by;
    if (is_suppressing) {
        next = CLOUDWATCH_ACTIONS_SUPPRESSED_BY_ALARM;
    } else if (suppressor == NULL) {
        next = CLOUDWATCH_ACTIONS_SUPPRESSED_BY_UNSET;
    } else if (row->actions_suppressed_by == CLOUDWATCH_ACTIONS_SUPPRESSED_BY_WAITPERIOD) {
        bool is_over = has_passed(op->now, row->state_transitioned_timestamp,
                                  row->actions_suppressor_wait_period);
        next = is_over ? CLOUDWATCH_ACTIONS_SUPPRESSED_BY_UNSET : next;
    } else {
        bool is_over = has_passed(op->now, transitioned_at(suppressor),
                                  row->actions_suppressor_extension_period);
        next = is_over ? CLOUDWATCH_ACTIONS_SUPPRESSED_BY_UNSET
                       : CLOUDWATCH_ACTIONS_SUPPRESSED_BY_EXTENSIONPERIOD;
    }
    if (next == row->actions_suppressed_by) {
        return;
    }
    if (next == CLOUDWATCH_ACTIONS_SUPPRESSED_BY_UNSET) {
        run_all(op, cw, alarm,
                row->state_value == CLOUDWATCH_STATE_VALUE_ALARM ? CLOUDWATCH_STATE_VALUE_OK
                                                                 : CLOUDWATCH_STATE_VALUE_ALARM);
    }
    mark_suppressed(op, cw, alarm, next);
}

void cw_actions_turn(struct cloudwatch *cw)
{
    auto_op struct op op = {0};
    cw_op_init(&op, cw, STR(""));
    struct {
        struct cw_alarm **items;
        size_t count;
    } held = {0};
    size_t at = 0;
    for (struct cw_alarm *alarm = cw_alarms_next(&cw->alarms, &at); alarm != NULL;
         alarm = cw_alarms_next(&cw->alarms, &at)) {
        bool is_held = alarm->composite != NULL && alarm->composite->actions_suppressed_by !=
                                                       CLOUDWATCH_ACTIONS_SUPPRESSED_BY_UNSET;
        if (!is_held) {
            continue;
        }
        // NOLINTNEXTLINE(bugprone-sizeof-expression): items are pointers
        *ARENA_PUSH(&op.arena, &held) = alarm;
    }
    for (size_t i = 0; i < held.count; i++) {
        turn_suppressed(&op, cw, held.items[i]);
    }
}
