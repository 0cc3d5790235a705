#pragma once
/* A request body on its way into memory: as it is, or gzip unpacked. Limits hold for what comes in
 * and for what comes out, so a small body cannot become a large one. */

#include "base/buf.h"

#include <stdbool.h>
#include <zlib.h>

struct httpio_unpack {
    struct buf out;    /* at most the limit given */
    struct buf packed; /* gzip only: what came in, because signatures are of that */
    size_t in_bytes;
    bool is_gzip;
    bool has_stream; /* gzip is open */
    bool is_between; /* no member is open: at the start, or behind a whole one */
    z_stream z;
};

/* All give 0, or the status to refuse with: 400, 413, 415. */
void httpio_unpack_init(struct httpio_unpack *u);
/* encoding: the Content-Encoding, absent without one. Keeps the memory of an earlier body. */
unsigned httpio_unpack_begin(struct httpio_unpack *u, struct str encoding, size_t bytes_max);
unsigned httpio_unpack_add(struct httpio_unpack *u, struct str piece);
/* The body has ended. */
unsigned httpio_unpack_end(struct httpio_unpack *u);
void httpio_unpack_fini(struct httpio_unpack *u);
