#include "base/check.h"
#include "base/cleanup.h"
#include "codec/cbor.h"
#include "codec/hex.h"
#include "test.h"

#include <math.h>

static struct str from_hex(struct op *op, const char *hex)
{
    size_t len = strlen(hex) / 2;
    char *bytes = arena_alloc(&op->arena, len + 1);
    CHECK(hex_decode_to(str_of(hex), bytes, len));
    return str_make(bytes, len);
}

static enum err check_bytes(struct op *op, struct str bytes)
{
    struct cbor_reader r;
    cbor_reader_init(&r, &op->arena, bytes);
    (void)cbor_skip(&r); /* cbor_finish tells */
    return cbor_finish(&r, op);
}

/* Source: RFC 8949 appendix A. */
TEST(cbor_reads_the_numbers_of_the_rfc)
{
    static const struct {
        const char *hex;
        double value;
    } cases[] = {
        {"00", 0},
        {"17", 23},
        {"1818", 24},
        {"1903e8", 1000},
        {"1a000f4240", 1000000},
        {"1b000000e8d4a51000", 1000000000000},
        {"1bffffffffffffffff", 18446744073709551615.0},
        {"20", -1},
        {"3863", -100},
        {"3bffffffffffffffff", -18446744073709551616.0},
        {"f90000", 0.0},
        {"f93c00", 1.0},
        {"fb3ff199999999999a", 1.1},
        {"f93e00", 1.5},
        {"f97bff", 65504.0},
        {"fa47c35000", 100000.0},
        {"fa7f7fffff", 3.4028234663852886e+38},
        {"fb7e37e43c8800759c", 1.0e+300},
        {"f90001", 5.960464477539063e-8},
        {"f90400", 0.00006103515625},
        {"f9c400", -4.0},
        {"fbc010666666666666", -4.1},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        auto_op struct op op;
        op_init(&op);
        struct cbor_reader r;
        double value = 77;
        cbor_reader_init(&r, &op.arena, from_hex(&op, cases[i].hex));
        EXPECT(cbor_read_f64(&r, &value));
        EXPECT(value == cases[i].value);
        EXPECT_OK(cbor_finish(&r, &op), &op);
    }
}

TEST(cbor_writes_the_smallest_form)
{
    static const struct {
        const char *hex;
        double value;
    } floats[] = {
        {"f90000", 0.0},
        {"f98000", -0.0},
        {"f93c00", 1.0},
        {"fb3ff199999999999a", 1.1},
        {"f93e00", 1.5},
        {"f97bff", 65504.0},
        {"fa47c35000", 100000.0},
        {"fa7f7fffff", 3.4028234663852886e+38},
        {"fb7e37e43c8800759c", 1.0e+300},
        {"f90001", 5.960464477539063e-8},
        {"f90400", 0.00006103515625},
        {"f903ff", 0.00006097555160522461},
        {"f9c400", -4.0},
        {"f97c00", (double)INFINITY},
        {"f9fc00", (double)-INFINITY},
        {"f97e00", (double)NAN},
        {"fa33000000", 2.9802322387695312e-8},
    };
    static const struct {
        const char *hex;
        int64_t value;
    } wholes[] = {{"00", 0},
                  {"17", 23},
                  {"1818", 24},
                  {"18ff", 255},
                  {"190100", 256},
                  {"1a00010000", 65536},
                  {"1b0000000100000000", 4294967296},
                  {"20", -1},
                  {"37", -24},
                  {"3818", -25},
                  {"3863", -100},
                  {"1b7fffffffffffffff", INT64_MAX},
                  {"3b7fffffffffffffff", INT64_MIN}};
    auto_op struct op op;
    op_init(&op);
    auto_buf struct buf out;
    buf_init(&out, 100);
    for (size_t i = 0; i < ARRAY_COUNT(floats); i++) {
        buf_reset(&out);
        cbor_add_f64(&out, floats[i].value);
        EXPECT_STR(hex_encode(&op.arena, out.ptr, out.len), floats[i].hex);
    }
    for (size_t i = 0; i < ARRAY_COUNT(wholes); i++) {
        int64_t back = 0;
        struct cbor_reader r;
        buf_reset(&out);
        cbor_add_i64(&out, wholes[i].value);
        EXPECT_STR(hex_encode(&op.arena, out.ptr, out.len), wholes[i].hex);
        cbor_reader_init(&r, &op.arena, buf_str(&out));
        EXPECT(cbor_read_i64(&r, &back));
        EXPECT_EQ(back, wholes[i].value);
    }
}

TEST(cbor_takes_all_forms_of_containers)
{
    static const char *const hexes[] = {
        "80",
        "83010203",
        "8301820203820405",
        "a0",
        "a26161016162820203",
        "826161a161626163",
        "5f42010243030405ff",
        "7f657374726561646d696e67ff",
        "9fff",
        "9f018202039f0405ffff",
        "9f01820203820405ff",
        "83018202039f0405ff",
        "bf61610161629f0203ffff",
        "826161bf61626163ff",
        "c11a514b67b0",
        "d74401020304",
        "f4",
        "f5",
        "f6",
        "f7",
        "60",
        "d818456449455446",
        "6161",
        "62c3bc",
    };
    for (size_t i = 0; i < ARRAY_COUNT(hexes); i++) {
        auto_op struct op op;
        op_init(&op);
        struct str bytes = from_hex(&op, hexes[i]);
        if (check_bytes(&op, bytes) != ERR_OK) {
            test_failed(__FILE__, __LINE__, "refused %s: %s", hexes[i], op.note.text);
        }
        for (size_t cut = 0; cut < bytes.len; cut++) {
            EXPECT(check_bytes(&op, arena_str(&op.arena, str_slice(bytes, 0, cut))) != ERR_OK);
        }
    }
}

TEST(cbor_refuses_broken_input)
{
    static const char *const hexes[] = {
        "",
        "ff",
        "1c",
        "3e",
        "5c",
        "fc",
        "f8",
        "f820",
        "9f",
        "9f01",
        "bf6161ff",
        "5f6161ff",
        "5f5f4101ffff",
        "7f4101ff",
        "9bffffffffffffffff",
        "bb00000000ffffffff",
        "5affffffff00",
        "7b7fffffffffffffff6161",
        "61ff",
        "62c328",
        "a1016161",
        "0000",
        "1f",
        "3f",
        "df00",
        "8201",
    };
    for (size_t i = 0; i < ARRAY_COUNT(hexes); i++) {
        auto_op struct op op;
        op_init(&op);
        if (check_bytes(&op, from_hex(&op, hexes[i])) == ERR_OK) {
            test_failed(__FILE__, __LINE__, "took %s", hexes[i]);
        }
    }
}

TEST(cbor_nests_to_the_limit_and_no_further)
{
    char bytes[CBOR_DEPTH_MAX + 2];
    memset(bytes, 0x81, sizeof(bytes));
    auto_op struct op op;
    op_init(&op);
    bytes[CBOR_DEPTH_MAX] = 0;
    EXPECT_OK(check_bytes(&op, str_make(bytes, CBOR_DEPTH_MAX + 1)), &op);
    bytes[CBOR_DEPTH_MAX] = (char)0x81;
    bytes[CBOR_DEPTH_MAX + 1] = 0;
    EXPECT_EQ(check_bytes(&op, str_make(bytes, CBOR_DEPTH_MAX + 2)), ERR_INPUT);
}
