#include "svc/acm/machine.h"

#include "base/cleanup.h"
#include "base/fault.h"
#include "base/log.h"
#include "svc/acm/limits.h"
#include "svc/common/arn.h"

#define REASON_BYTES_MAX 512

const struct store_kind acm_kind_order = {"acm.order", &shape_engine_acm_order};

/* ---- the row --------------------------------------------------------------------------------- */

static void turn_after_commit(void *self, struct str key)
{
    (void)key;
    acm_turn_soon(self);
}

enum err acm_order_put(struct op *op, struct acm *acm, struct str arn,
                       const struct engine_acm_order *order)
{
    TRY(store_put(op, acm->config.store, &acm_kind_order, arn, STR(""), order));
    store_after_commit(acm->config.store, turn_after_commit, acm, STR(""));
    return ERR_OK;
}

enum err acm_order_get(struct op *op, struct acm *acm, struct str arn, struct engine_acm_order *ret)
{
    return store_get(op, acm->config.store, &acm_kind_order, arn, ret);
}

void acm_order_enter(const struct op *op, struct engine_acm_order *order, struct str state)
{
    order->state = state;
    order->since = OPT_TIME(op->now);
    order->asked_at = (struct opt_time){0};
    order->not_before = (struct opt_time){0};
}

static void set_renewal(struct op *op, struct acm_certificate_detail *detail,
                        enum acm_renewal_status status)
{
    detail->renewal_summary = ARENA_NEW(&op->arena, struct acm_renewal_summary);
    detail->renewal_summary->renewal_status = status;
    detail->renewal_summary->updated_at = OPT_TIME(op->now);
    detail->renewal_summary->domain_validation_options = detail->domain_validation_options;
}

/* Tells nobody: the certificate itself is the same. */
static enum err put_quietly(struct op *op, struct acm *acm,
                            const struct engine_acm_certificate *row)
{
    return store_put(op, acm->config.store, &acm_kind_certificate, row->detail->certificate_arn,
                     STR(""), row);
}

enum err acm_order_begin(struct op *op, struct acm *acm, struct engine_acm_certificate *row,
                         bool is_renewal)
{
    bool is_local = STR_IS(row->issuer, "local");
    struct engine_acm_order order = {.is_local = OPT_BOOL(is_local),
                                     .is_renewal = OPT_BOOL(is_renewal)};
    acm_order_enter(op, &order, is_local ? ORDER_LOCAL : ORDER_NEW);
    if (is_renewal) {
        set_renewal(op, row->detail, ACM_RENEWAL_STATUS_PENDING_AUTO_RENEWAL);
        TRY(put_quietly(op, acm, row));
    }
    return acm_order_put(op, acm, row->detail->certificate_arn, &order);
}

static void tell_challenges(void *self, struct str key)
{
    (void)key;
    struct acm *acm = self;
    acm->config.wakes.challenges_changed(acm->config.wakes.self);
}

static enum err fail_certificate(struct op *op, struct acm *acm, struct str arn,
                                 enum acm_certificate_status status, enum acm_failure_reason reason)
{
    struct engine_acm_certificate row = {0};
    TRY(acm_get(op, acm, arn, &row));
    row.detail->status = status;
    row.detail->failure_reason = reason;
    for (size_t i = 0; i < row.detail->domain_validation_options.count; i++) {
        row.detail->domain_validation_options.items[i].validation_status = ACM_DOMAIN_STATUS_FAILED;
    }
    TRY(store_remove(op, acm->config.store, &acm_kind_order, arn));
    return put_quietly(op, acm, &row);
}

static enum err note_renewal_failure(struct op *op, struct acm *acm, struct str arn)
{
    struct engine_acm_certificate row = {0};
    TRY(acm_get(op, acm, arn, &row));
    set_renewal(op, row.detail, ACM_RENEWAL_STATUS_PENDING_VALIDATION);
    row.detail->renewal_summary->renewal_status_reason = ACM_FAILURE_REASON_OTHER;
    return put_quietly(op, acm, &row);
}

enum err acm_order_failed(struct op *op, struct acm *acm, struct str arn,
                          const struct order_failure *why)
{
    struct engine_acm_order order = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, acm->config.store, &tx));
    TRY(acm_order_get(op, acm, arn, &order));
    bool is_renewal = OPT_OR(order.is_renewal, false);
    log_warn("acm", "certificate %.*s is not %s: %.*s", STR_ARG(arn),
             is_renewal ? "renewed" : "issued", STR_ARG(why->reason));
    store_after_commit(acm->config.store, tell_challenges, acm, STR(""));
    if (why->is_final && !is_renewal) {
        TRY(fail_certificate(op, acm, arn, ACM_CERTIFICATE_STATUS_FAILED,
                             ACM_FAILURE_REASON_DOMAIN_NOT_ALLOWED));
        return store_tx_commit(op, &tx);
    }
    struct engine_acm_order next = {.is_local = order.is_local,
                                    .is_renewal = order.is_renewal,
                                    .failures = OPT_I32(OPT_OR(order.failures, 0) + 1),
                                    .failed_at = OPT_TIME(op->now),
                                    .reason = str_slice(why->reason, 0, REASON_BYTES_MAX)};
    acm_order_enter(op, &next, OPT_OR(order.is_local, false) ? ORDER_LOCAL : ORDER_NEW);
    next.not_before = (struct opt_time){.value = why->not_before, .is_set = why->not_before.us > 0};
    TRY(acm_order_put(op, acm, arn, &next));
    if (is_renewal) {
        TRY(note_renewal_failure(op, acm, arn));
    }
    return store_tx_commit(op, &tx);
}

/* ---- the end --------------------------------------------------------------------------------- */

static bool has_name(const struct cert_facts *facts, struct str name)
{
    for (size_t i = 0; i < facts->names.count; i++) {
        if (str_equal_nocase(facts->names.items[i], name)) {
            return true;
        }
    }
    return false;
}

static enum err check_issued(struct op *op, const struct acm_certificate_detail *detail,
                             const struct cert_facts *facts)
{
    for (size_t i = 0; i < detail->subject_alternative_names.count; i++) {
        struct str name = detail->subject_alternative_names.items[i];
        if (!has_name(facts, name)) {
            return op_fail(op, ERR_PROTOCOL, "the certificate that came is not for \"%.*s\"",
                           STR_ARG(name));
        }
    }
    if (facts->not_after.us <= op->now.us) {
        return op_fail(op, ERR_PROTOCOL, "the certificate that came has expired already");
    }
    return ERR_OK;
}

static enum err check_key(struct op *op, struct acm *acm, struct str arn, struct str sealed_key,
                          struct str leaf_pem)
{
    struct str key = STR_NONE;
    struct str same = STR_NONE;
    TRY(acm_open_key(op, acm, arn, sealed_key, &key));
    enum cert_fault fault = cert_read_key(&op->arena, key, leaf_pem, &same);
    cert_clear(key);
    cert_clear(same);
    return fault == CERT_FINE
               ? ERR_OK
               : op_fail(op, ERR_PROTOCOL, "the certificate that came is not ours: %s",
                         cert_fault_text(fault));
}

static enum err read_issued(struct op *op, struct str chain_pem, struct cert_facts *facts,
                            struct str *ret_rest)
{
    struct arena *a = &op->arena;
    struct str first = STR_NONE;
    struct str rest = STR_NONE;
    struct str checked = STR_NONE;
    enum cert_fault fault = cert_split(a, chain_pem, &first, &rest);
    if (fault == CERT_FINE) {
        fault = cert_read(a, first, facts);
    }
    if (fault == CERT_FINE) {
        fault = cert_read_chain(a, first, rest, &checked);
    }
    if (fault != CERT_FINE && fault != CERT_CHAIN_MISSING) {
        return op_fail(op, ERR_PROTOCOL, "the certificate that came cannot be used: %s",
                       cert_fault_text(fault));
    }
    *ret_rest = checked;
    return ERR_OK;
}

enum err acm_order_finish(struct op *op, struct acm *acm, struct str arn, struct str chain_pem,
                          struct str sealed_key)
{
    struct engine_acm_certificate row = {0};
    struct cert_facts facts = {0};
    struct str rest = STR_NONE;
    TRY(acm_get(op, acm, arn, &row));
    TRY(read_issued(op, chain_pem, &facts, &rest));
    TRY(check_issued(op, row.detail, &facts));
    TRY(check_key(op, acm, arn, sealed_key, facts.pem));
    bool is_renewal = acm_is_usable(&row);
    struct acm_certificate_detail asked = *row.detail;
    acm_tell_facts(op, &facts, row.detail);
    row.detail->domain_name = asked.domain_name;
    row.detail->subject_alternative_names = asked.subject_alternative_names;
    row.detail->status = ACM_CERTIFICATE_STATUS_ISSUED;
    row.detail->failure_reason = ACM_FAILURE_REASON_UNSET;
    row.detail->issued_at = OPT_TIME(op->now);
    for (size_t i = 0; i < row.detail->domain_validation_options.count; i++) {
        row.detail->domain_validation_options.items[i].validation_status =
            ACM_DOMAIN_STATUS_SUCCESS;
    }
    if (is_renewal) {
        set_renewal(op, row.detail, ACM_RENEWAL_STATUS_SUCCESS);
    }
    row.certificate_pem = facts.pem;
    row.chain_pem = rest;
    row.sealed_key = sealed_key;
    TRY(store_remove(op, acm->config.store, &acm_kind_order, arn));
    TRY(acm_put(op, acm, &row));
    store_after_commit(acm->config.store, tell_challenges, acm, STR(""));
    acm->renewals_due = (wall_t){0}; /* its renewal is to be planned */
    store_after_commit(acm->config.store, turn_after_commit, acm, STR(""));
    log_info("acm", "certificate %.*s was %s", STR_ARG(arn), is_renewal ? "renewed" : "issued");
    return ERR_OK;
}

/* ---- challenges ------------------------------------------------------------------------------ */

static void add_challenges(struct op *op, const struct engine_acm_order *order,
                           struct port_challenges *to)
{
    for (size_t i = 0; i < order->authorizations.count; i++) {
        const struct engine_acm_authorization *one = &order->authorizations.items[i];
        if (str_is_set(one->token)) {
            *ARENA_PUSH(&op->arena, to) =
                (struct port_challenge){.token = one->token, .answer = one->answer};
        }
    }
}

enum err acm_list_challenges(struct op *op, struct acm *acm, struct port_challenges *ret)
{
    struct store_items items = {0};
    struct port_challenges found = {0};
    TRY(store_list(op, acm->config.store, &acm_kind_order,
                   &(struct store_range){.is_every_region = true}, &items));
    for (size_t i = 0; i < items.count; i++) {
        const struct engine_acm_order *order = items.items[i].value;
        if (str_equal(order->state, ORDER_AUTHORIZE)) {
            add_challenges(op, order, &found);
        }
    }
    *ret = found;
    return ERR_OK;
}

/* ---- turns ----------------------------------------------------------------------------------- */

static void earlier(wall_t *in_out, wall_t other)
{
    if (other.us != 0 && (in_out->us == 0 || other.us < in_out->us)) {
        *in_out = other;
    }
}

static void begin_op(struct acm *acm, struct str region, struct op *op)
{
    op_init(op);
    op->account = acm->config.account;
    op->region = arena_str(&op->arena, region);
}

static enum err give_up(struct op *op, struct acm *acm, struct str arn)
{
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, acm->config.store, &tx));
    TRY(fail_certificate(op, acm, arn, ACM_CERTIFICATE_STATUS_VALIDATION_TIMED_OUT,
                         ACM_FAILURE_REASON_UNSET));
    store_after_commit(acm->config.store, tell_challenges, acm, STR(""));
    log_warn("acm", "certificate %.*s was not issued in time", STR_ARG(arn));
    return store_tx_commit(op, &tx);
}

static enum err perform(struct op *op, struct acm *acm, struct str arn,
                        const struct engine_acm_order *order, struct order_step step)
{
    switch (step.action) {
    case ORDER_REST:
        return ERR_OK;
    case ORDER_SIGN_LOCALLY:
        return acm_sign_locally(op, acm, arn);
    case ORDER_GIVE_UP:
        return give_up(op, acm, arn);
    case ORDER_ASK_NEW:
    case ORDER_READ_AUTHORIZATION:
    case ORDER_ASK_CHALLENGE:
    case ORDER_ASK_FINALIZE:
    case ORDER_READ:
    case ORDER_ASK_CERTIFICATE:
        if (acm->acme != NULL && !acme_is_busy(acm->acme)) {
            FAULT_POINT("acm before a call");
            acme_perform(op, acm->acme, arn, order, step);
        }
        return ERR_OK;
    }
    return ERR_OK;
}

static wall_t turn_order(struct acm *acm, const struct store_item *item)
{
    const struct engine_acm_order *order = item->value;
    struct engine_acm_certificate row = {0};
    auto_op struct op op;
    begin_op(acm, item->region, &op);
    if (acm_get(&op, acm, item->key, &row) != ERR_OK) {
        return (wall_t){0};
    }
    const struct port_certificate_users *users = &acm->config.users;
    struct order_sight seen = {.now = op.now,
                               .requested_at = OPT_OR(row.detail->created_at, op.now),
                               .are_challenges_published = users->is_published(users->self)};
    struct order_step step = acm_order_decide(order, &seen);
    if (perform(&op, acm, item->key, order, step) != ERR_OK) {
        log_error("acm", "certificate %.*s: %s", STR_ARG(item->key), op.note.text);
        return wall_add(op.now, DUR_S(10));
    }
    return step.until;
}

static wall_t turn_orders(struct acm *acm)
{
    wall_t next = {0};
    struct store_items items = {0};
    auto_op struct op op;
    begin_op(acm, STR(""), &op);
    if (store_list(&op, acm->config.store, &acm_kind_order,
                   &(struct store_range){.is_every_region = true}, &items) != ERR_OK) {
        log_error("acm", "could not read the orders of certificates: %s", op.note.text);
        return wall_add(op.now, DUR_S(10));
    }
    for (size_t i = 0; i < items.count; i++) {
        earlier(&next, turn_order(acm, &items.items[i]));
    }
    return next;
}

static enum err begin_renewal(struct acm *acm, const struct store_item *item)
{
    struct engine_acm_certificate row = {0};
    auto_op struct op op;
    begin_op(acm, item->region, &op);
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(&op, acm->config.store, &tx));
    TRY(acm_get(&op, acm, item->key, &row));
    if (!store_has(&op, acm->config.store, &acm_kind_order, item->key)) {
        TRY(acm_order_begin(&op, acm, &row, true));
    }
    return store_tx_commit(&op, &tx);
}

static void look_for_renewals(struct acm *acm)
{
    struct store_items items = {0};
    auto_op struct op op;
    begin_op(acm, STR(""), &op);
    acm->renewals_due = wall_add(op.now, ACM_RENEWALS_EVERY_MAX);
    if (store_list(&op, acm->config.store, &acm_kind_certificate,
                   &(struct store_range){.is_every_region = true}, &items) != ERR_OK) {
        log_error("acm", "could not look for certificates to renew: %s", op.note.text);
        return;
    }
    for (size_t i = 0; i < items.count; i++) {
        const struct engine_acm_certificate *row = items.items[i].value;
        if (row->detail == NULL || row->detail->type != ACM_CERTIFICATE_TYPE_AMAZON_ISSUED ||
            !acm_is_usable(row)) {
            continue;
        }
        wall_t due = acm_renewal_at(row->detail->not_before.value, row->detail->not_after.value);
        if (due.us > op.now.us) {
            earlier(&acm->renewals_due, due);
        } else if (begin_renewal(acm, &items.items[i]) != ERR_OK) {
            log_error("acm", "the renewal of %.*s did not begin", STR_ARG(items.items[i].key));
        }
    }
}

static void on_due(struct ev_timer *timer)
{
    acm_turn_soon(CONTAINER_OF(timer, struct acm, timer));
}

static void run_turn(struct ev_defer *defer)
{
    struct acm *acm = CONTAINER_OF(defer, struct acm, turn);
    if (clock_wall().us >= acm->renewals_due.us) {
        look_for_renewals(acm);
    }
    wall_t next = turn_orders(acm);
    earlier(&next, acm->renewals_due);
    int64_t wait_us = next.us - clock_wall().us;
    ev_timer_set(acm->config.loop, &acm->timer, DUR_US(wait_us > 0 ? wait_us : 0), on_due);
}

void acm_turn_soon(struct acm *acm)
{
    if (acm->is_started) {
        ev_defer(acm->config.loop, &acm->turn, run_turn);
    }
}
