#pragma once
/* Security groups and their rules. Private to the module. */

#include "svc/common/security_groups.h"
#include "svc/common/tags.h"
#include "svc/ec2/ec2.h"
#include "svc/ec2/filter.h"

extern const struct err_public ec2_error_group_not_found;
extern const struct err_public ec2_error_group_malformed;
extern const struct tag_errors ec2_tag_errors;

/* By id, or by the name within the default VPC. Fails with InvalidGroup.NotFound. */
enum err ec2_find_group(struct op *op, struct ec2 *ec2, struct str id, struct str name,
                        struct engine_ec2_group *ret);
/* Every group of the region, the default one first. */
enum err ec2_list_groups(struct op *op, struct ec2 *ec2, struct engine_ec2_group **ret,
                         size_t *ret_count);
/* Tells who cares after the commit. */
enum err ec2_put_group(struct op *op, struct ec2 *ec2, const struct engine_ec2_group *group);
/* The tags that a call gives to resources of this type. */
enum err ec2_tags_for(struct op *op, const struct ec2_tag_specification_list *specifications,
                      enum ec2_resource_type type, struct ec2_tag_list *ret);
/* tag:KEY, tag-key and tag-value. */
void ec2_tag_facts(struct arena *a, struct ec2_facts *facts, const struct ec2_tag_list *tags);

/* security_groups.c */
enum err ec2_create_security_group(struct op *op, struct ec2 *ec2,
                                   const struct ec2_create_security_group_in *in,
                                   struct ec2_create_security_group_out *ret);
enum err ec2_delete_security_group(struct op *op, struct ec2 *ec2,
                                   const struct ec2_delete_security_group_in *in,
                                   struct ec2_delete_security_group_out *ret);
enum err ec2_create_tags(struct op *op, struct ec2 *ec2, const struct ec2_create_tags_in *in,
                         struct ec2_create_tags_out *ret);
enum err ec2_delete_tags(struct op *op, struct ec2 *ec2, const struct ec2_delete_tags_in *in,
                         struct ec2_delete_tags_out *ret);

/* security_rules.c */
enum err ec2_authorize_security_group_ingress(
    struct op *op, struct ec2 *ec2, const struct ec2_authorize_security_group_ingress_in *in,
    struct ec2_authorize_security_group_ingress_out *ret);
enum err ec2_authorize_security_group_egress(
    struct op *op, struct ec2 *ec2, const struct ec2_authorize_security_group_egress_in *in,
    struct ec2_authorize_security_group_egress_out *ret);
enum err ec2_revoke_security_group_ingress(struct op *op, struct ec2 *ec2,
                                           const struct ec2_revoke_security_group_ingress_in *in,
                                           struct ec2_revoke_security_group_ingress_out *ret);
enum err ec2_revoke_security_group_egress(struct op *op, struct ec2 *ec2,
                                          const struct ec2_revoke_security_group_egress_in *in,
                                          struct ec2_revoke_security_group_egress_out *ret);
enum err ec2_describe_security_group_rules(struct op *op, struct ec2 *ec2,
                                           const struct ec2_describe_security_group_rules_in *in,
                                           struct ec2_describe_security_group_rules_out *ret);
