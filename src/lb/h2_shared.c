#include "lb/h2.h"

#include "base/check.h"
#include "base/mem.h"
#include "lb/h2_private.h"

struct lb_h2_shared *lb_h2_shared_make(void)
{
    struct lb_h2_shared *s = MEM_NEW(struct lb_h2_shared);
    lb_h2_memory_init(&s->memory);
    list_init(&s->free_streams);
    list_init(&s->dead_streams);
    s->fields.names = mem_alloc(LB_H2_NAME_BYTES_MAX);
    s->out = mem_alloc(LB_H2_OUT_BYTES);
    CHECK(nghttp2_session_callbacks_new(&s->front) == 0);
    CHECK(nghttp2_session_callbacks_new(&s->back) == 0);
    CHECK(nghttp2_option_new(&s->front_option) == 0);
    CHECK(nghttp2_option_new(&s->back_option) == 0);
    nghttp2_option *options[] = {s->front_option, s->back_option};
    for (size_t i = 0; i < ARRAY_COUNT(options); i++) {
        nghttp2_option_set_no_auto_window_update(options[i], 1);
        nghttp2_option_set_max_send_header_block_length(options[i], LB_H2_SENT_BLOCK_BYTES_MAX);
        nghttp2_option_set_max_outbound_ack(options[i], LB_H2_ACKS_MAX);
    }
    lb_h2_front_callbacks(s->front);
    lb_h2_back_callbacks(s->back);
    return s;
}

void lb_h2_shared_free(struct lb_h2_shared *s)
{
    lb_h2_sweep(s);
    LIST_FOR (stream, &s->free_streams, struct lb_stream, node) {
        mem_free(stream);
    }
    nghttp2_session_callbacks_del(s->front);
    nghttp2_session_callbacks_del(s->back);
    nghttp2_option_del(s->front_option);
    nghttp2_option_del(s->back_option);
    lb_h2_memory_fini(&s->memory);
    mem_free(s->fields.names);
    mem_free(s->out);
    mem_free(s);
}

void lb_h2_sweep(struct lb_h2_shared *s)
{
    LIST_FOR (stream, &s->dead_streams, struct lb_stream, node) {
        list_remove(&stream->node);
        list_add_head(&s->free_streams, &stream->node);
    }
}

bool lb_h2_gather(struct lb_h2_shared *s, nghttp2_session *session)
{
    s->out_bytes = 0;
    s->is_full = false;
    while (LB_H2_OUT_BYTES - s->out_bytes >= LB_H2_FRAME_ROOM_BYTES) {
        const uint8_t *frame = NULL;
        ssize_t n = nghttp2_session_mem_send(session, &frame);
        if (n <= 0) {
            return s->is_full;
        }
        CHECK((size_t)n <= LB_H2_OUT_BYTES - s->out_bytes);
        memcpy(s->out + s->out_bytes, frame, (size_t)n);
        s->out_bytes += (size_t)n;
    }
    return true;
}

int lb_h2_put_data(struct lb_worker *w, const uint8_t *frame_head, size_t count, size_t pad_count,
                   struct lb_block **body)
{
    struct lb_h2_shared *s = w->h2;
    CHECK(pad_count == 0); /* we choose none */
    if (LB_H2_OUT_BYTES - s->out_bytes < 9 + count) {
        s->is_full = true;
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    char *to = s->out + s->out_bytes;
    memcpy(to, frame_head, 9);
    if (count > 0) {
        struct lb_block *b = *body;
        CHECK(count <= lb_block_waiting(b));
        memcpy(to + 9, b->bytes + b->at, count);
        b->at += (uint32_t)count;
    }
    if (*body != NULL && lb_block_waiting(*body) == 0) {
        lb_block_give(&w->blocks, *body);
        *body = NULL;
    }
    s->out_bytes += 9 + count;
    return 0;
}
