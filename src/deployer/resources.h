#pragma once
/* What a service stands on: cluster, log group, load balancer, two target groups, listener. What is
 * missing is made under the names of deployer/names.h; what is there is used as it is. A service
 * that somebody else made (Terraform, a script) is taken over with its own load balancer and
 * groups. */

#include "deployer/cloud.h"
#include "deployer/names.h"
#include "gen/ecs.h"
#include "gen/elbv2.h"

enum { RESOURCES_SIDES = 2 };

struct resources {
    const struct ecs_service *service; /* NULL: to be made */
    struct config_words subnets;
    struct config_words security_groups;
    struct str vpc;
    bool has_balancer; /* everything below is absent without it */
    struct str balancer_arn;
    struct str dns_name;
    int64_t port; /* of the listener */
    struct str listener_arn;
    struct str rule_arn; /* that forwards to the service */
    bool is_default_rule;
    struct str groups[RESOURCES_SIDES]; /* ARNs; the second may be absent for a foreign service */
    int live;                           /* the side that has the traffic */
    bool is_switchable;                 /* the rule names both sides, one of them with all weight */
};

/* The service as it stands; NULL when there is none (or only an INACTIVE one). */
enum err resources_find_service(struct op *op, const struct cloud *cloud, const struct place *place,
                                const struct ecs_service **ret_service) MUST_USE;

/* Looks without changing anything: what is not there is left absent. */
enum err resources_find(struct op *op, const struct cloud *cloud, const struct place *place,
                        struct resources *ret) MUST_USE;
/* Makes what is missing. tell: a line for each thing made. */
typedef void (*resources_tell_fn)(void *self, const char *what, struct str name);
enum err resources_ensure(struct op *op, const struct cloud *cloud, const struct place *place,
                          resources_tell_fn tell, void *self, struct resources *ret) MUST_USE;
/* Lets the rule name both sides, all weight on the live one: what ECS wants before its own
 * strategies. */
enum err resources_make_switchable(struct op *op, const struct cloud *cloud,
                                   struct resources *r) MUST_USE;

/* The weights of both sides as the rule has them now. */
enum err resources_read_weights(struct op *op, const struct cloud *cloud, const struct resources *r,
                                int64_t ret_weights[RESOURCES_SIDES]) MUST_USE;
/* The same from the rule's actions; false when they forward to none of the groups. Pure. */
bool resources_weights_of(const struct elbv2_actions *actions, const struct str groups[2],
                          int64_t ret_weights[2]);

/* "http://name:port", port 80 left out. */
struct str resources_url(struct arena *a, const struct resources *r, struct str path);
