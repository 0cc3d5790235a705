#pragma once
/* Scoped release: declare, acquire and arrange the release in one statement; hand over with
 * steal_*. A function that uses these has no goto. */

#include "base/mem.h"

#include <unistd.h>

static inline void cleanup_free(void *p)
{
    mem_free(*(void **)p);
}

static inline void cleanup_fd(const int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
}

#define auto_free __attribute__((cleanup(cleanup_free)))
#define auto_fd   __attribute__((cleanup(cleanup_fd)))
/* For types with their own fini: `AUTO(store_tx_fini) struct store_tx tx = ...`. */
#define AUTO(fini) __attribute__((cleanup(fini)))

static inline int steal_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

#define steal_ptr(p)                    \
    ({                                  \
        __typeof__(*(p)) taken_ = *(p); \
        *(p) = NULL;                    \
        taken_;                         \
    })
