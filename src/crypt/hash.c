#include "crypt/hash.h"

#include "base/check.h"
#include "base/mem.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

/* OpenSSL's one-call functions: looking an algorithm up by name costs more than hashing a request.
 */
struct sha256 sha256_of(struct str text)
{
    struct sha256 hash;
    CHECK(SHA256((const uint8_t *)(text.len == 0 ? "" : text.ptr), text.len, hash.bytes) != NULL);
    return hash;
}

struct sha256 hmac_sha256_of(struct str key, struct str text)
{
    struct sha256 hash;
    unsigned len = 0;
    CHECK(key.len <= INT32_MAX);
    CHECK(HMAC(EVP_sha256(), key.len == 0 ? "" : key.ptr, (int)key.len,
               (const uint8_t *)(text.len == 0 ? "" : text.ptr), text.len, hash.bytes,
               &len) != NULL);
    CHECK(len == SHA256_BYTES);
    return hash;
}

struct str sha256_hex(struct arena *a, struct str text)
{
    static const char digits[] = "0123456789abcdef";
    struct sha256 hash = sha256_of(text);
    char *hex = arena_alloc(a, SHA256_HEX_CHARS + 1);
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        hex[2 * i] = digits[hash.bytes[i] >> 4];
        hex[2 * i + 1] = digits[hash.bytes[i] & 15];
    }
    return str_make(hex, SHA256_HEX_CHARS);
}

bool secret_equal(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0);
}

struct sha256_stream {
    EVP_MD_CTX *context;
};

struct sha256_stream *sha256_stream_new(void)
{
    struct sha256_stream *s = MEM_NEW(struct sha256_stream);
    s->context = EVP_MD_CTX_new();
    CHECK(s->context != NULL);
    CHECK(EVP_DigestInit_ex(s->context, EVP_sha256(), NULL) == 1);
    return s;
}

void sha256_stream_add(struct sha256_stream *s, struct str text)
{
    if (text.len > 0) {
        CHECK(EVP_DigestUpdate(s->context, text.ptr, text.len) == 1);
    }
}

struct sha256 sha256_stream_end(struct sha256_stream *s)
{
    struct sha256 hash;
    unsigned len = 0;
    CHECK(EVP_DigestFinal_ex(s->context, hash.bytes, &len) == 1);
    CHECK(len == SHA256_BYTES);
    sha256_stream_free(s);
    return hash;
}

void sha256_stream_free(struct sha256_stream *s)
{
    if (s != NULL) {
        EVP_MD_CTX_free(s->context);
        mem_free(s);
    }
}
