#pragma once
/* Whole files. */

#include "base/op.h"

#include <sys/types.h>

/* ERR_LIMIT when the file has more than max_bytes. The text lives in the op's arena. */
enum err file_read(struct op *op, const char *path, size_t max_bytes, struct str *ret_text);
/* Writes beside, syncs, renames over, syncs the folder: a reader sees the old or the new whole
 * file. */
enum err file_write(struct op *op, const char *path, struct str text, mode_t mode);
/* Makes the folder and its parents; fine when it is there. */
enum err file_make_folder(struct op *op, const char *path, mode_t mode);
