#include "svc/ec2/describe.h"

#include "svc/common/arn.h"
#include "svc/common/network.h"
#include "svc/ec2/filter.h"

/* A /20 less the five addresses that AWS keeps for itself. */
#define SUBNET_FREE_ADDRESSES 4091

static const struct err_public vpc_not_found = {.code = "InvalidVpcID.NotFound",
                                                .http_status = 400};
static const struct err_public vpc_malformed = {.code = "InvalidVpcID.Malformed",
                                                .http_status = 400};
static const struct err_public subnet_not_found = {.code = "InvalidSubnetID.NotFound",
                                                   .http_status = 400};
static const struct err_public subnet_malformed = {.code = "InvalidSubnetID.Malformed",
                                                   .http_status = 400};

/* ---- the VPC -------------------------------------------------------------------------------- */

static struct str association_of(struct op *op, const struct network *n)
{
    return arena_printf(&op->arena, "vpc-cidr-assoc-%.*s", STR_ARG(str_from(n->vpc_id, 4)));
}

static struct ec2_facts vpc_facts(struct op *op, const struct network *n)
{
    struct arena *a = &op->arena;
    struct ec2_facts f = {0};
    ec2_fact(a, &f, "vpc-id", n->vpc_id);
    ec2_fact(a, &f, "cidr", STR(NETWORK_VPC_CIDR));
    ec2_fact(a, &f, "cidr-block", STR(NETWORK_VPC_CIDR));
    ec2_fact(a, &f, "cidrBlock", STR(NETWORK_VPC_CIDR));
    ec2_fact(a, &f, "cidr-block-association.cidr-block", STR(NETWORK_VPC_CIDR));
    ec2_fact(a, &f, "cidr-block-association.association-id", association_of(op, n));
    ec2_fact(a, &f, "cidr-block-association.state", STR("associated"));
    ec2_fact(a, &f, "dhcp-options-id", n->dhcp_options_id);
    ec2_fact(a, &f, "dhcpOptionsId", n->dhcp_options_id);
    ec2_fact_bool(a, &f, "is-default", true);
    ec2_fact_bool(a, &f, "isDefault", true);
    ec2_fact(a, &f, "owner-id", op->account);
    ec2_fact(a, &f, "state", STR("available"));
    ec2_facts_without(a, &f,
                      "ipv6-cidr-block-association.association-id "
                      "ipv6-cidr-block-association.ipv6-cidr-block "
                      "ipv6-cidr-block-association.ipv6-pool ipv6-cidr-block-association.state");
    return f;
}

static struct ec2_vpc vpc_of(struct op *op, const struct network *n)
{
    struct ec2_vpc vpc = {
        .vpc_id = n->vpc_id,
        .owner_id = op->account,
        .instance_tenancy = EC2_TENANCY_DEFAULT,
        .is_default = OPT_BOOL(true),
        .state = EC2_VPC_STATE_AVAILABLE,
        .cidr_block = STR(NETWORK_VPC_CIDR),
        .dhcp_options_id = n->dhcp_options_id,
        .cidr_block_association_set = {.is_set = true},
        .block_public_access_states = ARENA_NEW(&op->arena, struct ec2_block_public_access_states),
    };
    vpc.block_public_access_states->internet_gateway_block_mode = EC2_BLOCK_PUBLIC_ACCESS_MODE_OFF;
    struct ec2_vpc_cidr_block_association *association =
        ARENA_PUSH(&op->arena, &vpc.cidr_block_association_set);
    association->association_id = association_of(op, n);
    association->cidr_block = STR(NETWORK_VPC_CIDR);
    association->cidr_block_state = ARENA_NEW(&op->arena, struct ec2_vpc_cidr_block_state);
    association->cidr_block_state->state = EC2_VPC_CIDR_BLOCK_STATE_CODE_ASSOCIATED;
    return vpc;
}

static const struct ec2_asked vpc_asked = {.list_name = "ec2.vpcs",
                                           .noun = "vpc ID",
                                           .prefix = "vpc-",
                                           .not_found = &vpc_not_found,
                                           .malformed = &vpc_malformed};

enum err ec2_describe_vpcs(struct op *op, struct ec2 *ec2, const struct ec2_describe_vpcs_in *in,
                           struct ec2_describe_vpcs_out *ret)
{
    (void)ec2;
    TRY(ec2_check_dry_run(op, in->dry_run));
    struct network n = network_default(&op->arena, op->region);
    struct ec2_resource only = {.id = n.vpc_id, .facts = vpc_facts(op, &n)};
    struct ec2_asked asked = vpc_asked;
    asked.ids = in->vpc_ids.items;
    asked.id_count = in->vpc_ids.count;
    asked.filters = &in->filters;
    asked.max_results = in->max_results;
    asked.next_token = in->next_token;
    struct ec2_resources shown = {0};
    TRY(ec2_choose(op, &asked, &(struct ec2_resources){&only, 1}, &shown, &ret->next_token));
    ret->vpcs.is_set = true;
    for (size_t i = 0; i < shown.count; i++) {
        *ARENA_PUSH(&op->arena, &ret->vpcs) = vpc_of(op, &n);
    }
    return ERR_OK;
}

enum err ec2_describe_vpc_attribute(struct op *op, struct ec2 *ec2,
                                    const struct ec2_describe_vpc_attribute_in *in,
                                    struct ec2_describe_vpc_attribute_out *ret)
{
    (void)ec2;
    struct network n = network_default(&op->arena, op->region);
    TRY(ec2_check_dry_run(op, in->dry_run));
    if (!str_equal(in->vpc_id, n.vpc_id)) {
        return op_fail_as(op, ERR_NOT_FOUND, &vpc_not_found, "The vpc ID '%.*s' does not exist",
                          STR_ARG(in->vpc_id));
    }
    struct ec2_attribute_boolean_value *value =
        ARENA_NEW(&op->arena, struct ec2_attribute_boolean_value);
    ret->vpc_id = n.vpc_id;
    switch (in->attribute) {
    case EC2_VPC_ATTRIBUTE_NAME_ENABLEDNSSUPPORT:
        value->value = OPT_BOOL(true);
        ret->enable_dns_support = value;
        return ERR_OK;
    case EC2_VPC_ATTRIBUTE_NAME_ENABLEDNSHOSTNAMES:
        value->value = OPT_BOOL(true);
        ret->enable_dns_hostnames = value;
        return ERR_OK;
    case EC2_VPC_ATTRIBUTE_NAME_ENABLENETWORKADDRESSUSAGEMETRICS:
        value->value = OPT_BOOL(false);
        ret->enable_network_address_usage_metrics = value;
        return ERR_OK;
    case EC2_VPC_ATTRIBUTE_NAME_UNSET:
        break;
    }
    return op_fail_as(op, ERR_INPUT, &ec2_error_invalid_parameter_value,
                      "The attribute is not known");
}

/* ---- subnets -------------------------------------------------------------------------------- */

static struct ec2_facts subnet_facts(struct op *op, const struct network *n,
                                     const struct network_subnet *s)
{
    struct arena *a = &op->arena;
    struct ec2_facts f = {0};
    ec2_fact(a, &f, "subnet-id", s->id);
    ec2_fact(a, &f, "subnet-arn", arn_makef(op, STR("ec2"), "subnet/%.*s", STR_ARG(s->id)));
    ec2_fact(a, &f, "vpc-id", n->vpc_id);
    ec2_fact(a, &f, "availability-zone", s->zone);
    ec2_fact(a, &f, "availabilityZone", s->zone);
    ec2_fact(a, &f, "availability-zone-id", s->zone_id);
    ec2_fact(a, &f, "availabilityZoneId", s->zone_id);
    ec2_fact(a, &f, "available-ip-address-count", arena_printf(a, "%d", SUBNET_FREE_ADDRESSES));
    ec2_fact(a, &f, "cidr", s->cidr);
    ec2_fact(a, &f, "cidr-block", s->cidr);
    ec2_fact(a, &f, "cidrBlock", s->cidr);
    ec2_fact_bool(a, &f, "default-for-az", true);
    ec2_fact_bool(a, &f, "defaultForAz", true);
    ec2_fact_bool(a, &f, "map-public-ip-on-launch", true);
    ec2_fact_bool(a, &f, "map-customer-owned-ip-on-launch", false);
    ec2_fact_bool(a, &f, "enable-dns64", false);
    ec2_fact_bool(a, &f, "ipv6-native", false);
    ec2_fact(a, &f, "owner-id", op->account);
    ec2_fact(a, &f, "state", STR("available"));
    ec2_facts_without(a, &f,
                      "customer-owned-ipv4-pool enable-lni-at-device-index outpost-arn "
                      "ipv6-cidr-block-association.association-id "
                      "ipv6-cidr-block-association.ipv6-cidr-block "
                      "ipv6-cidr-block-association.state "
                      "private-dns-name-options-on-launch.hostname-type");
    return f;
}

static struct ec2_subnet subnet_of(struct op *op, const struct network *n,
                                   const struct network_subnet *s)
{
    struct ec2_subnet subnet = {
        .subnet_id = s->id,
        .subnet_arn = arn_makef(op, STR("ec2"), "subnet/%.*s", STR_ARG(s->id)),
        .vpc_id = n->vpc_id,
        .owner_id = op->account,
        .availability_zone = s->zone,
        .availability_zone_id = s->zone_id,
        .cidr_block = s->cidr,
        .available_ip_address_count = OPT_I32(SUBNET_FREE_ADDRESSES),
        .state = EC2_SUBNET_STATE_AVAILABLE,
        .default_for_az = OPT_BOOL(true),
        .map_public_ip_on_launch = OPT_BOOL(true),
        .map_customer_owned_ip_on_launch = OPT_BOOL(false),
        .assign_ipv6_address_on_creation = OPT_BOOL(false),
        .enable_dns64 = OPT_BOOL(false),
        .ipv6_native = OPT_BOOL(false),
        .ipv6_cidr_block_association_set = {.is_set = true},
        .private_dns_name_options_on_launch =
            ARENA_NEW(&op->arena, struct ec2_private_dns_name_options_on_launch),
        .block_public_access_states = ARENA_NEW(&op->arena, struct ec2_block_public_access_states),
    };
    subnet.block_public_access_states->internet_gateway_block_mode =
        EC2_BLOCK_PUBLIC_ACCESS_MODE_OFF;
    *subnet.private_dns_name_options_on_launch = (struct ec2_private_dns_name_options_on_launch){
        .hostname_type = EC2_HOSTNAME_TYPE_IP_NAME,
        .enable_resource_name_dns_a_record = OPT_BOOL(false),
        .enable_resource_name_dns_aaaa_record = OPT_BOOL(false)};
    return subnet;
}

static const struct ec2_asked subnet_asked = {.list_name = "ec2.subnets",
                                              .noun = "subnet ID",
                                              .prefix = "subnet-",
                                              .not_found = &subnet_not_found,
                                              .malformed = &subnet_malformed};

enum err ec2_describe_subnets(struct op *op, struct ec2 *ec2,
                              const struct ec2_describe_subnets_in *in,
                              struct ec2_describe_subnets_out *ret)
{
    (void)ec2;
    TRY(ec2_check_dry_run(op, in->dry_run));
    struct network n = network_default(&op->arena, op->region);
    struct ec2_resource all[NETWORK_SUBNETS];
    for (size_t i = 0; i < NETWORK_SUBNETS; i++) {
        all[i] = (struct ec2_resource){
            .id = n.subnets[i].id, .facts = subnet_facts(op, &n, &n.subnets[i]), .index = i};
    }
    struct ec2_asked asked = subnet_asked;
    asked.ids = in->subnet_ids.items;
    asked.id_count = in->subnet_ids.count;
    asked.filters = &in->filters;
    asked.max_results = in->max_results;
    asked.next_token = in->next_token;
    struct ec2_resources shown = {0};
    TRY(ec2_choose(op, &asked, &(struct ec2_resources){all, NETWORK_SUBNETS}, &shown,
                   &ret->next_token));
    ret->subnets.is_set = true;
    for (size_t i = 0; i < shown.count; i++) {
        *ARENA_PUSH(&op->arena, &ret->subnets) =
            subnet_of(op, &n, &n.subnets[shown.items[i].index]);
    }
    return ERR_OK;
}
