#pragma once
/* The listening sockets that sup keeps for its roles, so that connections wait in the kernel while
 * a role is restarted. */

#include "base/list.h"
#include "proc/roles.h"

struct sockets {
    struct list entries;
    size_t count; /* at most PROC_LISTENERS_MAX */
};

/* Views; live until the address is given up. */
struct sockets_given {
    int *fds; /* fds[count], 1..PROC_FDS_MAX */
    size_t count;
    struct net_addr addr; /* with the port that was really bound */
};

void sockets_init(struct sockets *s);
void sockets_fini(struct sockets *s);
/* Binds, or finds what is bound, and notes who asked. Grows to `count` sockets that share the port;
 * never shrinks, because connections may wait in every one. ERR_EXISTS when somebody else has the
 * address, ERR_LIMIT past PROC_LISTENERS_MAX, and what the kernel says. */
enum err sockets_get(struct op *op, struct sockets *s, const struct net_addr *addr, size_t count,
                     size_t owner, uint32_t generation, struct sockets_given *ret_given) MUST_USE;
/* Closes them; fine when there are none. */
void sockets_give_up(struct sockets *s, const struct net_addr *addr);
/* Closes those of the owner that it has not asked for in this generation. */
void sockets_give_up_older(struct sockets *s, size_t owner, uint32_t generation);
