/* A key set, or a token: refused or read, never more. A token is judged against a set that takes
 * whatever kind of key the input had last. */

#include "base/check.h"
#include "jwt/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const struct str values[] = {STR_INIT("a"), STR_INIT("b")};
    static const struct jwt_claim claims[] = {{STR_INIT("s"), JWT_SPACE_SEPARATED, values, 2},
                                              {STR_INIT("l"), JWT_STRING_ARRAY, values, 2},
                                              {STR_INIT("t"), JWT_SINGLE_STRING, values, 2}};
    static struct jwt_keys *last;
    const struct jwt_policy policy = {STR("i"), claims, 3};
    struct str text = str_make((const char *)bytes, count);
    struct jwt_keys *keys = NULL;
    auto_op struct op op;
    op_init(&op);
    if (jwt_keys_read(&op, text, &keys) == ERR_OK) {
        CHECK(jwt_keys_count(keys) > 0 && jwt_keys_count(keys) <= JWT_KEYS_MAX);
        jwt_keys_free(last);
        last = keys;
    } else {
        CHECK(op.note.text[0] != '\0');
    }
    if (last != NULL) {
        (void)jwt_verdict_text(jwt_check(last, &policy, text, (wall_t){.us = 1}));
    }
    return 0;
}
