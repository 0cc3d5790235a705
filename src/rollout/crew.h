#pragma once
/* The tasks of a service, each put in a class, and what the arithmetic of a rolling update says of
 * them. Private to rollout/. */

#include "rollout/service.h"

enum crew_class {
    CREW_GONE,      /* STOPPED */
    CREW_LEAVING,   /* stopping, or told to */
    CREW_STARTING,  /* not RUNNING yet */
    CREW_WARMING,   /* RUNNING, no verdict yet, or a bad one inside the grace period */
    CREW_UNHEALTHY, /* a bad verdict that counts */
    CREW_HEALTHY,
    CREW_CLASSES
};

struct crew_member {
    size_t task; /* index into the tasks */
    enum crew_class class;
    bool is_primary; /* of the PRIMARY deployment */
    int stop_rank;   /* among the healthy of other deployments: lower goes first */
    bool is_stopped; /* this plan stops it */
};

struct crew {
    const struct rollout_config *config;
    const struct rollout_task *tasks;
    struct crew_member *members; /* as tasks */
    size_t count;
    int32_t primary[CREW_CLASSES];
    int32_t others[CREW_CLASSES];
    wall_t now;
};

struct crew_room {
    int32_t lower;
    int32_t upper;
    bool may_start;
    bool is_frozen; /* the PRIMARY deployment failed and stays: nothing is started any more */
};

struct crew_moves {
    int32_t start_count;
    bool wants_start;  /* there are tasks missing and room for them, whether or not may_start */
    bool is_stuck;     /* the percentages leave no move */
    size_t stop_count; /* members with is_stopped */
};

enum crew_class crew_classify(const struct rollout_config *c, const struct rollout_task *t,
                              wall_t now);
/* After members[].class and is_primary are set. */
void crew_tally(struct crew *crew);
/* Every task that is not gone, of the PRIMARY and of the others. */
int32_t crew_present(const struct crew *crew);
int32_t crew_others_present(const struct crew *crew);
/* desired_count healthy tasks of the PRIMARY and nothing else at all. */
bool crew_is_in_place(const struct crew *crew);
struct crew_moves crew_plan(struct arena *a, struct crew *crew, const struct crew_room *room);
/* The next moment at which a class may change by time alone; us == 0: none. */
wall_t crew_wake_at(const struct crew *crew);
/* True once `span` has passed since `since`. A moment that lies ahead (the wall clock was set back)
 * counts as long ago: waiting for the clock to catch up would have no limit. */
bool crew_has_passed(wall_t since, dur_t span, wall_t now);
/* The earlier of two moments, where us == 0 means none. */
wall_t crew_earlier(wall_t a, wall_t b);
