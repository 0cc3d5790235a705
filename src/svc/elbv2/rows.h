#pragma once
/* The rows of this service and the names that they are found by. Private to the module.
 *
 *   kind                 key                                   parent
 *   elbv2.load_balancer  name
 *   elbv2.group          name
 *   elbv2.listener       ARN                                   ARN of the load balancer
 *   elbv2.rule           ARN                                   ARN of the listener
 *   elbv2.more           ARN of any of them                    ARN of the load balancer, or ""
 *   elbv2.target         group ARN \n host \n port             ARN of the group
 *   elbv2.trust_store    name
 *   elbv2.revocations    trust store ARN \n number             ARN of the trust store
 *   elbv2.secret         "cookies", of no region
 *   elbv2.reference      group ARN \n listener or rule ARN     ARN of the group
 *
 * A row is in the region that its ARN names. Every put and remove here notes that the part of the
 * snapshot has to be made anew after the commit. Not-found errors carry AWS's code and text. */

#include "gen/engine.h"
#include "store/store.h"
#include "svc/elbv2/elbv2.h"

extern const struct store_kind elbv2_kind_load_balancer;
extern const struct store_kind elbv2_kind_group;
extern const struct store_kind elbv2_kind_listener;
extern const struct store_kind elbv2_kind_rule;
extern const struct store_kind elbv2_kind_more;
extern const struct store_kind elbv2_kind_target;
extern const struct store_kind elbv2_kind_reference;

/* The service's general error: "ValidationError". */
extern const struct err_public elbv2_validation_error;
#define elbv2_invalid(op, ...) op_fail_as((op), ERR_INPUT, &elbv2_validation_error, __VA_ARGS__)

/* ---- ARNs ----------------------------------------------------------------------------------- */

enum elbv2_resource {
    ELBV2_NO_RESOURCE,
    ELBV2_LOAD_BALANCER,
    ELBV2_GROUP,
    ELBV2_LISTENER,
    ELBV2_RULE,
    ELBV2_TRUST_STORE,
};

/* What an ARN of this service, region and account names; ELBV2_NO_RESOURCE when it names nothing
 * that could exist here. Parts point into the ARN. */
struct elbv2_name {
    enum elbv2_resource resource;
    struct str load_balancer; /* "app/NAME/16hex"; absent for groups */
    struct str name;          /* of the load balancer or group */
    struct str listener_id;   /* listeners and rules */
    struct str rule_id;
};
struct elbv2_name elbv2_read_arn(const struct op *op, struct str arn);
/* "app/NAME/16hex" or "targetgroup/NAME/16hex": the value of the metric dimension. */
struct str elbv2_dimension(struct str arn);
/* The ARN of the load balancer that a listener or rule belongs to, of the listener of a rule. */
struct str elbv2_load_balancer_arn_of(struct op *op, struct str arn);
struct str elbv2_listener_arn_of(struct op *op, struct str rule_arn);

/* ---- load balancers ------------------------------------------------------------------------- */

enum err elbv2_get_load_balancer(struct op *op, struct elbv2 *e, struct str arn,
                                 struct elbv2_load_balancer *ret);
enum err elbv2_put_load_balancer(struct op *op, struct elbv2 *e,
                                 const struct elbv2_load_balancer *lb);
/* With its listeners, their rules, and everything beside them. */
enum err elbv2_remove_load_balancer(struct op *op, struct elbv2 *e,
                                    const struct elbv2_load_balancer *lb);

/* ---- target groups -------------------------------------------------------------------------- */

enum err elbv2_get_group(struct op *op, struct elbv2 *e, struct str arn,
                         struct elbv2_target_group *ret);
enum err elbv2_put_group(struct op *op, struct elbv2 *e, const struct elbv2_target_group *group);
enum err elbv2_remove_group(struct op *op, struct elbv2 *e, struct str arn);
/* The load balancer that sends traffic to the group, or absent. */
enum err elbv2_group_load_balancer(struct op *op, struct elbv2 *e, struct str group_arn,
                                   struct str *ret_arn);

/* A load balancer sends traffic to a limited number of groups; asked after a change of its actions,
 * within the transaction. */
enum err elbv2_check_group_quota(struct op *op, struct elbv2 *e, struct str load_balancer_arn);

/* ---- listeners and rules -------------------------------------------------------------------- */

enum err elbv2_get_listener(struct op *op, struct elbv2 *e, struct str arn,
                            struct elbv2_listener *ret);
/* Keeps the references of its default actions, and its default rule, in step. */
enum err elbv2_put_listener(struct op *op, struct elbv2 *e, const struct elbv2_listener *listener);
enum err elbv2_remove_listener(struct op *op, struct elbv2 *e, struct str arn);

enum err elbv2_get_rule(struct op *op, struct elbv2 *e, struct str arn, struct elbv2_rule *ret);
enum err elbv2_put_rule(struct op *op, struct elbv2 *e, const struct elbv2_rule *rule);
enum err elbv2_remove_rule(struct op *op, struct elbv2 *e, const struct elbv2_rule *rule);

/* In the order of evaluation, the default rule last. */
struct elbv2_rule_list {
    struct elbv2_rule *items;
    size_t count;
};
enum err elbv2_list_rules(struct op *op, struct elbv2 *e, struct str listener_arn,
                          struct elbv2_rule_list *ret);
/* 1..50000, or 0 for the default rule. */
int32_t elbv2_priority(const struct elbv2_rule *rule);

/* ---- beside them ---------------------------------------------------------------------------- */

/* An empty one when there is none. */
enum err elbv2_get_more(struct op *op, struct elbv2 *e, struct str arn,
                        struct engine_elb_more *ret);
enum err elbv2_put_more(struct op *op, struct elbv2 *e, struct str arn,
                        const struct engine_elb_more *more);

/* ---- targets -------------------------------------------------------------------------------- */

/* Also the key of its health in memory. */
struct str elbv2_target_key(struct op *op, struct str group_arn, struct str host, int32_t port);

struct elbv2_target_list {
    struct engine_elb_target *items;
    size_t count;
};
enum err elbv2_list_targets(struct op *op, struct elbv2 *e, struct str group_arn,
                            struct elbv2_target_list *ret);
/* ERR_NOT_FOUND with a plain note when it is not registered. */
enum err elbv2_get_target(struct op *op, struct elbv2 *e, struct str group_arn, struct str host,
                          int32_t port, struct engine_elb_target *ret);
enum err elbv2_put_target(struct op *op, struct elbv2 *e, struct str group_arn,
                          const struct engine_elb_target *target);
enum err elbv2_remove_target(struct op *op, struct elbv2 *e, struct str group_arn, struct str host,
                             int32_t port);
