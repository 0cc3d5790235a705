/* What AWS checks when a deployment group is made or changed. */
#include "svc/codedeploy/priv.h"

enum err cd_check_alarms(struct op *op, const struct codedeploy_alarm_configuration *alarms)
{
    if (alarms == NULL) {
        return ERR_OK;
    }
    if (alarms->alarms.count > CODEDEPLOY_ALARMS_MAX) {
        return cd_fail(op, alarms_limit_exceeded_exception,
                       "The configuration has %zu alarms, the limit is %d", alarms->alarms.count,
                       CODEDEPLOY_ALARMS_MAX);
    }
    for (size_t i = 0; i < alarms->alarms.count; i++) {
        struct str name = alarms->alarms.items[i].name;
        bool is_new = name.len > 0;
        for (size_t before = 0; before < i; before++) {
            is_new = is_new && !str_equal(alarms->alarms.items[before].name, name);
        }
        if (!is_new) {
            return cd_fail(op, invalid_alarm_config_exception,
                           "The names of alarms must be present and different");
        }
    }
    return ERR_OK;
}

enum err cd_check_rollback(struct op *op, const struct codedeploy_auto_rollback_configuration *r)
{
    if (r != NULL && OPT_OR(r->enabled, false) && r->events.count == 0) {
        return cd_fail(op, invalid_auto_rollback_config_exception,
                       "An enabled automatic rollback needs at least one event");
    }
    return ERR_OK;
}

const struct codedeploy_target_group_pair_info *cd_pair_of(
    const struct codedeploy_deployment_group_info *g)
{
    const struct codedeploy_load_balancer_info *lb = g->load_balancer_info;
    return lb != NULL && lb->target_group_pair_info_list.count == 1
               ? &lb->target_group_pair_info_list.items[0]
               : NULL;
}

static bool is_route(const struct codedeploy_traffic_route *r, size_t min)
{
    size_t count = r == NULL ? 0 : r->listener_arns.count;
    return count >= min && count <= 1 && (count == 0 || r->listener_arns.items[0].len > 0);
}

static enum err check_balancer(struct op *op, const struct codedeploy_deployment_group_info *g)
{
    const struct codedeploy_target_group_pair_info *pair = cd_pair_of(g);
    if (g->load_balancer_info == NULL) {
        return cd_fail(op, invalid_load_balancer_info_exception,
                       "An ECS deployment group needs loadBalancerInfo with a target group pair");
    }
    if (pair == NULL) {
        return cd_fail(op, invalid_target_group_pair_exception,
                       "An ECS deployment group has exactly one target group pair");
    }
    bool are_two = pair->target_groups.count == 2 && pair->target_groups.items[0].name.len > 0 &&
                   pair->target_groups.items[1].name.len > 0 &&
                   !str_equal(pair->target_groups.items[0].name, pair->target_groups.items[1].name);
    if (!are_two) {
        return cd_fail(op, invalid_target_group_pair_exception,
                       "A target group pair consists of two different target groups");
    }
    if (!is_route(pair->prod_traffic_route, 1) || !is_route(pair->test_traffic_route, 0)) {
        return cd_fail(op, invalid_target_group_pair_exception,
                       "A target group pair has one production listener and at most one test "
                       "listener");
    }
    bool is_shared = pair->test_traffic_route != NULL &&
                     pair->test_traffic_route->listener_arns.count == 1 &&
                     str_equal(pair->test_traffic_route->listener_arns.items[0],
                               pair->prod_traffic_route->listener_arns.items[0]);
    if (is_shared) {
        return cd_fail(op, invalid_target_group_pair_exception,
                       "The production and the test listener must be different");
    }
    return ERR_OK;
}

static enum err check_mapping(struct op *op, struct codedeploy *cd,
                              const struct codedeploy_deployment_group_info *g,
                              const struct codedeploy_ecs_service *service)
{
    struct store_items groups = {0};
    TRY(store_list(op, cd->config.store, &codedeploy_kind_group, &(struct store_range){0},
                   &groups));
    for (size_t i = 0; i < groups.count; i++) {
        const struct engine_codedeploy_group *other = groups.items[i].value;
        if (str_equal(other->group->deployment_group_id, g->deployment_group_id) ||
            other->group->ecs_services.count == 0) {
            continue;
        }
        const struct codedeploy_ecs_service *taken = &other->group->ecs_services.items[0];
        if (str_equal(taken->cluster_name, service->cluster_name) &&
            str_equal(taken->service_name, service->service_name)) {
            return cd_fail(op, ecs_service_mapping_limit_exceeded_exception,
                           "The Amazon ECS service %.*s:%.*s is associated with the deployment "
                           "group %.*s already",
                           STR_ARG(service->cluster_name), STR_ARG(service->service_name),
                           STR_ARG(other->group->deployment_group_name));
        }
    }
    return ERR_OK;
}

static enum err check_service(struct op *op, struct codedeploy *cd,
                              const struct codedeploy_deployment_group_info *g)
{
    if (g->ecs_services.count != 1 || g->ecs_services.items[0].service_name.len == 0 ||
        g->ecs_services.items[0].cluster_name.len == 0) {
        return cd_fail(op, invalid_ecs_service_exception,
                       "An ECS deployment group has exactly one service, with its cluster");
    }
    const struct port_task_sets *port = &cd->config.task_sets;
    const struct codedeploy_ecs_service *service = &g->ecs_services.items[0];
    struct port_service found = {0};
    enum err e =
        port->find_service(port->self, op, service->cluster_name, service->service_name, &found);
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        return cd_fail(op, invalid_ecs_service_exception,
                       "The ECS service %.*s of cluster %.*s was not found",
                       STR_ARG(service->service_name), STR_ARG(service->cluster_name));
    }
    TRY(e);
    if (!STR_IS(found.deployment_controller, "CODE_DEPLOY")) {
        return cd_fail(op, invalid_ecs_service_exception,
                       "Deployment group's ECS service must be configured for a CODE_DEPLOY "
                       "deployment controller.");
    }
    return check_mapping(op, cd, g, service);
}

static bool is_wait(struct opt_i32 minutes)
{
    return !minutes.is_set || (minutes.value >= 0 && minutes.value <= CODEDEPLOY_WAIT_MIN_MAX);
}

static enum err check_style(struct op *op, const struct codedeploy_deployment_group_info *g)
{
    const struct codedeploy_deployment_style *s = g->deployment_style;
    bool is_known =
        s == NULL || (s->deployment_type == CODEDEPLOY_DEPLOYMENT_TYPE_BLUE_GREEN &&
                      s->deployment_option == CODEDEPLOY_DEPLOYMENT_OPTION_WITH_TRAFFIC_CONTROL);
    if (!is_known) {
        return cd_fail(op, invalid_deployment_style_exception,
                       "For the compute platform ECS the deployment style must be BLUE_GREEN and "
                       "WITH_TRAFFIC_CONTROL");
    }
    const struct codedeploy_blue_green_deployment_configuration *b =
        g->blue_green_deployment_configuration;
    const struct codedeploy_blue_instance_termination_option *end =
        b == NULL ? NULL : b->terminate_blue_instances_on_deployment_success;
    const struct codedeploy_deployment_ready_option *ready =
        b == NULL ? NULL : b->deployment_ready_option;
    bool are_waits = (end == NULL || is_wait(end->termination_wait_time_in_minutes)) &&
                     (ready == NULL || is_wait(ready->wait_time_in_minutes));
    if (!are_waits) {
        return cd_fail(op, invalid_blue_green_deployment_configuration_exception,
                       "Wait times are 0 to %d minutes", CODEDEPLOY_WAIT_MIN_MAX);
    }
    return ERR_OK;
}

static enum err check_names(struct op *op, struct codedeploy *cd,
                            const struct codedeploy_deployment_group_info *g)
{
    struct codedeploy_deployment_config_info config = {0};
    if (g->deployment_group_name.len == 0) {
        return cd_fail(op, deployment_group_name_required_exception,
                       "Deployment Group name must be specified");
    }
    if (!name_is(g->deployment_group_name, 1, CODEDEPLOY_NAME_CHARS_MAX, STR("._+=,@-"))) {
        return cd_fail(op, invalid_deployment_group_name_exception,
                       "Invalid Deployment Group name: %.*s", STR_ARG(g->deployment_group_name));
    }
    if (g->service_role_arn.len == 0) {
        return cd_fail(op, role_required_exception, "Role must be specified");
    }
    struct arn role;
    if (!arn_parse(g->service_role_arn, &role) || !STR_IS(role.service, "iam")) {
        return cd_fail(op, invalid_role_exception, "Invalid role: %.*s",
                       STR_ARG(g->service_role_arn));
    }
    TRY(cd_find_config(op, cd, g->deployment_config_name, &config));
    if (config.compute_platform != CODEDEPLOY_COMPUTE_PLATFORM_ECS) {
        return cd_fail(op, invalid_deployment_config_name_exception,
                       "The Deployment Configuration %.*s is not of the compute platform ECS",
                       STR_ARG(g->deployment_config_name));
    }
    return ERR_OK;
}

enum err cd_check_group(struct op *op, struct codedeploy *cd,
                        const struct codedeploy_deployment_group_info *g)
{
    TRY(check_names(op, cd, g));
    if (g->trigger_configurations.count > CODEDEPLOY_TRIGGERS_MAX) {
        return cd_fail(op, trigger_targets_limit_exceeded_exception,
                       "The group has %zu triggers, the limit is %d",
                       g->trigger_configurations.count, CODEDEPLOY_TRIGGERS_MAX);
    }
    TRY(cd_check_alarms(op, g->alarm_configuration));
    TRY(cd_check_rollback(op, g->auto_rollback_configuration));
    TRY(check_style(op, g));
    TRY(check_balancer(op, g));
    return check_service(op, cd, g);
}
