#include "base/check.h"
#include "svc/sts/session.h"
#include "svc/sts/sts.h"
#include "test.h"

TEST(the_caller_is_told_who_it_is)
{
    auto_op struct op op;
    op_init(&op);
    op.account = STR("123456789012");
    op.region = STR("eu-west-1");
    op.caller_arn = STR("arn:aws:iam::123456789012:user/ci");
    op.caller_id = STR("AIDAEXAMPLE");
    struct sts_get_caller_identity_in in = {0};
    struct sts_get_caller_identity_out out = {0};
    REQUIRE_OK(sts_handlers.get_caller_identity(&op, NULL, &in, &out), &op);
    EXPECT_STR(out.account, "123456789012");
    EXPECT_STR(out.arn, "arn:aws:iam::123456789012:user/ci");
    EXPECT_STR(out.user_id, "AIDAEXAMPLE");
    op.caller_arn = STR_NONE;
    op.caller_id = STR_NONE;
    REQUIRE_OK(sts_handlers.get_caller_identity(&op, NULL, &in, &out), &op);
    EXPECT_STR(out.arn, "arn:aws:iam::123456789012:root");
    EXPECT_STR(out.user_id, "123456789012");
}

static void open_op(struct op *op)
{
    op_init(op);
    op->account = STR("123456789012");
    op->region = STR("eu-west-1");
    op->caller_arn = STR("arn:aws:iam::123456789012:root");
    op->caller_id = STR("123456789012");
}

TEST(a_role_is_assumed_with_keys_that_only_its_own_token_opens)
{
    auto_op struct op op;
    open_op(&op);
    struct sts sts = {.key = sts_session_key(STR("secret"))};
    struct sts_assume_role_in in = {.role_arn = STR("arn:aws:iam::123456789012:role/ci/deploy"),
                                    .role_session_name = STR("run-1"),
                                    .duration_seconds = OPT_I32(900)};
    struct sts_assume_role_out out = {0};
    REQUIRE_OK(sts_handlers.assume_role(&op, &sts, &in, &out), &op);
    EXPECT_STR(out.assumed_role_user->arn, "arn:aws:sts::123456789012:assumed-role/deploy/run-1");
    EXPECT_EQ(out.credentials->expiration.value.us, op.now.us + DUR_S(900).us);

    struct sts_session session;
    const struct sts_credentials *c = out.credentials;
    REQUIRE(sts_session_read(&op, &sts.key, c->access_key_id, c->session_token, &session));
    EXPECT(str_equal(session.secret_access_key, c->secret_access_key));
    EXPECT(str_equal(session.caller_arn, out.assumed_role_user->arn));
    EXPECT(str_equal(session.caller_id, out.assumed_role_user->assumed_role_id));
    EXPECT(!sts_session_read(&op, &sts.key, STR("ASIAOTHER"), c->session_token, &session));
    EXPECT(!sts_session_read(&op, &sts.key, c->access_key_id, STR("bm8="), &session));
    EXPECT(!sts_session_read(&op, &sts.key, c->access_key_id, STR("*"), &session));
    struct seal_key other = sts_session_key(STR("another secret"));
    EXPECT(!sts_session_read(&op, &other, c->access_key_id, c->session_token, &session));
}

TEST(roles_that_are_none_or_others_are_refused)
{
    static const struct {
        const char *role_arn;
        const char *name;
        const char *code;
    } cases[] = {
        {"arn:aws:iam::123456789012:user/somebody", "run", "ValidationError"},
        {"not-an-arn-but-long-enough", "run", "ValidationError"},
        {"arn:aws:iam::123456789012:role/x", "a b", "ValidationError"},
        {"arn:aws:iam::999999999999:role/x", "run", "AccessDenied"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        auto_op struct op op;
        open_op(&op);
        struct sts sts = {.key = sts_session_key(STR("secret"))};
        struct sts_assume_role_in in = {.role_arn = str_of(cases[i].role_arn),
                                        .role_session_name = str_of(cases[i].name)};
        struct sts_assume_role_out out = {0};
        REQUIRE(sts_handlers.assume_role(&op, &sts, &in, &out) != ERR_OK);
        EXPECT_STR(str_of(op.note.public_error->code), cases[i].code);
    }
}

/* {"iss":"https://ci.example","sub":"repo:shop","aud":["sts.amazonaws.com"]} */
#define TOKEN                                                                                   \
    "e30.eyJpc3MiOiJodHRwczovL2NpLmV4YW1wbGUiLCJzdWIiOiJyZXBvOnNob3AiLCJhdWQiOlsic3RzLmFtYXpvb" \
    "mF3cy5jb20iXX0.c2ln"

TEST(identity_tokens_are_taken_in_test_mode_only)
{
    auto_op struct op op;
    open_op(&op);
    struct sts sts = {.key = sts_session_key(STR("secret"))};
    struct sts_assume_role_with_web_identity_in in = {
        .role_arn = STR("arn:aws:iam::123456789012:role/deploy"),
        .role_session_name = STR("GitHubActions"),
        .web_identity_token = STR(TOKEN)};
    struct sts_assume_role_with_web_identity_out out = {0};
    REQUIRE(sts_handlers.assume_role_with_web_identity(&op, &sts, &in, &out) != ERR_OK);
    EXPECT_STR(str_of(op.note.text),
               "No OpenIDConnect provider found in your account for https://ci.example");
    op_note_clear(&op);
    sts.is_test_mode = true;
    REQUIRE_OK(sts_handlers.assume_role_with_web_identity(&op, &sts, &in, &out), &op);
    EXPECT_STR(out.subject_from_web_identity_token, "repo:shop");
    EXPECT_STR(out.audience, "sts.amazonaws.com");
    in.web_identity_token = STR("a.b");
    REQUIRE(sts_handlers.assume_role_with_web_identity(&op, &sts, &in, &out) != ERR_OK);
    EXPECT_STR(str_of(op.note.public_error->code), "InvalidIdentityToken");
}
