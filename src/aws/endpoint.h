#pragma once
/* Where a service lives. Pure. */

#include "aws/profile.h"

struct aws_endpoint {
    struct str url;  /* "https://ecs.eu-west-1.amazonaws.com", without a trailing slash */
    struct str host; /* as in the Host header */
    struct str path; /* "/" or a base path that ends without '/' + "/" */
    struct str signing_region;
    bool is_custom;   /* set by someone; not the cloud's own */
    bool is_loopback; /* on this machine: no proxy stands between */
};

/* given: absent takes environment, profile, then the cloud. ERR_INPUT for what is no URL or no
 * region. */
enum err aws_endpoint_find(struct op *op, const struct shape_service *service, struct str region,
                           struct str given, const struct aws_env *env,
                           const struct aws_settings *settings, struct str profile,
                           struct aws_endpoint *ret_endpoint);
