/* What is to be done next for a certificate: RFC 8555, section 7. */
#include "svc/acm/order.h"

#include "svc/acm/limits.h"
#include "test.h"

struct bench {
    struct engine_acm_authorization items[2];
    struct engine_acm_order order;
    struct order_sight seen;
};

static void set(struct bench *b, struct str state)
{
    *b =
        (struct bench){.seen = {.now = {.us = 1000000000000000}, .are_challenges_published = true}};
    b->seen.requested_at = b->seen.now;
    b->order.state = state;
    b->order.since = OPT_TIME(b->seen.now);
}

static void set_authorizations(struct bench *b)
{
    set(b, ORDER_AUTHORIZE);
    b->order.authorizations.items = b->items;
    b->order.authorizations.count = 2;
}

static enum order_action decide(const struct bench *b)
{
    return acm_order_decide(&b->order, &b->seen).action;
}

static void pass(struct bench *b, dur_t span)
{
    b->seen.now = wall_add(b->seen.now, span);
}

TEST(each_state_has_its_call)
{
    struct bench b;
    set(&b, ORDER_NEW);
    EXPECT_EQ(decide(&b), ORDER_ASK_NEW);
    set(&b, ORDER_LOCAL);
    EXPECT_EQ(decide(&b), ORDER_SIGN_LOCALLY);
    set(&b, ORDER_FINALIZE);
    EXPECT_EQ(decide(&b), ORDER_ASK_FINALIZE);
    set(&b, ORDER_WAIT);
    EXPECT_EQ(decide(&b), ORDER_READ);
    set(&b, ORDER_DOWNLOAD);
    EXPECT_EQ(decide(&b), ORDER_ASK_CERTIFICATE);
    set(&b, STR("WHATEVER")); /* of a newer engine */
    EXPECT_EQ(decide(&b), ORDER_ASK_NEW);
}

TEST(challenges_are_asked_only_when_the_data_plane_answers_them)
{
    struct bench b;
    set_authorizations(&b);
    EXPECT_EQ(acm_order_decide(&b.order, &b.seen).index, 0);
    EXPECT_EQ(decide(&b), ORDER_READ_AUTHORIZATION);
    b.items[0].token = STR("a");
    EXPECT_EQ(acm_order_decide(&b.order, &b.seen).index, 1);
    b.items[1].is_valid = OPT_BOOL(true); /* the authority still knows it */
    b.seen.are_challenges_published = false;
    EXPECT_EQ(decide(&b), ORDER_REST);
    b.seen.are_challenges_published = true;
    EXPECT_EQ(decide(&b), ORDER_ASK_CHALLENGE);
    b.items[0].is_asked = OPT_BOOL(true);
    b.order.asked_at = OPT_TIME(b.seen.now);
    struct order_step step = acm_order_decide(&b.order, &b.seen);
    EXPECT_EQ(step.action, ORDER_REST);
    EXPECT_EQ(step.until.us, b.seen.now.us + ACM_POLL_MIN.us);
    pass(&b, ACM_POLL_MIN);
    EXPECT_EQ(decide(&b), ORDER_READ_AUTHORIZATION);
    b.items[0].is_valid = OPT_BOOL(true);
    EXPECT_EQ(decide(&b), ORDER_ASK_FINALIZE);
}

TEST(polls_become_seldom)
{
    struct bench b;
    set(&b, ORDER_WAIT);
    b.order.asked_at = OPT_TIME(b.seen.now);
    pass(&b, DUR_S(8));
    b.order.asked_at = OPT_TIME(b.seen.now);
    EXPECT_EQ(acm_order_decide(&b.order, &b.seen).until.us, b.seen.now.us + 2000000);
    pass(&b, DUR_MIN(60));
    b.order.asked_at = OPT_TIME(b.seen.now);
    EXPECT_EQ(acm_order_decide(&b.order, &b.seen).until.us, b.seen.now.us + ACM_POLL_MAX.us);
}

TEST(failures_wait_twice_as_long_each_time_and_the_authority_may_ask_for_more)
{
    struct bench b;
    set(&b, ORDER_NEW);
    b.order.is_renewal = OPT_BOOL(true);
    b.order.failed_at = OPT_TIME(b.seen.now);
    static const int64_t minutes[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360};
    for (int32_t i = 0; i < 11; i++) {
        b.order.failures = OPT_I32(i + 1);
        struct order_step step = acm_order_decide(&b.order, &b.seen);
        EXPECT_EQ(step.action, ORDER_REST);
        EXPECT_EQ(step.until.us, b.seen.now.us + minutes[i] * 60000000);
    }
    b.order.failures = OPT_I32(1);
    b.order.not_before = OPT_TIME(wall_add(b.seen.now, DUR_MIN(5)));
    EXPECT_EQ(acm_order_decide(&b.order, &b.seen).until.us, b.seen.now.us + 5 * 60000000LL);
    pass(&b, DUR_MIN(5));
    EXPECT_EQ(decide(&b), ORDER_ASK_NEW);
}

/* ACM gives up after 72 hours; a renewal never does. */
TEST(a_request_times_out_and_a_renewal_does_not)
{
    struct bench b;
    set(&b, ORDER_NEW);
    pass(&b, ACM_VALIDATION_TIME);
    EXPECT_EQ(decide(&b), ORDER_ASK_NEW);
    pass(&b, DUR_S(1));
    EXPECT_EQ(decide(&b), ORDER_GIVE_UP);
    b.order.is_renewal = OPT_BOOL(true);
    EXPECT_EQ(decide(&b), ORDER_ASK_NEW);
}

TEST(renewal_begins_when_a_third_of_the_lifetime_is_left)
{
    wall_t from = {.us = 0};
    wall_t until = {.us = 90000000};
    EXPECT_EQ(acm_renewal_at(from, until).us, 60000000);
}
