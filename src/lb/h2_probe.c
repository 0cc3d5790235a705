#include "lb/h2_probe.h"

#include "base/check.h"
#include "base/mem.h"
#include "lb/h2_private.h"

/* A message without content: not compressed, 0 bytes (gRPC over HTTP/2, Length-Prefixed-Message).
 */
static const uint8_t empty_message[5] = {0};

struct lb_h2_probe {
    nghttp2_session *session;
    bool is_grpc;
    bool has_ended;
    bool has_failed;
    unsigned status;
    unsigned grpc_status;
    bool has_grpc_status;
};

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *self)
{
    (void)session;
    (void)frame;
    (void)flags;
    struct lb_h2_probe *p = self;
    uint64_t number = 0;
    struct str n = lb_h2_str(name);
    if (STR_IS(n, ":status") && str_parse_u64(lb_h2_str(value), 999, &number)) {
        p->status = (unsigned)number;
    } else if (STR_IS(n, "grpc-status") && str_parse_u64(lb_h2_str(value), 999, &number)) {
        p->grpc_status = (unsigned)number;
        p->has_grpc_status = true;
    }
    return 0;
}

/* A status is enough for HTTP2; GRPC says the rest behind the answer. */
static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *self)
{
    (void)session;
    struct lb_h2_probe *p = self;
    bool is_head = frame->hd.type == NGHTTP2_HEADERS && p->status >= 200;
    bool is_last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 &&
                   (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA);
    p->has_ended = p->has_ended || is_last || (is_head && !p->is_grpc);
    p->has_failed = p->has_failed || frame->hd.type == NGHTTP2_GOAWAY;
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *self)
{
    (void)session;
    (void)id;
    struct lb_h2_probe *p = self;
    p->has_failed = p->has_failed || code != NGHTTP2_NO_ERROR;
    return 0;
}

static ssize_t give_message(nghttp2_session *session, int32_t id, uint8_t *to, size_t room,
                            uint32_t *flags, nghttp2_data_source *source, void *self)
{
    (void)session;
    (void)id;
    (void)source;
    (void)self;
    CHECK(room >= sizeof(empty_message));
    memcpy(to, empty_message, sizeof(empty_message));
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)sizeof(empty_message);
}

static nghttp2_nv field(struct str name, struct str value)
{
    union {
        const char *in;
        uint8_t *out; /* only read */
    } n = {.in = name.ptr}, v = {.in = value.ptr};
    return (nghttp2_nv){.name = n.out, .namelen = name.len, .value = v.out, .valuelen = value.len};
}

struct lb_h2_probe *lb_h2_probe_make(enum lb_version version, struct str path, struct str host,
                                     struct str scheme)
{
    struct lb_h2_probe *p = MEM_NEW(struct lb_h2_probe);
    p->is_grpc = version == LB_GRPC;
    nghttp2_session_callbacks *callbacks = NULL;
    CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    CHECK(nghttp2_session_client_new(&p->session, callbacks, p) == 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_settings_entry no_push = {NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
    CHECK(nghttp2_submit_settings(p->session, NGHTTP2_FLAG_NONE, &no_push, 1) == 0);
    nghttp2_nv fields[] = {
        field(STR(":method"), p->is_grpc ? STR("POST") : STR("GET")),
        field(STR(":scheme"), scheme),
        field(STR(":authority"), host),
        field(STR(":path"), path),
        field(STR("user-agent"), STR("ELB-HealthChecker/2.0")),
        field(STR("content-type"), STR("application/grpc")),
        field(STR("te"), STR("trailers")),
    };
    nghttp2_data_provider body = {.read_callback = give_message};
    size_t count = ARRAY_COUNT(fields) - (p->is_grpc ? 0 : 2);
    CHECK(nghttp2_submit_request(p->session, NULL, fields, count, p->is_grpc ? &body : NULL, NULL) >
          0);
    return p;
}

void lb_h2_probe_free(struct lb_h2_probe *p)
{
    if (p != NULL) {
        nghttp2_session_del(p->session);
        mem_free(p);
    }
}

struct str lb_h2_probe_out(struct lb_h2_probe *p)
{
    const uint8_t *bytes = NULL;
    ssize_t n = nghttp2_session_mem_send(p->session, &bytes);
    return n > 0 ? str_make((const char *)bytes, (size_t)n) : STR_NONE;
}

enum lb_h2_probe_state lb_h2_probe_take(struct lb_h2_probe *p, struct str bytes, unsigned *ret_code)
{
    ssize_t n = nghttp2_session_mem_recv(p->session, (const uint8_t *)bytes.ptr, bytes.len);
    if (n >= 0 && p->has_ended && p->status >= 200) {
        bool has_code = !p->is_grpc || p->has_grpc_status || p->status != 200;
        *ret_code = p->is_grpc && p->status == 200 ? p->grpc_status : p->status;
        return has_code ? LB_H2_PROBE_ANSWERED : LB_H2_PROBE_FAILED;
    }
    return n < 0 || p->has_failed ? LB_H2_PROBE_FAILED : LB_H2_PROBE_MORE;
}
