/* Revocation lists of trust stores. */

#include "base/cleanup.h"
#include "crypt/cert.h"
#include "svc/common/page.h"
#include "svc/elbv2/limits.h"
#include "svc/elbv2/rows.h"
#include "svc/elbv2/state.h"
#include "svc/elbv2/trust_stores.h"

static const struct page_rules pages = {.list_name = "elbv2.revocations",
                                        .default_count = 400,
                                        .max_count = 400,
                                        .bad_token = &elbv2_validation_error,
                                        .bad_token_text = "The marker is not valid"};

static struct str key_of(struct op *op, struct str arn, int64_t id)
{
    return arena_printf(&op->arena, "%.*s\n%012lld", STR_ARG(arn), (long long)id);
}

enum err elbv2_list_revocations(struct op *op, struct elbv2 *e, struct str arn,
                                struct store_items *ret)
{
    return store_list(op, e->store, &elbv2_kind_revocations, &(struct store_range){.parent = arn},
                      ret);
}

static enum err get(struct op *op, struct elbv2 *e, struct str arn, int64_t id,
                    struct engine_elb_revocations *ret)
{
    enum err result = store_get(op, e->store, &elbv2_kind_revocations, key_of(op, arn, id), ret);
    if (result == ERR_NOT_FOUND) {
        op_note_clear(op);
        return op_fail_as(op, ERR_NOT_FOUND, &elbv2_error_revocation_id_not_found_exception,
                          "Revocation ID '%lld' not found", (long long)id);
    }
    return result;
}

/* ---- add ------------------------------------------------------------------------------------- */

static enum err read_list(struct op *op, struct elbv2 *e,
                          const struct elbv2_revocation_content *from,
                          struct engine_elb_revocations *row, int64_t *ret_entries)
{
    struct elbv2_object object = {from->s3_bucket, from->s3_key, from->s3_object_version,
                                  &elbv2_error_revocation_content_not_found_exception};
    struct str text = STR_NONE;
    size_t entries = 0;
    TRY(elbv2_read_object(op, e, &object, &text));
    enum cert_fault fault = cert_read_revocations(&op->arena, text, &row->pem, &entries);
    if (fault != CERT_FINE) {
        return op_fail_as(op, ERR_INPUT, &elbv2_error_invalid_revocation_content_exception,
                          "The revocation content 's3://%.*s/%.*s' is not valid: %s",
                          STR_ARG(from->s3_bucket), STR_ARG(from->s3_key), cert_fault_text(fault));
    }
    *ret_entries = (int64_t)entries;
    return ERR_OK;
}

static enum err add_one(struct op *op, struct elbv2 *e, struct elbv2_trust_store *store,
                        const struct elbv2_revocation_content *from,
                        struct elbv2_trust_store_revocations *to)
{
    struct engine_elb_revocations row = {
        .revocation = ARENA_NEW(&op->arena, struct elbv2_describe_trust_store_revocation)};
    int64_t entries = 0;
    int64_t id = 0;
    TRY(read_list(op, e, from, &row, &entries));
    TRY(store_next_number(op, e->store, STR("elbv2.revocations"), &id));
    *row.revocation = (struct elbv2_describe_trust_store_revocation){
        .trust_store_arn = store->trust_store_arn,
        .revocation_id = OPT_I64(id),
        .revocation_type = ELBV2_REVOCATION_TYPE_CRL,
        .number_of_revoked_entries = OPT_I64(entries)};
    int64_t total = OPT_OR(store->total_revoked_entries, 0) + entries;
    if (total > ELBV2_REVOKED_ENTRIES_MAX) {
        return op_fail_as(op, ERR_LIMIT,
                          &elbv2_error_too_many_trust_store_revocation_entries_exception,
                          "You have reached the maximum number of revocation entries: %d",
                          ELBV2_REVOKED_ENTRIES_MAX);
    }
    store->total_revoked_entries = OPT_I64(total);
    TRY(store_put(op, e->store, &elbv2_kind_revocations, key_of(op, store->trust_store_arn, id),
                  store->trust_store_arn, &row));
    to->is_set = true;
    *ARENA_PUSH(&op->arena, to) =
        (struct elbv2_trust_store_revocation){.trust_store_arn = store->trust_store_arn,
                                              .revocation_id = OPT_I64(id),
                                              .revocation_type = ELBV2_REVOCATION_TYPE_CRL,
                                              .number_of_revoked_entries = OPT_I64(entries)};
    return ERR_OK;
}

/* Asked after the change, within the transaction. */
static enum err check_bytes(struct op *op, struct elbv2 *e, struct str arn)
{
    struct store_items items = {0};
    size_t bytes = 0;
    TRY(elbv2_list_revocations(op, e, arn, &items));
    for (size_t i = 0; i < items.count; i++) {
        bytes += ((const struct engine_elb_revocations *)items.items[i].value)->pem.len;
    }
    if (bytes > ELBV2_REVOCATION_BYTES_MAX) {
        return op_fail_as(op, ERR_LIMIT,
                          &elbv2_error_too_many_trust_store_revocation_entries_exception,
                          "The revocation lists of a trust store may have %d bytes at most",
                          ELBV2_REVOCATION_BYTES_MAX);
    }
    return ERR_OK;
}

ELBV2_OPERATION(add_trust_store_revocations)
{
    struct engine_elb_trust_store row = {0};
    size_t count = 0;
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    TRY(elbv2_get_trust_store(op, e, in->trust_store_arn, &row));
    TRY(store_count(op, e->store, &elbv2_kind_revocations,
                    &(struct store_range){.parent = in->trust_store_arn}, &count));
    if (in->revocation_contents.count == 0) {
        return elbv2_invalid(op, "At least one revocation content must be specified");
    }
    if (count + in->revocation_contents.count > ELBV2_REVOCATION_LISTS_MAX) {
        return op_fail_as(op, ERR_LIMIT,
                          &elbv2_error_too_many_trust_store_revocation_entries_exception,
                          "You have reached the maximum number of revocation files: %d",
                          ELBV2_REVOCATION_LISTS_MAX);
    }
    for (size_t i = 0; i < in->revocation_contents.count; i++) {
        TRY(add_one(op, e, row.trust_store, &in->revocation_contents.items[i],
                    &ret->trust_store_revocations));
    }
    TRY(check_bytes(op, e, in->trust_store_arn));
    TRY(elbv2_put_trust_store(op, e, &row));
    return store_tx_commit(op, &tx);
}

/* ---- remove, describe ------------------------------------------------------------------------ */

ELBV2_OPERATION(remove_trust_store_revocations)
{
    (void)ret;
    struct engine_elb_trust_store row = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    TRY(elbv2_get_trust_store(op, e, in->trust_store_arn, &row));
    for (size_t i = 0; i < in->revocation_ids.count; i++) {
        struct engine_elb_revocations one = {0};
        TRY(get(op, e, in->trust_store_arn, in->revocation_ids.items[i].value, &one));
        int64_t left = OPT_OR(row.trust_store->total_revoked_entries, 0) -
                       OPT_OR(one.revocation->number_of_revoked_entries, 0);
        row.trust_store->total_revoked_entries = OPT_I64(left < 0 ? 0 : left);
        TRY(store_remove(op, e->store, &elbv2_kind_revocations,
                         key_of(op, in->trust_store_arn, in->revocation_ids.items[i].value)));
    }
    TRY(elbv2_put_trust_store(op, e, &row));
    return store_tx_commit(op, &tx);
}

ELBV2_OPERATION(describe_trust_store_revocations)
{
    struct engine_elb_trust_store row = {0};
    TRY(elbv2_get_trust_store(op, e, in->trust_store_arn, &row));
    ret->trust_store_revocations.is_set = true;
    for (size_t i = 0; i < in->revocation_ids.count; i++) {
        struct engine_elb_revocations one = {0};
        TRY(get(op, e, in->trust_store_arn, in->revocation_ids.items[i].value, &one));
        *ARENA_PUSH(&op->arena, &ret->trust_store_revocations) = *one.revocation;
    }
    if (in->revocation_ids.count > 0) {
        return ERR_OK;
    }
    struct store_items items = {0};
    TRY(page_list(op, e->store, &elbv2_kind_revocations,
                  &(struct store_range){.parent = in->trust_store_arn}, &pages,
                  (struct page_ask){in->marker, in->page_size}, &items, &ret->next_marker));
    for (size_t i = 0; i < items.count; i++) {
        const struct engine_elb_revocations *one = items.items[i].value;
        *ARENA_PUSH(&op->arena, &ret->trust_store_revocations) = *one->revocation;
    }
    return ERR_OK;
}

ELBV2_OPERATION(get_trust_store_revocation_content)
{
    struct engine_elb_trust_store row = {0};
    struct engine_elb_revocations one = {0};
    int64_t id = OPT_OR(in->revocation_id, 0);
    TRY(elbv2_get_trust_store(op, e, in->trust_store_arn, &row));
    TRY(get(op, e, in->trust_store_arn, id, &one));
    struct str name = arena_printf(&op->arena, "%.*s-%.*s-%lld.crl", STR_ARG(op->region),
                                   STR_ARG(row.trust_store->name), (long long)id);
    return elbv2_hand_out(op, e, name, one.pem, &ret->location);
}
