#include "svc/cloudwatch/judge.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/store.h"
#include "svc/cloudwatch/actions.h"
#include "svc/cloudwatch/history.h"
#include "svc/cloudwatch/limits.h"
#include "svc/cloudwatch/ticks.h"

/* One alarm on its way into a new state: the old one stays as it is until the commit. */
struct change {
    struct cw_alarm *old; /* owned by the set; gone after the commit */
    struct cw_alarm *new; /* owned here until the commit, then by the set */
    struct str region;
    enum cloudwatch_state_value old_state;
    struct str old_reason;
    bool runs_actions;
};

struct changes {
    struct change *items;
    size_t count;
};

/* ---- what the alarm sees --------------------------------------------------------------------- */

struct sight {
    struct cw_alarm_point *points;
    size_t count;
};

static void see_bucket(const struct cw_alarm *alarm, const struct cw_bucket *bucket,
                       struct cw_alarm_point *point)
{
    point->is_real = cw_stat_compute(&alarm->stat, bucket, &point->value);
    point->sample_count = bucket->sample_count;
    point->has_sample_count = true;
    point->is_low_sample = point->is_real && alarm->ignores_low_samples &&
                           cw_stat_is_low_sample(&alarm->stat, bucket->sample_count);
}

static enum err see_metric(struct op *op, struct cloudwatch *cw, const struct cw_alarm *alarm,
                           const struct cw_window_range *range, struct sight *s)
{
    struct cw_metric_name name = {
        .region = op->region,
        .namespace = alarm->metric->namespace,
        .name = alarm->metric->metric_name,
        .dimensions = alarm->metric->dimensions.items,
        .dimension_count = alarm->metric->dimensions.count,
    };
    const struct cw_metric *metric = cw_metrics_find(op, &cw->metrics, &name);
    struct cw_bucket *buckets = mem_alloc_array(range->count, sizeof(*buckets));
    enum err e = cw_metrics_read(op, &cw->metrics, metric, alarm->metric->unit, range, buckets);
    for (size_t i = 0; i < range->count && e == ERR_OK; i++) {
        see_bucket(alarm, &buckets[i], &s->points[i]);
    }
    cw_buckets_fini(buckets, range->count);
    mem_free(buckets);
    return e;
}

static enum err see_expression(struct op *op, struct cloudwatch *cw, const struct cw_alarm *alarm,
                               const struct cw_span *span, struct sight *s)
{
    struct cw_math_value *results =
        ARENA_ARRAY(&op->arena, struct cw_math_value, alarm->plan.count);
    TRY(cw_plan_run(op, &cw->metrics, &alarm->plan, span, false, results));
    const struct cw_math_value *watched = &results[alarm->watched];
    CHECK(watched->kind == CW_MATH_SERIES);
    const struct cw_series *series = watched->items;
    size_t next = 0;
    for (size_t i = 0; i < s->count; i++) {
        while (next < series->count && series->items[next].at_us < s->points[i].at.us) {
            next++;
        }
        if (next < series->count && series->items[next].at_us == s->points[i].at.us) {
            s->points[i].is_real = true;
            s->points[i].value = series->items[next].value;
        }
    }
    return ERR_OK;
}

static enum err see(struct op *op, struct cloudwatch *cw, const struct cw_alarm *alarm,
                    int64_t end_tick, struct sight *ret)
{
    struct cw_span span = {
        .to_tick = end_tick,
        .window_count = (size_t)alarm->decision.evaluation_periods + CW_EVALUATION_RANGE_EXTRA,
    };
    struct cw_window_range range = cw_span_range(&span, alarm->period);
    struct sight s = {
        .points = ARENA_ARRAY(&op->arena, struct cw_alarm_point, range.count),
        .count = range.count,
    };
    for (size_t i = 0; i < range.count; i++) {
        s.points[i].at = cw_tick_start(range.from_tick + (int64_t)i * range.period);
    }
    TRY(alarm->plan.count > 0 ? see_expression(op, cw, alarm, &span, &s)
                              : see_metric(op, cw, alarm, &range, &s));
    *ret = s;
    return ERR_OK;
}

/* ---- gathering changes ----------------------------------------------------------------------- */

static struct change *find_change(const struct changes *all, const struct cw_alarm *alarm)
{
    for (size_t i = 0; i < all->count; i++) {
        if (all->items[i].old == alarm) {
            return &all->items[i];
        }
    }
    return NULL;
}

static enum cloudwatch_state_value state_now(const struct changes *all,
                                             const struct cw_alarm *alarm)
{
    const struct change *c = find_change(all, alarm);
    return cw_alarm_view(c != NULL ? c->new : alarm).state;
}

static void set_state(struct op *op, struct cw_alarm *alarm, enum cloudwatch_state_value state,
                      struct str reason, struct str reason_data)
{
    struct arena *a = &alarm->arena;
    if (alarm->metric != NULL) {
        struct cloudwatch_metric_alarm *m = alarm->metric;
        m->state_transitioned_timestamp =
            m->state_value == state ? m->state_transitioned_timestamp : OPT_TIME(op->now);
        m->state_value = state;
        m->state_reason = arena_str(a, reason);
        m->state_reason_data = arena_str(a, reason_data);
        m->state_updated_timestamp = m->state_transitioned_timestamp;
        return;
    }
    struct cloudwatch_composite_alarm *c = alarm->composite;
    c->state_transitioned_timestamp =
        c->state_value == state ? c->state_transitioned_timestamp : OPT_TIME(op->now);
    c->state_value = state;
    c->state_reason = arena_str(a, reason);
    c->state_reason_data = arena_str(a, reason_data);
    c->state_updated_timestamp = OPT_TIME(op->now);
}

/* A copy of the alarm in its new state joins the changes. */
static enum err add_change(struct op *op, struct changes *all, struct cw_alarm *alarm,
                           enum cloudwatch_state_value state, struct str reason,
                           struct str reason_data)
{
    struct change *c = find_change(all, alarm);
    if (c == NULL) {
        struct cw_alarm *copy = NULL;
        TRY(cw_alarm_make(op, alarm->region, alarm->metric, alarm->composite, &copy));
        struct cw_alarm_view view = cw_alarm_view(alarm);
        c = ARENA_PUSH(&op->arena, all);
        *c = (struct change){
            .old = alarm,
            .new = copy,
            .region = arena_str(&op->arena, alarm->region),
            .old_state = view.state,
            .old_reason = arena_str(&op->arena, view.reason),
        };
    }
    set_state(op, c->new, state, reason, reason_data);
    c->runs_actions = c->old_state != state;
    return ERR_OK;
}

static void free_changes(struct changes *all)
{
    for (size_t i = 0; i < all->count; i++) {
        cw_alarm_free(all->items[i].new);
        all->items[i].new = NULL;
    }
}

/* ---- composite alarms ------------------------------------------------------------------------ */

struct rule_view {
    struct op *op;
    struct cloudwatch *cw;
    const struct changes *changes;
    struct str region;
};

static enum cloudwatch_state_value state_of(void *self, struct str name)
{
    const struct rule_view *v = self;
    const struct cw_alarm *alarm = cw_alarms_find(v->op, &v->cw->alarms, v->region, name);
    return alarm == NULL ? CLOUDWATCH_STATE_VALUE_UNSET : state_now(v->changes, alarm);
}

/* "Friday 20 November, 2026 15:42:10 UTC" */
static struct str long_time(struct arena *a, wall_t t)
{
    static const char *const days[] = {"Thursday", "Friday",  "Saturday", "Sunday",
                                       "Monday",   "Tuesday", "Wednesday"};
    static const char *const months[] = {"January",   "February", "March",    "April",
                                         "May",       "June",     "July",     "August",
                                         "September", "October",  "November", "December"};
    const char *iso = wall_iso8601(a, t).ptr;
    uint64_t month = 1;
    CHECK(str_parse_u64(str_make(iso + 5, 2), 12, &month));
    int64_t day = (t.us - (t.us % 86400000000)) / 86400000000;
    return arena_printf(a, "%s %.2s %s, %.4s %.8s UTC", days[day % 7], iso + 8, months[month - 1],
                        iso, iso + 11);
}

/* {"triggeringAlarms":[...]}: the child that changed, or all of them. */
static struct str trigger_data(const struct rule_view *v, const struct cw_alarm *composite,
                               const struct cw_alarm *trigger)
{
    auto_buf struct buf b = {0};
    struct arena *a = &v->op->arena;
    buf_init(&b, 3900);
    buf_add(&b, STR("{\"triggeringAlarms\":["));
    struct cw_rule_names children = cw_rule_children(a, &composite->rule);
    bool is_first = true;
    for (size_t i = 0; i < children.count; i++) {
        const struct cw_alarm *child =
            cw_alarms_find(v->op, &v->cw->alarms, v->region, children.items[i]);
        if (child == NULL || (trigger != NULL && child != trigger)) {
            continue;
        }
        const struct change *c = find_change(v->changes, child);
        struct cw_alarm_view view = cw_alarm_view(c != NULL ? c->new : child);
        struct str one = arena_printf(
            a, "%s{\"arn\":\"%.*s\",\"state\":{\"value\":\"%.*s\",\"timestamp\":\"%.*s\"}}",
            is_first ? "" : ",", STR_ARG(view.arn), STR_ARG(cw_state_name(view.state)),
            STR_ARG(cw_alarm_time(a, view.state_updated_at)));
        if (b.len + one.len + 2 > b.max_bytes) {
            break; /* AWS's own limit of 4,000 characters */
        }
        buf_add(&b, one);
        is_first = false;
    }
    buf_add(&b, STR("]}"));
    return arena_str(a, buf_str(&b));
}

static bool is_child(const struct cw_alarm *composite, struct str name)
{
    for (size_t i = 0; i < composite->rule.count; i++) {
        if (composite->rule.items[i].kind == CW_RULE_STATE &&
            str_equal(composite->rule.items[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* The first of the changed alarms that the composite watches. */
static const struct change *find_trigger(const struct changes *all,
                                         const struct cw_alarm *composite)
{
    for (size_t i = 0; i < all->count; i++) {
        if (str_equal(all->items[i].region, composite->region) &&
            is_child(composite, all->items[i].old->name)) {
            return &all->items[i];
        }
    }
    return NULL;
}

static enum err judge_one_composite(struct op *op, struct cloudwatch *cw, struct changes *all,
                                    struct cw_alarm *alarm, const char *verb, bool *ret_has_changed)
{
    struct rule_view v = {.op = op, .cw = cw, .changes = all, .region = alarm->region};
    enum cloudwatch_state_value state = cw_rule_eval(&alarm->rule, state_of, &v)
                                            ? CLOUDWATCH_STATE_VALUE_ALARM
                                            : CLOUDWATCH_STATE_VALUE_OK;
    *ret_has_changed = state != state_now(all, alarm);
    if (!*ret_has_changed) {
        return ERR_OK;
    }
    const struct change *trigger = verb == NULL ? find_trigger(all, alarm) : NULL;
    struct str reason =
        arena_printf(&op->arena, "%.*s was %s and its alarm rule evaluates to %.*s",
                     STR_ARG(alarm->composite->alarm_arn), verb == NULL ? "updated" : verb,
                     STR_ARG(cw_state_name(state)));
    if (trigger != NULL) {
        struct cw_alarm_view child = cw_alarm_view(trigger->new);
        reason = arena_printf(&op->arena, "%.*s transitioned to %.*s at %.*s", STR_ARG(child.arn),
                              STR_ARG(cw_state_name(child.state)),
                              STR_ARG(long_time(&op->arena, op->now)));
    }
    struct str data = trigger_data(&v, alarm, trigger != NULL ? trigger->old : NULL);
    return add_change(op, all, alarm, state, reason, data);
}

static enum err judge_composites_once(struct op *op, struct cloudwatch *cw, struct changes *all,
                                      bool *ret_has_changed)
{
    size_t at = 0;
    *ret_has_changed = false;
    for (struct cw_alarm *alarm = cw_alarms_next(&cw->alarms, &at); alarm != NULL;
         alarm = cw_alarms_next(&cw->alarms, &at)) {
        if (alarm->composite == NULL || find_trigger(all, alarm) == NULL) {
            continue;
        }
        bool has_changed = false;
        TRY(judge_one_composite(op, cw, all, alarm, NULL, &has_changed));
        *ret_has_changed = *ret_has_changed || has_changed;
    }
    return ERR_OK;
}

/* Until nothing changes any more; rings of composites end at the depth limit. */
static enum err judge_composites(struct op *op, struct cloudwatch *cw, struct changes *all)
{
    bool has_changed = all->count > 0;
    for (int depth = 0; has_changed && depth < CW_COMPOSITE_DEPTH_MAX; depth++) {
        TRY(judge_composites_once(op, cw, all, &has_changed));
    }
    return ERR_OK;
}

/* ---- committing ------------------------------------------------------------------------------ */

/* Text as a JSON string; cut so that the whole stays within AWS's 4,095 characters. */
static struct str quoted(struct arena *a, struct str text)
{
    return cw_json_string(a, str_slice(text, 0, 1023));
}

static struct str state_data(struct arena *a, const struct change *c)
{
    struct cw_alarm_view now = cw_alarm_view(c->new);
    struct str data = arena_printf(
        a,
        "{\"version\":\"1.0\",\"oldState\":{\"stateValue\":\"%.*s\",\"stateReason\":%.*s},"
        "\"newState\":{\"stateValue\":\"%.*s\",\"stateReason\":%.*s",
        STR_ARG(cw_state_name(c->old_state)), STR_ARG(quoted(a, c->old_reason)),
        STR_ARG(cw_state_name(now.state)), STR_ARG(quoted(a, now.reason)));
    bool has_data = now.reason_data.len > 0 && data.len + now.reason_data.len < 4000 &&
                    cw_json_is_valid(a, now.reason_data);
    return has_data ? arena_printf(a, "%.*s,\"stateReasonData\":%.*s}}", STR_ARG(data),
                                   STR_ARG(now.reason_data))
                    : arena_printf(a, "%.*s}}", STR_ARG(data));
}

static enum err write_change(struct op *op, struct cloudwatch *cw, const struct change *c)
{
    struct cw_alarm_view now = cw_alarm_view(c->new);
    TRY(cw_alarms_save(op, &cw->alarms, c->new));
    if (c->old_state == now.state) {
        return ERR_OK; /* SetAlarmState with another reason */
    }
    struct str summary =
        arena_printf(&op->arena, "Alarm updated from %.*s to %.*s",
                     STR_ARG(cw_state_name(c->old_state)), STR_ARG(cw_state_name(now.state)));
    return cw_history_add(op, cw->config.store, c->new->name, c->new->composite != NULL,
                          CLOUDWATCH_HISTORY_ITEM_TYPE_STATEUPDATE, summary,
                          state_data(&op->arena, c));
}

static enum err write_changes(struct op *op, struct cloudwatch *cw, const struct changes *all)
{
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, cw->config.store, &tx));
    struct str region = op->region;
    for (size_t i = 0; i < all->count; i++) {
        op->region = all->items[i].region;
        enum err e = write_change(op, cw, &all->items[i]);
        op->region = region;
        TRY(e);
    }
    FAULT_POINT("cloudwatch.state.before-commit");
    TRY(store_tx_commit(op, &tx));
    FAULT_POINT("cloudwatch.state.after-commit");
    return ERR_OK;
}

/* Commits, then tells, then acts: whoever shifts traffic back does not wait for a notification. */
static enum err commit(struct op *op, struct cloudwatch *cw, struct changes *all)
{
    enum err e = judge_composites(op, cw, all);
    if (e == ERR_OK && all->count > 0) {
        e = write_changes(op, cw, all);
    }
    if (e != ERR_OK) {
        free_changes(all);
        return e;
    }
    for (size_t i = 0; i < all->count; i++) {
        cw_alarms_replace(op, &cw->alarms, all->items[i].new);
        all->items[i].old = NULL;
    }
    const struct port_wakes *wakes = cw->config.wakes;
    for (size_t i = 0; i < all->count && wakes != NULL; i++) {
        wakes->alarm_changed(wakes->self, all->items[i].region, all->items[i].new->name);
    }
    for (size_t i = 0; i < all->count; i++) {
        const struct change *c = &all->items[i];
        if (c->runs_actions) {
            cw_actions_run(op, cw, c->new, c->old_state);
        }
    }
    return ERR_OK;
}

/* ---- entry points ---------------------------------------------------------------------------- */

static enum err judge_metric(struct op *op, struct cloudwatch *cw, struct changes *all,
                             struct cw_alarm *alarm, int64_t end_tick)
{
    struct sight s = {0};
    TRY(see(op, cw, alarm, end_tick, &s));
    struct cw_alarm_verdict v = cw_alarm_evaluate(&alarm->decision, s.points, s.count);
    if (v.is_kept || v.state == alarm->metric->state_value) {
        return ERR_OK;
    }
    const struct cloudwatch_metric_alarm *row = alarm->metric;
    struct cw_alarm_words words = {
        .unit = str_of(shape_enum_name(&shape_cloudwatch_standard_unit, (int)row->unit)),
        .period_s = alarm->period,
        .now = op->now,
    };
    if (alarm->plan.count == 0) {
        words.statistic =
            str_is_set(row->extended_statistic)
                ? row->extended_statistic
                : str_of(shape_enum_name(&shape_cloudwatch_statistic, (int)row->statistic));
    }
    return add_change(
        op, all, alarm, v.state,
        cw_alarm_reason(&op->arena, &alarm->decision, s.points, s.count, &v),
        cw_alarm_reason_data(&op->arena, &alarm->decision, s.points, s.count, &v, &words));
}

void cw_judge_due(struct cloudwatch *cw, int64_t before_tick, int64_t now_tick)
{
    auto_op struct op op = {0};
    cw_op_init(&op, cw, STR(""));
    struct changes all = {0};
    size_t at = 0;
    for (struct cw_alarm *alarm = cw_alarms_next(&cw->alarms, &at); alarm != NULL;
         alarm = cw_alarms_next(&cw->alarms, &at)) {
        int64_t cadence = alarm->cadence > cw->base_ticks ? alarm->cadence : cw->base_ticks;
        int64_t end = cw_tick_floor(now_tick, cadence);
        if (alarm->metric == NULL || end <= before_tick) {
            continue;
        }
        op.region = alarm->region;
        if (judge_metric(&op, cw, &all, alarm, end) != ERR_OK) {
            log_warn("cloudwatch", "alarm=%.*s was not judged: %s", STR_ARG(alarm->name),
                     op.note.text);
            op_note_clear(&op);
        }
    }
    op.region = STR("");
    if (commit(&op, cw, &all) != ERR_OK) {
        log_error("cloudwatch", "changes of alarms were not kept, the next window tries again: %s",
                  op.note.text);
    }
}

enum err cw_judge_set(struct op *op, struct cloudwatch *cw, struct cw_alarm *alarm,
                      enum cloudwatch_state_value state, struct str reason, struct str reason_data)
{
    struct changes all = {0};
    TRY(add_change(op, &all, alarm, state, reason, reason_data));
    return commit(op, cw, &all);
}

enum err cw_judge_composite(struct op *op, struct cloudwatch *cw, struct cw_alarm *alarm,
                            bool is_new)
{
    struct changes all = {0};
    bool has_changed = false;
    TRY(judge_one_composite(op, cw, &all, alarm, is_new ? "created" : "updated", &has_changed));
    return commit(op, cw, &all);
}
