#include "svc/cloudwatch/service.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/store.h"
#include "svc/cloudwatch/actions.h"
#include "svc/cloudwatch/history.h"
#include "svc/cloudwatch/judge.h"
#include "svc/cloudwatch/ticks.h"

#define BASE_US_MIN    20000     /* windows are not closed more often than this */
#define FLUSH_ENGINE   DUR_S(10) /* the engine's own datapoints may be lost for so long */
#define EXPIRE_EVERY   DUR_S(60)
#define TURN_APART_MIN DUR_MS(1)

void cw_op_init(struct op *op, const struct cloudwatch *cw, struct str region)
{
    op_init(op);
    op->account = str_of(cw->account);
    op->region = region;
}

/* The shortest of 1, 10 and 60 ticks that the real clock resolves. */
static int64_t base_ticks(void)
{
    int64_t base = 1;
    if (base * cw_tick_us() < BASE_US_MIN) {
        base = 10;
    }
    return base * cw_tick_us() < BASE_US_MIN ? 60 : base;
}

/* ---- windows --------------------------------------------------------------------------------- */

static void on_window(struct ev_timer *t);
static void on_flush(struct ev_timer *t);
static void on_expire(struct ev_timer *t);

static void arm_window(struct cloudwatch *cw)
{
    wall_t next = cw_tick_start(cw->closed_tick + cw->base_ticks);
    dur_t wait = wall_since(next, clock_wall());
    if (wait.us < TURN_APART_MIN.us) {
        wait = TURN_APART_MIN;
    }
    ev_timer_set(cw->config.loop, &cw->window_timer, wait, on_window);
}

void cw_flush_within(struct cloudwatch *cw, dur_t after)
{
    mono_t at = mono_add(clock_mono(), after);
    if (!ev_timer_is_set(&cw->flush_timer) || cw->flush_timer.at.us > at.us) {
        ev_timer_set_at(cw->config.loop, &cw->flush_timer, at, on_flush);
    }
}

static void close_window(struct cloudwatch *cw, int64_t boundary)
{
    auto_op struct op op = {0};
    cw_op_init(&op, cw, STR(""));
    struct cw_window_range window = {
        .from_tick = boundary - cw->base_ticks,
        .period = cw->base_ticks,
    };
    enum err e = cw_engine_close_window(&op, &cw->engine, &cw->metrics, &window);
    if (e != ERR_OK) {
        log_warn("cloudwatch", "the counters of a window were not taken whole: %s", op.note.text);
    }
    cw_flush_within(cw, FLUSH_ENGINE);
}

void cloudwatch_turn(struct cloudwatch *cw)
{
    int64_t boundary = cw_tick_floor(cw_tick_of(clock_wall()), cw->base_ticks);
    if (boundary < cw->closed_tick) {
        cw->closed_tick = boundary; /* the wall clock was set back */
        return;
    }
    if (boundary == cw->closed_tick) {
        return;
    }
    int64_t before = cw->closed_tick;
    cw->closed_tick = boundary;
    close_window(cw, boundary);
    cw_judge_due(cw, before, boundary);
    cw_actions_turn(cw);
}

static void on_window(struct ev_timer *t)
{
    struct cloudwatch *cw = CONTAINER_OF(t, struct cloudwatch, window_timer);
    cloudwatch_turn(cw);
    arm_window(cw);
}

static enum err save_engine(struct op *op, void *self)
{
    const struct cloudwatch *cw = self;
    return cw_engine_save(op, &cw->engine, cw->config.store);
}

static void flush(struct cloudwatch *cw)
{
    auto_op struct op op = {0};
    cw_op_init(&op, cw, STR(""));
    if (cw_metrics_flush(&op, &cw->metrics, cw_tick_of(clock_wall()), save_engine, cw) != ERR_OK) {
        log_warn("cloudwatch", "datapoints were not written, they are tried again: %s",
                 op.note.text);
        cw_flush_within(cw, FLUSH_ENGINE);
    }
}

static void on_flush(struct ev_timer *t)
{
    flush(CONTAINER_OF(t, struct cloudwatch, flush_timer));
}

static void on_expire(struct ev_timer *t)
{
    struct cloudwatch *cw = CONTAINER_OF(t, struct cloudwatch, expire_timer);
    auto_op struct op op = {0};
    cw_op_init(&op, cw, STR(""));
    enum err e = cw_metrics_expire(&op, &cw->metrics, cw_tick_of(op.now));
    if (e == ERR_OK) {
        e = cw_history_expire(&op, cw->config.store);
    }
    if (e != ERR_OK) {
        log_warn("cloudwatch", "old datapoints were not removed: %s", op.note.text);
    }
    ev_timer_set(cw->config.loop, &cw->expire_timer, EXPIRE_EVERY, on_expire);
}

/* ---- opening --------------------------------------------------------------------------------- */

enum err cloudwatch_open(struct op *op, const struct cloudwatch_config *config,
                         struct cloudwatch **ret_cloudwatch)
{
    struct cloudwatch *cw = MEM_NEW(struct cloudwatch);
    cw->config = *config;
    CHECK(str_to_c(config->account, cw->account, sizeof(cw->account)));
    cw->config.account = str_of(cw->account);
    cw->base_ticks = base_ticks();
    cw->closed_tick = cw_tick_floor(cw_tick_of(clock_wall()), cw->base_ticks);
    enum err e = cw_engine_open(op, &cw->engine, config->store, config->stats, config->region_of,
                                config->region_self);
    if (e == ERR_OK) {
        e = cw_history_open(op, config->store);
    }
    if (e == ERR_OK) {
        e = cw_metrics_open(op, config->store, &cw->metrics);
    }
    if (e == ERR_OK) {
        e = cw_alarms_open(op, config->store, &cw->alarms);
    }
    if (e != ERR_OK) {
        cw_alarms_fini(&cw->alarms);
        cw_metrics_fini(&cw->metrics);
        cw_engine_fini(&cw->engine);
        mem_free(cw);
        return e;
    }
    arm_window(cw);
    ev_timer_set(config->loop, &cw->expire_timer, EXPIRE_EVERY, on_expire);
    *ret_cloudwatch = cw;
    return ERR_OK;
}

void cloudwatch_close(struct cloudwatch *cw)
{
    if (cw == NULL) {
        return;
    }
    ev_timer_stop(&cw->window_timer);
    ev_timer_stop(&cw->flush_timer);
    ev_timer_stop(&cw->expire_timer);
    flush(cw);
    ev_timer_stop(&cw->flush_timer);
    cw_alarms_fini(&cw->alarms);
    cw_metrics_fini(&cw->metrics);
    cw_engine_fini(&cw->engine);
    mem_free(cw);
}

/* ---- for other services ---------------------------------------------------------------------- */

// NOLINTNEXTLINE(readability-function-size): a sample has that many parts
void cloudwatch_put(struct cloudwatch *cw, struct str region, struct str namespace,
                    struct str metric_name, const struct cloudwatch_dimension *dimensions,
                    size_t count, enum cloudwatch_standard_unit unit, wall_t at, double value)
{
    auto_op struct op op = {0};
    cw_op_init(&op, cw, region);
    struct cw_metric_name name = {
        .region = region,
        .namespace = namespace,
        .name = metric_name,
        .dimensions = dimensions,
        .dimension_count = count,
    };
    struct cw_bucket b = {0};
    cw_bucket_add(&b, value, 1);
    int64_t tick = cw_tick_floor(cw_tick_of(at), 60);
    if (cw_metrics_add(&op, &cw->metrics, &name, unit, false, tick, &b) != ERR_OK) {
        log_warn("cloudwatch", "metric=%.*s was not taken: %s", STR_ARG(metric_name), op.note.text);
    }
    cw_bucket_fini(&b);
    cw_flush_within(cw, FLUSH_ENGINE);
}

static enum err see_alarm(void *self, struct op *op, struct str name,
                          enum port_alarm_state *ret_state, struct str *ret_reason)
{
    const struct cloudwatch *cw = self;
    const struct cw_alarm *alarm = cw_alarms_find(op, &cw->alarms, op->region, name);
    if (alarm == NULL) {
        *ret_state = PORT_ALARM_MISSING;
        *ret_reason = arena_printf(&op->arena, "there is no alarm \"%.*s\"", STR_ARG(name));
        return ERR_OK;
    }
    struct cw_alarm_view v = cw_alarm_view(alarm);
    *ret_state = v.state == CLOUDWATCH_STATE_VALUE_ALARM ? PORT_ALARM_ALARM
                 : v.state == CLOUDWATCH_STATE_VALUE_OK  ? PORT_ALARM_OK
                                                         : PORT_ALARM_INSUFFICIENT;
    *ret_reason = arena_str(&op->arena, v.reason);
    return ERR_OK;
}

static dur_t span_of(const struct cw_alarm *alarm)
{
    return DUR_S(alarm->period * alarm->decision.evaluation_periods);
}

/* Of a composite alarm: the longest of the alarms that it watches directly. */
static enum err see_alarm_span(void *self, struct op *op, struct str name, dur_t *ret_span)
{
    const struct cloudwatch *cw = self;
    const struct cw_alarm *alarm = cw_alarms_find(op, &cw->alarms, op->region, name);
    if (alarm == NULL) {
        return op_fail(op, ERR_NOT_FOUND, "there is no alarm \"%.*s\"", STR_ARG(name));
    }
    if (alarm->metric != NULL) {
        *ret_span = span_of(alarm);
        return ERR_OK;
    }
    struct cw_rule_names children = cw_rule_children(&op->arena, &alarm->rule);
    dur_t longest = {0};
    for (size_t i = 0; i < children.count; i++) {
        const struct cw_alarm *child =
            cw_alarms_find(op, &cw->alarms, op->region, children.items[i]);
        if (child != NULL && child->metric != NULL && span_of(child).us > longest.us) {
            longest = span_of(child);
        }
    }
    *ret_span = longest;
    return ERR_OK;
}

void cloudwatch_port_alarms(struct cloudwatch *cw, struct port_alarms *ret)
{
    *ret =
        (struct port_alarms){.self = cw, .see_alarm = see_alarm, .see_alarm_span = see_alarm_span};
}
