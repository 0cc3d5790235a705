#include "jwt/jwt.h"

#include "test.h"

#include <stdio.h>

static const struct {
    struct str name;
    enum jwt_verdict verdict;
} verdicts[] = {
    {STR_INIT("VALID"), JWT_VALID},     {STR_INIT("MALFORMED"), JWT_MALFORMED},
    {STR_INIT("NO_KEY"), JWT_NO_KEY},   {STR_INIT("BAD_SIGNATURE"), JWT_BAD_SIGNATURE},
    {STR_INIT("EXPIRED"), JWT_EXPIRED}, {STR_INIT("WRONG_CLAIM"), JWT_WRONG_CLAIM},
};

static enum jwt_verdict verdict_of(struct str name)
{
    for (size_t i = 0; i < sizeof(verdicts) / sizeof(*verdicts); i++) {
        if (str_equal(verdicts[i].name, name)) {
            return verdicts[i].verdict;
        }
    }
    return (enum jwt_verdict)99;
}

/* Signed by another implementation: tests/vectors/make_jwt_vectors.py. */
TEST(tokens_are_judged_as_the_vectors_say)
{
    static const struct str teams[] = {STR_INIT("web"), STR_INIT("ops")};
    static const struct str groups[] = {STR_INIT("a"), STR_INIT("b")};
    static const struct str scopes[] = {STR_INIT("orders:read")};
    static const struct jwt_claim claims[] = {
        {STR_INIT("team"), JWT_SINGLE_STRING, teams, 2},
        {STR_INIT("groups"), JWT_STRING_ARRAY, groups, 2},
        {STR_INIT("scope"), JWT_SPACE_SEPARATED, scopes, 1},
    };
    const struct jwt_policy policy = {STR("https://idp.example"), claims, 3};
    wall_t now = {.us = (int64_t)1800000000 * 1000000};
    struct str rest = test_file("vectors/jwt.txt");
    struct str line;
    struct jwt_keys *keys = NULL;
    auto_op struct op op;
    op_init(&op);
    REQUIRE_(str_next(&rest, '\n', &line));
    EXPECT_OK(jwt_keys_read(&op, line, &keys), &op);
    EXPECT_EQ(jwt_keys_count(keys), 2); /* weak, for encryption, symmetric: left out */
    unsigned long long row = 0;
    while (str_next(&rest, '\n', &line) && line.len > 0) {
        struct str want;
        struct str token;
        test_context("row", ++row);
        EXPECT(str_cut(line, ' ', &want, &token));
        EXPECT_EQ(jwt_check(keys, &policy, token, now), verdict_of(want));
    }
    EXPECT(row > 40);
    static char long_token[JWT_TOKEN_BYTES_MAX + 1];
    memset(long_token, '.', sizeof(long_token));
    EXPECT_EQ(jwt_check(keys, &policy, str_make(long_token, sizeof(long_token)), now),
              JWT_MALFORMED);
    jwt_keys_free(keys);
}

/* On the worker's thread: it must be known what a token costs. */
TEST(a_check_takes_tens_of_microseconds)
{
    const struct jwt_policy policy = {.issuer = STR("https://idp.example")};
    wall_t now = {.us = (int64_t)1800000000 * 1000000};
    struct str rest = test_file("vectors/jwt.txt");
    struct str line;
    struct jwt_keys *keys = NULL;
    auto_op struct op op;
    op_init(&op);
    REQUIRE_(str_next(&rest, '\n', &line));
    EXPECT_OK(jwt_keys_read(&op, line, &keys), &op);
    for (int i = 0; i < 2; i++) { /* RS256, then ES256 */
        REQUIRE_(str_next(&rest, '\n', &line));
        struct str token = str_from(line, strlen("VALID "));
        mono_t began = clock_mono();
        for (int k = 0; k < 200; k++) {
            EXPECT_EQ(jwt_check(keys, &policy, token, now), JWT_VALID);
        }
        printf("# %s: %.0f us\n", i == 0 ? "RS256" : "ES256",
               (double)mono_since(clock_mono(), began).us / 200);
    }
    jwt_keys_free(keys);
}

TEST(key_sets_beyond_the_limits_are_refused_with_a_sentence)
{
    static const struct {
        struct str text;
        enum err want;
    } rows[] = {
        {STR_INIT(""), ERR_INPUT},
        {STR_INIT("[]"), ERR_INPUT},
        {STR_INIT("{}"), ERR_INPUT},
        {STR_INIT("{\"keys\":[]}"), ERR_INPUT},
        {STR_INIT("{\"keys\":{}}"), ERR_INPUT},
        {STR_INIT("{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}"), ERR_INPUT},
        {STR_INIT("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}"),
         ERR_INPUT},
        {STR_INIT("{\"keys\":[{},{},{},{},{},{},{},{},{},{},{}]}"), ERR_LIMIT},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct jwt_keys *keys = NULL;
        auto_op struct op op;
        op_init(&op);
        test_context("row", i);
        EXPECT_EQ(jwt_keys_read(&op, rows[i].text, &keys), rows[i].want);
        EXPECT(op.note.text[0] != '\0');
    }
}
