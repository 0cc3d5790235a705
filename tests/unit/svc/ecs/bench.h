#pragma once
/* An ECS on a bench: an in-memory store, the fake runtime, a clock driven by hand, and fakes of
 * what other services do. One a test. */

#include "runtime/fake.h"
#include "svc/ecs/ecs_priv.h"
#include "test.h"

#define BENCH_TARGETS_MAX 64
#define BENCH_LINES_MAX   256
#define BENCH_GROUP_A     "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/a/1"
#define BENCH_GROUP_B     "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/b/2"

struct bench_target {
    char group[128];
    char host[64];
    int32_t port;
    enum port_target_state state;
};

struct bench {
    struct op op;
    struct ev_loop loop;
    struct store *store;
    struct runtime *rt;
    struct ecs *ecs;
    struct port_elb elb;
    struct port_alarms alarms;
    struct port_logs logs;
    struct port_secrets secrets;
    struct port_wakes wakes;
    struct bench_target targets[BENCH_TARGETS_MAX];
    size_t target_count;
    bool are_targets_healthy; /* new ones are healthy at once; else initial */
    bool do_targets_linger;   /* deregistered ones drain until bench_end_drain(); else unused */
    bool is_alarm_raised;
    bool has_log_group;
    char lines[BENCH_LINES_MAX][256]; /* "group stream text" */
    size_t line_count;
    size_t task_set_wakes;
};

extern struct bench bench;

/* The bench with a cluster "web", and images: "app" runs for ever, "crash" ends with 1 at once,
 * "once" ends with 0 after 5 s, "broken" cannot be pulled. */
void bench_begin(void);
void bench_end(void);
/* Lets everything happen that is due now; then lets time pass in small steps. */
void bench_settle(void);
void bench_pass(int seconds);
/* Drops the ecs as a crash does (the runtime's tasks go on) and makes another on the same store. */
void bench_crash(void);
/* The same in two steps: between them the world goes on and nobody sees it. */
void bench_crash_begin(void);
void bench_crash_end(void);

/* Calls an operation with a request in JSON; the answer lives until the end of the test. Fails the
 * test when the call fails. */
void *bench_call(const struct shape_operation *operation, const char *json, ...)
    __attribute__((format(printf, 2, 3)));
/* A call that must fail with this code and this text (whole). */
void bench_refuse(const struct shape_operation *operation, const char *code, const char *text,
                  const char *json, ...) __attribute__((format(printf, 4, 5)));

/* family of one Fargate container "app" (port 8080) with this image; gives family:revision */
struct str bench_register(const char *family, const char *image);
/* Service "api" of the cluster web: count tasks of this definition; extra: more members. */
const struct ecs_service *bench_create(struct str task_definition, int count, const char *extra);
const struct ecs_service *bench_service(void);
const struct ecs_deployment *bench_primary(void);
/* The task as DescribeTasks shows it. */
const struct ecs_task *bench_task(struct str id_or_arn);
/* The i-th of the service's live tasks, in the order of their ids. */
struct str bench_task_id(size_t index);
size_t bench_live_count(void);
bool bench_has_event(const char *text);
void bench_set_targets(const char *group, enum port_target_state state);
void bench_end_drain(void);
size_t bench_count_targets(const char *group, enum port_target_state state);
