#pragma once
/* Attributes: which there are, what they hold when nobody set them, and what may be put into them.
 * Private to the module. The rows hold only what was set. */

#include "gen/engine.h"
#include "svc/common/tags.h"
#include "svc/elbv2/elbv2.h"

/* Whose attributes; one set per resource. GROUP is every group but those of Lambda functions, WEB
 * those of HTTP and HTTPS, STREAM those of TCP, TLS and UDP. */
enum elbv2_attribute_set {
    ELBV2_ATTRIBUTES_OF_APP = 1 << 0,   /* application load balancer */
    ELBV2_ATTRIBUTES_OF_NET = 1 << 1,   /* network load balancer, gateway load balancer */
    ELBV2_ATTRIBUTES_OF_GROUP = 1 << 2, /* with WEB or STREAM */
    ELBV2_ATTRIBUTES_OF_WEB = 1 << 3,
    ELBV2_ATTRIBUTES_OF_STREAM = 1 << 4,
    ELBV2_ATTRIBUTES_OF_LAMBDA = 1 << 5,
    ELBV2_ATTRIBUTES_OF_PLAIN = 1 << 6,     /* HTTP listener */
    ELBV2_ATTRIBUTES_OF_SECURE = 1 << 7,    /* HTTPS listener */
    ELBV2_ATTRIBUTES_OF_TRANSPORT = 1 << 8, /* listener of a network load balancer */
};

/* What a resource has: bits of enum elbv2_attribute_set, and whether it is internal (one default
 * depends on that). */
struct elbv2_attribute_owner {
    unsigned sets;
    bool is_internal;
    const char *noun;     /* "Load balancer", for errors */
    const char *protocol; /* of a group or listener: "HTTP" */
};
struct elbv2_attribute_owner elbv2_owner_of_load_balancer(const struct elbv2_load_balancer *lb);
struct elbv2_attribute_owner elbv2_owner_of_group(const struct elbv2_target_group *group);
struct elbv2_attribute_owner elbv2_owner_of_listener(const struct elbv2_listener *listener);

/* Attributes travel as struct tags, which is a list of keys and values: TAGS_FROM and TAGS_INTO
 * turn the API's three list types into it and back. */

/* All attributes of the resource with what is set or else the default, in the order of the table;
 * then the engine's own (hitless.*) that were set. */
struct tags elbv2_attributes_all(struct arena *a, struct elbv2_attribute_owner owner,
                                 const struct engine_text_map *set);
/* One of them, set or by default; absent when there is no such attribute. */
struct str elbv2_attribute(struct elbv2_attribute_owner owner, const struct engine_text_map *set,
                           struct str key);
/* set with changes over it. Refuses unknown keys, values out of range, and values that do not go
 * together. */
enum err elbv2_attributes_change(struct op *op, struct elbv2_attribute_owner owner,
                                 const struct engine_text_map *set, const struct tags *changes,
                                 struct engine_text_map *ret);
