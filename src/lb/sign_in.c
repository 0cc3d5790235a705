#include "lb/sign_in.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "lb/control.h"
#include "lb/login.h"

#define WORKER_BITS 8 /* of an id */
_Static_assert(LB_WORKERS_MAX <= 1 << WORKER_BITS, "an id names its worker");

/* A question with code and redirect_uri, or its answer. */
struct lb_letter {
    struct list node;
    struct arena arena;
    uint64_t id;
    struct str rule_arn;
    struct str code;
    struct str redirect_uri;
    struct lb_identity who;
    unsigned status;
    bool is_too_large;
    dur_t took;
};

struct lb_sign_in {
    struct list node; /* in the worker's list */
    struct lb_client *client;
    struct arena arena;
    uint64_t id;
    struct lb_letter *answer; /* NULL while it waits, and when nobody answered */
    struct str url;
    struct str purpose;
    struct str cookie_name;
    int64_t session_seconds;
};

/* ---- letters --------------------------------------------------------------------------------- */

static struct lb_letter *new_letter(uint64_t id)
{
    struct lb_letter *letter = MEM_NEW(struct lb_letter);
    arena_init(&letter->arena);
    letter->id = id;
    return letter;
}

static void free_letter(struct lb_letter *letter)
{
    if (letter != NULL) {
        arena_fini(&letter->arena);
        mem_free(letter);
    }
}

void lb_mailbox_init(struct lb_mailbox *box)
{
    (void)pthread_mutex_init(&box->mutex, NULL);
    list_init(&box->letters);
}

void lb_mailbox_fini(struct lb_mailbox *box)
{
    LIST_FOR (letter, &box->letters, struct lb_letter, node) {
        list_remove(&letter->node);
        free_letter(letter);
    }
    (void)pthread_mutex_destroy(&box->mutex);
}

static void put_letter(struct lb_mailbox *box, struct lb_letter *letter)
{
    (void)pthread_mutex_lock(&box->mutex);
    list_add_tail(&box->letters, &letter->node);
    atomic_store_explicit(&box->has_letters, true, memory_order_release);
    (void)pthread_mutex_unlock(&box->mutex);
}

/* NULL when it is empty. */
static struct lb_letter *take_letter(struct lb_mailbox *box)
{
    if (!atomic_load_explicit(&box->has_letters, memory_order_acquire)) {
        return NULL;
    }
    struct lb_letter *letter = NULL;
    (void)pthread_mutex_lock(&box->mutex);
    if (!list_is_empty(&box->letters)) {
        letter = CONTAINER_OF(box->letters.next, struct lb_letter, node);
        list_remove(&letter->node);
    }
    atomic_store_explicit(&box->has_letters, !list_is_empty(&box->letters), memory_order_release);
    (void)pthread_mutex_unlock(&box->mutex);
    return letter;
}

/* ---- the worker ------------------------------------------------------------------------------ */

/* The rule's login outlives neither the configuration nor the wait: what is needed is copied. */
bool lb_sign_in_begin(struct lb_client *c, const struct lb_rule *rule, const struct lb_state *state,
                      struct str code, struct str redirect_uri)
{
    struct lb_worker *w = c->worker;
    if (w->sign_in_count >= LB_SIGN_INS_MAX) {
        return false;
    }
    struct lb_sign_in *s = MEM_NEW(struct lb_sign_in);
    arena_init(&s->arena);
    s->client = c;
    s->id = ++w->last_sign_in << WORKER_BITS | w->id;
    s->url = arena_str(&s->arena, state->url);
    s->purpose = arena_str(&s->arena, rule->login->purpose);
    s->cookie_name = arena_str(&s->arena, rule->login->cookie_name);
    s->session_seconds = rule->login->session_seconds;
    list_add_tail(&w->sign_ins, &s->node);
    w->sign_in_count++;
    c->sign_in = s;
    c->hold = LB_HOLD_SIGNS_IN;
    lb_client_wait_at_most(c, LB_SIGN_IN_TIMEOUT);
    struct lb_letter *letter = new_letter(s->id);
    letter->rule_arn = arena_str(&letter->arena, rule->arn);
    letter->code = arena_str(&letter->arena, code);
    letter->redirect_uri = arena_str(&letter->arena, redirect_uri);
    put_letter(&w->lb->sign_ins, letter);
    ev_wake_up(&w->lb->wake);
    return true;
}

void lb_sign_in_leave(struct lb_client *c)
{
    struct lb_sign_in *s = c->sign_in;
    list_remove(&s->node);
    c->worker->sign_in_count--;
    free_letter(s->answer);
    arena_fini(&s->arena);
    mem_free(s);
    c->sign_in = NULL;
    c->hold = LB_HOLD_NONE;
}

static void go_on(struct lb_client *c)
{
    c->hold = LB_HOLD_NONE;
    lb_client_wait(c);
    lb_client_resume(c);
}

void lb_sign_in_expire(struct lb_client *c)
{
    go_on(c);
}

/* NULL when it left, or its time ran out. */
static struct lb_client *find_client(struct lb_worker *w, uint64_t id)
{
    LIST_FOR (s, &w->sign_ins, struct lb_sign_in, node) {
        if (s->id == id && s->client->hold == LB_HOLD_SIGNS_IN) {
            return s->client;
        }
    }
    return NULL;
}

void lb_sign_ins_hear(struct lb_worker *w)
{
    struct lb_letter *letter;
    while ((letter = take_letter(&w->signed_in)) != NULL) {
        struct lb_client *c = find_client(w, letter->id);
        if (c == NULL) {
            free_letter(letter);
            continue;
        }
        c->sign_in->answer = letter;
        go_on(c);
    }
}

static void count_answer(struct lb_client *c, const struct lb_letter *answer)
{
    struct lb_worker *w = c->worker;
    if (answer != NULL && answer->is_too_large) {
        lb_count_one(w, c->slot, LBSTATS_AUTH_CLAIMS_TOO_LARGE);
    }
    enum lbstats_counter counter = answer == NULL || answer->status == 500 ? LBSTATS_AUTH_ERRORS
                                   : answer->status == 0                   ? LBSTATS_AUTH_SUCCESSES
                                                                           : LBSTATS_AUTH_FAILURES;
    lb_count_one(w, c->slot, counter);
    struct lbstats_block *b = lb_count_block(w, c->slot);
    if (answer != NULL && answer->took.us > 0 && b != NULL) {
        lbstats_begin(b);
        lbstats_add(b, LBSTATS_AUTH_LATENCIES, 1);
        lbstats_add(b, LBSTATS_AUTH_LATENCY_US, (uint64_t)answer->took.us);
        lbstats_end(b);
    }
}

/* The session's cookies; absent when they would be too large. */
static struct str cookies_of(struct lb_worker *w, const struct lb_sign_in *s)
{
    struct lb_identity who = s->answer->who;
    who.until_ms = clock_wall().us / 1000 + s->session_seconds * 1000;
    struct str text = lb_session_close(&w->login_arena, &w->conf->session_key, s->purpose, &who);
    return str_is_set(text)
               ? lb_session_cookies(&w->login_arena, s->cookie_name, text, s->session_seconds)
               : STR_NONE;
}

bool lb_sign_in_answer(struct lb_client *c, struct lb_login_says *ret)
{
    struct lb_worker *w = c->worker;
    struct lb_sign_in *s = c->sign_in;
    arena_reset(&w->login_arena);
    ret->status = s->answer == NULL ? 500 : s->answer->status;
    if (ret->status == 0) {
        struct str cookies = cookies_of(w, s);
        s->answer->is_too_large = !str_is_set(cookies);
        s->answer->status = str_is_set(cookies) ? 0 : 401;
        ret->status = s->answer->status;
        w->login_reply = (struct lb_action){
            .type = LB_SIGN_IN, .path = arena_str(&w->login_arena, s->url), .body = cookies};
        ret->reply = str_is_set(cookies) ? &w->login_reply : NULL;
    }
    count_answer(c, s->answer);
    lb_sign_in_leave(c);
    return true;
}

/* ---- the control thread ---------------------------------------------------------------------- */

void lb_sign_ins_tell(struct lb *lb)
{
    struct lb_letter *letter;
    while ((letter = take_letter(&lb->sign_ins)) != NULL) {
        struct lbconf_sign_in_question message = {.id = OPT_I64((int64_t)letter->id),
                                                  .rule = letter->rule_arn,
                                                  .code = letter->code,
                                                  .redirect_uri = letter->redirect_uri};
        struct lbconf_sign_in_answer failed = {.id = message.id, .status = OPT_I32(500)};
        if (lb->options.report->sign_in != NULL) {
            lb->options.report->sign_in(lb->options.report->self, &message);
        } else {
            lb_signed_in(lb, &failed);
        }
        free_letter(letter);
    }
}

void lb_signed_in(struct lb *lb, const struct lbconf_sign_in_answer *message)
{
    uint64_t id = (uint64_t)OPT_OR(message->id, 0);
    size_t worker = id & ((1u << WORKER_BITS) - 1);
    if (worker >= lb->worker_count) {
        return;
    }
    struct lb_letter *letter = new_letter(id);
    letter->status = (unsigned)OPT_OR(message->status, 500);
    letter->is_too_large = OPT_OR(message->is_too_large, false);
    letter->took = DUR_US(OPT_OR(message->took_us, 0));
    letter->who =
        (struct lb_identity){.subject = arena_str(&letter->arena, message->subject),
                             .access_token = arena_str(&letter->arena, message->access_token),
                             .claims = arena_str(&letter->arena, message->claims)};
    bool is_whole = letter->who.claims.len >= 2 && letter->who.subject.len > 0;
    if (letter->status == 0 && !is_whole) {
        letter->status = 500;
    }
    put_letter(&lb->workers[worker].signed_in, letter);
    ev_wake_up(&lb->workers[worker].wake);
}
