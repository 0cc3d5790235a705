/* Events of a service: the last hundred, each a row. */
#include "svc/ecs/ecs_priv.h"

#include <inttypes.h>

static struct str event_key(struct op *op, const struct service_ref *ref, int64_t number)
{
    return arena_printf(&op->arena, "%.*s/%019" PRId64, STR_ARG(ref->key), number);
}

enum err ecs_event_add(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                       struct str message)
{
    struct ecs_service_event event = {
        .id = rand_uuid(&op->arena), .created_at = OPT_TIME(op->now), .message = message};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ecs->config.store, &tx));
    int64_t number = 0;
    TRY(store_next_number(op, ecs->config.store,
                          arena_printf(&op->arena, "ecs.event %.*s", STR_ARG(ref->key)), &number));
    TRY(store_put(op, ecs->config.store, &ecs_kind_event, event_key(op, ref, number), ref->key,
                  &event));
    if (number > ECS_EVENTS_MAX) {
        TRY(store_remove(op, ecs->config.store, &ecs_kind_event,
                         event_key(op, ref, number - ECS_EVENTS_MAX)));
    }
    return store_tx_commit(op, &tx);
}

enum err ecs_event_say(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                       const struct rollout_event *event)
{
    return ecs_event_add(op, ecs, ref, rollout_event_text(&op->arena, ref->name, event));
}

enum err ecs_events_list(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                         struct ecs_service_events *ret)
{
    struct store_range range = {.parent = ref->key};
    struct store_items rows = {0};
    TRY(store_list(op, ecs->config.store, &ecs_kind_event, &range, &rows));
    struct ecs_service_events events = {.is_set = true};
    for (size_t i = rows.count; i > 0; i--) {
        *ARENA_PUSH(&op->arena, &events) =
            *(const struct ecs_service_event *)rows.items[i - 1].value;
    }
    *ret = events;
    return ERR_OK;
}
