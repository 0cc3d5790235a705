#include "base/buf.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

#define CAPACITY_BYTES_MIN 256

void buf_init(struct buf *b, size_t max_bytes)
{
    *b = (struct buf){.max_bytes = max_bytes};
}

void buf_fini(struct buf *b)
{
    mem_free(b->ptr);
    *b = (struct buf){0};
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->is_overflown = false;
}

char *buf_reserve(struct buf *b, size_t bytes)
{
    if (b->is_overflown || bytes > b->max_bytes - b->len) {
        b->is_overflown = true;
        return NULL;
    }
    size_t want = b->len + bytes;
    if (want > b->capacity_bytes) {
        size_t capacity =
            b->capacity_bytes < CAPACITY_BYTES_MIN ? CAPACITY_BYTES_MIN : b->capacity_bytes;
        while (capacity < want) {
            capacity *= 2;
        }
        b->ptr = mem_resize(b->ptr, capacity);
        b->capacity_bytes = capacity;
    }
    return b->ptr + b->len;
}

void buf_add_bytes(struct buf *b, const void *bytes, size_t count)
{
    char *room = count == 0 ? NULL : buf_reserve(b, count);
    if (room != NULL) {
        memcpy(room, bytes, count);
        b->len += count;
    }
}

void buf_add(struct buf *b, struct str s)
{
    buf_add_bytes(b, s.ptr, s.len);
}

void buf_add_char(struct buf *b, char c)
{
    buf_add_bytes(b, &c, 1);
}

void buf_addf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    CHECK(len >= 0);
    char *room = buf_reserve(b, (size_t)len + 1);
    if (room == NULL) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(room, (size_t)len + 1, format, args);
    va_end(args);
    b->len += (size_t)len;
}

void buf_consume(struct buf *b, size_t bytes)
{
    CHECK(bytes <= b->len);
    if (bytes > 0 && bytes < b->len) {
        memmove(b->ptr, b->ptr + bytes, b->len - bytes);
    }
    b->len -= bytes;
}
