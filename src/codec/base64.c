#include "codec/base64.h"

#include "base/check.h"

#define ALPHABET_COMMON "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static struct str encode(struct arena *a, struct str bytes, const char *alphabet, bool is_padded)
{
    const uint8_t *from = (const uint8_t *)bytes.ptr;
    char *to = arena_alloc(a, bytes.len / 3 * 4 + 5);
    size_t len = 0;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t group = (uint32_t)from[i] << 16;
        group |= left > 1 ? (uint32_t)from[i + 1] << 8 : 0;
        group |= left > 2 ? (uint32_t)from[i + 2] : 0;
        to[len++] = alphabet[group >> 18];
        to[len++] = alphabet[(group >> 12) & 63];
        if (left > 1) {
            to[len++] = alphabet[(group >> 6) & 63];
        }
        if (left > 2) {
            to[len++] = alphabet[group & 63];
        }
        for (size_t p = left; is_padded && p < 3; p++) {
            to[len++] = '=';
        }
    }
    return str_make(to, len);
}

struct str base64_encode(struct arena *a, struct str bytes)
{
    return encode(a, bytes, ALPHABET_COMMON "+/", true);
}

void base64_encode_to(const uint8_t *bytes, size_t count, char *ret_text)
{
    static const char alphabet[] = ALPHABET_COMMON "+/";
    CHECK(count % 3 == 0);
    for (size_t i = 0; i < count; i += 3) {
        uint32_t group = (uint32_t)bytes[i] << 16 | (uint32_t)bytes[i + 1] << 8 | bytes[i + 2];
        *ret_text++ = alphabet[group >> 18];
        *ret_text++ = alphabet[(group >> 12) & 63];
        *ret_text++ = alphabet[(group >> 6) & 63];
        *ret_text++ = alphabet[group & 63];
    }
}

struct str base64url_encode(struct arena *a, struct str bytes)
{
    return encode(a, bytes, ALPHABET_COMMON "-_", false);
}

static int digit_of(char c, char digit_62, char digit_63)
{
    switch (c) {
    case 'A' ... 'Z':
        return c - 'A';
    case 'a' ... 'z':
        return c - 'a' + 26;
    case '0' ... '9':
        return c - '0' + 52;
    default:
        return c == digit_62 ? 62 : c == digit_63 ? 63 : -1;
    }
}

/* text carries no padding any more. */
static bool decode(struct arena *a, struct str text, char digit_62, char digit_63,
                   struct str *ret_bytes)
{
    if (text.len % 4 == 1) {
        return false;
    }
    char *to = arena_alloc(a, text.len / 4 * 3 + 3);
    size_t len = 0;
    uint32_t bits = 0;
    int bit_count = 0;
    for (size_t i = 0; i < text.len; i++) {
        int digit = digit_of(text.ptr[i], digit_62, digit_63);
        if (digit < 0) {
            return false;
        }
        bits = (bits << 6) | (uint32_t)digit;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            to[len++] = (char)(uint8_t)(bits >> bit_count);
        }
    }
    if ((bits & ((1u << bit_count) - 1)) != 0) {
        return false;
    }
    *ret_bytes = str_make(to, len);
    return true;
}

bool base64_decode_to(struct str text, uint8_t *ret_bytes)
{
    if (text.len % 4 != 0) {
        return false;
    }
    for (size_t i = 0; i < text.len; i += 4) {
        int group = 0;
        for (size_t k = 0; k < 4; k++) {
            int digit = digit_of(text.ptr[i + k], '+', '/');
            if (digit < 0) {
                return false;
            }
            group = group << 6 | digit;
        }
        *ret_bytes++ = (uint8_t)(group >> 16);
        *ret_bytes++ = (uint8_t)(group >> 8);
        *ret_bytes++ = (uint8_t)group;
    }
    return true;
}

static struct str without_padding(struct str text)
{
    for (int i = 0; i < 2 && str_ends_with(text, STR("=")); i++) {
        text.len--;
    }
    return text;
}

bool base64_decode(struct arena *a, struct str text, struct str *ret_bytes)
{
    if (text.len % 4 != 0) {
        return false;
    }
    return decode(a, without_padding(text), '+', '/', ret_bytes);
}

bool base64url_decode(struct arena *a, struct str text, struct str *ret_bytes)
{
    struct str bare = without_padding(text);
    if (bare.len != text.len && text.len % 4 != 0) {
        return false;
    }
    return decode(a, bare, '-', '_', ret_bytes);
}
