#include "lb/tls_ticket.h"

#include "base/check.h"
#include "base/rand.h"
#include "lb/limits.h"
#include "lb/openssl.h"
#include "lb/tls.h"
#include "lb/tls_site.h"

#include <string.h>

void lb_tls_tickets_init(struct lb_tls_tickets *t, mono_t now)
{
    *t = (struct lb_tls_tickets){.made_at = now};
    CHECK(pthread_mutex_init(&t->lock, NULL) == 0);
    /* the older two are random as well: keys that nobody has used open nothing */
    rand_bytes(t->keys, sizeof(t->keys));
    t->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    CHECK(t->cipher != NULL);
}

void lb_tls_tickets_fini(struct lb_tls_tickets *t)
{
    OPENSSL_cleanse(t->keys, sizeof(t->keys));
    EVP_CIPHER_free(t->cipher);
    CHECK(pthread_mutex_destroy(&t->lock) == 0);
}

/* As often as rotations were due; a process that slept forgets everything. */
static void rotate(struct lb_tls_tickets *t, mono_t now)
{
    int64_t due = mono_since(now, t->made_at).us / LB_TLS_TICKET_ROTATION.us;
    for (int64_t i = 0; i < due && i < LB_TLS_TICKET_KEYS; i++) {
        memmove(&t->keys[1], &t->keys[0], sizeof(t->keys) - sizeof(t->keys[0]));
        rand_bytes(&t->keys[0], sizeof(t->keys[0]));
    }
    if (due > 0) {
        t->made_at = mono_add(t->made_at, DUR_US(due * LB_TLS_TICKET_ROTATION.us));
    }
}

void lb_tls_tickets_newest(struct lb_tls_tickets *t, mono_t now, struct lb_tls_ticket_key *ret)
{
    CHECK(pthread_mutex_lock(&t->lock) == 0);
    rotate(t, now);
    *ret = t->keys[0];
    CHECK(pthread_mutex_unlock(&t->lock) == 0);
}

bool lb_tls_tickets_find(struct lb_tls_tickets *t, mono_t now, const uint8_t *name,
                         struct lb_tls_ticket_key *ret, bool *ret_is_old)
{
    CHECK(pthread_mutex_lock(&t->lock) == 0);
    rotate(t, now);
    size_t i = 0;
    while (i < LB_TLS_TICKET_KEYS && memcmp(t->keys[i].name, name, sizeof(ret->name)) != 0) {
        i++;
    }
    if (i < LB_TLS_TICKET_KEYS) {
        *ret = t->keys[i];
        *ret_is_old = i > 0;
    }
    CHECK(pthread_mutex_unlock(&t->lock) == 0);
    return i < LB_TLS_TICKET_KEYS;
}

static bool set_mac(EVP_MAC_CTX *mac, struct lb_tls_ticket_key *key)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, sizeof(digest) - 1),
        OSSL_PARAM_construct_end()};
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* As SSL_CTX_set_tlsext_ticket_key_evp_cb(3) wants it: -1 error, 0 no ticket or not ours, 1 fine, 2
 * fine and give a new one. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int is_sealing)
{
    const struct lb_tls *tls = SSL_get_app_data(ssl);
    struct lb_tls_tickets *t = &tls->site->share->tickets;
    mono_t now = clock_mono();
    struct lb_tls_ticket_key key;
    bool is_old = false;
    if (is_sealing == 1) {
        lb_tls_tickets_newest(t, now, &key);
        memcpy(name, key.name, sizeof(key.name));
        rand_bytes(iv, (size_t)EVP_CIPHER_get_iv_length(t->cipher));
    } else if (!lb_tls_tickets_find(t, now, name, &key, &is_old)) {
        return 0;
    }
    bool is_fine = EVP_CipherInit_ex(cipher, t->cipher, NULL, key.cipher, iv, is_sealing) == 1 &&
                   set_mac(mac, &key);
    OPENSSL_cleanse(&key, sizeof(key));
    if (!is_fine) {
        return -1;
    }
    return is_old ? 2 : 1;
}

void lb_tls_tickets_use(SSL_CTX *context)
{
    CHECK(SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket) == 1);
}
