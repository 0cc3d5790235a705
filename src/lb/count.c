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

static void count_response(struct lbstats_block *b, unsigned status, uint64_t took_us)
{
    if (b == NULL) {
        return;
    }
    lbstats_begin(b);
    lbstats_add(b, LBSTATS_REQUESTS, 1);
    if (status >= 200) {
        /* 6XX to 9XX are no classes of HTTP; ALB has no counter for them, 5XX is the nearest */
        unsigned class = status >= 600 ? 5 : status / 100;
        lbstats_add(b, (enum lbstats_counter)(LBSTATS_TARGET_2XX + class - 2), 1);
    }
    lbstats_observe(b, took_us);
    lbstats_end(b);
}

void lb_count_response(const struct lb_exchange *ex, unsigned status, dur_t took)
{
    const struct lb_worker *w = ex->client->worker;
    uint64_t took_us = took.us < 0 ? 0 : (uint64_t)took.us;
    count_response(lb_count_block(w, ex->client->slot), status, took_us);
    count_response(lb_count_block(w, ex->group->slot), status, took_us);
}

static void count_own(struct lbstats_block *b, unsigned status, bool has_target)
{
    if (b == NULL) {
        return;
    }
    lbstats_begin(b);
    if (has_target) {
        lbstats_add(b, LBSTATS_REQUESTS, 1);
    }
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
    lbstats_end(b);
}

void lb_count_own(const struct lb_client *c, const struct lb_exchange *ex, unsigned status)
{
    count_own(lb_count_block(c->worker, c->slot), status, ex != NULL);
    if (ex != NULL) {
        count_own(lb_count_block(c->worker, ex->group->slot), status, true);
    }
}
