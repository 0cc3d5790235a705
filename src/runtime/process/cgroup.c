#include "runtime/process/cgroup.h"

#include "base/check.h"
#include "base/cleanup.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#define ROOT         "/sys/fs/cgroup"
#define TOP          "hitless"
#define PATH_BYTES   256
#define FILE_BYTES   16384
#define PERIOD_US    100000 /* of the scheduler's bandwidth control */
#define SHARES_LEAST 2

/* Version 1 has a tree a controller, version 2 one tree. */
static const char *const trees_v1[] = {"/memory", "/cpu", "/cpuacct"};
static const char *const trees_v2[] = {""};

struct trees {
    const char *const *items;
    size_t count;
};

static struct trees trees_of(const struct cgroup_setup *setup)
{
    if (setup->version == 1) {
        return (struct trees){trees_v1, ARRAY_COUNT(trees_v1)};
    }
    return (struct trees){trees_v2, setup->version == 2 ? ARRAY_COUNT(trees_v2) : 0};
}

/* ---- files ----------------------------------------------------------------------------------- */

struct path {
    char text[PATH_BYTES];
};

__attribute__((format(printf, 1, 2))) static struct path path_of(const char *format, ...)
{
    struct path p;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(p.text, sizeof(p.text), format, args);
    va_end(args);
    CHECK(len > 0 && (size_t)len < sizeof(p.text));
    return p;
}

static struct path task_path(const struct cgroup_setup *s, const char *tree, struct str task_id)
{
    return path_of("%s%s/" TOP "/%.*s", s->root, tree, STR_ARG(task_id));
}

static struct path container_path(const struct cgroup_setup *s, const char *tree,
                                  struct str task_id, size_t container)
{
    return path_of("%s%s/" TOP "/%.*s/%zu", s->root, tree, STR_ARG(task_id), container);
}

static bool make_folder(const char *path)
{
    return mkdir(path, 0755) == 0 || errno == EEXIST;
}

static bool write_text(const char *folder, const char *name, const char *text)
{
    struct path p = path_of("%s/%s", folder, name);
    auto_fd int fd = open(p.text, O_WRONLY | O_CLOEXEC);
    size_t len = strlen(text);
    return fd != -1 && write(fd, text, len) == (ssize_t)len;
}

static bool write_number(const char *folder, const char *name, int64_t value)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%lld", (long long)value);
    return write_text(folder, name, text);
}

/* Up to bytes - 1 bytes, with a NUL. */
static struct str read_text(const char *path, char *buffer, size_t bytes)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd == -1 ? -1 : read(fd, buffer, bytes - 1);
    buffer[got < 0 ? 0 : got] = '\0';
    return got < 0 ? STR_NONE : str_make(buffer, (size_t)got);
}

/* The number after "key " at the beginning of a line; with an empty key, the whole text. */
static bool read_number(const char *folder, const char *name, struct str key, uint64_t *ret)
{
    char buffer[FILE_BYTES];
    struct path p = path_of("%s%s%s", folder, name[0] == '\0' ? "" : "/", name);
    struct str text = read_text(p.text, buffer, sizeof(buffer));
    if (key.len == 0) {
        return str_parse_u64(str_trim(text), UINT64_MAX, ret);
    }
    struct str line = STR_NONE;
    while (text.len > 0 && str_next(&text, '\n', &line)) {
        struct str name_part = STR_NONE;
        struct str value = STR_NONE;
        if (str_cut(line, ' ', &name_part, &value) && str_equal(name_part, key)) {
            return str_parse_u64(value, UINT64_MAX, ret);
        }
    }
    return false;
}

/* ---- what may be done ------------------------------------------------------------------------ */

static bool may_use_v2(const char *root)
{
    struct path top = path_of("%s/" TOP, root);
    return access(path_of("%s/cgroup.controllers", root).text, F_OK) == 0 &&
           write_text(root, "cgroup.subtree_control", "+cpu +memory") && make_folder(top.text) &&
           write_text(top.text, "cgroup.subtree_control", "+cpu +memory");
}

static bool may_use_v1(const char *root)
{
    for (size_t i = 0; i < ARRAY_COUNT(trees_v1); i++) {
        struct path tasks = path_of("%s%s/cgroup.procs", root, trees_v1[i]);
        struct path top = path_of("%s%s/" TOP, root, trees_v1[i]);
        if (access(tasks.text, F_OK) == -1 || !make_folder(top.text)) {
            return false;
        }
    }
    return true;
}

struct cgroup_setup runtime_cgroup_detect(void)
{
    struct cgroup_setup setup = {.root = ROOT};
    if (may_use_v2(ROOT)) {
        setup.version = 2;
    } else if (may_use_v1(ROOT)) {
        setup.version = 1;
    }
    return setup;
}

/* ---- limits ---------------------------------------------------------------------------------- */

static bool limit_memory_v1(const char *folder, int64_t hard, int64_t soft)
{
    if (hard > 0) {
        if (!write_number(folder, "memory.limit_in_bytes", hard)) {
            return false;
        }
        /* Without swap accounting there is no such file, and nothing to limit. */
        (void)write_number(folder, "memory.memsw.limit_in_bytes", hard);
    }
    return soft == 0 || write_number(folder, "memory.soft_limit_in_bytes", soft);
}

static bool limit_memory_v2(const char *folder, int64_t hard, int64_t soft)
{
    if (hard > 0) {
        if (!write_number(folder, "memory.max", hard)) {
            return false;
        }
        (void)write_number(folder, "memory.swap.max", 0);
    }
    return soft == 0 || write_number(folder, "memory.low", soft);
}

/* 1024 units are one processor. */
static bool limit_cpu(int version, const char *folder, int64_t units)
{
    int64_t quota_us = units * PERIOD_US / 1024;
    if (version == 1) {
        return write_number(folder, "cpu.cfs_period_us", PERIOD_US) &&
               write_number(folder, "cpu.cfs_quota_us", quota_us);
    }
    char text[64];
    (void)snprintf(text, sizeof(text), "%lld %d", (long long)quota_us, PERIOD_US);
    return write_text(folder, "cpu.max", text);
}

/* Shares 2..262144 of version 1 as weight 1..10000 of version 2. */
static bool weigh_cpu(int version, const char *folder, int64_t shares)
{
    shares = shares < SHARES_LEAST ? SHARES_LEAST : shares;
    if (version == 1) {
        return write_number(folder, "cpu.shares", shares);
    }
    int64_t weight = 1 + (shares - SHARES_LEAST) * 9999 / 262142;
    return write_number(folder, "cpu.weight", weight > 10000 ? 10000 : weight);
}

static int64_t bytes_of(int32_t mib)
{
    return (int64_t)mib << 20;
}

static bool is_tree(const char *tree, const char *name)
{
    return strcmp(tree, name) == 0;
}

/* Sets what belongs to this tree. */
static bool limit_task(const struct cgroup_setup *s, const char *tree, const char *folder,
                       const struct runtime_task_spec *spec)
{
    bool has_memory = s->version == 2 || is_tree(tree, "/memory");
    bool has_cpu = s->version == 2 || is_tree(tree, "/cpu");
    if (s->version == 2 && !write_text(folder, "cgroup.subtree_control", "+cpu +memory")) {
        return false;
    }
    if (has_memory && spec->memory_mib > 0) {
        int64_t bytes = bytes_of(spec->memory_mib);
        if (!(s->version == 1 ? limit_memory_v1 : limit_memory_v2)(folder, bytes, 0)) {
            return false;
        }
    }
    return !has_cpu || spec->cpu_units == 0 || limit_cpu(s->version, folder, spec->cpu_units);
}

static bool limit_container(const struct cgroup_setup *s, const char *tree, const char *folder,
                            const struct runtime_container_spec *c)
{
    bool has_memory = s->version == 2 || is_tree(tree, "/memory");
    bool has_cpu = s->version == 2 || is_tree(tree, "/cpu");
    if (has_memory) {
        int64_t hard = bytes_of(c->memory_mib);
        int64_t soft = bytes_of(c->memory_reservation_mib);
        if (!(s->version == 1 ? limit_memory_v1 : limit_memory_v2)(folder, hard, soft)) {
            return false;
        }
    }
    return !has_cpu || weigh_cpu(s->version, folder, c->cpu_units);
}

enum err runtime_cgroup_make_task(struct op *op, const struct cgroup_setup *setup,
                                  const struct runtime_task_spec *spec)
{
    struct trees trees = trees_of(setup);
    for (size_t i = 0; i < trees.count; i++) {
        struct path folder = task_path(setup, trees.items[i], spec->id);
        if (!make_folder(folder.text) || !limit_task(setup, trees.items[i], folder.text, spec)) {
            return op_fail_errno(op, "could not set the limits of \"%s\"", folder.text);
        }
    }
    return ERR_OK;
}

enum err runtime_cgroup_make_container(struct op *op, const struct cgroup_setup *setup,
                                       const struct runtime_task_spec *spec, size_t container,
                                       struct shim_launch *launch)
{
    struct trees trees = trees_of(setup);
    _Static_assert(ARRAY_COUNT(trees_v1) <= SHIM_CGROUPS_MAX, "a launch block takes all trees");
    for (size_t i = 0; i < trees.count; i++) {
        const char *tree = trees.items[i];
        struct path folder = container_path(setup, tree, spec->id, container);
        if (!make_folder(folder.text) ||
            !limit_container(setup, tree, folder.text, &spec->containers[container])) {
            return op_fail_errno(op, "could not set the limits of \"%s\"", folder.text);
        }
        launch->cgroups[launch->cgroup_count++] = arena_str(&op->arena, str_of(folder.text));
        if (setup->version == 2 || is_tree(tree, "/memory")) {
            launch->oom_file =
                arena_printf(&op->arena, "%s/%s", folder.text,
                             setup->version == 2 ? "memory.events" : "memory.oom_control");
        }
    }
    return ERR_OK;
}

uint64_t runtime_cgroup_oom_kills(const char *oom_file)
{
    uint64_t count = 0;
    return read_number(oom_file, "", STR("oom_kill"), &count) ? count : 0;
}

/* ---- the end --------------------------------------------------------------------------------- */

static size_t kill_all_in(const char *folder)
{
    char buffer[FILE_BYTES];
    struct path p = path_of("%s/cgroup.procs", folder);
    struct str text = read_text(p.text, buffer, sizeof(buffer));
    size_t count = 0;
    struct str line = STR_NONE;
    while (text.len > 0 && str_next(&text, '\n', &line)) {
        uint64_t pid = 0;
        if (str_parse_u64(line, INT32_MAX, &pid) && pid > 1) {
            (void)kill((pid_t)pid, SIGKILL);
            count++;
        }
    }
    return count;
}

size_t runtime_cgroup_kill_container(const struct cgroup_setup *setup, struct str task_id,
                                     size_t container)
{
    struct trees trees = trees_of(setup);
    if (trees.count == 0) {
        return 0;
    }
    /* every process of the container is in all trees */
    return kill_all_in(container_path(setup, trees.items[0], task_id, container).text);
}

size_t runtime_cgroup_kill(const struct cgroup_setup *setup, struct str task_id)
{
    size_t count = 0;
    for (size_t i = 0; i < RUNTIME_CONTAINERS_MAX; i++) {
        count += runtime_cgroup_kill_container(setup, task_id, i);
    }
    return count;
}

static void remove_group(struct path folder)
{
    if (rmdir(folder.text) == -1 && errno != ENOENT) {
        log_debug("runtime", "\"%s\" was not removed: %s", folder.text, strerror(errno));
    }
}

void runtime_cgroup_remove(const struct cgroup_setup *setup, struct str task_id,
                           size_t container_count)
{
    struct trees trees = trees_of(setup);
    for (size_t i = 0; i < trees.count; i++) {
        for (size_t c = 0; c < container_count; c++) {
            remove_group(container_path(setup, trees.items[i], task_id, c));
        }
        remove_group(task_path(setup, trees.items[i], task_id));
    }
}

/* ---- usage ----------------------------------------------------------------------------------- */

bool runtime_cgroup_usage(const struct cgroup_setup *setup, struct str task_id,
                          struct runtime_usage *ret)
{
    uint64_t cpu = 0;
    uint64_t memory = 0;
    uint64_t inactive = 0; /* page cache that may go at any time: not counted, as docker does */
    if (setup->version == 1) {
        struct path accounts = task_path(setup, "/cpuacct", task_id);
        struct path mem = task_path(setup, "/memory", task_id);
        if (!read_number(accounts.text, "cpuacct.usage", STR(""), &cpu) ||
            !read_number(mem.text, "memory.usage_in_bytes", STR(""), &memory)) {
            return false;
        }
        cpu /= 1000; /* it is in ns */
        (void)read_number(mem.text, "memory.stat", STR("total_inactive_file"), &inactive);
    } else if (setup->version == 2) {
        struct path folder = task_path(setup, "", task_id);
        if (!read_number(folder.text, "cpu.stat", STR("usage_usec"), &cpu) ||
            !read_number(folder.text, "memory.current", STR(""), &memory)) {
            return false;
        }
        (void)read_number(folder.text, "memory.stat", STR("inactive_file"), &inactive);
    } else {
        return false;
    }
    *ret = (struct runtime_usage){
        .at = clock_wall(),
        .cpu = DUR_US(cpu),
        .memory_bytes = inactive < memory ? memory - inactive : memory,
    };
    return true;
}
