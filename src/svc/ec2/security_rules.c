#include "svc/ec2/filter.h"
#include "svc/ec2/security.h"

#include "base/cleanup.h"
#include "svc/common/arn.h"
#include "svc/common/ids.h"

#include <arpa/inet.h>

static const struct err_public duplicate_rule = {.code = "InvalidPermission.Duplicate",
                                                 .http_status = 400};
static const struct err_public rule_not_found = {.code = "InvalidPermission.NotFound",
                                                 .http_status = 400};
static const struct err_public rule_id_not_found = {.code = "InvalidSecurityGroupRuleId.NotFound",
                                                    .http_status = 400};
static const struct err_public rule_id_malformed = {.code = "InvalidSecurityGroupRuleId.Malformed",
                                                    .http_status = 400};
static const struct err_public too_many_rules = {.code = "RulesPerSecurityGroupLimitExceeded",
                                                 .http_status = 400};
static const struct err_public missing_parameter = {.code = "MissingParameter", .http_status = 400};

/* What the four calls have in common. */
struct asked {
    bool is_egress;
    struct str group_id;
    struct str group_name;
    struct ec2_ip_permission_list permissions;
};

/* ---- from permissions to rules -------------------------------------------------------------- */

static struct str protocol_of(struct str sent)
{
    static const struct {
        struct str number;
        struct str name;
    } names[] = {
        {STR_INIT("6"), STR_INIT("tcp")},
        {STR_INIT("17"), STR_INIT("udp")},
        {STR_INIT("1"), STR_INIT("icmp")},
        {STR_INIT("58"), STR_INIT("icmpv6")},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (str_equal(sent, names[i].number) || str_equal_nocase(sent, names[i].name)) {
            return names[i].name;
        }
    }
    return sent;
}

static enum err check_protocol(struct op *op, struct str protocol, struct ec2_ip_permission *p)
{
    uint64_t number = 0;
    bool has_ports = STR_IS(protocol, "tcp") || STR_IS(protocol, "udp");
    bool is_icmp = STR_IS(protocol, "icmp") || STR_IS(protocol, "icmpv6");
    if (!has_ports && !is_icmp && !STR_IS(protocol, "-1") &&
        !str_parse_u64(protocol, 255, &number)) {
        return op_fail_as(op, ERR_INPUT, &ec2_error_invalid_parameter_value,
                          "Invalid value '%.*s' for IP protocol. Unknown protocol.",
                          STR_ARG(protocol));
    }
    if (!has_ports && !is_icmp) { /* all ports, whatever was sent */
        p->from_port = OPT_I32(-1);
        p->to_port = OPT_I32(-1);
        return ERR_OK;
    }
    int32_t from = OPT_OR(p->from_port, -1);
    int32_t to = OPT_OR(p->to_port, -1);
    int32_t least = is_icmp ? -1 : 0;
    if (from < least || from > 65535 || to < least || to > 65535 || (has_ports && from > to)) {
        return op_fail_as(op, ERR_INPUT, &ec2_error_invalid_parameter_value,
                          "Invalid value '%d' for portRange. Must specify both from and to ports "
                          "with TCP/UDP, from 0 to 65535.",
                          from < least || from > 65535 ? from : to);
    }
    return ERR_OK;
}

static enum err check_cidr(struct op *op, struct str cidr, int family)
{
    struct str address = STR_NONE;
    struct str bits_text = STR_NONE;
    char text[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    uint64_t bits = 0;
    bool is_good = str_cut(cidr, '/', &address, &bits_text) &&
                   str_to_c(address, text, sizeof(text)) && inet_pton(family, text, bytes) == 1 &&
                   str_parse_u64(bits_text, family == AF_INET ? 32 : 128, &bits);
    return is_good ? ERR_OK
                   : op_fail_as(op, ERR_INPUT, &ec2_error_invalid_parameter_value,
                                "CIDR block %.*s is malformed", STR_ARG(cidr));
}

static struct ec2_security_group_rule *push_rule(struct op *op,
                                                 struct ec2_security_group_rule_list *to,
                                                 const struct asked *asked,
                                                 const struct ec2_ip_permission *p,
                                                 struct str protocol, struct str description)
{
    to->is_set = true;
    struct ec2_security_group_rule *rule = ARENA_PUSH(&op->arena, to);
    *rule = (struct ec2_security_group_rule){.group_owner_id = op->account,
                                             .is_egress = OPT_BOOL(asked->is_egress),
                                             .ip_protocol = protocol,
                                             .from_port = p->from_port,
                                             .to_port = p->to_port,
                                             .description = description};
    return rule;
}

static enum err read_pair(struct op *op, struct ec2 *ec2, const struct ec2_user_id_group_pair *pair,
                          struct ec2_security_group_rule *rule)
{
    struct engine_ec2_group other = {0};
    TRY(ec2_find_group(op, ec2, pair->group_id, pair->group_name, &other));
    rule->referenced_group_info = ARENA_NEW(&op->arena, struct ec2_referenced_security_group);
    rule->referenced_group_info->group_id = other.group->group_id;
    rule->referenced_group_info->user_id = op->account;
    return ERR_OK;
}

/* One rule for each source (or destination) of the permission. */
static enum err read_permission(struct op *op, struct ec2 *ec2, const struct asked *asked,
                                const struct ec2_ip_permission *sent,
                                struct ec2_security_group_rule_list *to)
{
    struct ec2_ip_permission p = *sent;
    struct str protocol = protocol_of(p.ip_protocol);
    size_t before = to->count;
    TRY(check_protocol(op, protocol, &p));
    for (size_t i = 0; i < p.ip_ranges.count; i++) {
        const struct ec2_ip_range *range = &p.ip_ranges.items[i];
        TRY(check_cidr(op, range->cidr_ip, AF_INET));
        push_rule(op, to, asked, &p, protocol, range->description)->cidr_ipv4 = range->cidr_ip;
    }
    for (size_t i = 0; i < p.ipv6_ranges.count; i++) {
        const struct ec2_ipv6_range *range = &p.ipv6_ranges.items[i];
        TRY(check_cidr(op, range->cidr_ipv6, AF_INET6));
        push_rule(op, to, asked, &p, protocol, range->description)->cidr_ipv6 = range->cidr_ipv6;
    }
    for (size_t i = 0; i < p.user_id_group_pairs.count; i++) {
        const struct ec2_user_id_group_pair *pair = &p.user_id_group_pairs.items[i];
        TRY(read_pair(op, ec2, pair, push_rule(op, to, asked, &p, protocol, pair->description)));
    }
    if (p.prefix_list_ids.count > 0) {
        return op_fail_as(op, ERR_UNSUPPORTED, &ec2_error_invalid_parameter_value,
                          "Prefix lists are not supported by this engine");
    }
    if (to->count == before) {
        return op_fail_as(op, ERR_INPUT, &missing_parameter,
                          "The request must contain a source or destination: a CIDR block or a "
                          "security group");
    }
    return ERR_OK;
}

static enum err read_permissions(struct op *op, struct ec2 *ec2, const struct asked *asked,
                                 struct ec2_security_group_rule_list *to)
{
    if (asked->permissions.count == 0) {
        return op_fail_as(op, ERR_INPUT, &missing_parameter,
                          "The request must contain the parameter ipPermissions");
    }
    for (size_t i = 0; i < asked->permissions.count; i++) {
        TRY(read_permission(op, ec2, asked, &asked->permissions.items[i], to));
    }
    return ERR_OK;
}

/* The older form of a call: one permission as parameters of their own. */
static void add_plain(struct op *op, struct asked *asked, struct str protocol,
                      struct opt_i32 from_port, struct opt_i32 to_port, struct str cidr,
                      struct str other_name)
{
    if (protocol.len == 0 && other_name.len == 0) {
        return;
    }
    struct ec2_ip_permission *p = ARENA_PUSH(&op->arena, &asked->permissions);
    *p = (struct ec2_ip_permission){.ip_protocol = protocol.len > 0 ? protocol : STR("-1"),
                                    .from_port = from_port,
                                    .to_port = to_port};
    if (cidr.len > 0) {
        *ARENA_PUSH(&op->arena, &p->ip_ranges) = (struct ec2_ip_range){.cidr_ip = cidr};
    }
    if (other_name.len > 0) {
        *ARENA_PUSH(&op->arena, &p->user_id_group_pairs) =
            (struct ec2_user_id_group_pair){.group_name = other_name};
    }
}

/* ---- comparing ------------------------------------------------------------------------------ */

static struct str source_of(const struct ec2_security_group_rule *rule)
{
    if (rule->cidr_ipv4.len > 0) {
        return rule->cidr_ipv4;
    }
    if (rule->cidr_ipv6.len > 0) {
        return rule->cidr_ipv6;
    }
    return rule->referenced_group_info == NULL ? STR("") : rule->referenced_group_info->group_id;
}

static bool is_same(const struct ec2_security_group_rule *a,
                    const struct ec2_security_group_rule *b)
{
    return OPT_OR(a->is_egress, false) == OPT_OR(b->is_egress, false) &&
           str_equal(a->ip_protocol, b->ip_protocol) &&
           OPT_OR(a->from_port, -1) == OPT_OR(b->from_port, -1) &&
           OPT_OR(a->to_port, -1) == OPT_OR(b->to_port, -1) &&
           str_equal(source_of(a), source_of(b));
}

static size_t find_same(const struct ec2_security_group_rule_list *rules,
                        const struct ec2_security_group_rule *rule)
{
    size_t i = 0;
    while (i < rules->count && !is_same(&rules->items[i], rule)) {
        i++;
    }
    return i;
}

static size_t count_way(const struct ec2_security_group_rule_list *rules, bool is_egress)
{
    size_t count = 0;
    for (size_t i = 0; i < rules->count; i++) {
        count += OPT_OR(rules->items[i].is_egress, false) == is_egress;
    }
    return count;
}

/* ---- authorize ------------------------------------------------------------------------------ */

static enum err add_rule(struct op *op, struct engine_ec2_group *group,
                         struct ec2_security_group_rule *rule, const struct ec2_tag_list *tags)
{
    if (find_same(&group->rules, rule) < group->rules.count) {
        return op_fail_as(op, ERR_EXISTS, &duplicate_rule,
                          "the specified rule \"peer: %.*s, %.*s, from port: %d, to port: %d, "
                          "ALLOW\" already exists",
                          STR_ARG(source_of(rule)), STR_ARG(rule->ip_protocol),
                          OPT_OR(rule->from_port, -1), OPT_OR(rule->to_port, -1));
    }
    if (count_way(&group->rules, OPT_OR(rule->is_egress, false)) >= SECURITY_GROUP_RULES_MAX) {
        return op_fail_as(op, ERR_LIMIT, &too_many_rules,
                          "The maximum number of rules per security group has been reached: %d",
                          SECURITY_GROUP_RULES_MAX);
    }
    rule->security_group_rule_id =
        arena_printf(&op->arena, "sgr-%.*s", STR_ARG(id_hex17(&op->arena)));
    rule->security_group_rule_arn = arn_makef(op, STR("ec2"), "security-group-rule/%.*s",
                                              STR_ARG(rule->security_group_rule_id));
    rule->group_id = group->group->group_id;
    rule->tags = *tags;
    group->rules.is_set = true;
    *ARENA_PUSH(&op->arena, &group->rules) = *rule;
    return ERR_OK;
}

/* A list that was read of the store grows only after it was copied into the growth of ARENA_PUSH.
 */
static void make_room(struct op *op, struct ec2_security_group_rule_list *rules)
{
    struct ec2_security_group_rule_list copy = {.is_set = true};
    for (size_t i = 0; i < rules->count; i++) {
        *ARENA_PUSH(&op->arena, &copy) = rules->items[i];
    }
    *rules = copy;
}

static enum err authorize(struct op *op, struct ec2 *ec2, const struct asked *asked,
                          const struct ec2_tag_specification_list *specifications,
                          struct ec2_security_group_rule_list *ret)
{
    struct engine_ec2_group group = {0};
    struct ec2_security_group_rule_list rules = {0};
    struct ec2_tag_list tags = {0};
    TRY(ec2_tags_for(op, specifications, EC2_RESOURCE_TYPE_SECURITY_GROUP_RULE, &tags));
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ec2->store, &tx));
    TRY(ec2_find_group(op, ec2, asked->group_id, asked->group_name, &group));
    TRY(read_permissions(op, ec2, asked, &rules));
    make_room(op, &group.rules);
    for (size_t i = 0; i < rules.count; i++) {
        TRY(add_rule(op, &group, &rules.items[i], &tags));
    }
    TRY(ec2_put_group(op, ec2, &group));
    TRY(store_tx_commit(op, &tx));
    *ret = rules;
    return ERR_OK;
}

enum err ec2_authorize_security_group_ingress(
    struct op *op, struct ec2 *ec2, const struct ec2_authorize_security_group_ingress_in *in,
    struct ec2_authorize_security_group_ingress_out *ret)
{
    TRY(ec2_check_dry_run(op, in->dry_run));
    struct asked asked = {.group_id = in->group_id, .group_name = in->group_name};
    asked.permissions = in->ip_permissions;
    if (asked.permissions.count == 0) {
        add_plain(op, &asked, in->ip_protocol, in->from_port, in->to_port, in->cidr_ip,
                  in->source_security_group_name);
    }
    ret->return_ = OPT_BOOL(true);
    return authorize(op, ec2, &asked, &in->tag_specifications, &ret->security_group_rules);
}

enum err ec2_authorize_security_group_egress(
    struct op *op, struct ec2 *ec2, const struct ec2_authorize_security_group_egress_in *in,
    struct ec2_authorize_security_group_egress_out *ret)
{
    TRY(ec2_check_dry_run(op, in->dry_run));
    struct asked asked = {.is_egress = true, .group_id = in->group_id};
    asked.permissions = in->ip_permissions;
    if (asked.permissions.count == 0) {
        add_plain(op, &asked, in->ip_protocol, in->from_port, in->to_port, in->cidr_ip,
                  in->source_security_group_name);
    }
    ret->return_ = OPT_BOOL(true);
    return authorize(op, ec2, &asked, &in->tag_specifications, &ret->security_group_rules);
}

/* ---- revoke --------------------------------------------------------------------------------- */

static void take_rule(struct arena *a, struct ec2_security_group_rule_list *rules, size_t at,
                      struct ec2_revoked_security_group_rule_list *ret)
{
    struct ec2_security_group_rule *rule = &rules->items[at];
    ret->is_set = true;
    *ARENA_PUSH(a, ret) = (struct ec2_revoked_security_group_rule){
        .security_group_rule_id = rule->security_group_rule_id,
        .group_id = rule->group_id,
        .is_egress = rule->is_egress,
        .ip_protocol = rule->ip_protocol,
        .from_port = rule->from_port,
        .to_port = rule->to_port,
        .cidr_ipv4 = rule->cidr_ipv4,
        .cidr_ipv6 = rule->cidr_ipv6,
        .referenced_group_id =
            rule->referenced_group_info == NULL ? STR_NONE : rule->referenced_group_info->group_id,
        .description = rule->description};
    for (size_t i = at; i + 1 < rules->count; i++) {
        rules->items[i] = rules->items[i + 1];
    }
    rules->count--;
}

static enum err take_by_id(struct op *op, const struct asked *asked,
                           struct ec2_security_group_rule_list *rules, struct str id,
                           struct ec2_revoked_security_group_rule_list *ret)
{
    for (size_t i = 0; i < rules->count; i++) {
        if (str_equal(rules->items[i].security_group_rule_id, id) &&
            OPT_OR(rules->items[i].is_egress, false) == asked->is_egress) {
            take_rule(&op->arena, rules, i, ret);
            return ERR_OK;
        }
    }
    return op_fail_as(op, ERR_NOT_FOUND, &rule_id_not_found,
                      "The security group rule ID '%.*s' does not exist", STR_ARG(id));
}

static enum err take_same(struct op *op, struct ec2_security_group_rule_list *rules,
                          const struct ec2_security_group_rule *rule,
                          struct ec2_revoked_security_group_rule_list *ret)
{
    size_t at = find_same(rules, rule);
    if (at == rules->count) {
        return op_fail_as(op, ERR_NOT_FOUND, &rule_not_found,
                          "The specified rule does not exist in this security group.");
    }
    take_rule(&op->arena, rules, at, ret);
    return ERR_OK;
}

static enum err revoke_rules(struct op *op, struct ec2 *ec2, const struct asked *asked,
                             const struct ec2_security_group_rule_id_list *ids,
                             struct ec2_revoked_security_group_rule_list *ret)
{
    struct engine_ec2_group group = {0};
    struct ec2_security_group_rule_list rules = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ec2->store, &tx));
    TRY(ec2_find_group(op, ec2, asked->group_id, asked->group_name, &group));
    for (size_t i = 0; i < ids->count; i++) {
        TRY(take_by_id(op, asked, &group.rules, ids->items[i], ret));
    }
    if (ids->count == 0) {
        TRY(read_permissions(op, ec2, asked, &rules));
    }
    for (size_t i = 0; i < rules.count; i++) {
        TRY(take_same(op, &group.rules, &rules.items[i], ret));
    }
    TRY(ec2_put_group(op, ec2, &group));
    return store_tx_commit(op, &tx);
}

enum err ec2_revoke_security_group_ingress(struct op *op, struct ec2 *ec2,
                                           const struct ec2_revoke_security_group_ingress_in *in,
                                           struct ec2_revoke_security_group_ingress_out *ret)
{
    TRY(ec2_check_dry_run(op, in->dry_run));
    struct asked asked = {.group_id = in->group_id, .group_name = in->group_name};
    asked.permissions = in->ip_permissions;
    if (asked.permissions.count == 0) {
        add_plain(op, &asked, in->ip_protocol, in->from_port, in->to_port, in->cidr_ip,
                  in->source_security_group_name);
    }
    ret->return_ = OPT_BOOL(true);
    return revoke_rules(op, ec2, &asked, &in->security_group_rule_ids,
                        &ret->revoked_security_group_rules);
}

enum err ec2_revoke_security_group_egress(struct op *op, struct ec2 *ec2,
                                          const struct ec2_revoke_security_group_egress_in *in,
                                          struct ec2_revoke_security_group_egress_out *ret)
{
    TRY(ec2_check_dry_run(op, in->dry_run));
    struct asked asked = {.is_egress = true, .group_id = in->group_id};
    asked.permissions = in->ip_permissions;
    if (asked.permissions.count == 0) {
        add_plain(op, &asked, in->ip_protocol, in->from_port, in->to_port, in->cidr_ip,
                  in->source_security_group_name);
    }
    ret->return_ = OPT_BOOL(true);
    return revoke_rules(op, ec2, &asked, &in->security_group_rule_ids,
                        &ret->revoked_security_group_rules);
}

/* ---- describe ------------------------------------------------------------------------------- */

static void push_resource(struct op *op, struct ec2_resources *to,
                          const struct ec2_security_group_rule *rule)
{
    struct ec2_facts f = {0};
    ec2_fact(&op->arena, &f, "group-id", rule->group_id);
    ec2_fact(&op->arena, &f, "security-group-rule-id", rule->security_group_rule_id);
    ec2_tag_facts(&op->arena, &f, &rule->tags);
    size_t index = to->count;
    *ARENA_PUSH(&op->arena, to) =
        (struct ec2_resource){.id = rule->security_group_rule_id, .facts = f, .index = index};
}

enum err ec2_describe_security_group_rules(struct op *op, struct ec2 *ec2,
                                           const struct ec2_describe_security_group_rules_in *in,
                                           struct ec2_describe_security_group_rules_out *ret)
{
    TRY(ec2_check_dry_run(op, in->dry_run));
    struct engine_ec2_group *groups = NULL;
    size_t group_count = 0;
    struct ec2_security_group_rule_list rules = {0};
    struct ec2_resources all = {0};
    TRY(ec2_list_groups(op, ec2, &groups, &group_count));
    for (size_t i = 0; i < group_count; i++) {
        for (size_t k = 0; k < groups[i].rules.count; k++) {
            *ARENA_PUSH(&op->arena, &rules) = groups[i].rules.items[k];
            push_resource(op, &all, &groups[i].rules.items[k]);
        }
    }
    struct ec2_asked asked = {.ids = in->security_group_rule_ids.items,
                              .id_count = in->security_group_rule_ids.count,
                              .filters = &in->filters,
                              .max_results = in->max_results,
                              .next_token = in->next_token,
                              .list_name = "ec2.security_group_rules",
                              .noun = "security group rule ID",
                              .prefix = "sgr-",
                              .not_found = &rule_id_not_found,
                              .malformed = &rule_id_malformed};
    struct ec2_resources chosen = {0};
    TRY(ec2_choose(op, &asked, &all, &chosen, &ret->next_token));
    ret->security_group_rules.is_set = true;
    for (size_t i = 0; i < chosen.count; i++) {
        struct ec2_security_group_rule *shown = ARENA_PUSH(&op->arena, &ret->security_group_rules);
        *shown = rules.items[chosen.items[i].index];
        shown->tags.is_set = true;
    }
    return ERR_OK;
}
