#pragma once
/* Fault points: places around every commit and effect of the machines where a test kills the
 * program. HITLESS_FAULT_AT=n in the environment makes the n-th point reached abort the process
 * with SIGKILL; HITLESS_FAULT_COUNT=FILE appends a byte a point, so a test learns how many there
 * are. Both are read once, by fault_init() at start; without them a point costs one load. */

void fault_init(void);
void fault_hit(const char *name);
extern int fault_is_armed;

#define FAULT_POINT(name)                          \
    do {                                           \
        if (__builtin_expect(fault_is_armed, 0)) { \
            fault_hit(name);                       \
        }                                          \
    } while (0)
