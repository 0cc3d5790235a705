#include "rollout/service.h"

#include "base/check.h"
#include "rollout/crew.h"
#include "rollout/notes.h"

#define BREAKER_BOUND_MIN 3
#define BREAKER_BOUND_MAX 200

/* ---- numbers -------------------------------------------------------------------------------- */

struct rollout_spans rollout_spans(dur_t grace, dur_t bake)
{
    return (struct rollout_spans){
        .settle = dur_scaled(DUR_S(40)),
        .retry = dur_scaled(DUR_S(10)),
        .backoff_first = dur_scaled(DUR_S(10)),
        .backoff_most = dur_scaled(DUR_MIN(15)),
        .repeat = dur_scaled(DUR_MIN(360)),
        .place = dur_scaled(DUR_S(10)),
        .grace = grace,
        .bake = bake,
    };
}

static int32_t to_count(int64_t n)
{
    return n > INT32_MAX ? INT32_MAX : (int32_t)n;
}

static int64_t percent_up(int32_t count, int32_t percent)
{
    return ((int64_t)count * percent + 99) / 100;
}

int32_t rollout_lower_bound(const struct rollout_config *c)
{
    int32_t lower = to_count(percent_up(c->desired_count, c->minimum_healthy_percent));
    return lower < c->desired_count ? lower : c->desired_count;
}

int32_t rollout_upper_bound(const struct rollout_config *c)
{
    return to_count((int64_t)c->desired_count * c->maximum_percent / 100);
}

int32_t rollout_breaker_threshold(const struct rollout_breaker *b, int32_t desired_count)
{
    int32_t share = to_count(percent_up(desired_count, b->threshold_value));
    switch (b->threshold) {
    case ROLLOUT_COUNT:
        return b->threshold_value;
    case ROLLOUT_UNBOUNDED_PERCENT:
        return share < 1 ? 1 : share;
    case ROLLOUT_BOUNDED_PERCENT:
    default:
        if (share < BREAKER_BOUND_MIN) {
            return BREAKER_BOUND_MIN;
        }
        return share > BREAKER_BOUND_MAX ? BREAKER_BOUND_MAX : share;
    }
}

enum rollout_watch rollout_breaker_watch(const struct rollout_breaker *b,
                                         const struct rollout_deployment *d)
{
    if (d->failure == ROLLOUT_FAILURE_BREAKER) {
        return ROLLOUT_WATCH_TRIGGERED;
    }
    if (!b->is_enabled || d->is_rollback) {
        return ROLLOUT_WATCH_DISABLED;
    }
    return d->state == ROLLOUT_IN_PROGRESS ? ROLLOUT_WATCH_MONITORING
                                           : ROLLOUT_WATCH_MONITORING_COMPLETE;
}

struct rollout_deployment rollout_deployment_begin(struct arena *a, struct str id, wall_t now)
{
    return (struct rollout_deployment){
        .id = id,
        .status = ROLLOUT_PRIMARY,
        .state = ROLLOUT_IN_PROGRESS,
        .reason = arena_printf(a, "ECS deployment %.*s in progress.", STR_ARG(id)),
        .created_at = now,
        .updated_at = now,
    };
}

void rollout_memory_update(struct rollout_memory *m)
{
    m->start_failures = 0;
    m->start_failed_at = (wall_t){0};
    m->ended_early_at = (wall_t){0};
    m->impaired_said_at = (wall_t){0};
}

/* ---- one decision --------------------------------------------------------------------------- */

struct turn {
    struct arena *arena;
    const struct rollout_sight *sight;
    wall_t now;
    struct crew crew;
    struct rollout_plan plan;
    struct rollout_deployment_next *primary;
};

static void touch(struct turn *t, struct rollout_deployment_next *d)
{
    d->is_changed = true;
    d->row.updated_at = t->now;
}

static void say(struct turn *t, enum rollout_event_kind kind, struct str deployment_id)
{
    effects_say(t->arena, &t->plan.effects,
                &(struct rollout_event){.kind = kind, .deployment_id = deployment_id});
}

static size_t find_deployment(const struct turn *t, struct str id)
{
    size_t i = 0;
    while (i < t->sight->deployment_count && !str_equal(t->sight->deployments[i].id, id)) {
        i++;
    }
    return i;
}

/* Of the healthy tasks of older deployments the failed one's go first, then those of deployments
 * that were never completed, then the proven. */
static int stop_rank(const struct turn *t, size_t deployment)
{
    if (deployment == t->sight->deployment_count) {
        return 0;
    }
    switch (t->sight->deployments[deployment].state) {
    case ROLLOUT_FAILED:
        return 1;
    case ROLLOUT_IN_PROGRESS:
        return 2;
    case ROLLOUT_COMPLETED:
    default:
        return 3;
    }
}

static void look(struct turn *t)
{
    const struct rollout_sight *s = t->sight;
    t->crew = (struct crew){
        .config = &s->config, .tasks = s->tasks, .count = s->task_count, .now = t->now};
    t->crew.members = ARENA_ARRAY(t->arena, struct crew_member, s->task_count + 1);
    t->plan.marks = ARENA_ARRAY(t->arena, uint32_t, s->task_count + 1);
    for (size_t i = 0; i < s->task_count; i++) {
        size_t deployment = find_deployment(t, s->tasks[i].deployment_id);
        t->plan.marks[i] = s->tasks[i].marks;
        t->crew.members[i] = (struct crew_member){
            .task = i,
            .class = crew_classify(&s->config, &s->tasks[i], t->now),
            .is_primary = deployment < s->deployment_count &&
                          s->deployments[deployment].status == ROLLOUT_PRIMARY,
            .stop_rank = stop_rank(t, deployment),
        };
    }
    crew_tally(&t->crew);
}

static void open_turn(struct turn *t)
{
    const struct rollout_sight *s = t->sight;
    size_t primary_count = 0;
    t->plan.memory = s->memory;
    t->plan.deployments =
        ARENA_ARRAY(t->arena, struct rollout_deployment_next, s->deployment_count + 1);
    for (size_t i = 0; i < s->deployment_count; i++) {
        t->plan.deployments[i].row = s->deployments[i];
        if (s->deployments[i].status == ROLLOUT_PRIMARY) {
            primary_count++;
            t->primary = &t->plan.deployments[i];
        }
    }
    CHECK(primary_count == 1);
}

static bool is_watched(const struct turn *t)
{
    return t->primary->row.state == ROLLOUT_IN_PROGRESS && !t->primary->row.is_rollback;
}

static void note_tasks(struct turn *t)
{
    struct rollout_deployment *p = &t->primary->row;
    struct notes n = notes_take(&t->crew, t->plan.marks, &t->plan.memory);
    if (n.is_one_running && !p->has_run) {
        p->has_run = true;
        t->primary->is_changed = true;
    }
    if (p->state != ROLLOUT_IN_PROGRESS) {
        return;
    }
    int32_t failed_count = p->failed_count + n.failed_count;
    if (n.is_one_healthy && !t->sight->config.breaker.is_cumulative) {
        failed_count = 0;
    }
    if (failed_count != p->failed_count) {
        p->failed_count = failed_count;
        t->primary->is_changed = true;
    }
}

/* ---- failure and rollback ------------------------------------------------------------------- */

static bool is_alarm_raised(const struct rollout_config *c)
{
    for (size_t i = 0; c->are_alarms_enabled && i < c->alarm_count; i++) {
        if (c->alarms[i].is_in_alarm && !c->alarms[i].was_at_start) {
            return true;
        }
    }
    return false;
}

static enum rollout_failure find_failure(const struct turn *t)
{
    const struct rollout_config *c = &t->sight->config;
    const struct rollout_deployment *p = &t->primary->row;
    if (t->sight->is_stop_requested && p->state == ROLLOUT_IN_PROGRESS) {
        return ROLLOUT_FAILURE_STOPPED;
    }
    if (!is_watched(t)) {
        return ROLLOUT_FAILURE_NONE;
    }
    if (c->breaker.is_enabled &&
        p->failed_count >= rollout_breaker_threshold(&c->breaker, c->desired_count)) {
        return ROLLOUT_FAILURE_BREAKER;
    }
    return is_alarm_raised(c) ? ROLLOUT_FAILURE_ALARM : ROLLOUT_FAILURE_NONE;
}

struct failure_row {
    const char *failed_reason;
    const char *rollback_prefix;
};

/* AWS's texts for the breaker; for alarms and stops its wording is not known (aws-semantics 1.8),
 * ours follows the pattern. */
static const struct failure_row failure_rows[] = {
    [ROLLOUT_FAILURE_BREAKER] = {"ECS deployment circuit breaker: tasks failed to start.",
                                 "ECS deployment circuit breaker"},
    [ROLLOUT_FAILURE_ALARM] = {"ECS deployment alarm: alarm detected.", "ECS deployment alarm"},
    [ROLLOUT_FAILURE_STOPPED] = {"ECS deployment stopped: rollback requested.",
                                 "ECS deployment stopped"},
};

static bool may_roll_back(const struct turn *t, enum rollout_failure failure)
{
    const struct rollout_config *c = &t->sight->config;
    return failure == ROLLOUT_FAILURE_STOPPED ||
           (failure == ROLLOUT_FAILURE_BREAKER && c->breaker.may_roll_back) ||
           (failure == ROLLOUT_FAILURE_ALARM && c->may_alarms_roll_back);
}

static void begin_rollback(struct turn *t, enum rollout_failure failure)
{
    const struct rollout_sight *s = t->sight;
    CHECK(str_is_set(s->next_deployment_id));
    struct rollout_deployment d = rollout_deployment_begin(t->arena, s->next_deployment_id, t->now);
    d.is_rollback = true;
    d.reason = arena_printf(t->arena, "%s: rolling back to deploymentId %.*s.",
                            failure_rows[failure].rollback_prefix, STR_ARG(s->last_completed_id));
    t->primary->row.status = ROLLOUT_ACTIVE;
    size_t from = find_deployment(t, s->last_completed_id);
    if (from < s->deployment_count) {
        t->plan.deployments[from].row.status = ROLLOUT_INACTIVE;
        touch(t, &t->plan.deployments[from]);
    }
    rollout_memory_update(&t->plan.memory);
    *ARENA_PUSH(t->arena, &t->plan.effects) = (struct rollout_effect){
        .kind = ROLLOUT_ROLL_BACK, .deployment = d, .from_id = s->last_completed_id};
    say(t, ROLLOUT_EVENT_ROLLING_BACK, s->last_completed_id);
}

/* True when a rollback begins: then this turn does nothing else. */
static bool fail_if_due(struct turn *t)
{
    enum rollout_failure failure = find_failure(t);
    if (failure == ROLLOUT_FAILURE_NONE) {
        return false;
    }
    struct rollout_deployment *p = &t->primary->row;
    struct str candidate = t->sight->last_completed_id;
    p->state = ROLLOUT_FAILED;
    p->failure = failure;
    p->reason = str_of(failure_rows[failure].failed_reason);
    p->has_candidate = str_is_set(candidate) && !str_equal(candidate, p->id);
    touch(t, t->primary);
    if (failure == ROLLOUT_FAILURE_BREAKER) {
        say(t, ROLLOUT_EVENT_BREAKER, p->id);
    } else if (failure == ROLLOUT_FAILURE_ALARM) {
        say(t, ROLLOUT_EVENT_ALARM, p->id);
    }
    if (!may_roll_back(t, failure) || !p->has_candidate) {
        return false;
    }
    begin_rollback(t, failure);
    return true;
}

/* ---- completion ----------------------------------------------------------------------------- */

static void retire_empty(struct turn *t)
{
    for (size_t i = 0; i < t->sight->deployment_count; i++) {
        struct rollout_deployment_next *d = &t->plan.deployments[i];
        if (d->row.status != ROLLOUT_ACTIVE) {
            continue;
        }
        bool is_empty = true;
        for (size_t task = 0; task < t->sight->task_count && is_empty; task++) {
            is_empty = t->crew.members[task].class == CREW_GONE ||
                       !str_equal(t->sight->tasks[task].deployment_id, d->row.id);
        }
        if (is_empty) {
            d->row.status = ROLLOUT_INACTIVE;
            touch(t, d);
        }
    }
}

static void complete_if_due(struct turn *t)
{
    struct rollout_deployment *p = &t->primary->row;
    if (p->state != ROLLOUT_IN_PROGRESS || !crew_is_in_place(&t->crew)) {
        return;
    }
    if (p->settled_at.us == 0) {
        p->settled_at = t->now;
        t->primary->is_changed = true;
    }
    dur_t bake = t->sight->config.are_alarms_enabled ? t->sight->config.spans.bake : DUR_S(0);
    if (!crew_has_passed(p->settled_at, bake, t->now)) {
        t->plan.wake_at = crew_earlier(t->plan.wake_at, wall_add(p->settled_at, bake));
        return;
    }
    p->state = ROLLOUT_COMPLETED;
    p->reason = arena_printf(t->arena, "ECS deployment %.*s completed.", STR_ARG(p->id));
    touch(t, t->primary);
    say(t, ROLLOUT_EVENT_COMPLETED, p->id);
}

/* ---- capacity ------------------------------------------------------------------------------- */

static void say_if_due(struct turn *t, bool stands, wall_t *said_at,
                       const struct rollout_event *event)
{
    if (notes_is_due(stands, said_at, t->sight->config.spans.repeat, t->now, &t->plan.wake_at)) {
        effects_say(t->arena, &t->plan.effects, event);
    }
}

static void move_capacity(struct turn *t)
{
    const struct rollout_config *c = &t->sight->config;
    struct rollout_memory *memory = &t->plan.memory;
    struct rollout_deployment *p = &t->primary->row;
    wall_t throttled_until = {0};
    bool is_away = str_is_set(t->sight->runtime_fault);
    bool is_throttled = !notes_may_start(memory, &c->spans, t->now, &throttled_until);
    struct crew_room room = {
        .lower = rollout_lower_bound(c),
        .upper = rollout_upper_bound(c),
        .may_start = !is_away && !is_throttled,
        .is_frozen = p->state == ROLLOUT_FAILED,
    };
    struct crew_moves moves = crew_plan(t->arena, &t->crew, &room);
    effects_unhealthy(t->arena, &t->plan.effects, &t->crew, t->plan.marks);
    effects_start(t->arena, &t->plan.effects, p->id, moves.start_count);
    effects_stop(t->arena, &t->plan.effects, &t->crew, p->id);
    int32_t bad_count = notes_count_bad_stops(&t->crew, t->plan.marks);
    if (bad_count > 0 && p->state == ROLLOUT_IN_PROGRESS) {
        p->failed_count += bad_count;
        t->primary->is_changed = true;
    }
    if (moves.wants_start && is_throttled) {
        t->plan.wake_at = crew_earlier(t->plan.wake_at, throttled_until);
    }
    if (moves.wants_start && is_away) {
        t->plan.wake_at = crew_earlier(t->plan.wake_at, wall_add(t->now, c->spans.place));
    }
    say_if_due(t, moves.wants_start && is_away, &memory->unplaceable_said_at,
               &(struct rollout_event){.kind = ROLLOUT_EVENT_UNPLACEABLE,
                                       .reason = t->sight->runtime_fault});
    say_if_due(t, notes_is_impaired(memory), &memory->impaired_said_at,
               &(struct rollout_event){.kind = ROLLOUT_EVENT_IMPAIRED});
    say_if_due(t, moves.is_stuck, &memory->stuck_said_at,
               &(struct rollout_event){.kind = ROLLOUT_EVENT_STUCK});
    bool is_steady = p->state == ROLLOUT_COMPLETED && crew_is_in_place(&t->crew);
    say_if_due(t, is_steady, &memory->steady_said_at,
               &(struct rollout_event){.kind = ROLLOUT_EVENT_STEADY});
}

static void close_turn(struct turn *t)
{
    const struct rollout_sight *s = t->sight;
    bool is_changed =
        t->plan.effects.count > 0 || !notes_is_memory_equal(&s->memory, &t->plan.memory);
    for (size_t i = 0; i < s->deployment_count; i++) {
        is_changed = is_changed || t->plan.deployments[i].is_changed;
    }
    for (size_t i = 0; i < s->task_count; i++) {
        is_changed = is_changed || t->plan.marks[i] != s->tasks[i].marks;
    }
    t->plan.is_changed = is_changed;
    t->plan.wake_at = is_changed ? t->now : crew_earlier(t->plan.wake_at, crew_wake_at(&t->crew));
}

struct rollout_plan rollout_service_decide(struct arena *a, const struct rollout_sight *s,
                                           wall_t now)
{
    CHECK(s->config.desired_count >= 0);
    CHECK(s->config.group_count <= ROLLOUT_GROUPS_MAX);
    struct turn t = {.arena = a, .sight = s, .now = now};
    open_turn(&t);
    look(&t);
    note_tasks(&t);
    if (!fail_if_due(&t)) {
        retire_empty(&t);
        complete_if_due(&t);
        move_capacity(&t);
    }
    close_turn(&t);
    return t.plan;
}
