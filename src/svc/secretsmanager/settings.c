/* Tags, resource policies, random passwords. */

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/rand.h"
#include "codec/json.h"
#include "svc/secretsmanager/limits.h"
#include "svc/secretsmanager/service.h"

/* ---- tags ------------------------------------------------------------------------------------ */

SECRETS_OPERATION(tag_resource)
{
    (void)ret;
    struct engine_secrets_secret row = {0};
    struct tags merged = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, sm->store, &tx));
    TRY(secrets_get_usable(op, sm, in->secret_id, &row));
    struct tags have = TAGS_FROM(&op->arena, row.detail->tags);
    struct tags add = TAGS_FROM(&op->arena, in->tags);
    TRY(tags_check(op, &secrets_tag_errors, &add));
    TRY(tags_merge(op, &secrets_tag_errors, &have, &add, &merged));
    TAGS_INTO(&op->arena, merged, &row.detail->tags);
    TRY(secrets_put(op, sm, &row));
    return store_tx_commit(op, &tx);
}

SECRETS_OPERATION(untag_resource)
{
    (void)ret;
    struct engine_secrets_secret row = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, sm->store, &tx));
    TRY(secrets_get_usable(op, sm, in->secret_id, &row));
    struct tags have = TAGS_FROM(&op->arena, row.detail->tags);
    struct tags kept = tags_without(&op->arena, &have, in->tag_keys.items, in->tag_keys.count);
    TAGS_INTO(&op->arena, kept, &row.detail->tags);
    TRY(secrets_put(op, sm, &row));
    return store_tx_commit(op, &tx);
}

/* ---- policies -------------------------------------------------------------------------------- */

static bool is_policy(struct op *op, struct str text)
{
    struct json_reader r;
    struct str key = STR_NONE;
    bool has_statement = false;
    json_reader_init(&r, &op->arena, text);
    if (json_peek(&r) != JSON_OBJECT) {
        return false;
    }
    json_enter_object(&r);
    while (json_next_key(&r, &key)) {
        has_statement = has_statement || STR_IS(key, "Statement");
        json_skip(&r);
    }
    bool is_json = json_finish(&r, op) == ERR_OK;
    op_note_clear(op);
    return is_json && has_statement;
}

static enum err set_policy(struct op *op, struct secretsmanager *sm, struct str id,
                           struct str policy, struct engine_secrets_secret *row)
{
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, sm->store, &tx));
    TRY(secrets_get_usable(op, sm, id, row));
    row->policy = policy;
    TRY(secrets_put(op, sm, row));
    return store_tx_commit(op, &tx);
}

SECRETS_OPERATION(put_resource_policy)
{
    struct engine_secrets_secret row = {0};
    if (!is_policy(op, in->resource_policy)) {
        return op_fail_as(op, ERR_INPUT, &secretsmanager_error_malformed_policy_document_exception,
                          "This resource policy contains invalid Json.");
    }
    TRY(set_policy(op, sm, in->secret_id, in->resource_policy, &row));
    ret->arn = row.detail->arn;
    ret->name = row.detail->name;
    return ERR_OK;
}

SECRETS_OPERATION(delete_resource_policy)
{
    struct engine_secrets_secret row = {0};
    TRY(set_policy(op, sm, in->secret_id, STR_NONE, &row));
    ret->arn = row.detail->arn;
    ret->name = row.detail->name;
    return ERR_OK;
}

SECRETS_OPERATION(get_resource_policy)
{
    struct engine_secrets_secret row = {0};
    TRY(secrets_get_usable(op, sm, in->secret_id, &row));
    ret->arn = row.detail->arn;
    ret->name = row.detail->name;
    ret->resource_policy = row.policy;
    return ERR_OK;
}

SECRETS_OPERATION(validate_resource_policy)
{
    (void)sm;
    bool is_fine = is_policy(op, in->resource_policy);
    ret->policy_validation_passed = OPT_BOOL(is_fine);
    ret->validation_errors.is_set = true;
    if (!is_fine) {
        *ARENA_PUSH(&op->arena, &ret->validation_errors) =
            (struct secretsmanager_validation_errors_entry){
                .check_name = STR("JSON"),
                .error_message = STR("This resource policy contains invalid Json.")};
    }
    return ERR_OK;
}

/* ---- passwords ------------------------------------------------------------------------------- */

#define KINDS 5

struct kinds {
    struct str items[KINDS]; /* the characters that may be used of each kind */
    size_t count;
};

static struct str without(struct op *op, struct str alphabet, struct str excluded)
{
    char *kept = arena_alloc(&op->arena, alphabet.len + 1);
    size_t count = 0;
    for (size_t i = 0; i < alphabet.len; i++) {
        if (str_find_char(excluded, alphabet.ptr[i], 0) == STR_NOT_FOUND) {
            kept[count++] = alphabet.ptr[i];
        }
    }
    return str_make(kept, count);
}

static struct kinds kinds_of(struct op *op, const struct secretsmanager_get_random_password_in *in)
{
    const struct {
        struct str alphabet;
        bool is_in;
    } all[KINDS] = {
        {STR_INIT("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), !OPT_OR(in->exclude_uppercase, false)},
        {STR_INIT("abcdefghijklmnopqrstuvwxyz"), !OPT_OR(in->exclude_lowercase, false)},
        {STR_INIT("0123456789"), !OPT_OR(in->exclude_numbers, false)},
        {STR_INIT("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"), !OPT_OR(in->exclude_punctuation, false)},
        {STR_INIT(" "), OPT_OR(in->include_space, false)},
    };
    struct kinds kinds = {0};
    for (size_t i = 0; i < KINDS; i++) {
        struct str left = without(op, all[i].alphabet, in->exclude_characters);
        if (all[i].is_in && left.len > 0) {
            kinds.items[kinds.count++] = left;
        }
    }
    return kinds;
}

static bool has_each(const struct kinds *kinds, struct str password)
{
    for (size_t k = 0; k < kinds->count; k++) {
        bool is_there = false;
        for (size_t i = 0; i < password.len && !is_there; i++) {
            is_there = str_find_char(kinds->items[k], password.ptr[i], 0) != STR_NOT_FOUND;
        }
        if (!is_there) {
            return false;
        }
    }
    return true;
}

SECRETS_OPERATION(get_random_password)
{
    (void)sm;
    struct kinds kinds = kinds_of(op, in);
    int64_t length = OPT_OR(in->password_length, SECRETS_PASSWORD_DEFAULT);
    bool wants_each = OPT_OR(in->require_each_included_type, true);
    if (kinds.count == 0 || (wants_each && length < (int64_t)kinds.count)) {
        return op_fail_as(op, ERR_INPUT, &secretsmanager_error_invalid_parameter_exception,
                          "The password length is too short based on the required types, or no "
                          "characters are left to choose from.");
    }
    char alphabet[128];
    size_t count = 0;
    for (size_t k = 0; k < kinds.count; k++) {
        memcpy(alphabet + count, kinds.items[k].ptr, kinds.items[k].len);
        count += kinds.items[k].len;
    }
    /* drawn anew until every kind is there: each password that is allowed stays equally likely */
    do {
        ret->random_password = rand_text(&op->arena, str_make(alphabet, count), (size_t)length);
    } while (wants_each && !has_each(&kinds, ret->random_password));
    return ERR_OK;
}
