#include "net/proxy_protocol.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <stdio.h>

#define V2_FIXED_BYTES 16 /* signature, version and command, family, length */
#define V2_TCP4_BYTES  12
#define V2_TCP6_BYTES  36
#define V2_UNIX_BYTES  216
#define V2_TYPE_CRC32C 0x03

static const char v1_start[6] = {'P', 'R', 'O', 'X', 'Y', ' '};
static const char v2_start[12] = {'\r', '\n', '\r', '\n', '\0', '\r',
                                  '\n', 'Q',  'U',  'I',  'T',  '\n'};

/* ---- version 1 ------------------------------------------------------------------------------- */

/* Decimal, no leading zero, at most 65535. */
static bool read_port(struct str text, uint16_t *ret)
{
    uint64_t port = 0;
    if (text.len == 0 || (text.len > 1 && text.ptr[0] == '0') ||
        !str_parse_u64(text, 65535, &port)) {
        return false;
    }
    *ret = (uint16_t)port;
    return true;
}

static bool read_address(int family, struct str text, uint16_t port, struct net_addr *ret)
{
    char room[INET6_ADDRSTRLEN];
    *ret = (struct net_addr){0};
    if (!str_to_c(text, room, sizeof(room))) {
        return false;
    }
    if (family == AF_INET) {
        ret->len = sizeof(ret->v4);
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_port = htons(port);
        return inet_pton(AF_INET, room, &ret->v4.sin_addr) == 1;
    }
    ret->len = sizeof(ret->v6);
    ret->v6.sin6_family = AF_INET6;
    ret->v6.sin6_port = htons(port);
    return inet_pton(AF_INET6, room, &ret->v6.sin6_addr) == 1;
}

/* "TCP4 1.2.3.4 5.6.7.8 1234 80": one space between, nothing behind. */
static bool read_v1_line(struct str line, struct proxy_header *ret)
{
    struct str words[5];
    size_t count = 0;
    struct str rest = line;
    struct str word;
    if (STR_IS(line, "UNKNOWN") || str_starts_with(line, STR("UNKNOWN "))) {
        ret->is_local = true;
        return true;
    }
    while (count < 5 && str_next(&rest, ' ', &word)) {
        words[count++] = word;
    }
    uint16_t from = 0;
    uint16_t to = 0;
    bool is_v4 = count == 5 && STR_IS(words[0], "TCP4");
    if (count != 5 || str_is_set(rest) || (!is_v4 && !STR_IS(words[0], "TCP6"))) {
        return false;
    }
    int family = is_v4 ? AF_INET : AF_INET6;
    return read_port(words[3], &from) && read_port(words[4], &to) &&
           read_address(family, words[1], from, &ret->source) &&
           read_address(family, words[2], to, &ret->destination);
}

static enum proxy_result parse_v1(const char *bytes, size_t count, struct proxy_header *ret)
{
    size_t at = sizeof(v1_start);
    while (at < count && at < PROXY_V1_BYTES_MAX - 1 && bytes[at] != '\n') {
        if ((unsigned char)bytes[at] < ' ' && bytes[at] != '\r') {
            return PROXY_BAD;
        }
        at++;
    }
    if (at == count) {
        return PROXY_MORE;
    }
    if (bytes[at] != '\n' || bytes[at - 1] != '\r') {
        return PROXY_BAD;
    }
    ret->is_stream = true;
    ret->bytes = at + 1;
    size_t start = sizeof(v1_start);
    struct str line = str_make(bytes + start, at - 1 < start ? 0 : at - 1 - start);
    return read_v1_line(line, ret) ? PROXY_DONE : PROXY_BAD;
}

/* ---- version 2 ------------------------------------------------------------------------------- */

static unsigned byte_at(const char *bytes, size_t at)
{
    return (unsigned char)bytes[at];
}

/* Castagnoli, a bit at a time: headers are short and come once a connection. The four bytes of the
 * sum itself count as zeros. */
static uint32_t crc32c(const char *bytes, size_t count, size_t sum_at)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < count; i++) {
        crc ^= i >= sum_at && i < sum_at + 4 ? 0 : byte_at(bytes, i);
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
        }
    }
    return ~crc;
}

/* Further fields: type, length, value; they fill the header to its end. */
static bool are_fields_good(const char *bytes, size_t from, size_t end)
{
    while (from < end) {
        if (end - from < 3) {
            return false;
        }
        size_t len = byte_at(bytes, from + 1) << 8 | byte_at(bytes, from + 2);
        if (end - from - 3 < len) {
            return false;
        }
        if (byte_at(bytes, from) == V2_TYPE_CRC32C) {
            uint32_t sum = 0;
            if (len != 4) {
                return false;
            }
            memcpy(&sum, bytes + from + 3, 4);
            if (ntohl(sum) != crc32c(bytes, end, from + 3)) {
                return false;
            }
        }
        from += 3 + len;
    }
    return true;
}

static void read_v2_addresses(const char *at, bool is_v4, struct proxy_header *ret)
{
    ret->source = (struct net_addr){0};
    ret->destination = (struct net_addr){0};
    if (is_v4) {
        ret->source.len = ret->destination.len = sizeof(ret->source.v4);
        ret->source.v4.sin_family = ret->destination.v4.sin_family = AF_INET;
        memcpy(&ret->source.v4.sin_addr, at, 4);
        memcpy(&ret->destination.v4.sin_addr, at + 4, 4);
        memcpy(&ret->source.v4.sin_port, at + 8, 2);
        memcpy(&ret->destination.v4.sin_port, at + 10, 2);
        return;
    }
    ret->source.len = ret->destination.len = sizeof(ret->source.v6);
    ret->source.v6.sin6_family = ret->destination.v6.sin6_family = AF_INET6;
    memcpy(&ret->source.v6.sin6_addr, at, 16);
    memcpy(&ret->destination.v6.sin6_addr, at + 16, 16);
    memcpy(&ret->source.v6.sin6_port, at + 32, 2);
    memcpy(&ret->destination.v6.sin6_port, at + 34, 2);
}

/* Bytes of the addresses of a family and transport; STR_NOT_FOUND: there is no such one. */
static size_t address_bytes(unsigned family)
{
    switch (family) {
    case 0x00:
        return 0;
    case 0x11:
    case 0x12:
        return V2_TCP4_BYTES;
    case 0x21:
    case 0x22:
        return V2_TCP6_BYTES;
    case 0x31:
    case 0x32:
        return V2_UNIX_BYTES;
    default:
        return STR_NOT_FOUND;
    }
}

static enum proxy_result parse_v2(const char *bytes, size_t count, struct proxy_header *ret)
{
    if (count < V2_FIXED_BYTES) {
        return PROXY_MORE;
    }
    unsigned command = byte_at(bytes, 12);
    unsigned family = byte_at(bytes, 13);
    size_t len = byte_at(bytes, 14) << 8 | byte_at(bytes, 15);
    size_t addresses = address_bytes(family);
    bool is_known = (command == 0x20 || command == 0x21) && addresses != STR_NOT_FOUND;
    if (!is_known || len > PROXY_HEADER_BYTES_MAX - V2_FIXED_BYTES) {
        return PROXY_BAD;
    }
    /* LOCAL headers say nothing about addresses, whatever they hold */
    bool is_local = command == 0x20 || addresses == 0 || addresses == V2_UNIX_BYTES;
    if (command == 0x21 && len < addresses) {
        return PROXY_BAD;
    }
    if (count < V2_FIXED_BYTES + len) {
        return PROXY_MORE;
    }
    ret->bytes = V2_FIXED_BYTES + len;
    ret->is_local = is_local;
    ret->is_stream = (family & 0x0f) != 2;
    if (command == 0x21 && !are_fields_good(bytes, V2_FIXED_BYTES + addresses, ret->bytes)) {
        return PROXY_BAD;
    }
    if (!is_local) {
        read_v2_addresses(bytes + V2_FIXED_BYTES, addresses == V2_TCP4_BYTES, ret);
    }
    return PROXY_DONE;
}

enum proxy_result proxy_parse(const char *bytes, size_t count, struct proxy_header *ret)
{
    *ret = (struct proxy_header){0};
    size_t v1 = count < sizeof(v1_start) ? count : sizeof(v1_start);
    size_t v2 = count < sizeof(v2_start) ? count : sizeof(v2_start);
    if (count > 0 && memcmp(bytes, v1_start, v1) == 0) {
        return v1 < sizeof(v1_start) ? PROXY_MORE : parse_v1(bytes, count, ret);
    }
    if (count > 0 && memcmp(bytes, v2_start, v2) != 0) {
        return PROXY_BAD;
    }
    return v2 < sizeof(v2_start) ? PROXY_MORE : parse_v2(bytes, count, ret);
}

/* ---- writing --------------------------------------------------------------------------------- */

size_t proxy_write_v2(char room[PROXY_V2_WRITE_BYTES_MAX], const struct net_addr *source,
                      const struct net_addr *destination, bool is_stream)
{
    memcpy(room, v2_start, sizeof(v2_start));
    memset(room + 12, 0, 4);
    room[12] = 0x20;
    if (source->len == 0) {
        return V2_FIXED_BYTES;
    }
    CHECK(source->any.sa_family == destination->any.sa_family);
    bool is_v4 = source->any.sa_family == AF_INET;
    CHECK(is_v4 || source->any.sa_family == AF_INET6);
    room[12] = 0x21;
    room[13] = (char)((is_v4 ? 0x10 : 0x20) | (is_stream ? 1 : 2));
    room[15] = is_v4 ? V2_TCP4_BYTES : V2_TCP6_BYTES;
    char *at = room + V2_FIXED_BYTES;
    if (is_v4) {
        memcpy(at, &source->v4.sin_addr, 4);
        memcpy(at + 4, &destination->v4.sin_addr, 4);
        memcpy(at + 8, &source->v4.sin_port, 2);
        memcpy(at + 10, &destination->v4.sin_port, 2);
        return V2_FIXED_BYTES + V2_TCP4_BYTES;
    }
    memcpy(at, &source->v6.sin6_addr, 16);
    memcpy(at + 16, &destination->v6.sin6_addr, 16);
    memcpy(at + 32, &source->v6.sin6_port, 2);
    memcpy(at + 34, &destination->v6.sin6_port, 2);
    return V2_FIXED_BYTES + V2_TCP6_BYTES;
}

size_t proxy_write_v1(char room[PROXY_V1_BYTES_MAX + 1], const struct net_addr *source,
                      const struct net_addr *destination)
{
    char from[INET6_ADDRSTRLEN] = "";
    char to[INET6_ADDRSTRLEN] = "";
    int len;
    bool is_v4 = source->len > 0 && source->any.sa_family == AF_INET;
    bool is_v6 = source->len > 0 && source->any.sa_family == AF_INET6;
    if (is_v4) {
        (void)inet_ntop(AF_INET, &source->v4.sin_addr, from, sizeof(from));
        (void)inet_ntop(AF_INET, &destination->v4.sin_addr, to, sizeof(to));
    } else if (is_v6) {
        (void)inet_ntop(AF_INET6, &source->v6.sin6_addr, from, sizeof(from));
        (void)inet_ntop(AF_INET6, &destination->v6.sin6_addr, to, sizeof(to));
    }
    if (is_v4 || is_v6) {
        len = snprintf(room, PROXY_V1_BYTES_MAX + 1, "PROXY %s %s %s %u %u\r\n",
                       is_v4 ? "TCP4" : "TCP6", from, to, (unsigned)net_addr_port(source),
                       (unsigned)net_addr_port(destination));
    } else {
        len = snprintf(room, PROXY_V1_BYTES_MAX + 1, "PROXY UNKNOWN\r\n");
    }
    CHECK(len > 0 && len <= PROXY_V1_BYTES_MAX);
    return (size_t)len;
}
