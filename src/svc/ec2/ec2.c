#include "svc/ec2/ec2.h"

#include "svc/ec2/describe.h"
#include "svc/ec2/security.h"

const struct ec2_handlers ec2_handlers = {
    .describe_vpcs = ec2_describe_vpcs,
    .describe_subnets = ec2_describe_subnets,
    .describe_security_groups = ec2_describe_security_groups,
    .create_security_group = ec2_create_security_group,
    .delete_security_group = ec2_delete_security_group,
    .describe_security_group_rules = ec2_describe_security_group_rules,
    .authorize_security_group_ingress = ec2_authorize_security_group_ingress,
    .authorize_security_group_egress = ec2_authorize_security_group_egress,
    .revoke_security_group_ingress = ec2_revoke_security_group_ingress,
    .revoke_security_group_egress = ec2_revoke_security_group_egress,
    .create_tags = ec2_create_tags,
    .delete_tags = ec2_delete_tags,
    .describe_availability_zones = ec2_describe_availability_zones,
    .describe_regions = ec2_describe_regions,
    .describe_vpc_attribute = ec2_describe_vpc_attribute,
    .describe_network_interfaces = ec2_describe_network_interfaces,
    .describe_route_tables = ec2_describe_route_tables,
    .describe_network_acls = ec2_describe_network_acls,
    .describe_internet_gateways = ec2_describe_internet_gateways,
};
