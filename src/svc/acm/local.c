/* The engine's own authority: for tests, and for what only this machine's users see. */

#include "base/cleanup.h"
#include "base/fault.h"
#include "base/file.h"
#include "crypt/envelope.h"
#include "svc/acm/limits.h"
#include "svc/acm/machine.h"

#define DAY                ((int64_t)24 * 3600 * 1000000)
#define AUTHORITY_KEY_MARK STR("acm authority")

static const struct store_kind kind_authority = {"acm.authority", &shape_engine_acm_authority};

static struct cert_dates dates_of(wall_t now, int64_t days)
{
    /* from an hour ago: clocks of clients differ */
    return (struct cert_dates){.not_before = {.us = now.us - DAY / 24},
                               .not_after = {.us = now.us + days * DAY}};
}

/* Rows without a region: one authority for all. */
static enum err make_authority(struct op *op, struct acm *acm, struct engine_acm_authority *ret)
{
    struct str key = cert_make_key(&op->arena, CERT_KEY_EC_P256);
    struct str name =
        arena_printf(&op->arena, "hitless local authority of %.*s", STR_ARG(acm->config.account));
    ret->certificate_pem =
        cert_make_authority(&op->arena, key, name, dates_of(op->now, ACM_LOCAL_AUTHORITY_DAYS));
    ret->sealed_key = envelope_close(&op->arena, &acm->config.key, AUTHORITY_KEY_MARK, key);
    cert_clear(key);
    return store_put(op, acm->config.store, &kind_authority, STR("local"), STR(""), ret);
}

static enum err get_authority(struct op *op, struct acm *acm, struct engine_acm_authority *ret,
                              struct str *ret_key)
{
    struct str region = op->region;
    op->region = STR("");
    enum err result = store_get(op, acm->config.store, &kind_authority, STR("local"), ret);
    if (result == ERR_NOT_FOUND) {
        op_note_clear(op);
        result = make_authority(op, acm, ret);
    }
    op->region = region;
    TRY(result);
    if (!envelope_open(&op->arena, &acm->config.key, AUTHORITY_KEY_MARK, ret->sealed_key,
                       ret_key)) {
        return op_fail(op, ERR_INTERNAL,
                       "the key of the local authority does not open: " ENVELOPE_KEY_FILE
                       " is another one");
    }
    const char *path =
        arena_printf(&op->arena, "%.*s/local-ca.pem", STR_ARG(acm->config.state)).ptr;
    return file_write(op, path, ret->certificate_pem, 0644);
}

enum err acm_sign_locally(struct op *op, struct acm *acm, struct str arn)
{
    struct engine_acm_certificate row = {0};
    struct engine_acm_authority authority = {0};
    struct str authority_key = STR_NONE;
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, acm->config.store, &tx));
    TRY(acm_get(op, acm, arn, &row));
    TRY(get_authority(op, acm, &authority, &authority_key));
    const struct acm_domain_list *names = &row.detail->subject_alternative_names;
    struct str key = cert_make_key(&op->arena, (enum cert_key)row.detail->key_algorithm);
    struct str leaf = cert_make_leaf(&op->arena, authority.certificate_pem, authority_key, key,
                                     names->items, names->count, dates_of(op->now, ACM_LOCAL_DAYS));
    struct str sealed = acm_seal_key(op, acm, arn, key);
    struct str chain =
        arena_printf(&op->arena, "%.*s%.*s", STR_ARG(leaf), STR_ARG(authority.certificate_pem));
    cert_clear(key);
    cert_clear(authority_key);
    TRY(acm_order_finish(op, acm, arn, chain, sealed));
    FAULT_POINT("acm before the commit of a local certificate");
    return store_tx_commit(op, &tx);
}
