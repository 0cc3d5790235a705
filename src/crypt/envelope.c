#include "crypt/envelope.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/rand.h"
#include "codec/base64.h"

#include <string.h>
#include <sys/stat.h>

#define MARK "v1:"

static enum err make_key(struct op *op, const char *path, struct seal_key *ret)
{
    struct seal_key key;
    rand_bytes(key.bytes, sizeof(key.bytes));
    TRY(file_write(op, path, str_make((const char *)key.bytes, sizeof(key.bytes)), 0600));
    *ret = key;
    explicit_bzero(&key, sizeof(key));
    return ERR_OK;
}

static enum err check_mode(struct op *op, const char *path)
{
    struct stat st;
    if (stat(path, &st) == -1) {
        return op_fail_errno(op, "could not look at \"%s\"", path);
    }
    if ((st.st_mode & 077) != 0) {
        return op_fail(op, ERR_DENIED, "others may read \"%s\" (mode %03o); run: chmod 600 %s",
                       path, (unsigned)(st.st_mode & 0777), path);
    }
    return ERR_OK;
}

enum err envelope_key_load(struct op *op, struct str state_folder, struct seal_key *ret_key)
{
    const char *path =
        arena_printf(&op->arena, "%.*s/" ENVELOPE_KEY_FILE, STR_ARG(state_folder)).ptr;
    struct str bytes = STR_NONE;
    enum err result = file_read(op, path, SEAL_KEY_BYTES, &bytes);
    if (result == ERR_NOT_FOUND) {
        op_note_clear(op);
        return make_key(op, path, ret_key);
    }
    TRY(result);
    TRY(check_mode(op, path));
    if (bytes.len != SEAL_KEY_BYTES) {
        return op_fail(
            op, ERR_INPUT,
            "\"%s\" has %zu bytes and is no key (%d); put back the right file: without it "
            "the secrets in the store cannot be read",
            path, bytes.len, SEAL_KEY_BYTES);
    }
    memcpy(ret_key->bytes, bytes.ptr, SEAL_KEY_BYTES);
    explicit_bzero(mem_owned(bytes.ptr), bytes.len);
    return ERR_OK;
}

struct str envelope_close(struct arena *a, const struct seal_key *key, struct str purpose,
                          struct str text)
{
    struct str sealed = base64_encode(a, seal_close(a, key, purpose, text));
    return arena_printf(a, MARK "%.*s", STR_ARG(sealed));
}

bool envelope_open(struct arena *a, const struct seal_key *key, struct str purpose,
                   struct str envelope, struct str *ret_text)
{
    struct str sealed = STR_NONE;
    a->holds_secrets = true;
    return str_starts_with(envelope, STR(MARK)) && envelope.len <= SEAL_BYTES_MAX &&
           base64_decode(a, str_from(envelope, strlen(MARK)), &sealed) &&
           seal_open(a, key, purpose, sealed, ret_text);
}
