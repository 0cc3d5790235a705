#pragma once
/* Between the files of the parser; not for others. */

#include "http/h1.h"

enum { H1_PHASE_START, H1_PHASE_FIELDS, H1_PHASE_DONE, H1_PHASE_BAD };

static inline void h1_note(struct h1_head *h, enum h1_verdict verdict, enum h1_reason reason)
{
    if (verdict > h->verdict) {
        h->verdict = verdict;
        h->reason = reason;
    }
}

enum h1_result h1_refuse(struct h1_head *h, enum h1_reason reason, uint16_t status);
/* Well-formed, but too large or not served: H1_BAD, and the verdict stays. */
enum h1_result h1_decline(struct h1_head *h, uint16_t status);

/* Line of a head that ends at or behind `at`: finds the next control byte that is not a tab and
 * tells what the line end is. */
enum h1_line_end { H1_LINE_OPEN, H1_LINE_CRLF, H1_LINE_LF, H1_LINE_CONTROL };
enum h1_line_end h1_line_end_at(const char *bytes, size_t at, size_t count);

enum h1_result h1_parse_fields(struct h1_head *h, size_t count, size_t bytes_max);
enum h1_name h1_name_of(struct str name);
/* What "Transfer_Encoding", "content--length", "Transfer-Encod\xc4\xb1ng" and the like would be
 * taken for; H1_OTHER for names of their own. */
enum h1_name h1_lookalike(struct str name);
/* What the fields mean together: framing, host, connection. */
enum h1_result h1_understand_request(struct h1_head *h);
enum h1_result h1_understand_response(struct h1_head *h, bool is_head);
