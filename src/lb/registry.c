/* Indexes that stay with a name for as long as any configuration uses it. */

#include "lb/registry.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/rand.h"
#include "lb/tls_site.h"
#include "regex/regex.h"

#include <unistd.h>

static uint32_t take_index(struct lb_names *n)
{
    return n->free_count > 0 ? n->free_indexes[--n->free_count] : n->end++;
}

static void give_index(struct lb_names *n, uint32_t index)
{
    if (n->free_count == n->free_capacity) {
        n->free_capacity = n->free_capacity == 0 ? 16 : n->free_capacity * 2;
        n->free_indexes = mem_resize(n->free_indexes, n->free_capacity * sizeof(*n->free_indexes));
    }
    n->free_indexes[n->free_count++] = index;
}

static void names_fini(struct lb_names *n)
{
    CHECK(n->by_key.count == 0);
    map_fini(&n->by_key);
    mem_free(n->free_indexes);
}

void lb_registry_init(struct lb_registry *r, size_t worker_count)
{
    *r = (struct lb_registry){.worker_count = worker_count};
    rand_bytes(r->own_key.bytes, sizeof(r->own_key.bytes));
    map_init(&r->listeners.by_key);
    map_init(&r->groups.by_key);
    map_init(&r->rules.by_key);
    map_init(&r->peers.by_key);
    r->tls = MEM_NEW(struct lb_tls_share);
    lb_tls_share_init(r->tls);
    map_init(&r->regexes);
}

void lb_registry_fini(struct lb_registry *r)
{
    names_fini(&r->listeners);
    names_fini(&r->groups);
    names_fini(&r->rules);
    names_fini(&r->peers);
    lb_tls_share_fini(r->tls);
    mem_free(r->tls);
    CHECK(r->regexes.count == 0);
    map_fini(&r->regexes);
}

struct lb_name *lb_name_take(struct lb_registry *r, struct lb_names *names, struct str key)
{
    struct lb_name *name = map_find(&names->by_key, key);
    if (name == NULL) {
        name = MEM_NEW(struct lb_name);
        name->index = take_index(names);
        name->serial = ++r->last_serial;
        atomic_store(&name->socket.fd, -1);
        (void)map_put(&names->by_key, key, name);
    }
    name->ref_count++;
    return name;
}

void lb_name_give(struct lb_names *names, struct str key)
{
    struct lb_name *name = map_find(&names->by_key, key);
    CHECK(name != NULL);
    if (--name->ref_count == 0) {
        (void)map_remove(&names->by_key, key);
        give_index(names, name->index);
        int fd = atomic_load(&name->socket.fd);
        if (fd >= 0) {
            (void)close(fd);
        }
        for (unsigned i = 0; i < atomic_load(&name->socket.udp_count); i++) {
            (void)close(name->socket.udp_fds[i]);
        }
        mem_free(name);
    }
}

/* FNV-1a: a target keeps its place over restarts, so that a source stays where it was. */
static uint64_t place_of(struct str host, uint16_t port)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < host.len; i++) {
        hash = (hash ^ (uint8_t)host.ptr[i]) * 0x100000001b3u;
    }
    hash = (hash ^ (port & 0xffu)) * 0x100000001b3u;
    return (hash ^ (port >> 8)) * 0x100000001b3u;
}

struct lb_peer *lb_peer_take(struct lb_registry *r, struct str key, struct str group_arn,
                             struct str host, uint16_t port)
{
    struct lb_peer *peer = map_find(&r->peers.by_key, key);
    if (peer == NULL) {
        /* one block: the struct, then its texts */
        peer = mem_alloc(sizeof(*peer) + key.len + group_arn.len + host.len);
        char *texts = (char *)(peer + 1);
        memcpy(texts, key.ptr, key.len);
        memcpy(texts + key.len, group_arn.ptr, group_arn.len);
        memcpy(texts + key.len + group_arn.len, host.ptr, host.len);
        peer->key = str_make(texts, key.len);
        peer->group_arn = str_make(texts + key.len, group_arn.len);
        peer->host = str_make(texts + key.len + group_arn.len, host.len);
        peer->port = port;
        peer->place = place_of(host, port);
        peer->tag = lb_tag_of(peer->key);
        atomic_store(&peer->share, LB_SHARE_WHOLE);
        peer->inflight = mem_alloc_array(r->worker_count, sizeof(*peer->inflight));
        CHECK(net_addr_parse_host(host, port, &peer->addr));
        peer->index = take_index(&r->peers);
        peer->serial = ++r->last_serial;
        (void)map_put(&r->peers.by_key, key, peer);
    }
    if (peer->is_lingering) {
        peer->is_lingering = false;
        r->lingering_count--;
    }
    peer->ref_count++;
    return peer;
}

static void free_peer(struct lb_registry *r, struct lb_peer *peer)
{
    mem_free(peer->watch);
    (void)map_remove(&r->peers.by_key, peer->key);
    give_index(&r->peers, peer->index);
    mem_free(peer->inflight);
    mem_free(peer);
}

void lb_peer_give(struct lb_registry *r, struct lb_peer *peer)
{
    CHECK(peer->ref_count > 0);
    if (--peer->ref_count > 0) {
        return;
    }
    CHECK(peer->probe == NULL);
    if (lb_peer_inflight(peer, r->worker_count) > 0) {
        peer->is_lingering = true; /* flows outlive versions; if it comes back it is the same */
        r->lingering_count++;
        return;
    }
    free_peer(r, peer);
}

void lb_peers_sweep(struct lb_registry *r)
{
    size_t at = 0;
    struct str key;
    void *value;
    struct lb_peer *done = NULL;
    while (r->lingering_count > 0 && map_next(&r->peers.by_key, &at, &key, &value)) {
        struct lb_peer *peer = value;
        if (peer->is_lingering && lb_peer_inflight(peer, r->worker_count) == 0) {
            peer->next_done = done;
            done = peer;
        }
    }
    while (done != NULL) {
        struct lb_peer *peer = done;
        done = peer->next_done;
        r->lingering_count--;
        free_peer(r, peer);
    }
}

uint32_t lb_peer_inflight(const struct lb_peer *peer, size_t worker_count)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < worker_count; i++) {
        sum += atomic_load_explicit(&peer->inflight[i].count, memory_order_acquire);
    }
    return sum;
}

/* ---- regular expressions --------------------------------------------------------------------- */

struct lb_regex {
    struct regex *regex;
    uint32_t ref_count;
};

struct lb_regex_use {
    struct lb_regex *held;
    struct str key;
    struct lb_regex_use *next;
};

enum err lb_regex_take(struct op *op, struct lb_registry *r, struct lb_conf *conf,
                       struct str pattern, bool ignore_case, const struct regex **ret)
{
    struct str key =
        arena_printf(&conf->arena, "%c%.*s", ignore_case ? 'i' : 'c', STR_ARG(pattern));
    struct lb_regex *held = map_find(&r->regexes, key);
    if (held == NULL) {
        struct regex *regex = NULL;
        TRY(regex_compile(op, pattern, ignore_case, &regex));
        held = MEM_NEW(struct lb_regex);
        held->regex = regex;
        (void)map_put(&r->regexes, key, held);
    }
    held->ref_count++;
    struct lb_regex_use *use = ARENA_NEW(&conf->arena, struct lb_regex_use);
    *use = (struct lb_regex_use){.held = held, .key = key, .next = conf->regexes};
    conf->regexes = use;
    *ret = held->regex;
    return ERR_OK;
}

void lb_regexes_give(struct lb_registry *r, struct lb_conf *conf)
{
    for (struct lb_regex_use *use = conf->regexes; use != NULL; use = use->next) {
        if (--use->held->ref_count == 0) {
            (void)map_remove(&r->regexes, use->key);
            regex_free(use->held->regex);
            mem_free(use->held);
        }
    }
    conf->regexes = NULL;
}
