#pragma once
/* Names and their indexes; for conf_build.c and the control thread. */

#include "lb/conf.h"

/* Finds or makes; each take is answered by a give. */
struct lb_name *lb_name_take(struct lb_registry *r, struct lb_names *names, struct str key);
void lb_name_give(struct lb_names *names, struct str key);
/* host and port must make an address. */
struct lb_peer *lb_peer_take(struct lb_registry *r, struct str key, struct str group_arn,
                             struct str host, uint16_t port);
void lb_peer_give(struct lb_registry *r, struct lb_peer *peer);
/* Frees peers that no version names and no flow uses any more. */
void lb_peers_sweep(struct lb_registry *r);

/* A pattern is compiled when the first configuration uses it and kept until the last one is gone.
 * The configuration notes that it uses it. ERR_INPUT when it is no regular expression. */
enum err lb_regex_take(struct op *op, struct lb_registry *r, struct lb_conf *conf,
                       struct str pattern, bool ignore_case, const struct regex **ret) MUST_USE;
/* Everything that the configuration uses. */
void lb_regexes_give(struct lb_registry *r, struct lb_conf *conf);
