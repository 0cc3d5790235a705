#pragma once
/* What a runtime keeps of its tasks on disk: a folder a task, "<state>/<task id>", with its
 * description, and below it a folder a container, "<index>", with its note. */

#include "runtime/machine.h"

#define RUNTIME_FOLDER_MODE 0700

/* Writes the description. It is written last: a folder without one is no task yet. */
enum err runtime_kept_write_spec(struct op *op, const char *task_folder,
                                 const struct runtime_task_spec *spec) MUST_USE;
/* ERR_INPUT when it belongs to another task. In the op's arena. */
enum err runtime_kept_read_spec(struct op *op, const char *task_folder, struct str id,
                                struct runtime_task_spec **ret) MUST_USE;
/* With all that is in it, its description first: from then on it is no task, whatever happens. */
void runtime_kept_remove(const char *task_folder);
/* Any folder with all that is in it. */
void runtime_kept_remove_folder(const char *folder);
/* Opens a container's folder, made when `is_new`. */
enum err runtime_kept_open(struct op *op, const char *path, bool is_new,
                           int *ret_folder_fd) MUST_USE;

/* A lost note costs a repeated log line or an unknown health, so failures are only logged. A
 * note that is none reads as zero. */
void runtime_note_write(int folder_fd, const struct runtime_note *note);
void runtime_note_read(int folder_fd, struct runtime_note *ret);
