#include "svc/ec2/describe.h"

#include "svc/common/network.h"
#include "svc/ec2/filter.h"

#define ACL_LAST_RULE 32767

static const struct err_public acl_not_found = {.code = "InvalidNetworkAclID.NotFound",
                                                .http_status = 400};
static const struct err_public acl_malformed = {.code = "InvalidNetworkAclId.Malformed",
                                                .http_status = 400};

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
