#pragma once
/* Socket addresses: IPv4, IPv6, Unix paths; of streams, or of datagrams (UDP). No name is ever
 * looked up here. */

#include "base/arena.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/* "unix:" and the longest path, or "udp:[", an IPv6 address, "]:65535"; with the NUL. */
#define NET_ADDR_TEXT_BYTES_MAX 128
#define NET_UNIX_PATH_BYTES_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

struct net_addr {
    socklen_t len; /* 0: no address */
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un un;
    };
    bool is_datagram;
};

/* "127.0.0.1:80", "[::1]:80", "unix:/path", "udp:127.0.0.1:53". Port 0..65535, decimal. False when
 * it is none of them: no host names, no zones, no relative path, no NUL. */
bool net_addr_parse(struct str text, struct net_addr *ret_addr);
/* Host and port apart, as targets are given: "127.0.0.1", "::1", "unix:/path" (port unused). */
bool net_addr_parse_host(struct str host, uint16_t port, struct net_addr *ret_addr);
/* As accept(2) and getsockname(2) give them. False for a family that we do not know. */
bool net_addr_from_sockaddr(const struct sockaddr *any, socklen_t len, struct net_addr *ret_addr);

/* The inverse of net_addr_parse; "" for no address, "unix:" for a Unix socket without a path. */
struct str net_addr_text(struct arena *a, const struct net_addr *addr);
/* Into buffer[NET_ADDR_TEXT_BYTES_MAX]; the text ends in NUL. Returns its length. */
size_t net_addr_format(const struct net_addr *addr, char *buffer);
/* The address without port: "127.0.0.1", "::1", "unix:/path". An IPv4 address mapped into IPv6
 * (::ffff:1.2.3.4, what a two-family listener sees) is written as IPv4. */
size_t net_addr_format_host(const struct net_addr *addr, char *buffer);
/* 0 for Unix sockets. */
uint16_t net_addr_port(const struct net_addr *addr);
bool net_addr_equal(const struct net_addr *a, const struct net_addr *b);
bool net_addr_is_loopback(const struct net_addr *addr);
bool net_addr_is_unix(const struct net_addr *addr);
