/* RequestCertificate and RenewCertificate: they only write down what is wanted; machine.c gets it.
 */

#include "base/cleanup.h"
#include "crypt/hash.h"
#include "svc/acm/limits.h"
#include "svc/acm/machine.h"
#include "svc/acm/order.h"
#include "svc/acm/service.h"

#define DOMAIN_CHARS_MAX 253
#define LABEL_CHARS_MAX  63

#define refuse(op, ...) op_fail_as((op), ERR_INPUT, &acm_error_validation_exception, __VA_ARGS__)

/* ---- names ----------------------------------------------------------------------------------- */

static bool is_label(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = str_lower_char(s.ptr[i]);
        bool is_fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
        if (!is_fine) {
            return false;
        }
    }
    return s.len > 0 && s.len <= LABEL_CHARS_MAX && s.ptr[0] != '-' && s.ptr[s.len - 1] != '-';
}

/* Two labels at least, the first of more may be "*". */
static bool is_domain(struct str name)
{
    struct str rest = str_starts_with(name, STR("*.")) ? str_from(name, 2) : name;
    struct str label = STR_NONE;
    size_t labels = 0;
    while (str_next(&rest, '.', &label)) {
        if (!is_label(label)) {
            return false;
        }
        labels++;
    }
    return labels >= 2 && name.len <= DOMAIN_CHARS_MAX;
}

static bool has_name(const struct acm_domain_list *names, struct str name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (str_equal_nocase(names->items[i], name)) {
            return true;
        }
    }
    return false;
}

static enum err add_name(struct op *op, struct str name, struct acm_domain_list *to)
{
    if (!is_domain(name)) {
        return refuse(op, "'%.*s' is not a domain name that a certificate can be issued for.",
                      STR_ARG(str_slice(name, 0, DOMAIN_CHARS_MAX)));
    }
    if (!has_name(to, name)) {
        *ARENA_PUSH(&op->arena, to) = name;
    }
    return ERR_OK;
}

static enum err gather_names(struct op *op, const struct acm_request_certificate_in *in,
                             struct acm_domain_list *to)
{
    to->is_set = true;
    TRY(add_name(op, in->domain_name, to));
    for (size_t i = 0; i < in->subject_alternative_names.count; i++) {
        TRY(add_name(op, in->subject_alternative_names.items[i], to));
    }
    if (to->count > ACM_NAMES_MAX) {
        return op_fail_as(op, ERR_LIMIT, &acm_error_limit_exceeded_exception,
                          "A certificate can have %d domain names at most.", ACM_NAMES_MAX);
    }
    return ERR_OK;
}

/* ---- what is asked for ----------------------------------------------------------------------- */

static bool is_tagged_local(const struct acm_tag_list *tags)
{
    for (size_t i = 0; i < tags->count; i++) {
        if (STR_IS(tags->items[i].key, "hitless.issuer") && STR_IS(tags->items[i].value, "local")) {
            return true;
        }
    }
    return false;
}

static bool is_local(const struct acm *acm, const struct acm_tag_list *tags)
{
    bool has_acme = str_is_set(acm->config.acme.directory);
    return is_tagged_local(tags) || (acm->config.is_test_mode && !has_acme);
}

static enum err check_request(struct op *op, const struct acm *acm,
                              const struct acm_request_certificate_in *in,
                              const struct acm_domain_list *names)
{
    if (in->validation_method == ACM_VALIDATION_METHOD_EMAIL) {
        return refuse(op,
                      "Validation by e-mail is not supported here; use the validation method DNS "
                      "or HTTP.");
    }
    if (str_is_set(in->certificate_authority_arn)) {
        return refuse(op, "There is no private certificate authority here; leave out "
                          "CertificateAuthorityArn.");
    }
    enum acm_key_algorithm key = in->key_algorithm;
    if (key != ACM_KEY_ALGORITHM_UNSET && key != ACM_KEY_ALGORITHM_RSA_2048 &&
        key != ACM_KEY_ALGORITHM_EC_PRIME256V1 && key != ACM_KEY_ALGORITHM_EC_SECP384R1) {
        return refuse(op, "A certificate can be requested with the key algorithms RSA_2048, "
                          "EC_prime256v1 and EC_secp384r1.");
    }
    for (size_t i = 0; i < names->count; i++) {
        if (str_starts_with(names->items[i], STR("*.")) && !is_local(acm, &in->tags)) {
            return op_fail_as(
                op, ERR_INPUT, &acm_error_invalid_domain_validation_options_exception,
                "'%.*s': a wildcard cannot be proved over HTTP, and this engine changes "
                "no DNS; import a certificate for it.",
                STR_ARG(names->items[i]));
        }
    }
    return ERR_OK;
}

/* ---- the row --------------------------------------------------------------------------------- */

/* The record that AWS would look for; nobody looks here, but clients want to set one. */
static struct acm_resource_record *record_of(struct op *op, struct str domain)
{
    struct arena *a = &op->arena;
    struct str bare = str_starts_with(domain, STR("*.")) ? str_from(domain, 2) : domain;
    struct str name =
        sha256_hex(a, arena_printf(a, "name %.*s %.*s", STR_ARG(op->account), STR_ARG(bare)));
    struct str value =
        sha256_hex(a, arena_printf(a, "value %.*s %.*s", STR_ARG(op->account), STR_ARG(bare)));
    struct acm_resource_record *record = ARENA_NEW(a, struct acm_resource_record);
    record->name = arena_printf(a, "_%.*s.%.*s.", 32, name.ptr, STR_ARG(bare));
    record->type = ACM_RECORD_TYPE_CNAME;
    record->value = arena_printf(a, "_%.*s.acm-validations.aws.", 32, value.ptr);
    return record;
}

static struct acm_domain_validation_list validations_of(struct op *op,
                                                        const struct acm_domain_list *names,
                                                        enum acm_validation_method method)
{
    struct acm_domain_validation_list list = {.is_set = true};
    for (size_t i = 0; i < names->count; i++) {
        struct acm_domain_validation *one = ARENA_PUSH(&op->arena, &list);
        one->domain_name = names->items[i];
        one->validation_domain = names->items[i];
        one->validation_status = ACM_DOMAIN_STATUS_PENDING_VALIDATION;
        one->validation_method = method;
        if (method == ACM_VALIDATION_METHOD_DNS) {
            one->resource_record = record_of(op, names->items[i]);
        }
    }
    return list;
}

static struct acm_certificate_options *options_of(struct op *op,
                                                  const struct acm_certificate_options *asked)
{
    struct acm_certificate_options *options = ARENA_NEW(&op->arena, struct acm_certificate_options);
    if (asked != NULL) {
        *options = *asked;
    }
    if (options->certificate_transparency_logging_preference ==
        ACM_CERTIFICATE_TRANSPARENCY_LOGGING_PREFERENCE_UNSET) {
        options->certificate_transparency_logging_preference =
            ACM_CERTIFICATE_TRANSPARENCY_LOGGING_PREFERENCE_ENABLED;
    }
    if (options->export == ACM_CERTIFICATE_EXPORT_UNSET) {
        options->export = ACM_CERTIFICATE_EXPORT_DISABLED;
    }
    return options;
}

static struct acm_certificate_detail *detail_of(struct op *op,
                                                const struct acm_request_certificate_in *in,
                                                const struct acm_domain_list *names)
{
    struct acm_certificate_detail *detail = ARENA_NEW(&op->arena, struct acm_certificate_detail);
    enum acm_validation_method method = in->validation_method == ACM_VALIDATION_METHOD_UNSET
                                            ? ACM_VALIDATION_METHOD_DNS
                                            : in->validation_method;
    detail->certificate_arn = acm_new_arn(op);
    detail->domain_name = in->domain_name;
    detail->subject_alternative_names = *names;
    detail->domain_validation_options = validations_of(op, names, method);
    detail->subject = arena_printf(&op->arena, "CN=%.*s", STR_ARG(in->domain_name));
    detail->issuer = STR("Amazon");
    detail->created_at = OPT_TIME(op->now);
    detail->status = ACM_CERTIFICATE_STATUS_PENDING_VALIDATION;
    detail->key_algorithm = in->key_algorithm == ACM_KEY_ALGORITHM_UNSET
                                ? ACM_KEY_ALGORITHM_RSA_2048
                                : in->key_algorithm;
    detail->signature_algorithm = STR("SHA256WITHRSA");
    detail->type = ACM_CERTIFICATE_TYPE_AMAZON_ISSUED;
    detail->renewal_eligibility = ACM_RENEWAL_ELIGIBILITY_INELIGIBLE;
    detail->managed_by = in->managed_by;
    detail->options = options_of(op, in->options);
    return detail;
}

/* What makes two requests with one token the same. */
static struct str request_text(struct op *op, const struct acm_domain_list *names)
{
    struct str text = STR("");
    for (size_t i = 0; i < names->count; i++) {
        text = arena_printf(&op->arena, "%.*s%.*s\n", STR_ARG(text), STR_ARG(names->items[i]));
    }
    return sha256_hex(&op->arena, text);
}

/* The ARN of an equal request of the last hour, or absent. */
static enum err find_equal(struct op *op, struct acm *acm, struct str token, struct str request,
                           struct str *ret_arn)
{
    struct store_items items = {0};
    *ret_arn = STR_NONE;
    if (!str_is_set(token)) {
        return ERR_OK;
    }
    TRY(store_list(op, acm->config.store, &acm_kind_certificate, &(struct store_range){0}, &items));
    for (size_t i = 0; i < items.count; i++) {
        const struct engine_acm_certificate *row = items.items[i].value;
        dur_t age = wall_since(op->now, OPT_OR(row->detail->created_at, ((wall_t){0})));
        if (str_equal(row->request_token, token) && str_equal(row->request, request) &&
            age.us < ACM_REQUEST_TOKEN_TIME.us) {
            *ret_arn = items.items[i].key;
        }
    }
    return ERR_OK;
}

ACM_OPERATION(request_certificate)
{
    struct acm_domain_list names = {0};
    struct str old = STR_NONE;
    struct tags tags = TAGS_FROM(&op->arena, in->tags);
    TRY(gather_names(op, in, &names));
    TRY(check_request(op, acm, in, &names));
    TRY(tags_check(op, &acm_tag_errors, &tags));
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, acm->config.store, &tx));
    struct str request = request_text(op, &names);
    TRY(find_equal(op, acm, in->idempotency_token, request, &old));
    if (str_is_set(old)) {
        ret->certificate_arn = old;
        return store_tx_commit(op, &tx);
    }
    TRY(acm_check_quota(op, acm));
    bool is_local_one = is_local(acm, &in->tags);
    struct engine_acm_certificate row = {
        .detail = detail_of(op, in, &names),
        .issuer = is_local_one ? STR("local") : STR("acme"),
        .tags = in->tags,
        .request_token = in->idempotency_token,
        .request = request,
    };
    row.tags.is_set = true;
    TRY(acm_put(op, acm, &row));
    TRY(acm_order_begin(op, acm, &row, false));
    TRY(store_tx_commit(op, &tx));
    ret->certificate_arn = row.detail->certificate_arn;
    return ERR_OK;
}

ACM_OPERATION(renew_certificate)
{
    (void)ret;
    struct engine_acm_certificate row = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, acm->config.store, &tx));
    TRY(acm_get(op, acm, in->certificate_arn, &row));
    if (row.detail->type == ACM_CERTIFICATE_TYPE_IMPORTED) {
        return refuse(op, "The certificate %.*s was imported: import its successor over its ARN.",
                      STR_ARG(in->certificate_arn));
    }
    if (store_has(op, acm->config.store, &acm_kind_order, in->certificate_arn)) {
        return op_fail_as(op, ERR_STATE, &acm_error_request_in_progress_exception,
                          "The certificate %.*s is being issued or renewed already.",
                          STR_ARG(in->certificate_arn));
    }
    TRY(acm_order_begin(op, acm, &row, acm_is_usable(&row)));
    return store_tx_commit(op, &tx);
}
