#include "crypt/hash.h"

#include "test.h"

static bool has_hex(struct sha256 hash, const char *hex)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        if (hex[2 * i] != digits[hash.bytes[i] >> 4] ||
            hex[2 * i + 1] != digits[hash.bytes[i] & 15]) {
            return false;
        }
    }
    return hex[2 * SHA256_BYTES] == '\0';
}

/* Source: FIPS 180-4 examples. */
TEST(sha256_agrees_with_the_standard)
{
    EXPECT(has_hex(sha256_of(STR("")), SHA256_EMPTY_HEX));
    EXPECT(has_hex(sha256_of(STR("abc")),
                   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    struct sha256_stream *s = sha256_stream_new();
    sha256_stream_add(s, STR("a"));
    sha256_stream_add(s, STR(""));
    sha256_stream_add(s, STR("bc"));
    EXPECT(has_hex(sha256_stream_end(s),
                   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
}

/* Source: RFC 4231 test cases 2 and 6. */
TEST(hmac_sha256_agrees_with_the_rfc)
{
    EXPECT(has_hex(hmac_sha256_of(STR("Jefe"), STR("what do ya want for nothing?")),
                   "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
    char key[131];
    memset(key, 0xaa, sizeof(key));
    EXPECT(has_hex(hmac_sha256_of(str_make(key, sizeof(key)),
                                  STR("Test Using Larger Than Block-Size Key - Hash Key First")),
                   "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"));
}

TEST(secrets_are_equal_only_when_all_bytes_are)
{
    EXPECT(secret_equal(STR("abc"), STR("abc")));
    EXPECT(secret_equal(STR(""), STR_NONE));
    EXPECT(!secret_equal(STR("abc"), STR("abd")));
    EXPECT(!secret_equal(STR("abc"), STR("ab")));
}
