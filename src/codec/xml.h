#pragma once
/* XML as AWS's Query services use it: a writer, and a strict reader of a small part: elements,
 * character data, the five named entities and character references, CDATA. Attributes, comments
 * and processing instructions are passed over; DTDs are refused. No system call, no recursion. */

#include "base/arena.h"
#include "base/buf.h"
#include "base/op.h"
#include "base/str.h"

#define XML_DEPTH_MAX 64

/* Reading:
 *
 *     xml_reader_init(&r, &op->arena, text);
 *     xml_enter_root(&r, &name);
 *     while (xml_next_child(&r, &name)) {
 *         if (STR_IS(name, "Code")) { xml_read_text(&r, &code); } else { xml_skip(&r); }
 *     }
 *     TRY(xml_finish(&r, op));
 *
 * After xml_enter_root or xml_next_child the caller stands inside that element and either goes
 * through its children to the end, reads its text, or skips it. The first mistake sticks. Names
 * come without their namespace prefix and point into the input; texts with entities lie in the
 * arena, others point into the input. */
struct xml_reader {
    struct str text;
    size_t at;
    struct arena *arena;
    const char *error; /* static sentence, NULL while all is well */
    size_t depth;
    bool is_empty_element;           /* <a/>: its end tag is behind us already */
    struct str names[XML_DEPTH_MAX]; /* with prefix, to match end tags */
};

void xml_reader_init(struct xml_reader *r, struct arena *arena, struct str text);
bool xml_enter_root(struct xml_reader *r, struct str *ret_name);
/* False at the end of the element we stand in, which is then left, and on errors. Text other than
 * blanks between children is refused. */
bool xml_next_child(struct xml_reader *r, struct str *ret_name);
/* The element's text up to its end tag, which is passed; blanks are kept. */
bool xml_read_text(struct xml_reader *r, struct str *ret_text);
/* The rest of the element, with its end tag. */
bool xml_skip(struct xml_reader *r);
bool xml_refuse(struct xml_reader *r, const char *error);
enum err xml_finish(struct xml_reader *r, struct op *op);

/* Writing. Names are our own and written as they are; text is escaped, and what XML 1.0 cannot
 * carry (control characters, bytes that are no UTF-8) becomes U+FFFD. */
void xml_open(struct buf *out, struct str name);
void xml_close(struct buf *out, struct str name);
void xml_text(struct buf *out, struct str text);
/* <name>text</name> */
void xml_element(struct buf *out, struct str name, struct str text);
