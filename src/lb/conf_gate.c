/* The gate of a listener from its attributes. */

#include "lb/conf_build.h"
#include "lb/rule.h"

static bool is_true(const struct lbconf_attributes *set, struct str key)
{
    return STR_IS(lb_attribute(set, key), "true");
}

/* "10.0.0.0/8, 192.0.2.1" */
static enum err read_allowed(struct op *op, struct arena *a, struct str text, struct lb_gate *g)
{
    struct str part;
    g->allowed = ARENA_ARRAY(a, struct lb_cidr, LB_ALLOWED_MAX);
    while (str_next(&text, ',', &part)) {
        part = str_trim(part);
        if (part.len == 0) {
            continue;
        }
        if (g->allowed_count == LB_ALLOWED_MAX ||
            !lb_cidr_read(part, &g->allowed[g->allowed_count])) {
            return op_fail(op, ERR_INPUT,
                           "hitless.maintenance.allow: \"%.*s\" is no address range, or there are "
                           "more than %d",
                           STR_ARG(part), LB_ALLOWED_MAX);
        }
        g->allowed_count++;
    }
    return ERR_OK;
}

/* An attribute that was emptied counts as not set. */
static struct str text_or(struct arena *a, struct str text, struct str otherwise)
{
    return text.len > 0 ? arena_str(a, text) : otherwise;
}

static enum err read_page(struct op *op, struct arena *a, const struct lbconf_attributes *set,
                          struct lb_gate *g)
{
    uint64_t status = 503;
    uint64_t seconds = 0;
    struct str body = lb_attribute(set, STR("hitless.maintenance.body"));
    struct str retry_after = lb_attribute(set, STR("hitless.maintenance.retry_after"));
    struct str type = lb_attribute(set, STR("hitless.maintenance.content_type"));
    TRY(lb_attribute_number(op, set, STR("hitless.maintenance.status"), 599, &status));
    TRY(lb_attribute_number(op, set, STR("hitless.maintenance.retry_after"), 1000000, &seconds));
    g->page = (struct lb_action){
        .type = LB_FIXED,
        .status = (unsigned)(status < 200 ? 503 : status),
        .content_type = text_or(a, type, STR("text/plain; charset=utf-8")),
        .body = text_or(a, body, STR("This service is being maintained. Please come back soon.\n")),
        .retry_after = retry_after.len > 0 ? arena_str(a, retry_after) : STR_NONE,
    };
    return read_allowed(op, a, lb_attribute(set, STR("hitless.maintenance.allow")), g);
}

/* Leaves l->gate NULL when the listener is open to all. */
enum err lb_gate_read(struct op *op, struct arena *a, const struct lbconf_attributes *set,
                      struct lb_listener *l)
{
    struct lb_gate g = {
        .is_paused = is_true(set, STR("hitless.pause.enabled")),
        .is_in_maintenance = is_true(set, STR("hitless.maintenance.enabled")),
    };
    uint64_t held_max = LB_HELD_DEFAULT;
    uint64_t seconds = (uint64_t)LB_PAUSE_DEFAULT.us / 1000000;
    TRY(lb_attribute_number(op, set, STR("hitless.pause.timeout_seconds"), 1000000, &seconds));
    TRY(lb_attribute_number(op, set, STR("hitless.pause.requests_max"), LB_HELD_MAX, &held_max));
    g.pause = DUR_S(seconds);
    g.held_max = (uint32_t)held_max;
    TRY(read_page(op, a, set, &g));
    if (g.is_paused || g.is_in_maintenance) {
        l->gate = ARENA_NEW(a, struct lb_gate);
        *l->gate = g;
    }
    return ERR_OK;
}
