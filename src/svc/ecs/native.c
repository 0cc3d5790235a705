/* Deployments with the strategies BLUE_GREEN, LINEAR and CANARY (aws-semantics 1.11 to 1.14): the
 * machine of rollout/shift.h between two deployments of one service. Blue is the deployment that
 * served before, green the new PRIMARY; each registers its tasks in a target group of its own, and
 * the production rule's weights say which of them gets how much.
 *
 * While it runs, each side is a crew of its own (rollout_task_set_decide). When it ends, the
 * rolling scheduler goes on with what it left: green alone, or blue under the id of a rollback with
 * green's tasks to be stopped. */
#include "svc/ecs/native.h"

#include "base/check.h"
#include "svc/common/shift_row.h"

struct side {
    struct engine_ecs_side *row;
    struct engine_ecs_deployment *deployment;
    struct ecs_load_balancers balancers; /* with the side's own target group */
    struct rollout_task_set_sight sight;
    struct engine_ecs_task **tasks;
    struct rollout_task_set_plan plan;
    bool is_seen;
};

struct native {
    struct scene *s;
    struct engine_ecs_shift row;
    struct engine_ecs_service_deployment story;
    struct side blue;
    struct side green;
    struct shift_row machine;
    struct shift_config config;
    struct shift_sight sight;
    struct ecs_string_list triggered_alarms;
};

const struct store_kind ecs_kind_shift = {"ecs.shift", &shape_engine_ecs_shift};

/* ---- target groups ----------------------------------------------------------------------------*/

const struct ecs_load_balancers *ecs_deployment_balancers(const struct engine_ecs_deployment *d,
                                                          const struct ecs_load_balancers *revision)
{
    return d->load_balancers.count > 0 ? &d->load_balancers : revision;
}

bool ecs_is_native(const struct ecs_deployment_configuration *c)
{
    return c != NULL && c->strategy != ECS_DEPLOYMENT_STRATEGY_UNSET &&
           c->strategy != ECS_DEPLOYMENT_STRATEGY_ROLLING;
}

static const struct ecs_load_balancer *paired(const struct ecs_load_balancers *lbs)
{
    return lbs->count == 1 && lbs->items[0].advanced_configuration != NULL ? &lbs->items[0] : NULL;
}

static struct ecs_load_balancers with_group(struct op *op, const struct ecs_load_balancer *lb,
                                            struct str group)
{
    struct ecs_load_balancers lbs = {.is_set = true};
    struct ecs_load_balancer *own = ARENA_PUSH(&op->arena, &lbs);
    *own = *lb;
    own->target_group_arn = group;
    return lbs;
}

/* The group of the pair that the production rule serves from: the one with the greater weight. */
static enum err find_live_group(struct op *op, struct ecs *ecs, const struct ecs_load_balancer *lb,
                                struct str *ret_group)
{
    const struct port_elb *elb = ecs->config.elb;
    struct port_weights w = {0};
    const struct ecs_advanced_configuration *a = lb->advanced_configuration;
    TRY(elb->get_weights(elb->self, op, a->production_listener_rule, &w));
    int32_t best = 0;
    struct str group = lb->target_group_arn;
    for (size_t i = 0; i < w.count; i++) {
        bool is_ours = str_equal(w.items[i].target_group_arn, lb->target_group_arn) ||
                       str_equal(w.items[i].target_group_arn, a->alternate_target_group_arn);
        if (is_ours && w.items[i].weight > best) {
            best = w.items[i].weight;
            group = w.items[i].target_group_arn;
        }
    }
    *ret_group = arena_str(&op->arena, group);
    return ERR_OK;
}

/* ---- beginning --------------------------------------------------------------------------------*/

static enum err refuse_balancers(struct op *op, const struct ecs_load_balancers *lbs)
{
    if (lbs->count == 1) {
        return fail_parameter(
            op, "advancedConfiguration field is required for all loadBalancers when using a "
                "non-ROLLING deployment strategy");
    }
    return fail_unsupported(
        op, "a deployment strategy other than ROLLING takes exactly one load balancer here");
}

enum err ecs_native_begin(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                          const struct engine_ecs_service *service,
                          const struct ecs_service_revision *revision,
                          const struct engine_ecs_deployment *before,
                          struct engine_ecs_deployment *deployment)
{
    const struct ecs_load_balancer *lb = paired(&revision->load_balancers);
    if (lb == NULL && ecs_is_native(service->service->deployment_configuration)) {
        return refuse_balancers(op, &revision->load_balancers);
    }
    if (lb == NULL) {
        return ERR_OK;
    }
    struct str live = STR_NONE;
    TRY(find_live_group(op, ecs, lb, &live));
    bool has_blue = before != NULL &&
                    before->deployment->rollout_state == ECS_DEPLOYMENT_ROLLOUT_STATE_COMPLETED;
    if (!ecs_is_native(service->service->deployment_configuration) || !has_blue) {
        deployment->load_balancers = with_group(op, lb, live);
        return ERR_OK;
    }
    const struct ecs_advanced_configuration *a = lb->advanced_configuration;
    struct str other = str_equal(live, lb->target_group_arn) ? a->alternate_target_group_arn
                                                             : lb->target_group_arn;
    deployment->load_balancers = with_group(op, lb, other);
    struct shift_row machine = shift_row_new(op->now);
    struct engine_ecs_side blue = {.deployment_id = before->deployment->id,
                                   .target_group_arn = live,
                                   .is_made = OPT_BOOL(true)};
    struct engine_ecs_side green = {.deployment_id = deployment->deployment->id,
                                    .target_group_arn = other};
    struct engine_ecs_shift row = {.service_deployment_arn = deployment->service_deployment_arn,
                                   .rule_arn = a->production_listener_rule,
                                   .test_rule_arn = a->test_listener_rule,
                                   .blue = &blue,
                                   .green = &green,
                                   .machine = shift_row_write(op, &machine)};
    return store_put(op, ecs->config.store, &ecs_kind_shift, ref->key, ref->cluster, &row);
}

bool ecs_native_runs(struct op *op, struct ecs *ecs, const struct service_ref *ref)
{
    return store_has(op, ecs->config.store, &ecs_kind_shift, ref->key);
}

/* ---- what is seen -----------------------------------------------------------------------------*/

static enum err find_deployment(struct native *n, struct str id, struct engine_ecs_deployment **ret)
{
    struct scene *s = n->s;
    *ret = ARENA_NEW(&s->op->arena, struct engine_ecs_deployment);
    struct str key = ecs_key(s->op, s->ref.key, ecs_last_part(id));
    return store_get(s->op, s->ecs->config.store, &ecs_kind_deployment, key, *ret);
}

static enum err see_side(struct native *n, struct engine_ecs_side *row, struct side *side)
{
    struct scene *s = n->s;
    side->row = row;
    TRY(find_deployment(n, row->deployment_id, &side->deployment));
    struct ecs_service_revision revision = {0};
    TRY(ecs_revision_find(s->op, s->ecs, &s->ref, side->deployment->revision_arn, &revision));
    CHECK(revision.load_balancers.count == 1);
    side->balancers = with_group(s->op, &revision.load_balancers.items[0], row->target_group_arn);
    if (!OPT_OR(row->is_made, false) || OPT_OR(row->is_gone, false)) {
        return ERR_OK;
    }
    struct ecs_task_definition *td = ARENA_NEW(&s->op->arena, struct ecs_task_definition);
    TRY(ecs_task_definition_of(s->op, s->ecs, revision.task_definition, td));
    bool is_leaving = OPT_OR(row->is_leaving, false);
    struct crew_config crew = {.load_balancers = &side->balancers,
                               .definition = td,
                               .desired_count =
                                   is_leaving ? 0 : OPT_OR(s->row.service->desired_count, 0)};
    side->sight = (struct rollout_task_set_sight){.id = row->deployment_id,
                                                  .is_draining = is_leaving,
                                                  .failed_count = OPT_OR(row->failed_count, 0),
                                                  .memory = ecs_memory_read(row->memory),
                                                  .runtime_fault = scene_runtime_fault(s)};
    TRY(scene_config(s, &crew, &side->sight.config));
    struct rollout_task *tasks = NULL;
    TRY(scene_tasks(s, &side->sight.config, row->deployment_id, &tasks, &side->tasks,
                    &side->sight.task_count));
    side->sight.tasks = tasks;
    side->plan = rollout_task_set_decide(&s->op->arena, &side->sight, s->op->now);
    side->is_seen = true;
    return ERR_OK;
}

static struct shift_side sight_of(const struct native *n, const struct side *side, bool is_primary)
{
    struct shift_side seen = {
        .is_there = side->is_seen,
        .is_leaving = OPT_OR(side->row->is_leaving, false),
        .was_made = side == &n->green && OPT_OR(side->row->is_made, false),
        .is_primary = is_primary,
        .is_steady = side->is_seen && side->plan.is_steady,
        .desired_count = OPT_OR(n->s->row.service->desired_count, 0),
        .failed_count = OPT_OR(side->row->failed_count, 0),
    };
    for (size_t i = 0; side->is_seen && i < side->sight.task_count; i++) {
        seen.healthy_count +=
            rollout_task_is_healthy(&side->sight.config, &side->sight.tasks[i], n->s->op->now);
    }
    return seen;
}

/* {0, 0} and not there: the rule is gone. */
static enum err see_route(struct native *n, struct str rule_arn, struct shift_weights *ret,
                          bool *ret_is_there)
{
    const struct port_elb *elb = n->s->ecs->config.elb;
    struct port_weights w = {0};
    enum err e = elb->get_weights(elb->self, n->s->op, rule_arn, &w);
    *ret = (struct shift_weights){0};
    *ret_is_there = e == ERR_OK;
    if (e == ERR_NOT_FOUND) {
        op_note_clear(n->s->op);
        return ERR_OK;
    }
    TRY(e);
    for (size_t i = 0; i < w.count; i++) {
        if (str_equal(w.items[i].target_group_arn, n->row.blue->target_group_arn)) {
            ret->blue = w.items[i].weight;
        } else if (str_equal(w.items[i].target_group_arn, n->row.green->target_group_arn)) {
            ret->green = w.items[i].weight;
        }
    }
    return ERR_OK;
}

static bool was_in_alarm(const struct engine_ecs_deployment *d, struct str name)
{
    for (size_t i = 0; i < d->alarms_at_start.count; i++) {
        if (str_equal(d->alarms_at_start.items[i], name)) {
            return true;
        }
    }
    return false;
}

static enum err see_alarms(struct native *n)
{
    const struct port_alarms *port = n->s->ecs->config.alarms;
    const struct ecs_deployment_configuration *c = n->s->row.service->deployment_configuration;
    const struct ecs_deployment_alarms *alarms = c->alarms;
    if (alarms == NULL || !OPT_OR(alarms->enable, false)) {
        return ERR_OK;
    }
    for (size_t i = 0; i < alarms->alarm_names.count; i++) {
        struct str name = alarms->alarm_names.items[i];
        enum port_alarm_state state = PORT_ALARM_MISSING;
        struct str reason = STR_NONE;
        TRY(port->see_alarm(port->self, n->s->op, name, &state, &reason));
        if (state == PORT_ALARM_ALARM && !was_in_alarm(n->green.deployment, name)) {
            *ARENA_PUSH(&n->s->op->arena, &n->triggered_alarms) = name;
            n->triggered_alarms.is_set = true;
        }
    }
    n->sight.is_alarm = n->triggered_alarms.count > 0;
    return ERR_OK;
}

static int32_t permille_of(double percent)
{
    return (int32_t)(percent * 10 + 0.5);
}

static void add_step(struct shift_config *c, int32_t permille, int32_t wait_min)
{
    CHECK(c->step_count < SHIFT_STEPS_MAX);
    c->steps[c->step_count++] =
        (struct shift_step){.permille = permille, .wait = dur_scaled(DUR_MIN(wait_min))};
}

static void plan(struct native *n)
{
    const struct ecs_deployment_configuration *c = n->s->row.service->deployment_configuration;
    struct shift_config *config = &n->config;
    config->kind = SHIFT_FORWARD;
    config->has_test_route = n->row.test_rule_arn.len > 0;
    if (c->strategy == ECS_DEPLOYMENT_STRATEGY_CANARY && c->canary_configuration != NULL) {
        int32_t share = permille_of(OPT_OR(c->canary_configuration->canary_percent, 5.0));
        if (share < 1000) {
            add_step(config, share,
                     OPT_OR(c->canary_configuration->canary_bake_time_in_minutes, 10));
        }
    } else if (c->strategy == ECS_DEPLOYMENT_STRATEGY_LINEAR && c->linear_configuration != NULL) {
        int32_t step = permille_of(OPT_OR(c->linear_configuration->step_percent, 10.0));
        for (int32_t sum = step; sum < 1000; sum += step) {
            add_step(config, sum, OPT_OR(c->linear_configuration->step_bake_time_in_minutes, 6));
        }
    }
    add_step(config, 1000, 0);
    config->termination_wait = dur_scaled(DUR_MIN(OPT_OR(c->bake_time_in_minutes, 0)));
    if (c->deployment_circuit_breaker != NULL &&
        OPT_OR(c->deployment_circuit_breaker->enable, false)) {
        struct rollout_breaker breaker = {
            .is_enabled = true, .threshold = ROLLOUT_BOUNDED_PERCENT, .threshold_value = 50};
        config->failures_allowed =
            rollout_breaker_threshold(&breaker, OPT_OR(n->s->row.service->desired_count, 0));
    }
    config->rolls_back_on_failure = true;
    config->rolls_back_on_alarm = true;
    config->rolls_back_on_stop = true;
}

static enum err see(struct native *n)
{
    struct scene *s = n->s;
    TRY(ecs_service_deployment_find(s->op, s->ecs, &s->ref, n->row.service_deployment_arn,
                                    &n->story));
    TRY(see_side(n, n->row.blue, &n->blue));
    TRY(see_side(n, n->row.green, &n->green));
    n->machine = shift_row_read(n->row.machine);
    n->machine.is_stop_asked |=
        n->story.deployment->status == ECS_SERVICE_DEPLOYMENT_STATUS_ROLLBACK_REQUESTED;
    bool is_primary = OPT_OR(n->row.is_green_primary, false);
    n->sight.blue = sight_of(n, &n->blue, !is_primary);
    n->sight.green = sight_of(n, &n->green, is_primary);
    TRY(see_route(n, n->row.rule_arn, &n->sight.production, &n->sight.is_service_there));
    if (n->row.test_rule_arn.len > 0) {
        bool is_there = false;
        TRY(see_route(n, n->row.test_rule_arn, &n->sight.test, &is_there));
    }
    n->sight.is_published = s->ecs->config.elb->is_published(s->ecs->config.elb->self);
    TRY(see_alarms(n));
    plan(n);
    return ERR_OK;
}

/* ---- the crews --------------------------------------------------------------------------------*/

static enum err keep_row(struct native *n)
{
    return store_put(n->s->op, n->s->ecs->config.store, &ecs_kind_shift, n->s->ref.key,
                     n->s->ref.cluster, &n->row);
}

static enum err perform_crew(struct native *n, const struct side *side)
{
    struct scene *s = n->s;
    struct str *ids = NULL;
    for (size_t i = 0; i < side->plan.effects.count; i++) {
        const struct rollout_effect *e = &side->plan.effects.items[i];
        switch (e->kind) {
        case ROLLOUT_START:
            TRY(scene_start_for(s, side->deployment, &side->balancers, e->count, &ids));
            break;
        case ROLLOUT_STOP:
            TRY(scene_stop(s, side->tasks[e->task], e->text));
            break;
        case ROLLOUT_SAY:
            TRY(scene_say(s, &e->event, ids));
            break;
        case ROLLOUT_ROLL_BACK:
            break; /* crews have none */
        }
    }
    return ERR_OK;
}

/* One decision of a crew and its commit. */
static enum err step_crew(struct native *n, struct side *side, bool *ret_changed)
{
    struct scene *s = n->s;
    if (!side->is_seen) {
        return ERR_OK;
    }
    if (side->sight.is_draining && side->plan.is_empty && !side->plan.is_changed) {
        side->row->is_gone = OPT_BOOL(true);
        *ret_changed = true;
        return ERR_OK;
    }
    if (!side->plan.is_changed) {
        scene_wake_at(s, side->plan.wake_at);
        return ERR_OK;
    }
    TRY(scene_marks(s, side->tasks, side->plan.marks, side->sight.task_count));
    side->row->failed_count = OPT_I32(side->plan.failed_count);
    side->row->memory = ecs_memory_write(s->op, &side->plan.memory);
    if (OPT_OR(side->deployment->deployment->failed_tasks, 0) != side->plan.failed_count) {
        side->deployment->deployment->failed_tasks = OPT_I32(side->plan.failed_count);
        TRY(ecs_deployment_put(s->op, s->ecs, &s->ref, side->deployment));
    }
    *ret_changed = true;
    return perform_crew(n, side);
}

/* ---- the story --------------------------------------------------------------------------------*/

static enum ecs_service_deployment_lifecycle_stage stage_of(enum shift_state state)
{
    static const enum ecs_service_deployment_lifecycle_stage stages[SHIFT_STATE_COUNT] = {
        [SHIFT_CREATED] = ECS_SERVICE_DEPLOYMENT_LIFECYCLE_STAGE_PRE_SCALE_UP,
        [SHIFT_BEFORE_INSTALL] = ECS_SERVICE_DEPLOYMENT_LIFECYCLE_STAGE_PRE_SCALE_UP,
        [SHIFT_INSTALLING] = ECS_SERVICE_DEPLOYMENT_LIFECYCLE_STAGE_SCALE_UP,
        [SHIFT_AFTER_INSTALL] = ECS_SERVICE_DEPLOYMENT_LIFECYCLE_STAGE_POST_SCALE_UP,
        [SHIFT_TEST_TRAFFIC] = ECS_SERVICE_DEPLOYMENT_LIFECYCLE_STAGE_TEST_TRAFFIC_SHIFT,
        [SHIFT_AFTER_TEST_TRAFFIC] = ECS_SERVICE_DEPLOYMENT_LIFECYCLE_STAGE_POST_TEST_TRAFFIC_SHIFT,
        [SHIFT_READY_WAIT] = ECS_SERVICE_DEPLOYMENT_LIFECYCLE_STAGE_POST_TEST_TRAFFIC_SHIFT,
        [SHIFT_BEFORE_ALLOW] = ECS_SERVICE_DEPLOYMENT_LIFECYCLE_STAGE_PRODUCTION_TRAFFIC_SHIFT,
        [SHIFT_SHIFTING] = ECS_SERVICE_DEPLOYMENT_LIFECYCLE_STAGE_PRODUCTION_TRAFFIC_SHIFT,
        [SHIFT_AFTER_ALLOW] = ECS_SERVICE_DEPLOYMENT_LIFECYCLE_STAGE_POST_PRODUCTION_TRAFFIC_SHIFT,
        [SHIFT_TERMINATION_WAIT] = ECS_SERVICE_DEPLOYMENT_LIFECYCLE_STAGE_BAKE_TIME,
        [SHIFT_TERMINATING] = ECS_SERVICE_DEPLOYMENT_LIFECYCLE_STAGE_CLEAN_UP,
        [SHIFT_DONE] = ECS_SERVICE_DEPLOYMENT_LIFECYCLE_STAGE_CLEAN_UP,
    };
    return stages[state]; /* unset while traffic goes back: the stage that failed stays */
}

static double share_of(int32_t part, int32_t other)
{
    return part + other == 0 ? 0 : 100.0 * part / (part + other);
}

/* Brings the service deployment up to date; weights as they are wanted now. */
static enum err follow(struct native *n, struct shift_weights w)
{
    struct scene *s = n->s;
    struct ecs_service_deployment *sd = n->story.deployment;
    sd->started_at = sd->started_at.is_set ? sd->started_at : OPT_TIME(s->op->now);
    if (sd->status == ECS_SERVICE_DEPLOYMENT_STATUS_PENDING) {
        sd->status = ECS_SERVICE_DEPLOYMENT_STATUS_IN_PROGRESS;
    }
    enum ecs_service_deployment_lifecycle_stage stage = stage_of(n->machine.state);
    if (stage != ECS_SERVICE_DEPLOYMENT_LIFECYCLE_STAGE_UNSET) {
        sd->lifecycle_stage = stage;
    }
    sd->target_service_revision->requested_production_traffic_weight =
        OPT_F64(share_of(w.green, w.blue));
    for (size_t i = 0; i < sd->source_service_revisions.count; i++) {
        struct ecs_service_revision_summary *r = &sd->source_service_revisions.items[i];
        bool is_blue = str_equal(r->arn, n->blue.deployment->revision_arn);
        r->requested_production_traffic_weight = OPT_F64(is_blue ? share_of(w.blue, w.green) : 0);
    }
    if (n->triggered_alarms.count > 0 && sd->alarms != NULL) {
        sd->alarms->triggered_alarm_names = n->triggered_alarms;
        sd->alarms->status = ECS_SERVICE_DEPLOYMENT_ROLLBACK_MONITORS_STATUS_TRIGGERED;
    }
    return ecs_service_deployment_put(s->op, s->ecs, &s->ref, &n->story);
}

/* ---- the end ----------------------------------------------------------------------------------*/

struct ending {
    const char *reason;  /* statusReason of the service deployment */
    const char *rollout; /* rolloutStateReason */
    enum rollout_failure failure;
    enum rollout_event_kind event;
};

/* Texts of aws-semantics 1.8, 1.9 and 1.14; those of causes that AWS has no text for are ours. */
static struct ending ending_of(enum shift_cause cause)
{
#define BECAUSE "Service deployment rolled back because "
    switch (cause) {
    case SHIFT_CAUSE_ALARM:
        return (struct ending){BECAUSE "an alarm was detected.",
                               "ECS deployment failed: alarm detected.", ROLLOUT_FAILURE_ALARM,
                               ROLLOUT_EVENT_ALARM};
    case SHIFT_CAUSE_STOP:
        return (struct ending){BECAUSE "StopServiceDeployment was called.",
                               "ECS deployment stopped: StopServiceDeployment was called.",
                               ROLLOUT_FAILURE_STOPPED, ROLLOUT_EVENT_ROLLING_BACK};
    case SHIFT_CAUSE_TASKS_FAILED:
        return (struct ending){BECAUSE "the circuit breaker threshold was exceeded.",
                               "ECS deployment circuit breaker: tasks failed to start.",
                               ROLLOUT_FAILURE_BREAKER, ROLLOUT_EVENT_BREAKER};
    case SHIFT_CAUSE_LOST:
        return (struct ending){BECAUSE "the new service revision has no healthy task any more.",
                               "ECS deployment failed: no healthy task is left.",
                               ROLLOUT_FAILURE_BREAKER, ROLLOUT_EVENT_BREAKER};
    case SHIFT_CAUSE_SERVICE_GONE:
        return (struct ending){BECAUSE
                               "of invalid networking configuration: One or more rules not found",
                               "ECS deployment failed: the production listener rule is gone.",
                               ROLLOUT_FAILURE_STOPPED, ROLLOUT_EVENT_ROLLING_BACK};
    case SHIFT_CAUSE_NONE:
    case SHIFT_CAUSE_READY_TIMEOUT:
    case SHIFT_CAUSE_HOOK_FAILED:
    case SHIFT_CAUSE_HOOK_TIMEOUT:
    case SHIFT_CAUSE_TIMEOUT:
    case SHIFT_CAUSE_REFUSED:
        break;
    }
    return (struct ending){BECAUSE "a lifecycle stage took too long.",
                           "ECS deployment failed: a lifecycle stage took too long.",
                           ROLLOUT_FAILURE_STOPPED, ROLLOUT_EVENT_ROLLING_BACK};
#undef BECAUSE
}

static enum err say(struct native *n, enum rollout_event_kind kind, struct str deployment_id)
{
    struct rollout_event event = {.kind = kind, .deployment_id = deployment_id};
    return ecs_event_say(n->s->op, n->s->ecs, &n->s->ref, &event);
}

static enum err set_inactive(struct native *n, struct engine_ecs_deployment *row)
{
    row->deployment->status = STR("INACTIVE");
    row->deployment->updated_at = OPT_TIME(n->s->op->now);
    return ecs_deployment_put(n->s->op, n->s->ecs, &n->s->ref, row);
}

static enum err succeed(struct native *n)
{
    struct scene *s = n->s;
    struct rollout_deployment d = ecs_deployment_read(n->green.deployment);
    d.state = ROLLOUT_COMPLETED;
    d.reason = arena_printf(&s->op->arena, "ECS deployment %.*s completed.", STR_ARG(d.id));
    d.updated_at = s->op->now;
    d.settled_at = s->op->now;
    d.has_run = true;
    ecs_deployment_write(&d, n->green.deployment);
    TRY(ecs_deployment_put(s->op, s->ecs, &s->ref, n->green.deployment));
    TRY(set_inactive(n, n->blue.deployment));
    n->story.deployment->status = ECS_SERVICE_DEPLOYMENT_STATUS_SUCCESSFUL;
    n->story.deployment->finished_at = OPT_TIME(s->op->now);
    TRY(follow(n, n->sight.production));
    TRY(say(n, ROLLOUT_EVENT_COMPLETED, d.id));
    return store_remove(s->op, s->ecs->config.store, &ecs_kind_shift, s->ref.key);
}

/* Blue's tasks are the rollback's from now on. */
static enum err adopt_tasks(struct native *n, struct str to_id)
{
    for (size_t i = 0; n->blue.is_seen && i < n->blue.sight.task_count; i++) {
        n->blue.tasks[i]->owner_id = to_id;
        TRY(ecs_task_put(n->s->op, n->s->ecs, n->blue.tasks[i]));
    }
    return ERR_OK;
}

static enum err give_up(struct native *n)
{
    struct scene *s = n->s;
    struct ending end = ending_of(n->machine.cause);
    struct rollout_deployment failed = ecs_deployment_read(n->green.deployment);
    failed.status = ROLLOUT_ACTIVE;
    failed.state = ROLLOUT_FAILED;
    failed.failure = end.failure;
    failed.reason = str_of(end.rollout);
    failed.updated_at = s->op->now;
    failed.has_candidate = true;
    ecs_deployment_write(&failed, n->green.deployment);
    TRY(ecs_deployment_put(s->op, s->ecs, &s->ref, n->green.deployment));
    n->story.deployment->status_reason = str_of(end.reason);
    TRY(follow(n, n->sight.production));
    if (end.event != ROLLOUT_EVENT_ROLLING_BACK) {
        TRY(say(n, end.event, failed.id));
    }
    struct str digits = id_digits19(&s->op->arena);
    struct rollout_deployment next = rollout_deployment_begin(
        &s->op->arena, arena_printf(&s->op->arena, "ecs-svc/%.*s", STR_ARG(digits)), s->op->now);
    next.is_rollback = true;
    next.reason = arena_printf(&s->op->arena, "ECS deployment rolling back to deploymentId %.*s.",
                               STR_ARG(n->blue.deployment->deployment->id));
    TRY(ecs_deployment_roll_back(s->op, s->ecs, &s->ref, &s->row, n->green.deployment,
                                 n->blue.deployment, &next));
    TRY(adopt_tasks(n, next.id));
    TRY(say(n, ROLLOUT_EVENT_ROLLING_BACK, n->blue.deployment->deployment->id));
    TRY(set_inactive(n, n->blue.deployment));
    ecs_memory_update(s->op, &s->row.memory);
    TRY(ecs_service_put(s->op, s->ecs, &s->ref, &s->row));
    return store_remove(s->op, s->ecs->config.store, &ecs_kind_shift, s->ref.key);
}

/* ---- moves and effects ------------------------------------------------------------------------*/

static enum err set_route(struct native *n, struct str rule_arn, struct shift_weights weights)
{
    const struct port_elb *elb = n->s->ecs->config.elb;
    struct port_weights w = {.count = 2};
    w.items[0] = (struct port_weight){.target_group_arn = n->row.blue->target_group_arn,
                                      .weight = weights.blue};
    w.items[1] = (struct port_weight){.target_group_arn = n->row.green->target_group_arn,
                                      .weight = weights.green};
    return elb->set_weights(elb->self, n->s->op, rule_arn, &w);
}

/* Green's group is checked only while a rule refers to it, so it joins before its tasks start. */
static enum err make_side(struct native *n, struct engine_ecs_side *row)
{
    row->is_made = OPT_BOOL(true);
    row->is_leaving = OPT_BOOL(false);
    row->is_gone = OPT_BOOL(false);
    return row == n->row.green ? set_route(n, n->row.rule_arn, shift_weights_of(0)) : ERR_OK;
}

static enum err perform(struct native *n, const struct shift_decision *d)
{
    struct engine_ecs_side *row = d->side == SHIFT_BLUE ? n->row.blue : n->row.green;
    switch (d->effect) {
    case SHIFT_CREATE:
        return make_side(n, row);
    case SHIFT_SET_PRODUCTION:
        TRY(set_route(n, n->row.rule_arn, d->weights));
        return follow(n, d->weights);
    case SHIFT_SET_TEST:
        return set_route(n, n->row.test_rule_arn, d->weights);
    case SHIFT_SET_PRIMARY:
        n->row.is_green_primary = OPT_BOOL(d->side == SHIFT_GREEN);
        return ERR_OK;
    case SHIFT_REMOVE:
        row->is_leaving = OPT_BOOL(true);
        return ERR_OK;
    case SHIFT_CALL_HOOK:
        break;
    }
    UNREACHABLE("no hooks are configured");
}

static enum err move(struct native *n, const struct shift_decision *d)
{
    shift_apply(&n->machine, d, n->s->op->now);
    n->row.machine = shift_row_write(n->s->op, &n->machine);
    if (n->machine.state == SHIFT_DONE) {
        return succeed(n);
    }
    if (shift_is_final(n->machine.state)) {
        return give_up(n);
    }
    TRY(follow(n, n->sight.production));
    return keep_row(n);
}

enum err scheduler_step_native(struct scene *s, bool *ret_is_native, bool *ret_again)
{
    struct native n = {.s = s};
    enum err e = store_get(s->op, s->ecs->config.store, &ecs_kind_shift, s->ref.key, &n.row);
    *ret_is_native = e == ERR_OK;
    if (e == ERR_NOT_FOUND) {
        op_note_clear(s->op);
        return ERR_OK;
    }
    TRY(e);
    TRY(see(&n));
    bool is_changed = false;
    TRY(step_crew(&n, &n.green, &is_changed));
    TRY(step_crew(&n, &n.blue, &is_changed));
    *ret_again = true;
    if (is_changed) {
        return keep_row(&n);
    }
    struct shift_decision d = shift_decide(&n.machine, &n.config, &n.sight, s->op->now);
    if (d.what == SHIFT_MOVE) {
        return move(&n, &d);
    }
    if (d.what == SHIFT_EFFECT) {
        FAULT_POINT("ecs.native.effect");
        TRY(perform(&n, &d));
        return keep_row(&n);
    }
    scene_wake_at(s, d.wake_at);
    *ret_again = false;
    return ERR_OK;
}

void ecs_weights_published(struct ecs *ecs)
{
    auto_op struct op op;
    ecs_op_init(&op, ecs, "");
    struct store_range range = {.is_every_region = true};
    struct store_items rows = {0};
    if (store_list(&op, ecs->config.store, &ecs_kind_shift, &range, &rows) != ERR_OK) {
        return; /* each machine looks again at its own time */
    }
    for (size_t i = 0; i < rows.count; i++) {
        struct str cluster = STR_NONE;
        struct str name = STR_NONE;
        if (str_cut(rows.items[i].key, '/', &cluster, &name)) {
            op.region = rows.items[i].region;
            ecs_wake_service(&op, ecs, cluster, name);
        }
    }
}
