/* What is looked at before anything changes. */
#include "base/check.h"
#include "base/file.h"
#include "crypt/hash.h"
#include "deployer/cdshift.h"
#include "deployer/deploy.h"

#include "base/buf.h"
#include "shape/walk.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define DEFINITION_BYTES_MAX (1u << 20)
#define ONE(list_items)      .items = (list_items), .count = 1, .is_set = true

void deploy_tell(const struct deployment *d, enum tell_kind kind, const char *format, ...)
{
    char text[OP_NOTE_TEXT_BYTES * 2];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    size_t shown = len < 0 ? 0 : (size_t)len;
    struct tell told = {.kind = kind,
                        .number = d->step,
                        .count = d->step_count,
                        .text = str_make(text, shown < sizeof(text) ? shown : sizeof(text) - 1)};
    d->request->tell(d->request->self, &told);
}

/* ---- what is to be ---- */

static struct str hash_of(struct op *op, const struct ecs_register_task_definition_in *in)
{
    auto_buf struct buf text;
    buf_init(&text, DEFINITION_BYTES_MAX);
    shape_json_encode(&text, &shape_ecs_register_task_definition_in, in);
    struct sha256 h = sha256_of(buf_str(&text));
    struct str out = STR("");
    for (size_t i = 0; i < 16; i++) {
        out = arena_printf(&op->arena, "%.*s%02x", STR_ARG(out), h.bytes[i]);
    }
    return out;
}

static enum err define(struct op *op, const struct deployment *d, struct leg *leg)
{
    const struct config_service *s = leg->place.service;
    struct str json = STR_NONE;
    if (str_is_set(s->task_definition)) {
        TRY(file_read(op, arena_c_str(&op->arena, s->task_definition), DEFINITION_BYTES_MAX,
                      &json));
    }
    struct ecs_register_task_definition_in *in = &leg->definition;
    TRY(definition_make(op, &leg->place, &d->request->release, json, in));
    leg->hash = hash_of(op, in);
    in->tags.is_set = true;
    *ARENA_PUSH(&op->arena, &in->tags) =
        (struct ecs_tag){.key = STR(DEPLOY_HASH_TAG), .value = leg->hash};
    const struct ecs_container_definition *c = definition_main_container(in, &leg->place);
    leg->container = c->name;
    leg->container_port = s->port;
    return ERR_OK;
}

/* ---- what is ---- */

static enum err read_live(struct op *op, const struct cloud *cloud, struct leg *leg)
{
    leg->is_changed = true;
    if (leg->resources.service == NULL) {
        return ERR_OK;
    }
    enum ecs_task_definition_field field = ECS_TASK_DEFINITION_FIELD_TAGS;
    struct ecs_describe_task_definition_in in = {
        .task_definition = leg->resources.service->task_definition, .include = {ONE(&field)}};
    struct ecs_describe_task_definition_out out = {0};
    TRY(ecs_call_describe_task_definition(op, cloud->client, &in, &out));
    leg->old_version = deploy_version_of(op, cloud, leg->resources.service->task_definition);
    bool is_count_same = OPT_OR(leg->resources.service->desired_count, 0) == leg->place.count;
    for (size_t i = 0; i < out.tags.count; i++) {
        bool is_same = STR_IS(out.tags.items[i].key, DEPLOY_HASH_TAG) &&
                       str_equal(out.tags.items[i].value, leg->hash);
        leg->is_changed = leg->is_changed && !(is_same && is_count_same);
    }
    return ERR_OK;
}

struct str deploy_version_of(struct op *op, const struct cloud *cloud, struct str task_definition)
{
    struct ecs_describe_task_definition_in in = {.task_definition = task_definition};
    struct ecs_describe_task_definition_out out = {0};
    struct str version = sight_revision(task_definition);
    if (ecs_call_describe_task_definition(op, cloud->client, &in, &out) != ERR_OK ||
        out.task_definition == NULL) {
        op_note_clear(op);
        return version;
    }
    for (size_t i = 0; i < out.task_definition->container_definitions.count; i++) {
        const struct ecs_container_definition *c =
            &out.task_definition->container_definitions.items[i];
        for (size_t k = 0; k < c->environment.count; k++) {
            if (STR_IS(c->environment.items[k].name, "VERSION")) {
                return c->environment.items[k].value;
            }
        }
    }
    return version;
}

enum err deploy_prepare(struct op *op, struct deployment *d)
{
    const struct config *c = d->request->config;
    d->legs = ARENA_ARRAY(&op->arena, struct leg, c->service_count);
    for (size_t i = 0; i < c->service_count; i++) {
        if (str_is_set(d->request->service) &&
            !str_equal(d->request->service, c->services[i].name)) {
            continue;
        }
        struct leg *leg = &d->legs[d->leg_count++];
        place_name(&op->arena, c, d->request->environment, &c->services[i], &leg->place);
        TRY(define(op, d, leg));
        TRY(resources_find(op, d->cloud, &leg->place, &leg->resources));
        TRY(read_live(op, d->cloud, leg));
    }
    return d->leg_count > 0 ? ERR_OK
                            : op_fail(op, ERR_INPUT, "there is no service \"%.*s\" in %.*s",
                                      STR_ARG(d->request->service), STR_ARG(c->path));
}

/* ---- what stands against it ---- */

static enum err check_folder(struct op *op, const struct leg *leg)
{
    const struct ecs_container_definition *c =
        definition_main_container(&leg->definition, &leg->place);
    struct str folder = str_from(c->image, strlen("dir://"));
    const char *path = arena_c_str(&op->arena, folder);
    if (access(path, R_OK | X_OK) != 0) {
        return op_fail_errno(op, "the image's folder \"%s\"", path);
    }
    if (c->command.count == 0 || c->entry_point.count > 0) {
        return ERR_OK;
    }
    struct str program = c->command.items[0];
    if (str_find_char(program, '/', 0) == STR_NOT_FOUND) {
        return ERR_OK; /* looked up in PATH when it starts */
    }
    struct str file = str_starts_with(program, STR("/"))
                          ? program
                          : arena_printf(&op->arena, "%s/%.*s", path, STR_ARG(program));
    if (access(arena_c_str(&op->arena, file), X_OK) != 0) {
        return op_fail_errno(op, "the program \"%.*s\" cannot be run", STR_ARG(file));
    }
    return ERR_OK;
}

static enum err check_image(struct op *op, const struct deployment *d, const struct leg *leg)
{
    bool is_given = str_is_set(d->request->release.image);
    struct str image = is_given ? d->request->release.image : leg->place.service->image;
    if (str_starts_with(image, STR("dir://"))) {
        return d->cloud->is_local ? check_folder(op, leg)
                                  : op_fail(op, ERR_INPUT,
                                            "dir:// images run on this machine only; "
                                            "services.%.*s.image must be a reference for aws",
                                            STR_ARG(leg->place.service->name));
    }
    if (!is_given && str_is_set(leg->place.service->context)) {
        return op_fail(op, ERR_INPUT,
                       "the image \"%.*s\" is built elsewhere: give its reference with --image, "
                       "or in images.%.*s.image",
                       STR_ARG(image), STR_ARG(image));
    }
    return ERR_OK;
}

static enum err check_strategy(struct op *op, const struct deployment *d, const struct leg *leg)
{
    const struct config_environment *e = d->request->environment;
    if (e->strategy == CONFIG_ROLLING || leg->resources.service == NULL ||
        shift_is_codedeploy(leg->resources.service)) {
        return ERR_OK;
    }
    if (!leg->resources.has_balancer) {
        return op_fail(op, ERR_INPUT,
                       "%s moves traffic, but the service \"%.*s\" has no port; use rolling",
                       config_strategy_text(e->strategy), STR_ARG(leg->place.service->name));
    }
    bool is_wired = leg->resources.service->load_balancers.items[0].advanced_configuration != NULL;
    if (!d->cloud->is_local && !is_wired && !str_is_set(e->infrastructure_role)) {
        return op_fail(op, ERR_INPUT,
                       "%s needs environments.%.*s.infrastructure_role: the role with which ECS "
                       "changes the load balancer's rules",
                       config_strategy_text(e->strategy), STR_ARG(e->name));
    }
    return ERR_OK;
}

static enum err check_alarms(struct op *op, const struct deployment *d, const struct leg *leg)
{
    const struct config_environment *e = d->request->environment;
    struct config_words names = {0};
    for (size_t i = 0; i < e->rule_count; i++) {
        *ARENA_PUSH(&op->arena, &names) = alarm_name(&op->arena, &leg->place, i);
    }
    struct alarm_states states = {0};
    TRY(alarms_read(op, d->cloud, &names, &states));
    for (size_t i = 0; i < e->rule_count; i++) {
        bool is_there = e->rules[i].measure != CONFIG_ALARM;
        for (size_t k = 0; k < states.count; k++) {
            is_there = is_there || str_equal(states.items[k].name, names.items[i]);
        }
        if (!is_there) {
            return op_fail(op, ERR_NOT_FOUND, "stop_if: there is no alarm \"%.*s\" in %.*s",
                           STR_ARG(names.items[i]), STR_ARG(d->cloud->region));
        }
    }
    for (size_t k = 0; k < states.count; k++) {
        if (states.items[k].is_in_alarm) {
            deploy_tell(d, TELL_WARNING,
                        "the alarm %.*s is in ALARM already: it cannot stop this deployment",
                        STR_ARG(states.items[k].name));
        }
    }
    return ERR_OK;
}

/* Only what is live and stable in the environment before may go on. */
static enum err check_after(struct op *op, const struct deployment *d, const struct leg *leg)
{
    const struct config_environment *e = d->request->environment;
    if (!str_is_set(e->after)) {
        return ERR_OK;
    }
    const struct config_environment *before = config_find_environment(d->request->config, e->after);
    CHECK(before != NULL);
    struct place place = {0};
    place_name(&op->arena, d->request->config, before, leg->place.service, &place);
    const struct ecs_service *service = NULL;
    TRY(resources_find_service(op, d->cloud, &place, &service));
    if (service == NULL) {
        return op_fail(op, ERR_STATE, "%.*s comes after %.*s, where nothing is live",
                       STR_ARG(e->name), STR_ARG(before->name));
    }
    struct str version = deploy_version_of(op, d->cloud, service->task_definition);
    struct handle running = {0};
    bool is_stable = !shift_current(service, &running) &&
                     OPT_OR(service->running_count, 0) == OPT_OR(service->desired_count, 0);
    if (!str_equal(version, d->request->release.version) || !is_stable) {
        return op_fail(
            op, ERR_STATE, "%.*s comes after %.*s, where version %.*s is live%s, not %.*s",
            STR_ARG(e->name), STR_ARG(before->name), STR_ARG(version),
            is_stable ? "" : " and not yet stable", STR_ARG(d->request->release.version));
    }
    return ERR_OK;
}

/* The engine keeps no parameters yet: a task would start without its secret and fail later. */
static enum err check_secrets(struct op *op, const struct deployment *d, const struct leg *leg)
{
    const struct config_pairs *secrets = &leg->place.service->secrets;
    if (secrets->count == 0) {
        return ERR_OK;
    }
    if (d->cloud->is_local) {
        return op_fail(op, ERR_UNSUPPORTED,
                       "%.*s:%d:%d: the engine on this machine has no Parameter Store and no "
                       "Secrets Manager to look %.*s up in; give it in environments.%.*s.env",
                       STR_ARG(d->request->config->path), secrets->items[0].line,
                       secrets->items[0].column, STR_ARG(secrets->items[0].name),
                       STR_ARG(d->request->environment->name));
    }
    deploy_tell(d, TELL_LINE, "%zu secrets are looked up by ECS when a task starts",
                secrets->count);
    return ERR_OK;
}

static enum err check_leg(struct op *op, const struct deployment *d, const struct leg *leg)
{
    struct str conflict = definition_conflict(&op->arena, &leg->definition, &leg->place);
    if (str_is_set(conflict)) {
        return op_fail(op, ERR_INPUT, "%.*s", STR_ARG(conflict));
    }
    TRY(check_image(op, d, leg));
    TRY(check_secrets(op, d, leg));
    TRY(check_strategy(op, d, leg));
    TRY(check_alarms(op, d, leg));
    return check_after(op, d, leg);
}

static bool is_busy(struct op *op, const struct deployment *d, const struct leg *leg)
{
    struct handle running = {0};
    if (leg->resources.service == NULL) {
        return false;
    }
    bool is_running = shift_current(leg->resources.service, &running);
    if (!is_running && shift_is_codedeploy(leg->resources.service)) {
        is_running = cdshift_current(op, d->cloud, &leg->place, &running) == ERR_OK;
    }
    if (is_running) {
        err_ignore(op_fail(op, ERR_CONFLICT,
                           "a deployment of \"%.*s\" is under way: %.*s", /* told by the outcome */
                           STR_ARG(leg->place.service_name), STR_ARG(running.id)));
    } else {
        op_note_clear(op);
    }
    return is_running;
}

enum deploy_outcome deploy_preflight(struct op *op, struct deployment *d)
{
    deploy_tell(d, TELL_LINE, "%.*s in %.*s, as %.*s", STR_ARG(d->cloud->account),
                STR_ARG(d->cloud->region), STR_ARG(d->cloud->caller_arn));
    if (deploy_prepare(op, d) != ERR_OK) {
        return DEPLOY_REFUSED;
    }
    for (size_t i = 0; i < d->leg_count; i++) {
        const struct leg *leg = &d->legs[i];
        if (check_leg(op, d, leg) != ERR_OK) {
            return DEPLOY_REFUSED;
        }
        if (is_busy(op, d, leg)) {
            return DEPLOY_LOCKED;
        }
        if (leg->resources.service == NULL) {
            deploy_tell(d, TELL_LINE, "%.*s: will be made in the cluster %.*s",
                        STR_ARG(leg->place.service_name), STR_ARG(leg->place.cluster));
        } else {
            deploy_tell(d, TELL_LINE, "%.*s: %.*s is live, %.*s goes out",
                        STR_ARG(leg->place.service_name), STR_ARG(leg->old_version),
                        STR_ARG(d->request->release.version));
        }
    }
    return DEPLOY_RELEASED;
}
