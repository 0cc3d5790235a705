#pragma once
/* CloudWatch: metrics, alarms, dashboards. Takes the data plane's counters at the close of every
 * window and judges the alarms in the same turn of the loop, so that a bad release is seen the
 * moment its window ends. Time scale: docs/time-scale.md. */

#include "base/op.h"
#include "gen/cloudwatch.h"
#include "svc/common/ports.h"

struct ev_loop;
struct lbstats;
struct store;

/* Whoever delivers alarm actions (SNS topics, scaling policies). */
struct cloudwatch_actions {
    void *self;
    /* Starts the delivery of `message` (the JSON that SNS would carry); `subject` is a line for
     * people. ERR_UNSUPPORTED when nobody answers for this ARN. Called after the commit. */
    enum err (*run)(void *self, struct op *op, struct str action_arn, struct str subject,
                    struct str message);
};

struct cloudwatch_config {
    struct store *store;
    struct ev_loop *loop;
    const struct lbstats *stats;              /* NULL: no data plane */
    const struct port_wakes *wakes;           /* outlives the service */
    const struct cloudwatch_actions *actions; /* NULL: actions are recorded as not delivered */
    struct str account;                       /* "123456789012"; copied */
    /* The region of a load balancer "app/NAME/ID", into the arena; absent when it is not known,
     * and then its metrics are seen in every region. NULL: never known. */
    struct str (*region_of)(void *self, struct arena *a, struct str load_balancer);
    void *region_self;
};

/* Reads what was kept, sets the timers. */
enum err cloudwatch_open(struct op *op, const struct cloudwatch_config *config,
                         struct cloudwatch **ret_cloudwatch);
/* Writes what is still in memory. */
void cloudwatch_close(struct cloudwatch *cw);

extern const struct cloudwatch_handlers cloudwatch_handlers;

/* ret->self is the service. */
void cloudwatch_port_alarms(struct cloudwatch *cw, struct port_alarms *ret);

/* One sample of the engine's own, for other services (AWS/ECS CPUUtilization). Cheap; written to
 * the store with the next batch. count <= 30. */
void cloudwatch_put(struct cloudwatch *cw, struct str region, struct str namespace,
                    struct str metric_name, const struct cloudwatch_dimension *dimensions,
                    size_t count, enum cloudwatch_standard_unit unit, wall_t at, double value);

/* Everything that is due now: windows that have closed, alarms, batches. The timers call it; tests
 * with a hand-driven clock may. */
void cloudwatch_turn(struct cloudwatch *cw);

/* POST /moto-api/reset: forgets metrics, alarms, history and dashboards of every region. */
enum err cloudwatch_reset(struct op *op, struct cloudwatch *cw);
