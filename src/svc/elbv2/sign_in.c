#include "svc/elbv2/sign_in.h"

#include "codec/base64.h"
#include "codec/json.h"
#include "codec/urlenc.h"
#include "crypt/cert.h"
#include "crypt/envelope.h"
#include "crypt/es256.h"
#include "crypt/hash.h"
#include "svc/elbv2/rows.h"
#include "svc/elbv2/state.h"
#include "webcall/webcall.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"

#define TIMEOUT           DUR_S(10) /* of each of the two calls */
#define FORM_BYTES_MAX    ((size_t)64 * 1024)
#define TOKEN_BYTES_MAX   ((size_t)8 * 1024)
#define CLAIMS_BYTES_MAX  ((size_t)11 * 1024) /* ALB */
#define SUBJECT_BYTES_MAX 255                 /* OpenID Connect Core, 2 */
#define SIGN_INS_MAX      4096
#define SECONDS_MAX       604800 /* ALB */
#define PARAMS_MAX        10     /* ALB */
#define COOKIE_CHARS_MAX  256
#define TEXT_CHARS_MAX    2048
#define KEY_PURPOSE       STR("elbv2 sign-in key")
#define SECRET_PURPOSE    "elbv2 client secret "

static const struct store_kind kind_secret = {"elbv2.client_secret",
                                              &shape_engine_elb_client_secret};

#define bad_action(op, ...) \
    op_fail_as((op), ERR_INPUT, &elbv2_error_invalid_load_balancer_action_exception, __VA_ARGS__)

/* ---- the key that signs ---------------------------------------------------------------------- */

enum err elbv2_sign_in_key_load(struct op *op, struct elbv2 *e)
{
    static const struct store_kind kind = {"elbv2.secret", &shape_engine_elb_secret};
    struct engine_elb_secret secret = {0};
    struct str pem = STR_NONE;
    struct str region = op->region;
    op->region = STR("");
    enum err result = store_get(op, e->store, &kind, STR("sign-in"), &secret);
    bool is_there = result == ERR_OK && envelope_open(&op->arena, &e->options.key, KEY_PURPOSE,
                                                      secret.sign_in_key, &pem);
    if (!is_there && (result == ERR_OK || result == ERR_NOT_FOUND)) {
        op_note_clear(op);
        pem = cert_make_key(&op->arena, CERT_KEY_EC_P256);
        secret.sign_in_key = envelope_close(&op->arena, &e->options.key, KEY_PURPOSE, pem);
        result = store_put(op, e->store, &kind, STR("sign-in"), STR(""), &secret);
    }
    op->region = region;
    TRY(result);
    e->sign_in_key = arena_str(&e->arena, pem);
    e->sign_in_key_id = es256_thumbprint(&e->arena, pem);
    e->sign_in_public_pem = es256_public_pem(&e->arena, pem);
    return ERR_OK;
}

struct str elbv2_public_key(const struct elbv2 *e, struct str key_id)
{
    return str_equal(key_id, e->sign_in_key_id) ? e->sign_in_public_pem : STR_NONE;
}

/* ---- client secrets -------------------------------------------------------------------------- */

/* A client of an IdP has one secret; it is sent to the token endpoint that it was given for, and to
 * no other. */
static struct str secret_key(struct op *op, struct str lb_arn,
                             const struct elbv2_authenticate_oidc_action_config *c)
{
    struct str who =
        arena_printf(&op->arena, "%.*s\n%.*s", STR_ARG(c->token_endpoint), STR_ARG(c->client_id));
    struct str hash = sha256_hex(&op->arena, who);
    return arena_printf(&op->arena, "%.*s\n%.*s", STR_ARG(lb_arn), STR_ARG(hash));
}

static struct str secret_purpose(struct op *op, struct str key)
{
    return arena_printf(&op->arena, SECRET_PURPOSE "%.*s", STR_ARG(key));
}

static enum err keep_secret(struct op *op, struct elbv2 *e, struct str lb_arn,
                            const struct elbv2_authenticate_oidc_action_config *c)
{
    struct str key = secret_key(op, lb_arn, c);
    if (c->client_secret.len > 0) {
        struct engine_elb_client_secret row = {
            .envelope = envelope_close(&op->arena, &e->options.key, secret_purpose(op, key),
                                       c->client_secret)};
        return store_put(op, e->store, &kind_secret, key, lb_arn, &row);
    }
    if (!OPT_OR(c->use_existing_client_secret, false)) {
        return bad_action(op, "A client secret must be specified, or UseExistingClientSecret for "
                              "the one that is already known");
    }
    if (!store_has(op, e->store, &kind_secret, key)) {
        return bad_action(op,
                          "There is no existing client secret for the client '%.*s' of this "
                          "token endpoint",
                          STR_ARG(c->client_id));
    }
    return ERR_OK;
}

enum err elbv2_remove_client_secrets(struct op *op, struct elbv2 *e, struct str lb_arn)
{
    struct store_items items = {0};
    TRY(store_list(op, e->store, &kind_secret, &(struct store_range){.parent = lb_arn}, &items));
    for (size_t i = 0; i < items.count; i++) {
        TRY(store_remove(op, e->store, &kind_secret, items.items[i].key));
    }
    return ERR_OK;
}

/* ---- what the API takes ---------------------------------------------------------------------- */

static bool is_printable(struct str text, char also)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((text.ptr[i] <= ' ' && text.ptr[i] != also) || text.ptr[i] >= 0x7f) {
            return false;
        }
    }
    return text.len > 0 && text.len <= TEXT_CHARS_MAX;
}

static enum err check_url(struct op *op, const char *what, struct str url)
{
    if (!str_starts_with(url, STR("https://")) || url.len == strlen("https://") ||
        !is_printable(url, '\0') || str_find_char(url, '#', 0) != STR_NOT_FOUND) {
        return bad_action(op,
                          "The %s '%.*s' must be a full URL, including the HTTPS protocol, the "
                          "domain, and the path",
                          what, STR_ARG(url));
    }
    return ERR_OK;
}

static bool is_cookie_name(struct str name)
{
    static const struct str separators = STR_INIT("()<>@,;:\\\"/[]?={}");
    for (size_t i = 0; i < name.len; i++) {
        if (memchr(separators.ptr, name.ptr[i], separators.len) != NULL) {
            return false;
        }
    }
    return is_printable(name, '\0') && name.len <= COOKIE_CHARS_MAX;
}

/* Those that the balancer sets itself cannot be given. */
static enum err check_params(
    struct op *op,
    const struct elbv2_authenticate_oidc_action_authentication_request_extra_params *params)
{
    static const struct str own[] = {STR_INIT("response_type"), STR_INIT("client_id"),
                                     STR_INIT("redirect_uri"), STR_INIT("scope"),
                                     STR_INIT("state")};
    if (params->count > PARAMS_MAX) {
        return bad_action(op, "Up to '%d' extra parameters can be specified", PARAMS_MAX);
    }
    size_t chars = 0;
    for (size_t i = 0; i < params->count; i++) {
        struct str key = params->items[i].key;
        bool is_own = false;
        chars += key.len + params->items[i].value.len;
        for (size_t k = 0; k < ARRAY_COUNT(own); k++) {
            is_own = is_own || str_equal(own[k], key);
        }
        if (is_own || key.len == 0 || chars > TEXT_CHARS_MAX) {
            return bad_action(op, "The extra parameter '%.*s' cannot be specified", STR_ARG(key));
        }
    }
    return ERR_OK;
}

static enum err check_parts(struct op *op, const struct elbv2_authenticate_oidc_action_config *c)
{
    TRY(check_url(op, "issuer", c->issuer));
    TRY(check_url(op, "authorization endpoint", c->authorization_endpoint));
    TRY(check_url(op, "token endpoint", c->token_endpoint));
    TRY(check_url(op, "user info endpoint", c->user_info_endpoint));
    if (!is_printable(c->client_id, ' ')) {
        return bad_action(op, "The client ID must have between '1' and '%d' printable characters",
                          TEXT_CHARS_MAX);
    }
    if (!is_printable(c->scope, ' ')) {
        return bad_action(op, "The scope '%.*s' is not valid", STR_ARG(c->scope));
    }
    if (!is_cookie_name(c->session_cookie_name)) {
        return bad_action(op, "The session cookie name '%.*s' is not valid",
                          STR_ARG(c->session_cookie_name));
    }
    int64_t seconds = OPT_OR(c->session_timeout, 0);
    if (seconds < 1 || seconds > SECONDS_MAX) {
        return bad_action(op, "The session timeout must be between '1' and '%d' seconds",
                          SECONDS_MAX);
    }
    return check_params(op, &c->authentication_request_extra_params);
}

static struct str or_else(struct str text, struct str otherwise)
{
    return text.len > 0 ? text : otherwise;
}

enum err elbv2_check_oidc(struct op *op, struct elbv2 *e, struct str lb_arn, bool needs_secret,
                          const struct elbv2_action *sent, struct elbv2_action *ret)
{
    struct elbv2_authenticate_oidc_action_config *c =
        ARENA_NEW(&op->arena, struct elbv2_authenticate_oidc_action_config);
    *c = *sent->authenticate_oidc_config;
    c->session_cookie_name = or_else(c->session_cookie_name, STR("AWSELBAuthSessionCookie"));
    c->scope = or_else(c->scope, STR("openid"));
    c->session_timeout = OPT_I64(OPT_OR(c->session_timeout, SECONDS_MAX));
    if (c->on_unauthenticated_request ==
        ELBV2_AUTHENTICATE_OIDC_ACTION_CONDITIONAL_BEHAVIOR_ENUM_UNSET) {
        c->on_unauthenticated_request =
            ELBV2_AUTHENTICATE_OIDC_ACTION_CONDITIONAL_BEHAVIOR_ENUM_AUTHENTICATE;
    }
    TRY(check_parts(op, c));
    if (needs_secret) {
        TRY(keep_secret(op, e, lb_arn, c));
    }
    c->client_secret = STR_NONE;
    c->use_existing_client_secret = (struct opt_bool){0};
    *ret = *sent;
    ret->authenticate_oidc_config = c;
    return ERR_OK;
}

void elbv2_snapshot_oidc(struct arena *a, const struct elbv2_authenticate_oidc_action_config *from,
                         struct lbconf_action *to)
{
    size_t count = from->authentication_request_extra_params.count;
    to->issuer = from->issuer;
    to->authorization_endpoint = from->authorization_endpoint;
    to->user_info_endpoint = from->user_info_endpoint;
    to->client_id = from->client_id;
    to->scope = from->scope;
    to->session_cookie_name = from->session_cookie_name;
    to->session_seconds = from->session_timeout;
    to->on_unauthenticated =
        str_of(shape_enum_name(&shape_elbv2_authenticate_oidc_action_conditional_behavior_enum,
                               (int)from->on_unauthenticated_request));
    to->extra_params =
        (struct lbconf_attributes){.items = ARENA_ARRAY(a, struct lbconf_attributes_entry, count),
                                   .count = count,
                                   .is_set = true};
    for (size_t i = 0; i < count; i++) {
        to->extra_params.items[i] = (struct lbconf_attributes_entry){
            .key = from->authentication_request_extra_params.items[i].key,
            .value = from->authentication_request_extra_params.items[i].value};
    }
}

/* ---- an exchange ----------------------------------------------------------------------------- */

struct sign_in {
    struct list node;
    struct elbv2 *e;
    struct arena arena;
    struct webcall *call; /* under way */
    mono_t began;
    int64_t id;
    struct str issuer;
    struct str client_id;
    struct str user_info_endpoint;
    struct str access_token;
    struct str subject; /* of the ID token */
};

void elbv2_sign_ins_init(struct elbv2 *e)
{
    list_init(&e->sign_ins);
}

static void free_sign_in(struct sign_in *s)
{
    list_remove(&s->node);
    s->e->sign_in_count--;
    webcall_cancel(s->call);
    arena_fini(&s->arena);
    mem_free(s);
}

void elbv2_sign_ins_fini(struct elbv2 *e)
{
    LIST_FOR (s, &e->sign_ins, struct sign_in, node) {
        free_sign_in(s);
    }
}

static void answer(struct elbv2 *e, const struct lbconf_sign_in_answer *message)
{
    if (e->options.host.signed_in != NULL) {
        e->options.host.signed_in(e->options.host.self, message);
    }
}

/* why: without anything of the user. */
static void fail(struct sign_in *s, int status, const char *why)
{
    struct lbconf_sign_in_answer message = {
        .id = OPT_I64(s->id),
        .status = OPT_I32(status),
        .took_us = OPT_I64(mono_since(clock_mono(), s->began).us),
    };
    log_warn("elbv2", "a user could not sign in at \"%.*s\": %s (%d)", STR_ARG(s->issuer), why,
             status);
    answer(s->e, &message);
    free_sign_in(s);
}

/* The answer of the IdP: 0, or what it means for the user. */
static int status_of(const struct webcall_answer *got, const char **ret_why)
{
    if (!got->has_come) {
        *ret_why = got->problem;
        return 500;
    }
    if (got->status >= 400 && got->status < 500) {
        *ret_why = "the identity provider answered with an error";
        return 561;
    }
    *ret_why = "the identity provider's answer does not have the status 200";
    return got->status == 200 ? 0 : 500;
}

/* Texts that can stand in a header line. */
static bool is_header_text(struct str text, size_t bytes_max)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f) {
            return false;
        }
    }
    return text.len > 0 && text.len <= bytes_max;
}

/* ---- user info ------------------------------------------------------------------------------- */

/* One object without "exp" and "iss", which the signed token has of its own. */
static bool read_claims(struct op *op, struct str body, struct buf *out, struct str *ret_subject)
{
    struct json_reader r;
    struct json_writer w;
    struct str key;
    json_reader_init(&r, &op->arena, body);
    json_writer_init(&w, out);
    json_begin_object(&w);
    (void)json_enter_object(&r);
    while (json_next_key(&r, &key)) {
        struct str raw = STR_NONE;
        if (STR_IS(key, "sub")) {
            (void)json_read_string(&r, ret_subject);
            json_key(&w, key);
            json_add_string(&w, *ret_subject);
        } else if (STR_IS(key, "exp") || STR_IS(key, "iss")) {
            (void)json_skip(&r);
        } else if (json_read_raw(&r, &raw)) {
            json_key(&w, key);
            json_add_raw(&w, raw);
        }
    }
    json_end_object(&w);
    return json_finish(&r, op) == ERR_OK;
}

static void tell_user(struct sign_in *s, struct str subject, struct str claims)
{
    struct lbconf_sign_in_answer message = {
        .id = OPT_I64(s->id),
        .status = OPT_I32(0),
        .access_token = s->access_token,
        .subject = subject,
        .claims = claims,
        .took_us = OPT_I64(mono_since(clock_mono(), s->began).us),
    };
    answer(s->e, &message);
    free_sign_in(s);
}

static void tell_too_large(struct sign_in *s)
{
    struct lbconf_sign_in_answer message = {
        .id = OPT_I64(s->id), .status = OPT_I32(401), .is_too_large = OPT_BOOL(true)};
    log_warn("elbv2", "the claims of a user of \"%.*s\" have more than %zu bytes",
             STR_ARG(s->issuer), CLAIMS_BYTES_MAX);
    answer(s->e, &message);
    free_sign_in(s);
}

static void on_user_info(void *self, const struct webcall_answer *got)
{
    struct sign_in *s = self;
    const char *why = NULL;
    struct str subject = STR_NONE;
    auto_op struct op op;
    auto_buf struct buf claims;
    s->call = NULL;
    op_init(&op);
    buf_init(&claims, 2 * WEBCALL_BODY_BYTES_MAX);
    int status = status_of(got, &why);
    if (status != 0) {
        fail(s, status, why);
    } else if (!read_claims(&op, got->body, &claims, &subject) || claims.is_overflown) {
        fail(s, 500, "the user info is no JSON object");
    } else if (!str_equal(subject, s->subject)) {
        fail(s, 500, "the user info is of another subject than the ID token");
    } else if (buf_str(&claims).len > CLAIMS_BYTES_MAX) {
        tell_too_large(s);
    } else {
        tell_user(s, subject, buf_str(&claims));
    }
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static bool read_audience(struct json_reader *r, struct str want)
{
    struct str one = STR_NONE;
    bool is_there = false;
    if (json_peek(r) == JSON_STRING) {
        return json_read_string(r, &one) && str_equal(one, want);
    }
    (void)json_enter_array(r);
    while (json_next_item(r)) {
        is_there |= json_read_string(r, &one) && str_equal(one, want);
    }
    return is_there;
}

/* NULL when it is this user's, for us, now; else what is wrong with it. */
static const char *check_id_token(struct op *op, struct sign_in *s, struct str token)
{
    struct str rest = token;
    struct str part = STR_NONE;
    struct str payload = STR_NONE;
    struct str key;
    struct str issuer = STR_NONE;
    struct str subject = STR_NONE;
    bool is_for_us = false;
    bool is_whole = false;
    int64_t until_s = 0;
    bool has_header = str_next(&rest, '.', &part);
    if (!has_header || !str_next(&rest, '.', &part) ||
        !base64url_decode(&op->arena, part, &payload)) {
        return "the ID token is no JSON Web Token";
    }
    struct json_reader r;
    json_reader_init(&r, &op->arena, payload);
    (void)json_enter_object(&r);
    while (json_next_key(&r, &key)) {
        if (STR_IS(key, "iss")) {
            (void)json_read_string(&r, &issuer);
        } else if (STR_IS(key, "sub")) {
            (void)json_read_string(&r, &subject);
        } else if (STR_IS(key, "aud")) {
            is_for_us = read_audience(&r, s->client_id);
        } else if (STR_IS(key, "exp")) {
            (void)json_read_i64(&r, &until_s, &is_whole);
        } else {
            (void)json_skip(&r);
        }
    }
    if (json_finish(&r, op) != ERR_OK) {
        return "the ID token's claims are no JSON";
    }
    if (!str_equal(issuer, s->issuer) || !is_for_us) {
        return "the ID token is of another issuer, or for another client";
    }
    if (!is_whole || until_s <= clock_wall().us / 1000000) {
        return "the ID token is over";
    }
    s->subject = arena_str(&s->arena, subject);
    return is_header_text(subject, SUBJECT_BYTES_MAX) ? NULL : "the ID token's subject is unusable";
}

static bool read_tokens(struct op *op, struct str body, struct str *ret_access, struct str *ret_id)
{
    struct json_reader r;
    struct str key;
    json_reader_init(&r, &op->arena, body);
    (void)json_enter_object(&r);
    while (json_next_key(&r, &key)) {
        if (STR_IS(key, "access_token")) {
            (void)json_read_string(&r, ret_access);
        } else if (STR_IS(key, "id_token")) {
            (void)json_read_string(&r, ret_id);
        } else {
            (void)json_skip(&r);
        }
    }
    return json_finish(&r, op) == ERR_OK;
}

static void on_tokens(void *self, const struct webcall_answer *got)
{
    struct sign_in *s = self;
    const char *why = NULL;
    struct str access = STR_NONE;
    struct str id = STR_NONE;
    auto_op struct op op;
    s->call = NULL;
    op_init(&op);
    int status = status_of(got, &why);
    if (status != 0) {
        fail(s, status, why);
        return;
    }
    if (!read_tokens(&op, got->body, &access, &id) || !is_header_text(access, TOKEN_BYTES_MAX)) {
        fail(s, 500, "the token endpoint's answer has no access token that can be used");
        return;
    }
    if (id.len == 0) {
        fail(s, 401, "there is no ID token; does the scope have \"openid\"?");
        return;
    }
    why = check_id_token(&op, s, id);
    if (why != NULL) {
        fail(s, 500, why);
        return;
    }
    s->access_token = arena_str(&s->arena, access);
    struct webcall_request request = {.method = "GET",
                                      .url = s->user_info_endpoint,
                                      .bearer = s->access_token,
                                      .timeout = TIMEOUT};
    s->call = webcall_start(s->e->options.web, &request, on_user_info, s);
}

/* ---- the beginning --------------------------------------------------------------------------- */

static enum err find_actions(struct op *op, struct elbv2 *e, struct str arn,
                             struct elbv2_listener *listener, struct elbv2_actions *ret)
{
    struct elbv2_rule rule = {0};
    struct str listener_arn = arn;
    if (elbv2_read_arn(op, arn).resource == ELBV2_RULE) {
        TRY(elbv2_get_rule(op, e, arn, &rule));
        listener_arn = elbv2_listener_arn_of(op, arn);
    }
    TRY(elbv2_get_listener(op, e, listener_arn, listener));
    bool is_own = str_is_set(rule.rule_arn) && !OPT_OR(rule.is_default, false);
    *ret = is_own ? rule.actions : listener->default_actions;
    return ERR_OK;
}

static enum err find_config(struct op *op, struct elbv2 *e, struct str arn,
                            const struct elbv2_authenticate_oidc_action_config **ret_config,
                            struct str *ret_secret)
{
    struct elbv2_listener listener = {0};
    struct elbv2_actions actions = {0};
    struct engine_elb_client_secret row = {0};
    const struct elbv2_authenticate_oidc_action_config *c = NULL;
    TRY(find_actions(op, e, arn, &listener, &actions));
    for (size_t i = 0; i < actions.count && c == NULL; i++) {
        c = actions.items[i].authenticate_oidc_config;
    }
    if (c == NULL) {
        return op_fail(op, ERR_NOT_FOUND, "the rule has no authenticate-oidc action any more");
    }
    struct str key = secret_key(op, listener.load_balancer_arn, c);
    TRY(store_get(op, e->store, &kind_secret, key, &row));
    if (!envelope_open(&op->arena, &e->options.key, secret_purpose(op, key), row.envelope,
                       ret_secret)) {
        return op_fail(op, ERR_INPUT, "the client secret was sealed with another key");
    }
    *ret_config = c;
    return ERR_OK;
}

static void begin(struct elbv2 *e, const struct lbconf_sign_in_question *message,
                  const struct elbv2_authenticate_oidc_action_config *c, struct str secret)
{
    struct sign_in *s = MEM_NEW(struct sign_in);
    auto_buf struct buf form;
    arena_init(&s->arena);
    s->e = e;
    s->id = OPT_OR(message->id, 0);
    s->began = clock_mono();
    s->issuer = arena_str(&s->arena, c->issuer);
    s->client_id = arena_str(&s->arena, c->client_id);
    s->user_info_endpoint = arena_str(&s->arena, c->user_info_endpoint);
    list_add_tail(&e->sign_ins, &s->node);
    e->sign_in_count++;
    buf_init(&form, FORM_BYTES_MAX);
    url_form_add(&form, STR("grant_type"), STR("authorization_code"));
    url_form_add(&form, STR("code"), message->code);
    url_form_add(&form, STR("redirect_uri"), message->redirect_uri);
    url_form_add(&form, STR("client_id"), c->client_id);
    url_form_add(&form, STR("client_secret"), secret);
    if (form.is_overflown || e->options.web == NULL) {
        fail(s, 500, "the question to the token endpoint would be too large");
        return;
    }
    struct webcall_request request = {
        .method = "POST",
        .url = c->token_endpoint,
        .content_type = STR("application/x-www-form-urlencoded"),
        .body = buf_str(&form),
        .timeout = TIMEOUT,
    };
    s->call = webcall_start(e->options.web, &request, on_tokens, s);
    cert_clear(buf_str(&form));
}

void elbv2_heard_sign_in(struct elbv2 *e, const struct lbconf_sign_in_question *message)
{
    const struct elbv2_authenticate_oidc_action_config *c = NULL;
    struct str secret = STR_NONE;
    struct lbconf_sign_in_answer failed = {.id = message->id, .status = OPT_I32(500)};
    auto_op struct op op;
    elbv2_begin_op(e, message->rule, &op);
    if (e->sign_in_count >= SIGN_INS_MAX) {
        log_warn("elbv2", "more than %d users sign in at once", SIGN_INS_MAX);
        answer(e, &failed);
        return;
    }
    if (find_config(&op, e, message->rule, &c, &secret) != ERR_OK) {
        log_error("elbv2", "a user cannot sign in for \"%.*s\": %s", STR_ARG(message->rule),
                  op.note.text);
        answer(e, &failed);
        return;
    }
    begin(e, message, c, secret);
    cert_clear(secret);
}
