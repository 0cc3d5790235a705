#pragma once
/* What the files of this module share; private to it. */

#include "base/map.h"
#include "base/op.h"
#include "crypt/cert.h"
#include "ev/loop.h"
#include "gen/engine.h"
#include "store/store.h"
#include "svc/acm/acm.h"
#include "svc/common/tags.h"

struct acme;

struct acm {
    struct acm_config config;
    struct arena arena; /* of the configuration's texts */
    bool is_started;
    struct ev_defer turn;
    struct ev_timer timer;
    wall_t renewals_due; /* when to look for them again */
    struct ev_timer folder_timer;
    struct map seen_files; /* path -> char *, how the pair was when it was last looked at */
    struct acme *acme;     /* NULL without an authority outside */
};

extern const struct store_kind acm_kind_certificate;
extern const struct store_kind acm_kind_configuration;
extern const struct tag_errors acm_tag_errors;

/* ---- rows.c ---------------------------------------------------------------------------------- */

/* ERR_INPUT (InvalidArnException) or ERR_NOT_FOUND (ResourceNotFoundException). */
enum err acm_get(struct op *op, struct acm *acm, struct str arn,
                 struct engine_acm_certificate *ret);
/* Tells the users of the certificate after the commit. */
enum err acm_put(struct op *op, struct acm *acm, const struct engine_acm_certificate *row);
enum err acm_remove(struct op *op, struct acm *acm, struct str arn);
struct str acm_seal_key(struct op *op, struct acm *acm, struct str arn, struct str key_pem);
/* The caller clears it. ERR_INTERNAL when it does not open: the key file is another one. */
enum err acm_open_key(struct op *op, struct acm *acm, struct str arn, struct str sealed,
                      struct str *ret_key_pem);
enum err acm_check_quota(struct op *op, struct acm *acm);
struct str acm_new_arn(struct op *op);
/* detail is there and of a certificate that was issued. */
bool acm_is_usable(const struct engine_acm_certificate *row);

/* ---- facts.c --------------------------------------------------------------------------------- */

/* Writes what stands in the certificate into the detail. */
void acm_tell_facts(struct op *op, const struct cert_facts *facts,
                    struct acm_certificate_detail *detail);
/* The status at this time: ISSUED becomes EXPIRED. */
enum acm_certificate_status acm_status_now(const struct op *op,
                                           const struct acm_certificate_detail *detail);

/* ---- operations ------------------------------------------------------------------------------ */

#define ACM_OPERATION(name_)                                                                   \
    enum err acm_do_##name_(struct op *op, struct acm *acm, const struct acm_##name_##_in *in, \
                            struct acm_##name_##_out *ret)

ACM_OPERATION(import_certificate);
ACM_OPERATION(request_certificate);
ACM_OPERATION(renew_certificate);
ACM_OPERATION(describe_certificate);
ACM_OPERATION(get_certificate);
ACM_OPERATION(list_certificates);
ACM_OPERATION(delete_certificate);
ACM_OPERATION(export_certificate);
ACM_OPERATION(resend_validation_email);
ACM_OPERATION(update_certificate_options);
ACM_OPERATION(get_account_configuration);
ACM_OPERATION(put_account_configuration);
ACM_OPERATION(add_tags_to_certificate);
ACM_OPERATION(remove_tags_from_certificate);
ACM_OPERATION(list_tags_for_certificate);
