#include "bench.h"

#include "base/log.h"
#include "shape/walk.h"

#include <stdio.h>

struct bench bench;

/* ---- the load balancer ------------------------------------------------------------------------*/

static struct bench_target *find_target(struct str group, struct str host, int32_t port)
{
    for (size_t i = 0; i < bench.target_count; i++) {
        struct bench_target *t = &bench.targets[i];
        if (str_equal(str_of(t->group), group) && str_equal(str_of(t->host), host) &&
            t->port == port) {
            return t;
        }
    }
    return NULL;
}

static enum err find_group(void *self, struct op *op, struct str arn, struct port_target_group *ret)
{
    (void)self;
    if (!STR_IS(arn, BENCH_GROUP_A) && !STR_IS(arn, BENCH_GROUP_B)) {
        return op_fail(op, ERR_NOT_FOUND, "no such group");
    }
    *ret = (struct port_target_group){.arn = arn,
                                      .target_type = STR("ip"),
                                      .load_balancer_arn =
                                          STR_IS(arn, BENCH_GROUP_A) ? STR("arn:lb") : STR_NONE};
    return ERR_OK;
}

static enum err register_target(void *self, struct op *op, struct str group, struct str host,
                                int32_t port)
{
    (void)self;
    (void)op;
    struct bench_target *t = find_target(group, host, port);
    if (t == NULL) {
        CHECK(bench.target_count < BENCH_TARGETS_MAX);
        t = &bench.targets[bench.target_count++];
        (void)str_to_c(group, t->group, sizeof(t->group));
        (void)str_to_c(host, t->host, sizeof(t->host));
        t->port = port;
    }
    t->state = bench.are_targets_healthy ? PORT_TARGET_HEALTHY : PORT_TARGET_INITIAL;
    return ERR_OK;
}

static enum err deregister_target(void *self, struct op *op, struct str group, struct str host,
                                  int32_t port)
{
    (void)self;
    (void)op;
    struct bench_target *t = find_target(group, host, port);
    if (t != NULL) {
        t->state = bench.do_targets_linger ? PORT_TARGET_DRAINING : PORT_TARGET_UNUSED;
    }
    return ERR_OK;
}

static enum err see_target(void *self, struct op *op, struct str group, struct str host,
                           int32_t port, struct port_target_sight *ret)
{
    (void)self;
    (void)op;
    const struct bench_target *t = find_target(group, host, port);
    *ret = (struct port_target_sight){.state = t == NULL ? PORT_TARGET_UNUSED : t->state};
    if (ret->state == PORT_TARGET_UNHEALTHY) {
        ret->reason = STR("Target.ResponseCodeMismatch");
        ret->description = STR("Health checks failed with these codes: [404]");
    }
    if (ret->state == PORT_TARGET_UNUSED) {
        ret->reason = STR("Target.NotRegistered");
    }
    return ERR_OK;
}

void bench_set_targets(const char *group, enum port_target_state state)
{
    for (size_t i = 0; i < bench.target_count; i++) {
        struct bench_target *t = &bench.targets[i];
        bool is_registered = t->state != PORT_TARGET_UNUSED && t->state != PORT_TARGET_DRAINING;
        if (strcmp(t->group, group) == 0 && is_registered) {
            t->state = state;
        }
    }
    ecs_target_changed(bench.ecs, STR("eu-west-1"), str_of(group));
    bench_settle();
}

void bench_end_drain(void)
{
    for (size_t i = 0; i < bench.target_count; i++) {
        if (bench.targets[i].state == PORT_TARGET_DRAINING) {
            bench.targets[i].state = PORT_TARGET_UNUSED;
            ecs_target_changed(bench.ecs, STR("eu-west-1"), str_of(bench.targets[i].group));
        }
    }
    bench_settle();
}

size_t bench_count_targets(const char *group, enum port_target_state state)
{
    size_t count = 0;
    for (size_t i = 0; i < bench.target_count; i++) {
        count += strcmp(bench.targets[i].group, group) == 0 && bench.targets[i].state == state;
    }
    return count;
}

/* ---- alarms, logs, secrets, wakes -------------------------------------------------------------*/

static enum err see_alarm(void *self, struct op *op, struct str name,
                          enum port_alarm_state *ret_state, struct str *ret_reason)
{
    (void)self;
    (void)op;
    *ret_state = STR_IS(name, "errors") && bench.is_alarm_raised ? PORT_ALARM_ALARM : PORT_ALARM_OK;
    *ret_reason = STR("Threshold Crossed");
    return ERR_OK;
}

static enum err see_alarm_span(void *self, struct op *op, struct str name, dur_t *ret_span)
{
    (void)self;
    (void)op;
    (void)name;
    *ret_span = DUR_S(120);
    return ERR_OK;
}

static enum err ensure_stream(void *self, struct op *op, struct str group, struct str stream,
                              bool may_create_group)
{
    (void)self;
    (void)group;
    (void)stream;
    return bench.has_log_group || may_create_group
               ? ERR_OK
               : op_fail(op, ERR_NOT_FOUND, "no such log group");
}

static enum err put_line(void *self, struct op *op, struct str group, struct str stream, wall_t at,
                         struct str line)
{
    (void)self;
    (void)op;
    (void)at;
    CHECK(bench.line_count < BENCH_LINES_MAX);
    (void)snprintf(bench.lines[bench.line_count++], sizeof(bench.lines[0]), "%.*s %.*s %.*s",
                   STR_ARG(group), STR_ARG(stream), STR_ARG(line));
    return ERR_OK;
}

static enum err resolve(void *self, struct op *op, struct str value_from, struct str *ret_value)
{
    (void)self;
    if (STR_IS(value_from, "missing")) {
        return op_fail(op, ERR_NOT_FOUND, "there is no parameter \"missing\"");
    }
    *ret_value = STR("s3cret");
    return ERR_OK;
}

static void ignore_name(void *self, struct str region, struct str name)
{
    (void)self;
    (void)region;
    (void)name;
}

static void count_wake(void *self, struct str region, struct str service_arn)
{
    (void)self;
    (void)region;
    (void)service_arn;
    bench.task_set_wakes++;
}

static void ignore_publish(void *self)
{
    (void)self;
}

/* ---- life -------------------------------------------------------------------------------------*/

static void make_ecs(void)
{
    struct ecs_config config = {.store = bench.store,
                                .loop = &bench.loop,
                                .account = STR("123456789012"),
                                .elb = &bench.elb,
                                .alarms = &bench.alarms,
                                .logs = &bench.logs,
                                .secrets = &bench.secrets,
                                .wakes = &bench.wakes};
    REQUIRE_OK(ecs_create(&bench.op, &config, &bench.ecs), &bench.op);
}

static void add_script(const char *image, int exit_after_s, int code, const char *pull_error)
{
    struct runtime_fake_script script = {.image = str_of(image),
                                         .pull = DUR_S(1),
                                         .start = DUR_S(1),
                                         .stop = DUR_S(1),
                                         .exit_after = DUR_S(exit_after_s),
                                         .exit_code = code,
                                         .pull_error = str_of(pull_error),
                                         .log_line = STR("hello from the app")};
    runtime_fake_script(bench.rt, &script);
}

void bench_begin(void)
{
    memset(&bench, 0, sizeof(bench));
    log_set_level(LOG_ERROR);
    clock_use_manual((mono_t){.us = 1000000}, (wall_t){.us = 1700000000000000});
    op_init(&bench.op);
    bench.op.account = STR("123456789012");
    bench.op.region = STR("eu-west-1");
    bench.op.caller_arn = STR("arn:aws:iam::123456789012:user/tester");
    bench.are_targets_healthy = true;
    bench.has_log_group = true;
    bench.elb = (struct port_elb){.find_target_group = find_group,
                                  .register_target = register_target,
                                  .deregister_target = deregister_target,
                                  .see_target = see_target};
    bench.alarms = (struct port_alarms){.see_alarm = see_alarm, .see_alarm_span = see_alarm_span};
    bench.logs = (struct port_logs){.ensure_stream = ensure_stream, .put_line = put_line};
    bench.secrets = (struct port_secrets){.resolve = resolve};
    bench.wakes = (struct port_wakes){.alarm_changed = ignore_name,
                                      .target_changed = ignore_name,
                                      .task_set_changed = count_wake,
                                      .weights_published = ignore_publish};
    REQUIRE_OK(ev_loop_open(&bench.op, &bench.loop), &bench.op);
    REQUIRE_OK(store_open(&bench.op, ":memory:", &bench.store), &bench.op);
    make_ecs();
    REQUIRE_OK(runtime_fake_open(&bench.op, &bench.loop, ecs_runtime_sink(bench.ecs), &bench.rt),
               &bench.op);
    add_script("app", 0, 0, NULL);
    add_script("app2", 0, 0, NULL);
    add_script("crash", 1, 1, NULL);
    add_script("once", 5, 0, NULL);
    add_script("broken", 0, 0, "CannotPullContainerError: there is no image broken");
    ecs_set_runtime(bench.ecs, bench.rt);
    REQUIRE_OK(ecs_start(&bench.op, bench.ecs), &bench.op);
    bench_settle();
    (void)bench_call(&ecs_op_create_cluster, "{\"clusterName\":\"web\"}");
}

void bench_end(void)
{
    ecs_close(bench.ecs);
    runtime_close(bench.rt);
    store_close(bench.store);
    ev_loop_close(&bench.loop);
    op_fini(&bench.op);
    clock_use_real();
}

static void drop_event(void *self, const struct runtime_event *event)
{
    (void)self;
    (void)event;
}

void bench_crash_begin(void)
{
    static const struct runtime_sink nobody = {.on_event = drop_event, .on_ready = ignore_publish};
    ecs_close(bench.ecs);
    runtime_fake_crash(bench.rt, &nobody);
    bench_settle();
}

void bench_crash_end(void)
{
    make_ecs();
    runtime_fake_crash(bench.rt, ecs_runtime_sink(bench.ecs));
    ecs_set_runtime(bench.ecs, bench.rt);
    REQUIRE_OK(ecs_start(&bench.op, bench.ecs), &bench.op);
    bench_settle();
}

void bench_crash(void)
{
    bench_crash_begin();
    bench_crash_end();
}

void bench_settle(void)
{
    bool is_quiet = ev_loop_settle(&bench.loop, 3000);
    REQUIRE(is_quiet);
}

void bench_pass(int seconds)
{
    for (int i = 0; i < seconds * 2; i++) {
        clock_manual_advance(DUR_MS(500));
        bench_settle();
    }
}

/* ---- calls ------------------------------------------------------------------------------------*/

static enum err call(const struct shape_operation *operation, struct str json, void **ret)
{
    bench.op.now = clock_wall();
    bench.op.now_mono = clock_mono();
    op_note_clear(&bench.op);
    void *in = arena_alloc(&bench.op.arena, operation->in->bytes);
    void *out = arena_alloc(&bench.op.arena, operation->out->bytes);
    TRY(shape_json_decode(&bench.op, operation->in, json, SHAPE_STRICT, in));
    TRY(operation->call(&ecs_handlers, bench.ecs, &bench.op, in, out));
    *ret = out;
    return ERR_OK;
}

void *bench_call(const struct shape_operation *operation, const char *json, ...)
{
    va_list args;
    va_start(args, json);
    struct str text = arena_vprintf(&bench.op.arena, json, args);
    va_end(args);
    void *out = NULL;
    enum err e = call(operation, text, &out);
    if (e != ERR_OK) {
        test_failed(__FILE__, __LINE__, "%s: %s (%s)", operation->name, bench.op.note.text,
                    bench.op.note.public_error == NULL ? "-" : bench.op.note.public_error->code);
        test_leave();
    }
    bench_settle();
    return out;
}

void bench_refuse(const struct shape_operation *operation, const char *code, const char *text,
                  const char *json, ...)
{
    va_list args;
    va_start(args, json);
    struct str request = arena_vprintf(&bench.op.arena, json, args);
    va_end(args);
    void *out = NULL;
    enum err e = call(operation, request, &out);
    EXPECT(e != ERR_OK);
    if (e == ERR_OK || bench.op.note.public_error == NULL) {
        test_failed(__FILE__, __LINE__, "%s: no public error, \"%s\"", operation->name,
                    bench.op.note.text);
        return;
    }
    EXPECT_STR(str_of(bench.op.note.public_error->code), code);
    if (text != NULL) {
        EXPECT_STR(str_of(bench.op.note.text), text);
    }
    op_note_clear(&bench.op);
    bench_settle();
}

/* ---- what most tests want ---------------------------------------------------------------------*/

struct str bench_register(const char *family, const char *image)
{
    const struct ecs_register_task_definition_out *out = bench_call(
        &ecs_op_register_task_definition,
        "{\"family\":\"%s\",\"networkMode\":\"awsvpc\",\"requiresCompatibilities\":[\"FARGATE\"],"
        "\"cpu\":\"256\",\"memory\":\"512\",\"executionRoleArn\":\"arn:aws:iam::123456789012:role/"
        "exec\",\"containerDefinitions\":[{\"name\":\"app\",\"image\":\"%s\",\"portMappings\":[{"
        "\"containerPort\":8080}],\"logConfiguration\":{\"logDriver\":\"awslogs\",\"options\":{"
        "\"awslogs-group\":\"/ecs/api\",\"awslogs-region\":\"eu-west-1\",\"awslogs-stream-prefix\":"
        "\"ecs\"}}}]}",
        family, image);
    return arena_printf(&bench.op.arena, "%.*s:%d", STR_ARG(out->task_definition->family),
                        out->task_definition->revision.value);
}

const struct ecs_service *bench_create(struct str task_definition, int count, const char *extra)
{
    const struct ecs_create_service_out *out = bench_call(
        &ecs_op_create_service,
        "{\"cluster\":\"web\",\"serviceName\":\"api\",\"taskDefinition\":\"%.*s\",\"desiredCount\":"
        "%d,\"launchType\":\"FARGATE\",\"networkConfiguration\":{\"awsvpcConfiguration\":{"
        "\"subnets\":[\"subnet-05254f8afd73be4e3\"]}}%s}",
        STR_ARG(task_definition), count, extra);
    return out->service;
}

const struct ecs_service *bench_service(void)
{
    const struct ecs_describe_services_out *out =
        bench_call(&ecs_op_describe_services, "{\"cluster\":\"web\",\"services\":[\"api\"]}");
    REQUIRE_EQ(out->services.count, 1);
    return &out->services.items[0];
}

const struct ecs_deployment *bench_primary(void)
{
    const struct ecs_service *s = bench_service();
    REQUIRE(s->deployments.count > 0);
    EXPECT_STR(s->deployments.items[0].status, "PRIMARY");
    return &s->deployments.items[0];
}

const struct ecs_task *bench_task(struct str id_or_arn)
{
    const struct ecs_describe_tasks_out *out = bench_call(
        &ecs_op_describe_tasks, "{\"cluster\":\"web\",\"tasks\":[\"%.*s\"]}", STR_ARG(id_or_arn));
    REQUIRE_EQ(out->tasks.count, 1);
    return &out->tasks.items[0];
}

size_t bench_live_count(void)
{
    const struct ecs_list_tasks_out *out =
        bench_call(&ecs_op_list_tasks, "{\"cluster\":\"web\",\"serviceName\":\"api\"}");
    return out->task_arns.count;
}

struct str bench_task_id(size_t index)
{
    const struct ecs_list_tasks_out *out =
        bench_call(&ecs_op_list_tasks, "{\"cluster\":\"web\",\"serviceName\":\"api\"}");
    REQUIRE(index < out->task_arns.count);
    return ecs_last_part(out->task_arns.items[index]);
}

bool bench_has_event(const char *text)
{
    const struct ecs_service *s = bench_service();
    for (size_t i = 0; i < s->events.count; i++) {
        if (str_find(s->events.items[i].message, str_of(text), 0) != STR_NOT_FOUND) {
            return true;
        }
    }
    return false;
}
