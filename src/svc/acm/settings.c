/* Tags, options and the account's configuration. */

#include "base/cleanup.h"
#include "svc/acm/limits.h"
#include "svc/acm/service.h"

/* ---- tags ------------------------------------------------------------------------------------ */

static enum err put_tags(struct op *op, struct acm *acm, struct engine_acm_certificate *row,
                         struct tags tags)
{
    TAGS_INTO(&op->arena, tags, &row->tags);
    return store_put(op, acm->config.store, &acm_kind_certificate, row->detail->certificate_arn,
                     STR(""), row);
}

ACM_OPERATION(add_tags_to_certificate)
{
    (void)ret;
    struct engine_acm_certificate row = {0};
    struct tags merged = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, acm->config.store, &tx));
    TRY(acm_get(op, acm, in->certificate_arn, &row));
    struct tags have = TAGS_FROM(&op->arena, row.tags);
    struct tags add = TAGS_FROM(&op->arena, in->tags);
    TRY(tags_check(op, &acm_tag_errors, &add));
    TRY(tags_merge(op, &acm_tag_errors, &have, &add, &merged));
    TRY(put_tags(op, acm, &row, merged));
    return store_tx_commit(op, &tx);
}

/* A tag with a value goes only when it has this value. */
static bool is_asked_away(const struct tags *asked, const struct tag *tag)
{
    for (size_t i = 0; i < asked->count; i++) {
        const struct tag *one = &asked->items[i];
        if (str_equal(one->key, tag->key) &&
            (!str_is_set(one->value) || str_equal(one->value, tag->value))) {
            return true;
        }
    }
    return false;
}

ACM_OPERATION(remove_tags_from_certificate)
{
    (void)ret;
    struct engine_acm_certificate row = {0};
    struct tags kept = {.is_set = true};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, acm->config.store, &tx));
    TRY(acm_get(op, acm, in->certificate_arn, &row));
    struct tags have = TAGS_FROM(&op->arena, row.tags);
    struct tags asked = TAGS_FROM(&op->arena, in->tags);
    for (size_t i = 0; i < have.count; i++) {
        if (!is_asked_away(&asked, &have.items[i])) {
            *ARENA_PUSH(&op->arena, &kept) = have.items[i];
        }
    }
    TRY(put_tags(op, acm, &row, kept));
    return store_tx_commit(op, &tx);
}

ACM_OPERATION(list_tags_for_certificate)
{
    struct engine_acm_certificate row = {0};
    TRY(acm_get(op, acm, in->certificate_arn, &row));
    ret->tags = row.tags;
    ret->tags.is_set = true;
    return ERR_OK;
}

/* ---- options --------------------------------------------------------------------------------- */

ACM_OPERATION(update_certificate_options)
{
    (void)ret;
    struct engine_acm_certificate row = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, acm->config.store, &tx));
    TRY(acm_get(op, acm, in->certificate_arn, &row));
    if (row.detail->type == ACM_CERTIFICATE_TYPE_IMPORTED) {
        return op_fail_as(op, ERR_STATE, &acm_error_invalid_state_exception,
                          "The certificate %.*s was imported: its options cannot be updated.",
                          STR_ARG(in->certificate_arn));
    }
    struct acm_certificate_options *options = row.detail->options;
    if (in->options->certificate_transparency_logging_preference !=
        ACM_CERTIFICATE_TRANSPARENCY_LOGGING_PREFERENCE_UNSET) {
        options->certificate_transparency_logging_preference =
            in->options->certificate_transparency_logging_preference;
    }
    if (in->options->export != ACM_CERTIFICATE_EXPORT_UNSET) {
        options->export = in->options->export;
    }
    TRY(acm_put(op, acm, &row));
    return store_tx_commit(op, &tx);
}

ACM_OPERATION(resend_validation_email)
{
    (void)ret;
    struct engine_acm_certificate row = {0};
    TRY(acm_get(op, acm, in->certificate_arn, &row));
    return op_fail_as(op, ERR_STATE, &acm_error_invalid_state_exception,
                      "The certificate %.*s is not validated by e-mail.",
                      STR_ARG(in->certificate_arn));
}

/* ---- the account ----------------------------------------------------------------------------- */

ACM_OPERATION(get_account_configuration)
{
    (void)in;
    struct engine_acm_configuration row = {0};
    enum err result =
        store_get(op, acm->config.store, &acm_kind_configuration, STR("account"), &row);
    if (result != ERR_OK && result != ERR_NOT_FOUND) {
        return result;
    }
    op_note_clear(op);
    ret->expiry_events = ARENA_NEW(&op->arena, struct acm_expiry_events_configuration);
    ret->expiry_events->days_before_expiry =
        OPT_I32(OPT_OR(row.days_before_expiry, ACM_EXPIRY_DAYS_DEFAULT));
    return ERR_OK;
}

ACM_OPERATION(put_account_configuration)
{
    (void)ret;
    struct engine_acm_configuration row = {0};
    if (in->expiry_events != NULL) {
        row.days_before_expiry = in->expiry_events->days_before_expiry;
    }
    return store_put(op, acm->config.store, &acm_kind_configuration, STR("account"), STR(""), &row);
}
