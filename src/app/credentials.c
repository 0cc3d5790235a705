#include "app/credentials.h"

#include "base/file.h"
#include "base/rand.h"

#include <sys/stat.h>

#define FILE_BYTES_MAX  4096
#define SECRET_ALPHABET STR("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
#define KEY_ALPHABET    STR("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")

static enum err make(struct op *op, struct credentials *ret)
{
    struct str tail = rand_text(&op->arena, KEY_ALPHABET, CREDENTIALS_KEY_ID_CHARS - 4);
    ret->access_key_id = arena_printf(&op->arena, "AKIA%.*s", STR_ARG(tail));
    ret->secret_access_key = rand_text(&op->arena, SECRET_ALPHABET, CREDENTIALS_SECRET_CHARS);
    struct str text = arena_printf(
        &op->arena, "[default]\naws_access_key_id = %.*s\naws_secret_access_key = %.*s\n",
        STR_ARG(ret->access_key_id), STR_ARG(ret->secret_access_key));
    return file_write(op, ret->path.ptr, text, 0600);
}

static enum err check_mode(struct op *op, struct str path)
{
    struct stat st;
    if (stat(path.ptr, &st) == -1) {
        return op_fail_errno(op, "could not look at \"%s\"", path.ptr);
    }
    if ((st.st_mode & 077) != 0) {
        return op_fail(op, ERR_DENIED, "others may read \"%s\" (mode %03o); run: chmod 600 %s",
                       path.ptr, (unsigned)(st.st_mode & 0777), path.ptr);
    }
    return ERR_OK;
}

static enum err parse(struct op *op, struct str text, struct credentials *ret)
{
    struct str line = STR_NONE;
    while (str_next(&text, '\n', &line)) {
        struct str name = STR_NONE;
        struct str value = STR_NONE;
        if (!str_cut(line, '=', &name, &value)) {
            continue;
        }
        if (STR_IS(str_trim(name), "aws_access_key_id")) {
            ret->access_key_id = str_trim(value);
        } else if (STR_IS(str_trim(name), "aws_secret_access_key")) {
            ret->secret_access_key = str_trim(value);
        }
    }
    if (str_is_empty(ret->access_key_id) || str_is_empty(ret->secret_access_key)) {
        return op_fail(op, ERR_INPUT, "\"%s\" holds no key; remove it and a new one is made",
                       ret->path.ptr);
    }
    return ERR_OK;
}

enum err credentials_load(struct op *op, struct str state_folder,
                          struct credentials *ret_credentials)
{
    struct credentials c = {
        .path = arena_printf(&op->arena, "%.*s/credentials", STR_ARG(state_folder))};
    struct str text = STR_NONE;
    enum err e = file_read(op, c.path.ptr, FILE_BYTES_MAX, &text);
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        TRY(make(op, &c));
        *ret_credentials = c;
        return ERR_OK;
    }
    TRY(e);
    TRY(check_mode(op, c.path));
    TRY(parse(op, text, &c));
    *ret_credentials = c;
    return ERR_OK;
}
