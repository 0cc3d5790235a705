#pragma once
/* What a target is told of the TLS connection: values of ALB's X-Amzn-Mtls-* and X-Amzn-Tls-*
 * headers, made once a connection when the first request needs them.
 *
 * Source  ELB user guide, "HTTP headers and mutual TLS". */

#include "base/str.h"

struct lb_tls;

enum lb_tls_fact {
#define X(fact, name, attribute) fact,
#include "lb/tls_facts.def"
#undef X
    LB_TLS_FACT_COUNT,
};

struct lb_tls_facts {
    /* absent: there is none; which of them a target is told is the listener's affair */
    struct str values[LB_TLS_FACT_COUNT];
};

/* The header's name in lower case, and the listener attribute that renames it. */
struct str lb_tls_fact_name(enum lb_tls_fact fact);
struct str lb_tls_fact_attribute(enum lb_tls_fact fact);

/* Made by the first call; lives with the connection. */
const struct lb_tls_facts *lb_tls_facts(struct lb_tls *t);
void lb_tls_facts_free(struct lb_tls_facts *facts);
