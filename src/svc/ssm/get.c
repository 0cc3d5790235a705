/* Reading: one, several, by path, history. */

#include "svc/common/page.h"
#include "svc/ssm/limits.h"
#include "svc/ssm/service.h"

static enum err show(struct op *op, struct ssm *ssm, const struct engine_ssm_version *row,
                     struct str selector, bool with_decryption, struct ssm_parameter *ret)
{
    const struct ssm_parameter_history *h = row->history;
    *ret = (struct ssm_parameter){
        .name = h->name,
        .type = h->type,
        .version = h->version,
        .selector = selector,
        .last_modified_date = h->last_modified_date,
        .arn = ssm_arn_of(op, h->name),
        .data_type = h->data_type,
    };
    return ssm_open_value(op, ssm, row, with_decryption, &ret->value);
}

static enum err get_one(struct op *op, struct ssm *ssm, struct str asked, bool with_decryption,
                        struct ssm_parameter *ret)
{
    struct ssm_name name = {0};
    struct engine_ssm_version row = {0};
    TRY(ssm_split_name(op, asked, &name));
    TRY(ssm_find(op, ssm, &name, &row));
    return show(op, ssm, &row, name.selector, with_decryption, ret);
}

SSM_OPERATION(get_parameter)
{
    ret->parameter = ARENA_NEW(&op->arena, struct ssm_parameter);
    return get_one(op, ssm, in->name, OPT_OR(in->with_decryption, false), ret->parameter);
}

SSM_OPERATION(get_parameters)
{
    ret->parameters.is_set = true;
    ret->invalid_parameters.is_set = true;
    for (size_t i = 0; i < in->names.count; i++) {
        struct ssm_parameter one = {0};
        bool with_decryption = OPT_OR(in->with_decryption, false);
        enum err result = get_one(op, ssm, in->names.items[i], with_decryption, &one);
        if (result == ERR_NOT_FOUND || result == ERR_INPUT) {
            op_note_clear(op);
            *ARENA_PUSH(&op->arena, &ret->invalid_parameters) = in->names.items[i];
            continue;
        }
        TRY(result);
        *ARENA_PUSH(&op->arena, &ret->parameters) = one;
    }
    return ERR_OK;
}

/* As it is in the ARN, a name of one level has no slash, or has one. */
enum err ssm_read(struct op *op, struct ssm *ssm, struct str name_or_arn, struct str *ret_value)
{
    struct ssm_name name = {0};
    struct engine_ssm_version row = {0};
    TRY(ssm_split_name(op, name_or_arn, &name));
    enum err result = ssm_find(op, ssm, &name, &row);
    if (result == ERR_NOT_FOUND && !str_starts_with(name.name, STR("/")) &&
        str_starts_with(name_or_arn, STR("arn:"))) {
        op_note_clear(op);
        name.name = arena_printf(&op->arena, "/%.*s", STR_ARG(name.name));
        result = ssm_find(op, ssm, &name, &row);
    }
    TRY(result);
    return ssm_open_value(op, ssm, &row, true, ret_value);
}

/* ---- by path --------------------------------------------------------------------------------- */

static const struct page_rules path_pages = {.list_name = "ssm.by-path",
                                             .default_count = SSM_BY_PATH_DEFAULT,
                                             .max_count = SSM_BY_PATH_DEFAULT,
                                             .bad_token = &ssm_error_invalid_next_token,
                                             .bad_token_text = "The specified token isn't valid."};

static bool is_below(struct str name, struct str prefix, bool is_recursive)
{
    return str_starts_with(name, prefix) &&
           (is_recursive || str_find_char(name, '/', prefix.len) == STR_NOT_FOUND);
}

/* Parameters below the path that pass the filters, by name. */
struct found {
    struct engine_ssm_version *items;
    size_t count;
};

static enum err find_below(struct op *op, struct ssm *ssm,
                           const struct ssm_get_parameters_by_path_in *in, struct found *ret)
{
    const char *slash = str_ends_with(in->path, STR("/")) ? "" : "/";
    struct str prefix = arena_printf(&op->arena, "%.*s%s", STR_ARG(in->path), slash);
    struct store_items rows = {0};
    TRY(store_list(op, ssm->store, &ssm_kind_parameter, &(struct store_range){.prefix = prefix},
                   &rows));
    for (size_t i = 0; i < rows.count; i++) {
        const struct engine_ssm_parameter *row = rows.items[i].value;
        struct engine_ssm_version newest = {0};
        if (!is_below(row->name, prefix, OPT_OR(in->recursive, false))) {
            continue;
        }
        TRY(ssm_get_version(op, ssm, row->name, row->version.value, &newest));
        if (ssm_passes(&in->parameter_filters, &(struct ssm_candidate){row, &newest})) {
            *ARENA_PUSH(&op->arena, ret) = newest;
        }
    }
    return ERR_OK;
}

SSM_OPERATION(get_parameters_by_path)
{
    if (!str_starts_with(in->path, STR("/"))) {
        return op_fail(op, ERR_INPUT,
                       "The parameter doesn't meet the parameter name requirements. The parameter "
                       "name must begin with a forward slash \"/\". It can't be prefixed with "
                       "\"aws\" or \"ssm\" (case-insensitive). It must use only letters, numbers, "
                       "or the following symbols: . (period), - (hyphen), _ (underscore). Special "
                       "characters are not allowed. All sub-paths, if specified, must use the "
                       "forward slash symbol \"/\". Valid example: /get/parameters2-/by1./path0_.");
    }
    TRY(ssm_check_filters(op, &in->parameter_filters, true));
    struct found found = {0};
    TRY(find_below(op, ssm, in, &found));
    struct str *keys = ARENA_ARRAY(&op->arena, struct str, found.count + 1);
    for (size_t i = 0; i < found.count; i++) {
        keys[i] = found.items[i].history->name;
    }
    size_t from = 0;
    size_t to = 0;
    struct page_ask ask = {in->next_token, in->max_results};
    TRY(page_cut(op, &path_pages, ask, keys, found.count, &from, &to, &ret->next_token));
    ret->parameters.is_set = true;
    for (size_t i = from; i < to; i++) {
        struct ssm_parameter *one = ARENA_PUSH(&op->arena, &ret->parameters);
        TRY(show(op, ssm, &found.items[i], STR_NONE, OPT_OR(in->with_decryption, false), one));
    }
    return ERR_OK;
}

/* ---- history --------------------------------------------------------------------------------- */

static const struct page_rules history_pages = {.list_name = "ssm.history",
                                                .default_count = SSM_LIST_DEFAULT,
                                                .max_count = SSM_LIST_DEFAULT,
                                                .bad_token = &ssm_error_invalid_next_token,
                                                .bad_token_text =
                                                    "The specified token isn't valid."};

SSM_OPERATION(get_parameter_history)
{
    struct ssm_name name = {0};
    struct engine_ssm_parameter row = {0};
    struct store_items items = {0};
    TRY(ssm_split_name(op, in->name, &name));
    TRY(ssm_get(op, ssm, name.name, &row));
    struct page_ask ask = {in->next_token, in->max_results};
    struct store_range range = {.parent = name.name};
    TRY(page_list(op, ssm->store, &ssm_kind_version, &range, &history_pages, ask, &items,
                  &ret->next_token));
    ret->parameters.is_set = true;
    for (size_t i = 0; i < items.count; i++) {
        const struct engine_ssm_version *version = items.items[i].value;
        if (version->history == NULL) {
            continue;
        }
        struct ssm_parameter_history *one = ARENA_PUSH(&op->arena, &ret->parameters);
        *one = *version->history;
        TRY(ssm_open_value(op, ssm, version, OPT_OR(in->with_decryption, false), &one->value));
    }
    return ERR_OK;
}
