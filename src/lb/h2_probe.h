#pragma once
/* A health check over HTTP/2: one request on a connection of its own. Bytes in, bytes out; no
 * socket. Source: ALB: HTTP2 groups are asked with GET, GRPC groups with POST of an empty message,
 * and the matcher looks at grpc-status. */

#include "lb/conf.h"

struct lb_h2_probe;

enum lb_h2_probe_state { LB_H2_PROBE_MORE, LB_H2_PROBE_ANSWERED, LB_H2_PROBE_FAILED };

/* host: for :authority. */
struct lb_h2_probe *lb_h2_probe_make(enum lb_version version, struct str path, struct str host,
                                     struct str scheme);
void lb_h2_probe_free(struct lb_h2_probe *p);
/* What is to be sent next, absent when nothing; lives until the next call. */
struct str lb_h2_probe_out(struct lb_h2_probe *p);
/* *ret_code with LB_H2_PROBE_ANSWERED: the status, of a GRPC group the grpc-status. */
enum lb_h2_probe_state lb_h2_probe_take(struct lb_h2_probe *p, struct str bytes,
                                        unsigned *ret_code);
