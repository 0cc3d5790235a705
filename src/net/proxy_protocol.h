#pragma once
/* PROXY protocol, versions 1 and 2: the header in front of a connection's bytes that says from
 * where to where it goes. Bytes in, meaning out; no socket, no allocation. Source: "The PROXY
 * protocol", Willy Tarreau, 2020/03/05. */

#include "net/addr.h"

/* Longer headers are refused. A v1 header has at most 107 bytes; this leaves a v2 header 2 KB of
 * further fields (TLVs), several times what load balancers of AWS send. */
#define PROXY_HEADER_BYTES_MAX   2048
#define PROXY_V1_BYTES_MAX       107
#define PROXY_V2_WRITE_BYTES_MAX 52 /* signature, IPv6 addresses, no further fields */

enum proxy_result { PROXY_MORE, PROXY_DONE, PROXY_BAD };

struct proxy_header {
    bool is_local;  /* the sender speaks for itself (LOCAL, UNKNOWN): the connection's own addresses
                     */
    bool is_stream; /* else datagrams */
    struct net_addr source; /* len 0 when is_local */
    struct net_addr destination;
    size_t bytes; /* of the header: the connection's own bytes begin behind */
};

/* bytes[0, count) is what was received so far. Strict: anything that is no header to the letter is
 * PROXY_BAD, as early as it shows; a CRC-32C is checked when the header has one. */
enum proxy_result proxy_parse(const char *bytes, size_t count, struct proxy_header *ret);

/* A v2 header; both addresses of one family, IPv4 or IPv6. With no source (len 0) a LOCAL header.
 * Returns its length. */
size_t proxy_write_v2(char room[PROXY_V2_WRITE_BYTES_MAX], const struct net_addr *source,
                      const struct net_addr *destination, bool is_stream);
/* A v1 header (TCP4, TCP6; without addresses UNKNOWN). */
size_t proxy_write_v1(char room[PROXY_V1_BYTES_MAX + 1], const struct net_addr *source,
                      const struct net_addr *destination);
