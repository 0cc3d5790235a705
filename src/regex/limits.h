#pragma once
/* Limits of regular expressions that outsiders write and that run on what other outsiders send. */

#include "base/time.h"

#define REGEX_PATTERN_BYTES_MAX 1024  /* ELBv2: of a transform; conditions allow 128 */
#define REGEX_GROUPS_MAX        100   /* with the whole match */
#define REGEX_STEPS_MAX         10000 /* of the matcher from one start position */
#define REGEX_WINDOW_MIN        8     /* start positions that are tried before the clock is asked */
#define REGEX_WINDOW_MAX        64
#define REGEX_STACK_BYTES_MIN   (32 * 1024)
#define REGEX_STACK_BYTES_MAX   (512 * 1024)
#define REGEX_TIME_MAX          DUR_MS(2) /* of the thread's own time, over all start positions */
