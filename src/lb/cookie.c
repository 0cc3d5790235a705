#include "lb/cookie.h"

#include "base/check.h"
#include "codec/base64.h"
#include "crypt/hash.h"

#define WEEK_MS    ((int64_t)7 * 24 * 3600 * 1000)
#define HEAD_BYTES ((size_t)4)  /* kind, count, two that are 0 */
#define MARK_BYTES ((size_t)24) /* group, peer, until */
#define CHARS_MIN  ((4 + SEAL_MORE_BYTES + HEAD_BYTES + MARK_BYTES) / 3 * 4)
/* Ends are rounded up to this, so that cookies made shortly after each other are the same. */
#define UNTIL_GRAIN_MS 256

int64_t lb_cookie_until_ms(int64_t now_ms, dur_t duration)
{
    int64_t until_ms = now_ms + dur_scaled(duration).us / 1000;
    return (until_ms + UNTIL_GRAIN_MS - 1) / UNTIL_GRAIN_MS * UNTIL_GRAIN_MS;
}

/* ---- keys ------------------------------------------------------------------------------------ */

void lb_cookies_fini(struct lb_cookies *c)
{
    for (size_t i = 0; i < ARRAY_COUNT(c->weeks); i++) {
        sealer_fini(&c->weeks[i].sealer);
    }
    *c = (struct lb_cookies){0};
}

void lb_cookies_set_key(struct lb_cookies *c, const struct seal_key *key)
{
    if (c->has_key && memcmp(&c->key, key, sizeof(*key)) == 0) {
        return;
    }
    lb_cookies_fini(c);
    c->key = *key;
    c->has_key = true;
}

static struct sealer *sealer_of(struct lb_cookies *c, uint32_t week)
{
    struct lb_cookie_week *w = &c->weeks[week % 2];
    if (!w->is_made || w->week != week) {
        char purpose[] = "hitless cookie \0\0\0\0";
        memcpy(purpose + sizeof(purpose) - 1 - sizeof(week), &week, sizeof(week));
        struct sha256 hash = hmac_sha256_of(str_make((const char *)c->key.bytes, SEAL_KEY_BYTES),
                                            str_make(purpose, sizeof(purpose) - 1));
        struct seal_key key;
        memcpy(key.bytes, hash.bytes, sizeof(key.bytes));
        sealer_fini(&w->sealer);
        sealer_init(&w->sealer, &key);
        w->week = week;
        w->is_made = true;
    }
    return &w->sealer;
}

/* One ahead: another process's clock. */
static bool is_good_week(uint32_t week, uint32_t now_week)
{
    return week + 1 >= now_week && week <= now_week + 1;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* All marks, also those that are over. */
static bool open_text(struct lb_cookies *c, enum lb_cookie_kind kind, struct str text,
                      uint32_t *ret_week, struct lb_marks *ret_marks, uint32_t now_week)
{
    uint8_t sealed[LB_COOKIE_BYTES_MAX];
    uint8_t plain[LB_COOKIE_BYTES_MAX];
    size_t len = text.len / 4 * 3;
    if (!base64_decode_to(text, sealed)) {
        return false;
    }
    uint32_t week;
    memcpy(&week, sealed, sizeof(week));
    if (!is_good_week(week, now_week) ||
        !sealer_open(sealer_of(c, week), sealed + 4, len - 4, plain)) {
        return false;
    }
    size_t count = plain[1];
    if (plain[0] != kind || len != 4 + SEAL_MORE_BYTES + HEAD_BYTES + count * MARK_BYTES) {
        return false;
    }
    _Static_assert(sizeof(ret_marks->items[0]) == MARK_BYTES, "three words");
    memcpy(ret_marks->items, plain + HEAD_BYTES, count * MARK_BYTES);
    ret_marks->count = count;
    *ret_week = week;
    return true;
}

/* NULL when it is no cookie of ours. */
static const struct lb_cookie_known *know(struct lb_cookies *c, enum lb_cookie_kind kind,
                                          struct str text, uint32_t now_week)
{
    uint64_t end;
    memcpy(&end, text.ptr + text.len - sizeof(end), sizeof(end)); /* of the tag: random */
    struct lb_cookie_known *known = &c->known[(end * 0x9e3779b97f4a7c15u >> 56) % LB_COOKIE_KNOWN];
    bool is_known = known->kind == kind && str_equal(str_make(known->text, known->len), text);
    if (is_known) {
        return is_good_week(known->week, now_week) ? known : NULL;
    }
    struct lb_marks marks;
    uint32_t week;
    if (!open_text(c, kind, text, &week, &marks, now_week)) {
        return NULL;
    }
    known->marks = marks;
    known->week = week;
    known->kind = kind;
    known->len = text.len;
    memcpy(known->text, text.ptr, text.len);
    return known;
}

bool lb_cookie_read(struct lb_cookies *c, enum lb_cookie_kind kind, struct str text, int64_t now_ms,
                    struct lb_marks *ret_marks)
{
    ret_marks->count = 0;
    if (!c->has_key || text.len > LB_COOKIE_CHARS_MAX || text.len < CHARS_MIN) {
        return false;
    }
    const struct lb_cookie_known *known = know(c, kind, text, (uint32_t)(now_ms / WEEK_MS));
    if (known == NULL) {
        return false;
    }
    for (size_t i = 0; i < known->marks.count; i++) {
        if (known->marks.items[i].until_ms > now_ms) {
            ret_marks->items[ret_marks->count++] = known->marks.items[i];
        }
    }
    return true;
}

/* ---- writing --------------------------------------------------------------------------------- */

static size_t seal_marks(struct lb_cookies *c, uint32_t week, enum lb_cookie_kind kind,
                         const struct lb_marks *marks, char *ret_text)
{
    uint8_t plain[HEAD_BYTES + LB_MARKS_MAX * MARK_BYTES] = {(uint8_t)kind, (uint8_t)marks->count};
    uint8_t sealed[LB_COOKIE_BYTES_MAX];
    size_t len = HEAD_BYTES + marks->count * MARK_BYTES;
    memcpy(plain + HEAD_BYTES, marks->items, marks->count * MARK_BYTES);
    memcpy(sealed, &week, sizeof(week));
    sealer_close(sealer_of(c, week), plain, len, sealed + sizeof(week));
    base64_encode_to(sealed, sizeof(week) + len + SEAL_MORE_BYTES, ret_text);
    return (sizeof(week) + len + SEAL_MORE_BYTES) / 3 * 4;
}

static bool is_same_mark(const struct lb_mark *a, const struct lb_mark *b)
{
    return a->group == b->group && a->peer == b->peer && a->until_ms == b->until_ms;
}

struct str lb_cookie_write(struct lb_cookies *c, enum lb_cookie_kind kind,
                           const struct lb_marks *marks, int64_t now_ms,
                           char room[LB_COOKIE_CHARS_MAX])
{
    CHECK(c->has_key && marks->count > 0 && marks->count <= LB_MARKS_MAX);
    uint32_t week = (uint32_t)(now_ms / WEEK_MS);
    if (marks->count > 1) {
        return str_make(room, seal_marks(c, week, kind, marks, room));
    }
    const struct lb_mark *mark = &marks->items[0];
    size_t at = (size_t)(mark->group ^ mark->peer ^ kind) % LB_COOKIE_CACHE;
    struct lb_cookie_made *made = &c->made[at];
    if (made->len == 0 || made->kind != kind || made->week != week ||
        !is_same_mark(&made->mark, mark)) {
        made->mark = *mark;
        made->kind = kind;
        made->week = week;
        made->len = seal_marks(c, week, kind, marks, made->text);
    }
    return str_make(made->text, made->len);
}
