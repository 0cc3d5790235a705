/* What a certificate says, in the words of the API. */

#include "base/check.h"
#include "svc/acm/service.h"

_Static_assert((int)CERT_KEY_RSA_1024 == (int)ACM_KEY_ALGORITHM_RSA_1024 &&
                   (int)CERT_KEY_RSA_4096 == (int)ACM_KEY_ALGORITHM_RSA_4096 &&
                   (int)CERT_KEY_EC_P256 == (int)ACM_KEY_ALGORITHM_EC_PRIME256V1 &&
                   (int)CERT_KEY_EC_P521 == (int)ACM_KEY_ALGORITHM_EC_SECP521R1,
               "the kinds of keys have one order");

static const enum acm_key_usage_name key_usages[CERT_KEY_USAGES] = {
    ACM_KEY_USAGE_NAME_DIGITAL_SIGNATURE, ACM_KEY_USAGE_NAME_NON_REPUDIATION,
    ACM_KEY_USAGE_NAME_KEY_ENCIPHERMENT,  ACM_KEY_USAGE_NAME_DATA_ENCIPHERMENT,
    ACM_KEY_USAGE_NAME_KEY_AGREEMENT,     ACM_KEY_USAGE_NAME_CERTIFICATE_SIGNING,
    ACM_KEY_USAGE_NAME_CRL_SIGNING,       ACM_KEY_USAGE_NAME_ENCIPHER_ONLY,
    ACM_KEY_USAGE_NAME_DECIPHER_ONLY,
};

/* RFC 5280, section 4.2.1.12. */
static const struct {
    struct str oid;
    enum acm_extended_key_usage_name name;
} extended_usages[] = {
    {STR_INIT("1.3.6.1.5.5.7.3.1"), ACM_EXTENDED_KEY_USAGE_NAME_TLS_WEB_SERVER_AUTHENTICATION},
    {STR_INIT("1.3.6.1.5.5.7.3.2"), ACM_EXTENDED_KEY_USAGE_NAME_TLS_WEB_CLIENT_AUTHENTICATION},
    {STR_INIT("1.3.6.1.5.5.7.3.3"), ACM_EXTENDED_KEY_USAGE_NAME_CODE_SIGNING},
    {STR_INIT("1.3.6.1.5.5.7.3.4"), ACM_EXTENDED_KEY_USAGE_NAME_EMAIL_PROTECTION},
    {STR_INIT("1.3.6.1.5.5.7.3.5"), ACM_EXTENDED_KEY_USAGE_NAME_IPSEC_END_SYSTEM},
    {STR_INIT("1.3.6.1.5.5.7.3.6"), ACM_EXTENDED_KEY_USAGE_NAME_IPSEC_TUNNEL},
    {STR_INIT("1.3.6.1.5.5.7.3.7"), ACM_EXTENDED_KEY_USAGE_NAME_IPSEC_USER},
    {STR_INIT("1.3.6.1.5.5.7.3.8"), ACM_EXTENDED_KEY_USAGE_NAME_TIME_STAMPING},
    {STR_INIT("1.3.6.1.5.5.7.3.9"), ACM_EXTENDED_KEY_USAGE_NAME_OCSP_SIGNING},
    {STR_INIT("2.5.29.37.0"), ACM_EXTENDED_KEY_USAGE_NAME_ANY},
};

static enum acm_extended_key_usage_name extended_name(struct str oid)
{
    for (size_t i = 0; i < ARRAY_COUNT(extended_usages); i++) {
        if (str_equal(extended_usages[i].oid, oid)) {
            return extended_usages[i].name;
        }
    }
    return ACM_EXTENDED_KEY_USAGE_NAME_CUSTOM;
}

static void tell_usages(struct arena *a, const struct cert_facts *facts,
                        struct acm_certificate_detail *detail)
{
    detail->key_usages = (struct acm_key_usage_list){.is_set = true};
    detail->extended_key_usages = (struct acm_extended_key_usage_list){.is_set = true};
    for (size_t i = 0; i < CERT_KEY_USAGES; i++) {
        if ((facts->key_usage & (1u << i)) != 0) {
            ARENA_PUSH(a, &detail->key_usages)->name = key_usages[i];
        }
    }
    for (size_t i = 0; i < facts->extended_usages.count; i++) {
        struct str oid = facts->extended_usages.items[i];
        *ARENA_PUSH(a, &detail->extended_key_usages) =
            (struct acm_extended_key_usage){.name = extended_name(oid), .oid = oid};
    }
}

static struct acm_domain_list names_of(struct arena *a, const struct cert_facts *facts)
{
    struct acm_domain_list names = {.is_set = true};
    for (size_t i = 0; i < facts->names.count; i++) {
        *ARENA_PUSH(a, &names) = facts->names.items[i];
    }
    if (names.count == 0 && str_is_set(facts->common_name)) {
        *ARENA_PUSH(a, &names) = facts->common_name;
    }
    return names;
}

void acm_tell_facts(struct op *op, const struct cert_facts *facts,
                    struct acm_certificate_detail *detail)
{
    struct arena *a = &op->arena;
    detail->subject_alternative_names = names_of(a, facts);
    detail->domain_name = str_is_set(facts->common_name) ? facts->common_name
                          : facts->names.count > 0       ? facts->names.items[0]
                                                         : STR_NONE;
    detail->serial = facts->serial;
    detail->subject = facts->subject;
    detail->issuer = facts->issuer;
    detail->not_before = OPT_TIME(facts->not_before);
    detail->not_after = OPT_TIME(facts->not_after);
    detail->key_algorithm = (enum acm_key_algorithm)facts->key;
    detail->signature_algorithm = facts->signature_algorithm;
    tell_usages(a, facts, detail);
}

enum acm_certificate_status acm_status_now(const struct op *op,
                                           const struct acm_certificate_detail *detail)
{
    bool is_over = detail->not_after.is_set && detail->not_after.value.us < op->now.us;
    return detail->status == ACM_CERTIFICATE_STATUS_ISSUED && is_over
               ? ACM_CERTIFICATE_STATUS_EXPIRED
               : detail->status;
}
