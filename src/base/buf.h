#pragma once
/* Growing bytes with a maximum from birth. A write that does not fit sets the sticky is_overflown
 * and is dropped whole: write all pieces, ask once at the end. Owns: its bytes, until buf_fini. */

#include "base/str.h"

struct buf {
    char *ptr;
    size_t len;
    size_t capacity_bytes;
    size_t max_bytes;
    bool is_overflown;
};

void buf_init(struct buf *b, size_t max_bytes);
void buf_fini(struct buf *b);
/* Empties, keeps the memory, clears the mark. */
void buf_reset(struct buf *b);
void buf_add(struct buf *b, struct str s);
void buf_add_bytes(struct buf *b, const void *bytes, size_t count);
void buf_add_char(struct buf *b, char c);
void buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Room for `bytes` more, for reads straight into the buffer; NULL when past the maximum. The caller
 * then adds what it read to len. */
char *buf_reserve(struct buf *b, size_t bytes);
/* Drops bytes from the front. */
void buf_consume(struct buf *b, size_t bytes);

static inline struct str buf_str(const struct buf *b)
{
    return str_make(b->ptr == NULL ? "" : b->ptr, b->len);
}

#define auto_buf __attribute__((cleanup(buf_fini)))
