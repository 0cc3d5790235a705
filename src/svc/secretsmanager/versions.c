/* Versions and their staging labels. */

#include "base/rand.h"
#include "crypt/cert.h"
#include "svc/secretsmanager/limits.h"
#include "svc/secretsmanager/service.h"

/* ---- stages ---------------------------------------------------------------------------------- */

static void drop_stage(secrets_stages *stages, struct str stage)
{
    for (size_t i = 0; i < stages->count; i++) {
        if (str_equal(stages->items[i], stage)) {
            stages->items[i] = stages->items[--stages->count];
            return;
        }
    }
}

static void add_stage(struct op *op, secrets_stages *stages, struct str stage)
{
    secrets_stages more = {.is_set = true};
    for (size_t i = 0; i < stages->count; i++) {
        *ARENA_PUSH(&op->arena, &more) = stages->items[i];
    }
    *ARENA_PUSH(&op->arena, &more) = stage;
    *stages = more;
}

/* The only place where a stage changes hands. NULL: nobody has it from now on. */
static enum err hand_over(struct op *op, struct secretsmanager *sm, struct str name,
                          struct str stage, struct str to_version_id)
{
    struct secrets_versions versions = {0};
    TRY(secrets_list_versions(op, sm, name, &versions));
    struct engine_secrets_version *from = secrets_version_by_stage(&versions, stage);
    struct engine_secrets_version *to = secrets_version_by_id(&versions, to_version_id);
    if (from == to) {
        return ERR_OK;
    }
    if (from != NULL) {
        drop_stage(&from->entry->version_stages, stage);
        TRY(secrets_put_version(op, sm, name, from));
    }
    if (to == NULL) {
        return ERR_OK;
    }
    if (to->entry->version_stages.count >= SECRETS_STAGES_MAX) {
        return op_fail_as(op, ERR_LIMIT, &secretsmanager_error_limit_exceeded_exception,
                          "You can't attach more than %d staging labels to a version.",
                          SECRETS_STAGES_MAX);
    }
    add_stage(op, &to->entry->version_stages, stage);
    return secrets_put_version(op, sm, name, to);
}

enum err secrets_move_stage(struct op *op, struct secretsmanager *sm, struct str name,
                            struct str stage, struct str to_version_id)
{
    struct secrets_versions versions = {0};
    TRY(secrets_list_versions(op, sm, name, &versions));
    const struct engine_secrets_version *from = secrets_version_by_stage(&versions, stage);
    TRY(hand_over(op, sm, name, stage, to_version_id));
    bool is_left_current = str_equal(stage, SECRETS_CURRENT) && from != NULL &&
                           !str_equal(from->entry->version_id, to_version_id);
    if (!is_left_current) {
        return ERR_OK;
    }
    TRY(hand_over(op, sm, name, SECRETS_PREVIOUS, from->entry->version_id));
    return ERR_OK;
}

/* ---- a new version --------------------------------------------------------------------------- */

/* Stages: AWSCURRENT is on some version from the first one on. */
static enum err make_room(struct op *op, struct secretsmanager *sm, struct str name,
                          const struct secrets_versions *versions)
{
    const struct engine_secrets_version *oldest = NULL;
    for (size_t i = 0; i < versions->count; i++) {
        const struct engine_secrets_version *one = &versions->items[i];
        if (one->entry->version_stages.count == 0 &&
            (oldest == NULL ||
             one->entry->created_date.value.us < oldest->entry->created_date.value.us)) {
            oldest = one;
        }
    }
    if (versions->count < SECRETS_VERSIONS_MAX) {
        return ERR_OK;
    }
    if (oldest == NULL) {
        return op_fail_as(op, ERR_LIMIT, &secretsmanager_error_limit_exceeded_exception,
                          "The secret has %d versions with staging labels: remove some labels.",
                          SECRETS_VERSIONS_MAX);
    }
    return secrets_remove_version(op, sm, name, oldest->entry->version_id);
}

/* The same token once more: fine when it says the same. */
static enum err check_again(struct op *op, struct secretsmanager *sm, struct str arn,
                            const struct engine_secrets_version *have,
                            const struct secrets_value *value)
{
    struct str before = STR_NONE;
    bool is_binary = str_is_set(value->binary);
    TRY(secrets_unseal(op, sm, arn, have, &before));
    bool is_same = is_binary == OPT_OR(have->is_binary, false) &&
                   str_equal(before, is_binary ? value->binary : value->text);
    cert_clear(before);
    if (is_same) {
        return ERR_OK;
    }
    return op_fail_as(op, ERR_EXISTS, &secretsmanager_error_resource_exists_exception,
                      "You can't use ClientRequestToken %.*s because that value is already in use "
                      "for a version of secret %.*s.",
                      STR_ARG(value->token), STR_ARG(arn));
}

static enum err check_value(struct op *op, const struct secrets_value *value)
{
    if (str_is_set(value->text) && str_is_set(value->binary)) {
        return op_fail_as(op, ERR_INPUT, &secretsmanager_error_invalid_parameter_exception,
                          "You can't specify both a binary secret value and a string secret value "
                          "in the same secret.");
    }
    if (!str_is_set(value->text) && !str_is_set(value->binary)) {
        return op_fail_as(op, ERR_INPUT, &secretsmanager_error_invalid_request_exception,
                          "You must provide either SecretString or SecretBinary.");
    }
    return ERR_OK;
}

static enum err add(struct op *op, struct secretsmanager *sm, struct engine_secrets_secret *secret,
                    const struct secrets_value *value, struct str id)
{
    struct secrets_versions versions = {0};
    struct str name = secret->detail->name;
    TRY(secrets_list_versions(op, sm, name, &versions));
    const struct engine_secrets_version *have = secrets_version_by_id(&versions, id);
    if (have != NULL) {
        return check_again(op, sm, secret->detail->arn, have, value);
    }
    TRY(make_room(op, sm, name, &versions));
    bool is_binary = str_is_set(value->binary);
    struct secretsmanager_secret_versions_list_entry entry = {
        .version_id = id, .created_date = OPT_TIME(op->now), .version_stages = {.is_set = true}};
    struct engine_secrets_version row = {
        .entry = &entry,
        .is_binary = OPT_BOOL(is_binary),
        .sealed_value =
            secrets_seal(op, sm, secret->detail->arn, id, is_binary ? value->binary : value->text)};
    TRY(secrets_put_version(op, sm, name, &row));
    if (versions.count == 0 || value->stages == NULL || value->stages->count == 0) {
        TRY(secrets_move_stage(op, sm, name, SECRETS_CURRENT, id));
    }
    for (size_t i = 0; value->stages != NULL && i < value->stages->count; i++) {
        TRY(secrets_move_stage(op, sm, name, value->stages->items[i], id));
    }
    secret->detail->last_changed_date = OPT_TIME(op->now);
    return secrets_put(op, sm, secret);
}

enum err secrets_add_version(struct op *op, struct secretsmanager *sm,
                             struct engine_secrets_secret *secret,
                             const struct secrets_value *value, struct engine_secrets_version *ret)
{
    TRY(check_value(op, value));
    struct str id = str_is_set(value->token) ? value->token : rand_uuid(&op->arena);
    TRY(add(op, sm, secret, value, id));
    return secrets_find_version(op, sm, secret->detail->name, id, STR_NONE, ret);
}

/* ---- find ------------------------------------------------------------------------------------ */

enum err secrets_find_version(struct op *op, struct secretsmanager *sm, struct str name,
                              struct str version_id, struct str stage,
                              struct engine_secrets_version *ret)
{
    struct secrets_versions versions = {0};
    TRY(secrets_list_versions(op, sm, name, &versions));
    bool by_id = !str_is_empty(version_id);
    struct str label = str_is_empty(stage) ? SECRETS_CURRENT : stage;
    const struct engine_secrets_version *found = by_id
                                                     ? secrets_version_by_id(&versions, version_id)
                                                     : secrets_version_by_stage(&versions, label);
    if (found == NULL) {
        struct str what = by_id ? version_id : label;
        return op_fail_as(op, ERR_NOT_FOUND, &secretsmanager_error_resource_not_found_exception,
                          "Secrets Manager can't find the specified secret value for %s: %.*s",
                          by_id ? "VersionId" : "staging label", STR_ARG(what));
    }
    if (by_id && !str_is_empty(stage) && !secrets_has_stage(found, stage)) {
        return op_fail_as(op, ERR_INPUT, &secretsmanager_error_invalid_request_exception,
                          "You provided a VersionStage that is not associated to the provided "
                          "VersionId.");
    }
    *ret = *found;
    return ERR_OK;
}
