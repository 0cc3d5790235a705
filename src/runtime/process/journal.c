#include "runtime/process/journal.h"

#include "base/check.h"
#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define READ_BYTES  (64u << 10)
#define NAME_BYTES  32
#define NAME_PREFIX "log."
#define BUFFER_MAX  (JOURNAL_HEAD_BYTES + RUNTIME_LINE_BYTES_MAX + READ_BYTES)

struct head {
    uint32_t bytes;
    uint8_t stream;
    uint8_t zero[3];
    int64_t at_us;
};

_Static_assert(sizeof(struct head) == JOURNAL_HEAD_BYTES, "the head is written as it lies");

static void name_of(uint64_t start, char ret_name[NAME_BYTES])
{
    (void)snprintf(ret_name, NAME_BYTES, NAME_PREFIX "%020llu", (unsigned long long)start);
}

/* ---- writing --------------------------------------------------------------------------------- */

void runtime_journal_writer_init(struct journal_writer *w, int folder_fd)
{
    *w = (struct journal_writer){.folder_fd = folder_fd, .fd = -1};
}

void runtime_journal_writer_fini(struct journal_writer *w)
{
    if (w->fd != -1) {
        (void)close(w->fd);
        w->fd = -1;
    }
}

static void drop_oldest(struct journal_writer *w)
{
    char name[NAME_BYTES];
    name_of(w->starts[0], name);
    (void)unlinkat(w->folder_fd, name, 0);
    w->segment_count--;
    memmove(w->starts, w->starts + 1, w->segment_count * sizeof(w->starts[0]));
}

static bool open_segment(struct journal_writer *w)
{
    runtime_journal_writer_fini(w);
    if (w->segment_count == JOURNAL_SEGMENTS_MAX) {
        drop_oldest(w);
    }
    char name[NAME_BYTES];
    name_of(w->end, name);
    w->fd = openat(w->folder_fd, name,
                   O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (w->fd == -1) {
        return false;
    }
    w->starts[w->segment_count++] = w->end;
    return true;
}

static bool has_room(const struct journal_writer *w)
{
    return w->fd != -1 && w->end - w->starts[w->segment_count - 1] < JOURNAL_SEGMENT_BYTES;
}

/* writev does not write to what it reads from; its prototype cannot say so. */
static void *plain(const void *bytes)
{
    void *same = NULL;
    memcpy(&same, &bytes, sizeof(same));
    return same;
}

/* All of it or nothing, so that a reader never takes the end of one record for the next. */
static bool append(struct journal_writer *w, const struct head *head, struct str line)
{
    struct iovec pieces[] = {
        {.iov_base = plain(head), .iov_len = sizeof(*head)},
        {.iov_base = plain(line.ptr), .iov_len = line.len},
    };
    ssize_t want = (ssize_t)(sizeof(*head) + line.len);
    ssize_t wrote = writev(w->fd, pieces, 2);
    if (wrote == want) {
        w->end += (uint64_t)want;
        return true;
    }
    if (wrote > 0) {
        /* When even this fails, the next record begins a segment of its own. */
        off_t whole = (off_t)(w->end - w->starts[w->segment_count - 1]);
        if (ftruncate(w->fd, whole) == -1) {
            runtime_journal_writer_fini(w);
        }
    }
    return false;
}

void runtime_journal_add(struct journal_writer *w, int stream, wall_t at, struct str line)
{
    CHECK(line.len <= RUNTIME_LINE_BYTES_MAX);

    struct head head = {.bytes = (uint32_t)line.len, .stream = (uint8_t)stream, .at_us = at.us};
    if ((!has_room(w) && !open_segment(w)) || !append(w, &head, line)) {
        w->dropped_lines++;
    }
}

/* ---- lines ----------------------------------------------------------------------------------- */

void runtime_journal_lines_init(struct journal_lines *l, int stream)
{
    buf_init(&l->rest, RUNTIME_LINE_BYTES_MAX);
    l->stream = stream;
}

void runtime_journal_lines_fini(struct journal_lines *l)
{
    buf_fini(&l->rest);
}

static struct str without_return(struct str line)
{
    bool has_return = line.len > 0 && line.ptr[line.len - 1] == '\r';
    return has_return ? str_slice(line, 0, line.len - 1) : line;
}

/* Keeps bytes without a line end; writes a piece whenever the limit is reached. */
static void keep(struct journal_lines *l, struct journal_writer *w, wall_t at, struct str bytes)
{
    while (l->rest.len + bytes.len > RUNTIME_LINE_BYTES_MAX) {
        size_t room = RUNTIME_LINE_BYTES_MAX - l->rest.len;
        buf_add(&l->rest, str_slice(bytes, 0, room));
        runtime_journal_add(w, l->stream, at, buf_str(&l->rest));
        buf_reset(&l->rest);
        bytes = str_from(bytes, room);
    }
    buf_add(&l->rest, bytes);
}

void runtime_journal_lines_feed(struct journal_lines *l, struct journal_writer *w, wall_t at,
                                struct str bytes)
{
    while (bytes.len > 0) {
        size_t newline = str_find_char(bytes, '\n', 0);
        if (newline == STR_NOT_FOUND) {
            keep(l, w, at, bytes);
            return;
        }
        struct str line = str_slice(bytes, 0, newline);
        bytes = str_from(bytes, newline + 1);
        if (l->rest.len == 0 && line.len <= RUNTIME_LINE_BYTES_MAX) {
            runtime_journal_add(w, l->stream, at, without_return(line));
            continue;
        }
        keep(l, w, at, line);
        runtime_journal_add(w, l->stream, at, without_return(buf_str(&l->rest)));
        buf_reset(&l->rest);
    }
}

void runtime_journal_lines_flush(struct journal_lines *l, struct journal_writer *w, wall_t at)
{
    if (l->rest.len > 0) {
        runtime_journal_add(w, l->stream, at, buf_str(&l->rest));
        buf_reset(&l->rest);
    }
}

/* ---- reading --------------------------------------------------------------------------------- */

void runtime_journal_reader_init(struct journal_reader *r, uint64_t position)
{
    *r = (struct journal_reader){.fd = -1, .position = position};
    buf_init(&r->bytes, BUFFER_MAX);
}

static void close_segment(struct journal_reader *r)
{
    if (r->fd != -1) {
        (void)close(r->fd);
        r->fd = -1;
    }
    buf_reset(&r->bytes);
}

void runtime_journal_reader_fini(struct journal_reader *r)
{
    close_segment(r);
    buf_fini(&r->bytes);
}

struct segments {
    uint64_t covering; /* the last one that begins at or before the position */
    uint64_t next;     /* the first one that begins after it */
    bool has_covering;
    bool has_next;
};

static bool parse_name(const char *name, uint64_t *ret_start)
{
    struct str text = str_of(name);
    return str_starts_with(text, STR(NAME_PREFIX)) &&
           str_parse_u64(str_from(text, sizeof(NAME_PREFIX) - 1), UINT64_MAX / 2, ret_start);
}

static struct segments find_segments(int folder_fd, uint64_t position)
{
    struct segments s = {0};
    int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd == -1 ? NULL : fdopendir(fd);
    if (folder == NULL) {
        cleanup_fd(&fd);
        return s;
    }
    for (const struct dirent *e = readdir(folder); e != NULL; e = readdir(folder)) {
        uint64_t start = 0;
        if (!parse_name(e->d_name, &start)) {
            continue;
        }
        if (start <= position && (!s.has_covering || start > s.covering)) {
            s.covering = start;
            s.has_covering = true;
        }
        if (start > position && (!s.has_next || start < s.next)) {
            s.next = start;
            s.has_next = true;
        }
    }
    (void)closedir(folder);
    return s;
}

static bool open_at(struct journal_reader *r, int folder_fd, uint64_t start)
{
    char name[NAME_BYTES];
    name_of(start, name);
    close_segment(r);
    r->fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    r->segment_start = start;
    return r->fd != -1;
}

/* One read more; false when the segment has nothing more at the moment. */
static bool read_more(struct journal_reader *r)
{
    char *room = buf_reserve(&r->bytes, READ_BYTES);
    CHECK(room != NULL); /* a whole record would have been taken out before */
    uint64_t at = r->position - r->segment_start + r->bytes.len;
    ssize_t got = 0;
    do {
        got = pread(r->fd, room, READ_BYTES, (off_t)at);
    } while (got == -1 && errno == EINTR);
    if (got <= 0) {
        return false;
    }
    r->bytes.len += (size_t)got;
    return true;
}

enum look { LOOK_RECORD, LOOK_SHORT, LOOK_BROKEN };

static enum look look_at_record(const struct journal_reader *r, struct head *ret_head)
{
    if (r->bytes.len < sizeof(*ret_head)) {
        return LOOK_SHORT;
    }
    memcpy(ret_head, r->bytes.ptr, sizeof(*ret_head));
    bool is_stream = ret_head->stream == JOURNAL_STDOUT || ret_head->stream == JOURNAL_STDERR;
    if (!is_stream || ret_head->bytes > RUNTIME_LINE_BYTES_MAX) {
        return LOOK_BROKEN;
    }
    return r->bytes.len < sizeof(*ret_head) + ret_head->bytes ? LOOK_SHORT : LOOK_RECORD;
}

/* The open segment has no further whole record: goes on with the one after it, if there is. */
static bool go_to_next_segment(struct journal_reader *r, int folder_fd, uint64_t *missed)
{
    struct segments s = find_segments(folder_fd, r->position);
    if (r->fd == -1 && s.has_covering) {
        return open_at(r, folder_fd, s.covering);
    }
    if (s.has_covering && s.covering > r->segment_start) {
        return open_at(r, folder_fd, s.covering);
    }
    if (!s.has_next) {
        return false;
    }
    *missed += s.next - r->position;
    r->position = s.next;
    return open_at(r, folder_fd, s.next);
}

/* To its present end, where the next record will begin. */
static void skip_segment(struct journal_reader *r)
{
    struct stat st;
    if (fstat(r->fd, &st) == 0 && r->segment_start + (uint64_t)st.st_size > r->position) {
        r->position = r->segment_start + (uint64_t)st.st_size;
    } else {
        r->position++;
    }
    buf_reset(&r->bytes);
}

enum err runtime_journal_next(struct journal_reader *r, int folder_fd, struct journal_record *ret)
{
    struct head head;
    uint64_t missed = 0;
    if (r->taken_bytes > 0) {
        buf_consume(&r->bytes, r->taken_bytes);
        r->taken_bytes = 0;
    }
    for (;;) {
        enum look look = r->fd == -1 ? LOOK_SHORT : look_at_record(r, &head);
        if (look == LOOK_RECORD) {
            break;
        }
        if (look == LOOK_BROKEN) {
            skip_segment(r);
            return ERR_PROTOCOL;
        }
        if (r->fd != -1 && read_more(r)) {
            continue;
        }
        if (!go_to_next_segment(r, folder_fd, &missed)) {
            buf_reset(&r->bytes); /* half a record may be taken back by its writer */
            return ERR_AGAIN;
        }
    }
    r->taken_bytes = sizeof(head) + head.bytes;
    r->position += r->taken_bytes;
    *ret = (struct journal_record){
        .line = str_make(r->bytes.ptr + sizeof(head), head.bytes),
        .at = {.us = head.at_us},
        .end = r->position,
        .missed_bytes = missed,
        .stream = head.stream,
    };
    return ERR_OK;
}
