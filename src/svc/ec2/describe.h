#pragma once
/* The Describe operations, by file. Private to the module. */

#include "gen/ec2.h"

/* vpcs.c */
enum err ec2_describe_vpcs(struct op *op, struct ec2 *ec2, const struct ec2_describe_vpcs_in *in,
                           struct ec2_describe_vpcs_out *ret);
enum err ec2_describe_vpc_attribute(struct op *op, struct ec2 *ec2,
                                    const struct ec2_describe_vpc_attribute_in *in,
                                    struct ec2_describe_vpc_attribute_out *ret);
enum err ec2_describe_subnets(struct op *op, struct ec2 *ec2,
                              const struct ec2_describe_subnets_in *in,
                              struct ec2_describe_subnets_out *ret);
/* security_groups.c */
enum err ec2_describe_security_groups(struct op *op, struct ec2 *ec2,
                                      const struct ec2_describe_security_groups_in *in,
                                      struct ec2_describe_security_groups_out *ret);
/* acls.c */
enum err ec2_describe_network_acls(struct op *op, struct ec2 *ec2,
                                   const struct ec2_describe_network_acls_in *in,
                                   struct ec2_describe_network_acls_out *ret);
/* routes.c */
enum err ec2_describe_route_tables(struct op *op, struct ec2 *ec2,
                                   const struct ec2_describe_route_tables_in *in,
                                   struct ec2_describe_route_tables_out *ret);
enum err ec2_describe_internet_gateways(struct op *op, struct ec2 *ec2,
                                        const struct ec2_describe_internet_gateways_in *in,
                                        struct ec2_describe_internet_gateways_out *ret);
enum err ec2_describe_network_interfaces(struct op *op, struct ec2 *ec2,
                                         const struct ec2_describe_network_interfaces_in *in,
                                         struct ec2_describe_network_interfaces_out *ret);
/* places.c */
enum err ec2_describe_availability_zones(struct op *op, struct ec2 *ec2,
                                         const struct ec2_describe_availability_zones_in *in,
                                         struct ec2_describe_availability_zones_out *ret);
enum err ec2_describe_regions(struct op *op, struct ec2 *ec2,
                              const struct ec2_describe_regions_in *in,
                              struct ec2_describe_regions_out *ret);
