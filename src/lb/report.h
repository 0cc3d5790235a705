#pragma once
/* What the data plane tells its owner; all calls come on the owner's loop. No member may be NULL
 * but where it says so.
 */

#include "base/op.h"
#include "net/addr.h"

#include <stdint.h>

struct lbconf_sign_in_question;

struct lb_health_row {
    struct str group_arn;
    struct str host;
    uint16_t port;
    const char *state;      /* "initial", "healthy", "unhealthy", "unused", "draining" */
    struct str reason;      /* "Target.Timeout", absent when there is none */
    struct str description; /* "Request timed out" */
    uint64_t inflight_count;
    bool is_anomalous; /* it fails more often than the others */
    bool is_mitigated; /* and gets fewer requests for it */
};

struct lb_report {
    void *self;
    /* Every worker routes by this version: no request is routed by an older one from now on. */
    void (*published)(void *self, uint64_t version);
    /* Targets whose state, reason or description changed. Texts live during the call. */
    void (*health)(void *self, const struct lb_health_row *rows, size_t count);
    /* A draining target has nothing in flight any more in any worker, or its delay is over. Once
     * for each drain. */
    void (*drained)(void *self, struct str group_arn, struct str host, uint16_t port);
    /* A user came back from the identity provider and waits: answered with lb_signed_in, or its
     * time runs out. NULL: nobody can sign in. */
    void (*sign_in)(void *self, const struct lbconf_sign_in_question *message);
    void (*listen_failed)(void *self, struct str listener_arn, struct str sentence);
    /* No listener uses this address any more, and no worker waits there: whoever else holds the
     * listening socket should close it, or clients queue up before nobody. */
    void (*unlistened)(void *self, const struct net_addr *addr);
    /* After lb_stop: no connection is left. */
    void (*stopped)(void *self);
};

/* Gives a listening socket for the address; called once for each new listener. For an address of
 * datagrams it gives `count` sockets that share the port, else count is 1. The descriptors then
 * belong to lb. ERR_AGAIN: it comes later, through lb_listener_give. Other failures are reported
 * with listen_failed and tried again with the next snapshot. */
typedef enum err lb_listen_fn(void *self, struct op *op, struct str listener_arn,
                              const struct net_addr *addr, size_t count, int *ret_fds);
