/* Describe, get, list, delete, export. */

#include "base/cleanup.h"
#include "svc/acm/limits.h"
#include "svc/acm/service.h"
#include "svc/common/page.h"

#include <stdlib.h>

static enum err list_users(struct op *op, struct acm *acm, struct str arn, struct port_arns *ret)
{
    const struct port_certificate_users *users = &acm->config.users;
    return users->list_users(users->self, op, arn, ret);
}

ACM_OPERATION(describe_certificate)
{
    struct engine_acm_certificate row = {0};
    struct port_arns users = {0};
    TRY(acm_get(op, acm, in->certificate_arn, &row));
    TRY(list_users(op, acm, in->certificate_arn, &users));
    struct acm_certificate_detail *detail = row.detail;
    detail->status = acm_status_now(op, detail);
    detail->in_use_by =
        (struct acm_in_use_list){.items = users.items, .count = users.count, .is_set = true};
    if (detail->type == ACM_CERTIFICATE_TYPE_AMAZON_ISSUED) {
        bool is_kept = users.count > 0 || OPT_OR(row.is_exported, false);
        detail->renewal_eligibility = is_kept && detail->status == ACM_CERTIFICATE_STATUS_ISSUED
                                          ? ACM_RENEWAL_ELIGIBILITY_ELIGIBLE
                                          : ACM_RENEWAL_ELIGIBILITY_INELIGIBLE;
    }
    ret->certificate = detail;
    return ERR_OK;
}

ACM_OPERATION(get_certificate)
{
    struct engine_acm_certificate row = {0};
    TRY(acm_get(op, acm, in->certificate_arn, &row));
    if (!str_is_set(row.certificate_pem)) {
        return op_fail_as(op, ERR_STATE, &acm_error_request_in_progress_exception,
                          "Certificate request %.*s is still in progress or has failed.",
                          STR_ARG(in->certificate_arn));
    }
    ret->certificate = row.certificate_pem;
    ret->certificate_chain = row.chain_pem;
    return ERR_OK;
}

ACM_OPERATION(delete_certificate)
{
    (void)ret;
    struct engine_acm_certificate row = {0};
    struct port_arns users = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, acm->config.store, &tx));
    TRY(acm_get(op, acm, in->certificate_arn, &row));
    TRY(list_users(op, acm, in->certificate_arn, &users));
    if (users.count > 0) {
        return op_fail_as(op, ERR_STATE, &acm_error_resource_in_use_exception,
                          "Certificate %.*s in account %.*s is in use.",
                          STR_ARG(in->certificate_arn), STR_ARG(op->account));
    }
    TRY(acm_remove(op, acm, in->certificate_arn));
    return store_tx_commit(op, &tx);
}

/* ---- export ---------------------------------------------------------------------------------- */

static bool may_export(const struct acm_certificate_detail *detail)
{
    return detail->type == ACM_CERTIFICATE_TYPE_PRIVATE ||
           (detail->options != NULL && detail->options->export == ACM_CERTIFICATE_EXPORT_ENABLED);
}

ACM_OPERATION(export_certificate)
{
    struct engine_acm_certificate row = {0};
    struct str key = STR_NONE;
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, acm->config.store, &tx));
    TRY(acm_get(op, acm, in->certificate_arn, &row));
    if (!may_export(row.detail)) {
        return op_fail_as(op, ERR_INPUT, &acm_error_validation_exception,
                          "Certificate is not PRIVATE type and Export is not ENABLED");
    }
    if (!acm_is_usable(&row)) {
        return op_fail_as(op, ERR_STATE, &acm_error_request_in_progress_exception,
                          "Certificate request %.*s is still in progress or has failed.",
                          STR_ARG(in->certificate_arn));
    }
    row.is_exported = OPT_BOOL(true);
    TRY(acm_put(op, acm, &row));
    TRY(acm_open_key(op, acm, in->certificate_arn, row.sealed_key, &key));
    ret->private_key = cert_encrypt_key(&op->arena, key, in->passphrase);
    cert_clear(key);
    cert_clear(in->passphrase);
    ret->certificate = row.certificate_pem;
    ret->certificate_chain = row.chain_pem;
    return store_tx_commit(op, &tx);
}

/* ---- list ------------------------------------------------------------------------------------ */

static const struct page_rules pages = {.list_name = "acm.certificates",
                                        .default_count = ACM_LIST_DEFAULT,
                                        .max_count = ACM_LIST_MAX,
                                        .bad_token = &acm_error_validation_exception,
                                        .bad_token_text = "The NextToken is not valid."};

static bool has_status(const struct acm_list_certificates_in *in,
                       enum acm_certificate_status status)
{
    for (size_t i = 0; i < in->certificate_statuses.count; i++) {
        if (in->certificate_statuses.items[i] == status) {
            return true;
        }
    }
    return in->certificate_statuses.count == 0;
}

/* Without a filter AWS lists keys of 1024 and 2048 bits only. */
static bool has_key_type(const struct acm_filters *filters, enum acm_key_algorithm algorithm)
{
    if (filters == NULL || filters->key_types.count == 0) {
        return algorithm == ACM_KEY_ALGORITHM_RSA_1024 || algorithm == ACM_KEY_ALGORITHM_RSA_2048;
    }
    for (size_t i = 0; i < filters->key_types.count; i++) {
        if (filters->key_types.items[i] == algorithm) {
            return true;
        }
    }
    return false;
}

static bool has_key_usages(const struct acm_filters *filters,
                           const struct acm_certificate_detail *detail)
{
    for (size_t i = 0; i < filters->key_usage.count; i++) {
        bool is_there = filters->key_usage.items[i] == ACM_KEY_USAGE_NAME_ANY;
        for (size_t k = 0; k < detail->key_usages.count; k++) {
            is_there = is_there || detail->key_usages.items[k].name == filters->key_usage.items[i];
        }
        if (is_there) {
            return true;
        }
    }
    return filters->key_usage.count == 0;
}

static bool has_extended_usages(const struct acm_filters *filters,
                                const struct acm_certificate_detail *detail)
{
    for (size_t i = 0; i < filters->extended_key_usage.count; i++) {
        enum acm_extended_key_usage_name wanted = filters->extended_key_usage.items[i];
        bool is_there = wanted == ACM_EXTENDED_KEY_USAGE_NAME_ANY;
        for (size_t k = 0; k < detail->extended_key_usages.count; k++) {
            is_there = is_there || detail->extended_key_usages.items[k].name == wanted;
        }
        if (is_there) {
            return true;
        }
    }
    return filters->extended_key_usage.count == 0;
}

static bool is_wanted(const struct op *op, const struct acm_list_certificates_in *in,
                      const struct acm_certificate_detail *detail)
{
    const struct acm_filters *filters = in->includes;
    if (!has_status(in, acm_status_now(op, detail)) ||
        !has_key_type(filters, detail->key_algorithm)) {
        return false;
    }
    return filters == NULL ||
           (has_key_usages(filters, detail) && has_extended_usages(filters, detail) &&
            filters->managed_by == ACM_CERTIFICATE_MANAGED_BY_UNSET &&
            (filters->export_option == ACM_CERTIFICATE_EXPORT_UNSET ||
             (detail->options != NULL && filters->export_option == detail->options->export)));
}

static bool is_in(const struct port_arns *arns, struct str arn)
{
    for (size_t i = 0; i < arns->count; i++) {
        if (str_equal(arns->items[i], arn)) {
            return true;
        }
    }
    return false;
}

static void summarise(struct op *op, const struct engine_acm_certificate *row,
                      const struct port_arns *used, struct acm_certificate_summary *to)
{
    const struct acm_certificate_detail *d = row->detail;
    to->certificate_arn = d->certificate_arn;
    to->domain_name = d->domain_name;
    to->subject_alternative_name_summaries = d->subject_alternative_names;
    to->has_additional_subject_alternative_names = OPT_BOOL(false);
    to->status = acm_status_now(op, d);
    to->type = d->type;
    to->key_algorithm = d->key_algorithm;
    to->key_usages.is_set = true;
    to->extended_key_usages.is_set = true;
    for (size_t i = 0; i < d->key_usages.count; i++) {
        *ARENA_PUSH(&op->arena, &to->key_usages) = d->key_usages.items[i].name;
    }
    for (size_t i = 0; i < d->extended_key_usages.count; i++) {
        *ARENA_PUSH(&op->arena, &to->extended_key_usages) = d->extended_key_usages.items[i].name;
    }
    to->in_use = OPT_BOOL(is_in(used, d->certificate_arn));
    to->exported = OPT_BOOL(OPT_OR(row->is_exported, false));
    to->export_option = d->options == NULL ? ACM_CERTIFICATE_EXPORT_UNSET : d->options->export;
    to->renewal_eligibility = d->renewal_eligibility;
    to->not_before = d->not_before;
    to->not_after = d->not_after;
    to->created_at = d->created_at;
    to->issued_at = d->issued_at;
    to->imported_at = d->imported_at;
}

/* A row under the text that it is sorted by. */
struct entry {
    struct str key;
    const struct engine_acm_certificate *row;
};

static int compare_entries(const void *a, const void *b)
{
    return str_compare(((const struct entry *)a)->key, ((const struct entry *)b)->key);
}

static struct str sort_key(struct op *op, const struct acm_list_certificates_in *in,
                           const struct acm_certificate_detail *detail)
{
    if (in->sort_by != ACM_SORT_BY_CREATED_AT) {
        return detail->certificate_arn;
    }
    int64_t at_us = detail->created_at.value.us;
    if (in->sort_order == ACM_SORT_ORDER_DESCENDING) {
        at_us = INT64_MAX - at_us;
    }
    return arena_printf(&op->arena, "%020lld %.*s", (long long)at_us,
                        STR_ARG(detail->certificate_arn));
}

static size_t gather(struct op *op, const struct acm_list_certificates_in *in,
                     const struct store_items *items, struct entry *entries)
{
    size_t count = 0;
    for (size_t i = 0; i < items->count; i++) {
        const struct engine_acm_certificate *row = items->items[i].value;
        if (row->detail != NULL && is_wanted(op, in, row->detail)) {
            entries[count++] = (struct entry){.key = sort_key(op, in, row->detail), .row = row};
        }
    }
    if (count > 0) {
        qsort(entries, count, sizeof(*entries), compare_entries);
    }
    return count;
}

ACM_OPERATION(list_certificates)
{
    struct store_items items = {0};
    size_t from = 0;
    size_t to = 0;
    if ((in->sort_by == ACM_SORT_BY_UNSET) != (in->sort_order == ACM_SORT_ORDER_UNSET)) {
        return op_fail_as(op, ERR_INPUT, &acm_error_validation_exception,
                          "SortBy and SortOrder must be specified together.");
    }
    TRY(store_list(op, acm->config.store, &acm_kind_certificate, &(struct store_range){0}, &items));
    struct entry *entries = ARENA_ARRAY(&op->arena, struct entry, items.count + 1);
    struct str *keys = ARENA_ARRAY(&op->arena, struct str, items.count + 1);
    size_t count = gather(op, in, &items, entries);
    for (size_t i = 0; i < count; i++) {
        keys[i] = entries[i].key;
    }
    TRY(page_cut(op, &pages, (struct page_ask){in->next_token, in->max_items}, keys, count, &from,
                 &to, &ret->next_token));
    struct port_arns used = {0};
    TRY(acm->config.users.list_used(acm->config.users.self, op, &used));
    ret->certificate_summary_list.is_set = true;
    for (size_t i = from; i < to; i++) {
        summarise(op, entries[i].row, &used,
                  ARENA_PUSH(&op->arena, &ret->certificate_summary_list));
    }
    return ERR_OK;
}
