#pragma once
/* What happened to alarms: configuration, states, actions; kept for 30 days, also for alarms that
 * are gone. */

#include "base/op.h"
#include "gen/cloudwatch.h"

struct store;

enum err cw_history_open(struct op *op, struct store *st);
/* Within the caller's transaction. */
enum err cw_history_add(struct op *op, struct store *st, struct str alarm_name, bool is_composite,
                        enum cloudwatch_history_item_type type, struct str summary,
                        struct str data);

struct cw_history_query {
    struct str alarm_name; /* absent: of all alarms */
    bool wants_metric;
    bool wants_composite;
    enum cloudwatch_history_item_type type; /* UNSET: all */
    int64_t from_us;
    int64_t to_us; /* exclusive */
    bool is_ascending;
    int64_t after_id; /* the last item of the page before; 0: none */
    int64_t after_us;
    size_t limit;
};

struct cw_history_page {
    struct cloudwatch_alarm_history_item *items;
    size_t count;
    bool has_more;
    int64_t last_id;
    int64_t last_us;
};

/* Of op->region, by time. */
enum err cw_history_list(struct op *op, struct store *st, const struct cw_history_query *query,
                         struct cw_history_page *ret_page);
enum err cw_history_expire(struct op *op, struct store *st);
enum err cw_history_reset(struct op *op, struct store *st);
