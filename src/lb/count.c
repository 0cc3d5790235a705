/* Counting: one event for the balancer's slot, one for the target group's. */

#include "lb/control.h"

struct lbstats_block *lb_count_block(const struct lb_worker *w, uint32_t slot)
{
    return slot == LBSTATS_NONE ? NULL : lbstats_block(w->lb->options.stats, slot, w->row);
}

void lb_count_one(const struct lb_worker *w, uint32_t slot, enum lbstats_counter counter)
{
    struct lbstats_block *b = lb_count_block(w, slot);
    if (b != NULL) {
        lbstats_begin(b);
        lbstats_add(b, counter, 1);
        lbstats_end(b);
    }
}

void lb_count_drop(const struct lb_worker *w, uint32_t slot, enum lbstats_counter counter)
{
    struct lbstats_block *b = lb_count_block(w, slot);
    if (b != NULL) {
        lbstats_begin(b);
        lbstats_drop(b, counter);
        lbstats_end(b);
    }
}

void lb_count_bytes(const struct lb_worker *w, uint32_t slot, uint64_t bytes)
{
    struct lbstats_block *b = lb_count_block(w, slot);
    if (b != NULL && bytes > 0) {
        lbstats_begin(b);
        lbstats_add(b, LBSTATS_PROCESSED_BYTES, bytes);
        lbstats_end(b);
    }
}

void lb_count_client_bytes(const struct lb_client *c, uint64_t bytes)
{
    struct lbstats_block *b = lb_count_block(c->worker, c->slot);
    if (b != NULL && bytes > 0) {
        lbstats_begin(b);
        lbstats_add(b, LBSTATS_PROCESSED_BYTES, bytes);
        if (c->is_ipv6) {
            lbstats_add(b, LBSTATS_IPV6_BYTES, bytes);
        }
        lbstats_end(b);
    }
}

void lb_count_accepted(const struct lb_client *c)
{
    struct lbstats_block *b = lb_count_block(c->worker, c->slot);
    if (b != NULL) {
        lbstats_begin(b);
        lbstats_add(b, LBSTATS_NEW_CONNECTIONS, 1);
        lbstats_add(b, LBSTATS_NEW_CLIENTS, 1);
        lbstats_add(b, LBSTATS_ACTIVE_CONNECTIONS, 1);
        lbstats_end(b);
    }
}

void lb_count_rules(const struct lb_client *c, const struct lb_listener *l,
                    const struct lb_rule *taken)
{
    if (l->rule_count < 2) {
        return; /* the default rule does not count */
    }
    size_t looked_at =
        taken == NULL ? l->rule_count - 1 : (size_t)(taken - l->rules) + (taken->priority != 0);
    struct lbstats_block *b = lb_count_block(c->worker, c->slot);
    if (b != NULL && looked_at > 0) {
        lbstats_begin(b);
        lbstats_add(b, LBSTATS_RULE_EVALUATIONS, looked_at);
        if (looked_at > LB_FREE_EVALUATIONS) {
            lbstats_add(b, LBSTATS_RULES_CHARGED, looked_at - LB_FREE_EVALUATIONS);
        }
        lbstats_end(b);
    }
}

static void count_response(struct lbstats_block *b, unsigned status, uint64_t took_us, bool is_ipv6)
{
    if (b == NULL) {
        return;
    }
    lbstats_begin(b);
    lbstats_add(b, LBSTATS_REQUESTS, 1);
    if (is_ipv6) {
        lbstats_add(b, LBSTATS_IPV6_REQUESTS, 1);
    }
    if (status < 200) {
        lbstats_add(b, LBSTATS_TARGET_UPGRADES, 1);
    } else {
        /* 6XX to 9XX are no classes of HTTP; ALB has no counter for them, 5XX is the nearest */
        unsigned class = status >= 600 ? 5 : status / 100;
        lbstats_add(b, (enum lbstats_counter)(LBSTATS_TARGET_2XX + class - 2), 1);
    }
    lbstats_observe(b, took_us);
    lbstats_end(b);
}

void lb_count_response(struct lb_exchange *ex, unsigned status, dur_t took)
{
    ex->access.status = (uint16_t)status;
    ex->access.target_status = (uint16_t)status;
    ex->access.target_took = took;
    const struct lb_worker *w = ex->client->worker;
    uint64_t took_us = took.us < 0 ? 0 : (uint64_t)took.us;
    bool is_ipv6 = ex->client->is_ipv6;
    count_response(lb_count_block(w, ex->client->slot), status, took_us, is_ipv6);
    count_response(lb_count_block(w, ex->group->slot), status, took_us, false);
}

static void count_code(struct lbstats_block *b, unsigned status)
{
    if (status >= 500) {
        lbstats_add(b, LBSTATS_ELB_5XX, 1);
    } else if (status >= 400) {
        lbstats_add(b, LBSTATS_ELB_4XX, 1);
    } else if (status >= 300) {
        lbstats_add(b, LBSTATS_ELB_3XX, 1);
    }
    if (status == 500 || (status >= 502 && status <= 504)) {
        lbstats_add(b,
                    status == 500 ? LBSTATS_ELB_500
                                  : (enum lbstats_counter)(LBSTATS_ELB_502 + status - 502),
                    1);
    }
}

static void count_own(struct lbstats_block *b, unsigned status, bool has_target, bool is_ipv6)
{
    if (b == NULL) {
        return;
    }
    lbstats_begin(b);
    if (has_target) {
        lbstats_add(b, LBSTATS_REQUESTS, 1);
        lbstats_add(b, LBSTATS_TARGET_UNANSWERED, 1);
    }
    if (is_ipv6) {
        lbstats_add(b, LBSTATS_IPV6_REQUESTS, 1);
    }
    count_code(b, status);
    lbstats_end(b);
}

/* CloudWatch has the codes for the balancer alone; the group's help to find the one to blame. */
void lb_count_own(const struct lb_client *c, const struct lb_exchange *ex, unsigned status)
{
    count_own(lb_count_block(c->worker, c->slot), status, ex != NULL, c->is_ipv6);
    if (ex != NULL) {
        count_own(lb_count_block(c->worker, ex->group->slot), status, true, false);
    }
}
