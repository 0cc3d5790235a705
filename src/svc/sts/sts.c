#include "svc/sts/sts.h"

#include "codec/base64.h"
#include "codec/json.h"
#include "crypt/hash.h"
#include "svc/common/arn.h"
#include "svc/common/ids.h"
#include "svc/sts/session.h"

#define ROLE_DURATION_S    3600
#define SESSION_DURATION_S 43200
#define ROLE_ID_CHARS      17 /* behind "AROA" */

static const struct err_public validation_error = {.code = "ValidationError", .http_status = 400};
static const struct err_public access_denied = {.code = "AccessDenied", .http_status = 403};

/* A caller that was not authenticated (test mode) is the account itself, as its root would be. */
static enum err get_caller_identity(struct op *op, struct sts *sts,
                                    const struct sts_get_caller_identity_in *in,
                                    struct sts_get_caller_identity_out *ret)
{
    (void)sts;
    (void)in;
    ret->account = op->account;
    ret->arn =
        op->caller_arn.len > 0 ? op->caller_arn : arn_make_global(op, STR("iam"), STR("root"));
    ret->user_id = op->caller_id.len > 0 ? op->caller_id : op->account;
    return ERR_OK;
}

/* ---- roles ---------------------------------------------------------------------------------- */

struct role {
    struct str name;
    struct str id; /* "AROA..." */
};

/* The same role has the same id every time: nothing is kept of it. */
static struct str role_id(struct op *op, struct str name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    struct sha256 hash = sha256_of(name);
    char text[ROLE_ID_CHARS];
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = letters[hash.bytes[i] % 32];
    }
    return arena_printf(&op->arena, "AROA%.*s", ROLE_ID_CHARS, text);
}

static enum err find_role(struct op *op, struct str role_arn, const char *action, struct role *ret)
{
    struct arn arn;
    struct str path = STR_NONE;
    if (!arn_parse(role_arn, &arn) || !str_equal(arn.service, STR("iam")) || arn.region.len > 0 ||
        !arn_tail(&arn, STR("role/"), &path)) {
        return op_fail_as(op, ERR_INPUT, &validation_error, "%.*s is invalid", STR_ARG(role_arn));
    }
    if (!str_equal(arn.account, op->account)) {
        return op_fail_as(op, ERR_DENIED, &access_denied,
                          "User: %.*s is not authorized to perform: sts:%s on resource: %.*s",
                          STR_ARG(op->caller_arn), action, STR_ARG(role_arn));
    }
    size_t slash = str_find_last_char(path, '/');
    ret->name = slash == STR_NOT_FOUND ? path : str_from(path, slash + 1);
    ret->id = role_id(op, path);
    return ERR_OK;
}

static enum err check_session_name(struct op *op, struct str name)
{
    if (name_is(name, 2, 64, STR("_+=,.@-"))) {
        return ERR_OK;
    }
    return op_fail_as(op, ERR_INPUT, &validation_error,
                      "1 validation error detected: Value '%.*s' at 'roleSessionName' failed to "
                      "satisfy constraint: Member must satisfy regular expression pattern: "
                      "[\\w+=,.@-]*",
                      STR_ARG(name));
}

static struct sts_credentials *make_credentials(struct op *op, const struct sts *sts,
                                                struct sts_session *session)
{
    struct sts_credentials *made = ARENA_NEW(&op->arena, struct sts_credentials);
    made->session_token = sts_session_make(op, &sts->key, session);
    made->access_key_id = session->access_key_id;
    made->secret_access_key = session->secret_access_key;
    made->expiration = OPT_TIME(session->expires_at);
    return made;
}

static wall_t expiry(const struct op *op, struct opt_i32 duration_s, int32_t default_s)
{
    return wall_add(op->now, DUR_S(OPT_OR(duration_s, default_s)));
}

/* What both ways to a role end with. */
static struct sts_credentials *assume(struct op *op, const struct sts *sts, const struct role *role,
                                      struct str session_name, struct opt_i32 duration_s,
                                      struct sts_assumed_role_user **ret_user)
{
    struct str resource = arena_printf(&op->arena, "assumed-role/%.*s/%.*s", STR_ARG(role->name),
                                       STR_ARG(session_name));
    struct sts_session session = {
        .caller_arn = arn_make_global(op, STR("sts"), resource),
        .caller_id =
            arena_printf(&op->arena, "%.*s:%.*s", STR_ARG(role->id), STR_ARG(session_name)),
        .expires_at = expiry(op, duration_s, ROLE_DURATION_S),
    };
    struct sts_credentials *made = make_credentials(op, sts, &session);
    *ret_user = ARENA_NEW(&op->arena, struct sts_assumed_role_user);
    (*ret_user)->arn = session.caller_arn;
    (*ret_user)->assumed_role_id = session.caller_id;
    return made;
}

static enum err assume_role(struct op *op, struct sts *sts, const struct sts_assume_role_in *in,
                            struct sts_assume_role_out *ret)
{
    struct role role = {0};
    TRY(check_session_name(op, in->role_session_name));
    TRY(find_role(op, in->role_arn, "AssumeRole", &role));
    ret->credentials = assume(op, sts, &role, in->role_session_name, in->duration_seconds,
                              &ret->assumed_role_user);
    ret->source_identity = in->source_identity;
    return ERR_OK;
}

static enum err get_session_token(struct op *op, struct sts *sts,
                                  const struct sts_get_session_token_in *in,
                                  struct sts_get_session_token_out *ret)
{
    struct sts_session session = {
        .caller_arn = op->caller_arn,
        .caller_id = op->caller_id,
        .expires_at = expiry(op, in->duration_seconds, SESSION_DURATION_S),
    };
    ret->credentials = make_credentials(op, sts, &session);
    return ERR_OK;
}

/* ---- identity tokens ------------------------------------------------------------------------ */

struct claims {
    struct str issuer;
    struct str subject;
    struct str audience;
    double expires_s;
};

static void read_audience(struct json_reader *r, struct claims *to)
{
    if (json_peek(r) != JSON_ARRAY) {
        (void)json_read_string(r, &to->audience); /* a mistake sticks in the reader */
        return;
    }
    (void)json_enter_array(r);
    while (json_next_item(r)) {
        (void)json_read_string(r, &to->audience);
    }
}

/* The claims of header.claims.signature. The signature is not looked at. */
static bool read_claims(struct op *op, struct str token, struct claims *ret)
{
    struct str header = STR_NONE;
    struct str rest = STR_NONE;
    struct str middle = STR_NONE;
    struct str signature = STR_NONE;
    struct str text = STR_NONE;
    if (!str_cut(token, '.', &header, &rest) || !str_cut(rest, '.', &middle, &signature) ||
        header.len == 0 || signature.len == 0 || !base64url_decode(&op->arena, middle, &text)) {
        return false;
    }
    struct json_reader r;
    struct claims c = {0};
    struct str name;
    json_reader_init(&r, &op->arena, text);
    (void)json_enter_object(&r); /* a mistake sticks in the reader */
    while (json_next_key(&r, &name)) {
        if (STR_IS(name, "iss")) {
            (void)json_read_string(&r, &c.issuer);
        } else if (STR_IS(name, "sub")) {
            (void)json_read_string(&r, &c.subject);
        } else if (STR_IS(name, "aud")) {
            read_audience(&r, &c);
        } else if (STR_IS(name, "exp")) {
            (void)json_read_f64(&r, &c.expires_s);
        } else {
            (void)json_skip(&r);
        }
    }
    if (json_finish(&r, op) != ERR_OK) {
        op_note_clear(op);
        return false;
    }
    *ret = c;
    return c.issuer.len > 0 && c.subject.len > 0 && c.audience.len > 0;
}

/* The account has no identity providers (the engine has no IAM), so that nobody's token is trusted:
 * only test mode, which takes any credentials anyhow, takes a token. */
static enum err assume_role_with_web_identity(struct op *op, struct sts *sts,
                                              const struct sts_assume_role_with_web_identity_in *in,
                                              struct sts_assume_role_with_web_identity_out *ret)
{
    struct claims claims;
    struct role role = {0};
    TRY(check_session_name(op, in->role_session_name));
    TRY(find_role(op, in->role_arn, "AssumeRoleWithWebIdentity", &role));
    if (!read_claims(op, in->web_identity_token, &claims)) {
        return op_fail_as(op, ERR_INPUT, &sts_error_invalid_identity_token_exception,
                          "The ID Token provided is not a valid JWT. (You may see this error if "
                          "you sent an Access Token)");
    }
    if (!sts->is_test_mode) {
        return op_fail_as(op, ERR_DENIED, &sts_error_invalid_identity_token_exception,
                          "No OpenIDConnect provider found in your account for %.*s",
                          STR_ARG(claims.issuer));
    }
    if (claims.expires_s > 0 && claims.expires_s < wall_seconds(op->now)) {
        return op_fail_as(op, ERR_DENIED, &sts_error_expired_token_exception,
                          "Token expired: current date/time %lld must be before the expiration "
                          "date/time %lld",
                          (long long)wall_seconds(op->now), (long long)claims.expires_s);
    }
    ret->credentials = assume(op, sts, &role, in->role_session_name, in->duration_seconds,
                              &ret->assumed_role_user);
    ret->subject_from_web_identity_token = claims.subject;
    ret->audience = claims.audience;
    ret->provider = claims.issuer;
    return ERR_OK;
}

const struct sts_handlers sts_handlers = {
    .get_caller_identity = get_caller_identity,
    .assume_role = assume_role,
    .assume_role_with_web_identity = assume_role_with_web_identity,
    .get_session_token = get_session_token,
};
