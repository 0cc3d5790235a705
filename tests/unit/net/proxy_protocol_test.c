#include "net/proxy_protocol.h"
#include "test.h"

static enum proxy_result parse(struct str bytes, struct proxy_header *ret)
{
    /* byte by byte: an answer does not depend on how the bytes came */
    enum proxy_result whole = proxy_parse(bytes.ptr, bytes.len, ret);
    struct proxy_header piece;
    for (size_t i = 1; i < bytes.len; i++) {
        enum proxy_result r = proxy_parse(bytes.ptr, i, &piece);
        if (r != PROXY_MORE) {
            EXPECT_EQ(r, whole);
            EXPECT(r == PROXY_BAD || piece.bytes == i);
            break;
        }
    }
    return whole;
}

static void expect_addresses(const struct proxy_header *h, const char *source,
                             const char *destination)
{
    char room[NET_ADDR_TEXT_BYTES_MAX];
    EXPECT_STR(str_make(room, net_addr_format(&h->source, room)), source);
    EXPECT_STR(str_make(room, net_addr_format(&h->destination, room)), destination);
}

TEST(version_1_headers_are_read_to_the_letter)
{
    static const struct {
        const char *text;
        enum proxy_result result;
    } rows[] = {
        {"PROXY TCP4 1.2.3.4 5.6.7.8 9 80\r\nGET", PROXY_DONE},
        {"PROXY TCP6 ::1 2001:db8::2 9 80\r\n", PROXY_DONE},
        {"PROXY UNKNOWN\r\n", PROXY_DONE},
        {"PROXY UNKNOWN whatever it says\r\n", PROXY_DONE},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 9 80", PROXY_MORE},
        {"PROXY", PROXY_MORE},
        {"P", PROXY_MORE},
        {"", PROXY_MORE},
        {"GET / HTTP/1.1\r\n", PROXY_BAD},
        {"PROXX", PROXY_BAD},
        {"PROXY\r\n", PROXY_BAD},
        {"PROXY \r\n", PROXY_BAD},
        {"PROXY TCP5 1.2.3.4 5.6.7.8 9 80\r\n", PROXY_BAD},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 9 80\n", PROXY_BAD},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 9 80 \r\n", PROXY_BAD},
        {"PROXY TCP4  1.2.3.4 5.6.7.8 9 80\r\n", PROXY_BAD},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 09 80\r\n", PROXY_BAD},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 65536 80\r\n", PROXY_BAD},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 9\r\n", PROXY_BAD},
        {"PROXY TCP4 ::1 ::2 9 80\r\n", PROXY_BAD},
        {"PROXY TCP6 1.2.3.4 5.6.7.8 9 80\r\n", PROXY_BAD},
        {"PROXY TCP4 1.2.3.004 5.6.7.8 9 80\r\n", PROXY_BAD},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 9 -1\r\n", PROXY_BAD},
        {"PROXY TCP4\t1.2.3.4 5.6.7.8 9 80\r\n", PROXY_BAD},
        {"PROXY UNKNOWNx\r\n", PROXY_BAD},
        {"PROXY UNKNOWN "
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaaaaaaaa",
         PROXY_BAD},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct proxy_header h;
        test_context("row", i);
        EXPECT_EQ(parse(str_of(rows[i].text), &h), rows[i].result);
    }
    struct proxy_header h;
    EXPECT_EQ(parse(str_of(rows[0].text), &h), PROXY_DONE);
    expect_addresses(&h, "1.2.3.4:9", "5.6.7.8:80");
    EXPECT_EQ(h.bytes, 33);
    EXPECT(!h.is_local && h.is_stream);
    EXPECT_EQ(parse(str_of(rows[2].text), &h), PROXY_DONE);
    EXPECT(h.is_local);
}

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

TEST(version_2_headers_are_read_to_the_letter)
{
    const struct {
        struct str bytes;
        enum proxy_result result;
    } rows[] = {
        {STR(SIGNATURE "\x21\x11\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08\0\x09\0\x50GET"),
         PROXY_DONE},
        {STR(SIGNATURE "\x20\0\0\0"), PROXY_DONE},
        {STR(SIGNATURE "\x20\x11\0\x02zz"), PROXY_DONE},
        {STR(SIGNATURE "\x21\0\0\0"), PROXY_DONE},
        {STR(SIGNATURE "\x21\x12\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08\0\x09\0\x50"), PROXY_DONE},
        {STR(SIGNATURE "\x21\x11\0\x10\x01\x02\x03\x04\x05\x06\x07\x08\0\x09\0\x50\x04\0\x01z"),
         PROXY_DONE},
        {STR(SIGNATURE "\x21\x11\0\x10\x01\x02\x03\x04\x05\x06\x07\x08\0\x09\0\x50\x04\0\x02z"),
         PROXY_BAD},
        {STR(SIGNATURE "\x21\x11\0\x0d\x01\x02\x03\x04\x05\x06\x07\x08\0\x09\0\x50\x04"),
         PROXY_BAD},
        {STR(SIGNATURE "\x21\x11\0\x0b\x01\x02\x03\x04\x05\x06\x07\x08\0\x09\0"), PROXY_BAD},
        {STR(SIGNATURE "\x21\x41\0\0"), PROXY_BAD},
        {STR(SIGNATURE "\x22\x11\0\0"), PROXY_BAD},
        {STR(SIGNATURE "\x11\x11\0\0"), PROXY_BAD},
        {STR(SIGNATURE "\x21\x11\x08\0"), PROXY_BAD},
        {STR(SIGNATURE "\x21\x11\0\x0c\x01"), PROXY_MORE},
        {STR("\r\n\r\n\0\r\nQUI"), PROXY_MORE},
        {STR("\r\n\r\nGET"), PROXY_BAD},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct proxy_header h;
        test_context("row", i);
        EXPECT_EQ(parse(rows[i].bytes, &h), rows[i].result);
    }
    struct proxy_header h;
    EXPECT_EQ(parse(rows[0].bytes, &h), PROXY_DONE);
    expect_addresses(&h, "1.2.3.4:9", "5.6.7.8:80");
    EXPECT_EQ(h.bytes, 28);
    EXPECT_EQ(parse(rows[4].bytes, &h), PROXY_DONE);
    EXPECT(!h.is_stream);
}

TEST(a_sum_that_is_there_must_be_right)
{
    char bytes[] =
        SIGNATURE "\x21\x11\0\x13\x01\x02\x03\x04\x05\x06\x07\x08\0\x09\0\x50\x03\0\x04\0\0\0\0";
    struct proxy_header h;
    EXPECT_EQ(proxy_parse(bytes, sizeof(bytes) - 1, &h), PROXY_BAD);
    /* CRC-32C of the header with zeros in the place of the sum, made with another implementation */
    memcpy(bytes + 31, "\x2f\x72\xdd\xd8", 4);
    EXPECT_EQ(proxy_parse(bytes, sizeof(bytes) - 1, &h), PROXY_DONE);
}

TEST(what_is_written_is_read_again)
{
    static const char *const pairs[][2] = {{"1.2.3.4:5", "6.7.8.9:65535"},
                                           {"[::1]:0", "[2001:db8::ffff]:443"}};
    for (size_t i = 0; i < 2; i++) {
        struct net_addr source;
        struct net_addr destination;
        EXPECT(net_addr_parse(str_of(pairs[i][0]), &source));
        EXPECT(net_addr_parse(str_of(pairs[i][1]), &destination));
        char v2[PROXY_V2_WRITE_BYTES_MAX];
        char v1[PROXY_V1_BYTES_MAX + 1];
        struct proxy_header h;
        size_t len = proxy_write_v2(v2, &source, &destination, true);
        EXPECT_EQ(proxy_parse(v2, len, &h), PROXY_DONE);
        EXPECT_EQ(h.bytes, len);
        expect_addresses(&h, pairs[i][0], pairs[i][1]);
        len = proxy_write_v1(v1, &source, &destination);
        EXPECT_EQ(proxy_parse(v1, len, &h), PROXY_DONE);
        EXPECT_EQ(h.bytes, len);
        expect_addresses(&h, pairs[i][0], pairs[i][1]);
    }
    struct net_addr none = {0};
    char v2[PROXY_V2_WRITE_BYTES_MAX];
    char v1[PROXY_V1_BYTES_MAX + 1];
    struct proxy_header h;
    EXPECT_EQ(proxy_parse(v2, proxy_write_v2(v2, &none, &none, true), &h), PROXY_DONE);
    EXPECT(h.is_local);
    EXPECT_EQ(proxy_parse(v1, proxy_write_v1(v1, &none, &none), &h), PROXY_DONE);
    EXPECT(h.is_local);
}
