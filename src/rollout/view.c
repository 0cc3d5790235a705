/* What outsiders see of a blue/green deployment: tables over its state and history. */

#include "rollout/shift.h"

#include "base/check.h"

struct event_row {
    const char *name;
    bool takes_hook;
    enum shift_state state;
};

static const struct event_row events[SHIFT_EVENT_COUNT] = {
    [SHIFT_EVENT_BEFORE_INSTALL] = {"BeforeInstall", true, SHIFT_BEFORE_INSTALL},
    [SHIFT_EVENT_INSTALL] = {"Install", false, SHIFT_INSTALLING},
    [SHIFT_EVENT_AFTER_INSTALL] = {"AfterInstall", true, SHIFT_AFTER_INSTALL},
    [SHIFT_EVENT_ALLOW_TEST] = {"AllowTestTraffic", false, SHIFT_TEST_TRAFFIC},
    [SHIFT_EVENT_AFTER_TEST] = {"AfterAllowTestTraffic", true, SHIFT_AFTER_TEST_TRAFFIC},
    [SHIFT_EVENT_BEFORE_ALLOW] = {"BeforeAllowTraffic", true, SHIFT_BEFORE_ALLOW},
    [SHIFT_EVENT_ALLOW] = {"AllowTraffic", false, SHIFT_SHIFTING},
    [SHIFT_EVENT_AFTER_ALLOW] = {"AfterAllowTraffic", true, SHIFT_AFTER_ALLOW},
};

static const enum shift_status statuses[SHIFT_STATE_COUNT] = {
#define X(state, limit_min, next, event, status) [SHIFT_##state] = SHIFT_STATUS_##status,
#include "rollout/states.def"
#undef X
};

enum shift_status shift_status(const struct shift_row *row)
{
    CHECK(row->state < SHIFT_STATE_COUNT);
    return statuses[row->state];
}

const char *shift_event_name(enum shift_event event)
{
    CHECK(event < SHIFT_EVENT_COUNT);
    return events[event].name;
}

bool shift_event_parse(struct str name, enum shift_event *ret_event)
{
    for (int i = 0; i < SHIFT_EVENT_COUNT; i++) {
        if (str_equal_nocase(name, str_of(events[i].name))) {
            *ret_event = (enum shift_event)i;
            return true;
        }
    }
    return false;
}

bool shift_event_takes_hook(enum shift_event event)
{
    CHECK(event < SHIFT_EVENT_COUNT);
    return events[event].takes_hook;
}

enum shift_event shift_event_of(enum shift_state state)
{
    for (int i = 0; i < SHIFT_EVENT_COUNT; i++) {
        if (events[i].state == state) {
            return (enum shift_event)i;
        }
    }
    return SHIFT_EVENT_NONE;
}

struct shift_event_view shift_event_view(const struct shift_row *row, enum shift_event event)
{
    CHECK(event < SHIFT_EVENT_COUNT);
    enum shift_state state = events[event].state;
    struct shift_event_view view = {.status = SHIFT_PENDING};
    for (size_t i = 0; i < row->history_count; i++) {
        if (row->history[i].state != state) {
            continue;
        }
        view.started_at = row->history[i].at;
        view.status = SHIFT_IN_PROGRESS;
        if (i + 1 < row->history_count) {
            view.ended_at = row->history[i + 1].at;
            bool is_bad = row->cause != SHIFT_CAUSE_NONE && row->failed_in == state;
            view.status = is_bad ? SHIFT_FAILED_EVENT : SHIFT_SUCCEEDED;
        }
    }
    if (view.status == SHIFT_PENDING && row->cause != SHIFT_CAUSE_NONE) {
        view.status = SHIFT_SKIPPED;
    }
    return view;
}
