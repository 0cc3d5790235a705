#include "codec/utf8.h"

#include "base/check.h"

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* RFC 3629 section 4: what may follow a lead byte. Later bytes are always 80..BF. */
struct lead {
    uint8_t bytes;
    uint8_t second_min;
    uint8_t second_max;
};

static struct lead lead_of(uint8_t c)
{
    switch (c) {
    case 0x00 ... 0x7F:
        return (struct lead){1, 0, 0};
    case 0xC2 ... 0xDF:
        return (struct lead){2, 0x80, 0xBF};
    case 0xE0:
        return (struct lead){3, 0xA0, 0xBF};
    case 0xED:
        return (struct lead){3, 0x80, 0x9F};
    case 0xE1 ... 0xEC:
    case 0xEE ... 0xEF:
        return (struct lead){3, 0x80, 0xBF};
    case 0xF0:
        return (struct lead){4, 0x90, 0xBF};
    case 0xF1 ... 0xF3:
        return (struct lead){4, 0x80, 0xBF};
    case 0xF4:
        return (struct lead){4, 0x80, 0x8F};
    default:
        return (struct lead){0, 0, 0};
    }
}

size_t utf8_char_bytes(const char *text, size_t available)
{
    if (available == 0) {
        return 0;
    }
    const uint8_t *b = (const uint8_t *)text;
    struct lead lead = lead_of(b[0]);
    if (lead.bytes < 2) {
        return lead.bytes;
    }
    if (lead.bytes > available || b[1] < lead.second_min || b[1] > lead.second_max) {
        return 0;
    }
    for (size_t i = 2; i < lead.bytes; i++) {
        if ((b[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return lead.bytes;
}

size_t utf8_valid_bytes(struct str s)
{
    size_t at = 0;
    while (at < s.len) {
        uint64_t eight;
        if (s.len - at >= sizeof(eight)) {
            memcpy(&eight, s.ptr + at, sizeof(eight));
            if ((eight & HIGH_BITS) == 0) {
                at += sizeof(eight);
                continue;
            }
        }
        size_t bytes = utf8_char_bytes(s.ptr + at, s.len - at);
        if (bytes == 0) {
            return at;
        }
        at += bytes;
    }
    return at;
}

size_t utf8_count(struct str s)
{
    size_t count = 0;
    for (size_t at = 0; at < s.len; count++) {
        size_t bytes = utf8_char_bytes(s.ptr + at, s.len - at);
        at += bytes == 0 ? 1 : bytes;
    }
    return count;
}

size_t utf8_put(uint32_t code_point, char ret_bytes[UTF8_BYTES_MAX])
{
    CHECK(code_point <= 0x10FFFF && (code_point < 0xD800 || code_point > 0xDFFF));
    if (code_point < 0x80) {
        ret_bytes[0] = (char)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        ret_bytes[0] = (char)(0xC0 | (code_point >> 6));
        ret_bytes[1] = (char)(0x80 | (code_point & 0x3F));
        return 2;
    }
    if (code_point < 0x10000) {
        ret_bytes[0] = (char)(0xE0 | (code_point >> 12));
        ret_bytes[1] = (char)(0x80 | ((code_point >> 6) & 0x3F));
        ret_bytes[2] = (char)(0x80 | (code_point & 0x3F));
        return 3;
    }
    ret_bytes[0] = (char)(0xF0 | (code_point >> 18));
    ret_bytes[1] = (char)(0x80 | ((code_point >> 12) & 0x3F));
    ret_bytes[2] = (char)(0x80 | ((code_point >> 6) & 0x3F));
    ret_bytes[3] = (char)(0x80 | (code_point & 0x3F));
    return 4;
}
