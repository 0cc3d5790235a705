/* Describe and list. */

#include "svc/common/page.h"
#include "svc/secretsmanager/limits.h"
#include "svc/secretsmanager/service.h"

static enum err tell_versions(struct op *op, struct secretsmanager *sm, struct str name,
                              struct secretsmanager_secret_versions_to_stages_map_type *ret)
{
    struct secrets_versions versions = {0};
    TRY(secrets_list_versions(op, sm, name, &versions));
    *ret = (struct secretsmanager_secret_versions_to_stages_map_type){.is_set = true};
    for (size_t i = 0; i < versions.count; i++) {
        const struct secretsmanager_secret_versions_list_entry *entry = versions.items[i].entry;
        if (entry->version_stages.count == 0) {
            continue;
        }
        *ARENA_PUSH(&op->arena, ret) =
            (struct secretsmanager_secret_versions_to_stages_map_type_entry){
                .key = entry->version_id, .value = entry->version_stages};
    }
    return ERR_OK;
}

SECRETS_OPERATION(describe_secret)
{
    struct engine_secrets_secret row = {0};
    TRY(secrets_get(op, sm, in->secret_id, &row));
    const struct secretsmanager_secret_list_entry *d = row.detail;
    *ret = (struct secretsmanager_describe_secret_out){
        .arn = d->arn,
        .name = d->name,
        .type = d->type,
        .description = d->description,
        .kms_key_id = d->kms_key_id,
        .last_changed_date = d->last_changed_date,
        .deleted_date = d->deleted_date,
        .tags = d->tags,
        .created_date = d->created_date,
    };
    return tell_versions(op, sm, d->name, &ret->version_ids_to_stages);
}

/* ---- filters --------------------------------------------------------------------------------- */

/* Words begin a text, without regard to case but in names. "!" turns it round. */
static bool begins(struct str text, struct str want, bool is_name)
{
    struct str start = str_slice(text, 0, want.len);
    return is_name ? str_equal(start, want) : str_equal_nocase(start, want);
}

static bool has_tag(const struct secretsmanager_tag_list_type *tags, struct str want, bool by_value)
{
    for (size_t i = 0; i < tags->count; i++) {
        struct str text = by_value ? tags->items[i].value : tags->items[i].key;
        if (begins(text, want, true)) {
            return true;
        }
    }
    return false;
}

static bool says(const struct op *op, const struct secretsmanager_secret_list_entry *d,
                 enum secretsmanager_filter_name_string_type key, struct str want)
{
    switch (key) {
    case SECRETSMANAGER_FILTER_NAME_STRING_TYPE_NAME:
        return begins(d->name, want, true);
    case SECRETSMANAGER_FILTER_NAME_STRING_TYPE_DESCRIPTION:
        return begins(d->description, want, false);
    case SECRETSMANAGER_FILTER_NAME_STRING_TYPE_TAG_KEY:
        return has_tag(&d->tags, want, false);
    case SECRETSMANAGER_FILTER_NAME_STRING_TYPE_TAG_VALUE:
        return has_tag(&d->tags, want, true);
    case SECRETSMANAGER_FILTER_NAME_STRING_TYPE_PRIMARY_REGION:
        return str_equal(op->region, want);
    case SECRETSMANAGER_FILTER_NAME_STRING_TYPE_ALL:
        return begins(d->name, want, false) || begins(d->description, want, false) ||
               has_tag(&d->tags, want, false) || has_tag(&d->tags, want, true);
    case SECRETSMANAGER_FILTER_NAME_STRING_TYPE_OWNING_SERVICE:
    case SECRETSMANAGER_FILTER_NAME_STRING_TYPE_UNSET:
        break;
    }
    return false;
}

static bool passes_one(const struct op *op, const struct secretsmanager_secret_list_entry *d,
                       const struct secretsmanager_filter *filter)
{
    for (size_t i = 0; i < filter->values.count; i++) {
        struct str want = filter->values.items[i];
        bool is_not = str_starts_with(want, STR("!"));
        if (says(op, d, filter->key, is_not ? str_from(want, 1) : want) != is_not) {
            return true;
        }
    }
    return false;
}

static bool passes(const struct op *op, const struct secretsmanager_secret_list_entry *d,
                   const struct secretsmanager_filters_list_type *filters)
{
    for (size_t i = 0; i < filters->count; i++) {
        if (!passes_one(op, d, &filters->items[i])) {
            return false;
        }
    }
    return true;
}

/* ---- lists ----------------------------------------------------------------------------------- */

static const struct page_rules pages = {.list_name = "secretsmanager.secrets",
                                        .default_count = SECRETS_LIST_DEFAULT,
                                        .max_count = SECRETS_LIST_DEFAULT,
                                        .bad_token =
                                            &secretsmanager_error_invalid_next_token_exception,
                                        .bad_token_text = "The NextToken value is invalid."};

SECRETS_OPERATION(list_secrets)
{
    struct secrets_all all = {0};
    struct secretsmanager_secret_list_type found = {.is_set = true};
    TRY(secrets_list(op, sm, &all));
    for (size_t i = 0; i < all.count; i++) {
        struct secretsmanager_secret_list_entry *d = all.items[i].detail;
        bool is_shown = !d->deleted_date.is_set || OPT_OR(in->include_planned_deletion, false);
        if (is_shown && passes(op, d, &in->filters)) {
            TRY(tell_versions(op, sm, d->name, &d->secret_versions_to_stages));
            *ARENA_PUSH(&op->arena, &found) = *d;
        }
    }
    struct str *keys = ARENA_ARRAY(&op->arena, struct str, found.count + 1);
    for (size_t i = 0; i < found.count; i++) {
        keys[i] = found.items[i].name;
    }
    size_t from = 0;
    size_t to = 0;
    struct page_ask ask = {in->next_token, in->max_results};
    TRY(page_cut(op, &pages, ask, keys, found.count, &from, &to, &ret->next_token));
    ret->secret_list = (struct secretsmanager_secret_list_type){
        .items = found.items + from, .count = to - from, .is_set = true};
    return ERR_OK;
}

SECRETS_OPERATION(list_secret_version_ids)
{
    struct engine_secrets_secret row = {0};
    struct secrets_versions versions = {0};
    TRY(secrets_get(op, sm, in->secret_id, &row));
    TRY(secrets_list_versions(op, sm, row.detail->name, &versions));
    ret->arn = row.detail->arn;
    ret->name = row.detail->name;
    ret->versions.is_set = true;
    for (size_t i = 0; i < versions.count; i++) {
        bool is_deprecated = versions.items[i].entry->version_stages.count == 0;
        if (!is_deprecated || OPT_OR(in->include_deprecated, false)) {
            *ARENA_PUSH(&op->arena, &ret->versions) = *versions.items[i].entry;
        }
    }
    return ERR_OK;
}
