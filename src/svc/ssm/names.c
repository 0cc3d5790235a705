/* Names of parameters: letters, digits, _ . - in levels separated by slashes. */

#include "svc/common/arn.h"
#include "svc/common/ids.h"
#include "svc/ssm/limits.h"
#include "svc/ssm/service.h"

static bool starts_nocase(struct str s, struct str prefix)
{
    return str_equal_nocase(str_slice(s, 0, prefix.len), prefix);
}

static size_t levels_of(struct str name)
{
    size_t levels = 0;
    for (size_t i = 0; i < name.len; i++) {
        levels += name.ptr[i] == '/';
    }
    return levels;
}

enum err ssm_check_name(struct op *op, struct str name)
{
    struct str bare = str_starts_with(name, STR("/")) ? str_from(name, 1) : name;
    if (starts_nocase(bare, STR("aws")) || starts_nocase(bare, STR("ssm"))) {
        return op_fail(op, ERR_INPUT,
                       "Parameter name: can't be prefixed with \"%s\" (case-insensitive).",
                       starts_nocase(bare, STR("aws")) ? "aws" : "ssm");
    }
    if (!name_is(name, 1, SSM_NAME_CHARS_MAX, STR("_.-/")) || str_ends_with(name, STR("/")) ||
        str_find(name, STR("//"), 0) != STR_NOT_FOUND) {
        return op_fail(op, ERR_INPUT,
                       "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If "
                       "formed as a path, it can consist of sub-paths divided by slash symbol; "
                       "each sub-path can be formed as a mix of letters, numbers and the following "
                       "3 symbols .-_");
    }
    if (levels_of(name) > 0 && !str_starts_with(name, STR("/"))) {
        return op_fail(op, ERR_INPUT, "Parameter name must be a fully qualified name.");
    }
    if (levels_of(name) > SSM_NAME_LEVELS_MAX) {
        return op_fail_as(op, ERR_LIMIT, &ssm_error_hierarchy_level_limit_exceeded_exception,
                          "A parameter name in a hierarchy cannot have more than %d levels.",
                          SSM_NAME_LEVELS_MAX);
    }
    return ERR_OK;
}

/* arn:...:parameter/a/b is of "/a/b", arn:...:parameter/a of "a". */
static enum err name_of_arn(struct op *op, struct str *text)
{
    struct arn arn = {0};
    struct str tail = STR_NONE;
    if (!arn_parse(*text, &arn) || !arn_is_here(op, &arn, STR("ssm")) ||
        !arn_tail(&arn, STR("parameter/"), &tail)) {
        return op_fail(op, ERR_INPUT, "Invalid parameter ARN: %.*s", STR_ARG(*text));
    }
    bool is_path = str_find_char(tail, '/', 0) != STR_NOT_FOUND;
    *text = is_path ? arena_printf(&op->arena, "/%.*s", STR_ARG(tail)) : tail;
    return ERR_OK;
}

enum err ssm_split_name(struct op *op, struct str text, struct ssm_name *ret)
{
    if (arn_looks_like_one(text)) {
        TRY(name_of_arn(op, &text));
    }
    size_t colon = str_find_char(text, ':', 0);
    *ret = (struct ssm_name){.name = text};
    if (colon != STR_NOT_FOUND) {
        ret->name = str_slice(text, 0, colon);
        ret->selector = str_from(text, colon);
    }
    return ERR_OK;
}

struct str ssm_arn_of(struct op *op, struct str name)
{
    const char *slash = str_starts_with(name, STR("/")) ? "" : "/";
    return arn_makef(op, STR("ssm"), "parameter%s%.*s", slash, STR_ARG(name));
}
