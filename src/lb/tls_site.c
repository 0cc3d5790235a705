#include "lb/tls_site.h"

#include "base/check.h"
#include "base/mem.h"
#include "crypt/hash.h"
#include "lb/limits.h"
#include "lb/openssl.h"
#include "lb/tls.h"
#include "lb/tls_mutual.h"
#include "lb/tls_ocsp.h"
#include "lb/tls_target.h"
#include "tlspol/tlspol.h"

struct make {
    struct op *op;
    struct lb_tls_site *site;
    const struct lbconf_listener *listener;
    const struct tlspol *policy;
    bool offers_h2;
};

/* ---- what all share -------------------------------------------------------------------------- */

void lb_tls_share_init(struct lb_tls_share *share)
{
    map_init(&share->sites);
    lb_tls_tickets_init(&share->tickets, clock_mono());
    share->targets = lb_tls_target_context();
}

void lb_tls_share_fini(struct lb_tls_share *share)
{
    CHECK(share->sites.count == 0);
    map_fini(&share->sites);
    lb_tls_tickets_fini(&share->tickets);
    SSL_CTX_free(share->targets);
}

/* ---- names ----------------------------------------------------------------------------------- */

static void add_name(struct make *m, struct str name, const struct lb_tls_certificate *c)
{
    char room[256];
    struct str folded;
    if (!lb_tls_fold_name(name, room, &folded)) {
        return;
    }
    bool is_wildcard = str_starts_with(folded, STR("*."));
    struct map *names = is_wildcard ? &m->site->wildcard : &m->site->exact;
    struct str key = is_wildcard ? str_from(folded, 2) : folded;
    struct lb_tls_named *named = map_find(names, key);
    if (named == NULL) {
        named = ARENA_ARRAY(&m->site->arena, struct lb_tls_named, 1);
        (void)map_put(names, key, named);
    }
    if (named->count == 0 || named->items[named->count - 1] != c) {
        /* NOLINTNEXTLINE(bugprone-sizeof-expression): a list of pointers */
        *ARENA_PUSH(&m->site->arena, named) = c;
    }
}

/* The names of the subject are asked only when there is no alternative one (RFC 6125 6.4.4). */
static void add_common_name(struct make *m, X509 *x, const struct lb_tls_certificate *c)
{
    X509_NAME *subject = X509_get_subject_name(x);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0) {
        return;
    }
    ASN1_STRING *text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    add_name(m,
             str_make((const char *)ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text)),
             c);
}

static void add_names(struct make *m, X509 *x, const struct lb_tls_certificate *c)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    int count = names == NULL ? 0 : sk_GENERAL_NAME_num(names);
    int used = 0;
    for (int i = 0; i < count && i < LB_TLS_NAMES_MAX; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_DNS) {
            continue;
        }
        used++;
        add_name(m,
                 str_make((const char *)ASN1_STRING_get0_data(name->d.dNSName),
                          (size_t)ASN1_STRING_length(name->d.dNSName)),
                 c);
    }
    GENERAL_NAMES_free(names);
    if (used == 0) {
        add_common_name(m, x, c);
    }
}

static const struct lb_tls_certificate *best_of(const struct lb_tls_named *named,
                                                const struct lb_tls_certificate *best,
                                                unsigned kinds, int64_t now_s)
{
    for (size_t i = 0; named != NULL && i < named->count; i++) {
        const struct lb_tls_certificate *c = named->items[i];
        if (best == NULL || lb_tls_is_better(&c->rank, &best->rank, kinds, now_s)) {
            best = c;
        }
    }
    return best;
}

const struct lb_tls_certificate *lb_tls_site_choose(const struct lb_tls_site *site,
                                                    struct str server_name, unsigned kinds,
                                                    int64_t now_s)
{
    char room[256];
    struct str name;
    const struct lb_tls_certificate *best = NULL;
    if (str_is_set(server_name) && lb_tls_fold_name(server_name, room, &name)) {
        struct str host;
        struct str parent;
        best = best_of(map_find(&site->exact, name), best, kinds, now_s);
        if (str_cut(name, '.', &host, &parent) && host.len > 0) {
            best = best_of(map_find(&site->wildcard, parent), best, kinds, now_s);
        }
    }
    return best == NULL ? &site->certificates[0] : best;
}

/* ---- the ClientHello ------------------------------------------------------------------------- */

/* An extension's bytes behind `skip` bytes of length; absent when it is missing or too short. */
static struct str extension(SSL *ssl, unsigned type, size_t skip)
{
    const unsigned char *bytes = NULL;
    size_t len = 0;
    if (SSL_client_hello_get0_ext(ssl, type, &bytes, &len) != 1 || len < skip) {
        return STR_NONE;
    }
    return str_make((const char *)bytes + skip, len - skip);
}

/* RFC 6066 3: a list with one entry: its length, type 0, length of the name, name. */
static struct str server_name_of(SSL *ssl)
{
    struct str list = extension(ssl, TLSEXT_TYPE_server_name, 2);
    if (list.len < 3 || list.ptr[0] != TLSEXT_NAMETYPE_host_name) {
        return STR_NONE;
    }
    size_t len = (size_t)((unsigned char)list.ptr[1] << 8 | (unsigned char)list.ptr[2]);
    return len <= list.len - 3 ? str_make(list.ptr + 3, len) : STR_NONE;
}

static int on_client_hello(SSL *ssl, int *alert, void *arg)
{
    (void)alert;
    (void)arg;
    struct lb_tls *t = SSL_get_app_data(ssl);
    const unsigned char *ciphers = NULL;
    size_t cipher_bytes = SSL_client_hello_get0_ciphers(ssl, &ciphers);
    struct lb_tls_offer offer = {
        .signature_algorithms = extension(ssl, TLSEXT_TYPE_signature_algorithms, 2),
        .versions = extension(ssl, TLSEXT_TYPE_supported_versions, 1),
        .ciphers = str_make((const char *)ciphers, cipher_bytes),
        .may_be_13 = t->site->may_be_13,
    };
    t->chosen = lb_tls_site_choose(t->site, server_name_of(ssl), lb_tls_kinds(&offer),
                                   clock_wall().us / 1000000);
    if (t->chosen != &t->site->certificates[0]) {
        (void)SSL_set_SSL_CTX(ssl, t->chosen->context);
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* RFC 7301 3.2: without a protocol in common the handshake fails. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned in_len, void *arg)
{
    static const unsigned char both[] = "\x02h2\x08http/1.1";
    (void)ssl;
    const bool *offers_h2 = arg;
    const unsigned char *ours = *offers_h2 ? both : both + 3;
    unsigned ours_len = (unsigned)(sizeof(both) - 1 - (*offers_h2 ? 0 : 3));
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_len, ours, ours_len, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- reading certificates -------------------------------------------------------------------- */

static int no_password(char *buffer, int size, int is_writing, void *self)
{
    (void)buffer;
    (void)size;
    (void)is_writing;
    (void)self;
    return -1;
}

static BIO *bio_of(struct str pem)
{
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    CHECK(bio != NULL);
    return bio;
}

static enum err refuse(struct make *m, struct str arn, const char *what)
{
    ERR_clear_error(); /* OpenSSL's own words could quote what was read */
    return op_fail(m->op, ERR_INPUT, "listener %.*s: certificate %.*s %s",
                   STR_ARG(m->listener->arn), STR_ARG(arn), what);
}

static enum err read_key(struct make *m, const struct lbconf_certificate *in, SSL_CTX *context)
{
    BIO *bio = bio_of(in->key_pem);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    BIO_free(bio);
    if (key == NULL) {
        return refuse(m, in->arn, "has a key that is no unencrypted PEM");
    }
    bool is_its_own =
        SSL_CTX_use_PrivateKey(context, key) == 1 && SSL_CTX_check_private_key(context) == 1;
    EVP_PKEY_free(key);
    return is_its_own ? ERR_OK : refuse(m, in->arn, "has a key that does not belong to it");
}

static enum err read_chain(struct make *m, const struct lbconf_certificate *in, SSL_CTX *context)
{
    BIO *bio = bio_of(in->chain_pem);
    X509 *leaf = PEM_read_bio_X509_AUX(bio, NULL, no_password, NULL);
    if (leaf == NULL) {
        BIO_free(bio);
        return refuse(m, in->arn, "is no PEM of a certificate");
    }
    bool is_fine = SSL_CTX_use_certificate(context, leaf) == 1;
    X509_free(leaf);
    X509 *next;
    while (is_fine && (next = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL) {
        is_fine = SSL_CTX_add0_chain_cert(context, next) == 1;
        if (!is_fine) {
            X509_free(next);
        }
    }
    /* the end shows as "no start line"; anything else is a broken certificate in the chain */
    unsigned long code = ERR_peek_last_error();
    bool is_end = code == 0 || ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
    BIO_free(bio);
    ERR_clear_error();
    return is_fine && is_end ? ERR_OK : refuse(m, in->arn, "has a chain that cannot be used");
}

int64_t lb_tls_seconds_of(const ASN1_TIME *time)
{
    int days = 0;
    int seconds = 0;
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    CHECK(epoch != NULL);
    bool is_fine = ASN1_TIME_diff(&days, &seconds, epoch, time) == 1;
    ASN1_TIME_free(epoch);
    return is_fine ? (int64_t)days * 86400 + seconds : 0;
}

static struct lb_tls_rank rank_of(X509 *x)
{
    EVP_PKEY *key = X509_get0_pubkey(x);
    int bits = EVP_PKEY_get_bits(key);
    struct lb_tls_rank rank = {.kind = LB_TLS_RSA,
                               .strength_bits = (uint32_t)bits,
                               .from_s = lb_tls_seconds_of(X509_get0_notBefore(x)),
                               .until_s = lb_tls_seconds_of(X509_get0_notAfter(x))};
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC) {
        rank.kind = bits > 384 ? LB_TLS_P521 : bits > 256 ? LB_TLS_P384 : LB_TLS_P256;
    }
    int digest = NID_undef;
    if (X509_get_signature_info(x, &digest, NULL, NULL, NULL) == 1) {
        rank.is_weak_hash = digest == NID_md5 || digest == NID_sha1;
    }
    return rank;
}

/* ---- contexts -------------------------------------------------------------------------------- */

static int version_number(unsigned versions, bool is_newest)
{
    static const int numbers[] = {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION};
    int found = 0;
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        bool is_there = (versions >> i & 1) != 0;
        if (is_there && (found == 0 || is_newest)) {
            found = numbers[i];
        }
    }
    return found;
}

/* TLS 1.0 and 1.1 sign with SHA-1, which OpenSSL allows at level 0 only. */
static void set_policy(SSL_CTX *context, const struct tlspol *policy)
{
    struct arena a;
    arena_init(&a);
    bool is_old = (policy->versions & (TLSPOL_V10 | TLSPOL_V11)) != 0;
    SSL_CTX_set_security_level(context, is_old ? 0 : 1);
    CHECK(SSL_CTX_set_min_proto_version(context, version_number(policy->versions, false)) == 1);
    CHECK(SSL_CTX_set_max_proto_version(context, version_number(policy->versions, true)) == 1);
    struct str before = tlspol_cipher_list(&a, policy, false);
    struct str newest = tlspol_cipher_list(&a, policy, true);
    if (before.len > 0) {
        CHECK(SSL_CTX_set_cipher_list(context, arena_c_str(&a, before)) == 1);
    }
    CHECK(SSL_CTX_set_ciphersuites(context, newest.len > 0 ? arena_c_str(&a, newest) : "") == 1);
    arena_fini(&a);
}

static void set_sessions(struct make *m, SSL_CTX *context)
{
    /* a ticket opens only where it was sealed: the same listener, the same authorities */
    struct sha256 id = sha256_of(str_of(m->site->key));
    CHECK(SSL_CTX_set_session_id_context(context, id.bytes, sizeof(id.bytes)) == 1);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_timeout(context, LB_TLS_TICKET_LIFE_S);
    if (m->site->mutual != LB_TLS_MUTUAL_OFF) {
        /* the client's chain would be missing from a resumed session */
        (void)SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
        CHECK(SSL_CTX_set_num_tickets(context, 0) == 1);
        return;
    }
    CHECK(SSL_CTX_set_num_tickets(context, 1) == 1);
    lb_tls_tickets_use(context);
}

static enum err make_context(struct make *m, const struct lbconf_certificate *in, SSL_CTX **ret)
{
    static int groups[] = {NID_X25519, NID_X9_62_prime256v1, NID_secp384r1, NID_secp521r1};
    static const bool with_h2 = true;
    static const bool without_h2 = false;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL) {
        return op_fail(m->op, ERR_NO_SPACE, "OpenSSL gave no context for listener %.*s",
                       STR_ARG(m->listener->arn));
    }
    *ret = context; /* the site's from now on */
    (void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                           SSL_OP_CIPHER_SERVER_PREFERENCE);
    set_policy(context, m->policy);
    CHECK(SSL_CTX_set1_groups(context, groups, ARRAY_COUNT(groups)) == 1);
    set_sessions(m, context);
    SSL_CTX_set_client_hello_cb(context, on_client_hello, NULL);
    const bool *offer = m->offers_h2 ? &with_h2 : &without_h2;
    SSL_CTX_set_alpn_select_cb(context, on_alpn, mem_owned(offer));
    TRY(read_chain(m, in, context));
    TRY(read_key(m, in, context));
    return lb_tls_mutual_apply(m->op, m->listener, m->site, context);
}

static enum err add_certificate(struct make *m, const struct lbconf_certificate *in)
{
    struct lb_tls_certificate *c = &m->site->certificates[m->site->count++];
    c->arn = arena_str(&m->site->arena, in->arn);
    if (in->chain_pem.len > LB_TLS_PEM_BYTES_MAX || in->key_pem.len > LB_TLS_PEM_BYTES_MAX) {
        return refuse(m, in->arn, "is larger than 512 KiB");
    }
    TRY(make_context(m, in, &c->context));
    X509 *leaf = SSL_CTX_get0_certificate(c->context);
    c->rank = rank_of(leaf);
    add_names(m, leaf, c);
    if (!lb_tls_ocsp_use(m->site, c, in->ocsp_base64)) {
        return refuse(m, in->arn, "has an OCSP response that is none, or that is not good");
    }
    return ERR_OK;
}

/* ---- sites ----------------------------------------------------------------------------------- */

static void add_text(struct sha256_stream *s, struct str text)
{
    uint64_t len = text.len;
    sha256_stream_add(s, str_make((const char *)&len, sizeof(len)));
    sha256_stream_add(s, text);
}

/* Of all that a site is made of, the listener's name among it. */
static void make_key(const struct lbconf_listener *l, bool offers_h2, char ret[65])
{
    struct sha256_stream *s = sha256_stream_new();
    add_text(s, l->arn);
    add_text(s, l->ssl_policy);
    add_text(s, offers_h2 ? STR("h2") : STR(""));
    for (size_t i = 0; i < l->certificates.count; i++) {
        add_text(s, l->certificates.items[i].arn);
        add_text(s, l->certificates.items[i].chain_pem);
        add_text(s, l->certificates.items[i].key_pem);
        add_text(s, l->certificates.items[i].ocsp_base64);
    }
    if (l->mutual_auth != NULL) {
        add_text(s, l->mutual_auth->mode);
        add_text(s, l->mutual_auth->authorities_pem);
        add_text(s, l->mutual_auth->revocations_pem);
        add_text(s, OPT_OR(l->mutual_auth->ignores_expiry, false) ? STR("i") : STR(""));
        add_text(s, OPT_OR(l->mutual_auth->advertises_authorities, false) ? STR("a") : STR(""));
    }
    struct sha256 hash = sha256_stream_end(s);
    for (size_t i = 0; i < sizeof(hash.bytes); i++) {
        ret[2 * i] = "0123456789abcdef"[hash.bytes[i] >> 4];
        ret[2 * i + 1] = "0123456789abcdef"[hash.bytes[i] & 15];
    }
    ret[64] = '\0';
}

static void free_site(struct lb_tls_site *site)
{
    for (size_t i = 0; i < site->count; i++) {
        SSL_CTX_free(site->certificates[i].context);
    }
    map_fini(&site->exact);
    map_fini(&site->wildcard);
    arena_fini(&site->arena);
    mem_free(site);
}

struct lb_tls_site *lb_tls_site_hold(struct lb_tls_site *site)
{
    (void)atomic_fetch_add_explicit(&site->ref_count, 1, memory_order_relaxed);
    return site;
}

void lb_tls_site_drop(struct lb_tls_site *site)
{
    if (site != NULL && atomic_fetch_sub_explicit(&site->ref_count, 1, memory_order_acq_rel) == 1) {
        free_site(site);
    }
}

static enum err fill(struct make *m)
{
    const struct lbconf_listener *l = m->listener;
    struct lb_tls_site *site = m->site;
    struct str name = str_is_set(l->ssl_policy) ? l->ssl_policy : TLSPOL_DEFAULT;
    m->policy = tlspol_find(name);
    if (m->policy == NULL) {
        return op_fail(m->op, ERR_INPUT,
                       "listener %.*s has the security policy \"%.*s\", which is "
                       "not known",
                       STR_ARG(l->arn), STR_ARG(name));
    }
    if (l->certificates.count == 0 || l->certificates.count > LB_TLS_CERTIFICATES_MAX) {
        return op_fail(m->op, ERR_LIMIT, "listener %.*s has %zu certificates, 1 to %d can be",
                       STR_ARG(l->arn), l->certificates.count, LB_TLS_CERTIFICATES_MAX);
    }
    site->may_be_13 = (m->policy->versions & TLSPOL_V13) != 0;
    TRY(lb_tls_mutual_read(m->op, l, site));
    site->certificates =
        ARENA_ARRAY(&site->arena, struct lb_tls_certificate, l->certificates.count);
    for (size_t i = 0; i < l->certificates.count; i++) {
        TRY(add_certificate(m, &l->certificates.items[i]));
    }
    return ERR_OK;
}

enum err lb_tls_site_take(struct op *op, struct lb_tls_share *share,
                          const struct lbconf_listener *listener, bool offers_h2,
                          struct lb_tls_site **ret_site)
{
    char key[65];
    make_key(listener, offers_h2, key);
    struct lb_tls_site *site = map_find(&share->sites, str_of(key));
    if (site == NULL) {
        site = MEM_NEW(struct lb_tls_site);
        arena_init(&site->arena);
        map_init(&site->exact);
        map_init(&site->wildcard);
        memcpy(site->key, key, sizeof(key));
        site->share = share;
        struct make m = {.op = op, .site = site, .listener = listener, .offers_h2 = offers_h2};
        enum err e = fill(&m);
        if (e != ERR_OK) {
            free_site(site);
            return e;
        }
        atomic_store(&site->ref_count, 1);
        (void)map_put(&share->sites, str_of(key), site);
    }
    site->conf_count++;
    *ret_site = site;
    return ERR_OK;
}

void lb_tls_site_give(struct lb_tls_site *site)
{
    if (site != NULL && --site->conf_count == 0) {
        (void)map_remove(&site->share->sites, str_of(site->key));
        lb_tls_site_drop(site);
    }
}

SSL *lb_tls_site_ssl(const struct lb_tls_site *site)
{
    SSL *ssl = SSL_new(site->certificates[0].context);
    if (ssl != NULL) {
        SSL_set_accept_state(ssl);
    }
    return ssl;
}
