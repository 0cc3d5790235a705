/* How calls to an ACME server are signed, and what its answers mean: RFC 8555, section 6. */

#include "svc/acm/acme.h"

#include "base/mem.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "crypt/envelope.h"
#include "crypt/es256.h"
#include "shape/walk.h"
#include "svc/acm/limits.h"

#include <string.h>

#define NONCE_CHARS_MAX 1024
#define TEXT_CHARS_MAX  300 /* of a server's sentence in ours */
#define ACCOUNT_MARK    STR("acme account")

const struct store_kind acme_kind_account = {"acm.account", &shape_engine_acm_account};

/* ---- the account ----------------------------------------------------------------------------- */

static enum err make_account(struct op *op, struct acme *acme, struct engine_acm_account *ret)
{
    struct str key = cert_make_key(&op->arena, CERT_KEY_EC_P256);
    *ret = (struct engine_acm_account){
        .sealed_key = envelope_close(&op->arena, &acme->acm->config.key, ACCOUNT_MARK, key),
        .contact = acme->acm->config.acme.contact};
    cert_clear(key);
    return acme_put_account(op, acme, ret);
}

/* Rows without a region: one account for all. */
enum err acme_put_account(struct op *op, struct acme *acme, const struct engine_acm_account *row)
{
    struct str region = op->region;
    op->region = STR("");
    enum err result = store_put(op, acme->acm->config.store, &acme_kind_account,
                                acme->acm->config.acme.directory, STR(""), row);
    op->region = region;
    return result;
}

enum err acme_get_account(struct op *op, struct acme *acme, struct engine_acm_account *ret)
{
    struct str region = op->region;
    op->region = STR("");
    enum err result = store_get(op, acme->acm->config.store, &acme_kind_account,
                                acme->acm->config.acme.directory, ret);
    op->region = region;
    if (result == ERR_NOT_FOUND) {
        op_note_clear(op);
        return make_account(op, acme, ret);
    }
    return result;
}

enum err acme_account_key(struct op *op, struct acme *acme, const struct engine_acm_account *row,
                          struct str *ret_key_pem)
{
    if (envelope_open(&op->arena, &acme->acm->config.key, ACCOUNT_MARK, row->sealed_key,
                      ret_key_pem)) {
        return ERR_OK;
    }
    return op_fail(op, ERR_INTERNAL,
                   "the key of the ACME account does not open: " ENVELOPE_KEY_FILE
                   " is another one");
}

/* ---- requests -------------------------------------------------------------------------------- */

static void add_text(struct json_writer *w, const char *key, struct str value)
{
    json_key(w, str_of(key));
    json_add_string(w, value);
}

static struct str protected_of(struct op *op, struct acme *acme,
                               const struct engine_acm_account *account, struct str key,
                               struct str url)
{
    auto_buf struct buf text = {0};
    struct json_writer w;
    buf_init(&text, 16 * 1024);
    json_writer_init(&w, &text);
    json_begin_object(&w);
    add_text(&w, "alg", STR("ES256"));
    if (str_is_set(account->url)) {
        add_text(&w, "kid", account->url);
    } else {
        json_key(&w, STR("jwk"));
        json_add_raw(&w, es256_jwk(&op->arena, key));
    }
    add_text(&w, "nonce", str_of(acme->nonce));
    add_text(&w, "url", url);
    json_end_object(&w);
    return base64url_encode(&op->arena, buf_str(&text));
}

enum err acme_sign(struct op *op, struct acme *acme, const struct engine_acm_account *account,
                   struct str url, struct str payload, struct str *ret_body)
{
    struct arena *a = &op->arena;
    struct str key = STR_NONE;
    TRY(acme_account_key(op, acme, account, &key));
    struct str head = protected_of(op, acme, account, key, url);
    struct str body = base64url_encode(a, payload);
    struct str text = arena_printf(a, "%.*s.%.*s", STR_ARG(head), STR_ARG(body));
    struct str signature = base64url_encode(a, es256_sign(a, key, text));
    cert_clear(key);
    *ret_body =
        arena_printf(a, "{\"protected\":\"%.*s\",\"payload\":\"%.*s\",\"signature\":\"%.*s\"}",
                     STR_ARG(head), STR_ARG(body), STR_ARG(signature));
    mem_free(acme->nonce); /* good for one call */
    acme->nonce = NULL;
    return ERR_OK;
}

/* ---- answers --------------------------------------------------------------------------------- */

static void take_nonce(struct acme *acme, const struct webcall_answer *answer)
{
    struct str nonce = webcall_header(answer, STR("Replay-Nonce"));
    if (nonce.len == 0 || nonce.len > NONCE_CHARS_MAX) {
        return;
    }
    for (size_t i = 0; i < nonce.len; i++) { /* base64url: section 6.5.1 */
        char c = str_lower_char(nonce.ptr[i]);
        bool is_fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (!is_fine) {
            return;
        }
    }
    mem_free(acme->nonce);
    acme->nonce = mem_alloc(nonce.len + 1);
    memcpy(acme->nonce, nonce.ptr, nonce.len);
}

wall_t acme_retry_after(const struct op *op, const struct webcall_answer *answer)
{
    uint64_t seconds = 0;
    struct str text = webcall_header(answer, STR("Retry-After"));
    uint64_t most = (uint64_t)(ACM_PATIENCE_MAX.us / 1000000);
    if (!str_parse_u64(text, UINT64_MAX, &seconds)) {
        return (wall_t){0};
    }
    return wall_add(op->now, DUR_S(seconds < most ? seconds : most));
}

/* Printable text of a server, cut. */
static struct str said(struct op *op, struct str text)
{
    struct str copy = arena_str(&op->arena, str_slice(text, 0, TEXT_CHARS_MAX));
    for (size_t i = 0; i < copy.len; i++) {
        if ((unsigned char)copy.ptr[i] < ' ') {
            ((char *)mem_owned(copy.ptr))[i] = ' ';
        }
    }
    return copy;
}

static bool is_final(struct str type)
{
    static const char *const finals[] = {"rejectedIdentifier", "unsupportedIdentifier", "caa",
                                         "badCSR"};
    for (size_t i = 0; i < ARRAY_COUNT(finals); i++) {
        if (str_ends_with(type, str_of(finals[i]))) {
            return true;
        }
    }
    return false;
}

static enum err refuse(struct op *op, struct acme *acme, const struct webcall_answer *answer,
                       struct order_failure *ret)
{
    struct engine_acme_problem problem = {0};
    if (acme_read(op, &shape_engine_acme_problem, answer->body, &problem) != ERR_OK) {
        op_note_clear(op);
    }
    if (str_ends_with(problem.type, STR(":badNonce")) && acme->bad_nonces < ACM_NONCES_BAD_MAX) {
        acme->bad_nonces++;
        return ERR_AGAIN;
    }
    *ret = (struct order_failure){
        .reason = arena_printf(&op->arena, "the authority answered %d: %.*s (%.*s)", answer->status,
                               STR_ARG(said(op, problem.detail)), STR_ARG(said(op, problem.type))),
        .is_final = is_final(problem.type),
        .not_before = acme_retry_after(op, answer)};
    if (str_ends_with(problem.type, STR(":accountDoesNotExist"))) {
        struct engine_acm_account account = {0};
        TRY(make_account(op, acme, &account)); /* a new one with the next attempt */
    }
    return ERR_REMOTE;
}

enum err acme_take_answer(struct op *op, struct acme *acme, const struct webcall_answer *answer,
                          struct order_failure *ret_failure)
{
    if (!answer->has_come) {
        *ret_failure = (struct order_failure){
            .reason = arena_printf(&op->arena, "the authority could not be reached: %s",
                                   answer->problem)};
        return ERR_NET;
    }
    take_nonce(acme, answer);
    if (answer->status >= 200 && answer->status < 300) {
        acme->bad_nonces = 0;
        return ERR_OK;
    }
    return refuse(op, acme, answer, ret_failure);
}

enum err acme_read(struct op *op, const struct shape *shape, struct str text, void *ret)
{
    return shape_json_decode(op, shape, text, SHAPE_LENIENT, ret);
}
