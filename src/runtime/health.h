#pragma once
/* The health of one container by the results of its health command. Pure.
 *
 * Source  HealthCheck of the ECS API: interval 30 s, timeout 5 s, retries 3, startPeriod off by
 *         default; failures inside the start period do not count until the first success; the
 *         image's HEALTHCHECK is ignored; docs/sources.md#ecs-health-check */

#include "runtime/driver.h"

#define RUNTIME_HEALTH_INTERVAL_DEFAULT DUR_S(30)
#define RUNTIME_HEALTH_TIMEOUT_DEFAULT  DUR_S(5)
#define RUNTIME_HEALTH_RETRIES_DEFAULT  3
/* However fast the clock runs, a program is not started more often. */
#define RUNTIME_HEALTH_INTERVAL_LEAST DUR_MS(50)

struct runtime_health_track {
    enum runtime_health state;
    int32_t failures_in_row;
    bool has_passed; /* the start period is over */
};

/* Takes one result. since_start: real time between the container's start and the start of the
 * probe. Returns true when the state changed. */
bool runtime_health_note(struct runtime_health_track *h, const struct runtime_health_check *check,
                         dur_t since_start, bool has_passed);

/* With defaults, scaled by the clock. */
dur_t runtime_health_interval(const struct runtime_health_check *check);
/* With defaults, real time. */
dur_t runtime_health_timeout(const struct runtime_health_check *check);
bool runtime_health_is_checked(const struct runtime_health_check *check);
