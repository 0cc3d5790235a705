#include "svc/elbv2/trust_stores.h"

#include "base/cleanup.h"
#include "crypt/cert.h"
#include "svc/common/arn.h"
#include "svc/common/ids.h"
#include "svc/common/page.h"
#include "svc/common/tags.h"
#include "svc/elbv2/limits.h"
#include "svc/elbv2/load_balancers.h"
#include "svc/elbv2/rows.h"
#include "svc/elbv2/state.h"

#include <string.h>

const struct store_kind elbv2_kind_trust_store = {"elbv2.trust_store",
                                                  &shape_engine_elb_trust_store};
const struct store_kind elbv2_kind_revocations = {"elbv2.revocations",
                                                  &shape_engine_elb_revocations};

static const struct page_rules pages = {.list_name = "elbv2.trust_stores",
                                        .default_count = 400,
                                        .max_count = 400,
                                        .bad_token = &elbv2_validation_error,
                                        .bad_token_text = "The marker is not valid"};

/* ---- rows ------------------------------------------------------------------------------------ */

enum err elbv2_get_trust_store(struct op *op, struct elbv2 *e, struct str arn,
                               struct engine_elb_trust_store *ret)
{
    struct elbv2_name name = elbv2_read_arn(op, arn);
    if (name.resource != ELBV2_TRUST_STORE) {
        return elbv2_invalid(op, "'%.*s' is not a valid trust store ARN", STR_ARG(arn));
    }
    struct engine_elb_trust_store row = {0};
    enum err result = store_get(op, e->store, &elbv2_kind_trust_store, name.name, &row);
    if (result == ERR_OK && row.trust_store != NULL &&
        str_equal(row.trust_store->trust_store_arn, arn)) {
        *ret = row;
        return ERR_OK;
    }
    if (result != ERR_OK && result != ERR_NOT_FOUND) {
        return result;
    }
    op_note_clear(op);
    return op_fail_as(op, ERR_NOT_FOUND, &elbv2_error_trust_store_not_found_exception,
                      "Trust store '%.*s' not found", STR_ARG(arn));
}

static bool verifies_by(const struct elbv2_listener *listener, struct str arn)
{
    const struct elbv2_mutual_authentication_attributes *mutual = listener->mutual_authentication;
    return mutual != NULL && str_equal(mutual->trust_store_arn, arn);
}

enum err elbv2_put_trust_store(struct op *op, struct elbv2 *e, struct engine_elb_trust_store *row)
{
    struct store_items items = {0};
    row->edition = OPT_I64(OPT_OR(row->edition, 0) + 1);
    TRY(store_put(op, e->store, &elbv2_kind_trust_store, row->trust_store->name, STR(""), row));
    TRY(store_list(op, e->store, &elbv2_kind_listener, &(struct store_range){0}, &items));
    for (size_t i = 0; i < items.count; i++) {
        if (verifies_by(items.items[i].value, row->trust_store->trust_store_arn)) {
            elbv2_note_listener(e, items.items[i].key);
        }
    }
    return ERR_OK;
}

enum err elbv2_trust_store_users(struct op *op, struct elbv2 *e, struct str arn,
                                 struct port_arns *ret)
{
    struct store_items items = {0};
    struct port_arns users = {0};
    TRY(store_list(op, e->store, &elbv2_kind_listener, &(struct store_range){0}, &items));
    for (size_t i = 0; i < items.count; i++) {
        const struct elbv2_listener *listener = items.items[i].value;
        bool is_new = verifies_by(listener, arn);
        for (size_t k = 0; k < users.count; k++) {
            is_new = is_new && !str_equal(users.items[k], listener->load_balancer_arn);
        }
        if (is_new) {
            *ARENA_PUSH(&op->arena, &users) = listener->load_balancer_arn;
        }
    }
    *ret = users;
    return ERR_OK;
}

enum err elbv2_trust_store_content(struct op *op, struct elbv2 *e, struct str arn,
                                   struct str *ret_authorities_pem, struct str *ret_revocations_pem)
{
    struct engine_elb_trust_store row = {0};
    struct store_items items = {0};
    TRY(elbv2_get_trust_store(op, e, arn, &row));
    TRY(elbv2_list_revocations(op, e, arn, &items));
    *ret_authorities_pem = row.pem;
    *ret_revocations_pem = STR_NONE;
    for (size_t i = 0; i < items.count; i++) {
        const struct engine_elb_revocations *one = items.items[i].value;
        *ret_revocations_pem =
            arena_printf(&op->arena, "%.*s%.*s", STR_ARG(*ret_revocations_pem), STR_ARG(one->pem));
    }
    return ERR_OK;
}

/* ---- create, modify -------------------------------------------------------------------------- */

static enum err read_bundle(struct op *op, struct elbv2 *e, struct str bucket, struct str key,
                            struct str version, struct engine_elb_trust_store *row)
{
    struct elbv2_object object = {bucket, key, version,
                                  &elbv2_error_ca_certificates_bundle_not_found_exception};
    struct str text = STR_NONE;
    size_t count = 0;
    TRY(elbv2_read_object(op, e, &object, &text));
    enum cert_fault fault = cert_read_bundle(&op->arena, text, &row->pem, &count);
    if (fault == CERT_FINE && count > ELBV2_AUTHORITIES_MAX) {
        fault = CERT_TOO_MANY;
    }
    if (fault != CERT_FINE) {
        return op_fail_as(op, ERR_INPUT, &elbv2_error_invalid_ca_certificates_bundle_exception,
                          "The CA certificates bundle 's3://%.*s/%.*s' is not valid: %s",
                          STR_ARG(bucket), STR_ARG(key), cert_fault_text(fault));
    }
    row->trust_store->number_of_ca_certificates = OPT_I32((int32_t)count);
    return ERR_OK;
}

static enum err check_new(struct op *op, struct elbv2 *e, struct str name)
{
    size_t count = 0;
    if (!name_is(name, 1, ELBV2_NAME_CHARS_MAX, STR("-")) || name.ptr[0] == '-' ||
        str_ends_with(name, STR("-"))) {
        return elbv2_invalid(op,
                             "Trust store name '%.*s' can contain only alphanumeric characters and "
                             "hyphens, and cannot begin or end with a hyphen",
                             STR_ARG(name));
    }
    if (store_has(op, e->store, &elbv2_kind_trust_store, name)) {
        return op_fail_as(op, ERR_EXISTS, &elbv2_error_duplicate_trust_store_name_exception,
                          "A trust store with the name '%.*s' already exists", STR_ARG(name));
    }
    TRY(store_count(op, e->store, &elbv2_kind_trust_store, &(struct store_range){0}, &count));
    if (count >= ELBV2_TRUST_STORES_MAX) {
        return op_fail_as(op, ERR_LIMIT, &elbv2_error_too_many_trust_stores_exception,
                          "You have reached the maximum number of trust stores: %d",
                          ELBV2_TRUST_STORES_MAX);
    }
    return ERR_OK;
}

static void push_store(struct op *op, struct elbv2_trust_stores *to,
                       const struct elbv2_trust_store *store)
{
    to->is_set = true;
    *ARENA_PUSH(&op->arena, to) = *store;
}

static enum err keep_tags(struct op *op, struct elbv2 *e, struct str arn, const struct tags *tags)
{
    struct engine_elb_more more = {0};
    if (tags->count == 0) {
        return ERR_OK;
    }
    elbv2_keep_tags(op, tags, &more);
    return elbv2_put_more(op, e, arn, &more);
}

ELBV2_OPERATION(create_trust_store)
{
    struct tags tags = TAGS_FROM(&op->arena, in->tags);
    struct str id = id_hex16(&op->arena);
    struct engine_elb_trust_store row = {.trust_store =
                                             ARENA_NEW(&op->arena, struct elbv2_trust_store)};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(tags_check(op, &elbv2_tag_errors, &tags));
    TRY(store_tx_begin(op, e->store, &tx));
    TRY(check_new(op, e, in->name));
    TRY(read_bundle(op, e, in->ca_certificates_bundle_s3_bucket, in->ca_certificates_bundle_s3_key,
                    in->ca_certificates_bundle_s3_object_version, &row));
    row.trust_store->name = in->name;
    row.trust_store->trust_store_arn = arn_makef(
        op, STR("elasticloadbalancing"), "truststore/%.*s/%.*s", STR_ARG(in->name), STR_ARG(id));
    row.trust_store->status = ELBV2_TRUST_STORE_STATUS_ACTIVE;
    row.trust_store->total_revoked_entries = OPT_I64(0);
    TRY(elbv2_put_trust_store(op, e, &row));
    TRY(keep_tags(op, e, row.trust_store->trust_store_arn, &tags));
    TRY(store_tx_commit(op, &tx));
    push_store(op, &ret->trust_stores, row.trust_store);
    return ERR_OK;
}

ELBV2_OPERATION(modify_trust_store)
{
    struct engine_elb_trust_store row = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    TRY(elbv2_get_trust_store(op, e, in->trust_store_arn, &row));
    TRY(read_bundle(op, e, in->ca_certificates_bundle_s3_bucket, in->ca_certificates_bundle_s3_key,
                    in->ca_certificates_bundle_s3_object_version, &row));
    TRY(elbv2_put_trust_store(op, e, &row));
    TRY(store_tx_commit(op, &tx));
    push_store(op, &ret->trust_stores, row.trust_store);
    return ERR_OK;
}

/* ---- describe, delete ------------------------------------------------------------------------ */

static enum err describe_named(struct op *op, struct elbv2 *e, struct str name,
                               struct elbv2_trust_stores *to)
{
    struct engine_elb_trust_store row = {0};
    enum err result = store_get(op, e->store, &elbv2_kind_trust_store, name, &row);
    if (result == ERR_NOT_FOUND) {
        op_note_clear(op);
        return op_fail_as(op, ERR_NOT_FOUND, &elbv2_error_trust_store_not_found_exception,
                          "One or more trust stores not found");
    }
    TRY(result);
    push_store(op, to, row.trust_store);
    return ERR_OK;
}

ELBV2_OPERATION(describe_trust_stores)
{
    ret->trust_stores.is_set = true;
    if (in->trust_store_arns.count > 0 && in->names.count > 0) {
        return elbv2_invalid(op, "Trust store names and trust store ARNs cannot be specified "
                                 "together");
    }
    for (size_t i = 0; i < in->trust_store_arns.count; i++) {
        struct engine_elb_trust_store row = {0};
        TRY(elbv2_get_trust_store(op, e, in->trust_store_arns.items[i], &row));
        push_store(op, &ret->trust_stores, row.trust_store);
    }
    for (size_t i = 0; i < in->names.count; i++) {
        TRY(describe_named(op, e, in->names.items[i], &ret->trust_stores));
    }
    if (ret->trust_stores.count > 0) {
        return ERR_OK;
    }
    struct store_items items = {0};
    TRY(page_list(op, e->store, &elbv2_kind_trust_store, &(struct store_range){0}, &pages,
                  (struct page_ask){in->marker, in->page_size}, &items, &ret->next_marker));
    for (size_t i = 0; i < items.count; i++) {
        const struct engine_elb_trust_store *row = items.items[i].value;
        push_store(op, &ret->trust_stores, row->trust_store);
    }
    return ERR_OK;
}

ELBV2_OPERATION(delete_trust_store)
{
    (void)ret;
    struct engine_elb_trust_store row = {0};
    struct port_arns users = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    TRY(elbv2_get_trust_store(op, e, in->trust_store_arn, &row));
    TRY(elbv2_trust_store_users(op, e, in->trust_store_arn, &users));
    if (users.count > 0) {
        return op_fail_as(op, ERR_STATE, &elbv2_error_trust_store_in_use_exception,
                          "Trust store '%.*s' is currently in use by a listener",
                          STR_ARG(in->trust_store_arn));
    }
    TRY(store_remove_all(op, e->store, &elbv2_kind_revocations,
                         &(struct store_range){.parent = in->trust_store_arn}));
    TRY(store_remove(op, e->store, &elbv2_kind_more, in->trust_store_arn));
    TRY(store_remove(op, e->store, &elbv2_kind_trust_store, row.trust_store->name));
    return store_tx_commit(op, &tx);
}

/* ---- who uses it ----------------------------------------------------------------------------- */

ELBV2_OPERATION(describe_trust_store_associations)
{
    struct engine_elb_trust_store row = {0};
    struct port_arns users = {0};
    TRY(elbv2_get_trust_store(op, e, in->trust_store_arn, &row));
    TRY(elbv2_trust_store_users(op, e, in->trust_store_arn, &users));
    ret->trust_store_associations.is_set = true; /* 50 load balancers at most: one page */
    for (size_t i = 0; i < users.count; i++) {
        ARENA_PUSH(&op->arena, &ret->trust_store_associations)->resource_arn = users.items[i];
    }
    return ERR_OK;
}

/* Only another account's association may be taken away so, and there is no other account here. */
ELBV2_OPERATION(delete_shared_trust_store_association)
{
    (void)ret;
    struct engine_elb_trust_store row = {0};
    struct port_arns users = {0};
    TRY(elbv2_get_trust_store(op, e, in->trust_store_arn, &row));
    TRY(elbv2_trust_store_users(op, e, in->trust_store_arn, &users));
    for (size_t i = 0; i < users.count; i++) {
        if (str_equal(users.items[i], in->resource_arn)) {
            return op_fail_as(op, ERR_STATE, &elbv2_error_delete_association_same_account_exception,
                              "The association of '%.*s' is of the same account; modify its "
                              "listeners instead",
                              STR_ARG(in->resource_arn));
        }
    }
    return op_fail_as(op, ERR_NOT_FOUND, &elbv2_error_trust_store_association_not_found_exception,
                      "The association of '%.*s' was not found", STR_ARG(in->resource_arn));
}

/* ---- what is in it --------------------------------------------------------------------------- */

ELBV2_OPERATION(get_trust_store_ca_certificates_bundle)
{
    struct engine_elb_trust_store row = {0};
    TRY(elbv2_get_trust_store(op, e, in->trust_store_arn, &row));
    struct str name = arena_printf(&op->arena, "%.*s-%.*s.pem", STR_ARG(op->region),
                                   STR_ARG(row.trust_store->name));
    return elbv2_hand_out(op, e, name, row.pem, &ret->location);
}
