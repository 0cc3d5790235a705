#pragma once
/* Limits of our HTTP servers and clients. Times are those of sockets: never scaled. */

#include <stddef.h>

#define HTTPIO_REQUEST_BYTES_DEFAULT   ((size_t)16 << 20) /* of one request body, unpacked */
#define HTTPIO_REQUEST_BYTES_MAX       ((size_t)1 << 30)
#define HTTPIO_CONNECTIONS_DEFAULT     1024
#define HTTPIO_ANSWER_BYTES_MAX        ((size_t)256 << 20) /* of one answer that is not streamed */
#define HTTPIO_ANSWER_FIELDS_BYTES_MAX ((size_t)16 << 10)
#define HTTPIO_STREAM_BYTES_MAX        ((size_t)1 << 20) /* unsent bytes of a streamed answer */
#define HTTPIO_READ_BYTES              ((size_t)64 << 10)

/* server */
#define HTTPIO_HEAD_MS_DEFAULT  10000 /* from its first byte to the whole head */
#define HTTPIO_IDLE_MS_DEFAULT  75000 /* between requests */
#define HTTPIO_BODY_MS_DEFAULT  30000 /* a body may take this long, and longer by its size: */
#define HTTPIO_BODY_BYTES_PER_S 4096  /* the slowest pace that is borne */
#define HTTPIO_WRITE_MS_DEFAULT 30000 /* the client takes nothing of an answer */
#define HTTPIO_LINGER_MS        2000  /* after an answer that closes: wait for the client's end */
#define HTTPIO_ACCEPT_PAUSE_MS  100   /* when descriptors are used up */
#define HTTPIO_ACCEPTS_PER_TURN 64

/* client */
#define HTTPIO_RESPONSE_BYTES_DEFAULT ((size_t)16 << 20) /* of a collected response body */
#define HTTPIO_CONNECT_MS_DEFAULT     10000
#define HTTPIO_ANSWER_MS_DEFAULT      30000 /* from the request's last byte to the whole head */
#define HTTPIO_SILENCE_MS_DEFAULT     30000 /* between pieces of a body */
