#include "crypt/sealer.h"
#include "test.h"

TEST(a_sealed_text_opens_with_its_key_and_only_unchanged)
{
    struct seal_key key = {.bytes = {1, 2, 3}};
    struct seal_key other_key = {.bytes = {1, 2, 4}};
    struct sealer one;
    struct sealer two;
    struct sealer other;
    sealer_init(&one, &key);
    sealer_init(&two, &key);
    sealer_init(&other, &other_key);
    uint8_t sealed[28 + SEAL_MORE_BYTES];
    uint8_t again[28 + SEAL_MORE_BYTES];
    uint8_t text[28];
    for (int i = 0; i < 100; i++) {
        sealer_close(&one, "0123456789abcdefghijklmnopqr", 28, sealed);
        EXPECT(sealer_open(&two, sealed, sizeof(sealed), text));
        EXPECT(memcmp(text, "0123456789abcdefghijklmnopqr", 28) == 0);
    }
    sealer_close(&one, "0123456789abcdefghijklmnopqr", 28, again);
    EXPECT(memcmp(sealed, again, sizeof(sealed)) != 0); /* another nonce */
    EXPECT(!sealer_open(&other, sealed, sizeof(sealed), text));
    for (size_t i = 0; i < sizeof(sealed); i++) {
        sealed[i] ^= 1;
        EXPECT(!sealer_open(&two, sealed, sizeof(sealed), text));
        sealed[i] ^= 1;
    }
    EXPECT(!sealer_open(&two, sealed, sizeof(sealed) - 1, text));
    EXPECT(!sealer_open(&two, sealed, SEAL_MORE_BYTES - 1, text));
    EXPECT(sealer_open(&two, sealed, sizeof(sealed), text));
    sealer_fini(&one);
    sealer_fini(&two);
    sealer_fini(&other);
}
