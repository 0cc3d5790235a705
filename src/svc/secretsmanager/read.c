/* Values: one, several, and what tasks ask for. */

#include "codec/json.h"
#include "crypt/cert.h"
#include "svc/secretsmanager/service.h"

static enum err read_value(struct op *op, struct secretsmanager *sm, struct str id,
                           struct str version_id, struct str stage,
                           struct secretsmanager_secret_value_entry *ret)
{
    struct engine_secrets_secret row = {0};
    struct engine_secrets_version version = {0};
    struct str value = STR_NONE;
    TRY(secrets_get_usable(op, sm, id, &row));
    TRY(secrets_find_version(op, sm, row.detail->name, version_id, stage, &version));
    TRY(secrets_unseal(op, sm, row.detail->arn, &version, &value));
    *ret =
        (struct secretsmanager_secret_value_entry){.arn = row.detail->arn,
                                                   .name = row.detail->name,
                                                   .version_id = version.entry->version_id,
                                                   .version_stages = version.entry->version_stages,
                                                   .created_date = version.entry->created_date};
    *(OPT_OR(version.is_binary, false) ? &ret->secret_binary : &ret->secret_string) = value;
    return ERR_OK;
}

SECRETS_OPERATION(get_secret_value)
{
    struct secretsmanager_secret_value_entry one = {0};
    TRY(read_value(op, sm, in->secret_id, in->version_id, in->version_stage, &one));
    *ret = (struct secretsmanager_get_secret_value_out){
        .arn = one.arn,
        .name = one.name,
        .version_id = one.version_id,
        .secret_binary = one.secret_binary,
        .secret_string = one.secret_string,
        .version_stages = one.version_stages,
        .created_date = one.created_date,
    };
    return ERR_OK;
}

/* ---- several --------------------------------------------------------------------------------- */

static enum err add_to_batch(struct op *op, struct secretsmanager *sm, struct str id,
                             struct secretsmanager_batch_get_secret_value_out *ret)
{
    struct secretsmanager_secret_value_entry one = {0};
    enum err result = read_value(op, sm, id, STR_NONE, STR_NONE, &one);
    if (result == ERR_OK) {
        *ARENA_PUSH(&op->arena, &ret->secret_values) = one;
        return ERR_OK;
    }
    if (op->note.public_error == NULL) {
        return result;
    }
    *ARENA_PUSH(&op->arena, &ret->errors) = (struct secretsmanager_api_error_type){
        .secret_id = id,
        .error_code = str_of(op->note.public_error->code),
        .message = arena_str(&op->arena, str_of(op->note.text))};
    op_note_clear(op);
    return ERR_OK;
}

SECRETS_OPERATION(batch_get_secret_value)
{
    if (in->filters.count > 0 || in->secret_id_list.count == 0) {
        return op_fail_as(op, ERR_INPUT, &secretsmanager_error_invalid_parameter_exception,
                          "This engine reads several secrets by SecretIdList, without Filters.");
    }
    ret->secret_values.is_set = true;
    ret->errors.is_set = true;
    for (size_t i = 0; i < in->secret_id_list.count; i++) {
        TRY(add_to_batch(op, sm, in->secret_id_list.items[i], ret));
    }
    return ERR_OK;
}

/* ---- for tasks ------------------------------------------------------------------------------- */

/* Texts as they are; numbers, truth and structures as their JSON. */
static bool read_member(struct op *op, struct str json, struct str wanted, struct str *ret)
{
    struct json_reader r;
    struct str key = STR_NONE;
    json_reader_init(&r, &op->arena, json);
    if (json_peek(&r) != JSON_OBJECT) {
        return false;
    }
    json_enter_object(&r);
    while (json_next_key(&r, &key)) {
        if (!str_equal(key, wanted)) {
            json_skip(&r);
        } else if (json_peek(&r) == JSON_STRING) {
            json_read_string(&r, ret);
        } else {
            json_read_raw(&r, ret);
        }
    }
    bool is_json = json_finish(&r, op) == ERR_OK;
    op_note_clear(op); /* the reader's sentence could quote the text */
    return is_json && str_is_set(*ret);
}

/* ARN[:json-key:version-stage:version-id]: an ARN of a secret has seven parts. */
struct asked {
    struct str arn;
    struct str json_key;
    struct str stage;
    struct str version_id;
};

static struct asked split(struct str value_from)
{
    struct asked asked = {0};
    struct str rest = value_from;
    struct str part = STR_NONE;
    size_t at = 0;
    for (size_t i = 0; i < 7 && str_next(&rest, ':', &part); i++) {
        at += part.len + 1;
    }
    asked.arn = str_slice(value_from, 0, at - 1);
    (void)str_next(&rest, ':', &asked.json_key);
    (void)str_next(&rest, ':', &asked.stage);
    (void)str_next(&rest, ':', &asked.version_id);
    return asked;
}

enum err secrets_read(struct op *op, struct secretsmanager *sm, struct str value_from,
                      struct str *ret_value)
{
    struct secretsmanager_secret_value_entry one = {0};
    struct asked asked = split(value_from);
    TRY(read_value(op, sm, asked.arn, asked.version_id, asked.stage, &one));
    struct str value = str_is_set(one.secret_string) ? one.secret_string : one.secret_binary;
    if (str_is_empty(asked.json_key)) {
        *ret_value = value;
        return ERR_OK;
    }
    struct str member = STR_NONE;
    bool is_there = read_member(op, value, asked.json_key, &member);
    *ret_value = arena_str(&op->arena, member);
    cert_clear(value);
    if (!is_there) {
        return op_fail(op, ERR_INPUT,
                       "retrieved secret from Secrets Manager did not contain json key %.*s",
                       STR_ARG(asked.json_key));
    }
    return ERR_OK;
}
