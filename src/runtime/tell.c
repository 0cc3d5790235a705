#include "runtime/machine_private.h"

static void send(const struct runtime *rt, const struct runtime_event *event)
{
    if (rt->is_ready && !rt->is_closing) {
        rt->sink.on_event(rt->sink.self, event);
    }
}

static struct str text_or_none(const char *text)
{
    return text[0] == '\0' ? STR_NONE : str_of(text);
}

static struct runtime_event event_of(const struct runtime_container *c,
                                     enum runtime_event_kind kind)
{
    return (struct runtime_event){
        .kind = kind,
        .at = clock_wall(),
        .task_id = c->task->spec->id,
        .container = runtime_container_spec_of(c)->name,
        .runtime_id = text_or_none(c->runtime_id),
        .address = text_or_none(c->task->address),
        .image_digest = c->image_digest,
        .reason = c->reason,
        .exit_code = c->exit_code,
        .is_out_of_memory = c->is_out_of_memory,
        .health = c->note.health.state,
    };
}

void runtime_tell(struct runtime_container *c, enum runtime_event_kind kind)
{
    struct runtime_event event = event_of(c, kind);
    send(c->task->rt, &event);
}

void runtime_tell_lines(struct runtime_container *c, const struct runtime_line *lines, size_t count)
{
    struct runtime_event event = event_of(c, RUNTIME_LOG);
    event.lines = lines;
    event.line_count = count;
    send(c->task->rt, &event);
}

void runtime_tell_task(struct runtime_task *t, enum runtime_event_kind kind, struct str reason)
{
    struct runtime_event event = {
        .kind = kind,
        .at = clock_wall(),
        .task_id = t->spec->id,
        .address = text_or_none(t->address),
        .reason = reason,
        .exit_code = RUNTIME_EXIT_CODE_NONE,
    };
    send(t->rt, &event);
}

/* ---- sights ---------------------------------------------------------------------------------- */

static enum runtime_container_state state_of(const struct runtime_container *c)
{
    if (c->phase == RUNTIME_PHASE_FAILED) {
        return RUNTIME_CONTAINER_FAILED;
    }
    if (c->phase == RUNTIME_PHASE_EXITED) {
        return RUNTIME_CONTAINER_EXITED;
    }
    if (c->phase == RUNTIME_PHASE_RUNNING) {
        bool is_stopping = c->note.stop_sent_at.us != 0 || c->is_killed;
        return is_stopping ? RUNTIME_CONTAINER_STOPPING : RUNTIME_CONTAINER_RUNNING;
    }
    return RUNTIME_CONTAINER_WAITING;
}

static void see_container(const struct runtime_container *c, struct arena *a,
                          struct runtime_container_sight *ret)
{
    const struct runtime_container_spec *spec = runtime_container_spec_of(c);
    struct runtime_binding *bindings = ARENA_ARRAY(a, struct runtime_binding, c->binding_count);
    for (size_t i = 0; i < c->binding_count; i++) {
        bindings[i] = c->bindings[i];
    }
    struct str (*socket_path)(const struct runtime_container *, struct arena *) =
        c->task->rt->effects->socket_path;
    *ret = (struct runtime_container_sight){
        .name = arena_str(a, spec->name),
        .state = state_of(c),
        .health = c->note.health.state,
        .is_essential = spec->is_essential,
        .runtime_id = arena_str(a, text_or_none(c->runtime_id)),
        .socket_path = socket_path == NULL ? STR_NONE : socket_path(c, a),
        .image_digest = arena_str(a, c->image_digest),
        .exit_code = c->exit_code,
        .reason = arena_str(a, c->reason),
        .started_at = c->started_at,
        .exited_at = c->exited_at,
        .bindings = bindings,
        .binding_count = c->binding_count,
    };
}

static bool waits_for_spec(const struct runtime_container *c)
{
    return c->phase < RUNTIME_PHASE_STARTING && !c->wants_stop && !c->task->has_secrets;
}

static wall_t earliest(wall_t a, wall_t b)
{
    return a.us == 0 || (b.us != 0 && b.us < a.us) ? b : a;
}

static struct runtime_pairs copy_labels(struct arena *a, struct runtime_pairs from)
{
    struct runtime_pair *items = ARENA_ARRAY(a, struct runtime_pair, from.count);
    for (size_t i = 0; i < from.count; i++) {
        items[i].name = arena_str(a, from.items[i].name);
        items[i].value = arena_str(a, from.items[i].value);
    }
    return (struct runtime_pairs){.items = items, .count = from.count};
}

void runtime_see(const struct runtime_task *t, struct arena *a, struct runtime_task_sight *ret)
{
    size_t count = t->spec->container_count;
    struct runtime_container_sight *containers =
        ARENA_ARRAY(a, struct runtime_container_sight, count);
    *ret = (struct runtime_task_sight){
        .id = arena_str(a, t->spec->id),
        .labels = copy_labels(a, t->spec->labels),
        .address = arena_str(a, text_or_none(t->address)),
        .is_over = runtime_task_is_over(t),
        .containers = containers,
        .container_count = count,
    };
    bool is_all_pulled = true;
    for (size_t i = 0; i < count; i++) {
        const struct runtime_container *c = t->containers[i];
        see_container(c, a, &containers[i]);
        ret->needs_spec = ret->needs_spec || waits_for_spec(c);
        ret->pull_started_at = earliest(ret->pull_started_at, c->note.pull_started_at);
        is_all_pulled = is_all_pulled && c->note.pull_stopped_at.us != 0;
        if (c->note.pull_stopped_at.us > ret->pull_stopped_at.us) {
            ret->pull_stopped_at = c->note.pull_stopped_at;
        }
    }
    if (!is_all_pulled) {
        ret->pull_stopped_at = (wall_t){0};
    }
}
