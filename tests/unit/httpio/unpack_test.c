#include "base/mem.h"
#include "httpio/unpack.h"
#include "test.h"

#define LIMIT ((size_t)1 << 20)

static struct str pack(struct arena *a, struct str plain)
{
    z_stream z = {0};
    REQUIRE_EQ(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t room = deflateBound(&z, plain.len);
    char *packed = arena_alloc(a, room);
    memcpy(&z.next_in, &plain.ptr, sizeof(plain.ptr));
    z.avail_in = (uInt)plain.len;
    z.next_out = (Bytef *)packed;
    z.avail_out = (uInt)room;
    REQUIRE_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t len = room - z.avail_out;
    (void)deflateEnd(&z);
    return str_make(packed, len);
}

/* Whole, in pieces of `step` bytes; the status or 0. */
static unsigned unpack(struct httpio_unpack *u, struct str bytes, size_t step, size_t limit)
{
    unsigned status = httpio_unpack_begin(u, STR("gzip"), limit);
    for (size_t at = 0; at < bytes.len && status == 0; at += step) {
        status = httpio_unpack_add(u, str_slice(bytes, at, at + step));
    }
    return status == 0 ? httpio_unpack_end(u) : status;
}

static struct str zeros(struct arena *a, size_t count)
{
    return str_make(arena_alloc(a, count), count);
}

TEST(gzip_is_unpacked_however_it_is_cut_and_several_members_are_one_body)
{
    auto_op struct op op;
    op_init(&op);
    struct httpio_unpack u;
    httpio_unpack_init(&u);
    struct str one = pack(&op.arena, STR("hello "));
    struct str two = pack(&op.arena, STR("world"));
    struct str both = arena_printf(&op.arena, "%*s", (int)(one.len + two.len), "");
    char *bytes = mem_dup(both.ptr, both.len);
    memcpy(bytes, one.ptr, one.len);
    memcpy(bytes + one.len, two.ptr, two.len);
    both = str_make(bytes, one.len + two.len);
    for (size_t step = 1; step <= both.len; step++) {
        EXPECT_EQ(unpack(&u, both, step, LIMIT), 0);
        EXPECT_STR(buf_str(&u.out), "hello world");
    }
    mem_free(bytes);
    httpio_unpack_fini(&u);
}

TEST(the_limit_holds_for_what_comes_out_to_the_byte)
{
    auto_op struct op op;
    op_init(&op);
    struct httpio_unpack u;
    httpio_unpack_init(&u);
    struct str packed = pack(&op.arena, zeros(&op.arena, LIMIT));
    EXPECT(packed.len < 2000);
    EXPECT_EQ(unpack(&u, packed, packed.len, LIMIT), 0);
    EXPECT_EQ(u.out.len, LIMIT);
    EXPECT_EQ(unpack(&u, packed, packed.len, LIMIT - 1), 413);
    EXPECT(u.out.len <= LIMIT - 1);
    EXPECT_EQ(unpack(&u, packed, 7, LIMIT - 1), 413);
    httpio_unpack_fini(&u);
}

TEST(a_bomb_stops_at_the_limit)
{
    auto_op struct op op;
    op_init(&op);
    struct httpio_unpack u;
    httpio_unpack_init(&u);
    struct str bomb = pack(&op.arena, zeros(&op.arena, (size_t)64 << 20));
    EXPECT_EQ(unpack(&u, bomb, bomb.len, LIMIT), 413);
    EXPECT(u.out.capacity_bytes <= 2 * LIMIT);
    httpio_unpack_fini(&u);
}

TEST(packed_bytes_without_end_are_refused_though_nothing_comes_out)
{
    auto_op struct op op;
    op_init(&op);
    struct httpio_unpack u;
    httpio_unpack_init(&u);
    struct str empty = pack(&op.arena, STR(""));
    unsigned status = httpio_unpack_begin(&u, STR("gzip"), 1000);
    size_t taken = 0;
    while (status == 0 && taken < 100) {
        status = httpio_unpack_add(&u, empty);
        taken++;
    }
    EXPECT_EQ(status, 413);
    EXPECT_EQ(taken, 1000 / empty.len + 1);
    httpio_unpack_fini(&u);
}

TEST(cut_or_spoilt_gzip_and_rubbish_behind_it_are_bad_requests)
{
    auto_op struct op op;
    op_init(&op);
    struct httpio_unpack u;
    httpio_unpack_init(&u);
    struct str packed = pack(&op.arena, STR("hello hello hello hello"));
    for (size_t len = 0; len < packed.len; len++) {
        EXPECT_EQ(unpack(&u, str_slice(packed, 0, len), 5, LIMIT), 400);
    }
    char *spoilt = mem_alloc(packed.len + 1);
    memcpy(spoilt, packed.ptr, packed.len);
    EXPECT_EQ(unpack(&u, str_make(spoilt, packed.len + 1), 5, LIMIT), 400);
    spoilt[packed.len - 6] ^= 1; /* its check sum */
    EXPECT_EQ(unpack(&u, str_make(spoilt, packed.len), 5, LIMIT), 400);
    mem_free(spoilt);
    httpio_unpack_fini(&u);
}

TEST(plain_bodies_pass_and_unknown_encodings_are_refused)
{
    struct httpio_unpack u;
    httpio_unpack_init(&u);
    EXPECT_EQ(httpio_unpack_begin(&u, STR_NONE, 5), 0);
    EXPECT_EQ(httpio_unpack_add(&u, STR("12345")), 0);
    EXPECT_STR(buf_str(&u.out), "12345");
    EXPECT_EQ(httpio_unpack_add(&u, STR("6")), 413);
    EXPECT_EQ(httpio_unpack_begin(&u, STR("Identity"), 5), 0);
    EXPECT_EQ(httpio_unpack_begin(&u, STR("X-GZip"), 5), 0);
    EXPECT_EQ(httpio_unpack_begin(&u, STR("br"), 5), 415);
    EXPECT_EQ(httpio_unpack_begin(&u, STR("gzip, gzip"), 5), 415);
    EXPECT_EQ(httpio_unpack_begin(&u, STR(""), 5), 415);
    httpio_unpack_fini(&u);
}
