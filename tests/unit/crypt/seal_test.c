#include "crypt/seal.h"

#include "base/rand.h"
#include "test.h"

TEST(sealed_texts_open_with_their_key_and_purpose_alone)
{
    auto_op struct op op;
    op_init(&op);
    struct seal_key key;
    struct seal_key other;
    struct str text;
    rand_bytes(&key, sizeof(key));
    rand_bytes(&other, sizeof(other));
    struct str sealed = seal_close(&op.arena, &key, STR("secrets"), STR("the text"));
    EXPECT_EQ(sealed.len, 8 + SEAL_MORE_BYTES);
    REQUIRE(seal_open(&op.arena, &key, STR("secrets"), sealed, &text));
    EXPECT_STR(text, "the text");
    EXPECT(!seal_open(&op.arena, &other, STR("secrets"), sealed, &text));
    EXPECT(!seal_open(&op.arena, &key, STR("cookies"), sealed, &text));
    struct str again = seal_close(&op.arena, &key, STR("secrets"), STR("the text"));
    EXPECT(!str_equal(again, sealed));
    struct str empty = seal_close(&op.arena, &key, STR(""), STR(""));
    REQUIRE(seal_open(&op.arena, &key, STR(""), empty, &text));
    EXPECT_EQ(text.len, 0);
}

TEST(a_sealed_text_with_any_byte_changed_or_cut_stays_shut)
{
    auto_op struct op op;
    op_init(&op);
    const struct seal_key key = {.bytes = {1, 2, 3}};
    struct str text;
    struct str sealed = seal_close(&op.arena, &key, STR("p"), STR("some text"));
    for (size_t i = 0; i < sealed.len; i++) {
        char *copy = arena_alloc(&op.arena, sealed.len);
        memcpy(copy, sealed.ptr, sealed.len);
        copy[i] = (char)(copy[i] ^ 1);
        EXPECT(!seal_open(&op.arena, &key, STR("p"), str_make(copy, sealed.len), &text));
        EXPECT(!seal_open(&op.arena, &key, STR("p"), str_slice(sealed, 0, i), &text));
    }
}
