#include "lb/tls_ocsp.h"

#include "base/check.h"
#include "codec/base64.h"
#include "lb/limits.h"
#include "lb/openssl.h"

/* A response that has no end of its own is as good as its certificate. */
static bool is_over(const struct lb_tls_certificate *c)
{
    return c->ocsp_until_s != 0 && c->ocsp_until_s <= clock_wall().us / 1000000;
}

static int on_status(SSL *ssl, void *arg)
{
    const struct lb_tls_certificate *c = arg;
    if (is_over(c)) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    void *copy = OPENSSL_memdup(c->ocsp.ptr, c->ocsp.len);
    if (copy == NULL || SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)c->ocsp.len) != 1) {
        OPENSSL_free(copy);
        return SSL_TLSEXT_ERR_NOACK;
    }
    return SSL_TLSEXT_ERR_OK;
}

/* False when it is no response that speaks well of a certificate. */
static bool read_end(struct str der, int64_t *ret_until_s)
{
    const unsigned char *at = (const unsigned char *)der.ptr;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)der.len);
    OCSP_BASICRESP *basic =
        response != NULL && OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL
            ? OCSP_response_get1_basic(response)
            : NULL;
    OCSP_SINGLERESP *single = basic == NULL ? NULL : OCSP_resp_get0(basic, 0);
    ASN1_GENERALIZEDTIME *next = NULL;
    bool is_fine = single != NULL && OCSP_single_get0_status(single, NULL, NULL, NULL, &next) ==
                                         V_OCSP_CERTSTATUS_GOOD;
    *ret_until_s = is_fine && next != NULL ? lb_tls_seconds_of(next) : 0;
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    return is_fine;
}

bool lb_tls_ocsp_use(struct lb_tls_site *site, struct lb_tls_certificate *c, struct str base64)
{
    if (base64.len == 0) {
        return true;
    }
    struct str der = STR_NONE;
    if (base64.len > LB_TLS_PEM_BYTES_MAX || !base64_decode(&site->arena, base64, &der) ||
        !read_end(der, &c->ocsp_until_s)) {
        ERR_clear_error();
        return false;
    }
    c->ocsp = der;
    CHECK(SSL_CTX_set_tlsext_status_cb(c->context, on_status) == 1);
    CHECK(SSL_CTX_set_tlsext_status_arg(c->context, c) == 1);
    return true;
}
