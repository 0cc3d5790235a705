#pragma once
/* The default network of each region (svc/common/network.h), as EC2 describes it. Nothing can be
 * created or changed. The service has no state of its own: pass NULL as struct ec2. */

#include "gen/ec2.h"

extern const struct ec2_handlers ec2_handlers;
