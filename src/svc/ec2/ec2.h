#pragma once
/* The default network of each region (svc/common/network.h), as EC2 describes it, and security
 * groups, which can be made and changed. Nothing else can be created. */

#include "gen/ec2.h"

struct store;

struct ec2 {
    struct store *store; /* NULL: there is only the default security group, and it cannot change */
    /* After the commit of a change of security groups; NULL: nobody cares. */
    void (*groups_changed)(void *self, struct op *op);
    void *self;
};

extern const struct ec2_handlers ec2_handlers;
