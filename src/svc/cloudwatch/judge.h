#pragma once
/* Judging alarms and changing their states. A change of state is one transaction: the rows and the
 * history of all alarms that changed together, composite alarms included. Right after its commit
 * whoever watches is told; actions are run last. */

#include "svc/cloudwatch/service.h"

/* Judges the metric alarms whose cadence has a boundary in (before_tick, now_tick], and what hangs
 * on them. Failures are logged; the next boundary tries again. */
void cw_judge_due(struct cloudwatch *cw, int64_t before_tick, int64_t now_tick);

/* Puts one alarm into a state, as SetAlarmState does; and what hangs on it. */
enum err cw_judge_set(struct op *op, struct cloudwatch *cw, struct cw_alarm *alarm,
                      enum cloudwatch_state_value state, struct str reason, struct str reason_data);
/* Evaluates a composite alarm that was just put, and what hangs on it. */
enum err cw_judge_composite(struct op *op, struct cloudwatch *cw, struct cw_alarm *alarm,
                            bool is_new);
