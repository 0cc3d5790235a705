/* Deployment configurations: the predefined ones, which are not stored, and one's own. */
#include "svc/codedeploy/handlers.h"
#include "svc/codedeploy/priv.h"

#include <stdlib.h>

#define PREDEFINED_PREFIX STR("CodeDeployDefault.")

enum routing { ROUTING_NONE, ROUTING_ALL_AT_ONCE, ROUTING_CANARY, ROUTING_LINEAR };

static const struct predefined {
    struct str name;
    enum codedeploy_compute_platform platform;
    enum routing routing;
    int32_t percent;
    int32_t interval_min;
} predefined[] = {
#define X(name_, platform_, routing_, percent_, interval_) \
    {.name = STR_INIT(name_),                              \
     .platform = CODEDEPLOY_COMPUTE_PLATFORM_##platform_,  \
     .routing = ROUTING_##routing_,                        \
     .percent = (percent_),                                \
     .interval_min = (interval_)},
#include "svc/codedeploy/configs.def"
#undef X
};

static struct codedeploy_traffic_routing_config *routing_of(struct op *op,
                                                            const struct predefined *p)
{
    struct codedeploy_traffic_routing_config *r =
        ARENA_NEW(&op->arena, struct codedeploy_traffic_routing_config);
    switch (p->routing) {
    case ROUTING_CANARY:
        r->type = CODEDEPLOY_TRAFFIC_ROUTING_TYPE_TIMEBASEDCANARY;
        r->time_based_canary = ARENA_NEW(&op->arena, struct codedeploy_time_based_canary);
        r->time_based_canary->canary_percentage = OPT_I32(p->percent);
        r->time_based_canary->canary_interval = OPT_I32(p->interval_min);
        return r;
    case ROUTING_LINEAR:
        r->type = CODEDEPLOY_TRAFFIC_ROUTING_TYPE_TIMEBASEDLINEAR;
        r->time_based_linear = ARENA_NEW(&op->arena, struct codedeploy_time_based_linear);
        r->time_based_linear->linear_percentage = OPT_I32(p->percent);
        r->time_based_linear->linear_interval = OPT_I32(p->interval_min);
        return r;
    case ROUTING_ALL_AT_ONCE:
        r->type = CODEDEPLOY_TRAFFIC_ROUTING_TYPE_ALLATONCE;
        return r;
    case ROUTING_NONE:
    default:
        return NULL;
    }
}

enum err cd_find_config(struct op *op, struct codedeploy *cd, struct str name,
                        struct codedeploy_deployment_config_info *ret)
{
    for (size_t i = 0; i < ARRAY_COUNT(predefined); i++) {
        if (str_equal(name, predefined[i].name)) {
            *ret = (struct codedeploy_deployment_config_info){
                .deployment_config_id = id_derived(&op->arena, name, 32),
                .deployment_config_name = predefined[i].name,
                .create_time = OPT_TIME(wall_from_seconds(1446595200)),
                .compute_platform = predefined[i].platform,
                .traffic_routing_config = routing_of(op, &predefined[i]),
            };
            return ERR_OK;
        }
    }
    enum err e = store_get(op, cd->config.store, &codedeploy_kind_config, name, ret);
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        return cd_fail(op, deployment_config_does_not_exist_exception,
                       "No Deployment Configuration found for name: %.*s", STR_ARG(name));
    }
    return e;
}

static bool is_share(struct opt_i32 percent, struct opt_i32 interval_min)
{
    return percent.is_set && percent.value >= 1 && percent.value <= 99 && interval_min.is_set &&
           interval_min.value >= 0 && interval_min.value <= CODEDEPLOY_INTERVAL_MIN_MAX;
}

/* The type and the one block that belongs to it. */
static bool is_routing(const struct codedeploy_traffic_routing_config *r)
{
    if (r == NULL) {
        return false;
    }
    const struct codedeploy_time_based_canary *canary = r->time_based_canary;
    const struct codedeploy_time_based_linear *linear = r->time_based_linear;
    switch (r->type) {
    case CODEDEPLOY_TRAFFIC_ROUTING_TYPE_ALLATONCE:
        return canary == NULL && linear == NULL;
    case CODEDEPLOY_TRAFFIC_ROUTING_TYPE_TIMEBASEDCANARY:
        return canary != NULL && linear == NULL &&
               is_share(canary->canary_percentage, canary->canary_interval);
    case CODEDEPLOY_TRAFFIC_ROUTING_TYPE_TIMEBASEDLINEAR:
        return linear != NULL && canary == NULL &&
               is_share(linear->linear_percentage, linear->linear_interval);
    case CODEDEPLOY_TRAFFIC_ROUTING_TYPE_UNSET:
    default:
        return false;
    }
}

static enum err check_config(struct op *op, const struct codedeploy_create_deployment_config_in *in)
{
    struct str name = in->deployment_config_name;
    if (name.len == 0) {
        return cd_fail(op, deployment_config_name_required_exception,
                       "Deployment Configuration name must be specified");
    }
    if (str_starts_with(name, PREDEFINED_PREFIX) ||
        !name_is(name, 1, CODEDEPLOY_NAME_CHARS_MAX, STR("._+=,@-"))) {
        return cd_fail(op, invalid_deployment_config_name_exception,
                       "Invalid Deployment Configuration name: %.*s", STR_ARG(name));
    }
    if (in->compute_platform != CODEDEPLOY_COMPUTE_PLATFORM_ECS) {
        return cd_fail(op, invalid_compute_platform_exception,
                       "Only configurations of the compute platform ECS are supported here");
    }
    if (in->minimum_healthy_hosts != NULL) {
        return cd_fail(op, invalid_minimum_healthy_host_value_exception,
                       "Minimum healthy hosts do not apply to the compute platform ECS");
    }
    if (!is_routing(in->traffic_routing_config)) {
        return cd_fail(op, invalid_traffic_routing_configuration_exception,
                       "The traffic routing configuration needs a type and its block with a "
                       "percentage of 1 to 99 and an interval in minutes");
    }
    return ERR_OK;
}

enum err cd_create_deployment_config(struct op *op, struct codedeploy *cd,
                                     const struct codedeploy_create_deployment_config_in *in,
                                     struct codedeploy_create_deployment_config_out *ret)
{
    size_t count = 0;
    TRY(check_config(op, in));
    if (store_has(op, cd->config.store, &codedeploy_kind_config, in->deployment_config_name)) {
        return cd_fail(op, deployment_config_already_exists_exception,
                       "Deployment Configuration already exists: %.*s",
                       STR_ARG(in->deployment_config_name));
    }
    TRY(store_count(op, cd->config.store, &codedeploy_kind_config, &(struct store_range){0},
                    &count));
    if (count >= CODEDEPLOY_CONFIGS_MAX) {
        return cd_fail(op, deployment_config_limit_exceeded_exception,
                       "There are %d deployment configurations already", CODEDEPLOY_CONFIGS_MAX);
    }
    struct codedeploy_deployment_config_info info = {
        .deployment_config_id = rand_uuid(&op->arena),
        .deployment_config_name = in->deployment_config_name,
        .create_time = OPT_TIME(op->now),
        .compute_platform = in->compute_platform,
        .traffic_routing_config = in->traffic_routing_config,
    };
    TRY(store_put(op, cd->config.store, &codedeploy_kind_config, info.deployment_config_name,
                  STR(""), &info));
    ret->deployment_config_id = info.deployment_config_id;
    return ERR_OK;
}

enum err cd_get_deployment_config(struct op *op, struct codedeploy *cd,
                                  const struct codedeploy_get_deployment_config_in *in,
                                  struct codedeploy_get_deployment_config_out *ret)
{
    ret->deployment_config_info = ARENA_NEW(&op->arena, struct codedeploy_deployment_config_info);
    return cd_find_config(op, cd, in->deployment_config_name, ret->deployment_config_info);
}

static int compare_names(const void *left, const void *right)
{
    const struct str *a = left;
    const struct str *b = right;
    return str_compare(*a, *b);
}

enum err cd_list_deployment_configs(struct op *op, struct codedeploy *cd,
                                    const struct codedeploy_list_deployment_configs_in *in,
                                    struct codedeploy_list_deployment_configs_out *ret)
{
    static const struct page_rules rules = {
        .list_name = "codedeploy.configs",
        .default_count = CODEDEPLOY_PAGE_COUNT,
        .max_count = CODEDEPLOY_PAGE_COUNT,
        .bad_token = &codedeploy_error_invalid_next_token_exception,
    };
    struct store_items own = {0};
    TRY(store_list(op, cd->config.store, &codedeploy_kind_config, &(struct store_range){0}, &own));
    size_t count = own.count + ARRAY_COUNT(predefined);
    struct str *names = ARENA_ARRAY(&op->arena, struct str, count);
    for (size_t i = 0; i < count; i++) {
        names[i] = i < own.count ? own.items[i].key : predefined[i - own.count].name;
    }
    qsort(names, count, sizeof(*names), compare_names);
    size_t from = 0;
    size_t to = 0;
    TRY(page_cut(op, &rules, (struct page_ask){.token = in->next_token}, names, count, &from, &to,
                 &ret->next_token));
    ret->deployment_configs_list.is_set = true;
    for (size_t i = from; i < to; i++) {
        *ARENA_PUSH(&op->arena, &ret->deployment_configs_list) = names[i];
    }
    return ERR_OK;
}

enum err cd_delete_deployment_config(struct op *op, struct codedeploy *cd,
                                     const struct codedeploy_delete_deployment_config_in *in,
                                     struct codedeploy_delete_deployment_config_out *ret)
{
    struct store_items groups = {0};
    struct str name = in->deployment_config_name;
    (void)ret;
    if (str_starts_with(name, PREDEFINED_PREFIX)) {
        return cd_fail(op, invalid_operation_exception,
                       "Predefined Deployment Configurations can not be deleted");
    }
    TRY(store_list(op, cd->config.store, &codedeploy_kind_group, &(struct store_range){0},
                   &groups));
    for (size_t i = 0; i < groups.count; i++) {
        const struct engine_codedeploy_group *g = groups.items[i].value;
        if (str_equal(g->group->deployment_config_name, name)) {
            return cd_fail(op, deployment_config_in_use_exception,
                           "Deployment Configuration %.*s is in use by Deployment Group %.*s",
                           STR_ARG(name), STR_ARG(g->group->deployment_group_name));
        }
    }
    return store_remove(op, cd->config.store, &codedeploy_kind_config, name);
}
