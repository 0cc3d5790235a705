/* Where bundles and revocation lists come from and go to: files under folders of the engine. */

#include "base/file.h"
#include "svc/common/ids.h"
#include "svc/elbv2/limits.h"
#include "svc/elbv2/rows.h"
#include "svc/elbv2/state.h"
#include "svc/elbv2/trust_stores.h"

#define BUCKET_CHARS_MAX 63
#define KEY_BYTES_MAX    1024 /* S3 */

/* A key of S3 whose parts are names of folders and a file: nothing leads out of the bucket. */
static bool is_key(struct str key)
{
    struct str rest = key;
    struct str part = STR_NONE;
    if (key.len == 0 || key.len > KEY_BYTES_MAX || str_find_char(key, '\0', 0) != STR_NOT_FOUND) {
        return false;
    }
    while (str_next(&rest, '/', &part)) {
        if (part.len == 0 || STR_IS(part, ".") || STR_IS(part, "..")) {
            return false;
        }
    }
    return true;
}

static bool is_bucket(struct str bucket)
{
    return name_is(bucket, 3, BUCKET_CHARS_MAX, STR(".-")) && bucket.ptr[0] != '.';
}

enum err elbv2_read_object(struct op *op, struct elbv2 *e, const struct elbv2_object *object,
                           struct str *ret_text)
{
    if (!is_bucket(object->bucket) || !is_key(object->key)) {
        return elbv2_invalid(op, "'%.*s' is not a valid bucket, or '%.*s' not a valid key",
                             STR_ARG(str_slice(object->bucket, 0, 200)),
                             STR_ARG(str_slice(object->key, 0, 200)));
    }
    if (str_is_set(object->version)) {
        return elbv2_invalid(op,
                             "Object versions are not kept here: leave out the version of "
                             "'%.*s'",
                             STR_ARG(object->key));
    }
    const char *path = arena_printf(&op->arena, "%.*s/%.*s/%.*s", STR_ARG(e->options.objects),
                                    STR_ARG(object->bucket), STR_ARG(object->key))
                           .ptr;
    enum err result = file_read(op, path, ELBV2_BUNDLE_BYTES_MAX, ret_text);
    if (result == ERR_OK) {
        return ERR_OK;
    }
    op_note_clear(op);
    if (result == ERR_LIMIT) {
        return elbv2_invalid(op, "The file \"%s\" has more than %d bytes", path,
                             ELBV2_BUNDLE_BYTES_MAX);
    }
    return op_fail_as(op, ERR_NOT_FOUND, object->not_found,
                      "The object 's3://%.*s/%.*s' was not found: there is no readable file \"%s\"",
                      STR_ARG(object->bucket), STR_ARG(object->key), path);
}

enum err elbv2_hand_out(struct op *op, struct elbv2 *e, struct str name, struct str text,
                        struct str *ret_location)
{
    const char *folder = arena_c_str(&op->arena, e->options.files);
    const char *path = arena_printf(&op->arena, "%s/%.*s", folder, STR_ARG(name)).ptr;
    TRY(file_make_folder(op, folder, 0755));
    TRY(file_write(op, path, text, 0644));
    *ret_location = arena_printf(&op->arena, "file://%s", path);
    return ERR_OK;
}
