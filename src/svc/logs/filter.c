#include "svc/logs/filter.h"

#include "base/check.h"
#include "gen/logs.h"
#include "svc/logs/filter_parts.h"

enum err logs_filter_invalid(struct op *op)
{
    return op_fail_as(op, ERR_INPUT, &logs_error_invalid_parameter_exception,
                      "Invalid filter pattern");
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* ---- terms ----------------------------------------------------------------------------------- */

/* One term with its mark; *rest starts at something that is no space. */
static enum err take_term(struct op *op, struct str *rest, struct logs_term *ret)
{
    struct logs_term term = {.kind = LOGS_TERM_REQUIRED};
    if (rest->ptr[0] == '?' || rest->ptr[0] == '-') {
        term.kind = rest->ptr[0] == '?' ? LOGS_TERM_OPTIONAL : LOGS_TERM_EXCLUDED;
        *rest = str_from(*rest, 1);
    }
    if (rest->len > 0 && rest->ptr[0] == '"') {
        TRY(logs_filter_quoted(op, rest, &term.text));
    } else {
        size_t end = 0;
        while (end < rest->len && !is_space(rest->ptr[end])) {
            end++;
        }
        term.text = str_slice(*rest, 0, end);
        *rest = str_from(*rest, end);
        bool is_regex =
            term.text.len > 1 && term.text.ptr[0] == '%' && term.text.ptr[term.text.len - 1] == '%';
        if (is_regex) {
            return op_fail_as(op, ERR_INPUT, &logs_error_invalid_parameter_exception,
                              "Regular expressions in filter patterns are not available on this "
                              "endpoint");
        }
    }
    if (term.text.len == 0) {
        return logs_filter_invalid(op);
    }
    *ret = term;
    return ERR_OK;
}

/* "..." with \" and \\; *rest starts at the quote. */
enum err logs_filter_quoted(struct op *op, struct str *rest, struct str *ret)
{
    char *text = arena_alloc(&op->arena, rest->len + 1);
    size_t len = 0;
    size_t at = 1;
    for (; at < rest->len && rest->ptr[at] != '"'; at++) {
        if (rest->ptr[at] == '\\' && at + 1 < rest->len) {
            at++;
        }
        text[len++] = rest->ptr[at];
    }
    if (at >= rest->len) {
        return logs_filter_invalid(op);
    }
    *rest = str_from(*rest, at + 1);
    *ret = str_make(text, len);
    return ERR_OK;
}

static enum err parse_terms(struct op *op, struct str rest, struct logs_filter *ret)
{
    for (rest = str_trim(rest); rest.len > 0; rest = str_trim(rest)) {
        if (ret->terms.count >= LOGS_FILTER_TERMS_MAX) {
            return logs_filter_invalid(op);
        }
        struct logs_term term = {0};
        TRY(take_term(op, &rest, &term));
        *ARENA_PUSH(&op->arena, &ret->terms) = term;
    }
    return ERR_OK;
}

enum err logs_filter_parse(struct op *op, struct str pattern, struct logs_filter *ret_filter)
{
    struct str text = str_trim(pattern);
    struct logs_filter filter = {0};
    if (text.len > LOGS_FILTER_BYTES_MAX) {
        return logs_filter_invalid(op);
    }
    if (text.len > 0 && text.ptr[0] == '[') {
        return op_fail_as(op, ERR_INPUT, &logs_error_invalid_parameter_exception,
                          "Filter patterns for space-delimited columns are not available on this "
                          "endpoint");
    }
    filter.is_json = text.len > 0 && text.ptr[0] == '{';
    TRY(filter.is_json ? logs_filter_parse_json(op, text, &filter)
                       : parse_terms(op, text, &filter));
    *ret_filter = filter;
    return ERR_OK;
}

/* ---- matching -------------------------------------------------------------------------------- */

/* Optional terms count only where nothing is required, as with AWS. */
static bool terms_match(const struct logs_filter *filter, struct str message)
{
    bool has_required = false;
    bool has_optional = false;
    bool has_optional_match = false;
    for (size_t i = 0; i < filter->terms.count; i++) {
        const struct logs_term *term = &filter->terms.items[i];
        bool occurs = str_find(message, term->text, 0) != STR_NOT_FOUND;
        switch (term->kind) {
        case LOGS_TERM_REQUIRED:
            has_required = true;
            if (!occurs) {
                return false;
            }
            break;
        case LOGS_TERM_EXCLUDED:
            if (occurs) {
                return false;
            }
            break;
        case LOGS_TERM_OPTIONAL:
            has_optional = true;
            has_optional_match = has_optional_match || occurs;
            break;
        }
    }
    return has_required || !has_optional || has_optional_match;
}

bool logs_filter_matches(const struct logs_filter *filter, struct str message,
                         struct arena *scratch)
{
    return filter->is_json ? logs_filter_json_matches(filter, message, scratch)
                           : terms_match(filter, message);
}
