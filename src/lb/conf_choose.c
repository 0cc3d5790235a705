/* The part of a configuration that decides which target gets a request: algorithms, stays,
 * thresholds, slow start, outliers, cohorts. Source: aws-semantics 2.4 to 2.7; hitless.* is ours.
 */

#include "lb/conf.h"
#include "lb/conf_build.h"

#include "codec/hex.h"
#include "crypt/hash.h"

uint64_t lb_tag_of(struct str text)
{
    static const struct siphash_key key = {.k0 = 0x6869746c65737320u, .k1 = 0x746167206f662061u};
    uint64_t tag = siphash_of(&key, text);
    return tag == 0 ? 1 : tag;
}

/* ---- the key --------------------------------------------------------------------------------- */

enum err lb_conf_read_key(struct op *op, const struct lb_registry *registry,
                          const struct lbconf_snapshot *in, struct lb_conf *conf)
{
    conf->cookie_key = registry->own_key;
    if (str_is_set(in->cookie_key) &&
        (in->cookie_key.len != 2 * (size_t)SEAL_KEY_BYTES ||
         !hex_decode_to(in->cookie_key, conf->cookie_key.bytes, SEAL_KEY_BYTES))) {
        return op_fail(op, ERR_INPUT, "the key for cookies is not %d hexadecimal digits",
                       2 * SEAL_KEY_BYTES);
    }
    struct str key = str_make((const char *)conf->cookie_key.bytes, SEAL_KEY_BYTES);
    struct sha256 hash = hmac_sha256_of(key, STR("hitless cohort"));
    memcpy(&conf->cohort_key.k0, hash.bytes, sizeof(uint64_t));
    memcpy(&conf->cohort_key.k1, hash.bytes + sizeof(uint64_t), sizeof(uint64_t));
    hash = hmac_sha256_of(key, STR("hitless sign-in under way"));
    memcpy(conf->state_key.bytes, hash.bytes, SEAL_KEY_BYTES);
    hash = hmac_sha256_of(key, STR("hitless sign-in session"));
    memcpy(conf->session_key.bytes, hash.bytes, SEAL_KEY_BYTES);
    conf->sign_in_key_pem = arena_str(&conf->arena, in->sign_in_key_pem);
    conf->sign_in_key_id = arena_str(&conf->arena, in->sign_in_key_id);
    return ERR_OK;
}

/* ---- target groups --------------------------------------------------------------------------- */

static enum err read_number(struct op *op, const struct lbconf_attributes *attributes,
                            struct str key, uint64_t otherwise, uint64_t most, uint64_t *ret)
{
    struct str text = lb_attribute(attributes, key);
    *ret = otherwise;
    if (text.len > 0 && !str_parse_u64(text, most, ret)) {
        return op_fail(op, ERR_INPUT, "attribute %.*s has the value \"%.*s\", not 0 to %llu",
                       STR_ARG(key), STR_ARG(text), (unsigned long long)most);
    }
    return ERR_OK;
}

static bool is_on(const struct lbconf_attributes *attributes, struct str key)
{
    struct str text = lb_attribute(attributes, key);
    return STR_IS(text, "true") || STR_IS(text, "on");
}

static enum err read_stickiness(struct op *op, struct arena *a, const struct lbconf_attributes *in,
                                struct lb_group *g)
{
    uint64_t lb_s = 0;
    uint64_t app_s = 0;
    TRY(read_number(op, in, STR("stickiness.lb_cookie.duration_seconds"), 86400,
                    LB_STICKY_SECONDS_MAX, &lb_s));
    TRY(read_number(op, in, STR("stickiness.app_cookie.duration_seconds"), 86400,
                    LB_STICKY_SECONDS_MAX, &app_s));
    if (!is_on(in, STR("stickiness.enabled"))) {
        return ERR_OK;
    }
    struct str name = lb_attribute(in, STR("stickiness.app_cookie.cookie_name"));
    bool is_app = STR_IS(lb_attribute(in, STR("stickiness.type")), "app_cookie");
    if (is_app && (name.len == 0 || name.len > LB_COOKIE_NAME_MAX)) {
        return op_fail(op, ERR_INPUT,
                       "%.*s has stickiness by the application's cookie, and no name for it",
                       STR_ARG(g->arn));
    }
    g->stick = is_app ? LB_STICK_APP : LB_STICK_LB;
    g->stick_for = DUR_S(is_app ? app_s : lb_s);
    g->app_cookie = is_app ? arena_str(a, name) : STR_NONE;
    return ERR_OK;
}

static enum err read_outliers(struct op *op, const struct lbconf_attributes *in,
                              struct lb_outliers *out)
{
    uint64_t run = 0;
    uint64_t seconds = 0;
    uint64_t percent = 0;
    TRY(read_number(op, in, STR("hitless.outlier_detection.consecutive_errors"),
                    LB_OUTLIER_RUN_DEFAULT, 1000, &run));
    TRY(read_number(op, in, STR("hitless.outlier_detection.ejection_seconds"),
                    LB_OUTLIER_EJECT_DEFAULT_S, 3600, &seconds));
    TRY(read_number(op, in, STR("hitless.outlier_detection.max_ejection_percent"),
                    LB_OUTLIER_PERCENT_DEFAULT, 100, &percent));
    bool is_used = is_on(in, STR("hitless.outlier_detection.enabled"));
    *out = (struct lb_outliers){.fault_run = is_used ? (uint32_t)run : 0,
                                .percent_max = (uint32_t)percent,
                                .eject_for = DUR_S(seconds)};
    return ERR_OK;
}

enum err lb_conf_read_choosing(struct op *op, struct arena *a, const struct lbconf_target_group *in,
                               struct lb_group *g)
{
    const struct lbconf_attributes *set = &in->attributes;
    struct str algorithm = lb_attribute(set, STR("load_balancing.algorithm.type"));
    uint64_t slow_start_s = 0;
    g->tag = lb_tag_of(g->arn);
    if (STR_IS(algorithm, "least_outstanding_requests")) {
        g->algorithm = LB_LEAST_OUTSTANDING;
    } else if (STR_IS(algorithm, "weighted_random")) {
        g->algorithm = LB_WEIGHTED_RANDOM;
    }
    g->mitigates = g->algorithm == LB_WEIGHTED_RANDOM &&
                   is_on(set, STR("load_balancing.algorithm.anomaly_mitigation"));
    TRY(read_number(op, set, STR("slow_start.duration_seconds"), 0, 900, &slow_start_s));
    if (g->algorithm == LB_ROUND_ROBIN) {
        g->slow_start = DUR_S(slow_start_s);
    }
    TRY(read_stickiness(op, a, set, g));
    TRY(read_outliers(op, set, &g->outliers));
    g->is_watched =
        in->targets.count >= LB_ANOMALY_TARGETS_MIN || g->mitigates || g->outliers.fault_run > 0;
    return ERR_OK;
}

#define HEALTH_DNS     "target_group_health.dns_failover.minimum_healthy_targets."
#define HEALTH_ROUTING "target_group_health.unhealthy_state_routing.minimum_healthy_targets."

/* The larger of a number of targets (1 by default) and of a part of those that there are; either
 * may be "off". */
static unsigned threshold_of(const struct lb_group *g, const struct lbconf_attributes *set,
                             struct str count_key, struct str percent_key)
{
    struct str text = lb_attribute(set, count_key);
    uint64_t count = STR_IS(text, "off") ? 0 : 1;
    uint64_t percent = 0;
    (void)str_parse_u64(text, LB_GROUP_TARGETS_MAX, &count);
    (void)str_parse_u64(lb_attribute(set, percent_key), 100, &percent);
    uint64_t by_percent = (g->usable_count * percent + 99) / 100;
    return (unsigned)(count > by_percent ? count : by_percent);
}

void lb_conf_set_thresholds(struct lb_group *g, const struct lbconf_attributes *attributes)
{
    g->open_below =
        threshold_of(g, attributes, STR(HEALTH_ROUTING "count"), STR(HEALTH_ROUTING "percentage"));
    g->dns_below =
        threshold_of(g, attributes, STR(HEALTH_DNS "count"), STR(HEALTH_DNS "percentage"));
}

/* ---- forward actions ------------------------------------------------------------------------- */

static enum err read_cohort(struct op *op, struct arena *a, struct str source,
                            struct lb_cohort *ret)
{
    struct str kind;
    struct str name;
    if (source.len == 0) {
        return ERR_OK;
    }
    bool is_pair = str_cut(source, ':', &kind, &name) && name.len > 0;
    if (!is_pair || (!STR_IS(kind, "cookie") && !STR_IS(kind, "header"))) {
        return op_fail(op, ERR_INPUT,
                       "hitless.cohort.source is \"%.*s\", not \"cookie:NAME\" or \"header:NAME\"",
                       STR_ARG(source));
    }
    *ret = (struct lb_cohort){.name = arena_str(a, name), .is_cookie = STR_IS(kind, "cookie")};
    return ERR_OK;
}

enum err lb_conf_read_stay(struct op *op, struct arena *a, const struct lbconf_listener *listener,
                           const struct lbconf_target_groups *groups,
                           const struct lbconf_action *in, struct lb_action *action)
{
    int32_t seconds = OPT_OR(in->stickiness_seconds, 0);
    if (seconds < 0 || seconds > LB_STICKY_SECONDS_MAX) {
        return op_fail(op, ERR_INPUT, "a forward action keeps clients for %d seconds, not 1 to %d",
                       seconds, LB_STICKY_SECONDS_MAX);
    }
    action->stick_for = DUR_S(seconds);
    struct str source = lb_attribute(&listener->attributes, STR("hitless.cohort.source"));
    bool is_sticky = seconds > 0;
    for (size_t i = action->weight_count; i > 0; i--) { /* the first group that says so wins */
        int32_t at = in->weights.items[i - 1].target_group.value;
        struct str own = lb_attribute(&groups->items[at].attributes, STR("hitless.cohort.source"));
        source = own.len > 0 ? own : source;
        is_sticky = is_sticky || action->weights[i - 1].group->stick != LB_STICK_NONE;
    }
    if (action->weight_count > 1) {
        TRY(read_cohort(op, a, source, &action->cohort));
    }
    action->has_affinity = is_sticky || str_is_set(action->cohort.name);
    return ERR_OK;
}
