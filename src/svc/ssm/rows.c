/* Parameters and their versions in the store. */

#include "base/cleanup.h"
#include "crypt/envelope.h"
#include "svc/ssm/limits.h"
#include "svc/ssm/service.h"

const struct store_kind ssm_kind_parameter = {"ssm.parameter", &shape_engine_ssm_parameter};
const struct store_kind ssm_kind_version = {"ssm.version", &shape_engine_ssm_version};

const struct tag_errors ssm_tag_errors = {.too_many = &ssm_error_too_many_tags_error};

enum err ssm_not_found(struct op *op, struct str name)
{
    return op_fail_as(op, ERR_NOT_FOUND, &ssm_error_parameter_not_found,
                      "Parameter %.*s not found.", STR_ARG(name));
}

static struct str version_key(struct op *op, struct str name, int64_t version)
{
    return arena_printf(&op->arena, "%.*s\n%0*lld", STR_ARG(name), SSM_VERSION_KEY_DIGITS,
                        (long long)version);
}

enum err ssm_get(struct op *op, struct ssm *ssm, struct str name, struct engine_ssm_parameter *ret)
{
    enum err result = store_get(op, ssm->store, &ssm_kind_parameter, name, ret);
    if (result == ERR_NOT_FOUND) {
        op_note_clear(op);
        return ssm_not_found(op, name);
    }
    return result;
}

enum err ssm_put(struct op *op, struct ssm *ssm, const struct engine_ssm_parameter *row)
{
    return store_put(op, ssm->store, &ssm_kind_parameter, row->name, STR(""), row);
}

enum err ssm_remove(struct op *op, struct ssm *ssm, struct str name)
{
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ssm->store, &tx));
    TRY(store_remove_all(op, ssm->store, &ssm_kind_version, &(struct store_range){.parent = name}));
    TRY(store_remove(op, ssm->store, &ssm_kind_parameter, name));
    return store_tx_commit(op, &tx);
}

static enum err check_version(struct op *op, struct str name, const struct engine_ssm_version *row)
{
    if (row->history == NULL) {
        return op_fail(op, ERR_INTERNAL, "a version of parameter \"%.*s\" is not whole",
                       STR_ARG(name));
    }
    return ERR_OK;
}

enum err ssm_get_version(struct op *op, struct ssm *ssm, struct str name, int64_t version,
                         struct engine_ssm_version *ret)
{
    struct str key = version_key(op, name, version);
    enum err result = store_get(op, ssm->store, &ssm_kind_version, key, ret);
    if (result == ERR_NOT_FOUND) {
        op_note_clear(op);
        return op_fail_as(op, ERR_NOT_FOUND, &ssm_error_parameter_version_not_found,
                          "Systems Manager could not find version %lld of %.*s. Verify the version "
                          "and try again.",
                          (long long)version, STR_ARG(name));
    }
    TRY(result);
    return check_version(op, name, ret);
}

enum err ssm_list_versions(struct op *op, struct ssm *ssm, struct str name,
                           struct ssm_versions *ret)
{
    struct store_items items = {0};
    TRY(store_list(op, ssm->store, &ssm_kind_version, &(struct store_range){.parent = name},
                   &items));
    for (size_t i = 0; i < items.count; i++) {
        const struct engine_ssm_version *row = items.items[i].value;
        TRY(check_version(op, name, row));
        *ARENA_PUSH(&op->arena, ret) = *row;
    }
    return ERR_OK;
}

enum err ssm_put_version(struct op *op, struct ssm *ssm, const struct engine_ssm_version *row)
{
    struct str name = row->history->name;
    struct str key = version_key(op, name, row->history->version.value);
    return store_put(op, ssm->store, &ssm_kind_version, key, name, row);
}

enum err ssm_remove_version(struct op *op, struct ssm *ssm, struct str name, int64_t version)
{
    return store_remove(op, ssm->store, &ssm_kind_version, version_key(op, name, version));
}

static bool has_label(const struct engine_ssm_version *row, struct str label)
{
    for (size_t i = 0; i < row->history->labels.count; i++) {
        if (str_equal(row->history->labels.items[i], label)) {
            return true;
        }
    }
    return false;
}

static enum err find_label(struct op *op, struct ssm *ssm, struct str name, struct str label,
                           struct engine_ssm_version *ret)
{
    struct ssm_versions versions = {0};
    TRY(ssm_list_versions(op, ssm, name, &versions));
    for (size_t i = 0; i < versions.count; i++) {
        if (has_label(&versions.items[i], label)) {
            *ret = versions.items[i];
            return ERR_OK;
        }
    }
    return op_fail_as(op, ERR_NOT_FOUND, &ssm_error_parameter_version_not_found,
                      "Systems Manager could not find label %.*s of %.*s. Verify the label and try "
                      "again.",
                      STR_ARG(label), STR_ARG(name));
}

enum err ssm_find(struct op *op, struct ssm *ssm, const struct ssm_name *name,
                  struct engine_ssm_version *ret)
{
    struct engine_ssm_parameter row = {0};
    TRY(ssm_get(op, ssm, name->name, &row));
    struct str asked = str_from(name->selector, 1);
    uint64_t version = (uint64_t)row.version.value;
    if (str_is_empty(asked) || str_parse_u64(asked, INT64_MAX, &version)) {
        return ssm_get_version(op, ssm, name->name, (int64_t)version, ret);
    }
    return find_label(op, ssm, name->name, asked, ret);
}

/* ---- values ---------------------------------------------------------------------------------- */

static struct str purpose_of(struct op *op, struct str name, int64_t version)
{
    return arena_printf(&op->arena, "ssm parameter %.*s %.*s %lld", STR_ARG(op->region),
                        STR_ARG(name), (long long)version);
}

struct str ssm_seal(struct op *op, struct ssm *ssm, struct str name, int64_t version,
                    struct str value)
{
    return envelope_close(&op->arena, &ssm->key, purpose_of(op, name, version), value);
}

enum err ssm_open_value(struct op *op, struct ssm *ssm, const struct engine_ssm_version *row,
                        bool with_decryption, struct str *ret_value)
{
    const struct ssm_parameter_history *h = row->history;
    if (h->type == SSM_PARAMETER_TYPE_SECURESTRING && !with_decryption) {
        *ret_value = row->sealed_value;
        return ERR_OK;
    }
    struct str purpose = purpose_of(op, h->name, h->version.value);
    if (envelope_open(&op->arena, &ssm->key, purpose, row->sealed_value, ret_value)) {
        return ERR_OK;
    }
    return op_fail_as(op, ERR_INTERNAL, &ssm_error_internal_server_error,
                      "the value of parameter \"%.*s\" does not open: " ENVELOPE_KEY_FILE
                      " is not the file that it was sealed with; put that one back, or put the "
                      "parameter again",
                      STR_ARG(h->name));
}
