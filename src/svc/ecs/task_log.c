/* What containers write: to the log group that their awslogs options name, and the last lines of
 * each container to its row, for those who ask why a task failed. */
#include "svc/ecs/ecs_priv.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"

struct container_log {
    struct str name;
    struct str group; /* absent: no awslogs */
    struct str stream;
    struct str region;
    bool may_create_group;
};

struct task_logs {
    struct arena arena;
    struct container_log *items;
    size_t count;
};

void ecs_task_logs_drop(struct task_seat *seat)
{
    if (seat->logs != NULL) {
        arena_fini(&seat->logs->arena);
        mem_free(seat->logs);
        seat->logs = NULL;
    }
}

static struct str option(const struct ecs_log_configuration *l, const char *name)
{
    for (size_t i = 0; i < l->options.count; i++) {
        if (str_equal(l->options.items[i].key, str_of(name))) {
            return l->options.items[i].value;
        }
    }
    return STR_NONE;
}

static struct container_log read_options(struct arena *a, struct str task_id,
                                         const struct ecs_container_definition *c)
{
    struct container_log log = {.name = arena_str(a, c->name)};
    const struct ecs_log_configuration *l = c->log_configuration;
    if (l == NULL || l->log_driver != ECS_LOG_DRIVER_AWSLOGS) {
        return log;
    }
    struct str prefix = option(l, "awslogs-stream-prefix");
    log.group = arena_str(a, option(l, "awslogs-group"));
    log.region = arena_str(a, option(l, "awslogs-region"));
    log.stream = prefix.len > 0 ? arena_printf(a, "%.*s/%.*s/%.*s", STR_ARG(prefix),
                                               STR_ARG(c->name), STR_ARG(task_id))
                                : arena_str(a, task_id);
    log.may_create_group = str_equal_nocase(option(l, "awslogs-create-group"), STR("true"));
    return log;
}

/* The port takes its region from the op; awslogs-region may be another one than the task's. */
static void open_log_op(struct op *log_op, const struct op *op, const struct container_log *log)
{
    op_init(log_op);
    log_op->account = op->account;
    log_op->region = log->region.len > 0 ? log->region : op->region;
}

static enum err ensure_stream(struct op *op, struct ecs *ecs, const struct container_log *log)
{
    const struct port_logs *port = ecs->config.logs;
    auto_op struct op log_op;
    open_log_op(&log_op, op, log);
    enum err e =
        port->ensure_stream(port->self, &log_op, log->group, log->stream, log->may_create_group);
    if (e == ERR_NOT_FOUND) {
        return op_fail(op, ERR_NOT_FOUND,
                       "ResourceInitializationError: failed to validate logger args: create stream "
                       "has been retried 1 times: failed to create Cloudwatch log stream: "
                       "ResourceNotFoundException: The specified log group does not exist. (Log "
                       "group: %.*s) : exit status 1",
                       STR_ARG(log->group));
    }
    if (e != ERR_OK) {
        return op_fail(op, e, "ResourceInitializationError: failed to validate logger args: %s",
                       log_op.note.text);
    }
    return ERR_OK;
}

enum err ecs_task_ensure_streams(struct op *op, struct ecs *ecs, struct str task_id,
                                 const struct ecs_task_definition *td)
{
    for (size_t i = 0; i < td->container_definitions.count; i++) {
        struct container_log log =
            read_options(&op->arena, task_id, &td->container_definitions.items[i]);
        if (log.group.len == 0) {
            continue;
        }
        TRY(ensure_stream(op, ecs, &log));
    }
    return ERR_OK;
}

static enum err load_logs(struct op *op, struct task_seat *seat)
{
    struct engine_ecs_task row = {0};
    TRY(ecs_task_get(op, seat->ecs, str_of(seat->cluster), str_of(seat->id), &row));
    struct ecs_task_definition td = {0};
    TRY(ecs_task_definition_of(op, seat->ecs, row.task->task_definition_arn, &td));
    struct task_logs *logs = MEM_NEW(struct task_logs);
    arena_init(&logs->arena);
    logs->count = td.container_definitions.count;
    logs->items = ARENA_ARRAY(&logs->arena, struct container_log, logs->count + 1);
    for (size_t i = 0; i < logs->count; i++) {
        logs->items[i] =
            read_options(&logs->arena, str_of(seat->id), &td.container_definitions.items[i]);
    }
    seat->logs = logs;
    return ERR_OK;
}

static const struct container_log *find_log(const struct task_logs *logs, struct str container)
{
    for (size_t i = 0; i < logs->count; i++) {
        if (str_equal(logs->items[i].name, container)) {
            return &logs->items[i];
        }
    }
    return NULL;
}

static struct str log_key(struct op *op, struct str task_id, struct str container)
{
    return ecs_key(op, task_id, container);
}

static enum err see_tail(struct op *op, struct ecs *ecs, struct str task_id, struct str container,
                         struct engine_ecs_task_log *ret)
{
    enum err e =
        store_get(op, ecs->config.store, &ecs_kind_task_log, log_key(op, task_id, container), ret);
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        *ret = (struct engine_ecs_task_log){0};
        return ERR_OK;
    }
    return e;
}

static void keep_line(struct op *op, struct engine_ecs_task_log *row, struct str text)
{
    struct engine_texts *lines = &row->lines;
    if (lines->count == ECS_TAIL_LINES_MAX) {
        memmove(lines->items, lines->items + 1, (lines->count - 1) * sizeof(*lines->items));
        lines->count--;
        lines->items[lines->count++] = str_slice(text, 0, ECS_TAIL_LINE_BYTES_MAX);
        return;
    }
    struct engine_texts grown = {.is_set = true};
    for (size_t i = 0; i < lines->count; i++) {
        *ARENA_PUSH(&op->arena, &grown) = lines->items[i];
    }
    *ARENA_PUSH(&op->arena, &grown) = str_slice(text, 0, ECS_TAIL_LINE_BYTES_MAX);
    *lines = grown;
}

/* Lines and the position behind them are one transaction: each line is kept exactly once. */
static enum err keep_lines(struct op *op, struct op *log_op, struct task_seat *seat,
                           const struct container_log *log, const struct runtime_event *event)
{
    struct ecs *ecs = seat->ecs;
    const struct port_logs *port = ecs->config.logs;
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ecs->config.store, &tx));
    struct engine_ecs_task_log row = {0};
    TRY(see_tail(op, ecs, event->task_id, log->name, &row));
    int64_t position = OPT_OR(row.position, 0);
    for (size_t i = 0; i < event->line_count; i++) {
        const struct runtime_line *line = &event->lines[i];
        if ((int64_t)line->position <= position) {
            continue;
        }
        position = (int64_t)line->position;
        keep_line(op, &row, line->text);
        if (log->group.len == 0) {
            continue;
        }
        TRY(port->put_line(port->self, log_op, log->group, log->stream, line->at, line->text));
    }
    row.position = OPT_I64(position);
    TRY(store_put(op, ecs->config.store, &ecs_kind_task_log, log_key(op, event->task_id, log->name),
                  event->task_id, &row));
    FAULT_POINT("ecs.log.commit");
    return store_tx_commit(op, &tx);
}

void ecs_task_log_event(struct task_seat *seat, const struct runtime_event *event)
{
    auto_op struct op op;
    ecs_op_init(&op, seat->ecs, seat->region);
    if (seat->logs == NULL && load_logs(&op, seat) != ERR_OK) {
        log_warn("ecs", "task=%s text=\"lost log lines: %s\"", seat->id, op.note.text);
        return;
    }
    const struct container_log *log = find_log(seat->logs, event->container);
    if (log == NULL) {
        return;
    }
    auto_op struct op log_op;
    open_log_op(&log_op, &op, log);
    if (keep_lines(&op, &log_op, seat, log, event) != ERR_OK) {
        log_warn("ecs", "task=%s text=\"lost log lines: %s %s\"", seat->id, op.note.text,
                 log_op.note.text);
    }
}

struct str ecs_task_tail(struct op *op, struct ecs *ecs, struct str task_id, struct str container)
{
    struct engine_ecs_task_log row = {0};
    if (see_tail(op, ecs, task_id, container, &row) != ERR_OK) {
        op_note_clear(op); /* for people: nothing to show is an answer as well */
        return STR("");
    }
    auto_buf struct buf b;
    buf_init(&b, (size_t)ECS_TAIL_LINES_MAX * (ECS_TAIL_LINE_BYTES_MAX + 1));
    for (size_t i = 0; i < row.lines.count; i++) {
        if (i > 0) {
            buf_add_char(&b, '\n');
        }
        buf_add(&b, row.lines.items[i]);
    }
    return arena_str(&op->arena, buf_str(&b));
}
