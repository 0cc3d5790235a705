/* A task set is a service that has one deployment and keeps a number of tasks (aws-semantics 1.15).
 * Its replacements start first, in room of as many again. */

#include "rollout/crew.h"
#include "rollout/notes.h"
#include "rollout/service.h"

#include "base/check.h"

#include <math.h>

int32_t rollout_task_set_count(int32_t desired_count, double scale_percent)
{
    /* rounded to a billionth first: 100 * 0.07 is a hair above 7 */
    double exact = (double)desired_count * scale_percent / 100.0;
    return (int32_t)ceil(round(exact * 1e9) / 1e9);
}

static struct crew look(struct arena *a, const struct rollout_task_set_sight *s, uint32_t *marks,
                        wall_t now)
{
    struct crew crew = {
        .config = &s->config, .tasks = s->tasks, .count = s->task_count, .now = now};
    crew.members = ARENA_ARRAY(a, struct crew_member, s->task_count + 1);
    for (size_t i = 0; i < s->task_count; i++) {
        marks[i] = s->tasks[i].marks;
        crew.members[i] = (struct crew_member){
            .task = i, .class = crew_classify(&s->config, &s->tasks[i], now), .is_primary = true};
    }
    crew_tally(&crew);
    return crew;
}

static void move_capacity(struct arena *a, const struct rollout_task_set_sight *s,
                          struct crew *crew, struct rollout_task_set_plan *plan)
{
    const struct rollout_spans *spans = &s->config.spans;
    wall_t throttled_until = {0};
    bool is_away = str_is_set(s->runtime_fault);
    bool is_throttled = !notes_may_start(&plan->memory, spans, crew->now, &throttled_until);
    int64_t upper = (int64_t)s->config.desired_count * 2;
    struct crew_room room = {
        .lower = s->config.desired_count,
        .upper = upper > INT32_MAX ? INT32_MAX : (int32_t)upper,
        .may_start = !is_away && !is_throttled,
    };
    struct crew_moves moves = crew_plan(a, crew, &room);
    effects_unhealthy(a, &plan->effects, crew, plan->marks);
    effects_start(a, &plan->effects, s->id, moves.start_count);
    effects_stop(a, &plan->effects, crew, s->id);
    plan->failed_count += notes_count_bad_stops(crew, plan->marks);
    if (moves.wants_start && is_throttled) {
        plan->wake_at = crew_earlier(plan->wake_at, throttled_until);
    }
    if (moves.wants_start && is_away) {
        plan->wake_at = crew_earlier(plan->wake_at, wall_add(crew->now, spans->place));
    }
    if (notes_is_due(moves.wants_start && is_away, &plan->memory.unplaceable_said_at, spans->repeat,
                     crew->now, &plan->wake_at)) {
        effects_say(
            a, &plan->effects,
            &(struct rollout_event){.kind = ROLLOUT_EVENT_UNPLACEABLE, .reason = s->runtime_fault});
    }
    if (notes_is_due(notes_is_impaired(&plan->memory), &plan->memory.impaired_said_at,
                     spans->repeat, crew->now, &plan->wake_at)) {
        effects_say(a, &plan->effects, &(struct rollout_event){.kind = ROLLOUT_EVENT_IMPAIRED});
    }
    if (notes_is_due(plan->is_steady && !s->is_draining, &plan->memory.steady_said_at,
                     spans->repeat, crew->now, &plan->wake_at)) {
        effects_say(
            a, &plan->effects,
            &(struct rollout_event){.kind = ROLLOUT_EVENT_TASK_SET_STEADY, .deployment_id = s->id});
    }
}

struct rollout_task_set_plan rollout_task_set_decide(struct arena *a,
                                                     const struct rollout_task_set_sight *s,
                                                     wall_t now)
{
    CHECK(s->config.desired_count >= 0);
    CHECK(!s->is_draining || s->config.desired_count == 0);
    struct rollout_task_set_plan plan = {.memory = s->memory, .failed_count = s->failed_count};
    plan.marks = ARENA_ARRAY(a, uint32_t, s->task_count + 1);
    struct crew crew = look(a, s, plan.marks, now);
    struct notes n = notes_take(&crew, plan.marks, &plan.memory);
    plan.failed_count = n.is_one_healthy ? 0 : plan.failed_count + n.failed_count;
    plan.is_steady = crew_is_in_place(&crew);
    plan.is_empty = crew_present(&crew) == 0;
    move_capacity(a, s, &crew, &plan);
    bool is_changed = plan.effects.count > 0 || plan.failed_count != s->failed_count ||
                      !notes_is_memory_equal(&plan.memory, &s->memory);
    for (size_t i = 0; i < s->task_count; i++) {
        is_changed = is_changed || plan.marks[i] != s->tasks[i].marks;
    }
    plan.is_changed = is_changed;
    plan.wake_at = is_changed ? now : crew_earlier(plan.wake_at, crew_wake_at(&crew));
    return plan;
}
