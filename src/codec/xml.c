#include "codec/xml.h"

#include "base/check.h"
#include "codec/utf8.h"

#define REFERENCE_CHARS_MAX 10 /* &#x10FFFF; */

void xml_reader_init(struct xml_reader *r, struct arena *arena, struct str text)
{
    r->text = text.ptr == NULL ? STR("") : text;
    r->at = 0;
    r->arena = arena;
    r->error = NULL;
    r->depth = 0;
    r->is_empty_element = false;
    if (!utf8_is_valid(r->text)) {
        r->error = "the text is not valid UTF-8";
    }
}

bool xml_refuse(struct xml_reader *r, const char *error)
{
    if (r->error == NULL) {
        r->error = error;
    }
    return false;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_name_char(char c)
{
    switch (c) {
    case 'A' ... 'Z':
    case 'a' ... 'z':
    case '0' ... '9':
    case '_':
    case '-':
    case '.':
    case ':':
        return true;
    default:
        return (uint8_t)c >= 0x80;
    }
}

static bool starts_with_at(const struct xml_reader *r, struct str what)
{
    return str_equal(str_slice(r->text, r->at, r->at + what.len), what);
}

static void skip_blanks(struct xml_reader *r)
{
    while (r->at < r->text.len && is_blank(r->text.ptr[r->at])) {
        r->at++;
    }
}

/* Past the next `end`, which must be there. */
static bool skip_past(struct xml_reader *r, struct str end)
{
    size_t at = str_find(r->text, end, r->at);
    if (at == STR_NOT_FOUND) {
        return xml_refuse(r, "the text ends too early");
    }
    r->at = at + end.len;
    return true;
}

/* Passes over comments and processing instructions; false when none starts here. */
static bool skip_aside(struct xml_reader *r)
{
    if (starts_with_at(r, STR("<!--"))) {
        return skip_past(r, STR("-->"));
    }
    if (starts_with_at(r, STR("<?"))) {
        return skip_past(r, STR("?>"));
    }
    return false;
}

static bool read_name(struct xml_reader *r, struct str *ret_name)
{
    size_t start = r->at;
    while (r->at < r->text.len && is_name_char(r->text.ptr[r->at])) {
        r->at++;
    }
    if (r->at == start) {
        return xml_refuse(r, "expected a name");
    }
    *ret_name = str_slice(r->text, start, r->at);
    return true;
}

static struct str local_name(struct str name)
{
    size_t colon = str_find_char(name, ':', 0);
    return colon == STR_NOT_FOUND ? name : str_from(name, colon + 1);
}

static bool skip_attribute(struct xml_reader *r)
{
    struct str name;
    if (!read_name(r, &name)) {
        return false;
    }
    skip_blanks(r);
    if (!starts_with_at(r, STR("="))) {
        return xml_refuse(r, "expected '=' after an attribute's name");
    }
    r->at++;
    skip_blanks(r);
    bool is_quoted = starts_with_at(r, STR("\"")) || starts_with_at(r, STR("'"));
    if (!is_quoted) {
        return xml_refuse(r, "expected an attribute's value in quotes");
    }
    struct str quote = str_slice(r->text, r->at, r->at + 1);
    size_t start = ++r->at;
    if (!skip_past(r, quote)) {
        return false;
    }
    if (str_find_char(str_slice(r->text, start, r->at), '<', 0) != STR_NOT_FOUND) {
        return xml_refuse(r, "'<' in an attribute's value");
    }
    return true;
}

/* At '<' of a start tag; stands inside the element afterwards. */
static bool open_element(struct xml_reader *r, struct str *ret_name)
{
    struct str name;
    r->at++;
    if (!read_name(r, &name)) {
        return false;
    }
    if (r->depth == XML_DEPTH_MAX) {
        return xml_refuse(r, "nested too deeply");
    }
    for (;;) {
        size_t before = r->at;
        skip_blanks(r);
        if (starts_with_at(r, STR("/>")) || starts_with_at(r, STR(">"))) {
            break;
        }
        if (r->at == before) {
            return xml_refuse(r, r->at == r->text.len ? "the text ends too early" : "expected '>'");
        }
        if (!skip_attribute(r)) {
            return false;
        }
    }
    r->is_empty_element = r->text.ptr[r->at] == '/';
    r->at += r->is_empty_element ? 2 : 1;
    r->names[r->depth++] = name;
    *ret_name = local_name(name);
    return true;
}

/* At "</". */
static bool close_element(struct xml_reader *r)
{
    struct str name;
    r->at += 2;
    if (!read_name(r, &name)) {
        return false;
    }
    if (!str_equal(name, r->names[r->depth - 1])) {
        return xml_refuse(r, "end tag of another element");
    }
    skip_blanks(r);
    if (!starts_with_at(r, STR(">"))) {
        return xml_refuse(r, "expected '>'");
    }
    r->at++;
    r->depth--;
    return true;
}

bool xml_enter_root(struct xml_reader *r, struct str *ret_name)
{
    if (r->error != NULL) {
        return false;
    }
    CHECK(r->depth == 0);
    if (starts_with_at(r, STR("\xEF\xBB\xBF"))) {
        r->at += 3;
    }
    do {
        skip_blanks(r);
    } while (skip_aside(r));
    if (r->error != NULL) {
        return false;
    }
    if (!starts_with_at(r, STR("<")) || starts_with_at(r, STR("<!"))) {
        return xml_refuse(r, "expected the root element");
    }
    return open_element(r, ret_name);
}

static bool leave_empty_element(struct xml_reader *r)
{
    if (!r->is_empty_element) {
        return false;
    }
    r->is_empty_element = false;
    r->depth--;
    return true;
}

bool xml_next_child(struct xml_reader *r, struct str *ret_name)
{
    if (r->error != NULL || leave_empty_element(r)) {
        return false;
    }
    CHECK(r->depth > 0);
    do {
        skip_blanks(r);
    } while (skip_aside(r));
    if (r->error != NULL) {
        return false;
    }
    if (starts_with_at(r, STR("</"))) {
        (void)close_element(r); /* false either way; the error sticks */
        return false;
    }
    if (!starts_with_at(r, STR("<"))) {
        return xml_refuse(r, r->at == r->text.len ? "the text ends too early"
                                                  : "text between elements");
    }
    return open_element(r, ret_name);
}

static bool parse_code_point(struct str digits, uint32_t *ret_code_point)
{
    bool is_hex = digits.len > 0 && digits.ptr[0] == 'x';
    uint64_t code_point = 0;
    struct str rest = is_hex ? str_from(digits, 1) : digits;
    if (is_hex) {
        for (size_t i = 0; i < rest.len; i++) {
            char c = str_lower_char(rest.ptr[i]);
            bool is_digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
            if (!is_digit || rest.len > 6) {
                return false;
            }
            code_point = code_point * 16 + (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
        }
    } else if (!str_parse_u64(rest, 0x10FFFF, &code_point)) {
        return false;
    }
    *ret_code_point = (uint32_t)code_point;
    return rest.len > 0 && code_point != 0 && code_point <= 0x10FFFF &&
           (code_point < 0xD800 || code_point > 0xDFFF);
}

/* At '&'. Adds what the reference stands for. */
static bool read_reference(struct xml_reader *r, char *to, size_t *len)
{
    static const struct {
        struct str name;
        char c;
    } named[] = {{STR_INIT("amp"), '&'},
                 {STR_INIT("lt"), '<'},
                 {STR_INIT("gt"), '>'},
                 {STR_INIT("quot"), '"'},
                 {STR_INIT("apos"), '\''}};
    size_t end = str_find_char(r->text, ';', r->at);
    if (end == STR_NOT_FOUND || end - r->at > REFERENCE_CHARS_MAX) {
        return xml_refuse(r, "'&' that starts no reference");
    }
    struct str name = str_slice(r->text, r->at + 1, end);
    uint32_t code_point;
    if (str_starts_with(name, STR("#")) && parse_code_point(str_from(name, 1), &code_point)) {
        *len += utf8_put(code_point, to + *len);
        r->at = end + 1;
        return true;
    }
    for (size_t i = 0; i < ARRAY_COUNT(named); i++) {
        if (str_equal(name, named[i].name)) {
            to[(*len)++] = named[i].c;
            r->at = end + 1;
            return true;
        }
    }
    return xml_refuse(r, "unknown entity");
}

/* At "<![CDATA[". */
static bool read_cdata(struct xml_reader *r, char *to, size_t *len)
{
    struct str opening = STR("<![CDATA[");
    size_t start = r->at + opening.len;
    if (!skip_past(r, STR("]]>"))) {
        return false;
    }
    size_t bytes = r->at - 3 - start;
    memcpy(to + *len, r->text.ptr + start, bytes);
    *len += bytes;
    return true;
}

/* Plain text up to the next markup. */
static struct str read_plain(struct xml_reader *r)
{
    size_t start = r->at;
    while (r->at < r->text.len && r->text.ptr[r->at] != '<' && r->text.ptr[r->at] != '&') {
        r->at++;
    }
    return str_slice(r->text, start, r->at);
}

/* Entities, CDATA and comments inside the text: nothing of them is longer than it is written. */
static bool read_mixed_text(struct xml_reader *r, struct str first, struct str *ret_text)
{
    size_t end = str_find(r->text, STR("</"), r->at);
    size_t room = first.len + (end == STR_NOT_FOUND ? r->text.len : end) - r->at + UTF8_BYTES_MAX;
    size_t cdata = str_find(r->text, STR("<![CDATA["), r->at);
    if (cdata != STR_NOT_FOUND && (end == STR_NOT_FOUND || cdata < end)) {
        room = first.len + r->text.len - r->at + UTF8_BYTES_MAX; /* CDATA may hold "</" */
    }
    char *to = arena_alloc(r->arena, room);
    size_t len = 0;
    struct str piece = first;
    for (;;) {
        if (piece.len > 0) {
            memcpy(to + len, piece.ptr, piece.len);
        }
        len += piece.len;
        if (starts_with_at(r, STR("</"))) {
            *ret_text = str_make(to, len);
            return close_element(r);
        }
        bool is_read = starts_with_at(r, STR("&"))           ? read_reference(r, to, &len)
                       : starts_with_at(r, STR("<![CDATA[")) ? read_cdata(r, to, &len)
                                                             : skip_aside(r);
        if (!is_read) {
            return xml_refuse(r, "expected text");
        }
        piece = read_plain(r);
    }
}

bool xml_read_text(struct xml_reader *r, struct str *ret_text)
{
    if (r->error != NULL) {
        return false;
    }
    CHECK(r->depth > 0);
    if (leave_empty_element(r)) {
        *ret_text = STR("");
        return true;
    }
    struct str text = read_plain(r);
    if (starts_with_at(r, STR("</"))) {
        *ret_text = text;
        return close_element(r);
    }
    return read_mixed_text(r, text, ret_text);
}

bool xml_skip(struct xml_reader *r)
{
    if (r->error != NULL) {
        return false;
    }
    CHECK(r->depth > 0);
    size_t outside = r->depth - 1;
    struct str name;
    char unused[UTF8_BYTES_MAX];
    while (r->error == NULL && r->depth > outside) {
        size_t len = 0;
        if (leave_empty_element(r)) {
            continue;
        }
        (void)read_plain(r); /* passed over */
        if (starts_with_at(r, STR("</"))) {
            (void)close_element(r); /* the error sticks */
        } else if (starts_with_at(r, STR("&"))) {
            (void)read_reference(r, unused, &len); /* the error sticks */
        } else if (starts_with_at(r, STR("<![CDATA["))) {
            (void)skip_past(r, STR("]]>")); /* the error sticks */
        } else if (r->at == r->text.len || starts_with_at(r, STR("<!D"))) {
            (void)xml_refuse(r, "the text ends too early or declares a DTD");
        } else if (!skip_aside(r)) {
            (void)open_element(r, &name); /* the error sticks */
        }
    }
    return r->error == NULL;
}

enum err xml_finish(struct xml_reader *r, struct op *op)
{
    if (r->error == NULL && r->depth != 0) {
        (void)xml_refuse(r, "the root element was not read to its end");
    }
    if (r->error == NULL) {
        do {
            skip_blanks(r);
        } while (skip_aside(r));
        if (r->at != r->text.len) {
            (void)xml_refuse(r, "something follows the root element");
        }
    }
    if (r->error == NULL) {
        return ERR_OK;
    }
    size_t line = 1;
    for (size_t i = 0; i < r->at && i < r->text.len; i++) {
        line += r->text.ptr[i] == '\n';
    }
    struct str inside = r->depth > 0 ? r->names[r->depth - 1] : STR("the top");
    return op_fail(op, ERR_INPUT, "XML line %zu byte %zu, in %.*s: %s", line, r->at,
                   STR_ARG(inside), r->error);
}

void xml_open(struct buf *out, struct str name)
{
    buf_add_char(out, '<');
    buf_add(out, name);
    buf_add_char(out, '>');
}

void xml_close(struct buf *out, struct str name)
{
    buf_add(out, STR("</"));
    buf_add(out, name);
    buf_add_char(out, '>');
}

/* What a byte is written as when it cannot stand for itself; absent when it can. */
static struct str escape_of(uint8_t c)
{
    switch (c) {
    case '&':
        return STR("&amp;");
    case '<':
        return STR("&lt;");
    case '>':
        return STR("&gt;");
    case '"':
        return STR("&quot;");
    case '\r':
        return STR("&#xD;"); /* a bare one would be read back as a line feed */
    case '\t':
    case '\n':
        return STR_NONE;
    default:
        return c < 0x20 ? STR("\xEF\xBF\xBD") : STR_NONE;
    }
}

void xml_text(struct buf *out, struct str text)
{
    size_t from = 0;
    size_t at = 0;
    while (at < text.len) {
        size_t bytes = utf8_char_bytes(text.ptr + at, text.len - at);
        struct str escape = bytes == 0 ? STR("\xEF\xBF\xBD") : escape_of((uint8_t)text.ptr[at]);
        size_t next = at + (bytes == 0 ? 1 : bytes);
        if (str_is_set(escape)) {
            buf_add(out, str_slice(text, from, at));
            buf_add(out, escape);
            from = next;
        }
        at = next;
    }
    buf_add(out, str_from(text, from));
}

void xml_element(struct buf *out, struct str name, struct str text)
{
    xml_open(out, name);
    xml_text(out, text);
    xml_close(out, name);
}
