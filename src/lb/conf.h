#pragma once
/* One version of the configuration as the workers use it: immutable once published, but for what is
 * marked. Made from a snapshot by lb_conf_build, on the control thread; freed there, when every
 * worker has gone on to a newer one and no request that began under it is left.
 *
 * A target, a listener, a group or a rule that stays from one version to the next keeps its index,
 * under which each worker has its own state for it (pools, rotation). */

#include "base/arena.h"
#include "base/map.h"
#include "gen/lbconf.h"
#include "lb/limits.h"
#include "net/addr.h"

#include <stdatomic.h>

struct lbstats;
struct lb_tls_site;
struct regex;
struct lb_rule_index;
struct lb_regex_use;

enum lb_health {
    LB_HEALTH_INITIAL,
    LB_HEALTH_HEALTHY,
    LB_HEALTH_UNHEALTHY,
    LB_HEALTH_UNUSED,    /* no listener refers to the group */
    LB_HEALTH_UNCHECKED, /* checks are off: takes traffic */
};

/* Written by one worker alone, read by all; on a cache line of its own. */
struct lb_count {
    atomic_uint count;
    char apart[60];
};

/* A registered target of one group. Shared by all versions that name it and by all workers. */
struct lb_peer {
    struct str key; /* group ARN, host, port */
    struct str group_arn;
    struct str host; /* "10.0.0.1" or "unix:/path" */
    uint16_t port;
    struct net_addr addr;
    uint32_t index;
    uint64_t serial;           /* another one: the index has a new owner */
    uint32_t ref_count;        /* versions that name it; control thread */
    struct lb_count *inflight; /* requests in work, by worker */
    /* written by the control thread, read by workers */
    atomic_int health;
    atomic_bool is_draining;
    atomic_bool is_expired;  /* the drain is over: cut what is left */
    bool is_drain_reported;  /* control thread */
    uint64_t draining_since; /* version that made it drain; control thread */
    mono_t drain_until;
    bool was_draining;      /* as last reported; control thread */
    uint64_t seen_version;  /* newest configuration that names it; control thread */
    struct lb_probe *probe; /* control thread; NULL while not checked */
};

struct lb_target {
    struct lb_peer *peer;
    bool is_draining;
};

struct lb_range {
    uint16_t from;
    uint16_t to;
};

struct lb_check {
    bool is_on;
    uint16_t port; /* 0: the target's own */
    struct str path;
    dur_t interval; /* as configured */
    dur_t timeout;
    uint32_t healthy_threshold;
    uint32_t unhealthy_threshold;
    struct lb_range ranges[LB_MATCHER_RANGES_MAX];
    size_t range_count;
};

enum lb_version { LB_HTTP1, LB_HTTP2, LB_GRPC };

struct lb_group {
    enum lb_version version; /* what its targets speak */
    struct str arn;
    struct str dimension; /* "targetgroup/NAME/ID" */
    struct str load_balancer;
    uint32_t index;
    uint64_t serial;
    uint32_t slot; /* of the counters; LBSTATS_NONE without room */
    bool is_in_use;
    bool is_least_outstanding;
    dur_t drain;
    struct lb_check check;
    struct lb_target *targets; /* those that drain come last */
    size_t target_count;
    size_t usable_count;       /* not draining */
    atomic_uint healthy_count; /* of the usable ones; control thread writes */
};

enum lb_field { LB_HOST, LB_PATH, LB_HEADER, LB_METHOD, LB_QUERY, LB_SOURCE_IP };

struct lb_cidr {
    uint8_t bytes[16]; /* IPv4 as ::ffff:a.b.c.d */
    uint8_t bits;      /* of all 128 */
};

struct lb_pair {
    struct str key; /* absent: any key */
    struct str value;
};

struct lb_condition {
    enum lb_field field;
    struct str header_name;
    struct str *values; /* patterns; with LB_METHOD words */
    struct lb_pair *pairs;
    struct lb_cidr *cidrs;
    size_t count;                 /* of values, pairs or cidrs */
    const struct regex **regexes; /* of host, path and header: alternatives as well */
    size_t regex_count;
};

enum lb_action_type { LB_FORWARD, LB_REDIRECT, LB_FIXED };

struct lb_weight {
    struct lb_group *group;
    uint32_t weight;
};

struct lb_action {
    enum lb_action_type type;
    struct lb_weight weights[LB_WEIGHTS_MAX];
    size_t weight_count;
    uint32_t weight_sum;
    unsigned status;
    struct str content_type;
    struct str body;
    struct str protocol; /* redirect templates */
    struct str host;
    struct str port;
    struct str path;
    struct str query;
};

/* Replaces the first match of the regex; $1 to $9 in the replacement are its groups. */
struct lb_transform {
    const struct regex *regex; /* NULL: no transform */
    struct str replace;
};

struct lb_rule {
    struct str arn;
    int32_t priority; /* 0: the default rule, which comes last */
    uint32_t index;
    uint64_t serial;
    struct lb_condition *conditions;
    size_t condition_count;
    struct lb_action action;
    bool has_transforms;
    struct lb_transform host_transform;
    struct lb_transform url_transform;
};

enum lb_xff { LB_XFF_APPEND, LB_XFF_PRESERVE, LB_XFF_REMOVE };
enum lb_desync { LB_DESYNC_MONITOR, LB_DESYNC_DEFENSIVE, LB_DESYNC_STRICTEST };

/* Response headers that a listener's attributes set. */
struct lb_added_name {
    struct str attribute; /* routing.http.response.ATTRIBUTE.header_value */
    struct str name;
};
#define LB_ADDED_NAMES 10
extern const struct lb_added_name lb_added_names[LB_ADDED_NAMES];

/* A listening socket: belongs to the control thread, lives as long as a version has the listener.
 */
struct lb_socket {
    atomic_int fd; /* -1 until it was given */
    struct net_addr addr;
    bool is_asked_for;
};

struct lb_listener {
    struct str arn;
    struct lb_socket *socket;
    struct str dimension; /* "app/NAME/ID" */
    uint32_t index;
    uint64_t serial;
    uint32_t slot;
    struct net_addr addr;
    char port_text[6];
    uint16_t port;
    struct lb_tls_site *tls; /* NULL: plain */
    dur_t idle_timeout;
    dur_t client_keep_alive;
    enum lb_xff xff;
    enum lb_desync desync;
    bool has_xff_port;
    bool keeps_host;
    bool drops_invalid;
    bool takes_prior_knowledge; /* HTTP/2 without TLS, by its preface */
    bool edits_responses;       /* one of the next two */
    bool hides_server;
    struct str added_fields; /* "Name: value" CR LF ...: of every response */
    uint32_t added_mask;     /* bits of lb_added_names: not taken over from the target */
    struct lb_rule *rules;   /* in the order in which they are asked */
    size_t rule_count;
    struct lb_rule_index *rule_index; /* NULL: the rules are few */
};

struct lb_conf {
    struct arena arena;
    uint64_t version;
    struct lb_listener *listeners;
    size_t listener_count;
    struct lb_group *groups;
    size_t group_count;
    /* by index; NULL where this version has none */
    struct lb_listener **listeners_at;
    uint32_t listeners_end;
    uint32_t groups_end;
    uint32_t peers_end;
    uint32_t rules_end;
    struct lb_count uses[LB_WORKERS_MAX]; /* requests in work that began under it */
    struct lb_regex_use *regexes;         /* that it uses */
    struct lb_conf *next;                 /* older one; control thread */
};

/* ---- who has which index; control thread ----------------------------------------------------- */

struct lb_name {
    uint32_t index;
    uint64_t serial;
    uint32_t ref_count;
    uint64_t last_version;   /* newest configuration that has it */
    struct lb_socket socket; /* of a listener */
};

struct lb_names {
    struct map by_key; /* struct lb_name; of peers struct lb_peer */
    uint32_t *free_indexes;
    size_t free_count;
    size_t free_capacity;
    uint32_t end;
};

struct lb_registry {
    struct lb_names listeners;
    struct lb_names groups;
    struct lb_names rules;
    struct lb_names peers;
    struct lb_tls_share *tls;
    struct map regexes; /* struct lb_regex: compiled once, for all configurations that use them */
    uint64_t last_serial;
    size_t worker_count;
};

void lb_registry_init(struct lb_registry *r, size_t worker_count);
/* Every configuration must be freed before. */
void lb_registry_fini(struct lb_registry *r);

/* Reads a snapshot. ERR_INPUT or ERR_LIMIT with a sentence that names the listener or group;
 * nothing is changed then. The snapshot is copied. Counter slots are opened in `stats`. */
enum err lb_conf_build(struct op *op, struct lb_registry *registry, struct lbstats *stats,
                       const struct lbconf_snapshot *snapshot, struct lb_conf **ret_conf) MUST_USE;
void lb_conf_free(struct lb_registry *registry, struct lb_conf *conf);

static inline bool lb_health_takes_traffic(int health)
{
    return health == LB_HEALTH_HEALTHY || health == LB_HEALTH_UNCHECKED;
}
/* Counts healthy usable targets anew. */
void lb_group_recount(struct lb_group *g);
/* Requests that this target works on, over all workers. */
uint32_t lb_peer_inflight(const struct lb_peer *peer, size_t worker_count);
struct lb_group *lb_conf_group(struct lb_conf *conf, struct str arn);
