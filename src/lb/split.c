#include "lb/split.h"

#include "base/check.h"

static bool is_same(const struct lb_split *s, const struct lb_rule *rule)
{
    if (s->serial != rule->serial) {
        return false;
    }
    for (size_t i = 0; i < LB_WEIGHTS_MAX; i++) {
        bool is_used = i < rule->action.weight_count;
        const struct lb_weight *w = &rule->action.weights[i];
        if (s->weights[i] != (is_used ? w->weight : 0) ||
            s->groups[i] != (is_used ? w->group->serial : 0)) {
            return false;
        }
    }
    return true;
}

static size_t pick(struct lb_split *s, const struct lb_action *a)
{
    int64_t sum = a->weight_sum;
    size_t usable = 0;
    for (size_t i = 0; i < a->weight_count; i++) {
        usable += s->weights[i] > 0;
        s->behind[i] += s->weights[i];
    }
    /* With n groups nobody falls 1 - 1/(2n-2) behind when those are served that are 1/(2n-2)
     * behind at least. All in units of 1 / (sum * (2n-2)). */
    int64_t scale = usable > 1 ? (int64_t)usable * 2 - 2 : 1;
    size_t best = LB_WEIGHTS_MAX;
    for (size_t i = 0; i < a->weight_count; i++) {
        bool may_serve = s->weights[i] > 0 && s->behind[i] * scale >= sum;
        /* picks until it is too far behind: (sum * (scale - 1) - behind * scale) / weight */
        if (may_serve && (best == LB_WEIGHTS_MAX ||
                          (sum * (scale - 1) - s->behind[i] * scale) * s->weights[best] <
                              (sum * (scale - 1) - s->behind[best] * scale) * s->weights[i])) {
            best = i;
        }
    }
    CHECK(best < LB_WEIGHTS_MAX);
    s->behind[best] -= sum;
    return best;
}

size_t lb_split_pick(struct lb_split *s, const struct lb_rule *rule, uint32_t phase)
{
    const struct lb_action *a = &rule->action;
    CHECK(a->weight_sum > 0);
    if (!is_same(s, rule)) {
        *s = (struct lb_split){.serial = rule->serial};
        for (size_t i = 0; i < a->weight_count; i++) {
            s->weights[i] = a->weights[i].weight;
            s->groups[i] = a->weights[i].group->serial;
        }
        for (uint32_t i = 0; i < phase % a->weight_sum; i++) {
            (void)pick(s, a);
        }
    }
    return pick(s, a);
}
