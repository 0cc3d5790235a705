#include "runtime/process/wire.h"

#include "base/check.h"

#include <errno.h>
#include <sys/socket.h>

#define LAUNCH_MARK 0x314d4853u /* "SHM1" */
#define WORDS_MAX   (RUNTIME_ENVIRONMENT_MAX + RUNTIME_WORDS_MAX)
#define TEXT_ABSENT UINT32_MAX

/* ---- messages -------------------------------------------------------------------------------- */

bool runtime_shim_send(int fd, enum shim_kind kind, int64_t a, int64_t b)
{
    struct shim_message m = {.version = SHIM_VERSION, .kind = kind, .a = a, .b = b};
    return send(fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof(m);
}

enum err runtime_shim_receive(int fd, struct shim_message *ret)
{
    struct shim_message m = {0};
    ssize_t got = 0;
    do {
        got = recv(fd, &m, sizeof(m), MSG_DONTWAIT | MSG_TRUNC);
    } while (got == -1 && errno == EINTR);
    if (got == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return ERR_AGAIN;
    }
    if (got <= 0) {
        return ERR_CLOSED;
    }
    if ((size_t)got < sizeof(m) || m.version < 1) {
        return ERR_PROTOCOL;
    }
    *ret = m;
    return ERR_OK;
}

/* ---- the launch block ------------------------------------------------------------------------ */

static void put_u32(struct buf *out, uint32_t value)
{
    buf_add_bytes(out, &value, sizeof(value));
}

static void put_i64(struct buf *out, int64_t value)
{
    buf_add_bytes(out, &value, sizeof(value));
}

static void put_text(struct buf *out, struct str s)
{
    put_u32(out, str_is_set(s) ? (uint32_t)s.len : TEXT_ABSENT);
    buf_add(out, s);
}

static void put_words(struct buf *out, struct runtime_words words)
{
    put_u32(out, (uint32_t)words.count);
    for (size_t i = 0; i < words.count; i++) {
        put_text(out, words.items[i]);
    }
}

void runtime_launch_encode(struct buf *out, const struct shim_launch *launch)
{
    put_u32(out, LAUNCH_MARK);
    put_text(out, launch->container_folder);
    put_text(out, launch->control_path);
    put_text(out, launch->run_folder);
    put_text(out, launch->work_folder);
    put_text(out, launch->user);
    put_words(out, launch->words);
    put_words(out, launch->environment);
    put_words(out, launch->probe);
    put_words(out, (struct runtime_words){launch->cgroups, launch->cgroup_count});
    put_text(out, launch->oom_file);
    put_u32(out, (uint32_t)launch->ulimit_count);
    for (size_t i = 0; i < launch->ulimit_count; i++) {
        put_text(out, launch->ulimits[i].name);
        put_i64(out, launch->ulimits[i].soft);
        put_i64(out, launch->ulimits[i].hard);
    }
    put_u32(out, launch->is_log_followed ? 1 : 0);
}

struct reader {
    struct str rest;
    struct arena *arena;
    bool is_broken;
};

static void take(struct reader *r, void *ret_bytes, size_t count)
{
    if (r->is_broken || r->rest.len < count) {
        r->is_broken = true;
        memset(ret_bytes, 0, count);
        return;
    }
    memcpy(ret_bytes, r->rest.ptr, count);
    r->rest = str_from(r->rest, count);
}

static uint32_t take_u32(struct reader *r)
{
    uint32_t value = 0;
    take(r, &value, sizeof(value));
    return value;
}

static int64_t take_i64(struct reader *r)
{
    int64_t value = 0;
    take(r, &value, sizeof(value));
    return value;
}

static struct str take_text(struct reader *r)
{
    uint32_t len = take_u32(r);
    if (r->is_broken || len == TEXT_ABSENT) {
        return STR_NONE;
    }
    if (len > r->rest.len) {
        r->is_broken = true;
        return STR_NONE;
    }
    struct str text = str_slice(r->rest, 0, len);
    r->rest = str_from(r->rest, len);
    return text;
}

/* A count that a later loop trusts. */
static size_t take_count(struct reader *r, size_t max)
{
    uint32_t count = take_u32(r);
    if (count > max) {
        r->is_broken = true;
    }
    return r->is_broken ? 0 : count;
}

static struct runtime_words take_words(struct reader *r)
{
    size_t count = take_count(r, WORDS_MAX);
    struct str *items = ARENA_ARRAY(r->arena, struct str, count);
    for (size_t i = 0; i < count; i++) {
        items[i] = take_text(r);
    }
    return (struct runtime_words){.items = items, .count = count};
}

enum err runtime_launch_decode(struct op *op, struct str bytes, struct shim_launch *ret)
{
    struct reader r = {.rest = bytes, .arena = &op->arena};
    struct shim_launch l = {0};
    if (take_u32(&r) != LAUNCH_MARK) {
        return op_fail(op, ERR_PROTOCOL, "this is no launch block");
    }
    l.container_folder = take_text(&r);
    l.control_path = take_text(&r);
    l.run_folder = take_text(&r);
    l.work_folder = take_text(&r);
    l.user = take_text(&r);
    l.words = take_words(&r);
    l.environment = take_words(&r);
    l.probe = take_words(&r);
    l.cgroup_count = take_count(&r, SHIM_CGROUPS_MAX);
    for (size_t i = 0; i < l.cgroup_count; i++) {
        l.cgroups[i] = take_text(&r);
    }
    l.oom_file = take_text(&r);
    l.ulimit_count = take_count(&r, RUNTIME_ULIMITS_MAX);
    for (size_t i = 0; i < l.ulimit_count; i++) {
        l.ulimits[i].name = take_text(&r);
        l.ulimits[i].soft = take_i64(&r);
        l.ulimits[i].hard = take_i64(&r);
    }
    l.is_log_followed = take_u32(&r) != 0;
    if (r.is_broken || r.rest.len != 0 || l.words.count == 0) {
        return op_fail(op, ERR_PROTOCOL, "the launch block is cut or too long");
    }
    *ret = l;
    return ERR_OK;
}
