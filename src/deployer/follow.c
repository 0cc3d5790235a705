/* Looks at one deployment until it is over. Each look has an op of its own, so hours of looking
 * take no memory. */
#include "base/check.h"
#include "deployer/cdshift.h"
#include "deployer/deploy.h"
#include "deployer/metrics.h"

#define ONE(list_items)  .items = (list_items), .count = 1, .is_set = true
#define FAILED_LOOKS_MAX 12 /* a rollback is announced a moment after the failure */
#define BLIND_LOOKS_MAX  60 /* a control process that starts again is no failure */
#define EVENT_ID_BYTES   64
#define METRICS_EVERY    DUR_MS(1000)

struct follower {
    const struct deployment *d;
    struct leg *leg;
    int failed_looks;
    int blind_looks;
    int period_s;
    mono_t metrics_at;
    char last_event_id[EVENT_ID_BYTES];
    struct sight_metrics metrics[3]; /* kept between two readings: total, old, new */
    int64_t healthy[2];
    bool has_asked_baking;
    bool is_told_to_stop;
};

/* Newest first, as ECS lists them: what stands before the last one that was told is new. */
static void tell_events(struct follower *f, const struct ecs_service *service)
{
    size_t fresh = 0;
    while (fresh < service->events.count &&
           !str_equal(service->events.items[fresh].id, str_of(f->last_event_id))) {
        fresh++;
    }
    for (size_t i = fresh; i > 0; i--) {
        deploy_tell(f->d, TELL_EVENT, "%.*s", STR_ARG(service->events.items[i - 1].message));
    }
    if (service->events.count > 0) {
        (void)str_to_c(service->events.items[0].id, f->last_event_id, sizeof(f->last_event_id));
    }
}

static enum err look_native(struct op *op, const struct follower *f, struct sight *s)
{
    struct str arn = f->leg->handle.id;
    struct ecs_describe_service_deployments_in in = {.service_deployment_arns = {ONE(&arn)}};
    struct ecs_describe_service_deployments_out out = {0};
    TRY(ecs_call_describe_service_deployments(op, f->d->cloud->client, &in, &out));
    if (out.service_deployments.count == 0) {
        return op_fail(op, ERR_NOT_FOUND, "ECS no longer knows the deployment %.*s", STR_ARG(arn));
    }
    sight_of_native(&out.service_deployments.items[0], s);
    return ERR_OK;
}

static bool has_sides(const struct follower *f)
{
    return f->leg->handle.kind != HANDLE_ROLLING && f->leg->resources.has_balancer;
}

/* Failing here costs a view, not the deployment. */
static void look_closer(struct op *op, struct follower *f, struct sight *s)
{
    mono_t now = clock_mono();
    if (now.us >= f->metrics_at.us) {
        f->metrics_at = mono_add(now, METRICS_EVERY);
        struct sight fresh = {.old_side = {.healthy = -1}, .new_side = {.healthy = -1}};
        if (metrics_read(op, f->d->cloud, &f->leg->resources, f->period_s, has_sides(f),
                         f->leg->handle.started, &fresh) != ERR_OK) {
            f->period_s = METRICS_PERIOD_COARSE_S;
            op_note_clear(op);
        }
        if (has_sides(f) &&
            metrics_read_targets(op, f->d->cloud, &f->leg->resources, &fresh) != ERR_OK) {
            op_note_clear(op);
        }
        f->metrics[0] = fresh.total;
        f->metrics[1] = fresh.old_side.metrics;
        f->metrics[2] = fresh.new_side.metrics;
        f->healthy[0] = fresh.old_side.healthy;
        f->healthy[1] = fresh.new_side.healthy;
    }
    s->total = f->metrics[0];
    s->old_side.metrics = f->metrics[1];
    s->new_side.metrics = f->metrics[2];
    s->old_side.healthy = f->healthy[0];
    s->new_side.healthy = f->healthy[1];
}

static enum err look(struct op *op, struct follower *f, struct sight *s)
{
    const struct ecs_service *service = NULL;
    TRY(resources_find_service(op, f->d->cloud, &f->leg->place, &service));
    if (service == NULL) {
        return op_fail(op, ERR_NOT_FOUND, "the service \"%.*s\" is gone",
                       STR_ARG(f->leg->place.service_name));
    }
    tell_events(f, service);
    switch (f->leg->handle.kind) {
    case HANDLE_ROLLING:
        sight_of_rolling(service, &f->leg->handle, s);
        break;
    case HANDLE_NATIVE:
        TRY(look_native(op, f, s));
        break;
    case HANDLE_CODEDEPLOY:
        TRY(cdshift_look(op, f->d->cloud, &f->leg->handle, s));
        break;
    }
    s->new_side.version = f->d->request->release.version;
    s->old_side.version = f->leg->old_version;
    look_closer(op, f, s);
    return ERR_OK;
}

/* A failure is believed when no rollback follows for a while. */
static bool is_believed(struct follower *f, const struct sight *s)
{
    f->failed_looks = s->state == SIGHT_FAILED ? f->failed_looks + 1 : 0;
    bool is_final = s->state != SIGHT_FAILED || f->leg->handle.kind == HANDLE_NATIVE;
    return sight_is_over(s->state) && (is_final || f->failed_looks > FAILED_LOOKS_MAX);
}

static enum deploy_outcome outcome_of(const struct follower *f, const struct sight *s)
{
    switch (s->state) {
    case SIGHT_DONE:
        return DEPLOY_RELEASED;
    case SIGHT_ROLLED_BACK:
        return s->is_stopped_by_person && !f->is_told_to_stop ? DEPLOY_STOPPED : DEPLOY_ROLLED_BACK;
    case SIGHT_FAILED:
        return DEPLOY_NOT_ROLLED_BACK;
    case SIGHT_SUPERSEDED:
        return DEPLOY_SUPERSEDED;
    case SIGHT_GOING:
    case SIGHT_BAKING:
    case SIGHT_ROLLING_BACK:
        break;
    }
    UNREACHABLE("the sight is over");
}

static void keep(struct arena *a, const struct sight *s, struct sight *ret)
{
    *ret = *s;
    ret->stage = arena_str(a, s->stage);
    ret->reason = arena_str(a, s->reason);
    ret->new_side.task_definition = arena_str(a, s->new_side.task_definition);
    ret->old_side.task_definition = arena_str(a, s->old_side.task_definition);
}

struct end {
    bool is_over;
    enum deploy_outcome outcome;
};

static struct end over(enum deploy_outcome outcome)
{
    return (struct end){.is_over = true, .outcome = outcome};
}

static struct end go_blind(struct op *op, struct follower *f, const struct op *look_op, enum err e)
{
    f->blind_looks++;
    if (f->blind_looks <= BLIND_LOOKS_MAX && e != ERR_NOT_FOUND && e != ERR_DENIED) {
        return (struct end){0};
    }
    err_ignore(cloud_op_fail(op, look_op, e)); /* the outcome carries it */
    return over(DEPLOY_CANNOT_TELL);
}

static struct end turn(struct op *op, struct follower *f, struct sight *last)
{
    auto_op struct op one;
    cloud_op_init(&one, f->d->cloud);
    struct sight s = {0};
    enum err e = look(&one, f, &s);
    if (e != ERR_OK) {
        return go_blind(op, f, &one, e);
    }
    f->blind_looks = 0;
    s.is_stopped_by_person = s.is_stopped_by_person || last->is_stopped_by_person;
    s.is_ours = f->is_told_to_stop;
    struct tell told = {.kind = TELL_SIGHT, .sight = &s};
    f->d->request->tell(f->d->request->self, &told);
    keep(&op->arena, &s, last);
    return is_believed(f, &s) ? over(outcome_of(f, &s)) : (struct end){0};
}

/* All traffic is on the new side: the last moment at which taking back is one step. */
static void ask_baking(struct op *op, struct follower *f, const struct sight *s,
                       follow_baking_fn on_baking, void *self)
{
    if (on_baking == NULL || f->has_asked_baking || s->state != SIGHT_BAKING) {
        return;
    }
    f->has_asked_baking = true;
    if (on_baking(op, self)) {
        return;
    }
    deploy_tell(f->d, TELL_WARNING, "%s; taking the new version back", op->note.text);
    auto_op struct op one;
    cloud_op_init(&one, f->d->cloud);
    if (shift_stop(&one, f->d->cloud, &f->leg->handle) != ERR_OK) {
        deploy_tell(f->d, TELL_WARNING, "could not stop the deployment: %s", one.note.text);
    }
    f->is_told_to_stop = true;
}

enum deploy_outcome follow_run(struct op *op, const struct deployment *d, struct leg *leg,
                               follow_baking_fn on_baking, void *self, struct sight *ret_last)
{
    struct follower f = {.d = d,
                         .leg = leg,
                         .period_s =
                             d->cloud->is_local ? METRICS_PERIOD_FINE_S : METRICS_PERIOD_COARSE_S,
                         .healthy = {-1, -1}};
    const struct ecs_service *before = leg->resources.service;
    if (before != NULL && before->events.count > 0) {
        (void)str_to_c(before->events.items[0].id, f.last_event_id, sizeof(f.last_event_id));
    }
    mono_t end_at = mono_add(clock_mono(), DUR_S(d->request->environment->timeout_s));
    *ret_last = (struct sight){0};
    for (;;) {
        struct end end = turn(op, &f, ret_last);
        if (end.is_over) {
            return end.outcome;
        }
        if (d->request->is_interrupted(d->request->self)) {
            return DEPLOY_STOPPED;
        }
        if (clock_mono().us >= end_at.us) {
            return DEPLOY_WAITING;
        }
        ask_baking(op, &f, ret_last, on_baking, self);
        cloud_wait(d->cloud->poll);
    }
}
