#include "svc/common/network.h"
#include "svc/ec2/ec2.h"
#include "test.h"

static struct network begin(struct op *op)
{
    op_init(op);
    op->account = STR("123456789012");
    op->region = STR("eu-west-1");
    return network_default(&op->arena, op->region);
}

static const char *code_of(const struct op *op, enum err result)
{
    if (result == ERR_OK) {
        return "";
    }
    return op->note.public_error == NULL ? "(none)" : op->note.public_error->code;
}

static void add_filter(struct op *op, struct ec2_filter_list *filters, const char *name,
                       const char *value)
{
    struct ec2_filter *filter = ARENA_PUSH(&op->arena, filters);
    filter->name = str_of(name);
    *ARENA_PUSH(&op->arena, &filter->values) = str_of(value);
}

TEST(there_is_one_default_vpc)
{
    auto_op struct op op;
    struct network n = begin(&op);
    struct ec2_describe_vpcs_in in = {0};
    struct ec2_describe_vpcs_out out = {0};
    add_filter(&op, &in.filters, "isDefault", "true");
    REQUIRE_OK(ec2_handlers.describe_vpcs(&op, NULL, &in, &out), &op);
    REQUIRE_EQ(out.vpcs.count, 1);
    EXPECT_STR_EQ(out.vpcs.items[0].vpc_id, n.vpc_id);
    EXPECT_STR(out.vpcs.items[0].cidr_block, "172.31.0.0/16");
    EXPECT(out.vpcs.items[0].is_default.value);
    EXPECT_EQ(out.vpcs.items[0].state, EC2_VPC_STATE_AVAILABLE);

    *ARENA_PUSH(&op.arena, &in.vpc_ids) = STR("vpc-12345678");
    EXPECT_STR(str_of(code_of(&op, ec2_handlers.describe_vpcs(&op, NULL, &in, &out))),
               "InvalidVpcID.NotFound");
    EXPECT_STR(str_of(op.note.text), "The vpc ID 'vpc-12345678' does not exist");
    in.vpc_ids.items[0] = STR("12345678");
    EXPECT_STR(str_of(code_of(&op, ec2_handlers.describe_vpcs(&op, NULL, &in, &out))),
               "InvalidVpcID.Malformed");
    in.vpc_ids.items[0] = n.vpc_id;
    in.max_results = OPT_I32(5);
    EXPECT_STR(str_of(code_of(&op, ec2_handlers.describe_vpcs(&op, NULL, &in, &out))),
               "InvalidParameterCombination");
    in = (struct ec2_describe_vpcs_in){.dry_run = OPT_BOOL(true)};
    EXPECT_STR(str_of(code_of(&op, ec2_handlers.describe_vpcs(&op, NULL, &in, &out))),
               "DryRunOperation");
}

TEST(attributes_of_the_vpc_are_told_one_at_a_time)
{
    auto_op struct op op;
    struct network n = begin(&op);
    struct ec2_describe_vpc_attribute_in in = {
        .vpc_id = n.vpc_id, .attribute = EC2_VPC_ATTRIBUTE_NAME_ENABLEDNSHOSTNAMES};
    struct ec2_describe_vpc_attribute_out out = {0};
    REQUIRE_OK(ec2_handlers.describe_vpc_attribute(&op, NULL, &in, &out), &op);
    REQUIRE(out.enable_dns_hostnames != NULL);
    EXPECT(out.enable_dns_hostnames->value.value);
    EXPECT(out.enable_dns_support == NULL);
    in.vpc_id = STR("vpc-1");
    EXPECT_STR(str_of(code_of(&op, ec2_handlers.describe_vpc_attribute(&op, NULL, &in, &out))),
               "InvalidVpcID.NotFound");
}

TEST(subnets_are_filtered_and_come_in_pages)
{
    auto_op struct op op;
    struct network n = begin(&op);
    struct ec2_describe_subnets_in in = {0};
    struct ec2_describe_subnets_out out = {0};
    add_filter(&op, &in.filters, "vpc-id", arena_c_str(&op.arena, n.vpc_id));
    add_filter(&op, &in.filters, "availability-zone", "eu-*-1[ab]");
    REQUIRE_OK(ec2_handlers.describe_subnets(&op, NULL, &in, &out), &op);
    EXPECT_EQ(out.subnets.count, 0); /* [ab] is no wildcard */
    in.filters.items[1].values.items[0] = STR("eu-*-1?");
    out = (struct ec2_describe_subnets_out){0};
    REQUIRE_OK(ec2_handlers.describe_subnets(&op, NULL, &in, &out), &op);
    REQUIRE_EQ(out.subnets.count, 3);
    EXPECT_STR(out.subnets.items[2].availability_zone, "eu-west-1c");
    EXPECT_STR(out.subnets.items[1].cidr_block, "172.31.16.0/20");
    in.filters.items[1].values.items[0] = STR("eu-west-1b");
    out = (struct ec2_describe_subnets_out){0};
    REQUIRE_OK(ec2_handlers.describe_subnets(&op, NULL, &in, &out), &op);
    REQUIRE_EQ(out.subnets.count, 1);
    EXPECT_STR_EQ(out.subnets.items[0].subnet_id, n.subnets[1].id);
    in.filters.items[1].name = STR("tag:Name");
    out = (struct ec2_describe_subnets_out){0};
    REQUIRE_OK(ec2_handlers.describe_subnets(&op, NULL, &in, &out), &op);
    EXPECT_EQ(out.subnets.count, 0);
    in.filters.items[1].name = STR("colour");
    EXPECT_STR(str_of(code_of(&op, ec2_handlers.describe_subnets(&op, NULL, &in, &out))),
               "InvalidParameterValue");
    EXPECT_STR(str_of(op.note.text), "The filter 'colour' is invalid");

    in = (struct ec2_describe_subnets_in){.max_results = OPT_I32(2)};
    out = (struct ec2_describe_subnets_out){0};
    REQUIRE_OK(ec2_handlers.describe_subnets(&op, NULL, &in, &out), &op);
    EXPECT_EQ(out.subnets.count, 2);
    in.next_token = out.next_token;
    out = (struct ec2_describe_subnets_out){0};
    REQUIRE_OK(ec2_handlers.describe_subnets(&op, NULL, &in, &out), &op);
    REQUIRE_EQ(out.subnets.count, 1);
    EXPECT_STR_EQ(out.subnets.items[0].subnet_id, n.subnets[2].id);
    EXPECT(!str_is_set(out.next_token));
    in.next_token = STR("x");
    EXPECT_STR(str_of(code_of(&op, ec2_handlers.describe_subnets(&op, NULL, &in, &out))),
               "InvalidNextToken");
    in = (struct ec2_describe_subnets_in){0};
    *ARENA_PUSH(&op.arena, &in.subnet_ids) = STR("subnet-0");
    EXPECT_STR(str_of(code_of(&op, ec2_handlers.describe_subnets(&op, NULL, &in, &out))),
               "InvalidSubnetID.NotFound");
}

TEST(the_default_security_group_is_found_by_id_name_and_filter)
{
    auto_op struct op op;
    struct network n = begin(&op);
    struct ec2_describe_security_groups_in in = {0};
    struct ec2_describe_security_groups_out out = {0};
    add_filter(&op, &in.filters, "group-name", "default");
    *ARENA_PUSH(&op.arena, &in.group_ids) = n.security_group_id;
    REQUIRE_OK(ec2_handlers.describe_security_groups(&op, NULL, &in, &out), &op);
    REQUIRE_EQ(out.security_groups.count, 1);
    EXPECT_STR(out.security_groups.items[0].description, "default VPC security group");
    EXPECT_EQ(out.security_groups.items[0].ip_permissions_egress.count, 1);
    in.group_ids.items[0] = STR("sg-0123");
    EXPECT_STR(str_of(code_of(&op, ec2_handlers.describe_security_groups(&op, NULL, &in, &out))),
               "InvalidGroup.NotFound");
    EXPECT_STR(str_of(op.note.text), "The security group 'sg-0123' does not exist");
    in = (struct ec2_describe_security_groups_in){0};
    *ARENA_PUSH(&op.arena, &in.group_names) = STR("web");
    EXPECT_STR(str_of(code_of(&op, ec2_handlers.describe_security_groups(&op, NULL, &in, &out))),
               "InvalidGroup.NotFound");
}

TEST(zones_and_regions_are_those_of_aws)
{
    auto_op struct op op;
    (void)begin(&op);
    struct ec2_describe_availability_zones_in in = {0};
    struct ec2_describe_availability_zones_out out = {0};
    REQUIRE_OK(ec2_handlers.describe_availability_zones(&op, NULL, &in, &out), &op);
    REQUIRE_EQ(out.availability_zones.count, 3);
    EXPECT_STR(out.availability_zones.items[0].zone_id, "euw1-az1");
    *ARENA_PUSH(&op.arena, &in.zone_names) = STR("eu-west-1z");
    EXPECT_STR(str_of(code_of(&op, ec2_handlers.describe_availability_zones(&op, NULL, &in, &out))),
               "InvalidParameterValue");

    struct ec2_describe_regions_in ask = {0};
    struct ec2_describe_regions_out regions = {0};
    REQUIRE_OK(ec2_handlers.describe_regions(&op, NULL, &ask, &regions), &op);
    EXPECT_EQ(regions.regions.count, network_region_count);
    *ARENA_PUSH(&op.arena, &ask.region_names) = STR("us-east-1");
    regions = (struct ec2_describe_regions_out){0};
    REQUIRE_OK(ec2_handlers.describe_regions(&op, NULL, &ask, &regions), &op);
    REQUIRE_EQ(regions.regions.count, 1);
    EXPECT_STR(regions.regions.items[0].endpoint, "ec2.us-east-1.amazonaws.com");
    op.region = STR("mars-north-1"); /* every region exists */
    ask = (struct ec2_describe_regions_in){0};
    regions = (struct ec2_describe_regions_out){0};
    REQUIRE_OK(ec2_handlers.describe_regions(&op, NULL, &ask, &regions), &op);
    EXPECT_EQ(regions.regions.count, network_region_count + 1);
}

TEST(routes_acls_gateways_and_interfaces_are_there_to_be_read)
{
    auto_op struct op op;
    struct network n = begin(&op);
    struct ec2_describe_route_tables_in tables = {0};
    struct ec2_describe_route_tables_out routes = {0};
    add_filter(&op, &tables.filters, "association.main", "true");
    add_filter(&op, &tables.filters, "vpc-id", arena_c_str(&op.arena, n.vpc_id));
    REQUIRE_OK(ec2_handlers.describe_route_tables(&op, NULL, &tables, &routes), &op);
    REQUIRE_EQ(routes.route_tables.count, 1);
    EXPECT_EQ(routes.route_tables.items[0].routes.count, 2);
    *ARENA_PUSH(&op.arena, &tables.route_table_ids) = STR("rtb-1");
    EXPECT_STR(
        str_of(code_of(&op, ec2_handlers.describe_route_tables(&op, NULL, &tables, &routes))),
        "InvalidRouteTableID.NotFound");

    struct ec2_describe_network_acls_in acls = {0};
    struct ec2_describe_network_acls_out told = {0};
    add_filter(&op, &acls.filters, "default", "true");
    REQUIRE_OK(ec2_handlers.describe_network_acls(&op, NULL, &acls, &told), &op);
    REQUIRE_EQ(told.network_acls.count, 1);
    EXPECT_EQ(told.network_acls.items[0].entries.count, 4);
    EXPECT_EQ(told.network_acls.items[0].associations.count, 3);

    struct ec2_describe_internet_gateways_in gateways = {0};
    struct ec2_describe_internet_gateways_out shown = {0};
    add_filter(&op, &gateways.filters, "attachment.vpc-id", arena_c_str(&op.arena, n.vpc_id));
    REQUIRE_OK(ec2_handlers.describe_internet_gateways(&op, NULL, &gateways, &shown), &op);
    EXPECT_EQ(shown.internet_gateways.count, 1);

    struct ec2_describe_network_interfaces_in interfaces = {0};
    struct ec2_describe_network_interfaces_out none = {0};
    add_filter(&op, &interfaces.filters, "group-id", "sg-1");
    add_filter(&op, &interfaces.filters, "attachment.instance-owner-id", "amazon-elb");
    REQUIRE_OK(ec2_handlers.describe_network_interfaces(&op, NULL, &interfaces, &none), &op);
    EXPECT_EQ(none.network_interfaces.count, 0);
    EXPECT(none.network_interfaces.is_set);
    add_filter(&op, &interfaces.filters, "colour", "red");
    EXPECT_STR(str_of(code_of(
                   &op, ec2_handlers.describe_network_interfaces(&op, NULL, &interfaces, &none))),
               "InvalidParameterValue");
    interfaces = (struct ec2_describe_network_interfaces_in){0};
    *ARENA_PUSH(&op.arena, &interfaces.network_interface_ids) = STR("eni-1");
    EXPECT_STR(str_of(code_of(
                   &op, ec2_handlers.describe_network_interfaces(&op, NULL, &interfaces, &none))),
               "InvalidNetworkInterfaceID.NotFound");
}
