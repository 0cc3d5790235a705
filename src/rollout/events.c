#include "rollout/service.h"

#include "base/buf.h"
#include "base/check.h"

#define EVENT_TEXT_BYTES_MAX ((size_t)64 * 1024)

struct event_row {
    const char *code;
    enum rollout_event_level level;
    struct str text;
};

static const struct event_row rows[ROLLOUT_EVENT_COUNT] = {
#define X(kind, code_, level_, text_) \
    [ROLLOUT_EVENT_##kind] = {.code = (code_), .level = (level_), .text = STR_INIT(text_)},
#include "rollout/events.def"
#undef X
};

static void add_tasks(struct buf *b, const struct rollout_event *e)
{
    for (size_t i = 0; e->task_ids != NULL && i < e->count; i++) {
        buf_addf(b, "%s(task %.*s)", i == 0 ? "" : " ", STR_ARG(e->task_ids[i]));
    }
}

static void add_value(struct buf *b, struct str name, struct str service_name,
                      const struct rollout_event *e)
{
    if (STR_IS(name, "service")) {
        buf_add(b, service_name);
    } else if (STR_IS(name, "count")) {
        buf_addf(b, "%zu", e->count);
    } else if (STR_IS(name, "tasks")) {
        add_tasks(b, e);
    } else if (STR_IS(name, "deployment")) {
        buf_add(b, e->deployment_id);
    } else if (STR_IS(name, "group")) {
        buf_add(b, e->target_group_arn);
    } else if (STR_IS(name, "port")) {
        buf_addf(b, "%d", e->port);
    } else if (STR_IS(name, "reason")) {
        buf_add(b, e->reason);
    } else {
        UNREACHABLE("events.def names a value that no event has");
    }
}

struct str rollout_event_text(struct arena *a, struct str service_name,
                              const struct rollout_event *e)
{
    CHECK(e->kind < ROLLOUT_EVENT_COUNT);
    auto_buf struct buf b;
    buf_init(&b, EVENT_TEXT_BYTES_MAX);
    struct str rest = rows[e->kind].text;
    struct str head;
    struct str tail;
    while (str_cut(rest, '{', &head, &tail)) {
        struct str name;
        buf_add(&b, head);
        CHECK(str_cut(tail, '}', &name, &rest));
        add_value(&b, name, service_name, e);
    }
    buf_add(&b, rest);
    return arena_str(a, buf_str(&b));
}

const char *rollout_event_code(enum rollout_event_kind kind)
{
    CHECK(kind < ROLLOUT_EVENT_COUNT);
    return rows[kind].code;
}

enum rollout_event_level rollout_event_level(enum rollout_event_kind kind)
{
    CHECK(kind < ROLLOUT_EVENT_COUNT);
    return rows[kind].level;
}
