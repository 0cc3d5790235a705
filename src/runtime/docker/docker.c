#include "runtime/docker/docker.h"

#include "base/check.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "codec/json.h"
#include "codec/urlenc.h"
#include "runtime/depends.h"
#include "runtime/docker/internal.h"
#include "runtime/docker/json.h"
#include "runtime/spec.h"

#include <dirent.h>
#include <stdio.h>

#define SAMPLE_INTERVAL      DUR_S(5)
#define API_MINOR_WANTED     43 /* of version 1: all that we use is there since 1.41 */
#define API_MINOR_LEAST      24
#define EVENT_LINE_BYTES_MAX 65536

const char *docker_task_folder(const struct runtime_task *t, struct arena *a)
{
    return arena_printf(a, "%s/%.*s", docker_of(t)->state_folder, STR_ARG(t->spec->id)).ptr;
}

/* ---- tasks ------------------------------------------------------------------------------------
 */

static void init_task(struct runtime_task *t)
{
    docker_task_of(t)->network_owner = runtime_depends_network_owner(t->spec);
    for (size_t i = 0; i < t->spec->container_count; i++) {
        docker_container_init(docker_container_of(t->containers[i]));
    }
}

static enum err open_folders(struct runtime_task *t, struct op *op)
{
    const char *folder = docker_task_folder(t, &op->arena);
    for (size_t i = 0; i < t->spec->container_count; i++) {
        struct docker_container *dc = docker_container_of(t->containers[i]);
        const char *own = arena_printf(&op->arena, "%s/%zu", folder, i).ptr;
        TRY(runtime_kept_open(op, own, true, &dc->folder_fd));
    }
    return ERR_OK;
}

static enum err prepare(struct runtime_task *t, struct op *op)
{
    init_task(t);
    const char *folder = docker_task_folder(t, &op->arena);
    TRY(file_make_folder(op, folder, RUNTIME_FOLDER_MODE));
    TRY(open_folders(t, op));
    return runtime_kept_write_spec(op, folder, t->spec);
}

static bool may_start(const struct runtime_container *c)
{
    const struct runtime_container *owner =
        c->task->containers[docker_task_of(c->task)->network_owner];
    return !docker_joins_network(c) || owner->phase >= RUNTIME_PHASE_RUNNING;
}

static void resume(struct runtime_task *t)
{
    for (size_t i = 0; i < t->spec->container_count; i++) {
        struct docker_container *dc = docker_container_of(t->containers[i]);
        if (dc->c.phase == RUNTIME_PHASE_RUNNING) {
            docker_look(dc);
        }
        if (dc->c.phase == RUNTIME_PHASE_RUNNING || dc->c.is_log_open) {
            docker_follow_logs(dc);
        }
    }
}

static void release(struct runtime_task *t)
{
    struct docker_task *dt = docker_task_of(t);
    docker_call_cancel(&dt->removal);
    docker_call_cancel(&dt->sample);
    ev_timer_stop(&dt->retry_removal);
    for (size_t i = 0; i < t->spec->container_count; i++) {
        docker_container_release(docker_container_of(t->containers[i]));
    }
}

/* ---- removal ----------------------------------------------------------------------------------
 */

static void remove_next(struct docker_task *dt);

static void on_removal_again(struct ev_timer *timer)
{
    remove_next(CONTAINER_OF(timer, struct docker_task, retry_removal));
}

static void on_removed(struct docker_call *call, const struct docker_answer *answer)
{
    struct docker_task *dt = CONTAINER_OF(call, struct docker_task, removal);
    if (answer->status != 404 && !docker_is_success(answer)) {
        ev_timer_set(dt->task.rt->loop, &dt->retry_removal, DOCKER_RETRY, on_removal_again);
        return;
    }
    dt->at++;
    remove_next(dt);
}

static void remove_next(struct docker_task *dt)
{
    struct arena a;
    arena_init(&a);
    if (dt->at == dt->task.spec->container_count) {
        runtime_kept_remove(docker_task_folder(&dt->task, &a));
        arena_fini(&a);
        runtime_task_removed(&dt->task);
        return;
    }
    struct str name = docker_name_of(dt->task.containers[dt->at], &a);
    struct docker_request request = {
        .method = STR("DELETE"),
        .target = arena_printf(&a, "/containers/%.*s?force=1&v=1", STR_ARG(name)),
    };
    docker_call_start(docker_of(&dt->task), &dt->removal, &request, on_removed);
    arena_fini(&a);
}

static void remove_task(struct runtime_task *t)
{
    struct docker_task *dt = docker_task_of(t);
    docker_call_cancel(&dt->sample);
    dt->at = 0;
    remove_next(dt);
}

/* ---- the stream of events ---------------------------------------------------------------------
 */

static void follow_events(struct docker *d);

static void look_at_all(struct docker *d)
{
    size_t at = 0;
    struct str id = STR_NONE;
    void *value = NULL;
    while (map_next(&d->rt.tasks, &at, &id, &value)) {
        struct runtime_task *t = value;
        for (size_t i = 0; !t->is_removing && i < t->spec->container_count; i++) {
            if (t->containers[i]->phase == RUNTIME_PHASE_RUNNING) {
                docker_look(docker_container_of(t->containers[i]));
            }
        }
    }
}

static void on_event_retry(struct ev_timer *timer)
{
    follow_events(CONTAINER_OF(timer, struct docker, retry));
}

static void on_events_done(struct docker_call *call, const struct docker_answer *answer)
{
    struct docker *d = CONTAINER_OF(call, struct docker, events);
    if (!d->has_complained) {
        d->has_complained = true;
        log_warn("runtime", "docker's events have stopped: %.*s", STR_ARG(answer->message));
    }
    ev_timer_set(d->rt.loop, &d->retry, DOCKER_RETRY, on_event_retry);
}

static void take_event(struct docker *d)
{
    struct arena a;
    arena_init(&a);
    struct str line = buf_str(&d->event_line);
    struct str id = docker_json_text(&a, line, "Actor|Attributes|hitless.task");
    struct str name = docker_json_text(&a, line, "Actor|Attributes|hitless.container");
    struct runtime_task *t = str_is_set(id) ? runtime_task_find(&d->rt, id) : NULL;
    struct runtime_container *c =
        t != NULL && str_is_set(name) ? runtime_container_find(t, name) : NULL;
    if (c != NULL && d->rt.is_ready) {
        docker_look(docker_container_of(c));
    }
    arena_fini(&a);
    buf_reset(&d->event_line);
}

static void on_events_body(struct httpio_call *http, struct str piece)
{
    struct docker_call *call = CONTAINER_OF(http, struct docker_call, http);
    struct docker *d = CONTAINER_OF(call, struct docker, events);
    d->has_complained = false;
    for (size_t i = 0; i < piece.len; i++) {
        if (piece.ptr[i] == '\n') {
            take_event(d);
        } else {
            buf_add_char(&d->event_line, piece.ptr[i]);
        }
    }
    /* One object that came without a line end is looked at as well: it is whole when it parses. */
    if (d->event_line.len > 0 && piece.len > 0 && piece.ptr[piece.len - 1] == '}') {
        take_event(d);
    }
}

static void on_events_head(struct httpio_call *http, const struct h1_head *head)
{
    (void)head;
    struct docker_call *call = CONTAINER_OF(http, struct docker_call, http);
    struct docker *d = CONTAINER_OF(call, struct docker, events);
    d->has_complained = false;
    if (d->rt.is_ready) {
        look_at_all(d); /* what happened while nobody listened */
    }
}

/* {"type":["container"],"event":["die"],"label":["hitless.instance=..."]} */
static void write_filter(const struct docker *d, struct buf *target)
{
    struct arena a;
    arena_init(&a);
    const struct runtime_pair members[] = {
        {STR("type"), STR("container")},
        {STR("event"), STR("die")},
        {STR("label"), arena_printf(&a, "hitless.instance=%s", d->instance)},
    };
    auto_buf struct buf json;
    buf_init(&json, 16384);
    struct json_writer w;
    json_writer_init(&w, &json);
    json_begin_object(&w);
    for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
        json_key(&w, members[i].name);
        json_begin_array(&w);
        json_add_string(&w, members[i].value);
        json_end_array(&w);
    }
    json_end_object(&w);
    url_encode(target, buf_str(&json), false);
    arena_fini(&a);
}

static void follow_events(struct docker *d)
{
    buf_reset(&d->event_line);
    struct buf target;
    buf_init(&target, 65536);
    /* From a moment ago on: what happens before Docker has begun to listen for us is told too. */
    buf_addf(&target, "/events?since=%lld&filters=", (long long)(clock_wall().us / 1000000 - 1));
    write_filter(d, &target);
    struct docker_request request = {
        .method = STR("GET"),
        .target = buf_str(&target),
        .on_head = on_events_head,
        .on_body = on_events_body,
        .answer_timeout = HTTPIO_NO_TIMEOUT,
        .silence_timeout = HTTPIO_NO_TIMEOUT,
    };
    docker_call_start(d, &d->events, &request, on_events_done);
    buf_fini(&target);
}

/* ---- birth ------------------------------------------------------------------------------------
 */

static void ask_version(struct docker *d);
static void look_at_next(struct docker *d);

static void on_boot_again(struct ev_timer *timer)
{
    struct docker *d = CONTAINER_OF(timer, struct docker, retry);
    if (d->version[0] == '\0') {
        ask_version(d);
    } else {
        look_at_next(d);
    }
}

static void boot_failed(struct docker *d, struct str why)
{
    if (!d->has_complained) {
        d->has_complained = true;
        log_warn("runtime", "docker does not answer, and is asked again: %.*s", STR_ARG(why));
    }
    ev_timer_set(d->rt.loop, &d->retry, DOCKER_RETRY, on_boot_again);
}

static void on_boot_sight(struct docker_call *call, const struct docker_answer *answer)
{
    struct docker *d = CONTAINER_OF(call, struct docker, boot);
    if (docker_is_success(answer)) {
        docker_adopt(d->boot_list[d->boot_at], answer->body);
    } else if (answer->status != 404) {
        boot_failed(d, answer->message);
        return;
    }
    d->boot_at++;
    look_at_next(d);
}

static void look_at_next(struct docker *d)
{
    if (d->boot_at == d->boot_count) {
        mem_free(steal_ptr(&d->boot_list));
        follow_events(d);
        runtime_set_ready(&d->rt);
        return;
    }
    struct arena a;
    arena_init(&a);
    struct str name = docker_name_of(&d->boot_list[d->boot_at]->c, &a);
    struct docker_request request = {
        .method = STR("GET"),
        .target = arena_printf(&a, "/containers/%.*s/json", STR_ARG(name)),
    };
    docker_call_start(d, &d->boot, &request, on_boot_sight);
    arena_fini(&a);
}

/* "1.41" to 41; 0 for anything else. */
static unsigned api_minor(struct str text)
{
    struct str major = STR_NONE;
    struct str minor = STR_NONE;
    uint64_t number = 0;
    bool is_known = str_cut(text, '.', &major, &minor) && STR_IS(major, "1") &&
                    str_parse_u64(minor, 999, &number);
    return is_known ? (unsigned)number : 0;
}

static void on_version(struct docker_call *call, const struct docker_answer *answer)
{
    struct docker *d = CONTAINER_OF(call, struct docker, boot);
    struct arena a;
    arena_init(&a);
    unsigned newest = api_minor(docker_json_text(&a, answer->body, "ApiVersion"));
    unsigned oldest = api_minor(docker_json_text(&a, answer->body, "MinAPIVersion"));
    unsigned use = newest < API_MINOR_WANTED ? newest : API_MINOR_WANTED;
    use = use < oldest ? oldest : use;
    struct str os = docker_json_text(&a, answer->body, "Os");
    struct str arch = docker_json_text(&a, answer->body, "Arch");
    (void)snprintf(d->platform, sizeof(d->platform), "%.*s/%.*s", STR_ARG(os), STR_ARG(arch));
    arena_fini(&a);
    if (!docker_is_success(answer)) {
        boot_failed(d, answer->message);
    } else if (use < API_MINOR_LEAST) {
        boot_failed(d, STR("it speaks no version of the API that we know"));
    } else {
        (void)snprintf(d->version, sizeof(d->version), "/v1.%u", use);
        d->has_complained = false;
        look_at_next(d);
    }
}

static void ask_version(struct docker *d)
{
    struct docker_request request = {.method = STR("GET"), .target = STR("/version")};
    docker_call_start(d, &d->boot, &request, on_version);
}

static enum err adopt_task(struct docker *d, struct op *op, const char *name)
{
    const char *folder = arena_printf(&op->arena, "%s/%s", d->state_folder, name).ptr;
    struct runtime_task_spec *spec = NULL;
    TRY(runtime_kept_read_spec(op, folder, str_of(name), &spec));
    struct runtime_task *t = runtime_adopt_task(&d->rt, spec);
    CHECK(t != NULL); /* a folder's name is unique */
    init_task(t);
    enum err e = open_folders(t, op); /* without a folder: as if there were no note */
    for (size_t i = 0; i < spec->container_count; i++) {
        const struct docker_container *dc = docker_container_of(t->containers[i]);
        runtime_note_read(dc->folder_fd, &t->containers[i]->note);
    }
    return e;
}

static enum err adopt_tasks(struct docker *d, struct op *op)
{
    DIR *folder = opendir(d->state_folder);
    if (folder == NULL) {
        return op_fail_errno(op, "could not read the folder \"%s\"", d->state_folder);
    }
    for (const struct dirent *e = readdir(folder); e != NULL; e = readdir(folder)) {
        if (runtime_task_id_is_valid(str_of(e->d_name)) && adopt_task(d, op, e->d_name) != ERR_OK) {
            log_warn("runtime", "a task's folder cannot be used: %s", op->note.text);
            op_note_clear(op);
        }
    }
    (void)closedir(folder);
    return ERR_OK;
}

/* Every container that may be there, in boot_list. */
static void list_boot(struct docker *d)
{
    d->boot_list = mem_alloc_array(d->rt.tasks.count * RUNTIME_CONTAINERS_MAX + 1,
                                   sizeof(struct docker_container *));
    size_t at = 0;
    struct str id = STR_NONE;
    void *value = NULL;
    while (map_next(&d->rt.tasks, &at, &id, &value)) {
        const struct runtime_task *t = value;
        for (size_t i = 0; i < t->spec->container_count; i++) {
            d->boot_list[d->boot_count++] = docker_container_of(t->containers[i]);
        }
    }
}

static void close_docker(struct runtime *rt)
{
    struct docker *d = CONTAINER_OF(rt, struct docker, rt);
    docker_call_cancel(&d->boot);
    docker_call_cancel(&d->events);
    ev_timer_stop(&d->retry);
    mem_free(d->boot_list);
    buf_fini(&d->event_line);
    mem_free(d);
}

static const struct runtime_effects effects = {
    .name = "docker",
    .task_bytes = sizeof(struct docker_task),
    .container_bytes = sizeof(struct docker_container),
    .sample_interval = SAMPLE_INTERVAL,
    .prepare = prepare,
    .pull = docker_pull,
    .may_start = may_start,
    .start = docker_start,
    .send_stop = docker_send_stop,
    .send_kill = docker_send_kill,
    .probe = docker_probe,
    .remember = docker_remember,
    .sample = docker_sample,
    .resume = resume,
    .remove = remove_task,
    .release = release,
    .close = close_docker,
};

static enum err set_up(struct op *op, struct docker *d, const struct runtime_docker_config *config)
{
    struct str addr = arena_printf(&op->arena, "unix:%s", config->socket_path);
    if (!net_addr_parse(addr, &d->addr)) {
        return op_fail(op, ERR_INPUT, "\"%s\" is no path of a socket", config->socket_path);
    }
    if (!str_to_c(str_of(config->state_folder), d->state_folder, sizeof(d->state_folder)) ||
        !str_to_c(str_of(config->instance), d->instance, sizeof(d->instance))) {
        return op_fail(op, ERR_LIMIT, "the state folder or the instance's name is too long");
    }
    TRY(file_make_folder(op, d->state_folder, RUNTIME_FOLDER_MODE));
    TRY(adopt_tasks(d, op));
    list_boot(d);
    return ERR_OK;
}

enum err runtime_docker_open(struct op *op, struct ev_loop *loop,
                             const struct runtime_docker_config *config,
                             const struct runtime_sink *sink, struct runtime **ret)
{
    struct docker *d = MEM_NEW(struct docker);
    runtime_init(&d->rt, &effects, loop, sink);
    buf_init(&d->event_line, EVENT_LINE_BYTES_MAX);
    enum err e = set_up(op, d, config);
    if (e != ERR_OK) {
        runtime_close(&d->rt);
        return e;
    }
    ask_version(d);
    *ret = &d->rt;
    return ERR_OK;
}
