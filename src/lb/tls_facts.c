#include "lb/tls_facts.h"

#include "base/check.h"
#include "base/mem.h"
#include "lb/limits.h"
#include "lb/openssl.h"
#include "lb/tls.h"
#include "lb/tls_site.h"

#include <stdio.h>

static const struct {
    struct str name;
    struct str attribute;
} facts_known[] = {
#define X(fact, name, attribute) {STR_INIT(name), STR_INIT(attribute)},
#include "lb/tls_facts.def"
#undef X
};

struct str lb_tls_fact_name(enum lb_tls_fact fact)
{
    return facts_known[fact].name;
}

struct str lb_tls_fact_attribute(enum lb_tls_fact fact)
{
    return facts_known[fact].attribute;
}

/* ---- texts ----------------------------------------------------------------------------------- */

static struct str taken(BIO *bio)
{
    char *ptr = NULL;
    long len = BIO_get_mem_data(bio, &ptr);
    return len <= 0 ? STR("") : str_make(mem_dup(ptr, (size_t)len), (size_t)len);
}

static BIO *memory(void)
{
    BIO *bio = BIO_new(BIO_s_mem());
    CHECK(bio != NULL);
    return bio;
}

/* As ALB: everything but letters, digits and "-._+=/" becomes %XX. */
static struct str url_encoded(struct str s)
{
    char *to = mem_alloc(s.len * 3 + 1);
    size_t len = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        bool is_safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       (c != '\0' && strchr("-._~+=/", c) != NULL);
        if (is_safe) {
            to[len++] = (char)c;
        } else {
            to[len++] = '%';
            to[len++] = "0123456789ABCDEF"[c >> 4];
            to[len++] = "0123456789ABCDEF"[c & 15];
        }
    }
    return str_make(to, len);
}

static struct str encoded_pem(BIO *bio)
{
    struct str pem = taken(bio);
    struct str encoded = url_encoded(pem);
    mem_free(mem_owned(pem.len > 0 ? pem.ptr : NULL));
    return encoded;
}

static struct str leaf_pem(X509 *x)
{
    BIO *bio = memory();
    (void)PEM_write_bio_X509(bio, x);
    struct str text = encoded_pem(bio);
    BIO_free(bio);
    return text;
}

/* A server's view of the chain lacks the leaf (SSL_get_peer_cert_chain(3)). */
static struct str chain_pem(SSL *ssl, X509 *leaf)
{
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
    BIO *bio = memory();
    (void)PEM_write_bio_X509(bio, leaf);
    for (int i = 0; chain != NULL && i < sk_X509_num(chain); i++) {
        (void)PEM_write_bio_X509(bio, sk_X509_value(chain, i));
    }
    struct str text = encoded_pem(bio);
    BIO_free(bio);
    return text;
}

/* RFC 2253. What could end a header line is escaped there. */
static struct str name_text(const X509_NAME *name)
{
    BIO *bio = memory();
    (void)X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253);
    struct str text = taken(bio);
    BIO_free(bio);
    return text;
}

static struct str serial_text(X509 *x)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
    char *hex = number == NULL ? NULL : BN_bn2hex(number);
    struct str text = hex == NULL ? STR("") : str_of(mem_dup(hex, strlen(hex) + 1));
    OPENSSL_free(hex);
    BN_free(number);
    return text;
}

static void print_time(const ASN1_TIME *time, char room[24])
{
    struct tm at = {0};
    (void)ASN1_TIME_to_tm(time, &at);
    (void)strftime(room, 24, "%Y-%m-%dT%H:%M:%SZ", &at);
}

static struct str validity_text(X509 *x)
{
    char from[24];
    char until[24];
    char text[80];
    print_time(X509_get0_notBefore(x), from);
    print_time(X509_get0_notAfter(x), until);
    int len = snprintf(text, sizeof(text), "NotBefore=%s;NotAfter=%s", from, until);
    return str_make(mem_dup(text, (size_t)len), (size_t)len);
}

static struct str copy(struct str s)
{
    return str_make(mem_dup(s.ptr, s.len), s.len);
}

/* ---- facts ----------------------------------------------------------------------------------- */

static void add_client(struct lb_tls_facts *facts, struct lb_tls *t)
{
    X509 *leaf = SSL_get0_peer_certificate(t->ssl);
    if (leaf == NULL) {
        return;
    }
    if (t->site->mutual == LB_TLS_MUTUAL_PASSTHROUGH) {
        facts->values[LB_TLS_FACT_CHAIN] = chain_pem(t->ssl, leaf);
    }
    facts->values[LB_TLS_FACT_SERIAL] = serial_text(leaf);
    facts->values[LB_TLS_FACT_ISSUER] = name_text(X509_get_issuer_name(leaf));
    facts->values[LB_TLS_FACT_SUBJECT] = name_text(X509_get_subject_name(leaf));
    facts->values[LB_TLS_FACT_VALIDITY] = validity_text(leaf);
    facts->values[LB_TLS_FACT_LEAF] = leaf_pem(leaf);
}

const struct lb_tls_facts *lb_tls_facts(struct lb_tls *t)
{
    if (t->facts == NULL) {
        t->facts = MEM_NEW(struct lb_tls_facts);
        t->facts->values[LB_TLS_FACT_VERSION] = copy(lb_tls_version(t));
        t->facts->values[LB_TLS_FACT_CIPHER] = copy(lb_tls_cipher(t));
        if (t->site->mutual != LB_TLS_MUTUAL_OFF) {
            add_client(t->facts, t);
        }
    }
    return t->facts;
}

void lb_tls_facts_free(struct lb_tls_facts *facts)
{
    for (size_t i = 0; facts != NULL && i < LB_TLS_FACT_COUNT; i++) {
        if (facts->values[i].len > 0) {
            mem_free(mem_owned(facts->values[i].ptr));
        }
    }
    mem_free(facts);
}
