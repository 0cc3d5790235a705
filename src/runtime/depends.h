#pragma once
/* Which container of a task may start, and which may stop, by dependsOn. Pure: a function of what
 * stands, no effect.
 *
 * Source  ContainerDependency of the ECS API: conditions are looked at when a container starts, and
 *         again in reverse order when the task stops; docs/sources.md#ecs-depends-on */

#include "runtime/driver.h"

enum runtime_depends_phase {
    RUNTIME_DEPENDS_WAITING, /* not started yet */
    RUNTIME_DEPENDS_RUNNING,
    RUNTIME_DEPENDS_EXITED,
    RUNTIME_DEPENDS_FAILED, /* will never start */
};

struct runtime_depends_sight {
    enum runtime_depends_phase phase;
    enum runtime_health health;
    int32_t exit_code;
    bool is_overdue; /* its start_timeout has passed since it was to start */
};

enum runtime_depends_verdict { RUNTIME_DEPENDS_START, RUNTIME_DEPENDS_WAIT, RUNTIME_DEPENDS_NEVER };

struct runtime_depends_answer {
    enum runtime_depends_verdict verdict;
    size_t blocker; /* WAIT and NEVER: index of the dependency that decides */
};

#define RUNTIME_DEPENDS_NONE ((size_t)-1)

/* Shape   sights[spec->container_count] in the order of the spec, which passed spec_check().
 * Returns START once every dependency has met its condition; NEVER as soon as one cannot. */
struct runtime_depends_answer runtime_depends_may_start(const struct runtime_task_spec *spec,
                                                        const struct runtime_depends_sight *sights,
                                                        size_t container);

/* True when no container that depends on this one is still alive or about to start. */
bool runtime_depends_may_stop(const struct runtime_task_spec *spec,
                              const struct runtime_depends_sight *sights, size_t container);

/* The container whose network the others share: the first one that outlives the start of the others
 * (nobody waits for its end) and waits for none that does. */
size_t runtime_depends_network_owner(const struct runtime_task_spec *spec);

/* True when somebody waits for this container's end: it runs before the others and alone. */
bool runtime_depends_is_awaited_to_end(const struct runtime_task_spec *spec, size_t container);

/* False when dependencies form a circle. */
bool runtime_depends_is_acyclic(const struct runtime_task_spec *spec);

/* Index by name, or RUNTIME_DEPENDS_NONE. */
size_t runtime_depends_find(const struct runtime_task_spec *spec, struct str name);

/* "COMPLETE" */
struct str runtime_depends_condition_text(enum runtime_condition condition);
