#define PCRE2_CODE_UNIT_WIDTH 8
#include "regex/regex.h"

#include "base/check.h"
#include "base/mem.h"

#include <pcre2.h>
#include <time.h>

struct regex {
    pcre2_code *code;
    size_t group_count;
    bool is_anchored; /* one start position only */
};

struct regex_scratch {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack; /* NULL where there is no just-in-time compiler */
};

/* ---- what is refused ------------------------------------------------------------------------- */

/* Behind a backslash at `at`: what it is, and where the escape ends. */
static const char *refused_escape(struct str p, size_t *at)
{
    char c = *at + 1 < p.len ? p.ptr[*at + 1] : '\0';
    *at += 2;
    if (c >= '1' && c <= '9') {
        return "a backreference";
    }
    switch (c) {
    case 'k':
    case 'g':
        return "a backreference";
    case 'p':
    case 'P':
    case 'X':
        return "a Unicode character class";
    case 'K':
    case 'G':
    case 'C':
    case 'Q':
    case 'E':
        return "an escape other than a character, a class or an anchor";
    default:
        return NULL;
    }
}

/* "[" at `at`: past the "]". The first character may be "]" itself. */
static const char *refused_class(struct str p, size_t *at)
{
    (*at)++;
    if (*at < p.len && p.ptr[*at] == '^') {
        (*at)++;
    }
    bool is_first = true;
    while (*at < p.len && (is_first || p.ptr[*at] != ']')) {
        is_first = false;
        if (p.ptr[*at] == '\\') {
            const char *refused = refused_escape(p, at);
            if (refused != NULL) {
                return refused;
            }
            continue;
        }
        bool is_named = p.ptr[*at] == '[' && *at + 1 < p.len && p.ptr[*at + 1] == ':';
        size_t end = is_named ? str_find(p, STR(":]"), *at + 2) : STR_NOT_FOUND;
        *at = end == STR_NOT_FOUND ? *at + 1 : end + 2;
    }
    (*at)++;
    return NULL;
}

/* What stands behind "(?". Longer texts first. */
static const struct {
    struct str text;
    const char *refused;
} openings[] = {
    {STR_INIT("<="), "a lookbehind"},
    {STR_INIT("<!"), "a lookbehind"},
    {STR_INIT("="), "a lookahead"},
    {STR_INIT("!"), "a lookahead"},
    {STR_INIT(">"), "an atomic group"},
    {STR_INIT("P="), "a backreference"},
    {STR_INIT("P>"), "a subroutine"},
    {STR_INIT("&"), "a subroutine"},
    {STR_INIT("R"), "recursion"},
    {STR_INIT("("), "a conditional"},
    {STR_INIT("C"), "a callout"},
    {STR_INIT("|"), "a branch reset"},
    {STR_INIT("*"), "a verb"},
    {STR_INIT("+"), "a subroutine"},
    {STR_INIT("P<"), NULL},
    {STR_INIT("<"), NULL},
    {STR_INIT("'"), NULL},
    {STR_INIT("#"), NULL},
    {STR_INIT(":"), NULL},
};

static const char *refused_opening(struct str behind)
{
    if (str_starts_with(behind, STR("*"))) {
        return "a verb";
    }
    if (!str_starts_with(behind, STR("?"))) {
        return NULL;
    }
    struct str kind = str_from(behind, 1);
    for (size_t i = 0; i < ARRAY_COUNT(openings); i++) {
        if (str_starts_with(kind, openings[i].text)) {
            return openings[i].refused;
        }
    }
    char c = kind.len > 0 ? kind.ptr[0] : '\0';
    char next = kind.len > 1 ? kind.ptr[1] : '\0';
    bool is_number = (c >= '0' && c <= '9') || (c == '-' && next >= '0' && next <= '9');
    return is_number ? "a subroutine" : NULL; /* else flags: (?i) */
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Length of "{2}", "{2,}" or "{2,3}" at `at`; 0: it stands for itself. */
static size_t repeat_bytes(struct str p, size_t at)
{
    size_t i = at + 1;
    while (i < p.len && is_digit(p.ptr[i])) {
        i++;
    }
    if (i == at + 1) {
        return 0;
    }
    if (i < p.len && p.ptr[i] == ',') {
        i++;
        while (i < p.len && is_digit(p.ptr[i])) {
            i++;
        }
    }
    return i < p.len && p.ptr[i] == '}' ? i + 1 - at : 0;
}

static size_t quantifier_bytes(struct str p, size_t at)
{
    char c = p.ptr[at];
    if (c == '*' || c == '+' || c == '?') {
        return 1;
    }
    return c == '{' ? repeat_bytes(p, at) : 0;
}

const char *regex_refused(struct str p)
{
    size_t at = 0;
    while (at < p.len) {
        const char *refused = NULL;
        size_t quantifier = quantifier_bytes(p, at);
        if (quantifier > 0) {
            at += quantifier;
            if (at < p.len && p.ptr[at] == '+') {
                return "a possessive quantifier";
            }
            at += at < p.len && p.ptr[at] == '?';
        } else if (p.ptr[at] == '\\') {
            refused = refused_escape(p, &at);
        } else if (p.ptr[at] == '[') {
            refused = refused_class(p, &at);
        } else if (p.ptr[at] == '(') {
            refused = refused_opening(str_from(p, at + 1));
            at += at + 1 < p.len && p.ptr[at + 1] == '?' ? 2 : 1;
        } else {
            at++;
        }
        if (refused != NULL) {
            return refused;
        }
    }
    return NULL;
}

/* ---- compiling ------------------------------------------------------------------------------- */

static enum err fail_compile(struct op *op, struct str pattern, int code, size_t at)
{
    unsigned char text[256] = "";
    (void)pcre2_get_error_message(code, text, sizeof(text));
    return op_fail(op, ERR_INPUT, "the regular expression '%.*s' is not valid at character %zu: %s",
                   STR_ARG(pattern), at + 1, (const char *)text);
}

enum err regex_compile(struct op *op, struct str pattern, bool ignore_case,
                       struct regex **ret_regex)
{
    if (pattern.len > REGEX_PATTERN_BYTES_MAX) {
        return op_fail(op, ERR_LIMIT, "a regular expression has %zu bytes, the limit is %d",
                       pattern.len, REGEX_PATTERN_BYTES_MAX);
    }
    const char *refused = regex_refused(pattern);
    if (refused != NULL) {
        return op_fail(op, ERR_INPUT,
                       "the regular expression '%.*s' uses %s, which rules do not "
                       "support",
                       STR_ARG(pattern), refused);
    }
    uint32_t options = PCRE2_NEVER_BACKSLASH_C | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP |
                       PCRE2_DOLLAR_ENDONLY | PCRE2_USE_OFFSET_LIMIT |
                       (ignore_case ? PCRE2_CASELESS : 0u);
    int code = 0;
    PCRE2_SIZE at = 0;
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)(pattern.len == 0 ? "" : pattern.ptr),
                                         pattern.len, options, &code, &at, NULL);
    if (compiled == NULL) {
        return fail_compile(op, pattern, code, at);
    }
    uint32_t groups = 0;
    uint32_t all_options = 0;
    CHECK(pcre2_pattern_info(compiled, PCRE2_INFO_CAPTURECOUNT, &groups) == 0);
    CHECK(pcre2_pattern_info(compiled, PCRE2_INFO_ALLOPTIONS, &all_options) == 0);
    if (groups >= REGEX_GROUPS_MAX) {
        pcre2_code_free(compiled);
        return op_fail(op, ERR_LIMIT, "a regular expression has %u groups, the limit is %d", groups,
                       REGEX_GROUPS_MAX - 1);
    }
    /* Without it the interpreter matches, more slowly and within the same limits. */
    (void)pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);
    struct regex *regex = MEM_NEW(struct regex);
    regex->code = compiled;
    regex->group_count = groups;
    regex->is_anchored = (all_options & PCRE2_ANCHORED) != 0;
    *ret_regex = regex;
    return ERR_OK;
}

void regex_free(struct regex *regex)
{
    if (regex != NULL) {
        pcre2_code_free(regex->code);
        mem_free(regex);
    }
}

size_t regex_group_count(const struct regex *regex)
{
    return regex->group_count;
}

/* ---- matching -------------------------------------------------------------------------------- */

struct regex_scratch *regex_scratch_new(void)
{
    struct regex_scratch *s = MEM_NEW(struct regex_scratch);
    s->data = pcre2_match_data_create(REGEX_GROUPS_MAX, NULL);
    s->context = pcre2_match_context_create(NULL);
    CHECK(s->data != NULL && s->context != NULL);
    s->stack = pcre2_jit_stack_create(REGEX_STACK_BYTES_MIN, REGEX_STACK_BYTES_MAX, NULL);
    pcre2_jit_stack_assign(s->context, NULL, s->stack);
    (void)pcre2_set_match_limit(s->context, REGEX_STEPS_MAX);
    (void)pcre2_set_depth_limit(s->context, REGEX_STEPS_MAX);
    return s;
}

void regex_scratch_free(struct regex_scratch *s)
{
    if (s != NULL) {
        pcre2_match_data_free(s->data);
        pcre2_match_context_free(s->context);
        pcre2_jit_stack_free(s->stack);
        mem_free(s);
    }
}

static void copy_groups(const struct regex *regex, pcre2_match_data *data, struct regex_match *ret)
{
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(data);
    ret->group_count = regex->group_count + 1;
    for (size_t i = 0; i < ret->group_count; i++) {
        bool is_set = at[2 * i] != PCRE2_UNSET;
        ret->groups[i].from = is_set ? at[2 * i] : STR_NOT_FOUND;
        ret->groups[i].to = is_set ? at[2 * i + 1] : STR_NOT_FOUND;
    }
}

/* Of this thread: that others were running costs the pattern nothing. */
static int64_t own_time_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* lint: clock_gettime */
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* The library's limit counts anew from each start position, of which a long text has many. So they
 * are tried in windows, and the clock is asked in between. */
enum regex_result regex_find(const struct regex *regex, struct regex_scratch *s, struct str text,
                             struct regex_match *ret_match)
{
    PCRE2_SPTR bytes = (PCRE2_SPTR)(text.len == 0 ? "" : text.ptr);
    int64_t began_us = 0;
    size_t from = 0;
    size_t window = REGEX_WINDOW_MIN;
    while (from <= text.len) {
        bool is_last = regex->is_anchored || text.len - from < window;
        (void)pcre2_set_offset_limit(s->context, is_last ? text.len : from + window - 1);
        int code = pcre2_match(regex->code, bytes, text.len, from, 0, s->data, s->context);
        if (code > 0) {
            if (ret_match != NULL) {
                copy_groups(regex, s->data, ret_match);
            }
            return REGEX_YES;
        }
        if (code != PCRE2_ERROR_NOMATCH) {
            return REGEX_GAVE_UP;
        }
        if (is_last) {
            return REGEX_NO;
        }
        int64_t now_us = own_time_us();
        began_us = from == 0 ? now_us : began_us;
        if (now_us - began_us > REGEX_TIME_MAX.us) {
            return REGEX_GAVE_UP;
        }
        from += window;
        window = window < REGEX_WINDOW_MAX ? window * 2 : window;
    }
    return REGEX_NO;
}
