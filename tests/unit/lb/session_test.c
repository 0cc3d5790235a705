#include "codec/base64.h"
#include "crypt/cert.h"
#include "crypt/es256.h"
#include "lb/limits.h"
#include "lb/login.h"
#include "lb/session.h"
#include "test.h"

#define NOW_MS ((int64_t)1795201645000)

static const struct seal_key key = {.bytes = {1, 2, 3}};
static const struct seal_key other_key = {.bytes = {1, 2, 4}};

TEST(a_state_opens_with_its_key_until_its_time_is_over)
{
    struct arena a;
    arena_init(&a);
    struct lb_state made = {.until_ms = NOW_MS + 1000,
                            .login = 0xfffffffffffffffeu,
                            .nonce = STR("nonce"),
                            .url = STR("https://a.example.com:8443/b?c=d%20e")};
    struct lb_state got = {0};
    struct str text = lb_state_close(&a, &key, &made);
    EXPECT(lb_state_open(&a, &key, text, NOW_MS, &got));
    EXPECT(got.login == made.login && str_equal(got.nonce, made.nonce));
    EXPECT(str_equal(got.url, made.url));
    EXPECT(!lb_state_open(&a, &key, text, NOW_MS + 1000, &got));
    EXPECT(!lb_state_open(&a, &other_key, text, NOW_MS, &got));
    EXPECT(str_find(text, STR("example"), 0) == STR_NOT_FOUND);
    arena_fini(&a);
}

TEST(a_state_of_the_longest_address_opens)
{
    struct arena a;
    arena_init(&a);
    char *url = arena_alloc(&a, LB_LOGIN_URL_BYTES_MAX);
    memset(url, 'x', LB_LOGIN_URL_BYTES_MAX);
    struct lb_state made = {.until_ms = NOW_MS + 1,
                            .nonce = STR("01234567890123456789012345678901"),
                            .url = str_make(url, LB_LOGIN_URL_BYTES_MAX)};
    struct lb_state got = {0};
    EXPECT(lb_state_open(&a, &key, lb_state_close(&a, &key, &made), NOW_MS, &got));
    EXPECT_EQ(got.url.len, LB_LOGIN_URL_BYTES_MAX);
    arena_fini(&a);
}

TEST(a_session_opens_for_its_login_alone_and_whole)
{
    struct arena a;
    arena_init(&a);
    struct lb_identity made = {.until_ms = NOW_MS + 1000,
                               .subject = STR("user 1"),
                               .access_token = STR("token"),
                               .claims = STR("{\"sub\":\"user 1\"}")};
    struct lb_identity got = {0};
    struct str text = lb_session_close(&a, &key, STR("one"), &made);
    EXPECT(text.ptr[0] == '1');
    EXPECT(lb_session_open(&a, &key, STR("one"), text, NOW_MS, &got));
    EXPECT(str_equal(got.subject, made.subject) && str_equal(got.claims, made.claims));
    EXPECT(str_equal(got.access_token, made.access_token));
    EXPECT(!lb_session_open(&a, &key, STR("two"), text, NOW_MS, &got));
    EXPECT(!lb_session_open(&a, &other_key, STR("one"), text, NOW_MS, &got));
    EXPECT(!lb_session_open(&a, &key, STR("one"), text, NOW_MS + 1000, &got));
    EXPECT(!lb_state_open(&a, &key, str_from(text, 1), NOW_MS, &(struct lb_state){0}));
    for (size_t len = 0; len < text.len; len++) {
        EXPECT(!lb_session_open(&a, &key, STR("one"), str_slice(text, 0, len), NOW_MS, &got));
    }
    arena_fini(&a);
}

/* ALB: cookies of 4K, four at most. */
TEST(a_large_session_takes_several_cookies_and_a_larger_one_none)
{
    struct arena a;
    arena_init(&a);
    char *claims = arena_alloc(&a, 20000);
    memset(claims, 'x', 20000);
    struct h1_head head;
    for (size_t len = 0; len < 20000; len += 500) {
        struct lb_identity made = {.until_ms = NOW_MS + 1, .claims = str_make(claims, len)};
        struct lb_identity got = {0};
        struct str text = lb_session_close(&a, &key, STR("p"), &made);
        if (!str_is_set(text)) {
            EXPECT(len > 11000);
            continue;
        }
        struct str lines = lb_session_cookies(&a, STR("C"), text, 60);
        struct str cookies = STR("");
        struct str line;
        while (str_next(&lines, '\n', &line) && line.len > 0) {
            EXPECT(line.len <= 4096);
            size_t start = strlen("Set-Cookie: ");
            struct str pair = str_slice(line, start, str_find_char(line, ';', 0));
            cookies = arena_printf(&a, "%.*s; %.*s", STR_ARG(pair), STR_ARG(cookies));
        }
        struct str request =
            arena_printf(&a, "GET / HTTP/1.1\r\nHost: a\r\nCookie: %.*s\r\n\r\n", STR_ARG(cookies));
        h1_head_init(&head);
        EXPECT(h1_parse_request(&head, request.ptr, request.len) == H1_DONE);
        EXPECT(str_equal(lb_session_find(&a, &head, STR("C")), text));
        EXPECT(!str_is_set(lb_session_find(&a, &head, STR("D"))));
        EXPECT(lb_session_open(&a, &key, STR("p"), text, NOW_MS, &got));
        EXPECT_EQ(got.claims.len, len);
    }
    arena_fini(&a);
}

/* ELBv2 guide, "User claims encoding and signature verification": three parts, with padding. */
TEST(signed_data_has_the_claims_and_its_own_end)
{
    struct arena a;
    arena_init(&a);
    struct lb_conf conf = {.sign_in_key_pem = cert_make_key(&a, CERT_KEY_EC_P256),
                           .sign_in_key_id = STR("kid")};
    struct lb_login login = {.issuer_json = STR("\"https://i\""),
                             .client_json = STR("\"c\""),
                             .signer_json = STR("\"arn\"")};
    struct str rest = lb_login_data(&a, &conf, &login, STR("{\"sub\":\"u\"}"), 1000);
    struct str part;
    struct str text;
    EXPECT(str_next(&rest, '.', &part) && part.len % 4 == 0);
    EXPECT(base64url_decode(&a, part, &text));
    EXPECT(STR_IS(text, "{\"typ\":\"JWT\",\"kid\":\"kid\",\"alg\":\"ES256\",\"iss\":\"https://i\","
                        "\"client\":\"c\",\"signer\":\"arn\",\"exp\":1120}"));
    EXPECT(str_next(&rest, '.', &part) && part.len % 4 == 0);
    EXPECT(base64url_decode(&a, part, &text));
    EXPECT(STR_IS(text, "{\"sub\":\"u\",\"exp\":1120,\"iss\":\"https://i\"}"));
    EXPECT(str_next(&rest, '.', &part) && part.len == 88);
    rest = lb_login_data(&a, &conf, &login, STR("{}"), 1000);
    EXPECT(str_next(&rest, '.', &part) && str_next(&rest, '.', &part));
    EXPECT(base64url_decode(&a, part, &text));
    EXPECT(STR_IS(text, "{\"exp\":1120,\"iss\":\"https://i\"}"));
    arena_fini(&a);
}

TEST(names_of_identity_fields_are_known_in_every_spelling)
{
    EXPECT(lb_is_identity_field(STR("X-Amzn-Oidc-Data")));
    EXPECT(lb_is_identity_field(STR("x_amzn_oidc_identity")));
    EXPECT(lb_is_identity_field(STR("x-amzn-oidc-")));
    EXPECT(!lb_is_identity_field(STR("x-amzn-oidc")));
    EXPECT(!lb_is_identity_field(STR("x-amzn-trace-id")));
}
