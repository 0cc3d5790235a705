/* Certificates from an ACME authority, RFC 8555: the calls, and what their answers change. */

#include "svc/acm/acme.h"

#include "base/cleanup.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "codec/base64.h"
#include "crypt/es256.h"
#include "svc/acm/limits.h"

#include <string.h>

enum err acme_open(struct op *op, struct acm *acm, struct acme **ret)
{
    struct acme *acme = MEM_NEW(struct acme);
    struct str ca_file = acm->config.acme.ca_file;
    acme->acm = acm;
    arena_init(&acme->arena);
    arena_init(&acme->call_arena);
    enum err result =
        webcall_open(op, acm->config.loop,
                     str_is_set(ca_file) ? arena_c_str(&acme->arena, ca_file) : NULL, &acme->web);
    if (result != ERR_OK) {
        acme_close(acme);
        return result;
    }
    *ret = acme;
    return ERR_OK;
}

void acme_close(struct acme *acme)
{
    if (acme == NULL) {
        return;
    }
    webcall_close(acme->web);
    mem_free(acme->nonce);
    arena_fini(&acme->call_arena);
    arena_fini(&acme->arena);
    mem_free(acme);
}

bool acme_is_busy(const struct acme *acme)
{
    return acme->call != NULL;
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void on_answer(void *self, const struct webcall_answer *answer);

static void call(struct acme *acme, enum acme_want want, const char *method, struct str url,
                 struct str body)
{
    struct webcall_request request = {.method = method,
                                      .url = url,
                                      .content_type = STR("application/jose+json"),
                                      .body = body,
                                      .timeout = ACM_CALL_TIMEOUT};
    acme->want = want;
    acme->call = webcall_start(acme->web, &request, on_answer, acme);
}

/* payload "": POST-as-GET, section 6.3. */
static enum err post(struct op *op, struct acme *acme, enum acme_want want,
                     const struct engine_acm_account *account, struct str url, struct str payload)
{
    struct str body = STR_NONE;
    TRY(acme_sign(op, acme, account, url, payload, &body));
    call(acme, want, "POST", url, body);
    return ERR_OK;
}

static struct str account_payload(struct op *op, const struct acme *acme)
{
    struct str contact = acme->acm->config.acme.contact; /* checked at start: no quotes */
    return str_is_set(contact)
               ? arena_printf(&op->arena,
                              "{\"termsOfServiceAgreed\":true,\"contact\":[\"mailto:%.*s\"]}",
                              STR_ARG(contact))
               : STR("{\"termsOfServiceAgreed\":true}");
}

static enum err order_payload(struct op *op, struct acme *acme, struct str arn, struct str *ret)
{
    struct engine_acm_certificate row = {0};
    TRY(acm_get(op, acme->acm, arn, &row));
    const struct acm_domain_list *names = &row.detail->subject_alternative_names;
    struct str text = STR("");
    for (size_t i = 0; i < names->count; i++) { /* letters, digits, - and . only */
        text = arena_printf(&op->arena, "%.*s%s{\"type\":\"dns\",\"value\":\"%.*s\"}",
                            STR_ARG(text), i == 0 ? "" : ",", STR_ARG(names->items[i]));
    }
    *ret = arena_printf(&op->arena, "{\"identifiers\":[%.*s]}", STR_ARG(text));
    return ERR_OK;
}

/* The key is made and stored before the authority hears of it. */
static enum err certificate_key(struct op *op, struct acme *acme, struct str arn,
                                const struct engine_acm_order *order, struct str *ret_key)
{
    struct engine_acm_certificate row = {0};
    if (str_is_set(order->sealed_key)) {
        return acm_open_key(op, acme->acm, arn, order->sealed_key, ret_key);
    }
    TRY(acm_get(op, acme->acm, arn, &row));
    *ret_key = cert_make_key(&op->arena, (enum cert_key)row.detail->key_algorithm);
    struct engine_acm_order next = *order;
    next.sealed_key = acm_seal_key(op, acme->acm, arn, *ret_key);
    return acm_order_put(op, acme->acm, arn, &next);
}

static enum err finalize_payload(struct op *op, struct acme *acme, struct str arn,
                                 const struct engine_acm_order *order, struct str *ret)
{
    struct engine_acm_certificate row = {0};
    struct str key = STR_NONE;
    TRY(acm_get(op, acme->acm, arn, &row));
    TRY(certificate_key(op, acme, arn, order, &key));
    const struct acm_domain_list *names = &row.detail->subject_alternative_names;
    struct str request = cert_make_request(&op->arena, key, names->items, names->count);
    cert_clear(key);
    struct str text = base64url_encode(&op->arena, request);
    *ret = arena_printf(&op->arena, "{\"csr\":\"%.*s\"}", STR_ARG(text));
    return ERR_OK;
}

static enum err ask(struct op *op, struct acme *acme, const struct engine_acm_account *account,
                    struct str arn, const struct engine_acm_order *order, struct order_step step)
{
    struct str payload = STR("");
    struct str url = STR_NONE;
    switch (step.action) {
    case ORDER_ASK_NEW:
        url = acme->directory.new_order;
        TRY(order_payload(op, acme, arn, &payload));
        break;
    case ORDER_READ_AUTHORIZATION:
        url = order->authorizations.items[step.index].url;
        break;
    case ORDER_ASK_CHALLENGE:
        url = order->authorizations.items[step.index].challenge_url;
        payload = STR("{}");
        break;
    case ORDER_ASK_FINALIZE:
        url = order->finalize_url;
        TRY(finalize_payload(op, acme, arn, order, &payload));
        break;
    case ORDER_READ:
        url = order->url;
        break;
    case ORDER_ASK_CERTIFICATE:
        url = order->certificate_url;
        break;
    case ORDER_REST:
    case ORDER_SIGN_LOCALLY:
    case ORDER_GIVE_UP:
        return ERR_OK;
    }
    return post(op, acme, ACME_STEP, account, url, payload);
}

static enum err start(struct op *op, struct acme *acme, struct str arn,
                      const struct engine_acm_order *order, struct order_step step)
{
    struct engine_acm_account account = {0};
    if (!str_is_set(acme->directory.new_order)) {
        call(acme, ACME_DIRECTORY, "GET", acme->acm->config.acme.directory, STR_NONE);
        return ERR_OK;
    }
    if (acme->nonce == NULL) {
        call(acme, ACME_NONCE, "HEAD", acme->directory.new_nonce, STR_NONE);
        return ERR_OK;
    }
    TRY(acme_get_account(op, acme, &account));
    if (!str_is_set(account.url)) {
        return post(op, acme, ACME_ACCOUNT, &account, acme->directory.new_account,
                    account_payload(op, acme));
    }
    return ask(op, acme, &account, arn, order, step);
}

void acme_perform(struct op *op, struct acme *acme, struct str arn,
                  const struct engine_acm_order *order, struct order_step step)
{
    arena_reset(&acme->call_arena);
    acme->arn = arena_str(&acme->call_arena, arn);
    acme->region = arena_str(&acme->call_arena, op->region);
    acme->step = step;
    if (start(op, acme, arn, order, step) == ERR_OK) {
        return;
    }
    struct order_failure why = {.reason = arena_str(&op->arena, str_of(op->note.text))};
    log_error("acm", "certificate %.*s: %.*s", STR_ARG(arn), STR_ARG(why.reason));
    (void)acm_order_failed(op, acme->acm, arn, &why);
}

/* ---- answers --------------------------------------------------------------------------------- */

static bool is_https(struct str url)
{
    return str_starts_with(url, STR("https://")) && url.len <= 2048;
}

static enum err heard_directory(struct op *op, struct acme *acme,
                                const struct webcall_answer *answer)
{
    struct engine_acme_directory read = {0};
    TRY(acme_read(op, &shape_engine_acme_directory, answer->body, &read));
    if (!is_https(read.new_nonce) || !is_https(read.new_account) || !is_https(read.new_order)) {
        return op_fail(op, ERR_PROTOCOL,
                       "the authority's directory has no newNonce, newAccount or "
                       "newOrder with an https URL");
    }
    acme->directory.new_nonce = arena_str(&acme->arena, read.new_nonce);
    acme->directory.new_account = arena_str(&acme->arena, read.new_account);
    acme->directory.new_order = arena_str(&acme->arena, read.new_order);
    return ERR_OK;
}

static enum err heard_account(struct op *op, struct acme *acme, const struct webcall_answer *answer)
{
    struct engine_acm_account account = {0};
    struct str url = webcall_header(answer, STR("Location"));
    if (!is_https(url)) {
        return op_fail(op, ERR_PROTOCOL, "the authority gave the new account no URL");
    }
    TRY(acme_get_account(op, acme, &account));
    account.url = url;
    return acme_put_account(op, acme, &account);
}

static enum err take_order_urls(struct op *op, const struct engine_acme_order *read,
                                struct engine_acm_order *order)
{
    if (!is_https(read->finalize) || read->authorizations.count == 0 ||
        read->authorizations.count > ACM_AUTHORIZATIONS_MAX) {
        return op_fail(op, ERR_PROTOCOL,
                       "the authority's order has no authorizations or no way to "
                       "finalize it");
    }
    order->finalize_url = read->finalize;
    order->authorizations = (struct engine_acm_authorizations){.is_set = true};
    for (size_t i = 0; i < read->authorizations.count; i++) {
        if (!is_https(read->authorizations.items[i])) {
            return op_fail(op, ERR_PROTOCOL,
                           "the authority's order has an authorization without "
                           "an https URL");
        }
        ARENA_PUSH(&op->arena, &order->authorizations)->url = read->authorizations.items[i];
    }
    return ERR_OK;
}

static enum err problem_of(struct op *op, const char *what, const struct engine_acme_problem *p)
{
    if (p == NULL) {
        return op_fail(op, ERR_REMOTE, "the authority says that %s is not valid", what);
    }
    return op_fail(op, ERR_REMOTE, "the authority says that %s is not valid: %.*s (%.*s)", what,
                   STR_ARG(str_slice(p->detail, 0, 300)), STR_ARG(str_slice(p->type, 0, 100)));
}

/* An order that is asked to be finalized and still is pending or ready is looked at again. */
static enum err heard_order(struct op *op, enum order_action asked,
                            const struct webcall_answer *answer, struct engine_acm_order *order)
{
    struct engine_acme_order read = {0};
    TRY(acme_read(op, &shape_engine_acme_order, answer->body, &read));
    struct str location = webcall_header(answer, STR("Location"));
    if (is_https(location)) {
        order->url = location;
    }
    if (STR_IS(read.status, "invalid")) {
        return problem_of(op, "the order", read.error);
    }
    if (STR_IS(read.status, "valid")) {
        if (!is_https(read.certificate)) {
            return op_fail(op, ERR_PROTOCOL,
                           "the authority's order is valid but has no "
                           "certificate");
        }
        order->certificate_url = read.certificate;
        acm_order_enter(op, order, ORDER_DOWNLOAD);
    } else if (STR_IS(read.status, "processing") || asked == ORDER_ASK_FINALIZE) {
        if (!str_equal(order->state, ORDER_WAIT)) {
            acm_order_enter(op, order, ORDER_WAIT);
        }
    } else if (STR_IS(read.status, "ready")) {
        order->finalize_url = is_https(read.finalize) ? read.finalize : order->finalize_url;
        acm_order_enter(op, order, ORDER_FINALIZE);
    } else if (str_equal(order->state, ORDER_NEW)) {
        TRY(take_order_urls(op, &read, order));
        acm_order_enter(op, order, ORDER_AUTHORIZE);
    }
    return ERR_OK;
}

/* base64url, section 8.3; it becomes part of a path. */
static bool is_token(struct str token)
{
    for (size_t i = 0; i < token.len; i++) {
        char c = str_lower_char(token.ptr[i]);
        bool is_fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (!is_fine) {
            return false;
        }
    }
    return token.len > 0 && token.len <= 512;
}

static const struct engine_acme_challenge *find_challenge(
    const struct engine_acme_authorization *read)
{
    for (size_t i = 0; i < read->challenges.count; i++) {
        if (STR_IS(read->challenges.items[i].type, "http-01")) {
            return &read->challenges.items[i];
        }
    }
    return NULL;
}

static enum err take_challenge(struct op *op, struct acme *acme,
                               const struct engine_acme_authorization *read,
                               struct engine_acm_authorization *one)
{
    struct engine_acm_account account = {0};
    struct str key = STR_NONE;
    const struct engine_acme_challenge *challenge = find_challenge(read);
    if (challenge == NULL || !is_https(challenge->url) || !is_token(challenge->token)) {
        return op_fail(op, ERR_PROTOCOL, "the authority offers no challenge http-01 for this name");
    }
    TRY(acme_get_account(op, acme, &account));
    TRY(acme_account_key(op, acme, &account, &key));
    struct str thumbprint = es256_thumbprint(&op->arena, key);
    cert_clear(key);
    one->challenge_url = challenge->url;
    one->token = challenge->token;
    one->answer =
        arena_printf(&op->arena, "%.*s.%.*s", STR_ARG(challenge->token), STR_ARG(thumbprint));
    return ERR_OK;
}

static enum err heard_authorization(struct op *op, struct acme *acme,
                                    const struct webcall_answer *answer,
                                    struct engine_acm_authorization *one)
{
    struct engine_acme_authorization read = {0};
    TRY(acme_read(op, &shape_engine_acme_authorization, answer->body, &read));
    if (STR_IS(read.status, "valid")) {
        one->is_valid = OPT_BOOL(true);
        return ERR_OK;
    }
    if (!STR_IS(read.status, "pending")) {
        const struct engine_acme_challenge *challenge = find_challenge(&read);
        return problem_of(op, "the answer to its challenge",
                          challenge == NULL ? NULL : challenge->error);
    }
    return str_is_set(one->token) ? ERR_OK : take_challenge(op, acme, &read, one);
}

static void tell_challenges(void *self, struct str key)
{
    (void)key;
    struct acm *acm = self;
    acm->config.wakes.challenges_changed(acm->config.wakes.self);
}

/* What the answer to a step of the order changes, within a transaction. */
static enum err take_step(struct op *op, struct acme *acme, const struct webcall_answer *answer,
                          struct engine_acm_order *order)
{
    size_t index = acme->step.index;
    bool has_one = index < order->authorizations.count;
    struct engine_acm_authorization *one = has_one ? &order->authorizations.items[index] : NULL;
    switch (acme->step.action) {
    case ORDER_READ_AUTHORIZATION:
        store_after_commit(acme->acm->config.store, tell_challenges, acme->acm, STR(""));
        return one == NULL ? ERR_OK : heard_authorization(op, acme, answer, one);
    case ORDER_ASK_CHALLENGE:
        if (one != NULL) {
            one->is_asked = OPT_BOOL(true);
        }
        return ERR_OK;
    case ORDER_ASK_NEW:
    case ORDER_ASK_FINALIZE:
    case ORDER_READ:
        return heard_order(op, acme->step.action, answer, order);
    case ORDER_REST:
    case ORDER_SIGN_LOCALLY:
    case ORDER_ASK_CERTIFICATE:
    case ORDER_GIVE_UP:
        break;
    }
    return ERR_OK;
}

static enum err heard_step(struct op *op, struct acme *acme, const struct webcall_answer *answer)
{
    struct engine_acm_order order = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, acme->acm->config.store, &tx));
    TRY(acm_order_get(op, acme->acm, acme->arn, &order));
    if (acme->step.action == ORDER_ASK_CERTIFICATE) {
        TRY(acm_order_finish(op, acme->acm, acme->arn, answer->body, order.sealed_key));
    } else {
        wall_t patience = acme_retry_after(op, answer);
        TRY(take_step(op, acme, answer, &order));
        order.asked_at = OPT_TIME(op->now);
        order.not_before = (struct opt_time){.value = patience, .is_set = patience.us > 0};
        TRY(acm_order_put(op, acme->acm, acme->arn, &order));
    }
    FAULT_POINT("acm before a commit");
    TRY(store_tx_commit(op, &tx));
    FAULT_POINT("acm after a commit");
    return ERR_OK;
}

static enum err hear(struct op *op, struct acme *acme, const struct webcall_answer *answer)
{
    switch (acme->want) {
    case ACME_DIRECTORY:
        return heard_directory(op, acme, answer);
    case ACME_NONCE:
        return acme->nonce != NULL
                   ? ERR_OK
                   : op_fail(op, ERR_PROTOCOL, "the authority gave no nonce when asked for one");
    case ACME_ACCOUNT:
        return heard_account(op, acme, answer);
    case ACME_STEP:
        return heard_step(op, acme, answer);
    }
    return ERR_OK;
}

static void on_answer(void *self, const struct webcall_answer *answer)
{
    struct acme *acme = self;
    struct order_failure why = {0};
    auto_op struct op op;
    op_init(&op);
    op.account = acme->acm->config.account;
    op.region = acme->region;
    acme->call = NULL;
    enum err result = acme_take_answer(&op, acme, answer, &why);
    if (result == ERR_OK) {
        result = hear(&op, acme, answer);
        why.reason = arena_str(&op.arena, str_of(op.note.text));
    }
    bool is_there = store_has(&op, acme->acm->config.store, &acm_kind_order, acme->arn);
    if (result != ERR_OK && result != ERR_AGAIN && is_there) {
        op_note_clear(&op);
        if (acm_order_failed(&op, acme->acm, acme->arn, &why) != ERR_OK) {
            log_error("acm", "certificate %.*s: %s", STR_ARG(acme->arn), op.note.text);
        }
    }
    acm_turn_soon(acme->acm);
}
