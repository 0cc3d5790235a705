#include "svc/elbv2/policies.h"

#include "base/check.h"
#include "svc/common/page.h"
#include "svc/elbv2/limits.h"
#include "svc/elbv2/rows.h"

#define POLICIES_MAX 64

/* ---- ciphers, in the server's order --------------------------------------------------------- */

enum cipher_set {
    V13 = 1 << 0,     /* the three of TLS 1.3 */
    GCM128 = 1 << 1,  /* ECDHE, AES128-GCM */
    SHA128 = 1 << 2,  /* ECDHE, AES128-SHA256 */
    OLD128 = 1 << 3,  /* ECDHE, AES128-SHA */
    GCM256 = 1 << 4,  /* ECDHE, AES256-GCM */
    SHA256 = 1 << 5,  /* ECDHE, AES256-SHA384 */
    OLD256 = 1 << 6,  /* ECDHE, AES256-SHA */
    RSA_NEW = 1 << 7, /* without forward secrecy, SHA2 */
    RSA_OLD = 1 << 8, /* without forward secrecy, SHA1 */
    DES = 1 << 9,
    FORWARD = GCM128 | SHA128 | GCM256 | SHA256,
    FORWARD_OLD = OLD128 | OLD256,
};

static const struct {
    struct str name;
    unsigned sets;
} ciphers[] = {
    {STR_INIT("TLS_AES_128_GCM_SHA256"), V13},
    {STR_INIT("TLS_AES_256_GCM_SHA384"), V13},
    {STR_INIT("TLS_CHACHA20_POLY1305_SHA256"), V13},
    {STR_INIT("ECDHE-ECDSA-AES128-GCM-SHA256"), GCM128},
    {STR_INIT("ECDHE-RSA-AES128-GCM-SHA256"), GCM128},
    {STR_INIT("ECDHE-ECDSA-AES128-SHA256"), SHA128},
    {STR_INIT("ECDHE-RSA-AES128-SHA256"), SHA128},
    {STR_INIT("ECDHE-ECDSA-AES128-SHA"), OLD128},
    {STR_INIT("ECDHE-RSA-AES128-SHA"), OLD128},
    {STR_INIT("ECDHE-ECDSA-AES256-GCM-SHA384"), GCM256},
    {STR_INIT("ECDHE-RSA-AES256-GCM-SHA384"), GCM256},
    {STR_INIT("ECDHE-ECDSA-AES256-SHA384"), SHA256},
    {STR_INIT("ECDHE-RSA-AES256-SHA384"), SHA256},
    {STR_INIT("ECDHE-RSA-AES256-SHA"), OLD256},
    {STR_INIT("ECDHE-ECDSA-AES256-SHA"), OLD256},
    {STR_INIT("AES128-GCM-SHA256"), RSA_NEW},
    {STR_INIT("AES128-SHA256"), RSA_NEW},
    {STR_INIT("AES128-SHA"), RSA_OLD},
    {STR_INIT("AES256-GCM-SHA384"), RSA_NEW},
    {STR_INIT("AES256-SHA256"), RSA_NEW},
    {STR_INIT("AES256-SHA"), RSA_OLD},
    {STR_INIT("DES-CBC3-SHA"), DES},
};

/* ---- policies ------------------------------------------------------------------------------- */

enum tls { TLS10 = 1 << 0, TLS11 = 1 << 1, TLS12 = 1 << 2, TLS13 = 1 << 3 };

static const struct {
    struct str name;
    unsigned versions;
} versions[] = {{STR_INIT("TLSv1"), TLS10},
                {STR_INIT("TLSv1.1"), TLS11},
                {STR_INIT("TLSv1.2"), TLS12},
                {STR_INIT("TLSv1.3"), TLS13}};

#define EVERYTHING (FORWARD | FORWARD_OLD | RSA_NEW | RSA_OLD)

static const struct {
    struct str name;
    unsigned versions;
    unsigned ciphers;
} policies[] = {
    {STR_INIT("ELBSecurityPolicy-TLS13-1-2-2021-06"), TLS12 | TLS13, V13 | FORWARD},
    {STR_INIT("ELBSecurityPolicy-2016-08"), TLS10 | TLS11 | TLS12, EVERYTHING},
    {STR_INIT("ELBSecurityPolicy-TLS-1-2-2017-01"), TLS12, FORWARD | RSA_NEW},
    {STR_INIT("ELBSecurityPolicy-TLS-1-1-2017-01"), TLS11 | TLS12, EVERYTHING},
    {STR_INIT("ELBSecurityPolicy-TLS-1-2-Ext-2018-06"), TLS12, EVERYTHING},
    {STR_INIT("ELBSecurityPolicy-FS-2018-06"), TLS10 | TLS11 | TLS12, FORWARD | FORWARD_OLD},
    {STR_INIT("ELBSecurityPolicy-2015-05"), TLS10 | TLS11 | TLS12, EVERYTHING},
    {STR_INIT("ELBSecurityPolicy-TLS-1-0-2015-04"), TLS10 | TLS11 | TLS12, EVERYTHING | DES},
    {STR_INIT("ELBSecurityPolicy-FS-1-2-Res-2019-08"), TLS12, FORWARD},
    {STR_INIT("ELBSecurityPolicy-FS-1-1-2019-08"), TLS11 | TLS12, FORWARD | FORWARD_OLD},
    {STR_INIT("ELBSecurityPolicy-FS-1-2-2019-08"), TLS12, FORWARD | FORWARD_OLD},
    {STR_INIT("ELBSecurityPolicy-FS-1-2-Res-2020-10"), TLS12, GCM128 | GCM256},
    {STR_INIT("ELBSecurityPolicy-TLS13-1-3-2021-06"), TLS13, V13},
    {STR_INIT("ELBSecurityPolicy-TLS13-1-2-Res-2021-06"), TLS12 | TLS13, V13 | GCM128 | GCM256},
    {STR_INIT("ELBSecurityPolicy-TLS13-1-2-Ext1-2021-06"), TLS12 | TLS13, V13 | FORWARD | RSA_NEW},
    {STR_INIT("ELBSecurityPolicy-TLS13-1-2-Ext2-2021-06"), TLS12 | TLS13, V13 | EVERYTHING},
    {STR_INIT("ELBSecurityPolicy-TLS13-1-1-2021-06"), TLS11 | TLS12 | TLS13, V13 | EVERYTHING},
    {STR_INIT("ELBSecurityPolicy-TLS13-1-0-2021-06"), TLS10 | TLS11 | TLS12 | TLS13,
     V13 | EVERYTHING},
};
_Static_assert(ARRAY_COUNT(policies) <= POLICIES_MAX, "the page below has room for all");

static size_t find_policy(struct str name)
{
    size_t i = 0;
    while (i < ARRAY_COUNT(policies) && !str_equal(policies[i].name, name)) {
        i++;
    }
    return i;
}

bool elbv2_has_ssl_policy(struct str name)
{
    return find_policy(name) < ARRAY_COUNT(policies);
}

static void push_cipher(struct arena *a, struct elbv2_ciphers *to, struct str name)
{
    int32_t priority = (int32_t)to->count + 1;
    *ARENA_PUSH(a, to) = (struct elbv2_cipher){.name = name, .priority = OPT_I32(priority)};
}

static void push_text(struct arena *a, struct elbv2_list_of_string *to, struct str text)
{
    *ARENA_PUSH(a, to) = text;
}

static void push_version(struct arena *a, struct elbv2_ssl_protocols *to, struct str text)
{
    *ARENA_PUSH(a, to) = text;
}

static void push_policy(struct arena *a, size_t index, struct elbv2_ssl_policies *to)
{
    struct elbv2_ssl_policy *policy = ARENA_PUSH(a, to);
    *policy = (struct elbv2_ssl_policy){.name = policies[index].name,
                                        .ssl_protocols = {.is_set = true},
                                        .ciphers = {.is_set = true},
                                        .supported_load_balancer_types = {.is_set = true}};
    for (size_t i = 0; i < ARRAY_COUNT(versions); i++) {
        if ((versions[i].versions & policies[index].versions) != 0) {
            push_version(a, &policy->ssl_protocols, versions[i].name);
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(ciphers); i++) {
        if ((ciphers[i].sets & policies[index].ciphers) != 0) {
            push_cipher(a, &policy->ciphers, ciphers[i].name);
        }
    }
    push_text(a, &policy->supported_load_balancer_types, STR("application"));
    push_text(a, &policy->supported_load_balancer_types, STR("network"));
}

/* Pages of a table that never changes: the key is the index. */
static enum err cut_table(struct op *op, const char *list_name, size_t entry_count,
                          struct str marker, struct opt_i32 page_size, size_t *ret_from,
                          size_t *ret_to, struct str *ret_next)
{
    const struct page_rules rules = {.list_name = list_name,
                                     .default_count = 400,
                                     .max_count = 400,
                                     .bad_token = &elbv2_validation_error,
                                     .bad_token_text = "The marker is not valid"};
    struct str keys[POLICIES_MAX];
    CHECK(entry_count <= POLICIES_MAX);
    for (size_t i = 0; i < entry_count; i++) {
        keys[i] = arena_printf(&op->arena, "%04zu", i);
    }
    return page_cut(op, &rules, (struct page_ask){marker, page_size}, keys, entry_count, ret_from,
                    ret_to, ret_next);
}

enum err elbv2_describe_ssl_policies(struct op *op, struct elbv2 *e,
                                     const struct elbv2_describe_ssl_policies_in *in,
                                     struct elbv2_describe_ssl_policies_out *ret)
{
    (void)e;
    ret->ssl_policies.is_set = true;
    if (in->load_balancer_type == ELBV2_LOAD_BALANCER_TYPE_ENUM_GATEWAY) {
        return ERR_OK;
    }
    for (size_t i = 0; i < in->names.count; i++) {
        size_t index = find_policy(in->names.items[i]);
        if (index == ARRAY_COUNT(policies)) {
            return op_fail_as(op, ERR_NOT_FOUND, &elbv2_error_ssl_policy_not_found_exception,
                              "One or more SSL policies not found");
        }
        push_policy(&op->arena, index, &ret->ssl_policies);
    }
    if (in->names.count > 0) {
        return ERR_OK;
    }
    size_t from = 0;
    size_t to = 0;
    TRY(cut_table(op, "elbv2.ssl_policies", ARRAY_COUNT(policies), in->marker, in->page_size, &from,
                  &to, &ret->next_marker));
    for (size_t i = from; i < to; i++) {
        push_policy(&op->arena, i, &ret->ssl_policies);
    }
    return ERR_OK;
}

/* ---- quotas --------------------------------------------------------------------------------- */

static const struct {
    struct str name;
    int max;
} limits[] = {
    {STR_INIT("target-groups"), ELBV2_TARGET_GROUPS_MAX},
    {STR_INIT("targets-per-application-load-balancer"), ELBV2_TARGETS_MAX},
    {STR_INIT("listeners-per-application-load-balancer"), ELBV2_LISTENERS_MAX},
    {STR_INIT("rules-per-application-load-balancer"), ELBV2_RULES_MAX},
    {STR_INIT("network-load-balancers"), ELBV2_LOAD_BALANCERS_MAX},
    {STR_INIT("targets-per-network-load-balancer"), 3000},
    {STR_INIT("targets-per-availability-zone-per-network-load-balancer"), 500},
    {STR_INIT("listeners-per-network-load-balancer"), ELBV2_LISTENERS_MAX},
    {STR_INIT("condition-values-per-alb-rule"), ELBV2_CONDITION_VALUES_OF_RULE_MAX},
    {STR_INIT("condition-wildcards-per-alb-rule"), ELBV2_WILDCARDS_OF_RULE_MAX},
    {STR_INIT("target-groups-per-action-on-application-load-balancer"), ELBV2_GROUPS_OF_ACTION_MAX},
    {STR_INIT("target-groups-per-action-on-network-load-balancer"), 1},
    {STR_INIT("certificates-per-application-load-balancer"), ELBV2_CERTIFICATES_MAX},
    {STR_INIT("certificates-per-network-load-balancer"), ELBV2_CERTIFICATES_MAX},
    {STR_INIT("targets-per-target-group"), ELBV2_TARGETS_MAX},
    {STR_INIT("target-id-registrations-per-application-load-balancer"), 1000},
    {STR_INIT("target-groups-per-application-load-balancer"), ELBV2_GROUPS_OF_LOAD_BALANCER_MAX},
    {STR_INIT("gateway-load-balancers"), 100},
    {STR_INIT("application-load-balancers"), ELBV2_LOAD_BALANCERS_MAX},
};

enum err elbv2_describe_account_limits(struct op *op, struct elbv2 *e,
                                       const struct elbv2_describe_account_limits_in *in,
                                       struct elbv2_describe_account_limits_out *ret)
{
    (void)e;
    size_t from = 0;
    size_t to = 0;
    TRY(cut_table(op, "elbv2.limits", ARRAY_COUNT(limits), in->marker, in->page_size, &from, &to,
                  &ret->next_marker));
    ret->limits =
        (struct elbv2_limits){.items = ARENA_ARRAY(&op->arena, struct elbv2_limit, to - from),
                              .count = to - from,
                              .is_set = true};
    for (size_t i = from; i < to; i++) {
        ret->limits.items[i - from] = (struct elbv2_limit){
            .name = limits[i].name, .max = arena_printf(&op->arena, "%d", limits[i].max)};
    }
    return ERR_OK;
}
