#pragma once
/* The output of a container as the Docker Engine API streams it: frames of stdout and stderr, each
 * with lines that begin with their time. Pure: bytes in, lines out.
 *
 * Shape    Frame: {u8 stream (0 stdin, 1 stdout, 2 stderr), u8[3] zero, u32 length, big-endian},
 *          then that many bytes: "2026-11-20T15:42:10.123456789Z text\n". A line longer than 16 KiB
 *          comes as several frames, of which only the last ends in "\n"; each has a time.
 * Position The time in ns, times 8, plus the number of lines before it with the same time: reading
 *          again from that time gives the same positions, so what was told is known.
 * Limits   RUNTIME_LINE_BYTES_MAX a line, longer ones are cut into several; a longer frame, an
 *          unknown stream or a line without a time is ERR_PROTOCOL.
 * Source   Docker Engine API 1.41, "Stream format" of ContainerAttach; ContainerLogs with
 *          timestamps=1; docs/sources.md#docker-logs */

#include "base/buf.h"
#include "runtime/driver.h"

#define DOCKER_FRAME_HEAD_BYTES 8
#define DOCKER_FRAME_BYTES_MAX  (RUNTIME_LINE_BYTES_MAX + 64)
#define DOCKER_POSITION_SHIFT   3

typedef void docker_line_fn(void *self, const struct runtime_line *line);

struct docker_pending {
    struct buf text;   /* of a line that has not ended */
    wall_t at;         /* of its first piece */
    uint64_t stamp_ns; /* of its newest piece */
    bool is_begun;
};

struct docker_stream {
    struct buf frame; /* head and what came of the payload */
    struct docker_pending pending[2];
    uint64_t last_position;
    uint64_t told_position;  /* lines up to here are passed over */
    docker_line_fn *on_line; /* the line's text lives until it returns */
    void *self;
};

/* From the beginning, or again after `told_position` (0: from the first line). */
void docker_stream_init(struct docker_stream *s, uint64_t told_position, docker_line_fn *on_line,
                        void *self);
void docker_stream_fini(struct docker_stream *s);
/* After ERR_PROTOCOL only docker_stream_fini() is allowed. */
enum err docker_stream_feed(struct docker_stream *s, struct str bytes) MUST_USE;
/* The stream has ended: lines without an end are told. */
void docker_stream_end(struct docker_stream *s);

/* "2026-11-20T15:42:10.123456789Z" in ns since 1970. */
bool docker_stamp_parse(struct str text, uint64_t *ret_ns);
