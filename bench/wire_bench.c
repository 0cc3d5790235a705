/* How fast the endpoint's own work is: signature, routing, decoding, validating, encoding. No
 * socket, no store. In CPU time. Prints one JSON object a measurement. */

#include "api/api.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "gen/ecs.h"
#include "shape/walk.h"

#include <stdio.h>
#include <time.h>

#define SERVICES  10
#define EVENTS    20
#define SECONDS   0.5
#define CODEC_MAX (64 << 20)

/* CPU time of this process: other work on the machine does not count. */
static mono_t cpu_now(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0);
    return (mono_t){.us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000};
}

static struct ecs_describe_services_out made;

static void fill(struct arena *a)
{
    made.failures.is_set = true;
    for (int s = 0; s < SERVICES; s++) {
        struct ecs_service *svc = ARENA_PUSH(a, &made.services);
        svc->service_arn =
            arena_printf(a, "arn:aws:ecs:eu-west-1:123456789012:service/shop/api-%d", s);
        svc->service_name = arena_printf(a, "api-%d", s);
        svc->cluster_arn = STR("arn:aws:ecs:eu-west-1:123456789012:cluster/shop");
        svc->status = STR("ACTIVE");
        svc->desired_count = OPT_I32(4);
        svc->running_count = OPT_I32(4);
        svc->pending_count = OPT_I32(0);
        svc->launch_type = ECS_LAUNCH_TYPE_FARGATE;
        svc->task_definition = STR("arn:aws:ecs:eu-west-1:123456789012:task-definition/api:42");
        svc->created_at = OPT_TIME(((wall_t){.us = 1700000000123000}));
        struct ecs_deployment *d = ARENA_PUSH(a, &svc->deployments);
        d->id = STR("ecs-svc/1234567890123456789");
        d->status = STR("PRIMARY");
        d->task_definition = svc->task_definition;
        d->desired_count = OPT_I32(4);
        d->running_count = OPT_I32(4);
        d->created_at = svc->created_at;
        d->updated_at = svc->created_at;
        d->rollout_state = ECS_DEPLOYMENT_ROLLOUT_STATE_COMPLETED;
        d->rollout_state_reason = STR("ECS deployment ecs-svc/1234567890123456789 completed.");
        for (int e = 0; e < EVENTS; e++) {
            struct ecs_service_event *event = ARENA_PUSH(a, &svc->events);
            event->id = STR("0f2c9a6e-6d3f-4a0c-9d3e-3f8c9a6e6d3f");
            event->created_at = svc->created_at;
            event->message = arena_printf(a, "(service api-%d) has reached a steady state.", s);
        }
    }
}

static enum err describe_services(struct op *op, struct ecs *ecs,
                                  const struct ecs_describe_services_in *in,
                                  struct ecs_describe_services_out *ret)
{
    (void)op;
    (void)ecs;
    (void)in;
    *ret = made;
    return ERR_OK;
}

static const struct ecs_handlers handlers = {.describe_services = describe_services};

static enum err find_key(void *self, struct op *op, struct str key_id, struct str token,
                         struct api_identity *ret)
{
    (void)self;
    (void)op;
    (void)key_id;
    (void)token;
    *ret = (struct api_identity){.secret_access_key = STR("secret"),
                                 .account = STR("123456789012"),
                                 .caller_arn = STR("a"),
                                 .caller_id = STR("b")};
    return ERR_OK;
}

static void report(const char *what, size_t calls, size_t bytes, dur_t took)
{
    double us = (double)took.us / (double)calls;
    (void)printf("{\"what\":\"%s\",\"us\":%.2f,\"bytes\":%zu,\"mb_per_s\":%.0f}\n", what, us, bytes,
                 (double)bytes / us);
}

static void bench_decode(const char *what, const struct shape *shape, struct str text,
                         enum err (*decode)(struct op *, const struct shape *, struct str,
                                            enum shape_strictness, void *))
{
    size_t calls = 0;
    mono_t began = cpu_now();
    while (mono_since(cpu_now(), began).us < (int64_t)(SECONDS * 1e6)) {
        auto_op struct op op;
        op_init(&op);
        void *out = arena_alloc(&op.arena, shape->bytes);
        CHECK(decode(&op, shape, text, SHAPE_STRICT, out) == ERR_OK);
        calls++;
    }
    report(what, calls, text.len, mono_since(cpu_now(), began));
}

static void bench_encode(const char *what, const struct shape *shape, const void *value,
                         void (*encode)(struct buf *, const struct shape *, const void *))
{
    auto_buf struct buf out;
    size_t calls = 0;
    buf_init(&out, CODEC_MAX);
    mono_t began = cpu_now();
    while (mono_since(cpu_now(), began).us < (int64_t)(SECONDS * 1e6)) {
        buf_reset(&out);
        encode(&out, shape, value);
        calls++;
    }
    report(what, calls, out.len, mono_since(cpu_now(), began));
}

static void bench_serve(bool is_signed)
{
    const struct api_options options = {.account = STR("123456789012"),
                                        .default_region = STR("us-east-1"),
                                        .is_test_mode = !is_signed,
                                        .hooks = {.find_key = find_key}};
    static struct api api;
    struct arena arena;
    size_t calls = 0;
    size_t bytes = 0;
    arena_init(&arena);
    api_init(&api, &options);
    api_add(&api, &ecs_service, &handlers, NULL);
    wall_t now = clock_wall();
    struct str date = wall_basic(&arena, now);
    struct aws_header headers[6] = {
        {STR("Host"), STR("127.0.0.1:4566")},
        {STR("X-Amz-Date"), date},
        {STR("X-Amz-Target"), STR("AmazonEC2ContainerServiceV20141113.DescribeServices")},
        {STR("Content-Type"), STR("application/x-amz-json-1.1")},
        {STR("User-Agent"), STR("bench")}};
    struct aws_request r = {
        .method = STR("POST"),
        .path = STR("/"),
        .query = STR(""),
        .headers = headers,
        .header_count = 5,
        .body = STR("{\"cluster\":\"shop\",\"services\":[\"api-0\",\"api-1\",\"api-2\"]}")};
    struct sigv4_scope scope = {
        .date = wall_basic_date(&arena, now), .region = STR("eu-west-1"), .service = STR("ecs")};
    headers[5] =
        (struct aws_header){STR("Authorization"), sigv4_authorization(&arena, NULL, &r, STR("AKID"),
                                                                      STR("secret"), &scope, date)};
    r.header_count = 6;
    mono_t began = cpu_now();
    while (mono_since(cpu_now(), began).us < (int64_t)(SECONDS * 1e6)) {
        auto_op struct op op;
        AUTO(aws_answer_fini) struct aws_answer answer;
        op_init(&op);
        aws_answer_init(&answer);
        api_serve(&api, &op, &r, &answer);
        CHECK(answer.status == 200);
        bytes = answer.body.len;
        calls++;
    }
    report(is_signed ? "serve DescribeServices, signed" : "serve DescribeServices, test mode",
           calls, bytes, mono_since(cpu_now(), began));
    arena_fini(&arena);
}

int main(void)
{
    struct arena arena;
    auto_buf struct buf json;
    auto_buf struct buf cbor;
    const struct shape *shape = ecs_op_describe_services.out;
    arena_init(&arena);
    fill(&arena);
    buf_init(&json, CODEC_MAX);
    buf_init(&cbor, CODEC_MAX);
    shape_json_encode(&json, shape, &made);
    shape_cbor_encode(&cbor, shape, &made);
    bench_decode("decode JSON", shape, buf_str(&json), shape_json_decode);
    bench_decode("decode CBOR", shape, buf_str(&cbor), shape_cbor_decode);
    bench_encode("encode JSON", shape, &made, shape_json_encode);
    bench_encode("encode CBOR", shape, &made, shape_cbor_encode);
    bench_encode("encode XML", shape, &made, shape_xml_encode);
    bench_serve(true);
    bench_serve(false);
    arena_fini(&arena);
    return 0;
}
