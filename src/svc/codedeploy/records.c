/* What a deployment's row records beside its machine: the sides it works on, why it failed, the
 * rollback that follows. */
#include "svc/codedeploy/priv.h"

#include "rollout/service.h"

/* ---- binding -------------------------------------------------------------------------------- */

static void note_fault(struct engine_codedeploy_deployment *d, enum codedeploy_error_code code,
                       struct str text)
{
    if (d->fault.len == 0) {
        d->fault = text;
        d->fault_code = code;
    }
}

struct binding {
    struct codedeploy *cd;
    struct engine_codedeploy_deployment *d;
    struct port_service service;
    struct port_task_set blue;
    struct port_target_group groups[2];
};

static enum err bind_groups(struct op *op, struct binding *b)
{
    const struct port_elb *port = &b->cd->config.elb;
    const struct codedeploy_load_balancer_info *lb = b->d->deployment->load_balancer_info;
    const struct codedeploy_target_group_pair_info *pair =
        lb == NULL || lb->target_group_pair_info_list.count == 0
            ? NULL
            : &lb->target_group_pair_info_list.items[0];
    if (pair == NULL || pair->target_groups.count != 2 || pair->prod_traffic_route == NULL ||
        pair->prod_traffic_route->listener_arns.count == 0) {
        note_fault(b->d, CODEDEPLOY_ERROR_CODE_MISSING_ELB_INFORMATION,
                   STR("The deployment group has no pair of target groups with a listener."));
        return ERR_OK;
    }
    for (size_t i = 0; i < 2; i++) {
        struct str name = pair->target_groups.items[i].name;
        enum err e = port->find_target_group(port->self, op, name, &b->groups[i]);
        if (e == ERR_NOT_FOUND) {
            op_note_clear(op);
            note_fault(
                b->d, CODEDEPLOY_ERROR_CODE_ELASTIC_LOAD_BALANCING_INVALID,
                arena_printf(&op->arena, "The target group %.*s was not found.", STR_ARG(name)));
            return ERR_OK;
        }
        TRY(e);
    }
    b->d->production_listener_arn = pair->prod_traffic_route->listener_arns.items[0];
    if (pair->test_traffic_route != NULL && pair->test_traffic_route->listener_arns.count > 0) {
        b->d->test_listener_arn = pair->test_traffic_route->listener_arns.items[0];
    }
    return ERR_OK;
}

static enum err bind_service(struct op *op, struct binding *b)
{
    const struct port_task_sets *port = &b->cd->config.task_sets;
    struct engine_codedeploy_deployment *d = b->d;
    enum err e = port->find_service(port->self, op, d->cluster_name, d->service_name, &b->service);
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        note_fault(d, CODEDEPLOY_ERROR_CODE_INVALID_ECS_SERVICE,
                   arena_printf(&op->arena, "The ECS service %.*s of cluster %.*s was not found.",
                                STR_ARG(d->service_name), STR_ARG(d->cluster_name)));
        return ERR_OK;
    }
    TRY(e);
    if (!STR_IS(b->service.deployment_controller, "CODE_DEPLOY")) {
        note_fault(d, CODEDEPLOY_ERROR_CODE_INVALID_ECS_SERVICE,
                   STR("Deployment group's ECS service must be configured for a CODE_DEPLOY "
                       "deployment controller."));
    }
    d->failures_allowed = OPT_I32(rollout_breaker_threshold(
        &(struct rollout_breaker){.threshold = ROLLOUT_BOUNDED_PERCENT, .threshold_value = 50},
        b->service.desired_count));
    d->blue_id = b->service.primary_task_set_id;
    if (d->blue_id.len == 0) {
        return ERR_OK;
    }
    e = port->see(port->self, op, d->cluster_name, d->service_name, d->blue_id, &b->blue);
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        d->blue_id = STR_NONE;
        return ERR_OK;
    }
    return e;
}

/* Which of the two groups is blue: the primary task set's; without one, the one with the weight. */
static enum err bind_sides(struct op *op, struct binding *b)
{
    const struct port_elb *port = &b->cd->config.elb;
    size_t blue = 0;
    if (b->blue.target_group_arn.len > 0) {
        blue = str_equal(b->blue.target_group_arn, b->groups[1].arn) ? 1 : 0;
    } else {
        struct port_weights w = {0};
        if (port->get_weights(port->self, op, b->d->production_listener_arn, &w) != ERR_OK) {
            op_note_clear(op); /* the first observation says what is wrong */
        }
        for (size_t i = 0; i < w.count; i++) {
            if (w.items[i].weight > 0 && str_equal(w.items[i].target_group_arn, b->groups[1].arn)) {
                blue = 1;
            }
        }
    }
    b->d->blue_group_arn = b->groups[blue].arn;
    b->d->blue_group_name = b->groups[blue].name;
    b->d->green_group_arn = b->groups[1 - blue].arn;
    b->d->green_group_name = b->groups[1 - blue].name;
    return ERR_OK;
}

/* What brings blue back if its task set is gone: the last successful revision, when that is what
 * runs; else the task definition that runs, behind the same container and port. */
static enum err bind_blue_spec(struct op *op, struct binding *b, struct str last_successful_id)
{
    struct str running = b->service.task_definition_arn;
    struct engine_codedeploy_deployment last = {0};
    if (running.len == 0) {
        return ERR_OK;
    }
    if (last_successful_id.len > 0 &&
        store_get(op, b->cd->config.store, &codedeploy_kind_deployment, last_successful_id,
                  &last) == ERR_OK &&
        last.spec != NULL) {
        struct engine_codedeploy_spec *spec =
            OPT_OR(last.is_back, false) ? last.blue_spec : last.spec;
        if (spec != NULL && str_ends_with(running, spec->task_definition)) {
            b->d->blue_spec = spec;
            b->d->deployment->previous_revision = last.deployment->revision;
            return ERR_OK;
        }
    }
    op_note_clear(op);
    struct engine_codedeploy_spec *spec = ARENA_NEW(&op->arena, struct engine_codedeploy_spec);
    *spec = (struct engine_codedeploy_spec){
        .task_definition = running,
        .container_name = b->d->spec->container_name,
        .container_port = b->d->spec->container_port,
    };
    b->d->blue_spec = spec;
    b->d->deployment->previous_revision =
        cd_revision_of_content(&op->arena, appspec_write(op, spec));
    return ERR_OK;
}

enum err cd_bind(struct op *op, struct codedeploy *cd, struct engine_codedeploy_deployment *d,
                 struct str last_successful_id)
{
    struct binding b = {.cd = cd, .d = d};
    TRY(bind_service(op, &b));
    TRY(bind_groups(op, &b));
    if (d->production_listener_arn.len > 0) {
        TRY(bind_sides(op, &b));
    }
    TRY(bind_blue_spec(op, &b, last_successful_id));
    return ERR_OK;
}

/* ---- opening and closing -------------------------------------------------------------------- */

enum err cd_open_deployment(struct op *op, struct codedeploy *cd,
                            struct engine_codedeploy_deployment *d)
{
    wall_t now = op->now;
    now.us -= now.us % 1000;
    struct shift_row row = shift_row_new(now);
    row.is_refused = d->fault.len > 0;
    cd_row_into(op, &row, d);
    d->deployment->create_time = OPT_TIME(now);
    TRY(cd_put_deployment(op, cd, d));
    struct engine_codedeploy_open open = {.deployment_id = d->deployment->deployment_id};
    TRY(store_put(op, cd->config.store, &codedeploy_kind_open, d->group_id, STR(""), &open));
    cd_seat_after_commit(cd, op->region, d->deployment->deployment_id);
    return ERR_OK;
}

static enum err note_in_group(struct op *op, struct codedeploy *cd,
                              const struct engine_codedeploy_deployment *d, struct str attempted_id,
                              bool is_successful)
{
    struct store_items groups = {0};
    TRY(cd_list_groups(op, cd, d->application_id, &groups));
    for (size_t i = 0; i < groups.count; i++) {
        struct engine_codedeploy_group *g = groups.items[i].value;
        if (!str_equal(g->group->deployment_group_id, d->group_id)) {
            continue;
        }
        g->last_attempted_id = attempted_id;
        if (is_successful) {
            g->last_successful_id = d->deployment->deployment_id;
            g->group->target_revision = d->deployment->revision;
        }
        return cd_put_group(op, cd, d->application_id, g);
    }
    return ERR_OK; /* the group was deleted meanwhile */
}

static struct codedeploy_rollback_info *rollback_note(struct op *op, struct str made_id,
                                                      struct str cause_id, struct str text)
{
    struct codedeploy_rollback_info *r = ARENA_NEW(&op->arena, struct codedeploy_rollback_info);
    *r = (struct codedeploy_rollback_info){.rollback_deployment_id = made_id,
                                           .rollback_triggering_deployment_id = cause_id,
                                           .rollback_message = text};
    return r;
}

static enum err open_rollback(struct op *op, struct codedeploy *cd,
                              struct engine_codedeploy_deployment *x, struct str *ret_id)
{
    struct str x_id = x->deployment->deployment_id;
    struct str y_id = id_codedeploy(&op->arena);
    struct codedeploy_deployment_info *info =
        ARENA_NEW(&op->arena, struct codedeploy_deployment_info);
    *info = (struct codedeploy_deployment_info){
        .application_name = x->deployment->application_name,
        .deployment_group_name = x->deployment->deployment_group_name,
        .deployment_config_name = STR("CodeDeployDefault.ECSAllAtOnce"),
        .deployment_id = y_id,
        .previous_revision = x->deployment->revision,
        .revision = x->deployment->previous_revision,
        .creator = CODEDEPLOY_DEPLOYMENT_CREATOR_CODEDEPLOYROLLBACK,
        .deployment_style = x->deployment->deployment_style,
        .blue_green_deployment_configuration = x->deployment->blue_green_deployment_configuration,
        .load_balancer_info = x->deployment->load_balancer_info,
        .compute_platform = CODEDEPLOY_COMPUTE_PLATFORM_ECS,
    };
    info->rollback_info = rollback_note(
        op, STR_NONE, x_id,
        arena_printf(&op->arena, "Deployment %.*s is triggered to roll back deployment %.*s.",
                     STR_ARG(y_id), STR_ARG(x_id)));
    struct engine_codedeploy_deployment y = *x;
    y.deployment = info;
    y.is_back = OPT_BOOL(true);
    y.blue_made = OPT_BOOL(false);
    y.routing = NULL;
    y.rollback = NULL;
    y.alarms = NULL;
    y.hooks = (struct engine_codedeploy_hooks){0};
    y.alarms_seen = (struct engine_texts){0};
    y.fault = STR_NONE;
    y.fault_code = CODEDEPLOY_ERROR_CODE_UNSET;
    y.last_failure = STR_NONE;
    x->deployment->rollback_info = rollback_note(
        op, y_id, STR_NONE,
        arena_printf(&op->arena,
                     "Deployment %.*s terminated. Automatic rollback is triggered with a "
                     "DeploymentId %.*s.",
                     STR_ARG(x_id), STR_ARG(y_id)));
    *ret_id = y_id;
    return cd_open_deployment(op, cd, &y);
}

enum err cd_close_deployment(struct op *op, struct codedeploy *cd,
                             struct engine_codedeploy_deployment *d, bool is_rollback_due)
{
    struct shift_row row = cd_row_of(d);
    struct str attempted_id = d->deployment->deployment_id;
    TRY(store_remove(op, cd->config.store, &codedeploy_kind_open, d->group_id));
    if (is_rollback_due) {
        TRY(open_rollback(op, cd, d, &attempted_id));
    }
    return note_in_group(op, cd, d, attempted_id, row.state == SHIFT_DONE);
}

/* ---- why it failed -------------------------------------------------------------------------- */

static struct str alarm_text(struct op *op, const struct cd_sight *sight)
{
    auto_buf struct buf b;
    buf_init(&b, 4096);
    buf_add(&b, STR("One or more alarms have been activated according to the Amazon CloudWatch "
                    "metrics you selected, and the affected deployments have been stopped. "
                    "Activated alarms:"));
    for (size_t i = 0; i < sight->alarms.count; i++) {
        buf_addf(&b, " <%.*s>", STR_ARG(sight->alarms.items[i]));
    }
    return arena_str(&op->arena, buf_str(&b));
}

static struct str hook_text(struct op *op, const struct engine_codedeploy_deployment *d,
                            const struct shift_row *row, const char *what)
{
    const struct engine_codedeploy_hook *h = cd_hook_of(d, shift_event_of(row->failed_in));
    if (h == NULL) {
        return str_of(what);
    }
    return arena_printf(&op->arena, "%s (lifecycle event %.*s, function %.*s)", what,
                        STR_ARG(h->event), STR_ARG(h->function));
}

static struct str failed_tasks_text(struct op *op, const struct cd_sight *sight)
{
    struct str last = sight->green.last_failure;
    return arena_printf(
        &op->arena, "%d tasks of the replacement task set stopped before they were healthy.%s%.*s",
        sight->green.failed_count, last.len > 0 ? " The last one: " : "", STR_ARG(last));
}

static struct str timeout_text(const struct shift_row *row)
{
    return row->failed_in == SHIFT_INSTALLING ? STR("The deployment timed out while waiting for "
                                                    "the replacement task set to become "
                                                    "healthy. This time out period is 60 minutes.")
                                              : STR("The deployment timed out.");
}

void cd_note_cause(struct op *op, const struct cd_sight *sight,
                   struct engine_codedeploy_deployment *d, const struct shift_row *row)
{
    d->alarms_seen = sight->alarms;
    d->last_failure = sight->green.last_failure;
    switch (row->cause) {
    case SHIFT_CAUSE_ALARM:
        note_fault(d, CODEDEPLOY_ERROR_CODE_ALARM_ACTIVE, alarm_text(op, sight));
        break;
    case SHIFT_CAUSE_STOP:
        note_fault(d, CODEDEPLOY_ERROR_CODE_MANUAL_STOP,
                   STR("The deployment was stopped by a user."));
        break;
    case SHIFT_CAUSE_READY_TIMEOUT:
        note_fault(d, CODEDEPLOY_ERROR_CODE_TIMEOUT,
                   STR("The deployment was stopped because it was not continued within the wait "
                       "time of the deployment group."));
        break;
    case SHIFT_CAUSE_HOOK_FAILED:
        note_fault(d, CODEDEPLOY_ERROR_CODE_HOOK_EXECUTION_FAILURE,
                   hook_text(op, d, row, "A lifecycle event validation function failed."));
        break;
    case SHIFT_CAUSE_HOOK_TIMEOUT:
        note_fault(
            d, CODEDEPLOY_ERROR_CODE_HOOK_EXECUTION_FAILURE,
            hook_text(op, d, row, "A lifecycle event validation function did not answer in time."));
        break;
    case SHIFT_CAUSE_TASKS_FAILED:
        note_fault(d, CODEDEPLOY_ERROR_CODE_CUSTOMER_APPLICATION_UNHEALTHY,
                   failed_tasks_text(op, sight));
        break;
    case SHIFT_CAUSE_LOST:
        note_fault(d, CODEDEPLOY_ERROR_CODE_CUSTOMER_APPLICATION_UNHEALTHY,
                   STR("The replacement task set has no healthy target any more."));
        break;
    case SHIFT_CAUSE_TIMEOUT:
        note_fault(d, CODEDEPLOY_ERROR_CODE_TIMEOUT, timeout_text(row));
        break;
    case SHIFT_CAUSE_SERVICE_GONE:
        note_fault(d, sight->gone_code, sight->gone_text);
        break;
    case SHIFT_CAUSE_REFUSED:
        if (d->fault_code == CODEDEPLOY_ERROR_CODE_UNSET) {
            d->fault_code = CODEDEPLOY_ERROR_CODE_ECS_UPDATE_ERROR;
        }
        break;
    case SHIFT_CAUSE_NONE:
    default:
        break;
    }
}

/* ---- task sets ------------------------------------------------------------------------------ */

static struct codedeploy_ecs_task_set *entry_of(struct op *op,
                                                struct engine_codedeploy_deployment *d,
                                                struct str id, enum codedeploy_target_label label)
{
    d->task_sets.is_set = true;
    for (size_t i = 0; i < d->task_sets.count; i++) {
        if (d->task_sets.items[i].task_set_label == label) {
            return &d->task_sets.items[i];
        }
    }
    if (id.len == 0) {
        return NULL;
    }
    struct codedeploy_ecs_task_set *entry = ARENA_PUSH(&op->arena, &d->task_sets);
    entry->task_set_label = label;
    return entry;
}

static void note_side(struct op *op, struct engine_codedeploy_deployment *d,
                      enum codedeploy_target_label label, const struct port_task_set *set,
                      double weight)
{
    bool is_blue = label == CODEDEPLOY_TARGET_LABEL_BLUE;
    struct str id = is_blue ? d->blue_id : d->green_id;
    struct codedeploy_ecs_task_set *entry = entry_of(op, d, id, label);
    if (entry == NULL) {
        return;
    }
    bool is_there = set->id.len > 0;
    entry->identifer = id;
    entry->desired_count = OPT_I64(set->desired_count);
    entry->pending_count = OPT_I64(set->pending_count);
    entry->running_count = OPT_I64(set->running_count);
    entry->status = is_there ? set->status : STR("DRAINING");
    entry->traffic_weight = OPT_F64(weight);
    entry->target_group = ARENA_NEW(&op->arena, struct codedeploy_target_group_info);
    entry->target_group->name = is_blue ? d->blue_group_name : d->green_group_name;
}

void cd_note_task_sets(struct op *op, const struct cd_sight *sight,
                       struct engine_codedeploy_deployment *d)
{
    /* entries of the stored row are changed in a copy */
    struct codedeploy_ecs_task_set_list had = d->task_sets;
    d->task_sets = (struct codedeploy_ecs_task_set_list){.is_set = true};
    for (size_t i = 0; i < had.count; i++) {
        *ARENA_PUSH(&op->arena, &d->task_sets) = had.items[i];
    }
    double blue = sight->shift.production.blue % CD_FOREIGN_WEIGHT;
    double green = sight->shift.production.green;
    double whole = blue + green > 0 ? blue + green : 1;
    note_side(op, d, CODEDEPLOY_TARGET_LABEL_BLUE, &sight->blue, blue * 100 / whole);
    note_side(op, d, CODEDEPLOY_TARGET_LABEL_GREEN, &sight->green, green * 100 / whole);
}
