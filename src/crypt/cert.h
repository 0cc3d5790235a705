#pragma once
/* X.509 certificates and private keys as PEM (RFC 7468): what stands in them, whether they belong
 * together, and making them. Everything read here came from outside; everything given back is
 * written anew, so that no text around the PEM blocks stays.
 *
 * Private keys: PKCS #8, not encrypted. Whoever holds one overwrites it (cert_clear) after use. */

#include "base/arena.h"
#include "base/str.h"
#include "base/time.h"

#define CERT_PEM_BYTES_MAX   ((size_t)32 * 1024)   /* ACM: of a certificate */
#define CERT_CHAIN_BYTES_MAX ((size_t)2048 * 1024) /* ACM */
#define CERT_CHAIN_MAX       20                    /* certificates of a chain */
#define CERT_BUNDLE_MAX      1000                  /* authorities of a bundle */
#define CERT_NAMES_MAX       1000                  /* names of one certificate */

enum cert_fault {
    CERT_FINE,
    CERT_NOT_PEM,         /* no certificate in it, or one that cannot be read */
    CERT_SEVERAL,         /* more than one where one is wanted */
    CERT_TOO_MANY,        /* more than the limit */
    CERT_KEY_NOT_PEM,     /* no private key in it, or one that cannot be read */
    CERT_KEY_ENCRYPTED,   /* it wants a passphrase */
    CERT_KEY_UNSUPPORTED, /* another algorithm or size than enum cert_key */
    CERT_KEY_MISMATCH,    /* it is another certificate's */
    CERT_CHAIN_BROKEN,    /* one is not signed by the next, or the next is no authority */
    CERT_CHAIN_MISSING,   /* not self-signed, and nothing that leads further */
    CERT_NO_AUTHORITY,    /* a bundle has a certificate that is no authority */
};
/* A few words: "it is encrypted". */
const char *cert_fault_text(enum cert_fault fault);

enum cert_key {
    CERT_KEY_NONE,
    CERT_KEY_RSA_1024,
    CERT_KEY_RSA_2048,
    CERT_KEY_RSA_3072,
    CERT_KEY_RSA_4096,
    CERT_KEY_EC_P256,
    CERT_KEY_EC_P384,
    CERT_KEY_EC_P521,
};

/* Bits of the extension key usage, RFC 5280 section 4.2.1.3, in its order. */
#define CERT_KEY_USAGES 9

struct cert_texts {
    struct str *items;
    size_t count;
};

struct cert_facts {
    struct str pem;          /* written anew */
    struct str serial;       /* "0a:1b:..." */
    struct str subject;      /* "C=DE,O=Shop,CN=shop.example" */
    struct str common_name;  /* of the subject; absent without one */
    struct str issuer;       /* the issuer's organisation, else its common name */
    struct cert_texts names; /* DNS names of the subject's alternative names */
    wall_t not_before;
    wall_t not_after;
    enum cert_key key;
    struct str signature_algorithm; /* "SHA256WITHRSA" */
    bool has_key_usage;
    unsigned key_usage;                /* bit i: the i-th usage of RFC 5280 */
    struct cert_texts extended_usages; /* object identifiers: "1.3.6.1.5.5.7.3.1" */
    bool is_self_signed;
    bool is_authority;
};

/* Exactly one certificate. Not CERT_KEY_UNSUPPORTED: key is CERT_KEY_NONE then. */
enum cert_fault cert_read(struct arena *a, struct str pem, struct cert_facts *ret);
/* Gives the key as PKCS #8 when it is of a known kind and belongs to the certificate. */
enum cert_fault cert_read_key(struct arena *a, struct str key_pem, struct str certificate_pem,
                              struct str *ret_key_pem);
/* Gives the chain (absent with an empty one) when every certificate is signed by the next one, the
 * leaf by the first; a chain may end before the root. */
enum cert_fault cert_read_chain(struct arena *a, struct str certificate_pem, struct str chain_pem,
                                struct str *ret_chain_pem);
/* Gives the certificates of a bundle, of which each must be an authority, and their number. */
enum cert_fault cert_read_bundle(struct arena *a, struct str pem, struct str *ret_pem,
                                 size_t *ret_count);
/* Revocation lists: gives them and the number of their entries. */
enum cert_fault cert_read_revocations(struct arena *a, struct str pem, struct str *ret_pem,
                                      size_t *ret_entry_count);
/* The first certificate of several, and the others. */
enum cert_fault cert_split(struct arena *a, struct str pem, struct str *ret_first,
                           struct str *ret_rest);

/* ---- making ---------------------------------------------------------------------------------- */

struct str cert_make_key(struct arena *a, enum cert_key key);
/* The request of RFC 2986 for these DNS names (1..CERT_NAMES_MAX), DER. */
struct str cert_make_request(struct arena *a, struct str key_pem, const struct str *names,
                             size_t count);
struct cert_dates {
    wall_t not_before;
    wall_t not_after;
};
/* An authority of one's own: its certificate. */
struct str cert_make_authority(struct arena *a, struct str key_pem, struct str name,
                               struct cert_dates dates);
/* A server's certificate for the first of the names and all of them, signed by the authority. */
struct str cert_make_leaf(struct arena *a, struct str authority_pem, struct str authority_key_pem,
                          struct str key_pem, const struct str *names, size_t count,
                          struct cert_dates dates);
/* The key once more, encrypted under a passphrase (PKCS #8, PBES2 with AES-256). */
struct str cert_encrypt_key(struct arena *a, struct str key_pem, struct str passphrase);

/* Overwrites a secret text in place. */
void cert_clear(struct str secret);
