#include "runtime/process/procfs.h"

#include "base/check.h"
#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#define STAT_BYTES       1024
#define ENVIRON_BYTES    (256u << 10)
#define PROCESSES_MAX    32768
#define STAT_FIELDS_MAX  24
#define STAT_STATE       0 /* fields after the name, which may hold anything but ends with ')' */
#define STAT_PARENT      1
#define STAT_USER_TICKS  11
#define STAT_CHILD_TICKS 14 /* the last of user, system, children's user, children's system */
#define STAT_RSS_PAGES   21

/* ---- reading --------------------------------------------------------------------------------- */

static struct str read_file_of(pid_t pid, const char *name, char *buffer, size_t bytes)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    while (fd != -1 && len < bytes) {
        ssize_t got = read(fd, buffer + len, bytes - len);
        if (got == -1 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        len += (size_t)got;
    }
    return str_make(buffer, len);
}

struct stat_line {
    pid_t pid;
    pid_t parent;
    uint64_t ticks;
    uint64_t rss_pages;
    bool is_dead; /* a zombie: waits to be reaped */
};

static bool read_stat(pid_t pid, struct stat_line *ret)
{
    char buffer[STAT_BYTES];
    struct str text = read_file_of(pid, "stat", buffer, sizeof(buffer));
    size_t name_end = str_find_last_char(text, ')');
    if (name_end == STR_NOT_FOUND) {
        return false;
    }
    struct str rest = str_trim(str_from(text, name_end + 1));
    struct str field = STR_NONE;
    *ret = (struct stat_line){.pid = pid};
    for (size_t i = 0; i < STAT_FIELDS_MAX && str_next(&rest, ' ', &field); i++) {
        uint64_t number = 0;
        (void)str_parse_u64(field, UINT64_MAX, &number);
        if (i == STAT_STATE) {
            ret->is_dead = STR_IS(field, "Z") || STR_IS(field, "X");
        } else if (i == STAT_PARENT) {
            ret->parent = (pid_t)number;
        } else if (i >= STAT_USER_TICKS && i <= STAT_CHILD_TICKS) {
            ret->ticks += number;
        } else if (i == STAT_RSS_PAGES) {
            ret->rss_pages = number;
        }
    }
    return true;
}

/* Calls `see` for each process of the machine. */
static void for_each_process(void *self, void (*see)(void *self, pid_t pid))
{
    DIR *proc = opendir("/proc");
    if (proc == NULL) {
        return;
    }
    for (const struct dirent *e = readdir(proc); e != NULL; e = readdir(proc)) {
        uint64_t pid = 0;
        if (str_parse_u64(str_of(e->d_name), INT32_MAX, &pid)) {
            see(self, (pid_t)pid);
        }
    }
    (void)closedir(proc);
}

/* ---- killing --------------------------------------------------------------------------------- */

static void kill_if_child(void *self, pid_t pid)
{
    size_t *count = self;
    struct stat_line line;
    if (read_stat(pid, &line) && line.parent == getpid() && !line.is_dead) {
        (void)kill(pid, SIGKILL);
        (*count)++;
    }
}

static bool kill_listed_children(size_t *ret_count)
{
    char name[64];
    char buffer[65536];
    (void)snprintf(name, sizeof(name), "task/%d/children", (int)getpid());
    char path[96];
    (void)snprintf(path, sizeof(path), "/proc/self/%s", name);
    if (access(path, R_OK) == -1) {
        return false;
    }
    struct str text = read_file_of(getpid(), name, buffer, sizeof(buffer));
    struct str word = STR_NONE;
    *ret_count = 0;
    while (text.len > 0 && str_next(&text, ' ', &word)) {
        uint64_t pid = 0;
        if (str_parse_u64(word, INT32_MAX, &pid) && pid > 1) {
            (void)kill((pid_t)pid, SIGKILL);
            (*ret_count)++;
        }
    }
    return true;
}

size_t runtime_procfs_kill_children(void)
{
    size_t count = 0;
    if (!kill_listed_children(&count)) { /* a kernel without that file */
        for_each_process(&count, kill_if_child);
    }
    return count;
}

struct marked {
    struct str first;
    struct str second;
    char *buffer;
    size_t count;
};

static bool has_entry(struct str environment, struct str want)
{
    struct str entry = STR_NONE;
    while (environment.len > 0 && str_next(&environment, '\0', &entry)) {
        if (str_equal(entry, want)) {
            return true;
        }
    }
    return false;
}

static void kill_if_marked(void *self, pid_t pid)
{
    struct marked *m = self;
    struct str environment = read_file_of(pid, "environ", m->buffer, ENVIRON_BYTES);
    if (pid != getpid() && has_entry(environment, m->first) && has_entry(environment, m->second)) {
        (void)kill(pid, SIGKILL);
        m->count++;
    }
}

size_t runtime_procfs_kill_marked(struct str first, struct str second)
{
    auto_free char *buffer = mem_alloc(ENVIRON_BYTES);
    struct marked m = {.first = first, .second = second, .buffer = buffer};
    for_each_process(&m, kill_if_marked);
    return m.count;
}

/* ---- usage ----------------------------------------------------------------------------------- */

struct table {
    struct stat_line *items;
    size_t count;
};

static void add_line(void *self, pid_t pid)
{
    struct table *t = self;
    struct stat_line line;
    if (t->count < PROCESSES_MAX && read_stat(pid, &line)) {
        t->items[t->count++] = line;
    }
}

static bool is_among(const pid_t *pids, size_t count, pid_t pid)
{
    for (size_t i = 0; i < count; i++) {
        if (pids[i] == pid) {
            return true;
        }
    }
    return false;
}

/* Takes those whose parent is among `pids`; each process is taken once, so this ends. */
static size_t take_children(struct table *t, const pid_t *pids, size_t count, pid_t *ret_children,
                            struct runtime_usage *sum, uint64_t *ticks)
{
    size_t found = 0;
    for (size_t i = 0; i < t->count;) {
        struct stat_line line = t->items[i];
        if (!is_among(pids, count, line.parent)) {
            i++;
            continue;
        }
        *ticks += line.ticks;
        sum->memory_bytes += line.rss_pages * (uint64_t)sysconf(_SC_PAGESIZE);
        ret_children[found++] = line.pid;
        t->items[i] = t->items[--t->count];
    }
    return found;
}

bool runtime_procfs_usage(struct op *op, const pid_t *roots, size_t root_count,
                          struct runtime_usage *ret)
{
    struct table t = {.items = ARENA_ARRAY(&op->arena, struct stat_line, PROCESSES_MAX)};
    pid_t *level = ARENA_ARRAY(&op->arena, pid_t, PROCESSES_MAX);
    pid_t *next = ARENA_ARRAY(&op->arena, pid_t, PROCESSES_MAX);
    CHECK(root_count <= PROCESSES_MAX);
    for_each_process(&t, add_line);
    struct runtime_usage sum = {.at = clock_wall()};
    uint64_t ticks = 0;
    size_t count = root_count;
    memcpy(level, roots, root_count * sizeof(*roots));
    while (count > 0) {
        count = take_children(&t, level, count, next, &sum, &ticks);
        pid_t *other = level;
        level = next;
        next = other;
    }
    sum.cpu = DUR_US(ticks * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK));
    *ret = sum;
    return root_count > 0;
}
