#pragma once
/* Regular expressions as the rules of an application load balancer have them: Perl's syntax without
 * what could take for ever or look around.
 *
 * Refused  lookaheads, lookbehinds, backreferences, atomic groups, possessive quantifiers,
 *          subroutines, recursion, Unicode classes (\p{L}), conditionals, verbs, callouts.
 * Source   ELBv2 guide, "Listener rules": the features that rule conditions and transforms lack.
 *
 * A match takes a bounded time whatever the pattern and the text are: REGEX_STEPS_MAX steps from a
 * start position and REGEX_TIME_MAX over all of them. A pattern is read-only after it was compiled
 * and may be shared by threads; the scratch memory belongs to one thread. Matching allocates
 * nothing. */

#include "base/op.h"
#include "regex/limits.h"

struct regex;
struct regex_scratch;

enum regex_result {
    REGEX_NO,
    REGEX_YES,
    REGEX_GAVE_UP, /* it would have taken too long */
};

/* Bytes [from, to) of the text; STR_NOT_FOUND in both for a group that took no part. */
struct regex_group {
    size_t from;
    size_t to;
};
struct regex_match {
    struct regex_group groups[REGEX_GROUPS_MAX]; /* the whole first */
    size_t group_count;
};

/* NULL when the pattern uses nothing that is refused; else what it uses, in words: "a lookahead".
 * It may still be malformed: that is what regex_compile finds. */
const char *regex_refused(struct str pattern);
/* ERR_INPUT with a sentence that says what is wrong and where. Owns: the caller, regex_free. */
enum err regex_compile(struct op *op, struct str pattern, bool ignore_case,
                       struct regex **ret_regex) MUST_USE;
void regex_free(struct regex *regex);
size_t regex_group_count(const struct regex *regex); /* without the whole match */

struct regex_scratch *regex_scratch_new(void);
void regex_scratch_free(struct regex_scratch *scratch);

/* Looks for the pattern anywhere in the text; ret_match may be NULL. */
enum regex_result regex_find(const struct regex *regex, struct regex_scratch *scratch,
                             struct str text, struct regex_match *ret_match);
