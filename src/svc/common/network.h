#pragma once
/* The network that every region has without anybody creating it: one VPC 172.31.0.0/16 with a
 * subnet of 4,096 addresses in each of three Availability Zones, a default security group, route
 * table, network ACL and internet gateway. Pure: its identifiers follow from the name of the
 * region, so every service and every start of the engine sees the same. Texts live in the given
 * arena. */

#include "base/arena.h"
#include "base/str.h"

#include <stdbool.h>

#define NETWORK_SUBNETS  3
#define NETWORK_VPC_CIDR "172.31.0.0/16"

struct network_subnet {
    struct str id;      /* "subnet-<17 hex>" */
    struct str zone;    /* "eu-west-1a" */
    struct str zone_id; /* "euw1-az1" */
    struct str cidr;    /* "172.31.0.0/20" */
};

struct network {
    struct str region;
    struct str vpc_id;
    struct network_subnet subnets[NETWORK_SUBNETS];
    struct str security_group_id;
    struct str route_table_id;
    struct str acl_id;
    struct str internet_gateway_id;
    struct str dhcp_options_id;
};

struct network network_default(struct arena *a, struct str region);
/* NULL when the network has no such subnet. */
const struct network_subnet *network_find_subnet(const struct network *n, struct str subnet_id);

/* Regions that AWS lists. The engine answers in every region; this is for DescribeRegions. */
extern const struct str network_regions[];
extern const size_t network_region_count;
