/* DescribeParameters, labels and tags. */

#include "base/cleanup.h"
#include "svc/common/page.h"
#include "svc/ssm/limits.h"
#include "svc/ssm/service.h"

/* ---- describe -------------------------------------------------------------------------------- */

static const struct page_rules pages = {.list_name = "ssm.parameters",
                                        .default_count = SSM_LIST_DEFAULT,
                                        .max_count = SSM_LIST_DEFAULT,
                                        .bad_token = &ssm_error_invalid_next_token,
                                        .bad_token_text = "The specified token isn't valid."};

/* The older form of filters, said as the newer one. */
static struct ssm_parameter_string_filter_list all_filters(
    struct op *op, const struct ssm_describe_parameters_in *in)
{
    static const struct str keys[] = {STR_INIT(""), STR_INIT("Name"), STR_INIT("Type"),
                                      STR_INIT("KeyId")};
    struct ssm_parameter_string_filter_list all = in->parameter_filters;
    if (all.count > 0) {
        return all;
    }
    for (size_t i = 0; i < in->filters.count; i++) {
        const struct ssm_parameters_filter *f = &in->filters.items[i];
        *ARENA_PUSH(&op->arena, &all) = (struct ssm_parameter_string_filter){
            .key = keys[f->key],
            .option = f->key == SSM_PARAMETERS_FILTER_KEY_NAME ? STR("BeginsWith") : STR("Equals"),
            .values = {.items = f->values.items, .count = f->values.count, .is_set = true}};
    }
    return all;
}

static struct ssm_parameter_metadata metadata(struct op *op, const struct ssm_parameter_history *h)
{
    return (struct ssm_parameter_metadata){
        .name = h->name,
        .arn = ssm_arn_of(op, h->name),
        .type = h->type,
        .key_id = h->key_id,
        .last_modified_date = h->last_modified_date,
        .last_modified_user = h->last_modified_user,
        .description = h->description,
        .allowed_pattern = h->allowed_pattern,
        .version = h->version,
        .tier = h->tier,
        .policies = {.is_set = true},
        .data_type = h->data_type,
    };
}

SSM_OPERATION(describe_parameters)
{
    struct store_items rows = {0};
    struct ssm_parameter_string_filter_list filters = all_filters(op, in);
    struct ssm_parameter_metadata_list found = {.is_set = true};
    TRY(ssm_check_filters(op, &filters, false));
    TRY(store_list(op, ssm->store, &ssm_kind_parameter, &(struct store_range){0}, &rows));
    for (size_t i = 0; i < rows.count; i++) {
        const struct engine_ssm_parameter *row = rows.items[i].value;
        struct engine_ssm_version newest = {0};
        TRY(ssm_get_version(op, ssm, row->name, row->version.value, &newest));
        if (ssm_passes(&filters, &(struct ssm_candidate){row, &newest})) {
            *ARENA_PUSH(&op->arena, &found) = metadata(op, newest.history);
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
    ret->parameters = (struct ssm_parameter_metadata_list){
        .items = found.items + from, .count = to - from, .is_set = true};
    return ERR_OK;
}

/* ---- labels ---------------------------------------------------------------------------------- */

/* Letters, digits, _ . -; no digit first; not beginning with aws or ssm. */
static bool is_label(struct str label)
{
    for (size_t i = 0; i < label.len; i++) {
        char c = str_lower_char(label.ptr[i]);
        bool is_digit = c >= '0' && c <= '9';
        bool is_fine = (c >= 'a' && c <= 'z') || is_digit || c == '_' || c == '.' || c == '-';
        if (!is_fine || (i == 0 && is_digit)) {
            return false;
        }
    }
    struct str start = str_slice(label, 0, 3);
    return !str_equal_nocase(start, STR("aws")) && !str_equal_nocase(start, STR("ssm"));
}

static bool take_label(struct ssm_parameter_label_list *labels, struct str label)
{
    for (size_t i = 0; i < labels->count; i++) {
        if (str_equal(labels->items[i], label)) {
            labels->items[i] = labels->items[--labels->count];
            return true;
        }
    }
    return false;
}

/* A label is on one version only. */
static enum err take_everywhere(struct op *op, struct ssm *ssm, struct str name, struct str label)
{
    struct ssm_versions versions = {0};
    TRY(ssm_list_versions(op, ssm, name, &versions));
    for (size_t i = 0; i < versions.count; i++) {
        if (take_label(&versions.items[i].history->labels, label)) {
            TRY(ssm_put_version(op, ssm, &versions.items[i]));
        }
    }
    return ERR_OK;
}

static void add_label(struct op *op, struct ssm_parameter_label_list *labels, struct str label)
{
    struct ssm_parameter_label_list more = {.is_set = true};
    for (size_t i = 0; i < labels->count; i++) {
        *ARENA_PUSH(&op->arena, &more) = labels->items[i];
    }
    *ARENA_PUSH(&op->arena, &more) = label;
    *labels = more;
}

static enum err move_label(struct op *op, struct ssm *ssm, struct str name, int64_t version,
                           struct str label)
{
    struct engine_ssm_version row = {0};
    TRY(take_everywhere(op, ssm, name, label));
    TRY(ssm_get_version(op, ssm, name, version, &row));
    if (row.history->labels.count >= SSM_LABELS_MAX) {
        return op_fail_as(op, ERR_LIMIT, &ssm_error_parameter_version_label_limit_exceeded,
                          "An error occurred (ParameterVersionLabelLimitExceeded) when calling the "
                          "LabelParameterVersion operation: A parameter version can have maximum "
                          "%d labels. Move one or more labels to another version and try again.",
                          SSM_LABELS_MAX);
    }
    add_label(op, &row.history->labels, label);
    return ssm_put_version(op, ssm, &row);
}

SSM_OPERATION(label_parameter_version)
{
    struct ssm_name name = {0};
    struct engine_ssm_parameter row = {0};
    struct engine_ssm_version version = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(ssm_split_name(op, in->name, &name));
    TRY(store_tx_begin(op, ssm->store, &tx));
    TRY(ssm_get(op, ssm, name.name, &row));
    int64_t number = OPT_OR(in->parameter_version, row.version.value);
    TRY(ssm_get_version(op, ssm, name.name, number, &version));
    ret->invalid_labels.is_set = true;
    ret->parameter_version = OPT_I64(number);
    for (size_t i = 0; i < in->labels.count; i++) {
        if (!is_label(in->labels.items[i])) {
            *ARENA_PUSH(&op->arena, &ret->invalid_labels) = in->labels.items[i];
            continue;
        }
        TRY(move_label(op, ssm, name.name, number, in->labels.items[i]));
    }
    return store_tx_commit(op, &tx);
}

SSM_OPERATION(unlabel_parameter_version)
{
    struct ssm_name name = {0};
    struct engine_ssm_parameter row = {0};
    struct engine_ssm_version version = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(ssm_split_name(op, in->name, &name));
    TRY(store_tx_begin(op, ssm->store, &tx));
    TRY(ssm_get(op, ssm, name.name, &row));
    TRY(ssm_get_version(op, ssm, name.name, OPT_OR(in->parameter_version, 0), &version));
    ret->removed_labels.is_set = true;
    ret->invalid_labels.is_set = true;
    for (size_t i = 0; i < in->labels.count; i++) {
        bool was_there = take_label(&version.history->labels, in->labels.items[i]);
        *ARENA_PUSH(&op->arena, was_there ? &ret->removed_labels : &ret->invalid_labels) =
            in->labels.items[i];
    }
    TRY(ssm_put_version(op, ssm, &version));
    return store_tx_commit(op, &tx);
}

/* ---- tags ------------------------------------------------------------------------------------ */

static enum err get_tagged(struct op *op, struct ssm *ssm, enum ssm_resource_type_for_tagging type,
                           struct str id, struct engine_ssm_parameter *ret)
{
    if (type != SSM_RESOURCE_TYPE_FOR_TAGGING_PARAMETER) {
        return op_fail_as(op, ERR_UNSUPPORTED, &ssm_error_invalid_resource_type,
                          "This engine has resources of the type Parameter only.");
    }
    enum err result = store_get(op, ssm->store, &ssm_kind_parameter, id, ret);
    if (result == ERR_NOT_FOUND) {
        op_note_clear(op);
        return op_fail_as(op, ERR_NOT_FOUND, &ssm_error_invalid_resource_id,
                          "The resource ID \"%.*s\" is not valid. Verify that you entered the "
                          "correct ID and try again.",
                          STR_ARG(id));
    }
    return result;
}

SSM_OPERATION(add_tags_to_resource)
{
    (void)ret;
    struct engine_ssm_parameter row = {0};
    struct tags merged = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ssm->store, &tx));
    TRY(get_tagged(op, ssm, in->resource_type, in->resource_id, &row));
    struct tags have = TAGS_FROM(&op->arena, row.tags);
    struct tags add = TAGS_FROM(&op->arena, in->tags);
    TRY(tags_check(op, &ssm_tag_errors, &add));
    TRY(tags_merge(op, &ssm_tag_errors, &have, &add, &merged));
    TAGS_INTO(&op->arena, merged, &row.tags);
    TRY(ssm_put(op, ssm, &row));
    return store_tx_commit(op, &tx);
}

SSM_OPERATION(remove_tags_from_resource)
{
    (void)ret;
    struct engine_ssm_parameter row = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ssm->store, &tx));
    TRY(get_tagged(op, ssm, in->resource_type, in->resource_id, &row));
    struct tags have = TAGS_FROM(&op->arena, row.tags);
    struct tags kept = tags_without(&op->arena, &have, in->tag_keys.items, in->tag_keys.count);
    TAGS_INTO(&op->arena, kept, &row.tags);
    TRY(ssm_put(op, ssm, &row));
    return store_tx_commit(op, &tx);
}

SSM_OPERATION(list_tags_for_resource)
{
    struct engine_ssm_parameter row = {0};
    TRY(get_tagged(op, ssm, in->resource_type, in->resource_id, &row));
    ret->tag_list = row.tags;
    ret->tag_list.is_set = true;
    return ERR_OK;
}
