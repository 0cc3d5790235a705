#pragma once
/* When and how soon to try again: the "standard" mode of AWS's SDKs. Pure. */

#include "base/op.h"
#include "shape/shape.h"

#define AWS_RETRY_QUOTA     500
#define AWS_RETRY_COST      5
#define AWS_RETRY_COST_SLOW 10 /* after a timeout */
#define AWS_RETRY_REFUND    1  /* for a call that went well at once */

enum aws_retry {
    AWS_RETRY_NO,
    AWS_RETRY_TRANSIENT,
    AWS_RETRY_THROTTLED,
    AWS_RETRY_CLOCK, /* our clock is off: sign with the server's */
};

/* For an answer with an error. */
enum aws_retry aws_retry_of_answer(int status, struct str code, struct str message);
/* May the call be sent again although it may have arrived? Reading, changing to a given state and
 * deleting may; making something may not, unless it bears an idempotency token. */
bool aws_retry_is_repeatable(const struct shape_operation *operation);
/* random: 0 <= random < 1. attempt: 1 after the first failure. */
dur_t aws_retry_pause(unsigned attempt, double random);
