/* Deployments of the rolling kind, with the service deployments and revisions beside them: how one
 * begins, and how its story is kept. */
#include "svc/ecs/ecs_priv.h"
#include "svc/ecs/native.h"

#include "base/check.h"

/* ---- rows -------------------------------------------------------------------------------------*/

static struct str part_key(struct op *op, const struct service_ref *ref, struct str arn_or_id)
{
    return ecs_key(op, ref->key, ecs_last_part(arn_or_id));
}

enum err ecs_deployments_list(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                              struct store_items *ret)
{
    struct store_range range = {.parent = ref->key};
    return store_list(op, ecs->config.store, &ecs_kind_deployment, &range, ret);
}

enum err ecs_deployment_put(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                            struct engine_ecs_deployment *row)
{
    return store_put(op, ecs->config.store, &ecs_kind_deployment,
                     part_key(op, ref, row->deployment->id), ref->key, row);
}

enum err ecs_revision_find(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                           struct str arn, struct ecs_service_revision *ret)
{
    return store_get(op, ecs->config.store, &ecs_kind_revision, part_key(op, ref, arn), ret);
}

enum err ecs_service_deployment_find(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                                     struct str arn, struct engine_ecs_service_deployment *ret)
{
    return store_get(op, ecs->config.store, &ecs_kind_service_deployment, part_key(op, ref, arn),
                     ret);
}

enum err ecs_service_deployment_put(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                                    struct engine_ecs_service_deployment *row)
{
    row->deployment->updated_at = OPT_TIME(op->now);
    return store_put(op, ecs->config.store, &ecs_kind_service_deployment,
                     part_key(op, ref, row->deployment->service_deployment_arn), ref->key, row);
}

void ecs_service_take_revision(struct ecs_service *s, const struct ecs_service_revision *r)
{
    s->task_definition = r->task_definition;
    s->launch_type = r->launch_type;
    s->capacity_provider_strategy = r->capacity_provider_strategy;
    s->load_balancers = r->load_balancers;
    s->load_balancers.is_set = true;
    s->service_registries = r->service_registries;
    s->service_registries.is_set = true;
    s->network_configuration = r->network_configuration;
}

/* ---- breaker and alarms, as a service deployment shows them
 * ------------------------------------*/

static struct rollout_breaker read_breaker(const struct ecs_deployment_configuration *c)
{
    return (struct rollout_breaker){
        .is_enabled = c != NULL && c->deployment_circuit_breaker != NULL &&
                      OPT_OR(c->deployment_circuit_breaker->enable, false),
        .threshold = ROLLOUT_BOUNDED_PERCENT,
        .threshold_value = 50,
    };
}

static const enum ecs_service_deployment_rollback_monitors_status watch_names[] = {
    [ROLLOUT_WATCH_DISABLED] = ECS_SERVICE_DEPLOYMENT_ROLLBACK_MONITORS_STATUS_DISABLED,
    [ROLLOUT_WATCH_MONITORING] = ECS_SERVICE_DEPLOYMENT_ROLLBACK_MONITORS_STATUS_MONITORING,
    [ROLLOUT_WATCH_MONITORING_COMPLETE] =
        ECS_SERVICE_DEPLOYMENT_ROLLBACK_MONITORS_STATUS_MONITORING_COMPLETE,
    [ROLLOUT_WATCH_TRIGGERED] = ECS_SERVICE_DEPLOYMENT_ROLLBACK_MONITORS_STATUS_TRIGGERED,
};

static enum rollout_watch alarms_watch(const struct ecs_deployment_configuration *c,
                                       const struct rollout_deployment *d)
{
    if (c == NULL || c->alarms == NULL || !OPT_OR(c->alarms->enable, false)) {
        return ROLLOUT_WATCH_DISABLED;
    }
    if (d->failure == ROLLOUT_FAILURE_ALARM) {
        return ROLLOUT_WATCH_TRIGGERED;
    }
    return d->state == ROLLOUT_IN_PROGRESS ? ROLLOUT_WATCH_MONITORING
                                           : ROLLOUT_WATCH_MONITORING_COMPLETE;
}

/* Of the deployment that it began with; a rollback that follows changes nothing here. */
static void fill_monitors(struct op *op, const struct rollout_deployment *d, int32_t desired_count,
                          const struct ecs_string_list *triggered,
                          struct ecs_service_deployment *sd)
{
    const struct ecs_deployment_configuration *c = sd->deployment_configuration;
    struct rollout_breaker breaker = read_breaker(c);
    sd->deployment_circuit_breaker =
        ARENA_NEW(&op->arena, struct ecs_service_deployment_circuit_breaker);
    *sd->deployment_circuit_breaker = (struct ecs_service_deployment_circuit_breaker){
        .status = watch_names[rollout_breaker_watch(&breaker, d)],
        .failure_count = OPT_I32(d->failed_count),
        .threshold = OPT_I32(rollout_breaker_threshold(&breaker, desired_count)),
    };
    sd->alarms = ARENA_NEW(&op->arena, struct ecs_service_deployment_alarms);
    sd->alarms->status = watch_names[alarms_watch(c, d)];
    if (c != NULL && c->alarms != NULL) {
        sd->alarms->alarm_names = c->alarms->alarm_names;
    }
    sd->alarms->alarm_names.is_set = true;
    if (d->failure == ROLLOUT_FAILURE_ALARM) {
        sd->alarms->triggered_alarm_names = *triggered;
    }
    sd->alarms->triggered_alarm_names.is_set = true;
}

/* ---- beginning --------------------------------------------------------------------------------*/

static enum err make_revision(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                              const struct ecs_service_revision *wish,
                              struct ecs_service_revision *ret)
{
    *ret = *wish;
    struct str digits = id_digits19(&op->arena);
    ret->service_revision_arn =
        arn_makef(op, STR("ecs"), "service-revision/%.*s/%.*s", STR_ARG(ref->key), STR_ARG(digits));
    ret->service_arn = arn_makef(op, STR("ecs"), "service/%.*s", STR_ARG(ref->key));
    ret->cluster_arn = ecs_cluster_arn(op, ref->cluster);
    ret->created_at = OPT_TIME(op->now);
    return store_put(op, ecs->config.store, &ecs_kind_revision, ecs_key(op, ref->key, digits),
                     ref->key, ret);
}

/* A service deployment that a newer one overtakes. */
static enum err end_overtaken(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                              struct str arn)
{
    struct engine_ecs_service_deployment row = {0};
    TRY(ecs_service_deployment_find(op, ecs, ref, arn, &row));
    struct ecs_service_deployment *d = row.deployment;
    if (d->finished_at.is_set) {
        return ERR_OK;
    }
    d->status = ECS_SERVICE_DEPLOYMENT_STATUS_STOPPED;
    d->status_reason = STR("Service deployment stopped because a newer service deployment began.");
    d->stopped_at = OPT_TIME(op->now);
    d->finished_at = OPT_TIME(op->now);
    return ecs_service_deployment_put(op, ecs, ref, &row);
}

/* What stands becomes the past of the new deployment. */
static enum err step_aside(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                           struct ecs_service_revisions_summary_list *sources,
                           struct engine_ecs_deployment **ret_primary)
{
    struct store_items rows = {0};
    TRY(ecs_deployments_list(op, ecs, ref, &rows));
    sources->is_set = true;
    for (size_t i = 0; i < rows.count; i++) {
        struct engine_ecs_deployment *row = rows.items[i].value;
        if (STR_IS(row->deployment->status, "INACTIVE")) {
            continue;
        }
        *ARENA_PUSH(&op->arena, sources) =
            (struct ecs_service_revision_summary){.arn = row->revision_arn};
        if (!STR_IS(row->deployment->status, "PRIMARY")) {
            continue;
        }
        *ret_primary = row;
        row->deployment->status = STR("ACTIVE");
        row->deployment->updated_at = OPT_TIME(op->now);
        TRY(ecs_deployment_put(op, ecs, ref, row));
        TRY(end_overtaken(op, ecs, ref, row->service_deployment_arn));
    }
    return ERR_OK;
}

static struct str make_service_deployment_arn(struct op *op, const struct service_ref *ref)
{
    struct str id = rand_text(
        &op->arena, STR("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"), 21);
    return arn_makef(op, STR("ecs"), "service-deployment/%.*s/%.*s", STR_ARG(ref->key),
                     STR_ARG(id));
}

/* Alarms that are in ALARM already are ignored for the whole deployment. */
static enum err see_alarms_at_start(struct op *op, struct ecs *ecs, const struct ecs_service *s,
                                    struct engine_texts *ret)
{
    const struct port_alarms *port = ecs->config.alarms;
    const struct ecs_deployment_alarms *alarms =
        s->deployment_configuration == NULL ? NULL : s->deployment_configuration->alarms;
    ret->is_set = true;
    if (alarms == NULL || !OPT_OR(alarms->enable, false)) {
        return ERR_OK;
    }
    for (size_t i = 0; i < alarms->alarm_names.count; i++) {
        enum port_alarm_state state = PORT_ALARM_MISSING;
        struct str reason = STR_NONE;
        TRY(port->see_alarm(port->self, op, alarms->alarm_names.items[i], &state, &reason));
        if (state != PORT_ALARM_ALARM) {
            continue;
        }
        *ARENA_PUSH(&op->arena, ret) = alarms->alarm_names.items[i];
    }
    return ERR_OK;
}

static struct ecs_deployment *make_deployment(struct op *op, const struct rollout_deployment *d,
                                              const struct ecs_service_revision *revision)
{
    struct ecs_deployment *shown = ARENA_NEW(&op->arena, struct ecs_deployment);
    *shown = (struct ecs_deployment){
        .id = d->id,
        .task_definition = revision->task_definition,
        .capacity_provider_strategy = revision->capacity_provider_strategy,
        .launch_type = revision->launch_type,
        .platform_version = revision->platform_version,
        .platform_family = revision->platform_family,
        .network_configuration = revision->network_configuration,
    };
    return shown;
}

enum err ecs_deployment_begin(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                              struct engine_ecs_service *row,
                              const struct ecs_service_revision *wish)
{
    struct ecs_service_revision *revision = ARENA_NEW(&op->arena, struct ecs_service_revision);
    TRY(make_revision(op, ecs, ref, wish, revision));
    struct ecs_service_deployment *sd = ARENA_NEW(&op->arena, struct ecs_service_deployment);
    *sd = (struct ecs_service_deployment){
        .service_deployment_arn = make_service_deployment_arn(op, ref),
        .service_arn = revision->service_arn,
        .cluster_arn = revision->cluster_arn,
        .created_at = OPT_TIME(op->now),
        .status = ECS_SERVICE_DEPLOYMENT_STATUS_PENDING,
        .deployment_configuration = row->service->deployment_configuration,
    };
    sd->target_service_revision = ARENA_NEW(&op->arena, struct ecs_service_revision_summary);
    sd->target_service_revision->arn = revision->service_revision_arn;
    struct engine_ecs_deployment *before = NULL;
    TRY(step_aside(op, ecs, ref, &sd->source_service_revisions, &before));

    struct str digits = id_digits19(&op->arena);
    struct rollout_deployment d = rollout_deployment_begin(
        &op->arena, arena_printf(&op->arena, "ecs-svc/%.*s", STR_ARG(digits)), op->now);
    struct engine_ecs_deployment deployment = {
        .deployment = make_deployment(op, &d, revision),
        .revision_arn = revision->service_revision_arn,
        .service_deployment_arn = sd->service_deployment_arn,
    };
    ecs_deployment_write(&d, &deployment);
    TRY(see_alarms_at_start(op, ecs, row->service, &deployment.alarms_at_start));
    TRY(ecs_native_begin(op, ecs, ref, row, revision, before, &deployment));
    TRY(ecs_deployment_put(op, ecs, ref, &deployment));
    fill_monitors(op, &d, OPT_OR(row->service->desired_count, 0), &(struct ecs_string_list){0}, sd);
    struct engine_ecs_service_deployment kept = {.deployment = sd, .deployment_id = d.id};
    TRY(ecs_service_deployment_put(op, ecs, ref, &kept));
    ecs_service_take_revision(row->service, revision);
    ecs_memory_update(op, &row->memory);
    return ecs_service_put(op, ecs, ref, row);
}

/* ---- a rollback -------------------------------------------------------------------------------*/

enum err ecs_deployment_roll_back(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                                  struct engine_ecs_service *row,
                                  const struct engine_ecs_deployment *failed,
                                  const struct engine_ecs_deployment *from,
                                  const struct rollout_deployment *next)
{
    struct ecs_service_revision *revision = ARENA_NEW(&op->arena, struct ecs_service_revision);
    TRY(ecs_revision_find(op, ecs, ref, from->revision_arn, revision));
    struct engine_ecs_deployment deployment = {
        .deployment = make_deployment(op, next, revision),
        .revision_arn = from->revision_arn,
        .service_deployment_arn = failed->service_deployment_arn,
        .load_balancers = from->load_balancers,
    };
    ecs_deployment_write(next, &deployment);
    TRY(ecs_deployment_put(op, ecs, ref, &deployment));
    ecs_service_take_revision(row->service, revision);
    struct engine_ecs_service_deployment sd = {0};
    TRY(ecs_service_deployment_find(op, ecs, ref, failed->service_deployment_arn, &sd));
    sd.deployment_id = next->id;
    sd.deployment->status = ECS_SERVICE_DEPLOYMENT_STATUS_ROLLBACK_IN_PROGRESS;
    sd.deployment->rollback = ARENA_NEW(&op->arena, struct ecs_rollback);
    *sd.deployment->rollback = (struct ecs_rollback){.reason = sd.deployment->status_reason,
                                                     .started_at = OPT_TIME(op->now),
                                                     .service_revision_arn = from->revision_arn};
    return ecs_service_deployment_put(op, ecs, ref, &sd);
}

/* ---- the story of a service deployment --------------------------------------------------------*/

static bool wants_rollback(const struct ecs_deployment_configuration *c,
                           enum rollout_failure failure)
{
    if (failure == ROLLOUT_FAILURE_STOPPED || c == NULL) {
        return failure == ROLLOUT_FAILURE_STOPPED;
    }
    if (failure == ROLLOUT_FAILURE_BREAKER) {
        return c->deployment_circuit_breaker != NULL &&
               OPT_OR(c->deployment_circuit_breaker->rollback, false);
    }
    return c->alarms != NULL && OPT_OR(c->alarms->rollback, false);
}

static struct str failure_reason(const struct ecs_service_deployment *sd,
                                 const struct rollout_deployment *d, bool is_rolled_back)
{
    if (!d->has_candidate && wants_rollback(sd->deployment_configuration, d->failure)) {
        return STR("No rollback candidate was found to run the rollback");
    }
    switch (d->failure) {
    case ROLLOUT_FAILURE_BREAKER:
        return is_rolled_back
                   ? STR("Service deployment rolled back because the circuit breaker threshold was "
                         "exceeded.")
                   : STR("Service deployment stopped because the circuit breaker threshold was "
                         "exceeded.");
    case ROLLOUT_FAILURE_ALARM:
        return is_rolled_back ? STR("Service deployment rolled back because an alarm was detected.")
                              : STR("Service deployment stopped because an alarm was detected.");
    case ROLLOUT_FAILURE_STOPPED:
        return STR("Service deployment rolled back because StopServiceDeployment was called.");
    case ROLLOUT_FAILURE_NONE:
        break;
    }
    return STR_NONE;
}

static void end_story(struct op *op, const struct rollout_deployment *d, bool is_rolled_back,
                      struct ecs_service_deployment *sd)
{
    if (d->state == ROLLOUT_FAILED) {
        sd->status_reason = failure_reason(sd, d, is_rolled_back);
        if (is_rolled_back) {
            return; /* it goes on as a rollback */
        }
        sd->status = d->is_rollback ? ECS_SERVICE_DEPLOYMENT_STATUS_ROLLBACK_FAILED
                                    : ECS_SERVICE_DEPLOYMENT_STATUS_STOPPED;
        sd->stopped_at = OPT_TIME(op->now);
    } else {
        sd->status = d->is_rollback ? ECS_SERVICE_DEPLOYMENT_STATUS_ROLLBACK_SUCCESSFUL
                                    : ECS_SERVICE_DEPLOYMENT_STATUS_SUCCESSFUL;
    }
    sd->finished_at = OPT_TIME(op->now);
}

enum err ecs_service_deployment_follow(struct op *op, struct ecs *ecs,
                                       const struct service_ref *ref,
                                       const struct engine_ecs_deployment *row,
                                       const struct deployment_news *news)
{
    struct rollout_deployment d = ecs_deployment_read(row);
    struct engine_ecs_service_deployment kept = {0};
    TRY(ecs_service_deployment_find(op, ecs, ref, row->service_deployment_arn, &kept));
    struct ecs_service_deployment *sd = kept.deployment;
    if (!str_equal(kept.deployment_id, d.id) || sd->finished_at.is_set) {
        return ERR_OK;
    }
    if (!sd->started_at.is_set) {
        sd->started_at = OPT_TIME(op->now);
    }
    if (sd->status == ECS_SERVICE_DEPLOYMENT_STATUS_PENDING) {
        sd->status = ECS_SERVICE_DEPLOYMENT_STATUS_IN_PROGRESS;
    }
    if (!d.is_rollback) {
        fill_monitors(op, &d, news->desired_count, &news->triggered_alarms, sd);
    }
    if (d.state != ROLLOUT_IN_PROGRESS) {
        end_story(op, &d, news->is_rolled_back, sd);
    }
    return ecs_service_deployment_put(op, ecs, ref, &kept);
}
