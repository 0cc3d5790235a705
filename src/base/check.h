#pragma once
/* CHECK stops the process on our own mistakes, in every build. Input from outside is never checked
 * this way: it is parsed and refused. Conditions have no side effects. */

#include <stddef.h>

_Noreturn void check_failed(const char *condition, const char *file, int line);
_Noreturn void check_failed_text(const char *text, const char *file, int line);

#define CHECK(condition)                                  \
    do {                                                  \
        if (__builtin_expect(!(condition), 0)) {          \
            check_failed(#condition, __FILE__, __LINE__); \
        }                                                 \
    } while (0)

/* For whole-structure validation that costs more than the work itself: tests, fuzzers, debug
 * builds. */
#ifdef HITLESS_SLOW_CHECKS
#define CHECK_SLOW(condition) CHECK(condition)
#else
#define CHECK_SLOW(condition) \
    do {                      \
    } while (0)
#endif

#define UNREACHABLE(why) check_failed_text("unreachable: " why, __FILE__, __LINE__)

#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The struct that embeds `member` at `ptr`. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
