#include "runtime/docker/internal.h"

#include "base/check.h"
#include "runtime/docker/json.h"

static void sample_next(struct runtime_task *t);

/* Page cache that may go at any time is not counted, as `docker stats` does: the first is the name
 * under control groups of version 1, the second under version 2. */
static int64_t inactive_of(struct arena *a, struct str body)
{
    int64_t v2 = docker_json_i64(a, body, "memory_stats|stats|inactive_file", 0);
    return docker_json_i64(a, body, "memory_stats|stats|total_inactive_file", v2);
}

static void on_stats(struct docker_call *call, const struct docker_answer *answer)
{
    struct docker_task *dt = CONTAINER_OF(call, struct docker_task, sample);
    struct docker_container *dc = docker_container_of(dt->task.containers[dt->at]);
    struct arena a;
    arena_init(&a);
    if (docker_is_success(answer)) {
        int64_t cpu_ns =
            docker_json_i64(&a, answer->body, "cpu_stats|cpu_usage|total_usage", dc->cpu_ns);
        int64_t memory = docker_json_i64(&a, answer->body, "memory_stats|usage", 0);
        int64_t inactive = inactive_of(&a, answer->body);
        /* The time of a container that has ended stays counted. */
        dc->cpu_ns = cpu_ns > dc->cpu_ns ? cpu_ns : dc->cpu_ns;
        dt->sum.memory_bytes += (uint64_t)(inactive < memory ? memory - inactive : 0);
    }
    arena_fini(&a);
    dt->at++;
    sample_next(&dt->task);
}

static void finish(struct docker_task *dt)
{
    int64_t cpu_ns = 0;
    for (size_t i = 0; i < dt->task.spec->container_count; i++) {
        cpu_ns += docker_container_of(dt->task.containers[i])->cpu_ns;
    }
    dt->sum.at = clock_wall();
    dt->sum.cpu = DUR_US(cpu_ns / 1000);
    runtime_task_sampled(&dt->task, &dt->sum);
}

static void sample_next(struct runtime_task *t)
{
    struct docker_task *dt = docker_task_of(t);
    while (dt->at < t->spec->container_count &&
           t->containers[dt->at]->phase != RUNTIME_PHASE_RUNNING) {
        dt->at++;
    }
    if (dt->at == t->spec->container_count) {
        finish(dt);
        return;
    }
    struct arena a;
    arena_init(&a);
    struct str name = docker_name_of(t->containers[dt->at], &a);
    struct docker_request request = {
        .method = STR("GET"),
        .target = arena_printf(&a, "/containers/%.*s/stats?stream=0&one-shot=1", STR_ARG(name)),
    };
    docker_call_start(docker_of(t), &dt->sample, &request, on_stats);
    arena_fini(&a);
}

void docker_sample(struct runtime_task *t)
{
    struct docker_task *dt = docker_task_of(t);
    dt->at = 0;
    dt->sum = (struct runtime_usage){0};
    sample_next(t);
}
