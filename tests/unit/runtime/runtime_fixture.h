#pragma once
/* A runtime with its state in the test's folder, and what it told. */

#include "test.h"

#include "base/buf.h"
#include "ev/loop.h"
#include "runtime/mixed.h"

#include <sys/types.h>

#define TASK_A "0123456789abcdef0123456789abcdef"
#define TASK_B "fedcba9876543210fedcba9876543210"

struct runtime_fixture {
    struct op op;
    struct ev_loop loop;
    struct runtime *rt;
    struct buf story; /* a word an event: "app:started" */
    struct buf lines; /* "container/stream text\n" */
    uint64_t last_position;
    bool is_ready;
    bool has_cgroups;
    const char *docker_socket; /* NULL: the process runtime */
    bool is_mixed;             /* with docker_socket: both */
    struct str image;          /* of fixture_container() */
    size_t over_count;
};

extern struct runtime_fixture fx;

/* Looks for a Docker Engine (HITLESS_TEST_DOCKER, else the usual socket) and gives it the image of
 * our tests: a few programs of this machine. Skips the test when there is none. */
void fixture_use_docker(void);
/* Opens the runtime and turns until it is ready. */
void fixture_begin(void);
void fixture_end(void);
/* Turns the loop until the story holds this word; false after ms. */
bool fixture_wait(const char *word, int ms);
bool fixture_wait_line(const char *text, int ms);
bool fixture_wait_over(size_t count, int ms);
void fixture_turn(int ms);
bool fixture_has(const char *word);

/* One container that runs /bin/sh -c script in an empty folder; change what you like. */
struct runtime_container_spec *fixture_container(size_t index, const char *name,
                                                 const char *script);
/* The first `count` containers as a task. */
struct runtime_task_spec fixture_task(const char *id, size_t count);
/* Waits outside any loop, for times when no control lives. */
void fixture_pause(int ms);
/* Runs `life` as a control of its own and kills it with SIGKILL when it returns. */
void fixture_live_and_be_killed(void (*life)(void));
void fixture_start(const struct runtime_task_spec *spec);
struct runtime_container_sight fixture_see(const char *id, size_t container);
/* How many processes have HITLESS_TASK_ID=id in their environment. */
size_t fixture_processes(const char *id);
