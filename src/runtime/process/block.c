#include "runtime/process/internal.h"

#include "base/check.h"

#include <sys/stat.h>

#define PATH_DEFAULT "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define IMAGE_SCHEME "dir://"
#define OWN_MAX      12 /* variables that we add */

enum err process_image_folder(struct op *op, struct str image, struct str *ret)
{
    struct str folder = str_from(image, sizeof(IMAGE_SCHEME) - 1);
    if (!str_starts_with(image, STR(IMAGE_SCHEME)) || !str_starts_with(folder, STR("/"))) {
        return op_fail(op, ERR_INPUT,
                       "\"%.*s\" is no image of the process runtime: it takes "
                       "dir:///absolute/path",
                       STR_ARG(image));
    }
    struct stat st;
    if (stat(arena_c_str(&op->arena, folder), &st) == -1) {
        return op_fail_errno(op, "\"%.*s\"", STR_ARG(image));
    }
    if (!S_ISDIR(st.st_mode)) {
        return op_fail(op, ERR_INPUT, "\"%.*s\" is no folder", STR_ARG(image));
    }
    *ret = folder;
    return ERR_OK;
}

/* ---- environment ----------------------------------------------------------------------------- */

struct variables {
    struct str *items;
    size_t count;
};

static bool is_set_by(const struct runtime_container_spec *spec, struct str name)
{
    for (size_t i = 0; i < spec->environment.count; i++) {
        if (str_equal(spec->environment.items[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* What says where to listen is ours: another address would be another task's. */
static bool is_reserved(struct str name)
{
    return STR_IS(name, "HOST") || STR_IS(name, "SOCKET") || STR_IS(name, "HITLESS_TASK_ID") ||
           STR_IS(name, "HITLESS_CONTAINER");
}

static void add(struct arena *a, struct variables *v, struct str name, struct str value)
{
    v->items[v->count++] = arena_printf(a, "%.*s=%.*s", STR_ARG(name), STR_ARG(value));
}

static void add_unless_set(struct arena *a, struct variables *v,
                           const struct runtime_container_spec *spec, struct str name,
                           struct str value)
{
    if (str_is_set(value) && !is_set_by(spec, name)) {
        add(a, v, name, value);
    }
}

static struct str label_of(const struct runtime_task_spec *spec, struct str name)
{
    for (size_t i = 0; i < spec->labels.count; i++) {
        if (str_equal(spec->labels.items[i].name, name)) {
            return spec->labels.items[i].value;
        }
    }
    return STR_NONE;
}

static struct runtime_words make_environment(struct op *op, const struct runtime_container *c,
                                             struct str socket_path)
{
    struct arena *a = &op->arena;
    const struct runtime_container_spec *spec = runtime_container_spec_of(c);
    const struct runtime_task_spec *task = c->task->spec;
    struct variables v = {.items = ARENA_ARRAY(a, struct str, spec->environment.count + OWN_MAX)};
    add(a, &v, STR("HITLESS_TASK_ID"), task->id);
    add(a, &v, STR("HITLESS_CONTAINER"), spec->name);
    add(a, &v, STR("HOST"), str_of(c->task->address));
    add(a, &v, STR("SOCKET"), socket_path);
    if (spec->port_count > 0) {
        add_unless_set(a, &v, spec, STR("PORT"),
                       arena_printf(a, "%d", spec->ports[0].container_port));
    }
    struct str region = label_of(task, STR("region"));
    add_unless_set(a, &v, spec, STR("AWS_REGION"), region);
    add_unless_set(a, &v, spec, STR("AWS_DEFAULT_REGION"), region);
    add_unless_set(a, &v, spec, STR("HOSTNAME"), str_slice(task->id, 0, 12));
    if (!is_set_by(spec, STR("PATH"))) {
        v.items[v.count++] = STR(PATH_DEFAULT);
    }
    for (size_t i = 0; i < spec->environment.count; i++) {
        const struct runtime_pair *p = &spec->environment.items[i];
        if (!is_reserved(p->name)) {
            add(a, &v, p->name, p->value);
        }
    }
    return (struct runtime_words){.items = v.items, .count = v.count};
}

/* ---- words ----------------------------------------------------------------------------------- */

static enum err make_words(struct op *op, const struct runtime_container_spec *spec,
                           struct runtime_words *ret)
{
    size_t count = spec->entry_point.count + spec->command.count;
    if (count == 0) {
        return op_fail(op, ERR_INPUT,
                       "no command specified: an image that is a folder has none of its own");
    }
    struct str *items = ARENA_ARRAY(&op->arena, struct str, count);
    for (size_t i = 0; i < count; i++) {
        items[i] = i < spec->entry_point.count ? spec->entry_point.items[i]
                                               : spec->command.items[i - spec->entry_point.count];
    }
    *ret = (struct runtime_words){.items = items, .count = count};
    return ERR_OK;
}

static struct runtime_words make_probe(struct op *op, const struct runtime_health_check *check)
{
    if (!runtime_health_is_checked(check)) {
        return (struct runtime_words){0};
    }
    if (!STR_IS(check->command.items[0], "CMD-SHELL")) {
        return (struct runtime_words){check->command.items + 1, check->command.count - 1};
    }
    struct str *items = ARENA_ARRAY(&op->arena, struct str, 3);
    items[0] = STR("/bin/sh");
    items[1] = STR("-c");
    items[2] = check->command.items[1];
    return (struct runtime_words){.items = items, .count = 3};
}

/* Absolute, or below the image's folder. */
static struct str work_folder(struct arena *a, struct str image, struct str asked)
{
    if (asked.len == 0) {
        return image;
    }
    return asked.ptr[0] == '/' ? asked
                               : arena_printf(a, "%.*s/%.*s", STR_ARG(image), STR_ARG(asked));
}

struct str process_socket_path(const struct runtime_container *c, struct arena *a)
{
    return arena_printf(a, "%s/%zu/app.sock", process_run_folder(c->task, a), c->index);
}

enum err process_make_launch(struct op *op, const struct runtime_container *c,
                             struct shim_launch *ret)
{
    struct arena *a = &op->arena;
    const struct runtime_container_spec *spec = runtime_container_spec_of(c);
    const char *run = process_run_folder(c->task, a);
    struct shim_launch l = {
        .container_folder = arena_printf(a, "%s/%zu", process_task_folder(c->task, a), c->index),
        .control_path = arena_printf(a, "%s/%zu.ctl", run, c->index),
        .run_folder = arena_printf(a, "%s/%zu", run, c->index),
        .user = spec->user,
        .probe = make_probe(op, &spec->health_check),
        .is_log_followed = spec->wants_log,
        .ulimit_count = spec->ulimit_count,
    };
    struct str image = STR_NONE;
    TRY(process_image_folder(op, spec->image, &image));
    TRY(make_words(op, spec, &l.words));
    l.work_folder = work_folder(a, image, spec->working_folder);
    l.environment = make_environment(op, c, process_socket_path(c, a));
    for (size_t i = 0; i < spec->ulimit_count; i++) {
        l.ulimits[i] = spec->ulimits[i];
    }
    const struct process *p = process_of(c->task);
    TRY(runtime_cgroup_make_container(op, &p->cgroups, c->task->spec, c->index, &l));
    *ret = l;
    return ERR_OK;
}
