#pragma once
/* Operations on load balancers. Private to the module. */

#include "gen/engine.h"
#include "svc/common/tags.h"
#include "svc/elbv2/elbv2.h"

enum err elbv2_create_load_balancer(struct op *op, struct elbv2 *e,
                                    const struct elbv2_create_load_balancer_in *in,
                                    struct elbv2_create_load_balancer_out *ret);
enum err elbv2_describe_load_balancers(struct op *op, struct elbv2 *e,
                                       const struct elbv2_describe_load_balancers_in *in,
                                       struct elbv2_describe_load_balancers_out *ret);
enum err elbv2_delete_load_balancer(struct op *op, struct elbv2 *e,
                                    const struct elbv2_delete_load_balancer_in *in,
                                    struct elbv2_delete_load_balancer_out *ret);
enum err elbv2_describe_load_balancer_attributes(
    struct op *op, struct elbv2 *e, const struct elbv2_describe_load_balancer_attributes_in *in,
    struct elbv2_describe_load_balancer_attributes_out *ret);
enum err elbv2_modify_load_balancer_attributes(
    struct op *op, struct elbv2 *e, const struct elbv2_modify_load_balancer_attributes_in *in,
    struct elbv2_modify_load_balancer_attributes_out *ret);
enum err elbv2_set_security_groups(struct op *op, struct elbv2 *e,
                                   const struct elbv2_set_security_groups_in *in,
                                   struct elbv2_set_security_groups_out *ret);
enum err elbv2_set_subnets(struct op *op, struct elbv2 *e, const struct elbv2_set_subnets_in *in,
                           struct elbv2_set_subnets_out *ret);
enum err elbv2_set_ip_address_type(struct op *op, struct elbv2 *e,
                                   const struct elbv2_set_ip_address_type_in *in,
                                   struct elbv2_set_ip_address_type_out *ret);
enum err elbv2_describe_capacity_reservation(
    struct op *op, struct elbv2 *e, const struct elbv2_describe_capacity_reservation_in *in,
    struct elbv2_describe_capacity_reservation_out *ret);

/* A name of a load balancer or target group. noun: "The load balancer name", ... */
enum err elbv2_check_name(struct op *op, const char *noun, struct str name);
/* Why nothing is served on this listener, or absent when it is. */
struct str elbv2_why_not_served(struct op *op, const struct elbv2_load_balancer *lb,
                                const struct elbv2_listener *listener);
/* Tags as every create operation takes them. */
extern const struct tag_errors elbv2_tag_errors;
void elbv2_keep_tags(struct op *op, const struct tags *tags, struct engine_elb_more *more);
struct tags elbv2_kept_tags(struct op *op, const struct engine_elb_more *more);
