/* Alarms: put, delete, set, enable, disable. */

#include "base/check.h"
#include "base/cleanup.h"
#include "store/store.h"
#include "svc/cloudwatch/actions.h"
#include "svc/cloudwatch/errors.h"
#include "svc/cloudwatch/handlers.h"
#include "svc/cloudwatch/history.h"
#include "svc/cloudwatch/judge.h"
#include "svc/cloudwatch/limits.h"
#include "svc/common/arn.h"

#define INITIAL_REASON STR("Unchecked: Initial alarm creation")

static struct str alarm_arn(struct op *op, struct str name)
{
    return arn_makef(op, STR("cloudwatch"), "alarm:%.*s", STR_ARG(name));
}

/* ---- what both kinds check ------------------------------------------------------------------- */

static enum err check_name(struct op *op, struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        if ((unsigned char)name.ptr[i] < 32 || name.ptr[i] == 127) {
            return CW_INVALID(op, "AlarmName must not contain ASCII Control characters");
        }
    }
    return ERR_OK;
}

static enum err check_actions(struct op *op, const struct cloudwatch_resource_list *actions)
{
    for (size_t i = 0; i < actions->count; i++) {
        struct arn arn = {0};
        if (!arn_parse(actions->items[i], &arn)) {
            return CW_INVALID(op, "Invalid arn syntax: %.*s", STR_ARG(actions->items[i]));
        }
    }
    return ERR_OK;
}

static void show_empty(struct cloudwatch_resource_list *list)
{
    list->is_set = true;
}

static enum err add_config_history(struct op *op, struct cloudwatch *cw,
                                   const struct cw_alarm *alarm, const char *verb, const char *type)
{
    struct str summary = arena_printf(&op->arena, "Alarm \"%.*s\" %s",
                                      STR_ARG(str_slice(alarm->name, 0, 200)), verb);
    struct str data = arena_printf(&op->arena,
                                   "{\"version\":\"1.0\",\"type\":\"%s\",\"alarmName\":%.*s,"
                                   "\"alarmArn\":%.*s}",
                                   type, STR_ARG(cw_json_string(&op->arena, alarm->name)),
                                   STR_ARG(cw_json_string(&op->arena, cw_alarm_view(alarm).arn)));
    return cw_history_add(op, cw->config.store, alarm->name, alarm->composite != NULL,
                          CLOUDWATCH_HISTORY_ITEM_TYPE_CONFIGURATIONUPDATE, summary, data);
}

/* Writes a new or changed alarm with its history, then takes it into memory. */
static enum err keep(struct op *op, struct cloudwatch *cw, struct cw_alarm *alarm, bool is_new,
                     const struct cloudwatch_tag_list *tags)
{
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, cw->config.store, &tx));
    TRY(cw_alarms_save(op, &cw->alarms, alarm));
    if (is_new) {
        TRY(cw_tags_put_new(op, cw->config.store, cw_alarm_view(alarm).arn, tags));
    }
    TRY(add_config_history(op, cw, alarm, is_new ? "created" : "updated",
                           is_new ? "Create" : "Update"));
    return store_tx_commit(op, &tx);
}

static enum err keep_or_free(struct op *op, struct cloudwatch *cw, struct cw_alarm *alarm,
                             bool is_new, const struct cloudwatch_tag_list *tags)
{
    enum err e = keep(op, cw, alarm, is_new, tags);
    if (e != ERR_OK) {
        cw_alarm_free(alarm);
        return e;
    }
    cw_alarms_replace(op, &cw->alarms, alarm);
    return ERR_OK;
}

/* ---- PutMetricAlarm -------------------------------------------------------------------------- */

/* 1 and 5 are ours: the cloud refuses them. */
static enum err check_period(struct op *op, int32_t period, int32_t periods)
{
    bool is_ours = period == 1 || period == 5;
    bool is_aws = period == 10 || period == 20 || period == 30 || (period > 0 && period % 60 == 0);
    if (!is_ours && !is_aws) {
        return CW_INVALID(op, "Period must be 10, 20, 30 or a multiple of 60");
    }
    int64_t span = (int64_t)period * periods;
    if (period < 3600 && span > 86400) {
        return CW_INVALID(op, "Metrics cannot be checked across more than a day (EvaluationPeriods "
                              "* Period must be <= 86400) for alarms using period < 3600");
    }
    if (span > 604800) {
        return CW_INVALID(op, "Metrics cannot be checked across more than a week "
                              "(EvaluationPeriods * Period must be <= 604800)");
    }
    return ERR_OK;
}

static enum err check_decision(struct op *op, const struct cloudwatch_put_metric_alarm_in *in)
{
    bool is_band =
        in->comparison_operator > CLOUDWATCH_COMPARISON_OPERATOR_LESSTHANOREQUALTOTHRESHOLD;
    if (is_band || str_is_set(in->threshold_metric_id)) {
        return CW_INVALID(op, "Alarms on anomaly detection bands are not available on this "
                              "endpoint");
    }
    if (in->evaluation_criteria != NULL || in->evaluation_interval.is_set) {
        return CW_INVALID(op, "Alarms on PromQL queries are not available on this endpoint");
    }
    if (in->comparison_operator == CLOUDWATCH_COMPARISON_OPERATOR_UNSET) {
        return CW_INVALID(op, "PutMetricAlarm request should have a valid ComparisonOperator "
                              "parameter");
    }
    if (!in->threshold.is_set) {
        return CW_INVALID(op, "PutMetricAlarm request should have valid Threshold parameter");
    }
    if (!in->evaluation_periods.is_set) {
        return CW_INVALID(op, "PutMetricAlarm request should have an EvaluationPeriods parameter");
    }
    if (OPT_OR(in->datapoints_to_alarm, 1) > in->evaluation_periods.value) {
        return CW_INVALID(op, "DatapointsToAlarm must be less than or equal to EvaluationPeriods");
    }
    return ERR_OK;
}

static enum err check_low_samples(struct op *op, const struct cloudwatch_put_metric_alarm_in *in)
{
    struct str option = in->evaluate_low_sample_count_percentile;
    if (!str_is_set(option)) {
        return ERR_OK;
    }
    if (!STR_IS(option, "evaluate") && !STR_IS(option, "ignore")) {
        return CW_INVALID(op,
                          "Option %.*s is not supported. Supported options for parameter "
                          "EvaluateLowSampleCountPercentile are evaluate and ignore.",
                          STR_ARG(option));
    }
    if (!str_starts_with(in->extended_statistic, STR("p"))) {
        struct str name =
            str_is_set(in->extended_statistic)
                ? in->extended_statistic
                : str_of(shape_enum_name(&shape_cloudwatch_statistic, (int)in->statistic));
        return CW_INVALID(op,
                          "Option evaluateLowSampleCountPercentile can not be applied with "
                          "statistic %.*s. This option is enabled only for percentile "
                          "statistics.",
                          STR_ARG(name));
    }
    return ERR_OK;
}

static enum err check_one_metric(struct op *op, const struct cloudwatch_put_metric_alarm_in *in)
{
    bool has_statistic = in->statistic != CLOUDWATCH_STATISTIC_UNSET;
    if (!str_is_set(in->metric_name) && !str_is_set(in->namespace)) {
        return CW_INVALID(op, "Exactly one element of the metrics list should return data.");
    }
    if (!str_is_set(in->metric_name) || !str_is_set(in->namespace)) {
        return CW_INVALID(op, "PutMetricAlarm request should have both a MetricName and a "
                              "Namespace parameter");
    }
    if (has_statistic && str_is_set(in->extended_statistic)) {
        return CW_INVALID(op, "PutMetricAlarm request can not be made with both Statistic and "
                              "ExtendedStatistic parameters. Only one of them should be present");
    }
    if (!has_statistic && !str_is_set(in->extended_statistic)) {
        return CW_INVALID(op, "PutMetricAlarm request should have a Statistic parameter");
    }
    if (!in->period.is_set) {
        return CW_INVALID(op, "PutMetricAlarm request should have a Period parameter");
    }
    TRY(check_period(op, in->period.value, in->evaluation_periods.value));
    TRY(cw_dimensions_check(op, &in->dimensions));
    return check_low_samples(op, in);
}

#define ALARM_METRICS_MAX 10
#define ALARM_QUERIES_MAX 20

static enum err check_queries(struct op *op, const struct cloudwatch_put_metric_alarm_in *in)
{
    if (str_is_set(in->metric_name) || str_is_set(in->namespace) || in->dimensions.count > 0 ||
        in->period.is_set || in->unit != CLOUDWATCH_STANDARD_UNIT_UNSET ||
        in->statistic != CLOUDWATCH_STATISTIC_UNSET || str_is_set(in->extended_statistic)) {
        return CW_INVALID(op, "Metrics list must not be specified together with MetricName, "
                              "Namespace, Dimensions, Period, Unit, Statistic or "
                              "ExtendedStatistic.");
    }
    size_t metric_count = 0;
    for (size_t i = 0; i < in->metrics.count; i++) {
        const struct cloudwatch_metric_stat *ms = in->metrics.items[i].metric_stat;
        bool has_period = ms != NULL && ms->period.is_set;
        metric_count += ms != NULL;
        TRY(has_period ? check_period(op, ms->period.value, in->evaluation_periods.value) : ERR_OK);
    }
    if (metric_count > ALARM_METRICS_MAX || in->metrics.count > ALARM_QUERIES_MAX) {
        return CW_INVALID(op, "An alarm can watch at most %d metrics and %d queries.",
                          ALARM_METRICS_MAX, ALARM_QUERIES_MAX);
    }
    return ERR_OK;
}

static struct cloudwatch_metric_alarm row_of(struct op *op,
                                             const struct cloudwatch_put_metric_alarm_in *in)
{
    struct cloudwatch_metric_alarm row = {
        .alarm_name = in->alarm_name,
        .alarm_arn = alarm_arn(op, in->alarm_name),
        .alarm_description = in->alarm_description,
        .alarm_configuration_updated_timestamp = OPT_TIME(op->now),
        .actions_enabled = OPT_BOOL(OPT_OR(in->actions_enabled, true)),
        .ok_actions = in->ok_actions,
        .alarm_actions = in->alarm_actions,
        .insufficient_data_actions = in->insufficient_data_actions,
        .state_value = CLOUDWATCH_STATE_VALUE_INSUFFICIENT_DATA,
        .state_reason = INITIAL_REASON,
        .state_updated_timestamp = OPT_TIME(op->now),
        .state_transitioned_timestamp = OPT_TIME(op->now),
        .metric_name = in->metric_name,
        .namespace = in->namespace,
        .statistic = in->statistic,
        .extended_statistic = in->extended_statistic,
        .dimensions = in->dimensions,
        .period = in->period,
        .unit = in->unit,
        .evaluation_periods = in->evaluation_periods,
        .datapoints_to_alarm = in->datapoints_to_alarm,
        .threshold = in->threshold,
        .comparison_operator = in->comparison_operator,
        .treat_missing_data = in->treat_missing_data,
        .evaluate_low_sample_count_percentile = in->evaluate_low_sample_count_percentile,
        .metrics = in->metrics,
    };
    show_empty(&row.ok_actions);
    show_empty(&row.alarm_actions);
    show_empty(&row.insufficient_data_actions);
    row.dimensions.is_set = in->metrics.count == 0;
    row.metrics.items =
        ARENA_ARRAY(&op->arena, struct cloudwatch_metric_data_query, in->metrics.count + 1);
    for (size_t i = 0; i < in->metrics.count; i++) {
        row.metrics.items[i] = in->metrics.items[i];
        row.metrics.items[i].return_data = OPT_BOOL(OPT_OR(in->metrics.items[i].return_data, true));
    }
    return row;
}

enum err cw_op_put_metric_alarm(struct op *op, struct cloudwatch *cw,
                                const struct cloudwatch_put_metric_alarm_in *in,
                                struct cloudwatch_put_metric_alarm_out *ret)
{
    (void)ret;
    TRY(check_name(op, in->alarm_name));
    TRY(check_decision(op, in));
    TRY(in->metrics.count > 0 ? check_queries(op, in) : check_one_metric(op, in));
    TRY(check_actions(op, &in->ok_actions));
    TRY(check_actions(op, &in->alarm_actions));
    TRY(check_actions(op, &in->insufficient_data_actions));

    struct cloudwatch_metric_alarm row = row_of(op, in);
    const struct cw_alarm *old = cw_alarms_find(op, &cw->alarms, op->region, in->alarm_name);
    if (old != NULL && old->metric == NULL) {
        return CW_INVALID(op, "Could not save the metric alarm as a composite alarm of that name "
                              "exists");
    }
    if (old != NULL) {
        row.state_value = old->metric->state_value;
        row.state_reason = old->metric->state_reason;
        row.state_reason_data = old->metric->state_reason_data;
        row.state_updated_timestamp = old->metric->state_updated_timestamp;
        row.state_transitioned_timestamp = old->metric->state_transitioned_timestamp;
    }
    struct cw_alarm *alarm = NULL;
    TRY(cw_alarm_make(op, op->region, &row, NULL, &alarm));
    return keep_or_free(op, cw, alarm, old == NULL, &in->tags);
}

/* ---- PutCompositeAlarm ----------------------------------------------------------------------- */

static enum err check_children(struct op *op, const struct cloudwatch *cw,
                               const struct cw_alarm *alarm)
{
    struct cw_rule_names children = cw_rule_children(&op->arena, &alarm->rule);
    struct str missing = STR("");
    for (size_t i = 0; i < children.count; i++) {
        bool is_known = cw_alarms_find(op, &cw->alarms, op->region, children.items[i]) != NULL ||
                        str_equal(children.items[i], alarm->name);
        if (!is_known) {
            missing = arena_printf(&op->arena, "%.*s%s%.*s", STR_ARG(missing),
                                   missing.len == 0 ? "" : ", ", STR_ARG(children.items[i]));
        }
    }
    if (missing.len > 0) {
        return CW_INVALID(op,
                          "Could not save the composite alarm as alarms [%.*s] in the alarm "
                          "rule do not exist",
                          STR_ARG(missing));
    }
    return ERR_OK;
}

static enum err check_suppressor(struct op *op, const struct cloudwatch *cw,
                                 const struct cloudwatch_put_composite_alarm_in *in)
{
    if (!str_is_set(in->actions_suppressor)) {
        return ERR_OK;
    }
    if (!in->actions_suppressor_wait_period.is_set ||
        !in->actions_suppressor_extension_period.is_set) {
        return CW_INVALID(op,
                          "ActionsSuppressorWaitPeriod and ActionsSuppressorExtensionPeriod are "
                          "required when ActionsSuppressor is set");
    }
    struct str name = cw_alarm_name_of(in->actions_suppressor);
    if (cw_alarms_find(op, &cw->alarms, op->region, name) == NULL) {
        return CW_INVALID(op,
                          "Could not save the composite alarm as the actions suppressor %.*s "
                          "does not exist",
                          STR_ARG(name));
    }
    return ERR_OK;
}

static struct cloudwatch_composite_alarm composite_row_of(
    struct op *op, const struct cloudwatch_put_composite_alarm_in *in)
{
    struct cloudwatch_composite_alarm row = {
        .actions_enabled = OPT_BOOL(OPT_OR(in->actions_enabled, true)),
        .alarm_actions = in->alarm_actions,
        .alarm_arn = alarm_arn(op, in->alarm_name),
        .alarm_configuration_updated_timestamp = OPT_TIME(op->now),
        .alarm_description = in->alarm_description,
        .alarm_name = in->alarm_name,
        .alarm_rule = in->alarm_rule,
        .insufficient_data_actions = in->insufficient_data_actions,
        .ok_actions = in->ok_actions,
        .state_reason = INITIAL_REASON,
        .state_updated_timestamp = OPT_TIME(op->now),
        .state_value = CLOUDWATCH_STATE_VALUE_INSUFFICIENT_DATA,
        .state_transitioned_timestamp = OPT_TIME(op->now),
        .actions_suppressor = in->actions_suppressor,
        .actions_suppressor_wait_period = in->actions_suppressor_wait_period,
        .actions_suppressor_extension_period = in->actions_suppressor_extension_period,
    };
    show_empty(&row.ok_actions);
    show_empty(&row.alarm_actions);
    show_empty(&row.insufficient_data_actions);
    return row;
}

enum err cw_op_put_composite_alarm(struct op *op, struct cloudwatch *cw,
                                   const struct cloudwatch_put_composite_alarm_in *in,
                                   struct cloudwatch_put_composite_alarm_out *ret)
{
    (void)ret;
    TRY(check_name(op, in->alarm_name));
    if (str_trim(in->alarm_rule).len != in->alarm_rule.len) {
        return CW_INVALID(op,
                          "AlarmRule must not contain leading or trailing whitespace or be null");
    }
    TRY(check_actions(op, &in->ok_actions));
    TRY(check_actions(op, &in->alarm_actions));
    TRY(check_actions(op, &in->insufficient_data_actions));
    TRY(check_suppressor(op, cw, in));

    struct cloudwatch_composite_alarm row = composite_row_of(op, in);
    const struct cw_alarm *old = cw_alarms_find(op, &cw->alarms, op->region, in->alarm_name);
    bool is_new = old == NULL;
    if (!is_new && old->composite == NULL) {
        return CW_INVALID(op, "Could not save the composite alarm as a metric alarm of that name "
                              "exists");
    }
    if (!is_new) {
        row.state_value = old->composite->state_value;
        row.state_reason = old->composite->state_reason;
        row.state_reason_data = old->composite->state_reason_data;
        row.state_updated_timestamp = old->composite->state_updated_timestamp;
        row.state_transitioned_timestamp = old->composite->state_transitioned_timestamp;
    }
    struct cw_alarm *alarm = NULL;
    TRY(cw_alarm_make(op, op->region, NULL, &row, &alarm));
    enum err e = check_children(op, cw, alarm);
    if (e != ERR_OK) {
        cw_alarm_free(alarm);
        return e;
    }
    TRY(keep_or_free(op, cw, alarm, is_new, &in->tags));
    return cw_judge_composite(op, cw, alarm, is_new);
}

/* ---- DeleteAlarms ---------------------------------------------------------------------------- */

static bool is_in(const struct cloudwatch_alarm_names *names, struct str name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (str_equal(names->items[i], name)) {
            return true;
        }
    }
    return false;
}

/* A composite that stays watches it. */
static bool is_needed(const struct cloudwatch *cw, struct str region, struct str name,
                      const struct cloudwatch_alarm_names *leaving)
{
    size_t at = 0;
    for (struct cw_alarm *a = cw_alarms_next(&cw->alarms, &at); a != NULL;
         a = cw_alarms_next(&cw->alarms, &at)) {
        if (a->composite == NULL || !str_equal(a->region, region) || is_in(leaving, a->name)) {
            continue;
        }
        for (size_t i = 0; i < a->rule.count; i++) {
            if (a->rule.items[i].kind == CW_RULE_STATE && str_equal(a->rule.items[i].name, name)) {
                return true;
            }
        }
    }
    return false;
}

static enum err check_delete(struct op *op, const struct cloudwatch *cw,
                             const struct cloudwatch_alarm_names *names)
{
    struct str needed = STR("");
    size_t needed_count = 0;
    size_t composite_count = 0;
    for (size_t i = 0; i < names->count; i++) {
        const struct cw_alarm *alarm = cw_alarms_find(op, &cw->alarms, op->region, names->items[i]);
        composite_count += alarm != NULL && alarm->composite != NULL;
        if (alarm != NULL && is_needed(cw, op->region, alarm->name, names)) {
            needed = arena_printf(&op->arena, "%.*s%s%.*s", STR_ARG(needed),
                                  needed_count == 0 ? "" : ",", STR_ARG(alarm->name));
            needed_count++;
        }
    }
    if (composite_count > 1) {
        return CW_INVALID(op, "You can't delete two or more composite alarms in one operation.");
    }
    if (needed_count > 0) {
        return CW_INVALID(op, "Cannot delete %.*s as there are composite alarm(s) depending on %s.",
                          STR_ARG(needed), needed_count == 1 ? "it" : "them");
    }
    return ERR_OK;
}

enum err cw_op_delete_alarms(struct op *op, struct cloudwatch *cw,
                             const struct cloudwatch_delete_alarms_in *in,
                             struct cloudwatch_delete_alarms_out *ret)
{
    (void)ret;
    TRY(check_delete(op, cw, &in->alarm_names));
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, cw->config.store, &tx));
    struct {
        struct cw_alarm **items;
        size_t count;
    } gone = {0};
    for (size_t i = 0; i < in->alarm_names.count; i++) {
        struct cw_alarm *alarm =
            cw_alarms_find(op, &cw->alarms, op->region, in->alarm_names.items[i]);
        bool is_named_before = false;
        for (size_t j = 0; j < gone.count; j++) {
            is_named_before = is_named_before || gone.items[j] == alarm;
        }
        if (alarm == NULL || is_named_before) {
            continue;
        }
        TRY(cw_alarms_erase(op, &cw->alarms, alarm));
        TRY(cw_tags_forget(op, cw->config.store, cw_alarm_view(alarm).arn));
        TRY(add_config_history(op, cw, alarm, "deleted", "Delete"));
        // NOLINTNEXTLINE(bugprone-sizeof-expression): items are pointers
        *ARENA_PUSH(&op->arena, &gone) = alarm;
    }
    TRY(store_tx_commit(op, &tx));
    const struct port_wakes *wakes = cw->config.wakes;
    for (size_t i = 0; i < gone.count; i++) {
        struct str name = arena_str(&op->arena, gone.items[i]->name);
        cw_alarms_forget(op, &cw->alarms, gone.items[i]);
        if (wakes != NULL) {
            wakes->alarm_changed(wakes->self, op->region, name);
        }
    }
    return ERR_OK;
}

/* ---- SetAlarmState, EnableAlarmActions, DisableAlarmActions ---------------------------------- */

enum err cw_op_set_alarm_state(struct op *op, struct cloudwatch *cw,
                               const struct cloudwatch_set_alarm_state_in *in,
                               struct cloudwatch_set_alarm_state_out *ret)
{
    (void)ret;
    struct cw_alarm *alarm = cw_alarms_find(op, &cw->alarms, op->region, in->alarm_name);
    if (alarm == NULL) {
        return op_fail_as(op, ERR_NOT_FOUND, &cloudwatch_error_resource_not_found,
                          "Unknown alarm %.*s", STR_ARG(in->alarm_name));
    }
    if (in->state_reason_data.len > 0 && !cw_json_is_valid(&op->arena, in->state_reason_data)) {
        return op_fail_as(op, ERR_INPUT, &cloudwatch_error_invalid_format_fault,
                          "StateReasonData was not valid JSON");
    }
    return cw_judge_set(op, cw, alarm, in->state_value, in->state_reason, in->state_reason_data);
}

static enum err set_actions_enabled(struct op *op, struct cloudwatch *cw,
                                    const struct cloudwatch_alarm_names *names, bool is_enabled)
{
    for (size_t i = 0; i < names->count; i++) {
        const struct cw_alarm *old = cw_alarms_find(op, &cw->alarms, op->region, names->items[i]);
        if (old == NULL || cw_alarm_view(old).has_actions_enabled == is_enabled) {
            continue;
        }
        struct cw_alarm *changed = NULL;
        TRY(cw_alarm_make(op, op->region, old->metric, old->composite, &changed));
        if (changed->metric != NULL) {
            changed->metric->actions_enabled = OPT_BOOL(is_enabled);
            changed->metric->alarm_configuration_updated_timestamp = OPT_TIME(op->now);
        } else {
            changed->composite->actions_enabled = OPT_BOOL(is_enabled);
            changed->composite->alarm_configuration_updated_timestamp = OPT_TIME(op->now);
        }
        TRY(keep_or_free(op, cw, changed, false, NULL));
    }
    return ERR_OK;
}

enum err cw_op_enable_alarm_actions(struct op *op, struct cloudwatch *cw,
                                    const struct cloudwatch_enable_alarm_actions_in *in,
                                    struct cloudwatch_enable_alarm_actions_out *ret)
{
    (void)ret;
    return set_actions_enabled(op, cw, &in->alarm_names, true);
}

enum err cw_op_disable_alarm_actions(struct op *op, struct cloudwatch *cw,
                                     const struct cloudwatch_disable_alarm_actions_in *in,
                                     struct cloudwatch_disable_alarm_actions_out *ret)
{
    (void)ret;
    return set_actions_enabled(op, cw, &in->alarm_names, false);
}
