#include "runtime/health.h"

bool runtime_health_is_checked(const struct runtime_health_check *check)
{
    return check->command.count > 0 && !STR_IS(check->command.items[0], "NONE");
}

dur_t runtime_health_interval(const struct runtime_health_check *check)
{
    dur_t d =
        dur_scaled(check->interval.us == 0 ? RUNTIME_HEALTH_INTERVAL_DEFAULT : check->interval);
    return d.us < RUNTIME_HEALTH_INTERVAL_LEAST.us ? RUNTIME_HEALTH_INTERVAL_LEAST : d;
}

dur_t runtime_health_timeout(const struct runtime_health_check *check)
{
    return check->timeout.us == 0 ? RUNTIME_HEALTH_TIMEOUT_DEFAULT : check->timeout;
}

static int32_t retries_of(const struct runtime_health_check *check)
{
    return check->retries == 0 ? RUNTIME_HEALTH_RETRIES_DEFAULT : check->retries;
}

bool runtime_health_note(struct runtime_health_track *h, const struct runtime_health_check *check,
                         dur_t since_start, bool has_passed)
{
    enum runtime_health before = h->state;
    if (has_passed) {
        h->state = RUNTIME_HEALTHY;
        h->failures_in_row = 0;
        h->has_passed = true;
        return h->state != before;
    }
    if (!h->has_passed && since_start.us < dur_scaled(check->start_period).us) {
        return false;
    }
    if (h->failures_in_row < retries_of(check)) {
        h->failures_in_row++;
    }
    if (h->failures_in_row >= retries_of(check)) {
        h->state = RUNTIME_UNHEALTHY;
    }
    return h->state != before;
}
