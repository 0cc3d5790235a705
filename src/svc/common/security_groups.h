#pragma once
/* Security groups as they are kept, and what they let in. Rows: kind "ec2.security_group", key the
 * group's id. The default group of a region exists without a row: it has one once somebody changed
 * it. */

#include "gen/engine.h"
#include "store/store.h"
#include "svc/common/network.h"

#define SECURITY_GROUP_RULES_MAX 60 /* of one group, each way */

extern const struct store_kind security_group_kind;

/* ERR_NOT_FOUND, with a note, when there is none. The default group without a row: its members may
 * connect, and it may connect to everywhere. ret_is_untouched may be NULL: it has no row. */
enum err security_group_get(struct op *op, struct store *store, struct str id,
                            struct engine_ec2_group *ret, bool *ret_is_untouched);

/* Who may open TCP connections to a port that these groups protect: CIDR blocks of both families.
 * A rule that names a group stands for its members, which are tasks and load balancers of this
 * engine: addresses of this machine and of the default VPC.
 *
 * Everyone (ret_is_open) may when there are no groups, and when one of them is the default group as
 * it was made: what would be nobody on AWS is everybody who reaches this machine. */
enum err security_groups_sources(struct op *op, struct store *store, const struct str *ids,
                                 size_t count, int32_t port, bool *ret_is_open,
                                 struct str **ret_cidrs, size_t *ret_cidr_count);
