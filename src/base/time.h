#pragma once
/* Instants and spans. The compiler refuses to mix them: wall_t is for the store and for people,
 * mono_t for waiting, dur_t for spans. Only this module reads a clock.
 *
 * Time scale: every span that comes from a configuration (waits, bakes, alarm periods, health
 * intervals, drains, schedules) goes through dur_scaled(), which divides it by --time-scale.
 * Timestamps stay those of the real clock, and so do socket and probe timeouts.
 *
 * Hand-driven clock: after clock_use_manual() time stands still until clock_manual_advance(). */

#include "base/arena.h"
#include "base/str.h"

#include <stdint.h>

typedef struct {
    int64_t us; /* microseconds of an arbitrary origin, never steps back */
} mono_t;

typedef struct {
    int64_t us; /* microseconds since 1970-01-01T00:00:00Z */
} wall_t;

typedef struct {
    int64_t us; /* microseconds */
} dur_t;

#define DUR_US(n)  ((dur_t){.us = (int64_t)(n)})
#define DUR_MS(n)  ((dur_t){.us = (int64_t)(n)*1000})
#define DUR_S(n)   ((dur_t){.us = (int64_t)(n)*1000000})
#define DUR_MIN(n) ((dur_t){.us = (int64_t)(n)*60000000})

mono_t clock_mono(void);
wall_t clock_wall(void);
void clock_use_manual(mono_t mono, wall_t wall);
void clock_use_real(void);
void clock_manual_advance(dur_t by);

/* Set once at start, 1 by default. Range 1..CLOCK_SCALE_MAX. */
#define CLOCK_SCALE_MAX 100000
void clock_set_scale(int64_t divisor);
int64_t clock_scale(void);
dur_t dur_scaled(dur_t configured);

static inline mono_t mono_add(mono_t t, dur_t d)
{
    return (mono_t){.us = t.us + d.us};
}
static inline dur_t mono_since(mono_t later, mono_t earlier)
{
    return (dur_t){.us = later.us - earlier.us};
}
static inline wall_t wall_add(wall_t t, dur_t d)
{
    return (wall_t){.us = t.us + d.us};
}
static inline dur_t wall_since(wall_t later, wall_t earlier)
{
    return (dur_t){.us = later.us - earlier.us};
}
static inline int64_t dur_ms(dur_t d)
{
    return d.us / 1000;
}
static inline double wall_seconds(wall_t t)
{
    return (double)t.us / 1e6;
}
wall_t wall_from_seconds(double seconds);

/* "2026-11-20T15:42:10.123Z", always 24 characters. */
struct str wall_iso8601(struct arena *a, wall_t t);
/* "20261120T154210Z" and "20261120", as SigV4 writes dates. */
struct str wall_basic(struct arena *a, wall_t t);
struct str wall_basic_date(struct arena *a, wall_t t);
/* Accepts YYYY-MM-DD[THH:MM:SS[.fraction]][Z|+hh:mm|-hh:mm] and YYYYMMDDTHHMMSSZ. */
bool wall_parse(struct str s, wall_t *ret_time);
