#pragma once
/* The header of the PROXY protocol, version 2: who opened the connection that a proxy relays.
 * Source: haproxy.org, proxy-protocol.txt §2.2. */

#include "net/addr.h"

#define NET_PROXY_HEADER_BYTES_MAX 52 /* signature, head, two IPv6 addresses and ports */

/* PROXY and both addresses when they are of one IP family (IPv4 is mapped where they are not);
 * LOCAL, which tells of no client, when `from` is NULL or no IP address. Lies in room. */
struct str net_proxy_header(char room[NET_PROXY_HEADER_BYTES_MAX], const struct net_addr *from,
                            const struct net_addr *to);
