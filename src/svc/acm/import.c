/* ImportCertificate: what AWS checks before it takes a certificate, and the swap of one for a newer
 * edition of itself. */

#include "base/check.h"
#include "base/cleanup.h"
#include "svc/acm/service.h"

/* The sentences as AWS gives them, where it is known what it gives. */
static const char *const sentences[] = {
    [CERT_FINE] = "",
    [CERT_NOT_PEM] = "The certificate is not valid PEM. Provide one PEM encoded X.509 certificate.",
    [CERT_SEVERAL] =
        "The certificate field contains more than one certificate. You can specify only "
        "one certificate in this field.",
    [CERT_TOO_MANY] = "The certificate chain contains more certificates than the maximum.",
    [CERT_KEY_NOT_PEM] = "The private key is not valid PEM.",
    [CERT_KEY_ENCRYPTED] = "The private key is encrypted. Provide an unencrypted PEM private key.",
    [CERT_KEY_UNSUPPORTED] =
        "The private key is not supported. Only RSA keys of 1024, 2048, 3072 and "
        "4096 bits and elliptic curve keys of prime256v1, secp384r1 and "
        "secp521r1 are allowed.",
    [CERT_KEY_MISMATCH] = "The certificate and the private key do not match.",
    [CERT_CHAIN_BROKEN] = "Could not validate the certificate with the certificate chain.",
    [CERT_CHAIN_MISSING] =
        "Provided certificate is not a valid self signed. Please provide either a "
        "valid self-signed certificate or certificate chain.",
    [CERT_NO_AUTHORITY] = "Could not validate the certificate with the certificate chain.",
};

#define refuse(op, ...) op_fail_as((op), ERR_INPUT, &acm_error_validation_exception, __VA_ARGS__)

static enum err check(struct op *op, enum cert_fault fault)
{
    return fault == CERT_FINE ? ERR_OK : refuse(op, "%s", sentences[fault]);
}

static enum err check_time(struct op *op, const struct cert_facts *facts)
{
    if (facts->not_after.us <= op->now.us) {
        return refuse(op, "The certificate has expired: it was valid until %.*s.",
                      STR_ARG(wall_iso8601(&op->arena, facts->not_after)));
    }
    if (facts->not_before.us > op->now.us) {
        return refuse(op, "The certificate is not valid yet: it is valid from %.*s.",
                      STR_ARG(wall_iso8601(&op->arena, facts->not_before)));
    }
    return ERR_OK;
}

static enum err read_all(struct op *op, const struct acm_import_certificate_in *in,
                         struct cert_facts *facts, struct str *ret_key, struct str *ret_chain)
{
    struct arena *a = &op->arena;
    TRY(check(op, cert_read(a, in->certificate, facts)));
    TRY(check_time(op, facts));
    if (facts->names.count == 0 && !str_is_set(facts->common_name)) {
        return refuse(op, "The certificate must name at least one domain.");
    }
    enum cert_fault fault = cert_read_chain(a, facts->pem, in->certificate_chain, ret_chain);
    if (fault == CERT_NOT_PEM) {
        return refuse(op, "The certificate chain is not valid PEM.");
    }
    TRY(check(op, fault));
    return check(op, cert_read_key(a, in->private_key, facts->pem, ret_key));
}

/* ---- a newer edition ------------------------------------------------------------------------- */

static bool has_usage(const struct acm_key_usage_list *list, enum acm_key_usage_name name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].name == name) {
            return true;
        }
    }
    return false;
}

static bool has_extended(const struct acm_extended_key_usage_list *list, struct str oid)
{
    for (size_t i = 0; i < list->count; i++) {
        if (str_equal(list->items[i].oid, oid)) {
            return true;
        }
    }
    return false;
}

/* What AWS demands of a re-import: the same key algorithm, and no usage less. */
static enum err check_successor(struct op *op, const struct acm_certificate_detail *old,
                                const struct acm_certificate_detail *new)
{
    if (old->type != ACM_CERTIFICATE_TYPE_IMPORTED) {
        return refuse(op, "Only a certificate that was imported can be re-imported.");
    }
    if (old->key_algorithm != new->key_algorithm) {
        return refuse(op, "The key algorithm and size of a certificate cannot be changed by a "
                          "re-import.");
    }
    for (size_t i = 0; i < old->key_usages.count; i++) {
        if (!has_usage(&new->key_usages, old->key_usages.items[i].name)) {
            return refuse(op, "Key usage values cannot be removed by a re-import.");
        }
    }
    for (size_t i = 0; i < old->extended_key_usages.count; i++) {
        if (!has_extended(&new->extended_key_usages, old->extended_key_usages.items[i].oid)) {
            return refuse(op, "Extended key usage values cannot be removed by a re-import.");
        }
    }
    return ERR_OK;
}

static void begin_detail(struct op *op, struct acm_certificate_detail *detail)
{
    detail->certificate_arn = acm_new_arn(op);
    detail->created_at = OPT_TIME(op->now);
    detail->type = ACM_CERTIFICATE_TYPE_IMPORTED;
    detail->renewal_eligibility = ACM_RENEWAL_ELIGIBILITY_INELIGIBLE;
    detail->options = ARENA_NEW(&op->arena, struct acm_certificate_options);
    detail->options->certificate_transparency_logging_preference =
        ACM_CERTIFICATE_TRANSPARENCY_LOGGING_PREFERENCE_DISABLED;
    detail->options->export = ACM_CERTIFICATE_EXPORT_DISABLED;
}

/* The row that is replaced, or a new one. */
static enum err begin_row(struct op *op, struct acm *acm,
                          const struct acm_import_certificate_in *in,
                          const struct cert_facts *facts, struct engine_acm_certificate *row)
{
    if (!str_is_set(in->certificate_arn)) {
        TRY(acm_check_quota(op, acm));
        row->detail = ARENA_NEW(&op->arena, struct acm_certificate_detail);
        begin_detail(op, row->detail);
        row->issuer = STR("import");
        row->tags.items = in->tags.items;
        row->tags.count = in->tags.count;
        row->tags.is_set = true;
        return ERR_OK;
    }
    if (in->tags.count > 0) {
        return refuse(op, "Tagging is not permitted on re-import.");
    }
    TRY(acm_get(op, acm, in->certificate_arn, row));
    struct acm_certificate_detail told = {0};
    acm_tell_facts(op, facts, &told);
    return check_successor(op, row->detail, &told);
}

static enum err import(struct op *op, struct acm *acm, const struct acm_import_certificate_in *in,
                       struct str *ret_key, struct str *ret_arn)
{
    struct cert_facts facts = {0};
    struct engine_acm_certificate row = {0};
    struct str chain = STR_NONE;
    struct tags tags = TAGS_FROM(&op->arena, in->tags);
    TRY(tags_check(op, &acm_tag_errors, &tags));
    TRY(read_all(op, in, &facts, ret_key, &chain));
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, acm->config.store, &tx));
    TRY(begin_row(op, acm, in, &facts, &row));
    acm_tell_facts(op, &facts, row.detail);
    row.detail->status = ACM_CERTIFICATE_STATUS_ISSUED;
    row.detail->imported_at = OPT_TIME(op->now);
    row.certificate_pem = facts.pem;
    row.chain_pem = chain;
    row.sealed_key = acm_seal_key(op, acm, row.detail->certificate_arn, *ret_key);
    TRY(acm_put(op, acm, &row));
    TRY(store_tx_commit(op, &tx));
    *ret_arn = row.detail->certificate_arn;
    return ERR_OK;
}

ACM_OPERATION(import_certificate)
{
    struct str key = STR_NONE;
    enum err result = import(op, acm, in, &key, &ret->certificate_arn);
    cert_clear(key);
    cert_clear(in->private_key);
    return result;
}
