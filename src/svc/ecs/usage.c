/* How much of what a task reserved it uses: for AWS/ECS CPUUtilization and MemoryUtilization. */
#include "svc/ecs/ecs_priv.h"

#define MIB (1024.0 * 1024.0)

struct reserved {
    int64_t cpu_units;
    int64_t memory_mib;
};

static int64_t number(struct str s)
{
    int64_t value = 0;
    return str_parse_i64(s, 0, INT32_MAX, &value) ? value : 0;
}

/* The task's own sizes, else the sums over its containers. */
static struct reserved reserved_by(const struct ecs_task *t)
{
    struct reserved r = {.cpu_units = number(t->cpu), .memory_mib = number(t->memory)};
    struct reserved sum = {0};
    for (size_t i = 0; i < t->containers.count; i++) {
        const struct ecs_container *c = &t->containers.items[i];
        sum.cpu_units += number(c->cpu);
        sum.memory_mib += number(c->memory_reservation.len > 0 ? c->memory_reservation : c->memory);
    }
    r.cpu_units = r.cpu_units > 0 ? r.cpu_units : sum.cpu_units;
    r.memory_mib = r.memory_mib > 0 ? r.memory_mib : sum.memory_mib;
    return r;
}

/* False: nothing to say about it yet. */
static bool measure(struct op *op, struct task_seat *seat, struct ecs_usage *ret)
{
    struct runtime_usage now = {0};
    if (runtime_get_usage(seat->ecs->rt, op, str_of(seat->id), &now) != ERR_OK) {
        op_note_clear(op);
        return false;
    }
    struct runtime_usage before = seat->last_usage;
    bool had_usage = seat->has_usage;
    seat->last_usage = now;
    seat->has_usage = true;
    int64_t span_us = wall_since(now.at, before.at).us;
    struct engine_ecs_task row = {0};
    if (!had_usage || span_us <= 0 ||
        ecs_task_get(op, seat->ecs, str_of(seat->cluster), str_of(seat->id), &row) != ERR_OK) {
        op_note_clear(op);
        return false;
    }
    struct reserved r = reserved_by(row.task);
    if (r.cpu_units == 0 || r.memory_mib == 0) {
        return false;
    }
    double cores = (double)(now.cpu.us - before.cpu.us) / (double)span_us;
    *ret = (struct ecs_usage){
        .region = arena_str(&op->arena, op->region),
        .cluster = arena_str(&op->arena, str_of(seat->cluster)),
        .service = arena_str(&op->arena, str_of(seat->service)),
        .cpu_percent = cores * 1024.0 / (double)r.cpu_units * 100.0,
        .memory_percent = (double)now.memory_bytes / ((double)r.memory_mib * MIB) * 100.0,
    };
    return true;
}

enum err ecs_usage(struct op *op, struct ecs *ecs, struct ecs_usages *ret)
{
    struct ecs_usages usages = {0};
    struct str caller_region = op->region;
    size_t at = 0;
    struct str key = STR_NONE;
    void *value = NULL;
    while (ecs->rt != NULL && map_next(&ecs->task_seats, &at, &key, &value)) {
        struct task_seat *seat = value;
        if (seat->service[0] == '\0') {
            continue;
        }
        struct ecs_usage usage = {0};
        op->region = str_of(seat->region);
        if (!measure(op, seat, &usage)) {
            continue;
        }
        *ARENA_PUSH(&op->arena, &usages) = usage;
    }
    op->region = caller_region;
    *ret = usages;
    return ERR_OK;
}
