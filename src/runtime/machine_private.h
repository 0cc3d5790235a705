#pragma once
/* Between machine.c (steps and facts), tell.c (events and sights) and driver.c (calls). */

#include "runtime/machine.h"

ev_defer_fn runtime_task_step;
/* Sets the timer of the next probe, when the container is checked at all. */
void runtime_schedule_health(struct runtime_container *c);

/* The deadlines and probes of an adopted container. */
void runtime_resume_container(struct runtime_container *c);

void runtime_tell(struct runtime_container *c, enum runtime_event_kind kind);
void runtime_tell_lines(struct runtime_container *c, const struct runtime_line *lines,
                        size_t count);
void runtime_tell_task(struct runtime_task *t, enum runtime_event_kind kind, struct str reason);
/* In the arena. */
void runtime_see(const struct runtime_task *t, struct arena *a, struct runtime_task_sight *ret);
