#pragma once
/* From the log of `hitless load` to an account of each deployment. Pure. */

#include "base/str.h"
#include "base/time.h"

#define TALLY_VERSION_BYTES 16

/* A deployment in the log: from its start to its end, and what it brought. */
struct tally {
    wall_t from;
    wall_t to;
    struct str version;
    wall_t canary_from; /* the span in which the canary had its step; 0: none */
    wall_t canary_to;
    /* what was counted */
    uint64_t request_count;
    uint64_t failed_old; /* not answered, or 5xx, and not by the new version */
    uint64_t failed_new;
    uint64_t canary_new;
    uint64_t canary_all;
    wall_t first_bad; /* answer of the new version; 0: none */
    wall_t last_new;  /* request that the new version got */
};

struct tally_total {
    uint64_t request_count;
    uint64_t failed_count;
    uint64_t line_count_bad; /* lines that are none of the log's */
};

/* Counts every line (microseconds, status, version, latency, outcome; by tabs) into the deployment
 * whose span it falls into, and all of them into the total. */
void tally_count(struct str log, struct tally *items, size_t count, struct tally_total *ret_total);
