#include "crypt/cert.h"

#include "base/check.h"
#include "base/cleanup.h"
#include "base/rand.h"
#include "crypt/cert_parts.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#define SERIAL_BYTES 16

static EVP_PKEY *new_key(enum cert_key key)
{
    switch (key) {
    case CERT_KEY_RSA_1024:
        return EVP_RSA_gen(1024);
    case CERT_KEY_RSA_2048:
        return EVP_RSA_gen(2048);
    case CERT_KEY_RSA_3072:
        return EVP_RSA_gen(3072);
    case CERT_KEY_RSA_4096:
        return EVP_RSA_gen(4096);
    case CERT_KEY_EC_P384:
        return EVP_EC_gen("P-384");
    case CERT_KEY_EC_P521:
        return EVP_EC_gen("P-521");
    case CERT_KEY_EC_P256:
    case CERT_KEY_NONE:
        return EVP_EC_gen("P-256");
    }
    return NULL;
}

struct str cert_make_key(struct arena *a, enum cert_key key)
{
    AUTO(cert_free_key) EVP_PKEY *made = new_key(key);
    CHECK(made != NULL);
    return cert_key_text(a, made);
}

/* ---- parts ----------------------------------------------------------------------------------- */

static GENERAL_NAMES *names_of(const struct str *names, size_t count)
{
    GENERAL_NAMES *all = sk_GENERAL_NAME_new_null();
    CHECK(all != NULL);
    for (size_t i = 0; i < count; i++) {
        GENERAL_NAME *one = GENERAL_NAME_new();
        ASN1_IA5STRING *text = ASN1_IA5STRING_new();
        CHECK(one != NULL && text != NULL);
        CHECK(ASN1_STRING_set(text, names[i].ptr, (int)names[i].len) == 1);
        GENERAL_NAME_set0_value(one, GEN_DNS, text);
        CHECK(sk_GENERAL_NAME_push(all, one) > 0);
    }
    return all;
}

static void free_names(GENERAL_NAMES **names)
{
    GENERAL_NAMES_free(*names);
}

/* A common name has 64 characters at most (RFC 5280, appendix A). */
static void set_common_name(X509_NAME *to, struct str name)
{
    if (name.len > 64) {
        return;
    }
    CHECK(X509_NAME_add_entry_by_NID(to, NID_commonName, MBSTRING_UTF8,
                                     (const unsigned char *)name.ptr, (int)name.len, -1, 0) == 1);
}

struct str cert_make_request(struct arena *a, struct str key_pem, const struct str *names,
                             size_t count)
{
    CHECK(count > 0 && count <= CERT_NAMES_MAX);
    AUTO(cert_free_key) EVP_PKEY *key = cert_key_of(key_pem);
    AUTO(free_names) GENERAL_NAMES *all = names_of(names, count);
    X509_REQ *request = X509_REQ_new();
    STACK_OF(X509_EXTENSION) *extensions = NULL;
    CHECK(key != NULL && request != NULL);
    CHECK(X509V3_add1_i2d(&extensions, NID_subject_alt_name, all, 0, 0) == 1);
    CHECK(X509_REQ_set_version(request, X509_REQ_VERSION_1) == 1);
    CHECK(X509_REQ_set_pubkey(request, key) == 1);
    CHECK(X509_REQ_add_extensions(request, extensions) == 1);
    CHECK(X509_REQ_sign(request, key, EVP_sha256()) > 0);
    unsigned char *der = NULL;
    int len = i2d_X509_REQ(request, &der);
    CHECK(len > 0);
    struct str bytes = arena_str(a, str_make((const char *)der, (size_t)len));
    OPENSSL_free(der);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    X509_REQ_free(request);
    return bytes;
}

/* ---- certificates ---------------------------------------------------------------------------- */

static void set_serial(X509 *x)
{
    unsigned char bytes[SERIAL_BYTES];
    rand_bytes(bytes, sizeof(bytes));
    bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40); /* positive, of full length */
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    CHECK(number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x)) != NULL);
    BN_free(number);
}

static X509 *begin(EVP_PKEY *key, struct cert_dates dates)
{
    X509 *x = X509_new();
    CHECK(x != NULL && X509_set_version(x, X509_VERSION_3) == 1);
    set_serial(x);
    CHECK(ASN1_TIME_set(X509_getm_notBefore(x), dates.not_before.us / 1000000) != NULL);
    CHECK(ASN1_TIME_set(X509_getm_notAfter(x), dates.not_after.us / 1000000) != NULL);
    CHECK(X509_set_pubkey(x, key) == 1);
    return x;
}

static void add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *one = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    CHECK(one != NULL && X509_add_ext(x, one, -1) == 1);
    X509_EXTENSION_free(one);
}

struct str cert_make_authority(struct arena *a, struct str key_pem, struct str name,
                               struct cert_dates dates)
{
    AUTO(cert_free_key) EVP_PKEY *key = cert_key_of(key_pem);
    CHECK(key != NULL);
    AUTO(cert_free_x509) X509 *x = begin(key, dates);
    set_common_name(X509_get_subject_name(x), name);
    CHECK(X509_set_issuer_name(x, X509_get_subject_name(x)) == 1);
    add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
    add_extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign");
    add_extension(x, x, NID_subject_key_identifier, "hash");
    CHECK(X509_sign(x, key, EVP_sha256()) > 0);
    return cert_text(a, x);
}

static void add_leaf_extensions(X509 *x, X509 *authority, const struct str *names, size_t count)
{
    AUTO(free_names) GENERAL_NAMES *all = names_of(names, count);
    add_extension(x, authority, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(x, authority, NID_key_usage, "critical,digitalSignature,keyEncipherment");
    add_extension(x, authority, NID_ext_key_usage, "serverAuth,clientAuth");
    add_extension(x, authority, NID_subject_key_identifier, "hash");
    add_extension(x, authority, NID_authority_key_identifier, "keyid");
    CHECK(X509_add1_ext_i2d(x, NID_subject_alt_name, all, 0, 0) == 1);
}

struct str cert_make_leaf(struct arena *a, struct str authority_pem, struct str authority_key_pem,
                          struct str key_pem, const struct str *names, size_t count,
                          struct cert_dates dates)
{
    CHECK(count > 0 && count <= CERT_NAMES_MAX);
    AUTO(cert_free_key) EVP_PKEY *key = cert_key_of(key_pem);
    AUTO(cert_free_key) EVP_PKEY *authority_key = cert_key_of(authority_key_pem);
    AUTO(cert_free_bio) BIO *in = cert_bio_of(authority_pem);
    AUTO(cert_free_x509) X509 *authority = PEM_read_bio_X509(in, NULL, NULL, NULL);
    CHECK(key != NULL && authority_key != NULL && authority != NULL);
    AUTO(cert_free_x509) X509 *x = begin(key, dates);
    set_common_name(X509_get_subject_name(x), names[0]);
    CHECK(X509_set_issuer_name(x, X509_get_subject_name(authority)) == 1);
    add_leaf_extensions(x, authority, names, count);
    CHECK(X509_sign(x, authority_key, EVP_sha256()) > 0);
    return cert_text(a, x);
}

struct str cert_encrypt_key(struct arena *a, struct str key_pem, struct str passphrase)
{
    AUTO(cert_free_key) EVP_PKEY *key = cert_key_of(key_pem);
    AUTO(cert_free_bio) BIO *out = BIO_new(BIO_s_mem());
    CHECK(key != NULL && out != NULL && passphrase.len > 0 && passphrase.len <= 1024);
    CHECK(PEM_write_bio_PKCS8PrivateKey(out, key, EVP_aes_256_cbc(), passphrase.ptr,
                                        (int)passphrase.len, NULL, NULL) == 1);
    return cert_bio_text(a, out);
}
