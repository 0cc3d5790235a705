#pragma once
/* Actions in front of a rule's routing action: jwt-validation.
 * Source: ELBv2 guide, "Verify JWTs": the token comes as "Authorization: Bearer"; without a valid
 * one the request is rejected with 401. While the key set is not there it cannot be judged: 500. */

#include "http/h1.h"
#include "lb/conf.h"

/* In front of the guards that are there. ERR_UNSUPPORTED for another action, ERR_INPUT for a key
 * set that cannot be read. Owns: the configuration, whose lb_guards_free frees the keys. */
enum err lb_guard_add(struct op *op, struct arena *a, const struct lbconf_action *in,
                      struct lb_guard **guards) MUST_USE;
/* Of all rules; a configuration that was not read to its end is fine. */
void lb_guards_free(struct lb_conf *conf);

/* 0 when the request may pass, else the status to answer. */
unsigned lb_guard_ask(const struct lb_guard *guards, const struct h1_head *h);
