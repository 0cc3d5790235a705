#include "crypt/siphash.h"
#include "test.h"

/* The paper's appendix: key 00 01 ... 0f, text 00 01 ... 0e. */
TEST(siphash_gives_the_papers_value)
{
    struct siphash_key key = {.k0 = 0x0706050403020100u, .k1 = 0x0f0e0d0c0b0a0908u};
    char text[15];
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (char)i;
    }
    EXPECT(siphash_of(&key, str_make(text, sizeof(text))) == 0xa129ca6149be45e5u);
    EXPECT(siphash_of(&key, STR("")) == 0x726fdb47dd0e0e31u); /* of the empty text */
    EXPECT(siphash_of(&key, STR("12345678")) != siphash_of(&key, STR("12345679")));
}
