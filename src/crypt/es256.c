#include "crypt/es256.h"

#include "base/check.h"
#include "base/cleanup.h"
#include "codec/base64.h"
#include "crypt/cert_parts.h"
#include "crypt/hash.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#define POINT_BYTES 32

static void free_digest(EVP_MD_CTX **c)
{
    EVP_MD_CTX_free(*c);
}

static void free_signature(ECDSA_SIG **s)
{
    ECDSA_SIG_free(*s);
}

struct str es256_sign(struct arena *a, struct str key_pem, struct str text)
{
    unsigned char der[128];
    size_t len = sizeof(der);
    AUTO(cert_free_key) EVP_PKEY *key = cert_key_of(key_pem);
    AUTO(free_digest) EVP_MD_CTX *c = EVP_MD_CTX_new();
    CHECK(key != NULL && c != NULL);
    CHECK(EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, key) == 1);
    CHECK(EVP_DigestSign(c, der, &len, (const unsigned char *)text.ptr, text.len) == 1);
    const unsigned char *at = der;
    AUTO(free_signature) ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)len);
    CHECK(pair != NULL);
    unsigned char *out = arena_alloc(a, ES256_BYTES);
    CHECK(BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, POINT_BYTES) == POINT_BYTES);
    CHECK(BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + POINT_BYTES, POINT_BYTES) == POINT_BYTES);
    return str_make((const char *)out, ES256_BYTES);
}

static struct str coordinate(struct arena *a, EVP_PKEY *key, const char *name)
{
    unsigned char bytes[POINT_BYTES];
    BIGNUM *number = NULL;
    CHECK(EVP_PKEY_get_bn_param(key, name, &number) == 1);
    CHECK(BN_bn2binpad(number, bytes, POINT_BYTES) == POINT_BYTES);
    BN_free(number);
    return base64url_encode(a, str_make((const char *)bytes, sizeof(bytes)));
}

struct str es256_jwk(struct arena *a, struct str key_pem)
{
    AUTO(cert_free_key) EVP_PKEY *key = cert_key_of(key_pem);
    CHECK(key != NULL);
    struct str x = coordinate(a, key, OSSL_PKEY_PARAM_EC_PUB_X);
    struct str y = coordinate(a, key, OSSL_PKEY_PARAM_EC_PUB_Y);
    return arena_printf(a, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%.*s\",\"y\":\"%.*s\"}",
                        STR_ARG(x), STR_ARG(y));
}

static void free_bio(BIO **b)
{
    BIO_free(*b);
}

struct str es256_public_pem(struct arena *a, struct str key_pem)
{
    AUTO(cert_free_key) EVP_PKEY *key = cert_key_of(key_pem);
    AUTO(free_bio) BIO *out = BIO_new(BIO_s_mem());
    char *text = NULL;
    CHECK(key != NULL && out != NULL && PEM_write_bio_PUBKEY(out, key) == 1);
    long len = BIO_get_mem_data(out, &text);
    CHECK(len > 0);
    return arena_str(a, str_make(text, (size_t)len));
}

struct str es256_thumbprint(struct arena *a, struct str key_pem)
{
    struct sha256 hash = sha256_of(es256_jwk(a, key_pem));
    return base64url_encode(a, str_make((const char *)hash.bytes, sizeof(hash.bytes)));
}
