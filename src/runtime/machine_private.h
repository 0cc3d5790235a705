#pragma once
/* Between machine.c (steps and facts), tell.c (events and sights) and driver.c (calls). */

#include "runtime/machine.h"

ev_defer_fn runtime_task_step;
/* Sets the timer of the next probe, when the container is checked at all. */
void runtime_schedule_health(struct runtime_container *c);

/* The deadlines and probes of an adopted container. */
void runtime_resume_container(struct runtime_container *c);

/* mixed.c. A runtime that is not mixed is its own member. */
struct runtime *runtime_route(struct runtime *rt, struct str task_id);
struct runtime *runtime_route_spec(struct runtime *rt, const struct runtime_task_spec *spec);
enum err runtime_mixed_observe(struct runtime *rt, struct op *op, struct runtime_sights *ret);
/* A member is ready: false while others are not, and when this call has begun all of them. */
bool runtime_mixed_may_begin(struct runtime *member);

void runtime_tell(struct runtime_container *c, enum runtime_event_kind kind);
void runtime_tell_lines(struct runtime_container *c, const struct runtime_line *lines,
                        size_t count);
void runtime_tell_task(struct runtime_task *t, enum runtime_event_kind kind, struct str reason);
/* In the arena. */
void runtime_see(const struct runtime_task *t, struct arena *a, struct runtime_task_sight *ret);
