#include "base/file.h"

#include "base/check.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define PATH_BYTES_MAX 4096

enum err file_read(struct op *op, const char *path, size_t max_bytes, struct str *ret_text)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1) {
        return op_fail_errno(op, "could not open \"%s\"", path);
    }
    size_t capacity = 4096;
    size_t len = 0;
    char *text = arena_alloc(&op->arena, capacity);
    for (;;) {
        if (len == capacity) {
            text = arena_grow(&op->arena, text, len, capacity * 2, 1);
            capacity *= 2;
        }
        ssize_t got = read(fd, text + len, capacity - len);
        if (got == -1 && errno == EINTR) {
            continue;
        }
        if (got == -1) {
            return op_fail_errno(op, "could not read \"%s\"", path);
        }
        if (got == 0) {
            break;
        }
        len += (size_t)got;
        if (len > max_bytes) {
            return op_fail(op, ERR_LIMIT, "\"%s\" has more than %zu bytes", path, max_bytes);
        }
    }
    *ret_text = str_make(text, len);
    return ERR_OK;
}

static enum err write_whole(struct op *op, int fd, const char *path, struct str text)
{
    while (text.len > 0) {
        ssize_t wrote = write(fd, text.ptr, text.len);
        if (wrote == -1 && errno == EINTR) {
            continue;
        }
        if (wrote == -1) {
            return op_fail_errno(op, "could not write \"%s\"", path);
        }
        text = str_from(text, (size_t)wrote);
    }
    if (fsync(fd) == -1) {
        return op_fail_errno(op, "could not sync \"%s\"", path);
    }
    return ERR_OK;
}

static enum err sync_folder_of(struct op *op, const char *path)
{
    struct str folder = str_of(path);
    size_t slash = str_find_last_char(folder, '/');
    folder = slash == STR_NOT_FOUND ? STR(".")
             : slash == 0           ? STR("/")
                                    : str_slice(folder, 0, slash);
    auto_fd int fd = open(arena_c_str(&op->arena, folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd == -1 || fsync(fd) == -1) {
        return op_fail_errno(op, "could not sync the folder of \"%s\"", path);
    }
    return ERR_OK;
}

enum err file_write(struct op *op, const char *path, struct str text, mode_t mode)
{
    struct str beside = arena_printf(&op->arena, "%s.new.%d", path, (int)getpid());
    auto_fd int fd = open(beside.ptr, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd == -1) {
        return op_fail_errno(op, "could not create \"%s\"", beside.ptr);
    }
    enum err result = write_whole(op, fd, beside.ptr, text);
    if (result == ERR_OK && rename(beside.ptr, path) == -1) {
        result = op_fail_errno(op, "could not rename \"%s\" to \"%s\"", beside.ptr, path);
    }
    if (result != ERR_OK) {
        (void)unlink(beside.ptr);
        return result;
    }
    return sync_folder_of(op, path);
}

enum err file_make_folder(struct op *op, const char *path, mode_t mode)
{
    char part[PATH_BYTES_MAX];
    if (!str_to_c(str_of(path), part, sizeof(part))) {
        return op_fail(op, ERR_LIMIT, "the path \"%.64s...\" has more than %d bytes", path,
                       PATH_BYTES_MAX - 1);
    }
    for (char *at = part + 1;; at++) {
        if (*at != '/' && *at != '\0') {
            continue;
        }
        bool is_last = *at == '\0';
        *at = '\0';
        if (mkdir(part, is_last ? mode : 0755) == -1 && errno != EEXIST) {
            return op_fail_errno(op, "could not make the folder \"%s\"", part);
        }
        if (is_last) {
            return ERR_OK;
        }
        *at = '/';
    }
}
