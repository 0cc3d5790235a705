#include "world.h"

#include "test.h"

#include "base/check.h"

#include <stdio.h>

#define TURNS_MAX 64

uint64_t world_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

void world_init(struct world *w, int32_t desired, int32_t minimum, int32_t maximum)
{
    *w = (struct world){.now = {.us = 1700000000000000}};
    arena_init(&w->arena);
    w->config = (struct rollout_config){
        .desired_count = desired,
        .minimum_healthy_percent = minimum,
        .maximum_percent = maximum,
        .breaker = {.threshold = ROLLOUT_BOUNDED_PERCENT, .threshold_value = 50},
        .spans = rollout_spans(DUR_S(0), DUR_S(0)),
    };
}

void world_fini(struct world *w)
{
    arena_fini(&w->arena);
}

static struct world_deployment *add_deployment(struct world *w, enum world_image image)
{
    CHECK(w->deployment_count < WORLD_DEPLOYMENTS_MAX);
    struct world_deployment *d = &w->deployments[w->deployment_count++];
    d->image = image;
    return d;
}

static struct str next_id(struct world *w)
{
    return arena_printf(&w->arena, "ecs-svc/%019zu", w->deployment_count + 1);
}

struct world_deployment *world_primary(struct world *w)
{
    for (size_t i = 0; i < w->deployment_count; i++) {
        if (w->deployments[i].row.status == ROLLOUT_PRIMARY) {
            return &w->deployments[i];
        }
    }
    return NULL;
}

struct world_deployment *world_find(struct world *w, struct str id)
{
    for (size_t i = 0; i < w->deployment_count; i++) {
        if (str_equal(w->deployments[i].row.id, id)) {
            return &w->deployments[i];
        }
    }
    UNREACHABLE("no such deployment");
}

void world_deploy(struct world *w, enum world_image image)
{
    struct world_deployment *before = world_primary(w);
    if (before != NULL) {
        before->row.status = ROLLOUT_ACTIVE;
    }
    struct str id = next_id(w);
    add_deployment(w, image)->row = rollout_deployment_begin(&w->arena, id, w->now);
    rollout_memory_update(&w->memory);
}

size_t world_count(const struct world *w, enum rollout_life life)
{
    size_t count = 0;
    for (size_t i = 0; i < w->task_count; i++) {
        count += w->tasks[i].life == life;
    }
    return count;
}

size_t world_count_of(const struct world *w, struct str deployment_id, enum rollout_life life)
{
    size_t count = 0;
    for (size_t i = 0; i < w->task_count; i++) {
        count += w->tasks[i].life == life && str_equal(w->tasks[i].deployment_id, deployment_id);
    }
    return count;
}

size_t world_healthy(const struct world *w)
{
    size_t count = 0;
    for (size_t i = 0; i < w->task_count; i++) {
        count += rollout_task_is_healthy(&w->config, &w->tasks[i], w->now);
    }
    return count;
}

size_t world_said(const struct world *w, const char *text)
{
    size_t count = 0;
    size_t kept = w->event_count < WORLD_EVENTS_MAX ? w->event_count : WORLD_EVENTS_MAX;
    for (size_t i = 0; i < kept; i++) {
        count += str_find(w->events[i], str_of(text), 0) != STR_NOT_FOUND;
    }
    return count;
}

/* ---- the promises --------------------------------------------------------------------------- */

static void check_plan(const struct world *w, const struct rollout_plan *p)
{
    size_t present = w->task_count - world_count(w, ROLLOUT_STOPPED);
    size_t healthy = world_healthy(w);
    size_t healthy_stops = 0;
    size_t starts = 0;
    for (size_t i = 0; i < p->effects.count; i++) {
        const struct rollout_effect *e = &p->effects.items[i];
        if (e->kind == ROLLOUT_START) {
            starts += e->count;
        }
        if (e->kind == ROLLOUT_STOP) {
            const struct rollout_task *t = &w->tasks[e->task];
            EXPECT(!t->is_stop_decided);
            EXPECT(t->life == ROLLOUT_STARTING || t->life == ROLLOUT_RUNNING);
            healthy_stops += rollout_task_is_healthy(&w->config, t, w->now);
        }
    }
    /* said again here, in other words than the code under test */
    int64_t percent_lower = (int64_t)w->config.desired_count * w->config.minimum_healthy_percent;
    size_t lower = (size_t)(percent_lower / 100 + (percent_lower % 100 != 0));
    size_t upper = (size_t)((int64_t)w->config.desired_count * w->config.maximum_percent / 100);
    if (healthy_stops > 0) {
        EXPECT(healthy - healthy_stops >= lower);
    }
    if (starts > 0) {
        EXPECT(present + starts <= upper);
    }
}

static void check_same(const struct rollout_plan *a, const struct rollout_plan *b)
{
    REQUIRE_EQ(a->effects.count, b->effects.count);
    EXPECT_EQ(a->wake_at.us, b->wake_at.us);
    for (size_t i = 0; i < a->effects.count; i++) {
        EXPECT_EQ(a->effects.items[i].kind, b->effects.items[i].kind);
        EXPECT_EQ(a->effects.items[i].task, b->effects.items[i].task);
        EXPECT_EQ(a->effects.items[i].count, b->effects.items[i].count);
        EXPECT_STR_EQ(a->effects.items[i].text, b->effects.items[i].text);
    }
}

/* ---- one turn ------------------------------------------------------------------------------- */

static void start_task(struct world *w, struct str deployment_id)
{
    /* gone and counted ones make room */
    size_t kept = 0;
    for (size_t i = 0; i < w->task_count; i++) {
        bool is_done =
            w->tasks[i].life == ROLLOUT_STOPPED && (w->tasks[i].marks & ROLLOUT_MARK_COUNTED) != 0;
        if (!is_done || w->task_count < WORLD_TASKS_MAX / 2) {
            w->tasks[kept++] = w->tasks[i];
        }
    }
    w->task_count = kept;
    CHECK(w->task_count < WORLD_TASKS_MAX);
    w->tasks[w->task_count++] = (struct rollout_task){
        .id = arena_printf(&w->arena, "t%zu", ++w->ever_count),
        .deployment_id = deployment_id,
        .life = ROLLOUT_STARTING,
        .created_at = w->now,
    };
}

static void roll_back(struct world *w, const struct rollout_effect *e)
{
    enum world_image image = world_find(w, e->from_id)->image;
    struct world_deployment *d = add_deployment(w, image);
    d->row = e->deployment;
    d->row.id = arena_str(&w->arena, e->deployment.id);
    d->row.reason = arena_str(&w->arena, e->deployment.reason);
    for (size_t i = 0; i < w->task_count; i++) {
        if (str_equal(w->tasks[i].deployment_id, e->from_id)) {
            w->tasks[i].deployment_id = d->row.id;
        }
    }
    w->is_stop_requested = false;
}

static void apply_effect(struct world *w, const struct rollout_effect *e)
{
    switch (e->kind) {
    case ROLLOUT_START:
        w->starts_seen += e->count;
        for (size_t i = 0; i < e->count; i++) {
            start_task(w, world_primary(w)->row.id);
        }
        break;
    case ROLLOUT_STOP:
        w->stops_seen++;
        break;
    case ROLLOUT_SAY:
        w->events[w->event_count++ % WORLD_EVENTS_MAX] =
            rollout_event_text(&w->arena, STR("web"), &e->event);
        break;
    case ROLLOUT_ROLL_BACK:
        roll_back(w, e);
        break;
    }
}

static void apply(struct world *w, const size_t *shown, const struct rollout_sight *s,
                  const struct rollout_plan *p)
{
    for (size_t i = 0; i < s->deployment_count; i++) {
        struct rollout_deployment *row = &w->deployments[shown[i]].row;
        bool was_completed = row->state == ROLLOUT_COMPLETED;
        *row = p->deployments[i].row;
        row->reason = arena_str(&w->arena, row->reason);
        if (row->state == ROLLOUT_COMPLETED && !was_completed) {
            w->last_completed_id = row->id;
        }
    }
    for (size_t i = 0; i < s->task_count; i++) {
        w->tasks[i].marks = p->marks[i];
    }
    w->memory = p->memory;
    for (size_t i = 0; i < p->effects.count; i++) {
        const struct rollout_effect *e = &p->effects.items[i];
        if (e->kind == ROLLOUT_STOP) { /* before starts move the tasks */
            w->tasks[e->task].is_stop_decided = true;
            w->tasks[e->task].life = ROLLOUT_STOPPING;
        }
    }
    for (size_t i = 0; i < p->effects.count; i++) {
        apply_effect(w, &p->effects.items[i]);
    }
}

static bool turn(struct world *w)
{
    struct rollout_deployment rows[WORLD_DEPLOYMENTS_MAX];
    size_t shown[WORLD_DEPLOYMENTS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < w->deployment_count; i++) {
        if (w->deployments[i].row.status != ROLLOUT_INACTIVE) {
            shown[count] = i;
            rows[count++] = w->deployments[i].row;
        }
    }
    char next[32];
    (void)snprintf(next, sizeof(next), "ecs-svc/%019zu", w->deployment_count + 1);
    struct rollout_sight s = {
        .config = w->config,
        .deployments = rows,
        .deployment_count = count,
        .tasks = w->tasks,
        .task_count = w->task_count,
        .memory = w->memory,
        .last_completed_id = w->last_completed_id,
        .next_deployment_id = str_of(next),
        .runtime_fault = w->runtime_fault,
        .is_stop_requested = w->is_stop_requested,
    };
    struct arena first;
    struct arena second;
    arena_init(&first);
    arena_init(&second);
    struct rollout_plan p = rollout_service_decide(&first, &s, w->now);
    struct rollout_plan q = rollout_service_decide(&second, &s, w->now);
    check_same(&p, &q);
    check_plan(w, &p);
    if (p.is_changed) {
        apply(w, shown, &s, &p);
    }
    w->wake_at = p.wake_at;
    bool is_changed = p.is_changed;
    arena_fini(&first);
    arena_fini(&second);
    return is_changed;
}

void world_settle(struct world *w)
{
    for (int i = 0; turn(w); i++) {
        REQUIRE(i < TURNS_MAX);
    }
    EXPECT(w->wake_at.us == 0 || w->wake_at.us > w->now.us);
}

void world_advance(struct world *w, dur_t by)
{
    w->now = wall_add(w->now, by);
    world_settle(w);
}

/* ---- tasks ---------------------------------------------------------------------------------- */

static void set_verdicts(const struct world *w, struct rollout_task *t, bool is_good)
{
    for (size_t i = 0; i < w->config.group_count; i++) {
        t->targets[i] = is_good ? ROLLOUT_TARGET_HEALTHY : ROLLOUT_TARGET_UNHEALTHY;
        t->target_reasons[i] =
            is_good ? STR_NONE : STR("Health checks failed with these codes: [404]");
    }
    if (w->config.has_container_check) {
        t->container = is_good ? ROLLOUT_CONTAINER_HEALTHY : ROLLOUT_CONTAINER_UNHEALTHY;
    }
}

static void progress_task(struct world *w, struct rollout_task *t)
{
    enum world_image image = world_find(w, t->deployment_id)->image;
    switch (t->life) {
    case ROLLOUT_STARTING:
        if (image == WORLD_NEVER_RUNS) {
            t->life = ROLLOUT_STOPPED;
        } else {
            t->life = ROLLOUT_RUNNING;
            t->started_at = w->now;
        }
        break;
    case ROLLOUT_RUNNING:
        if (image == WORLD_EXITS_AT_ONCE) {
            t->life = ROLLOUT_STOPPED;
        } else {
            set_verdicts(w, t, image == WORLD_GOOD);
        }
        break;
    case ROLLOUT_STOPPING:
        t->life = ROLLOUT_STOPPED;
        break;
    case ROLLOUT_STOPPED:
        break;
    }
}

void world_progress(struct world *w, uint64_t *random, int share)
{
    for (size_t i = 0; i < w->task_count; i++) {
        if ((int)(world_random(random) % 100) < share) {
            progress_task(w, &w->tasks[i]);
        }
    }
}
