#include "runtime/spec.h"

#include "base/check.h"
#include "runtime/depends.h"

#include <signal.h>

bool runtime_task_id_is_valid(struct str id)
{
    if (id.len != RUNTIME_TASK_ID_BYTES) {
        return false;
    }
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
    }
    return true;
}

int runtime_signal_number(struct str text)
{
    static const struct {
        const char *name;
        int number;
    } names[] = {
        {"TERM", SIGTERM}, {"INT", SIGINT},   {"QUIT", SIGQUIT},   {"HUP", SIGHUP},
        {"KILL", SIGKILL}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2},   {"ABRT", SIGABRT},
        {"ALRM", SIGALRM}, {"CONT", SIGCONT}, {"WINCH", SIGWINCH}, {"PIPE", SIGPIPE},
    };
    uint64_t number = 0;
    if (str_parse_u64(text, (uint64_t)SIGRTMAX, &number)) {
        return (int)number;
    }
    struct str bare = str_starts_with(text, STR("SIG")) ? str_from(text, 3) : text;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (str_equal(bare, str_of(names[i].name))) {
            return names[i].number;
        }
    }
    return 0;
}

static bool has_nul(struct str s)
{
    return str_find_char(s, '\0', 0) != STR_NOT_FOUND;
}

/* A name becomes part of labels and environment, never of a path. */
static bool is_name(struct str s)
{
    if (s.len == 0 || s.len > RUNTIME_NAME_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool is_fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_';
        if (!is_fine) {
            return false;
        }
    }
    return true;
}

static enum err check_words(struct op *op, struct str container, const char *what,
                            struct runtime_words words)
{
    size_t bytes = 0;
    for (size_t i = 0; i < words.count && i < RUNTIME_WORDS_MAX; i++) {
        bytes += words.items[i].len + 1;
        if (has_nul(words.items[i])) {
            return op_fail(op, ERR_INPUT, "container \"%.*s\": %s holds a NUL", STR_ARG(container),
                           what);
        }
    }
    if (words.count > RUNTIME_WORDS_MAX || bytes > RUNTIME_WORDS_BYTES_MAX) {
        return op_fail(op, ERR_LIMIT, "container \"%.*s\": %s is longer than %d words or %u bytes",
                       STR_ARG(container), what, RUNTIME_WORDS_MAX, RUNTIME_WORDS_BYTES_MAX);
    }
    return ERR_OK;
}

static enum err check_environment(struct op *op, const struct runtime_container_spec *c)
{
    size_t bytes = 0;
    for (size_t i = 0; i < c->environment.count && i < RUNTIME_ENVIRONMENT_MAX; i++) {
        const struct runtime_pair *p = &c->environment.items[i];
        bytes += p->name.len + p->value.len + 2;
        if (p->name.len == 0 || has_nul(p->name) || has_nul(p->value) ||
            str_find_char(p->name, '=', 0) != STR_NOT_FOUND) {
            return op_fail(op, ERR_INPUT,
                           "container \"%.*s\": variable %zu of the environment has an empty name, "
                           "a name with \"=\", or a NUL",
                           STR_ARG(c->name), i + 1);
        }
    }
    if (c->environment.count > RUNTIME_ENVIRONMENT_MAX || bytes > RUNTIME_ENVIRONMENT_BYTES_MAX) {
        return op_fail(op, ERR_LIMIT,
                       "container \"%.*s\": the environment has more than %d variables or %u bytes",
                       STR_ARG(c->name), RUNTIME_ENVIRONMENT_MAX, RUNTIME_ENVIRONMENT_BYTES_MAX);
    }
    return ERR_OK;
}

static enum err check_pairs(struct op *op, const char *what, struct runtime_pairs pairs)
{
    if (pairs.count > RUNTIME_LABELS_MAX) {
        return op_fail(op, ERR_LIMIT, "%zu %s, the limit is %d", pairs.count, what,
                       RUNTIME_LABELS_MAX);
    }
    for (size_t i = 0; i < pairs.count; i++) {
        const struct runtime_pair *p = &pairs.items[i];
        if (p->name.len == 0 || p->name.len > RUNTIME_LABEL_BYTES_MAX ||
            p->value.len > RUNTIME_LABEL_BYTES_MAX) {
            return op_fail(op, ERR_LIMIT, "%s: a name or value has more than %d bytes", what,
                           RUNTIME_LABEL_BYTES_MAX);
        }
    }
    return ERR_OK;
}

static enum err check_numbers(struct op *op, const struct runtime_container_spec *c)
{
    if (c->cpu_units < 0 || c->memory_mib < 0 || c->memory_reservation_mib < 0 ||
        c->stop_timeout.us < 0 || c->start_timeout.us < 0) {
        return op_fail(op, ERR_INPUT, "container \"%.*s\": a negative limit", STR_ARG(c->name));
    }
    if (c->port_count > RUNTIME_PORTS_MAX || c->ulimit_count > RUNTIME_ULIMITS_MAX) {
        return op_fail(op, ERR_LIMIT, "container \"%.*s\": more than %d ports or %d ulimits",
                       STR_ARG(c->name), RUNTIME_PORTS_MAX, RUNTIME_ULIMITS_MAX);
    }
    for (size_t i = 0; i < c->port_count; i++) {
        const struct runtime_port *p = &c->ports[i];
        if (p->container_port < 1 || p->container_port > 65535 || p->host_port < 0 ||
            p->host_port > 65535) {
            return op_fail(op, ERR_INPUT, "container \"%.*s\": port %d:%d is out of range",
                           STR_ARG(c->name), p->host_port, p->container_port);
        }
    }
    if (str_is_set(c->stop_signal) && runtime_signal_number(c->stop_signal) == 0) {
        return op_fail(op, ERR_INPUT, "container \"%.*s\": unknown stop signal \"%.*s\"",
                       STR_ARG(c->name), STR_ARG(c->stop_signal));
    }
    return ERR_OK;
}

static enum err check_health(struct op *op, const struct runtime_container_spec *c)
{
    const struct runtime_health_check *h = &c->health_check;
    if (h->command.count == 0) {
        return ERR_OK;
    }
    struct str form = h->command.items[0];
    bool is_shell = STR_IS(form, "CMD-SHELL");
    bool is_none = STR_IS(form, "NONE");
    if (!is_none && !is_shell && !STR_IS(form, "CMD")) {
        return op_fail(op, ERR_INPUT,
                       "container \"%.*s\": a health command begins with CMD or CMD-SHELL",
                       STR_ARG(c->name));
    }
    if (!is_none && (h->command.count < 2 || (is_shell && h->command.count != 2))) {
        return op_fail(op, ERR_INPUT, "container \"%.*s\": the health command is incomplete",
                       STR_ARG(c->name));
    }
    if (h->interval.us < 0 || h->timeout.us < 0 || h->start_period.us < 0 || h->retries < 0) {
        return op_fail(op, ERR_INPUT, "container \"%.*s\": a negative time in the health check",
                       STR_ARG(c->name));
    }
    return check_words(op, c->name, "the health command", h->command);
}

static enum err check_depends(struct op *op, const struct runtime_task_spec *spec,
                              const struct runtime_container_spec *c)
{
    if (c->depends_on_count > RUNTIME_DEPENDS_MAX) {
        return op_fail(op, ERR_LIMIT, "container \"%.*s\": more than %d dependencies",
                       STR_ARG(c->name), RUNTIME_DEPENDS_MAX);
    }
    for (size_t i = 0; i < c->depends_on_count; i++) {
        size_t other = runtime_depends_find(spec, c->depends_on[i].container);
        if (other == RUNTIME_DEPENDS_NONE || &spec->containers[other] == c) {
            return op_fail(op, ERR_INPUT,
                           "container \"%.*s\" depends on \"%.*s\", which is no other container "
                           "of the task",
                           STR_ARG(c->name), STR_ARG(c->depends_on[i].container));
        }
        if (c->depends_on[i].condition == RUNTIME_WHEN_HEALTHY &&
            spec->containers[other].health_check.command.count == 0) {
            return op_fail(op, ERR_INPUT,
                           "container \"%.*s\" waits for \"%.*s\" to be healthy, which has no "
                           "health check",
                           STR_ARG(c->name), STR_ARG(c->depends_on[i].container));
        }
    }
    return ERR_OK;
}

static enum err check_container(struct op *op, const struct runtime_task_spec *spec, size_t index)
{
    const struct runtime_container_spec *c = &spec->containers[index];
    if (!is_name(c->name)) {
        return op_fail(op, ERR_INPUT, "container %zu has no valid name", index + 1);
    }
    if (runtime_depends_find(spec, c->name) != index) {
        return op_fail(op, ERR_INPUT, "two containers are named \"%.*s\"", STR_ARG(c->name));
    }
    if (c->image.len == 0 || c->image.len > 4096 || has_nul(c->image) ||
        has_nul(c->working_folder) || c->working_folder.len > 4096 || has_nul(c->user) ||
        c->user.len > 255) {
        return op_fail(op, ERR_INPUT,
                       "container \"%.*s\": image, working folder or user is empty, too long or "
                       "holds a NUL",
                       STR_ARG(c->name));
    }
    TRY(check_words(op, c->name, "entryPoint", c->entry_point));
    TRY(check_words(op, c->name, "command", c->command));
    TRY(check_environment(op, c));
    TRY(check_pairs(op, "docker labels", c->docker_labels));
    TRY(check_numbers(op, c));
    TRY(check_health(op, c));
    return check_depends(op, spec, c);
}

enum err runtime_spec_check(struct op *op, const struct runtime_task_spec *spec)
{
    if (!runtime_task_id_is_valid(spec->id)) {
        return op_fail(op, ERR_INPUT, "a task id has %d lower-case hex digits",
                       RUNTIME_TASK_ID_BYTES);
    }
    if (spec->container_count == 0 || spec->container_count > RUNTIME_CONTAINERS_MAX) {
        return op_fail(op, ERR_LIMIT, "a task has 1 to %d containers, this one %zu",
                       RUNTIME_CONTAINERS_MAX, spec->container_count);
    }
    if (spec->cpu_units < 0 || spec->memory_mib < 0) {
        return op_fail(op, ERR_INPUT, "the task has a negative limit");
    }
    TRY(check_pairs(op, "labels", spec->labels));
    for (size_t i = 0; i < spec->container_count; i++) {
        TRY(check_container(op, spec, i));
    }
    if (!runtime_depends_is_acyclic(spec)) {
        return op_fail(op, ERR_INPUT, "the containers' dependencies form a circle");
    }
    return ERR_OK;
}

/* ---- copies ---------------------------------------------------------------------------------- */

static struct runtime_words copy_words(struct arena *a, struct runtime_words from)
{
    struct str *items = ARENA_ARRAY(a, struct str, from.count);
    for (size_t i = 0; i < from.count; i++) {
        items[i] = arena_str(a, from.items[i]);
    }
    return (struct runtime_words){.items = items, .count = from.count};
}

static struct runtime_pairs copy_pairs(struct arena *a, struct runtime_pairs from)
{
    struct runtime_pair *items = ARENA_ARRAY(a, struct runtime_pair, from.count);
    for (size_t i = 0; i < from.count; i++) {
        items[i].name = arena_str(a, from.items[i].name);
        items[i].value = arena_str(a, from.items[i].value);
    }
    return (struct runtime_pairs){.items = items, .count = from.count};
}

static const struct runtime_ulimit *copy_ulimits(struct arena *a,
                                                 const struct runtime_container_spec *from)
{
    struct runtime_ulimit *items = ARENA_ARRAY(a, struct runtime_ulimit, from->ulimit_count);
    for (size_t i = 0; i < from->ulimit_count; i++) {
        items[i] = from->ulimits[i];
        items[i].name = arena_str(a, from->ulimits[i].name);
    }
    return items;
}

static const struct runtime_dependency *copy_depends(struct arena *a,
                                                     const struct runtime_container_spec *from)
{
    struct runtime_dependency *items =
        ARENA_ARRAY(a, struct runtime_dependency, from->depends_on_count);
    for (size_t i = 0; i < from->depends_on_count; i++) {
        items[i] = from->depends_on[i];
        items[i].container = arena_str(a, from->depends_on[i].container);
    }
    return items;
}

static void copy_container(struct arena *a, struct arena *secrets,
                           const struct runtime_container_spec *from,
                           struct runtime_container_spec *to)
{
    *to = *from;
    to->name = arena_str(a, from->name);
    to->image = arena_str(a, from->image);
    to->entry_point = copy_words(a, from->entry_point);
    to->command = copy_words(a, from->command);
    to->working_folder = arena_str(a, from->working_folder);
    to->user = arena_str(a, from->user);
    to->environment = copy_pairs(secrets, from->environment);
    struct runtime_port *ports = ARENA_ARRAY(a, struct runtime_port, from->port_count);
    for (size_t i = 0; i < from->port_count; i++) {
        ports[i] = from->ports[i];
    }
    to->ports = ports;
    to->ulimits = copy_ulimits(a, from);
    to->depends_on = copy_depends(a, from);
    to->health_check.command = copy_words(a, from->health_check.command);
    to->stop_signal = arena_str(a, from->stop_signal);
    to->docker_labels = copy_pairs(a, from->docker_labels);
}

struct runtime_task_spec *runtime_spec_copy(struct arena *arena, struct arena *secrets,
                                            const struct runtime_task_spec *spec)
{
    struct runtime_task_spec *to = ARENA_NEW(arena, struct runtime_task_spec);
    *to = *spec;
    to->id = arena_str(arena, spec->id);
    to->labels = copy_pairs(arena, spec->labels);
    to->platform = arena_str(arena, spec->platform);
    to->login.user = arena_str(secrets, spec->login.user);
    to->login.password = arena_str(secrets, spec->login.password);
    struct runtime_container_spec *containers =
        ARENA_ARRAY(arena, struct runtime_container_spec, spec->container_count);
    for (size_t i = 0; i < spec->container_count; i++) {
        copy_container(arena, secrets, &spec->containers[i], &containers[i]);
    }
    to->containers = containers;
    return to;
}

/* A copy is ours to write: its texts and lists lie in its arenas. */
static void *writable(const void *ours)
{
    void *same = NULL;
    memcpy(&same, &ours, sizeof(same));
    return same;
}

static void wipe_text(struct str s)
{
    if (s.len > 0) {
        explicit_bzero(writable(s.ptr), s.len);
    }
}

void runtime_spec_wipe(struct runtime_task_spec *copy)
{
    wipe_text(copy->login.password);
    copy->login = (struct runtime_registry_login){0};
    for (size_t i = 0; i < copy->container_count; i++) {
        struct runtime_container_spec *c = writable(&copy->containers[i]);
        for (size_t e = 0; e < c->environment.count; e++) {
            wipe_text(c->environment.items[e].value);
        }
        c->environment = (struct runtime_pairs){0};
    }
}
