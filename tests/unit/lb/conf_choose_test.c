#include "base/check.h"
#include "base/cleanup.h"
#include "lb/conf.h"
#include "test.h"

#define HEALTH_ROUTING "target_group_health.unhealthy_state_routing.minimum_healthy_targets."
#define HEALTH_DNS     "target_group_health.dns_failover.minimum_healthy_targets."
#define PAIRS_MAX      4

static struct lbconf_attributes attributes_of(struct lbconf_attributes_entry *room,
                                              const char *const *pairs)
{
    struct lbconf_attributes a = {.items = room, .is_set = true};
    while (a.count < PAIRS_MAX && pairs[2 * a.count] != NULL) {
        room[a.count].key = str_of(pairs[2 * a.count]);
        room[a.count].value = str_of(pairs[2 * a.count + 1]);
        a.count++;
    }
    return a;
}

static enum err read_group(struct op *op, struct lb_group *g, const char *const *pairs)
{
    static struct lbconf_attributes_entry room[PAIRS_MAX];
    struct lbconf_target_group in = {.arn = STR("tg"), .attributes = attributes_of(room, pairs)};
    *g = (struct lb_group){.arn = STR("tg")};
    return lb_conf_read_choosing(op, &op->arena, &in, g);
}

TEST(attributes_that_make_no_sense_are_refused_and_empty_ones_are_none)
{
    static const char *const bad[][2 * PAIRS_MAX] = {
        {"slow_start.duration_seconds", "901"},
        {"slow_start.duration_seconds", "x"},
        {"stickiness.enabled", "true", "stickiness.lb_cookie.duration_seconds", "604801"},
        {"stickiness.enabled", "true", "stickiness.type", "app_cookie"},
        {"hitless.outlier_detection.max_ejection_percent", "101"},
    };
    static const char *const good[][2 * PAIRS_MAX] = {
        {"slow_start.duration_seconds", "900"},
        {"stickiness.enabled", "false", "stickiness.type", "app_cookie"},
        {"hitless.outlier_detection.max_ejection_percent", ""},
    };
    auto_op struct op op;
    op_init(&op);
    struct lb_group g;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        EXPECT_EQ(read_group(&op, &g, bad[i]), ERR_INPUT);
    }
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        EXPECT_EQ(read_group(&op, &g, good[i]), ERR_OK);
    }
}

TEST(a_group_takes_its_algorithm_and_its_stickiness)
{
    static const char *const app[] = {"stickiness.enabled",
                                      "true",
                                      "stickiness.type",
                                      "app_cookie",
                                      "stickiness.app_cookie.cookie_name",
                                      "SID",
                                      "stickiness.app_cookie.duration_seconds",
                                      "60"};
    static const char *const drawn[] = {"load_balancing.algorithm.type",
                                        "weighted_random",
                                        "load_balancing.algorithm.anomaly_mitigation",
                                        "on",
                                        "slow_start.duration_seconds",
                                        "30",
                                        "stickiness.enabled",
                                        "true"};
    auto_op struct op op;
    op_init(&op);
    struct lb_group g;
    REQUIRE_EQ(read_group(&op, &g, app), ERR_OK);
    EXPECT(g.stick == LB_STICK_APP && g.stick_for.us == DUR_S(60).us && !g.is_watched);
    EXPECT_STR(g.app_cookie, "SID");
    REQUIRE_EQ(read_group(&op, &g, drawn), ERR_OK);
    EXPECT(g.algorithm == LB_WEIGHTED_RANDOM && g.mitigates && g.is_watched);
    EXPECT(g.slow_start.us == 0); /* the two do not go together */
    EXPECT(g.stick == LB_STICK_LB && g.stick_for.us == DUR_S(86400).us);
}

/* aws-semantics 2.6: count and percentage, either breach triggers. */
TEST(thresholds_of_target_group_health_count_targets)
{
    static const struct {
        const char *pairs[2 * PAIRS_MAX];
        size_t targets;
        unsigned open_below;
        unsigned dns_below;
    } cases[] = {
        {{NULL}, 10, 1, 1},
        {{HEALTH_ROUTING "count", "3", HEALTH_DNS "count", "4"}, 10, 3, 4},
        {{HEALTH_ROUTING "percentage", "off", HEALTH_DNS "count", "off"}, 10, 1, 0},
        {{HEALTH_ROUTING "percentage", "50"}, 10, 5, 1},
        {{HEALTH_ROUTING "percentage", "51"}, 10, 6, 1},
        {{HEALTH_ROUTING "count", "7", HEALTH_ROUTING "percentage", "50"}, 10, 7, 1},
        {{HEALTH_ROUTING "percentage", "1"}, 3, 1, 1},
        {{HEALTH_ROUTING "percentage", "100"}, 0, 1, 1},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct lbconf_attributes_entry room[PAIRS_MAX];
        struct lbconf_attributes set = attributes_of(room, cases[i].pairs);
        struct lb_group g = {.usable_count = cases[i].targets};
        lb_conf_set_thresholds(&g, &set);
        EXPECT_EQ(g.open_below, cases[i].open_below);
        EXPECT_EQ(g.dns_below, cases[i].dns_below);
    }
}
