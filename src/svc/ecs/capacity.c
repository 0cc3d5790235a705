/* Capacity providers and container instances. This engine is one machine, which ECS sees as
 * Fargate: the two providers of Fargate exist, and there is never a container instance. */
#include "svc/ecs/ecs_priv.h"

static const char *const provider_names[] = {"FARGATE", "FARGATE_SPOT"};
static const enum ecs_capacity_provider_type provider_types[] = {
    ECS_CAPACITY_PROVIDER_TYPE_FARGATE, ECS_CAPACITY_PROVIDER_TYPE_FARGATE_SPOT};

static struct str provider_arn(struct op *op, struct str name)
{
    return arn_makef(op, STR("ecs"), "capacity-provider/%.*s", STR_ARG(name));
}

static void show_provider(struct op *op, size_t index, struct ecs_capacity_providers *to)
{
    struct str name = str_of(provider_names[index]);
    *ARENA_PUSH(&op->arena, to) =
        (struct ecs_capacity_provider){.capacity_provider_arn = provider_arn(op, name),
                                       .name = name,
                                       .status = ECS_CAPACITY_PROVIDER_STATUS_ACTIVE,
                                       .type = provider_types[index],
                                       .tags = {.is_set = true}};
}

static bool is_asked_for(const struct ecs_string_list *asked, struct op *op, struct str name)
{
    for (size_t i = 0; i < asked->count; i++) {
        if (str_equal(asked->items[i], name) ||
            str_equal(asked->items[i], provider_arn(op, name))) {
            return true;
        }
    }
    return asked->count == 0;
}

enum err ecs_describe_capacity_providers(struct op *op, struct ecs *ecs,
                                         const struct ecs_describe_capacity_providers_in *in,
                                         struct ecs_describe_capacity_providers_out *ret)
{
    if (in->cluster.len > 0) {
        struct ecs_cluster cluster = {0};
        TRY(ecs_cluster_find(op, ecs, in->cluster, &cluster));
    }
    struct ecs_describe_capacity_providers_out out = {.capacity_providers = {.is_set = true},
                                                      .failures = {.is_set = true}};
    for (size_t i = 0; i < ARRAY_COUNT(provider_names); i++) {
        if (is_asked_for(&in->capacity_providers, op, str_of(provider_names[i]))) {
            show_provider(op, i, &out.capacity_providers);
        }
    }
    for (size_t i = 0; i < in->capacity_providers.count; i++) {
        struct str name = ecs_last_part(in->capacity_providers.items[i]);
        if (!STR_IS(name, "FARGATE") && !STR_IS(name, "FARGATE_SPOT")) {
            ecs_add_failure(op, &out.failures, provider_arn(op, name), STR("MISSING"));
        }
    }
    *ret = out;
    return ERR_OK;
}

enum err ecs_list_container_instances(struct op *op, struct ecs *ecs,
                                      const struct ecs_list_container_instances_in *in,
                                      struct ecs_list_container_instances_out *ret)
{
    struct ecs_cluster cluster = {0};
    TRY(ecs_cluster_find(op, ecs, in->cluster, &cluster));
    *ret = (struct ecs_list_container_instances_out){.container_instance_arns = {.is_set = true}};
    return ERR_OK;
}

enum err ecs_describe_container_instances(struct op *op, struct ecs *ecs,
                                          const struct ecs_describe_container_instances_in *in,
                                          struct ecs_describe_container_instances_out *ret)
{
    struct ecs_cluster cluster = {0};
    TRY(ecs_cluster_find(op, ecs, in->cluster, &cluster));
    if (in->container_instances.count == 0) {
        return fail_parameter(op, "Container instances cannot be empty.");
    }
    struct ecs_describe_container_instances_out out = {.container_instances = {.is_set = true},
                                                       .failures = {.is_set = true}};
    for (size_t i = 0; i < in->container_instances.count; i++) {
        struct str asked = in->container_instances.items[i];
        struct str arn = arn_looks_like_one(asked)
                             ? asked
                             : arn_makef(op, STR("ecs"), "container-instance/%.*s/%.*s",
                                         STR_ARG(cluster.cluster_name), STR_ARG(asked));
        ecs_add_failure(op, &out.failures, arn, STR("MISSING"));
    }
    *ret = out;
    return ERR_OK;
}
