#pragma once
/* Messages to a Slack incoming webhook: a deployment succeeded, failed or was taken back, an alarm
 * fired. None for what lies between: nobody has to act on it. The webhook's URL is a secret. */

#include "base/buf.h"
#include "deployer/deploy.h"

#define SLACK_TRIES     3
#define SLACK_BYTES_MAX 16384
#define SLACK_LINES_MAX 5

/* Pure: the message's JSON; false when this end is told to nobody. */
bool slack_message(struct buf *to, struct str app, struct str environment,
                   const struct deploy_result *r);
/* Pure: the message of an alarm that fired. */
void slack_alarm_message(struct buf *to, struct str app, struct str environment,
                         const struct alarm_state *alarm);

/* Sends; ERR_NET or ERR_REMOTE after SLACK_TRIES, with a sentence without the URL. */
enum err slack_send(struct op *op, struct str webhook, struct str json) MUST_USE;
