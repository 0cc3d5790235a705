#include "deployer/cdshift.h"

#include "base/check.h"
#include "codec/json.h"
#include "gen/codedeploy.h"

#define ONE(list_items)    .items = (list_items), .count = 1, .is_set = true
#define APPSPEC_BYTES_MAX  65536
#define GROUPS_PER_CALL    100
#define ROLLBACK_LOOKS_MAX 40

struct group {
    struct str application;
    struct str name;
};

static bool names_service(const struct codedeploy_deployment_group_info *g,
                          const struct place *place)
{
    for (size_t i = 0; i < g->ecs_services.count; i++) {
        if (str_equal(g->ecs_services.items[i].service_name, place->service_name) &&
            str_equal(g->ecs_services.items[i].cluster_name, place->cluster)) {
            return true;
        }
    }
    return false;
}

static enum err search_application(struct op *op, const struct cloud *cloud,
                                   const struct place *place, struct str application,
                                   struct group *ret, bool *ret_found)
{
    struct codedeploy_list_deployment_groups_in in = {.application_name = application};
    struct codedeploy_list_deployment_groups_out out = {0};
    TRY(codedeploy_call_list_deployment_groups(op, cloud->client, &in, &out));
    if (out.deployment_groups.count == 0) {
        return ERR_OK;
    }
    size_t count = out.deployment_groups.count;
    struct codedeploy_batch_get_deployment_groups_in get = {
        .application_name = application,
        .deployment_group_names = {.items = out.deployment_groups.items,
                                   .count = count > GROUPS_PER_CALL ? GROUPS_PER_CALL : count,
                                   .is_set = true}};
    struct codedeploy_batch_get_deployment_groups_out got = {0};
    TRY(codedeploy_call_batch_get_deployment_groups(op, cloud->client, &get, &got));
    for (size_t i = 0; i < got.deployment_groups_info.count; i++) {
        const struct codedeploy_deployment_group_info *g = &got.deployment_groups_info.items[i];
        if (names_service(g, place)) {
            *ret = (struct group){.application = application, .name = g->deployment_group_name};
            *ret_found = true;
        }
    }
    return ERR_OK;
}

static enum err search_all(struct op *op, const struct cloud *cloud, const struct place *place,
                           const struct codedeploy_applications_list *applications,
                           struct group *ret, bool *ret_found)
{
    for (size_t i = 0; i < applications->count && !*ret_found; i++) {
        TRY(search_application(op, cloud, place, applications->items[i], ret, ret_found));
    }
    return ERR_OK;
}

static enum err find_group(struct op *op, const struct cloud *cloud, const struct place *place,
                           struct group *ret)
{
    struct codedeploy_list_applications_in in = {0};
    struct codedeploy_list_applications_out out = {0};
    bool has_more = true;
    bool is_found = false;
    while (has_more && !is_found) {
        TRY(aws_call_page(op, cloud->client, &codedeploy_service, &codedeploy_op_list_applications,
                          &in, &out, &has_more));
        TRY(search_all(op, cloud, place, &out.applications, ret, &is_found));
    }
    return is_found ? ERR_OK
                    : op_fail(op, ERR_NOT_FOUND,
                              "the service \"%.*s\" is deployed by CodeDeploy, but no deployment "
                              "group names it",
                              STR_ARG(place->service_name));
}

struct str cdshift_appspec(struct arena *a, const struct shift_order *order)
{
    auto_buf struct buf text;
    buf_init(&text, APPSPEC_BYTES_MAX);
    struct json_writer w;
    json_writer_init(&w, &text);
    json_begin_object(&w);
    json_key(&w, STR("version"));
    json_add_f64(&w, 0.0);
    json_key(&w, STR("Resources"));
    json_begin_array(&w);
    json_begin_object(&w);
    json_key(&w, STR("TargetService"));
    json_begin_object(&w);
    json_key(&w, STR("Type"));
    json_add_string(&w, STR("AWS::ECS::Service"));
    json_key(&w, STR("Properties"));
    json_begin_object(&w);
    json_key(&w, STR("TaskDefinition"));
    json_add_string(&w, order->task_definition);
    json_key(&w, STR("LoadBalancerInfo"));
    json_begin_object(&w);
    json_key(&w, STR("ContainerName"));
    json_add_string(&w, order->container);
    json_key(&w, STR("ContainerPort"));
    json_add_i64(&w, order->container_port);
    for (int depth = 0; depth < 4; depth++) {
        json_end_object(&w);
    }
    json_end_array(&w);
    json_end_object(&w);
    return arena_str(a, buf_str(&text));
}

struct str cdshift_config_of(struct arena *a, const struct config_environment *e,
                             enum config_strategy strategy,
                             struct codedeploy_traffic_routing_config *ret_routing)
{
    *ret_routing = (struct codedeploy_traffic_routing_config){
        .type = CODEDEPLOY_TRAFFIC_ROUTING_TYPE_ALLATONCE};
    if (strategy != CONFIG_CANARY && strategy != CONFIG_LINEAR) {
        return STR("CodeDeployDefault.ECSAllAtOnce");
    }
    CHECK(e->step_count > 0);
    int32_t percent = (int32_t)(e->steps[0].percent + 0.5);
    int32_t minutes = (int32_t)(e->steps[0].wait_s / 60);
    bool is_canary = strategy == CONFIG_CANARY;
    if (is_canary) {
        ret_routing->type = CODEDEPLOY_TRAFFIC_ROUTING_TYPE_TIMEBASEDCANARY;
        ret_routing->time_based_canary = ARENA_NEW(a, struct codedeploy_time_based_canary);
        *ret_routing->time_based_canary = (struct codedeploy_time_based_canary){
            .canary_percentage = OPT_I32(percent), .canary_interval = OPT_I32(minutes)};
    } else {
        ret_routing->type = CODEDEPLOY_TRAFFIC_ROUTING_TYPE_TIMEBASEDLINEAR;
        ret_routing->time_based_linear = ARENA_NEW(a, struct codedeploy_time_based_linear);
        *ret_routing->time_based_linear = (struct codedeploy_time_based_linear){
            .linear_percentage = OPT_I32(percent), .linear_interval = OPT_I32(minutes)};
    }
    return arena_printf(a, "hitless-%s-%d-%d", is_canary ? "canary" : "linear", percent, minutes);
}

static enum err ensure_config(struct op *op, const struct cloud *cloud, struct str name,
                              struct codedeploy_traffic_routing_config *routing)
{
    if (routing->type == CODEDEPLOY_TRAFFIC_ROUTING_TYPE_ALLATONCE) {
        return ERR_OK; /* predefined */
    }
    struct codedeploy_create_deployment_config_in in = {.deployment_config_name = name,
                                                        .traffic_routing_config = routing,
                                                        .compute_platform =
                                                            CODEDEPLOY_COMPUTE_PLATFORM_ECS};
    struct codedeploy_create_deployment_config_out out = {0};
    enum err e = codedeploy_call_create_deployment_config(op, cloud->client, &in, &out);
    if (e != ERR_OK &&
        cloud_failed_as(op, &codedeploy_error_deployment_config_already_exists_exception)) {
        op_note_clear(op);
        return ERR_OK;
    }
    return e;
}

enum err cdshift_start(struct op *op, const struct cloud *cloud, const struct place *place,
                       const struct resources *r, const struct shift_order *order,
                       struct handle *ret_handle)
{
    (void)r;
    struct group group = {0};
    TRY(find_group(op, cloud, place, &group));
    struct codedeploy_traffic_routing_config routing = {0};
    struct str config_name =
        cdshift_config_of(&op->arena, place->environment, order->strategy, &routing);
    TRY(ensure_config(op, cloud, config_name, &routing));
    struct codedeploy_app_spec_content content = {.content = cdshift_appspec(&op->arena, order)};
    struct codedeploy_revision_location revision = {
        .revision_type = CODEDEPLOY_REVISION_LOCATION_TYPE_APPSPECCONTENT,
        .app_spec_content = &content};
    enum codedeploy_auto_rollback_event events[] = {
        CODEDEPLOY_AUTO_ROLLBACK_EVENT_DEPLOYMENT_FAILURE,
        CODEDEPLOY_AUTO_ROLLBACK_EVENT_DEPLOYMENT_STOP_ON_ALARM,
        CODEDEPLOY_AUTO_ROLLBACK_EVENT_DEPLOYMENT_STOP_ON_REQUEST};
    struct codedeploy_auto_rollback_configuration rollback = {
        .enabled = OPT_BOOL(true),
        .events = {.items = events, .count = ARRAY_COUNT(events), .is_set = true}};
    struct codedeploy_alarm_configuration watch = {.enabled = OPT_BOOL(true)};
    watch.alarms.is_set = true;
    for (size_t i = 0; i < order->alarms.count; i++) {
        *ARENA_PUSH(&op->arena, &watch.alarms) =
            (struct codedeploy_alarm){.name = order->alarms.items[i]};
    }
    struct codedeploy_create_deployment_in in = {.application_name = group.application,
                                                 .deployment_group_name = group.name,
                                                 .deployment_config_name = config_name,
                                                 .revision = &revision,
                                                 .auto_rollback_configuration = &rollback,
                                                 .override_alarm_configuration =
                                                     order->alarms.count > 0 ? &watch : NULL};
    struct codedeploy_create_deployment_out out = {0};
    TRY(codedeploy_call_create_deployment(op, cloud->client, &in, &out));
    ret_handle->kind = HANDLE_CODEDEPLOY;
    ret_handle->id = out.deployment_id;
    return ERR_OK;
}

enum err cdshift_stop(struct op *op, const struct cloud *cloud, struct str deployment_id)
{
    struct codedeploy_stop_deployment_in in = {.deployment_id = deployment_id,
                                               .auto_rollback_enabled = OPT_BOOL(true)};
    struct codedeploy_stop_deployment_out out = {0};
    return codedeploy_call_stop_deployment(op, cloud->client, &in, &out);
}

enum err cdshift_current(struct op *op, const struct cloud *cloud, const struct place *place,
                         struct handle *ret_handle)
{
    struct group group = {0};
    TRY(find_group(op, cloud, place, &group));
    enum codedeploy_deployment_status open[] = {
        CODEDEPLOY_DEPLOYMENT_STATUS_CREATED, CODEDEPLOY_DEPLOYMENT_STATUS_QUEUED,
        CODEDEPLOY_DEPLOYMENT_STATUS_INPROGRESS, CODEDEPLOY_DEPLOYMENT_STATUS_READY};
    struct codedeploy_list_deployments_in in = {
        .application_name = group.application,
        .deployment_group_name = group.name,
        .include_only_statuses = {.items = open, .count = ARRAY_COUNT(open), .is_set = true}};
    struct codedeploy_list_deployments_out out = {0};
    TRY(codedeploy_call_list_deployments(op, cloud->client, &in, &out));
    if (out.deployments.count == 0) {
        return op_fail(op, ERR_NOT_FOUND, "no deployment of \"%.*s\" is under way",
                       STR_ARG(place->service_name));
    }
    *ret_handle = (struct handle){.kind = HANDLE_CODEDEPLOY, .id = out.deployments.items[0]};
    return ERR_OK;
}

/* ---- one look ---- */

static enum err get_info(struct op *op, const struct cloud *cloud, struct str id,
                         const struct codedeploy_deployment_info **ret)
{
    struct codedeploy_get_deployment_in in = {.deployment_id = id};
    struct codedeploy_get_deployment_out out = {0};
    TRY(codedeploy_call_get_deployment(op, cloud->client, &in, &out));
    *ret = out.deployment_info;
    return out.deployment_info == NULL
               ? op_fail(op, ERR_PROTOCOL, "GetDeployment answered without a deployment")
               : ERR_OK;
}

static enum err judge_rollback(struct op *op, const struct cloud *cloud,
                               const struct codedeploy_deployment_info *info,
                               enum sight_state *ret_state)
{
    if (info->rollback_info == NULL || !str_is_set(info->rollback_info->rollback_deployment_id)) {
        *ret_state = SIGHT_FAILED;
        return ERR_OK;
    }
    const struct codedeploy_deployment_info *back = NULL;
    TRY(get_info(op, cloud, info->rollback_info->rollback_deployment_id, &back));
    if (back->status == CODEDEPLOY_DEPLOYMENT_STATUS_SUCCEEDED) {
        *ret_state = SIGHT_ROLLED_BACK;
    } else if (back->status == CODEDEPLOY_DEPLOYMENT_STATUS_FAILED ||
               back->status == CODEDEPLOY_DEPLOYMENT_STATUS_STOPPED) {
        *ret_state = SIGHT_FAILED;
    } else {
        *ret_state = SIGHT_ROLLING_BACK;
    }
    return ERR_OK;
}

static void take_sets(const struct codedeploy_ecs_target *target, struct sight *s)
{
    for (size_t i = 0; i < target->task_sets_info.count; i++) {
        const struct codedeploy_ecs_task_set *set = &target->task_sets_info.items[i];
        bool is_green = set->task_set_label == CODEDEPLOY_TARGET_LABEL_GREEN;
        struct sight_side *side = is_green ? &s->new_side : &s->old_side;
        side->is_there = true;
        side->desired = OPT_OR(set->desired_count, 0);
        side->running = OPT_OR(set->running_count, 0);
        side->pending = OPT_OR(set->pending_count, 0);
        side->weight = OPT_OR(set->traffic_weight, -1);
    }
    for (size_t i = 0; i < target->lifecycle_events.count; i++) {
        const struct codedeploy_lifecycle_event *e = &target->lifecycle_events.items[i];
        if (e->status == CODEDEPLOY_LIFECYCLE_EVENT_STATUS_INPROGRESS) {
            s->stage = e->lifecycle_event_name;
        }
    }
}

static enum err look_target(struct op *op, const struct cloud *cloud, struct str id,
                            struct sight *s)
{
    struct codedeploy_list_deployment_targets_in list = {.deployment_id = id};
    struct codedeploy_list_deployment_targets_out listed = {0};
    TRY(codedeploy_call_list_deployment_targets(op, cloud->client, &list, &listed));
    if (listed.target_ids.count == 0) {
        return ERR_OK;
    }
    struct codedeploy_get_deployment_target_in in = {.deployment_id = id,
                                                     .target_id = listed.target_ids.items[0]};
    struct codedeploy_get_deployment_target_out out = {0};
    TRY(codedeploy_call_get_deployment_target(op, cloud->client, &in, &out));
    if (out.deployment_target != NULL && out.deployment_target->ecs_target != NULL) {
        take_sets(out.deployment_target->ecs_target, s);
    }
    return ERR_OK;
}

enum err cdshift_look(struct op *op, const struct cloud *cloud, const struct handle *handle,
                      struct sight *ret)
{
    struct sight s = {.old_side = {.healthy = -1, .weight = -1},
                      .new_side = {.healthy = -1, .weight = -1}};
    const struct codedeploy_deployment_info *info = NULL;
    TRY(get_info(op, cloud, handle->id, &info));
    if (info->error_information != NULL) {
        s.reason = info->error_information->message;
        s.is_stopped_by_person = info->error_information->code == CODEDEPLOY_ERROR_CODE_MANUAL_STOP;
    }
    if (info->status == CODEDEPLOY_DEPLOYMENT_STATUS_SUCCEEDED) {
        s.state = SIGHT_DONE;
    } else if (info->status == CODEDEPLOY_DEPLOYMENT_STATUS_FAILED ||
               info->status == CODEDEPLOY_DEPLOYMENT_STATUS_STOPPED) {
        TRY(judge_rollback(op, cloud, info, &s.state));
    } else if (OPT_OR(info->instance_termination_wait_time_started, false)) {
        s.state = SIGHT_BAKING;
    }
    if (look_target(op, cloud, handle->id, &s) != ERR_OK) {
        op_note_clear(op); /* the target appears a moment after the deployment */
    }
    s.new_side.task_definition = handle->task_definition;
    s.old_side.task_definition = handle->old_task_definition;
    *ret = s;
    return ERR_OK;
}
