#include "rollout/notes.h"

#include "base/check.h"

#define BACKOFF_DOUBLINGS_MAX 20
#define IMPAIRED_ROUNDS       3

static void note_end(const struct rollout_task *t, struct rollout_memory *memory, wall_t now)
{
    if (t->started_at.us != 0) {
        memory->ended_early_at = now;
        return;
    }
    /* tasks started together fail together: a round, and one step of the back-off */
    bool is_new_round =
        memory->start_failures == 0 || t->created_at.us >= memory->start_failed_at.us;
    if (is_new_round) {
        memory->start_failures++;
    }
    memory->start_failed_at = now;
}

struct notes notes_take(const struct crew *crew, uint32_t *marks, struct rollout_memory *memory)
{
    struct notes n = {0};
    for (size_t i = 0; i < crew->count; i++) {
        const struct rollout_task *t = &crew->tasks[i];
        const struct crew_member *m = &crew->members[i];
        if (m->is_primary && t->started_at.us != 0) {
            n.is_one_running = true;
            if (memory->start_failures > 0 && t->started_at.us >= memory->start_failed_at.us) {
                memory->start_failures = 0;
            }
        }
        if (m->class == CREW_GONE && (marks[i] & ROLLOUT_MARK_COUNTED) == 0) {
            bool has_served = (marks[i] & ROLLOUT_MARK_HEALTHY) != 0;
            marks[i] |= ROLLOUT_MARK_COUNTED;
            if (!t->is_stop_decided && !has_served) {
                note_end(t, memory, crew->now);
                n.failed_count += m->is_primary ? 1 : 0;
            }
        }
        if (m->class == CREW_HEALTHY && (marks[i] & ROLLOUT_MARK_HEALTHY) == 0) {
            marks[i] |= ROLLOUT_MARK_HEALTHY;
            n.is_one_healthy = n.is_one_healthy || m->is_primary;
        }
    }
    return n;
}

static dur_t backoff(const struct rollout_memory *memory, const struct rollout_spans *spans)
{
    dur_t gap = spans->backoff_first;
    for (int32_t i = 1; i < memory->start_failures && i < BACKOFF_DOUBLINGS_MAX; i++) {
        gap.us *= 2;
        if (gap.us >= spans->backoff_most.us) {
            return spans->backoff_most;
        }
    }
    return gap;
}

bool notes_may_start(const struct rollout_memory *memory, const struct rollout_spans *spans,
                     wall_t now, wall_t *wake_at)
{
    bool may = true;
    if (memory->start_failures > 0) {
        dur_t gap = backoff(memory, spans);
        if (!crew_has_passed(memory->start_failed_at, gap, now)) {
            may = false;
            *wake_at = crew_earlier(*wake_at, wall_add(memory->start_failed_at, gap));
        }
    }
    if (memory->ended_early_at.us != 0 &&
        !crew_has_passed(memory->ended_early_at, spans->retry, now)) {
        may = false;
        *wake_at = crew_earlier(*wake_at, wall_add(memory->ended_early_at, spans->retry));
    }
    return may;
}

bool notes_is_due(bool stands, wall_t *said_at, dur_t repeat, wall_t now, wall_t *wake_at)
{
    if (!stands) {
        said_at->us = 0;
        return false;
    }
    bool is_due = said_at->us == 0 || crew_has_passed(*said_at, repeat, now);
    if (is_due) {
        *said_at = now;
    }
    *wake_at = crew_earlier(*wake_at, wall_add(*said_at, repeat));
    return is_due;
}

bool notes_is_impaired(const struct rollout_memory *memory)
{
    return memory->start_failures >= IMPAIRED_ROUNDS;
}

bool notes_is_memory_equal(const struct rollout_memory *a, const struct rollout_memory *b)
{
    return a->start_failures == b->start_failures &&
           a->start_failed_at.us == b->start_failed_at.us &&
           a->ended_early_at.us == b->ended_early_at.us &&
           a->steady_said_at.us == b->steady_said_at.us &&
           a->stuck_said_at.us == b->stuck_said_at.us &&
           a->impaired_said_at.us == b->impaired_said_at.us &&
           a->unplaceable_said_at.us == b->unplaceable_said_at.us;
}

int32_t notes_count_bad_stops(const struct crew *crew, uint32_t *marks)
{
    int32_t count = 0;
    for (size_t i = 0; i < crew->count; i++) {
        const struct crew_member *m = &crew->members[i];
        if (m->is_stopped && m->is_primary && m->class == CREW_UNHEALTHY) {
            marks[i] |= ROLLOUT_MARK_COUNTED;
            count++;
        }
    }
    return count;
}

/* ---- effects -------------------------------------------------------------------------------- */

void effects_say(struct arena *a, struct rollout_effects *effects,
                 const struct rollout_event *event)
{
    *ARENA_PUSH(a, effects) = (struct rollout_effect){.kind = ROLLOUT_SAY, .event = *event};
}

void effects_start(struct arena *a, struct rollout_effects *effects, struct str deployment_id,
                   int32_t count)
{
    if (count <= 0) {
        return;
    }
    *ARENA_PUSH(a, effects) = (struct rollout_effect){
        .kind = ROLLOUT_START, .deployment_id = deployment_id, .count = (size_t)count};
    effects_say(a, effects,
                &(struct rollout_event){.kind = ROLLOUT_EVENT_STARTED,
                                        .deployment_id = deployment_id,
                                        .count = (size_t)count});
}

/* Index of the first group whose verdict is bad, or group_count: then it is the container's. */
static size_t bad_group(const struct rollout_config *c, const struct rollout_task *t)
{
    size_t i = 0;
    while (i < c->group_count && t->targets[i] != ROLLOUT_TARGET_UNHEALTHY) {
        i++;
    }
    return i;
}

static struct str stop_text(struct arena *a, const struct crew *crew, const struct crew_member *m,
                            struct str by_id)
{
    const struct rollout_config *c = crew->config;
    if (m->class != CREW_UNHEALTHY) {
        return arena_printf(a, "Scaling activity initiated by (deployment %.*s)", STR_ARG(by_id));
    }
    size_t group = bad_group(c, &crew->tasks[m->task]);
    if (group == c->group_count) {
        return STR("Task failed container health checks");
    }
    return arena_printf(a, "Task failed ELB health checks in (target-group %.*s)",
                        STR_ARG(c->groups[group].arn));
}

void effects_unhealthy(struct arena *a, struct rollout_effects *effects, const struct crew *crew,
                       uint32_t *marks)
{
    const struct rollout_config *c = crew->config;
    for (size_t i = 0; i < crew->count; i++) {
        const struct rollout_task *t = &crew->tasks[i];
        if (crew->members[i].class != CREW_UNHEALTHY) {
            marks[i] &= crew->members[i].class == CREW_HEALTHY ? ~(uint32_t)ROLLOUT_MARK_SAID : ~0u;
            continue;
        }
        if ((marks[i] & ROLLOUT_MARK_SAID) != 0) {
            continue;
        }
        marks[i] |= ROLLOUT_MARK_SAID;
        struct rollout_event e = {
            .kind = ROLLOUT_EVENT_UNHEALTHY_CONTAINER, .task_ids = &t->id, .count = 1};
        size_t group = bad_group(c, t);
        if (group < c->group_count) {
            e.kind = ROLLOUT_EVENT_UNHEALTHY_TARGET;
            e.target_group_arn = c->groups[group].arn;
            e.port = c->groups[group].port;
            e.reason = str_is_set(t->target_reasons[group]) ? t->target_reasons[group]
                                                            : STR("Health checks failed");
        }
        effects_say(a, effects, &e);
    }
}

void effects_stop(struct arena *a, struct rollout_effects *effects, const struct crew *crew,
                  struct str by_id)
{
    struct str *ids = ARENA_ARRAY(a, struct str, crew->count + 1);
    size_t count = 0;
    for (size_t i = 0; i < crew->count; i++) {
        const struct crew_member *m = &crew->members[i];
        if (!m->is_stopped) {
            continue;
        }
        ids[count++] = crew->tasks[m->task].id;
        *ARENA_PUSH(a, effects) = (struct rollout_effect){
            .kind = ROLLOUT_STOP, .task = m->task, .text = stop_text(a, crew, m, by_id)};
    }
    if (count > 0) {
        effects_say(a, effects,
                    &(struct rollout_event){
                        .kind = ROLLOUT_EVENT_STOPPED, .task_ids = ids, .count = count});
    }
}
