#pragma once
/* Errors that CloudWatch answers with although its model does not list them. */

#include "base/err.h"
#include "base/op.h"

extern const struct err_public cw_error_validation; /* ValidationError, 400 */

/* return CW_INVALID(op, "Period must be ..."); */
#define CW_INVALID(op, ...) op_fail_as((op), ERR_INPUT, &cw_error_validation, __VA_ARGS__)
