#pragma once
/* All alarms in memory, ready to be judged: the store has the rows, this has what was made of them
 * (parsed rules, query plans). Whoever changes a row replaces the alarm here after the commit. */

#include "base/map.h"
#include "svc/cloudwatch/alarm_eval.h"
#include "svc/cloudwatch/composite.h"
#include "svc/cloudwatch/query.h"

struct store;

struct cw_alarm {
    struct arena arena;
    struct str region;
    struct str name;
    struct cloudwatch_metric_alarm *metric; /* one of the two is set */
    struct cloudwatch_composite_alarm *composite;
    struct cw_rule rule;           /* composite */
    struct cw_alarm_rule decision; /* metric */
    struct cw_stat stat;           /* metric without expressions */
    struct cw_plan plan;           /* metric with expressions */
    size_t watched;                /* index of the query that returns data */
    int64_t period;                /* ticks */
    int64_t cadence;               /* judged every so many ticks */
    bool ignores_low_samples;
};

struct cw_alarms {
    struct store *store;
    struct map by_name; /* region, "/", name */
};

enum err cw_alarms_open(struct op *op, struct store *st, struct cw_alarms *alarms);
void cw_alarms_fini(struct cw_alarms *alarms);
/* Removes the alarms of every region. */
enum err cw_alarms_reset(struct op *op, struct cw_alarms *alarms);
/* NULL when there is none. */
struct cw_alarm *cw_alarms_find(struct op *op, const struct cw_alarms *alarms, struct str region,
                                struct str name);
/* Steps through all: size_t at = 0; while ((alarm = cw_alarms_next(alarms, &at)) != NULL). */
struct cw_alarm *cw_alarms_next(const struct cw_alarms *alarms, size_t *at);

/* Makes an alarm of a row, which is copied. Fails where a request must be refused: expressions and
 * rules that do not parse, types that do not fit. */
enum err cw_alarm_make(struct op *op, struct str region,
                       const struct cloudwatch_metric_alarm *metric,
                       const struct cloudwatch_composite_alarm *composite,
                       struct cw_alarm **ret_alarm);
void cw_alarm_free(struct cw_alarm *alarm);

/* Writes the row of the alarm (within the caller's transaction, if one is open). */
enum err cw_alarms_save(struct op *op, struct cw_alarms *alarms, const struct cw_alarm *alarm);
enum err cw_alarms_erase(struct op *op, struct cw_alarms *alarms, const struct cw_alarm *alarm);
/* Memory only, after the commit: the alarm takes the place of the one of its name; it is owned by
 * the set from now on. */
void cw_alarms_replace(struct op *op, struct cw_alarms *alarms, struct cw_alarm *alarm);
void cw_alarms_forget(struct op *op, struct cw_alarms *alarms, struct cw_alarm *alarm);

/* ---- what both kinds have -------------------------------------------------------------------- */

struct cw_alarm_view {
    struct str arn;
    struct str description;
    enum cloudwatch_state_value state;
    struct str reason;
    struct str reason_data;
    wall_t state_updated_at;
    bool has_actions_enabled;
    const struct cloudwatch_resource_list *actions; /* of that state */
};

struct cw_alarm_view cw_alarm_view(const struct cw_alarm *alarm);
/* The actions for a state. */
const struct cloudwatch_resource_list *cw_alarm_actions(const struct cw_alarm *alarm,
                                                        enum cloudwatch_state_value state);
/* "OK", "ALARM", "INSUFFICIENT_DATA" */
struct str cw_state_name(enum cloudwatch_state_value state);
