#include "tlspol/tlspol.h"

#include "base/check.h"

enum {
    V10 = TLSPOL_V10,
    V11 = TLSPOL_V11,
    V12 = TLSPOL_V12,
    V13 = TLSPOL_V13,
    FIPS = TLSPOL_13,
    NEW = TLSPOL_13 | TLSPOL_13_CHACHA,
    GCM = TLSPOL_GCM128 | TLSPOL_GCM256,
    FORWARD = GCM | TLSPOL_SHA128 | TLSPOL_SHA256,
    FORWARD_OLD = TLSPOL_OLD128 | TLSPOL_OLD256,
    EVERYTHING = FORWARD | FORWARD_OLD | TLSPOL_RSA_NEW | TLSPOL_RSA_OLD,
};

static const struct tlspol_cipher ciphers[] = {
#define X(name, set) {STR_INIT(name), set},
#include "tlspol/ciphers.def"
#undef X
};

static const struct tlspol policies[] = {
#define X(name, versions, sets) {STR_INIT("ELBSecurityPolicy-" name), versions, sets},
#include "tlspol/policies.def"
#undef X
};
_Static_assert(ARRAY_COUNT(policies) <= TLSPOL_POLICIES_MAX, "TLSPOL_POLICIES_MAX holds all");

size_t tlspol_count(void)
{
    return ARRAY_COUNT(policies);
}

const struct tlspol *tlspol_at(size_t index)
{
    CHECK(index < ARRAY_COUNT(policies));
    return &policies[index];
}

const struct tlspol *tlspol_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_COUNT(policies); i++) {
        if (str_equal(policies[i].name, name)) {
            return &policies[i];
        }
    }
    return NULL;
}

size_t tlspol_cipher_count(void)
{
    return ARRAY_COUNT(ciphers);
}

const struct tlspol_cipher *tlspol_cipher_at(size_t index)
{
    CHECK(index < ARRAY_COUNT(ciphers));
    return &ciphers[index];
}

struct str tlspol_version_name(size_t index)
{
    static const struct str names[] = {STR_INIT("TLSv1"), STR_INIT("TLSv1.1"), STR_INIT("TLSv1.2"),
                                       STR_INIT("TLSv1.3")};
    CHECK(index < ARRAY_COUNT(names));
    return names[index];
}

struct str tlspol_cipher_list(struct arena *a, const struct tlspol *policy, bool is_tls13)
{
    struct str list = STR("");
    for (size_t i = 0; i < ARRAY_COUNT(ciphers); i++) {
        bool is_new = (ciphers[i].set & NEW) != 0;
        if ((ciphers[i].set & policy->sets) != 0 && is_new == is_tls13) {
            list = arena_printf(a, "%.*s%s%.*s", STR_ARG(list), list.len == 0 ? "" : ":",
                                STR_ARG(ciphers[i].name));
        }
    }
    return list;
}
