/* Deployment groups. */
#include "svc/codedeploy/handlers.h"
#include "svc/codedeploy/priv.h"

static const struct tag_errors tag_errors = {
    .too_many = &codedeploy_error_invalid_tags_to_add_exception,
    .duplicate = &codedeploy_error_invalid_tags_to_add_exception,
    .invalid = &codedeploy_error_invalid_tags_to_add_exception,
};

enum err cd_find_group(struct op *op, struct codedeploy *cd,
                       const struct engine_codedeploy_application *a, struct str name,
                       struct engine_codedeploy_group *ret)
{
    if (name.len == 0) {
        return cd_fail(op, deployment_group_name_required_exception,
                       "Deployment Group name must be specified");
    }
    enum err e = store_get(op, cd->config.store, &codedeploy_kind_group,
                           cd_key(op, a->application->application_id, name), ret);
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        return cd_fail(op, deployment_group_does_not_exist_exception,
                       "No Deployment Group found for name: %.*s", STR_ARG(name));
    }
    return e;
}

enum err cd_put_group(struct op *op, struct codedeploy *cd, struct str application_id,
                      const struct engine_codedeploy_group *g)
{
    return store_put(op, cd->config.store, &codedeploy_kind_group,
                     cd_key(op, application_id, g->group->deployment_group_name), application_id,
                     g);
}

enum err cd_list_groups(struct op *op, struct codedeploy *cd, struct str application_id,
                        struct store_items *ret)
{
    return store_list(op, cd->config.store, &codedeploy_kind_group,
                      &(struct store_range){.parent = application_id}, ret);
}

/* ---- reads ---------------------------------------------------------------------------------- */

static enum err last_deployment(struct op *op, struct codedeploy *cd, struct str id,
                                struct codedeploy_last_deployment_info **ret)
{
    struct engine_codedeploy_deployment d = {0};
    *ret = NULL;
    if (id.len == 0) {
        return ERR_OK;
    }
    enum err e = store_get(op, cd->config.store, &codedeploy_kind_deployment, id, &d);
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        return ERR_OK;
    }
    TRY(e);
    const struct codedeploy_deployment_info *info = cd_show_deployment(op, &d);
    *ret = ARENA_NEW(&op->arena, struct codedeploy_last_deployment_info);
    **ret = (struct codedeploy_last_deployment_info){.deployment_id = id,
                                                     .status = info->status,
                                                     .create_time = info->create_time,
                                                     .end_time = info->complete_time};
    return ERR_OK;
}

/* Clients read both wait times without a default of their own. */
static struct codedeploy_blue_green_deployment_configuration *fill_blue_green(
    struct op *op, const struct codedeploy_blue_green_deployment_configuration *had)
{
    struct codedeploy_blue_green_deployment_configuration *b =
        ARENA_NEW(&op->arena, struct codedeploy_blue_green_deployment_configuration);
    struct codedeploy_deployment_ready_option *ready =
        ARENA_NEW(&op->arena, struct codedeploy_deployment_ready_option);
    struct codedeploy_blue_instance_termination_option *end =
        ARENA_NEW(&op->arena, struct codedeploy_blue_instance_termination_option);
    if (had != NULL) {
        *b = *had;
        *ready = had->deployment_ready_option == NULL ? *ready : *had->deployment_ready_option;
        *end = had->terminate_blue_instances_on_deployment_success == NULL
                   ? *end
                   : *had->terminate_blue_instances_on_deployment_success;
    }
    if (ready->action_on_timeout == CODEDEPLOY_DEPLOYMENT_READY_ACTION_UNSET) {
        ready->action_on_timeout = CODEDEPLOY_DEPLOYMENT_READY_ACTION_CONTINUE_DEPLOYMENT;
    }
    if (end->action == CODEDEPLOY_INSTANCE_ACTION_UNSET) {
        end->action = CODEDEPLOY_INSTANCE_ACTION_TERMINATE;
    }
    ready->wait_time_in_minutes = OPT_I32(OPT_OR(ready->wait_time_in_minutes, 0));
    end->termination_wait_time_in_minutes =
        OPT_I32(OPT_OR(end->termination_wait_time_in_minutes, 0));
    b->deployment_ready_option = ready;
    b->terminate_blue_instances_on_deployment_success = end;
    return b;
}

enum err cd_show_group(struct op *op, struct codedeploy *cd,
                       const struct engine_codedeploy_group *g,
                       struct codedeploy_deployment_group_info **ret)
{
    struct codedeploy_deployment_group_info *info =
        ARENA_NEW(&op->arena, struct codedeploy_deployment_group_info);
    *info = *g->group;
    info->blue_green_deployment_configuration =
        fill_blue_green(op, g->group->blue_green_deployment_configuration);
    info->ec2_tag_filters.is_set = true;
    info->on_premises_instance_tag_filters.is_set = true;
    info->auto_scaling_groups.is_set = true;
    info->trigger_configurations.is_set = true;
    TRY(last_deployment(op, cd, g->last_attempted_id, &info->last_attempted_deployment));
    TRY(last_deployment(op, cd, g->last_successful_id, &info->last_successful_deployment));
    *ret = info;
    return ERR_OK;
}

enum err cd_get_deployment_group(struct op *op, struct codedeploy *cd,
                                 const struct codedeploy_get_deployment_group_in *in,
                                 struct codedeploy_get_deployment_group_out *ret)
{
    struct engine_codedeploy_application a = {0};
    struct engine_codedeploy_group g = {0};
    TRY(cd_find_application(op, cd, in->application_name, &a));
    TRY(cd_find_group(op, cd, &a, in->deployment_group_name, &g));
    return cd_show_group(op, cd, &g, &ret->deployment_group_info);
}

enum err cd_batch_get_deployment_groups(struct op *op, struct codedeploy *cd,
                                        const struct codedeploy_batch_get_deployment_groups_in *in,
                                        struct codedeploy_batch_get_deployment_groups_out *ret)
{
    struct engine_codedeploy_application a = {0};
    TRY(cd_find_application(op, cd, in->application_name, &a));
    if (in->deployment_group_names.count > CODEDEPLOY_BATCH_MAX) {
        return cd_fail(op, batch_limit_exceeded_exception,
                       "The batch has %zu groups, the limit is %d",
                       in->deployment_group_names.count, CODEDEPLOY_BATCH_MAX);
    }
    ret->deployment_groups_info.is_set = true;
    for (size_t i = 0; i < in->deployment_group_names.count; i++) {
        struct engine_codedeploy_group g = {0};
        struct codedeploy_deployment_group_info *info = NULL;
        TRY(cd_find_group(op, cd, &a, in->deployment_group_names.items[i], &g));
        TRY(cd_show_group(op, cd, &g, &info));
        *ARENA_PUSH(&op->arena, &ret->deployment_groups_info) = *info;
    }
    return ERR_OK;
}

enum err cd_list_deployment_groups(struct op *op, struct codedeploy *cd,
                                   const struct codedeploy_list_deployment_groups_in *in,
                                   struct codedeploy_list_deployment_groups_out *ret)
{
    static const struct page_rules rules = {
        .list_name = "codedeploy.groups",
        .default_count = CODEDEPLOY_PAGE_COUNT,
        .max_count = CODEDEPLOY_PAGE_COUNT,
        .bad_token = &codedeploy_error_invalid_next_token_exception,
    };
    struct engine_codedeploy_application a = {0};
    struct store_items items = {0};
    TRY(cd_find_application(op, cd, in->application_name, &a));
    TRY(page_list(op, cd->config.store, &codedeploy_kind_group,
                  &(struct store_range){.parent = a.application->application_id}, &rules,
                  (struct page_ask){.token = in->next_token}, &items, &ret->next_token));
    ret->application_name = in->application_name;
    ret->deployment_groups.is_set = true;
    for (size_t i = 0; i < items.count; i++) {
        const struct engine_codedeploy_group *g = items.items[i].value;
        *ARENA_PUSH(&op->arena, &ret->deployment_groups) = g->group->deployment_group_name;
    }
    return ERR_OK;
}

/* ---- writes --------------------------------------------------------------------------------- */

static void default_style(struct op *op, struct codedeploy_deployment_group_info *g)
{
    if (g->deployment_style == NULL) {
        g->deployment_style = ARENA_NEW(&op->arena, struct codedeploy_deployment_style);
        g->deployment_style->deployment_type = CODEDEPLOY_DEPLOYMENT_TYPE_BLUE_GREEN;
        g->deployment_style->deployment_option = CODEDEPLOY_DEPLOYMENT_OPTION_WITH_TRAFFIC_CONTROL;
    }
    if (g->deployment_config_name.len == 0) {
        g->deployment_config_name = STR("CodeDeployDefault.ECSAllAtOnce");
    }
}

enum err cd_create_deployment_group(struct op *op, struct codedeploy *cd,
                                    const struct codedeploy_create_deployment_group_in *in,
                                    struct codedeploy_create_deployment_group_out *ret)
{
    struct engine_codedeploy_application a = {0};
    struct tags tags = TAGS_FROM(&op->arena, in->tags);
    size_t count = 0;
    TRY(cd_find_application(op, cd, in->application_name, &a));
    struct str app_id = a.application->application_id;
    if (store_has(op, cd->config.store, &codedeploy_kind_group,
                  cd_key(op, app_id, in->deployment_group_name))) {
        return cd_fail(op, deployment_group_already_exists_exception,
                       "Deployment Group already exists: %.*s",
                       STR_ARG(in->deployment_group_name));
    }
    TRY(tags_check(op, &tag_errors, &tags));
    if (in->ec2_tag_filters.count > 0 || in->ec2_tag_set != NULL ||
        in->auto_scaling_groups.count > 0 || in->on_premises_instance_tag_filters.count > 0 ||
        in->on_premises_tag_set != NULL) {
        return cd_fail(op, invalid_input_exception,
                       "Instances do not apply to the compute platform ECS");
    }
    struct codedeploy_deployment_group_info info = {
        .application_name = in->application_name,
        .deployment_group_id = rand_uuid(&op->arena),
        .deployment_group_name = in->deployment_group_name,
        .deployment_config_name = in->deployment_config_name,
        .service_role_arn = in->service_role_arn,
        .trigger_configurations = in->trigger_configurations,
        .alarm_configuration = in->alarm_configuration,
        .auto_rollback_configuration = in->auto_rollback_configuration,
        .deployment_style = in->deployment_style,
        .outdated_instances_strategy = in->outdated_instances_strategy,
        .blue_green_deployment_configuration = in->blue_green_deployment_configuration,
        .load_balancer_info = in->load_balancer_info,
        .compute_platform = CODEDEPLOY_COMPUTE_PLATFORM_ECS,
        .ecs_services = in->ecs_services,
        .termination_hook_enabled = in->termination_hook_enabled,
    };
    default_style(op, &info);
    TRY(cd_check_group(op, cd, &info));
    TRY(store_count(op, cd->config.store, &codedeploy_kind_group,
                    &(struct store_range){.parent = app_id}, &count));
    if (count >= CODEDEPLOY_GROUPS_MAX) {
        return cd_fail(op, deployment_group_limit_exceeded_exception,
                       "The application has %d groups already", CODEDEPLOY_GROUPS_MAX);
    }
    struct engine_codedeploy_group row = {.group = &info, .updated_at = OPT_TIME(op->now)};
    TAGS_INTO(&op->arena, tags, &row.tags);
    TRY(cd_put_group(op, cd, app_id, &row));
    ret->deployment_group_id = info.deployment_group_id;
    return ERR_OK;
}

/* Members that the request leaves out stay as they are. */
static void take_changes(const struct codedeploy_update_deployment_group_in *in,
                         struct codedeploy_deployment_group_info *g)
{
#define TAKE_TEXT(member)                                            \
    do {                                                             \
        g->member = str_is_set(in->member) ? in->member : g->member; \
    } while (0)
#define TAKE_PART(member)                                        \
    do {                                                         \
        g->member = in->member != NULL ? in->member : g->member; \
    } while (0)
#define TAKE_LIST(member)                                       \
    do {                                                        \
        g->member = in->member.is_set ? in->member : g->member; \
    } while (0)
    TAKE_TEXT(deployment_config_name);
    TAKE_TEXT(service_role_arn);
    TAKE_PART(alarm_configuration);
    TAKE_PART(auto_rollback_configuration);
    TAKE_PART(deployment_style);
    TAKE_PART(blue_green_deployment_configuration);
    TAKE_PART(load_balancer_info);
    TAKE_LIST(trigger_configurations);
    TAKE_LIST(ecs_services);
#undef TAKE_TEXT
#undef TAKE_PART
#undef TAKE_LIST
    if (in->outdated_instances_strategy != CODEDEPLOY_OUTDATED_INSTANCES_STRATEGY_UNSET) {
        g->outdated_instances_strategy = in->outdated_instances_strategy;
    }
    if (in->termination_hook_enabled.is_set) {
        g->termination_hook_enabled = in->termination_hook_enabled;
    }
    if (in->new_deployment_group_name.len > 0) {
        g->deployment_group_name = in->new_deployment_group_name;
    }
}

/* A deployment that runs keeps what it began with. */
enum err cd_update_deployment_group(struct op *op, struct codedeploy *cd,
                                    const struct codedeploy_update_deployment_group_in *in,
                                    struct codedeploy_update_deployment_group_out *ret)
{
    struct engine_codedeploy_application a = {0};
    struct engine_codedeploy_group row = {0};
    TRY(cd_find_application(op, cd, in->application_name, &a));
    TRY(cd_find_group(op, cd, &a, in->current_deployment_group_name, &row));
    struct str app_id = a.application->application_id;
    struct str old_key = cd_key(op, app_id, row.group->deployment_group_name);
    take_changes(in, row.group);
    struct str new_key = cd_key(op, app_id, row.group->deployment_group_name);
    if (!str_equal(old_key, new_key) &&
        store_has(op, cd->config.store, &codedeploy_kind_group, new_key)) {
        return cd_fail(op, deployment_group_already_exists_exception,
                       "Deployment Group already exists: %.*s",
                       STR_ARG(row.group->deployment_group_name));
    }
    TRY(cd_check_group(op, cd, row.group));
    row.updated_at = OPT_TIME(op->now);

    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, cd->config.store, &tx));
    TRY(store_remove(op, cd->config.store, &codedeploy_kind_group, old_key));
    TRY(cd_put_group(op, cd, app_id, &row));
    TRY(store_tx_commit(op, &tx));
    ret->hooks_not_cleaned_up.is_set = true;
    return ERR_OK;
}

enum err cd_delete_deployment_group(struct op *op, struct codedeploy *cd,
                                    const struct codedeploy_delete_deployment_group_in *in,
                                    struct codedeploy_delete_deployment_group_out *ret)
{
    struct engine_codedeploy_application a = {0};
    TRY(cd_find_application(op, cd, in->application_name, &a));
    ret->hooks_not_cleaned_up.is_set = true;
    return store_remove(op, cd->config.store, &codedeploy_kind_group,
                        cd_key(op, a.application->application_id, in->deployment_group_name));
}
