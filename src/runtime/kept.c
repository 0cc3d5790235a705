#include "runtime/kept.h"

#include "base/buf.h"
#include "base/file.h"
#include "runtime/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_DEPTH_MAX 64 /* descriptors that a removal holds */
#define SPEC_FILE        "task.json"

static const char *spec_path(struct arena *a, const char *task_folder)
{
    return arena_printf(a, "%s/" SPEC_FILE, task_folder).ptr;
}

enum err runtime_kept_write_spec(struct op *op, const char *task_folder,
                                 const struct runtime_task_spec *spec)
{
    auto_buf struct buf json;
    buf_init(&json, RUNTIME_SPEC_JSON_BYTES_MAX);
    runtime_spec_to_json(&json, spec);
    if (json.is_overflown) {
        return op_fail(op, ERR_LIMIT, "the task's description is longer than %u bytes",
                       RUNTIME_SPEC_JSON_BYTES_MAX);
    }
    return file_write(op, spec_path(&op->arena, task_folder), buf_str(&json), 0600);
}

enum err runtime_kept_read_spec(struct op *op, const char *task_folder, struct str id,
                                struct runtime_task_spec **ret)
{
    struct str json = STR_NONE;
    struct runtime_task_spec *spec = NULL;
    TRY(file_read(op, spec_path(&op->arena, task_folder), RUNTIME_SPEC_JSON_BYTES_MAX, &json));
    TRY(runtime_spec_from_json(op, &op->arena, json, &spec));
    if (!str_equal(spec->id, id)) {
        return op_fail(op, ERR_INPUT, "the folder \"%s\" holds another task", task_folder);
    }
    *ret = spec;
    return ERR_OK;
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    (void)remove(path);
    return 0;
}

void runtime_kept_remove_folder(const char *folder)
{
    (void)nftw(folder, remove_entry, FOLDER_DEPTH_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

void runtime_kept_remove(const char *task_folder)
{
    struct arena a;
    arena_init(&a);
    (void)unlink(spec_path(&a, task_folder));
    arena_fini(&a);
    runtime_kept_remove_folder(task_folder);
}

enum err runtime_kept_open(struct op *op, const char *path, bool is_new, int *ret_folder_fd)
{
    if (is_new && mkdir(path, RUNTIME_FOLDER_MODE) == -1 && errno != EEXIST) {
        return op_fail_errno(op, "could not make the folder \"%s\"", path);
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd == -1) {
        return op_fail_errno(op, "could not open the folder \"%s\"", path);
    }
    *ret_folder_fd = fd;
    return ERR_OK;
}
