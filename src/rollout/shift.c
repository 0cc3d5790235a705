/* The blue/green machine. The way, top to bottom; every state but the final ones also leads to
 * RESTORING.
 *
 *   CREATED  BEFORE_INSTALL  INSTALLING  AFTER_INSTALL  TEST_TRAFFIC  AFTER_TEST_TRAFFIC
 *   (READY_WAIT)  BEFORE_ALLOW  SHIFTING  AFTER_ALLOW  (TERMINATION_WAIT  TERMINATING)  DONE
 *
 *   RESTORING   weights back to blue, acknowledged; blue primary again
 *   CLEARING    green removed, unless a rollback deployment follows, which does it
 *   FAILED | STOPPED
 *
 * Up to SHIFTING production is left as it was found. From there on the weights that a state wants
 * are compared with what stands on the route at every turn, so that nothing needs to be remembered.
 */

#include "rollout/shift.h"

#include "base/check.h"

#define WHOLE_HOURS_MAX 120 /* CodeDeploy: until the traffic is shifted */

/* The data plane acknowledges weights in milliseconds. */
#define ACKNOWLEDGE_MAX DUR_MIN(10)

/* Limits guard real work (pulling images, starting processes), so a time scale shortens them only
 * down to this. */
#define LIMIT_FLOOR DUR_MIN(5)

struct state_row {
    const char *name;
    int32_t limit_min;
    uint32_t next;
    enum shift_event event;
    enum shift_status status;
};

#define TO(state) (1u << SHIFT_##state)
static const struct state_row states[SHIFT_STATE_COUNT] = {
#define X(state_, limit_min_, next_, event_, status_)  \
    [SHIFT_##state_] = {.name = #state_,               \
                        .limit_min = (limit_min_),     \
                        .next = (next_),               \
                        .event = SHIFT_EVENT_##event_, \
                        .status = SHIFT_STATUS_##status_},
#include "rollout/states.def"
#undef X
};
#undef TO

bool shift_may_move(enum shift_state from, enum shift_state to)
{
    CHECK(from < SHIFT_STATE_COUNT && to < SHIFT_STATE_COUNT);
    return (states[from].next & (1u << to)) != 0;
}

bool shift_is_final(enum shift_state state)
{
    CHECK(state < SHIFT_STATE_COUNT);
    return states[state].next == 0;
}

const char *shift_state_name(enum shift_state state)
{
    CHECK(state < SHIFT_STATE_COUNT);
    return states[state].name;
}

bool shift_state_parse(struct str name, enum shift_state *ret_state)
{
    for (int i = 0; i < SHIFT_STATE_COUNT; i++) {
        if (str_equal(name, str_of(states[i].name))) {
            *ret_state = (enum shift_state)i;
            return true;
        }
    }
    return false;
}

/* ---- weights -------------------------------------------------------------------------------- */

struct shift_weights shift_weights_of(int32_t permille)
{
    CHECK(permille >= 0 && permille <= 1000);
    if (permille % 10 == 0) {
        return (struct shift_weights){.blue = 100 - permille / 10, .green = permille / 10};
    }
    return (struct shift_weights){.blue = 1000 - permille, .green = permille};
}

static bool is_same(struct shift_weights a, struct shift_weights b)
{
    return a.blue == b.blue && a.green == b.green;
}

/* The same, but nothing for a side without a healthy target while the other has one. */
static struct shift_weights safe(struct shift_weights wanted, const struct shift_sight *s)
{
    if (wanted.green > 0 && s->green.healthy_count == 0 && s->blue.healthy_count > 0) {
        return shift_weights_of(0);
    }
    if (wanted.blue > 0 && s->blue.healthy_count == 0 && s->green.healthy_count > 0) {
        return shift_weights_of(1000);
    }
    return wanted;
}

void shift_plan_at_once(struct shift_config *c)
{
    c->steps[0] = (struct shift_step){.permille = 1000};
    c->step_count = 1;
}

void shift_plan_canary(struct shift_config *c, int32_t percent, int32_t interval_min)
{
    CHECK(percent >= 1 && percent <= 99);
    c->steps[0] =
        (struct shift_step){.permille = percent * 10, .wait = dur_scaled(DUR_MIN(interval_min))};
    c->steps[1] = (struct shift_step){.permille = 1000};
    c->step_count = 2;
}

void shift_plan_linear(struct shift_config *c, int32_t percent, int32_t interval_min)
{
    CHECK(percent >= 1 && percent <= 99);
    c->step_count = 0;
    for (int32_t sum = percent; sum < 100; sum += percent) {
        c->steps[c->step_count++] =
            (struct shift_step){.permille = sum * 10, .wait = dur_scaled(DUR_MIN(interval_min))};
    }
    c->steps[c->step_count++] = (struct shift_step){.permille = 1000};
}

/* ---- the turn ------------------------------------------------------------------------------- */

struct view {
    const struct shift_row *row;
    const struct shift_config *config;
    const struct shift_sight *sight;
    wall_t now;
};

/* The side that gets the traffic. */
static enum shift_which to_side(const struct view *v)
{
    return v->config->kind == SHIFT_FORWARD ? SHIFT_GREEN : SHIFT_BLUE;
}

static enum shift_which from_side(const struct view *v)
{
    return v->config->kind == SHIFT_FORWARD ? SHIFT_BLUE : SHIFT_GREEN;
}

static const struct shift_side *side_of(const struct view *v, enum shift_which which)
{
    return which == SHIFT_BLUE ? &v->sight->blue : &v->sight->green;
}

static int32_t weight_of(struct shift_weights w, enum shift_which which)
{
    return which == SHIFT_BLUE ? w.blue : w.green;
}

/* A share of the side that gets the traffic. */
static struct shift_weights share_of(const struct view *v, int32_t permille)
{
    return shift_weights_of(v->config->kind == SHIFT_FORWARD ? permille : 1000 - permille);
}

static struct shift_decision stay_until(wall_t at)
{
    return (struct shift_decision){.what = SHIFT_STAY, .wake_at = at};
}

static struct shift_decision move_to(enum shift_state next)
{
    return (struct shift_decision){.what = SHIFT_MOVE, .next = next};
}

static struct shift_decision fail(enum shift_cause cause)
{
    return (struct shift_decision){.what = SHIFT_MOVE, .next = SHIFT_RESTORING, .cause = cause};
}

static struct shift_decision perform(enum shift_effect effect, enum shift_which side)
{
    return (struct shift_decision){.what = SHIFT_EFFECT, .effect = effect, .side = side};
}

static struct shift_decision set_weights(enum shift_effect effect, struct shift_weights weights)
{
    return (struct shift_decision){.what = SHIFT_EFFECT, .effect = effect, .weights = weights};
}

static dur_t limit_of(enum shift_state state)
{
    dur_t limit = DUR_MIN(states[state].limit_min);
    dur_t scaled = dur_scaled(limit);
    dur_t floor = limit.us < LIMIT_FLOOR.us ? limit : LIMIT_FLOOR;
    return scaled.us > floor.us ? scaled : floor;
}

static dur_t whole_limit(void)
{
    dur_t scaled = dur_scaled(DUR_MIN(WHOLE_HOURS_MAX * 60));
    return scaled.us > DUR_MIN(60).us ? scaled : DUR_MIN(60);
}

static bool is_over(const struct view *v)
{
    return wall_since(v->now, v->row->entered_at).us >= limit_of(v->row->state).us;
}

static wall_t limit_at(const struct view *v)
{
    return wall_add(v->row->entered_at, limit_of(v->row->state));
}

/* ---- what ends a deployment ----------------------------------------------------------------- */

static bool is_shift_behind(enum shift_state state)
{
    return state == SHIFT_AFTER_ALLOW || state == SHIFT_TERMINATION_WAIT ||
           state == SHIFT_TERMINATING;
}

/* The new side was there and serves nobody any more, while the other could. */
static bool is_lost(const struct view *v)
{
    const struct shift_side *to = side_of(v, to_side(v));
    const struct shift_side *from = side_of(v, from_side(v));
    enum shift_state state = v->row->state;
    if (state <= SHIFT_INSTALLING) {
        return to->was_made && (!to->is_there || to->is_leaving);
    }
    if (!to->is_there || to->is_leaving) {
        return true;
    }
    bool carries = state == SHIFT_SHIFTING || is_shift_behind(state);
    return carries && to->healthy_count == 0 && from->healthy_count > 0 && !from->is_leaving;
}

static bool is_hook_failed(const struct view *v)
{
    enum shift_event event = states[v->row->state].event;
    return event != SHIFT_EVENT_NONE && v->config->has_hook[event] &&
           v->sight->hook == SHIFT_HOOK_FAILED;
}

/* Asked only when nothing else is left to do: what was ready in time stays ready, even if we looked
 * late because we were not running. */
static enum shift_cause cause_by_time(const struct view *v)
{
    enum shift_state state = v->row->state;
    if (state == SHIFT_TERMINATION_WAIT || state == SHIFT_TERMINATING) {
        return SHIFT_CAUSE_NONE; /* they end by themselves */
    }
    if (state == SHIFT_SHIFTING && v->row->step_at.us == 0 &&
        wall_since(v->now, v->row->step_begun_at).us >= ACKNOWLEDGE_MAX.us) {
        return SHIFT_CAUSE_TIMEOUT;
    }
    if (states[state].limit_min > 0 && is_over(v)) {
        enum shift_event event = states[state].event;
        bool is_hook = event != SHIFT_EVENT_NONE && v->config->has_hook[event];
        return is_hook ? SHIFT_CAUSE_HOOK_TIMEOUT : SHIFT_CAUSE_TIMEOUT;
    }
    bool is_too_long = wall_since(v->now, v->row->created_at).us >= whole_limit().us;
    return is_too_long ? SHIFT_CAUSE_TIMEOUT : SHIFT_CAUSE_NONE;
}

static enum shift_cause find_cause(const struct view *v)
{
    const struct shift_sight *s = v->sight;
    if (v->row->state == SHIFT_TERMINATING) {
        /* past the point of return, except while the old side still stands whole */
        return is_lost(v) ? SHIFT_CAUSE_LOST : SHIFT_CAUSE_NONE;
    }
    if (!s->is_service_there) {
        return SHIFT_CAUSE_SERVICE_GONE;
    }
    if (v->row->is_stop_asked) {
        return SHIFT_CAUSE_STOP;
    }
    /* going back is what the alarm asks for; one that stands from the start shows in Install */
    if (s->is_alarm && v->config->kind == SHIFT_FORWARD && v->row->state >= SHIFT_INSTALLING) {
        return SHIFT_CAUSE_ALARM;
    }
    if (v->row->is_refused) {
        return SHIFT_CAUSE_REFUSED;
    }
    if (is_hook_failed(v)) {
        return SHIFT_CAUSE_HOOK_FAILED;
    }
    if (is_lost(v)) {
        return SHIFT_CAUSE_LOST;
    }
    bool is_failing = v->config->failures_allowed > 0 && v->config->kind == SHIFT_FORWARD &&
                      v->sight->green.failed_count >= v->config->failures_allowed;
    return is_failing ? SHIFT_CAUSE_TASKS_FAILED : SHIFT_CAUSE_NONE;
}

/* ---- states --------------------------------------------------------------------------------- */

static struct shift_decision decide_hook(const struct view *v, enum shift_state next)
{
    if (!v->config->has_hook[states[v->row->state].event] ||
        v->sight->hook == SHIFT_HOOK_SUCCEEDED) {
        return move_to(next);
    }
    if (v->sight->hook == SHIFT_HOOK_NONE) {
        return perform(SHIFT_CALL_HOOK, to_side(v));
    }
    return stay_until(limit_at(v));
}

static struct shift_decision decide_installing(const struct view *v)
{
    const struct shift_side *to = side_of(v, to_side(v));
    if (!to->is_there || to->is_leaving) {
        return perform(SHIFT_CREATE, to_side(v));
    }
    bool serves = to->healthy_count >= to->desired_count && to->is_steady;
    /* going back must not wait for the last task */
    bool suffices = v->config->kind == SHIFT_BACK && to->healthy_count > 0;
    return serves || suffices ? move_to(SHIFT_AFTER_INSTALL) : stay_until(limit_at(v));
}

static struct shift_decision decide_test_traffic(const struct view *v)
{
    struct shift_weights wanted = share_of(v, 1000);
    if (!v->config->has_test_route) {
        return move_to(SHIFT_AFTER_TEST_TRAFFIC);
    }
    if (!is_same(v->sight->test, wanted)) {
        return set_weights(SHIFT_SET_TEST, wanted);
    }
    return v->sight->is_published ? move_to(SHIFT_AFTER_TEST_TRAFFIC) : stay_until(limit_at(v));
}

static struct shift_decision decide_after_test_traffic(const struct view *v)
{
    bool waits = v->config->must_be_continued && v->config->kind == SHIFT_FORWARD;
    return decide_hook(v, waits ? SHIFT_READY_WAIT : SHIFT_BEFORE_ALLOW);
}

static struct shift_decision decide_ready_wait(const struct view *v)
{
    if (v->row->is_continued) {
        return move_to(SHIFT_BEFORE_ALLOW);
    }
    wall_t end = wall_add(v->row->entered_at, v->config->ready_wait);
    if (v->now.us < end.us) {
        return stay_until(end);
    }
    return fail(SHIFT_CAUSE_READY_TIMEOUT);
}

static struct shift_decision decide_shifting(const struct view *v)
{
    const struct shift_row *row = v->row;
    CHECK(row->step >= 0 && (size_t)row->step < v->config->step_count);
    const struct shift_step *step = &v->config->steps[row->step];
    struct shift_weights wanted = safe(share_of(v, step->permille), v->sight);
    if (!is_same(v->sight->production, wanted)) {
        return set_weights(SHIFT_SET_PRODUCTION, wanted);
    }
    if (!v->sight->is_published) {
        bool is_first = row->step_at.us == 0;
        return stay_until(is_first ? wall_add(row->step_begun_at, ACKNOWLEDGE_MAX) : (wall_t){0});
    }
    struct shift_decision d = move_to(SHIFT_SHIFTING);
    if (row->step_at.us == 0) {
        d.is_acknowledged = true;
        return d;
    }
    wall_t end = wall_add(row->step_at, step->wait);
    if (v->now.us < end.us) {
        return stay_until(end);
    }
    if ((size_t)row->step + 1 < v->config->step_count) {
        return d;
    }
    if (!side_of(v, to_side(v))->is_primary) {
        return perform(SHIFT_SET_PRIMARY, to_side(v));
    }
    return move_to(SHIFT_AFTER_ALLOW);
}

/* After the shift all traffic stays on the new side, as long as it can serve. */
static bool needs_weights(const struct view *v, struct shift_decision *ret_decision)
{
    struct shift_weights wanted = safe(share_of(v, 1000), v->sight);
    if (is_same(v->sight->production, wanted)) {
        return false;
    }
    *ret_decision = set_weights(SHIFT_SET_PRODUCTION, wanted);
    return true;
}

static struct shift_decision decide_after_allow(const struct view *v)
{
    bool has_rest = side_of(v, from_side(v))->is_there;
    bool keeps = v->config->keeps_blue && v->config->kind == SHIFT_FORWARD;
    return decide_hook(v, has_rest && !keeps ? SHIFT_TERMINATION_WAIT : SHIFT_DONE);
}

static struct shift_decision decide_termination_wait(const struct view *v)
{
    wall_t end = wall_add(v->row->entered_at, v->config->termination_wait);
    bool waits = v->config->kind == SHIFT_FORWARD && !v->row->is_continued;
    return waits && v->now.us < end.us ? stay_until(end) : move_to(SHIFT_TERMINATING);
}

static struct shift_decision decide_terminating(const struct view *v)
{
    const struct shift_side *from = side_of(v, from_side(v));
    if (!from->is_there || is_over(v)) {
        return move_to(SHIFT_DONE);
    }
    bool carries = weight_of(v->sight->production, from_side(v)) > 0 || !v->sight->is_published;
    if (from->is_leaving || carries) {
        return stay_until(limit_at(v));
    }
    return perform(SHIFT_REMOVE, from_side(v));
}

/* ---- going back ----------------------------------------------------------------------------- */

static bool rolls_back(const struct view *v)
{
    if (v->config->kind == SHIFT_BACK) {
        return false;
    }
    switch (v->row->cause) {
    case SHIFT_CAUSE_ALARM:
        return v->config->rolls_back_on_alarm;
    case SHIFT_CAUSE_STOP:
    case SHIFT_CAUSE_READY_TIMEOUT:
        return v->config->rolls_back_on_stop;
    case SHIFT_CAUSE_SERVICE_GONE:
        return false;
    case SHIFT_CAUSE_REFUSED:
        /* refused before anything was made: there is nothing to take back */
        return v->config->rolls_back_on_failure && v->sight->green.is_there;
    case SHIFT_CAUSE_NONE:
    case SHIFT_CAUSE_HOOK_FAILED:
    case SHIFT_CAUSE_HOOK_TIMEOUT:
    case SHIFT_CAUSE_TASKS_FAILED:
    case SHIFT_CAUSE_TIMEOUT:
    case SHIFT_CAUSE_LOST:
    default:
        return v->config->rolls_back_on_failure;
    }
}

static struct shift_decision end(const struct view *v)
{
    enum shift_cause cause = v->row->cause;
    bool is_stopped = cause == SHIFT_CAUSE_ALARM || cause == SHIFT_CAUSE_STOP ||
                      cause == SHIFT_CAUSE_READY_TIMEOUT;
    struct shift_decision d = move_to(is_stopped ? SHIFT_STOPPED : SHIFT_FAILED);
    d.is_rollback_due = v->row->state == SHIFT_RESTORING && rolls_back(v);
    return d;
}

/* Is production ours to set? Before SHIFTING it stays as it was found; going back is all that a
 * rollback deployment is for. */
static bool has_shifted(const struct view *v)
{
    return v->config->kind == SHIFT_BACK || shift_entered_at(v->row, SHIFT_SHIFTING).us != 0;
}

/* What a failure leaves to do on the routes, first things first; false: nothing. */
static bool needs_restoring(const struct view *v, struct shift_decision *ret_decision)
{
    const struct shift_sight *s = v->sight;
    struct shift_weights wanted = safe(shift_weights_of(0), s);
    if (!s->is_service_there) {
        return false;
    }
    if (has_shifted(v) && !is_same(s->production, wanted)) {
        *ret_decision = set_weights(SHIFT_SET_PRODUCTION, wanted);
        return true;
    }
    bool was_tested = shift_entered_at(v->row, SHIFT_TEST_TRAFFIC).us != 0;
    if (was_tested && v->config->has_test_route && !is_same(s->test, wanted)) {
        *ret_decision = set_weights(SHIFT_SET_TEST, wanted);
        return true;
    }
    if (has_shifted(v) && wanted.blue > 0 && s->blue.is_there && !s->blue.is_leaving &&
        !s->blue.is_primary) {
        *ret_decision = perform(SHIFT_SET_PRIMARY, SHIFT_BLUE);
        return true;
    }
    return false;
}

static struct shift_decision decide_restoring(const struct view *v)
{
    struct shift_decision d;
    bool is_late = is_over(v);
    if (!is_late && needs_restoring(v, &d)) {
        return d;
    }
    if (!is_late && !v->sight->is_published && v->sight->is_service_there) {
        return stay_until(limit_at(v));
    }
    return rolls_back(v) ? end(v) : move_to(SHIFT_CLEARING);
}

static struct shift_decision decide_clearing(const struct view *v)
{
    const struct shift_sight *s = v->sight;
    struct shift_decision d;
    if (is_over(v) || !s->is_service_there || !s->green.is_there) {
        return end(v);
    }
    if (needs_restoring(v, &d)) {
        return d; /* blue came back meanwhile */
    }
    bool carries = s->production.green > 0 || !s->is_published;
    bool may_come_back = s->blue.is_there && !s->blue.is_leaving;
    if (s->production.green > 0 && !may_come_back) {
        return end(v); /* green is all there is */
    }
    if (s->green.is_leaving || carries) {
        return stay_until(limit_at(v));
    }
    return perform(SHIFT_REMOVE, SHIFT_GREEN);
}

/* ---- the table ------------------------------------------------------------------------------ */

static struct shift_decision decide_state(const struct view *v)
{
    struct shift_decision d;
    bool is_hopeless =
        v->row->is_refused || wall_since(v->now, v->row->created_at).us >= 2 * whole_limit().us;
    bool is_given_up = v->row->state == SHIFT_TERMINATING && is_over(v) && is_hopeless;
    if (is_shift_behind(v->row->state) && !is_given_up && needs_weights(v, &d)) {
        return d;
    }
    switch (v->row->state) {
    case SHIFT_CREATED:
        return move_to(SHIFT_BEFORE_INSTALL);
    case SHIFT_BEFORE_INSTALL:
        return decide_hook(v, SHIFT_INSTALLING);
    case SHIFT_INSTALLING:
        return decide_installing(v);
    case SHIFT_AFTER_INSTALL:
        return decide_hook(v, SHIFT_TEST_TRAFFIC);
    case SHIFT_TEST_TRAFFIC:
        return decide_test_traffic(v);
    case SHIFT_AFTER_TEST_TRAFFIC:
        return decide_after_test_traffic(v);
    case SHIFT_READY_WAIT:
        return decide_ready_wait(v);
    case SHIFT_BEFORE_ALLOW:
        return decide_hook(v, SHIFT_SHIFTING);
    case SHIFT_SHIFTING:
        return decide_shifting(v);
    case SHIFT_AFTER_ALLOW:
        return decide_after_allow(v);
    case SHIFT_TERMINATION_WAIT:
        return decide_termination_wait(v);
    case SHIFT_TERMINATING:
        return decide_terminating(v);
    case SHIFT_RESTORING:
        return decide_restoring(v);
    case SHIFT_CLEARING:
        return decide_clearing(v);
    case SHIFT_DONE:
    case SHIFT_FAILED:
    case SHIFT_STOPPED:
    case SHIFT_STATE_COUNT:
    default:
        return stay_until((wall_t){0});
    }
}

static wall_t earlier(wall_t a, wall_t b)
{
    return a.us == 0 || (b.us != 0 && b.us < a.us) ? b : a;
}

struct shift_decision shift_decide(const struct shift_row *row, const struct shift_config *c,
                                   const struct shift_sight *sight, wall_t now)
{
    CHECK(c->step_count >= 1 && c->steps[c->step_count - 1].permille == 1000);
    struct view v = {.row = row, .config = c, .sight = sight, .now = now};
    if (shift_is_final(row->state)) {
        return stay_until((wall_t){0});
    }
    if (now.us < row->entered_at.us || now.us < row->step_at.us) {
        /* the wall clock was set back: waiting for it to catch up would have no limit */
        struct shift_decision d = move_to(row->state);
        d.is_rebase = true;
        return d;
    }
    bool is_ending = row->state == SHIFT_RESTORING || row->state == SHIFT_CLEARING;
    enum shift_cause cause = is_ending ? SHIFT_CAUSE_NONE : find_cause(&v);
    if (cause != SHIFT_CAUSE_NONE) {
        return fail(cause);
    }
    struct shift_decision d = decide_state(&v);
    if (d.what == SHIFT_MOVE || is_ending) {
        return d;
    }
    cause = cause_by_time(&v);
    if (cause != SHIFT_CAUSE_NONE) {
        return fail(cause);
    }
    if (d.what == SHIFT_STAY && !is_shift_behind(row->state)) {
        d.wake_at = earlier(d.wake_at, wall_add(row->created_at, whole_limit()));
    }
    return d;
}

/* ---- the row -------------------------------------------------------------------------------- */

static void remember(struct shift_row *row, wall_t now)
{
    if (row->history_count < SHIFT_HISTORY_MAX) {
        row->history[row->history_count++] = (struct shift_moment){.state = row->state, .at = now};
    }
}

struct shift_row shift_row_new(wall_t now)
{
    struct shift_row row = {.state = SHIFT_CREATED, .created_at = now, .entered_at = now};
    remember(&row, now);
    return row;
}

void shift_apply(struct shift_row *row, const struct shift_decision *d, wall_t now)
{
    CHECK(d->what == SHIFT_MOVE);
    if (d->is_rebase) {
        row->entered_at = row->entered_at.us > now.us ? now : row->entered_at;
        row->step_at = row->step_at.us > now.us ? now : row->step_at;
        row->created_at = row->created_at.us > now.us ? now : row->created_at;
        row->step_begun_at = row->step_begun_at.us > now.us ? now : row->step_begun_at;
        return;
    }
    CHECK(shift_may_move(row->state, d->next));
    if (d->next == SHIFT_SHIFTING && row->state == SHIFT_SHIFTING) {
        if (d->is_acknowledged) {
            row->step_at = now;
        } else {
            row->step++;
            row->step_begun_at = now;
            row->step_at = (wall_t){0};
        }
        return;
    }
    if (d->next == SHIFT_RESTORING) {
        row->cause = d->cause;
        row->failed_in = row->state;
    }
    row->state = d->next;
    row->entered_at = now;
    row->step_begun_at = now;
    row->step_at = (wall_t){0};
    row->is_continued = false;
    remember(row, now);
}

wall_t shift_entered_at(const struct shift_row *row, enum shift_state state)
{
    for (size_t i = 0; i < row->history_count; i++) {
        if (row->history[i].state == state) {
            return row->history[i].at;
        }
    }
    return (wall_t){0};
}
