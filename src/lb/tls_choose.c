#include "lb/tls_choose.h"

#define TLS13 0x0304

static const struct {
    uint16_t scheme;
    unsigned kind_13; /* what it verifies in TLS 1.3, where the curve belongs to the scheme */
    unsigned kind_12;
} schemes[] = {
    {0x0401, 0, LB_TLS_RSA},             /* rsa_pkcs1_sha256 */
    {0x0501, 0, LB_TLS_RSA},             /* rsa_pkcs1_sha384 */
    {0x0601, 0, LB_TLS_RSA},             /* rsa_pkcs1_sha512 */
    {0x0201, 0, LB_TLS_RSA},             /* rsa_pkcs1_sha1 */
    {0x0301, 0, LB_TLS_RSA},             /* rsa_pkcs1_sha224 */
    {0x0804, LB_TLS_RSA, LB_TLS_RSA},    /* rsa_pss_rsae_sha256 */
    {0x0805, LB_TLS_RSA, LB_TLS_RSA},    /* rsa_pss_rsae_sha384 */
    {0x0806, LB_TLS_RSA, LB_TLS_RSA},    /* rsa_pss_rsae_sha512 */
    {0x0403, LB_TLS_P256, LB_TLS_ECDSA}, /* ecdsa_secp256r1_sha256 */
    {0x0503, LB_TLS_P384, LB_TLS_ECDSA}, /* ecdsa_secp384r1_sha384 */
    {0x0603, LB_TLS_P521, LB_TLS_ECDSA}, /* ecdsa_secp521r1_sha512 */
    {0x0203, 0, LB_TLS_ECDSA},           /* ecdsa_sha1 */
    {0x0303, 0, LB_TLS_ECDSA},           /* ecdsa_sha224 */
};

static const uint16_t ecdsa_ciphers[] = {0xc02b, 0xc02c, 0xc023, 0xc024, 0xc009, 0xc00a, 0xcca9};

static bool next_pair(struct str *rest, uint16_t *ret)
{
    if (rest->len < 2) {
        return false;
    }
    *ret = (uint16_t)((unsigned char)rest->ptr[0] << 8 | (unsigned char)rest->ptr[1]);
    *rest = str_from(*rest, 2);
    return true;
}

static bool has_pair(struct str pairs, uint16_t wanted)
{
    uint16_t pair;
    while (next_pair(&pairs, &pair)) {
        if (pair == wanted) {
            return true;
        }
    }
    return false;
}

static bool has_ecdsa_cipher(struct str ciphers)
{
    for (size_t i = 0; i < sizeof(ecdsa_ciphers) / sizeof(ecdsa_ciphers[0]); i++) {
        if (has_pair(ciphers, ecdsa_ciphers[i])) {
            return true;
        }
    }
    return false;
}

unsigned lb_tls_kinds(const struct lb_tls_offer *offer)
{
    bool is_13 = offer->may_be_13 && has_pair(offer->versions, TLS13);
    unsigned kinds = 0;
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (has_pair(offer->signature_algorithms, schemes[i].scheme)) {
            kinds |= is_13 ? schemes[i].kind_13 : schemes[i].kind_12;
        }
    }
    if (is_13) {
        return kinds;
    }
    if (!str_is_set(offer->signature_algorithms)) {
        kinds = LB_TLS_RSA | LB_TLS_ECDSA; /* RFC 5246 7.4.1.4.1: SHA-1 with what the cipher says */
    }
    return has_ecdsa_cipher(offer->ciphers) ? kinds : kinds & ~(unsigned)LB_TLS_ECDSA;
}

static bool is_valid(const struct lb_tls_rank *r, int64_t now_s)
{
    return r->from_s <= now_s && now_s <= r->until_s;
}

bool lb_tls_is_better(const struct lb_tls_rank *a, const struct lb_tls_rank *b, unsigned kinds,
                      int64_t now_s)
{
    bool a_fits = (a->kind & kinds) != 0;
    bool b_fits = (b->kind & kinds) != 0;
    if (a_fits != b_fits) {
        return a_fits;
    }
    if (is_valid(a, now_s) != is_valid(b, now_s)) {
        return is_valid(a, now_s);
    }
    bool a_is_ecdsa = (a->kind & LB_TLS_ECDSA) != 0;
    bool b_is_ecdsa = (b->kind & LB_TLS_ECDSA) != 0;
    if (a_is_ecdsa != b_is_ecdsa) {
        return a_is_ecdsa;
    }
    if (a->is_weak_hash != b->is_weak_hash) {
        return b->is_weak_hash;
    }
    if (a->strength_bits != b->strength_bits) {
        return a->strength_bits > b->strength_bits;
    }
    return a->until_s > b->until_s;
}

bool lb_tls_fold_name(struct str name, char room[256], struct str *ret)
{
    if (name.len > 0 && name.ptr[name.len - 1] == '.') {
        name.len--;
    }
    if (name.len == 0 || name.len > 253) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        char c = str_lower_char(name.ptr[i]);
        bool is_fine = c == '-' || c == '.' || c == '_' || c == '*' || (c >= 'a' && c <= 'z') ||
                       (c >= '0' && c <= '9');
        if (!is_fine) {
            return false;
        }
        room[i] = c;
    }
    *ret = str_make(room, name.len);
    return true;
}
