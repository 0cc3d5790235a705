#pragma once
/* A service in a world driven by hand: tasks that start, get verdicts, end; a clock that moves when
 * told. Every plan is checked against the promises of rollout/service.h before it is applied. */

#include "rollout/service.h"

#define WORLD_TASKS_MAX       512
#define WORLD_DEPLOYMENTS_MAX 64
#define WORLD_EVENTS_MAX      64

enum world_image {
    WORLD_GOOD,
    WORLD_NEVER_RUNS,    /* cannot be pulled */
    WORLD_EXITS_AT_ONCE, /* runs, then ends by itself */
    WORLD_FAILS_CHECKS
};

struct world_deployment {
    struct rollout_deployment row;
    enum world_image image;
};

struct world {
    struct arena arena; /* texts that live as long as the world */
    struct rollout_config config;
    struct world_deployment deployments[WORLD_DEPLOYMENTS_MAX];
    size_t deployment_count; /* all ever, INACTIVE ones too */
    struct rollout_task tasks[WORLD_TASKS_MAX];
    size_t task_count;
    size_t ever_count; /* tasks started so far */
    struct rollout_memory memory;
    struct str last_completed_id;
    struct str runtime_fault;
    bool is_stop_requested;
    wall_t now;
    wall_t wake_at;
    struct str events[WORLD_EVENTS_MAX]; /* the last ones, a ring */
    size_t event_count;
    size_t starts_seen;
    size_t stops_seen;
};

void world_init(struct world *w, int32_t desired, int32_t minimum, int32_t maximum);
void world_fini(struct world *w);
/* UpdateService with a new task definition. */
void world_deploy(struct world *w, enum world_image image);
struct world_deployment *world_primary(struct world *w);
struct world_deployment *world_find(struct world *w, struct str id);
/* Decides and applies until nothing is left to do now. */
void world_settle(struct world *w);
/* Moves the clock, then world_settle. */
void world_advance(struct world *w, dur_t by);
/* Lets every task take its next step as its image has it: starting ones run (or fail), running ones
 * get their verdict (or end), stopping ones stop. `share` in 1..100: how many of them. */
void world_progress(struct world *w, uint64_t *random, int share);
size_t world_count(const struct world *w, enum rollout_life life);
size_t world_count_of(const struct world *w, struct str deployment_id, enum rollout_life life);
size_t world_healthy(const struct world *w);
size_t world_said(const struct world *w, const char *text);
uint64_t world_random(uint64_t *state);
