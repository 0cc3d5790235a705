#pragma once
/* Answers to a certificate authority that asks whether a name is ours: HTTP-01, RFC 8555 section
 * 8.3. A configuration usually has none, and then a request pays one comparison. */

#include "lb/conf.h"

/* GET path is answered by the action, on every listener without TLS, before any rule. */
struct lb_challenge {
    struct str path; /* "/.well-known/acme-challenge/TOKEN" */
    struct lb_action action;
};

/* from->count items in the arena. ERR_LIMIT or ERR_INPUT with a sentence. */
enum err lb_challenges_read(struct op *op, struct arena *a,
                            const struct lbconf_acme_challenges *from,
                            struct lb_challenge **ret_items) MUST_USE;

/* The fixed response to this path, or NULL: then the rules are asked. */
const struct lb_action *lb_challenge_find(const struct lb_conf *conf, const struct lb_listener *l,
                                          struct str path);
