/* What services, tasks and task sets say alike about network, load balancers and platform. */
#include "svc/common/network.h"
#include "svc/ecs/ecs_priv.h"

/* ---- network ----------------------------------------------------------------------------------*/

/* Every region has one network, with one security group (svc/common/network.h). */
static enum err check_network_exists(struct op *op, const struct ecs_aws_vpc_configuration *vpc)
{
    struct network network = network_default(&op->arena, op->region);
    for (size_t i = 0; i < vpc->subnets.count; i++) {
        struct str id = vpc->subnets.items[i];
        if (network_find_subnet(&network, id) == NULL) {
            return fail_parameter(op,
                                  "Error retrieving subnet information for [%.*s]: The subnet ID "
                                  "'%.*s' does not exist (ErrorCode: InvalidSubnetID.NotFound)",
                                  STR_ARG(id), STR_ARG(id));
        }
    }
    for (size_t i = 0; i < vpc->security_groups.count; i++) {
        struct str id = vpc->security_groups.items[i];
        if (!str_equal(network.security_group_id, id)) {
            return fail_parameter(
                op,
                "Error retrieving security group information for [%.*s]: The security group "
                "'%.*s' does not exist (ErrorCode: InvalidGroup.NotFound)",
                STR_ARG(id), STR_ARG(id));
        }
    }
    return ERR_OK;
}

enum err ecs_network_check(struct op *op, const struct ecs_task_definition *td,
                           const struct ecs_network_configuration *n)
{
    bool is_awsvpc = td->network_mode == ECS_NETWORK_MODE_AWSVPC;
    const struct ecs_aws_vpc_configuration *vpc = n == NULL ? NULL : n->awsvpc_configuration;
    if (is_awsvpc && vpc == NULL) {
        return fail_parameter(op, "Network Configuration must be provided when networkMode "
                                  "'awsvpc' is specified.");
    }
    if (!is_awsvpc && vpc != NULL) {
        return fail_parameter(op, "Network Configuration is not valid for the given networkMode of "
                                  "this task definition.");
    }
    if (vpc == NULL) {
        return ERR_OK;
    }
    if (vpc->subnets.count == 0) {
        return fail_parameter(op, "subnets can not be empty.");
    }
    if (vpc->subnets.count > ECS_SUBNETS_MAX) {
        return fail_parameter(op, "subnets can have at most %d items.", ECS_SUBNETS_MAX);
    }
    if (vpc->security_groups.count > ECS_SECURITY_GROUPS_MAX) {
        return fail_parameter(op, "securityGroups can have at most %d items.",
                              ECS_SECURITY_GROUPS_MAX);
    }
    return check_network_exists(op, vpc);
}

struct ecs_network_configuration *ecs_network_fill(struct op *op,
                                                   const struct ecs_network_configuration *n)
{
    if (n == NULL || n->awsvpc_configuration == NULL) {
        return NULL;
    }
    struct ecs_network_configuration *filled =
        ARENA_NEW(&op->arena, struct ecs_network_configuration);
    filled->awsvpc_configuration = ARENA_NEW(&op->arena, struct ecs_aws_vpc_configuration);
    struct ecs_aws_vpc_configuration *vpc = filled->awsvpc_configuration;
    *vpc = *n->awsvpc_configuration;
    vpc->subnets.is_set = true;
    vpc->security_groups.is_set = true;
    if (vpc->assign_public_ip == ECS_ASSIGN_PUBLIC_IP_UNSET) {
        vpc->assign_public_ip = ECS_ASSIGN_PUBLIC_IP_DISABLED;
    }
    return filled;
}

/* ---- load balancers ---------------------------------------------------------------------------*/

static bool has_port(const struct ecs_container_definition *c, int32_t port)
{
    for (size_t i = 0; i < c->port_mappings.count; i++) {
        if (OPT_OR(c->port_mappings.items[i].container_port, 0) == port) {
            return true;
        }
    }
    return false;
}

static enum err check_container_of(struct op *op, const struct ecs_task_definition *td,
                                   const struct ecs_load_balancer *lb)
{
    if (lb->container_name.len == 0) {
        return fail_parameter(op, "Container Name can not be blank.");
    }
    const struct ecs_container_definition *c = ecs_container_find(td, lb->container_name);
    if (c == NULL) {
        return fail_parameter(op, "The container %.*s does not exist in the task definition.",
                              STR_ARG(lb->container_name));
    }
    if (!lb->container_port.is_set) {
        return fail_parameter(op, "Container Port can not be blank.");
    }
    if (!has_port(c, lb->container_port.value)) {
        return fail_parameter(op, "The container %.*s did not have a container port %d defined.",
                              STR_ARG(lb->container_name), lb->container_port.value);
    }
    return ERR_OK;
}

static enum err check_target_group(struct op *op, struct ecs *ecs,
                                   const struct ecs_task_definition *td, struct str arn,
                                   bool needs_listener)
{
    const struct port_elb *elb = ecs->config.elb;
    struct port_target_group group = {0};
    enum err e = elb->find_target_group(elb->self, op, arn, &group);
    if (e == ERR_NOT_FOUND) {
        return fail_parameter(op, "The target group %.*s does not exist.", STR_ARG(arn));
    }
    TRY(e);
    if (needs_listener && group.load_balancer_arn.len == 0) {
        return fail_parameter(op,
                              "The target group with targetGroupArn %.*s does not have an "
                              "associated load balancer.",
                              STR_ARG(arn));
    }
    if (td->network_mode == ECS_NETWORK_MODE_AWSVPC && !STR_IS(group.target_type, "ip")) {
        return fail_parameter(op,
                              "The provided target group %.*s has target type %.*s, which is "
                              "incompatible with the awsvpc network mode specified in the task "
                              "definition.",
                              STR_ARG(arn), STR_ARG(group.target_type));
    }
    return ERR_OK;
}

/* aws-semantics 1.14. That both groups are in use is seen when a deployment begins. */
static enum err check_pair(struct op *op, struct ecs *ecs, const struct ecs_load_balancer *lb)
{
    const struct ecs_advanced_configuration *a = lb->advanced_configuration;
    const struct port_elb *elb = ecs->config.elb;
    struct port_target_group group = {0};
    if (str_find(a->production_listener_rule, STR(":listener-rule/"), 0) == STR_NOT_FOUND) {
        return fail_parameter(
            op,
            "productionListenerRule has an invalid ARN format. Must be RuleArn for ALB "
            "or ListenerArn for NLB. Got: %.*s",
            STR_ARG(a->production_listener_rule));
    }
    if (a->test_listener_rule.len > 0 &&
        str_equal(a->test_listener_rule, a->production_listener_rule)) {
        return fail_parameter(
            op,
            "The following rules cannot be used as both production and test listener "
            "rules: %.*s",
            STR_ARG(a->test_listener_rule));
    }
    if (str_equal(a->alternate_target_group_arn, lb->target_group_arn)) {
        return fail_parameter(op, "Duplicate targetGroupArn found: %.*s",
                              STR_ARG(lb->target_group_arn));
    }
    if (elb->find_target_group(elb->self, op, a->alternate_target_group_arn, &group) != ERR_OK) {
        return fail_parameter(op, "The target group with targetGroupArn %.*s does not exist.",
                              STR_ARG(a->alternate_target_group_arn));
    }
    return ERR_OK;
}

enum err ecs_load_balancers_check(struct op *op, struct ecs *ecs,
                                  const struct ecs_task_definition *td,
                                  const struct ecs_load_balancers *lbs, bool needs_listener)
{
    if (lbs->count > ECS_LOAD_BALANCERS_MAX) {
        return fail_parameter(op, "load balancers can have at most %d items.",
                              ECS_LOAD_BALANCERS_MAX);
    }
    for (size_t i = 0; i < lbs->count; i++) {
        const struct ecs_load_balancer *lb = &lbs->items[i];
        if (lb->load_balancer_name.len > 0) {
            return fail_parameter(op, "The load balancer %.*s does not exist.",
                                  STR_ARG(lb->load_balancer_name));
        }
        if (lb->target_group_arn.len == 0) {
            return fail_parameter(op, "Target Group Arn can not be blank.");
        }
        if (lb->advanced_configuration != NULL) {
            TRY(check_pair(op, ecs, lb));
        }
        TRY(check_container_of(op, td, lb));
        TRY(check_target_group(op, ecs, td, lb->target_group_arn, needs_listener));
        for (size_t k = 0; k < i; k++) {
            if (str_equal(lbs->items[k].target_group_arn, lb->target_group_arn) &&
                lbs->items[k].container_port.value == lb->container_port.value) {
                return fail_parameter(op, "Duplicate targetGroupArn found: %.*s",
                                      STR_ARG(lb->target_group_arn));
            }
        }
    }
    return ERR_OK;
}

/* ---- launch type and platform -----------------------------------------------------------------*/

enum err ecs_launch_check(struct op *op, const struct ecs_task_definition *td,
                          enum ecs_launch_type launch_type)
{
    if (launch_type == ECS_LAUNCH_TYPE_FARGATE) {
        if (!ecs_task_definition_has(td, ECS_COMPATIBILITY_FARGATE)) {
            return fail_parameter(op, "Task definition does not support launch_type FARGATE.");
        }
        return ERR_OK;
    }
    if (launch_type == ECS_LAUNCH_TYPE_EXTERNAL ||
        launch_type == ECS_LAUNCH_TYPE_MANAGED_INSTANCES) {
        return fail_unsupported(op, "the launch type %s is not offered here",
                                shape_enum_name(&shape_ecs_launch_type, (int)launch_type));
    }
    return ERR_OK;
}

enum err ecs_platform_check(struct op *op, enum ecs_launch_type launch_type, struct str version)
{
    if (version.len == 0) {
        return ERR_OK;
    }
    if (launch_type != ECS_LAUNCH_TYPE_FARGATE) {
        return fail_parameter(op, "The platform version must be null when specifying an EC2 launch "
                                  "type.");
    }
    if (!STR_IS(version, "LATEST") && !STR_IS(version, "1.4.0") && !STR_IS(version, "1.3.0")) {
        return op_fail_as(op, ERR_INPUT, &ecs_error_platform_unknown_exception,
                          "The specified platform does not exist.");
    }
    return ERR_OK;
}

struct str ecs_platform_version(enum ecs_launch_type launch_type, struct str asked)
{
    if (launch_type != ECS_LAUNCH_TYPE_FARGATE) {
        return STR_NONE;
    }
    return asked.len == 0 || STR_IS(asked, "LATEST") ? STR("1.4.0") : asked;
}

struct str ecs_platform_family(enum ecs_launch_type launch_type)
{
    return launch_type == ECS_LAUNCH_TYPE_FARGATE ? STR("Linux") : STR_NONE;
}

/* By a strategy or by name. A strategy's first item that has a weight says which provider; one
 * machine has no use for a mixture. */
void ecs_pick_capacity(const struct ecs_capacity_provider_strategy *s,
                       enum ecs_launch_type *launch_type, struct str *ret_provider)
{
    *ret_provider = STR_NONE;
    for (size_t i = 0; i < s->count; i++) {
        if (OPT_OR(s->items[i].weight, 0) > 0 || OPT_OR(s->items[i].base, 0) > 0) {
            *ret_provider = s->items[i].capacity_provider;
            *launch_type = ECS_LAUNCH_TYPE_FARGATE;
            return;
        }
    }
}
