#include "httpio/unpack.h"

#include "base/check.h"
#include "base/mem.h"

#define STEP_BYTES ((size_t)64 << 10)
#define GZIP_ONLY  (15 + 16) /* largest window, gzip framing: what zlib calls windowBits */

static voidpf take(voidpf unused, uInt count, uInt size)
{
    (void)unused;
    return mem_alloc_array(count, size);
}

static void give(voidpf unused, voidpf memory)
{
    (void)unused;
    mem_free(memory);
}

void httpio_unpack_init(struct httpio_unpack *u)
{
    *u = (struct httpio_unpack){0};
}

static void close_stream(struct httpio_unpack *u)
{
    if (u->has_stream) {
        (void)inflateEnd(&u->z);
        u->has_stream = false;
    }
}

void httpio_unpack_fini(struct httpio_unpack *u)
{
    close_stream(u);
    buf_fini(&u->out);
    buf_fini(&u->packed);
    httpio_unpack_init(u);
}

unsigned httpio_unpack_begin(struct httpio_unpack *u, struct str encoding, size_t bytes_max)
{
    close_stream(u);
    buf_reset(&u->out);
    buf_fini(&u->packed);
    u->out.max_bytes = bytes_max;
    u->packed.max_bytes = bytes_max;
    u->in_bytes = 0;
    u->is_gzip =
        str_equal_nocase(encoding, STR("gzip")) || str_equal_nocase(encoding, STR("x-gzip"));
    if (!u->is_gzip) {
        bool is_plain = !str_is_set(encoding) || str_equal_nocase(encoding, STR("identity"));
        return is_plain ? 0 : 415;
    }
    u->z = (z_stream){.zalloc = take, .zfree = give};
    CHECK(inflateInit2(&u->z, GZIP_ONLY) == Z_OK);
    u->has_stream = true;
    u->is_between = true;
    return 0;
}

/* Room for the next step, less near the limit; one byte past it, to notice that it is passed. */
static bool reserve(struct httpio_unpack *u, size_t *ret_room)
{
    size_t left = u->out.max_bytes - u->out.len;
    size_t room = left < STEP_BYTES ? left : STEP_BYTES;
    if (room == 0) {
        return false;
    }
    CHECK(buf_reserve(&u->out, room) != NULL);
    *ret_room = room;
    return true;
}

/* One call of inflate. *ret_goes_on is false when it needs more input. */
static unsigned inflate_step(struct httpio_unpack *u, bool *ret_goes_on)
{
    char past_limit;
    size_t room = 0;
    bool has_room = reserve(u, &room);
    u->z.next_out = (Bytef *)(has_room ? u->out.ptr + u->out.len : &past_limit);
    u->z.avail_out = has_room ? (uInt)room : 1;
    int result = inflate(&u->z, Z_NO_FLUSH);
    size_t wrote = (has_room ? room : 1) - u->z.avail_out;
    if (!has_room && wrote > 0) {
        return 413;
    }
    u->out.len += has_room ? wrote : 0;
    if (result == Z_STREAM_END) {
        CHECK(inflateReset(&u->z) == Z_OK);
        u->is_between = true;
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
        return 400;
    }
    *ret_goes_on = u->z.avail_in > 0 || (u->z.avail_out == 0 && !u->is_between);
    return 0;
}

unsigned httpio_unpack_add(struct httpio_unpack *u, struct str piece)
{
    if (piece.len > u->out.max_bytes - u->in_bytes) {
        return 413; /* packed bytes count as well: empty blocks would have no end */
    }
    u->in_bytes += piece.len;
    if (!u->is_gzip) {
        buf_add(&u->out, piece);
        CHECK(!u->out.is_overflown);
        return 0;
    }
    buf_add(&u->packed, piece);
    CHECK(!u->packed.is_overflown);
    struct str rest = piece;
    bool goes_on = rest.len > 0;
    memcpy(&u->z.next_in, &rest.ptr, sizeof(rest.ptr)); /* zlib's type is not const */
    u->z.avail_in = (uInt)rest.len;
    while (goes_on) {
        u->is_between = false;
        unsigned refused = inflate_step(u, &goes_on);
        if (refused != 0) {
            return refused;
        }
    }
    return 0;
}

unsigned httpio_unpack_end(struct httpio_unpack *u)
{
    bool is_cut = u->is_gzip && (!u->is_between || u->in_bytes == 0);
    close_stream(u);
    return is_cut ? 400 : 0;
}
