#include "crypt/cert.h"

#include "base/check.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "crypt/cert_parts.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

const char *cert_fault_text(enum cert_fault fault)
{
    static const char *const texts[] = {
        [CERT_FINE] = "it is fine",
        [CERT_NOT_PEM] = "it is not valid PEM",
        [CERT_SEVERAL] = "it holds more than one certificate",
        [CERT_TOO_MANY] = "it holds too many certificates",
        [CERT_KEY_NOT_PEM] = "the private key is not valid PEM",
        [CERT_KEY_ENCRYPTED] = "the private key is encrypted",
        [CERT_KEY_UNSUPPORTED] = "the private key is of an unsupported kind or size",
        [CERT_KEY_MISMATCH] = "the private key belongs to another certificate",
        [CERT_CHAIN_BROKEN] = "a certificate of the chain is not signed by the next one",
        [CERT_CHAIN_MISSING] = "it is not self-signed and there is no chain",
        [CERT_NO_AUTHORITY] = "one of its certificates is not that of an authority",
    };
    return texts[fault];
}

void cert_clear(struct str secret)
{
    if (secret.len > 0) {
        explicit_bzero(mem_owned(secret.ptr), secret.len);
    }
}

/* ---- PEM ------------------------------------------------------------------------------------- */

BIO *cert_bio_of(struct str text)
{
    CHECK(text.len <= CERT_CHAIN_BYTES_MAX);
    BIO *bio = BIO_new_mem_buf(text.len == 0 ? "" : text.ptr, (int)text.len);
    CHECK(bio != NULL);
    return bio;
}

struct str cert_bio_text(struct arena *a, BIO *bio)
{
    char *bytes = NULL;
    long len = BIO_get_mem_data(bio, &bytes);
    struct str text = arena_str(a, str_make(len == 0 ? "" : bytes, (size_t)len));
    if (len > 0) {
        explicit_bzero(bytes, (size_t)len); /* it may have been a key */
    }
    return text;
}

static int no_passphrase(char *buffer, int room, int is_writing, void *data)
{
    (void)buffer;
    (void)room;
    (void)is_writing;
    (void)data;
    return -1; /* never ask at the terminal */
}

static void free_stack(STACK_OF(X509) * *stack)
{
    sk_X509_pop_free(*stack, X509_free);
}

/* Every certificate of the text; other blocks and text between are passed over. */
static enum cert_fault read_all(struct str pem, int max, STACK_OF(X509) * *ret)
{
    if (pem.len > CERT_CHAIN_BYTES_MAX) {
        return CERT_TOO_MANY;
    }
    AUTO(cert_free_bio) BIO *bio = cert_bio_of(pem);
    AUTO(free_stack) STACK_OF(X509) *all = sk_X509_new_null();
    CHECK(all != NULL);
    X509 *one = NULL;
    while ((one = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL) {
        CHECK(sk_X509_push(all, one) > 0);
        if (sk_X509_num(all) > max) {
            ERR_clear_error();
            return CERT_TOO_MANY;
        }
    }
    bool is_at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    if (!is_at_end || sk_X509_num(all) == 0) {
        return CERT_NOT_PEM;
    }
    *ret = all;
    all = NULL;
    return CERT_FINE;
}

static enum cert_fault read_one(struct str pem, X509 **ret)
{
    AUTO(free_stack) STACK_OF(X509) *all = NULL;
    enum cert_fault fault = read_all(pem, 1, &all);
    if (fault != CERT_FINE) {
        return fault == CERT_TOO_MANY ? CERT_SEVERAL : fault;
    }
    *ret = sk_X509_pop(all);
    return CERT_FINE;
}

static struct str write_some(struct arena *a, STACK_OF(X509) * all, int from)
{
    AUTO(cert_free_bio) BIO *out = BIO_new(BIO_s_mem());
    CHECK(out != NULL);
    for (int i = from; i < sk_X509_num(all); i++) {
        CHECK(PEM_write_bio_X509(out, sk_X509_value(all, i)) == 1);
    }
    return cert_bio_text(a, out);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static enum cert_key rsa_kind(int bits)
{
    switch (bits) {
    case 1024:
        return CERT_KEY_RSA_1024;
    case 2048:
        return CERT_KEY_RSA_2048;
    case 3072:
        return CERT_KEY_RSA_3072;
    case 4096:
        return CERT_KEY_RSA_4096;
    default:
        return CERT_KEY_NONE;
    }
}

static enum cert_key kind_of(EVP_PKEY *key)
{
    char group[32];
    size_t len = 0;
    if (key == NULL) {
        return CERT_KEY_NONE;
    }
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
        return rsa_kind(EVP_PKEY_get_bits(key));
    }
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
        EVP_PKEY_get_group_name(key, group, sizeof(group), &len) != 1) {
        return CERT_KEY_NONE;
    }
    struct str name = str_make(group, len);
    return STR_IS(name, "prime256v1")  ? CERT_KEY_EC_P256
           : STR_IS(name, "secp384r1") ? CERT_KEY_EC_P384
           : STR_IS(name, "secp521r1") ? CERT_KEY_EC_P521
                                       : CERT_KEY_NONE;
}

static bool is_encrypted(struct str pem)
{
    return str_find(pem, STR("-----BEGIN ENCRYPTED PRIVATE KEY-----"), 0) != STR_NOT_FOUND ||
           str_find(pem, STR("Proc-Type: 4,ENCRYPTED"), 0) != STR_NOT_FOUND;
}

EVP_PKEY *cert_key_of(struct str pem)
{
    AUTO(cert_free_bio) BIO *bio = cert_bio_of(pem);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    ERR_clear_error();
    return key;
}

struct str cert_key_text(struct arena *a, EVP_PKEY *key)
{
    AUTO(cert_free_bio) BIO *out = BIO_new(BIO_s_secmem());
    CHECK(out != NULL);
    CHECK(PEM_write_bio_PKCS8PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1);
    return cert_bio_text(a, out);
}

enum cert_fault cert_read_key(struct arena *a, struct str key_pem, struct str certificate_pem,
                              struct str *ret_key_pem)
{
    AUTO(cert_free_x509) X509 *certificate = NULL;
    enum cert_fault fault = read_one(certificate_pem, &certificate);
    if (fault != CERT_FINE) {
        return fault;
    }
    if (key_pem.len > CERT_PEM_BYTES_MAX) {
        return CERT_KEY_NOT_PEM;
    }
    if (is_encrypted(key_pem)) {
        return CERT_KEY_ENCRYPTED;
    }
    AUTO(cert_free_key) EVP_PKEY *key = cert_key_of(key_pem);
    if (key == NULL) {
        return CERT_KEY_NOT_PEM;
    }
    if (kind_of(key) == CERT_KEY_NONE) {
        return CERT_KEY_UNSUPPORTED;
    }
    bool is_its_own = X509_check_private_key(certificate, key) == 1;
    ERR_clear_error();
    if (!is_its_own) {
        return CERT_KEY_MISMATCH;
    }
    *ret_key_pem = cert_key_text(a, key);
    return CERT_FINE;
}

/* ---- chains and bundles ---------------------------------------------------------------------- */

static bool is_signed_by(X509 *subject, X509 *issuer)
{
    bool is_so = X509_check_issued(issuer, subject) == X509_V_OK &&
                 X509_verify(subject, X509_get0_pubkey(issuer)) == 1;
    ERR_clear_error();
    return is_so;
}

/* X.509 versions 1 and 2 have no such extension; as an authority such a root is still in use. */
static bool is_authority(X509 *one)
{
    return X509_check_ca(one) > 0;
}

static enum cert_fault check_links(X509 *leaf, STACK_OF(X509) * chain)
{
    X509 *below = leaf;
    for (int i = 0; i < sk_X509_num(chain); i++) {
        X509 *issuer = sk_X509_value(chain, i);
        if (!is_authority(issuer) || !is_signed_by(below, issuer)) {
            return CERT_CHAIN_BROKEN;
        }
        below = issuer;
    }
    return CERT_FINE;
}

enum cert_fault cert_read_chain(struct arena *a, struct str certificate_pem, struct str chain_pem,
                                struct str *ret_chain_pem)
{
    AUTO(cert_free_x509) X509 *leaf = NULL;
    AUTO(free_stack) STACK_OF(X509) *chain = NULL;
    enum cert_fault fault = read_one(certificate_pem, &leaf);
    if (fault == CERT_FINE && str_is_empty(chain_pem)) {
        *ret_chain_pem = STR_NONE;
        return is_signed_by(leaf, leaf) ? CERT_FINE : CERT_CHAIN_MISSING;
    }
    if (fault == CERT_FINE) {
        fault = read_all(chain_pem, CERT_CHAIN_MAX, &chain);
    }
    if (fault == CERT_FINE) {
        fault = check_links(leaf, chain);
    }
    if (fault == CERT_FINE) {
        *ret_chain_pem = write_some(a, chain, 0);
    }
    return fault;
}

enum cert_fault cert_read_bundle(struct arena *a, struct str pem, struct str *ret_pem,
                                 size_t *ret_count)
{
    AUTO(free_stack) STACK_OF(X509) *all = NULL;
    enum cert_fault fault = read_all(pem, CERT_BUNDLE_MAX, &all);
    for (int i = 0; fault == CERT_FINE && i < sk_X509_num(all); i++) {
        fault = is_authority(sk_X509_value(all, i)) ? CERT_FINE : CERT_NO_AUTHORITY;
    }
    if (fault == CERT_FINE) {
        *ret_pem = write_some(a, all, 0);
        *ret_count = (size_t)sk_X509_num(all);
    }
    return fault;
}

enum cert_fault cert_split(struct arena *a, struct str pem, struct str *ret_first,
                           struct str *ret_rest)
{
    AUTO(free_stack) STACK_OF(X509) *all = NULL;
    enum cert_fault fault = read_all(pem, CERT_CHAIN_MAX, &all);
    if (fault != CERT_FINE) {
        return fault;
    }
    *ret_rest = sk_X509_num(all) > 1 ? write_some(a, all, 1) : STR_NONE;
    while (sk_X509_num(all) > 1) {
        X509_free(sk_X509_pop(all));
    }
    *ret_first = write_some(a, all, 0);
    return CERT_FINE;
}

static void free_list(X509_CRL **list)
{
    X509_CRL_free(*list);
}

enum cert_fault cert_read_revocations(struct arena *a, struct str pem, struct str *ret_pem,
                                      size_t *ret_entry_count)
{
    if (pem.len > CERT_CHAIN_BYTES_MAX) {
        return CERT_TOO_MANY;
    }
    AUTO(cert_free_bio) BIO *in = cert_bio_of(pem);
    AUTO(cert_free_bio) BIO *out = BIO_new(BIO_s_mem());
    CHECK(out != NULL);
    size_t lists = 0;
    size_t entries = 0;
    for (;; lists++) {
        AUTO(free_list) X509_CRL *one = PEM_read_bio_X509_CRL(in, NULL, no_passphrase, NULL);
        if (one == NULL) {
            break;
        }
        STACK_OF(X509_REVOKED) *revoked = X509_CRL_get_REVOKED(one);
        entries += revoked == NULL ? 0 : (size_t)sk_X509_REVOKED_num(revoked);
        CHECK(PEM_write_bio_X509_CRL(out, one) == 1);
    }
    bool is_at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    if (!is_at_end || lists == 0) {
        return CERT_NOT_PEM;
    }
    *ret_pem = cert_bio_text(a, out);
    *ret_entry_count = entries;
    return CERT_FINE;
}

/* ---- facts ----------------------------------------------------------------------------------- */

static struct str serial_of(struct arena *a, X509 *x)
{
    static const char digits[] = "0123456789abcdef";
    const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
    size_t count = (size_t)ASN1_STRING_length(serial);
    const unsigned char *bytes = ASN1_STRING_get0_data(serial);
    if (count == 0) {
        return STR("00");
    }
    char *text = arena_alloc(a, count * 3);
    for (size_t i = 0; i < count; i++) {
        text[i * 3] = digits[bytes[i] >> 4];
        text[i * 3 + 1] = digits[bytes[i] & 15];
        text[i * 3 + 2] = ':';
    }
    return str_make(text, count * 3 - 1);
}

static struct str name_text(struct arena *a, const X509_NAME *name)
{
    AUTO(cert_free_bio) BIO *out = BIO_new(BIO_s_mem());
    CHECK(out != NULL);
    (void)X509_NAME_print_ex(out, name, 0, (XN_FLAG_RFC2253 & ~(unsigned long)XN_FLAG_DN_REV));
    return cert_bio_text(a, out);
}

/* The first entry of this kind; absent without one, or when it holds a NUL. */
static struct str name_entry(struct arena *a, const X509_NAME *name, int nid)
{
    int at = X509_NAME_get_index_by_NID(name, nid, -1);
    if (at < 0) {
        return STR_NONE;
    }
    unsigned char *utf8 = NULL;
    int len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    if (len < 0) {
        ERR_clear_error();
        return STR_NONE;
    }
    struct str text = arena_str(a, str_make((const char *)utf8, (size_t)len));
    OPENSSL_free(utf8);
    return str_find_char(text, '\0', 0) == STR_NOT_FOUND ? text : STR_NONE;
}

static wall_t time_of(const ASN1_TIME *t)
{
    struct tm parts = {0};
    if (ASN1_TIME_to_tm(t, &parts) != 1) {
        ERR_clear_error();
        return (wall_t){0};
    }
    return (wall_t){.us = (int64_t)timegm(&parts) * 1000000};
}

static void free_names(GENERAL_NAMES **names)
{
    GENERAL_NAMES_free(*names);
}

static void add_names(struct arena *a, X509 *x, struct cert_texts *to)
{
    AUTO(free_names)
    GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(all) && to->count < CERT_NAMES_MAX; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
        if (name->type != GEN_DNS) {
            continue;
        }
        struct str text = str_make((const char *)ASN1_STRING_get0_data(name->d.dNSName),
                                   (size_t)ASN1_STRING_length(name->d.dNSName));
        if (text.len > 0 && str_find_char(text, '\0', 0) == STR_NOT_FOUND) {
            *ARENA_PUSH(a, to) = arena_str(a, text);
        }
    }
    ERR_clear_error();
}

static void free_usages(EXTENDED_KEY_USAGE **usages)
{
    EXTENDED_KEY_USAGE_free(*usages);
}

static void add_usages(struct arena *a, X509 *x, struct cert_texts *to)
{
    AUTO(free_usages)
    EXTENDED_KEY_USAGE *all = X509_get_ext_d2i(x, NID_ext_key_usage, NULL, NULL);
    for (int i = 0; i < sk_ASN1_OBJECT_num(all); i++) {
        char text[80];
        int len = OBJ_obj2txt(text, sizeof(text), sk_ASN1_OBJECT_value(all, i), 1);
        if (len > 0 && (size_t)len < sizeof(text)) {
            *ARENA_PUSH(a, to) = arena_str(a, str_make(text, (size_t)len));
        }
    }
    ERR_clear_error();
}

static void free_bits(ASN1_BIT_STRING **bits)
{
    ASN1_BIT_STRING_free(*bits);
}

static void add_key_usage(X509 *x, struct cert_facts *to)
{
    AUTO(free_bits) ASN1_BIT_STRING *bits = X509_get_ext_d2i(x, NID_key_usage, NULL, NULL);
    ERR_clear_error();
    if (bits == NULL) {
        return;
    }
    to->has_key_usage = true;
    for (int i = 0; i < CERT_KEY_USAGES; i++) {
        to->key_usage |= ASN1_BIT_STRING_get_bit(bits, i) ? 1u << i : 0;
    }
}

/* "SHA256WITHRSA", as the certificate manager writes it. */
static struct str signature_of(struct arena *a, X509 *x)
{
    int digest = NID_undef;
    int key = NID_undef;
    if (X509_get_signature_info(x, &digest, &key, NULL, NULL) != 1 || digest == NID_undef) {
        ERR_clear_error();
        return str_of(OBJ_nid2sn(X509_get_signature_nid(x)));
    }
    bool is_elliptic = key == EVP_PKEY_EC || key == NID_X9_62_id_ecPublicKey;
    const char *family = is_elliptic ? "ECDSA" : key == NID_rsassaPss ? "RSAANDMGF1" : "RSA";
    return arena_printf(a, "%sWITH%s", OBJ_nid2sn(digest), family);
}

enum cert_fault cert_read(struct arena *a, struct str pem, struct cert_facts *ret)
{
    AUTO(cert_free_x509) X509 *x = NULL;
    enum cert_fault fault = read_one(pem, &x);
    if (fault != CERT_FINE) {
        return fault;
    }
    const X509_NAME *subject = X509_get_subject_name(x);
    const X509_NAME *issuer = X509_get_issuer_name(x);
    struct cert_facts facts = {
        .pem = cert_text(a, x),
        .serial = serial_of(a, x),
        .subject = name_text(a, subject),
        .common_name = name_entry(a, subject, NID_commonName),
        .issuer = name_entry(a, issuer, NID_organizationName),
        .not_before = time_of(X509_get0_notBefore(x)),
        .not_after = time_of(X509_get0_notAfter(x)),
        .key = kind_of(X509_get0_pubkey(x)),
        .signature_algorithm = signature_of(a, x),
        .is_self_signed = is_signed_by(x, x),
        .is_authority = is_authority(x),
    };
    if (!str_is_set(facts.issuer)) {
        facts.issuer = name_entry(a, issuer, NID_commonName);
    }
    add_names(a, x, &facts.names);
    add_usages(a, x, &facts.extended_usages);
    add_key_usage(x, &facts);
    ERR_clear_error();
    *ret = facts;
    return CERT_FINE;
}

struct str cert_text(struct arena *a, X509 *x)
{
    AUTO(cert_free_bio) BIO *out = BIO_new(BIO_s_mem());
    CHECK(out != NULL);
    CHECK(PEM_write_bio_X509(out, x) == 1);
    return cert_bio_text(a, out);
}
