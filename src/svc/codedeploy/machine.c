/* The loop of every deployment: observe, decide, commit, perform.
 *
 * A turn goes on until the decision is to stay, so that an alarm has taken the traffic back before
 * the turn is over. A MOVE is one transaction with everything that follows from it (records, the
 * rollback deployment). An EFFECT follows from the state that is stored; it is done inside a
 * transaction together with what it gave (the id of a task set), and done again if we die in it. */
#include "svc/codedeploy/priv.h"

#define RETRY_AFTER DUR_S(2) /* a port failed in a way that may pass; real time */

/* ---- seats ---------------------------------------------------------------------------------- */

static struct str seat_key(struct arena *a, struct str region, struct str id)
{
    return arena_printf(a, "%.*s %.*s", STR_ARG(region), STR_ARG(id));
}

static void take_turn(struct seat *seat);

static void on_turn(struct ev_defer *d)
{
    take_turn(CONTAINER_OF(d, struct seat, turn));
}

static void on_due(struct ev_timer *t)
{
    take_turn(CONTAINER_OF(t, struct seat, timer));
}

static void free_seat(struct seat *seat)
{
    ev_timer_stop(&seat->timer);
    ev_defer_cancel(&seat->turn);
    mem_free(seat->region_text);
    mem_free(seat->id_text);
    mem_free(seat);
}

static void leave_seat(struct seat *seat)
{
    struct arena a;
    arena_init(&a);
    (void)map_remove(&seat->cd->seats, seat_key(&a, seat->region, seat->id));
    arena_fini(&a);
    free_seat(seat);
}

void cd_wake(struct codedeploy *cd, struct str region, struct str id)
{
    struct arena a;
    arena_init(&a);
    struct str key = seat_key(&a, region, id);
    struct seat *seat = map_find(&cd->seats, key);
    if (seat == NULL) {
        seat = MEM_NEW(struct seat);
        *seat = (struct seat){.cd = cd,
                              .region_text = mem_dup(region.ptr, region.len),
                              .id_text = mem_dup(id.ptr, id.len)};
        seat->region = str_make(seat->region_text, region.len);
        seat->id = str_make(seat->id_text, id.len);
        (void)map_put(&cd->seats, key, seat);
    }
    ev_defer(cd->config.loop, &seat->turn, on_turn);
    arena_fini(&a);
}

static void wake_after_commit(void *self, struct str key)
{
    struct str region;
    struct str id;
    CHECK(str_cut(key, ' ', &region, &id));
    cd_wake(self, region, id);
}

void cd_seat_after_commit(struct codedeploy *cd, struct str region, struct str id)
{
    struct arena a;
    arena_init(&a);
    store_after_commit(cd->config.store, wake_after_commit, cd, seat_key(&a, region, id));
    arena_fini(&a);
}

/* ---- one step ------------------------------------------------------------------------------- */

static void tell(struct codedeploy *cd, struct str region,
                 const struct engine_codedeploy_deployment *d, enum codedeploy_happening what)
{
    if (cd->config.news.tell != NULL) {
        cd->config.news.tell(cd->config.news.self, region, d->deployment->deployment_id, what);
    }
}

static void tell_of_move(struct codedeploy *cd, struct str region,
                         const struct engine_codedeploy_deployment *d,
                         const struct shift_decision *move)
{
    static const struct {
        enum shift_state state;
        enum codedeploy_happening what;
    } rows[] = {
        {SHIFT_BEFORE_INSTALL, CODEDEPLOY_STARTED}, {SHIFT_READY_WAIT, CODEDEPLOY_READY},
        {SHIFT_DONE, CODEDEPLOY_SUCCEEDED},         {SHIFT_FAILED, CODEDEPLOY_FAILED},
        {SHIFT_STOPPED, CODEDEPLOY_STOPPED},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (rows[i].state == move->next) {
            tell(cd, region, d, rows[i].what);
        }
    }
    if (move->is_rollback_due) {
        tell(cd, region, d, CODEDEPLOY_ROLLED_BACK);
    }
}

static enum err commit_move(struct op *op, struct codedeploy *cd, const struct cd_sight *sight,
                            const struct shift_decision *move,
                            struct engine_codedeploy_deployment *d)
{
    struct shift_row row = cd_row_of(d);
    enum shift_state before = row.state;
    shift_apply(&row, move, op->now);
    cd_row_into(op, &row, d);
    cd_note_task_sets(op, sight, d);
    if (move->next == SHIFT_RESTORING && before != SHIFT_RESTORING) {
        cd_note_cause(op, sight, d, &row);
    }
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, cd->config.store, &tx));
    if (shift_is_final(row.state)) {
        TRY(cd_close_deployment(op, cd, d, move->is_rollback_due));
    }
    TRY(cd_put_deployment(op, cd, d));
    FAULT_POINT("codedeploy.move.before_commit");
    TRY(store_tx_commit(op, &tx));
    FAULT_POINT("codedeploy.move.after_commit");
    if (before != row.state) {
        log_info("codedeploy", "deployment=%.*s from=%s to=%s",
                 STR_ARG(d->deployment->deployment_id), shift_state_name(before),
                 shift_state_name(row.state));
        tell_of_move(cd, op->region, d, move);
    }
    return ERR_OK;
}

static enum err perform_effect(struct op *op, struct codedeploy *cd,
                               const struct shift_decision *effect,
                               struct engine_codedeploy_deployment *d)
{
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, cd->config.store, &tx));
    FAULT_POINT("codedeploy.effect.before");
    TRY(cd_perform(op, cd, effect, d));
    FAULT_POINT("codedeploy.effect.after");
    TRY(cd_put_deployment(op, cd, d));
    FAULT_POINT("codedeploy.effect.before_commit");
    TRY(store_tx_commit(op, &tx));
    FAULT_POINT("codedeploy.effect.after_commit");
    return ERR_OK;
}

/* A port said no for good: the deployment goes back because of it. */
static enum err commit_refusal(struct op *op, struct codedeploy *cd,
                               enum codedeploy_error_code code, struct str fault,
                               struct engine_codedeploy_deployment *d)
{
    struct shift_row row = cd_row_of(d);
    row.is_refused = true;
    cd_row_into(op, &row, d);
    if (d->fault.len == 0) {
        d->fault = fault;
        d->fault_code = code;
    }
    TRY(cd_put_deployment(op, cd, d));
    FAULT_POINT("codedeploy.refusal.after_commit");
    return ERR_OK;
}

/* ---- the turn ------------------------------------------------------------------------------- */

enum outcome { OUTCOME_AGAIN, OUTCOME_WAIT, OUTCOME_GONE };

struct step {
    enum outcome outcome;
    wall_t wake_at;
};

static enum err take_effect(struct op *op, struct codedeploy *cd,
                            const struct shift_decision *effect,
                            const struct engine_codedeploy_deployment *stored)
{
    struct engine_codedeploy_deployment d = *stored; /* an effect that fails leaves no traces */
    enum err e = perform_effect(op, cd, effect, &d);
    if (e == ERR_OK || err_may_retry(e)) {
        return e;
    }
    struct shift_row row = cd_row_of(stored);
    if (row.is_refused) {
        return ERR_AGAIN; /* known already; limits of time end this */
    }
    struct str fault = arena_str(&op->arena, str_of(op->note.text));
    op_note_clear(op);
    d = *stored;
    return commit_refusal(op, cd, CODEDEPLOY_ERROR_CODE_ECS_UPDATE_ERROR, fault, &d);
}

static enum err take_step(struct op *op, struct codedeploy *cd, struct str id, struct step *ret)
{
    struct engine_codedeploy_deployment d = {0};
    struct cd_sight sight = {0};
    enum err e = store_get(op, cd->config.store, &codedeploy_kind_deployment, id, &d);
    if (e == ERR_NOT_FOUND || (e == ERR_OK && cd_is_over(&d))) {
        op_note_clear(op);
        *ret = (struct step){.outcome = OUTCOME_GONE};
        return ERR_OK;
    }
    TRY(e);
    TRY(cd_observe(op, cd, &d, &sight));
    struct shift_row row = cd_row_of(&d);
    struct shift_config config = cd_config_of(&d);
    if (sight.alarm_fault.len > 0 && !row.is_refused && config.kind == SHIFT_FORWARD) {
        *ret = (struct step){.outcome = OUTCOME_AGAIN};
        return commit_refusal(op, cd, CODEDEPLOY_ERROR_CODE_INTERNAL_ERROR, sight.alarm_fault, &d);
    }
    struct shift_decision decision = shift_decide(&row, &config, &sight.shift, op->now);
    *ret = (struct step){.outcome = OUTCOME_AGAIN, .wake_at = decision.wake_at};
    switch (decision.what) {
    case SHIFT_MOVE:
        return commit_move(op, cd, &sight, &decision, &d);
    case SHIFT_EFFECT:
        return take_effect(op, cd, &decision, &d);
    case SHIFT_STAY:
    default:
        ret->outcome = OUTCOME_WAIT;
        return ERR_OK;
    }
}

static void wait_until(struct seat *seat, wall_t now, wall_t at)
{
    if (at.us == 0) {
        ev_timer_stop(&seat->timer);
        return;
    }
    dur_t left = wall_since(at, now);
    ev_timer_set(seat->cd->config.loop, &seat->timer, left.us < 0 ? DUR_US(0) : left, on_due);
}

/* A port or the disk failed; nothing is lost, we look again soon. */
static void retry_later(struct seat *seat, const struct op *op, enum err e)
{
    if (e != ERR_AGAIN) {
        log_warn("codedeploy", "deployment=%.*s step failed (%s): %s", STR_ARG(seat->id),
                 err_text(e), op->note.text);
    }
    ev_timer_set(seat->cd->config.loop, &seat->timer, RETRY_AFTER, on_due);
}

static void take_turn(struct seat *seat)
{
    struct codedeploy *cd = seat->cd;
    for (int i = 0; i < CODEDEPLOY_STEPS_MAX; i++) {
        auto_op struct op op;
        op_init(&op);
        op.region = seat->region;
        op.account = cd->config.account;
        op.now.us -= op.now.us % 1000; /* what the store keeps of a moment */
        struct step step = {0};
        enum err e = take_step(&op, cd, seat->id, &step);
        if (e != ERR_OK) {
            retry_later(seat, &op, e);
            return;
        }
        if (step.outcome == OUTCOME_GONE) {
            leave_seat(seat);
            return;
        }
        if (step.outcome == OUTCOME_WAIT) {
            wait_until(seat, op.now, step.wake_at);
            return;
        }
    }
    ev_defer(cd->config.loop, &seat->turn, on_turn);
}

/* ---- waking --------------------------------------------------------------------------------- */

static void wake_region(struct codedeploy *cd, struct str region)
{
    size_t at = 0;
    struct str key;
    void *value = NULL;
    while (map_next(&cd->seats, &at, &key, &value)) {
        struct seat *seat = value;
        if (!str_is_set(region) || str_equal(seat->region, region)) {
            ev_defer(cd->config.loop, &seat->turn, on_turn);
        }
    }
}

void codedeploy_alarm_changed(struct codedeploy *cd, struct str region, struct str alarm_name)
{
    (void)alarm_name; /* a turn costs less than keeping who watches what */
    wake_region(cd, region);
}

void codedeploy_target_changed(struct codedeploy *cd, struct str region,
                               struct str target_group_arn)
{
    (void)target_group_arn;
    wake_region(cd, region);
}

void codedeploy_task_set_changed(struct codedeploy *cd, struct str region, struct str service_arn)
{
    (void)service_arn;
    wake_region(cd, region);
}

void codedeploy_weights_published(struct codedeploy *cd)
{
    wake_region(cd, STR_NONE);
}

/* ---- the service ---------------------------------------------------------------------------- */

enum err codedeploy_open(struct op *op, const struct codedeploy_config *config,
                         struct codedeploy **ret)
{
    (void)op;
    struct codedeploy *cd = MEM_NEW(struct codedeploy);
    cd->config = *config;
    map_init(&cd->seats);
    *ret = cd;
    return ERR_OK;
}

enum err codedeploy_start(struct op *op, struct codedeploy *cd)
{
    struct store_items open = {0};
    TRY(store_list(op, cd->config.store, &codedeploy_kind_open,
                   &(struct store_range){.is_every_region = true}, &open));
    for (size_t i = 0; i < open.count; i++) {
        const struct engine_codedeploy_open *row = open.items[i].value;
        cd_wake(cd, open.items[i].region, row->deployment_id);
    }
    return ERR_OK;
}

void codedeploy_close(struct codedeploy *cd)
{
    if (cd == NULL) {
        return;
    }
    size_t at = 0;
    struct str key;
    void *value = NULL;
    while (map_next(&cd->seats, &at, &key, &value)) {
        free_seat(value);
    }
    map_fini(&cd->seats);
    mem_free(cd);
}
