/* A pattern, a zero, a text: refused or compiled, and matched within its time whatever both are.
 * What is found lies in the text. */

#include "base/check.h"
#include "regex/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static struct regex_scratch *scratch;
    const uint8_t *zero = count == 0 ? NULL : memchr(bytes, 0, count);
    if (zero == NULL) {
        return 0;
    }
    struct str pattern = str_make((const char *)bytes, (size_t)(zero - bytes));
    struct str text = str_make((const char *)zero + 1, count - pattern.len - 1);
    struct regex *regex = NULL;
    auto_op struct op op;
    op_init(&op);
    if (regex_compile(&op, pattern, pattern.len % 2 == 0, &regex) != ERR_OK) {
        CHECK(op.note.text[0] != '\0');
        return 0;
    }
    CHECK(regex_refused(pattern) == NULL);
    if (scratch == NULL) {
        scratch = regex_scratch_new();
    }
    struct regex_match m;
    if (regex_find(regex, scratch, text, &m) == REGEX_YES) {
        CHECK(m.group_count == regex_group_count(regex) + 1);
        for (size_t i = 0; i < m.group_count; i++) {
            CHECK(m.groups[i].from == STR_NOT_FOUND ||
                  (m.groups[i].from <= m.groups[i].to && m.groups[i].to <= text.len));
        }
    }
    regex_free(regex);
    return 0;
}
