#include "cli/session.h"

#include "base/file.h"
#include "cli/local.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_BYTES_MAX YAML_TEXT_BYTES_MAX
#define PATH_BYTES_MAX 4096
#define FOLDERS_UP_MAX 64
#define GIT_BYTES_MAX  (1u << 20)
#define COMMIT_CHARS   12

static volatile sig_atomic_t is_interrupted;

void session_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputs("\n", stderr);
}

/* ---- the file ---- */

static struct str look_up(void *self, struct str name)
{
    struct op *op = self;
    return str_of(getenv(arena_c_str(&op->arena, name)));
}

static bool find_file(struct op *op, struct str *ret_path)
{
    char here[PATH_BYTES_MAX];
    if (getcwd(here, sizeof(here)) == NULL) {
        return false;
    }
    struct str folder = arena_str(&op->arena, str_of(here));
    for (int up = 0; up < FOLDERS_UP_MAX; up++) {
        struct str path = arena_printf(&op->arena, "%.*s%s" CONFIG_FILE_NAME, STR_ARG(folder),
                                       STR_IS(folder, "/") ? "" : "/");
        if (access(path.ptr, F_OK) == 0) {
            *ret_path = path;
            return true;
        }
        if (folder.len <= 1) {
            return false;
        }
        size_t slash = str_find_last_char(folder, '/');
        folder = slash == 0 ? STR("/") : str_slice(folder, 0, slash);
    }
    return false;
}

static struct str absolute(struct op *op, struct str path)
{
    char here[PATH_BYTES_MAX];
    if (str_starts_with(path, STR("/")) || getcwd(here, sizeof(here)) == NULL) {
        return path;
    }
    return arena_printf(&op->arena, "%s/%.*s", here, STR_ARG(path));
}

int session_read(struct op *op, struct str file_word, struct session *s)
{
    struct str path = file_word;
    if (!str_is_set(path) && !find_file(op, &path)) {
        return cli_fail(CLI_USAGE, "hitless init writes one to start from",
                        "there is no " CONFIG_FILE_NAME " here or above");
    }
    struct config_source source = {.path = absolute(op, path), .lookup = look_up, .self = op};
    if (file_read(op, arena_c_str(&op->arena, path), FILE_BYTES_MAX, &source.text) != ERR_OK) {
        return cli_fail_op(CLI_USAGE, op, NULL);
    }
    struct config_problems problems = {0};
    if (config_parse(op, &source, &s->config, &problems) == ERR_OK) {
        return CLI_OK;
    }
    for (size_t i = 0; i < problems.count; i++) {
        (void)fprintf(stderr, "%.*s:%d:%d: %.*s\n", STR_ARG(path), problems.items[i].line,
                      problems.items[i].column, STR_ARG(problems.items[i].text));
    }
    return CLI_USAGE;
}

int session_choose(struct op *op, struct str word, struct session *s)
{
    const struct config *c = &s->config;
    if (!str_is_set(word) && c->environment_count == 1) {
        s->environment = &c->environments[0];
        return CLI_OK;
    }
    s->environment = str_is_set(word) ? config_find_environment(c, word) : NULL;
    if (s->environment != NULL) {
        return CLI_OK;
    }
    struct str all = STR("");
    for (size_t i = 0; i < c->environment_count; i++) {
        all = arena_printf(&op->arena, "%.*s%s%.*s", STR_ARG(all), i == 0 ? "" : ", ",
                           STR_ARG(c->environments[i].name));
    }
    struct str hint = arena_printf(&op->arena, "the file has: %.*s", STR_ARG(all));
    return str_is_set(word)
               ? cli_fail(CLI_USAGE, hint.ptr, "there is no environment \"%.*s\"", STR_ARG(word))
               : cli_fail(CLI_USAGE, hint.ptr, "which environment?");
}

/* ---- the way to the API ---- */

static bool is_given(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0';
}

static int start_engine(struct op *op, const struct session *s, struct str state,
                        struct str endpoint)
{
    struct local_engine e = {.state = state,
                             .api = STR(LOCAL_API_DEFAULT),
                             .endpoint = endpoint,
                             .time_scale = s->environment->time_scale,
                             .runtime = "auto"};
    pid_t pid = 0;
    session_say("no engine answers at %.*s: starting one (state %.*s, log %.*s/engine.log)",
                STR_ARG(endpoint), STR_ARG(state), STR_ARG(state));
    if (local_start(op, &e, false, &pid) != ERR_OK) {
        return cli_fail_op(CLI_PREFLIGHT, op, NULL);
    }
    session_say("the engine runs as process %d; it goes on when this command ends", (int)pid);
    return CLI_OK;
}

/* AWS_ENDPOINT_URL, when set, is taken by the client itself. */
static int open_local(struct op *op, const struct session *s, bool may_start,
                      struct cloud_door *door)
{
    struct str state = local_state(&op->arena);
    bool is_elsewhere = is_given("AWS_ENDPOINT_URL");
    if (!is_elsewhere) {
        bool is_default = !str_is_set(s->environment->endpoint);
        door->endpoint = is_default ? STR("http://" LOCAL_API_DEFAULT) : s->environment->endpoint;
        if (is_default && may_start && !local_answers(op, door->endpoint)) {
            int code = start_engine(op, s, state, door->endpoint);
            if (code != CLI_OK) {
                return code;
            }
        }
    }
    if (is_given("AWS_ACCESS_KEY_ID") || str_is_set(s->environment->profile)) {
        return CLI_OK;
    }
    struct str keys = arena_printf(&op->arena, "%.*s/credentials", STR_ARG(state));
    if (access(keys.ptr, R_OK) == 0 && cloud_read_keys(op, keys.ptr, door) != ERR_OK) {
        return cli_fail_op(CLI_PREFLIGHT, op, NULL);
    }
    return CLI_OK;
}

int session_open(struct op *op, struct session *s, bool may_start)
{
    struct cloud_door door = {.endpoint = s->environment->endpoint};
    if (s->environment->target == CONFIG_TARGET_LOCAL) {
        int code = open_local(op, s, may_start, &door);
        if (code != CLI_OK) {
            return code;
        }
    }
    if (cloud_open(op, s->environment, &door, &s->cloud) != ERR_OK) {
        return cli_fail_op(CLI_PREFLIGHT, op,
                           s->environment->target == CONFIG_TARGET_LOCAL
                               ? "is the engine running? hitless serve"
                               : "are credentials there? aws sts get-caller-identity");
    }
    s->is_open = true;
    return CLI_OK;
}

int session_begin(struct op *op, struct str file_word, struct str environment_word, bool may_start,
                  struct session *s)
{
    int code = session_read(op, file_word, s);
    code = code != CLI_OK ? code : session_choose(op, environment_word, s);
    return code != CLI_OK ? code : session_open(op, s, may_start);
}

bool session_place(struct op *op, const struct session *s, struct str service_word,
                   struct place *ret_place)
{
    for (size_t i = 0; i < s->config.service_count; i++) {
        const struct config_service *service = &s->config.services[i];
        if (!str_is_set(service_word) || str_equal(service_word, service->name)) {
            place_name(&op->arena, &s->config, s->environment, service, ret_place);
            return true;
        }
    }
    (void)cli_fail(CLI_USAGE, NULL, "there is no service \"%.*s\"", STR_ARG(service_word));
    return false;
}

void session_close(struct session *s)
{
    if (s->is_open) {
        cloud_close(&s->cloud);
    }
    s->is_open = false;
}

/* ---- Ctrl-C ---- */

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    is_interrupted = 1;
}

void session_catch_interrupt(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

bool session_is_interrupted(void *self)
{
    (void)self;
    return is_interrupted != 0;
}

/* ---- the version of the folder ---- */

static bool read_git(struct op *op, struct str folder, const char *name, struct str *ret_text)
{
    struct str path = arena_printf(&op->arena, "%.*s/.git/%s", STR_ARG(folder), name);
    bool is_read = file_read(op, path.ptr, GIT_BYTES_MAX, ret_text) == ERR_OK;
    op_note_clear(op);
    return is_read;
}

static bool is_commit(struct str text)
{
    if (text.len < COMMIT_CHARS) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
    }
    return true;
}

/* "<commit> refs/heads/main" among the packed ones. */
static struct str find_packed(struct str packed, struct str ref)
{
    struct str line = STR_NONE;
    while (str_next(&packed, '\n', &line)) {
        struct str commit = STR_NONE;
        struct str name = STR_NONE;
        if (str_cut(line, ' ', &commit, &name) && str_equal(str_trim(name), ref)) {
            return commit;
        }
    }
    return STR_NONE;
}

struct str session_version(struct op *op, struct str folder)
{
    struct str head = STR_NONE;
    while (folder.len > 1 && !read_git(op, folder, "HEAD", &head)) {
        folder = str_slice(folder, 0, str_find_last_char(folder, '/'));
    }
    struct str commit = str_trim(head);
    if (str_starts_with(commit, STR("ref: "))) {
        struct str ref = str_from(commit, 5);
        struct str packed = STR_NONE;
        if (read_git(op, folder, arena_c_str(&op->arena, ref), &commit)) {
            commit = str_trim(commit);
        } else if (read_git(op, folder, "packed-refs", &packed)) {
            commit = find_packed(packed, ref);
        }
    }
    if (is_commit(commit)) {
        return str_slice(commit, 0, COMMIT_CHARS);
    }
    struct str now = wall_basic(&op->arena, op->now);
    return arena_printf(&op->arena, "%.*s-%.*s", STR_ARG(str_slice(now, 0, 8)),
                        STR_ARG(str_slice(now, 9, 15)));
}
