#include "codec/urlenc.h"

#include "codec/hex.h"
#include "codec/utf8.h"

static bool is_unreserved(char c)
{
    switch (c) {
    case 'A' ... 'Z':
    case 'a' ... 'z':
    case '0' ... '9':
    case '-':
    case '.':
    case '_':
    case '~':
        return true;
    default:
        return false;
    }
}

void url_encode(struct buf *out, struct str text, bool keep_slash)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t from = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (is_unreserved(c) || (keep_slash && c == '/')) {
            continue;
        }
        buf_add(out, str_slice(text, from, i));
        uint8_t byte = (uint8_t)c;
        buf_add_bytes(out, (char[]){'%', digits[byte >> 4], digits[byte & 15]}, 3);
        from = i + 1;
    }
    buf_add(out, str_from(text, from));
}

bool url_decode(struct arena *a, struct str text, bool is_form, struct str *ret_text)
{
    bool is_plain = str_find_char(text, '%', 0) == STR_NOT_FOUND &&
                    (!is_form || str_find_char(text, '+', 0) == STR_NOT_FOUND);
    if (is_plain) {
        *ret_text = text;
        return true;
    }
    char *to = arena_alloc(a, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '+' && is_form) {
            c = ' ';
        } else if (c == '%') {
            struct str digits = str_slice(text, i + 1, i + 3);
            if (digits.len != 2 || !hex_decode_to(digits, &c, 1)) {
                return false;
            }
            i += 2;
        }
        to[len++] = c;
    }
    *ret_text = str_make(to, len);
    return true;
}

static bool decode_part(struct op *op, struct str part, struct str *ret_text)
{
    return url_decode(&op->arena, part, true, ret_text) && utf8_is_valid(*ret_text);
}

enum err url_form_parse(struct op *op, struct str text, struct url_form *ret_form)
{
    struct url_form form = {0};
    struct str rest = text;
    struct str piece;
    while (str_next(&rest, '&', &piece)) {
        if (piece.len == 0) {
            continue;
        }
        if (form.count == URL_FORM_PAIRS_MAX) {
            return op_fail(op, ERR_LIMIT, "the form has more than %d parameters",
                           URL_FORM_PAIRS_MAX);
        }
        struct str name = piece;
        struct str value = STR("");
        (void)str_cut(piece, '=', &name, &value); /* "a" alone means "a=" */
        struct url_pair *pair = ARENA_PUSH(&op->arena, &form);
        if (!decode_part(op, name, &pair->name) || !decode_part(op, value, &pair->value)) {
            return op_fail(op, ERR_INPUT, "parameter %zu of the form is not percent-coded UTF-8",
                           form.count);
        }
    }
    *ret_form = form;
    return ERR_OK;
}

struct str url_form_find(const struct url_form *form, struct str name)
{
    for (size_t i = 0; i < form->count; i++) {
        if (str_equal(form->items[i].name, name)) {
            return form->items[i].value;
        }
    }
    return STR_NONE;
}

void url_form_add(struct buf *out, struct str name, struct str value)
{
    if (out->len > 0) {
        buf_add_char(out, '&');
    }
    url_encode(out, name, false);
    buf_add_char(out, '=');
    url_encode(out, value, false);
}
