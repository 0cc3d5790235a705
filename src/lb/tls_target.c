#include "lb/tls_target.h"

#include "base/check.h"
#include "lb/openssl.h"
#include "tlspol/tlspol.h"

/* OpenSSL gives the session away when we answer 1. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    const struct lb_tls *t = SSL_get_app_data(ssl);
    if (t->keep == NULL) {
        return 0;
    }
    SSL_SESSION_free(*t->keep);
    *t->keep = session;
    return 1;
}

SSL_CTX *lb_tls_target_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    CHECK(context != NULL);
    struct arena a;
    arena_init(&a);
    const struct tlspol *policy = tlspol_find(TLSPOL_BACKEND);
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_security_level(context, 0);
    CHECK(SSL_CTX_set_min_proto_version(context, TLS1_VERSION) == 1);
    CHECK(SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1);
    CHECK(SSL_CTX_set_cipher_list(context, arena_c_str(&a, tlspol_cipher_list(&a, policy, false))));
    CHECK(SSL_CTX_set_ciphersuites(context, arena_c_str(&a, tlspol_cipher_list(&a, policy, true))));
    (void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    (void)SSL_CTX_set_session_cache_mode(context,
                                         SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, on_session);
    arena_fini(&a);
    return context;
}

/* RFC 7301 3.1: names with their length in front. */
static void offer(SSL *ssl, struct str alpn)
{
    unsigned char names[1 + 255];
    if (alpn.len > 0) {
        CHECK(alpn.len <= 255);
        names[0] = (unsigned char)alpn.len;
        memcpy(names + 1, alpn.ptr, alpn.len);
        CHECK(SSL_set_alpn_protos(ssl, names, 1 + (unsigned)alpn.len) == 0);
    }
}

struct lb_tls *lb_tls_dial(SSL_CTX *context, struct lb_tls_room *room, struct ev_fd *fd,
                           struct str alpn, SSL_SESSION **keep)
{
    SSL *ssl = SSL_new(context);
    CHECK(ssl != NULL);
    SSL_set_connect_state(ssl);
    offer(ssl, alpn);
    if (keep != NULL && *keep != NULL && SSL_SESSION_is_resumable(*keep) == 1) {
        (void)SSL_set_session(ssl, *keep);
    }
    struct lb_tls *t = lb_tls_new(room, fd, ssl, NULL);
    t->keep = keep;
    return t;
}

void lb_tls_session_drop(SSL_SESSION **keep)
{
    SSL_SESSION_free(*keep);
    *keep = NULL;
}
