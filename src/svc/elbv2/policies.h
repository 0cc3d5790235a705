#pragma once
/* What is the same for every account: security policies of TLS, quotas. Private to the module. */

#include "svc/elbv2/elbv2.h"

bool elbv2_has_ssl_policy(struct str name);
enum err elbv2_describe_ssl_policies(struct op *op, struct elbv2 *e,
                                     const struct elbv2_describe_ssl_policies_in *in,
                                     struct elbv2_describe_ssl_policies_out *ret);
enum err elbv2_describe_account_limits(struct op *op, struct elbv2 *e,
                                       const struct elbv2_describe_account_limits_in *in,
                                       struct elbv2_describe_account_limits_out *ret);
