#include "aws/sigv4.h"
#include "base/check.h"
#include "codec/json.h"
#include "test.h"

#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

struct sigv4_case {
    struct str name;
    struct aws_request request;
    struct aws_header headers[16];
    struct str canonical;
    struct str string_to_sign;
};

static void read_headers(struct json_reader *r, struct sigv4_case *c)
{
    json_enter_array(r);
    while (json_next_item(r)) {
        CHECK(c->request.header_count < ARRAY_COUNT(c->headers));
        struct aws_header *h = &c->headers[c->request.header_count++];
        json_enter_array(r);
        CHECK(json_next_item(r) && json_read_string(r, &h->name));
        CHECK(json_next_item(r) && json_read_string(r, &h->value) && !json_next_item(r));
    }
    c->request.headers = c->headers;
}

static void read_case(struct op *op, struct str line, struct sigv4_case *c)
{
    struct json_reader r;
    struct str key;
    *c = (struct sigv4_case){0};
    json_reader_init(&r, &op->arena, line);
    json_enter_object(&r);
    while (json_next_key(&r, &key)) {
        if (STR_IS(key, "headers")) {
            read_headers(&r, c);
            continue;
        }
        struct str *to = STR_IS(key, "name")        ? &c->name
                         : STR_IS(key, "method")    ? &c->request.method
                         : STR_IS(key, "path")      ? &c->request.path
                         : STR_IS(key, "query")     ? &c->request.query
                         : STR_IS(key, "body")      ? &c->request.body
                         : STR_IS(key, "canonical") ? &c->canonical
                                                    : &c->string_to_sign;
        json_read_string(&r, to);
    }
    REQUIRE_OK(json_finish(&r, op), op);
}

static wall_t at(const char *text)
{
    wall_t t;
    CHECK(wall_parse(str_of(text), &t));
    return t;
}

static enum sigv4_fault check(struct op *op, const struct aws_request *r, const char *when,
                              struct str secret, struct str *ret_text)
{
    struct sigv4_claim claim;
    enum sigv4_fault fault = sigv4_claim_read(&op->arena, r, &claim, ret_text);
    return fault != SIGV4_OK ? fault
                             : sigv4_claim_check(&op->arena, NULL, r, &claim, STR("service"),
                                                 secret, at(when), ret_text);
}

TEST(signatures_agree_with_those_of_botocore_and_of_the_published_suite)
{
    struct str rest = test_file("vectors/sigv4.jsonl");
    struct str line;
    struct sigv4_cache cache = {0};
    size_t count = 0;
    (void)str_next(&rest, '\n', &line); /* says who made the file */
    while (str_next(&rest, '\n', &line) && line.len > 0) {
        auto_op struct op op;
        op_init(&op);
        struct sigv4_case c;
        struct sigv4_claim claim;
        struct str text = STR("");
        read_case(&op, line, &c);
        REQUIRE_EQ(sigv4_claim_read(&op.arena, &c.request, &claim, &text), SIGV4_OK);
        struct str hash = sha256_hex(&op.arena, c.request.body);
        struct str without = claim.is_presigned ? STR("X-Amz-Signature") : STR_NONE;
        struct str canonical =
            sigv4_canonical_request(&op.arena, &c.request, claim.signed_names, hash, without);
        EXPECT_STR_EQ(canonical, c.canonical);
        EXPECT_STR_EQ(sigv4_string_to_sign(&op.arena, claim.amz_date, &claim.scope, canonical),
                      c.string_to_sign);
        enum sigv4_fault fault =
            sigv4_claim_check(&op.arena, &cache, &c.request, &claim, STR("service"), STR(SECRET),
                              at("2015-08-30T12:36:30Z"), &text);
        if (fault != SIGV4_OK) {
            test_failed(__FILE__, __LINE__, "%.*s: %.*s", STR_ARG(c.name), STR_ARG(text));
        }
        count++;
    }
    EXPECT(count >= 20);
}

/* A request that we sign ourselves. */
struct own {
    struct aws_header headers[6];
    struct aws_request request;
};

static void sign_own(struct op *op, struct own *own, struct str body)
{
    *own = (struct own){.headers = {{STR("Host"), STR("localhost:4566")},
                                    {STR("X-Amz-Date"), STR("20150830T123600Z")},
                                    {STR("X-Amz-Target"), STR("Svc.Op")},
                                    {STR("Content-Type"), STR("application/x-amz-json-1.1")},
                                    {STR("User-Agent"), STR("not signed")}},
                        .request = {.method = STR("POST"), .path = STR("/"), .body = body}};
    own->request.query = STR("");
    own->request.headers = own->headers;
    own->request.header_count = 5;
    struct sigv4_scope scope = {
        .date = STR("20150830"), .region = STR("eu-west-1"), .service = STR("service")};
    own->headers[5] = (struct aws_header){
        STR("Authorization"), sigv4_authorization(&op->arena, NULL, &own->request, STR("AKID"),
                                                  STR(SECRET), &scope, STR("20150830T123600Z"))};
    own->request.header_count = 6;
}

TEST(what_we_sign_we_accept_and_any_change_is_found)
{
    auto_op struct op op;
    op_init(&op);
    struct own own;
    struct str text = STR("");
    const char *now = "2015-08-30T12:36:00Z";
    sign_own(&op, &own, STR("{}"));
    EXPECT_EQ(check(&op, &own.request, now, STR(SECRET), &text), SIGV4_OK);
    EXPECT_EQ(check(&op, &own.request, now, STR("wrong"), &text), SIGV4_MISMATCH);
    EXPECT_STR(text, SIGV4_TEXT_MISMATCH);
    own.headers[4].value = STR("changes nothing");
    EXPECT_EQ(check(&op, &own.request, now, STR(SECRET), &text), SIGV4_OK);
    own.request.body = STR("{ }");
    EXPECT_EQ(check(&op, &own.request, now, STR(SECRET), &text), SIGV4_MISMATCH);
    own.request.sent_body = STR("{}"); /* packed on the way: the signature is of what was sent */
    EXPECT_EQ(check(&op, &own.request, now, STR(SECRET), &text), SIGV4_OK);
    own.headers[2].value = STR("Svc.Other");
    EXPECT_EQ(check(&op, &own.request, now, STR(SECRET), &text), SIGV4_MISMATCH);
    sign_own(&op, &own, STR("{}"));
    own.request.query = STR("a=b");
    EXPECT_EQ(check(&op, &own.request, now, STR(SECRET), &text), SIGV4_MISMATCH);
    sign_own(&op, &own, STR("{}"));
    own.request.method = STR("GET");
    EXPECT_EQ(check(&op, &own.request, now, STR(SECRET), &text), SIGV4_MISMATCH);
}

TEST(old_and_early_signatures_are_told_apart)
{
    auto_op struct op op;
    op_init(&op);
    struct own own;
    struct str text = STR("");
    sign_own(&op, &own, STR("{}"));
    EXPECT_EQ(check(&op, &own.request, "2015-08-30T12:41:00Z", STR(SECRET), &text), SIGV4_OK);
    EXPECT_EQ(check(&op, &own.request, "2015-08-30T12:41:01Z", STR(SECRET), &text), SIGV4_MISMATCH);
    EXPECT_STR(text, "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z "
                     "(20150830T124101Z - 5 min.)");
    EXPECT_EQ(check(&op, &own.request, "2015-08-30T12:31:00Z", STR(SECRET), &text), SIGV4_OK);
    EXPECT_EQ(check(&op, &own.request, "2015-08-30T12:30:59Z", STR(SECRET), &text), SIGV4_MISMATCH);
    EXPECT_STR(text, "Signature not yet current: 20150830T123600Z is still later than "
                     "20150830T123559Z (20150830T123059Z + 5 min.)");
}

TEST(signatures_that_cannot_be_read_say_what_is_missing)
{
    static const struct {
        const char *header;
        enum sigv4_fault fault;
        const char *text;
    } cases[] = {
        {"", SIGV4_MISSING, "Missing Authentication Token"},
        {"Bearer abc", SIGV4_INCOMPLETE, "Unsupported AWS 'algorithm': 'Bearer'."},
        {"AWS4-HMAC-SHA256 Credential", SIGV4_INCOMPLETE,
         "'Credential' not a valid key=value pair (missing equal-sign) in Authorization header."},
        {"AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host", SIGV4_INCOMPLETE,
         "Authorization header requires 'Signature' parameter."},
        {"AWS4-HMAC-SHA256 Signature=00", SIGV4_INCOMPLETE,
         "Authorization header requires 'Credential' parameter. Authorization header requires "
         "'SignedHeaders' parameter."},
        {"AWS4-HMAC-SHA256 Credential=AKID/20150830, SignedHeaders=host, Signature=0",
         SIGV4_INCOMPLETE,
         "Credential must have exactly 5 slash-delimited elements, e.g. "
         "keyid/date/region/service/term, got 'AKID/20150830'"},
        {"AWS4-HMAC-SHA256 Credential=a/20150830/r/service/aws4_request, SignedHeaders=x-amz-date, "
         "Signature=0",
         SIGV4_MISMATCH,
         "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."},
        {"AWS4-HMAC-SHA256 Credential=a/20150830/r/service/aws4_request, SignedHeaders=host, "
         "Signature=0",
         SIGV4_MISMATCH, "'x-amz-date' must be a 'SignedHeader' in the AWS Authorization."},
        {"AWS4-HMAC-SHA256 Credential=a/20150829/r/service/aws4_request, SignedHeaders=host, "
         "Signature=0",
         SIGV4_MISMATCH,
         "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
         "HTTP: '20150829' != '20150830', from '20150830T123600Z'."},
        {"AWS4-HMAC-SHA256 Credential=a/20150830/r/sts/aws4_request, SignedHeaders=host, "
         "Signature=0",
         SIGV4_MISMATCH, "Credential should be scoped to correct service: 'service'. "},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        auto_op struct op op;
        op_init(&op);
        const struct aws_header headers[] = {{STR("host"), STR("h")},
                                             {STR("x-amz-date"), STR("20150830T123600Z")},
                                             {STR("authorization"), str_of(cases[i].header)}};
        struct aws_request r = {.method = STR("POST"),
                                .path = STR("/"),
                                .query = STR(""),
                                .headers = headers,
                                .header_count = 3,
                                .body = STR("")};
        struct str text = STR("");
        EXPECT_EQ(check(&op, &r, "2015-08-30T12:36:00Z", STR(SECRET), &text), cases[i].fault);
        EXPECT_STR(text, cases[i].text);
    }
}

TEST(unsigned_streamed_and_wrongly_hashed_bodies_are_refused)
{
    static const char *const hashes[] = {"UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
                                         "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "00",
                                         SHA256_EMPTY_HEX};
    for (size_t i = 0; i < ARRAY_COUNT(hashes); i++) {
        auto_op struct op op;
        op_init(&op);
        struct own own;
        struct str text = STR("");
        sign_own(&op, &own, STR("{}"));
        own.headers[4] = (struct aws_header){STR("X-Amz-Content-Sha256"), str_of(hashes[i])};
        own.request.header_count = 5;
        struct sigv4_scope scope = {
            .date = STR("20150830"), .region = STR("eu-west-1"), .service = STR("service")};
        own.headers[5].value = sigv4_authorization(&op.arena, NULL, &own.request, STR("AKID"),
                                                   STR(SECRET), &scope, STR("20150830T123600Z"));
        own.request.header_count = 6;
        EXPECT_EQ(check(&op, &own.request, "2015-08-30T12:36:00Z", STR(SECRET), &text),
                  SIGV4_MISMATCH);
        EXPECT(str_find(text, STR("content-sha256"), 0) != STR_NOT_FOUND);
    }
}

TEST(presigned_requests_live_as_long_as_they_say)
{
    struct str rest = test_file("vectors/sigv4.jsonl");
    struct str line;
    auto_op struct op op;
    op_init(&op);
    while (str_next(&rest, '\n', &line)) {
        struct sigv4_case c;
        struct str text = STR("");
        if (str_find(line, STR("\"presigned\""), 0) == STR_NOT_FOUND) {
            continue;
        }
        read_case(&op, line, &c);
        EXPECT_EQ(check(&op, &c.request, "2015-08-30T12:37:00Z", STR(SECRET), &text), SIGV4_OK);
        EXPECT_EQ(check(&op, &c.request, "2015-08-30T12:37:01Z", STR(SECRET), &text),
                  SIGV4_MISMATCH);
        EXPECT_STR(text, "Signature expired: 20150830T123600Z is now earlier than "
                         "20150830T123601Z (20150830T123701Z - 1 min.)");
        c.request.query = arena_printf(&op.arena, "%.*s&Extra=1", STR_ARG(c.request.query));
        EXPECT_EQ(check(&op, &c.request, "2015-08-30T12:36:00Z", STR(SECRET), &text),
                  SIGV4_MISMATCH);
        return;
    }
    EXPECT(false);
}

TEST(signing_keys_are_kept_by_secret_and_scope)
{
    struct sigv4_cache cache = {0};
    struct sigv4_scope scope = {
        .date = STR("20150830"), .region = STR("us-east-1"), .service = STR("iam")};
    for (int i = 0; i < 3 * SIGV4_CACHE_ENTRIES; i++) {
        char secret[32];
        memset(secret, 'a' + i % 11, sizeof(secret));
        struct str s = str_make(secret, sizeof(secret));
        struct sha256 plain = sigv4_signing_key(NULL, s, &scope);
        struct sha256 cached = sigv4_signing_key(&cache, s, &scope);
        struct sha256 again = sigv4_signing_key(&cache, s, &scope);
        EXPECT(memcmp(&plain, &cached, sizeof(plain)) == 0);
        EXPECT(memcmp(&plain, &again, sizeof(plain)) == 0);
    }
    sigv4_cache_wipe(&cache);
    EXPECT(!cache.entries[0].is_used);
}
