#include "deployer/deploy.h"

#include "base/check.h"
#include "deployer/migrate.h"
#include "deployer/verify.h"

static void begin_step(struct deployment *d, const char *text)
{
    d->step++;
    struct tell told = {
        .kind = TELL_STEP, .number = d->step, .count = d->step_count, .text = str_of(text)};
    d->request->tell(d->request->self, &told);
}

static void tell_made(void *self, const char *what, struct str name)
{
    const struct deployment *d = self;
    deploy_tell(d, TELL_LINE, "%s %.*s", what, STR_ARG(name));
}

static void fill(struct op *op, const struct deployment *d, const struct leg *leg,
                 struct deploy_result *r)
{
    r->service = leg->place.service_name;
    r->version = d->request->release.version;
    r->old_version = leg->old_version;
    r->revision = sight_revision(leg->task_definition);
    r->deployment = leg->handle.id;
    if (leg->resources.has_balancer && str_is_set(leg->resources.dns_name)) {
        r->url = resources_url(&op->arena, &leg->resources, STR("/"));
    }
    r->seconds = (double)mono_since(clock_mono(), d->started).us / 1e6;
}

static struct deploy_result end_with(struct op *op, const struct deployment *d,
                                     const struct leg *leg, enum deploy_outcome outcome,
                                     struct str text)
{
    struct deploy_result r = {.outcome = outcome, .text = text};
    if (leg != NULL) {
        fill(op, d, leg, &r);
    }
    r.seconds = (double)mono_since(clock_mono(), d->started).us / 1e6;
    return r;
}

static struct str note_text(struct op *op)
{
    return arena_str(&op->arena, str_of(op->note.text));
}

/* ---- steps ---- */

static enum err make_resources(struct op *op, struct deployment *d)
{
    for (size_t i = 0; i < d->leg_count; i++) {
        struct leg *leg = &d->legs[i];
        TRY(resources_ensure(op, d->cloud, &leg->place, tell_made, d, &leg->resources));
        TRY(alarms_ensure(op, d->cloud, &leg->place, leg->resources.balancer_arn, &leg->alarms));
        for (size_t k = 0; k < leg->alarms.count; k++) {
            deploy_tell(d, TELL_LINE, "stop_if %.*s: alarm %.*s",
                        STR_ARG(d->request->environment->rules[k].text),
                        STR_ARG(leg->alarms.items[k]));
        }
    }
    return ERR_OK;
}

static enum err register_all(struct op *op, struct deployment *d)
{
    for (size_t i = 0; i < d->leg_count; i++) {
        struct leg *leg = &d->legs[i];
        if (!leg->is_changed && !d->request->is_forced) {
            continue;
        }
        struct ecs_register_task_definition_out out = {0};
        TRY(ecs_call_register_task_definition(op, d->cloud->client, &leg->definition, &out));
        if (out.task_definition == NULL) {
            return op_fail(op, ERR_PROTOCOL, "RegisterTaskDefinition answered without one");
        }
        leg->task_definition = out.task_definition->task_definition_arn;
        deploy_tell(d, TELL_LINE, "%.*s", STR_ARG(sight_revision(leg->task_definition)));
    }
    return ERR_OK;
}

static void tell_lines(const struct deployment *d, const struct why *w)
{
    for (size_t i = 0; i < w->line_count; i++) {
        deploy_tell(d, TELL_LOG, "%.*s", STR_ARG(w->lines[i]));
    }
}

static struct leg *migrating_leg(struct deployment *d)
{
    for (size_t i = 0; i < d->leg_count; i++) {
        bool is_it =
            str_equal(d->legs[i].place.service->name, d->request->config->migrations.service);
        if (is_it && str_is_set(d->legs[i].task_definition)) {
            return &d->legs[i];
        }
    }
    return NULL;
}

static bool migrate(struct op *op, struct deployment *d, struct deploy_result *ret)
{
    struct leg *leg = migrating_leg(d);
    if (leg == NULL) {
        deploy_tell(d, TELL_LINE, "nothing to migrate: %.*s does not change",
                    STR_ARG(d->request->config->migrations.service));
        return true;
    }
    struct why why = {0};
    enum err e = migrate_run(op, d->cloud, &leg->place, &leg->resources, leg->task_definition,
                             leg->container, &why);
    tell_lines(d, &why);
    if (e == ERR_OK) {
        deploy_tell(d, TELL_LINE, "ended with exit code 0");
        return true;
    }
    *ret = end_with(op, d, leg, DEPLOY_MIGRATION, note_text(op));
    ret->why = why;
    return false;
}

/* ---- ends that are no success ---- */

static void ask_old_version(struct op *op, const struct deployment *d, const struct leg *leg,
                            struct deploy_result *r)
{
    struct str told = STR_NONE;
    if (verify_serves(op, &leg->place, &leg->resources, &told) == ERR_OK) {
        r->serving = told;
    } else {
        r->serving = arena_printf(&op->arena, "the service does not answer: %s", op->note.text);
    }
    op_note_clear(op);
    (void)d;
}

static struct str sentence_of(struct op *op, const struct leg *leg, enum deploy_outcome outcome,
                              const struct sight *last)
{
    switch (outcome) {
    case DEPLOY_ROLLED_BACK:
    case DEPLOY_NOT_ROLLED_BACK:
        return str_is_set(last->reason) ? last->reason : STR("the deployment failed");
    case DEPLOY_STOPPED:
        return last->state == SIGHT_ROLLED_BACK
                   ? STR("stopped by a person; the new version was taken back")
                   : STR("no longer followed; the deployment goes on");
    case DEPLOY_WAITING:
        return arena_printf(&op->arena, "still going on after %lld s",
                            (long long)leg->place.environment->timeout_s);
    case DEPLOY_SUPERSEDED:
        return STR("somebody started another deployment of the service");
    case DEPLOY_RELEASED:
    case DEPLOY_NOTHING:
    case DEPLOY_REFUSED:
    case DEPLOY_LOCKED:
    case DEPLOY_CANNOT_TELL:
    case DEPLOY_MIGRATION:
        break;
    }
    return note_text(op);
}

/* A rolling update shows who ended it only in its deployment's words. */
static enum deploy_outcome refine(enum deploy_outcome outcome, struct str reason,
                                  struct sight *last)
{
    bool is_called = str_find(reason, STR("StopServiceDeployment"), 0) != STR_NOT_FOUND;
    if (outcome == DEPLOY_ROLLED_BACK && is_called && !last->is_ours) {
        last->state = SIGHT_ROLLED_BACK;
        return DEPLOY_STOPPED;
    }
    return outcome;
}

static void explain(struct op *op, const struct deployment *d, struct leg *leg,
                    enum deploy_outcome outcome, struct sight *last, struct deploy_result *ret)
{
    struct str ended = outcome == DEPLOY_ROLLED_BACK
                           ? shift_end_reason(op, d->cloud, &leg->place, &leg->handle)
                           : STR_NONE;
    outcome = refine(outcome, ended, last);
    *ret = end_with(op, d, leg, outcome, sentence_of(op, leg, outcome, last));
    if (outcome == DEPLOY_STOPPED && last->state == SIGHT_ROLLED_BACK) {
        ask_old_version(op, d, leg, ret);
    }
    if (outcome == DEPLOY_ROLLED_BACK || outcome == DEPLOY_NOT_ROLLED_BACK) {
        ret->text = str_is_set(ended) ? ended : ret->text;
        why_find(op, d->cloud, &leg->place, &leg->handle, &leg->alarms, &ret->why);
        ask_old_version(op, d, leg, ret);
    }
}

/* ---- shift and verify ---- */

struct baking {
    struct deployment *d;
    struct leg *leg;
    bool is_verified;
    struct str complaint;
};

static bool verify_leg(struct op *op, void *self)
{
    struct baking *b = self;
    b->is_verified =
        verify_run(op, b->d->cloud, &b->leg->place, &b->leg->resources, tell_made, b->d) == ERR_OK;
    if (!b->is_verified) {
        b->complaint = note_text(op);
    }
    return b->is_verified;
}

static struct shift_order order_of(const struct deployment *d, const struct leg *leg)
{
    return (struct shift_order){.task_definition = leg->task_definition,
                                .strategy = d->request->environment->strategy,
                                .alarms = leg->alarms,
                                .container = leg->container,
                                .container_port = leg->container_port};
}

enum err deploy_back(struct op *op, const struct cloud *cloud, const struct deploy_request *request,
                     struct leg *leg, struct deploy_result *ret)
{
    struct deployment d = {
        .request = request, .cloud = cloud, .legs = leg, .leg_count = 1, .started = clock_mono()};
    TRY(resources_find(op, cloud, &leg->place, &leg->resources));
    struct shift_order order = order_of(&d, leg);
    bool is_rolling = order.strategy == CONFIG_ROLLING || !leg->resources.has_balancer;
    order.strategy = is_rolling ? CONFIG_ROLLING : CONFIG_BLUE_GREEN;
    order.is_immediate = true;
    order.alarms = (struct config_words){0}; /* what was bad must not stop the way back */
    TRY(shift_start(op, cloud, &leg->place, &leg->resources, &order, &leg->handle));
    deploy_tell(&d, TELL_LINE, "deployment %.*s", STR_ARG(leg->handle.id));
    struct sight last = {0};
    enum deploy_outcome outcome = follow_run(op, &d, leg, NULL, NULL, &last);
    if (outcome == DEPLOY_RELEASED) {
        *ret = end_with(op, &d, leg, outcome, STR("the earlier version has the traffic"));
        ask_old_version(op, &d, leg, ret);
    } else {
        explain(op, &d, leg, outcome, &last, ret);
    }
    return ERR_OK;
}

static void take_back(struct op *op, struct deployment *d, struct leg *leg, struct str complaint,
                      struct deploy_result *ret)
{
    struct leg back = *leg;
    struct str old = leg->handle.old_task_definition;
    struct deploy_result undone = {0};
    bool is_back = false;
    if (str_is_set(old)) {
        deploy_tell(d, TELL_WARNING, "%.*s; taking the release back", STR_ARG(complaint));
        back.task_definition = old;
        back.old_version = d->request->release.version;
        struct deploy_request request = *d->request;
        request.release.version = leg->old_version;
        is_back = deploy_back(op, d->cloud, &request, &back, &undone) == ERR_OK &&
                  undone.outcome == DEPLOY_RELEASED;
    }
    *ret = end_with(op, d, leg, is_back ? DEPLOY_ROLLED_BACK : DEPLOY_NOT_ROLLED_BACK, complaint);
    leg->resources = back.resources;
    ask_old_version(op, d, leg, ret);
}

static bool shift_leg(struct op *op, struct deployment *d, struct leg *leg, struct baking *baking,
                      struct deploy_result *ret)
{
    struct shift_order order = order_of(d, leg);
    if (shift_start(op, d->cloud, &leg->place, &leg->resources, &order, &leg->handle) != ERR_OK) {
        *ret = end_with(op, d, leg, DEPLOY_REFUSED, note_text(op));
        return false;
    }
    deploy_tell(d, TELL_LINE, "deployment %.*s", STR_ARG(leg->handle.id));
    struct sight last = {0};
    bool has_checks = d->request->config->verify_count > 0;
    enum deploy_outcome outcome =
        follow_run(op, d, leg, has_checks ? verify_leg : NULL, baking, &last);
    if (outcome != DEPLOY_RELEASED) {
        explain(op, d, leg, outcome, &last, ret);
        if (str_is_set(baking->complaint)) {
            ret->text = baking->complaint;
        }
        return false;
    }
    return true;
}

static bool ship(struct op *op, struct deployment *d, struct deploy_result *ret)
{
    begin_step(d, "shift");
    struct baking *baking = ARENA_ARRAY(&op->arena, struct baking, d->leg_count);
    for (size_t i = 0; i < d->leg_count; i++) {
        struct leg *leg = &d->legs[i];
        baking[i] = (struct baking){.d = d, .leg = leg};
        if (!str_is_set(leg->task_definition)) {
            deploy_tell(d, TELL_LINE, "%.*s is live as it is", STR_ARG(leg->place.service_name));
        } else if (!shift_leg(op, d, leg, &baking[i], ret)) {
            return false;
        }
    }
    if (d->request->config->verify_count == 0) {
        return true;
    }
    begin_step(d, "verify");
    for (size_t i = 0; i < d->leg_count; i++) {
        struct leg *leg = &d->legs[i];
        bool is_due = str_is_set(leg->task_definition) && !baking[i].is_verified;
        if (is_due && !verify_leg(op, &baking[i])) {
            take_back(op, d, leg, baking[i].complaint, ret);
            return false;
        }
    }
    return true;
}

static bool has_changes(const struct deployment *d)
{
    for (size_t i = 0; i < d->leg_count; i++) {
        if (d->legs[i].is_changed || d->request->is_forced) {
            return true;
        }
    }
    return false;
}

/* The first service that changed speaks for all. */
static const struct leg *speaker(const struct deployment *d)
{
    for (size_t i = 0; i < d->leg_count; i++) {
        if (str_is_set(d->legs[i].task_definition)) {
            return &d->legs[i];
        }
    }
    return d->leg_count > 0 ? &d->legs[0] : NULL;
}

static void go(struct op *op, struct deployment *d, struct deploy_result *ret)
{
    begin_step(d, "preflight");
    enum deploy_outcome outcome = deploy_preflight(op, d);
    if (outcome != DEPLOY_RELEASED) {
        *ret = end_with(op, d, d->leg_count > 0 ? &d->legs[0] : NULL, outcome, note_text(op));
        return;
    }
    if (!has_changes(d)) {
        *ret = end_with(op, d, &d->legs[0], DEPLOY_NOTHING,
                        arena_printf(&op->arena, "version %.*s is live already",
                                     STR_ARG(d->request->release.version)));
        return;
    }
    begin_step(d, "resources");
    enum err e = make_resources(op, d);
    if (e == ERR_OK) {
        begin_step(d, "register");
        e = register_all(op, d);
    }
    if (e != ERR_OK) {
        *ret = end_with(op, d, speaker(d), DEPLOY_REFUSED, note_text(op));
        return;
    }
    if (d->request->config->migrations.command.count > 0) {
        begin_step(d, "migrate");
        if (!migrate(op, d, ret)) {
            return;
        }
    }
    if (ship(op, d, ret)) {
        *ret = end_with(op, d, speaker(d), DEPLOY_RELEASED, STR("released"));
    }
}

enum err deploy_run(struct op *op, const struct cloud *cloud, const struct deploy_request *request,
                    struct deploy_result *ret)
{
    struct deployment d = {.request = request, .cloud = cloud, .started = clock_mono()};
    d.step_count = 5 + (request->config->migrations.command.count > 0 ? 1 : 0) +
                   (request->config->verify_count > 0 ? 1 : 0);
    go(op, &d, ret);
    d.step = d.step_count - 1;
    begin_step(&d, "report");
    return ERR_OK;
}
