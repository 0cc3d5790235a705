#include "runtime/depends.h"

#include "base/check.h"

size_t runtime_depends_find(const struct runtime_task_spec *spec, struct str name)
{
    for (size_t i = 0; i < spec->container_count; i++) {
        if (str_equal(spec->containers[i].name, name)) {
            return i;
        }
    }
    return RUNTIME_DEPENDS_NONE;
}

struct str runtime_depends_condition_text(enum runtime_condition condition)
{
    static const struct str texts[] = {
        [RUNTIME_WHEN_STARTED] = STR_INIT("START"),
        [RUNTIME_WHEN_COMPLETE] = STR_INIT("COMPLETE"),
        [RUNTIME_WHEN_SUCCESS] = STR_INIT("SUCCESS"),
        [RUNTIME_WHEN_HEALTHY] = STR_INIT("HEALTHY"),
    };
    return texts[condition];
}

static bool waits_for_end(enum runtime_condition condition)
{
    return condition == RUNTIME_WHEN_COMPLETE || condition == RUNTIME_WHEN_SUCCESS;
}

static enum runtime_depends_verdict when_over(enum runtime_condition condition, int32_t exit_code)
{
    switch (condition) {
    case RUNTIME_WHEN_STARTED: /* it has started, if only for a moment */
    case RUNTIME_WHEN_COMPLETE:
        return RUNTIME_DEPENDS_START;
    case RUNTIME_WHEN_SUCCESS:
        return exit_code == 0 ? RUNTIME_DEPENDS_START : RUNTIME_DEPENDS_NEVER;
    case RUNTIME_WHEN_HEALTHY:
        return RUNTIME_DEPENDS_NEVER;
    }
    UNREACHABLE("every condition is above");
}

static bool is_met_while_running(enum runtime_condition condition,
                                 const struct runtime_depends_sight *seen)
{
    return condition == RUNTIME_WHEN_STARTED ||
           (condition == RUNTIME_WHEN_HEALTHY && seen->health == RUNTIME_HEALTHY);
}

static enum runtime_depends_verdict judge(enum runtime_condition condition,
                                          const struct runtime_depends_sight *seen)
{
    switch (seen->phase) {
    case RUNTIME_DEPENDS_FAILED:
        return RUNTIME_DEPENDS_NEVER;
    case RUNTIME_DEPENDS_EXITED:
        return when_over(condition, seen->exit_code);
    case RUNTIME_DEPENDS_WAITING:
        return RUNTIME_DEPENDS_WAIT;
    case RUNTIME_DEPENDS_RUNNING:
        if (is_met_while_running(condition, seen)) {
            return RUNTIME_DEPENDS_START;
        }
        return seen->is_overdue ? RUNTIME_DEPENDS_NEVER : RUNTIME_DEPENDS_WAIT;
    }
    UNREACHABLE("every phase is above");
}

struct runtime_depends_answer runtime_depends_may_start(const struct runtime_task_spec *spec,
                                                        const struct runtime_depends_sight *sights,
                                                        size_t container)
{
    CHECK(container < spec->container_count);

    const struct runtime_container_spec *own = &spec->containers[container];
    struct runtime_depends_answer answer = {.verdict = RUNTIME_DEPENDS_START,
                                            .blocker = RUNTIME_DEPENDS_NONE};
    for (size_t i = 0; i < own->depends_on_count; i++) {
        size_t other = runtime_depends_find(spec, own->depends_on[i].container);
        CHECK(other != RUNTIME_DEPENDS_NONE);
        enum runtime_depends_verdict v = judge(own->depends_on[i].condition, &sights[other]);
        if (v > answer.verdict) {
            answer = (struct runtime_depends_answer){.verdict = v, .blocker = other};
        }
    }
    return answer;
}

static bool waits_for(const struct runtime_container_spec *c, struct str name)
{
    for (size_t i = 0; i < c->depends_on_count; i++) {
        if (str_equal(c->depends_on[i].container, name)) {
            return true;
        }
    }
    return false;
}

bool runtime_depends_may_stop(const struct runtime_task_spec *spec,
                              const struct runtime_depends_sight *sights, size_t container)
{
    CHECK(container < spec->container_count);

    for (size_t i = 0; i < spec->container_count; i++) {
        bool is_over =
            sights[i].phase == RUNTIME_DEPENDS_EXITED || sights[i].phase == RUNTIME_DEPENDS_FAILED;
        if (!is_over && waits_for(&spec->containers[i], spec->containers[container].name)) {
            return false;
        }
    }
    return true;
}

bool runtime_depends_is_awaited_to_end(const struct runtime_task_spec *spec, size_t container)
{
    struct str name = spec->containers[container].name;
    for (size_t i = 0; i < spec->container_count; i++) {
        const struct runtime_container_spec *c = &spec->containers[i];
        for (size_t d = 0; d < c->depends_on_count; d++) {
            if (str_equal(c->depends_on[d].container, name) &&
                waits_for_end(c->depends_on[d].condition)) {
                return true;
            }
        }
    }
    return false;
}

static bool waits_for_a_lasting_one(const struct runtime_task_spec *spec, size_t container)
{
    const struct runtime_container_spec *c = &spec->containers[container];
    for (size_t d = 0; d < c->depends_on_count; d++) {
        size_t other = runtime_depends_find(spec, c->depends_on[d].container);
        if (other != RUNTIME_DEPENDS_NONE && !runtime_depends_is_awaited_to_end(spec, other)) {
            return true;
        }
    }
    return false;
}

size_t runtime_depends_network_owner(const struct runtime_task_spec *spec)
{
    for (size_t i = 0; i < spec->container_count; i++) {
        if (!runtime_depends_is_awaited_to_end(spec, i) && !waits_for_a_lasting_one(spec, i)) {
            return i;
        }
    }
    return 0; /* only containers that somebody waits for: none shares */
}

static bool all_dependencies_in(const struct runtime_task_spec *spec, size_t container,
                                const bool *is_in)
{
    const struct runtime_container_spec *c = &spec->containers[container];
    for (size_t d = 0; d < c->depends_on_count; d++) {
        size_t other = runtime_depends_find(spec, c->depends_on[d].container);
        if (other == RUNTIME_DEPENDS_NONE || !is_in[other]) {
            return false;
        }
    }
    return true;
}

bool runtime_depends_is_acyclic(const struct runtime_task_spec *spec)
{
    CHECK(spec->container_count <= RUNTIME_CONTAINERS_MAX);

    bool is_in[RUNTIME_CONTAINERS_MAX] = {false};
    size_t in_count = 0;
    for (size_t round = 0; round < spec->container_count; round++) {
        for (size_t i = 0; i < spec->container_count; i++) {
            if (!is_in[i] && all_dependencies_in(spec, i, is_in)) {
                is_in[i] = true;
                in_count++;
            }
        }
    }
    return in_count == spec->container_count;
}
