#include "lb/split.h"
#include "test.h"

static struct lb_group groups[LB_WEIGHTS_MAX];

static struct lb_rule rule_of(const uint32_t *weights, size_t count)
{
    struct lb_rule rule = {.serial = 1};
    for (size_t i = 0; i < count; i++) {
        groups[i].serial = i + 1;
        rule.action.weights[i] = (struct lb_weight){.group = &groups[i], .weight = weights[i]};
        rule.action.weight_sum += weights[i];
    }
    rule.action.weight_count = count;
    return rule;
}

TEST(each_prefix_and_each_window_of_a_split_is_exact)
{
    static const uint32_t cases[][LB_WEIGHTS_MAX] = {
        {1, 1},          {90, 10},        {1, 999},         {999, 1},          {333, 667},
        {1, 1, 1},       {5, 3, 2},       {999, 998, 997},  {1, 999, 1},       {1, 2, 3, 4},
        {10, 10, 10, 1}, {1, 1, 1, 1, 1}, {1, 2, 4, 8, 16}, {999, 1, 1, 1, 1}, {7, 11, 13, 17, 19},
    };
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        size_t count = 0;
        while (count < LB_WEIGHTS_MAX && cases[c][count] > 0) {
            count++;
        }
        struct lb_rule rule = rule_of(cases[c], count);
        struct lb_split s = {0};
        static uint32_t picks[3000][LB_WEIGHTS_MAX];
        uint32_t so_far[LB_WEIGHTS_MAX] = {0};
        for (size_t n = 0; n < 3000; n++) {
            so_far[lb_split_pick(&s, &rule, (uint32_t)c)]++;
            memcpy(picks[n], so_far, sizeof(so_far));
            for (size_t i = 0; i < count && n >= 1000; i++) {
                double share = 1000.0 * cases[c][i] / rule.action.weight_sum;
                double got = picks[n][i] - picks[n - 1000][i];
                double most = count == 2 ? 1 : 2;
                if (got > share + most || got < share - most) {
                    test_failed(__FILE__, __LINE__, "case %zu group %zu: %.0f instead of %.2f", c,
                                i, got, share);
                    return;
                }
            }
        }
    }
}

TEST(a_weight_of_zero_gets_nothing)
{
    static const uint32_t weights[] = {0, 5, 0};
    struct lb_rule rule = rule_of(weights, 3);
    struct lb_split s = {0};
    for (int i = 0; i < 100; i++) {
        EXPECT_EQ(lb_split_pick(&s, &rule, 3), 1);
    }
}

TEST(a_split_goes_on_over_versions_and_begins_anew_with_new_weights)
{
    static const uint32_t half[] = {1, 1};
    struct lb_rule rule = rule_of(half, 2);
    struct lb_split s = {0};
    size_t first = lb_split_pick(&s, &rule, 0);
    struct lb_rule same = rule_of(half, 2);
    EXPECT_EQ(lb_split_pick(&s, &same, 0), 1 - first);
    static const uint32_t other[] = {1, 99};
    struct lb_rule changed = rule_of(other, 2);
    size_t to_first = 0;
    for (int i = 0; i < 100; i++) {
        to_first += lb_split_pick(&s, &changed, 0) == 0;
    }
    EXPECT_EQ(to_first, 1);
}
