/* Filters of DescribeParameters and GetParametersByPath. */

#include "svc/ssm/service.h"

static const struct str type_names[] = {STR_INIT(""), STR_INIT("String"), STR_INIT("StringList"),
                                        STR_INIT("SecureString")};
static const struct str tier_names[] = {STR_INIT(""), STR_INIT("Standard"), STR_INIT("Advanced"),
                                        STR_INIT("Intelligent-Tiering")};

static bool is_of_names(const struct ssm_parameter_string_filter *f)
{
    return STR_IS(f->key, "Name") || str_starts_with(f->key, STR("tag:"));
}

static bool knows_option(const struct ssm_parameter_string_filter *f)
{
    struct str o = f->option;
    if (str_is_empty(o)) {
        return true;
    }
    if (STR_IS(f->key, "Path")) {
        return STR_IS(o, "Recursive") || STR_IS(o, "OneLevel");
    }
    return STR_IS(o, "Equals") ||
           (is_of_names(f) && (STR_IS(o, "BeginsWith") || STR_IS(o, "Contains")));
}

enum err ssm_check_filters(struct op *op, const struct ssm_parameter_string_filter_list *filters,
                           bool is_by_path)
{
    for (size_t i = 0; i < filters->count; i++) {
        const struct ssm_parameter_string_filter *f = &filters->items[i];
        bool is_for_describe = is_of_names(f) || STR_IS(f->key, "Path") || STR_IS(f->key, "Tier");
        if (is_by_path && is_for_describe) {
            return op_fail_as(op, ERR_INPUT, &ssm_error_invalid_filter_key,
                              "The following filter key is not valid: %.*s. Valid filter keys "
                              "include: [Type, KeyId, Label, DataType].",
                              STR_ARG(f->key));
        }
        if (!knows_option(f)) {
            return op_fail_as(op, ERR_INPUT, &ssm_error_invalid_filter_option,
                              "The following filter option is not valid: %.*s. Valid options "
                              "include: [BeginsWith, Equals].",
                              STR_ARG(f->option));
        }
    }
    return ERR_OK;
}

static bool text_passes(const struct ssm_parameter_string_filter *f, struct str text)
{
    for (size_t i = 0; i < f->values.count; i++) {
        struct str want = f->values.items[i];
        bool is_hit = STR_IS(f->option, "BeginsWith") ? str_starts_with(text, want)
                      : STR_IS(f->option, "Contains") ? str_find(text, want, 0) != STR_NOT_FOUND
                                                      : str_equal(text, want);
        if (is_hit) {
            return true;
        }
    }
    return false;
}

static bool path_passes(const struct ssm_parameter_string_filter *f, struct str name)
{
    for (size_t i = 0; i < f->values.count; i++) {
        struct str path = f->values.items[i];
        path.len -= str_ends_with(path, STR("/"));
        bool is_below =
            str_starts_with(name, path) && name.len > path.len && name.ptr[path.len] == '/';
        bool is_level = str_find_char(name, '/', path.len + 1) == STR_NOT_FOUND;
        if (is_below && (is_level || STR_IS(f->option, "Recursive"))) {
            return true;
        }
    }
    return false;
}

static bool label_passes(const struct ssm_parameter_string_filter *f,
                         const struct ssm_parameter_label_list *labels)
{
    for (size_t i = 0; i < labels->count; i++) {
        if (text_passes(f, labels->items[i])) {
            return true;
        }
    }
    return false;
}

static bool tag_passes(const struct ssm_parameter_string_filter *f, const struct ssm_tag_list *tags)
{
    struct str key = str_from(f->key, sizeof("tag:") - 1);
    for (size_t i = 0; i < tags->count; i++) {
        if (str_equal(tags->items[i].key, key)) {
            return f->values.count == 0 || text_passes(f, tags->items[i].value);
        }
    }
    return false;
}

static bool passes(const struct ssm_parameter_string_filter *f, const struct ssm_candidate *c)
{
    const struct ssm_parameter_history *h = c->newest->history;
    if (STR_IS(f->key, "Name")) {
        /* a name is found with and without its first slash */
        return text_passes(f, h->name) ||
               (str_starts_with(h->name, STR("/")) && text_passes(f, str_from(h->name, 1)));
    }
    if (STR_IS(f->key, "Type")) {
        return text_passes(f, type_names[h->type]);
    }
    if (STR_IS(f->key, "Tier")) {
        return text_passes(f, tier_names[h->tier]);
    }
    if (STR_IS(f->key, "KeyId")) {
        return text_passes(f, h->key_id);
    }
    if (STR_IS(f->key, "DataType")) {
        return text_passes(f, h->data_type);
    }
    if (STR_IS(f->key, "Path")) {
        return path_passes(f, h->name);
    }
    if (STR_IS(f->key, "Label")) {
        return label_passes(f, &h->labels);
    }
    return tag_passes(f, &c->parameter->tags);
}

bool ssm_passes(const struct ssm_parameter_string_filter_list *filters,
                const struct ssm_candidate *candidate)
{
    for (size_t i = 0; i < filters->count; i++) {
        if (!passes(&filters->items[i], candidate)) {
            return false;
        }
    }
    return true;
}
