#include "svc/elbv2/policies.h"

#include "base/check.h"
#include "svc/common/page.h"
#include "svc/elbv2/limits.h"
#include "svc/elbv2/rows.h"
#include "tlspol/tlspol.h"

bool elbv2_has_ssl_policy(struct str name)
{
    return tlspol_find(name) != NULL;
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

static void push_policy(struct arena *a, const struct tlspol *from, struct elbv2_ssl_policies *to)
{
    struct elbv2_ssl_policy *policy = ARENA_PUSH(a, to);
    *policy = (struct elbv2_ssl_policy){.name = from->name,
                                        .ssl_protocols = {.is_set = true},
                                        .ciphers = {.is_set = true},
                                        .supported_load_balancer_types = {.is_set = true}};
    for (size_t i = 0; i < 4; i++) {
        if ((from->versions >> i & 1) != 0) {
            push_version(a, &policy->ssl_protocols, tlspol_version_name(i));
        }
    }
    for (size_t i = 0; i < tlspol_cipher_count(); i++) {
        const struct tlspol_cipher *cipher = tlspol_cipher_at(i);
        if ((cipher->set & from->sets) != 0) {
            push_cipher(a, &policy->ciphers, cipher->name);
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
    struct str keys[TLSPOL_POLICIES_MAX];
    CHECK(entry_count <= TLSPOL_POLICIES_MAX);
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
        const struct tlspol *policy = tlspol_find(in->names.items[i]);
        if (policy == NULL) {
            return op_fail_as(op, ERR_NOT_FOUND, &elbv2_error_ssl_policy_not_found_exception,
                              "One or more SSL policies not found");
        }
        push_policy(&op->arena, policy, &ret->ssl_policies);
    }
    if (in->names.count > 0) {
        return ERR_OK;
    }
    size_t from = 0;
    size_t to = 0;
    TRY(cut_table(op, "elbv2.ssl_policies", tlspol_count(), in->marker, in->page_size, &from, &to,
                  &ret->next_marker));
    for (size_t i = from; i < to; i++) {
        push_policy(&op->arena, tlspol_at(i), &ret->ssl_policies);
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
