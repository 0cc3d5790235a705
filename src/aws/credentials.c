#include "aws/credentials.h"

#include "base/check.h"
#include "base/file.h"
#include "codec/json.h"
#include "gen/sts.h"

#define TOKEN_FILE_BYTES_MAX (64 << 10)

static enum err of_profile(struct op *op, const struct aws_credential_chain *chain,
                           struct str profile, size_t depth, struct aws_credentials *ret);

/* ---- shapes of answers ---------------------------------------------------------------------- */

enum err aws_credentials_parse(struct op *op, struct str json, const char *from,
                               struct aws_credentials *ret_credentials)
{
    struct aws_credentials c = {0};
    struct str expires = STR_NONE;
    struct json_reader r;
    struct str key;
    json_reader_init(&r, &op->arena, json);
    json_enter_object(&r);
    while (json_next_key(&r, &key)) {
        bool is_token = STR_IS(key, "Token") || STR_IS(key, "SessionToken");
        struct str *to = STR_IS(key, "AccessKeyId")       ? &c.access_key_id
                         : STR_IS(key, "SecretAccessKey") ? &c.secret_access_key
                         : is_token                       ? &c.session_token
                         : STR_IS(key, "Expiration")      ? &expires
                                                          : NULL;
        if (to == NULL || json_peek(&r) == JSON_NULL) {
            json_skip(&r);
        } else {
            json_read_string(&r, to);
        }
    }
    if (json_finish(&r, op) != ERR_OK) {
        /* the reader's sentence has a place and no text, so it tells no secret */
        op_note_prefix(op, "the answer of %s: ", from);
        op->note.kind = ERR_PROTOCOL;
        return ERR_PROTOCOL;
    }
    if (c.access_key_id.len == 0 || c.secret_access_key.len == 0) {
        return op_fail(op, ERR_PROTOCOL, "the answer of %s has no AccessKeyId and SecretAccessKey",
                       from);
    }
    if (str_is_set(expires)) {
        if (!wall_parse(expires, &c.expires.value)) {
            return op_fail(op, ERR_PROTOCOL, "the answer of %s has no time as Expiration", from);
        }
        c.expires.is_set = true;
    }
    c.source = from;
    *ret_credentials = c;
    return ERR_OK;
}

static enum err take_sts(struct op *op, const struct sts_credentials *from,
                         struct aws_credentials *ret)
{
    if (from == NULL || from->access_key_id.len == 0 || from->secret_access_key.len == 0) {
        return op_fail(op, ERR_PROTOCOL, "sts answered without credentials");
    }
    *ret = (struct aws_credentials){.access_key_id = from->access_key_id,
                                    .secret_access_key = from->secret_access_key,
                                    .session_token = from->session_token,
                                    .expires = from->expiration,
                                    .source = "an assumed role"};
    return ERR_OK;
}

static struct str session_name(struct op *op, struct str given)
{
    return str_is_set(given)
               ? given
               : arena_printf(&op->arena, "hitless-%lld", (long long)(op->now.us / 1000000));
}

/* ---- roles ---------------------------------------------------------------------------------- */

static enum err with_web_identity(struct op *op, const struct aws_credential_chain *chain,
                                  struct str role_arn, struct str token_path, struct str name,
                                  struct aws_credentials *ret)
{
    struct str token;
    TRY(file_read(op, arena_c_str(&op->arena, token_path), TOKEN_FILE_BYTES_MAX, &token));
    struct sts_assume_role_with_web_identity_in in = {.role_arn = role_arn,
                                                      .role_session_name = session_name(op, name),
                                                      .web_identity_token = str_trim(token)};
    struct sts_assume_role_with_web_identity_out out;
    TRY(chain->call_sts(chain->self, op, NULL, &sts_op_assume_role_with_web_identity, &in, &out));
    return take_sts(op, out.credentials, ret);
}

/* The credentials that may assume the role. */
/* NOLINTNEXTLINE(misc-no-recursion): of_profile counts the depth */
static enum err source_of_role(struct op *op, const struct aws_credential_chain *chain,
                               struct str profile, size_t depth, struct aws_credentials *ret)
{
    struct str source = aws_settings_find(chain->settings, profile, "source_profile");
    struct str place = aws_settings_find(chain->settings, profile, "credential_source");
    if (str_is_set(source)) {
        bool has_own_keys =
            str_is_set(aws_settings_find(chain->settings, profile, "aws_access_key_id"));
        if (str_equal(source, profile) && !has_own_keys) {
            return op_fail(op, ERR_INPUT, "profile \"%.*s\" names itself as source_profile",
                           STR_ARG(profile));
        }
        return of_profile(op, chain, source, depth + 1, ret);
    }
    if (STR_IS(place, "EcsContainer")) {
        return aws_credentials_of_container(op, chain, ret);
    }
    if (STR_IS(place, "Ec2InstanceMetadata")) {
        return aws_credentials_of_instance(op, chain, ret);
    }
    if (STR_IS(place, "Environment")) {
        ret->access_key_id = aws_env_find(chain->env, "AWS_ACCESS_KEY_ID");
        ret->secret_access_key = aws_env_find(chain->env, "AWS_SECRET_ACCESS_KEY");
        ret->session_token = aws_env_find(chain->env, "AWS_SESSION_TOKEN");
        if (str_is_set(ret->access_key_id) && str_is_set(ret->secret_access_key)) {
            return ERR_OK;
        }
        return op_fail(op, ERR_NOT_FOUND,
                       "profile \"%.*s\" takes its credentials from the environment, which has "
                       "none",
                       STR_ARG(profile));
    }
    return op_fail(op, ERR_INPUT,
                   "profile \"%.*s\" has a role_arn and neither source_profile nor a known "
                   "credential_source",
                   STR_ARG(profile));
}

/* NOLINTNEXTLINE(misc-no-recursion): of_profile counts the depth */
static enum err of_role(struct op *op, const struct aws_credential_chain *chain, struct str profile,
                        struct str role_arn, size_t depth, struct aws_credentials *ret)
{
    const struct aws_settings *s = chain->settings;
    struct str token_path = aws_settings_find(s, profile, "web_identity_token_file");
    struct str name = aws_settings_find(s, profile, "role_session_name");
    struct str duration = aws_settings_find(s, profile, "duration_seconds");
    if (str_is_set(token_path)) {
        return with_web_identity(op, chain, role_arn, token_path, name, ret);
    }
    if (str_is_set(aws_settings_find(s, profile, "mfa_serial"))) {
        return op_fail(op, ERR_UNSUPPORTED,
                       "profile \"%.*s\" asks for an MFA code; get a session with \"aws sts "
                       "assume-role\" and put it into the environment",
                       STR_ARG(profile));
    }
    struct aws_credentials with = {0};
    TRY(source_of_role(op, chain, profile, depth, &with));
    struct sts_assume_role_in in = {.role_arn = role_arn,
                                    .role_session_name = session_name(op, name),
                                    .external_id = aws_settings_find(s, profile, "external_id"),
                                    .duration_seconds = OPT_I32(AWS_ROLE_SESSION_S)};
    uint64_t seconds;
    if (str_parse_u64(duration, 43200, &seconds)) {
        in.duration_seconds = OPT_I32((int32_t)seconds);
    }
    struct sts_assume_role_out out;
    TRY(chain->call_sts(chain->self, op, &with, &sts_op_assume_role, &in, &out));
    return take_sts(op, out.credentials, ret);
}

/* ---- profiles ------------------------------------------------------------------------------- */

static bool wants_sso(const struct aws_settings *s, struct str profile)
{
    return str_is_set(aws_settings_find(s, profile, "sso_session")) ||
           str_is_set(aws_settings_find(s, profile, "sso_start_url"));
}

/* ERR_NOT_FOUND when the profile says nothing about credentials.
 * NOLINTNEXTLINE(misc-no-recursion): depth is bounded by AWS_ROLE_CHAIN_MAX */
static enum err of_profile(struct op *op, const struct aws_credential_chain *chain,
                           struct str profile, size_t depth, struct aws_credentials *ret)
{
    const struct aws_settings *s = chain->settings;
    if (depth > AWS_ROLE_CHAIN_MAX) {
        return op_fail(op, ERR_LIMIT,
                       "profiles name each other as source_profile more than %d times",
                       AWS_ROLE_CHAIN_MAX);
    }
    if (depth > 0 && !aws_settings_has_profile(s, profile)) {
        return op_fail(op, ERR_NOT_FOUND,
                       "there is no profile \"%.*s\", which another one names "
                       "as source_profile",
                       STR_ARG(profile));
    }
    struct str role_arn = aws_settings_find(s, profile, "role_arn");
    struct str key_id = aws_settings_find(s, profile, "aws_access_key_id");
    struct str secret = aws_settings_find(s, profile, "aws_secret_access_key");
    struct str command = aws_settings_find(s, profile, "credential_process");
    struct str source = aws_settings_find(s, profile, "source_profile");
    bool is_own_source = depth > 0 && str_equal(source, profile);
    if (str_is_set(role_arn) && !is_own_source) {
        return of_role(op, chain, profile, role_arn, depth, ret);
    }
    if (str_is_set(key_id) && str_is_set(secret)) {
        *ret = (struct aws_credentials){.access_key_id = key_id,
                                        .secret_access_key = secret,
                                        .session_token =
                                            aws_settings_find(s, profile, "aws_session_token"),
                                        .source = "a profile"};
        return ERR_OK;
    }
    if (wants_sso(s, profile)) {
        return op_fail(op, ERR_UNSUPPORTED,
                       "profile \"%.*s\" signs in by SSO, which hitless does not do itself; run "
                       "\"aws configure export-credentials --profile %.*s --format env\" and put "
                       "its output into the environment",
                       STR_ARG(profile), STR_ARG(profile));
    }
    if (str_is_set(command)) {
        return aws_credentials_of_process(op, command, ret);
    }
    return op_fail(op, ERR_NOT_FOUND, "profile \"%.*s\" has no credentials", STR_ARG(profile));
}

/* ---- the chain ------------------------------------------------------------------------------ */

static bool of_environment(const struct aws_credential_chain *chain, struct aws_credentials *ret)
{
    struct aws_credentials c = {
        .access_key_id = aws_env_find(chain->env, "AWS_ACCESS_KEY_ID"),
        .secret_access_key = aws_env_find(chain->env, "AWS_SECRET_ACCESS_KEY"),
        .session_token = aws_env_find(chain->env, "AWS_SESSION_TOKEN"),
        .source = "the environment",
    };
    if (!str_is_set(c.access_key_id) || !str_is_set(c.secret_access_key)) {
        return false;
    }
    *ret = c;
    return true;
}

static enum err nothing_found(struct op *op, const struct aws_credential_chain *chain)
{
    return op_fail(op, ERR_NOT_FOUND,
                   "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
                   "AWS_PROFILE, or put keys into ~/.aws/credentials (looked in the environment, "
                   "for a web identity, in profile \"%.*s\", and for a container's and an "
                   "instance's role)",
                   STR_ARG(chain->profile));
}

/* A link that has nothing says ERR_NOT_FOUND and the next one is asked; any other failure is one.
 */
static bool goes_on(struct op *op, enum err e)
{
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        return true;
    }
    return false;
}

enum err aws_credentials_find(struct op *op, const struct aws_credential_chain *chain,
                              struct aws_credentials *ret_credentials)
{
    if (!chain->is_profile_asked && of_environment(chain, ret_credentials)) {
        return ERR_OK;
    }
    struct str role_arn = aws_env_find(chain->env, "AWS_ROLE_ARN");
    struct str token_path = aws_env_find(chain->env, "AWS_WEB_IDENTITY_TOKEN_FILE");
    if (!chain->is_profile_asked && str_is_set(role_arn) && str_is_set(token_path)) {
        return with_web_identity(op, chain, role_arn, token_path,
                                 aws_env_find(chain->env, "AWS_ROLE_SESSION_NAME"),
                                 ret_credentials);
    }
    if (chain->is_profile_given && !aws_settings_has_profile(chain->settings, chain->profile)) {
        return op_fail(op, ERR_NOT_FOUND,
                       "there is no profile \"%.*s\" in AWS's configuration and credentials files",
                       STR_ARG(chain->profile));
    }
    if (aws_settings_has_profile(chain->settings, chain->profile)) {
        enum err e = of_profile(op, chain, chain->profile, 0, ret_credentials);
        bool is_only_region = e == ERR_NOT_FOUND && !chain->is_profile_asked;
        if (!is_only_region) {
            return e;
        }
        op_note_clear(op);
    }
    enum err e = aws_credentials_of_container(op, chain, ret_credentials);
    if (!goes_on(op, e)) {
        return e;
    }
    e = aws_credentials_of_instance(op, chain, ret_credentials);
    return goes_on(op, e) ? nothing_found(op, chain) : e;
}
