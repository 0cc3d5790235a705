/* Secrets and their versions in the store. */

#include "base/cleanup.h"
#include "crypt/envelope.h"
#include "svc/common/arn.h"
#include "svc/secretsmanager/limits.h"
#include "svc/secretsmanager/service.h"

const struct store_kind secrets_kind_secret = {"secrets.secret", &shape_engine_secrets_secret};
const struct store_kind secrets_kind_version = {"secrets.version", &shape_engine_secrets_version};

const struct tag_errors secrets_tag_errors = {
    .too_many = &secretsmanager_error_invalid_parameter_exception,
    .duplicate = &secretsmanager_error_invalid_parameter_exception,
    .invalid = &secretsmanager_error_invalid_parameter_exception,
};

static enum err not_found(struct op *op)
{
    return op_fail_as(op, ERR_NOT_FOUND, &secretsmanager_error_resource_not_found_exception,
                      "Secrets Manager can't find the specified secret.");
}

static bool is_over(const struct op *op, const struct engine_secrets_secret *row)
{
    return row->detail->deleted_date.is_set && row->detail->deleted_date.value.us <= op->now.us;
}

static enum err get_by_name(struct op *op, struct secretsmanager *sm, struct str name,
                            struct engine_secrets_secret *ret)
{
    enum err result = store_get(op, sm->store, &secrets_kind_secret, name, ret);
    if (result == ERR_NOT_FOUND) {
        op_note_clear(op);
        return not_found(op);
    }
    TRY(result);
    if (ret->detail == NULL) {
        return op_fail(op, ERR_INTERNAL, "the row of secret \"%.*s\" is not whole", STR_ARG(name));
    }
    if (is_over(op, ret)) {
        TRY(secrets_remove(op, sm, name));
        return not_found(op);
    }
    return ERR_OK;
}

/* NAME-xxxxxx or NAME, whichever is there with this ARN. */
static enum err get_by_arn(struct op *op, struct secretsmanager *sm, struct str id,
                           struct engine_secrets_secret *ret)
{
    struct arn arn = {0};
    struct str tail = STR_NONE;
    if (!arn_parse(id, &arn) || !arn_is_here(op, &arn, STR("secretsmanager")) ||
        !arn_tail(&arn, STR("secret:"), &tail)) {
        return not_found(op);
    }
    size_t suffix = SECRETS_SUFFIX_CHARS + 1;
    if (tail.len > suffix && tail.ptr[tail.len - suffix] == '-') {
        struct str name = str_slice(tail, 0, tail.len - suffix);
        enum err result = get_by_name(op, sm, name, ret);
        if (result == ERR_OK && str_equal(ret->detail->arn, id)) {
            return ERR_OK;
        }
        if (result != ERR_OK && result != ERR_NOT_FOUND) {
            return result;
        }
        op_note_clear(op);
    }
    return get_by_name(op, sm, tail, ret);
}

enum err secrets_get(struct op *op, struct secretsmanager *sm, struct str id,
                     struct engine_secrets_secret *ret)
{
    return arn_looks_like_one(id) ? get_by_arn(op, sm, id, ret) : get_by_name(op, sm, id, ret);
}

enum err secrets_get_usable(struct op *op, struct secretsmanager *sm, struct str id,
                            struct engine_secrets_secret *ret)
{
    TRY(secrets_get(op, sm, id, ret));
    if (ret->detail->deleted_date.is_set) {
        return op_fail_as(
            op, ERR_STATE, &secretsmanager_error_invalid_request_exception,
            "You can't perform this operation on the secret because it was marked for "
            "deletion.");
    }
    return ERR_OK;
}

enum err secrets_put(struct op *op, struct secretsmanager *sm,
                     const struct engine_secrets_secret *row)
{
    return store_put(op, sm->store, &secrets_kind_secret, row->detail->name, STR(""), row);
}

enum err secrets_remove(struct op *op, struct secretsmanager *sm, struct str name)
{
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, sm->store, &tx));
    TRY(store_remove_all(op, sm->store, &secrets_kind_version,
                         &(struct store_range){.parent = name}));
    TRY(store_remove(op, sm->store, &secrets_kind_secret, name));
    return store_tx_commit(op, &tx);
}

enum err secrets_list(struct op *op, struct secretsmanager *sm, struct secrets_all *ret)
{
    struct store_items items = {0};
    TRY(store_list(op, sm->store, &secrets_kind_secret, &(struct store_range){0}, &items));
    for (size_t i = 0; i < items.count; i++) {
        const struct engine_secrets_secret *row = items.items[i].value;
        if (row->detail == NULL) {
            continue;
        }
        if (is_over(op, row)) {
            TRY(secrets_remove(op, sm, row->detail->name));
            continue;
        }
        *ARENA_PUSH(&op->arena, ret) = *row;
    }
    return ERR_OK;
}

/* ---- versions -------------------------------------------------------------------------------- */

static struct str version_key(struct op *op, struct str name, struct str version_id)
{
    return arena_printf(&op->arena, "%.*s\n%.*s", STR_ARG(name), STR_ARG(version_id));
}

enum err secrets_list_versions(struct op *op, struct secretsmanager *sm, struct str name,
                               struct secrets_versions *ret)
{
    struct store_items items = {0};
    TRY(store_list(op, sm->store, &secrets_kind_version, &(struct store_range){.parent = name},
                   &items));
    for (size_t i = 0; i < items.count; i++) {
        const struct engine_secrets_version *row = items.items[i].value;
        if (row->entry == NULL) {
            return op_fail(op, ERR_INTERNAL, "a version of secret \"%.*s\" is not whole",
                           STR_ARG(name));
        }
        *ARENA_PUSH(&op->arena, ret) = *row;
    }
    return ERR_OK;
}

bool secrets_has_stage(const struct engine_secrets_version *row, struct str stage)
{
    for (size_t i = 0; i < row->entry->version_stages.count; i++) {
        if (str_equal(row->entry->version_stages.items[i], stage)) {
            return true;
        }
    }
    return false;
}

struct engine_secrets_version *secrets_version_by_id(const struct secrets_versions *versions,
                                                     struct str id)
{
    for (size_t i = 0; i < versions->count; i++) {
        if (str_equal(versions->items[i].entry->version_id, id)) {
            return &versions->items[i];
        }
    }
    return NULL;
}

struct engine_secrets_version *secrets_version_by_stage(const struct secrets_versions *versions,
                                                        struct str stage)
{
    for (size_t i = 0; i < versions->count; i++) {
        if (secrets_has_stage(&versions->items[i], stage)) {
            return &versions->items[i];
        }
    }
    return NULL;
}

enum err secrets_put_version(struct op *op, struct secretsmanager *sm, struct str name,
                             const struct engine_secrets_version *row)
{
    struct str key = version_key(op, name, row->entry->version_id);
    return store_put(op, sm->store, &secrets_kind_version, key, name, row);
}

enum err secrets_remove_version(struct op *op, struct secretsmanager *sm, struct str name,
                                struct str version_id)
{
    return store_remove(op, sm->store, &secrets_kind_version, version_key(op, name, version_id));
}

/* ---- values ---------------------------------------------------------------------------------- */

static struct str purpose_of(struct op *op, struct str arn, struct str version_id)
{
    return arena_printf(&op->arena, "secret %.*s %.*s", STR_ARG(arn), STR_ARG(version_id));
}

struct str secrets_seal(struct op *op, struct secretsmanager *sm, struct str arn,
                        struct str version_id, struct str value)
{
    return envelope_close(&op->arena, &sm->key, purpose_of(op, arn, version_id), value);
}

enum err secrets_unseal(struct op *op, struct secretsmanager *sm, struct str arn,
                        const struct engine_secrets_version *row, struct str *ret_value)
{
    struct str purpose = purpose_of(op, arn, row->entry->version_id);
    if (envelope_open(&op->arena, &sm->key, purpose, row->sealed_value, ret_value)) {
        return ERR_OK;
    }
    return op_fail_as(op, ERR_INTERNAL, &secretsmanager_error_decryption_failure,
                      "the value of \"%.*s\" does not open: " ENVELOPE_KEY_FILE
                      " is not the file that it was sealed with; put that one back, or put the "
                      "secret's value again",
                      STR_ARG(arn));
}
