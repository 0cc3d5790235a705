/* The published vectors of http-desync-guardian (the classifier behind ALB's desync mitigation) and
 * of llhttp (Node's parser) against ours. Where we differ, docs/load-balancer.md has a row that
 * says what they make of it, what we make of it, and why; the row must be there, must say exactly
 * that, and no row may be there without need. */

#include "base/buf.h"
#include "base/check.h"
#include "http/h1.h"
#include "test.h"

#include <stdio.h>

#define BODIES_MAX 8
#define TEXT_BYTES 16384

struct text {
    char bytes[TEXT_BYTES];
    size_t len;
};

/* One line of a vector file. */
struct vector {
    struct text id;
    struct text file;
    struct text name;
    struct text kind;
    struct text input;
    struct text verdict;
    struct text reason;
    struct text end;
    struct text bodies[BODIES_MAX];
    size_t body_count;
};

static struct str str_of_text(const struct text *t)
{
    return str_make(t->bytes, t->len);
}

/* ---- a reader for what the make_*.py scripts write ------------------------------------------- */

static unsigned hex(const char *at, size_t digits)
{
    unsigned value = 0;
    for (size_t i = 0; i < digits; i++) {
        char c = str_lower_char(at[i]);
        value = value << 4 | (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return value;
}

/* *at stands on the opening quote, then behind the closing one. */
static void read_string(struct str line, size_t *at, struct text *ret_text)
{
    static const char escapes[] = "b\bf\fn\nr\rt\t";
    size_t i = *at + 1;
    ret_text->len = 0;
    while (line.ptr[i] != '"') {
        char c = line.ptr[i++];
        if (c == '\\' && line.ptr[i] == 'u') {
            c = (char)hex(line.ptr + i + 1, 4);
            i += 5;
        } else if (c == '\\') {
            const char *escape = strchr(escapes, line.ptr[i]);
            c = escape == NULL ? line.ptr[i] : escape[1];
            i++;
        }
        CHECK(ret_text->len < TEXT_BYTES);
        ret_text->bytes[ret_text->len++] = c;
    }
    *at = i + 1;
}

static void read_bodies(struct str line, size_t at, struct vector *v)
{
    while (line.ptr[at] != ']') {
        if (line.ptr[at] == '"') {
            CHECK(v->body_count < BODIES_MAX);
            read_string(line, &at, &v->bodies[v->body_count++]);
        } else {
            at++;
        }
    }
}

static void read_vector(struct str line, struct vector *v)
{
    const struct {
        struct str key;
        struct text *to;
    } members[] = {
        {STR("\"id\": "), &v->id},         {STR("\"file\": "), &v->file},
        {STR("\"name\": "), &v->name},     {STR("\"kind\": "), &v->kind},
        {STR("\"bytes\": "), &v->input},   {STR("\"verdict\": "), &v->verdict},
        {STR("\"reason\": "), &v->reason}, {STR("\"end\": "), &v->end},
    };
    memset(v, 0, sizeof(*v));
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        size_t at = str_find(line, members[i].key, 0);
        if (at != STR_NOT_FOUND) {
            at += members[i].key.len;
            read_string(line, &at, members[i].to);
        }
    }
    size_t at = str_find(line, STR("\"bodies\": ["), 0);
    if (at != STR_NOT_FOUND) {
        read_bodies(line, at + 11, v);
    }
}

/* ---- the rows of the documentation ----------------------------------------------------------- */

/* The document's row for a vector: "| dg-012 | theirs | ours | why |"; absent when there is none.
 */
static struct str find_row(struct str document, struct str id)
{
    char start[32];
    (void)snprintf(start, sizeof(start), "| %.*s |", STR_ARG(id));
    struct str line;
    while (str_next(&document, '\n', &line)) {
        if (str_starts_with(line, str_of(start))) {
            return line;
        }
    }
    return STR_NONE;
}

static void expect_explained(struct str document, const struct vector *v, const char *theirs,
                             const char *ours)
{
    struct str row = find_row(document, str_of_text(&v->id));
    bool is_same = strcmp(theirs, ours) == 0;
    if (is_same && str_is_set(row)) {
        test_failed(__FILE__, __LINE__, "docs/load-balancer.md explains %.*s, which agrees",
                    STR_ARG(str_of_text(&v->id)));
    }
    if (is_same) {
        return;
    }
    char want[512];
    (void)snprintf(want, sizeof(want), "| %.*s | %s | %s | ", STR_ARG(str_of_text(&v->id)), theirs,
                   ours);
    if (!str_is_set(row) || !str_starts_with(row, str_of(want)) || row.len < strlen(want) + 10) {
        test_failed(__FILE__, __LINE__, "%s (%.*s: %.*s) has no such row in docs/load-balancer.md",
                    want, STR_ARG(str_of_text(&v->file)), STR_ARG(str_of_text(&v->name)));
    }
}

/* ---- http-desync-guardian -------------------------------------------------------------------- */

static const char *reason_of(const struct h1_head *h)
{
    return h->verdict == H1_COMPLIANT ? "Compliant" : h1_reason_text(h->reason);
}

TEST(every_vector_of_the_desync_guardian_gets_its_verdict_or_is_explained)
{
    struct str document = test_file("../docs/load-balancer.md");
    struct str rest = test_file("vectors/desync_guardian.jsonl");
    struct str line;
    size_t count = 0;
    (void)str_next(&rest, '\n', &line); /* says who made the file */
    while (str_next(&rest, '\n', &line) && line.len > 0) {
        static struct vector v;
        static struct h1_head h;
        read_vector(line, &v);
        h1_head_init(&h);
        enum h1_result r = h1_parse_request(&h, v.input.bytes, v.input.len);
        char theirs[128];
        char ours[128];
        (void)snprintf(theirs, sizeof(theirs), "%.*s %.*s", STR_ARG(str_of_text(&v.verdict)),
                       STR_ARG(str_of_text(&v.reason)));
        (void)snprintf(ours, sizeof(ours), "%s %s", h1_verdict_text(h.verdict), reason_of(&h));
        expect_explained(document, &v, theirs, ours);
        if ((r == H1_BAD) != (h.verdict == H1_SEVERE) && h.status != 501) {
            test_failed(__FILE__, __LINE__, "%.*s: result %d and %s", STR_ARG(str_of_text(&v.id)),
                        (int)r, ours);
        }
        count++;
    }
    EXPECT_EQ(count, 159);
}

/* ---- llhttp ---------------------------------------------------------------------------------- */

/* What came of one vector. */
struct outcome {
    struct text bodies[BODIES_MAX];
    size_t body_count;
    struct text open; /* body of the message that is not complete */
    const char *end;  /* "ok", "error", "upgrade" */
};

static void add_bytes(struct text *to, struct str bytes)
{
    CHECK(bytes.len <= TEXT_BYTES - to->len);
    memcpy(to->bytes + to->len, bytes.ptr, bytes.len);
    to->len += bytes.len;
}

static void complete(struct outcome *o)
{
    CHECK(o->body_count < BODIES_MAX);
    o->bodies[o->body_count++] = o->open;
    o->open.len = 0;
}

static enum h1_result take_chunks(struct outcome *o, struct str *rest)
{
    struct h1_chunked c;
    enum h1_result r = H1_MORE;
    h1_chunked_init(&c);
    while (r == H1_MORE && rest->len > 0) {
        struct str run;
        r = h1_chunked_next(&c, rest, &run);
        add_bytes(&o->open, run);
    }
    return r;
}

static enum h1_result take_body(struct outcome *o, const struct h1_head *h, struct str *rest,
                                bool has_end)
{
    switch (h->framing) {
    case H1_NO_BODY:
        return H1_DONE;
    case H1_CHUNKED:
        return take_chunks(o, rest);
    case H1_LENGTH: {
        size_t take = rest->len < h->content_length ? rest->len : (size_t)h->content_length;
        add_bytes(&o->open, str_slice(*rest, 0, take));
        *rest = str_from(*rest, take);
        return take == h->content_length ? H1_DONE : H1_MORE;
    }
    case H1_UNTIL_CLOSE:
        add_bytes(&o->open, *rest);
        *rest = str_from(*rest, rest->len);
        return has_end ? H1_DONE : H1_MORE;
    }
    UNREACHABLE("every framing is handled");
}

static bool hands_over(const struct h1_head *h, bool is_response)
{
    if (is_response) {
        return h->status == 101 && h->has_upgrade;
    }
    return h->has_upgrade || str_equal(h1_str(h, h->method), STR("CONNECT"));
}

/* Where llhttp sees an error in a head that the vector leaves open, we judge the head as if it
 * ended there: llhttp tells field by field, we tell when the head is complete. */
static enum h1_result parse_head(struct h1_head *h, struct str rest, bool is_response,
                                 bool is_error_due)
{
    static char room[TEXT_BYTES + 4];
    static const char ends[][5] = {"", "\r\n", "\r\n\r\n"};
    enum h1_result r = H1_MORE;
    for (size_t i = 0; i < (is_error_due ? 3 : 1) && r == H1_MORE; i++) {
        memcpy(room, rest.ptr, rest.len);
        memcpy(room + rest.len, ends[i], 4);
        size_t count = rest.len + strlen(ends[i]);
        h1_head_init(h);
        r = is_response ? h1_parse_response(h, room, count, false)
                        : h1_parse_request(h, room, count);
        if (i > 0 && r == H1_DONE) {
            return H1_MORE;
        }
    }
    return r;
}

static struct outcome run(const struct vector *v)
{
    static struct h1_head h;
    struct outcome o = {.end = "ok"};
    struct str kind = str_of_text(&v->kind);
    bool is_response = str_starts_with(kind, STR("response"));
    bool has_end = str_ends_with(kind, STR("-finish"));
    struct str rest = str_of_text(&v->input);
    while (rest.len > 0) {
        enum h1_result r = parse_head(&h, rest, is_response, v->end.bytes[0] == 'e');
        if (r == H1_DONE) {
            rest = str_from(rest, h.head_bytes);
            bool is_connect = !is_response && str_equal(h1_str(&h, h.method), STR("CONNECT"));
            r = is_connect ? H1_DONE : take_body(&o, &h, &rest, has_end);
        }
        if (r == H1_BAD) {
            o.end = "error";
        }
        if (r != H1_DONE) {
            break;
        }
        complete(&o);
        if (hands_over(&h, is_response)) {
            o.end = "upgrade";
            break;
        }
        if (!h.is_keep_alive) {
            o.end = rest.len > 0 ? "error" : "ok"; /* bytes behind the last message */
            break;
        }
    }
    return o;
}

/* "error, 1 message of 3 bytes" */
static void describe(const struct text *bodies, size_t count, const char *end, char room[128])
{
    int len = snprintf(room, 128, "%s", end);
    for (size_t i = 0; i < count; i++) {
        len += snprintf(room + len, 128 - (size_t)len, "%s%zu", i == 0 ? ", bodies " : "+",
                        bodies[i].len);
    }
}

static bool has_same_bodies(const struct vector *v, const struct outcome *o)
{
    for (size_t i = 0; i < v->body_count && i < o->body_count; i++) {
        if (!str_equal(str_of_text(&v->bodies[i]), str_of_text(&o->bodies[i]))) {
            return false;
        }
    }
    return v->body_count == o->body_count;
}

TEST(every_vector_of_llhttp_has_the_same_messages_or_is_explained)
{
    struct str document = test_file("../docs/load-balancer.md");
    struct str rest = test_file("vectors/llhttp.jsonl");
    struct str line;
    size_t count = 0;
    (void)str_next(&rest, '\n', &line); /* says who made the file */
    while (str_next(&rest, '\n', &line) && line.len > 0) {
        static struct vector v;
        static struct outcome o;
        read_vector(line, &v);
        o = run(&v);
        char theirs[128];
        char ours[128];
        const char *end = v.end.bytes[0] == 'e'   ? "error"
                          : v.end.bytes[0] == 'u' ? "upgrade"
                                                  : "ok";
        describe(v.bodies, v.body_count, end, theirs);
        describe(o.bodies, o.body_count, o.end, ours);
        expect_explained(document, &v, theirs, ours);
        if (strcmp(theirs, ours) == 0 && !has_same_bodies(&v, &o)) {
            test_failed(__FILE__, __LINE__, "%.*s: other bytes", STR_ARG(str_of_text(&v.id)));
        }
        count++;
    }
    EXPECT_EQ(count, 188);
}
