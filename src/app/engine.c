#include "app/engine.h"

#include "app/metrics.h"
#include "base/log.h"
#include "crypt/envelope.h"
#include "crypt/hash.h"
#include "gen/ec2.h"
#include "gen/sts.h"
#include "runtime/mixed.h"
#include "svc/common/arn.h"
#include "svc/sts/session.h"
#include "svc/sts/sts.h"
#include "webcall/webcall.h"

#include <sys/stat.h>

#define VERSION        "0.1.0"
#define REGION_DEFAULT "us-east-1" /* of unsigned calls, as AWS's global endpoints */
#define USAGE_PERIOD   DUR_S(60)

/* ---- who must be told what ---- */

static void alarm_changed(void *self, struct str region, struct str alarm_name)
{
    struct engine *e = self;
    codedeploy_alarm_changed(e->codedeploy, region, alarm_name);
    ecs_alarm_changed(e->ecs, region, alarm_name);
}

static void target_changed(void *self, struct str region, struct str target_group_arn)
{
    struct engine *e = self;
    ecs_target_changed(e->ecs, region, target_group_arn);
    codedeploy_target_changed(e->codedeploy, region, target_group_arn);
}

static void task_set_changed(void *self, struct str region, struct str service_arn)
{
    struct engine *e = self;
    codedeploy_task_set_changed(e->codedeploy, region, service_arn);
}

static void weights_published(void *self)
{
    struct engine *e = self;
    codedeploy_weights_published(e->codedeploy);
    ecs_weights_published(e->ecs);
    acm_published(e->acm);
}

/* ---- the load balancer's turn and its way out ---- */

static void publish(void *self, const struct lbconf_snapshot *snapshot)
{
    struct engine *e = self;
    e->publish(e->publish_self, snapshot);
}

static void answer_sign_in(void *self, const struct lbconf_sign_in_answer *message)
{
    struct engine *e = self;
    e->signed_in(e->publish_self, message);
}

static void on_elbv2_due(struct ev_timer *t)
{
    struct engine *e = CONTAINER_OF(t, struct engine, elbv2_timer);
    elbv2_turn(e->elbv2);
}

static void wake_elbv2(void *self, dur_t within)
{
    struct engine *e = self;
    mono_t at = mono_add(clock_mono(), within);
    if (!ev_timer_is_set(&e->elbv2_timer) || at.us < e->elbv2_timer.at.us) {
        ev_timer_set_at(e->loop, &e->elbv2_timer, at, on_elbv2_due);
    }
}

/* ---- certificates ---- */

static enum err list_users(void *self, struct op *op, struct str certificate_arn,
                           struct port_arns *ret)
{
    struct engine *e = self;
    return e->port_users.list_users(e->port_users.self, op, certificate_arn, ret);
}

static enum err list_used(void *self, struct op *op, struct port_arns *ret)
{
    struct engine *e = self;
    return e->port_users.list_used(e->port_users.self, op, ret);
}

static bool is_published(void *self)
{
    struct engine *e = self;
    return e->port_users.is_published(e->port_users.self);
}

static void certificate_changed(void *self, struct str region, struct str certificate_arn)
{
    (void)region;
    struct engine *e = self;
    elbv2_certificate_changed(e->elbv2, certificate_arn);
}

static void challenges_changed(void *self)
{
    struct engine *e = self;
    elbv2_challenges_changed(e->elbv2);
}

/* ---- secrets ---- */

/* The ARN's region is where it is looked up. */
static enum err read_secret(struct op *op, struct engine *e, struct str value_from,
                            struct str *ret_value)
{
    struct arn arn = {0};
    if (!arn_parse(value_from, &arn)) {
        return ssm_read(op, &e->ssm, value_from, ret_value);
    }
    op->region = arn.region;
    if (STR_IS(arn.service, "secretsmanager")) {
        return secrets_read(op, &e->secretsmanager, value_from, ret_value);
    }
    return ssm_read(op, &e->ssm, value_from, ret_value);
}

/* As the agent of ECS says it. */
static enum err resolve_secret(void *self, struct op *op, struct str value_from,
                               struct str *ret_value)
{
    struct str region = op->region;
    enum err result = read_secret(op, self, value_from, ret_value);
    op->region = region;
    if (result == ERR_OK) {
        return ERR_OK;
    }
    const char *code = op->note.public_error == NULL ? "" : op->note.public_error->code;
    if (str_find(value_from, STR(":secretsmanager:"), 0) == STR_NOT_FOUND) {
        op_note_prefix(op,
                       "unable to retrieve secrets from ssm: service call has been retried 1 "
                       "time(s): invalid ssm parameters: %.*s: %s%s",
                       STR_ARG(value_from), code, *code == '\0' ? "" : ": ");
        return result;
    }
    op_note_prefix(op,
                   "unable to retrieve secret from asm: service call has been retried 1 time(s): "
                   "failed to fetch secret %.*s from secrets manager: %s%s",
                   STR_ARG(value_from), code, *code == '\0' ? "" : ": ");
    return result;
}

/* ---- use of resources ---- */

static void put_usage(struct engine *e, const struct ecs_usage *u, const char *metric,
                      double percent, wall_t at)
{
    const struct cloudwatch_dimension dimensions[] = {
        {.name = STR("ClusterName"), .value = u->cluster},
        {.name = STR("ServiceName"), .value = u->service}};
    cloudwatch_put(e->cloudwatch, u->region, STR("AWS/ECS"), str_of(metric), dimensions,
                   ARRAY_COUNT(dimensions), CLOUDWATCH_STANDARD_UNIT_PERCENT, at, percent);
    cloudwatch_put(e->cloudwatch, u->region, STR("AWS/ECS"), str_of(metric), dimensions, 1,
                   CLOUDWATCH_STANDARD_UNIT_PERCENT, at, percent);
}

static void on_usage_due(struct ev_timer *t)
{
    struct engine *e = CONTAINER_OF(t, struct engine, usage_timer);
    auto_op struct op op;
    op_init(&op);
    struct ecs_usages usages = {0};
    if (ecs_usage(&op, e->ecs, &usages) != ERR_OK) {
        log_warn("engine", "the use of resources is not known: %s", op.note.text);
    }
    for (size_t i = 0; i < usages.count; i++) {
        put_usage(e, &usages.items[i], "CPUUtilization", usages.items[i].cpu_percent, op.now);
        put_usage(e, &usages.items[i], "MemoryUtilization", usages.items[i].memory_percent, op.now);
    }
    ev_timer_set(e->loop, t, dur_scaled(USAGE_PERIOD), on_usage_due);
}

/* Tells this engine's traces in shared places (Docker, the hosts file) from another engine's. */
static struct str state_mark(struct engine *e)
{
    return str_slice(sha256_hex(&e->op.arena, e->options->state), 0, 16);
}

/* ---- tasks ---- */

static void on_runtime_event(void *self, const struct runtime_event *event)
{
    struct engine *e = self;
    if (!e->is_stopping) {
        const struct runtime_sink *to = ecs_runtime_sink(e->ecs);
        to->on_event(to->self, event);
        return;
    }
    if (event->kind != RUNTIME_TASK_OVER || e->on_tasks_over == NULL) {
        return;
    }
    auto_op struct op op;
    op_init(&op);
    struct runtime_sights sights = {0};
    if (runtime_observe(e->runtime, &op, &sights) != ERR_OK) {
        return;
    }
    for (size_t i = 0; i < sights.count; i++) {
        if (!sights.items[i].is_over) {
            return;
        }
    }
    e->on_tasks_over(e);
}

static void on_runtime_ready(void *self)
{
    struct engine *e = self;
    if (!e->is_stopping) {
        const struct runtime_sink *to = ecs_runtime_sink(e->ecs);
        to->on_ready(to->self);
    }
}

static bool has_docker(struct str socket_path)
{
    struct stat st;
    return stat(socket_path.ptr, &st) == 0 && S_ISSOCK(st.st_mode);
}

static enum err open_runtime(struct op *op, struct engine *e)
{
    const struct options *o = e->options;
    e->sink = (struct runtime_sink){
        .self = e, .on_event = on_runtime_event, .on_ready = on_runtime_ready};
    bool has_containers = o->runtime == OPTIONS_RUNTIME_DOCKER ||
                          (o->runtime == OPTIONS_RUNTIME_AUTO && has_docker(o->docker_socket));
    bool has_processes = o->runtime != OPTIONS_RUNTIME_DOCKER;
    struct runtime_docker_config docker = {
        .socket_path = arena_c_str(&e->op.arena, o->docker_socket),
        .state_folder = arena_printf(&e->op.arena, "%.*s/docker", STR_ARG(o->state)).ptr,
        .instance = arena_c_str(&e->op.arena, state_mark(e)),
    };
    struct runtime_process_config process = {
        .state_folder = arena_printf(&e->op.arena, "%.*s/tasks", STR_ARG(o->state)).ptr,
        .run_folder = arena_printf(&e->op.arena, "%.*s/run", STR_ARG(o->state)).ptr,
        .has_cgroups = geteuid() == 0,
    };
    log_info("engine", "tasks run as %s",
             !has_containers  ? "processes of this machine"
             : !has_processes ? "Docker containers"
                              : "Docker containers, and as processes where the image is a folder");
    if (!has_containers) {
        return runtime_process_open(op, e->loop, &process, &e->sink, &e->runtime);
    }
    if (!has_processes) {
        return runtime_docker_open(op, e->loop, &docker, &e->sink, &e->runtime);
    }
    return runtime_mixed_open(op, e->loop, &process, &docker, &e->sink, &e->runtime);
}

/* ---- the API's questions ---- */

static enum err find_key(void *self, struct op *op, struct str access_key_id,
                         struct str session_token, struct api_identity *ret_identity)
{
    struct engine *e = self;
    struct sts_session session;
    if (str_is_set(session_token) &&
        sts_session_read(op, &e->sts.key, access_key_id, session_token, &session)) {
        *ret_identity = (struct api_identity){
            .secret_access_key = session.secret_access_key,
            .caller_arn = session.caller_arn,
            .caller_id = session.caller_id,
            .account = e->options->account,
            .is_expired = session.expires_at.us <= op->now.us,
        };
        return ERR_OK;
    }
    if (!str_equal(access_key_id, e->credentials.access_key_id) || str_is_set(session_token)) {
        return op_fail(op, ERR_NOT_FOUND, "no such key");
    }
    *ret_identity = (struct api_identity){
        .secret_access_key = e->credentials.secret_access_key,
        .caller_arn =
            arena_printf(&op->arena, "arn:aws:iam::%.*s:root", STR_ARG(e->options->account)),
        .caller_id = e->options->account,
        .account = e->options->account,
    };
    return ERR_OK;
}

static bool take_other(void *self, struct httpio_exchange *x)
{
    const struct engine *e = self;
    const struct str folder = STR("/_hitless/public-keys/");
    if (str_starts_with(x->path, folder) && STR_IS(x->method, "GET")) {
        struct str pem = elbv2_public_key(e->elbv2, str_from(x->path, folder.len));
        bool is_there = str_is_set(pem);
        httpio_answer(x, &(struct httpio_answer){
                             .status = is_there ? 200 : 404,
                             .content_type = STR("text/plain; charset=utf-8"),
                             .body = is_there ? pem : STR("There is no key with this id.\n")});
        return true;
    }
    return e->stats != NULL && metrics_take(x, e->stats, e->options->state);
}

static void offer_services(struct engine *e)
{
    struct api_options options = {
        .account = e->options->account,
        .default_region = STR(REGION_DEFAULT),
        .version = STR(VERSION),
        .is_test_mode = e->options->is_test_mode,
        .hooks = {.self = e, .find_key = find_key, .take_other = take_other},
    };
    api_init(&e->api, &options);
    e->sts = (struct sts){.key = sts_session_key(e->credentials.secret_access_key),
                          .is_test_mode = e->options->is_test_mode};
    api_add(&e->api, &sts_service, &sts_handlers, &e->sts);
    e->ec2 = (struct ec2){
        .store = e->store, .groups_changed = elbv2_security_groups_changed, .self = e->elbv2};
    api_add(&e->api, &ec2_service, &ec2_handlers, &e->ec2);
    api_add(&e->api, &elbv2_service, &elbv2_handlers, e->elbv2);
    api_add(&e->api, &acm_service, &acm_handlers, e->acm);
    api_add(&e->api, &ssm_service, &ssm_handlers, &e->ssm);
    api_add(&e->api, &secretsmanager_service, &secretsmanager_handlers, &e->secretsmanager);
    api_add(&e->api, &ecs_service, &ecs_handlers, e->ecs);
    api_add(&e->api, &codedeploy_service, &codedeploy_handlers, e->codedeploy);
    api_add(&e->api, &cloudwatch_service, &cloudwatch_handlers, e->cloudwatch);
    api_add(&e->api, &logs_service, &logs_handlers, e->logs);
}

/* ---- opening, in the order in which one needs the other ---- */

static enum err open_certificates(struct op *op, struct engine *e)
{
    struct acm_config acm = {
        .store = e->store,
        .loop = e->loop,
        .account = e->options->account,
        .state = e->options->state,
        .folder = e->options->certificate_folder,
        .acme = {.directory = e->options->acme_directory,
                 .contact = e->options->acme_contact,
                 .ca_file = e->options->acme_ca_file},
        .is_test_mode = e->options->is_test_mode,
        .users = {.self = e,
                  .list_users = list_users,
                  .list_used = list_used,
                  .is_published = is_published},
        .wakes = e->port_wakes,
    };
    TRY(envelope_key_load(op, e->options->state, &acm.key));
    e->ssm = (struct ssm){.store = e->store, .key = acm.key};
    e->secretsmanager = (struct secretsmanager){.store = e->store, .key = acm.key};
    return acm_open(op, &acm, &e->acm);
}

static enum err open_balancer(struct op *op, struct engine *e)
{
    bool may_write_names = geteuid() == 0;
    struct str ca_file = e->options->idp_ca_file;
    TRY(webcall_open(op, e->loop, str_is_set(ca_file) ? arena_c_str(&e->op.arena, ca_file) : NULL,
                     &e->web));
    struct elbv2_options options = {
        .store = e->store,
        .account = e->options->account,
        .objects = arena_printf(&e->op.arena, "%.*s/s3", STR_ARG(e->options->state)),
        .files = arena_printf(&e->op.arena, "%.*s/trust-stores", STR_ARG(e->options->state)),
        .lb_address = e->options->lb_address,
        .hosts_path = may_write_names ? "/etc/hosts" : NULL,
        .hosts_mark = state_mark(e),
        .host = {.self = e, .publish = publish, .wake = wake_elbv2, .signed_in = answer_sign_in},
        .certificates = acm_port_certificates(e->acm),
        .web = e->web,
        .wakes = e->port_wakes,
    };
    TRY(envelope_key_load(op, e->options->state, &options.key));
    TRY(elbv2_start(op, &options, &e->elbv2));
    e->port_elb = elbv2_port(e->elbv2);
    e->port_users = elbv2_certificate_users(e->elbv2);
    return ERR_OK;
}

static enum err open_watchers(struct op *op, struct engine *e)
{
    struct logs_config logs = {.store = e->store, .loop = e->loop};
    TRY(logs_open(op, &logs, &e->logs));
    logs_port(e->logs, &e->port_logs);
    struct cloudwatch_config cloudwatch = {
        .store = e->store,
        .loop = e->loop,
        .stats = e->stats,
        .wakes = &e->port_wakes,
        .account = e->options->account,
        .region_of = elbv2_region_of,
        .region_self = e->elbv2,
    };
    TRY(cloudwatch_open(op, &cloudwatch, &e->cloudwatch));
    cloudwatch_port_alarms(e->cloudwatch, &e->port_alarms);
    return ERR_OK;
}

static enum err open_deployments(struct op *op, struct engine *e)
{
    struct ecs_config ecs = {
        .store = e->store,
        .loop = e->loop,
        .account = e->options->account,
        .elb = &e->port_elb,
        .alarms = &e->port_alarms,
        .logs = &e->port_logs,
        .secrets = &e->port_secrets,
        .wakes = &e->port_wakes,
    };
    TRY(ecs_create(op, &ecs, &e->ecs));
    struct codedeploy_config codedeploy = {
        .store = e->store,
        .loop = e->loop,
        .account = e->options->account,
        .elb = e->port_elb,
        .task_sets = ecs_port_task_sets(e->ecs),
        .alarms = e->port_alarms,
    };
    return codedeploy_open(op, &codedeploy, &e->codedeploy);
}

static enum err open_all(struct op *op, struct engine *e)
{
    TRY(credentials_load(&e->op, e->options->state, &e->credentials));
    struct str path = arena_printf(&e->op.arena, "%.*s/state.db", STR_ARG(e->options->state));
    TRY(store_open(op, path.ptr, &e->store));
    TRY(open_certificates(op, e));
    TRY(open_balancer(op, e));
    TRY(open_watchers(op, e));
    TRY(open_deployments(op, e));
    TRY(open_runtime(op, e));
    ecs_set_runtime(e->ecs, e->runtime);
    offer_services(e);
    return ERR_OK;
}

enum err engine_open(struct op *op, struct engine *e, struct ev_loop *loop,
                     const struct options *options, struct lbstats *stats)
{
    e->loop = loop;
    e->options = options;
    e->stats = stats;
    op_init(&e->op);
    e->port_wakes = (struct port_wakes){.self = e,
                                        .alarm_changed = alarm_changed,
                                        .target_changed = target_changed,
                                        .task_set_changed = task_set_changed,
                                        .weights_published = weights_published,
                                        .certificate_changed = certificate_changed,
                                        .challenges_changed = challenges_changed};
    e->port_secrets = (struct port_secrets){.self = e, .resolve = resolve_secret};
    enum err result = open_all(op, e);
    if (result != ERR_OK) {
        engine_close(e);
    }
    return result;
}

enum err engine_start(struct op *op, struct engine *e)
{
    TRY(ecs_start(op, e->ecs));
    TRY(codedeploy_start(op, e->codedeploy));
    acm_start(e->acm);
    ev_timer_set(e->loop, &e->usage_timer, dur_scaled(USAGE_PERIOD), on_usage_due);
    return ERR_OK;
}

/* ---- closing ---- */

static void close_machines(struct engine *e)
{
    ev_timer_stop(&e->usage_timer);
    ev_timer_stop(&e->elbv2_timer);
    api_close(&e->api);
    codedeploy_close(e->codedeploy);
    ecs_close(e->ecs);
    e->codedeploy = NULL;
    e->ecs = NULL;
}

void engine_stop(struct engine *e, void (*on_tasks_over)(struct engine *e))
{
    auto_op struct op op;
    op_init(&op);
    struct runtime_sights sights = {0};
    close_machines(e);
    e->is_stopping = true;
    size_t stopping = 0;
    if (!e->options->keeps_tasks && runtime_observe(e->runtime, &op, &sights) == ERR_OK) {
        for (size_t i = 0; i < sights.count; i++) {
            if (!sights.items[i].is_over &&
                runtime_stop_task(e->runtime, &op, sights.items[i].id) == ERR_OK) {
                stopping++;
            }
        }
    }
    e->on_tasks_over = on_tasks_over;
    if (stopping == 0) {
        on_tasks_over(e);
    }
}

void engine_close(struct engine *e)
{
    if (e->ecs != NULL) {
        close_machines(e);
    }
    runtime_close(e->runtime);
    if (e->cloudwatch != NULL) {
        cloudwatch_close(e->cloudwatch);
    }
    if (e->logs != NULL) {
        logs_close(e->logs);
    }
    if (e->elbv2 != NULL) {
        elbv2_stop(e->elbv2);
    }
    if (e->web != NULL) {
        webcall_close(e->web);
    }
    if (e->acm != NULL) {
        acm_close(e->acm);
    }
    store_close(e->store);
    op_fini(&e->op);
}
