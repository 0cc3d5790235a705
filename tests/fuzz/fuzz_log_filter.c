/* Filter patterns of log events: the first line is the pattern, the rest the message. Whatever
 * parses matches or not, and says the same twice. */

#include "base/check.h"
#include "fuzz.h"
#include "svc/logs/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    auto_op struct op op;
    op_init(&op);
    struct str text = str_make((const char *)bytes, count);
    struct str pattern = text;
    struct str message = STR("{\"a\":{\"b\":[1,\"x\"]},\"level\":\"error\"}");
    (void)str_cut(text, '\n', &pattern, &message);
    struct logs_filter filter = {0};
    if (logs_filter_parse(&op, pattern, &filter) == ERR_OK) {
        bool is_match = logs_filter_matches(&filter, message, &op.arena);
        CHECK(logs_filter_matches(&filter, message, &op.arena) == is_match);
    }
    return 0;
}
