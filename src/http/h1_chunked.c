#include "http/h1.h"
#include "http/h1_scan.h"

#include "base/check.h"

enum state {
    STATE_SIZE,
    STATE_BLANK, /* white space before an extension */
    STATE_EXT_START,
    STATE_EXT_NAME,
    STATE_EXT_VALUE,
    STATE_EXT_TOKEN,
    STATE_EXT_QUOTED,
    STATE_EXT_ESCAPE,
    STATE_EXT_END, /* behind a quoted value */
    STATE_SIZE_LF,
    STATE_DATA,
    STATE_DATA_CR,
    STATE_DATA_LF,
    STATE_TRAILER_START,
    STATE_TRAILER_NAME,
    STATE_TRAILER_VALUE,
    STATE_TRAILER_LF,
    STATE_END_LF,
    STATE_DONE,
    STATE_BAD,
};

void h1_chunked_init(struct h1_chunked *c)
{
    *c = (struct h1_chunked){.state = STATE_SIZE};
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char low = str_lower_char(c);
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

static enum state step_size(struct h1_chunked *c, char byte)
{
    int value = hex_value(byte);
    if (value >= 0) {
        if (++c->digit_count > 16 || c->left_bytes > H1_CHUNK_SIZE_MAX >> 4) {
            return STATE_BAD;
        }
        c->left_bytes = c->left_bytes << 4 | (uint64_t)value;
        return STATE_SIZE;
    }
    if (c->digit_count == 0) {
        return STATE_BAD;
    }
    switch (byte) {
    case '\r':
        return STATE_SIZE_LF;
    case ';':
        return STATE_EXT_START;
    case ' ':
    case '\t':
        return STATE_BLANK;
    default:
        return STATE_BAD;
    }
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static enum state step_blank(char byte)
{
    if (byte == ';') {
        return STATE_EXT_START;
    }
    return is_blank(byte) ? STATE_BLANK : STATE_BAD;
}

static bool is_token(char byte)
{
    return h1_is_token[(unsigned char)byte];
}

/* What may follow an extension that is complete. */
static enum state step_ext_end(char byte)
{
    if (byte == ';') {
        return STATE_EXT_START;
    }
    return byte == '\r' ? STATE_SIZE_LF : STATE_BAD;
}

static enum state step_quoted(char byte)
{
    if (byte == '"') {
        return STATE_EXT_END;
    }
    if (byte == '\\') {
        return STATE_EXT_ESCAPE;
    }
    return h1_is_control((unsigned char)byte) && byte != '\t' ? STATE_BAD : STATE_EXT_QUOTED;
}

/* ";" name [ "=" ( token | quoted-string ) ], blanks only around the semicolon. Extensions are
 * dropped, but one that is malformed may hide the end of the line from somebody. */
static enum state step_ext_start(char byte)
{
    if (is_blank(byte)) {
        return STATE_EXT_START;
    }
    return is_token(byte) ? STATE_EXT_NAME : STATE_BAD;
}

static enum state step_ext_name(char byte)
{
    if (byte == '=') {
        return STATE_EXT_VALUE;
    }
    return is_token(byte) ? STATE_EXT_NAME : step_ext_end(byte);
}

static enum state step_ext_value(char byte)
{
    if (byte == '"') {
        return STATE_EXT_QUOTED;
    }
    return is_token(byte) ? STATE_EXT_TOKEN : STATE_BAD;
}

static enum state step_escape(char byte)
{
    return h1_is_control((unsigned char)byte) && byte != '\t' ? STATE_BAD : STATE_EXT_QUOTED;
}

static enum state step_trailer_value(char byte)
{
    if (byte == '\r') {
        return STATE_TRAILER_LF;
    }
    return h1_is_control((unsigned char)byte) && byte != '\t' ? STATE_BAD : STATE_TRAILER_VALUE;
}

static enum state expect(char byte, char want, enum state next)
{
    return byte == want ? next : STATE_BAD;
}

static enum state step_trailer_start(char byte)
{
    if (byte == '\r') {
        return STATE_END_LF;
    }
    return is_token(byte) ? STATE_TRAILER_NAME : STATE_BAD;
}

static enum state step_trailer_name(char byte)
{
    if (byte == ':') {
        return STATE_TRAILER_VALUE;
    }
    return is_token(byte) ? STATE_TRAILER_NAME : STATE_BAD;
}

/* A size line may be as long as its chunk deserves; many that are longer are a flood. */
static bool is_excessive(struct h1_chunked *c)
{
    uint64_t worth = 16 + 2 * c->left_bytes;
    if (c->line_bytes > worth) {
        c->excess_bytes += c->line_bytes - (uint32_t)worth;
    }
    return c->excess_bytes > H1_CHUNK_EXCESS_BYTES_MAX;
}

static enum state after_size(struct h1_chunked *c, char byte)
{
    if (byte != '\n' || c->left_bytes > H1_CHUNK_SIZE_MAX || is_excessive(c)) {
        return STATE_BAD;
    }
    c->line_bytes = 0;
    c->digit_count = 0;
    return c->left_bytes == 0 ? STATE_TRAILER_START : STATE_DATA;
}

/* One byte of framing. */
static enum state step(struct h1_chunked *c, char byte)
{
    switch ((enum state)c->state) {
    case STATE_SIZE:
        return step_size(c, byte);
    case STATE_BLANK:
        return step_blank(byte);
    case STATE_EXT_START:
        return step_ext_start(byte);
    case STATE_EXT_NAME:
        return step_ext_name(byte);
    case STATE_EXT_VALUE:
        return step_ext_value(byte);
    case STATE_EXT_TOKEN:
        return is_token(byte) ? STATE_EXT_TOKEN : step_ext_end(byte);
    case STATE_EXT_QUOTED:
        return step_quoted(byte);
    case STATE_EXT_ESCAPE:
        return step_escape(byte);
    case STATE_EXT_END:
        return step_ext_end(byte);
    case STATE_SIZE_LF:
        return after_size(c, byte);
    case STATE_DATA_CR:
        return expect(byte, '\r', STATE_DATA_LF);
    case STATE_DATA_LF:
        return expect(byte, '\n', STATE_SIZE);
    case STATE_TRAILER_START:
        return step_trailer_start(byte);
    case STATE_TRAILER_NAME:
        return step_trailer_name(byte);
    case STATE_TRAILER_VALUE:
        return step_trailer_value(byte);
    case STATE_TRAILER_LF:
        return expect(byte, '\n', STATE_TRAILER_START);
    case STATE_END_LF:
        return expect(byte, '\n', STATE_DONE);
    case STATE_DATA:
    case STATE_DONE:
    case STATE_BAD:
        break;
    }
    UNREACHABLE("chunk framing is read in framing states only");
}

static bool is_line_too_long(struct h1_chunked *c)
{
    bool is_size_line = c->state <= STATE_SIZE_LF;
    return ++c->line_bytes > (is_size_line ? H1_CHUNK_LINE_BYTES_MAX : H1_TRAILER_BYTES_MAX);
}

static enum h1_result take_data(struct h1_chunked *c, struct str *rest, struct str *ret_data)
{
    size_t take = rest->len < c->left_bytes ? rest->len : (size_t)c->left_bytes;
    *ret_data = str_slice(*rest, 0, take);
    *rest = str_from(*rest, take);
    c->left_bytes -= take;
    if (c->left_bytes == 0) {
        c->state = STATE_DATA_CR;
    }
    return H1_MORE;
}

/* Behind the last chunk line_bytes counts the bytes of all trailers. */
static struct str trailers_in(const struct h1_chunked *c, struct str taken)
{
    bool is_behind = c->state >= STATE_TRAILER_START && c->state <= STATE_DONE;
    size_t count = c->line_bytes < taken.len ? c->line_bytes : taken.len;
    return is_behind ? str_from(taken, taken.len - count) : STR("");
}

enum h1_result h1_chunked_next(struct h1_chunked *c, struct str *rest, struct str *ret_data)
{
    *ret_data = str_slice(*rest, 0, 0);
    c->trailers = STR("");
    size_t at = 0;
    while (at < rest->len && c->state != STATE_DONE) {
        if (c->state == STATE_BAD) {
            return H1_BAD;
        }
        if (c->state == STATE_DATA) {
            *rest = str_from(*rest, at);
            return take_data(c, rest, ret_data);
        }
        if (is_line_too_long(c)) {
            c->state = STATE_BAD;
            return H1_BAD;
        }
        c->state = (uint8_t)step(c, rest->ptr[at]);
        at++;
    }
    c->trailers = trailers_in(c, str_slice(*rest, 0, at));
    *rest = str_from(*rest, at);
    if (c->state == STATE_BAD) {
        return H1_BAD;
    }
    return c->state == STATE_DONE ? H1_DONE : H1_MORE;
}

struct str h1_chunk_head(char room[H1_CHUNK_HEAD_BYTES], uint64_t size)
{
    CHECK(size > 0);
    size_t at = H1_CHUNK_HEAD_BYTES;
    room[--at] = '\n';
    room[--at] = '\r';
    for (; size > 0; size >>= 4) {
        room[--at] = "0123456789abcdef"[size & 15];
    }
    return str_make(room + at, H1_CHUNK_HEAD_BYTES - at);
}
