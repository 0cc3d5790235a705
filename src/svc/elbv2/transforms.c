#include "svc/elbv2/transforms.h"

#include "regex/regex.h"
#include "svc/elbv2/limits.h"
#include "svc/elbv2/rows.h"

enum err elbv2_check_regex(struct op *op, const char *what, struct str pattern, size_t chars_max,
                           size_t *ret_group_count)
{
    if (pattern.len == 0 || pattern.len > chars_max) {
        return elbv2_invalid(op, "%s '%.*s' must have between '1' and '%zu' characters", what,
                             STR_ARG(pattern), chars_max);
    }
    struct regex *regex = NULL;
    if (regex_compile(op, pattern, false, &regex) != ERR_OK) {
        struct str why = arena_str(&op->arena, str_of(op->note.text));
        return elbv2_invalid(op, "%s is not valid: %.*s", what, STR_ARG(why));
    }
    if (ret_group_count != NULL) {
        *ret_group_count = regex_group_count(regex);
    }
    regex_free(regex);
    return ERR_OK;
}

/* Every $1 to $9 names a group that there is; the text can stand in a request. */
static enum err check_replace(struct op *op, struct str replace, size_t group_count)
{
    if (replace.len > ELBV2_TRANSFORM_CHARS_MAX) {
        return elbv2_invalid(op,
                             "The replacement of a transform cannot be longer than '%d' "
                             "characters",
                             ELBV2_TRANSFORM_CHARS_MAX);
    }
    for (size_t i = 0; i < replace.len; i++) {
        if (replace.ptr[i] <= ' ' || replace.ptr[i] > '~') {
            return elbv2_invalid(op,
                                 "The replacement '%.*s' of a transform must have printable ASCII "
                                 "characters and no spaces",
                                 STR_ARG(replace));
        }
        char next = i + 1 < replace.len ? replace.ptr[i + 1] : '\0';
        bool is_group = replace.ptr[i] == '$' && next >= '1' && next <= '9';
        if (is_group && (size_t)(next - '0') > group_count) {
            return elbv2_invalid(op,
                                 "The replacement '%.*s' of a transform refers to the group '$%c', "
                                 "but its regular expression has '%zu'",
                                 STR_ARG(replace), next, group_count);
        }
    }
    return ERR_OK;
}

static enum err check_rewrites(struct op *op, const char *type,
                               const struct elbv2_rewrite_config_list *rewrites)
{
    if (rewrites == NULL || rewrites->count != 1) {
        return elbv2_invalid(op,
                             "The transform '%s' must have a configuration with exactly one "
                             "rewrite",
                             type);
    }
    const struct elbv2_rewrite_config *rewrite = &rewrites->items[0];
    size_t group_count = 0;
    TRY(elbv2_check_regex(op, "The regular expression of a transform", rewrite->regex,
                          ELBV2_TRANSFORM_CHARS_MAX, &group_count));
    return check_replace(op, rewrite->replace, group_count);
}

static enum err check_one(struct op *op, const struct elbv2_rule_transform *sent)
{
    const struct elbv2_host_header_rewrite_config *host = sent->host_header_rewrite_config;
    const struct elbv2_url_rewrite_config *url = sent->url_rewrite_config;
    switch (sent->type) {
    case ELBV2_TRANSFORM_TYPE_ENUM_HOST_HEADER_REWRITE:
        if (url != NULL) {
            break;
        }
        return check_rewrites(op, "host-header-rewrite", host == NULL ? NULL : &host->rewrites);
    case ELBV2_TRANSFORM_TYPE_ENUM_URL_REWRITE:
        if (host != NULL) {
            break;
        }
        return check_rewrites(op, "url-rewrite", url == NULL ? NULL : &url->rewrites);
    case ELBV2_TRANSFORM_TYPE_ENUM_UNSET:
        return elbv2_invalid(op, "A transform type must be specified");
    }
    return elbv2_invalid(op, "A transform can only have the configuration of its own type");
}

enum err elbv2_check_transforms(struct op *op, const struct elbv2_rule_transform_list *sent,
                                struct elbv2_rule_transform_list *ret)
{
    for (size_t i = 0; i < sent->count; i++) {
        TRY(check_one(op, &sent->items[i]));
        for (size_t k = 0; k < i; k++) {
            if (sent->items[k].type == sent->items[i].type) {
                return elbv2_invalid(op, "A rule can only have one transform of each type");
            }
        }
    }
    *ret = *sent;
    ret->is_set = sent->count > 0;
    return ERR_OK;
}
