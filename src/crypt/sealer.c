#include "crypt/sealer.h"

#include "base/check.h"
#include "base/rand.h"

#include <openssl/evp.h>

#define NONCE_BYTES  12
#define TAG_BYTES    16
#define RANDOM_BYTES 8

void sealer_init(struct sealer *s, const struct seal_key *key)
{
    *s = (struct sealer){.opens = EVP_CIPHER_CTX_new(), .closes = EVP_CIPHER_CTX_new()};
    CHECK(s->opens != NULL && s->closes != NULL);
    CHECK(EVP_DecryptInit_ex(s->opens, EVP_aes_256_gcm(), NULL, key->bytes, NULL) == 1);
    CHECK(EVP_EncryptInit_ex(s->closes, EVP_aes_256_gcm(), NULL, key->bytes, NULL) == 1);
    rand_bytes(s->nonce, RANDOM_BYTES);
}

void sealer_fini(struct sealer *s)
{
    EVP_CIPHER_CTX_free(s->opens);
    EVP_CIPHER_CTX_free(s->closes);
    *s = (struct sealer){0};
}

static void next_nonce(struct sealer *s)
{
    if (++s->nonce_count == 0) {
        rand_bytes(s->nonce, RANDOM_BYTES);
    }
    memcpy(s->nonce + RANDOM_BYTES, &s->nonce_count, sizeof(s->nonce_count));
}

void sealer_close(struct sealer *s, const void *text, size_t len, uint8_t *ret_sealed)
{
    CHECK(len <= SEAL_BYTES_MAX);
    EVP_CIPHER_CTX *c = s->closes;
    uint8_t *behind = ret_sealed + NONCE_BYTES + len;
    int written = 0;
    next_nonce(s);
    memcpy(ret_sealed, s->nonce, NONCE_BYTES);
    CHECK(EVP_EncryptInit_ex(c, NULL, NULL, NULL, s->nonce) == 1);
    CHECK(EVP_EncryptUpdate(c, ret_sealed + NONCE_BYTES, &written, text, (int)len) == 1);
    CHECK(EVP_EncryptFinal_ex(c, behind, &written) == 1);
    CHECK(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, behind) == 1);
}

bool sealer_open(struct sealer *s, const uint8_t *sealed, size_t len, uint8_t *ret_text)
{
    if (len < SEAL_MORE_BYTES || len > SEAL_BYTES_MAX + SEAL_MORE_BYTES) {
        return false;
    }
    EVP_CIPHER_CTX *c = s->opens;
    size_t text_len = len - SEAL_MORE_BYTES;
    uint8_t tag[TAG_BYTES];
    uint8_t none[TAG_BYTES];
    int written = 0;
    memcpy(tag, sealed + NONCE_BYTES + text_len, TAG_BYTES);
    return EVP_DecryptInit_ex(c, NULL, NULL, NULL, sealed) == 1 &&
           EVP_DecryptUpdate(c, ret_text, &written, sealed + NONCE_BYTES, (int)text_len) == 1 &&
           EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1 &&
           EVP_DecryptFinal_ex(c, none, &written) == 1;
}
