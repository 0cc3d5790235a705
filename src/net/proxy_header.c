#include "net/proxy_header.h"

#include "base/check.h"

#include <arpa/inet.h>

#define VERSION_2_LOCAL 0x20
#define VERSION_2_PROXY 0x21
#define FAMILY_NONE     0x00
#define FAMILY_V4       0x10
#define FAMILY_V6       0x20
#define KIND_STREAM     0x01
#define KIND_DATAGRAM   0x02

static const char signature[12] = "\r\n\r\n\0\r\nQUIT\n";

static bool is_ip(const struct net_addr *addr)
{
    return addr != NULL && addr->len > 0 &&
           (addr->any.sa_family == AF_INET || addr->any.sa_family == AF_INET6);
}

static size_t put(char *room, size_t at, const void *bytes, size_t count)
{
    memcpy(room + at, bytes, count);
    return at + count;
}

static size_t put_v6(char *room, size_t at, const struct net_addr *addr)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (addr->any.sa_family == AF_INET6) {
        return put(room, at, &addr->v6.sin6_addr, 16);
    }
    at = put(room, at, mapped, sizeof(mapped));
    return put(room, at, &addr->v4.sin_addr, 4);
}

struct str net_proxy_header(char room[NET_PROXY_HEADER_BYTES_MAX], const struct net_addr *from,
                            const struct net_addr *to)
{
    bool is_known = is_ip(from) && is_ip(to);
    bool is_v4 = is_known && from->any.sa_family == AF_INET && to->any.sa_family == AF_INET;
    int family = !is_known ? FAMILY_NONE : is_v4 ? FAMILY_V4 : FAMILY_V6;
    int kind = !is_known ? 0 : to->is_datagram ? KIND_DATAGRAM : KIND_STREAM;
    uint16_t bytes = !is_known ? 0 : is_v4 ? 12 : 36;
    const uint16_t length = htons(bytes);
    size_t at = put(room, 0, signature, sizeof(signature));
    room[at++] = is_known ? VERSION_2_PROXY : VERSION_2_LOCAL;
    room[at++] = (char)(family | kind);
    at = put(room, at, &length, sizeof(length));
    if (!is_known) {
        return str_make(room, at);
    }
    const uint16_t ports[2] = {htons(net_addr_port(from)), htons(net_addr_port(to))};
    if (is_v4) {
        at = put(room, at, &from->v4.sin_addr, 4);
        at = put(room, at, &to->v4.sin_addr, 4);
    } else {
        at = put_v6(room, at, from);
        at = put_v6(room, at, to);
    }
    at = put(room, at, ports, sizeof(ports));
    CHECK(at <= NET_PROXY_HEADER_BYTES_MAX);
    return str_make(room, at);
}
