#include "svc/ec2/describe.h"

#include "svc/common/arn.h"
#include "svc/common/network.h"
#include "svc/ec2/filter.h"

#define ACL_LAST_RULE 32767

static const struct err_public group_not_found = {.code = "InvalidGroup.NotFound",
                                                  .http_status = 400};
static const struct err_public group_malformed = {.code = "InvalidGroupId.Malformed",
                                                  .http_status = 400};
static const struct err_public acl_not_found = {.code = "InvalidNetworkAclID.NotFound",
                                                .http_status = 400};
static const struct err_public acl_malformed = {.code = "InvalidNetworkAclId.Malformed",
                                                .http_status = 400};

/* ---- the default security group ------------------------------------------------------------- */

static struct ec2_facts group_facts(struct op *op, const struct network *n)
{
    struct arena *a = &op->arena;
    struct ec2_facts f = {0};
    ec2_fact(a, &f, "group-id", n->security_group_id);
    ec2_fact(a, &f, "group-name", STR("default"));
    ec2_fact(a, &f, "description", STR("default VPC security group"));
    ec2_fact(a, &f, "owner-id", op->account);
    ec2_fact(a, &f, "vpc-id", n->vpc_id);
    ec2_fact(a, &f, "ip-permission.group-id", n->security_group_id);
    ec2_fact(a, &f, "ip-permission.protocol", STR("-1"));
    ec2_fact(a, &f, "ip-permission.user-id", op->account);
    ec2_fact(a, &f, "egress.ip-permission.cidr", STR("0.0.0.0/0"));
    ec2_fact(a, &f, "egress.ip-permission.protocol", STR("-1"));
    ec2_facts_without(a, &f,
                      "ip-permission.cidr ip-permission.from-port ip-permission.group-name "
                      "ip-permission.ipv6-cidr ip-permission.prefix-list-id ip-permission.to-port "
                      "egress.ip-permission.from-port egress.ip-permission.group-id "
                      "egress.ip-permission.group-name egress.ip-permission.ipv6-cidr "
                      "egress.ip-permission.prefix-list-id egress.ip-permission.to-port "
                      "egress.ip-permission.user-id");
    return f;
}

static struct ec2_ip_permission *permit_all(struct op *op, struct ec2_ip_permission_list *to)
{
    to->is_set = true;
    struct ec2_ip_permission *p = ARENA_PUSH(&op->arena, to);
    p->ip_protocol = STR("-1");
    p->user_id_group_pairs.is_set = true;
    p->ip_ranges.is_set = true;
    p->ipv6_ranges.is_set = true;
    p->prefix_list_ids.is_set = true;
    return p;
}

/* In: from members of the group; out: to everywhere. */
static struct ec2_security_group group_of(struct op *op, const struct network *n)
{
    struct ec2_security_group group = {
        .group_id = n->security_group_id,
        .group_name = STR("default"),
        .description = STR("default VPC security group"),
        .owner_id = op->account,
        .vpc_id = n->vpc_id,
        .security_group_arn =
            arn_makef(op, STR("ec2"), "security-group/%.*s", STR_ARG(n->security_group_id)),
    };
    struct ec2_ip_permission *in = permit_all(op, &group.ip_permissions);
    *ARENA_PUSH(&op->arena, &in->user_id_group_pairs) =
        (struct ec2_user_id_group_pair){.group_id = n->security_group_id, .user_id = op->account};
    struct ec2_ip_permission *out = permit_all(op, &group.ip_permissions_egress);
    *ARENA_PUSH(&op->arena, &out->ip_ranges) = (struct ec2_ip_range){.cidr_ip = STR("0.0.0.0/0")};
    return group;
}

static enum err check_names(struct op *op, const struct network *n,
                            const struct ec2_group_name_string_list *names)
{
    for (size_t i = 0; i < names->count; i++) {
        if (!STR_IS(names->items[i], "default")) {
            return op_fail_as(op, ERR_NOT_FOUND, &group_not_found,
                              "The security group '%.*s' does not exist in default VPC '%.*s'",
                              STR_ARG(names->items[i]), STR_ARG(n->vpc_id));
        }
    }
    return ERR_OK;
}

enum err ec2_describe_security_groups(struct op *op, struct ec2 *ec2,
                                      const struct ec2_describe_security_groups_in *in,
                                      struct ec2_describe_security_groups_out *ret)
{
    (void)ec2;
    TRY(ec2_check_dry_run(op, in->dry_run));
    struct network n = network_default(&op->arena, op->region);
    TRY(check_names(op, &n, &in->group_names));
    struct ec2_resource only = {.id = n.security_group_id, .facts = group_facts(op, &n)};
    struct ec2_asked asked = {.ids = in->group_ids.items,
                              .id_count = in->group_ids.count,
                              .filters = &in->filters,
                              .max_results = in->max_results,
                              .next_token = in->next_token,
                              .list_name = "ec2.security_groups",
                              .noun = "security group",
                              .prefix = "sg-",
                              .not_found = &group_not_found,
                              .malformed = &group_malformed};
    struct ec2_resources shown = {0};
    TRY(ec2_choose(op, &asked, &(struct ec2_resources){&only, 1}, &shown, &ret->next_token));
    ret->security_groups.is_set = true;
    for (size_t i = 0; i < shown.count; i++) {
        *ARENA_PUSH(&op->arena, &ret->security_groups) = group_of(op, &n);
    }
    return ERR_OK;
}

/* ---- the default network ACL ---------------------------------------------------------------- */

static struct str acl_association(struct op *op, const struct network_subnet *s)
{
    return arena_printf(&op->arena, "aclassoc-%.*s", STR_ARG(str_from(s->id, 7)));
}

static struct ec2_facts acl_facts(struct op *op, const struct network *n)
{
    struct arena *a = &op->arena;
    struct ec2_facts f = {0};
    ec2_fact(a, &f, "network-acl-id", n->acl_id);
    ec2_fact(a, &f, "vpc-id", n->vpc_id);
    ec2_fact(a, &f, "owner-id", op->account);
    ec2_fact_bool(a, &f, "default", true);
    for (size_t i = 0; i < NETWORK_SUBNETS; i++) {
        ec2_fact(a, &f, "association.association-id", acl_association(op, &n->subnets[i]));
        ec2_fact(a, &f, "association.subnet-id", n->subnets[i].id);
    }
    ec2_fact(a, &f, "association.network-acl-id", n->acl_id);
    ec2_fact(a, &f, "entry.cidr", STR("0.0.0.0/0"));
    ec2_fact(a, &f, "entry.protocol", STR("-1"));
    ec2_fact(a, &f, "entry.rule-action", STR("allow"));
    ec2_fact(a, &f, "entry.rule-action", STR("deny"));
    ec2_fact(a, &f, "entry.rule-number", STR("100"));
    ec2_fact(a, &f, "entry.rule-number", arena_printf(a, "%d", ACL_LAST_RULE));
    ec2_fact_bool(a, &f, "entry.egress", true);
    ec2_fact_bool(a, &f, "entry.egress", false);
    ec2_facts_without(a, &f,
                      "entry.icmp.code entry.icmp.type entry.ipv6-cidr entry.port-range.from "
                      "entry.port-range.to");
    return f;
}

static void push_entry(struct arena *a, struct ec2_network_acl_entry_list *to, bool is_egress,
                       bool is_last)
{
    to->is_set = true;
    *ARENA_PUSH(a, to) = (struct ec2_network_acl_entry){
        .cidr_block = STR("0.0.0.0/0"),
        .egress = OPT_BOOL(is_egress),
        .protocol = STR("-1"),
        .rule_action = is_last ? EC2_RULE_ACTION_DENY : EC2_RULE_ACTION_ALLOW,
        .rule_number = OPT_I32(is_last ? ACL_LAST_RULE : 100)};
}

static struct ec2_network_acl acl_of(struct op *op, const struct network *n)
{
    struct ec2_network_acl acl = {.network_acl_id = n->acl_id,
                                  .vpc_id = n->vpc_id,
                                  .owner_id = op->account,
                                  .is_default = OPT_BOOL(true),
                                  .associations = {.is_set = true}};
    for (size_t i = 0; i < NETWORK_SUBNETS; i++) {
        *ARENA_PUSH(&op->arena, &acl.associations) = (struct ec2_network_acl_association){
            .network_acl_association_id = acl_association(op, &n->subnets[i]),
            .network_acl_id = n->acl_id,
            .subnet_id = n->subnets[i].id};
    }
    push_entry(&op->arena, &acl.entries, true, false);
    push_entry(&op->arena, &acl.entries, true, true);
    push_entry(&op->arena, &acl.entries, false, false);
    push_entry(&op->arena, &acl.entries, false, true);
    return acl;
}

enum err ec2_describe_network_acls(struct op *op, struct ec2 *ec2,
                                   const struct ec2_describe_network_acls_in *in,
                                   struct ec2_describe_network_acls_out *ret)
{
    (void)ec2;
    TRY(ec2_check_dry_run(op, in->dry_run));
    struct network n = network_default(&op->arena, op->region);
    struct ec2_resource only = {.id = n.acl_id, .facts = acl_facts(op, &n)};
    struct ec2_asked asked = {.ids = in->network_acl_ids.items,
                              .id_count = in->network_acl_ids.count,
                              .filters = &in->filters,
                              .max_results = in->max_results,
                              .next_token = in->next_token,
                              .list_name = "ec2.network_acls",
                              .noun = "networkAcl ID",
                              .prefix = "acl-",
                              .not_found = &acl_not_found,
                              .malformed = &acl_malformed};
    struct ec2_resources shown = {0};
    TRY(ec2_choose(op, &asked, &(struct ec2_resources){&only, 1}, &shown, &ret->next_token));
    ret->network_acls.is_set = true;
    for (size_t i = 0; i < shown.count; i++) {
        *ARENA_PUSH(&op->arena, &ret->network_acls) = acl_of(op, &n);
    }
    return ERR_OK;
}
