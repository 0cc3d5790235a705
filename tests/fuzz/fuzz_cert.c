/* PEM of strangers: certificates, keys, chains, bundles, revocation lists. What is read is written
 * anew, and reads the same once more. */

#include "base/check.h"
#include "base/op.h"
#include "crypt/cert.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    auto_op struct op op;
    op_init(&op);
    struct arena *a = &op.arena;
    struct str text = str_make((const char *)bytes, count);
    struct cert_facts facts = {0};
    struct cert_facts again = {0};
    struct str first = STR_NONE;
    struct str rest = STR_NONE;
    struct str same = STR_NONE;
    size_t items = 0;
    if (cert_read(a, text, &facts) == CERT_FINE) {
        CHECK(cert_read(a, facts.pem, &again) == CERT_FINE);
        CHECK(str_equal(facts.pem, again.pem));
        (void)cert_read_key(a, text, facts.pem, &same);
    }
    if (cert_split(a, text, &first, &rest) == CERT_FINE) {
        (void)cert_read_chain(a, first, rest, &same);
    }
    (void)cert_read_bundle(a, text, &same, &items);
    if (cert_read_revocations(a, text, &same, &items) == CERT_FINE) {
        CHECK(cert_read_revocations(a, same, &first, &items) == CERT_FINE);
    }
    return 0;
}
