#include "lb/session.h"

#include "codec/base64.h"
#include "lb/affinity.h"
#include "lb/limits.h"

#define STATE_PURPOSE STR("sign-in state")

/* A number in front of the blank; false when there is none. */
static bool take_i64(struct str *rest, int64_t *ret)
{
    struct str word;
    struct str tail;
    if (!str_cut(*rest, ' ', &word, &tail) || !str_parse_i64(word, 0, INT64_MAX, ret)) {
        return false;
    }
    *rest = tail;
    return true;
}

static bool take_bytes(struct str *rest, int64_t count, struct str *ret)
{
    if ((uint64_t)count > rest->len) {
        return false;
    }
    *ret = str_slice(*rest, 0, (size_t)count);
    *rest = str_from(*rest, (size_t)count);
    return true;
}

/* ---- state ----------------------------------------------------------------------------------- */

struct str lb_state_close(struct arena *a, const struct seal_key *key, const struct lb_state *s)
{
    struct str text = arena_printf(a, "%lld %lld %zu %zu %.*s%.*s", (long long)s->until_ms,
                                   (long long)(s->login >> 1), s->nonce.len, s->url.len,
                                   STR_ARG(s->nonce), STR_ARG(s->url));
    return base64url_encode(a, seal_close(a, key, STATE_PURPOSE, text));
}

bool lb_state_open(struct arena *a, const struct seal_key *key, struct str text, int64_t now_ms,
                   struct lb_state *ret)
{
    struct str sealed;
    struct str rest;
    int64_t login = 0;
    int64_t nonce_len = 0;
    int64_t url_len = 0;
    if (text.len > 2 * LB_LOGIN_URL_BYTES_MAX || !base64url_decode(a, text, &sealed) ||
        !seal_open(a, key, STATE_PURPOSE, sealed, &rest)) {
        return false;
    }
    bool is_read = take_i64(&rest, &ret->until_ms) && take_i64(&rest, &login) &&
                   take_i64(&rest, &nonce_len) && take_i64(&rest, &url_len) &&
                   take_bytes(&rest, nonce_len, &ret->nonce) &&
                   take_bytes(&rest, url_len, &ret->url);
    ret->login = (uint64_t)login << 1;
    return is_read && ret->until_ms > now_ms;
}

/* ---- session --------------------------------------------------------------------------------- */

struct str lb_session_close(struct arena *a, const struct seal_key *key, struct str purpose,
                            const struct lb_identity *who)
{
    struct str text =
        arena_printf(a, "%lld %zu %zu %zu %.*s%.*s%.*s", (long long)who->until_ms, who->subject.len,
                     who->access_token.len, who->claims.len, STR_ARG(who->subject),
                     STR_ARG(who->access_token), STR_ARG(who->claims));
    struct str sealed = base64url_encode(a, seal_close(a, key, purpose, text));
    size_t count = (sealed.len + LB_SESSION_SHARD_CHARS) / LB_SESSION_SHARD_CHARS;
    if (count > LB_SESSION_SHARDS_MAX) {
        return STR_NONE;
    }
    return arena_printf(a, "%zu%.*s", count, STR_ARG(sealed));
}

bool lb_session_open(struct arena *a, const struct seal_key *key, struct str purpose,
                     struct str text, int64_t now_ms, struct lb_identity *ret)
{
    struct str sealed;
    struct str rest;
    int64_t lens[3] = {0};
    if (text.len < 2 || !base64url_decode(a, str_from(text, 1), &sealed) ||
        !seal_open(a, key, purpose, sealed, &rest)) {
        return false;
    }
    bool is_read =
        take_i64(&rest, &ret->until_ms) && take_i64(&rest, &lens[0]) && take_i64(&rest, &lens[1]) &&
        take_i64(&rest, &lens[2]) && take_bytes(&rest, lens[0], &ret->subject) &&
        take_bytes(&rest, lens[1], &ret->access_token) && take_bytes(&rest, lens[2], &ret->claims);
    return is_read && ret->until_ms > now_ms;
}

/* ---- cookies --------------------------------------------------------------------------------- */

struct str lb_session_cookies(struct arena *a, struct str name, struct str text, int64_t seconds)
{
    struct str lines = STR("");
    for (size_t i = 0; i * LB_SESSION_SHARD_CHARS < text.len; i++) {
        struct str part =
            str_slice(text, i * LB_SESSION_SHARD_CHARS, (i + 1) * LB_SESSION_SHARD_CHARS);
        lines = arena_printf(a,
                             "%.*sSet-Cookie: %.*s-%zu=%.*s; Max-Age=%lld; Path=/; SameSite=None; "
                             "Secure; HttpOnly\r\n",
                             STR_ARG(lines), STR_ARG(name), i, STR_ARG(part), (long long)seconds);
    }
    return lines;
}

struct str lb_session_find(struct arena *a, const struct h1_head *h, struct str name)
{
    struct str text = STR_NONE;
    size_t count = 1;
    for (size_t i = 0; i < count; i++) {
        struct str part = lb_find_cookie(h, arena_printf(a, "%.*s-%zu", STR_ARG(name), i));
        if (part.len == 0) {
            return STR_NONE;
        }
        if (i == 0) {
            count = (size_t)(part.ptr[0] - '0');
            text = part;
        } else {
            text = arena_printf(a, "%.*s%.*s", STR_ARG(text), STR_ARG(part));
        }
        if (count == 0 || count > LB_SESSION_SHARDS_MAX) {
            return STR_NONE;
        }
    }
    return text;
}
