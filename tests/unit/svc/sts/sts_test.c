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
