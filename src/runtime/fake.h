#pragma once
/* A runtime without any process, for tests: what containers do is said by hand, and time is that of
 * the clock module. Everything it tells comes from timers and deferred calls of the loop, as with
 * the real ones. */

#include "runtime/driver.h"

/* How containers behave, looked up by image when a task starts. */
struct runtime_fake_script {
    struct str image;      /* STR("*"): any image without a script of its own */
    dur_t pull;            /* real time of the clock module, as all below */
    dur_t start;           /* after the pull */
    struct str pull_error; /* "CannotPullContainerError: ..."; absent: none */
    struct str start_error;
    dur_t exit_after;  /* zero: runs until it is stopped */
    int32_t exit_code; /* of exit_after */
    bool is_out_of_memory;
    dur_t healthy_after;   /* with a health check; zero: healthy with the first turn */
    dur_t unhealthy_after; /* zero: never */
    dur_t stop;            /* between the stop signal and the end */
    int32_t stop_code;     /* exit code after a stop; 0, or 143 for one that handles no signal */
    struct str log_line;   /* told when it starts; absent: none */
};

enum err runtime_fake_open(struct op *op, struct ev_loop *loop, const struct runtime_sink *sink,
                           struct runtime **ret) MUST_USE;
/* Replaces the script of the same image; for tasks that start later. Copies. */
void runtime_fake_script(struct runtime *rt, const struct runtime_fake_script *script);

/* By hand, now. False when there is no such container in a state where this can happen. */
bool runtime_fake_exit(struct runtime *rt, struct str task_id, struct str container, int32_t code,
                       struct str reason);
bool runtime_fake_set_health(struct runtime *rt, struct str task_id, struct str container,
                             enum runtime_health health);
bool runtime_fake_log(struct runtime *rt, struct str task_id, struct str container,
                      struct str text);
void runtime_fake_set_usage(struct runtime *rt, struct str task_id,
                            const struct runtime_usage *usage);
/* The next n tasks cannot be prepared: FAILED_TO_START with a ResourceInitializationError. */
void runtime_fake_fail_next(struct runtime *rt, size_t count);
/* Forgets sink and timers as a crash of this program does, keeps the tasks; then on_ready again
 * with the new sink. What was scheduled to happen by script goes on. */
void runtime_fake_crash(struct runtime *rt, const struct runtime_sink *sink);
/* How many tasks were ever started; for tests of "twice is harmless". */
size_t runtime_fake_start_count(struct runtime *rt);
