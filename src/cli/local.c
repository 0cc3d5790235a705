#include "cli/local.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "deployer/web.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_EVERY    DUR_MS(50)
#define PROBE_TIMEOUT DUR_MS(2000)
#define LOG_SHOWN     600

struct str local_state(struct arena *a)
{
    const char *own = getenv("HITLESS_STATE");
    const char *xdg = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    if (own != NULL && own[0] != '\0') {
        return str_of(own);
    }
    if (geteuid() == 0) {
        return STR("/var/lib/hitless");
    }
    if (xdg != NULL && xdg[0] == '/') {
        return arena_printf(a, "%s/hitless", xdg);
    }
    return arena_printf(a, "%s/.local/state/hitless", home == NULL ? "/tmp" : home);
}

bool local_answers(struct op *op, struct str endpoint)
{
    struct web_request request = {.url = endpoint, .timeout = PROBE_TIMEOUT};
    struct web_answer answer = {0};
    bool is_there = web_send(op, &request, &answer) == ERR_OK;
    op_note_clear(op);
    return is_there;
}

/* In the child: nothing here may fail quietly, and nothing may return. */
static _Noreturn void become_engine(const struct local_engine *e, struct arena *a, int log_fd,
                                    bool is_child)
{
    char scale[32];
    (void)snprintf(scale, sizeof(scale), "%lld", (long long)e->time_scale);
    const char *state = arena_c_str(a, e->state);
    const char *api = arena_c_str(a, e->api);
    if (is_child) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    } else {
        (void)setsid();
    }
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)dup2(null_fd, STDIN_FILENO);
    (void)dup2(log_fd, STDOUT_FILENO);
    (void)dup2(log_fd, STDERR_FILENO);
    execl("/proc/self/exe", "hitless", "serve", "--state", state, "--api", api, "--time-scale",
          scale, "--runtime", e->runtime, (char *)NULL);
    _exit(127);
}

static enum err fail_start(struct op *op, const char *log_path)
{
    struct str log = STR("");
    if (file_read(op, log_path, 1u << 20, &log) != ERR_OK) {
        log = STR("");
    }
    size_t from = log.len > LOG_SHOWN ? log.len - LOG_SHOWN : 0;
    return op_fail(op, ERR_STATE, "the engine did not start; the end of %s:\n%.*s", log_path,
                   STR_ARG(str_trim(str_from(log, from))));
}

static enum err wait_ready(struct op *op, const struct local_engine *e, pid_t pid,
                           const char *log_path)
{
    struct str keys = arena_printf(&op->arena, "%.*s/credentials", STR_ARG(e->state));
    mono_t end = mono_add(clock_mono(), DUR_MS(LOCAL_READY_MS));
    while (clock_mono().us < end.us) {
        int status = 0;
        if (waitpid(pid, &status, WNOHANG) == pid) {
            return fail_start(op, log_path);
        }
        if (access(keys.ptr, R_OK) == 0 && local_answers(op, e->endpoint)) {
            return ERR_OK;
        }
        cloud_wait(LOOK_EVERY);
    }
    return fail_start(op, log_path);
}

enum err local_start(struct op *op, const struct local_engine *e, bool is_child, pid_t *ret_pid)
{
    TRY(file_make_folder(op, arena_c_str(&op->arena, e->state), 0700));
    struct str log_path = arena_printf(&op->arena, "%.*s/engine.log", STR_ARG(e->state));
    auto_fd int log_fd = open(log_path.ptr, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd == -1) {
        return op_fail_errno(op, "could not write \"%s\"", log_path.ptr);
    }
    pid_t pid = fork();
    if (pid == -1) {
        return op_fail_errno(op, "could not start the engine");
    }
    if (pid == 0) {
        become_engine(e, &op->arena, log_fd, is_child);
    }
    TRY(wait_ready(op, e, pid, log_path.ptr));
    *ret_pid = pid;
    return ERR_OK;
}
