#include "base/check.h"
#include "test.h"
#include "tlspol/tlspol.h"

static bool lists(struct str list, struct str name)
{
    struct str part;
    while (str_next(&list, ':', &part)) {
        if (str_equal(part, name)) {
            return true;
        }
    }
    return false;
}

static struct str ciphers_of(struct arena *a, const char *name, bool is_tls13)
{
    const struct tlspol *p = tlspol_find(str_of(name));
    REQUIRE(p != NULL);
    return tlspol_cipher_list(a, p, is_tls13);
}

/* ELB user guide, "Ciphers by policy": rows that differ by what the names say. */
TEST(policies_have_the_ciphers_that_aws_lists)
{
    struct arena a;
    arena_init(&a);
    EXPECT_STR(ciphers_of(&a, "ELBSecurityPolicy-TLS13-1-2-Res-2021-06", false),
               "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
               "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384");
    EXPECT_STR(ciphers_of(&a, "ELBSecurityPolicy-TLS13-1-2-Res-2021-06", true),
               "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
    EXPECT_STR(ciphers_of(&a, "ELBSecurityPolicy-TLS13-1-3-FIPS-2023-04", true),
               "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384");
    EXPECT_STR(ciphers_of(&a, "ELBSecurityPolicy-TLS13-1-3-2021-06", false), "");
    EXPECT_STR(ciphers_of(&a, "ELBSecurityPolicy-2016-08", true), "");
    struct str ext1 = ciphers_of(&a, "ELBSecurityPolicy-TLS13-1-2-Ext1-2021-06", false);
    EXPECT(lists(ext1, STR("AES256-SHA256")) && !lists(ext1, STR("AES256-SHA")));
    struct str ext0 = ciphers_of(&a, "ELBSecurityPolicy-TLS13-1-2-Ext0-FIPS-2023-04", false);
    EXPECT(lists(ext0, STR("ECDHE-RSA-AES256-SHA")) && !lists(ext0, STR("AES128-GCM-SHA256")));
    struct str oldest = ciphers_of(&a, "ELBSecurityPolicy-TLS-1-0-2015-04", false);
    EXPECT(lists(oldest, STR("DES-CBC3-SHA")));
    EXPECT_STR_EQ(ciphers_of(&a, "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09", false),
                  ciphers_of(&a, "ELBSecurityPolicy-TLS13-1-2-Res-2021-06", false));
    arena_fini(&a);
}

TEST(every_policy_can_be_found_and_makes_sense)
{
    struct arena a;
    arena_init(&a);
    for (size_t i = 0; i < tlspol_count(); i++) {
        const struct tlspol *p = tlspol_at(i);
        EXPECT(tlspol_find(p->name) == p);
        bool has_new = (p->versions & TLSPOL_V13) != 0;
        bool has_old = (p->versions & ~(unsigned)TLSPOL_V13) != 0;
        EXPECT_EQ(tlspol_cipher_list(&a, p, true).len > 0, has_new);
        EXPECT_EQ(tlspol_cipher_list(&a, p, false).len > 0, has_old);
        /* versions without a gap, as one span from oldest to newest */
        unsigned lowest = p->versions & -p->versions;
        EXPECT_EQ((p->versions + lowest) & p->versions, 0);
    }
    EXPECT(tlspol_find(TLSPOL_DEFAULT) != NULL);
    EXPECT(tlspol_find(TLSPOL_BACKEND) != NULL);
    EXPECT(tlspol_find(STR("ELBSecurityPolicy-")) == NULL);
    EXPECT(tlspol_find(STR("ELBSecurityPolicy-TLS13-1-2-RFC9151-FIPS-2023-07")) == NULL);
    arena_fini(&a);
}
