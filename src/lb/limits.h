#pragma once
/* Limits of the data plane. ALB's where AWS names one, else ours. */

#include "base/time.h"

#include <stddef.h>
#include <sys/types.h>

#define LB_WORKERS_MAX      32
#define LB_LISTENERS_MAX    2500  /* 50 load balancers with 50 listeners each */
#define LB_GROUPS_MAX       3000  /* ALB: target groups of a region */
#define LB_RULES_MAX        10000 /* of one listener */
#define LB_RULES_WALKED_MAX 8     /* a listener with more rules finds them by an index */
#define LB_RULE_HEADERS_MAX \
    8 /* headers whose values are in the index; others are asked one by one */
#define LB_TRANSFORM_BYTES_MAX \
    ((size_t)16 * 1024)              /* ALB: of a request line; a longer result is a 500 */
#define LB_CHALLENGES_MAX       1000 /* that certificate authorities may ask for at a time */
#define LB_CHALLENGE_CHARS_MAX  1024 /* of a token, of an answer */
#define LB_CONDITIONS_MAX       16   /* of one rule */
#define LB_VALUES_MAX           16   /* of one condition */
#define LB_ACTIONS_MAX          5    /* of one rule */
#define LB_WEIGHTS_MAX          5    /* ALB: groups of one forward action */
#define LB_WEIGHT_MAX           999  /* ALB */
#define LB_GROUP_TARGETS_MAX    1000 /* ALB */
#define LB_MATCHER_RANGES_MAX   32
#define LB_ADDED_BYTES_MAX      ((size_t)12 * 1024) /* ALB: 1 KB for each of ten response headers */
#define LB_FIXED_BODY_BYTES_MAX 1024                /* ALB */
#define LB_LOCATION_BYTES_MAX   8192                /* ALB: of a redirect */
#define LB_XFF_ADDRESSES_MAX    30                  /* ALB: more is answered with 463 */
#define LB_TRACE_BYTES_MAX      7168                /* ALB: a longer X-Amzn-Trace-Id is replaced */
#define LB_CLIENTS_MAX          65536 /* connections of one worker; more are closed at once */
#define LB_PIPELINE_TURN_MAX    32    /* requests of one client answered in one turn of the loop */
#define LB_ACCEPTS_MAX          16  /* accepted in one go, so that other workers get their share */
#define LB_IDLE_UPSTREAMS_MAX   512 /* kept for one target by one worker */
#define LB_INTERIM_MAX          16  /* 1xx responses before a response */
#define LB_PIPELINE_BYTES_MAX   65536 /* read ahead behind the request in work */

/* The worker's one read buffer. Large on purpose: a body then needs a fourth of the system calls,
 * and since it is shared by all connections it stays in the cache. */
#define LB_SCRATCH_BYTES ((size_t)256 * 1024)
/* Free bytes in front of what is read, for a rewritten head or a chunk head. */
#define LB_FRONT_BYTES ((size_t)2048)
/* Free bytes behind it: end of a chunk and of a chunked body. */
#define LB_BACK_BYTES     ((size_t)16)
#define LB_READ_BYTES_MAX (LB_SCRATCH_BYTES - LB_FRONT_BYTES - LB_BACK_BYTES)
/* Bytes that wait for slow clients and targets, of one worker: past that, reads are small ones, so
 * that each connection more costs LB_SMALL_READ_BYTES at most. */
#define LB_HELD_BYTES_MAX   ((size_t)64 * 1024 * 1024)
#define LB_SMALL_READ_BYTES ((size_t)16 * 1024)
/* A request that fits is kept until its response begins, so that it can be sent once more. */
#define LB_REPLAY_BYTES_MAX ((size_t)64 * 1024)
/* Free blocks that a worker keeps of each size. */
#define LB_FREE_BLOCKS_MAX       64
#define LB_FREE_SMALL_BLOCKS_MAX 1024 /* of 4 KiB */
/* ALB: rules of a request that capacity units do not count. */
#define LB_FREE_EVALUATIONS 10

#define LB_CONNECTS_MAX       3         /* attempts while nothing of the request was sent */
#define LB_SENDS_MAX          2         /* attempts once something was: the first and one retry */
#define LB_CONNECT_TIMEOUT    DUR_S(10) /* ALB */
#define LB_HEAD_TIMEOUT       DUR_S(10) /* from the first byte of a request head to its last */
#define LB_LINGER_TIMEOUT     DUR_S(2)  /* for the client to take our last answer */
#define LB_BODY_GRACE         DUR_S(30) /* then a body must come at LB_BODY_RATE_MIN at least */
#define LB_BODY_RATE_MIN      100       /* bytes a second, over the whole body */
#define LB_TAKE_RATE_MIN      100       /* bytes a second that a client must take of its answer */
#define LB_EARLY_CLOSE_MEMORY DUR_S(10)
#define LB_AVOID_FOR          DUR_S(1)   /* a target that refused a connection is the last choice */
#define LB_STOP_IDLE_GRACE    DUR_S(1)   /* idle clients may still send one request while we stop */
#define LB_ACCEPT_PAUSE       DUR_MS(50) /* out of descriptors */
#define LB_PROBE_BYTES_MAX    ((size_t)16 * 1024)  /* of a health check's response head */
#define LB_PROBE_H2_BYTES_MAX ((size_t)128 * 1024) /* of a whole answer over HTTP/2 */
#define LB_PROBES_MAX         256                  /* open at a time */
#define LB_PROBE_FIRST_PAUSE  DUR_MS(200) /* between the probes of a target that never answered */

/* ---- HTTP/2 ---- */
#define LB_H2_STREAMS_MAX       128                 /* ALB: parallel streams of one connection */
#define LB_H2_REQUESTS_MAX      10000               /* ALB: of one connection, then GOAWAY */
#define LB_H2_BLOCK_BYTES_MAX   8192                /* ALB: of one compressed field block */
#define LB_H2_LIST_BYTES_MAX    ((size_t)64 * 1024) /* ALB: all header lines */
#define LB_H2_CONTINUATIONS_MAX 8                   /* frames of one field block */
/* What a client may send that a stream may not: a stream whose target is slow holds as much. The
 * connection's window is that of all its streams, so that none waits for another. */
#define LB_H2_WINDOW_BYTES            (128 * 1024)
#define LB_H2_CONNECTION_WINDOW_BYTES (LB_H2_STREAMS_MAX * LB_H2_WINDOW_BYTES)
/* Odd frames (resets, pings, settings, priorities, empty ones) that a connection may be ahead of
 * its useful ones, and how fast that is forgotten: 200 resets at once, 20 a second. */
#define LB_H2_ODD_BUDGET     600
#define LB_H2_ODD_PER_SECOND 60
#define LB_H2_RESET_COST     4
#define LB_H2_TINY_WINDOW    64  /* bytes; smaller updates are odd */
#define LB_H2_ENDED_KEPT     16  /* streams whose end a connection remembers */
#define LB_H2_ACKS_MAX       256 /* answers to pings and settings that wait */
/* Bytes of one stream that wait to be framed, before its other side is made to wait. */
#define LB_H2_AHEAD_BYTES_MAX      ((size_t)64 * 1024)
#define LB_H2_READ_BYTES_MAX       ((size_t)96 * 1024) /* read from a target at once for a stream */
#define LB_H2_INBOX_BYTES_MAX      ((size_t)240 * 1024)
#define LB_H2_INBOX_HEAD_BYTES_MAX ((size_t)48 * 1024) /* heads of a target's answer */
#define LB_H2_OUT_BYTES            LB_SCRATCH_BYTES    /* frames of one send */
#define LB_H2_FRAME_ROOM_BYTES     ((size_t)32 * 1024) /* more than any frame that we send */
#define LB_H2_SENT_BLOCK_BYTES_MAX ((size_t)128 * 1024)
#define LB_H2_KEPT_BYTES_MAX       ((size_t)4 * 1024 * 1024) /* free memory that a worker keeps */
#define LB_H2_LINK_STREAMS_MAX     128 /* requests at once on one connection to a target */
#define LB_H2_LINKS_MAX            32  /* connections of one worker to one target */

/* TLS: one recv an event, up to four records in one send. */
#define LB_TLS_PLAIN_BYTES  ((size_t)16384)                     /* RFC 8446 5.1: of a record */
#define LB_TLS_RECORD_BYTES (LB_TLS_PLAIN_BYTES + (size_t)1024) /* with all that is around it */
#define LB_TLS_BATCH        4                                   /* records */
#define LB_TLS_IN_BYTES     ((size_t)64 * 1024)
#define LB_TLS_OUT_BYTES    (LB_TLS_BATCH * LB_TLS_RECORD_BYTES + (size_t)8192)
/* Connections of one thread that keep OpenSSL's record buffers, 33 KiB each, until others need
 * theirs: those that are at work allocate nothing, those that idle hold nothing. */
#define LB_TLS_WARM_MAX          64
#define LB_TLS_HANDSHAKE_TIMEOUT DUR_S(10)   /* ALB, on both sides */
#define LB_TLS_SHAKES_FOR        DUR_US(500) /* of one turn; then requests have their turn */
#define LB_TLS_TICKET_ROTATION   DUR_S(4 * 3600)
#define LB_TLS_TICKET_LIFE_S     (8 * 3600) /* so that two older keys open every living ticket */
#define LB_TLS_CERTIFICATES_MAX  200        /* of one listener */
#define LB_TLS_NAMES_MAX         500        /* of one certificate; ACM has at most 100 */
#define LB_TLS_PEM_BYTES_MAX     (512 * 1024)
#define LB_TLS_STORE_BYTES_MAX   (16 * 1024 * 1024) /* authorities and revocation lists */
#define LB_TLS_CLIENT_CHAIN_MAX  4                  /* ALB: depth of a client's chain */

#define LB_LOG_RING_BYTES      ((size_t)4 << 20) /* of one worker */
#define LB_LOG_LINE_BYTES_MAX  ((size_t)64 << 10)
#define LB_LOG_WAITING_BYTES   ((size_t)256 << 10) /* of one sink, then they are written */
#define LB_LOG_SINKS_MAX       1024
#define LB_LOG_DRAIN_EVERY     DUR_MS(100)
#define LB_LOG_FLUSH_EVERY     DUR_S(1)
#define LB_LOG_COMPLAIN_EVERY  DUR_S(60)
#define LB_LOG_SPAN_S          300 /* ALB: of one file */
#define LB_LOG_FILE_BYTES_MAX  ((off_t)64 << 20)
#define LB_LOG_OLD_FILES_MAX   9
#define LB_LOG_PATH_BYTES_MAX  4096
#define LB_LOG_GZIP_LEVEL      1
#define LB_LOG_AGENT_BYTES     8192 /* ALB */
#define LB_LOG_TARGET_BYTES    16384
#define LB_DRAIN_CLOCKS_APART  DUR_MS(200) /* control's idea of a drain's end, and ours */
#define LB_HELD_DEFAULT        10000 /* requests that a paused listener holds, over all workers */
#define LB_HELD_MAX            1000000
#define LB_PAUSE_DEFAULT       DUR_S(30) /* for how long it holds one */
#define LB_RELEASES_MAX        64        /* held requests that go on in one turn of the loop */
#define LB_ALLOWED_MAX         64        /* address ranges that maintenance lets through */
#define LB_FLOWS_MAX           65536     /* TCP flows of one worker; more are reset at once */
#define LB_FLOW_IDLE_DEFAULT_S 350       /* NLB: tcp.idle_timeout.seconds */
#define LB_UDP_SOCKETS_MAX     16        /* of one listener, over all workers */
#define LB_UDP_FLOWS_MAX       16384 /* of one worker; the oldest without an answer makes room */
#define LB_UDP_FLOW_TIMEOUT    DUR_S(120)      /* NLB */
#define LB_UDP_BUCKETS         ((size_t)16384) /* a power of two */
#define LB_UDP_BATCH           32              /* datagrams of one system call */
#define LB_UDP_BATCHES_MAX     4               /* read in one go, so that others get their share */
#define LB_DATAGRAM_BYTES_MAX  ((size_t)65536)
/* For both sides of a WebSocket to answer our Close frame. */
#define LB_WEBSOCKET_CLOSE_TIMEOUT DUR_S(5)
#define LB_SHARE_WHOLE             1000      /* a target without mitigation */
#define LB_SHARE_LEAST             50        /* one that fails stays under observation */
#define LB_ANOMALY_TARGETS_MIN     3         /* ALB: healthy targets, else nothing is an anomaly */
#define LB_ANOMALY_WINDOW          DUR_S(10) /* scaled */
#define LB_ANOMALY_ANSWERS_MIN     10        /* of a target in a window, else its verdict stays */
#define LB_ANOMALY_PERCENT_MIN     5         /* faults; below nothing is an anomaly */
#define LB_ANOMALY_TIMES           3         /* as many faults as the others' average */
#define LB_ANOMALY_QUIET_MAX       6         /* windows with few answers, then it is forgotten */
#define LB_STICKY_SECONDS_MAX      604800    /* ALB */
#define LB_COOKIE_NAME_MAX         256       /* ALB: of the application's cookie */
#define LB_LOGIN_TIMEOUT           DUR_S(15 * 60) /* ALB: to sign in at the identity provider */
#define LB_SIGN_IN_TIMEOUT         DUR_S(25)      /* for control to exchange a code */
#define LB_SIGN_INS_MAX            1000           /* of one worker, that wait for control */
#define LB_LOGIN_URL_BYTES_MAX     4096           /* that a user is sent back to */
#define LB_LOGIN_PARAMS_MAX        10             /* ALB */
#define LB_SESSION_SHARDS_MAX      4              /* ALB: cookies of 4K */
#define LB_SESSION_SHARD_CHARS     ((size_t)3800)
#define LB_IDENTITIES_KNOWN        64  /* sessions that a worker need not open again */
#define LB_IDENTITY_SECONDS        120 /* for which a signed x-amzn-oidc-data is good */
#define LB_OUTLIER_RUN_DEFAULT     5
#define LB_OUTLIER_EJECT_DEFAULT_S 30
#define LB_OUTLIER_PERCENT_DEFAULT 50

#define LB_IDLE_TIMEOUT_DEFAULT_S      60
#define LB_CLIENT_KEEP_ALIVE_DEFAULT_S 3600
#define LB_DRAIN_DEFAULT_S             300
