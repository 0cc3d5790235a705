#include "app/plane.h"

#include "base/buf.h"
#include "base/log.h"
#include "crypt/cert.h"
#include "proc/limits.h"
#include "shape/walk.h"

void plane_send(struct proc_channel *ch, enum plane_message type, const struct shape *shape,
                const void *value)
{
    if (!proc_channel_is_open(ch)) {
        return;
    }
    auto_buf struct buf bytes;
    buf_init(&bytes, PROC_PAYLOAD_BYTES_MAX);
    shape_cbor_encode(&bytes, shape, value);
    if (bytes.is_overflown) {
        log_error("plane", "message %d has more than %d bytes and was not sent", (int)type,
                  PROC_PAYLOAD_BYTES_MAX);
        cert_clear(buf_str(&bytes));
        return;
    }
    enum err e = proc_channel_send_payload(ch, (uint16_t)type, buf_str(&bytes));
    if (e != ERR_OK) {
        log_warn("plane", "message %d was not sent: %s", (int)type, err_text(e));
    }
    cert_clear(buf_str(&bytes)); /* a snapshot has private keys in it */
}

bool plane_read(struct op *op, const struct proc_message *m, const struct shape *shape,
                void *ret_value)
{
    memset(ret_value, 0, shape->bytes);
    if (shape_cbor_decode(op, shape, m->payload, SHAPE_LENIENT, ret_value) != ERR_OK) {
        log_error("plane", "message %d cannot be read: %s", (int)m->type, op->note.text);
        return false;
    }
    return true;
}
