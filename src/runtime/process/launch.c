#include "runtime/process/launch.h"

#include "base/check.h"
#include "base/cleanup.h"
#include "proc/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define RECORD_BYTES 16384 /* of one entry of the user or group file */

/* ---- who ------------------------------------------------------------------------------------- */

static enum err find_user(struct op *op, struct str who, struct launch_user *ret)
{
    struct passwd entry;
    struct passwd *found = NULL;
    char *record = arena_alloc(&op->arena, RECORD_BYTES);
    uint64_t number = 0;
    if (str_parse_u64(who, UINT32_MAX - 1, &number)) {
        ret->uid = (uid_t)number;
        ret->gid = 0; /* as Docker does for a number without a group that no file knows */
        (void)getpwuid_r(ret->uid, &entry, record, RECORD_BYTES, &found);
    } else {
        const char *name = arena_c_str(&op->arena, who);
        (void)getpwnam_r(name, &entry, record, RECORD_BYTES, &found);
        if (found == NULL) {
            return op_fail(op, ERR_NOT_FOUND,
                           "unable to find user %s: no matching entries in passwd file", name);
        }
    }
    if (found != NULL) {
        ret->uid = entry.pw_uid;
        ret->gid = entry.pw_gid;
        ret->name = entry.pw_name;
        ret->home = entry.pw_dir;
    }
    ret->is_set = true;
    return ERR_OK;
}

static enum err find_group(struct op *op, struct str which, struct launch_user *ret)
{
    uint64_t number = 0;
    if (str_parse_u64(which, UINT32_MAX - 1, &number)) {
        ret->gid = (gid_t)number;
        return ERR_OK;
    }
    struct group entry;
    struct group *found = NULL;
    char *record = arena_alloc(&op->arena, RECORD_BYTES);
    const char *name = arena_c_str(&op->arena, which);
    (void)getgrnam_r(name, &entry, record, RECORD_BYTES, &found);
    if (found == NULL) {
        return op_fail(op, ERR_NOT_FOUND,
                       "unable to find group %s: no matching entries in group file", name);
    }
    ret->gid = entry.gr_gid;
    return ERR_OK;
}

static enum err resolve_user(struct op *op, struct str text, struct launch_user *ret)
{
    if (text.len == 0) {
        (void)find_user(op, arena_printf(&op->arena, "%u", (unsigned)geteuid()), ret);
        ret->is_set = false;
        return ERR_OK;
    }
    struct str who = text;
    struct str group = STR_NONE;
    (void)str_cut(text, ':', &who, &group);
    TRY(find_user(op, who, ret));
    if (group.len > 0) {
        TRY(find_group(op, group, ret));
        ret->name = NULL; /* an explicit group comes without the user's further ones */
    }
    return ERR_OK;
}

static const char *const *make_environment(struct arena *a, struct runtime_words words,
                                           const char *home)
{
    const char **items = ARENA_ARRAY(a, const char *, words.count + 2);
    bool has_home = false;
    size_t count = 0;
    for (size_t i = 0; i < words.count; i++) {
        has_home = has_home || str_starts_with(words.items[i], STR("HOME="));
        items[count++] = arena_c_str(a, words.items[i]);
    }
    if (!has_home) {
        items[count++] = arena_printf(a, "HOME=%s", home == NULL ? "/" : home).ptr;
    }
    return items;
}

enum err runtime_launch_prepare(struct op *op, const struct shim_launch *spec, struct launch *ret)
{
    struct launch l = {.spec = spec, .null_fd = -1};
    TRY(resolve_user(op, spec->user, &l.user));
    if (l.user.is_set &&
        chown(arena_c_str(&op->arena, spec->run_folder), l.user.uid, l.user.gid) == -1) {
        return op_fail_errno(op, "could not give the run folder to user \"%.*s\"",
                             STR_ARG(spec->user));
    }
    l.environment = make_environment(&op->arena, spec->environment, l.user.home);
    l.null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (l.null_fd == -1) {
        return op_fail_errno(op, "could not open /dev/null");
    }
    *ret = l;
    return ERR_OK;
}

void runtime_launch_fini(struct launch *l)
{
    cleanup_fd(&l->null_fd);
    l->null_fd = -1;
}

/* ---- the child ------------------------------------------------------------------------------- */

enum launch_step {
    LAUNCH_SESSION,
    LAUNCH_CGROUP,
    LAUNCH_OUTPUT,
    LAUNCH_LIMITS,
    LAUNCH_USER,
    LAUNCH_FOLDER,
    LAUNCH_EXEC,
};

struct launch_failure {
    enum launch_step step;
    int errno_value;
};

static bool join_cgroups(const struct shim_launch *spec)
{
    for (size_t i = 0; i < spec->cgroup_count; i++) {
        char path[512];
        (void)snprintf(path, sizeof(path), "%.*s/cgroup.procs", STR_ARG(spec->cgroups[i]));
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd == -1 || write(fd, "0", 1) != 1) {
            return false;
        }
        (void)close(fd);
    }
    return true;
}

static int limit_number(struct str name)
{
    static const struct {
        const char *name;
        int number;
    } limits[] = {
        {"core", RLIMIT_CORE},         {"cpu", RLIMIT_CPU},
        {"data", RLIMIT_DATA},         {"fsize", RLIMIT_FSIZE},
        {"locks", RLIMIT_LOCKS},       {"memlock", RLIMIT_MEMLOCK},
        {"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE},
        {"nofile", RLIMIT_NOFILE},     {"nproc", RLIMIT_NPROC},
        {"rss", RLIMIT_RSS},           {"rtprio", RLIMIT_RTPRIO},
        {"rttime", RLIMIT_RTTIME},     {"sigpending", RLIMIT_SIGPENDING},
        {"stack", RLIMIT_STACK},
    };
    for (size_t i = 0; i < ARRAY_COUNT(limits); i++) {
        if (str_equal(name, str_of(limits[i].name))) {
            return limits[i].number;
        }
    }
    return -1;
}

static rlim_t limit_value(int64_t value)
{
    return value < 0 ? RLIM_INFINITY : (rlim_t)value;
}

static bool set_limits(const struct shim_launch *spec)
{
    for (size_t i = 0; i < spec->ulimit_count; i++) {
        const struct runtime_ulimit *u = &spec->ulimits[i];
        struct rlimit limit = {.rlim_cur = limit_value(u->soft), .rlim_max = limit_value(u->hard)};
        int number = limit_number(u->name);
        if (number == -1) {
            errno = EINVAL;
            return false;
        }
        if (setrlimit((__rlimit_resource_t)number, &limit) == -1) {
            return false;
        }
    }
    return true;
}

static bool become(const struct launch_user *user)
{
    if (!user->is_set) {
        return true;
    }
    int groups = user->name == NULL ? setgroups(0, NULL) : initgroups(user->name, user->gid);
    if (groups == -1 && geteuid() == 0) {
        return false;
    }
    return setresgid(user->gid, user->gid, user->gid) == 0 &&
           setresuid(user->uid, user->uid, user->uid) == 0;
}

static enum launch_step run_child(const struct launch *l, const char *const *words, pid_t parent,
                                  const int *outputs)
{
    if (!proc_reset_signals() || setsid() == -1) {
        return LAUNCH_SESSION;
    }
    if (!join_cgroups(l->spec)) {
        return LAUNCH_CGROUP;
    }
    if (dup2(l->null_fd, 0) == -1 || dup2(outputs[0], 1) == -1 || dup2(outputs[1], 2) == -1) {
        return LAUNCH_OUTPUT;
    }
    if (!set_limits(l->spec)) {
        return LAUNCH_LIMITS;
    }
    if (!become(&l->user)) {
        return LAUNCH_USER;
    }
    /* After the change of user, which would undo it. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != parent) {
        return LAUNCH_SESSION;
    }
    char folder[4097];
    if (!str_to_c(l->spec->work_folder, folder, sizeof(folder)) || chdir(folder) == -1) {
        return LAUNCH_FOLDER;
    }
    (void)umask(022);
    memcpy(&environ, &l->environment, sizeof(environ)); /* execvp searches this PATH */
    char *const *plain = NULL;
    memcpy(&plain, &words, sizeof(plain)); /* exec's prototype predates const */
    (void)execvp(plain[0], plain);
    return LAUNCH_EXEC;
}

_Noreturn static void child(const struct launch *l, const char *const *words, pid_t parent,
                            const int *outputs, int report_fd)
{
    struct launch_failure f = {.step = run_child(l, words, parent, outputs), .errno_value = errno};
    (void)!write(report_fd, &f, sizeof(f));
    _exit(127);
}

/* ---- the parent ------------------------------------------------------------------------------ */

static enum err exec_failed(struct op *op, struct str command, int errno_value)
{
    bool is_path = str_find_char(command, '/', 0) != STR_NOT_FOUND;
    if (errno_value == ENOENT && !is_path) {
        return op_fail(op, ERR_NOT_FOUND, "exec: \"%.*s\": executable file not found in $PATH",
                       STR_ARG(command));
    }
    if (errno_value == ENOENT) {
        return op_fail(op, ERR_NOT_FOUND, "exec: \"%.*s\": stat %.*s: no such file or directory",
                       STR_ARG(command), STR_ARG(command));
    }
    if (errno_value == ENOEXEC) {
        return op_fail(op, ERR_INPUT,
                       "exec \"%.*s\": exec format error (built for another processor, or a "
                       "script without a #! line)",
                       STR_ARG(command));
    }
    if (errno_value == EACCES) {
        return op_fail(op, ERR_DENIED, "exec: \"%.*s\": permission denied", STR_ARG(command));
    }
    errno = errno_value;
    return op_fail_errno(op, "exec: \"%.*s\"", STR_ARG(command));
}

static enum err start_failed(struct op *op, const struct launch *l, struct str command,
                             const struct launch_failure *f)
{
    errno = f->errno_value;
    switch (f->step) {
    case LAUNCH_SESSION:
    case LAUNCH_OUTPUT:
        return op_fail_errno(op, "could not prepare the process");
    case LAUNCH_CGROUP:
        return op_fail_errno(op, "could not enter the control group");
    case LAUNCH_LIMITS:
        return op_fail_errno(op, "could not set the ulimits");
    case LAUNCH_USER:
        return op_fail_errno(op, "could not become user \"%.*s\"", STR_ARG(l->spec->user));
    case LAUNCH_FOLDER:
        return op_fail_errno(op, "could not enter the working directory \"%.*s\"",
                             STR_ARG(l->spec->work_folder));
    case LAUNCH_EXEC:
        return exec_failed(op, command, f->errno_value);
    }
    UNREACHABLE("every step is above");
}

static const char *const *terminated(struct arena *a, struct runtime_words words)
{
    const char **items = ARENA_ARRAY(a, const char *, words.count + 1);
    for (size_t i = 0; i < words.count; i++) {
        items[i] = arena_c_str(a, words.items[i]);
    }
    return items;
}

enum err runtime_launch_start(struct op *op, const struct launch *l, struct runtime_words words,
                              int stdout_fd, int stderr_fd, pid_t *ret_pid)
{
    CHECK(words.count > 0);

    int ends[2];
    if (pipe2(ends, O_CLOEXEC) == -1) {
        return op_fail_errno(op, "could not create a pipe");
    }
    auto_fd int report_in = ends[0];
    auto_fd int report_out = ends[1];
    const char *const *list = terminated(&op->arena, words);
    const int outputs[2] = {stdout_fd, stderr_fd};
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        child(l, list, parent, outputs, report_out);
    }
    if (pid == -1) {
        return op_fail_errno(op, "could not create a process");
    }
    (void)close(steal_fd(&report_out));
    struct launch_failure f;
    ssize_t got = 0;
    do {
        got = read(report_in, &f, sizeof(f));
    } while (got == -1 && errno == EINTR);
    if (got == (ssize_t)sizeof(f)) {
        (void)waitpid(pid, NULL, 0);
        return start_failed(op, l, words.items[0], &f);
    }
    *ret_pid = pid;
    return ERR_OK;
}
