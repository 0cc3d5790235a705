#include "crypt/seal.h"

#include "base/check.h"
#include "base/cleanup.h"
#include "base/rand.h"

#include <openssl/evp.h>

#define NONCE_BYTES 12
#define TAG_BYTES   16

_Static_assert(SEAL_MORE_BYTES == NONCE_BYTES + TAG_BYTES, "nonce in front, tag behind");

static void free_context(EVP_CIPHER_CTX **c)
{
    EVP_CIPHER_CTX_free(*c);
}

static const uint8_t *bytes_of(struct str s)
{
    return (const uint8_t *)(s.len == 0 ? "" : s.ptr);
}

struct str seal_close(struct arena *a, const struct seal_key *key, struct str purpose,
                      struct str text)
{
    CHECK(text.len <= SEAL_BYTES_MAX && purpose.len <= SEAL_BYTES_MAX);
    uint8_t *out = arena_alloc(a, text.len + SEAL_MORE_BYTES);
    int len = 0;
    AUTO(free_context) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    CHECK(c != NULL);
    rand_bytes(out, NONCE_BYTES);
    CHECK(EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key->bytes, out) == 1);
    CHECK(EVP_EncryptUpdate(c, NULL, &len, bytes_of(purpose), (int)purpose.len) == 1);
    CHECK(EVP_EncryptUpdate(c, out + NONCE_BYTES, &len, bytes_of(text), (int)text.len) == 1);
    CHECK(EVP_EncryptFinal_ex(c, out + NONCE_BYTES + text.len, &len) == 1);
    CHECK(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, out + NONCE_BYTES + text.len) ==
          1);
    return str_make((const char *)out, text.len + SEAL_MORE_BYTES);
}

bool seal_open(struct arena *a, const struct seal_key *key, struct str purpose, struct str sealed,
               struct str *ret_text)
{
    if (sealed.len < SEAL_MORE_BYTES || sealed.len > SEAL_BYTES_MAX + SEAL_MORE_BYTES ||
        purpose.len > SEAL_BYTES_MAX) {
        return false;
    }
    size_t text_len = sealed.len - SEAL_MORE_BYTES;
    const uint8_t *in = bytes_of(sealed);
    uint8_t *text = arena_alloc(a, text_len + 1);
    uint8_t tag[TAG_BYTES];
    int len = 0;
    memcpy(tag, in + NONCE_BYTES + text_len, TAG_BYTES);
    AUTO(free_context) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    CHECK(c != NULL);
    CHECK(EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, key->bytes, in) == 1);
    CHECK(EVP_DecryptUpdate(c, NULL, &len, bytes_of(purpose), (int)purpose.len) == 1);
    CHECK(EVP_DecryptUpdate(c, text, &len, in + NONCE_BYTES, (int)text_len) == 1);
    CHECK(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1);
    if (EVP_DecryptFinal_ex(c, text + text_len, &len) != 1) {
        explicit_bzero(text, text_len); /* unproven text is not left lying about */
        return false;
    }
    *ret_text = str_make((const char *)text, text_len);
    return true;
}
