#include "svc/cloudwatch/errors.h"

const struct err_public cw_error_validation = {.code = "ValidationError", .http_status = 400};
