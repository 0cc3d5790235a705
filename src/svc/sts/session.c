#include "svc/sts/session.h"

#include "base/rand.h"
#include "codec/base64.h"
#include "crypt/hash.h"

#include <string.h>

#define PURPOSE        STR("sts session")
#define KEY_LETTERS    STR("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
#define SECRET_LETTERS STR("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")

struct seal_key sts_session_key(struct str root_secret)
{
    struct sha256 hash = hmac_sha256_of(root_secret, PURPOSE);
    struct seal_key key;
    _Static_assert(sizeof(key.bytes) == sizeof(hash.bytes), "a hash is a key");
    memcpy(key.bytes, hash.bytes, sizeof(key.bytes));
    return key;
}

struct str sts_session_make(struct op *op, const struct seal_key *key, struct sts_session *session)
{
    struct arena *a = &op->arena;
    struct str tail = rand_text(a, KEY_LETTERS, 16);
    session->access_key_id = arena_printf(a, "ASIA%.*s", STR_ARG(tail));
    session->secret_access_key = rand_text(a, SECRET_LETTERS, STS_SESSION_SECRET_CHARS);
    struct str text =
        arena_printf(a, "%.*s\n%.*s\n%lld\n%.*s\n%.*s", STR_ARG(session->access_key_id),
                     STR_ARG(session->secret_access_key), (long long)session->expires_at.us,
                     STR_ARG(session->caller_id), STR_ARG(session->caller_arn));
    return base64_encode(a, seal_close(a, key, PURPOSE, text));
}

bool sts_session_read(struct op *op, const struct seal_key *key, struct str access_key_id,
                      struct str token, struct sts_session *ret)
{
    struct str sealed = STR_NONE;
    struct str rest = STR_NONE;
    if (token.len > STS_SESSION_TOKEN_CHARS_MAX || !base64_decode(&op->arena, token, &sealed) ||
        !seal_open(&op->arena, key, PURPOSE, sealed, &rest)) {
        return false;
    }
    struct sts_session s = {0};
    struct str until = STR_NONE;
    bool is_whole = str_cut(rest, '\n', &s.access_key_id, &rest) &&
                    str_cut(rest, '\n', &s.secret_access_key, &rest) &&
                    str_cut(rest, '\n', &until, &rest) &&
                    str_cut(rest, '\n', &s.caller_id, &s.caller_arn) &&
                    str_parse_i64(until, 0, INT64_MAX, &s.expires_at.us);
    if (!is_whole || !str_equal(s.access_key_id, access_key_id)) {
        return false;
    }
    *ret = s;
    return true;
}
