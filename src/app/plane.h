#pragma once
/* What control and the data plane say to each other, over the pair that sup hands out. Payloads are
 * structures of model/lbconf.api in CBOR. */

#include "base/op.h"
#include "proc/channel.h"
#include "shape/shape.h"

enum plane_message {
    /* control -> lb */
    PLANE_SNAPSHOT = 1, /* lbconf_snapshot */
    PLANE_SIGNED_IN,    /* lbconf_sign_in_answer */
    /* lb -> control */
    PLANE_PUBLISHED,     /* lbconf_published */
    PLANE_HEALTH,        /* lbconf_health */
    PLANE_DRAINED,       /* lbconf_drained */
    PLANE_LISTEN_FAILED, /* lbconf_listen_failed */
    PLANE_TOLD_ALL, /* no payload: a control that has just come knows every target's health now */
    PLANE_SIGN_IN,  /* lbconf_sign_in_question */
    PLANE_REFUSED,  /* lbconf_listen_failed without a listener: a snapshot that lb could not take */
};

/* Encodes and sends; a channel that is not open takes nothing. Failures are logged here: the other
 * side gets everything anew when it comes back. */
void plane_send(struct proc_channel *ch, enum plane_message type, const struct shape *shape,
                const void *value);
/* False, logged, when the payload is no such structure. */
bool plane_read(struct op *op, const struct proc_message *m, const struct shape *shape,
                void *ret_value);
