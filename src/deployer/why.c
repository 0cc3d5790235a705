#include "deployer/why.h"

#include "base/check.h"
#include "deployer/verify.h"
#include "gen/logs.h"

#define ONE(list_items)   .items = (list_items), .count = 1, .is_set = true
#define WORDS(list_words) .items = (list_words).items, .count = (list_words).count, .is_set = true
#define TASKS_MAX         100

static const struct ecs_container *worst_container(const struct ecs_task *t)
{
    const struct ecs_container *worst = NULL;
    for (size_t i = 0; i < t->containers.count; i++) {
        const struct ecs_container *c = &t->containers.items[i];
        bool is_bad = OPT_OR(c->exit_code, 0) != 0 || str_is_set(c->reason);
        if (worst == NULL || (is_bad && OPT_OR(worst->exit_code, 0) == 0)) {
            worst = c;
        }
    }
    return worst;
}

static int badness(const struct ecs_task *t)
{
    const struct ecs_container *c = worst_container(t);
    if (c == NULL) {
        return 0;
    }
    int64_t code = OPT_OR(c->exit_code, 0);
    bool is_told_to_stop = code == 143 || code == 137;
    if ((code != 0 && !is_told_to_stop) || str_is_set(c->reason)) {
        return 3;
    }
    return str_find(t->stopped_reason, STR("failed"), 0) != STR_NOT_FOUND ? 2 : 1;
}

const struct ecs_task *why_pick(const struct ecs_tasks *tasks, struct str task_definition)
{
    const struct ecs_task *best = NULL;
    for (size_t i = 0; i < tasks->count; i++) {
        const struct ecs_task *t = &tasks->items[i];
        if (!str_equal(t->task_definition_arn, task_definition)) {
            continue;
        }
        int difference = best == NULL ? 1 : badness(t) - badness(best);
        bool is_newer = best != NULL && t->created_at.value.us > best->created_at.value.us;
        if (difference > 0 || (difference == 0 && is_newer)) {
            best = t;
        }
    }
    return best;
}

static void read_lines(struct op *op, const struct cloud *cloud, struct str log_group,
                       const struct ecs_task *task, struct why *w)
{
    struct str id = str_from(task->task_arn, str_find_last_char(task->task_arn, '/') + 1);
    struct logs_get_log_events_in in = {
        .log_group_name = log_group,
        .log_stream_name =
            arena_printf(&op->arena, "ecs/%.*s/%.*s", STR_ARG(w->container), STR_ARG(id)),
        .limit = OPT_I32(WHY_LINES_MAX),
        .start_from_head = OPT_BOOL(false)};
    struct logs_get_log_events_out out = {0};
    if (logs_call_get_log_events(op, cloud->client, &in, &out) != ERR_OK) {
        op_note_clear(op);
        return;
    }
    size_t skip = out.events.count > WHY_LINES_MAX ? out.events.count - WHY_LINES_MAX : 0;
    for (size_t i = skip; i < out.events.count; i++) {
        w->lines[w->line_count++] = str_trim(out.events.items[i].message);
    }
}

void why_of_task(struct op *op, const struct cloud *cloud, struct str log_group,
                 const struct ecs_task *task, struct why *ret)
{
    struct why w = {.task = task->task_arn, .stopped_reason = task->stopped_reason};
    const struct ecs_container *c = worst_container(task);
    if (c != NULL) {
        w.container = c->name;
        w.has_exit_code = c->exit_code.is_set;
        w.exit_code = c->exit_code.value;
        if (str_is_set(c->reason)) {
            w.stopped_reason = arena_printf(&op->arena, "%.*s (%.*s)",
                                            STR_ARG(task->stopped_reason), STR_ARG(c->reason));
        }
        read_lines(op, cloud, log_group, task, &w);
    }
    *ret = w;
}

static enum err read_tasks(struct op *op, const struct cloud *cloud, const struct place *place,
                           enum ecs_desired_status status, struct ecs_tasks *ret)
{
    struct ecs_list_tasks_in list = {.cluster = place->cluster,
                                     .service_name = place->service_name,
                                     .desired_status = status,
                                     .max_results = OPT_I32(TASKS_MAX)};
    struct ecs_list_tasks_out listed = {0};
    TRY(ecs_call_list_tasks(op, cloud->client, &list, &listed));
    if (listed.task_arns.count == 0) {
        return ERR_OK;
    }
    struct ecs_describe_tasks_in in = {.cluster = place->cluster,
                                       .tasks = {WORDS(listed.task_arns)}};
    struct ecs_describe_tasks_out out = {0};
    TRY(ecs_call_describe_tasks(op, cloud->client, &in, &out));
    *ret = out.tasks;
    return ERR_OK;
}

/* An alarm that has calmed down since: its history tells why it fired. */
static bool has_fired(struct op *op, const struct cloud *cloud, struct str name, wall_t since,
                      struct str *ret_reason)
{
    struct cloudwatch_describe_alarm_history_in in = {
        .alarm_name = name,
        .history_item_type = CLOUDWATCH_HISTORY_ITEM_TYPE_STATEUPDATE,
        .start_date = OPT_TIME(since),
        .scan_by = CLOUDWATCH_SCAN_BY_TIMESTAMPDESCENDING};
    struct cloudwatch_describe_alarm_history_out out = {0};
    if (cloudwatch_call_describe_alarm_history(op, cloud->client, &in, &out) != ERR_OK) {
        op_note_clear(op);
        return false;
    }
    for (size_t i = 0; i < out.alarm_history_items.count; i++) {
        struct str data = out.alarm_history_items.items[i].history_data;
        struct str state = STR_NONE;
        if (verify_json_value(&op->arena, data, STR(".newState.stateValue"), &state) &&
            STR_IS(state, "ALARM") &&
            verify_json_value(&op->arena, data, STR(".newState.stateReason"), ret_reason)) {
            return true;
        }
    }
    return false;
}

static void take_fired(struct op *op, const struct cloud *cloud, struct alarm_state *state,
                       wall_t since, struct why *w)
{
    bool is_fired = has_fired(op, cloud, state->name, since, &state->reason);
    if (is_fired || state->is_in_alarm) {
        state->is_in_alarm = true;
        *ARENA_PUSH(&op->arena, &w->alarms) = *state;
    }
}

static void find_alarms(struct op *op, const struct cloud *cloud, const struct config_words *names,
                        wall_t since, struct why *w)
{
    struct alarm_states states = {0};
    if (alarms_read(op, cloud, names, &states) != ERR_OK) {
        op_note_clear(op);
        return;
    }
    for (size_t i = 0; i < states.count; i++) {
        take_fired(op, cloud, &states.items[i], since, w);
    }
}

void why_find(struct op *op, const struct cloud *cloud, const struct place *place,
              const struct handle *handle, const struct config_words *alarms, struct why *ret)
{
    struct why w = {0};
    struct ecs_tasks tasks = {0};
    const struct ecs_task *task = NULL;
    if (read_tasks(op, cloud, place, ECS_DESIRED_STATUS_STOPPED, &tasks) == ERR_OK) {
        task = why_pick(&tasks, handle->task_definition);
    }
    op_note_clear(op);
    if (task != NULL) {
        why_of_task(op, cloud, place->log_group, task, &w);
    }
    find_alarms(op, cloud, alarms, handle->started, &w);
    *ret = w;
}
