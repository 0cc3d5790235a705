/* Finding; resources_make.c makes. */
#include "deployer/resources.h"

#include "base/check.h"
#include "gen/ec2.h"

#define ONE(list_items) .items = (list_items), .count = 1, .is_set = true

enum err resources_find_service(struct op *op, const struct cloud *cloud, const struct place *place,
                                const struct ecs_service **ret_service)
{
    struct str name = place->service_name;
    struct ecs_describe_services_in in = {.cluster = place->cluster, .services = {ONE(&name)}};
    struct ecs_describe_services_out out = {0};
    enum err e = ecs_call_describe_services(op, cloud->client, &in, &out);
    if (e != ERR_OK && cloud_failed_as(op, &ecs_error_cluster_not_found_exception)) {
        op_note_clear(op);
        *ret_service = NULL;
        return ERR_OK;
    }
    TRY(e);
    bool is_there = out.services.count == 1 && !STR_IS(out.services.items[0].status, "INACTIVE");
    *ret_service = is_there ? &out.services.items[0] : NULL;
    return ERR_OK;
}

static enum err find_balancer(struct op *op, const struct cloud *cloud, struct str arn,
                              struct str name, struct resources *r)
{
    struct elbv2_describe_load_balancers_in in = {0};
    struct elbv2_describe_load_balancers_out out = {0};
    if (str_is_set(arn)) {
        in.load_balancer_arns = (struct elbv2_load_balancer_arns){ONE(&arn)};
    } else {
        in.names = (struct elbv2_load_balancer_names){ONE(&name)};
    }
    enum err e = elbv2_call_describe_load_balancers(op, cloud->client, &in, &out);
    if (e != ERR_OK && cloud_failed_as(op, &elbv2_error_load_balancer_not_found_exception)) {
        op_note_clear(op);
        return ERR_OK;
    }
    TRY(e);
    if (out.load_balancers.count > 0) {
        r->balancer_arn = out.load_balancers.items[0].load_balancer_arn;
        r->dns_name = out.load_balancers.items[0].dns_name;
        r->vpc = str_is_set(r->vpc) ? r->vpc : out.load_balancers.items[0].vpc_id;
    }
    return ERR_OK;
}

static enum err find_group(struct op *op, const struct cloud *cloud, struct str name,
                           struct str *ret_arn)
{
    struct elbv2_describe_target_groups_in in = {.names = {ONE(&name)}};
    struct elbv2_describe_target_groups_out out = {0};
    enum err e = elbv2_call_describe_target_groups(op, cloud->client, &in, &out);
    if (e != ERR_OK && cloud_failed_as(op, &elbv2_error_target_group_not_found_exception)) {
        op_note_clear(op);
        return ERR_OK;
    }
    TRY(e);
    *ret_arn = out.target_groups.count > 0 ? out.target_groups.items[0].target_group_arn : STR_NONE;
    return ERR_OK;
}

/* ---- which rule forwards to the service ---- */

static void add_weight(const struct str groups[2], struct str arn, int64_t weight, bool *is_known,
                       int64_t ret_weights[2])
{
    for (int i = 0; i < RESOURCES_SIDES; i++) {
        if (str_is_set(groups[i]) && str_equal(groups[i], arn)) {
            ret_weights[i] += weight;
            *is_known = true;
        }
    }
}

bool resources_weights_of(const struct elbv2_actions *actions, const struct str groups[2],
                          int64_t ret_weights[2])
{
    bool is_known = false;
    int64_t weights[2] = {0, 0};
    for (size_t i = 0; i < actions->count; i++) {
        const struct elbv2_action *a = &actions->items[i];
        if (a->type != ELBV2_ACTION_TYPE_ENUM_FORWARD) {
            continue;
        }
        if (a->forward_config == NULL || a->forward_config->target_groups.count == 0) {
            add_weight(groups, a->target_group_arn, 1, &is_known, weights);
            continue;
        }
        for (size_t k = 0; k < a->forward_config->target_groups.count; k++) {
            const struct elbv2_target_group_tuple *t = &a->forward_config->target_groups.items[k];
            add_weight(groups, t->target_group_arn, OPT_OR(t->weight, 1), &is_known, weights);
        }
    }
    if (is_known) {
        ret_weights[0] = weights[0];
        ret_weights[1] = weights[1];
    }
    return is_known;
}

static size_t count_named(const struct elbv2_actions *actions, const struct str groups[2])
{
    size_t named = 0;
    for (int side = 0; side < RESOURCES_SIDES; side++) {
        const struct str one[2] = {groups[side], STR_NONE};
        int64_t ignored[2] = {0, 0};
        named += str_is_set(groups[side]) && resources_weights_of(actions, one, ignored) ? 1 : 0;
    }
    return named;
}

static void take_rule(struct resources *r, const struct elbv2_rule *rule)
{
    int64_t weights[2] = {0, 0};
    if (!resources_weights_of(&rule->actions, r->groups, weights)) {
        return;
    }
    r->rule_arn = rule->rule_arn;
    r->is_default_rule = OPT_OR(rule->is_default, false);
    r->live = weights[1] > 0 && weights[0] == 0 ? 1 : 0;
    r->is_switchable = count_named(&rule->actions, r->groups) == RESOURCES_SIDES &&
                       (weights[0] == 0) != (weights[1] == 0);
}

static enum err find_rule(struct op *op, const struct cloud *cloud, struct resources *r)
{
    struct elbv2_describe_rules_in in = {.listener_arn = r->listener_arn};
    struct elbv2_describe_rules_out out = {0};
    bool has_more = true;
    while (has_more && !str_is_set(r->rule_arn)) {
        TRY(aws_call_page(op, cloud->client, &elbv2_service, &elbv2_op_describe_rules, &in, &out,
                          &has_more));
        for (size_t i = 0; i < out.rules.count && !str_is_set(r->rule_arn); i++) {
            take_rule(r, &out.rules.items[i]);
        }
    }
    return ERR_OK;
}

static enum err try_listeners(struct op *op, const struct cloud *cloud,
                              const struct elbv2_listeners *listeners, int64_t port, bool at_port,
                              struct resources *r)
{
    for (size_t i = 0; i < listeners->count && !str_is_set(r->rule_arn); i++) {
        const struct elbv2_listener *l = &listeners->items[i];
        if ((OPT_OR(l->port, 0) == port) != at_port) {
            continue;
        }
        r->listener_arn = l->listener_arn;
        r->port = OPT_OR(l->port, 0);
        TRY(find_rule(op, cloud, r));
    }
    return ERR_OK;
}

/* The listener at the configured port, else any that forwards to the service. */
static enum err find_listener(struct op *op, const struct cloud *cloud, const struct place *place,
                              struct resources *r)
{
    struct elbv2_describe_listeners_in in = {.load_balancer_arn = r->balancer_arn};
    struct elbv2_describe_listeners_out out = {0};
    TRY(elbv2_call_describe_listeners(op, cloud->client, &in, &out));
    TRY(try_listeners(op, cloud, &out.listeners, place->environment->port, true, r));
    TRY(try_listeners(op, cloud, &out.listeners, place->environment->port, false, r));
    if (!str_is_set(r->rule_arn)) {
        r->listener_arn = STR_NONE;
    }
    return ERR_OK;
}

/* A service that stands has its groups; the load balancer is found by them. */
static enum err adopt(struct op *op, const struct cloud *cloud, const struct place *place,
                      struct resources *r)
{
    const struct ecs_load_balancer *wired = &r->service->load_balancers.items[0];
    struct str first = wired->target_group_arn;
    r->groups[0] = first;
    if (wired->advanced_configuration != NULL) {
        r->groups[1] = wired->advanced_configuration->alternate_target_group_arn;
    } else {
        struct str named[2] = {STR_NONE, STR_NONE};
        TRY(find_group(op, cloud, place->groups[0], &named[0]));
        TRY(find_group(op, cloud, place->groups[1], &named[1]));
        r->groups[1] = str_equal(named[0], first) ? named[1] : named[0];
    }
    struct elbv2_describe_target_groups_in in = {.target_group_arns = {ONE(&first)}};
    struct elbv2_describe_target_groups_out out = {0};
    TRY(elbv2_call_describe_target_groups(op, cloud->client, &in, &out));
    if (out.target_groups.count == 0 || out.target_groups.items[0].load_balancer_arns.count == 0) {
        return ERR_OK;
    }
    r->vpc = out.target_groups.items[0].vpc_id;
    return find_balancer(op, cloud, out.target_groups.items[0].load_balancer_arns.items[0],
                         STR_NONE, r);
}

/* The groups that the service has are not on the rule when it was switched to its other pair. */
static enum err find_traffic(struct op *op, const struct cloud *cloud, const struct place *place,
                             struct resources *r)
{
    bool is_wired = r->service != NULL && r->service->load_balancers.count > 0;
    if (is_wired) {
        TRY(adopt(op, cloud, place, r));
    }
    if (!str_is_set(r->balancer_arn)) {
        TRY(find_balancer(op, cloud, STR_NONE, place->balancer, r));
    }
    for (int i = 0; i < RESOURCES_SIDES && !is_wired; i++) {
        TRY(find_group(op, cloud, place->groups[i], &r->groups[i]));
    }
    if (str_is_set(r->balancer_arn)) {
        TRY(find_listener(op, cloud, place, r));
    }
    return ERR_OK;
}

static enum err find_network(struct op *op, const struct cloud *cloud, const struct place *place,
                             struct resources *r)
{
    const struct config_environment *e = place->environment;
    r->security_groups = e->security_groups;
    struct str yes = STR("true");
    struct ec2_filter filter = {.name = STR("default-for-az"), .values = {ONE(&yes)}};
    struct ec2_describe_subnets_in in = {0};
    if (e->subnets.count > 0) {
        in.subnet_ids = (struct ec2_subnet_id_string_list){
            .items = e->subnets.items, .count = e->subnets.count, .is_set = true};
    } else {
        in.filters = (struct ec2_filter_list){ONE(&filter)};
    }
    struct ec2_describe_subnets_out out = {0};
    TRY(ec2_call_describe_subnets(op, cloud->client, &in, &out));
    for (size_t i = 0; i < out.subnets.count; i++) {
        *ARENA_PUSH(&op->arena, &r->subnets) = out.subnets.items[i].subnet_id;
        r->vpc = out.subnets.items[i].vpc_id;
    }
    return out.subnets.count > 0
               ? ERR_OK
               : op_fail(op, ERR_NOT_FOUND,
                         "%.*s has no default network; name subnets in environments.%.*s.subnets",
                         STR_ARG(cloud->region), STR_ARG(e->name));
}

enum err resources_find(struct op *op, const struct cloud *cloud, const struct place *place,
                        struct resources *ret)
{
    struct resources r = {.port = place->environment->port};
    TRY(resources_find_service(op, cloud, place, &r.service));
    TRY(find_network(op, cloud, place, &r));
    r.has_balancer =
        r.service != NULL ? r.service->load_balancers.count > 0 : place->service->port > 0;
    if (r.has_balancer) {
        TRY(find_traffic(op, cloud, place, &r));
    }
    *ret = r;
    return ERR_OK;
}

enum err resources_read_weights(struct op *op, const struct cloud *cloud, const struct resources *r,
                                int64_t ret_weights[RESOURCES_SIDES])
{
    struct str arn = r->rule_arn;
    struct elbv2_describe_rules_in in = {.rule_arns = {ONE(&arn)}};
    struct elbv2_describe_rules_out out = {0};
    TRY(elbv2_call_describe_rules(op, cloud->client, &in, &out));
    if (out.rules.count == 0 ||
        !resources_weights_of(&out.rules.items[0].actions, r->groups, ret_weights)) {
        return op_fail(op, ERR_NOT_FOUND, "the rule \"%.*s\" forwards to neither side",
                       STR_ARG(arn));
    }
    return ERR_OK;
}

struct str resources_url(struct arena *a, const struct resources *r, struct str path)
{
    const char *scheme = r->port == 443 ? "https" : "http";
    if (r->port == 80 || r->port == 443) {
        return arena_printf(a, "%s://%.*s%.*s", scheme, STR_ARG(r->dns_name), STR_ARG(path));
    }
    return arena_printf(a, "%s://%.*s:%lld%.*s", scheme, STR_ARG(r->dns_name), (long long)r->port,
                        STR_ARG(path));
}
