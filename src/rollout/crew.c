/* The arithmetic of a rolling update (aws-semantics 1.6).
 *
 *   missing   desired - tasks of the PRIMARY that are starting, warming or healthy
 *   room      upper bound - every task that is not gone (RUNNING + PENDING + STOPPING)
 *   short     what is missing and finds no room, less the places that leaving tasks will free
 *
 * Tasks start wherever there is room. A healthy task of another deployment stops when it is more
 * than desired, or, where room is short, down to the lower bound. An unhealthy task is replaced
 * first where there is room; where there is none, one after the other is stopped. */

#include "rollout/crew.h"

#include "base/check.h"

#include <stdlib.h>

bool crew_has_passed(wall_t since, dur_t span, wall_t now)
{
    int64_t gone_us = wall_since(now, since).us;
    return gone_us < 0 || gone_us >= span.us;
}

wall_t crew_earlier(wall_t a, wall_t b)
{
    if (a.us == 0 || (b.us != 0 && b.us < a.us)) {
        return b;
    }
    return a;
}

static bool is_judged_bad(const struct rollout_config *c, const struct rollout_task *t)
{
    if (c->has_container_check && t->container == ROLLOUT_CONTAINER_UNHEALTHY) {
        return true;
    }
    for (size_t i = 0; i < c->group_count; i++) {
        if (t->targets[i] == ROLLOUT_TARGET_UNHEALTHY) {
            return true;
        }
    }
    return false;
}

bool rollout_task_is_healthy(const struct rollout_config *c, const struct rollout_task *t,
                             wall_t now)
{
    if (t->life != ROLLOUT_RUNNING || t->is_stop_decided) {
        return false;
    }
    if (c->has_container_check && t->container != ROLLOUT_CONTAINER_HEALTHY) {
        return false;
    }
    for (size_t i = 0; i < c->group_count; i++) {
        if (t->targets[i] != ROLLOUT_TARGET_HEALTHY) {
            return false;
        }
    }
    bool is_checked = c->has_container_check || c->group_count > 0;
    return is_checked || crew_has_passed(t->started_at, c->spans.settle, now);
}

enum crew_class crew_classify(const struct rollout_config *c, const struct rollout_task *t,
                              wall_t now)
{
    CHECK(c->group_count <= ROLLOUT_GROUPS_MAX);
    if (t->life == ROLLOUT_STOPPED) {
        return CREW_GONE;
    }
    if (t->life == ROLLOUT_STOPPING || t->is_stop_decided) {
        return CREW_LEAVING;
    }
    if (t->life == ROLLOUT_STARTING) {
        return CREW_STARTING;
    }
    if (rollout_task_is_healthy(c, t, now)) {
        return CREW_HEALTHY;
    }
    if (is_judged_bad(c, t) && crew_has_passed(t->started_at, c->spans.grace, now)) {
        return CREW_UNHEALTHY;
    }
    return CREW_WARMING;
}

void crew_tally(struct crew *crew)
{
    for (size_t i = 0; i < crew->count; i++) {
        const struct crew_member *m = &crew->members[i];
        (m->is_primary ? crew->primary : crew->others)[m->class]++;
    }
}

static int32_t present(const int32_t counts[CREW_CLASSES])
{
    int32_t sum = 0;
    for (int class = CREW_LEAVING; class < CREW_CLASSES; class ++) {
        sum += counts[class];
    }
    return sum;
}

int32_t crew_present(const struct crew *crew)
{
    return present(crew->primary) + present(crew->others);
}

int32_t crew_others_present(const struct crew *crew)
{
    return present(crew->others);
}

bool crew_is_in_place(const struct crew *crew)
{
    return crew->primary[CREW_HEALTHY] == crew->config->desired_count &&
           crew_present(crew) == crew->config->desired_count;
}

wall_t crew_wake_at(const struct crew *crew)
{
    const struct rollout_config *c = crew->config;
    wall_t at = {0};
    for (size_t i = 0; i < crew->count; i++) {
        const struct rollout_task *t = &crew->tasks[i];
        if (crew->members[i].class != CREW_WARMING) {
            continue;
        }
        bool is_checked = c->has_container_check || c->group_count > 0;
        if (!is_checked) {
            at = crew_earlier(at, wall_add(t->started_at, c->spans.settle));
        } else if (is_judged_bad(c, t)) {
            at = crew_earlier(at, wall_add(t->started_at, c->spans.grace));
        }
    }
    return at;
}

/* ---- who stops ------------------------------------------------------------------------------ */

struct stops {
    const struct crew *crew;
    const struct crew_room *room;
    int32_t desired;
    int32_t healthy_left;      /* of all deployments, after the stops so far */
    int32_t short_left;        /* places that the PRIMARY lacks */
    int32_t fresh_short_left;  /* the same without those that its unhealthy tasks hold */
    int32_t surplus_left;      /* tasks of the PRIMARY (when frozen: of all) above desired */
    bool is_unhealthy_leaving; /* one at a time */
};

/* The order in which candidates are looked at: what serves nobody first, the proven last. */
static int class_rank(const struct crew_member *m)
{
    static const int other_rank[CREW_CLASSES] = {
        [CREW_STARTING] = 0, [CREW_UNHEALTHY] = 1, [CREW_WARMING] = 2, [CREW_HEALTHY] = 7};
    static const int primary_rank[CREW_CLASSES] = {
        [CREW_UNHEALTHY] = 3, [CREW_STARTING] = 4, [CREW_WARMING] = 5, [CREW_HEALTHY] = 6};
    return (m->is_primary ? primary_rank : other_rank)[m->class];
}

static int compare_moments(wall_t a, wall_t b)
{
    return (a.us > b.us) - (a.us < b.us);
}

static int compare_candidates(const void *left, const void *right, void *crew_ptr)
{
    const struct crew *crew = crew_ptr;
    const struct rollout_task *tasks = crew->tasks;
    const struct crew_member *a = *(struct crew_member *const *)left;
    const struct crew_member *b = *(struct crew_member *const *)right;
    int by_rank = class_rank(a) - class_rank(b);
    if (by_rank != 0) {
        return by_rank;
    }
    if (a->stop_rank != b->stop_rank) {
        return a->stop_rank - b->stop_rank;
    }
    /* of the unhealthy the oldest, whose verdict had the longest time; of the rest the youngest */
    int by_age = compare_moments(tasks[a->task].created_at, tasks[b->task].created_at);
    if (by_age == 0) {
        by_age = a->task < b->task ? -1 : 1;
    }
    return a->class == CREW_UNHEALTHY ? by_age : -by_age;
}

/* The PRIMARY failed and there is nothing to roll back to: trim to desired, keep what is healthy.
 */
static bool takes_frozen(struct stops *s, const struct crew_member *m)
{
    if (s->surplus_left <= 0 || (m->class == CREW_HEALTHY && s->healthy_left <= s->desired)) {
        return false;
    }
    s->surplus_left--;
    return true;
}

static bool takes_other(struct stops *s, const struct crew_member *m)
{
    if (m->class == CREW_HEALTHY) {
        bool is_spare = s->healthy_left > s->desired;
        bool makes_room = s->fresh_short_left > 0 && s->healthy_left > s->room->lower;
        if (!is_spare && !makes_room) {
            return false;
        }
    } else if (m->class != CREW_STARTING && s->healthy_left < s->desired && s->short_left <= 0) {
        return false; /* while too few are healthy, a doubtful task is better than none */
    }
    s->short_left--;
    s->fresh_short_left--;
    return true;
}

static bool takes_primary(struct stops *s, const struct crew_member *m)
{
    if (m->class == CREW_UNHEALTHY) {
        if (s->crew->primary[CREW_HEALTHY] >= s->desired) {
            return true; /* replaced already */
        }
        if (s->short_left <= 0 || s->is_unhealthy_leaving) {
            return false;
        }
        s->is_unhealthy_leaving = true;
        s->short_left--;
        return true;
    }
    if (s->surplus_left <= 0 || (m->class == CREW_HEALTHY && s->healthy_left <= s->desired)) {
        return false;
    }
    s->surplus_left--;
    return true;
}

static bool takes(struct stops *s, const struct crew_member *m)
{
    bool is_taken = false;
    if (s->room->is_frozen) {
        is_taken = takes_frozen(s, m);
    } else if (m->is_primary) {
        is_taken = takes_primary(s, m);
    } else {
        is_taken = takes_other(s, m);
    }
    if (is_taken && m->class == CREW_HEALTHY) {
        s->healthy_left--;
    }
    return is_taken;
}

static size_t choose_stops(struct arena *a, struct crew *crew, struct stops *s)
{
    struct crew_member **candidates = ARENA_ARRAY(a, struct crew_member *, crew->count + 1);
    size_t count = 0;
    for (size_t i = 0; i < crew->count; i++) {
        if (crew->members[i].class > CREW_LEAVING) {
            candidates[count++] = &crew->members[i];
        }
    }
    qsort_r(candidates, count, sizeof(struct crew_member *), compare_candidates, crew);
    size_t stop_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (takes(s, candidates[i])) {
            candidates[i]->is_stopped = true;
            stop_count++;
        }
    }
    return stop_count;
}

/* ---- the plan ------------------------------------------------------------------------------- */

static int32_t above_zero(int32_t n)
{
    return n > 0 ? n : 0;
}

static int32_t at_most(int32_t n, int32_t most)
{
    return n < most ? n : most;
}

/* An unhealthy task of the PRIMARY that was told to stop and is not gone yet. */
static bool is_bad_one_leaving(const struct crew *crew)
{
    for (size_t i = 0; i < crew->count; i++) {
        const struct crew_member *m = &crew->members[i];
        if (m->is_primary && m->class == CREW_LEAVING &&
            (crew->tasks[i].marks & ROLLOUT_MARK_COUNTED) != 0) {
            return true;
        }
    }
    return false;
}

struct crew_moves crew_plan(struct arena *a, struct crew *crew, const struct crew_room *room)
{
    const int32_t *p = crew->primary;
    const int32_t *o = crew->others;
    int32_t desired = crew->config->desired_count;
    int32_t good = p[CREW_STARTING] + p[CREW_WARMING] + p[CREW_HEALTHY];
    int32_t leaving = p[CREW_LEAVING] + o[CREW_LEAVING];
    int32_t places = above_zero(room->upper - crew_present(crew));
    int32_t missing = room->is_frozen ? 0 : above_zero(desired - good);

    struct crew_moves moves = {.wants_start = missing > 0 && places > 0};
    if (room->may_start) {
        moves.start_count = at_most(missing, places);
    }
    struct stops stops = {
        .crew = crew,
        .room = room,
        .desired = desired,
        .healthy_left = p[CREW_HEALTHY] + o[CREW_HEALTHY],
        /* nothing is taken away for the sake of tasks that cannot be started now */
        .short_left = room->may_start ? above_zero(missing - places - leaving) : 0,
        .is_unhealthy_leaving = is_bad_one_leaving(crew),
        .surplus_left = above_zero(good - desired),
    };
    stops.fresh_short_left = stops.short_left - p[CREW_UNHEALTHY];
    if (room->is_frozen) {
        stops.surplus_left = above_zero(crew_present(crew) - leaving - desired);
    }
    moves.stop_count = choose_stops(a, crew, &stops);
    moves.is_stuck = missing > 0 && room->may_start && moves.start_count == 0 &&
                     moves.stop_count == 0 && room->lower >= room->upper &&
                     crew_present(crew) == p[CREW_HEALTHY] + o[CREW_HEALTHY];
    return moves;
}
