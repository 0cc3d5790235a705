/* Decisions of TLS that need no socket. */

#include "base/check.h"
#include "lb/limits.h"
#include "lb/tls_choose.h"
#include "lb/tls_ticket.h"
#include "test.h"

#define BYTES(literal) str_make(literal, sizeof(literal) - 1)

/* RFC 8446 4.2.3: in TLS 1.3 the curve belongs to the scheme, and PKCS #1 signs certificates only;
 * before, the cipher says which kind of key it is. */
TEST(a_client_hello_says_which_keys_it_can_verify)
{
    static const struct {
        const char *what;
        struct lb_tls_offer offer;
        unsigned kinds;
    } cases[] = {
        {"TLS 1.3 with one curve",
         {.signature_algorithms = {"\x04\x03\x08\x04", 4},
          .versions = {"\x03\x04", 2},
          .ciphers = {"\x13\x01", 2},
          .may_be_13 = true},
         LB_TLS_P256 | LB_TLS_RSA},
        {"TLS 1.3 with PKCS #1 alone",
         {.signature_algorithms = {"\x04\x01\x05\x03", 4},
          .versions = {"\x03\x03\x03\x04", 4},
          .ciphers = {"\x13\x01", 2},
          .may_be_13 = true},
         LB_TLS_P384},
        {"the policy knows no TLS 1.3, and no cipher is for ECDSA",
         {.signature_algorithms = {"\x04\x03\x04\x01", 4},
          .versions = {"\x03\x04\x03\x03", 4},
          .ciphers = {"\xc0\x2f\x13\x01", 4}},
         LB_TLS_RSA},
        {"TLS 1.2 with ECDSA",
         {.signature_algorithms = {"\x04\x03\x04\x01", 4}, .ciphers = {"\xc0\x2f\xc0\x2b", 4}},
         LB_TLS_RSA | LB_TLS_ECDSA},
        {"TLS 1.0 says nothing of signatures",
         {.ciphers = {"\xc0\x09\x00\x2f", 4}},
         LB_TLS_RSA | LB_TLS_ECDSA},
        {"TLS 1.0 with RSA", {.ciphers = {"\x00\x2f", 2}}, LB_TLS_RSA},
        {"a byte too few", {.signature_algorithms = {"\x04", 1}, .ciphers = {"\xc0", 1}}, 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        test_context(cases[i].what, i);
        EXPECT_EQ(lb_tls_kinds(&cases[i].offer), cases[i].kinds);
    }
}

/* ALB: what the client can verify, key algorithm, hash, key length, validity. */
TEST(the_better_certificate_is_the_one_that_alb_prefers)
{
    const struct lb_tls_rank base = {
        .kind = LB_TLS_RSA, .strength_bits = 2048, .from_s = 0, .until_s = 1000};
    struct lb_tls_rank ecdsa = base;
    ecdsa.kind = LB_TLS_P256;
    ecdsa.strength_bits = 256;
    struct lb_tls_rank weak = base;
    weak.is_weak_hash = true;
    weak.strength_bits = 4096;
    struct lb_tls_rank longer = base;
    longer.strength_bits = 4096;
    struct lb_tls_rank later = base;
    later.until_s = 2000;
    struct lb_tls_rank over = ecdsa;
    over.until_s = 400;
    const unsigned all = LB_TLS_RSA | LB_TLS_ECDSA;
    const struct {
        const struct lb_tls_rank *better;
        const struct lb_tls_rank *worse;
        unsigned kinds;
    } cases[] = {
        {&ecdsa, &longer, all},      {&base, &ecdsa, LB_TLS_RSA}, {&base, &weak, all},
        {&longer, &base, all},       {&later, &base, all},        {&base, &over, all},
        {&over, &base, LB_TLS_P256}, /* what a client cannot verify is worse than what is over */
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        test_context("case", i);
        EXPECT(lb_tls_is_better(cases[i].better, cases[i].worse, cases[i].kinds, 500));
        EXPECT(!lb_tls_is_better(cases[i].worse, cases[i].better, cases[i].kinds, 500));
    }
    EXPECT(!lb_tls_is_better(&base, &base, all, 500));
}

TEST(names_are_folded_or_refused)
{
    char room[256];
    struct str folded;
    EXPECT(lb_tls_fold_name(STR("WWW.Example.COM."), room, &folded));
    EXPECT_STR(folded, "www.example.com");
    EXPECT(!lb_tls_fold_name(STR(""), room, &folded));
    EXPECT(!lb_tls_fold_name(STR("."), room, &folded));
    EXPECT(!lb_tls_fold_name(BYTES("a\0b"), room, &folded));
    EXPECT(!lb_tls_fold_name(STR("a b"), room, &folded));
    char longest[254];
    memset(longest, 'a', sizeof(longest));
    EXPECT(lb_tls_fold_name(str_make(longest, 253), room, &folded));
    EXPECT(!lb_tls_fold_name(str_make(longest, 254), room, &folded));
}

static mono_t at(int64_t rotations)
{
    return (mono_t){.us = 5 + rotations * LB_TLS_TICKET_ROTATION.us};
}

/* The newest key seals, two older ones open, older ones are forgotten. */
TEST(ticket_keys_are_rotated_and_two_older_ones_still_open)
{
    struct lb_tls_tickets t;
    struct lb_tls_ticket_key first;
    struct lb_tls_ticket_key key;
    bool is_old = true;
    lb_tls_tickets_init(&t, at(0));
    lb_tls_tickets_newest(&t, at(0), &first);
    EXPECT(lb_tls_tickets_find(&t, at(0), first.name, &key, &is_old));
    EXPECT(!is_old);
    EXPECT_EQ(memcmp(&key, &first, sizeof(key)), 0);
    lb_tls_tickets_newest(&t, at(1), &key);
    EXPECT(memcmp(key.name, first.name, sizeof(key.name)) != 0);
    EXPECT(memcmp(key.cipher, first.cipher, sizeof(key.cipher)) != 0);
    EXPECT(lb_tls_tickets_find(&t, at(2), first.name, &key, &is_old));
    EXPECT(is_old);
    EXPECT(!lb_tls_tickets_find(&t, at(3), first.name, &key, &is_old));
    lb_tls_tickets_newest(&t, at(3), &first);
    EXPECT(!lb_tls_tickets_find(&t, at(9), first.name, &key, &is_old)); /* a process that slept */
    lb_tls_tickets_fini(&t);
}

/* A ticket lives no longer than the keys that open it. */
TEST(a_living_ticket_can_always_be_opened)
{
    EXPECT(DUR_S(LB_TLS_TICKET_LIFE_S).us <= LB_TLS_TICKET_ROTATION.us * (LB_TLS_TICKET_KEYS - 1));
}
