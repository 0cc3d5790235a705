#pragma once
/* What one service needs of another, as structs of functions. app/ fills them with the real ones,
 * tests with fakes, so that no service includes another. All calls are synchronous, happen on the
 * control loop, and take the caller's region and account from the op. `self` is the first argument
 * of every function. No member may be NULL. */

#include "base/op.h"
#include "base/str.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

struct store;

/* ---- the load balancer, for ecs and codedeploy --------------------------------------------- */

enum port_target_state {
    PORT_TARGET_UNUSED, /* not registered, or the group receives no traffic */
    PORT_TARGET_INITIAL,
    PORT_TARGET_HEALTHY,
    PORT_TARGET_UNHEALTHY,
    PORT_TARGET_DRAINING,
};

struct port_target_sight {
    enum port_target_state state;
    struct str reason;       /* "Target.ResponseCodeMismatch" or absent */
    struct str description;  /* "Health checks failed with these codes: [404]" or absent */
    uint64_t inflight_count; /* requests being answered by this target */
};

#define PORT_WEIGHTS_MAX 5

struct port_weight {
    struct str target_group_arn;
    int32_t weight; /* 0..999 */
};

struct port_weights {
    struct port_weight items[PORT_WEIGHTS_MAX];
    size_t count;
};

struct port_target_group {
    struct str arn;
    struct str name;
    struct str load_balancer_arn; /* absent while no listener refers to the group */
    struct str protocol;
    struct str vpc_id;
    struct str target_type; /* "ip", "instance", ... */
    bool wants_unix_socket; /* targets that have a Unix socket are registered with it */
};

struct port_elb {
    void *self;
    /* ERR_NOT_FOUND when there is no such group. Either arn or name. */
    enum err (*find_target_group)(void *self, struct op *op, struct str arn_or_name,
                                  struct port_target_group *ret);
    /* host: an IP address, or "unix:/path". Registering twice is fine. Within the caller's
     * transaction. */
    enum err (*register_target)(void *self, struct op *op, struct str target_group_arn,
                                struct str host, int32_t port);
    /* Starts draining; after the deregistration delay, or at once with nothing in flight, the
     * target is unused. */
    enum err (*deregister_target)(void *self, struct op *op, struct str target_group_arn,
                                  struct str host, int32_t port);
    enum err (*see_target)(void *self, struct op *op, struct str target_group_arn, struct str host,
                           int32_t port, struct port_target_sight *ret);
    /* The forward action of a listener's default rule (listener ARN) or of a rule (rule ARN). */
    enum err (*get_weights)(void *self, struct op *op, struct str listener_or_rule_arn,
                            struct port_weights *ret);
    /* Replaces the forward action by these groups and weights; published to the data plane when the
     * transaction is committed. Setting what stands already is fine. */
    enum err (*set_weights)(void *self, struct op *op, struct str listener_or_rule_arn,
                            const struct port_weights *weights);
    /* True when every worker of the data plane routes by the newest committed configuration. */
    bool (*is_published)(void *self);
};

/* ---- alarms, for ecs and codedeploy --------------------------------------------------------- */

enum port_alarm_state {
    PORT_ALARM_OK,
    PORT_ALARM_ALARM,
    PORT_ALARM_INSUFFICIENT,
    PORT_ALARM_MISSING
};

struct port_alarms {
    void *self;
    enum err (*see_alarm)(void *self, struct op *op, struct str name,
                          enum port_alarm_state *ret_state, struct str *ret_reason);
    /* evaluation span of the alarm: period * evaluation periods, unscaled */
    enum err (*see_alarm_span)(void *self, struct op *op, struct str name, dur_t *ret_span);
};

/* ---- logs, for the runtimes (awslogs) ------------------------------------------------------- */

struct port_logs {
    void *self;
    /* Makes the group (only when may_create_group) and the stream where they are missing. */
    enum err (*ensure_stream)(void *self, struct op *op, struct str group, struct str stream,
                              bool may_create_group);
    /* One event a line, in order. A line is cut at 256 KiB. */
    enum err (*put_line)(void *self, struct op *op, struct str group, struct str stream, wall_t at,
                         struct str line);
};

/* ---- secrets, for ecs ----------------------------------------------------------------------- */

struct port_secrets {
    void *self;
    /* value_from as in containerDefinitions[].secrets[]. ERR_NOT_FOUND, ERR_DENIED, ERR_INPUT with
     * a sentence that names the parameter or secret, never its value. */
    enum err (*resolve)(void *self, struct op *op, struct str value_from, struct str *ret_value);
};

/* ---- certificates, for elbv2 ---------------------------------------------------------------- */

/* PEM. chain: the leaf first, then what leads to the root. key: PKCS #8, not encrypted; whoever
 * asked clears it (explicit_bzero) when it is done with it, and never logs it. */
struct port_certificate {
    struct str chain_pem;
    struct str key_pem;
};

/* An HTTP-01 challenge (RFC 8555 section 8.3): what GET /.well-known/acme-challenge/TOKEN is to be
 * answered with. */
struct port_challenge {
    struct str token;
    struct str answer;
};

struct port_challenges {
    struct port_challenge *items;
    size_t count;
};

struct port_certificates {
    void *self;
    /* By ARN, of the op's region, in the op's arena. With a sentence that names the ARN:
     * ERR_NOT_FOUND when there is none, ERR_STATE when it is not issued. */
    enum err (*find)(void *self, struct op *op, struct str arn, struct port_certificate *ret);
    /* As find, without opening the key: may a listener use it? */
    enum err (*check)(void *self, struct op *op, struct str arn);
    /* Those that wait for a certificate authority to ask, of every region; usually none. */
    enum err (*list_challenges)(void *self, struct op *op, struct port_challenges *ret);
};

struct port_arns {
    struct str *items;
    size_t count;
};

/* The other way round: who uses a certificate. */
struct port_certificate_users {
    void *self;
    /* ARNs of the load balancers with a listener that has it, each once, in the op's arena. */
    enum err (*list_users)(void *self, struct op *op, struct str certificate_arn,
                           struct port_arns *ret);
    /* ARNs of all certificates of the region that some listener has, in the op's arena. */
    enum err (*list_used)(void *self, struct op *op, struct port_arns *ret);
    /* True when every worker of the data plane answers the challenges last told. */
    bool (*is_published)(void *self);
};

/* ---- task sets, for codedeploy -------------------------------------------------------------- */

struct port_service {
    struct str service_arn;
    struct str cluster_arn;
    struct str cluster_name;
    struct str service_name;
    struct str task_definition_arn;   /* of the primary task set */
    struct str primary_task_set_id;   /* "ecs-svc/..."; absent when there is none yet */
    struct str deployment_controller; /* "CODE_DEPLOY", ... */
    int32_t desired_count;
};

struct port_task_set {
    struct str id; /* "ecs-svc/<19 digits>" */
    struct str arn;
    struct str task_definition_arn;
    struct str target_group_arn; /* absent without a load balancer */
    struct str external_id;      /* "d-..." */
    struct str status;           /* PRIMARY, ACTIVE, DRAINING */
    int32_t desired_count;
    int32_t pending_count;
    int32_t running_count;
    int32_t healthy_count; /* running and passing all checks */
    int32_t failed_count;  /* tasks that stopped before they were healthy */
    bool is_steady;
    struct str
        last_failure; /* stopped reason, exit code and last log lines of the newest failed task */
};

struct port_task_set_in {
    struct str cluster;
    struct str service;
    struct str external_id; /* key: creating twice with the same one gives the same task set */
    struct str task_definition;
    struct str target_group_arn; /* absent without a load balancer */
    struct str container_name;
    int32_t container_port;
    struct str platform_version; /* absent: the service's */
    /* awsvpc configuration: absent lists take the service's */
    const struct str *subnets;
    size_t subnet_count;
    const struct str *security_groups;
    size_t security_group_count;
    struct str assign_public_ip;
};

struct port_task_sets {
    void *self;
    enum err (*find_service)(void *self, struct op *op, struct str cluster, struct str service,
                             struct port_service *ret);
    enum err (*create)(void *self, struct op *op, const struct port_task_set_in *in,
                       struct port_task_set *ret);
    /* ERR_NOT_FOUND once it is gone. */
    enum err (*see)(void *self, struct op *op, struct str cluster, struct str service,
                    struct str task_set_id, struct port_task_set *ret);
    enum err (*set_primary)(void *self, struct op *op, struct str cluster, struct str service,
                            struct str task_set_id);
    /* Drains and stops its tasks, then removes it. Twice is fine; gone is fine. */
    enum err (*remove)(void *self, struct op *op, struct str cluster, struct str service,
                       struct str task_set_id);
};

/* ---- who must be told ------------------------------------------------------------------------ */

/* A service calls these after the transaction in which something changed; the receiver schedules a
 * turn of its machines on the loop and returns at once. */
struct port_wakes {
    void *self;
    void (*alarm_changed)(void *self, struct str region, struct str alarm_name);
    void (*target_changed)(void *self, struct str region, struct str target_group_arn);
    void (*task_set_changed)(void *self, struct str region, struct str service_arn);
    void (*weights_published)(void *self);
    /* Its chain and key are others now, or it may be used from now on (or no longer). */
    void (*certificate_changed)(void *self, struct str region, struct str certificate_arn);
    /* Another list of challenges is to be answered. */
    void (*challenges_changed)(void *self);
};
