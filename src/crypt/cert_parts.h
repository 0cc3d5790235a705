#pragma once
/* What the files of this module that deal with certificates share. */

#include "base/arena.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

static inline void cert_free_bio(BIO **bio)
{
    BIO_free_all(*bio);
}
static inline void cert_free_x509(X509 **x)
{
    X509_free(*x);
}
static inline void cert_free_key(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

/* Reads the text where it is. */
BIO *cert_bio_of(struct str text);
/* What was written to a memory BIO, which is overwritten. */
struct str cert_bio_text(struct arena *a, BIO *bio);
/* NULL when it is none. */
EVP_PKEY *cert_key_of(struct str pem);
struct str cert_key_text(struct arena *a, EVP_PKEY *key);
struct str cert_text(struct arena *a, X509 *x);
