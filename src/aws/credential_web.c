#include "aws/credentials.h"

#include "base/check.h"
#include "base/file.h"

#define CONTAINER_HOST   "http://169.254.170.2"
#define EKS_HOST         "169.254.170.23"
#define INSTANCE_HOST    "http://169.254.169.254"
#define TOKEN_FILE_BYTES 16384
#define ROLE_BYTES_MAX   256

static enum err get(struct op *op, const struct aws_credential_chain *chain, const char *method,
                    struct str url, struct aws_header header, struct aws_http_answer *ret_answer)
{
    bool may_have_arrived;
    const struct aws_http_request request = {.method = str_of(method),
                                             .url = url,
                                             .headers = &header,
                                             .header_count = header.name.len > 0 ? 1 : 0,
                                             .body = STR(""),
                                             .connect_timeout = DUR_MS(AWS_METADATA_MS),
                                             .answer_timeout = DUR_MS(AWS_METADATA_MS),
                                             .has_no_proxy = true};
    return aws_http_do(op, chain->http, &request, ret_answer, &may_have_arrived);
}

/* ---- containers ----------------------------------------------------------------------------- */

/* Only where nobody else can listen: this machine and the two link-local addresses; anything by
 * https. */
static bool is_safe_url(struct str url)
{
    if (str_starts_with(url, STR("https://"))) {
        return true;
    }
    if (!str_starts_with(url, STR("http://"))) {
        return false;
    }
    struct str host = str_from(url, 7);
    struct str path;
    (void)str_cut(host, '/', &host, &path); /* no path: all of it is the host */
    if (str_starts_with(host, STR("["))) {
        return str_starts_with(host, STR("[::1]")) || str_starts_with(host, STR("[fd00:ec2::23]"));
    }
    struct str port;
    (void)str_cut(host, ':', &host, &port); /* no port: all of it is the host */
    return STR_IS(host, "localhost") || STR_IS(host, "169.254.170.2") || STR_IS(host, EKS_HOST) ||
           (str_starts_with(host, STR("127.")) && str_find_char(host, '@', 0) == STR_NOT_FOUND);
}

static enum err container_token(struct op *op, const struct aws_credential_chain *chain,
                                struct str *ret_token)
{
    struct str path = aws_env_find(chain->env, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    *ret_token = aws_env_find(chain->env, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    if (str_is_set(path)) {
        struct str token;
        TRY(file_read(op, arena_c_str(&op->arena, path), TOKEN_FILE_BYTES, &token));
        *ret_token = str_trim(token);
    }
    if (str_find_char(*ret_token, '\n', 0) != STR_NOT_FOUND ||
        str_find_char(*ret_token, '\r', 0) != STR_NOT_FOUND) {
        return op_fail(op, ERR_INPUT, "the container's authorization token has a line end");
    }
    return ERR_OK;
}

enum err aws_credentials_of_container(struct op *op, const struct aws_credential_chain *chain,
                                      struct aws_credentials *ret_credentials)
{
    struct str relative = aws_env_find(chain->env, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    struct str url = aws_env_find(chain->env, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    struct aws_header header = {.name = STR("Authorization")};
    struct aws_http_answer answer;
    if (str_is_set(relative)) {
        url = arena_printf(&op->arena, CONTAINER_HOST "%.*s", STR_ARG(relative));
    }
    if (!str_is_set(url)) {
        return op_fail(op, ERR_NOT_FOUND, "no container endpoint is announced");
    }
    if (!is_safe_url(url)) {
        return op_fail(op, ERR_DENIED,
                       "AWS_CONTAINER_CREDENTIALS_FULL_URI must be https, or an address of this "
                       "machine");
    }
    TRY(container_token(op, chain, &header.value));
    if (!str_is_set(header.value)) {
        header.name = STR("");
    }
    TRY(get(op, chain, "GET", url, header, &answer));
    if (answer.status != 200) {
        return op_fail(op, ERR_REMOTE, "the container's credential endpoint answered %d",
                       answer.status);
    }
    return aws_credentials_parse(op, answer.body, "the container's endpoint", ret_credentials);
}

/* ---- instances ------------------------------------------------------------------------------ */

static enum err fetch(struct op *op, const struct aws_credential_chain *chain, struct str base,
                      struct str token, const char *path, struct str tail,
                      struct aws_http_answer *ret_answer)
{
    struct str url = arena_printf(&op->arena, "%.*s%s%.*s", STR_ARG(base), path, STR_ARG(tail));
    return get(op, chain, "GET", url,
               (struct aws_header){.name = STR("X-aws-ec2-metadata-token"), .value = token},
               ret_answer);
}

static bool is_role_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] <= ' ' || s.ptr[i] >= 127 || s.ptr[i] == '/') {
            return false;
        }
    }
    return s.len > 0 && s.len <= ROLE_BYTES_MAX;
}

enum err aws_credentials_of_instance(struct op *op, const struct aws_credential_chain *chain,
                                     struct aws_credentials *ret_credentials)
{
    static const char *const list_path = "/latest/meta-data/iam/security-credentials/";
    struct str base = aws_env_find(chain->env, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    struct aws_http_answer answer;
    if (str_equal_nocase(aws_env_find(chain->env, "AWS_EC2_METADATA_DISABLED"), STR("true"))) {
        return op_fail(op, ERR_NOT_FOUND, "the instance metadata service is switched off");
    }
    base = str_is_set(base) ? base : STR(INSTANCE_HOST);
    while (str_ends_with(base, STR("/"))) {
        base.len--;
    }
    struct str token_url = arena_printf(&op->arena, "%.*s/latest/api/token", STR_ARG(base));
    const struct aws_header ttl = {.name = STR("X-aws-ec2-metadata-token-ttl-seconds"),
                                   .value = STR("21600")};
    if (get(op, chain, "PUT", token_url, ttl, &answer) != ERR_OK || answer.status != 200) {
        return op_fail(op, ERR_NOT_FOUND, "no instance metadata service answers");
    }
    struct str token = str_trim(answer.body);
    TRY(fetch(op, chain, base, token, list_path, STR(""), &answer));
    struct str role;
    struct str rest = str_trim(answer.body);
    if (answer.status != 200 || !str_next(&rest, '\n', &role) || !is_role_name(str_trim(role))) {
        return op_fail(op, ERR_NOT_FOUND, "the instance has no role");
    }
    TRY(fetch(op, chain, base, token, list_path, str_trim(role), &answer));
    if (answer.status != 200) {
        return op_fail(op, ERR_REMOTE, "the instance metadata service answered %d", answer.status);
    }
    return aws_credentials_parse(op, answer.body, "the instance metadata service", ret_credentials);
}
