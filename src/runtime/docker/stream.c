#include "runtime/docker/stream.h"

#include "base/check.h"

#define STDERR_STREAM   2
#define STREAM_COUNT    3
#define FRACTION_DIGITS 9

void docker_stream_init(struct docker_stream *s, uint64_t told_position, docker_line_fn *on_line,
                        void *self)
{
    *s = (struct docker_stream){.told_position = told_position, .on_line = on_line, .self = self};
    buf_init(&s->frame, DOCKER_FRAME_HEAD_BYTES + DOCKER_FRAME_BYTES_MAX);
    buf_init(&s->pending[0].text, RUNTIME_LINE_BYTES_MAX);
    buf_init(&s->pending[1].text, RUNTIME_LINE_BYTES_MAX);
}

void docker_stream_fini(struct docker_stream *s)
{
    buf_fini(&s->frame);
    buf_fini(&s->pending[0].text);
    buf_fini(&s->pending[1].text);
}

/* ---- times ----------------------------------------------------------------------------------- */

/* Nanoseconds of the fraction; the clock module knows microseconds only. */
static uint64_t fraction_ns(struct str text)
{
    size_t dot = str_find_char(text, '.', 0);
    uint64_t ns = 0;
    uint64_t unit = 1000000000;
    for (size_t i = 0; dot != STR_NOT_FOUND && i < FRACTION_DIGITS && dot + 1 + i < text.len; i++) {
        char c = text.ptr[dot + 1 + i];
        if (c < '0' || c > '9') {
            break;
        }
        unit /= 10;
        ns += (uint64_t)(c - '0') * unit;
    }
    return ns;
}

bool docker_stamp_parse(struct str text, uint64_t *ret_ns)
{
    wall_t t;
    if (!wall_parse(text, &t) || t.us < 0) {
        return false;
    }
    *ret_ns = (uint64_t)(t.us / 1000000) * 1000000000 + fraction_ns(text);
    return true;
}

/* Takes "time " off the front. */
static bool cut_stamp(struct str *text, uint64_t *ret_ns)
{
    struct str stamp = STR_NONE;
    struct str rest = STR_NONE;
    if (!str_cut(*text, ' ', &stamp, &rest) || !docker_stamp_parse(stamp, ret_ns)) {
        return false;
    }
    *text = rest;
    return true;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static uint64_t next_position(struct docker_stream *s, uint64_t stamp_ns)
{
    uint64_t position = stamp_ns << DOCKER_POSITION_SHIFT;
    if (position <= s->last_position) {
        position = s->last_position + 1; /* the same time again, or a clock that went back */
    }
    s->last_position = position;
    return position;
}

static void tell(struct docker_stream *s, size_t which, struct str text)
{
    struct docker_pending *p = &s->pending[which];
    struct runtime_line line = {
        .at = p->at,
        .text = text,
        .position = next_position(s, p->stamp_ns),
        .is_stderr = which == 1,
    };
    if (line.position > s->told_position) {
        s->on_line(s->self, &line);
    }
}

static void tell_pending(struct docker_stream *s, size_t which)
{
    tell(s, which, buf_str(&s->pending[which].text));
    buf_reset(&s->pending[which].text);
}

static void add_piece(struct docker_stream *s, size_t which, struct str piece)
{
    struct docker_pending *p = &s->pending[which];
    while (p->text.len + piece.len > RUNTIME_LINE_BYTES_MAX) {
        size_t room = RUNTIME_LINE_BYTES_MAX - p->text.len;
        buf_add(&p->text, str_slice(piece, 0, room));
        tell_pending(s, which);
        piece = str_from(piece, room);
    }
    buf_add(&p->text, piece);
}

static struct str without_return(struct str line)
{
    bool has_return = line.len > 0 && line.ptr[line.len - 1] == '\r';
    return has_return ? str_slice(line, 0, line.len - 1) : line;
}

static void end_line(struct docker_stream *s, size_t which, struct str piece)
{
    struct docker_pending *p = &s->pending[which];
    if (p->text.len == 0) {
        tell(s, which, without_return(piece));
    } else {
        add_piece(s, which, piece);
        tell(s, which, without_return(buf_str(&p->text)));
        buf_reset(&p->text);
    }
    p->is_begun = false;
}

static enum err take_payload(struct docker_stream *s, size_t which, struct str payload)
{
    struct docker_pending *p = &s->pending[which];
    while (payload.len > 0) {
        size_t newline = str_find_char(payload, '\n', 0);
        bool is_whole = newline != STR_NOT_FOUND;
        struct str piece = is_whole ? str_slice(payload, 0, newline) : payload;
        payload = is_whole ? str_from(payload, newline + 1) : STR("");
        if (!cut_stamp(&piece, &p->stamp_ns)) {
            return ERR_PROTOCOL;
        }
        if (!p->is_begun) {
            p->at = (wall_t){.us = (int64_t)(p->stamp_ns / 1000)};
            p->is_begun = true;
        }
        if (piece.len > RUNTIME_LINE_BYTES_MAX) {
            return ERR_PROTOCOL;
        }
        if (is_whole) {
            end_line(s, which, piece);
        } else {
            add_piece(s, which, piece);
        }
    }
    return ERR_OK;
}

void docker_stream_end(struct docker_stream *s)
{
    for (size_t i = 0; i < 2; i++) {
        if (s->pending[i].text.len > 0) {
            tell_pending(s, i);
        }
        s->pending[i].is_begun = false;
    }
}

/* ---- frames ---------------------------------------------------------------------------------- */

static size_t frame_bytes(const struct buf *frame)
{
    const uint8_t *h = (const uint8_t *)frame->ptr;
    return (size_t)h[4] << 24 | (size_t)h[5] << 16 | (size_t)h[6] << 8 | (size_t)h[7];
}

static bool is_head_sound(const struct buf *frame)
{
    const uint8_t *h = (const uint8_t *)frame->ptr;
    return h[0] < STREAM_COUNT && h[1] == 0 && h[2] == 0 && h[3] == 0 &&
           frame_bytes(frame) <= DOCKER_FRAME_BYTES_MAX;
}

/* Moves bytes into the frame until it has `want`. False when there are too few. */
static bool fill(struct buf *frame, struct str *bytes, size_t want)
{
    size_t missing = want - frame->len;
    size_t take = bytes->len < missing ? bytes->len : missing;
    buf_add(frame, str_slice(*bytes, 0, take));
    *bytes = str_from(*bytes, take);
    return frame->len == want;
}

enum err docker_stream_feed(struct docker_stream *s, struct str bytes)
{
    for (;;) {
        if (s->frame.len < DOCKER_FRAME_HEAD_BYTES &&
            !fill(&s->frame, &bytes, DOCKER_FRAME_HEAD_BYTES)) {
            return ERR_OK;
        }
        if (!is_head_sound(&s->frame)) {
            return ERR_PROTOCOL;
        }
        if (!fill(&s->frame, &bytes, DOCKER_FRAME_HEAD_BYTES + frame_bytes(&s->frame))) {
            return ERR_OK;
        }
        size_t which = s->frame.ptr[0] == STDERR_STREAM ? 1 : 0;
        struct str payload = str_from(buf_str(&s->frame), DOCKER_FRAME_HEAD_BYTES);
        TRY(take_payload(s, which, payload));
        buf_reset(&s->frame);
    }
}
