#include "lb/tls_mutual.h"

#include "base/check.h"
#include "lb/limits.h"
#include "lb/openssl.h"
#include "lb/tls.h"

enum err lb_tls_mutual_read(struct op *op, const struct lbconf_listener *listener,
                            struct lb_tls_site *site)
{
    const struct lbconf_mutual_auth *in = listener->mutual_auth;
    if (in == NULL || STR_IS(in->mode, "off")) {
        return ERR_OK;
    }
    site->ignores_expiry = OPT_OR(in->ignores_expiry, false);
    if (STR_IS(in->mode, "passthrough")) {
        site->mutual = LB_TLS_MUTUAL_PASSTHROUGH;
        return ERR_OK;
    }
    if (!STR_IS(in->mode, "verify")) {
        return op_fail(op, ERR_UNSUPPORTED, "listener %.*s has mutual TLS of the mode \"%.*s\"",
                       STR_ARG(listener->arn), STR_ARG(in->mode));
    }
    site->mutual = LB_TLS_MUTUAL_VERIFY;
    if (in->authorities_pem.len > LB_TLS_STORE_BYTES_MAX ||
        in->revocations_pem.len > LB_TLS_STORE_BYTES_MAX) {
        return op_fail(op, ERR_LIMIT, "listener %.*s: the trust store is larger than 16 MiB",
                       STR_ARG(listener->arn));
    }
    return ERR_OK;
}

/* ---- verifying ------------------------------------------------------------------------------- */

static int take_any(int is_fine, X509_STORE_CTX *at)
{
    (void)is_fine;
    (void)at;
    return 1;
}

/* A list that is missing or out of date does not speak against a certificate: the store holds the
 * lists that its owner has put there, and no others. */
static int take_verified(int is_fine, X509_STORE_CTX *at)
{
    if (is_fine == 1) {
        return 1;
    }
    const SSL *ssl = X509_STORE_CTX_get_ex_data(at, SSL_get_ex_data_X509_STORE_CTX_idx());
    const struct lb_tls *t = SSL_get_app_data(ssl);
    switch (X509_STORE_CTX_get_error(at)) {
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_CRL_HAS_EXPIRED:
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        if (!t->site->ignores_expiry) {
            return 0;
        }
        break;
    default:
        return 0;
    }
    X509_STORE_CTX_set_error(at, X509_V_OK);
    return 1;
}

/* ---- the trust store ------------------------------------------------------------------------- */

static size_t add_authorities(X509_STORE *store, STACK_OF(X509_NAME) * names, struct str pem)
{
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    CHECK(bio != NULL);
    size_t count = 0;
    X509 *x;
    while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        bool is_fine = X509_STORE_add_cert(store, x) == 1;
        count += is_fine;
        X509_NAME *name = is_fine ? X509_NAME_dup(X509_get_subject_name(x)) : NULL;
        if (name != NULL && sk_X509_NAME_push(names, name) == 0) {
            X509_NAME_free(name);
        }
        X509_free(x);
    }
    BIO_free(bio);
    ERR_clear_error();
    return count;
}

static size_t add_revocations(X509_STORE *store, struct str pem)
{
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    CHECK(bio != NULL);
    size_t count = 0;
    X509_CRL *list;
    while ((list = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL) {
        count += X509_STORE_add_crl(store, list) == 1;
        X509_CRL_free(list);
    }
    BIO_free(bio);
    ERR_clear_error();
    return count;
}

enum err lb_tls_mutual_apply(struct op *op, const struct lbconf_listener *listener,
                             const struct lb_tls_site *site, SSL_CTX *context)
{
    if (site->mutual == LB_TLS_MUTUAL_OFF) {
        return ERR_OK;
    }
    SSL_CTX_set_verify_depth(context, LB_TLS_CLIENT_CHAIN_MAX);
    if (site->mutual == LB_TLS_MUTUAL_PASSTHROUGH) {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, take_any);
        return ERR_OK;
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, take_verified);
    const struct lbconf_mutual_auth *in = listener->mutual_auth;
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    CHECK(names != NULL);
    size_t count = add_authorities(store, names, in->authorities_pem);
    if (OPT_OR(in->advertises_authorities, false)) {
        SSL_CTX_set_client_CA_list(context, names); /* takes them */
    } else {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
    }
    if (count == 0) {
        return op_fail(op, ERR_INPUT,
                       "listener %.*s: the trust store has no certificate of an "
                       "authority",
                       STR_ARG(listener->arn));
    }
    unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN;
    if (str_is_set(in->revocations_pem) && add_revocations(store, in->revocations_pem) > 0) {
        flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
    }
    CHECK(X509_STORE_set_flags(store, flags) == 1);
    return ERR_OK;
}
