#include "svc/elbv2/attributes.h"

#include "base/check.h"
#include "svc/elbv2/actions.h"
#include "svc/elbv2/conditions.h"
#include "svc/elbv2/rows.h"

#define ENGINE_PREFIX          STR("hitless.")
#define ENGINE_VALUE_BYTES_MAX 1024

/* NAME and VALUE: of a header. RANGES: of addresses. */
enum kind { BOOL, INT, PERCENT, CHOICE, TEXT, NAME, VALUE, RANGES };

/* clang-format off */
enum {
    APP = ELBV2_ATTRIBUTES_OF_APP, NET = ELBV2_ATTRIBUTES_OF_NET,
    GROUP = ELBV2_ATTRIBUTES_OF_GROUP, WEB = ELBV2_ATTRIBUTES_OF_WEB,
    STREAM = ELBV2_ATTRIBUTES_OF_STREAM, LAMBDA = ELBV2_ATTRIBUTES_OF_LAMBDA,
    PLAIN = ELBV2_ATTRIBUTES_OF_PLAIN, SECURE = ELBV2_ATTRIBUTES_OF_SECURE,
    TRANSPORT = ELBV2_ATTRIBUTES_OF_TRANSPORT,
};
/* clang-format on */

struct rule {
    unsigned where;
    struct str key;
    struct str otherwise; /* absent: depends on the owner */
    enum kind kind;
    int64_t least;
    int64_t most;
    struct str choices;
};

static const struct rule rules[] = {
#define X(where_, key_, otherwise_, kind_, least_, most_, choices_) \
    {.where = (where_),                                             \
     .key = STR_INIT(key_),                                         \
     .otherwise = otherwise_,                                       \
     .kind = (kind_),                                               \
     .least = (least_),                                             \
     .most = (most_),                                               \
     .choices = STR_INIT(choices_)},
#define IS(text) STR_INIT(text)
#define DEPENDS \
    {           \
        NULL, 0 \
    }
#include "svc/elbv2/attributes.def"
#undef DEPENDS
#undef IS
#undef X
};

struct elbv2_attribute_owner elbv2_owner_of_load_balancer(const struct elbv2_load_balancer *lb)
{
    bool is_app = lb->type == ELBV2_LOAD_BALANCER_TYPE_ENUM_APPLICATION;
    return (struct elbv2_attribute_owner){.sets = is_app ? APP : NET,
                                          .is_internal = lb->scheme ==
                                                         ELBV2_LOAD_BALANCER_SCHEME_ENUM_INTERNAL,
                                          .noun = "Load balancer"};
}

struct elbv2_attribute_owner elbv2_owner_of_group(const struct elbv2_target_group *group)
{
    struct elbv2_attribute_owner owner = {.noun = "Target group",
                                          .protocol = elbv2_protocol_name(group->protocol)};
    bool is_web =
        group->protocol == ELBV2_PROTOCOL_ENUM_HTTP || group->protocol == ELBV2_PROTOCOL_ENUM_HTTPS;
    if (group->target_type == ELBV2_TARGET_TYPE_ENUM_LAMBDA) {
        owner.sets = LAMBDA;
    } else {
        owner.sets = (unsigned)GROUP | (unsigned)(is_web ? WEB : STREAM);
    }
    return owner;
}

struct elbv2_attribute_owner elbv2_owner_of_listener(const struct elbv2_listener *listener)
{
    struct elbv2_attribute_owner owner = {
        .sets = TRANSPORT, .noun = "Listener", .protocol = elbv2_protocol_name(listener->protocol)};
    if (listener->protocol == ELBV2_PROTOCOL_ENUM_HTTP) {
        owner.sets = PLAIN;
    }
    if (listener->protocol == ELBV2_PROTOCOL_ENUM_HTTPS) {
        owner.sets = SECURE;
    }
    return owner;
}

static const struct rule *find_rule(struct elbv2_attribute_owner owner, struct str key)
{
    for (size_t i = 0; i < ARRAY_COUNT(rules); i++) {
        if ((rules[i].where & owner.sets) != 0 && str_equal(rules[i].key, key)) {
            return &rules[i];
        }
    }
    return NULL;
}

static struct str find_set(const struct engine_text_map *set, struct str key)
{
    for (size_t i = 0; i < set->count; i++) {
        if (str_equal(set->items[i].key, key)) {
            return set->items[i].value;
        }
    }
    return STR_NONE;
}

/* Defaults that the owner decides. */
static struct str default_of(const struct rule *rule, struct elbv2_attribute_owner owner)
{
    if (str_is_set(rule->otherwise)) {
        bool is_stream = (owner.sets & STREAM) != 0;
        return is_stream && STR_IS(rule->key, "stickiness.type") ? STR("source_ip")
                                                                 : rule->otherwise;
    }
    bool is_on = STR_IS(rule->key, "ipv6.deny_all_igw_traffic") ? owner.is_internal
                                                                : (owner.sets & APP) != 0;
    return is_on ? STR("true") : STR("false");
}

struct str elbv2_attribute(struct elbv2_attribute_owner owner, const struct engine_text_map *set,
                           struct str key)
{
    struct str value = find_set(set, key);
    const struct rule *rule = find_rule(owner, key);
    return str_is_set(value) || rule == NULL ? value : default_of(rule, owner);
}

static void push(struct arena *a, struct tags *to, struct str key, struct str value)
{
    *ARENA_PUSH(a, to) = (struct tag){.key = key, .value = value};
}

struct tags elbv2_attributes_all(struct arena *a, struct elbv2_attribute_owner owner,
                                 const struct engine_text_map *set)
{
    struct tags all = {.is_set = true};
    for (size_t i = 0; i < ARRAY_COUNT(rules); i++) {
        bool is_own = str_starts_with(rules[i].key, ENGINE_PREFIX); /* told when they are set */
        if ((rules[i].where & owner.sets) != 0 && !is_own) {
            push(a, &all, rules[i].key, elbv2_attribute(owner, set, rules[i].key));
        }
    }
    for (size_t i = 0; i < set->count; i++) {
        if (str_starts_with(set->items[i].key, ENGINE_PREFIX)) {
            push(a, &all, set->items[i].key, set->items[i].value);
        }
    }
    return all;
}

/* ---- changes -------------------------------------------------------------------------------- */

static bool is_choice(struct str choices, struct str value)
{
    struct str rest = choices;
    struct str choice = STR_NONE;
    while (str_next(&rest, '|', &choice)) {
        if (str_equal(choice, value)) {
            return true;
        }
    }
    return false;
}

static bool is_number(const struct rule *rule, struct str value)
{
    int64_t number = 0;
    return str_parse_i64(value, rule->least, rule->most, &number);
}

static bool are_ranges(const struct rule *rule, struct str value)
{
    struct str rest = value;
    struct str range = STR_NONE;
    int64_t count = 0;
    while (str_next(&rest, ',', &range)) {
        if (!elbv2_is_cidr(str_trim(range))) {
            return false;
        }
        count++;
    }
    return count <= rule->most;
}

static bool is_header_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = str_lower_char(s.ptr[i]);
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!is_plain && c != '-' && c != '_') {
            return false;
        }
    }
    return true;
}

static bool is_header_value(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < ' ' || s.ptr[i] > '~') {
            return false;
        }
    }
    return str_equal(s, str_trim(s));
}

static bool is_value(const struct rule *rule, struct str value)
{
    switch (rule->kind) {
    case BOOL:
        return STR_IS(value, "true") || STR_IS(value, "false");
    case INT:
        return is_number(rule, value);
    case PERCENT:
        return STR_IS(value, "off") || is_number(rule, value);
    case CHOICE:
        return is_choice(rule->choices, value);
    case TEXT:
        return value.len <= (size_t)rule->most;
    case NAME:
        return value.len <= (size_t)rule->most && is_header_name(value);
    case VALUE:
        return value.len <= (size_t)rule->most && is_header_value(value);
    case RANGES:
        return are_ranges(rule, value);
    }
    UNREACHABLE("every kind is above");
}

static enum err refuse_value(struct op *op, const struct rule *rule, struct str value)
{
    switch (rule->kind) {
    case BOOL:
        return elbv2_invalid(op, "The value of '%s' must be 'true' or 'false', not '%.*s'",
                             rule->key.ptr, STR_ARG(value));
    case INT:
        return elbv2_invalid(op, "'%s' must be between '%lld' and '%lld' inclusive, not '%.*s'",
                             rule->key.ptr, (long long)rule->least, (long long)rule->most,
                             STR_ARG(value));
    case PERCENT:
        return elbv2_invalid(
            op, "'%s' must be 'off' or between '%lld' and '%lld' inclusive, not '%.*s'",
            rule->key.ptr, (long long)rule->least, (long long)rule->most, STR_ARG(value));
    case CHOICE:
        return elbv2_invalid(op, "The value of '%s' must be one of [%s], not '%.*s'", rule->key.ptr,
                             rule->choices.ptr, STR_ARG(value));
    case RANGES:
        return elbv2_invalid(op,
                             "The value of '%s' must be up to '%lld' ranges like '192.0.2.0/24', "
                             "separated by commas, not '%.*s'",
                             rule->key.ptr, (long long)rule->most, STR_ARG(value));
    case TEXT:
        return elbv2_invalid(op, "The value of '%s' cannot be longer than '%lld' characters",
                             rule->key.ptr, (long long)rule->most);
    case NAME:
        return elbv2_invalid(op,
                             "The value of '%s' must be a header name of up to '%lld' letters, "
                             "digits, hyphens and underscores",
                             rule->key.ptr, (long long)rule->most);
    case VALUE:
        return elbv2_invalid(op,
                             "The value of '%s' must have up to '%lld' printable ASCII characters "
                             "and no space at either end",
                             rule->key.ptr, (long long)rule->most);
    }
    UNREACHABLE("every kind is above");
}

static enum err check_change(struct op *op, struct elbv2_attribute_owner owner,
                             const struct tag *change)
{
    const struct rule *rule = find_rule(owner, change->key);
    bool is_emptied = change->value.len == 0; /* takes it back */
    if (str_starts_with(change->key, ENGINE_PREFIX) && (rule == NULL || is_emptied)) {
        if (change->value.len > ENGINE_VALUE_BYTES_MAX) {
            return elbv2_invalid(op, "The value of '%.*s' cannot be longer than '%d' characters",
                                 STR_ARG(change->key), ENGINE_VALUE_BYTES_MAX);
        }
        return ERR_OK;
    }
    if (rule == NULL) {
        return elbv2_invalid(op, "%s attribute key '%.*s' is not recognized", owner.noun,
                             STR_ARG(change->key));
    }
    return is_value(rule, change->value) ? ERR_OK : refuse_value(op, rule, change->value);
}

#define conflict(op, ...) \
    op_fail_as((op), ERR_INPUT, &elbv2_error_invalid_configuration_request_exception, __VA_ARGS__)

static enum err check_balancing(struct op *op, struct elbv2_attribute_owner owner,
                                const struct engine_text_map *set)
{
    struct str algorithm = elbv2_attribute(owner, set, STR("load_balancing.algorithm.type"));
    struct str slow_start = elbv2_attribute(owner, set, STR("slow_start.duration_seconds"));
    struct str mitigation =
        elbv2_attribute(owner, set, STR("load_balancing.algorithm.anomaly_mitigation"));
    bool is_slow = !STR_IS(slow_start, "0");
    bool is_random = STR_IS(algorithm, "weighted_random");
    uint64_t seconds = 0;
    if (is_slow && (!str_parse_u64(slow_start, 900, &seconds) || seconds < 30)) {
        return elbv2_invalid(op,
                             "'slow_start.duration_seconds' must be '0' or between '30' and "
                             "'900' inclusive, not '%.*s'",
                             STR_ARG(slow_start));
    }
    if (is_slow && !STR_IS(algorithm, "round_robin")) {
        return conflict(op, "You cannot enable both slow start and %s algorithm on a target group",
                        is_random ? "weighted random" : "least outstanding requests");
    }
    if (is_random && STR_IS(elbv2_attribute(owner, set, STR("stickiness.enabled")), "true")) {
        return conflict(op, "You cannot have both stickiness and weighted random algorithm enabled "
                            "on the same target group.");
    }
    if (STR_IS(mitigation, "on") && !is_random) {
        return conflict(op, "You cannot enable anomaly mitigation on a target group without "
                            "weighted random algorithm");
    }
    return ERR_OK;
}

/* RFC 6265: a token. */
static bool is_cookie_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] <= ' ' || name.ptr[i] > '~' ||
            str_find_char(STR("()<>@,;:\\\"/[]?={}"), name.ptr[i], 0) != STR_NOT_FOUND) {
            return false;
        }
    }
    return true;
}

static enum err check_cookie_name(struct op *op, struct str name)
{
    if (str_starts_with(name, STR("AWSALB"))) {
        return elbv2_invalid(op,
                             "The cookie name '%.*s' is not allowed: names that begin with "
                             "'AWSALB', 'AWSALBAPP' or 'AWSALBTG' are reserved",
                             STR_ARG(name));
    }
    if (!is_cookie_name(name)) {
        return elbv2_invalid(op, "The cookie name '%.*s' contains a character that is not valid",
                             STR_ARG(name));
    }
    return ERR_OK;
}

static enum err check_stickiness(struct op *op, struct elbv2_attribute_owner owner,
                                 const struct engine_text_map *set)
{
    struct str type = elbv2_attribute(owner, set, STR("stickiness.type"));
    struct str cookie = elbv2_attribute(owner, set, STR("stickiness.app_cookie.cookie_name"));
    bool is_on = STR_IS(elbv2_attribute(owner, set, STR("stickiness.enabled")), "true");
    bool is_cookie = STR_IS(type, "lb_cookie") || STR_IS(type, "app_cookie");
    if (is_cookie != ((owner.sets & WEB) != 0)) {
        return conflict(
            op, "Stickiness type '%.*s' is not supported for target groups with the %s protocol",
            STR_ARG(type), owner.protocol);
    }
    TRY(check_cookie_name(op, cookie));
    if (is_on && STR_IS(type, "app_cookie") && cookie.len == 0) {
        return conflict(op, "You must set an application cookie name to enable stickiness of type "
                            "'app_cookie'");
    }
    if (is_on &&
        STR_IS(elbv2_attribute(owner, set, STR("load_balancing.cross_zone.enabled")), "false")) {
        return conflict(op, "Stickiness is not supported when cross-zone load balancing is off");
    }
    return ERR_OK;
}

#define HEALTH_DNS     "target_group_health.dns_failover.minimum_healthy_targets."
#define HEALTH_ROUTING "target_group_health.unhealthy_state_routing.minimum_healthy_targets."

/* 0 for "off", which is lower than any threshold. */
static uint64_t threshold_of(struct elbv2_attribute_owner owner, const struct engine_text_map *set,
                             struct str key)
{
    uint64_t number = 0;
    (void)str_parse_u64(elbv2_attribute(owner, set, key), UINT32_MAX, &number);
    return number;
}

/* Source: the guide: the threshold for DNS failover must be greater than or equal to the one for
 * routing. */
static enum err check_thresholds(struct op *op, struct elbv2_attribute_owner owner,
                                 const struct engine_text_map *set)
{
    static const struct {
        struct str dns;
        struct str routing;
    } pairs[] = {{STR_INIT(HEALTH_DNS "count"), STR_INIT(HEALTH_ROUTING "count")},
                 {STR_INIT(HEALTH_DNS "percentage"), STR_INIT(HEALTH_ROUTING "percentage")}};
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        uint64_t dns = threshold_of(owner, set, pairs[i].dns);
        bool is_dns_off = STR_IS(elbv2_attribute(owner, set, pairs[i].dns), "off");
        if (!is_dns_off && dns < threshold_of(owner, set, pairs[i].routing)) {
            return conflict(op,
                            "The value of '%s' must be greater than or equal to the value of "
                            "'%s'",
                            pairs[i].dns.ptr, pairs[i].routing.ptr);
        }
    }
    return ERR_OK;
}

/* "cookie:NAME" or "header:NAME"; empty: off. */
static enum err check_cohort(struct op *op, struct elbv2_attribute_owner owner,
                             const struct engine_text_map *set)
{
    struct str source = elbv2_attribute(owner, set, STR("hitless.cohort.source"));
    struct str kind = STR_NONE;
    struct str name = STR_NONE;
    if (source.len == 0) {
        return ERR_OK;
    }
    bool is_pair = str_cut(source, ':', &kind, &name) && name.len > 0 && is_cookie_name(name);
    if (!is_pair || (!STR_IS(kind, "cookie") && !STR_IS(kind, "header"))) {
        return elbv2_invalid(op,
                             "The value of 'hitless.cohort.source' must be 'cookie:NAME' or "
                             "'header:NAME', not '%.*s'",
                             STR_ARG(source));
    }
    return ERR_OK;
}

/* Names and prefixes of S3, without any that would lead out of the folder that stands for it. */
static bool is_plain_path(struct str path)
{
    struct str rest = path;
    struct str part = STR_NONE;
    while (str_next(&rest, '/', &part)) {
        if (part.len == 0 || part.ptr[0] == '.') {
            return false;
        }
        for (size_t i = 0; i < part.len; i++) {
            char c = str_lower_char(part.ptr[i]);
            bool is_plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
            if (!is_plain && c != '-' && c != '_' && c != '.') {
                return false;
            }
        }
    }
    return true;
}

static enum err check_logs(struct op *op, struct elbv2_attribute_owner owner,
                           const struct engine_text_map *set)
{
    static const char *const kinds[] = {"access_logs", "connection_logs", "health_check_logs"};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        struct arena *a = &op->arena;
        struct str enabled = arena_printf(a, "%s.s3.enabled", kinds[i]);
        struct str bucket = elbv2_attribute(owner, set, arena_printf(a, "%s.s3.bucket", kinds[i]));
        struct str prefix = elbv2_attribute(owner, set, arena_printf(a, "%s.s3.prefix", kinds[i]));
        bool is_on = STR_IS(elbv2_attribute(owner, set, enabled), "true");
        if (is_on && bucket.len == 0) {
            return elbv2_invalid(op, "'%s.s3.bucket' must be set when '%s.s3.enabled' is 'true'",
                                 kinds[i], kinds[i]);
        }
        if ((bucket.len > 0 && (!is_plain_path(bucket) || memchr(bucket.ptr, '/', bucket.len))) ||
            (prefix.len > 0 && !is_plain_path(prefix))) {
            return elbv2_invalid(op,
                                 "The bucket '%.*s' or the prefix '%.*s' of '%s' is not valid: "
                                 "letters, digits, '-', '_' and '.', and '/' within a prefix",
                                 STR_ARG(bucket), STR_ARG(prefix), kinds[i]);
        }
        if (prefix.len > 0 && str_find(prefix, STR("AWSLogs"), 0) != STR_NOT_FOUND) {
            return elbv2_invalid(op, "The prefix of '%s' cannot contain 'AWSLogs'", kinds[i]);
        }
    }
    return ERR_OK;
}

static enum err check_together(struct op *op, struct elbv2_attribute_owner owner,
                               const struct engine_text_map *set)
{
    if ((owner.sets & WEB) != 0) {
        TRY(check_balancing(op, owner, set));
    }
    if ((owner.sets & GROUP) != 0) {
        TRY(check_stickiness(op, owner, set));
        TRY(check_thresholds(op, owner, set));
    }
    TRY(check_cohort(op, owner, set));
    if ((owner.sets & (APP | NET)) != 0) {
        TRY(check_logs(op, owner, set));
    }
    if ((owner.sets & APP) != 0 &&
        STR_IS(elbv2_attribute(owner, set, STR("load_balancing.cross_zone.enabled")), "false")) {
        return conflict(op, "Cross-zone load balancing cannot be disabled for application load "
                            "balancers");
    }
    return ERR_OK;
}

static void put(struct arena *a, struct engine_text_map *set, struct str key, struct str value)
{
    for (size_t i = 0; i < set->count; i++) {
        if (str_equal(set->items[i].key, key)) {
            set->items[i].value = value;
            return;
        }
    }
    struct engine_text_map_entry *entry = ARENA_PUSH(a, set);
    entry->key = key;
    entry->value = value;
}

enum err elbv2_attributes_change(struct op *op, struct elbv2_attribute_owner owner,
                                 const struct engine_text_map *set, const struct tags *changes,
                                 struct engine_text_map *ret)
{
    struct engine_text_map changed = {.is_set = true};
    for (size_t i = 0; i < set->count; i++) {
        put(&op->arena, &changed, set->items[i].key, set->items[i].value);
    }
    for (size_t i = 0; i < changes->count; i++) {
        struct tag change = changes->items[i];
        change.value = str_is_set(change.value) ? change.value : STR("");
        TRY(check_change(op, owner, &change));
        put(&op->arena, &changed, change.key, change.value);
    }
    TRY(check_together(op, owner, &changed));
    *ret = changed;
    return ERR_OK;
}
