#include "net/addr.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <stdio.h>

#define UNIX_PREFIX "unix:"
#define UDP_PREFIX  "udp:"

static bool parse_unix(struct str path, struct net_addr *ret_addr)
{
    struct net_addr addr = {0};
    if (path.len == 0 || path.ptr[0] != '/' || path.len > NET_UNIX_PATH_BYTES_MAX ||
        memchr(path.ptr, '\0', path.len) != NULL) {
        return false;
    }
    addr.un.sun_family = AF_UNIX;
    memcpy(addr.un.sun_path, path.ptr, path.len);
    addr.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + 1);
    *ret_addr = addr;
    return true;
}

static bool parse_ip(struct str host, uint16_t port, struct net_addr *ret_addr)
{
    char text[INET6_ADDRSTRLEN];
    struct net_addr addr = {0};
    if (!str_to_c(host, text, sizeof(text))) {
        return false;
    }
    if (inet_pton(AF_INET, text, &addr.v4.sin_addr) == 1) {
        addr.len = sizeof(addr.v4);
        addr.v4.sin_family = AF_INET;
        addr.v4.sin_port = htons(port);
    } else if (inet_pton(AF_INET6, text, &addr.v6.sin6_addr) == 1) {
        addr.len = sizeof(addr.v6);
        addr.v6.sin6_family = AF_INET6;
        addr.v6.sin6_port = htons(port);
    } else {
        return false;
    }
    *ret_addr = addr;
    return true;
}

bool net_addr_parse_host(struct str host, uint16_t port, struct net_addr *ret_addr)
{
    if (str_starts_with(host, STR(UNIX_PREFIX))) {
        return parse_unix(str_from(host, strlen(UNIX_PREFIX)), ret_addr);
    }
    return parse_ip(host, port, ret_addr);
}

/* "127.0.0.1:80", "[::1]:80" */
static bool parse_ip_port(struct str text, struct net_addr *ret_addr)
{
    size_t colon = str_find_last_char(text, ':');
    uint64_t port = 0;
    if (colon == STR_NOT_FOUND || !str_parse_u64(str_from(text, colon + 1), UINT16_MAX, &port)) {
        return false;
    }
    struct str host = str_slice(text, 0, colon);
    bool has_brackets = host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    bool has_colon = str_find_char(host, ':', 0) != STR_NOT_FOUND;
    if (has_brackets != has_colon) {
        return false; /* "::1:80" could be read in two ways; "[1.2.3.4]:80" is nothing */
    }
    return parse_ip(has_brackets ? str_slice(host, 1, host.len - 1) : host, (uint16_t)port,
                    ret_addr);
}

bool net_addr_parse(struct str text, struct net_addr *ret_addr)
{
    if (str_starts_with(text, STR(UNIX_PREFIX))) {
        return parse_unix(str_from(text, strlen(UNIX_PREFIX)), ret_addr);
    }
    if (str_starts_with(text, STR(UDP_PREFIX))) {
        struct net_addr addr;
        if (!parse_ip_port(str_from(text, strlen(UDP_PREFIX)), &addr)) {
            return false;
        }
        addr.is_datagram = true;
        *ret_addr = addr;
        return true;
    }
    return parse_ip_port(text, ret_addr);
}

bool net_addr_from_sockaddr(const struct sockaddr *any, socklen_t len, struct net_addr *ret_addr)
{
    struct net_addr addr = {.len = len};
    if (len < sizeof(sa_family_t) || len > sizeof(addr.un)) {
        return false;
    }
    memcpy(&addr.any, any, len);
    bool is_known = (addr.any.sa_family == AF_INET && len == sizeof(addr.v4)) ||
                    (addr.any.sa_family == AF_INET6 && len == sizeof(addr.v6)) ||
                    addr.any.sa_family == AF_UNIX;
    if (is_known) {
        *ret_addr = addr;
    }
    return is_known;
}

static bool is_mapped_v4(const struct net_addr *addr)
{
    return addr->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&addr->v6.sin6_addr);
}

/* inet_ntop goes through printf; the data plane writes an address for every request. */
static size_t format_v4(const uint8_t bytes[4], char *buffer)
{
    char *at = buffer;
    for (size_t i = 0; i < 4; i++) {
        unsigned value = bytes[i];
        if (i > 0) {
            *at++ = '.';
        }
        if (value >= 100) {
            *at++ = (char)('0' + value / 100);
        }
        if (value >= 10) {
            *at++ = (char)('0' + value / 10 % 10);
        }
        *at++ = (char)('0' + value % 10);
    }
    *at = '\0';
    return (size_t)(at - buffer);
}

size_t net_addr_format_host(const struct net_addr *addr, char *buffer)
{
    buffer[0] = '\0';
    if (addr->len == 0) {
        return 0;
    }
    if (addr->any.sa_family == AF_UNIX) {
        size_t path_bytes = addr->len - offsetof(struct sockaddr_un, sun_path);
        /* an unnamed or abstract one has no path that could be shown */
        size_t shown = addr->len <= offsetof(struct sockaddr_un, sun_path)
                           ? 0
                           : strnlen(addr->un.sun_path, path_bytes);
        (void)snprintf(buffer, NET_ADDR_TEXT_BYTES_MAX, UNIX_PREFIX "%.*s", (int)shown,
                       addr->un.sun_path);
        return strlen(buffer);
    }
    if (is_mapped_v4(addr)) {
        return format_v4(&addr->v6.sin6_addr.s6_addr[12], buffer);
    }
    if (addr->any.sa_family == AF_INET) {
        uint8_t bytes[4];
        memcpy(bytes, &addr->v4.sin_addr, sizeof(bytes));
        return format_v4(bytes, buffer);
    }
    CHECK(inet_ntop(AF_INET6, &addr->v6.sin6_addr, buffer, NET_ADDR_TEXT_BYTES_MAX) != NULL);
    return strlen(buffer);
}

size_t net_addr_format(const struct net_addr *addr, char *buffer)
{
    char host[NET_ADDR_TEXT_BYTES_MAX];
    size_t len = net_addr_format_host(addr, host);
    if (addr->len == 0 || addr->any.sa_family == AF_UNIX) {
        memcpy(buffer, host, len + 1);
        return len;
    }
    bool has_colon = strchr(host, ':') != NULL;
    const char *prefix = addr->is_datagram ? UDP_PREFIX : "";
    int wrote = snprintf(buffer, NET_ADDR_TEXT_BYTES_MAX, has_colon ? "%s[%s]:%u" : "%s%s:%u",
                         prefix, host, net_addr_port(addr));
    CHECK(wrote > 0 && wrote < NET_ADDR_TEXT_BYTES_MAX);
    return (size_t)wrote;
}

struct str net_addr_text(struct arena *a, const struct net_addr *addr)
{
    char buffer[NET_ADDR_TEXT_BYTES_MAX];
    size_t len = net_addr_format(addr, buffer);
    return arena_str(a, str_make(buffer, len));
}

uint16_t net_addr_port(const struct net_addr *addr)
{
    if (addr->len == 0 || addr->any.sa_family == AF_UNIX) {
        return 0;
    }
    return ntohs(addr->any.sa_family == AF_INET ? addr->v4.sin_port : addr->v6.sin6_port);
}

bool net_addr_equal(const struct net_addr *a, const struct net_addr *b)
{
    if (a->len != b->len || a->is_datagram != b->is_datagram ||
        (a->len != 0 && a->any.sa_family != b->any.sa_family)) {
        return false;
    }
    if (a->len == 0) {
        return true;
    }
    if (a->any.sa_family == AF_INET) {
        return a->v4.sin_port == b->v4.sin_port && a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    }
    if (a->any.sa_family == AF_INET6) {
        return a->v6.sin6_port == b->v6.sin6_port && a->v6.sin6_scope_id == b->v6.sin6_scope_id &&
               IN6_ARE_ADDR_EQUAL(&a->v6.sin6_addr, &b->v6.sin6_addr);
    }
    return memcmp(&a->any, &b->any, a->len) == 0;
}

bool net_addr_is_loopback(const struct net_addr *addr)
{
    if (addr->len == 0 || addr->any.sa_family == AF_UNIX) {
        return false;
    }
    if (addr->any.sa_family == AF_INET) {
        return ntohl(addr->v4.sin_addr.s_addr) >> 24 == 127;
    }
    return IN6_IS_ADDR_LOOPBACK(&addr->v6.sin6_addr) ||
           (is_mapped_v4(addr) && addr->v6.sin6_addr.s6_addr[12] == 127);
}

bool net_addr_is_unix(const struct net_addr *addr)
{
    return addr->len != 0 && addr->any.sa_family == AF_UNIX;
}
