#include "svc/elbv2/listeners.h"

#include "base/cleanup.h"
#include "svc/common/page.h"
#include "svc/elbv2/limits.h"
#include "svc/elbv2/rows.h"
#include "svc/elbv2/secure.h"
#include "svc/elbv2/state.h"

static bool has(const struct engine_texts *texts, struct str text)
{
    for (size_t i = 0; i < texts->count; i++) {
        if (str_equal(texts->items[i], text)) {
            return true;
        }
    }
    return false;
}

static bool is_default(const struct elbv2_listener *listener, struct str arn)
{
    return listener->certificates.count > 0 &&
           str_equal(listener->certificates.items[0].certificate_arn, arn);
}

static enum err get_secure(struct op *op, struct elbv2 *e, struct str arn,
                           struct elbv2_listener *ret)
{
    struct elbv2_listener listener = {0};
    TRY(elbv2_get_listener(op, e, arn, &listener));
    if (!elbv2_is_secure(&listener)) {
        return elbv2_invalid(op, "Certificates are supported only for HTTPS and TLS listeners");
    }
    *ret = listener;
    return ERR_OK;
}

static void push_text(struct arena *a, struct engine_texts *to, struct str text)
{
    *ARENA_PUSH(a, to) = text;
}

static void push_certificate(struct arena *a, struct elbv2_certificate_list *to, struct str arn,
                             bool is_default_one)
{
    to->is_set = true;
    *ARENA_PUSH(a, to) =
        (struct elbv2_certificate){.certificate_arn = arn, .is_default = OPT_BOOL(is_default_one)};
}

enum err elbv2_add_listener_certificates(struct op *op, struct elbv2 *e,
                                         const struct elbv2_add_listener_certificates_in *in,
                                         struct elbv2_add_listener_certificates_out *ret)
{
    struct elbv2_listener listener = {0};
    struct engine_elb_more more = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    TRY(get_secure(op, e, in->listener_arn, &listener));
    TRY(elbv2_get_more(op, e, in->listener_arn, &more));
    struct engine_texts kept = {.is_set = true};
    for (size_t i = 0; i < more.certificates.count; i++) {
        push_text(&op->arena, &kept, more.certificates.items[i]);
    }
    for (size_t i = 0; i < in->certificates.count; i++) {
        struct str arn = in->certificates.items[i].certificate_arn;
        TRY(elbv2_check_certificate(op, e, arn));
        if (in->certificates.items[i].is_default.is_set) {
            return elbv2_invalid(op, "IsDefault cannot be specified when adding certificates");
        }
        if (!has(&kept, arn) && !is_default(&listener, arn)) {
            push_text(&op->arena, &kept, arn);
        }
        push_certificate(&op->arena, &ret->certificates, arn, is_default(&listener, arn));
    }
    if (kept.count > ELBV2_CERTIFICATES_MAX) {
        return op_fail_as(op, ERR_LIMIT, &elbv2_error_too_many_certificates_exception,
                          "You have reached the maximum number of certificates: %d",
                          ELBV2_CERTIFICATES_MAX);
    }
    more.certificates = kept;
    TRY(elbv2_put_more(op, e, in->listener_arn, &more));
    return store_tx_commit(op, &tx);
}

enum err elbv2_remove_listener_certificates(struct op *op, struct elbv2 *e,
                                            const struct elbv2_remove_listener_certificates_in *in,
                                            struct elbv2_remove_listener_certificates_out *ret)
{
    (void)ret;
    struct elbv2_listener listener = {0};
    struct engine_elb_more more = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    TRY(get_secure(op, e, in->listener_arn, &listener));
    TRY(elbv2_get_more(op, e, in->listener_arn, &more));
    struct engine_texts gone = {0};
    for (size_t i = 0; i < in->certificates.count; i++) {
        struct str arn = in->certificates.items[i].certificate_arn;
        TRY(elbv2_check_certificate(op, e, arn));
        if (is_default(&listener, arn)) {
            return op_fail_as(op, ERR_STATE, &elbv2_error_operation_not_permitted_exception,
                              "Default certificate '%.*s' cannot be removed", STR_ARG(arn));
        }
        push_text(&op->arena, &gone, arn);
    }
    struct engine_texts kept = {.is_set = true};
    for (size_t i = 0; i < more.certificates.count; i++) {
        if (!has(&gone, more.certificates.items[i])) {
            push_text(&op->arena, &kept, more.certificates.items[i]);
        }
    }
    more.certificates = kept;
    TRY(elbv2_put_more(op, e, in->listener_arn, &more));
    return store_tx_commit(op, &tx);
}

enum err elbv2_describe_listener_certificates(
    struct op *op, struct elbv2 *e, const struct elbv2_describe_listener_certificates_in *in,
    struct elbv2_describe_listener_certificates_out *ret)
{
    struct elbv2_listener listener = {0};
    struct engine_elb_more more = {0};
    TRY(elbv2_get_listener(op, e, in->listener_arn, &listener));
    TRY(elbv2_get_more(op, e, in->listener_arn, &more));
    ret->certificates.is_set = true; /* 26 at most: one page */
    for (size_t i = 0; i < listener.certificates.count; i++) {
        push_certificate(&op->arena, &ret->certificates,
                         listener.certificates.items[i].certificate_arn, true);
    }
    for (size_t i = 0; i < more.certificates.count; i++) {
        push_certificate(&op->arena, &ret->certificates, more.certificates.items[i], false);
    }
    return ERR_OK;
}
