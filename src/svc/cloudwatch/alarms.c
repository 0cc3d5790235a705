#include "svc/cloudwatch/alarms.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/store.h"
#include "svc/cloudwatch/errors.h"
#include "svc/cloudwatch/limits.h"
#include "svc/cloudwatch/ticks.h"

static const struct store_kind metric_alarms = {"cloudwatch.metric_alarm",
                                                &shape_cloudwatch_metric_alarm};
static const struct store_kind composite_alarms = {"cloudwatch.composite_alarm",
                                                   &shape_cloudwatch_composite_alarm};

struct str cw_state_name(enum cloudwatch_state_value state)
{
    return str_of(shape_enum_name(&shape_cloudwatch_state_value, (int)state));
}

/* ---- making ---------------------------------------------------------------------------------- */

static int64_t cadence_of(int64_t period)
{
    return period >= 60 ? 60 : period >= 10 ? 10 : 1;
}

static enum err make_decision(struct op *op, struct cw_alarm *alarm)
{
    const struct cloudwatch_metric_alarm *row = alarm->metric;
    bool has_m = row->datapoints_to_alarm.is_set;
    int32_t periods = OPT_OR(row->evaluation_periods, 1);
    alarm->decision = (struct cw_alarm_rule){
        .evaluation_periods = periods,
        .datapoints_to_alarm = has_m ? row->datapoints_to_alarm.value : periods,
        .is_m_of_n = has_m,
        .comparison = row->comparison_operator,
        .threshold = OPT_OR(row->threshold, 0),
    };
    alarm->ignores_low_samples = STR_IS(row->evaluate_low_sample_count_percentile, "ignore");
    if (!cw_missing_parse(row->treat_missing_data, &alarm->decision.missing)) {
        return CW_INVALID(op,
                          "The value %.*s is not supported for TreatMissingData parameter. "
                          "Supported values are [breaching, notBreaching, ignore, missing].",
                          STR_ARG(row->treat_missing_data));
    }
    return ERR_OK;
}

static enum err make_statistic(struct op *op, struct cw_alarm *alarm)
{
    const struct cloudwatch_metric_alarm *row = alarm->metric;
    struct str name = str_of(shape_enum_name(&shape_cloudwatch_statistic, (int)row->statistic));
    if (str_is_set(row->extended_statistic)) {
        name = row->extended_statistic;
    }
    if (!cw_stat_parse(name, &alarm->stat)) {
        return op_fail_as(op, ERR_INPUT, &cloudwatch_error_invalid_parameter_value_exception,
                          "The value %.*s for parameter ExtendedStatistic is not supported.",
                          STR_ARG(name));
    }
    alarm->period = OPT_OR(row->period, 60);
    return ERR_OK;
}

/* Runs the expressions over one window, so that wrong types are found now. */
static enum err try_plan(struct op *op, const struct cw_alarm *alarm)
{
    struct cw_metrics none = {0};
    map_init(&none.by_name);
    struct cw_math_value *results =
        ARENA_ARRAY(&op->arena, struct cw_math_value, alarm->plan.count + 1);
    struct cw_span span = {.to_tick = cw_tick_floor(cw_tick_of(op->now), 60), .window_count = 1};
    enum err e = cw_plan_run(op, &none, &alarm->plan, &span, false, results);
    map_fini(&none.by_name);
    TRY(e);
    if (results[alarm->watched].kind != CW_MATH_SERIES) {
        return CW_INVALID(op, "The watched expression '%.*s' must give a single time series.",
                          STR_ARG(alarm->plan.items[alarm->watched].in->id));
    }
    return ERR_OK;
}

static enum err make_plan(struct op *op, struct cw_alarm *alarm)
{
    TRY(cw_plan_make(op, &alarm->metric->metrics, "Metrics", &alarm->plan));
    size_t watched_count = 0;
    for (size_t i = 0; i < alarm->plan.count; i++) {
        if (OPT_OR(alarm->plan.items[i].in->return_data, true)) {
            alarm->watched = i;
            watched_count++;
        }
    }
    if (watched_count != 1) {
        return CW_INVALID(op, "Exactly one element of the metrics list should return data.");
    }
    alarm->period = alarm->plan.period;
    return try_plan(op, alarm);
}

static enum err make_metric(struct op *op, struct cw_alarm *alarm)
{
    TRY(make_decision(op, alarm));
    TRY(alarm->metric->metrics.count > 0 ? make_plan(op, alarm) : make_statistic(op, alarm));
    alarm->cadence = cadence_of(alarm->period);
    return ERR_OK;
}

/* What an alarm is made of lives in an operation of its own, whose arena the alarm then keeps. */
static enum err make_in(struct op *own, struct cw_alarm *alarm,
                        const struct cloudwatch_metric_alarm *metric,
                        const struct cloudwatch_composite_alarm *composite)
{
    if (metric != NULL) {
        alarm->metric = ARENA_NEW(&own->arena, struct cloudwatch_metric_alarm);
        shape_copy(&own->arena, &shape_cloudwatch_metric_alarm, metric, alarm->metric);
        alarm->name = alarm->metric->alarm_name;
        return make_metric(own, alarm);
    }
    alarm->composite = ARENA_NEW(&own->arena, struct cloudwatch_composite_alarm);
    shape_copy(&own->arena, &shape_cloudwatch_composite_alarm, composite, alarm->composite);
    alarm->name = alarm->composite->alarm_name;
    return cw_rule_parse(own, alarm->composite->alarm_rule, &alarm->rule);
}

enum err cw_alarm_make(struct op *op, struct str region,
                       const struct cloudwatch_metric_alarm *metric,
                       const struct cloudwatch_composite_alarm *composite,
                       struct cw_alarm **ret_alarm)
{
    auto_op struct op own = {0};
    op_init(&own);
    own.account = op->account;
    own.region = region;
    struct cw_alarm *alarm = MEM_NEW(struct cw_alarm);
    alarm->region = arena_str(&own.arena, region);
    enum err e = make_in(&own, alarm, metric, composite);
    if (e != ERR_OK) {
        op->note = own.note;
        mem_free(alarm);
        return e;
    }
    alarm->arena = own.arena;
    arena_init(&own.arena);
    *ret_alarm = alarm;
    return ERR_OK;
}

void cw_alarm_free(struct cw_alarm *alarm)
{
    if (alarm != NULL) {
        arena_fini(&alarm->arena);
        mem_free(alarm);
    }
}

/* ---- the set --------------------------------------------------------------------------------- */

static struct str key_of(struct op *op, struct str region, struct str name)
{
    return arena_printf(&op->arena, "%.*s/%.*s", STR_ARG(region), STR_ARG(name));
}

struct cw_alarm *cw_alarms_find(struct op *op, const struct cw_alarms *alarms, struct str region,
                                struct str name)
{
    return map_find(&alarms->by_name, key_of(op, region, name));
}

struct cw_alarm *cw_alarms_next(const struct cw_alarms *alarms, size_t *at)
{
    struct str key = STR_NONE;
    void *value = NULL;
    return map_next(&alarms->by_name, at, &key, &value) ? value : NULL;
}

void cw_alarms_replace(struct op *op, struct cw_alarms *alarms, struct cw_alarm *alarm)
{
    cw_alarm_free(map_put(&alarms->by_name, key_of(op, alarm->region, alarm->name), alarm));
}

void cw_alarms_forget(struct op *op, struct cw_alarms *alarms, struct cw_alarm *alarm)
{
    cw_alarm_free(map_remove(&alarms->by_name, key_of(op, alarm->region, alarm->name)));
}

enum err cw_alarms_save(struct op *op, struct cw_alarms *alarms, const struct cw_alarm *alarm)
{
    const void *row = alarm->metric;
    const struct store_kind *kind = &metric_alarms;
    if (alarm->composite != NULL) {
        row = alarm->composite;
        kind = &composite_alarms;
    }
    struct str region = op->region;
    op->region = alarm->region;
    enum err e = store_put(op, alarms->store, kind, alarm->name, STR(""), row);
    op->region = region;
    return e;
}

enum err cw_alarms_erase(struct op *op, struct cw_alarms *alarms, const struct cw_alarm *alarm)
{
    const struct store_kind *kind = alarm->composite != NULL ? &composite_alarms : &metric_alarms;
    return store_remove(op, alarms->store, kind, alarm->name);
}

/* An alarm that an older engine took and we do not is left in the store and not judged. */
static void load_one(struct op *op, struct cw_alarms *alarms, const struct store_item *item,
                     bool is_composite)
{
    struct cw_alarm *alarm = NULL;
    const void *row = item->value;
    enum err e = cw_alarm_make(op, item->region, is_composite ? NULL : row,
                               is_composite ? row : NULL, &alarm);
    if (e != ERR_OK) {
        log_warn("cloudwatch", "alarm=%.*s cannot be judged: %s", STR_ARG(item->key),
                 op->note.text);
        op_note_clear(op);
        return;
    }
    cw_alarms_replace(op, alarms, alarm);
}

enum err cw_alarms_open(struct op *op, struct store *st, struct cw_alarms *alarms)
{
    *alarms = (struct cw_alarms){.store = st};
    map_init(&alarms->by_name);
    struct store_range everything = {.is_every_region = true};
    struct store_items items = {0};
    TRY(store_list(op, st, &metric_alarms, &everything, &items));
    for (size_t i = 0; i < items.count; i++) {
        load_one(op, alarms, &items.items[i], false);
    }
    TRY(store_list(op, st, &composite_alarms, &everything, &items));
    for (size_t i = 0; i < items.count; i++) {
        load_one(op, alarms, &items.items[i], true);
    }
    return ERR_OK;
}

static void free_all(struct cw_alarms *alarms)
{
    size_t at = 0;
    for (struct cw_alarm *a = cw_alarms_next(alarms, &at); a != NULL;
         a = cw_alarms_next(alarms, &at)) {
        cw_alarm_free(a);
    }
    map_fini(&alarms->by_name);
}

void cw_alarms_fini(struct cw_alarms *alarms)
{
    free_all(alarms);
    *alarms = (struct cw_alarms){0};
}

enum err cw_alarms_reset(struct op *op, struct cw_alarms *alarms)
{
    struct store_range everything = {.is_every_region = true};
    TRY(store_remove_all(op, alarms->store, &metric_alarms, &everything));
    TRY(store_remove_all(op, alarms->store, &composite_alarms, &everything));
    free_all(alarms);
    map_init(&alarms->by_name);
    return ERR_OK;
}

/* ---- what both kinds have -------------------------------------------------------------------- */

const struct cloudwatch_resource_list *cw_alarm_actions(const struct cw_alarm *alarm,
                                                        enum cloudwatch_state_value state)
{
    const struct cloudwatch_metric_alarm *m = alarm->metric;
    const struct cloudwatch_composite_alarm *c = alarm->composite;
    if (state == CLOUDWATCH_STATE_VALUE_ALARM) {
        return c != NULL ? &c->alarm_actions : &m->alarm_actions;
    }
    if (state == CLOUDWATCH_STATE_VALUE_OK) {
        return c != NULL ? &c->ok_actions : &m->ok_actions;
    }
    return c != NULL ? &c->insufficient_data_actions : &m->insufficient_data_actions;
}

struct cw_alarm_view cw_alarm_view(const struct cw_alarm *alarm)
{
    const struct cloudwatch_metric_alarm *m = alarm->metric;
    const struct cloudwatch_composite_alarm *c = alarm->composite;
    struct cw_alarm_view v;
    if (c != NULL) {
        v = (struct cw_alarm_view){
            .arn = c->alarm_arn,
            .description = c->alarm_description,
            .state = c->state_value,
            .reason = c->state_reason,
            .reason_data = c->state_reason_data,
            .state_updated_at = c->state_updated_timestamp.value,
            .has_actions_enabled = OPT_OR(c->actions_enabled, true),
        };
    } else {
        v = (struct cw_alarm_view){
            .arn = m->alarm_arn,
            .description = m->alarm_description,
            .state = m->state_value,
            .reason = m->state_reason,
            .reason_data = m->state_reason_data,
            .state_updated_at = m->state_updated_timestamp.value,
            .has_actions_enabled = OPT_OR(m->actions_enabled, true),
        };
    }
    v.actions = cw_alarm_actions(alarm, v.state);
    return v;
}
