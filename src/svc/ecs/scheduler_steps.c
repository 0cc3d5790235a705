/* One decision for a service with deployments, one for a service that is going away, and what both
 * commit: the tasks that start and stop, the marks, the events. */
#include "svc/ecs/native.h"
#include "svc/ecs/scheduler.h"

#include "base/check.h"

/* ---- effects on tasks -------------------------------------------------------------------------*/

static void add_managed_tag(struct op *op, struct ecs_tags *tags, const char *key, struct str value)
{
    *ARENA_PUSH(&op->arena, tags) = (struct ecs_tag){.key = str_of(key), .value = value};
}

struct ecs_tags scene_task_tags(struct scene *s, const struct engine_ecs_task_definition *td)
{
    const struct ecs_service *service = s->row.service;
    struct ecs_tags tags = {.is_set = true};
    const struct ecs_tags *from = NULL;
    if (service->propagate_tags == ECS_PROPAGATE_TAGS_SERVICE) {
        from = &service->tags;
    } else if (service->propagate_tags == ECS_PROPAGATE_TAGS_TASK_DEFINITION) {
        from = &td->tags;
    }
    for (size_t i = 0; from != NULL && i < from->count; i++) {
        *ARENA_PUSH(&s->op->arena, &tags) = from->items[i];
    }
    if (OPT_OR(service->enable_ecs_managed_tags, false)) {
        add_managed_tag(s->op, &tags, "aws:ecs:clusterName", s->ref.cluster);
        add_managed_tag(s->op, &tags, "aws:ecs:serviceName", s->ref.name);
    }
    return tags;
}

enum err scene_start_tasks(struct scene *s, const struct task_plan *plan, size_t count,
                           struct str **ret_ids)
{
    struct str *ids = ARENA_ARRAY(&s->op->arena, struct str, count + 1);
    for (size_t i = 0; i < count; i++) {
        struct engine_ecs_task row = {0};
        TRY(ecs_task_make(s->op, s->ecs, plan, &row));
        ids[i] = ecs_task_id(row.task);
    }
    *ret_ids = ids;
    return ERR_OK;
}

enum err scene_stop(struct scene *s, struct engine_ecs_task *row, struct str reason)
{
    TRY(ecs_task_begin_stop(s->op, s->ecs, row, ECS_TASK_STOP_CODE_SERVICESCHEDULERINITIATED,
                            reason));
    return ecs_task_put(s->op, s->ecs, row);
}

enum err scene_say(struct scene *s, const struct rollout_event *event, const struct str *ids)
{
    struct rollout_event said = *event;
    if (said.kind == ROLLOUT_EVENT_STARTED) {
        said.task_ids = ids;
    }
    return ecs_event_say(s->op, s->ecs, &s->ref, &said);
}

enum err scene_marks(struct scene *s, struct engine_ecs_task **rows, const uint32_t *marks,
                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if ((uint32_t)OPT_OR(rows[i]->marks, 0) == marks[i]) {
            continue;
        }
        rows[i]->marks = OPT_I32((int32_t)marks[i]);
        TRY(ecs_task_put(s->op, s->ecs, rows[i]));
    }
    return ERR_OK;
}

/* ---- a service with deployments: what is seen -------------------------------------------------*/

struct rolling {
    struct scene *s;
    struct store_items rows;             /* of deployments, INACTIVE ones among them */
    struct engine_ecs_deployment **live; /* as sight.deployments */
    struct engine_ecs_deployment *primary;
    struct engine_ecs_deployment *candidate; /* the last COMPLETED one before the PRIMARY */
    struct engine_ecs_task **tasks;          /* as sight.tasks */
    struct rollout_task *seen;               /* sight.tasks */
    struct rollout_sight sight;
};

static bool is_newer(const struct engine_ecs_deployment *a, const struct engine_ecs_deployment *b)
{
    return b == NULL || a->deployment->created_at.value.us > b->deployment->created_at.value.us;
}

static enum err see_deployments(struct rolling *r)
{
    struct op *op = r->s->op;
    TRY(ecs_deployments_list(op, r->s->ecs, &r->s->ref, &r->rows));
    struct rollout_deployment *seen =
        ARENA_ARRAY(&op->arena, struct rollout_deployment, r->rows.count + 1);
    r->live = ARENA_ARRAY(&op->arena, struct engine_ecs_deployment *, r->rows.count + 1);
    size_t count = 0;
    for (size_t i = 0; i < r->rows.count; i++) {
        struct engine_ecs_deployment *row = r->rows.items[i].value;
        struct rollout_deployment d = ecs_deployment_read(row);
        if (d.status == ROLLOUT_PRIMARY) {
            r->primary = row;
        } else if (d.state == ROLLOUT_COMPLETED && is_newer(row, r->candidate)) {
            r->candidate = row;
        }
        if (d.status != ROLLOUT_INACTIVE) {
            r->live[count] = row;
            seen[count++] = d;
        }
    }
    if (r->primary == NULL) {
        return op_fail(op, ERR_INTERNAL, "the service has no primary deployment");
    }
    r->sight.deployments = seen;
    r->sight.deployment_count = count;
    r->sight.last_completed_id = r->candidate == NULL ? STR_NONE : r->candidate->deployment->id;
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

static enum err see_alarm(struct rolling *r, struct str name, struct rollout_alarm *ret,
                          dur_t *bake)
{
    const struct port_alarms *port = r->s->ecs->config.alarms;
    enum port_alarm_state state = PORT_ALARM_MISSING;
    struct str reason = STR_NONE;
    TRY(port->see_alarm(port->self, r->s->op, name, &state, &reason));
    *ret = (struct rollout_alarm){.name = name,
                                  .is_in_alarm = state == PORT_ALARM_ALARM,
                                  .was_at_start = was_in_alarm(r->primary, name)};
    if (state == PORT_ALARM_MISSING) {
        return ERR_OK;
    }
    dur_t span = DUR_S(0);
    TRY(port->see_alarm_span(port->self, r->s->op, name, &span));
    bake->us = span.us > bake->us ? span.us : bake->us;
    return ERR_OK;
}

/* Alarms, and for how long a deployment in place is watched: the longest span of them. */
static enum err see_alarms(struct rolling *r, struct rollout_config *c)
{
    const struct ecs_deployment_configuration *dc = r->s->row.service->deployment_configuration;
    const struct ecs_deployment_alarms *in = dc == NULL ? NULL : dc->alarms;
    if (in == NULL || !OPT_OR(in->enable, false)) {
        return ERR_OK;
    }
    struct rollout_alarm *alarms =
        ARENA_ARRAY(&r->s->op->arena, struct rollout_alarm, in->alarm_names.count + 1);
    dur_t bake = DUR_S(0);
    for (size_t i = 0; i < in->alarm_names.count; i++) {
        TRY(see_alarm(r, in->alarm_names.items[i], &alarms[i], &bake));
    }
    c->are_alarms_enabled = true;
    c->may_alarms_roll_back = OPT_OR(in->rollback, false);
    c->alarms = alarms;
    c->alarm_count = in->alarm_names.count;
    c->spans.bake = dur_scaled(bake);
    return ERR_OK;
}

static enum err see_stop_request(struct rolling *r)
{
    struct engine_ecs_service_deployment sd = {0};
    TRY(ecs_service_deployment_find(r->s->op, r->s->ecs, &r->s->ref,
                                    r->primary->service_deployment_arn, &sd));
    r->sight.is_stop_requested =
        sd.deployment->status == ECS_SERVICE_DEPLOYMENT_STATUS_ROLLBACK_REQUESTED;
    return ERR_OK;
}

static enum err see_config(struct rolling *r)
{
    const struct ecs_service *service = r->s->row.service;
    struct ecs_task_definition *td = ARENA_NEW(&r->s->op->arena, struct ecs_task_definition);
    TRY(ecs_task_definition_of(r->s->op, r->s->ecs, r->primary->deployment->task_definition, td));
    struct crew_config crew = {.load_balancers =
                                   ecs_deployment_balancers(r->primary, &service->load_balancers),
                               .definition = td,
                               .desired_count = OPT_OR(service->desired_count, 0)};
    TRY(scene_config(r->s, &crew, &r->sight.config));
    const struct ecs_deployment_configuration *c = service->deployment_configuration;
    if (c != NULL && c->deployment_circuit_breaker != NULL) {
        r->sight.config.breaker = (struct rollout_breaker){
            .is_enabled = OPT_OR(c->deployment_circuit_breaker->enable, false),
            .may_roll_back = OPT_OR(c->deployment_circuit_breaker->rollback, false),
            .threshold = ROLLOUT_BOUNDED_PERCENT,
            .threshold_value = 50};
    }
    return see_alarms(r, &r->sight.config);
}

static enum err see(struct rolling *r)
{
    TRY(see_deployments(r));
    TRY(see_config(r));
    TRY(see_stop_request(r));
    TRY(scene_tasks(r->s, &r->sight.config, STR_NONE, &r->seen, &r->tasks, &r->sight.task_count));
    struct str digits = id_digits19(&r->s->op->arena);
    r->sight.tasks = r->seen;
    r->sight.memory = ecs_memory_read(r->s->row.memory);
    r->sight.next_deployment_id = arena_printf(&r->s->op->arena, "ecs-svc/%.*s", STR_ARG(digits));
    r->sight.runtime_fault = scene_runtime_fault(r->s);
    return ERR_OK;
}

/* ---- a service with deployments: what is done -------------------------------------------------*/

static struct engine_ecs_deployment *find_row(const struct rolling *r, struct str id)
{
    for (size_t i = 0; i < r->rows.count; i++) {
        struct engine_ecs_deployment *row = r->rows.items[i].value;
        if (str_equal(row->deployment->id, id)) {
            return row;
        }
    }
    return NULL;
}

enum err scene_start_for(struct scene *s, const struct engine_ecs_deployment *row,
                         const struct ecs_load_balancers *balancers, size_t count,
                         struct str **ret_ids)
{
    struct ecs_service_revision revision = {0};
    TRY(ecs_revision_find(s->op, s->ecs, &s->ref, row->revision_arn, &revision));
    struct engine_ecs_task_definition td = {0};
    TRY(ecs_task_definition_find(s->op, s->ecs, revision.task_definition, &td));
    enum ecs_launch_type launch_type = revision.launch_type;
    struct str provider = STR_NONE;
    ecs_pick_capacity(&revision.capacity_provider_strategy, &launch_type, &provider);
    struct task_plan plan = {
        .definition = td.definition,
        .cluster = s->ref.cluster,
        .service = s->ref.name,
        .owner_id = row->deployment->id,
        .group = arena_printf(&s->op->arena, "service:%.*s", STR_ARG(s->ref.name)),
        .started_by = row->deployment->id,
        .launch_type = launch_type,
        .capacity_provider = provider,
        .platform_version = revision.platform_version,
        .network = revision.network_configuration,
        .load_balancers = balancers != NULL ? balancers : &revision.load_balancers,
        .tags = scene_task_tags(s, &td),
        .is_execute_command_enabled = OPT_OR(s->row.service->enable_execute_command, false),
    };
    return scene_start_tasks(s, &plan, count, ret_ids);
}

static enum err start_tasks(struct rolling *r, const struct rollout_effect *e, struct str **ret_ids)
{
    const struct engine_ecs_deployment *row = find_row(r, e->deployment_id);
    CHECK(row != NULL);
    return scene_start_for(r->s, row, ecs_deployment_balancers(row, NULL), e->count, ret_ids);
}

/* Live tasks of the deployment that we go back to are the new deployment's from now on. */
static enum err adopt_tasks(struct rolling *r, struct str from_id, struct str to_id)
{
    for (size_t i = 0; i < r->sight.task_count; i++) {
        struct engine_ecs_task *row = r->tasks[i];
        if (!str_equal(row->owner_id, from_id) || ecs_task_status(row->task) == TASK_STOPPED) {
            continue;
        }
        row->owner_id = to_id;
        TRY(ecs_task_put(r->s->op, r->s->ecs, row));
    }
    return ERR_OK;
}

static enum err roll_back(struct rolling *r, const struct rollout_effect *e)
{
    const struct engine_ecs_deployment *from = find_row(r, e->from_id);
    CHECK(from != NULL);
    TRY(ecs_deployment_roll_back(r->s->op, r->s->ecs, &r->s->ref, &r->s->row, r->primary, from,
                                 &e->deployment));
    return adopt_tasks(r, e->from_id, e->deployment.id);
}

static struct deployment_news make_news(struct rolling *r, const struct rollout_plan *plan)
{
    const struct rollout_config *c = &r->sight.config;
    struct deployment_news news = {.desired_count = c->desired_count};
    for (size_t i = 0; i < c->alarm_count; i++) {
        if (!c->alarms[i].is_in_alarm || c->alarms[i].was_at_start) {
            continue;
        }
        *ARENA_PUSH(&r->s->op->arena, &news.triggered_alarms) = c->alarms[i].name;
    }
    for (size_t i = 0; i < plan->effects.count; i++) {
        news.is_rolled_back |= plan->effects.items[i].kind == ROLLOUT_ROLL_BACK;
    }
    return news;
}

static enum err keep_deployment(struct rolling *r, const struct rollout_deployment_next *next,
                                struct engine_ecs_deployment *row,
                                const struct deployment_news *news)
{
    if (next->is_changed) {
        ecs_deployment_write(&next->row, row);
        TRY(ecs_deployment_put(r->s->op, r->s->ecs, &r->s->ref, row));
    }
    if (!next->is_changed && row != r->primary) {
        return ERR_OK;
    }
    return ecs_service_deployment_follow(r->s->op, r->s->ecs, &r->s->ref, row, news);
}

static enum err keep_deployments(struct rolling *r, const struct rollout_plan *plan)
{
    struct deployment_news news = make_news(r, plan);
    for (size_t i = 0; i < r->sight.deployment_count; i++) {
        TRY(keep_deployment(r, &plan->deployments[i], r->live[i], &news));
    }
    return ERR_OK;
}

/* ids: of the tasks that the last START started. */
static enum err perform_one(struct rolling *r, const struct rollout_effect *e, struct str **ids)
{
    switch (e->kind) {
    case ROLLOUT_START:
        return start_tasks(r, e, ids);
    case ROLLOUT_STOP:
        return scene_stop(r->s, r->tasks[e->task], e->text);
    case ROLLOUT_SAY:
        return scene_say(r->s, &e->event, *ids);
    case ROLLOUT_ROLL_BACK:
        return roll_back(r, e);
    }
    return ERR_OK;
}

static enum err perform(struct rolling *r, const struct rollout_plan *plan)
{
    struct str *ids = NULL;
    for (size_t i = 0; i < plan->effects.count; i++) {
        TRY(perform_one(r, &plan->effects.items[i], &ids));
    }
    return ERR_OK;
}

/* Past deployments are of no more use, but for the one to go back to. */
static enum err prune(struct rolling *r)
{
    struct store *st = r->s->ecs->config.store;
    for (size_t i = 0; i < r->rows.count; i++) {
        const struct engine_ecs_deployment *row = r->rows.items[i].value;
        if (!STR_IS(row->deployment->status, "INACTIVE") || row == r->candidate) {
            continue;
        }
        TRY(store_remove(r->s->op, st, &ecs_kind_deployment, r->rows.items[i].key));
    }
    return ERR_OK;
}

enum err scheduler_step_deployments(struct scene *s, bool *ret_again)
{
    struct rolling r = {.s = s};
    TRY(see(&r));
    struct rollout_plan plan = rollout_service_decide(&s->op->arena, &r.sight, s->op->now);
    while (scene_hide_protected(s, &plan.effects, r.seen, r.tasks, &r.sight.task_count)) {
        plan = rollout_service_decide(&s->op->arena, &r.sight, s->op->now);
    }
    *ret_again = plan.is_changed;
    if (!plan.is_changed) {
        scene_wake_at(s, plan.wake_at);
        return prune(&r);
    }
    TRY(scene_marks(s, r.tasks, plan.marks, r.sight.task_count));
    TRY(keep_deployments(&r, &plan));
    TRY(perform(&r, &plan));
    s->row.memory = ecs_memory_write(s->op, &plan.memory);
    return ecs_service_put(s->op, s->ecs, &s->ref, &s->row);
}

/* ---- a service that is going away -------------------------------------------------------------*/

static enum err make_inactive(struct scene *s)
{
    struct store_range range = {.parent = s->ref.key};
    TRY(store_remove_all(s->op, s->ecs->config.store, &ecs_kind_deployment, &range));
    TRY(store_remove_all(s->op, s->ecs->config.store, &ecs_kind_task_set, &range));
    TRY(store_remove(s->op, s->ecs->config.store, &ecs_kind_shift, s->ref.key));
    s->row.service->status = STR("INACTIVE");
    s->row.inactive_at = OPT_TIME(s->op->now);
    return ecs_service_put(s->op, s->ecs, &s->ref, &s->row);
}

/* *ret_is_told: the task was told to stop just now. */
static enum err drain_task(struct scene *s, struct engine_ecs_task *row, bool *ret_is_told)
{
    *ret_is_told = false;
    if (ecs_task_status(row->task) == TASK_STOPPED) {
        row->marks = OPT_I32(OPT_OR(row->marks, 0) | ROLLOUT_MARK_COUNTED);
        return ecs_task_put(s->op, s->ecs, row);
    }
    if (ecs_task_is_stop_decided(row->task)) {
        return ERR_OK;
    }
    *ret_is_told = true;
    return scene_stop(s, row,
                      arena_printf(&s->op->arena, "Scaling activity initiated by (deployment %.*s)",
                                   STR_ARG(row->owner_id)));
}

enum err scheduler_step_draining(struct scene *s, bool *ret_again)
{
    struct str *stopped = ARENA_ARRAY(&s->op->arena, struct str, s->tasks.count + 1);
    size_t stopped_count = 0;
    size_t live_count = 0;
    for (size_t i = 0; i < s->tasks.count; i++) {
        struct engine_ecs_task *row = s->tasks.items[i].value;
        live_count += ecs_task_status(row->task) != TASK_STOPPED ? 1 : 0;
        bool is_told = false;
        TRY(drain_task(s, row, &is_told));
        if (is_told) {
            stopped[stopped_count++] = ecs_task_id(row->task);
        }
    }
    *ret_again = false;
    if (stopped_count > 0) {
        return scene_say(s,
                         &(struct rollout_event){.kind = ROLLOUT_EVENT_STOPPED,
                                                 .task_ids = stopped,
                                                 .count = stopped_count},
                         NULL);
    }
    return live_count == 0 ? make_inactive(s) : ERR_OK;
}
