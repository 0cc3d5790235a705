/* What browsers bring back from a sign-in: the state in the address and the session's cookies. The
 * bytes as text, as what a seal holds (as if the key were known), and over a good one. */

#include "base/check.h"
#include "codec/base64.h"
#include "fuzz.h"
#include "lb/session.h"

#define NOW_MS ((int64_t)1795201645000)

static const struct seal_key key = {.bytes = {1, 2, 3}};

static void try_cookies(struct arena *a, struct str bytes)
{
    struct h1_head head;
    struct str request =
        arena_printf(a, "GET / HTTP/1.1\r\nHost: a\r\nCookie: %.*s\r\n\r\n", STR_ARG(bytes));
    h1_head_init(&head);
    if (h1_parse_request(&head, request.ptr, request.len) == H1_DONE) {
        struct lb_identity who = {0};
        struct str text = lb_session_find(a, &head, STR("C"));
        CHECK(!str_is_set(text) || !lb_session_open(a, &key, STR("p"), text, NOW_MS, &who));
    }
}

static void try_inside(struct arena *a, struct str bytes)
{
    struct lb_state state = {0};
    struct lb_identity who = {0};
    struct str sealed = seal_close(a, &key, STR("sign-in state"), bytes);
    if (lb_state_open(a, &key, base64url_encode(a, sealed), NOW_MS, &state)) {
        CHECK(state.nonce.len + state.url.len <= bytes.len);
    }
    sealed = base64url_encode(a, seal_close(a, &key, STR("p"), bytes));
    if (lb_session_open(a, &key, STR("p"), arena_printf(a, "1%.*s", STR_ARG(sealed)), NOW_MS,
                        &who)) {
        CHECK(who.subject.len + who.access_token.len + who.claims.len <= bytes.len);
    }
}

static void try_made(struct arena *a, struct str bytes)
{
    struct lb_identity got = {0};
    struct lb_identity who = {.until_ms = NOW_MS + 1, .subject = bytes, .claims = bytes};
    struct str text = memchr(bytes.ptr, '\0', bytes.len) == NULL
                          ? lb_session_close(a, &key, STR("p"), &who)
                          : STR_NONE;
    if (str_is_set(text)) {
        CHECK(lb_session_open(a, &key, STR("p"), text, NOW_MS, &got));
        CHECK(str_equal(got.subject, bytes) && str_equal(got.claims, bytes));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct arena a;
    struct lb_state state = {0};
    struct str text = str_make((const char *)bytes, count);
    arena_init(&a);
    CHECK(!lb_state_open(&a, &key, text, NOW_MS, &state));
    if (count > 0) {
        try_cookies(&a, text);
        try_inside(&a, text);
        try_made(&a, text);
    }
    arena_fini(&a);
    return 0;
}
