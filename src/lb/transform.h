#pragma once
/* What a rule's transforms make of a request's host and URL before it goes to a target.
 *
 * Source  ELBv2 guide, "Transforms for listener rules": the first match of the regex is replaced,
 * $1 to $9 are its groups; without a match the request goes on as it came; a match whose result
 * cannot be sent is answered with 500. The URL is path and query, "/a?b=c"; the host has no port.
 */

#include "http/h1.h"
#include "lb/conf.h"

struct regex_scratch;

/* Absent where nothing changes. The texts lie in the room that was given. */
struct lb_transformed {
    struct str url;
    struct str host;
};

/* Room for the URL as it came and both results. */
#define LB_TRANSFORM_ROOM_BYTES (3 * LB_TRANSFORM_BYTES_MAX)

/* False: a pattern matched, and what it makes is too long, or no URL or host name; or the matcher
 * gave up. */
bool lb_transform_request(const struct lb_rule *rule, const struct h1_head *h,
                          struct regex_scratch *scratch, char room[LB_TRANSFORM_ROOM_BYTES],
                          struct lb_transformed *ret);
