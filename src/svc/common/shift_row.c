#include "svc/common/shift_row.h"

#include "base/check.h"

static const char *const cause_names[] = {
    [SHIFT_CAUSE_NONE] = "none",
    [SHIFT_CAUSE_ALARM] = "alarm",
    [SHIFT_CAUSE_STOP] = "stop",
    [SHIFT_CAUSE_READY_TIMEOUT] = "ready_timeout",
    [SHIFT_CAUSE_HOOK_FAILED] = "hook_failed",
    [SHIFT_CAUSE_HOOK_TIMEOUT] = "hook_timeout",
    [SHIFT_CAUSE_TASKS_FAILED] = "tasks_failed",
    [SHIFT_CAUSE_TIMEOUT] = "timeout",
    [SHIFT_CAUSE_LOST] = "lost",
    [SHIFT_CAUSE_SERVICE_GONE] = "service_gone",
    [SHIFT_CAUSE_REFUSED] = "refused",
};

static enum shift_cause cause_of(struct str name)
{
    for (size_t i = 0; i < ARRAY_COUNT(cause_names); i++) {
        if (str_equal(name, str_of(cause_names[i]))) {
            return (enum shift_cause)i;
        }
    }
    return SHIFT_CAUSE_NONE;
}

static enum shift_state state_of(struct str name)
{
    enum shift_state state = SHIFT_RESTORING;
    (void)shift_state_parse(name, &state);
    return state;
}

struct shift_row shift_row_read(const struct engine_shift_machine *m)
{
    struct shift_row row = {
        .state = state_of(m->state),
        .created_at = OPT_OR(m->created_at, (wall_t){0}),
        .entered_at = OPT_OR(m->entered_at, (wall_t){0}),
        .step = OPT_OR(m->step, 0),
        .step_begun_at = OPT_OR(m->step_begun_at, (wall_t){0}),
        .step_at = OPT_OR(m->step_at, (wall_t){0}),
        .is_continued = OPT_OR(m->is_continued, false),
        .is_stop_asked = OPT_OR(m->is_stop_asked, false),
        .is_refused = OPT_OR(m->is_refused, false),
        .cause = cause_of(m->cause),
        .failed_in = state_of(m->failed_in),
    };
    for (size_t i = 0; i < m->history.count && i < SHIFT_HISTORY_MAX; i++) {
        row.history[row.history_count++] =
            (struct shift_moment){.state = state_of(m->history.items[i].state),
                                  .at = OPT_OR(m->history.items[i].at, (wall_t){0})};
    }
    return row;
}

static struct opt_time opt_moment(wall_t at)
{
    return at.us == 0 ? (struct opt_time){0} : OPT_TIME(at);
}

struct engine_shift_machine *shift_row_write(struct op *op, const struct shift_row *row)
{
    struct engine_shift_machine *m = ARENA_NEW(&op->arena, struct engine_shift_machine);
    *m = (struct engine_shift_machine){
        .state = str_of(shift_state_name(row->state)),
        .created_at = opt_moment(row->created_at),
        .entered_at = opt_moment(row->entered_at),
        .step = OPT_I32(row->step),
        .step_begun_at = opt_moment(row->step_begun_at),
        .step_at = opt_moment(row->step_at),
        .is_continued = OPT_BOOL(row->is_continued),
        .is_stop_asked = OPT_BOOL(row->is_stop_asked),
        .is_refused = OPT_BOOL(row->is_refused),
        .cause = str_of(cause_names[row->cause]),
        .failed_in = str_of(shift_state_name(row->failed_in)),
    };
    m->history.is_set = true;
    for (size_t i = 0; i < row->history_count; i++) {
        *ARENA_PUSH(&op->arena, &m->history) =
            (struct engine_shift_moment){.state = str_of(shift_state_name(row->history[i].state)),
                                         .at = opt_moment(row->history[i].at)};
    }
    return m;
}
