/* Certificates in the store. */

#include "base/rand.h"
#include "crypt/envelope.h"
#include "svc/acm/limits.h"
#include "svc/acm/machine.h"
#include "svc/acm/service.h"
#include "svc/common/arn.h"

const struct store_kind acm_kind_certificate = {"acm.certificate", &shape_engine_acm_certificate};
const struct store_kind acm_kind_configuration = {"acm.configuration",
                                                  &shape_engine_acm_configuration};

const struct tag_errors acm_tag_errors = {
    .too_many = &acm_error_too_many_tags_exception,
    .duplicate = &acm_error_invalid_tag_exception,
    .invalid = &acm_error_invalid_tag_exception,
};

struct str acm_new_arn(struct op *op)
{
    struct str id = rand_uuid(&op->arena);
    return arn_makef(op, STR("acm"), "certificate/%.*s", STR_ARG(id));
}

static enum err no_certificate(struct op *op, struct str arn)
{
    return op_fail_as(op, ERR_NOT_FOUND, &acm_error_resource_not_found_exception,
                      "Could not find certificate %.*s.", STR_ARG(arn));
}

enum err acm_get(struct op *op, struct acm *acm, struct str arn, struct engine_acm_certificate *ret)
{
    struct arn parts = {0};
    struct str id = STR_NONE;
    if (!arn_parse(arn, &parts) || !STR_IS(parts.service, "acm") ||
        !arn_tail(&parts, STR("certificate/"), &id)) {
        return op_fail_as(op, ERR_INPUT, &acm_error_invalid_arn_exception,
                          "The ARN '%.*s' is not that of a certificate.", STR_ARG(arn));
    }
    if (!arn_is_here(op, &parts, STR("acm"))) {
        return no_certificate(op, arn);
    }
    enum err result = store_get(op, acm->config.store, &acm_kind_certificate, arn, ret);
    if (result == ERR_NOT_FOUND) {
        op_note_clear(op);
        return no_certificate(op, arn);
    }
    TRY(result);
    if (ret->detail == NULL) {
        return op_fail(op, ERR_INTERNAL, "the row of certificate \"%.*s\" is not whole",
                       STR_ARG(arn));
    }
    return ERR_OK;
}

static void tell(void *self, struct str arn)
{
    struct acm *acm = self;
    struct arn parts = {0};
    struct str region = arn_parse(arn, &parts) ? parts.region : STR("");
    acm->config.wakes.certificate_changed(acm->config.wakes.self, region, arn);
}

enum err acm_put(struct op *op, struct acm *acm, const struct engine_acm_certificate *row)
{
    struct str arn = row->detail->certificate_arn;
    TRY(store_put(op, acm->config.store, &acm_kind_certificate, arn, STR(""), row));
    store_after_commit(acm->config.store, tell, acm, arn);
    return ERR_OK;
}

enum err acm_remove(struct op *op, struct acm *acm, struct str arn)
{
    TRY(store_remove(op, acm->config.store, &acm_kind_certificate, arn));
    TRY(store_remove(op, acm->config.store, &acm_kind_order, arn));
    store_after_commit(acm->config.store, tell, acm, arn);
    return ERR_OK;
}

/* ---- keys ------------------------------------------------------------------------------------ */

static struct str purpose_of(struct op *op, struct str arn)
{
    return arena_printf(&op->arena, "acm key %.*s", STR_ARG(arn));
}

struct str acm_seal_key(struct op *op, struct acm *acm, struct str arn, struct str key_pem)
{
    return envelope_close(&op->arena, &acm->config.key, purpose_of(op, arn), key_pem);
}

enum err acm_open_key(struct op *op, struct acm *acm, struct str arn, struct str sealed,
                      struct str *ret_key_pem)
{
    if (envelope_open(&op->arena, &acm->config.key, purpose_of(op, arn), sealed, ret_key_pem)) {
        return ERR_OK;
    }
    return op_fail(op, ERR_INTERNAL,
                   "the private key of \"%.*s\" does not open: " ENVELOPE_KEY_FILE
                   " is not the file that it was sealed with; put that one back, or import the "
                   "certificate again",
                   STR_ARG(arn));
}

/* ---- small questions ------------------------------------------------------------------------- */

enum err acm_check_quota(struct op *op, struct acm *acm)
{
    size_t count = 0;
    TRY(store_count(op, acm->config.store, &acm_kind_certificate, &(struct store_range){0},
                    &count));
    if (count >= ACM_CERTIFICATES_MAX) {
        return op_fail_as(op, ERR_LIMIT, &acm_error_limit_exceeded_exception,
                          "Cannot have more than %d certificates in one region.",
                          ACM_CERTIFICATES_MAX);
    }
    return ERR_OK;
}

bool acm_is_usable(const struct engine_acm_certificate *row)
{
    return row->detail->status == ACM_CERTIFICATE_STATUS_ISSUED &&
           str_is_set(row->certificate_pem) && str_is_set(row->sealed_key);
}
