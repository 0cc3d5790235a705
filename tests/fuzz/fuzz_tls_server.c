/* Whatever a client sends before it has a key: the handshake ends or waits, nothing else. The first
 * byte is the size of the pieces in which the rest arrives. */

#include "base/check.h"
#include "base/op.h"
#include "lb/openssl.h"
#include "lb/tls.h"
#include "lb/tls_site.h"
#include "net/socket.h"

#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

#define INPUT_BYTES_MAX 65536

static struct ev_loop loop;
static struct lb_blocks blocks;
static struct lb_tls_room room;
static struct lb_tls_share share;
static struct lb_tls_site *site;

static struct str pem_of(BIO *bio, struct arena *a)
{
    char *ptr = NULL;
    long len = BIO_get_mem_data(bio, &ptr);
    return arena_str(a, str_make(ptr, (size_t)len));
}

/* A key and a certificate for "*.example.com", signed by itself. */
static void make_certificate(struct arena *a, struct lbconf_certificate *ret)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    CHECK(key != NULL && x != NULL);
    CHECK(X509_set_version(x, X509_VERSION_3) == 1);
    CHECK(ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1);
    CHECK(X509_gmtime_adj(X509_getm_notBefore(x), 0) != NULL);
    CHECK(X509_gmtime_adj(X509_getm_notAfter(x), 86400) != NULL);
    CHECK(X509_set_pubkey(x, key) == 1);
    X509_EXTENSION *names =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:*.example.com");
    CHECK(X509_add_ext(x, names, -1) == 1);
    X509_EXTENSION_free(names);
    CHECK(X509_sign(x, key, EVP_sha256()) > 0);
    BIO *chain_bio = BIO_new(BIO_s_mem());
    BIO *key_bio = BIO_new(BIO_s_mem());
    CHECK(PEM_write_bio_X509(chain_bio, x) == 1);
    CHECK(PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) == 1);
    *ret = (struct lbconf_certificate){
        .arn = STR("c"), .chain_pem = pem_of(chain_bio, a), .key_pem = pem_of(key_bio, a)};
    BIO_free(chain_bio);
    BIO_free(key_bio);
    X509_free(x);
    EVP_PKEY_free(key);
}

static void open_site(void)
{
    struct op op;
    op_init(&op);
    struct lbconf_certificate certificate;
    make_certificate(&op.arena, &certificate);
    struct lbconf_listener listener = {.arn = STR("l"),
                                       .ssl_policy = STR("ELBSecurityPolicy-TLS13-1-0-2021-06"),
                                       .certificates = {.items = &certificate, .count = 1}};
    lb_tls_share_init(&share);
    CHECK(ev_loop_open(&op, &loop) == ERR_OK);
    CHECK(lb_tls_site_take(&op, &share, &listener, false, &site) == ERR_OK);
    lb_tls_room_init(&room, &blocks);
    op_fini(&op);
}

static void on_ready(struct ev_fd *fd, unsigned ready)
{
    (void)fd;
    (void)ready;
}

static enum lb_tls_step feed(struct lb_tls *t, int fd, const uint8_t *bytes, size_t count,
                             size_t step)
{
    enum lb_tls_step last = LB_TLS_MORE;
    for (size_t at = 0; at < count && last == LB_TLS_MORE; at += step) {
        size_t part = count - at < step ? count - at : step;
        CHECK(write(fd, bytes + at, part) == (ssize_t)part);
        last = lb_tls_handshake(t);
        char sent[16384];
        while (recv(fd, sent, sizeof(sent), MSG_DONTWAIT) > 0) {
        }
    }
    return last;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    if (count == 0 || count > INPUT_BYTES_MAX) {
        return 0;
    }
    if (site == NULL) {
        open_site();
    }
    struct op op;
    op_init(&op);
    int fds[2];
    CHECK(net_pair(&op, SOCK_STREAM, fds) == ERR_OK);
    struct ev_fd fd = {0};
    CHECK(ev_fd_open(&loop, &fd, fds[0], EV_READ, on_ready) == ERR_OK);
    struct lb_tls *t = lb_tls_new(&room, &fd, lb_tls_site_ssl(site), lb_tls_site_hold(site));
    enum lb_tls_step last = feed(t, fds[1], bytes + 1, count - 1, (size_t)bytes[0] * 64 + 1);
    /* no client without a key comes through: it would have to know what we have just drawn */
    CHECK(last != LB_TLS_DONE);
    char plain[64];
    CHECK(lb_tls_read(t, plain, sizeof(plain)) < 0);
    lb_tls_free(t);
    ev_fd_close(&fd);
    CHECK(close(fds[1]) == 0);
    op_fini(&op);
    return 0;
}
