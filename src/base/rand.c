#include "base/rand.h"

#include "base/check.h"

#include <errno.h>
#include <sys/random.h>

void rand_bytes(void *ret_bytes, size_t count)
{
    char *at = ret_bytes;
    while (count > 0) {
        ssize_t got = getrandom(at, count, 0);
        CHECK(got > 0 || errno == EINTR);
        if (got > 0) {
            at += got;
            count -= (size_t)got;
        }
    }
}

uint64_t rand_u64(void)
{
    uint64_t value = 0;
    rand_bytes(&value, sizeof(value));
    return value;
}

struct str rand_uuid(struct arena *a)
{
    unsigned char b[16];
    rand_bytes(b, sizeof(b));
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    return arena_printf(a, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                        b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11],
                        b[12], b[13], b[14], b[15]);
}

struct str rand_text(struct arena *a, struct str alphabet, size_t count)
{
    CHECK(alphabet.len >= 1);
    CHECK(alphabet.len <= 256);
    size_t fair = 256 - 256 % alphabet.len; /* bytes at or above this would favour the front */
    char *text = arena_alloc(a, count + 1);
    for (size_t i = 0; i < count;) {
        unsigned char byte = 0;
        rand_bytes(&byte, 1);
        if (byte < fair) {
            text[i++] = alphabet.ptr[byte % alphabet.len];
        }
    }
    return str_make(text, count);
}
