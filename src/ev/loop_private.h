#pragma once
/* What the files of ev/ share. */

#include "ev/loop.h"

struct ev_slot {
    struct ev_fd *w;     /* NULL: free */
    uint32_t generation; /* of the present or next user */
    uint32_t next_free;
};

struct ev_due {
    mono_t at; /* never later than timer->at; see ev_timer_set_at */
    struct ev_timer *timer;
};

/* When the first timer is due; false without timers. */
bool ev_timers_next(struct ev_loop *loop, mono_t *ret_at);
size_t ev_timers_run(struct ev_loop *loop);
