#include "codec/hex.h"

void hex_encode_to(const void *bytes, size_t count, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *b = bytes;
    for (size_t i = 0; i < count; i++) {
        ret_text[2 * i] = digits[b[i] >> 4];
        ret_text[2 * i + 1] = digits[b[i] & 15];
    }
}

struct str hex_encode(struct arena *a, const void *bytes, size_t count)
{
    char *text = arena_alloc(a, 2 * count + 1);
    hex_encode_to(bytes, count, text);
    return str_make(text, 2 * count);
}

bool hex_decode_to(struct str text, void *ret_bytes, size_t room_bytes)
{
    uint8_t *to = ret_bytes;
    if (text.len % 2 != 0 || text.len / 2 > room_bytes) {
        return false;
    }
    for (size_t i = 0; i < text.len; i += 2) {
        int high = hex_digit_value(text.ptr[i]);
        int low = hex_digit_value(text.ptr[i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        to[i / 2] = (uint8_t)(high * 16 + low);
    }
    return true;
}
