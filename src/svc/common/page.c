#include "svc/common/page.h"

#define TOKEN_BYTES_MAX (2 * STORE_KEY_BYTES_MAX)

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

struct str page_encode(struct arena *a, struct str bytes)
{
    char *out = arena_alloc(a, bytes.len / 3 * 4 + 5);
    size_t len = 0;
    for (size_t at = 0; at < bytes.len; at += 3) {
        size_t left = bytes.len - at;
        uint32_t group = 0;
        for (size_t i = 0; i < 3; i++) {
            group = group << 8 | (i < left ? (unsigned char)bytes.ptr[at + i] : 0);
        }
        size_t chars = left >= 3 ? 4 : left + 1;
        for (size_t i = 0; i < chars; i++) {
            out[len++] = alphabet[group >> (18 - 6 * i) & 63];
        }
    }
    return str_make(out, len);
}

bool page_decode(struct arena *a, struct str text, struct str *ret_bytes)
{
    if (text.len % 4 == 1) {
        return false;
    }
    char *out = arena_alloc(a, text.len / 4 * 3 + 3);
    size_t len = 0;
    uint32_t group = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < text.len; i++) {
        size_t digit = str_find_char(str_of(alphabet), text.ptr[i], 0);
        if (digit == STR_NOT_FOUND) {
            return false;
        }
        group = group << 6 | (uint32_t)digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[len++] = (char)(group >> bits & 0xff);
            group &= (1u << bits) - 1;
        }
    }
    if (group != 0) {
        return false; /* one text has one encoding */
    }
    *ret_bytes = str_make(out, len);
    return true;
}

/* "<list name>\n<key>" */
static bool read_token(struct op *op, const struct page_rules *rules, struct str token,
                       struct str *ret_after)
{
    struct str text = STR_NONE;
    struct str list_name = STR_NONE;
    return token.len <= TOKEN_BYTES_MAX && page_decode(&op->arena, token, &text) &&
           str_cut(text, '\n', &list_name, ret_after) &&
           str_equal(list_name, str_of(rules->list_name)) && ret_after->len > 0;
}

enum err page_open(struct op *op, const struct page_rules *rules, struct page_ask ask,
                   struct page *ret)
{
    struct page page = {.count = rules->default_count};
    if (ask.max_results.is_set) {
        if (ask.max_results.value < 1) {
            return op_fail(op, ERR_INPUT, "a page must have at least 1 entry, not %d",
                           ask.max_results.value);
        }
        page.count = (size_t)ask.max_results.value;
    }
    if (rules->max_count > 0 && page.count > rules->max_count) {
        page.count = rules->max_count;
    }
    if (ask.token.len > 0 && !read_token(op, rules, ask.token, &page.after)) {
        return op_fail_as(op, ERR_INPUT, rules->bad_token, "%s",
                          rules->bad_token_text == NULL ? "The pagination token is not valid"
                                                        : rules->bad_token_text);
    }
    *ret = page;
    return ERR_OK;
}

struct str page_token(struct op *op, const struct page_rules *rules, struct str last_key)
{
    struct str text = arena_printf(&op->arena, "%s\n%.*s", rules->list_name, STR_ARG(last_key));
    return page_encode(&op->arena, text);
}

enum err page_list(struct op *op, struct store *st, const struct store_kind *kind,
                   const struct store_range *range, const struct page_rules *rules,
                   struct page_ask ask, struct store_items *ret_items, struct str *ret_next)
{
    struct page page = {0};
    TRY(page_open(op, rules, ask, &page));
    struct store_range cut = *range;
    cut.after = page.after;
    cut.limit = page.count == 0 ? 0 : page.count + 1; /* one more tells whether a page follows */
    struct store_items items = {0};
    TRY(store_list(op, st, kind, &cut, &items));
    *ret_next = STR_NONE;
    if (page.count > 0 && items.count > page.count) {
        items.count = page.count;
        *ret_next = page_token(op, rules, items.items[items.count - 1].key);
    }
    *ret_items = items;
    return ERR_OK;
}

enum err page_cut(struct op *op, const struct page_rules *rules, struct page_ask ask,
                  const struct str *sorted_keys, size_t key_count, size_t *ret_from, size_t *ret_to,
                  struct str *ret_next)
{
    struct page page = {0};
    TRY(page_open(op, rules, ask, &page));
    size_t from = 0;
    while (str_is_set(page.after) && from < key_count &&
           str_compare(sorted_keys[from], page.after) <= 0) {
        from++;
    }
    size_t to = key_count;
    *ret_next = STR_NONE;
    if (page.count > 0 && key_count - from > page.count) {
        to = from + page.count;
        *ret_next = page_token(op, rules, sorted_keys[to - 1]);
    }
    *ret_from = from;
    *ret_to = to;
    return ERR_OK;
}
