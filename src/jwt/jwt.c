#include "jwt/jwt.h"

#include "base/check.h"
#include "base/mem.h"
#include "codec/base64.h"
#include "codec/json.h"

/* OpenSSL has a type of that name, as enum err has a value. */
#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#undef ERR_STATE

#define P256_BYTES 32

enum algorithm { UNKNOWN, RS256, ES256 };

struct key {
    enum algorithm algorithm;
    char *id; /* NULL without one */
    size_t id_len;
    EVP_PKEY *key;
};

struct jwt_keys {
    struct key keys[JWT_KEYS_MAX];
    size_t count;
};

/* ---- key sets -------------------------------------------------------------------------------- */

/* One JWK, as far as we look at it. */
struct fields {
    struct str type; /* "kty" */
    struct str use;
    struct str algorithm;
    struct str id;
    struct str curve;
    struct str n, e; /* RSA */
    struct str x, y; /* EC */
};

static EVP_PKEY *make_key(const char *type, OSSL_PARAM_BLD *bld)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    CHECK(params != NULL && ctx != NULL);
    if (EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        key = NULL;
    }
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return key;
}

/* NULL when the numbers make no key of a size that we take. */
static EVP_PKEY *rsa_key(struct arena *a, const struct fields *f)
{
    struct str n;
    struct str e;
    if (!base64url_decode(a, f->n, &n) || !base64url_decode(a, f->e, &e) || e.len > 8 ||
        n.len > JWT_RSA_BITS_MAX / 8) {
        return NULL;
    }
    BIGNUM *modulus = BN_bin2bn((const unsigned char *)n.ptr, (int)n.len, NULL);
    BIGNUM *exponent = BN_bin2bn((const unsigned char *)e.ptr, (int)e.len, NULL);
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    CHECK(modulus != NULL && exponent != NULL && bld != NULL);
    EVP_PKEY *key = NULL;
    if (BN_num_bits(modulus) >= JWT_RSA_BITS_MIN && BN_is_odd(exponent) && !BN_is_one(exponent)) {
        CHECK(OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, modulus) == 1);
        CHECK(OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, exponent) == 1);
        key = make_key("RSA", bld);
    }
    OSSL_PARAM_BLD_free(bld);
    BN_free(modulus);
    BN_free(exponent);
    return key;
}

static EVP_PKEY *ec_key(struct arena *a, const struct fields *f)
{
    struct str x;
    struct str y;
    unsigned char point[1 + 2 * P256_BYTES] = {0x04};
    if (!STR_IS(f->curve, "P-256") || !base64url_decode(a, f->x, &x) ||
        !base64url_decode(a, f->y, &y) || x.len != P256_BYTES || y.len != P256_BYTES) {
        return NULL;
    }
    memcpy(point + 1, x.ptr, P256_BYTES);
    memcpy(point + 1 + P256_BYTES, y.ptr, P256_BYTES);
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    CHECK(bld != NULL);
    CHECK(OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) == 1);
    CHECK(OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)) ==
          1);
    EVP_PKEY *key = make_key("EC", bld); /* a point off the curve makes none */
    OSSL_PARAM_BLD_free(bld);
    return key;
}

static void read_fields(struct json_reader *r, struct fields *f)
{
    const struct {
        struct str name;
        struct str *to;
    } known[] = {
        {STR("kty"), &f->type}, {STR("use"), &f->use},   {STR("alg"), &f->algorithm},
        {STR("kid"), &f->id},   {STR("crv"), &f->curve}, {STR("n"), &f->n},
        {STR("e"), &f->e},      {STR("x"), &f->x},       {STR("y"), &f->y},
    };
    struct str key;
    json_enter_object(r);
    while (json_next_key(r, &key)) {
        size_t i = 0;
        while (i < ARRAY_COUNT(known) && !str_equal(known[i].name, key)) {
            i++;
        }
        if (i < ARRAY_COUNT(known) && json_peek(r) == JSON_STRING) {
            json_read_string(r, known[i].to);
        } else {
            json_skip(r);
        }
    }
}

static void add_key(struct arena *a, struct jwt_keys *keys, const struct fields *f)
{
    bool is_rsa = STR_IS(f->type, "RSA");
    bool is_ec = STR_IS(f->type, "EC");
    struct str wanted = is_rsa ? STR("RS256") : STR("ES256");
    bool is_other = (f->use.len > 0 && !STR_IS(f->use, "sig")) ||
                    (f->algorithm.len > 0 && !str_equal(f->algorithm, wanted));
    if (is_other || (!is_rsa && !is_ec)) {
        return;
    }
    EVP_PKEY *key = is_rsa ? rsa_key(a, f) : ec_key(a, f);
    if (key == NULL) {
        return;
    }
    struct key *to = &keys->keys[keys->count++];
    to->algorithm = is_rsa ? RS256 : ES256;
    to->key = key;
    if (f->id.len > 0) {
        to->id = mem_dup(f->id.ptr, f->id.len);
        to->id_len = f->id.len;
    }
}

static enum err read_set(struct op *op, struct str jwks, struct jwt_keys *keys)
{
    struct json_reader r;
    struct str key;
    size_t count = 0;
    json_reader_init(&r, &op->arena, jwks);
    json_enter_object(&r);
    while (json_next_key(&r, &key)) {
        if (!STR_IS(key, "keys")) {
            json_skip(&r);
            continue;
        }
        json_enter_array(&r);
        while (json_next_item(&r)) {
            struct fields f = {{0}};
            read_fields(&r, &f);
            if (++count > JWT_KEYS_MAX) {
                return op_fail(op, ERR_LIMIT, "the key set has more than %d keys", JWT_KEYS_MAX);
            }
            add_key(&op->arena, keys, &f);
        }
    }
    TRY(json_finish(&r, op));
    return keys->count > 0 ? ERR_OK
                           : op_fail(op, ERR_INPUT,
                                     "the key set has no key for RS256 (2,048 bits at least) or "
                                     "ES256");
}

enum err jwt_keys_read(struct op *op, struct str jwks, struct jwt_keys **ret_keys)
{
    if (jwks.len > JWT_JWKS_BYTES_MAX) {
        return op_fail(op, ERR_LIMIT, "the key set has %zu bytes, the limit is %zu", jwks.len,
                       JWT_JWKS_BYTES_MAX);
    }
    struct jwt_keys *keys = MEM_NEW(struct jwt_keys);
    enum err e = read_set(op, jwks, keys);
    if (e != ERR_OK) {
        jwt_keys_free(keys);
        return e;
    }
    *ret_keys = keys;
    return ERR_OK;
}

void jwt_keys_free(struct jwt_keys *keys)
{
    for (size_t i = 0; keys != NULL && i < keys->count; i++) {
        EVP_PKEY_free(keys->keys[i].key);
        mem_free(keys->keys[i].id);
    }
    mem_free(keys);
}

size_t jwt_keys_count(const struct jwt_keys *keys)
{
    return keys->count;
}

/* ---- the header and the signature ------------------------------------------------------------ */

struct header {
    enum algorithm algorithm;
    struct str id;
    bool has_critical;
};

static bool read_header(struct op *op, struct str json, struct header *ret)
{
    struct json_reader r;
    struct str key;
    json_reader_init(&r, &op->arena, json);
    json_enter_object(&r);
    while (json_next_key(&r, &key)) {
        struct str text = STR_NONE;
        if (STR_IS(key, "alg")) {
            json_read_string(&r, &text);
            ret->algorithm = STR_IS(text, "RS256")   ? RS256
                             : STR_IS(text, "ES256") ? ES256
                                                     : UNKNOWN;
        } else if (STR_IS(key, "kid")) {
            json_read_string(&r, &ret->id);
        } else {
            ret->has_critical = ret->has_critical || STR_IS(key, "crit");
            json_skip(&r);
        }
    }
    return json_finish(&r, op) == ERR_OK && !ret->has_critical;
}

/* Two numbers of 32 bytes, as JWS has them, in the form that the library takes. */
static unsigned char *der_signature(struct str raw, int *ret_len)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    const unsigned char *bytes = (const unsigned char *)raw.ptr;
    CHECK(sig != NULL);
    CHECK(ECDSA_SIG_set0(sig, BN_bin2bn(bytes, P256_BYTES, NULL),
                         BN_bin2bn(bytes + P256_BYTES, P256_BYTES, NULL)) == 1);
    unsigned char *der = NULL;
    *ret_len = i2d_ECDSA_SIG(sig, &der);
    ECDSA_SIG_free(sig);
    return der;
}

static bool is_signed_by(const struct key *key, struct str text, struct str signature)
{
    const unsigned char *bytes = (const unsigned char *)signature.ptr;
    unsigned char *der = NULL;
    int len = (int)signature.len;
    if (key->algorithm == ES256) {
        if (signature.len != (size_t)2 * P256_BYTES) {
            return false;
        }
        der = der_signature(signature, &len);
        bytes = der;
    }
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    CHECK(ctx != NULL);
    bool is_good =
        len > 0 && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key->key) == 1 &&
        EVP_DigestVerify(ctx, bytes, (size_t)len, (const unsigned char *)text.ptr, text.len) == 1;
    EVP_MD_CTX_free(ctx);
    OPENSSL_free(der);
    return is_good;
}

/* With an id the key of that id; without one any of the algorithm. */
static enum jwt_verdict check_signature(const struct jwt_keys *keys, const struct header *h,
                                        struct str text, struct str signature)
{
    enum jwt_verdict verdict = JWT_NO_KEY;
    for (size_t i = 0; i < keys->count; i++) {
        const struct key *key = &keys->keys[i];
        bool is_asked = h->id.len == 0 || str_equal(str_make(key->id, key->id_len), h->id);
        if (key->algorithm != h->algorithm || !is_asked) {
            continue;
        }
        if (is_signed_by(key, text, signature)) {
            return JWT_VALID;
        }
        verdict = JWT_BAD_SIGNATURE;
    }
    return verdict;
}

/* ---- claims ---------------------------------------------------------------------------------- */

static bool is_value(const struct jwt_claim *c, struct str text)
{
    for (size_t i = 0; i < c->value_count; i++) {
        if (str_equal(c->values[i], text)) {
            return true;
        }
    }
    return false;
}

static void note_value(const struct jwt_claim *c, struct str text, uint32_t *seen)
{
    for (size_t i = 0; i < c->value_count; i++) {
        if (str_equal(c->values[i], text)) {
            *seen |= 1u << i;
        }
    }
}

/* Reads the claim's value; whether it holds. */
static bool claim_holds(struct json_reader *r, const struct jwt_claim *c)
{
    uint32_t seen = 0;
    uint32_t all = (1u << c->value_count) - 1;
    struct str text = STR_NONE;
    bool is_array = c->format == JWT_STRING_ARRAY;
    if (json_peek(r) != (is_array ? JSON_ARRAY : JSON_STRING)) {
        json_skip(r);
        return false;
    }
    if (!is_array) {
        json_read_string(r, &text);
        if (c->format == JWT_SINGLE_STRING) {
            return is_value(c, text);
        }
        struct str word;
        while (str_next(&text, ' ', &word)) {
            note_value(c, word, &seen);
        }
        return seen == all;
    }
    json_enter_array(r);
    while (json_next_item(r)) {
        if (json_peek(r) == JSON_STRING && json_read_string(r, &text)) {
            note_value(c, text, &seen);
        } else {
            json_skip(r);
        }
    }
    return seen == all;
}

struct claims {
    bool has_issuer;
    bool has_expiry;
    bool is_expired;
    bool is_wrong;
    uint32_t held; /* of the additional ones */
};

/* Seconds since 1970, a fraction allowed. */
static bool read_seconds(struct json_reader *r, double *ret)
{
    if (json_peek(r) != JSON_NUMBER) {
        json_skip(r);
        return false;
    }
    return json_read_f64(r, ret);
}

static void read_claim(struct json_reader *r, const struct jwt_policy *policy, struct str key,
                       double now, struct claims *c)
{
    double at = 0;
    struct str text = STR_NONE;
    if (STR_IS(key, "iss")) {
        bool is_text = json_peek(r) == JSON_STRING;
        c->has_issuer = is_text && json_read_string(r, &text) && str_equal(text, policy->issuer);
        if (!is_text) {
            json_skip(r);
        }
    } else if (STR_IS(key, "exp")) {
        c->has_expiry = read_seconds(r, &at);
        c->is_expired = c->is_expired || at <= now;
    } else if (STR_IS(key, "nbf") || STR_IS(key, "iat")) {
        c->is_wrong = !read_seconds(r, &at) || c->is_wrong;
        c->is_expired = c->is_expired || at > now;
    } else {
        size_t i = 0;
        while (i < policy->claim_count && !str_equal(policy->claims[i].name, key)) {
            i++;
        }
        if (i == policy->claim_count) {
            json_skip(r);
            return;
        }
        uint32_t bit = 1u << i;
        c->held = claim_holds(r, &policy->claims[i]) ? c->held | bit : c->held & ~bit;
    }
}

static enum jwt_verdict check_claims(struct op *op, const struct jwt_policy *policy,
                                     struct str json, wall_t now)
{
    struct json_reader r;
    struct str key;
    struct claims c = {0};
    json_reader_init(&r, &op->arena, json);
    json_enter_object(&r);
    while (json_next_key(&r, &key)) {
        read_claim(&r, policy, key, wall_seconds(now), &c);
    }
    if (json_finish(&r, op) != ERR_OK) {
        return JWT_MALFORMED;
    }
    if (!c.has_issuer || !c.has_expiry || c.is_wrong || c.held != (1u << policy->claim_count) - 1) {
        return JWT_WRONG_CLAIM;
    }
    return c.is_expired ? JWT_EXPIRED : JWT_VALID;
}

/* ---- the token ------------------------------------------------------------------------------- */

static enum jwt_verdict check(struct op *op, const struct jwt_keys *keys,
                              const struct jwt_policy *policy, struct str token, wall_t now)
{
    size_t first = str_find_char(token, '.', 0);
    size_t second = first == STR_NOT_FOUND ? first : str_find_char(token, '.', first + 1);
    if (token.len > JWT_TOKEN_BYTES_MAX || second == STR_NOT_FOUND) {
        return JWT_MALFORMED;
    }
    struct str header_json;
    struct str payload_json;
    struct str signature;
    struct header h = {0};
    if (!base64url_decode(&op->arena, str_slice(token, 0, first), &header_json) ||
        !base64url_decode(&op->arena, str_slice(token, first + 1, second), &payload_json) ||
        !base64url_decode(&op->arena, str_from(token, second + 1), &signature) ||
        !read_header(op, header_json, &h)) {
        return JWT_MALFORMED;
    }
    enum jwt_verdict verdict = check_signature(keys, &h, str_slice(token, 0, second), signature);
    return verdict == JWT_VALID ? check_claims(op, policy, payload_json, now) : verdict;
}

enum jwt_verdict jwt_check(const struct jwt_keys *keys, const struct jwt_policy *policy,
                           struct str token, wall_t now)
{
    CHECK(policy->claim_count <= JWT_CLAIMS_MAX);
    auto_op struct op op;
    op_init(&op);
    return check(&op, keys, policy, token, now);
}

const char *jwt_verdict_text(enum jwt_verdict verdict)
{
    static const char *const texts[] = {
        [JWT_VALID] = "valid",
        [JWT_MALFORMED] = "malformed",
        [JWT_NO_KEY] = "signed by a key that the key set does not have",
        [JWT_BAD_SIGNATURE] = "not signed by the key that it names",
        [JWT_EXPIRED] = "expired, or not valid yet",
        [JWT_WRONG_CLAIM] = "without a claim that is asked for",
    };
    return texts[verdict];
}
