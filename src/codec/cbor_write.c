#include "codec/cbor.h"

#include <math.h>

static void add_head(struct buf *out, unsigned major, uint64_t argument)
{
    uint8_t bytes[9];
    size_t extra = argument < 24            ? 0
                   : argument <= UINT8_MAX  ? 1
                   : argument <= UINT16_MAX ? 2
                   : argument <= UINT32_MAX ? 4
                                            : 8;
    unsigned info = extra == 0   ? (unsigned)argument
                    : extra == 1 ? 24
                    : extra == 2 ? 25
                    : extra == 4 ? 26
                                 : 27;
    bytes[0] = (uint8_t)(major << 5 | info);
    for (size_t i = 0; i < extra; i++) {
        bytes[1 + i] = (uint8_t)(argument >> (8 * (extra - 1 - i)));
    }
    buf_add_bytes(out, bytes, 1 + extra);
}

static void add_byte(struct buf *out, unsigned byte)
{
    buf_add_char(out, (char)(uint8_t)byte);
}

void cbor_add_map(struct buf *out, size_t pair_count)
{
    add_head(out, 5, pair_count);
}

void cbor_add_array(struct buf *out, size_t item_count)
{
    add_head(out, 4, item_count);
}

void cbor_begin_map(struct buf *out)
{
    add_byte(out, 0xBF);
}

void cbor_begin_array(struct buf *out)
{
    add_byte(out, 0x9F);
}

void cbor_end(struct buf *out)
{
    add_byte(out, 0xFF);
}

void cbor_add_text(struct buf *out, struct str text)
{
    add_head(out, 3, text.len);
    buf_add(out, text);
}

void cbor_add_bytes(struct buf *out, struct str bytes)
{
    add_head(out, 2, bytes.len);
    buf_add(out, bytes);
}

void cbor_add_i64(struct buf *out, int64_t value)
{
    if (value < 0) {
        add_head(out, 1, ~(uint64_t)value);
    } else {
        add_head(out, 0, (uint64_t)value);
    }
}

/* The half float of that value, when there is one. */
static bool half_of(double value, uint16_t *ret_half)
{
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    double magnitude = fabs(value);
    int exponent;
    (void)frexp(magnitude, &exponent); /* magnitude = f * 2^exponent, 0.5 <= f < 1 */
    if (isinf(value)) {
        *ret_half = sign | 0x7C00;
        return true;
    }
    if (magnitude == 0) {
        *ret_half = sign;
        return true;
    }
    bool is_subnormal = exponent < -13;
    double fraction = ldexp(magnitude, is_subnormal ? 24 : 11 - exponent);
    if (exponent > 16 || fraction != floor(fraction) || fraction == 0) {
        return false;
    }
    *ret_half =
        is_subnormal
            ? (uint16_t)(sign | (unsigned)fraction)
            : (uint16_t)(sign | (unsigned)(exponent + 14) << 10 | ((unsigned)fraction & 1023));
    return true;
}

void cbor_add_f64(struct buf *out, double value)
{
    uint16_t half;
    float narrow = (float)value;
    uint64_t bits = 0;
    size_t bytes = 8;
    if (isnan(value)) {
        bits = 0x7E00;
        bytes = 2;
    } else if (half_of(value, &half)) {
        bits = half;
        bytes = 2;
    } else if ((double)narrow == value) {
        uint32_t narrow_bits;
        memcpy(&narrow_bits, &narrow, sizeof(narrow_bits));
        bits = narrow_bits;
        bytes = 4;
    } else {
        memcpy(&bits, &value, sizeof(bits));
    }
    add_byte(out, bytes == 2 ? 0xF9 : bytes == 4 ? 0xFA : 0xFB);
    for (size_t i = 0; i < bytes; i++) {
        add_byte(out, (unsigned)(bits >> (8 * (bytes - 1 - i))) & 0xFF);
    }
}

void cbor_add_bool(struct buf *out, bool value)
{
    add_byte(out, value ? 0xF5 : 0xF4);
}

void cbor_add_null(struct buf *out)
{
    add_byte(out, 0xF6);
}

void cbor_add_tag(struct buf *out, uint64_t tag)
{
    add_head(out, 6, tag);
}
