#pragma once

#include "base/time.h"

#define LBSTATS_SLOTS_MAX       1024 /* 50 load balancers with their target groups, and retired ones */
#define LBSTATS_ROWS_MAX        64 /* workers of all running generations of the data plane */
#define LBSTATS_NAME_MAX        96 /* "targetgroup/<32>/<16>" has 61 */
#define LBSTATS_EVENT_WORDS_MAX 16 /* that one event changes; a line of the cache for each four */
/* A retired slot keeps its totals this long before another name may take it. */
#define LBSTATS_RETIRED_FOR DUR_MIN(60)
