/* Random histories of blue/green deployments, each followed by the rollback deployment that it asks
 * for. ROLLOUT_SEED=n runs that one alone. */

#include "rollout/shift.h"

#include "test.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

#define HISTORIES   6000
#define TURNS_MAX   20000
#define DISTURBANCE 120 /* turns in which the world is unruly */

struct sim {
    struct shift_row row;
    struct shift_config config;
    struct shift_sight sight;
    wall_t now;
    uint64_t random;
    bool is_dead_plane;   /* the data plane never acknowledges */
    bool was_effect_lost; /* in this turn */
    bool is_calm;
    bool is_rollback_due;
};

static uint64_t next_random(struct sim *s)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return s->random;
}

static int below(struct sim *s, int limit)
{
    return (int)(next_random(s) % (uint64_t)limit);
}

static bool one_in(struct sim *s, int n)
{
    return below(s, n) == 0;
}

static bool is_safe(const struct sim *s, struct shift_weights w)
{
    const struct shift_sight *v = &s->sight;
    bool is_blue_dead = v->blue.healthy_count == 0;
    bool is_green_dead = v->green.healthy_count == 0;
    return !(w.blue > 0 && is_blue_dead && !is_green_dead) &&
           !(w.green > 0 && is_green_dead && !is_blue_dead);
}

static bool is_one_sided(struct shift_weights w)
{
    return (w.blue == 0) != (w.green == 0);
}

static void check_effect(const struct sim *s, const struct shift_decision *d)
{
    if (d->effect == SHIFT_SET_PRODUCTION || d->effect == SHIFT_SET_TEST) {
        int32_t sum = d->weights.blue + d->weights.green;
        EXPECT(sum == 100 || sum == 1000);
        EXPECT(d->weights.blue >= 0 && d->weights.green >= 0);
        EXPECT(d->weights.blue <= 999 && d->weights.green <= 999);
    }
    if (d->effect == SHIFT_SET_PRODUCTION) {
        EXPECT(is_safe(s, d->weights));
    }
    if (d->effect == SHIFT_REMOVE) {
        const struct shift_weights *w = &s->sight.production;
        EXPECT_EQ(d->side == SHIFT_BLUE ? w->blue : w->green, 0);
        EXPECT(s->sight.is_published);
        bool is_good_side = (d->side == SHIFT_BLUE) == (s->config.kind == SHIFT_FORWARD);
        bool is_going_back = s->row.state == SHIFT_CLEARING && d->side == SHIFT_GREEN;
        EXPECT((is_good_side && s->row.state == SHIFT_TERMINATING) || is_going_back);
    }
}

static void perform(struct sim *s, const struct shift_decision *d)
{
    check_effect(s, d);
    if (!s->is_calm && one_in(s, 12)) {
        s->was_effect_lost = true; /* we were killed before it */
        return;
    }
    struct shift_side *side = d->side == SHIFT_BLUE ? &s->sight.blue : &s->sight.green;
    struct shift_side *other = d->side == SHIFT_BLUE ? &s->sight.green : &s->sight.blue;
    switch (d->effect) {
    case SHIFT_CREATE:
        *side = (struct shift_side){.is_there = true, .was_made = true, .desired_count = 3};
        break;
    case SHIFT_SET_PRODUCTION:
        s->sight.production = d->weights;
        s->sight.is_published = false;
        break;
    case SHIFT_SET_TEST:
        s->sight.test = d->weights;
        s->sight.is_published = false;
        break;
    case SHIFT_SET_PRIMARY:
        side->is_primary = true;
        other->is_primary = false;
        break;
    case SHIFT_REMOVE:
        side->is_leaving = true;
        side->healthy_count = 0;
        side->is_steady = false;
        break;
    case SHIFT_CALL_HOOK:
        s->sight.hook = SHIFT_HOOK_CALLED;
        break;
    }
}

static bool has_touched(const struct sim *s)
{
    return shift_entered_at(&s->row, SHIFT_SHIFTING).us != 0;
}

static void check_same(const struct shift_decision *a, const struct shift_decision *b)
{
    EXPECT_EQ(a->what, b->what);
    EXPECT_EQ(a->next, b->next);
    EXPECT_EQ(a->effect, b->effect);
    EXPECT_EQ(a->side, b->side);
    EXPECT_EQ(a->weights.green, b->weights.green);
    EXPECT_EQ(a->wake_at.us, b->wake_at.us);
}

/* Until nothing is left to do now. Gives when to look again. */
static wall_t turn(struct sim *s)
{
    s->was_effect_lost = false;
    for (int i = 0; i < 400; i++) {
        struct shift_decision d = shift_decide(&s->row, &s->config, &s->sight, s->now);
        struct shift_decision again = shift_decide(&s->row, &s->config, &s->sight, s->now);
        check_same(&d, &again);
        if (d.what == SHIFT_STAY) {
            if (!(d.wake_at.us == 0 || d.wake_at.us > s->now.us))
                test_failed(__FILE__, __LINE__, "state %s late %lld created %lld",
                            shift_state_name(s->row.state),
                            (long long)(s->now.us - d.wake_at.us) / 1000000,
                            (long long)(s->now.us - s->row.created_at.us) / 1000000);
            return d.wake_at;
        }
        if (d.what == SHIFT_EFFECT) {
            perform(s, &d);
            if (s->was_effect_lost) {
                return s->now;
            }
            continue;
        }
        if (d.next != s->row.state) {
            s->sight.hook = SHIFT_HOOK_NONE;
        }
        s->is_rollback_due = s->is_rollback_due || d.is_rollback_due;
        shift_apply(&s->row, &d, s->now);
    }
    EXPECT(false); /* turns without end */
    return s->now;
}

static void check_standing(const struct sim *s)
{
    bool is_ours = has_touched(s) && !s->was_effect_lost && s->sight.is_service_there;
    /* a state that gave up waiting leaves things as they are */
    if (is_ours && !shift_is_final(s->row.state)) {
        EXPECT(is_safe(s, s->sight.production));
    }
}

static void disturb_side(struct sim *s, struct shift_side *side)
{
    if (!side->is_there || side->is_leaving) {
        return;
    }
    if (one_in(s, 3)) {
        side->healthy_count = below(s, side->desired_count + 1);
    } else if (one_in(s, 2)) {
        side->healthy_count = side->desired_count;
    } else if (one_in(s, 12)) {
        side->failed_count++;
    }
    side->is_steady = side->healthy_count == side->desired_count;
}

static void disturb(struct sim *s)
{
    disturb_side(s, &s->sight.green);
    if (one_in(s, 4)) {
        disturb_side(s, &s->sight.blue);
    }
    switch (below(s, 60)) {
    case 0:
        s->sight.is_alarm = !s->sight.is_alarm;
        break;
    case 1:
        s->row.is_stop_asked = true;
        break;
    case 2:
        s->row.is_refused = true;
        break;
    case 3:
        if (one_in(s, 4)) {
            s->sight.is_service_there = false;
        }
        break;
    case 4:
        s->sight.green = (struct shift_side){.was_made = s->sight.green.was_made}; /* by hand */
        break;
    case 5:
        s->sight.production = (struct shift_weights){below(s, 101), below(s, 101)}; /* by hand */
        break;
    case 6:
        s->now = wall_add(s->now, DUR_MIN(-below(s, 100)));
        break;
    default:
        break;
    }
}

/* What happens without anybody: acknowledgements, answers of hooks, tasks, removals. */
static void live(struct sim *s)
{
    struct shift_sight *v = &s->sight;
    if (!s->is_dead_plane && (s->is_calm || !one_in(s, 4))) {
        v->is_published = true;
    }
    if (v->hook == SHIFT_HOOK_CALLED && !one_in(s, 3)) {
        v->hook = one_in(s, 10) ? SHIFT_HOOK_FAILED : SHIFT_HOOK_SUCCEEDED;
    }
    s->row.is_continued = s->row.is_continued || one_in(s, 8);
    struct shift_side *sides[] = {&v->blue, &v->green};
    for (size_t i = 0; i < 2; i++) {
        if (sides[i]->is_leaving && one_in(s, 3)) {
            *sides[i] = (struct shift_side){.was_made = sides[i]->was_made};
        }
    }
    if (s->is_calm) {
        for (size_t i = 0; i < 2; i++) {
            bool serves = sides[i]->is_there && !sides[i]->is_leaving;
            sides[i]->healthy_count = serves ? sides[i]->desired_count : 0;
            sides[i]->is_steady = serves;
        }
    } else {
        disturb(s);
    }
}

static void run(struct sim *s)
{
    static const dur_t steps[] = {
        {.us = 1000}, {.us = 5000000}, {.us = 61000000}, {.us = 700000000}, {.us = 3700000000}};
    for (int i = 0; !shift_is_final(s->row.state); i++) {
        REQUIRE(i < TURNS_MAX);
        s->is_calm = i > DISTURBANCE;
        wall_t wake_at = turn(s);
        check_standing(s);
        if (shift_is_final(s->row.state)) {
            break;
        }
        wall_t then = wall_add(s->now, steps[below(s, 5)]);
        if (wake_at.us > s->now.us && (one_in(s, 2) || s->is_calm)) {
            then = wake_at;
        }
        s->now = then;
        live(s);
    }
}

/* How it ended. */
static void check_end(const struct sim *s)
{
    const struct shift_sight *v = &s->sight;
    if (!v->is_service_there || !has_touched(s) || s->is_dead_plane || s->is_rollback_due) {
        return;
    }
    if (s->row.state == SHIFT_DONE && !s->row.is_refused) {
        EXPECT(is_one_sided(v->production));
    }
    /* a limit passed while the world was unruly, or the routes could not be set */
    bool is_given_up = !s->is_calm || s->row.is_refused;
    if (!is_given_up) {
        EXPECT(is_one_sided(v->production));
        EXPECT(is_safe(s, v->production));
    }
}

static void make(struct sim *s)
{
    struct shift_config *c = &s->config;
    s->now = (wall_t){.us = 1700000000000000};
    s->row = shift_row_new(s->now);
    s->is_dead_plane = one_in(s, 40);
    switch (below(s, 3)) {
    case 0:
        shift_plan_at_once(c);
        break;
    case 1:
        shift_plan_canary(c, 1 + below(s, 99), below(s, 20));
        break;
    default:
        shift_plan_linear(c, 1 + below(s, 99), below(s, 5));
        break;
    }
    for (int e = 0; e < SHIFT_EVENT_COUNT; e++) {
        c->has_hook[e] = shift_event_takes_hook((enum shift_event)e) && one_in(s, 4);
    }
    c->has_test_route = one_in(s, 2);
    c->must_be_continued = one_in(s, 4);
    c->ready_wait = DUR_MIN(below(s, 60));
    c->keeps_blue = one_in(s, 6);
    c->termination_wait = DUR_MIN(below(s, 30));
    c->failures_allowed = 3;
    c->rolls_back_on_failure = one_in(s, 2);
    c->rolls_back_on_alarm = one_in(s, 2);
    c->rolls_back_on_stop = one_in(s, 2);
    s->sight = (struct shift_sight){
        .is_service_there = true, .is_published = true, .production = {100, 0}, .test = {100, 0}};
    if (!one_in(s, 10)) {
        s->sight.blue = (struct shift_side){.is_there = true,
                                            .is_primary = true,
                                            .is_steady = true,
                                            .desired_count = 3,
                                            .healthy_count = one_in(s, 8) ? 0 : 3};
    }
}

static void roll_back(struct sim *s)
{
    struct shift_config c = {.kind = SHIFT_BACK};
    shift_plan_at_once(&c);
    s->config = c;
    s->row = shift_row_new(s->now);
    s->sight.blue.was_made = false;
    s->sight.green.was_made = false;
    s->sight.hook = SHIFT_HOOK_NONE;
    s->is_rollback_due = false;
}

static size_t ends[SHIFT_STATE_COUNT];

static void run_history(uint64_t seed)
{
    struct sim s = {.random = seed * 0x9E3779B97F4A7C15u + 1};
    test_context("seed", seed);
    make(&s);
    run(&s);
    check_end(&s);
    ends[s.row.state]++;
    if (s.is_rollback_due) {
        roll_back(&s);
        run(&s);
        check_end(&s);
        EXPECT(!s.is_rollback_due);
    }
}

TEST(random_histories_of_blue_green_deployments_keep_every_promise)
{
    const char *only = getenv("ROLLOUT_SEED");
    uint64_t seed = 0;
    if (only != NULL && str_parse_u64(str_of(only), UINT64_MAX, &seed)) {
        run_history(seed);
        return;
    }
    printf("# seeds 1 to %d\n", HISTORIES);
    for (seed = 1; seed <= HISTORIES && test_failure_count() == 0; seed++) {
        run_history(seed);
    }
    /* the histories reach every end, else they prove little */
    if (test_failure_count() == 0) {
        EXPECT(ends[SHIFT_DONE] > HISTORIES / 50);
        EXPECT(ends[SHIFT_FAILED] > HISTORIES / 50);
        EXPECT(ends[SHIFT_STOPPED] > HISTORIES / 50);
    }
}
