#include "runtime/process/keep.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

#define FILE_BYTES_MAX 4096

/* ---- the lock -------------------------------------------------------------------------------- */

enum err runtime_keep_lock(struct op *op, int folder_fd, int *ret_lock_fd)
{
    auto_fd int fd = openat(folder_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd == -1) {
        return op_fail_errno(op, "could not open a container's lock");
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
        if (errno == EWOULDBLOCK) {
            return op_fail(op, ERR_AGAIN, "the container is being started already");
        }
        return op_fail_errno(op, "could not lock a container");
    }
    *ret_lock_fd = steal_fd(&fd);
    return ERR_OK;
}

bool runtime_keep_is_locked(int folder_fd)
{
    auto_fd int fd = openat(folder_fd, "lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    return fd != -1 && flock(fd, LOCK_SH | LOCK_NB) == -1 && errno == EWOULDBLOCK;
}

/* ---- small files ----------------------------------------------------------------------------- */

/* Beside, synced, renamed over: there is a whole file or none. */
static enum err write_file(struct op *op, int folder_fd, const char *name, struct str text)
{
    struct str beside = arena_printf(&op->arena, "%s.new", name);
    auto_fd int fd =
        openat(folder_fd, beside.ptr, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd == -1) {
        return op_fail_errno(op, "could not create the file \"%s\" of a container", name);
    }
    if (write(fd, text.ptr, text.len) != (ssize_t)text.len || fsync(fd) == -1) {
        return op_fail_errno(op, "could not write the file \"%s\" of a container", name);
    }
    if (renameat(folder_fd, beside.ptr, folder_fd, name) == -1 || fsync(folder_fd) == -1) {
        return op_fail_errno(op, "could not put the file \"%s\" of a container in place", name);
    }
    return ERR_OK;
}

static enum err read_file(struct op *op, int folder_fd, const char *name, struct str *ret)
{
    auto_fd int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd == -1 && errno == ENOENT) {
        return ERR_NOT_FOUND;
    }
    char *text = arena_alloc(&op->arena, FILE_BYTES_MAX);
    ssize_t got = fd == -1 ? -1 : read(fd, text, FILE_BYTES_MAX);
    if (got == -1) {
        return op_fail_errno(op, "could not read the file \"%s\" of a container", name);
    }
    *ret = str_make(text, (size_t)got);
    return ERR_OK;
}

/* "name value\n" lines, in any order. */
static struct str value_of(struct str text, struct str name)
{
    struct str line = STR_NONE;
    while (str_next(&text, '\n', &line)) {
        struct str key = STR_NONE;
        struct str value = STR_NONE;
        if (str_cut(line, ' ', &key, &value) && str_equal(key, name)) {
            return value;
        }
    }
    return STR_NONE;
}

static int64_t number_of(struct str text, struct str name, int64_t otherwise)
{
    int64_t value = otherwise;
    (void)str_parse_i64(value_of(text, name), INT64_MIN / 2, INT64_MAX / 2, &value);
    return value;
}

static struct str on_one_line(struct arena *a, struct str text)
{
    struct str cut = str_slice(text, 0, RUNTIME_REASON_BYTES_MAX);
    char *copy = arena_alloc(a, cut.len + 1);
    for (size_t i = 0; i < cut.len; i++) {
        copy[i] = cut.ptr[i] == '\n' ? ' ' : cut.ptr[i];
    }
    return str_make(copy, cut.len);
}

enum err runtime_keep_write_end(struct op *op, int folder_fd, const struct keep_end *end)
{
    struct str reason = on_one_line(&op->arena, end->reason);
    struct str text = arena_printf(
        &op->arena,
        "has_started %d\ncode %d\nis_out_of_memory %d\nstarted_us %lld\nended_us %lld\n"
        "reason %.*s\n",
        end->has_started, end->code, end->is_out_of_memory, (long long)end->started_at.us,
        (long long)end->ended_at.us, STR_ARG(reason));
    return write_file(op, folder_fd, "end", text);
}

enum err runtime_keep_read_end(struct op *op, int folder_fd, struct keep_end *ret)
{
    struct str text = STR_NONE;
    TRY(read_file(op, folder_fd, "end", &text));
    int64_t code = number_of(text, STR("code"), RUNTIME_EXIT_CODE_NONE);
    *ret = (struct keep_end){
        .has_started = number_of(text, STR("has_started"), 1) != 0,
        .is_out_of_memory = number_of(text, STR("is_out_of_memory"), 0) != 0,
        .code = code >= 0 && code <= 255 ? (int32_t)code : RUNTIME_EXIT_CODE_NONE,
        .started_at = {.us = number_of(text, STR("started_us"), 0)},
        .ended_at = {.us = number_of(text, STR("ended_us"), 0)},
        .reason = value_of(text, STR("reason")),
    };
    return ERR_OK;
}

enum err runtime_keep_write_pid(struct op *op, int folder_fd, const struct keep_pid *pid)
{
    return write_file(op, folder_fd, "pid",
                      arena_printf(&op->arena, "pid %d\nstarted_us %lld\n", pid->pid,
                                   (long long)pid->started_at.us));
}

enum err runtime_keep_read_pid(struct op *op, int folder_fd, struct keep_pid *ret)
{
    struct str text = STR_NONE;
    TRY(read_file(op, folder_fd, "pid", &text));
    *ret = (struct keep_pid){
        .pid = (int32_t)number_of(text, STR("pid"), 0),
        .started_at = {.us = number_of(text, STR("started_us"), 0)},
    };
    return ERR_OK;
}
