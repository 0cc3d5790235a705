#include "lb/split.h"

#include "base/check.h"

static bool has_same_groups(const struct lb_split *s, const struct lb_rule *rule)
{
    if (s->serial != rule->serial) {
        return false;
    }
    for (size_t i = 0; i < LB_WEIGHTS_MAX; i++) {
        bool is_used = i < rule->action.weight_count;
        if (s->groups[i] != (is_used ? rule->action.weights[i].group->serial : 0)) {
            return false;
        }
    }
    return true;
}

static bool has_same_weights(const struct lb_split *s, const struct lb_action *a)
{
    for (size_t i = 0; i < a->weight_count; i++) {
        if (s->weights[i] != a->weights[i].weight) {
            return false;
        }
    }
    return true;
}

static int64_t whole_of(const struct lb_split *s)
{
    return s->sum * LB_SPLIT_GRAIN;
}

/* All in units of 1 / (whole * scale): with n groups nobody falls 1 - 1/(2n-2) behind when those
 * are served that are 1/(2n-2) behind at least. */
static size_t pick(struct lb_split *s, size_t count)
{
    int64_t whole = whole_of(s);
    size_t usable = 0;
    size_t only = 0;
    for (size_t i = 0; i < count; i++) {
        usable += s->weights[i] > 0;
        only = s->weights[i] > 0 ? i : only;
    }
    if (usable == 1) {
        return only; /* nobody's debt changes */
    }
    int64_t scale = (int64_t)usable * 2 - 2;
    size_t best = LB_WEIGHTS_MAX;
    for (size_t i = 0; i < count; i++) {
        s->behind[i] += s->weights[i] * LB_SPLIT_GRAIN;
        bool may_serve = s->weights[i] > 0 && s->behind[i] * scale >= whole;
        /* picks until it is too far behind: (whole * (scale - 1) - behind * scale) / weight */
        if (may_serve && (best == LB_WEIGHTS_MAX ||
                          (whole * (scale - 1) - s->behind[i] * scale) * s->weights[best] <
                              (whole * (scale - 1) - s->behind[best] * scale) * s->weights[i])) {
            best = i;
        }
    }
    CHECK(best < LB_WEIGHTS_MAX);
    s->behind[best] -= whole;
    return best;
}

/* A split between two groups is one number: by how much the second is behind, from -1/2 to 1/2 of a
 * request. Any such number is a fair beginning. */
static void set_pair(struct lb_split *s, int64_t second_behind)
{
    int64_t half = whole_of(s) / 2;
    second_behind = second_behind < -half ? -half : second_behind;
    s->behind[1] = second_behind >= half ? half - 1 : second_behind;
    s->behind[0] = -s->behind[1];
}

static void begin(struct lb_split *s, const struct lb_rule *rule, uint32_t worker,
                  uint32_t worker_count)
{
    const struct lb_action *a = &rule->action;
    *s = (struct lb_split){.serial = rule->serial, .sum = a->weight_sum};
    for (size_t i = 0; i < a->weight_count; i++) {
        s->weights[i] = a->weights[i].weight;
        s->groups[i] = a->weights[i].group->serial;
    }
    if (a->weight_count == 2) {
        /* the middle of the worker's slice of (-1/2, 1/2) */
        int64_t whole = whole_of(s);
        set_pair(s, ((int64_t)worker * 2 + 1) * whole / ((int64_t)worker_count * 2) - whole / 2);
        return;
    }
    int64_t ahead = worker * s->sum / worker_count;
    for (int64_t i = 0; i < ahead; i++) {
        (void)pick(s, a->weight_count);
    }
}

static void reweigh(struct lb_split *s, const struct lb_action *a)
{
    int64_t second_behind = s->behind[1] * a->weight_sum / s->sum;
    s->sum = a->weight_sum;
    s->weights[0] = a->weights[0].weight;
    s->weights[1] = a->weights[1].weight;
    set_pair(s, second_behind); /* the cut-off part of a request is below 1/1024 */
}

size_t lb_split_pick(struct lb_split *s, const struct lb_rule *rule, uint32_t worker,
                     uint32_t worker_count)
{
    const struct lb_action *a = &rule->action;
    CHECK(a->weight_sum > 0);
    if (!has_same_groups(s, rule)) {
        begin(s, rule, worker, worker_count);
    } else if (!has_same_weights(s, a)) {
        if (a->weight_count == 2) {
            reweigh(s, a);
        } else {
            begin(s, rule, worker, worker_count);
        }
    }
    return pick(s, a->weight_count);
}
