/* Making what is missing. Every step looks first, so a run that was cut goes on where it stopped.
 */
#include "deployer/resources.h"

#include "base/check.h"
#include "gen/logs.h"

#define ONE(list_items)   .items = (list_items), .count = 1, .is_set = true
#define WORDS(list_words) .items = (list_words).items, .count = (list_words).count, .is_set = true
#define LOG_DAYS          30

struct maker {
    const struct cloud *cloud;
    const struct place *place;
    resources_tell_fn tell;
    void *self;
};

static void tell(const struct maker *m, const char *what, struct str name)
{
    if (m->tell != NULL) {
        m->tell(m->self, what, name);
    }
}

static enum err ensure_cluster(struct op *op, const struct maker *m)
{
    struct str name = m->place->cluster;
    struct ecs_describe_clusters_in find = {.clusters = {ONE(&name)}};
    struct ecs_describe_clusters_out found = {0};
    TRY(ecs_call_describe_clusters(op, m->cloud->client, &find, &found));
    if (found.clusters.count > 0 && STR_IS(found.clusters.items[0].status, "ACTIVE")) {
        return ERR_OK;
    }
    struct ecs_create_cluster_in in = {.cluster_name = name};
    struct ecs_create_cluster_out out = {0};
    TRY(ecs_call_create_cluster(op, m->cloud->client, &in, &out));
    tell(m, "cluster", name);
    return ERR_OK;
}

static enum err ensure_log_group(struct op *op, const struct maker *m)
{
    struct logs_create_log_group_in in = {.log_group_name = m->place->log_group};
    struct logs_create_log_group_out out = {0};
    enum err e = logs_call_create_log_group(op, m->cloud->client, &in, &out);
    if (e != ERR_OK && cloud_failed_as(op, &logs_error_resource_already_exists_exception)) {
        op_note_clear(op);
        return ERR_OK;
    }
    TRY(e);
    struct logs_put_retention_policy_in keep = {.log_group_name = m->place->log_group,
                                                .retention_in_days = OPT_I32(LOG_DAYS)};
    struct logs_put_retention_policy_out kept = {0};
    TRY(logs_call_put_retention_policy(op, m->cloud->client, &keep, &kept));
    tell(m, "log group", m->place->log_group);
    return ERR_OK;
}

static enum err ensure_balancer(struct op *op, const struct maker *m, struct resources *r)
{
    if (str_is_set(r->balancer_arn)) {
        return ERR_OK;
    }
    struct elbv2_create_load_balancer_in in = {
        .name = m->place->balancer,
        .subnets = {WORDS(r->subnets)},
        .type = ELBV2_LOAD_BALANCER_TYPE_ENUM_APPLICATION,
    };
    if (r->security_groups.count > 0) {
        in.security_groups = (struct elbv2_security_groups){WORDS(r->security_groups)};
    }
    struct elbv2_create_load_balancer_out out = {0};
    TRY(elbv2_call_create_load_balancer(op, m->cloud->client, &in, &out));
    if (out.load_balancers.count == 0) {
        return op_fail(op, ERR_PROTOCOL, "CreateLoadBalancer answered without a load balancer");
    }
    r->balancer_arn = out.load_balancers.items[0].load_balancer_arn;
    r->dns_name = out.load_balancers.items[0].dns_name;
    tell(m, "load balancer", m->place->balancer);
    return ERR_OK;
}

static enum err set_drain(struct op *op, const struct maker *m, struct str group_arn)
{
    struct elbv2_target_group_attribute drain = {
        .key = STR("deregistration_delay.timeout_seconds"),
        .value = arena_printf(&op->arena, "%lld", (long long)m->place->environment->drain_s)};
    struct elbv2_modify_target_group_attributes_in in = {.target_group_arn = group_arn,
                                                         .attributes = {ONE(&drain)}};
    struct elbv2_modify_target_group_attributes_out out = {0};
    return elbv2_call_modify_target_group_attributes(op, m->cloud->client, &in, &out);
}

static enum err make_group(struct op *op, const struct maker *m, struct resources *r, int side)
{
    const struct config_health *h = &m->place->service->health;
    struct elbv2_matcher matcher = {.http_code = h->matcher};
    struct elbv2_create_target_group_in in = {
        .name = m->place->groups[side],
        .protocol = ELBV2_PROTOCOL_ENUM_HTTP,
        .port = OPT_I32((int32_t)m->place->service->port),
        .vpc_id = r->vpc,
        .target_type = ELBV2_TARGET_TYPE_ENUM_IP,
        .health_check_path = h->path,
        .health_check_interval_seconds = OPT_I32((int32_t)h->interval_s),
        .health_check_timeout_seconds = OPT_I32((int32_t)h->timeout_s),
        .healthy_threshold_count = OPT_I32((int32_t)h->healthy_threshold),
        .unhealthy_threshold_count = OPT_I32((int32_t)h->unhealthy_threshold),
        .matcher = &matcher,
    };
    struct elbv2_create_target_group_out out = {0};
    TRY(elbv2_call_create_target_group(op, m->cloud->client, &in, &out));
    if (out.target_groups.count == 0) {
        return op_fail(op, ERR_PROTOCOL, "CreateTargetGroup answered without a target group");
    }
    r->groups[side] = out.target_groups.items[0].target_group_arn;
    tell(m, "target group", m->place->groups[side]);
    return ERR_OK;
}

/* Ours follow the file; those of others are left as they are. */
static enum err update_group(struct op *op, const struct maker *m, struct str arn)
{
    const struct config_health *h = &m->place->service->health;
    struct elbv2_matcher matcher = {.http_code = h->matcher};
    struct elbv2_modify_target_group_in in = {
        .target_group_arn = arn,
        .health_check_path = h->path,
        .health_check_interval_seconds = OPT_I32((int32_t)h->interval_s),
        .health_check_timeout_seconds = OPT_I32((int32_t)h->timeout_s),
        .healthy_threshold_count = OPT_I32((int32_t)h->healthy_threshold),
        .unhealthy_threshold_count = OPT_I32((int32_t)h->unhealthy_threshold),
        .matcher = &matcher,
    };
    struct elbv2_modify_target_group_out out = {0};
    return elbv2_call_modify_target_group(op, m->cloud->client, &in, &out);
}

static bool is_named(struct str group_arn, struct str name)
{
    struct str rest = str_from(group_arn, str_find_last_char(group_arn, ':') + 1);
    struct str kind = STR_NONE; /* "targetgroup/NAME/ID" */
    struct str part = STR_NONE;
    struct str id = STR_NONE;
    return str_cut(rest, '/', &kind, &rest) && str_cut(rest, '/', &part, &id) &&
           str_equal(part, name);
}

static enum err ensure_group(struct op *op, const struct maker *m, struct resources *r, int side,
                             bool is_foreign)
{
    if (!str_is_set(r->groups[side])) {
        TRY(make_group(op, m, r, side));
    } else if (is_foreign) {
        return ERR_OK;
    } else {
        TRY(update_group(op, m, r->groups[side]));
    }
    return set_drain(op, m, r->groups[side]);
}

static enum err ensure_groups(struct op *op, const struct maker *m, struct resources *r)
{
    bool has_first = str_is_set(r->groups[0]);
    bool is_foreign = has_first && !is_named(r->groups[0], m->place->groups[0]) &&
                      !is_named(r->groups[0], m->place->groups[1]);
    bool is_codedeploy =
        r->service != NULL && r->service->deployment_controller != NULL &&
        r->service->deployment_controller->type == ECS_DEPLOYMENT_CONTROLLER_TYPE_CODE_DEPLOY;
    if (is_codedeploy) {
        return ERR_OK; /* its deployment group names both sides */
    }
    TRY(ensure_group(op, m, r, 0, is_foreign));
    return ensure_group(op, m, r, 1, is_foreign);
}

/* All weight on the live side, the other named with none. */
static struct elbv2_actions forward_to(struct arena *a, const struct resources *r)
{
    struct elbv2_forward_action_config *forward = ARENA_NEW(a, struct elbv2_forward_action_config);
    forward->target_groups.is_set = true;
    for (int side = 0; side < RESOURCES_SIDES; side++) {
        *ARENA_PUSH(a, &forward->target_groups) = (struct elbv2_target_group_tuple){
            .target_group_arn = r->groups[side], .weight = OPT_I32(side == r->live ? 100 : 0)};
    }
    struct elbv2_actions actions = {.is_set = true};
    *ARENA_PUSH(a, &actions) =
        (struct elbv2_action){.type = ELBV2_ACTION_TYPE_ENUM_FORWARD, .forward_config = forward};
    return actions;
}

static enum err read_default_rule(struct op *op, const struct maker *m, struct resources *r)
{
    struct elbv2_describe_rules_in in = {.listener_arn = r->listener_arn};
    struct elbv2_describe_rules_out out = {0};
    TRY(elbv2_call_describe_rules(op, m->cloud->client, &in, &out));
    for (size_t i = 0; i < out.rules.count; i++) {
        if (OPT_OR(out.rules.items[i].is_default, false)) {
            r->rule_arn = out.rules.items[i].rule_arn;
            r->is_default_rule = true;
            return ERR_OK;
        }
    }
    return op_fail(op, ERR_PROTOCOL, "the listener has no default rule");
}

static enum err ensure_listener(struct op *op, const struct maker *m, struct resources *r)
{
    if (str_is_set(r->listener_arn)) {
        return ERR_OK;
    }
    if (m->place->environment->port == 443) {
        return op_fail(op, ERR_NOT_FOUND,
                       "the load balancer has no listener at 443; one with your certificate must "
                       "be there first");
    }
    struct elbv2_create_listener_in in = {
        .load_balancer_arn = r->balancer_arn,
        .protocol = ELBV2_PROTOCOL_ENUM_HTTP,
        .port = OPT_I32((int32_t)m->place->environment->port),
        .default_actions = forward_to(&op->arena, r),
    };
    struct elbv2_create_listener_out out = {0};
    TRY(elbv2_call_create_listener(op, m->cloud->client, &in, &out));
    if (out.listeners.count == 0) {
        return op_fail(op, ERR_PROTOCOL, "CreateListener answered without a listener");
    }
    r->listener_arn = out.listeners.items[0].listener_arn;
    r->port = m->place->environment->port;
    r->is_switchable = true;
    TRY(read_default_rule(op, m, r));
    tell(m, "listener", arena_printf(&op->arena, "HTTP:%lld", (long long)r->port));
    return ERR_OK;
}

enum err resources_make_switchable(struct op *op, const struct cloud *cloud, struct resources *r)
{
    if (r->is_switchable) {
        return ERR_OK;
    }
    CHECK(str_is_set(r->groups[0]) && str_is_set(r->groups[1]));
    if (r->is_default_rule) {
        struct elbv2_modify_listener_in in = {.listener_arn = r->listener_arn,
                                              .default_actions = forward_to(&op->arena, r)};
        struct elbv2_modify_listener_out out = {0};
        TRY(elbv2_call_modify_listener(op, cloud->client, &in, &out));
    } else {
        struct elbv2_modify_rule_in in = {.rule_arn = r->rule_arn,
                                          .actions = forward_to(&op->arena, r)};
        struct elbv2_modify_rule_out out = {0};
        TRY(elbv2_call_modify_rule(op, cloud->client, &in, &out));
    }
    r->is_switchable = true;
    return ERR_OK;
}

enum err resources_ensure(struct op *op, const struct cloud *cloud, const struct place *place,
                          resources_tell_fn tell_fn, void *self, struct resources *ret)
{
    struct maker m = {.cloud = cloud, .place = place, .tell = tell_fn, .self = self};
    struct resources r = {0};
    TRY(ensure_cluster(op, &m));
    TRY(resources_find(op, cloud, place, &r));
    TRY(ensure_log_group(op, &m));
    if (r.has_balancer) {
        TRY(ensure_balancer(op, &m, &r));
        TRY(ensure_groups(op, &m, &r));
        TRY(ensure_listener(op, &m, &r));
    }
    *ret = r;
    return ERR_OK;
}
