#include "svc/ec2/ec2.h"

#include "svc/ec2/describe.h"

const struct ec2_handlers ec2_handlers = {
    .describe_vpcs = ec2_describe_vpcs,
    .describe_subnets = ec2_describe_subnets,
    .describe_security_groups = ec2_describe_security_groups,
    .describe_availability_zones = ec2_describe_availability_zones,
    .describe_regions = ec2_describe_regions,
    .describe_vpc_attribute = ec2_describe_vpc_attribute,
    .describe_network_interfaces = ec2_describe_network_interfaces,
    .describe_route_tables = ec2_describe_route_tables,
    .describe_network_acls = ec2_describe_network_acls,
    .describe_internet_gateways = ec2_describe_internet_gateways,
};
