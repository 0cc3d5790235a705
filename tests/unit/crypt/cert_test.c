/* Certificates: reading, chains, keys, making; secrets at rest; signatures of ACME. */
#include "crypt/cert.h"

#include "crypt/envelope.h"
#include "crypt/es256.h"
#include "test.h"

#include <sys/stat.h>
#include <unistd.h>

/* err.h of ours and OpenSSL's do not go together, so the tests use this module's own makers. */
struct family {
    struct str root;
    struct str root_key;
    struct str leaf;
    struct str leaf_key;
};

static struct cert_dates dates(int64_t from_days, int64_t to_days)
{
    int64_t day = (int64_t)86400 * 1000000;
    int64_t now = clock_wall().us / 1000000 * 1000000;
    return (struct cert_dates){{now + from_days * day}, {now + to_days * day}};
}

static struct family make_family(struct arena *a, enum cert_key kind)
{
    static const struct str names[] = {STR_INIT("shop.example.com"),
                                       STR_INIT("*.shop.example.com")};
    struct family f = {.root_key = cert_make_key(a, CERT_KEY_EC_P256),
                       .leaf_key = cert_make_key(a, kind)};
    f.root = cert_make_authority(a, f.root_key, STR("Test Root"), dates(-1, 100));
    f.leaf = cert_make_leaf(a, f.root, f.root_key, f.leaf_key, names, 2, dates(-1, 30));
    return f;
}

static struct str join(struct arena *a, struct str first, struct str second)
{
    return arena_printf(a, "%.*s%.*s", STR_ARG(first), STR_ARG(second));
}

TEST(the_facts_of_a_certificate_are_read)
{
    auto_op struct op op;
    op_init(&op);
    struct family f = make_family(&op.arena, CERT_KEY_EC_P384);
    struct cert_facts facts = {0};
    struct str text =
        arena_printf(&op.arena, "Bag Attributes\n  x: 1\n%.*strailing words\n", STR_ARG(f.leaf));
    REQUIRE_EQ(cert_read(&op.arena, text, &facts), CERT_FINE);
    EXPECT_STR_EQ(facts.pem, f.leaf);
    EXPECT_STR(facts.subject, "CN=shop.example.com");
    EXPECT_STR(facts.common_name, "shop.example.com");
    EXPECT_STR(facts.issuer, "Test Root");
    REQUIRE_EQ(facts.names.count, 2);
    EXPECT_STR(facts.names.items[1], "*.shop.example.com");
    EXPECT_EQ(facts.key, CERT_KEY_EC_P384);
    EXPECT_STR(facts.signature_algorithm, "SHA256WITHECDSA");
    EXPECT_EQ(facts.not_after.us, dates(-1, 30).not_after.us);
    EXPECT(facts.has_key_usage);
    EXPECT_EQ(facts.key_usage, 1u << 0 | 1u << 2);
    REQUIRE_EQ(facts.extended_usages.count, 2);
    EXPECT_STR(facts.extended_usages.items[0], "1.3.6.1.5.5.7.3.1");
    EXPECT(!facts.is_authority);
    EXPECT(!facts.is_self_signed);
    EXPECT_EQ(facts.serial.len, 16 * 3 - 1);
    REQUIRE_EQ(cert_read(&op.arena, f.root, &facts), CERT_FINE);
    EXPECT(facts.is_authority);
    EXPECT(facts.is_self_signed);
}

TEST(what_is_no_single_certificate_is_told_apart)
{
    auto_op struct op op;
    op_init(&op);
    struct family f = make_family(&op.arena, CERT_KEY_EC_P256);
    struct cert_facts facts = {0};
    EXPECT_EQ(cert_read(&op.arena, STR(""), &facts), CERT_NOT_PEM);
    EXPECT_EQ(cert_read(&op.arena, STR("words"), &facts), CERT_NOT_PEM);
    EXPECT_EQ(cert_read(&op.arena, f.leaf_key, &facts), CERT_NOT_PEM);
    EXPECT_EQ(cert_read(&op.arena, join(&op.arena, f.leaf, f.root), &facts), CERT_SEVERAL);
    for (size_t cut = 30; cut < f.leaf.len - 1; cut += 97) {
        EXPECT_EQ(cert_read(&op.arena, str_slice(f.leaf, 0, cut), &facts), CERT_NOT_PEM);
    }
    struct str first = STR_NONE;
    struct str rest = STR_NONE;
    REQUIRE_EQ(cert_split(&op.arena, join(&op.arena, f.leaf, f.root), &first, &rest), CERT_FINE);
    EXPECT_STR_EQ(first, f.leaf);
    EXPECT_STR_EQ(rest, f.root);
}

TEST(a_chain_is_signed_from_the_leaf_upwards)
{
    auto_op struct op op;
    op_init(&op);
    struct arena *a = &op.arena;
    struct family f = make_family(a, CERT_KEY_EC_P256);
    struct family other = make_family(a, CERT_KEY_EC_P256);
    struct str chain = STR_NONE;
    EXPECT_EQ(cert_read_chain(a, f.leaf, f.root, &chain), CERT_FINE);
    EXPECT_STR_EQ(chain, f.root);
    EXPECT_EQ(cert_read_chain(a, f.leaf, other.root, &chain), CERT_CHAIN_BROKEN);
    EXPECT_EQ(cert_read_chain(a, f.leaf, other.leaf, &chain), CERT_CHAIN_BROKEN);
    EXPECT_EQ(cert_read_chain(a, f.leaf, join(a, f.root, other.root), &chain), CERT_CHAIN_BROKEN);
    EXPECT_EQ(cert_read_chain(a, f.leaf, STR_NONE, &chain), CERT_CHAIN_MISSING);
    EXPECT_EQ(cert_read_chain(a, f.root, STR_NONE, &chain), CERT_FINE);
    EXPECT_EQ(cert_read_chain(a, f.leaf, STR("words"), &chain), CERT_NOT_PEM);
}

TEST(a_key_must_be_the_certificates_and_in_clear)
{
    auto_op struct op op;
    op_init(&op);
    struct arena *a = &op.arena;
    static const enum cert_key kinds[] = {CERT_KEY_RSA_2048, CERT_KEY_EC_P256, CERT_KEY_EC_P521};
    for (size_t i = 0; i < 3; i++) {
        struct family f = make_family(a, kinds[i]);
        struct cert_facts facts = {0};
        struct str key = STR_NONE;
        EXPECT_EQ(cert_read(a, f.leaf, &facts), CERT_FINE);
        EXPECT_EQ(facts.key, kinds[i]);
        REQUIRE_EQ(cert_read_key(a, f.leaf_key, f.leaf, &key), CERT_FINE);
        EXPECT_STR_EQ(key, f.leaf_key);
        EXPECT_EQ(cert_read_key(a, f.root_key, f.leaf, &key), CERT_KEY_MISMATCH);
        EXPECT_EQ(cert_read_key(a, STR("words"), f.leaf, &key), CERT_KEY_NOT_PEM);
        struct str locked = cert_encrypt_key(a, f.leaf_key, STR("passphrase"));
        EXPECT(str_starts_with(locked, STR("-----BEGIN ENCRYPTED PRIVATE KEY-----")));
        EXPECT_EQ(cert_read_key(a, locked, f.leaf, &key), CERT_KEY_ENCRYPTED);
    }
}

TEST(a_bundle_holds_authorities_only)
{
    auto_op struct op op;
    op_init(&op);
    struct arena *a = &op.arena;
    struct family f = make_family(a, CERT_KEY_EC_P256);
    struct family other = make_family(a, CERT_KEY_EC_P256);
    struct str pem = STR_NONE;
    size_t count = 0;
    EXPECT_EQ(cert_read_bundle(a, join(a, f.root, other.root), &pem, &count), CERT_FINE);
    EXPECT_EQ(count, 2);
    EXPECT_EQ(cert_read_bundle(a, join(a, f.root, f.leaf), &pem, &count), CERT_NO_AUTHORITY);
    EXPECT_EQ(cert_read_bundle(a, STR(""), &pem, &count), CERT_NOT_PEM);
    EXPECT_EQ(cert_read_revocations(a, f.root, &pem, &count), CERT_NOT_PEM);
}

TEST(a_cleared_secret_is_gone)
{
    auto_op struct op op;
    op_init(&op);
    struct str key = cert_make_key(&op.arena, CERT_KEY_EC_P256);
    EXPECT(str_starts_with(key, STR("-----BEGIN PRIVATE KEY-----")));
    cert_clear(key);
    for (size_t i = 0; i < key.len; i++) {
        EXPECT_EQ(key.ptr[i], 0);
    }
    cert_clear(STR_NONE);
}

TEST(the_key_file_is_made_once_and_not_for_others)
{
    auto_op struct op op;
    op_init(&op);
    struct str folder = str_of(test_folder());
    struct seal_key first = {0};
    struct seal_key again = {0};
    struct str path = arena_printf(&op.arena, "%.*s/secret.key", STR_ARG(folder));
    struct stat st = {0};
    REQUIRE_OK(envelope_key_load(&op, folder, &first), &op);
    REQUIRE_OK(envelope_key_load(&op, folder, &again), &op);
    EXPECT_EQ(memcmp(&first, &again, sizeof(first)), 0);
    REQUIRE_EQ(stat(path.ptr, &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600);
    EXPECT_EQ(st.st_size, SEAL_KEY_BYTES);
    REQUIRE_EQ(chmod(path.ptr, 0640), 0);
    EXPECT_EQ(envelope_key_load(&op, folder, &again), ERR_DENIED);
    REQUIRE_EQ(chmod(path.ptr, 0600), 0);
    REQUIRE_EQ(truncate(path.ptr, 7), 0);
    EXPECT_EQ(envelope_key_load(&op, folder, &again), ERR_INPUT);
}

TEST(an_envelope_opens_for_its_row_alone)
{
    auto_op struct op op;
    op_init(&op);
    struct seal_key key = {.bytes = {1, 2, 3}};
    struct seal_key other = {.bytes = {1, 2, 4}};
    struct str text = STR_NONE;
    struct str envelope = envelope_close(&op.arena, &key, STR("row 1"), STR("the secret"));
    EXPECT(str_starts_with(envelope, STR("v1:")));
    EXPECT(str_find(envelope, STR("the secret"), 0) == STR_NOT_FOUND);
    REQUIRE(envelope_open(&op.arena, &key, STR("row 1"), envelope, &text));
    EXPECT_STR(text, "the secret");
    EXPECT(!envelope_open(&op.arena, &key, STR("row 2"), envelope, &text));
    EXPECT(!envelope_open(&op.arena, &other, STR("row 1"), envelope, &text));
    EXPECT(!envelope_open(&op.arena, &key, STR("row 1"), STR("v1:"), &text));
    EXPECT(!envelope_open(&op.arena, &key, STR("row 1"), STR("v2:AAAA"), &text));
    for (size_t i = 3; i < envelope.len; i++) {
        struct str changed = arena_str(&op.arena, envelope);
        ((char *)(uintptr_t)changed.ptr)[i] = changed.ptr[i] == 'A' ? 'B' : 'A';
        EXPECT(!envelope_open(&op.arena, &key, STR("row 1"), changed, &text));
    }
}

/* RFC 7638: members in order, no blanks. */
TEST(a_jwk_has_the_form_that_thumbprints_are_made_of)
{
    auto_op struct op op;
    op_init(&op);
    struct str key = cert_make_key(&op.arena, CERT_KEY_EC_P256);
    struct str jwk = es256_jwk(&op.arena, key);
    EXPECT(
        str_match(STR("{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"*\",\"y\":\"*\"}"), jwk, false));
    EXPECT_EQ(jwk.len, strlen("{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"\",\"y\":\"\"}") + 2 * 43);
    EXPECT_EQ(es256_thumbprint(&op.arena, key).len, 43);
    EXPECT_EQ(es256_sign(&op.arena, key, STR("text")).len, ES256_BYTES);
}
