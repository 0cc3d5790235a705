/* Signatures: the first line is the Authorization header, the second the path, the third the query
 * string, the rest the body. Nothing that was not signed with our secret is ever accepted. */

#include "aws/sigv4.h"
#include "base/check.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    auto_op struct op op;
    struct str rest = str_make((const char *)bytes, count);
    struct str authorization = STR("");
    struct str path = STR("/");
    struct str query = STR("");
    struct str text = STR("");
    struct sigv4_claim claim;
    op_init(&op);
    (void)(str_next(&rest, '\n', &authorization) && str_next(&rest, '\n', &path) &&
           str_next(&rest, '\n', &query)); /* fewer lines: the others keep their value */
    const struct aws_header headers[] = {{STR("Host"), STR("localhost")},
                                         {STR("X-Amz-Date"), STR("20150830T123600Z")},
                                         {STR("Authorization"), authorization}};
    const struct aws_request request = {.method = STR("POST"),
                                        .path = path,
                                        .query = query,
                                        .headers = headers,
                                        .header_count = 3,
                                        .body = rest};
    if (sigv4_claim_read(&op.arena, &request, &claim, &text) == SIGV4_OK) {
        CHECK(sigv4_claim_check(&op.arena, NULL, &request, &claim, STR("service"),
                                STR("a secret that is not in any corpus"), claim.date,
                                &text) == SIGV4_MISMATCH);
    }
    return 0;
}
