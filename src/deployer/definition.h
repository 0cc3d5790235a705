#pragma once
/* The task definition of a release: AWS's own JSON where the file names one, with the keys of
 * hitless.yaml laid over it. Pure but for the text of the JSON, which the caller reads. */

#include "deployer/names.h"
#include "gen/ecs.h"

struct release {
    struct str
        version; /* label for people: commit, or what --version said; tells itself in VERSION */
    struct str image;        /* absent: the configuration's */
    struct config_pairs env; /* over all others, for this release only */
};

/* json: the text of service->task_definition, or absent. ERR_INPUT names the member of the JSON and
 * the file. Lives in the op's arena. */
enum err definition_make(struct op *op, const struct place *place, const struct release *release,
                         struct str json, struct ecs_register_task_definition_in *ret);

/* The container that the load balancer talks to: named as the service, else the first. */
const struct ecs_container_definition *definition_main_container(
    const struct ecs_register_task_definition_in *d, const struct place *place);

/* What port, container names and references of the file and of the JSON do not agree on; absent
 * when they do. */
struct str definition_conflict(struct arena *a, const struct ecs_register_task_definition_in *d,
                               const struct place *place);
