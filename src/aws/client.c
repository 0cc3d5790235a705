#include "aws/client.h"

#include "aws/credentials.h"
#include "aws/endpoint.h"
#include "aws/retry.h"
#include "aws/sigv4.h"
#include "aws/wire.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/rand.h"
#include "gen/sts.h"
#include "shape/walk.h"

#include <time.h>

#define PAUSE_STEP_MS    50 /* between looks at is_cancelled */
#define RENEW_BEFORE_S   300
#define USER_AGENT       "hitless/0.1"
#define CALL_HEADERS_MAX (AWS_WIRE_HEADERS_MAX + 4)

/* Credentials that outlive the op in which they were found. */
struct held_keys {
    bool is_set;
    char *secret_memory; /* the three texts, wiped when replaced */
    size_t secret_bytes;
    struct aws_credentials credentials;
};

struct aws_client {
    struct arena arena; /* settings and options */
    struct aws_client_options options;
    struct aws_settings settings;
    struct str profile;
    struct str region;
    bool is_profile_given;
    bool is_profile_asked;
    unsigned attempts_max;
    struct aws_http *http;
    struct held_keys keys;
    struct sigv4_cache cache;
    dur_t skew; /* the server's clock is so much ahead of ours */
    int retry_quota;
    char error_code[AWS_ERROR_CODE_BYTES];
    char request_id[AWS_ERROR_CODE_BYTES];

    struct aws_client *parent; /* whose credentials assume our role; NULL: none */
    struct str role_arn;
    struct str role_session_name;
    struct str role_external_id;
};

/* ---- opening -------------------------------------------------------------------------------- */

static struct str first_set(struct str a, struct str b)
{
    return a.len > 0 ? a : b;
}

static enum err read_attempts(struct op *op, struct aws_client *c)
{
    uint64_t attempts = c->options.attempts_max;
    struct str given = aws_env_find(c->options.env, "AWS_MAX_ATTEMPTS");
    given = str_is_set(given) ? given : aws_settings_find(&c->settings, c->profile, "max_attempts");
    if (attempts == 0 && str_is_set(given) &&
        (!str_parse_u64(given, AWS_ATTEMPTS_MAX, &attempts) || attempts == 0)) {
        return op_fail(op, ERR_INPUT, "max attempts \"%.*s\" is no number from 1 to %d",
                       STR_ARG(given), AWS_ATTEMPTS_MAX);
    }
    c->attempts_max = attempts == 0 ? AWS_ATTEMPTS_DEFAULT : (unsigned)attempts;
    return ERR_OK;
}

static enum err configure(struct op *op, struct aws_client *c)
{
    const struct aws_env *env = c->options.env;
    TRY(aws_settings_load(op, &c->arena, env, &c->settings));
    struct str from_env =
        first_set(aws_env_find(env, "AWS_PROFILE"), aws_env_find(env, "AWS_DEFAULT_PROFILE"));
    c->is_profile_asked = c->options.profile.len > 0;
    c->is_profile_given = c->is_profile_asked || from_env.len > 0;
    c->profile =
        arena_str(&c->arena, first_set(first_set(c->options.profile, from_env), STR("default")));
    c->region =
        first_set(c->options.region,
                  first_set(aws_env_find(env, "AWS_REGION"),
                            first_set(aws_env_find(env, "AWS_DEFAULT_REGION"),
                                      aws_settings_find(&c->settings, c->profile, "region"))));
    c->region = arena_str(&c->arena, c->region);
    if (c->region.len == 0) {
        return op_fail(op, ERR_INPUT,
                       "no AWS region: name one, or set AWS_REGION, or \"region\" of profile "
                       "\"%.*s\" in ~/.aws/config",
                       STR_ARG(c->profile));
    }
    TRY(read_attempts(op, c));
    struct str ca_file = first_set(aws_env_find(env, "AWS_CA_BUNDLE"),
                                   aws_settings_find(&c->settings, c->profile, "ca_bundle"));
    return aws_http_open(op, ca_file, &c->http);
}

static void keep_options(struct aws_client *c, const struct aws_client_options *from)
{
    struct aws_client_options *o = &c->options;
    *o = *from;
    struct str *texts[] = {&o->profile,       &o->region,        &o->endpoint,
                           &o->access_key_id, &o->session_token, &o->secret_access_key};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        *texts[i] = texts[i]->len == 0 ? STR_NONE : arena_str(&c->arena, *texts[i]);
    }
    o->env = o->env == NULL ? &aws_process_env : o->env;
    o->connect_timeout =
        o->connect_timeout.us == 0 ? DUR_MS(AWS_CONNECT_MS_DEFAULT) : o->connect_timeout;
    o->answer_timeout =
        o->answer_timeout.us == 0 ? DUR_MS(AWS_ANSWER_MS_DEFAULT) : o->answer_timeout;
}

enum err aws_client_open(struct op *op, const struct aws_client_options *options,
                         struct aws_client **ret_client)
{
    struct aws_client *c = MEM_NEW(struct aws_client);
    arena_init(&c->arena);
    c->retry_quota = AWS_RETRY_QUOTA;
    keep_options(c, options);
    enum err e = configure(op, c);
    if (e != ERR_OK) {
        aws_client_close(c);
        return e;
    }
    *ret_client = c;
    return ERR_OK;
}

static void drop_keys(struct held_keys *keys)
{
    if (keys->secret_memory != NULL) {
        mem_wipe(keys->secret_memory, keys->secret_bytes);
        mem_free(keys->secret_memory);
    }
    *keys = (struct held_keys){0};
}

void aws_client_close(struct aws_client *client)
{
    if (client != NULL) {
        drop_keys(&client->keys);
        sigv4_cache_wipe(&client->cache);
        aws_http_close(client->http);
        arena_fini(&client->arena);
        mem_free(client);
    }
}

struct str aws_client_region(const struct aws_client *client)
{
    return client->region;
}

struct str aws_client_error_code(const struct aws_client *client)
{
    return str_of(client->error_code);
}

struct str aws_client_request_id(const struct aws_client *client)
{
    return str_of(client->request_id);
}

static enum err find_endpoint(struct op *op, struct aws_client *c,
                              const struct shape_service *service, struct aws_endpoint *ret)
{
    return aws_endpoint_find(op, service, c->region, c->options.endpoint, c->options.env,
                             &c->settings, c->profile, ret);
}

enum err aws_client_endpoint(struct op *op, struct aws_client *client,
                             const struct shape_service *service, struct str *ret_url)
{
    struct aws_endpoint e;
    TRY(find_endpoint(op, client, service, &e));
    *ret_url = e.url;
    return ERR_OK;
}

/* ---- keys ----------------------------------------------------------------------------------- */

static bool is_header_text(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((uint8_t)s.ptr[i] < 0x20 || (uint8_t)s.ptr[i] >= 0x7F) {
            return false;
        }
    }
    return true;
}

/* Copies them to memory that is wiped afterwards. */
static enum err hold_keys(struct op *op, struct held_keys *keys, const struct aws_credentials *from)
{
    if (from->access_key_id.len > AWS_SECRET_BYTES_MAX ||
        from->secret_access_key.len > AWS_SECRET_BYTES_MAX ||
        from->session_token.len > AWS_TOKEN_BYTES_MAX || !is_header_text(from->access_key_id) ||
        !is_header_text(from->session_token)) {
        return op_fail(op, ERR_INPUT, "the credentials of %s are too long or have odd characters",
                       from->source);
    }
    drop_keys(keys);
    keys->secret_bytes = from->secret_access_key.len + from->session_token.len;
    keys->secret_bytes += from->access_key_id.len;
    keys->secret_memory = mem_alloc(keys->secret_bytes + 1);
    keys->credentials = *from;
    struct str *texts[] = {&keys->credentials.access_key_id, &keys->credentials.secret_access_key,
                           &keys->credentials.session_token};
    char *to = keys->secret_memory;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        if (texts[i]->len > 0) {
            memcpy(to, texts[i]->ptr, texts[i]->len);
            texts[i]->ptr = to;
            to += texts[i]->len;
        }
    }
    keys->is_set = true;
    return ERR_OK;
}

static enum err call_with(struct op *op, struct aws_client *c, const struct aws_credentials *with,
                          const struct shape_service *service,
                          const struct shape_operation *operation, const void *in, void *ret);

static enum err call_sts(void *self, struct op *op, const struct aws_credentials *with,
                         const struct shape_operation *operation, const void *in, void *ret)
{
    return call_with(op, self, with, &sts_service, operation, in, ret);
}

static enum err find_keys(struct op *op, struct aws_client *c, struct aws_credentials *ret)
{
    const struct aws_client_options *o = &c->options;
    if (o->access_key_id.len > 0 && o->secret_access_key.len > 0) {
        *ret = (struct aws_credentials){.access_key_id = o->access_key_id,
                                        .secret_access_key = o->secret_access_key,
                                        .session_token = o->session_token,
                                        .source = "the options"};
        return ERR_OK;
    }
    const struct aws_credential_chain chain = {.env = o->env,
                                               .settings = &c->settings,
                                               .profile = c->profile,
                                               .is_profile_given = c->is_profile_given,
                                               .is_profile_asked = c->is_profile_asked,
                                               .http = c->http,
                                               .self = c,
                                               .call_sts = call_sts};
    return aws_credentials_find(op, &chain, ret);
}

/* By the keys of the parent, which are renewed there. A client with a parent is made by
 * aws_client_assume from one that lives longer, so the chain is finite. */
/* NOLINTNEXTLINE(misc-no-recursion): see above */
static enum err assume_own_role(struct op *op, struct aws_client *c, struct aws_credentials *ret)
{
    struct sts_assume_role_in in = {.role_arn = c->role_arn,
                                    .role_session_name = c->role_session_name,
                                    .external_id = c->role_external_id,
                                    .duration_seconds = OPT_I32(AWS_ROLE_SESSION_S)};
    struct sts_assume_role_out out;
    TRY(aws_call(op, c->parent, &sts_service, &sts_op_assume_role, &in, &out));
    if (out.credentials == NULL || out.credentials->secret_access_key.len == 0) {
        return op_fail(op, ERR_PROTOCOL, "sts answered without credentials");
    }
    *ret = (struct aws_credentials){.access_key_id = out.credentials->access_key_id,
                                    .secret_access_key = out.credentials->secret_access_key,
                                    .session_token = out.credentials->session_token,
                                    .expires = out.credentials->expiration,
                                    .source = "an assumed role"};
    return ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): see assume_own_role */
static enum err ensure_keys(struct op *op, struct aws_client *c)
{
    const struct opt_time *expires = &c->keys.credentials.expires;
    bool is_old = c->keys.is_set && expires->is_set &&
                  wall_since(expires->value, clock_wall()).us < DUR_S(RENEW_BEFORE_S).us;
    if (c->keys.is_set && !is_old) {
        return ERR_OK;
    }
    struct aws_credentials found = {0};
    TRY(c->parent != NULL ? assume_own_role(op, c, &found) : find_keys(op, c, &found));
    return hold_keys(op, &c->keys, &found);
}

enum err aws_client_assume(struct op *op, struct aws_client *client, struct str role_arn,
                           struct str session_name, struct str external_id,
                           struct aws_client **ret_client)
{
    struct aws_client_options options = client->options;
    options.region = client->region;
    struct aws_client *c;
    TRY(aws_client_open(op, &options, &c));
    c->parent = client;
    c->role_arn = arena_str(&c->arena, role_arn);
    c->role_session_name = arena_str(&c->arena, first_set(session_name, STR("hitless")));
    c->role_external_id = arena_str(&c->arena, external_id);
    *ret_client = c;
    return ERR_OK;
}

/* ---- one attempt ---------------------------------------------------------------------------- */

struct attempt {
    struct aws_http_answer answer;
    struct aws_wire_error error;
    enum err err; /* of the network */
    bool may_have_arrived;
};

static void send_once(struct op *op, struct aws_client *c, const struct aws_credentials *with,
                      const struct shape_service *service, const struct aws_endpoint *endpoint,
                      const struct aws_wire_request *wire, struct attempt *ret)
{
    struct aws_header headers[CALL_HEADERS_MAX];
    size_t count = wire->header_count;
    wall_t now = wall_add(clock_wall(), c->skew);
    struct str amz_date = wall_basic(&op->arena, now);
    memcpy(headers, wire->headers, count * sizeof(headers[0]));
    headers[count++] = (struct aws_header){STR("X-Amz-Date"), amz_date};
    if (with != NULL && with->session_token.len > 0) {
        headers[count++] = (struct aws_header){STR("X-Amz-Security-Token"), with->session_token};
    }
    if (with != NULL) {
        struct sigv4_scope scope = {.date = wall_basic_date(&op->arena, now),
                                    .region = endpoint->signing_region,
                                    .service = str_of(service->signing_name)};
        struct aws_request request = {.method = STR("POST"),
                                      .path = wire->path,
                                      .query = STR(""),
                                      .headers = headers,
                                      .header_count = count,
                                      .body = wire->body};
        headers[count++] = (struct aws_header){
            STR("Authorization"),
            sigv4_authorization(&op->arena, &c->cache, &request, with->access_key_id,
                                with->secret_access_key, &scope, amz_date)};
    }
    headers[count++] = (struct aws_header){STR("User-Agent"), STR(USER_AGENT)};
    const struct aws_http_request http = {
        .method = STR("POST"),
        .url = wire->path.len > 1 ? arena_printf(&op->arena, "%.*s/", STR_ARG(endpoint->url))
                                  : endpoint->url,
        .headers = headers,
        .header_count = count,
        .body = wire->body,
        .connect_timeout = c->options.connect_timeout,
        .answer_timeout = c->options.answer_timeout,
        .has_no_proxy = endpoint->is_loopback};
    ret->err = aws_http_do(op, c->http, &http, &ret->answer, &ret->may_have_arrived);
    if (ret->err == ERR_OK && ret->answer.status / 100 != 2) {
        aws_wire_decode_error(op, service, &ret->answer, &ret->error);
    }
}

/* ---- trying again --------------------------------------------------------------------------- */

static bool is_cancelled(const struct aws_client *c)
{
    return c->options.is_cancelled != NULL && c->options.is_cancelled(c->options.cancel_self);
}

static enum err cancelled(struct op *op, const struct shape_operation *operation)
{
    return op_fail(op, ERR_CANCELLED, "%s was stopped", operation->name);
}

static void pause_for(const struct aws_client *c, dur_t span)
{
    mono_t began = clock_mono();
    while (!is_cancelled(c)) {
        int64_t left_ms = dur_ms(span) - dur_ms(mono_since(clock_mono(), began));
        if (left_ms <= 0) {
            return;
        }
        int64_t step_ms = left_ms < PAUSE_STEP_MS ? left_ms : PAUSE_STEP_MS;
        struct timespec t = {.tv_nsec = (long)(step_ms * 1000000)};
        (void)nanosleep(&t, NULL); /* woken early: the loop looks at the clock */
    }
}

/* Signs by the server's clock from now on. False when that would change nothing. */
static bool learn_skew(struct aws_client *c, const struct aws_http_answer *answer)
{
    wall_t theirs;
    if (!aws_http_date(aws_answer_header(answer, STR("Date")), &theirs)) {
        return false;
    }
    dur_t skew = wall_since(theirs, clock_wall());
    int64_t change_us = skew.us - c->skew.us;
    c->skew = skew;
    return change_us > DUR_S(60).us || change_us < -DUR_S(60).us;
}

static enum aws_retry judge(struct aws_client *c, const struct shape_operation *operation,
                            const struct attempt *a)
{
    bool is_repeatable = aws_retry_is_repeatable(operation);
    if (a->err != ERR_OK) {
        bool may_help = a->err == ERR_NET || a->err == ERR_TIMEOUT;
        return may_help && (is_repeatable || !a->may_have_arrived) ? AWS_RETRY_TRANSIENT
                                                                   : AWS_RETRY_NO;
    }
    enum aws_retry r = aws_retry_of_answer(a->answer.status, a->error.code, a->error.message);
    bool was_refused = a->answer.status == 503; /* overload: not carried out */
    if (r == AWS_RETRY_TRANSIENT && !is_repeatable && !was_refused) {
        return AWS_RETRY_NO;
    }
    if (r == AWS_RETRY_CLOCK && !learn_skew(c, &a->answer)) {
        return AWS_RETRY_NO;
    }
    return r;
}

static bool pay(struct aws_client *c, const struct attempt *a)
{
    int cost = a->err == ERR_TIMEOUT ? AWS_RETRY_COST_SLOW : AWS_RETRY_COST;
    if (c->retry_quota < cost) {
        return false;
    }
    c->retry_quota -= cost;
    return true;
}

static double random_fraction(void)
{
    return (double)(rand_u64() >> 11) / 9007199254740992.0;
}

static void remember(struct aws_client *c, const struct attempt *a)
{
    bool has_error = a->err == ERR_OK;
    struct str code = has_error ? a->error.code : STR("");
    struct str id = has_error ? a->error.request_id : STR("");
    (void)str_to_c(str_slice(code, 0, sizeof(c->error_code) - 1), c->error_code,
                   sizeof(c->error_code));
    (void)str_to_c(str_slice(id, 0, sizeof(c->request_id) - 1), c->request_id,
                   sizeof(c->request_id));
}

static enum err explain(struct op *op, const struct shape_service *service,
                        const struct shape_operation *operation, const struct attempt *a)
{
    if (a->err == ERR_OK) {
        return aws_wire_fail(op, service, operation, a->answer.status, &a->error);
    }
    bool is_open = a->may_have_arrived && !aws_retry_is_repeatable(operation);
    op_note_prefix(op, "%s %s%s: ", service->name, operation->name,
                   is_open ? " (which may have been carried out)" : "");
    return a->err;
}

/* NOLINTNEXTLINE(misc-no-recursion): keys for STS calls are given, not looked for */
static enum err call_with(struct op *op, struct aws_client *c, const struct aws_credentials *with,
                          const struct shape_service *service,
                          const struct shape_operation *operation, const void *in, void *ret)
{
    struct aws_endpoint endpoint;
    struct aws_wire_request wire;
    TRY(find_endpoint(op, c, service, &endpoint));
    TRY(aws_wire_encode(op, service, operation, &endpoint, in, &wire));
    for (unsigned attempt = 1;; attempt++) {
        struct attempt a = {0};
        if (is_cancelled(c)) {
            return cancelled(op, operation);
        }
        send_once(op, c, with, service, &endpoint, &wire, &a);
        remember(c, &a);
        if (a.err == ERR_OK && a.answer.status / 100 == 2) {
            int refunded = c->retry_quota + AWS_RETRY_REFUND;
            c->retry_quota = refunded < AWS_RETRY_QUOTA ? refunded : AWS_RETRY_QUOTA;
            return aws_wire_decode(op, service, operation, &a.answer, ret);
        }
        enum aws_retry retry = judge(c, operation, &a);
        if (retry == AWS_RETRY_NO || attempt >= c->attempts_max || !pay(c, &a)) {
            return explain(op, service, operation, &a);
        }
        log_debug("aws", "%s %s: attempt %u failed (%d %.*s), trying again", service->name,
                  operation->name, attempt, a.answer.status, STR_ARG(a.error.code));
        op_note_clear(op);
        if (retry != AWS_RETRY_CLOCK) {
            pause_for(c, aws_retry_pause(attempt, random_fraction()));
        }
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): see assume_own_role */
enum err aws_call(struct op *op, struct aws_client *client, const struct shape_service *service,
                  const struct shape_operation *operation, const void *in, void *ret)
{
    if (operation == &sts_op_assume_role_with_web_identity) {
        return call_with(op, client, NULL, service, operation, in, ret);
    }
    TRY(ensure_keys(op, client));
    return call_with(op, client, &client->keys.credentials, service, operation, in, ret);
}

/* ---- pages ---------------------------------------------------------------------------------- */

static const struct shape_member *token_member(const struct shape *shape)
{
    static const struct str names[] = {STR_INIT("nextToken"), STR_INIT("NextToken"),
                                       STR_INIT("NextMarker"), STR_INIT("Marker"),
                                       STR_INIT("nextForwardToken")};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        const struct shape_member *m = shape_member_find(shape, names[i]);
        if (m != NULL && m->shape->type == SHAPE_STRING) {
            return m;
        }
    }
    return NULL;
}

enum err aws_call_page(struct op *op, struct aws_client *client,
                       const struct shape_service *service, const struct shape_operation *operation,
                       void *in, void *ret, bool *ret_has_more)
{
    const struct shape_member *from = token_member(operation->out);
    const struct shape_member *to = token_member(operation->in);
    CHECK(from != NULL && to != NULL);
    TRY(aws_call(op, client, service, operation, in, ret));
    struct str next;
    struct str before;
    memcpy(&next, (const char *)ret + from->offset, sizeof(next));
    memcpy(&before, (const char *)in + to->offset, sizeof(before));
    if (next.len > 0 && str_equal(next, before)) {
        return op_fail(op, ERR_PROTOCOL, "%s %s gave the same page token twice", service->name,
                       operation->name);
    }
    next = next.len > 0 ? next : STR_NONE;
    memcpy((char *)in + to->offset, &next, sizeof(next));
    *ret_has_more = str_is_set(next);
    return ERR_OK;
}
