#pragma once
/* What the API and the port for codedeploy share about task sets. */

#include "svc/ecs/ecs_priv.h"

struct task_set_wish {
    struct ecs_service_revision revision; /* complete (ecs_wish_complete) */
    struct str external_id;
    struct str started_by;
    struct str client_token;
    struct ecs_tags tags;
    double percent;
    bool is_primary;
};

/* TaskSetNotFoundException. */
enum err ecs_task_set_find(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                           struct str id_or_arn, struct engine_ecs_task_set *ret);
/* Checks a request and completes it. */
enum err ecs_task_set_wish(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                           const struct ecs_service *s, const struct ecs_create_task_set_in *in,
                           struct task_set_wish *ret);
enum err ecs_task_set_make(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                           const struct ecs_service *service, const struct task_set_wish *wish,
                           struct engine_ecs_task_set *ret);
enum err ecs_task_set_drain(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                            struct engine_ecs_task_set *set);
/* In the caller's transaction. */
enum err ecs_task_set_make_primary(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                                   struct engine_ecs_service *row, struct engine_ecs_task_set *set);
