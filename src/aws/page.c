#include "aws/page.h"

#include "codec/base64.h"
#include "codec/utf8.h"

/* Tells our tokens from other base64, and this form of them from later ones. */
#define TOKEN_MARK "1:"

struct str aws_page_token(struct arena *a, struct str last_key)
{
    return base64url_encode(a, arena_printf(a, TOKEN_MARK "%.*s", STR_ARG(last_key)));
}

enum err aws_page_key(struct op *op, struct str token, const struct err_public *error,
                      struct str *ret_key)
{
    struct str text;
    if (token.len == 0) {
        *ret_key = STR_NONE;
        return ERR_OK;
    }
    bool is_ours = token.len <= AWS_PAGE_KEY_BYTES_MAX * 2 &&
                   base64url_decode(&op->arena, token, &text) &&
                   str_starts_with(text, STR(TOKEN_MARK)) && utf8_is_valid(text);
    if (!is_ours) {
        return op_fail_as(op, ERR_INPUT, error, "Invalid token.");
    }
    *ret_key = str_from(text, sizeof(TOKEN_MARK) - 1);
    return ERR_OK;
}

size_t aws_page_size(struct opt_i32 asked, size_t otherwise, size_t most)
{
    if (!asked.is_set || asked.value < 1) {
        return otherwise;
    }
    return (size_t)asked.value < most ? (size_t)asked.value : most;
}
