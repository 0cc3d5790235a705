#pragma once
/* A service on a store in memory, with a data plane that only takes notes. */

#include "base/cleanup.h"
#include "svc/common/network.h"
#include "svc/elbv2/elbv2.h"
#include "test.h"

struct fixture {
    struct op op;
    struct store *store;
    struct elbv2 *e;
    struct port_elb port;
    struct network network;

    struct lbconf_snapshot snapshot; /* the last one, copied */
    struct arena snapshot_arena;
    size_t publish_count;
    size_t wake_count;
    dur_t wake_within; /* the earliest asked for since the last turn */
    bool is_wake_asked;

    size_t target_changed_count;
    size_t weights_published_count;
    char changed_group[256];

    size_t certificate_edition; /* in the chain that the certificates' owner gives */
    struct port_challenge challenge;
    size_t challenge_count;
};

#define FIXTURE AUTO(fixture_close) struct fixture f

/* path ":memory:" or a file. hosts_path as in the options. */
void fixture_open(struct fixture *f, const char *path, const char *hosts_path,
                  struct str lb_address);
void fixture_close(struct fixture *f);
/* As a restart of the control process: the store stays open. */
void fixture_restart(struct fixture *f);
/* What the app does when the timer is due. */
void fixture_turn(struct fixture *f);
/* The data plane has taken the last snapshot. */
void fixture_acknowledge(struct fixture *f);
void fixture_report(struct fixture *f, struct str group, struct str host, int32_t port,
                    const char *state, const char *reason, const char *description);

/* "" when the call succeeded, else the public code. */
const char *fixture_code(const struct fixture *f, enum err result);
#define EXPECT_CODE(f, call, code) EXPECT_STR(str_of(fixture_code(&(f), (call))), code)
#define EXPECT_NOTE(f, want)       EXPECT_STR(str_of((f).op.note.text), want)

/* Shorthands that must succeed. */
struct elbv2_load_balancer make_load_balancer(struct fixture *f, struct str name);
struct str make_group(struct fixture *f, struct str name);
struct elbv2_listener make_listener(struct fixture *f, struct str lb_arn, int32_t port,
                                    struct str group_arn);
struct elbv2_create_rule_in rule_in(struct fixture *f, struct str listener_arn, int32_t priority,
                                    struct str path, struct str group_arn);
struct elbv2_actions forward_to(struct fixture *f, struct str group_arn);
struct elbv2_actions split_between(struct fixture *f, struct str first, int32_t first_weight,
                                   struct str second, int32_t second_weight);
void register_target(struct fixture *f, struct str group_arn, struct str host, int32_t port);
const struct lbconf_target_group *snapshot_group(const struct fixture *f, struct str arn);
struct elbv2_target_health_description see_one(struct fixture *f, struct str group_arn,
                                               struct str host, int32_t port);
