#include "svc/elbv2/secure.h"

#include "base/log.h"
#include "crypt/cert.h"
#include "svc/common/arn.h"
#include "svc/elbv2/rows.h"
#include "svc/elbv2/state.h"
#include "svc/elbv2/trust_stores.h"

#include <string.h>

/* The API has it only in the older service's model; it answers with it all the same. */
static const struct err_public unsupported_certificate = {.code = "UnsupportedCertificate",
                                                          .http_status = 400};

bool elbv2_is_secure(const struct elbv2_listener *listener)
{
    return listener->protocol == ELBV2_PROTOCOL_ENUM_HTTPS ||
           listener->protocol == ELBV2_PROTOCOL_ENUM_TLS;
}

/* ---- what a client names -------------------------------------------------------------------- */

enum err elbv2_check_certificate(struct op *op, struct elbv2 *e, struct str text)
{
    struct arn arn = {0};
    struct str tail = STR_NONE;
    bool is_fine =
        arn_parse(text, &arn) &&
        ((STR_IS(arn.service, "acm") && arn_tail(&arn, STR("certificate/"), &tail)) ||
         (STR_IS(arn.service, "iam") && arn_tail(&arn, STR("server-certificate/"), &tail)));
    if (!is_fine) {
        return elbv2_invalid(op, "Certificate ARN '%.*s' is not valid", STR_ARG(text));
    }
    const struct port_certificates *port = &e->options.certificates;
    enum err result = port->check(port->self, op, text);
    if (result == ERR_NOT_FOUND) {
        op_note_clear(op);
        return op_fail_as(op, ERR_NOT_FOUND, &elbv2_error_certificate_not_found_exception,
                          "Certificate '%.*s' not found", STR_ARG(text));
    }
    if (result == ERR_STATE) {
        op_note_clear(op);
        return op_fail_as(op, ERR_STATE, &unsupported_certificate,
                          "The certificate '%.*s' must have a fully-qualified domain name, a "
                          "supported signature, and a supported key size.",
                          STR_ARG(text));
    }
    return result;
}

static enum err check_trust(struct op *op, struct elbv2 *e,
                            struct elbv2_mutual_authentication_attributes *mutual)
{
    struct engine_elb_trust_store row = {0};
    if (mutual->trust_store_arn.len == 0) {
        return elbv2_invalid(op, "A trust store ARN must be specified when the mutual "
                                 "authentication mode is 'verify'");
    }
    TRY(elbv2_get_trust_store(op, e, mutual->trust_store_arn, &row));
    if (!mutual->ignore_client_certificate_expiry.is_set) {
        mutual->ignore_client_certificate_expiry = OPT_BOOL(false);
    }
    if (mutual->advertise_trust_store_ca_names == ELBV2_ADVERTISE_TRUST_STORE_CA_NAMES_ENUM_UNSET) {
        mutual->advertise_trust_store_ca_names = ELBV2_ADVERTISE_TRUST_STORE_CA_NAMES_ENUM_OFF;
    }
    mutual->trust_store_association_status = ELBV2_TRUST_STORE_ASSOCIATION_STATUS_ENUM_ACTIVE;
    return ERR_OK;
}

static enum err check_mode(struct op *op, struct elbv2 *e,
                           struct elbv2_mutual_authentication_attributes *mutual)
{
    if (STR_IS(mutual->mode, "verify")) {
        return check_trust(op, e, mutual);
    }
    if (!STR_IS(mutual->mode, "off") && !STR_IS(mutual->mode, "passthrough")) {
        return elbv2_invalid(op,
                             "Mutual authentication mode '%.*s' must be one of 'off, passthrough, "
                             "verify'",
                             STR_ARG(mutual->mode));
    }
    if (mutual->trust_store_arn.len > 0 ||
        OPT_OR(mutual->ignore_client_certificate_expiry, false)) {
        return elbv2_invalid(op, "A trust store and IgnoreClientCertificateExpiry can be specified "
                                 "only when the mutual authentication mode is 'verify'");
    }
    *mutual = (struct elbv2_mutual_authentication_attributes){.mode = mutual->mode};
    return ERR_OK;
}

enum err elbv2_check_mutual(struct op *op, struct elbv2 *e, struct elbv2_listener *listener)
{
    struct elbv2_mutual_authentication_attributes *mutual =
        ARENA_NEW(&op->arena, struct elbv2_mutual_authentication_attributes);
    if (listener->mutual_authentication != NULL) {
        if (listener->protocol != ELBV2_PROTOCOL_ENUM_HTTPS) {
            return op_fail_as(op, ERR_INPUT, &elbv2_error_invalid_configuration_request_exception,
                              "Mutual authentication is supported only for HTTPS listeners");
        }
        *mutual = *listener->mutual_authentication;
        TRY(check_mode(op, e, mutual));
    } else if (listener->protocol == ELBV2_PROTOCOL_ENUM_HTTPS) {
        mutual->mode = STR("off");
    } else {
        return ERR_OK;
    }
    listener->mutual_authentication = mutual;
    return ERR_OK;
}

/* ---- what the data plane is told ------------------------------------------------------------ */

static enum err push(struct op *op, struct elbv2 *e, struct str arn, struct lbconf_certificates *to)
{
    struct port_certificate found = {0};
    const struct port_certificates *port = &e->options.certificates;
    TRY(port->find(port->self, op, arn, &found));
    *ARENA_PUSH(&op->arena, to) = (struct lbconf_certificate){
        .arn = arn, .chain_pem = found.chain_pem, .key_pem = found.key_pem};
    to->is_set = true;
    return ERR_OK;
}

/* Gone, not issued, or its key does not open: nothing that reading once more would mend. */
static bool is_unusable(enum err result)
{
    return result == ERR_NOT_FOUND || result == ERR_STATE || result == ERR_INTERNAL;
}

static enum err fill_default(struct op *op, struct elbv2 *e, const struct elbv2_listener *listener,
                             struct lbconf_certificates *to)
{
    if (listener->certificates.count == 0) {
        return op_fail(op, ERR_UNSUPPORTED, "it has no certificate");
    }
    enum err result = push(op, e, listener->certificates.items[0].certificate_arn, to);
    if (is_unusable(result)) {
        log_error("elbv2", "the listener %.*s is not served: %s", STR_ARG(listener->listener_arn),
                  op->note.text);
        return ERR_UNSUPPORTED;
    }
    return result;
}

/* One that is gone is passed over: the others serve on. */
static enum err fill_others(struct op *op, struct elbv2 *e, const struct engine_texts *arns,
                            struct lbconf_certificates *to)
{
    for (size_t i = 0; i < arns->count; i++) {
        enum err result = push(op, e, arns->items[i], to);
        if (is_unusable(result)) {
            log_warn("elbv2", "a listener's certificate is not offered: %s", op->note.text);
            op_note_clear(op);
            continue;
        }
        TRY(result);
    }
    return ERR_OK;
}

static enum err fill_mutual(struct op *op, struct elbv2 *e,
                            const struct elbv2_mutual_authentication_attributes *mutual,
                            struct lbconf_listener *to)
{
    if (mutual == NULL || STR_IS(mutual->mode, "off")) {
        return ERR_OK;
    }
    struct lbconf_mutual_auth *told = ARENA_NEW(&op->arena, struct lbconf_mutual_auth);
    to->mutual_auth = told;
    told->mode = mutual->mode;
    if (!STR_IS(mutual->mode, "verify")) {
        return ERR_OK;
    }
    told->trust_store_arn = mutual->trust_store_arn;
    told->ignores_expiry = OPT_BOOL(OPT_OR(mutual->ignore_client_certificate_expiry, false));
    told->advertises_authorities = OPT_BOOL(mutual->advertise_trust_store_ca_names ==
                                            ELBV2_ADVERTISE_TRUST_STORE_CA_NAMES_ENUM_ON);
    return elbv2_trust_store_content(op, e, mutual->trust_store_arn, &told->authorities_pem,
                                     &told->revocations_pem);
}

enum err elbv2_secure_fill(struct op *op, struct elbv2 *e, const struct elbv2_listener *listener,
                           const struct engine_elb_more *more, struct lbconf_listener *to)
{
    if (!elbv2_is_secure(listener)) {
        return ERR_OK;
    }
    to->ssl_policy = listener->ssl_policy;
    enum err result = fill_default(op, e, listener, &to->certificates);
    if (result == ERR_OK) {
        result = fill_others(op, e, &more->certificates, &to->certificates);
    }
    if (result == ERR_OK) {
        result = fill_mutual(op, e, listener->mutual_authentication, to);
    }
    if (result != ERR_OK) {
        elbv2_secure_clear(to);
    }
    return result;
}

struct str elbv2_why_not_secure(struct op *op, struct elbv2 *e,
                                const struct elbv2_listener *listener)
{
    if (!elbv2_is_secure(listener)) {
        return STR_NONE;
    }
    const struct port_certificates *port = &e->options.certificates;
    struct str arn = listener->certificates.count > 0
                         ? listener->certificates.items[0].certificate_arn
                         : STR("(none)");
    struct port_certificate found = {0};
    enum err result = port->find(port->self, op, arn, &found);
    cert_clear(found.key_pem);
    if (!is_unusable(result)) {
        return STR_NONE;
    }
    struct str why = arena_str(&op->arena, str_of(op->note.text));
    op_note_clear(op);
    return arena_printf(&op->arena, "The listener on port %d is not served: %.*s",
                        OPT_OR(listener->port, 0), STR_ARG(why));
}

void elbv2_secure_clear(const struct lbconf_listener *listener)
{
    for (size_t i = 0; i < listener->certificates.count; i++) {
        cert_clear(listener->certificates.items[i].key_pem);
    }
}

/* ---- who uses a certificate ----------------------------------------------------------------- */

static enum err has_certificate(struct op *op, struct elbv2 *e,
                                const struct elbv2_listener *listener, struct str arn, bool *ret)
{
    struct engine_elb_more more = {0};
    TRY(elbv2_get_more(op, e, listener->listener_arn, &more));
    *ret = listener->certificates.count > 0 &&
           str_equal(listener->certificates.items[0].certificate_arn, arn);
    for (size_t i = 0; i < more.certificates.count && !*ret; i++) {
        *ret = str_equal(more.certificates.items[i], arn);
    }
    return ERR_OK;
}

typedef void (*user_fn)(struct op *op, struct elbv2 *e, const struct elbv2_listener *listener,
                        struct port_arns *to);

static enum err each_user(struct op *op, struct elbv2 *e, struct str certificate_arn, user_fn fn,
                          struct port_arns *to)
{
    struct store_items items = {0};
    TRY(store_list(op, e->store, &elbv2_kind_listener, &(struct store_range){0}, &items));
    for (size_t i = 0; i < items.count; i++) {
        bool has = false;
        TRY(has_certificate(op, e, items.items[i].value, certificate_arn, &has));
        if (has) {
            fn(op, e, items.items[i].value, to);
        }
    }
    return ERR_OK;
}

static void add_load_balancer(struct op *op, struct elbv2 *e, const struct elbv2_listener *listener,
                              struct port_arns *to)
{
    (void)e;
    for (size_t i = 0; i < to->count; i++) {
        if (str_equal(to->items[i], listener->load_balancer_arn)) {
            return;
        }
    }
    *ARENA_PUSH(&op->arena, to) = listener->load_balancer_arn;
}

static enum err list_users(void *self, struct op *op, struct str certificate_arn,
                           struct port_arns *ret)
{
    struct port_arns found = {0};
    TRY(each_user(op, self, certificate_arn, add_load_balancer, &found));
    *ret = found;
    return ERR_OK;
}

static enum err list_used(void *self, struct op *op, struct port_arns *ret)
{
    struct elbv2 *e = self;
    struct store_items items = {0};
    struct port_arns used = {0};
    TRY(store_list(op, e->store, &elbv2_kind_listener, &(struct store_range){0}, &items));
    for (size_t i = 0; i < items.count; i++) {
        const struct elbv2_listener *listener = items.items[i].value;
        struct engine_elb_more more = {0};
        TRY(elbv2_get_more(op, e, listener->listener_arn, &more));
        for (size_t k = 0; k < listener->certificates.count; k++) {
            *ARENA_PUSH(&op->arena, &used) = listener->certificates.items[k].certificate_arn;
        }
        for (size_t k = 0; k < more.certificates.count; k++) {
            *ARENA_PUSH(&op->arena, &used) = more.certificates.items[k];
        }
    }
    *ret = used;
    return ERR_OK;
}

static bool is_published(void *self)
{
    const struct elbv2 *e = self;
    return !e->is_dirty && e->heard_version == e->version;
}

struct port_certificate_users elbv2_certificate_users(struct elbv2 *e)
{
    return (struct port_certificate_users){
        .self = e, .list_users = list_users, .list_used = list_used, .is_published = is_published};
}

/* ---- what changed --------------------------------------------------------------------------- */

static void note(struct op *op, struct elbv2 *e, const struct elbv2_listener *listener,
                 struct port_arns *to)
{
    (void)op;
    (void)to;
    elbv2_note_listener(e, listener->listener_arn);
}

void elbv2_certificate_changed(struct elbv2 *e, struct str certificate_arn)
{
    auto_op struct op op;
    elbv2_begin_op(e, certificate_arn, &op);
    if (each_user(&op, e, certificate_arn, note, NULL) != ERR_OK) {
        log_error("elbv2", "could not take over a changed certificate: %s", op.note.text);
    }
}

void elbv2_challenges_changed(struct elbv2 *e)
{
    e->is_dirty = true;
    elbv2_note_change(e);
}
