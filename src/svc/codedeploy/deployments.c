/* CreateDeployment and what is asked of a deployment afterwards. */
#include "svc/codedeploy/handlers.h"

#include "svc/codedeploy/priv.h"

#include <stdlib.h>

enum err cd_put_deployment(struct op *op, struct codedeploy *cd,
                           const struct engine_codedeploy_deployment *d)
{
    return store_put(op, cd->config.store, &codedeploy_kind_deployment,
                     d->deployment->deployment_id, d->group_id, d);
}

static bool is_deployment_id(struct str id)
{
    return str_starts_with(id, STR("d-")) && name_is(str_from(id, 2), 9, 9, STR(""));
}

enum err cd_find_deployment(struct op *op, struct codedeploy *cd, struct str id,
                            struct engine_codedeploy_deployment *ret)
{
    if (id.len == 0) {
        return cd_fail(op, deployment_id_required_exception,
                       "Deployment Id cannot be null or empty");
    }
    if (!is_deployment_id(id)) {
        return cd_fail(op, invalid_deployment_id_exception, "Invalid Deployment Id: %.*s",
                       STR_ARG(id));
    }
    enum err e = store_get(op, cd->config.store, &codedeploy_kind_deployment, id, ret);
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        return cd_fail(op, deployment_does_not_exist_exception,
                       "The deployment %.*s could not be found", STR_ARG(id));
    }
    return e;
}

/* ---- create --------------------------------------------------------------------------------- */

static const struct codedeploy_alarm_configuration *pick_alarms(
    const struct codedeploy_create_deployment_in *in,
    const struct codedeploy_deployment_group_info *g)
{
    return in->override_alarm_configuration != NULL ? in->override_alarm_configuration
                                                    : g->alarm_configuration;
}

static enum err refuse_second(struct op *op, struct codedeploy *cd,
                              const struct codedeploy_deployment_group_info *g)
{
    struct engine_codedeploy_open open = {0};
    enum err e =
        store_get(op, cd->config.store, &codedeploy_kind_open, g->deployment_group_id, &open);
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        return ERR_OK;
    }
    TRY(e);
    return cd_fail(op, deployment_limit_exceeded_exception,
                   "The Deployment Group '%.*s' already has an active Deployment '%.*s'",
                   STR_ARG(g->deployment_group_name), STR_ARG(open.deployment_id));
}

/* The revision that is deployed: the one given, or the group's. */
static enum err pick_revision(struct op *op, const struct codedeploy_create_deployment_in *in,
                              const struct codedeploy_deployment_group_info *g,
                              struct codedeploy_revision_location **ret)
{
    const struct codedeploy_revision_location *r =
        in->revision != NULL ? in->revision : g->target_revision;
    if (r == NULL) {
        return cd_fail(op, revision_required_exception, "Revision must be specified");
    }
    TRY(cd_check_revision(op, r));
    *ret = ARENA_NEW(&op->arena, struct codedeploy_revision_location);
    **ret = *r;
    return ERR_OK;
}

static enum err check_create(struct op *op, const struct codedeploy_create_deployment_in *in)
{
    if (in->deployment_group_name.len == 0) {
        return cd_fail(op, deployment_group_name_required_exception,
                       "Deployment Group name must be specified");
    }
    if (in->description.len > CODEDEPLOY_DESCRIPTION_CHARS_MAX) {
        return cd_fail(op, description_too_long_exception,
                       "The description has %zu characters, the limit is %d", in->description.len,
                       CODEDEPLOY_DESCRIPTION_CHARS_MAX);
    }
    TRY(cd_check_alarms(op, in->override_alarm_configuration));
    return cd_check_rollback(op, in->auto_rollback_configuration);
}

static enum err fill_deployment(struct op *op, struct codedeploy *cd,
                                const struct codedeploy_create_deployment_in *in,
                                const struct engine_codedeploy_group *group,
                                struct engine_codedeploy_deployment *d)
{
    const struct codedeploy_deployment_group_info *g = group->group;
    struct codedeploy_deployment_info *info =
        ARENA_NEW(&op->arena, struct codedeploy_deployment_info);
    struct codedeploy_deployment_config_info config = {0};
    struct engine_codedeploy_spec *spec = ARENA_NEW(&op->arena, struct engine_codedeploy_spec);
    *info = (struct codedeploy_deployment_info){
        .application_name = g->application_name,
        .deployment_group_name = g->deployment_group_name,
        .deployment_config_name = in->deployment_config_name.len > 0 ? in->deployment_config_name
                                                                     : g->deployment_config_name,
        .deployment_id = id_codedeploy(&op->arena),
        .description = in->description,
        .creator = CODEDEPLOY_DEPLOYMENT_CREATOR_USER,
        .deployment_style = g->deployment_style,
        .blue_green_deployment_configuration = g->blue_green_deployment_configuration,
        .load_balancer_info = g->load_balancer_info,
        .compute_platform = CODEDEPLOY_COMPUTE_PLATFORM_ECS,
        .file_exists_behavior = in->file_exists_behavior,
        .override_alarm_configuration = in->override_alarm_configuration,
    };
    TRY(pick_revision(op, in, g, &info->revision));
    TRY(cd_find_config(op, cd, info->deployment_config_name, &config));
    if (appspec_parse(op, cd_revision_content(info->revision), spec) != ERR_OK) {
        struct str why = arena_str(&op->arena, str_of(op->note.text));
        op_note_clear(op);
        return cd_fail(op, invalid_revision_exception, "The AppSpec file is not valid: %.*s",
                       STR_ARG(why));
    }
    d->deployment = info;
    d->group_id = g->deployment_group_id;
    d->spec = spec;
    d->routing = config.traffic_routing_config;
    d->alarms = ARENA_NEW(&op->arena, struct codedeploy_alarm_configuration);
    if (pick_alarms(in, g) != NULL) {
        *d->alarms = *pick_alarms(in, g);
    }
    d->rollback = in->auto_rollback_configuration != NULL ? in->auto_rollback_configuration
                                                          : g->auto_rollback_configuration;
    info->auto_rollback_configuration = d->rollback;
    if (g->ecs_services.count > 0) {
        d->cluster_name = g->ecs_services.items[0].cluster_name;
        d->service_name = g->ecs_services.items[0].service_name;
    }
    return ERR_OK;
}

enum err cd_create_deployment(struct op *op, struct codedeploy *cd,
                              const struct codedeploy_create_deployment_in *in,
                              struct codedeploy_create_deployment_out *ret)
{
    struct engine_codedeploy_application app = {0};
    struct engine_codedeploy_group group = {0};
    struct engine_codedeploy_deployment d = {0};
    TRY(cd_find_application(op, cd, in->application_name, &app));
    TRY(check_create(op, in));
    TRY(cd_find_group(op, cd, &app, in->deployment_group_name, &group));
    TRY(refuse_second(op, cd, group.group));
    TRY(fill_deployment(op, cd, in, &group, &d));
    d.application_id = app.application->application_id;
    TRY(cd_bind(op, cd, &d, group.last_successful_id));

    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, cd->config.store, &tx));
    TRY(cd_note_revision(op, cd, d.application_id, group.group->deployment_group_name,
                         d.deployment->revision, STR_NONE, true));
    TRY(cd_open_deployment(op, cd, &d));
    group.last_attempted_id = d.deployment->deployment_id;
    TRY(cd_put_group(op, cd, d.application_id, &group));
    FAULT_POINT("codedeploy.create.before_commit");
    TRY(store_tx_commit(op, &tx));
    FAULT_POINT("codedeploy.create.after_commit");
    ret->deployment_id = d.deployment->deployment_id;
    return ERR_OK;
}

/* ---- read ----------------------------------------------------------------------------------- */

enum err cd_get_deployment(struct op *op, struct codedeploy *cd,
                           const struct codedeploy_get_deployment_in *in,
                           struct codedeploy_get_deployment_out *ret)
{
    struct engine_codedeploy_deployment d = {0};
    TRY(cd_find_deployment(op, cd, in->deployment_id, &d));
    ret->deployment_info = cd_show_deployment(op, &d);
    return ERR_OK;
}

enum err cd_batch_get_deployments(struct op *op, struct codedeploy *cd,
                                  const struct codedeploy_batch_get_deployments_in *in,
                                  struct codedeploy_batch_get_deployments_out *ret)
{
    if (in->deployment_ids.count == 0) {
        return cd_fail(op, deployment_id_required_exception, "Deployment Ids cannot be empty");
    }
    if (in->deployment_ids.count > CODEDEPLOY_BATCH_SMALL_MAX) {
        return cd_fail(op, batch_limit_exceeded_exception,
                       "The batch has %zu deployments, the limit is %d", in->deployment_ids.count,
                       CODEDEPLOY_BATCH_SMALL_MAX);
    }
    ret->deployments_info.is_set = true;
    for (size_t i = 0; i < in->deployment_ids.count; i++) {
        struct engine_codedeploy_deployment d = {0};
        enum err e = store_get(op, cd->config.store, &codedeploy_kind_deployment,
                               in->deployment_ids.items[i], &d);
        if (e == ERR_NOT_FOUND) {
            op_note_clear(op); /* unknown ones are left out */
            continue;
        }
        TRY(e);
        *ARENA_PUSH(&op->arena, &ret->deployments_info) = *cd_show_deployment(op, &d);
    }
    return ERR_OK;
}

static bool is_wanted(const struct codedeploy_list_deployments_in *in,
                      const struct engine_codedeploy_deployment *d)
{
    int64_t created_us = OPT_OR(d->deployment->create_time, (wall_t){0}).us;
    if (in->create_time_range != NULL) {
        const struct codedeploy_time_range *r = in->create_time_range;
        if ((r->start.is_set && created_us < r->start.value.us) ||
            (r->end.is_set && created_us > r->end.value.us)) {
            return false;
        }
    }
    if (in->external_id.len > 0 && !str_equal(in->external_id, d->deployment->external_id)) {
        return false;
    }
    enum codedeploy_deployment_status status = cd_status(d);
    for (size_t i = 0; i < in->include_only_statuses.count; i++) {
        if (in->include_only_statuses.items[i] == status) {
            return true;
        }
    }
    return in->include_only_statuses.count == 0;
}

static int compare_texts(const void *left, const void *right)
{
    const struct str *a = left;
    const struct str *b = right;
    return str_compare(*a, *b);
}

/* Newest first: the key of an entry is what is left of time, and its id. */
static struct str order_key(struct op *op, const struct engine_codedeploy_deployment *d)
{
    int64_t created_us = OPT_OR(d->deployment->create_time, (wall_t){0}).us;
    return arena_printf(&op->arena, "%019lld %.*s", (long long)(INT64_MAX - created_us),
                        STR_ARG(d->deployment->deployment_id));
}

static enum err find_parent(struct op *op, struct codedeploy *cd,
                            const struct codedeploy_list_deployments_in *in, struct str *ret_app_id,
                            struct str *ret_group_id)
{
    struct engine_codedeploy_application app = {0};
    struct engine_codedeploy_group group = {0};
    if (in->application_name.len == 0) {
        return in->deployment_group_name.len == 0 ? ERR_OK
                                                  : cd_fail(op, application_name_required_exception,
                                                            "Application name must be specified");
    }
    TRY(cd_find_application(op, cd, in->application_name, &app));
    *ret_app_id = app.application->application_id;
    if (in->deployment_group_name.len == 0) {
        return ERR_OK;
    }
    TRY(cd_find_group(op, cd, &app, in->deployment_group_name, &group));
    *ret_group_id = group.group->deployment_group_id;
    return ERR_OK;
}

enum err cd_list_deployments(struct op *op, struct codedeploy *cd,
                             const struct codedeploy_list_deployments_in *in,
                             struct codedeploy_list_deployments_out *ret)
{
    static const struct page_rules rules = {
        .list_name = "codedeploy.deployments",
        .default_count = CODEDEPLOY_PAGE_COUNT,
        .max_count = CODEDEPLOY_PAGE_COUNT,
        .bad_token = &codedeploy_error_invalid_next_token_exception,
    };
    struct str app_id = STR_NONE;
    struct str group_id = STR_NONE;
    struct store_items items = {0};
    TRY(find_parent(op, cd, in, &app_id, &group_id));
    TRY(store_list(op, cd->config.store, &codedeploy_kind_deployment,
                   &(struct store_range){.parent = group_id}, &items));
    struct str *keys = ARENA_ARRAY(&op->arena, struct str, items.count + 1);
    size_t count = 0;
    for (size_t i = 0; i < items.count; i++) {
        const struct engine_codedeploy_deployment *d = items.items[i].value;
        bool is_here = !str_is_set(app_id) || str_equal(d->application_id, app_id);
        if (is_here && is_wanted(in, d)) {
            keys[count++] = order_key(op, d);
        }
    }
    qsort(keys, count, sizeof(*keys), compare_texts);
    size_t from = 0;
    size_t to = 0;
    TRY(page_cut(op, &rules, (struct page_ask){.token = in->next_token}, keys, count, &from, &to,
                 &ret->next_token));
    ret->deployments.is_set = true;
    for (size_t i = from; i < to; i++) {
        *ARENA_PUSH(&op->arena, &ret->deployments) = str_from(keys[i], 20);
    }
    return ERR_OK;
}

/* ---- stop, continue, answer a hook ---------------------------------------------------------- */

static enum err commit_ask(struct op *op, struct codedeploy *cd, const struct shift_row *row,
                           struct engine_codedeploy_deployment *d)
{
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, cd->config.store, &tx));
    cd_row_into(op, row, d);
    TRY(cd_put_deployment(op, cd, d));
    cd_seat_after_commit(cd, op->region, d->deployment->deployment_id);
    FAULT_POINT("codedeploy.ask.before_commit");
    TRY(store_tx_commit(op, &tx));
    FAULT_POINT("codedeploy.ask.after_commit");
    return ERR_OK;
}

static enum err fail_completed(struct op *op, const struct engine_codedeploy_deployment *d)
{
    return cd_fail(op, deployment_already_completed_exception,
                   "The deployment %.*s is already completed",
                   STR_ARG(d->deployment->deployment_id));
}

enum err cd_stop_deployment(struct op *op, struct codedeploy *cd,
                            const struct codedeploy_stop_deployment_in *in,
                            struct codedeploy_stop_deployment_out *ret)
{
    struct engine_codedeploy_deployment d = {0};
    TRY(cd_find_deployment(op, cd, in->deployment_id, &d));
    struct shift_row row = cd_row_of(&d);
    /* once the original task set is being taken away there is nothing to stop for */
    if (cd_is_over(&d) || row.state == SHIFT_TERMINATING) {
        return fail_completed(op, &d);
    }
    row.is_stop_asked = true;
    if (in->auto_rollback_enabled.is_set) {
        d.rolls_back_on_stop = in->auto_rollback_enabled;
    }
    TRY(commit_ask(op, cd, &row, &d));
    ret->status = CODEDEPLOY_STOP_STATUS_PENDING;
    ret->status_message = STR("No more events will be scheduled for this deployment.");
    return ERR_OK;
}

enum err cd_continue_deployment(struct op *op, struct codedeploy *cd,
                                const struct codedeploy_continue_deployment_in *in,
                                struct codedeploy_continue_deployment_out *ret)
{
    struct engine_codedeploy_deployment d = {0};
    (void)ret;
    TRY(cd_find_deployment(op, cd, in->deployment_id, &d));
    struct shift_row row = cd_row_of(&d);
    if (cd_is_over(&d)) {
        return fail_completed(op, &d);
    }
    bool ends_termination =
        in->deployment_wait_type == CODEDEPLOY_DEPLOYMENT_WAIT_TYPE_TERMINATION_WAIT;
    enum shift_state waits_in = ends_termination ? SHIFT_TERMINATION_WAIT : SHIFT_READY_WAIT;
    if (row.state != waits_in) {
        return cd_fail(op, deployment_is_not_in_ready_state_exception,
                       "The deployment %.*s is not waiting to be continued",
                       STR_ARG(in->deployment_id));
    }
    row.is_continued = true;
    return commit_ask(op, cd, &row, &d);
}

enum err cd_put_lifecycle_event_hook_execution_status(
    struct op *op, struct codedeploy *cd,
    const struct codedeploy_put_lifecycle_event_hook_execution_status_in *in,
    struct codedeploy_put_lifecycle_event_hook_execution_status_out *ret)
{
    struct engine_codedeploy_deployment d = {0};
    TRY(cd_find_deployment(op, cd, in->deployment_id, &d));
    bool is_good = in->status == CODEDEPLOY_LIFECYCLE_EVENT_STATUS_SUCCEEDED;
    if (!is_good && in->status != CODEDEPLOY_LIFECYCLE_EVENT_STATUS_FAILED) {
        return cd_fail(op, invalid_lifecycle_event_hook_execution_status_exception,
                       "The status must be Succeeded or Failed");
    }
    struct engine_codedeploy_hook *h = NULL;
    for (size_t i = 0; i < d.hooks.count; i++) {
        if (str_equal(d.hooks.items[i].execution_id, in->lifecycle_event_hook_execution_id)) {
            h = &d.hooks.items[i];
        }
    }
    if (h == NULL || in->lifecycle_event_hook_execution_id.len == 0) {
        return cd_fail(op, invalid_lifecycle_event_hook_execution_id_exception,
                       "The lifecycle event hook execution id is not valid");
    }
    struct shift_row row = cd_row_of(&d);
    bool is_open = cd_hook_of(&d, shift_event_of(row.state)) == h && STR_IS(h->status, "called");
    if (!is_open) {
        return cd_fail(op, lifecycle_event_already_completed_exception,
                       "The lifecycle event %.*s is already completed", STR_ARG(h->event));
    }
    h->status = is_good ? STR("succeeded") : STR("failed");
    TRY(commit_ask(op, cd, &row, &d));
    ret->lifecycle_event_hook_execution_id = in->lifecycle_event_hook_execution_id;
    return ERR_OK;
}
