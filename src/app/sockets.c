#include "app/sockets.h"

#include "base/cleanup.h"
#include "net/socket.h"

struct entry {
    struct list node;
    struct net_addr asked;
    struct net_addr bound; /* differs where port 0 was asked for */
    int fds[PROC_FDS_MAX];
    size_t count;
    size_t owner;
    uint32_t generation; /* of the owner, when it asked last */
};

void sockets_init(struct sockets *s)
{
    *s = (struct sockets){0};
    list_init(&s->entries);
}

static void drop(struct sockets *s, struct entry *e)
{
    for (size_t i = 0; i < e->count; i++) {
        (void)close(e->fds[i]);
    }
    if (net_addr_is_unix(&e->bound)) {
        (void)unlink(e->bound.un.sun_path);
    }
    list_remove(&e->node);
    mem_free(e);
    s->count--;
}

void sockets_fini(struct sockets *s)
{
    while (!list_is_empty(&s->entries)) {
        drop(s, CONTAINER_OF(s->entries.next, struct entry, node));
    }
}

static struct entry *find(struct sockets *s, const struct net_addr *addr)
{
    LIST_FOR (e, &s->entries, struct entry, node) {
        if (net_addr_equal(&e->asked, addr) || net_addr_equal(&e->bound, addr)) {
            return e;
        }
    }
    return NULL;
}

static enum err bind_first(struct op *op, struct sockets *s, const struct net_addr *addr,
                           struct entry **ret_entry)
{
    if (s->count == PROC_LISTENERS_MAX) {
        return op_fail(op, ERR_LIMIT, "%d addresses are listened on, which is the limit",
                       PROC_LISTENERS_MAX);
    }
    struct net_listen_options options = {.opens_shared_port = true};
    auto_fd int fd = -1;
    struct net_addr bound;
    TRY(net_listen(op, addr, &options, &fd));
    TRY(net_local_addr(op, fd, &bound));
    struct entry *e = MEM_NEW(struct entry);
    *e = (struct entry){.asked = *addr, .bound = bound, .fds = {steal_fd(&fd)}, .count = 1};
    list_add_tail(&s->entries, &e->node);
    s->count++;
    *ret_entry = e;
    return ERR_OK;
}

static enum err grow(struct op *op, struct entry *e, size_t count)
{
    struct net_listen_options options = {.is_shared_port = true};
    size_t wanted = net_addr_is_unix(&e->bound) ? 1 : count; /* a path has one socket */
    while (e->count < wanted) {
        TRY(net_listen(op, &e->bound, &options, &e->fds[e->count]));
        e->count++;
    }
    return ERR_OK;
}

enum err sockets_get(struct op *op, struct sockets *s, const struct net_addr *addr, size_t count,
                     size_t owner, uint32_t generation, struct sockets_given *ret_given)
{
    CHECK(count >= 1 && count <= PROC_FDS_MAX);
    struct entry *e = find(s, addr);
    bool is_new = e == NULL;
    if (is_new) {
        TRY(bind_first(op, s, addr, &e));
    }
    enum err failed = grow(op, e, count);
    if (failed != ERR_OK) {
        if (is_new) {
            drop(s, e);
        }
        return failed;
    }
    e->owner = owner;
    e->generation = generation;
    *ret_given = (struct sockets_given){.fds = e->fds, .count = e->count, .addr = e->bound};
    return ERR_OK;
}

void sockets_give_up(struct sockets *s, const struct net_addr *addr)
{
    struct entry *e = find(s, addr);
    if (e != NULL) {
        drop(s, e);
    }
}

void sockets_give_up_older(struct sockets *s, size_t owner, uint32_t generation)
{
    LIST_FOR (e, &s->entries, struct entry, node) {
        if (e->owner == owner && e->generation < generation) {
            drop(s, e);
        }
    }
}
