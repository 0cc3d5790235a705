#include "lb/login.h"

#include "base/buf.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "codec/urlenc.h"
#include "crypt/es256.h"
#include "crypt/hash.h"
#include "lb/guard.h"

#define TEXT_BYTES_MAX ((size_t)64 * 1024) /* an address with all its parameters */

/* ---- configuration --------------------------------------------------------------------------- */

static struct str json_of(struct arena *a, struct str text)
{
    auto_buf struct buf out;
    struct json_writer w;
    buf_init(&out, TEXT_BYTES_MAX);
    json_writer_init(&w, &out);
    json_add_string(&w, text);
    return arena_str(a, buf_str(&out));
}

/* "arn:...:listener/app/NAME/ID/LISTENER" is of "arn:...:loadbalancer/app/NAME/ID". */
static struct str signer_of(struct arena *a, struct str listener_arn)
{
    size_t at = str_find(listener_arn, STR(":listener/"), 0);
    size_t end = str_find_last_char(listener_arn, '/');
    if (at == STR_NOT_FOUND || end == STR_NOT_FOUND || end < at + strlen(":listener/")) {
        return listener_arn;
    }
    struct str name = str_slice(listener_arn, at + strlen(":listener/"), end);
    return arena_printf(a, "%.*s:loadbalancer/%.*s", (int)at, listener_arn.ptr, STR_ARG(name));
}

/* Printable ASCII: it goes into a header line. */
static bool is_plain(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f) {
            return false;
        }
    }
    return true;
}

static struct str start_of(struct arena *a, const struct lbconf_action *in)
{
    auto_buf struct buf out;
    buf_init(&out, TEXT_BYTES_MAX);
    buf_add(&out, in->authorization_endpoint);
    bool has_query = str_find_char(in->authorization_endpoint, '?', 0) != STR_NOT_FOUND;
    buf_add(&out, has_query ? STR("&response_type=code") : STR("?response_type=code"));
    url_form_add(&out, STR("client_id"), in->client_id);
    url_form_add(&out, STR("scope"), in->scope);
    for (size_t i = 0; i < in->extra_params.count; i++) {
        url_form_add(&out, in->extra_params.items[i].key, in->extra_params.items[i].value);
    }
    return arena_str(a, buf_str(&out));
}

static bool read_otherwise(struct str text, enum lb_unauthenticated *ret)
{
    static const struct str names[] = {[LB_LOGIN_AUTHENTICATES] = STR_INIT("authenticate"),
                                       [LB_LOGIN_DENIES] = STR_INIT("deny"),
                                       [LB_LOGIN_ALLOWS] = STR_INIT("allow")};
    for (unsigned i = 0; i < ARRAY_COUNT(names); i++) {
        if (str_equal(text, names[i])) {
            *ret = (enum lb_unauthenticated)i;
            return true;
        }
    }
    return false;
}

enum err lb_login_or_guard_add(struct op *op, struct lb_conf *conf,
                               const struct lbconf_listener *listener,
                               const struct lbconf_action *in, struct lb_rule *rule)
{
    struct arena *a = &conf->arena;
    if (!STR_IS(in->type, "authenticate-oidc")) {
        return lb_guard_add(op, a, in, &rule->guard);
    }
    struct lb_login *login = ARENA_NEW(a, struct lb_login);
    if (rule->login != NULL || in->extra_params.count > LB_LOGIN_PARAMS_MAX ||
        conf->sign_in_key_pem.len == 0 ||
        !read_otherwise(in->on_unauthenticated, &login->otherwise) ||
        !is_plain(in->authorization_endpoint) || !is_plain(in->session_cookie_name) ||
        in->session_cookie_name.len == 0 || in->session_cookie_name.len > LB_COOKIE_NAME_MAX) {
        return op_fail(op, ERR_INPUT, "%.*s: this authenticate-oidc action cannot be carried out",
                       STR_ARG(rule->arn));
    }
    struct str who = arena_printf(
        a, "%.*s\n%.*s\n%.*s\n%.*s\n%.*s", STR_ARG(in->issuer), STR_ARG(in->client_id),
        STR_ARG(in->scope), STR_ARG(in->session_cookie_name), STR_ARG(in->user_info_endpoint));
    struct sha256 hash = sha256_of(who);
    memcpy(&login->tag, hash.bytes, sizeof(login->tag));
    login->tag &= ~(uint64_t)1;
    login->purpose = arena_printf(a, "session\n%.*s", STR_ARG(who));
    login->issuer_json = json_of(a, in->issuer);
    login->client_json = json_of(a, in->client_id);
    login->signer_json = json_of(a, signer_of(a, listener->arn));
    login->start = start_of(a, in);
    login->cookie_name = arena_str(a, in->session_cookie_name);
    login->session_seconds = OPT_OR(in->session_seconds, LB_STICKY_SECONDS_MAX);
    rule->login = login;
    return ERR_OK;
}

/* ---- texts of a request ---------------------------------------------------------------------- */

struct str lb_login_start_url(struct arena *a, const struct lb_login *login, struct str host,
                              struct str state)
{
    auto_buf struct buf out;
    buf_init(&out, TEXT_BYTES_MAX);
    buf_add(&out, login->start);
    url_form_add(&out, STR("redirect_uri"),
                 arena_printf(a, "https://%.*s/oauth2/idpresponse", STR_ARG(host)));
    url_form_add(&out, STR("state"), state);
    return out.is_overflown ? STR_NONE : arena_str(a, buf_str(&out));
}

/* Source: ELBv2 guide, "User claims encoding and signature verification": with padding. */
static struct str padded(struct arena *a, struct str bytes)
{
    struct str text = base64url_encode(a, bytes);
    return arena_printf(a, "%.*s%s", STR_ARG(text),
                        bytes.len % 3 == 0   ? ""
                        : bytes.len % 3 == 1 ? "=="
                                             : "=");
}

struct str lb_login_data(struct arena *a, const struct lb_conf *conf, const struct lb_login *login,
                         struct str claims, int64_t now_s)
{
    long long until_s = now_s + LB_IDENTITY_SECONDS;
    struct str members = str_slice(claims, 0, claims.len - 1); /* without the last brace */
    struct str head = arena_printf(
        a,
        "{\"typ\":\"JWT\",\"kid\":\"%.*s\",\"alg\":\"ES256\",\"iss\":%.*s,\"client\":%.*s,"
        "\"signer\":%.*s,\"exp\":%lld}",
        STR_ARG(conf->sign_in_key_id), STR_ARG(login->issuer_json), STR_ARG(login->client_json),
        STR_ARG(login->signer_json), until_s);
    struct str body =
        arena_printf(a, "%.*s%s\"exp\":%lld,\"iss\":%.*s}", STR_ARG(members),
                     members.len > 1 ? "," : "", until_s, STR_ARG(login->issuer_json));
    struct str head_text = padded(a, head);
    struct str body_text = padded(a, body);
    struct str text = arena_printf(a, "%.*s.%.*s", STR_ARG(head_text), STR_ARG(body_text));
    struct str mark = padded(a, es256_sign(a, conf->sign_in_key_pem, text));
    return arena_printf(a, "%.*s.%.*s", STR_ARG(text), STR_ARG(mark));
}

/* ---- fields ---------------------------------------------------------------------------------- */

bool lb_is_identity_field(struct str name)
{
    const struct str prefix = STR("x-amzn-oidc-");
    size_t at = 0;
    while (at < prefix.len && at < name.len &&
           (name.ptr[at] == '_' ? '-' : str_lower_char(name.ptr[at])) == prefix.ptr[at]) {
        at++;
    }
    return at == prefix.len;
}

void lb_identity_write(const struct lb_identity *who, struct h1_writer *w)
{
    h1_write_field(w, STR("x-amzn-oidc-accesstoken"), who->access_token);
    h1_write_field(w, STR("x-amzn-oidc-identity"), who->subject);
    h1_write_field(w, STR("x-amzn-oidc-data"), who->data);
}
