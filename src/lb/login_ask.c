/* A request on a listener that has logins. */

#include "lb/login.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/rand.h"
#include "codec/urlenc.h"
#include "crypt/hash.h"
#include "lb/affinity.h"

#define NONCE_COOKIE STR("AWSALBAuthNonce")
#define NONCE_CHARS  32
#define CALLBACK     STR("/oauth2/idpresponse")

static bool is_header_safe(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f) {
            return false;
        }
    }
    return true;
}

static bool refuse(struct lb_login_says *ret, unsigned status)
{
    ret->status = status;
    return true;
}

/* ---- to the identity provider ---------------------------------------------------------------- */

/* The browser's nonce, if it has one: another tab may be signing in with it. */
static struct str nonce_of(struct arena *a, const struct h1_head *h)
{
    struct str nonce = lb_find_cookie(h, NONCE_COOKIE);
    return nonce.len == NONCE_CHARS && is_header_safe(nonce) ? nonce
                                                             : rand_text(a, RAND_HEX, NONCE_CHARS);
}

static bool send_away(struct lb_client *c, const struct lb_login *login, struct lb_login_says *ret)
{
    struct lb_worker *w = c->worker;
    struct arena *a = &w->login_arena;
    const struct h1_head *h = &w->request_head;
    struct str host = h1_str(h, h->host);
    struct str path = h->path.len > 0 ? h1_str(h, h->path) : STR("/");
    struct str query = h->has_query ? h1_str(h, h->query) : STR("");
    struct str nonce = nonce_of(a, h);
    struct lb_state state = {
        .until_ms = clock_wall().us / 1000 + LB_LOGIN_TIMEOUT.us / 1000,
        .login = login->tag,
        .nonce = nonce,
        .url = arena_printf(a, "https://%.*s%.*s%s%.*s", STR_ARG(host), STR_ARG(path),
                            h->has_query ? "?" : "", STR_ARG(query)),
    };
    if (host.len == 0) {
        return refuse(ret, 401); /* ALB: there is no address to come back to */
    }
    if (state.url.len > LB_LOGIN_URL_BYTES_MAX) {
        return refuse(ret, 414);
    }
    if (!is_header_safe(state.url)) {
        return refuse(ret, 400);
    }
    struct str sealed = lb_state_close(a, &w->conf->state_key, &state);
    w->login_reply = (struct lb_action){
        .type = LB_SIGN_IN,
        .path = lb_login_start_url(a, login, host, sealed),
        .body = arena_printf(a,
                             "Set-Cookie: AWSALBAuthNonce=%.*s; Max-Age=%d; Path=/; SameSite=Lax; "
                             "Secure; HttpOnly\r\n",
                             STR_ARG(nonce), (int)(LB_LOGIN_TIMEOUT.us / 1000000)),
    };
    if (!str_is_set(w->login_reply.path)) {
        return refuse(ret, 414);
    }
    ret->reply = &w->login_reply;
    return true;
}

/* ---- back from it ---------------------------------------------------------------------------- */

/* A rule of the listener with that login. */
static const struct lb_rule *find_rule(const struct lb_listener *l, uint64_t tag)
{
    for (size_t i = 0; i < l->rule_count; i++) {
        if (l->rules[i].login != NULL && l->rules[i].login->tag == tag) {
            return &l->rules[i];
        }
    }
    return NULL;
}

/* The user set out from this browser, for this host. */
static bool is_own_state(const struct h1_head *h, const struct lb_state *state, struct str redirect)
{
    struct str nonce = lb_find_cookie(h, NONCE_COOKIE);
    struct str origin = str_slice(redirect, 0, redirect.len - CALLBACK.len);
    char behind = state->url.len > origin.len ? state->url.ptr[origin.len] : '\0';
    return nonce.len == NONCE_CHARS && secret_equal(nonce, state->nonce) && behind == '/' &&
           str_starts_with(state->url, origin);
}

static bool take_back(struct lb_client *c, const struct lb_listener *l, struct lb_login_says *ret)
{
    struct lb_worker *w = c->worker;
    struct arena *a = &w->login_arena;
    const struct h1_head *h = &w->request_head;
    struct str host = h1_str(h, h->host);
    struct str redirect = arena_printf(a, "https://%.*s%.*s", STR_ARG(host), STR_ARG(CALLBACK));
    struct url_form form = {0};
    struct lb_state state = {0};
    auto_op struct op op;
    op_init(&op);
    bool is_form = h->has_query && url_form_parse(&op, h1_str(h, h->query), &form) == ERR_OK;
    struct str sealed = is_form ? url_form_find(&form, STR("state")) : STR_NONE;
    struct str code = is_form ? url_form_find(&form, STR("code")) : STR_NONE;
    if (sealed.len == 0 ||
        !lb_state_open(a, &w->conf->state_key, sealed, clock_wall().us / 1000, &state) ||
        !is_own_state(h, &state, redirect)) {
        lb_count_one(w, c->slot, LBSTATS_AUTH_FAILURES);
        return refuse(ret, 401);
    }
    const struct lb_rule *rule = find_rule(l, state.login);
    if (rule == NULL) {
        lb_count_one(w, c->slot, LBSTATS_AUTH_ERRORS);
        return refuse(ret, 401); /* the rule went, or signs in elsewhere now */
    }
    if (code.len == 0) {
        lb_count_one(w, c->slot, LBSTATS_AUTH_FAILURES);
        return refuse(ret, 561); /* error=access_denied and the like */
    }
    if (!lb_sign_in_begin(c, rule, &state, code, redirect)) {
        lb_count_one(w, c->slot, LBSTATS_AUTH_ERRORS);
        return refuse(ret, 500);
    }
    ret->holds = true;
    return true;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* Sessions that were opened lately: opening one and signing its claims costs more than everything
 * else that a request does. */
struct known {
    struct sha256 key; /* of the cookies' text and the login */
    struct arena arena;
    struct lb_identity who;
    int64_t made_s;
    bool is_made;
};

struct lb_identities {
    struct known items[LB_IDENTITIES_KNOWN];
};

void lb_identities_free(struct lb_worker *w)
{
    for (size_t i = 0; w->identities != NULL && i < LB_IDENTITIES_KNOWN; i++) {
        arena_fini(&w->identities->items[i].arena);
    }
    mem_free(w->identities);
    w->identities = NULL;
}

static struct known *place_of(struct lb_worker *w, const struct sha256 *key)
{
    if (w->identities == NULL) {
        w->identities = MEM_NEW(struct lb_identities);
    }
    return &w->identities->items[key->bytes[0] % LB_IDENTITIES_KNOWN];
}

/* What was signed is good for as long again at least. */
static bool is_known(const struct known *k, const struct sha256 *key, int64_t now_s)
{
    return k->is_made && memcmp(k->key.bytes, key->bytes, sizeof(key->bytes)) == 0 &&
           now_s >= k->made_s && now_s - k->made_s < LB_IDENTITY_SECONDS / 2;
}

static bool find_identity(struct lb_worker *w, const struct lb_login *login)
{
    int64_t now_ms = clock_wall().us / 1000;
    struct str text = lb_session_find(&w->login_arena, &w->request_head, login->cookie_name);
    if (!str_is_set(text)) {
        return false;
    }
    struct sha256 key =
        sha256_of(arena_printf(&w->login_arena, "%.*s\n%.*s\n%.*s", STR_ARG(login->signer_json),
                               STR_ARG(login->purpose), STR_ARG(text)));
    struct known *k = place_of(w, &key);
    if (!is_known(k, &key, now_ms / 1000)) {
        arena_reset(&k->arena);
        k->is_made = lb_session_open(&k->arena, &w->conf->session_key, login->purpose, text, now_ms,
                                     &k->who);
        k->key = key;
        k->made_s = now_ms / 1000;
        if (!k->is_made) {
            return false;
        }
        k->who.data = lb_login_data(&k->arena, w->conf, login, k->who.claims, k->made_s);
    }
    bool is_over = k->who.until_ms <= now_ms;
    w->identity = is_over ? NULL : &k->who;
    return !is_over;
}

bool lb_login_ask(struct lb_client *c, const struct lb_listener *l, const struct lb_rule *rule,
                  struct lb_login_says *ret)
{
    struct lb_worker *w = c->worker;
    w->identity = NULL;
    arena_reset(&w->login_arena);
    if (str_equal(h1_str(&w->request_head, w->request_head.path), CALLBACK)) {
        return take_back(c, l, ret);
    }
    if (rule == NULL || rule->login == NULL || find_identity(w, rule->login)) {
        return false;
    }
    switch (rule->login->otherwise) {
    case LB_LOGIN_ALLOWS:
        return false;
    case LB_LOGIN_DENIES:
        return refuse(ret, 401);
    case LB_LOGIN_AUTHENTICATES:
        return send_away(c, rule->login, ret);
    }
    UNREACHABLE("every behaviour is handled");
}
