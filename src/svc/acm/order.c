#include "svc/acm/order.h"

#include "svc/acm/limits.h"

static wall_t later(wall_t a, wall_t b)
{
    return a.us > b.us ? a : b;
}

static dur_t retry_pause(int32_t failures)
{
    dur_t pause = ACM_RETRY_FIRST;
    for (int32_t i = 1; i < failures && pause.us < ACM_RETRY_MAX.us; i++) {
        pause.us *= 2;
    }
    return dur_scaled(pause.us < ACM_RETRY_MAX.us ? pause : ACM_RETRY_MAX);
}

/* The longer it goes on, the more seldom we ask. */
static wall_t next_poll(const struct engine_acm_order *order, wall_t now)
{
    if (!order->asked_at.is_set) {
        return now;
    }
    dur_t pause = {.us = wall_since(now, order->since.value).us / 4};
    pause = pause.us < ACM_POLL_MIN.us ? ACM_POLL_MIN : pause;
    pause = pause.us > ACM_POLL_MAX.us ? ACM_POLL_MAX : pause;
    return wall_add(order->asked_at.value, pause);
}

static struct order_step at_once(enum order_action action, size_t index)
{
    return (struct order_step){.action = action, .index = index};
}

static struct order_step when(wall_t due, wall_t now, enum order_action action, size_t index)
{
    if (due.us <= now.us) {
        return at_once(action, index);
    }
    return (struct order_step){.action = ORDER_REST, .until = due};
}

static struct order_step decide_authorize(const struct engine_acm_order *order,
                                          const struct order_sight *seen)
{
    const struct engine_acm_authorizations *all = &order->authorizations;
    for (size_t i = 0; i < all->count; i++) {
        const struct engine_acm_authorization *one = &all->items[i];
        if (!str_is_set(one->token) && !OPT_OR(one->is_valid, false)) {
            return at_once(ORDER_READ_AUTHORIZATION, i);
        }
    }
    for (size_t i = 0; i < all->count; i++) {
        const struct engine_acm_authorization *one = &all->items[i];
        if (!OPT_OR(one->is_asked, false) && !OPT_OR(one->is_valid, false)) {
            return seen->are_challenges_published ? at_once(ORDER_ASK_CHALLENGE, i)
                                                  : at_once(ORDER_REST, 0);
        }
    }
    for (size_t i = 0; i < all->count; i++) {
        if (!OPT_OR(all->items[i].is_valid, false)) {
            return when(next_poll(order, seen->now), seen->now, ORDER_READ_AUTHORIZATION, i);
        }
    }
    return at_once(ORDER_ASK_FINALIZE, 0);
}

static wall_t not_before(const struct engine_acm_order *order)
{
    wall_t due = OPT_OR(order->not_before, ((wall_t){0}));
    if (OPT_OR(order->failures, 0) > 0 && str_equal(order->state, ORDER_NEW)) {
        dur_t pause = retry_pause(OPT_OR(order->failures, 0));
        due = later(due, wall_add(OPT_OR(order->failed_at, ((wall_t){0})), pause));
    }
    return due;
}

struct order_step acm_order_decide(const struct engine_acm_order *order,
                                   const struct order_sight *seen)
{
    bool is_late =
        wall_since(seen->now, seen->requested_at).us > dur_scaled(ACM_VALIDATION_TIME).us;
    if (is_late && !OPT_OR(order->is_renewal, false)) {
        return at_once(ORDER_GIVE_UP, 0);
    }
    wall_t due = not_before(order);
    if (due.us > seen->now.us) {
        return (struct order_step){.action = ORDER_REST, .until = due};
    }
    if (str_equal(order->state, ORDER_LOCAL)) {
        return at_once(ORDER_SIGN_LOCALLY, 0);
    }
    if (str_equal(order->state, ORDER_AUTHORIZE)) {
        return decide_authorize(order, seen);
    }
    if (str_equal(order->state, ORDER_FINALIZE)) {
        return at_once(ORDER_ASK_FINALIZE, 0);
    }
    if (str_equal(order->state, ORDER_WAIT)) {
        return when(next_poll(order, seen->now), seen->now, ORDER_READ, 0);
    }
    if (str_equal(order->state, ORDER_DOWNLOAD)) {
        return at_once(ORDER_ASK_CERTIFICATE, 0);
    }
    return at_once(ORDER_ASK_NEW, 0);
}

wall_t acm_renewal_at(wall_t from, wall_t until)
{
    return (wall_t){.us = until.us - (until.us - from.us) / 3};
}
