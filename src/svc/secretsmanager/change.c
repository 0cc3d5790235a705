/* Create, put, update, move stages, delete, restore. */

#include "base/cleanup.h"
#include "crypt/cert.h"
#include "svc/common/arn.h"
#include "svc/common/ids.h"
#include "svc/secretsmanager/limits.h"
#include "svc/secretsmanager/service.h"

#define ALPHABET STR("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")

static enum err refuse(struct op *op, const char *sentence)
{
    return op_fail_as(op, ERR_INPUT, &secretsmanager_error_invalid_parameter_exception, "%s",
                      sentence);
}

/* ---- create ---------------------------------------------------------------------------------- */

static enum err check_free(struct op *op, struct secretsmanager *sm,
                           const struct secretsmanager_create_secret_in *in,
                           struct engine_secrets_secret *have)
{
    enum err result = secrets_get(op, sm, in->name, have);
    if (result == ERR_NOT_FOUND) {
        op_note_clear(op);
        *have = (struct engine_secrets_secret){0};
        return ERR_OK;
    }
    TRY(result);
    if (have->detail->deleted_date.is_set) {
        return op_fail_as(op, ERR_STATE, &secretsmanager_error_invalid_request_exception,
                          "You can't create this secret because a secret with this name is already "
                          "scheduled for deletion.");
    }
    struct secrets_versions versions = {0};
    TRY(secrets_list_versions(op, sm, in->name, &versions));
    if (str_is_set(in->client_request_token) &&
        secrets_version_by_id(&versions, in->client_request_token) != NULL) {
        return ERR_OK; /* the same request once more, or another with its token: add says which */
    }
    return op_fail_as(op, ERR_EXISTS, &secretsmanager_error_resource_exists_exception,
                      "The operation failed because the secret %.*s already exists.",
                      STR_ARG(in->name));
}

static enum err begin_secret(struct op *op, struct secretsmanager *sm,
                             const struct secretsmanager_create_secret_in *in,
                             struct engine_secrets_secret *row)
{
    TRY(check_free(op, sm, in, row));
    if (row->detail != NULL) {
        return ERR_OK;
    }
    struct str suffix = rand_text(&op->arena, ALPHABET, SECRETS_SUFFIX_CHARS);
    row->detail = ARENA_NEW(&op->arena, struct secretsmanager_secret_list_entry);
    *row->detail = (struct secretsmanager_secret_list_entry){
        .arn = arn_makef(op, STR("secretsmanager"), "secret:%.*s-%.*s", STR_ARG(in->name),
                         STR_ARG(suffix)),
        .name = in->name,
        .type = in->type,
        .description = in->description,
        .kms_key_id = in->kms_key_id,
        .created_date = OPT_TIME(op->now),
        .last_changed_date = OPT_TIME(op->now),
        .tags = in->tags,
    };
    return secrets_put(op, sm, row);
}

static enum err create(struct op *op, struct secretsmanager *sm,
                       const struct secretsmanager_create_secret_in *in,
                       struct secretsmanager_create_secret_out *ret)
{
    struct engine_secrets_secret row = {0};
    struct tags tags = TAGS_FROM(&op->arena, in->tags);
    if (!name_is(in->name, 1, 512, STR("/_+=.@-"))) {
        return op_fail(op, ERR_INPUT,
                       "Invalid name. Must be a valid name containing alphanumeric characters, or "
                       "any of the following: -/_+=.@!");
    }
    if (in->add_replica_regions.count > 0) {
        return refuse(op, "This engine does not replicate secrets: leave out AddReplicaRegions.");
    }
    TRY(tags_check(op, &secrets_tag_errors, &tags));
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, sm->store, &tx));
    TRY(begin_secret(op, sm, in, &row));
    ret->arn = row.detail->arn;
    ret->name = row.detail->name;
    if (str_is_set(in->secret_string) || str_is_set(in->secret_binary)) {
        struct engine_secrets_version version = {0};
        struct secrets_value value = {.token = in->client_request_token,
                                      .text = in->secret_string,
                                      .binary = in->secret_binary};
        TRY(secrets_add_version(op, sm, &row, &value, &version));
        ret->version_id = version.entry->version_id;
    }
    return store_tx_commit(op, &tx);
}

SECRETS_OPERATION(create_secret)
{
    op->arena.holds_secrets = true;
    enum err result = create(op, sm, in, ret);
    cert_clear(in->secret_string);
    cert_clear(in->secret_binary);
    return result;
}

/* ---- put and update -------------------------------------------------------------------------- */

static enum err put(struct op *op, struct secretsmanager *sm,
                    const struct secretsmanager_put_secret_value_in *in,
                    struct secretsmanager_put_secret_value_out *ret)
{
    struct engine_secrets_secret row = {0};
    struct engine_secrets_version version = {0};
    struct secrets_value value = {.token = in->client_request_token,
                                  .text = in->secret_string,
                                  .binary = in->secret_binary,
                                  .stages = &in->version_stages};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, sm->store, &tx));
    TRY(secrets_get_usable(op, sm, in->secret_id, &row));
    TRY(secrets_add_version(op, sm, &row, &value, &version));
    *ret = (struct secretsmanager_put_secret_value_out){.arn = row.detail->arn,
                                                        .name = row.detail->name,
                                                        .version_id = version.entry->version_id,
                                                        .version_stages =
                                                            version.entry->version_stages};
    return store_tx_commit(op, &tx);
}

SECRETS_OPERATION(put_secret_value)
{
    op->arena.holds_secrets = true;
    enum err result = put(op, sm, in, ret);
    cert_clear(in->secret_string);
    cert_clear(in->secret_binary);
    return result;
}

static enum err update(struct op *op, struct secretsmanager *sm,
                       const struct secretsmanager_update_secret_in *in,
                       struct secretsmanager_update_secret_out *ret)
{
    struct engine_secrets_secret row = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, sm->store, &tx));
    TRY(secrets_get_usable(op, sm, in->secret_id, &row));
    if (str_is_set(in->description)) {
        row.detail->description = in->description;
    }
    if (str_is_set(in->kms_key_id)) {
        row.detail->kms_key_id = in->kms_key_id;
    }
    if (str_is_set(in->secret_string) || str_is_set(in->secret_binary)) {
        struct engine_secrets_version version = {0};
        struct secrets_value value = {.token = in->client_request_token,
                                      .text = in->secret_string,
                                      .binary = in->secret_binary};
        TRY(secrets_add_version(op, sm, &row, &value, &version));
        ret->version_id = version.entry->version_id;
    }
    row.detail->last_changed_date = OPT_TIME(op->now);
    TRY(secrets_put(op, sm, &row));
    ret->arn = row.detail->arn;
    ret->name = row.detail->name;
    return store_tx_commit(op, &tx);
}

SECRETS_OPERATION(update_secret)
{
    op->arena.holds_secrets = true;
    enum err result = update(op, sm, in, ret);
    cert_clear(in->secret_string);
    cert_clear(in->secret_binary);
    return result;
}

/* ---- stages ---------------------------------------------------------------------------------- */

static enum err check_move(struct op *op, const struct secrets_versions *versions,
                           const struct secretsmanager_update_secret_version_stage_in *in)
{
    const struct engine_secrets_version *has =
        secrets_version_by_stage(versions, in->version_stage);
    struct str from = in->remove_from_version_id;
    bool is_moved = !str_is_empty(in->move_to_version_id);
    if (is_moved && secrets_version_by_id(versions, in->move_to_version_id) == NULL) {
        return op_fail_as(op, ERR_NOT_FOUND, &secretsmanager_error_resource_not_found_exception,
                          "Secrets Manager can't find the specified secret version: %.*s.",
                          STR_ARG(in->move_to_version_id));
    }
    if (!is_moved && str_equal(in->version_stage, SECRETS_CURRENT)) {
        return refuse(op, "You can only move staging label AWSCURRENT to a different secret "
                          "version. It can't be completely removed.");
    }
    bool is_there = has != NULL && str_equal(has->entry->version_id, from);
    if (has != NULL && str_is_empty(from) &&
        !str_equal(has->entry->version_id, in->move_to_version_id)) {
        return op_fail_as(op, ERR_INPUT, &secretsmanager_error_invalid_parameter_exception,
                          "The parameter RemoveFromVersionId can't be empty. Staging label %.*s is "
                          "currently attached to version %.*s, so you must explicitly reference "
                          "that version in RemoveFromVersionId.",
                          STR_ARG(in->version_stage), STR_ARG(has->entry->version_id));
    }
    if (!str_is_empty(from) && !is_there) {
        return op_fail_as(op, ERR_INPUT, &secretsmanager_error_invalid_parameter_exception,
                          "The specified version in RemoveFromVersionId, %.*s, doesn't have the "
                          "staging label %.*s.",
                          STR_ARG(from), STR_ARG(in->version_stage));
    }
    return ERR_OK;
}

SECRETS_OPERATION(update_secret_version_stage)
{
    struct engine_secrets_secret row = {0};
    struct secrets_versions versions = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, sm->store, &tx));
    TRY(secrets_get_usable(op, sm, in->secret_id, &row));
    TRY(secrets_list_versions(op, sm, row.detail->name, &versions));
    TRY(check_move(op, &versions, in));
    TRY(secrets_move_stage(op, sm, row.detail->name, in->version_stage, in->move_to_version_id));
    row.detail->last_changed_date = OPT_TIME(op->now);
    TRY(secrets_put(op, sm, &row));
    ret->arn = row.detail->arn;
    ret->name = row.detail->name;
    return store_tx_commit(op, &tx);
}

/* ---- delete and restore ---------------------------------------------------------------------- */

static enum err check_window(struct op *op, const struct secretsmanager_delete_secret_in *in)
{
    if (!in->recovery_window_in_days.is_set) {
        return ERR_OK;
    }
    if (OPT_OR(in->force_delete_without_recovery, false)) {
        return refuse(op, "You can't use ForceDeleteWithoutRecovery in conjunction with "
                          "RecoveryWindowInDays.");
    }
    int64_t days = in->recovery_window_in_days.value;
    if (days < SECRETS_WINDOW_DAYS_MIN || days > SECRETS_WINDOW_DAYS_MAX) {
        return refuse(op, "The RecoveryWindowInDays value must be between 7 and 30 days "
                          "(inclusive).");
    }
    return ERR_OK;
}

SECRETS_OPERATION(delete_secret)
{
    struct engine_secrets_secret row = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(check_window(op, in));
    TRY(store_tx_begin(op, sm->store, &tx));
    bool is_forced = OPT_OR(in->force_delete_without_recovery, false);
    TRY(is_forced ? secrets_get(op, sm, in->secret_id, &row)
                  : secrets_get_usable(op, sm, in->secret_id, &row));
    int64_t days = OPT_OR(in->recovery_window_in_days, SECRETS_WINDOW_DAYS_MAX);
    ret->arn = row.detail->arn;
    ret->name = row.detail->name;
    if (is_forced) {
        ret->deletion_date = OPT_TIME(op->now);
        TRY(secrets_remove(op, sm, row.detail->name));
    } else {
        row.detail->deleted_date = OPT_TIME(wall_add(op->now, DUR_US(days * SECRETS_DAY.us)));
        ret->deletion_date = row.detail->deleted_date;
        TRY(secrets_put(op, sm, &row));
    }
    return store_tx_commit(op, &tx);
}

SECRETS_OPERATION(restore_secret)
{
    struct engine_secrets_secret row = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, sm->store, &tx));
    TRY(secrets_get(op, sm, in->secret_id, &row));
    row.detail->deleted_date = (struct opt_time){0};
    TRY(secrets_put(op, sm, &row));
    ret->arn = row.detail->arn;
    ret->name = row.detail->name;
    return store_tx_commit(op, &tx);
}
