#pragma once
/* Limits of HTTP/1 messages. Source: the documented limits of Application Load Balancers; counts
 * that AWS does not name are ours. */

#include <stddef.h>

#define H1_REQUEST_LINE_BYTES_MAX ((size_t)16 * 1024)
#define H1_FIELD_BYTES_MAX        ((size_t)16 * 1024) /* one header line with its line end */
#define H1_HEAD_BYTES_MAX         ((size_t)64 * 1024) /* all header lines of a request */
#define H1_RESPONSE_BYTES_MAX     ((size_t)32 * 1024) /* status line and header lines */
#define H1_FIELDS_MAX             100
#define H1_METHOD_BYTES_MAX       40
/* A chunk's size line with its dropped extensions, and all trailers of one body. */
#define H1_CHUNK_LINE_BYTES_MAX 4096
/* Size lines beyond 16 bytes and twice their data each: extensions that nobody needs. */
#define H1_CHUNK_EXCESS_BYTES_MAX   16384
#define H1_TRAILER_BYTES_MAX        ((size_t)16 * 1024)
#define H1_CHUNK_SIZE_MAX           ((uint64_t)1 << 60)
#define H1_CONTENT_LENGTH_MAX       ((uint64_t)1 << 62)
#define H1_CHUNK_HEAD_BYTES         18 /* 16 hexadecimal digits, CR, LF */
#define H1_REQUEST_BUFFER_BYTES_MAX (H1_REQUEST_LINE_BYTES_MAX + H1_HEAD_BYTES_MAX)
