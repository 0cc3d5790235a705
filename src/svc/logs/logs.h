#pragma once
/* CloudWatch Logs: groups, streams, events. Events are written to the store in batches, once a turn
 * of the loop at most a few times a second; a reader sees them at once. */

#include "base/op.h"
#include "gen/logs.h"
#include "svc/common/ports.h"

struct ev_loop;
struct store;

struct logs_config {
    struct store *store;
    struct ev_loop *loop; /* for the batches and for retention */
};

enum err logs_open(struct op *op, const struct logs_config *config, struct logs **ret_logs);
/* Writes what is still in memory. */
void logs_close(struct logs *logs);

extern const struct logs_handlers logs_handlers;

/* For the runtimes: one line of output is one event. ret->self is the service. */
void logs_port(struct logs *logs, struct port_logs *ret);

/* POST /moto-api/reset: forgets groups, streams and events of every region. */
enum err logs_reset(struct op *op, struct logs *logs);
