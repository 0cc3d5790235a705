#pragma once
/* Which rule of a listener takes a request. Source: ELBv2 rule conditions: host without port and
 * not case-sensitive, path case-sensitive and without query, header and query values not
 * case-sensitive, methods exact; values of a condition are alternatives, conditions all hold.
 * Regular expressions are looked for anywhere in the text and keep the case rule of their field;
 * one that would take too long does not match. */

#include "http/h1.h"
#include "lb/conf.h"

struct regex_scratch;

/* IPv4 as ::ffff:a.b.c.d. Unix sockets: all zero. */
void lb_addr_bytes(const struct net_addr *addr, uint8_t ret_bytes[16]);
bool lb_addr_is_v4(const uint8_t bytes[16]);
/* "10.0.0.0/8", "2001:db8::/32", an address alone. False when it is none. */
bool lb_cidr_read(struct str text, struct lb_cidr *ret);

struct lb_request_facts {
    const struct h1_head *head;
    uint8_t peer[16]; /* of lb_addr_bytes */
    struct regex_scratch *scratch;
};

/* The first rule whose conditions hold; NULL when none does (a listener without default rule). */
const struct lb_rule *lb_rule_find(const struct lb_listener *l,
                                   const struct lb_request_facts *facts);
bool lb_rule_holds(const struct lb_rule *rule, const struct lb_request_facts *facts);
/* The request's path as rules see it: never empty. */
struct str lb_rule_path(const struct h1_head *h);
/* Pattern with *, ? and \ before a character that stands for itself. No recursion. */
bool lb_rule_match(struct str pattern, struct str text, bool ignore_case);
/* The address, of lb_addr_bytes, lies in the range. */
bool lb_cidr_has(const struct lb_cidr *cidr, const uint8_t bytes[16]);
/* Host without its port. */
struct str lb_host_name(struct str host);
