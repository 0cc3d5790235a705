#pragma once
/* What the resources of an application are called, so that every run finds what an earlier one
 * made. AWS's limits are kept: a name that would be too long is cut and ends in a hash of the
 * whole. */

#include "deployer/config.h"

/* A service of the file in one environment: what one deployment is about. */
struct place {
    const struct config *config;
    const struct config_environment *environment;
    const struct config_service *service;
    struct str cluster;      /* "shop-production" */
    struct str service_name; /* "api" */
    struct str family;       /* "shop-production-api" */
    struct str balancer;     /* "shop-production-api", at most 32 characters */
    struct str groups[2];    /* "...-a", "...-b": the two sides of a switch */
    struct str log_group;    /* "/ecs/shop-production-api" */
    struct str alarm_prefix; /* "shop-production-api-" */
    struct str migration_family;
    int64_t count;
};

void place_name(struct arena *a, const struct config *c, const struct config_environment *e,
                const struct config_service *s, struct place *ret_place);

/* At most `max` characters of text: all, or its beginning, "-" and 8 hex digits of its hash. */
struct str name_cut(struct arena *a, struct str text, size_t max);
