#pragma once
/* Application Load Balancers: the API, the rows, and what the data plane is told of them. The data
 * plane runs in another process; this module gives it snapshots (model/lbconf.api) and takes its
 * reports. Everything happens on the control loop.
 *
 * Who calls what
 *   the API server     elbv2_handlers
 *   ecs, codedeploy    elbv2_port()
 *   the app            elbv2_turn() when it was asked to by host.wake; elbv2_heard_* with what the
 *                      data plane says; elbv2_publish_again() when a new data plane connects */

#include "base/op.h"
#include "crypt/seal.h"
#include "gen/elbv2.h"
#include "gen/lbconf.h"
#include "svc/common/ports.h"

struct elbv2;
struct webcall_client;

/* What this module needs of the program around it. No member may be NULL but self. */
struct elbv2_host {
    void *self;
    /* Sends a snapshot to the data plane. It borrows everything from the caller until it returns.
     * While no data plane is connected it may drop it: elbv2_publish_again() brings the newest. */
    void (*publish)(void *self, const struct lbconf_snapshot *snapshot);
    /* Asks for elbv2_turn() after this time (0: in the next turn of the loop). The earliest of
     * several asks counts; an earlier turn answers them all, because a turn asks anew. */
    void (*wake)(void *self, dur_t within);
    /* Answers elbv2_heard_sign_in, with its id. NULL: nobody signs in. */
    void (*signed_in)(void *self, const struct lbconf_sign_in_answer *message);
};

struct elbv2_options {
    struct store *store;
    struct str account;
    struct str
        objects;      /* folder of S3's buckets: OBJECTS/BUCKET/KEY; trust stores come from there */
    struct str files; /* folder for what is handed out by file:// */
    struct str lb_address; /* of internet-facing load balancers; absent: each has its own */
    const char
        *hosts_path;       /* "/etc/hosts"; NULL: names are never written, DNSName is the address */
    struct str hosts_mark; /* tells this engine's block in that file from another engine's; letters,
                            * digits and - only */
    struct elbv2_host host;
    struct seal_key key;                   /* of secrets at rest: crypt/envelope.h */
    struct port_certificates certificates; /* copied */
    struct webcall_client *web; /* fetches key sets; NULL: none are fetched. Outlives the module */
    struct port_wakes wakes;    /* copied; target_changed and weights_published are called */
};

/* Reads what the store holds and asks for a turn. Owns: the caller, until elbv2_stop. */
enum err elbv2_start(struct op *op, const struct elbv2_options *options, struct elbv2 **ret);
/* Takes the names out of the hosts file. */
void elbv2_stop(struct elbv2 *e);

/* Publishes a snapshot when something changed since the last one, ends drains whose time is over,
 * keeps the hosts file in step, and asks for its next turn. */
void elbv2_turn(struct elbv2 *e);

/* ---- what the data plane says --------------------------------------------------------------- */

/* Every worker routes by this version. */
void elbv2_heard_published(struct elbv2 *e, const struct lbconf_published *message);
/* Health of some or all targets; targets that we do not know are passed over. */
void elbv2_heard_health(struct elbv2 *e, const struct lbconf_health *message);
/* Nothing is in flight to a draining target any more. */
void elbv2_heard_drained(struct elbv2 *e, const struct lbconf_drained *message);
/* A listener could not be opened; shown as the load balancer's State.Reason until a newer snapshot
 * is published. */
void elbv2_heard_listen_failed(struct elbv2 *e, const struct lbconf_listen_failed *message);
/* A user came back from an identity provider; answered through host.signed_in. */
void elbv2_heard_sign_in(struct elbv2 *e, const struct lbconf_sign_in_question *message);
/* Sends the newest snapshot once more, to a data plane that has just been started. */
void elbv2_publish_again(struct elbv2 *e);

/* Within the transaction that changes a security group: the data plane is told after its commit.
 * self is the struct elbv2. */
void elbv2_security_groups_changed(void *self, struct op *op);

/* ---- for the other services ----------------------------------------------------------------- */

/* Valid until elbv2_stop. */
struct port_elb elbv2_port(struct elbv2 *e);

/* Valid until elbv2_stop. */
struct port_certificate_users elbv2_certificate_users(struct elbv2 *e);
/* Its listeners are read again; the new snapshot goes out at once. */
void elbv2_certificate_changed(struct elbv2 *e, struct str certificate_arn);
/* A new snapshot goes out with the next turn. */
void elbv2_challenges_changed(struct elbv2 *e);

/* PEM of the key that signs x-amzn-oidc-data; absent when none has that id. Until elbv2_stop. */
struct str elbv2_public_key(const struct elbv2 *e, struct str key_id);

extern const struct elbv2_handlers elbv2_handlers;

/* The region of a load balancer by its metric dimension "app/NAME/ID", in the arena; absent when
 * there is none. self is the struct elbv2: the form that cloudwatch asks by. */
struct str elbv2_region_of(void *self, struct arena *a, struct str load_balancer);
