#pragma once
/* Where a request goes when something ties the client to a group or to a target: cookies of ours
 * (AWSALBTG, AWSALB, AWSALBAPP-N) first, then the cohort, then weights; and which cookies go back.
 *
 * Source  aws-semantics 2.3, 2.4. A group whose weight is 0, without targets, or gone from the rule
 * ends the stay; so does a target that is unhealthy (unless the group fails open), draining or
 * gone. Cookies of ours go on to the target as they came, as with ALB. */

#include "lb/worker.h"

/* What the client brought and what goes back, while its exchange runs. From the worker's free list:
 * lb_affinity_give. */
struct lb_affinity {
    struct list node;
    struct lb_peer *wanted;  /* the target that the client stays with, or NULL */
    struct lb_marks groups;  /* of AWSALBTG */
    struct lb_marks targets; /* of AWSALB or AWSALBAPP, by the group's kind */
    bool is_new;             /* a stay begins: NonStickyRequestCount */
    bool has_session;        /* application cookie: it came, and a valid mark of ours with it */
    bool is_chromium;        /* a browser that wants SameSite=None; Secure */
};

/* They are allocated several at a time. */
struct lb_affinities {
    struct list node;
    struct lb_affinity items[64];
};

/* The group for a request by a rule with action->has_affinity; NULL: 503. *ret_affinity is set also
 * then. The head is worker->request_head. */
struct lb_group *lb_affinity_choose(struct lb_worker *w, const struct lb_rule *rule,
                                    struct lb_affinity **ret_affinity);
/* Where the rule's forward action sends the request in hand; NULL for nowhere. */
struct lb_group *lb_group_choose(struct lb_worker *w, const struct lb_rule *rule,
                                 struct lb_affinity **ret_affinity);
/* The first cookie of that name; absent without one. */
struct str lb_find_cookie(const struct h1_head *h, struct str want);
/* NULL is fine. */
void lb_affinity_give(struct lb_worker *w, struct lb_affinity *a);
/* All of them, when the worker ends. */
void lb_affinities_free(struct lb_worker *w);
/* The Set-Cookie lines of a response; worker->response_head is the target's. */
void lb_affinity_write(struct lb_worker *w, const struct lb_exchange *ex, struct h1_writer *out);

/* Which of a forward action's groups a cohort id belongs to: an index into action->weights. The
 * id's place in [0, 1) is fixed by the key; the last group takes the places from 0 on, the one
 * before it those behind, so that with two groups a growing share of the second one keeps all whom
 * it has. weight_sum > 0. */
size_t lb_cohort_pick(const struct lb_action *a, const struct siphash_key *key, struct str id);
