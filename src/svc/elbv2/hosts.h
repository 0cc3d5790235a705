#pragma once
/* The block of the hosts file that makes the names of load balancers answer on this machine.
 * Private to the module. */

#include "base/arena.h"
#include "base/str.h"

struct elbv2_host_name {
    struct str address;
    struct str name;
};

/* text with the block of this mark replaced by these names; without names the block goes. Every
 * other byte stays as it was; a block without its end line goes up to the end of the file's last
 * line that is ours. Pure. */
struct str elbv2_hosts_text(struct arena *a, struct str text, struct str mark,
                            const struct elbv2_host_name *names, size_t count);
