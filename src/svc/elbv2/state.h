#pragma once
/* What the service holds in memory: caches of the store, and what the data plane reported. Private
 * to the module. */

#include "base/list.h"
#include "base/map.h"
#include "svc/elbv2/elbv2.h"

struct elbv2 {
    struct arena arena; /* of the options' texts */
    struct store *store;
    struct elbv2_options options;

    /* The snapshot in pieces: snapshot.c. */
    struct map parts;      /* ARN of a group or listener -> struct part */
    struct list groups;    /* of struct part, in the order in which they were first seen */
    struct list listeners; /* likewise */
    struct str
        cookie_key; /* of the store, in the arena; goes into every snapshot, never into a log */
    struct str sign_in_key; /* PEM, likewise */
    struct str sign_in_key_id;
    struct str sign_in_public_pem;
    struct list sign_ins; /* of struct sign_in, sign_in.c */
    size_t sign_in_count;
    bool is_dirty;   /* something was committed since the last snapshot */
    int64_t version; /* of the last snapshot, 0: none yet; greater than any of an earlier run */
    int64_t heard_version; /* the newest that the data plane routes by */

    struct map health;          /* key of the target -> struct health, health.c */
    struct map jwks;            /* URL -> struct jwks, jwks.c */
    struct map listen_failures; /* ARN of the listener -> char *, the sentence */

    bool are_names_stale;   /* the hosts file has to be looked at */
    bool are_names_written; /* DNSName is a name, not the address */
    bool is_hosts_warned;
};

/* ---- snapshot.c ----------------------------------------------------------------------------- */

void elbv2_snapshot_init(struct elbv2 *e);
void elbv2_snapshot_fini(struct elbv2 *e);
/* Every row of the store becomes part of the next snapshot. */
enum err elbv2_snapshot_load(struct op *op, struct elbv2 *e);

/* Called where a row changes, in its transaction: this part is read again before the next snapshot,
 * which goes out after the commit (listeners: at once, because they carry the weights; the rest
 * with the next turn of the loop). A rollback does no harm. */
void elbv2_note_group(struct elbv2 *e, struct str arn);
void elbv2_note_listener(struct elbv2 *e, struct str arn);
/* Something else that elbv2_turn looks at. */
void elbv2_note_change(struct elbv2 *e);

/* snapshot_rules.c. Weights name no groups yet. Texts are the rule's own. */
struct lbconf_rule elbv2_snapshot_rule(struct elbv2 *e, struct arena *a,
                                       const struct elbv2_rule *from);
/* A key set came anew: listeners whose rules use it are read again and published. */
void elbv2_note_jwks(struct elbv2 *e, struct str url);
/* A rule of the newest snapshot, or of a listener that is still to be read, uses it. */
bool elbv2_snapshot_uses_jwks(const struct elbv2 *e, struct str url);

/* Makes and sends a snapshot, with everything that was committed. */
void elbv2_publish(struct elbv2 *e);

/* The group whose drain is over next, and when; absent and INT64_MAX when nothing drains. */
struct str elbv2_snapshot_next_drain(const struct elbv2 *e, int64_t *ret_ends_us);

/* A sentence about a group that gets no requests of this listener, or absent. */
struct str elbv2_snapshot_unserved(const struct elbv2 *e, struct arena *a, struct str listener_arn);

/* An op of the engine itself, in the region that the ARN names. */
void elbv2_begin_op(struct elbv2 *e, struct str arn, struct op *op);

/* The group is in the newest snapshot and has this target, draining or not. */
bool elbv2_snapshot_has_target(const struct elbv2 *e, struct str group_arn, struct str host,
                               int32_t port);

/* ---- health.c ------------------------------------------------------------------------------- */

struct health {
    enum port_target_state state;
    struct str reason;      /* heap or absent */
    struct str description; /* heap or absent */
    uint64_t inflight_count;
    bool is_anomalous;
    bool is_mitigated;
};

void elbv2_health_fini(struct elbv2 *e);
/* NULL while nothing was reported. */
const struct health *elbv2_health_find(const struct elbv2 *e, struct str target_key);
void elbv2_health_forget(struct elbv2 *e, struct str target_key);
/* Listeners that failed to listen are tried again with each snapshot. */
void elbv2_forget_failures(struct elbv2 *e);

/* ---- hosts.c -------------------------------------------------------------------------------- */

/* Brings the block in the hosts file in step with the load balancers. */
void elbv2_names_write(struct elbv2 *e);
void elbv2_names_remove(struct elbv2 *e);
