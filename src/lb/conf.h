#pragma once
/* One version of the configuration as the workers use it: immutable once published, but for what is
 * marked. Made from a snapshot by lb_conf_build, on the control thread; freed there, when every
 * worker has gone on to a newer one and no request that began under it is left.
 *
 * A target, a listener, a group or a rule that stays from one version to the next keeps its index,
 * under which each worker has its own state for it (pools, rotation). */

#include "base/arena.h"
#include "base/map.h"
#include "crypt/seal.h"
#include "crypt/siphash.h"
#include "gen/lbconf.h"
#include "jwt/jwt.h"
#include "lb/limits.h"
#include "net/addr.h"

#include <stdatomic.h>

struct lb_challenge;
struct lb_logs;
struct lbstats;
struct lb_tls_site;
struct regex;
struct lb_rule_index;
struct lb_login;
struct lb_regex_use;
struct lb_cidr_set;

enum lb_health {
    LB_HEALTH_INITIAL,
    LB_HEALTH_HEALTHY,
    LB_HEALTH_UNHEALTHY,
    LB_HEALTH_UNUSED,    /* no listener refers to the group */
    LB_HEALTH_UNCHECKED, /* checks are off: takes traffic */
};

/* Written by one worker alone, read by all; on a cache line of its own. answers and faults are of
 * targets, and of watched groups only (lb_group.is_watched); they wrap around. */
struct lb_count {
    atomic_uint count;
    atomic_uint answers;
    atomic_uint faults; /* among the answers: 5XX, no connection, no answer */
    char apart[52];
};

/* A registered target of one group. Shared by all versions that name it and by all workers. */
struct lb_peer {
    struct str key; /* group ARN, host, port */
    uint64_t place; /* of host and port, for choosing by hash; the same in every process */
    struct str group_arn;
    struct str host; /* "10.0.0.1" or "unix:/path" */
    uint16_t port;
    struct net_addr addr;
    uint64_t tag; /* of the key, in cookies; not 0 */
    uint32_t index;
    uint64_t serial;           /* another one: the index has a new owner */
    uint32_t ref_count;        /* versions that name it; control thread */
    struct lb_count *inflight; /* requests in work, by worker */
    /* written by the control thread, read by workers */
    atomic_int health;
    atomic_bool is_draining;
    atomic_bool is_expired;                /* the drain is over: cut what is left */
    atomic_int_least64_t slow_since_us;    /* mono; it warms up since then, 0: it does not */
    atomic_int_least64_t ejected_until_us; /* mono; by outlier detection */
    atomic_uint share;                     /* of LB_SHARE_WHOLE: less under anomaly mitigation */
    atomic_bool wants_ejection;            /* written by workers */
    struct lb_watch *watch;                /* control thread; NULL while its group is not watched */
    bool may_warm_up;        /* control thread: it came, or comes back, beside healthy ones */
    bool is_drain_reported;  /* control thread */
    uint64_t draining_since; /* version that made it drain; control thread */
    atomic_int_least64_t drain_until_us; /* of the monotonic clock */
    bool was_draining;                   /* as last reported; control thread */
    uint64_t seen_version;               /* newest configuration that names it; control thread */
    struct lb_probe *probe;              /* control thread; NULL while not checked */
    bool is_lingering;                   /* control thread */
    struct lb_peer *next_done;           /* control thread; in a sweep */
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
    bool is_connect; /* TCP: a connection is enough */
    bool is_tls;
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
enum lb_stick { LB_STICK_NONE, LB_STICK_LB, LB_STICK_APP };
enum lb_algorithm { LB_ROUND_ROBIN, LB_LEAST_OUTSTANDING, LB_WEIGHTED_RANDOM };

/* hitless.outlier_detection.* */
struct lb_outliers {
    uint32_t fault_run; /* faults in a row, seen by one worker, that eject; 0: off */
    uint32_t percent_max;
    dur_t eject_for; /* as configured */
};

struct lb_group {
    enum lb_version version; /* what its targets speak */
    struct str arn;
    struct str dimension; /* "targetgroup/NAME/ID" */
    struct str load_balancer;
    uint32_t index;
    uint64_t serial;
    uint32_t slot; /* of the counters; LBSTATS_NONE without room */
    bool is_in_use;
    bool is_network;        /* of a network load balancer: TCP, TLS, UDP */
    bool sends_header;      /* PROXY protocol, version 2 */
    bool sticks_by_source;  /* a source address stays at its target */
    bool cuts_after_drain;  /* flows that are open at the end of the delay; else they run on */
    bool cuts_unhealthy;    /* flows to a target that becomes unhealthy */
    bool is_tls;            /* targets speak HTTPS */
    bool waits_fully;       /* a drain lasts its whole delay, though nothing is in flight */
    bool closes_websockets; /* at a drain; else they run to its end */
    uint64_t tag;           /* of the ARN, in cookies; not 0 */
    enum lb_algorithm algorithm;
    bool mitigates;      /* anomaly mitigation is on */
    bool is_watched;     /* answers and faults of its targets are counted */
    unsigned open_below; /* fewer healthy targets: all get requests */
    unsigned dns_below;  /* fewer: the group is told as unhealthy for DNS */
    dur_t slow_start;    /* as configured; 0: off */
    enum lb_stick stick;
    dur_t stick_for;       /* as configured */
    struct str app_cookie; /* LB_STICK_APP */
    struct lb_outliers outliers;
    dur_t drain;
    struct lb_check check;
    struct lb_target *targets; /* those that drain come last */
    size_t target_count;
    size_t usable_count;                /* not draining */
    atomic_uint healthy_count;          /* of the usable ones; control thread writes */
    atomic_int_least64_t slow_until_us; /* mono; some target warms up until then */
};

enum lb_field { LB_HOST, LB_PATH, LB_HEADER, LB_METHOD, LB_QUERY, LB_SOURCE_IP };

struct lb_cidr {
    uint8_t bytes[16]; /* IPv4 as ::ffff:a.b.c.d */
    uint8_t bits;      /* of all 128 */
    bool is_v4;        /* else it has no IPv4 address, though ::/0 has all bytes */
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

/* LB_SIGN_IN: no action of a rule but an answer of login.h: path is a whole URL, body has the lines
 * of its cookies. */
enum lb_action_type { LB_FORWARD, LB_REDIRECT, LB_FIXED, LB_SIGN_IN };

struct lb_weight {
    struct lb_group *group;
    uint32_t weight;
};

/* hitless.cohort.source: "cookie:NAME" or "header:NAME". */
struct lb_cohort {
    struct str name; /* absent: weights alone decide */
    bool is_cookie;
};

struct lb_action {
    enum lb_action_type type;
    bool has_affinity; /* something beside the weights decides: affinity.h */
    dur_t stick_for;   /* a client stays with its group; as configured, 0: off */
    struct lb_cohort cohort;
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
    struct str retry_after; /* of a fixed response: seconds; absent: no such header */
};

/* Replaces the first match of the regex; $1 to $9 in the replacement are its groups. */
struct lb_transform {
    const struct regex *regex; /* NULL: no transform */
    struct str replace;
};

/* jwt-validation: who has no valid token gets no further. */
struct lb_guard {
    struct jwt_keys *keys; /* NULL: not fetched yet */
    struct jwt_policy policy;
    struct lb_guard *next; /* to be passed as well */
};

struct lb_rule {
    struct str arn;
    int32_t priority; /* 0: the default rule, which comes last */
    uint32_t index;
    uint64_t serial;
    struct lb_condition *conditions;
    size_t condition_count;
    struct lb_guard *guard; /* NULL: none */
    struct lb_login *login; /* authenticate-oidc; NULL: none */
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
    atomic_uint held_count; /* requests that wait at the gate, over all workers */
    /* UDP: sockets that share the port. Worker n of m serves n, n + m, ...; so a flow stays with
     * its worker. */
    atomic_uint udp_count; /* 0 until they were given */
    int udp_fds[LB_UDP_SOCKETS_MAX];
    struct net_addr udp_addr;
    bool is_udp_asked_for;
};

/* hitless.pause.* and hitless.maintenance.* of a listener. */
struct lb_gate {
    bool is_paused;
    dur_t pause;       /* a request is held for so long at most */
    uint32_t held_max; /* requests over all workers */
    bool is_in_maintenance;
    struct lb_action page; /* LB_FIXED */
    struct lb_cidr *allowed;
    size_t allowed_count;
};

struct lb_listener {
    struct str arn;
    struct str key; /* ARN and address: at another address it is another listener to the workers */
    struct lb_socket *socket;
    struct str dimension; /* "app/NAME/ID" */
    uint32_t index;
    uint64_t serial;
    uint32_t slot;
    uint32_t access_sink; /* of lb_logs; 0: not logged */
    uint32_t connection_sink;
    struct net_addr addr;
    char port_text[6];
    uint16_t port;
    bool is_network; /* of a network load balancer: relays what comes */
    bool has_tcp;
    bool has_udp;
    struct lb_tls_site *tls; /* NULL: plain */
    unsigned told_facts;     /* bits 1 << enum lb_tls_fact: what targets are told of it */
    bool has_own_names;      /* some fact has a header of another name */
    struct str *fact_names;  /* by enum lb_tls_fact */
    dur_t idle_timeout;
    dur_t client_keep_alive;
    enum lb_xff xff;
    enum lb_desync desync;
    bool has_logins; /* some rule has one */
    bool is_secure;  /* clients come by TLS */
    bool has_xff_port;
    bool keeps_host;
    bool drops_invalid;
    bool takes_prior_knowledge;      /* HTTP/2 without TLS, by its preface */
    uint32_t source_connections_max; /* 0: as many as they like */
    bool takes_proxy; /* hitless.proxy_protocol.enabled: connections begin with a PROXY header */
    struct lb_cidr_set *sources; /* that may connect; NULL: everybody */
    struct lb_gate *gate;        /* NULL: open to all */
    bool edits_responses;        /* one of the next two */
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
    struct seal_key cookie_key;
    struct siphash_key cohort_key; /* made of it */
    struct seal_key state_key;     /* likewise, of sign-ins under way */
    struct seal_key session_key;   /* likewise, of users who signed in */
    struct str sign_in_key_pem;
    struct str sign_in_key_id;
    struct lb_listener *listeners;
    size_t listener_count;
    struct lb_group *groups;
    size_t group_count;
    struct lb_challenge *challenges;
    size_t challenge_count; /* usually 0 */
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
    struct lb_group *group;  /* of a group: in that configuration */
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
    size_t lingering_count;  /* peers that no version names and some flow still uses */
    uint64_t newest_version; /* of the configuration that was built last */
    size_t worker_count;
    struct lb_logs *logs;    /* NULL: none are written */
    struct seal_key own_key; /* for snapshots without a cookieKey: lives as long as this process */
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
/* conf_choose.c: what decides which target gets a request. */
enum err lb_conf_read_choosing(struct op *op, struct arena *a, const struct lbconf_target_group *in,
                               struct lb_group *g) MUST_USE;
enum err lb_conf_read_stay(struct op *op, struct arena *a, const struct lbconf_listener *listener,
                           const struct lbconf_target_groups *groups,
                           const struct lbconf_action *in, struct lb_action *action) MUST_USE;
enum err lb_conf_read_key(struct op *op, const struct lb_registry *registry,
                          const struct lbconf_snapshot *in, struct lb_conf *conf) MUST_USE;
/* After the targets are known. */
void lb_conf_set_thresholds(struct lb_group *g, const struct lbconf_attributes *attributes);
uint64_t lb_tag_of(struct str text);

/* Too few are healthy: unhealthy ones get requests, too. */
static inline bool lb_group_is_open(const struct lb_group *g)
{
    return atomic_load_explicit(&g->healthy_count, memory_order_relaxed) < g->open_below;
}
/* Counts healthy usable targets anew. */
void lb_group_recount(struct lb_group *g);
/* Requests that this target works on, over all workers. */
uint32_t lb_peer_inflight(const struct lb_peer *peer, size_t worker_count);
struct lb_group *lb_conf_group(struct lb_conf *conf, struct str arn);
