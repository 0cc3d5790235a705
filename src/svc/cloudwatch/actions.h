#pragma once
/* Alarm actions: the message that SNS would carry, its delivery by whoever answers for the ARN, and
 * the history item that says how it went. Composite alarms with a suppressor hold theirs back. */

#include "svc/cloudwatch/service.h"

/* The alarm is in its new state and committed. Failures are recorded, never returned. */
void cw_actions_run(struct op *op, struct cloudwatch *cw, const struct cw_alarm *alarm,
                    enum cloudwatch_state_value old_state);
/* Composite alarms whose actions wait for their suppressor: runs what has waited long enough. */
void cw_actions_turn(struct cloudwatch *cw);

/* Text as a JSON string with its quotes. */
struct str cw_json_string(struct arena *a, struct str text);
bool cw_json_is_valid(struct arena *a, struct str text);
