/* One sink of logs.c: lines become gzip members in a bucket's folder, lines of a plain file, or
 * datagrams. Everything here may wait for a disk; it runs in the drain's thread alone. */

#include "base/check.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "lb/limits.h"
#include "lb/logs.h"
#include "net/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <zlib.h>

struct lb_log_out {
    struct arena arena; /* of the texts */
    struct lb_log_plan plan;
    struct str folder;
    struct str balancer_dots; /* "app.NAME.ID" */
    char *waiting;            /* lines, each with its end; NULL: none were ever added */
    size_t waiting_bytes;
    uint64_t lost_lines; /* since it was last said */
    mono_t said_at;
    int64_t span_ends_s; /* of the bucket's file */
    int bucket_fd;
    int file_fd;
    int socket_fd;
};

/* ---- failures -------------------------------------------------------------------------------- */

static void lose(struct lb_log_out *out, uint64_t lines, const char *where)
{
    out->lost_lines += lines;
    mono_t now = clock_mono();
    if (out->said_at.us == 0 || mono_since(now, out->said_at).us >= LB_LOG_COMPLAIN_EVERY.us) {
        log_warn("lb", "%llu lines of the logs of %.*s did not get to %s: %s",
                 (unsigned long long)out->lost_lines, STR_ARG(out->plan.balancer), where,
                 strerror(errno));
        out->said_at = now;
        out->lost_lines = 0;
    }
}

static uint64_t lines_in(const char *bytes, size_t count)
{
    uint64_t lines = 0;
    for (size_t i = 0; i < count; i++) {
        lines += bytes[i] == '\n';
    }
    return lines;
}

static bool write_all(int fd, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t n = write(fd, bytes, count);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        size_t written = n < 0 ? 0 : (size_t)n;
        bytes += written;
        count -= written;
    }
    return true;
}

/* ---- a bucket -------------------------------------------------------------------------------- */

/* Makes the folders and opens the file of the span that ends at `ends_s`; -1 with errno. */
static int open_span(const struct lb_log_out *out, int64_t ends_s)
{
    auto_op struct op op;
    op_init(&op);
    const struct lb_log_plan *p = &out->plan;
    struct str iso = wall_iso8601(&op.arena, (wall_t){.us = ends_s * 1000000});
    struct str folder = arena_printf(
        &op.arena, "%.*s/s3/%.*s/%.*s%sAWSLogs/%.*s/elasticloadbalancing/%.*s/%.4s/%.2s/%.2s",
        STR_ARG(out->folder), STR_ARG(p->bucket), STR_ARG(p->prefix), p->prefix.len > 0 ? "/" : "",
        STR_ARG(p->account), STR_ARG(p->region), iso.ptr, iso.ptr + 5, iso.ptr + 8);
    struct str path = arena_printf(
        &op.arena,
        "%.*s/%.*s%.*s_elasticloadbalancing_%.*s_%.*s_%.4s%.2s%.2sT%.2s%.2sZ_%.*s_%08llx.log.gz",
        STR_ARG(folder), STR_ARG(p->kind), STR_ARG(p->account), STR_ARG(p->region),
        STR_ARG(out->balancer_dots), iso.ptr, iso.ptr + 5, iso.ptr + 8, iso.ptr + 11, iso.ptr + 14,
        STR_ARG(p->address), (unsigned long long)(rand_u64() & 0xffffffffu));
    if (file_make_folder(&op, folder.ptr, 0700) != ERR_OK) {
        return -1;
    }
    return open(path.ptr, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* One whole gzip member. */
static bool write_member(int fd, const char *bytes, size_t count)
{
    z_stream z = {0};
    CHECK(deflateInit2(&z, LB_LOG_GZIP_LEVEL, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    size_t bound = deflateBound(&z, count);
    auto_free char *member = mem_alloc(bound);
    z.next_in = mem_owned(bytes);
    z.avail_in = (uInt)count;
    z.next_out = (Bytef *)member;
    z.avail_out = (uInt)bound;
    CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    size_t len = bound - z.avail_out;
    (void)deflateEnd(&z);
    return write_all(fd, member, len);
}

static void end_span(struct lb_log_out *out)
{
    if (out->bucket_fd >= 0) {
        (void)close(out->bucket_fd);
        out->bucket_fd = -1;
    }
}

static void to_bucket(struct lb_log_out *out, wall_t now)
{
    int64_t now_s = now.us / 1000000;
    if (now_s >= out->span_ends_s) {
        end_span(out);
    }
    if (out->waiting_bytes == 0) {
        return;
    }
    if (out->bucket_fd < 0) {
        out->span_ends_s = (now_s / LB_LOG_SPAN_S + 1) * LB_LOG_SPAN_S;
        out->bucket_fd = open_span(out, out->span_ends_s);
    }
    if (out->bucket_fd < 0 || !write_member(out->bucket_fd, out->waiting, out->waiting_bytes)) {
        lose(out, lines_in(out->waiting, out->waiting_bytes), "their bucket");
    }
}

/* ---- a plain file ---------------------------------------------------------------------------- */

/* NAME.1 is the newest of the old ones. */
static void turn_files(const char *path)
{
    char from[LB_LOG_PATH_BYTES_MAX + 16];
    char to[LB_LOG_PATH_BYTES_MAX + 16];
    for (int i = LB_LOG_OLD_FILES_MAX; i > 1; i--) {
        (void)snprintf(to, sizeof(to), "%s.%d", path, i);
        (void)snprintf(from, sizeof(from), "%s.%d", path, i - 1);
        (void)rename(from, to);
    }
    (void)rename(path, from);
}

static int open_file(const char *folder, const char *path)
{
    auto_op struct op op;
    op_init(&op);
    if (file_make_folder(&op, folder, 0700) != ERR_OK) {
        return -1;
    }
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* Moved away by someone, or full. */
static bool must_reopen(int fd, const char *path)
{
    struct stat open_one;
    struct stat named;
    if (fstat(fd, &open_one) == -1) {
        return true;
    }
    if (open_one.st_size >= LB_LOG_FILE_BYTES_MAX) {
        turn_files(path);
        return true;
    }
    return stat(path, &named) == -1 || named.st_ino != open_one.st_ino;
}

static void to_file(struct lb_log_out *out)
{
    char folder[LB_LOG_PATH_BYTES_MAX];
    char path[LB_LOG_PATH_BYTES_MAX];
    int len = snprintf(folder, sizeof(folder), "%.*s/logs", STR_ARG(out->folder));
    int path_len = snprintf(path, sizeof(path), "%.*s/logs/%.*s", STR_ARG(out->folder),
                            STR_ARG(out->plan.file));
    CHECK(len > 0 && path_len > 0 && path_len < LB_LOG_PATH_BYTES_MAX);
    if (out->file_fd >= 0 && must_reopen(out->file_fd, path)) {
        (void)close(out->file_fd);
        out->file_fd = -1;
    }
    if (out->file_fd < 0) {
        out->file_fd = open_file(folder, path);
    }
    if (out->file_fd < 0 || !write_all(out->file_fd, out->waiting, out->waiting_bytes)) {
        lose(out, lines_in(out->waiting, out->waiting_bytes), "their file");
    }
}

/* ---- a socket -------------------------------------------------------------------------------- */

static int open_socket(struct str text)
{
    struct net_addr addr = {0};
    bool is_udp = str_starts_with(text, STR("udp:"));
    if (!net_addr_parse(is_udp ? str_from(text, 4) : text, &addr)) {
        errno = EINVAL;
        return -1;
    }
    int fd = socket(addr.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, &addr.any, addr.len) == -1) {
        int error = errno;
        (void)close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static void to_socket(struct lb_log_out *out, wall_t now)
{
    if (out->socket_fd < 0) {
        out->socket_fd = open_socket(out->plan.socket);
    }
    auto_op struct op op;
    op_init(&op);
    struct str iso = wall_iso8601(&op.arena, now);
    struct str rest = str_make(out->waiting, out->waiting_bytes);
    struct str line = STR_NONE;
    while (str_next(&rest, '\n', &line)) {
        if (line.len == 0) {
            continue;
        }
        struct str datagram =
            arena_printf(&op.arena, "<134>1 %.*s - hitless - %s - %.*s", STR_ARG(iso),
                         out->plan.kind.len > 0 ? "conn" : "access", STR_ARG(line));
        if (out->socket_fd < 0 ||
            send(out->socket_fd, datagram.ptr, datagram.len, MSG_NOSIGNAL) < 0) {
            bool is_gone = out->socket_fd >= 0 && errno != EAGAIN && errno != EMSGSIZE;
            lose(out, 1, "their socket");
            if (is_gone) {
                (void)close(out->socket_fd);
                out->socket_fd = -1;
                return; /* the rest with it: the receiver is not there */
            }
        }
    }
}

/* ---- the whole ------------------------------------------------------------------------------- */

struct lb_log_out *lb_log_out_new(struct str folder, const struct lb_log_plan *plan)
{
    struct lb_log_out *out = MEM_NEW(struct lb_log_out);
    struct arena *a = &out->arena;
    arena_init(a);
    out->folder = arena_str(a, folder);
    out->plan = (struct lb_log_plan){
        .kind = arena_str(a, plan->kind),
        .balancer = arena_str(a, plan->balancer),
        .account = arena_str(a, plan->account),
        .region = arena_str(a, plan->region),
        .address = arena_str(a, plan->address),
        .bucket = arena_str(a, plan->bucket),
        .prefix = arena_str(a, plan->prefix),
        .file = arena_str(a, plan->file),
        .socket = arena_str(a, plan->socket),
    };
    char *dots = arena_alloc(a, plan->balancer.len + 1);
    for (size_t i = 0; i < plan->balancer.len; i++) {
        dots[i] = plan->balancer.ptr[i] == '/' ? '.' : plan->balancer.ptr[i];
    }
    out->balancer_dots = str_make(dots, plan->balancer.len);
    out->bucket_fd = -1;
    out->file_fd = -1;
    out->socket_fd = -1;
    return out;
}

void lb_log_out_free(struct lb_log_out *out)
{
    end_span(out);
    if (out->file_fd >= 0) {
        (void)close(out->file_fd);
    }
    if (out->socket_fd >= 0) {
        (void)close(out->socket_fd);
    }
    mem_free(out->waiting);
    arena_fini(&out->arena);
    mem_free(out);
}

void lb_log_out_add(struct lb_log_out *out, struct str line)
{
    if (out->waiting == NULL) {
        out->waiting = mem_alloc(LB_LOG_WAITING_BYTES);
    }
    if (out->waiting_bytes + line.len + 1 > LB_LOG_WAITING_BYTES) {
        lb_log_out_flush(out, clock_wall());
    }
    memcpy(out->waiting + out->waiting_bytes, line.ptr, line.len);
    out->waiting[out->waiting_bytes + line.len] = '\n';
    out->waiting_bytes += line.len + 1;
}

void lb_log_out_flush(struct lb_log_out *out, wall_t now)
{
    if (out->plan.bucket.len > 0) {
        to_bucket(out, now);
    }
    if (out->waiting_bytes == 0) {
        return;
    }
    if (out->plan.file.len > 0) {
        to_file(out);
    }
    if (out->plan.socket.len > 0) {
        to_socket(out, now);
    }
    out->waiting_bytes = 0;
}
