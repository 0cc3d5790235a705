#pragma once
/* What ended and what became healthy since the last look, and the restart throttle that follows
 * from it. Shared by services and task sets; private to rollout/. */

#include "rollout/crew.h"

struct notes {
    int32_t failed_count; /* tasks of the PRIMARY that ended or were stopped before they served */
    bool is_one_healthy;  /* a task of the PRIMARY became healthy */
    bool is_one_running;  /* a task of the PRIMARY is or was RUNNING */
};

/* Reads the tasks, updates marks and memory. */
struct notes notes_take(const struct crew *crew, uint32_t *marks, struct rollout_memory *memory);
/* False while the throttle holds; then *wake_at is brought forward to its end. */
bool notes_may_start(const struct rollout_memory *memory, const struct rollout_spans *spans,
                     wall_t now, wall_t *wake_at);
/* True when an event whose condition stands is to be said now; keeps *said_at and *wake_at. */
bool notes_is_due(bool stands, wall_t *said_at, dur_t repeat, wall_t now, wall_t *wake_at);
bool notes_is_impaired(const struct rollout_memory *memory);
bool notes_is_memory_equal(const struct rollout_memory *a, const struct rollout_memory *b);
/* Tasks of the PRIMARY that this plan stops for their checks. */
int32_t notes_count_bad_stops(const struct crew *crew, uint32_t *marks);

/* ---- effects -------------------------------------------------------------------------------- */

void effects_say(struct arena *a, struct rollout_effects *effects,
                 const struct rollout_event *event);
void effects_start(struct arena *a, struct rollout_effects *effects, struct str deployment_id,
                   int32_t count);
/* Events for tasks seen unhealthy for the first time. */
void effects_unhealthy(struct arena *a, struct rollout_effects *effects, const struct crew *crew,
                       uint32_t *marks);
/* The stops of the plan and the event that sums them up. by_id: the deployment that asks. */
void effects_stop(struct arena *a, struct rollout_effects *effects, const struct crew *crew,
                  struct str by_id);
