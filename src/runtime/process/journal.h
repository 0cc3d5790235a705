#pragma once
/* The kept output of one container: records in segment files named by the offset where they begin,
 * "log.00000000000004194304". The shim writes, control reads; an offset is a position in the whole
 * output and never restarts.
 *
 * Record  {u32 bytes, u8 stream (1 stdout, 2 stderr), u8[3] zero, i64 wall clock in us}, then the
 *         line without its end. A record never spans segments.
 * Limits  JOURNAL_SEGMENTS_MAX segments of JOURNAL_SEGMENT_BYTES each (and one line more); the
 *         oldest goes first. A reader that comes too late is told how much it missed. */

#include "base/buf.h"
#include "base/op.h"
#include "runtime/limits.h"

#define JOURNAL_SEGMENT_BYTES (4u << 20)
#define JOURNAL_SEGMENTS_MAX  4
#define JOURNAL_HEAD_BYTES    16
#define JOURNAL_STDOUT        1
#define JOURNAL_STDERR        2

struct journal_writer {
    int folder_fd; /* of the container; borrowed */
    int fd;        /* -1: no segment open */
    uint64_t starts[JOURNAL_SEGMENTS_MAX];
    size_t segment_count;
    uint64_t end;           /* offset of the next record */
    uint64_t dropped_lines; /* could not be written: disk full */
};

/* Begins at offset 0: a container starts once. */
void runtime_journal_writer_init(struct journal_writer *w, int folder_fd);
void runtime_journal_writer_fini(struct journal_writer *w);
/* At most RUNTIME_LINE_BYTES_MAX bytes. */
void runtime_journal_add(struct journal_writer *w, int stream, wall_t at, struct str line);

/* Cuts a stream of bytes into lines. */
struct journal_lines {
    struct buf rest;
    int stream;
};

void runtime_journal_lines_init(struct journal_lines *l, int stream);
void runtime_journal_lines_fini(struct journal_lines *l);
void runtime_journal_lines_feed(struct journal_lines *l, struct journal_writer *w, wall_t at,
                                struct str bytes);
/* What came without a line end. */
void runtime_journal_lines_flush(struct journal_lines *l, struct journal_writer *w, wall_t at);

struct journal_reader {
    int fd; /* -1: no segment open */
    uint64_t segment_start;
    uint64_t position; /* of the next record */
    struct buf bytes;  /* read ahead; begins with the record taken last */
    size_t taken_bytes;
};

struct journal_record {
    struct str line; /* lives until the next call */
    wall_t at;
    uint64_t end;          /* the position after it */
    uint64_t missed_bytes; /* that went before this record was read */
    int stream;
};

void runtime_journal_reader_init(struct journal_reader *r, uint64_t position);
void runtime_journal_reader_fini(struct journal_reader *r);
/* The next whole record. ERR_AGAIN: none is there yet. ERR_PROTOCOL: the rest of this segment is
 * no journal; the reader has gone past it. */
enum err runtime_journal_next(struct journal_reader *r, int folder_fd,
                              struct journal_record *ret) MUST_USE;
