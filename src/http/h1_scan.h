#pragma once
/* Byte classes and the two scans that a head parser lives on. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* RFC 9110 tchar. */
extern const uint8_t h1_is_token[256];

static inline bool h1_is_control(unsigned char c)
{
    return c < 0x20 || c == 0x7f;
}

/* Index of the first control byte (tab included) at or after `from`, or count. */
static inline size_t h1_scan_control(const char *bytes, size_t from, size_t count)
{
    size_t i = from;
#ifdef __SSE2__
    const __m128i last_control = _mm_set1_epi8(0x1f);
    const __m128i del = _mm_set1_epi8(0x7f);
    for (; i + 16 <= count; i += 16) {
        __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(bytes + i));
        __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(b, last_control), b);
        unsigned hits = (unsigned)_mm_movemask_epi8(_mm_or_si128(low, _mm_cmpeq_epi8(b, del)));
        if (hits != 0) {
            return i + (size_t)__builtin_ctz(hits);
        }
    }
#endif
    while (i < count && !h1_is_control((unsigned char)bytes[i])) {
        i++;
    }
    return i;
}

static inline size_t h1_scan_token(const char *bytes, size_t from, size_t count)
{
    size_t i = from;
    while (i < count && h1_is_token[(unsigned char)bytes[i]]) {
        i++;
    }
    return i;
}
