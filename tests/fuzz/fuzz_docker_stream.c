/* In pieces as whole: the same lines at the same places, which grow; and reading again after any
 * line gives the rest. The first byte is the size of the pieces, the second the line. */

#include "base/buf.h"
#include "base/check.h"
#include "runtime/docker/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

#define LINES_KEPT 256

struct seen {
    struct buf text;
    uint64_t positions[LINES_KEPT];
    size_t count;
    uint64_t last;
};

static void on_line(void *self, const struct runtime_line *line)
{
    struct seen *s = self;
    CHECK(line->position > s->last);
    CHECK(line->text.len <= RUNTIME_LINE_BYTES_MAX);
    s->last = line->position;
    if (s->count < LINES_KEPT) {
        s->positions[s->count] = line->position;
    }
    s->count++;
    buf_addf(&s->text, "%d %zu ", line->is_stderr, line->text.len);
    buf_add(&s->text, line->text);
}

static enum err read_all(struct seen *s, struct str text, size_t step, uint64_t told)
{
    *s = (struct seen){.last = told};
    buf_init(&s->text, 1u << 24);
    struct docker_stream stream;
    docker_stream_init(&stream, told, on_line, s);
    enum err e = ERR_OK;
    while (text.len > 0 && e == ERR_OK) {
        e = docker_stream_feed(&stream, str_slice(text, 0, step));
        text = str_from(text, step);
    }
    if (e == ERR_OK) {
        docker_stream_end(&stream);
    }
    docker_stream_fini(&stream);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    if (count < 2) {
        return 0;
    }
    struct str text = str_make((const char *)bytes + 2, count - 2);
    struct seen whole;
    struct seen pieces;
    enum err e = read_all(&whole, text, count, 0);
    CHECK(read_all(&pieces, text, (size_t)bytes[0] % 32 + 1, 0) == e);
    CHECK(str_equal(buf_str(&whole.text), buf_str(&pieces.text)));
    if (whole.count > 0 && whole.count <= LINES_KEPT) {
        size_t from = bytes[1] % whole.count;
        struct seen rest;
        CHECK(read_all(&rest, text, count, whole.positions[from]) == e);
        CHECK(rest.count == whole.count - 1 - from);
        buf_fini(&rest.text);
    }
    buf_fini(&whole.text);
    buf_fini(&pieces.text);
    return 0;
}
