/* PutParameter: what AWS checks of a value, and the new version. Delete. */

#include "base/cleanup.h"
#include "crypt/cert.h"
#include "regex/regex.h"
#include "svc/ssm/limits.h"
#include "svc/ssm/service.h"

/* ---- checks ---------------------------------------------------------------------------------- */

static enum err match(struct op *op, struct regex *regex, struct str pattern, struct str value)
{
    struct regex_scratch *scratch = regex_scratch_new();
    enum regex_result found = regex_find(regex, scratch, value, NULL);
    regex_scratch_free(scratch);
    if (found == REGEX_YES) {
        return ERR_OK;
    }
    return op_fail_as(op, ERR_INPUT, &ssm_error_parameter_pattern_mismatch_exception,
                      "Parameter value, cannot be validated against allowedPattern: %.*s",
                      STR_ARG(pattern));
}

static enum err check_pattern(struct op *op, struct str pattern, struct str value)
{
    if (str_is_empty(pattern)) {
        return ERR_OK;
    }
    struct regex *regex = NULL;
    if (regex_compile(op, pattern, false, &regex) != ERR_OK) {
        op_note_clear(op);
        return op_fail_as(op, ERR_INPUT, &ssm_error_invalid_allowed_pattern_exception,
                          "AllowedPattern is not a valid regular expression: %.*s",
                          STR_ARG(pattern));
    }
    enum err result = match(op, regex, pattern, value);
    regex_free(regex);
    return result;
}

static enum err check_options(struct op *op, const struct ssm_put_parameter_in *in)
{
    if (in->tags.count > 0 && OPT_OR(in->overwrite, false)) {
        return op_fail(op, ERR_INPUT,
                       "Invalid request: tags and overwrite can't be used together. To create a "
                       "parameter with tags, please remove overwrite flag. To update tags for an "
                       "existing parameter, please use AddTagsToResource or "
                       "RemoveTagsFromResource.");
    }
    if (!str_is_empty(in->data_type) && !STR_IS(in->data_type, "text")) {
        return op_fail(op, ERR_INPUT,
                       "The following data type is not supported: %.*s (Data type names are all "
                       "lower case.)",
                       STR_ARG(in->data_type));
    }
    if (!str_is_empty(in->policies) && !STR_IS(in->policies, "[]")) {
        return op_fail_as(op, ERR_UNSUPPORTED, &ssm_error_invalid_policy_type_exception,
                          "This engine has no parameter policies.");
    }
    if (str_is_empty(in->value)) {
        return op_fail(op, ERR_INPUT,
                       "Parameter value can't be empty: give one of at least one character.");
    }
    return ERR_OK;
}

static enum err choose_tier(struct op *op, const struct ssm_put_parameter_in *in,
                            enum ssm_parameter_tier before, enum ssm_parameter_tier *ret)
{
    bool is_long = in->value.len > SSM_STANDARD_BYTES_MAX;
    enum ssm_parameter_tier tier = in->tier;
    if (tier == SSM_PARAMETER_TIER_UNSET) {
        tier = before == SSM_PARAMETER_TIER_UNSET ? SSM_PARAMETER_TIER_STANDARD : before;
    } else if (tier == SSM_PARAMETER_TIER_INTELLIGENT_TIERING) {
        tier = is_long || before == SSM_PARAMETER_TIER_ADVANCED ? SSM_PARAMETER_TIER_ADVANCED
                                                                : SSM_PARAMETER_TIER_STANDARD;
    }
    if (tier == SSM_PARAMETER_TIER_STANDARD && before == SSM_PARAMETER_TIER_ADVANCED) {
        return op_fail(op, ERR_INPUT,
                       "This parameter uses the advanced-parameter tier. You can't downgrade a "
                       "parameter from the advanced-parameter tier to the standard-parameter tier. "
                       "If necessary, you can delete the advanced parameter and recreate it as a "
                       "standard parameter.");
    }
    if (tier == SSM_PARAMETER_TIER_STANDARD && is_long) {
        return op_fail(op, ERR_INPUT,
                       "Standard tier parameters support a maximum parameter value of %d "
                       "characters. To create a larger parameter value, upgrade the parameter to "
                       "use the advanced-parameter tier.",
                       SSM_STANDARD_BYTES_MAX);
    }
    if (in->value.len > SSM_ADVANCED_BYTES_MAX) {
        return op_fail(op, ERR_INPUT,
                       "Advanced tier parameters support a maximum parameter value of %d "
                       "characters.",
                       SSM_ADVANCED_BYTES_MAX);
    }
    *ret = tier;
    return ERR_OK;
}

/* ---- the new version ------------------------------------------------------------------------- */

static enum err check_quota(struct op *op, struct ssm *ssm)
{
    size_t count = 0;
    TRY(store_count(op, ssm->store, &ssm_kind_parameter, &(struct store_range){0}, &count));
    if (count >= SSM_STANDARD_MAX) {
        return op_fail_as(op, ERR_LIMIT, &ssm_error_parameter_limit_exceeded,
                          "You have exceeded the number of parameters for this account: %d in one "
                          "region. Delete one or more parameters and try again.",
                          SSM_STANDARD_MAX);
    }
    return ERR_OK;
}

/* The row that is there, or a new one; and what the new version takes over from the one before. */
static enum err begin_row(struct op *op, struct ssm *ssm, const struct ssm_put_parameter_in *in,
                          struct engine_ssm_parameter *row, struct ssm_parameter_history *last)
{
    enum err result = store_get(op, ssm->store, &ssm_kind_parameter, in->name, row);
    if (result == ERR_NOT_FOUND) {
        op_note_clear(op);
        if (in->type == SSM_PARAMETER_TYPE_UNSET) {
            return op_fail(op, ERR_INPUT,
                           "A parameter type is required when you create a parameter.");
        }
        struct tags tags = TAGS_FROM(&op->arena, in->tags);
        TRY(tags_check(op, &ssm_tag_errors, &tags));
        *row = (struct engine_ssm_parameter){
            .name = in->name, .version = OPT_I64(0), .tags = in->tags};
        return check_quota(op, ssm);
    }
    TRY(result);
    if (!OPT_OR(in->overwrite, false)) {
        return op_fail_as(
            op, ERR_EXISTS, &ssm_error_parameter_already_exists,
            "The parameter already exists. To overwrite this value, set the overwrite "
            "option in the request to true.");
    }
    struct engine_ssm_version newest = {0};
    TRY(ssm_get_version(op, ssm, in->name, row->version.value, &newest));
    *last = *newest.history;
    if (in->type != SSM_PARAMETER_TYPE_UNSET && in->type != last->type) {
        return op_fail_as(op, ERR_INPUT, &ssm_error_hierarchy_type_mismatch_exception,
                          "Parameter Store does not support changing a parameter type in a "
                          "hierarchy. For example, you can't change a parameter from a String type "
                          "to a SecureString type. You must create a new, unique parameter.");
    }
    return ERR_OK;
}

static enum err make_room(struct op *op, struct ssm *ssm, struct str name)
{
    struct ssm_versions versions = {0};
    TRY(ssm_list_versions(op, ssm, name, &versions));
    if (versions.count < SSM_VERSIONS_MAX) {
        return ERR_OK;
    }
    const struct ssm_parameter_history *oldest = versions.items[0].history;
    if (oldest->labels.count > 0) {
        return op_fail_as(
            op, ERR_LIMIT, &ssm_error_parameter_max_version_limit_exceeded,
            "You attempted to create a new version of %.*s by calling the PutParameter API with "
            "the "
            "overwrite flag. Version %lld, the oldest version, can't be deleted because it has a "
            "label associated with it. Move the label to another version of the parameter, and try "
            "again.",
            STR_ARG(name), (long long)oldest->version.value);
    }
    return ssm_remove_version(op, ssm, name, oldest->version.value);
}

static enum err put(struct op *op, struct ssm *ssm, const struct ssm_put_parameter_in *in,
                    struct ssm_put_parameter_out *ret)
{
    struct engine_ssm_parameter row = {0};
    struct ssm_parameter_history now = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ssm->store, &tx));
    TRY(begin_row(op, ssm, in, &row, &now));
    TRY(choose_tier(op, in, now.tier, &now.tier));
    now.name = in->name;
    now.type = now.type == SSM_PARAMETER_TYPE_UNSET ? in->type : now.type;
    now.description = str_is_set(in->description) ? in->description : now.description;
    now.allowed_pattern =
        str_is_set(in->allowed_pattern) ? in->allowed_pattern : now.allowed_pattern;
    TRY(check_pattern(op, now.allowed_pattern, in->value));
    if (now.type == SSM_PARAMETER_TYPE_SECURESTRING) {
        now.key_id = str_is_set(in->key_id)   ? in->key_id
                     : str_is_set(now.key_id) ? now.key_id
                                              : STR("alias/aws/ssm");
    }
    now.labels = (struct ssm_parameter_label_list){.is_set = true};
    now.data_type = STR("text");
    now.last_modified_date = OPT_TIME(op->now);
    now.last_modified_user = op->caller_arn;
    now.version = OPT_I64(row.version.value + 1);
    row.version = now.version;
    struct engine_ssm_version version = {
        .history = &now, .sealed_value = ssm_seal(op, ssm, in->name, now.version.value, in->value)};
    TRY(make_room(op, ssm, in->name));
    TRY(ssm_put_version(op, ssm, &version));
    TRY(ssm_put(op, ssm, &row));
    *ret = (struct ssm_put_parameter_out){.version = now.version, .tier = now.tier};
    return store_tx_commit(op, &tx);
}

static enum err check_and_put(struct op *op, struct ssm *ssm, const struct ssm_put_parameter_in *in,
                              struct ssm_put_parameter_out *ret)
{
    struct ssm_name name = {0};
    TRY(ssm_split_name(op, in->name, &name));
    struct ssm_put_parameter_in asked = *in;
    asked.name = str_is_set(name.selector) ? in->name : name.name;
    TRY(ssm_check_name(op, asked.name));
    TRY(check_options(op, &asked));
    return put(op, ssm, &asked, ret);
}

SSM_OPERATION(put_parameter)
{
    op->arena.holds_secrets = true;
    enum err result = check_and_put(op, ssm, in, ret);
    cert_clear(in->value);
    return result;
}

/* ---- delete ---------------------------------------------------------------------------------- */

SSM_OPERATION(delete_parameter)
{
    (void)ret;
    struct ssm_name name = {0};
    struct engine_ssm_parameter row = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(ssm_split_name(op, in->name, &name));
    TRY(store_tx_begin(op, ssm->store, &tx));
    TRY(ssm_get(op, ssm, name.name, &row));
    TRY(ssm_remove(op, ssm, name.name));
    return store_tx_commit(op, &tx);
}

SSM_OPERATION(delete_parameters)
{
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ssm->store, &tx));
    ret->deleted_parameters.is_set = true;
    ret->invalid_parameters.is_set = true;
    for (size_t i = 0; i < in->names.count; i++) {
        struct ssm_name name = {0};
        bool is_there = ssm_split_name(op, in->names.items[i], &name) == ERR_OK &&
                        store_has(op, ssm->store, &ssm_kind_parameter, name.name);
        op_note_clear(op);
        *ARENA_PUSH(&op->arena, is_there ? &ret->deleted_parameters : &ret->invalid_parameters) =
            in->names.items[i];
        if (is_there) {
            TRY(ssm_remove(op, ssm, name.name));
        }
    }
    return store_tx_commit(op, &tx);
}
