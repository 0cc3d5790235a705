#include "svc/elbv2/targets.h"

#include "base/check.h"
#include "base/cleanup.h"
#include "svc/common/arn.h"
#include "svc/elbv2/attributes.h"
#include "svc/elbv2/group_settings.h"
#include "svc/elbv2/limits.h"
#include "svc/elbv2/rows.h"
#include "svc/elbv2/state.h"

#include <arpa/inet.h>

#define HOST_BYTES_MAX 512
#define UNIX_BYTES_MAX (sizeof("unix:") - 1 + 107) /* what a socket address holds */

static int family_of(struct str host)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    if (!str_to_c(host, text, sizeof(text))) {
        return AF_UNSPEC;
    }
    if (inet_pton(AF_INET, text, bytes) == 1) {
        return AF_INET;
    }
    return inet_pton(AF_INET6, text, bytes) == 1 ? AF_INET6 : AF_UNSPEC;
}

static bool is_unix(struct str host)
{
    return str_starts_with(host, STR("unix:/"));
}

bool elbv2_is_address(struct str host)
{
    return family_of(host) != AF_UNSPEC || is_unix(host);
}

struct str elbv2_served_host(struct op *op, struct elbv2 *e, struct str host)
{
    struct engine_elb_more more = {0};
    if (elbv2_read_arn(op, host).resource != ELBV2_LOAD_BALANCER) {
        return host;
    }
    bool is_there = elbv2_get_more(op, e, host, &more) == ERR_OK && str_is_set(more.address);
    op_note_clear(op);
    return is_there ? more.address : host;
}

/* ---- what clients may register -------------------------------------------------------------- */

#define bad_target(op, ...) \
    op_fail_as((op), ERR_INPUT, &elbv2_error_invalid_target_exception, __VA_ARGS__)

static enum err check_ip(struct op *op, const struct elbv2_target_group *group, struct str id)
{
    bool is_v6 = group->ip_address_type == ELBV2_TARGET_GROUP_IP_ADDRESS_TYPE_ENUM_IPV6;
    if (family_of(id) != (is_v6 ? AF_INET6 : AF_INET)) {
        return elbv2_invalid(op, "The IP address '%.*s' is not a valid %s address", STR_ARG(id),
                             is_v6 ? "IPv6" : "IPv4");
    }
    return ERR_OK;
}

/* It must be an application load balancer that listens on the port. */
static enum err check_balancer(struct op *op, struct elbv2 *e,
                               const struct elbv2_target_group *group,
                               const struct elbv2_target_description *target)
{
    struct elbv2_load_balancer lb = {0};
    struct store_items items = {0};
    int32_t port = OPT_OR(target->port, OPT_OR(group->port, 0));
    if (elbv2_read_arn(op, target->id).resource != ELBV2_LOAD_BALANCER) {
        return elbv2_invalid(op, "'%.*s' is not a valid load balancer ARN", STR_ARG(target->id));
    }
    TRY(elbv2_get_load_balancer(op, e, target->id, &lb));
    if (lb.type != ELBV2_LOAD_BALANCER_TYPE_ENUM_APPLICATION) {
        return bad_target(op, "Load balancer '%.*s' is not an application load balancer",
                          STR_ARG(target->id));
    }
    TRY(store_list(op, e->store, &elbv2_kind_listener, &(struct store_range){.parent = target->id},
                   &items));
    for (size_t i = 0; i < items.count; i++) {
        const struct elbv2_listener *listener = items.items[i].value;
        if (OPT_OR(listener->port, 0) == port) {
            return ERR_OK;
        }
    }
    return bad_target(op, "Load balancer '%.*s' has no listener on port '%d'", STR_ARG(target->id),
                      port);
}

static enum err check_id(struct op *op, struct elbv2 *e, const struct elbv2_target_group *group,
                         const struct elbv2_target_description *target)
{
    struct arn arn = {0};
    switch (group->target_type) {
    case ELBV2_TARGET_TYPE_ENUM_IP:
        return check_ip(op, group, target->id);
    case ELBV2_TARGET_TYPE_ENUM_LAMBDA:
        if (!arn_parse(target->id, &arn) || !STR_IS(arn.service, "lambda")) {
            return elbv2_invalid(op, "'%.*s' is not a valid Lambda function ARN",
                                 STR_ARG(target->id));
        }
        if (target->port.is_set) {
            return elbv2_invalid(op, "Port cannot be specified for targets of the type 'lambda'");
        }
        return ERR_OK;
    case ELBV2_TARGET_TYPE_ENUM_ALB:
        return check_balancer(op, e, group, target);
    case ELBV2_TARGET_TYPE_ENUM_INSTANCE: /* this machine has no instances; ecs registers addresses
                                           */
    case ELBV2_TARGET_TYPE_ENUM_UNSET:
        break;
    }
    return bad_target(op, "Instance ID '%.*s' is not valid", STR_ARG(target->id));
}

/* Targets of Lambda functions have no port; it counts as 0. */
static int32_t port_of(const struct elbv2_target_group *group,
                       const struct elbv2_target_description *target)
{
    return OPT_OR(target->port, OPT_OR(group->port, 0));
}

/* ---- register ------------------------------------------------------------------------------- */

static enum err find_target(struct op *op, struct elbv2 *e, struct str group_arn, struct str host,
                            int32_t port, struct engine_elb_target *ret, bool *ret_is_there)
{
    enum err result = elbv2_get_target(op, e, group_arn, host, port, ret);
    *ret_is_there = result == ERR_OK;
    if (result == ERR_NOT_FOUND) {
        op_note_clear(op);
        return ERR_OK;
    }
    return result;
}

static enum err check_room(struct op *op, struct elbv2 *e, struct str group_arn)
{
    size_t count = 0;
    TRY(store_count(op, e->store, &elbv2_kind_target, &(struct store_range){.parent = group_arn},
                    &count));
    if (count >= ELBV2_TARGETS_MAX) {
        return op_fail_as(op, ERR_LIMIT, &elbv2_error_too_many_targets_exception,
                          "You have reached the maximum number of targets of the target group: %d",
                          ELBV2_TARGETS_MAX);
    }
    return ERR_OK;
}

enum err elbv2_add_target(struct op *op, struct elbv2 *e, struct str group_arn, struct str host,
                          int32_t port, struct str zone)
{
    struct engine_elb_target target = {0};
    bool is_there = false;
    bool is_port = !elbv2_is_address(host) || is_unix(host) || (port >= 1 && port <= 65535);
    bool is_short = host.len <= (is_unix(host) ? UNIX_BYTES_MAX : HOST_BYTES_MAX);
    if (host.len == 0 || !is_short || !is_port || str_find_char(host, '\n', 0) != STR_NOT_FOUND) {
        return bad_target(op, "Target '%.*s' is not valid", STR_ARG(host));
    }
    TRY(find_target(op, e, group_arn, host, port, &target, &is_there));
    if (is_there && !target.draining_since.is_set) {
        return ERR_OK;
    }
    if (!is_there) {
        TRY(check_room(op, e, group_arn));
    }
    target = (struct engine_elb_target){
        .host = host, .port = OPT_I32(port), .zone = zone, .registered_at = OPT_TIME(op->now)};
    return elbv2_put_target(op, e, group_arn, &target);
}

enum err elbv2_register_targets(struct op *op, struct elbv2 *e,
                                const struct elbv2_register_targets_in *in,
                                struct elbv2_register_targets_out *ret)
{
    (void)ret;
    struct elbv2_target_group group = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    TRY(elbv2_get_group(op, e, in->target_group_arn, &group));
    if (in->targets.count == 0) {
        return elbv2_invalid(op, "At least one target must be specified");
    }
    if (group.target_type == ELBV2_TARGET_TYPE_ENUM_LAMBDA && in->targets.count > 1) {
        return op_fail_as(op, ERR_LIMIT, &elbv2_error_too_many_targets_exception,
                          "A target group of the type 'lambda' can have one target only");
    }
    for (size_t i = 0; i < in->targets.count; i++) {
        const struct elbv2_target_description *target = &in->targets.items[i];
        TRY(check_id(op, e, &group, target));
        TRY(elbv2_add_target(op, e, group.target_group_arn, target->id, port_of(&group, target),
                             target->availability_zone));
    }
    return store_tx_commit(op, &tx);
}

/* ---- drain ---------------------------------------------------------------------------------- */

dur_t elbv2_drain_delay(const struct elbv2_target_group *group, const struct engine_elb_more *more)
{
    uint64_t seconds = 0;
    struct str text = elbv2_attribute(elbv2_owner_of_group(group), &more->attributes,
                                      STR("deregistration_delay.timeout_seconds"));
    if (!str_parse_u64(text, 3600, &seconds)) {
        return DUR_S(0); /* groups of Lambda functions do not drain */
    }
    return dur_scaled(DUR_S(seconds));
}

enum err elbv2_drain_target(struct op *op, struct elbv2 *e, const struct elbv2_target_group *group,
                            struct str host, int32_t port)
{
    struct engine_elb_target target = {0};
    struct engine_elb_more more = {0};
    struct str lb_arn = STR_NONE;
    bool is_there = false;
    TRY(find_target(op, e, group->target_group_arn, host, port, &target, &is_there));
    if (!is_there || target.draining_since.is_set) {
        return ERR_OK;
    }
    TRY(elbv2_get_more(op, e, group->target_group_arn, &more));
    TRY(elbv2_group_load_balancer(op, e, group->target_group_arn, &lb_arn));
    /* a group that lost its traffic a moment ago still has requests to finish */
    struct str served = elbv2_served_host(op, e, host);
    bool may_have_work =
        str_is_set(lb_arn) || elbv2_snapshot_has_target(e, group->target_group_arn, served, port);
    bool drains =
        may_have_work && elbv2_is_address(served) && elbv2_drain_delay(group, &more).us > 0;
    if (!drains) {
        return elbv2_remove_target(op, e, group->target_group_arn, host, port);
    }
    target.draining_since = OPT_TIME(op->now);
    return elbv2_put_target(op, e, group->target_group_arn, &target);
}

enum err elbv2_deregister_targets(struct op *op, struct elbv2 *e,
                                  const struct elbv2_deregister_targets_in *in,
                                  struct elbv2_deregister_targets_out *ret)
{
    (void)ret;
    struct elbv2_target_group group = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    TRY(elbv2_get_group(op, e, in->target_group_arn, &group));
    if (in->targets.count == 0) {
        return elbv2_invalid(op, "At least one target must be specified");
    }
    for (size_t i = 0; i < in->targets.count; i++) {
        const struct elbv2_target_description *target = &in->targets.items[i];
        TRY(elbv2_drain_target(op, e, &group, target->id, port_of(&group, target)));
    }
    return store_tx_commit(op, &tx);
}

static bool is_drain_over(const struct op *op, const struct engine_elb_target *target, dur_t delay)
{
    return target->draining_since.is_set &&
           wall_add(target->draining_since.value, delay).us <= op->now.us;
}

static enum err end_drain(struct op *op, struct elbv2 *e, struct str group_arn,
                          const struct engine_elb_target *target, dur_t delay)
{
    if (!is_drain_over(op, target, delay)) {
        return ERR_OK;
    }
    return elbv2_remove_target(op, e, group_arn, target->host, OPT_OR(target->port, 0));
}

enum err elbv2_end_drains(struct op *op, struct elbv2 *e, struct str group_arn)
{
    struct elbv2_target_group group = {0};
    struct engine_elb_more more = {0};
    struct elbv2_target_list targets = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    TRY(elbv2_get_group(op, e, group_arn, &group));
    TRY(elbv2_get_more(op, e, group_arn, &more));
    TRY(elbv2_list_targets(op, e, group_arn, &targets));
    dur_t delay = elbv2_drain_delay(&group, &more);
    for (size_t i = 0; i < targets.count; i++) {
        TRY(end_drain(op, e, group_arn, &targets.items[i], delay));
    }
    return store_tx_commit(op, &tx);
}

/* ---- health --------------------------------------------------------------------------------- */

#define REASON(name) ELBV2_TARGET_HEALTH_REASON_ENUM_##name

static struct elbv2_target_health told(enum elbv2_target_health_state_enum state,
                                       enum elbv2_target_health_reason_enum reason,
                                       struct str description)
{
    return (struct elbv2_target_health){
        .state = state, .reason = reason, .description = description};
}

static struct elbv2_target_health initial(bool is_known)
{
    if (!is_known) {
        return told(ELBV2_TARGET_HEALTH_STATE_ENUM_INITIAL, REASON(ELB_REGISTRATIONINPROGRESS),
                    STR("Target registration is in progress"));
    }
    return told(ELBV2_TARGET_HEALTH_STATE_ENUM_INITIAL, REASON(ELB_INITIALHEALTHCHECKING),
                STR("Initial health checks in progress"));
}

static struct elbv2_target_health reported(const struct health *health)
{
    if (health->state == PORT_TARGET_HEALTHY) {
        return (struct elbv2_target_health){.state = ELBV2_TARGET_HEALTH_STATE_ENUM_HEALTHY};
    }
    int reason = shape_enum_value(&shape_elbv2_target_health_reason_enum, health->reason);
    return told(ELBV2_TARGET_HEALTH_STATE_ENUM_UNHEALTHY,
                reason == 0 ? REASON(TARGET_FAILEDHEALTHCHECKS)
                            : (enum elbv2_target_health_reason_enum)reason,
                str_is_set(health->description) ? health->description
                                                : STR("Health checks failed"));
}

/* What the data plane says, or should be saying. */
static struct elbv2_target_health see_served(struct op *op, struct elbv2 *e,
                                             const struct elbv2_target_group *group,
                                             const struct engine_elb_target *target)
{
    int32_t port = OPT_OR(target->port, 0);
    struct str host = elbv2_served_host(op, e, target->host);
    struct str why = elbv2_why_group_not_served(group);
    if (str_is_set(why)) {
        return told(ELBV2_TARGET_HEALTH_STATE_ENUM_UNAVAILABLE, REASON(ELB_INTERNALERROR),
                    arena_printf(&op->arena, "No requests are sent: %.*s", STR_ARG(why)));
    }
    if (!elbv2_is_address(host)) {
        return told(ELBV2_TARGET_HEALTH_STATE_ENUM_UNAVAILABLE, REASON(ELB_INTERNALERROR),
                    STR("This engine does not send requests to targets of this type"));
    }
    if (!OPT_OR(group->health_check_enabled, true)) {
        return told(ELBV2_TARGET_HEALTH_STATE_ENUM_UNAVAILABLE, REASON(TARGET_HEALTHCHECKDISABLED),
                    STR("Health checks are disabled"));
    }
    const struct health *health =
        elbv2_health_find(e, elbv2_target_key(op, group->target_group_arn, host, port));
    if (health != NULL &&
        (health->state == PORT_TARGET_HEALTHY || health->state == PORT_TARGET_UNHEALTHY)) {
        return reported(health);
    }
    bool is_known = !e->is_dirty && e->heard_version >= e->version &&
                    elbv2_snapshot_has_target(e, group->target_group_arn, host, port);
    return initial(is_known);
}

enum err elbv2_see_health(struct op *op, struct elbv2 *e, const struct elbv2_target_group *group,
                          const struct engine_elb_target *target, struct elbv2_target_health *ret)
{
    struct str lb_arn = STR_NONE;
    if (target == NULL) {
        *ret = told(ELBV2_TARGET_HEALTH_STATE_ENUM_UNUSED, REASON(TARGET_NOTREGISTERED),
                    STR("Target is not registered to the target group"));
        return ERR_OK;
    }
    if (target->draining_since.is_set) {
        *ret =
            told(ELBV2_TARGET_HEALTH_STATE_ENUM_DRAINING, REASON(TARGET_DEREGISTRATIONINPROGRESS),
                 STR("Target deregistration is in progress"));
        return ERR_OK;
    }
    TRY(elbv2_group_load_balancer(op, e, group->target_group_arn, &lb_arn));
    if (!str_is_set(lb_arn)) {
        *ret =
            told(ELBV2_TARGET_HEALTH_STATE_ENUM_UNUSED, REASON(TARGET_NOTINUSE),
                 STR("Target group is not configured to receive traffic from the load balancer"));
        return ERR_OK;
    }
    *ret = see_served(op, e, group, target);
    return ERR_OK;
}

static struct str check_port_of(struct op *op, const struct elbv2_target_group *group, int32_t port)
{
    if (group->target_type == ELBV2_TARGET_TYPE_ENUM_LAMBDA) {
        return STR_NONE;
    }
    return STR_IS(group->health_check_port, "traffic-port") ? arena_printf(&op->arena, "%d", port)
                                                            : group->health_check_port;
}

struct include {
    bool has_anomalies;
    bool has_overrides;
};

static struct include read_include(const struct elbv2_describe_target_health_in *in)
{
    struct include include = {0};
    for (size_t i = 0; i < in->include.count; i++) {
        bool is_all = in->include.items[i] == ELBV2_DESCRIBE_TARGET_HEALTH_INPUT_INCLUDE_ENUM_ALL;
        include.has_anomalies = true;
        include.has_overrides = include.has_overrides || is_all;
    }
    return include;
}

/* health: NULL while nothing was reported. */
static void add_included(struct op *op, struct include include, const struct health *health,
                         struct elbv2_target_health_description *item)
{
    if (include.has_anomalies) {
        item->anomaly_detection = ARENA_NEW(&op->arena, struct elbv2_anomaly_detection);
        item->anomaly_detection->result = health != NULL && health->is_anomalous
                                              ? ELBV2_ANOMALY_RESULT_ENUM_ANOMALOUS
                                              : ELBV2_ANOMALY_RESULT_ENUM_NORMAL;
        item->anomaly_detection->mitigation_in_effect = health != NULL && health->is_mitigated
                                                            ? ELBV2_MITIGATION_IN_EFFECT_ENUM_YES
                                                            : ELBV2_MITIGATION_IN_EFFECT_ENUM_NO;
    }
    if (include.has_overrides) {
        item->administrative_override = ARENA_NEW(&op->arena, struct elbv2_administrative_override);
        *item->administrative_override = (struct elbv2_administrative_override){
            .state = ELBV2_TARGET_ADMINISTRATIVE_OVERRIDE_STATE_ENUM_NO_OVERRIDE,
            .reason =
                ELBV2_TARGET_ADMINISTRATIVE_OVERRIDE_REASON_ENUM_ADMINISTRATIVEOVERRIDE_NOOVERRIDE,
            .description = STR("No override is currently active on target")};
    }
}

static enum err push_described(struct op *op, struct elbv2 *e,
                               const struct elbv2_target_group *group, struct include include,
                               struct elbv2_target_description shown,
                               const struct engine_elb_target *row,
                               struct elbv2_target_health_descriptions *to)
{
    struct elbv2_target_health_description *item = ARENA_PUSH(&op->arena, to);
    item->target = ARENA_NEW(&op->arena, struct elbv2_target_description);
    *item->target = shown;
    item->target_health = ARENA_NEW(&op->arena, struct elbv2_target_health);
    item->health_check_port = check_port_of(op, group, OPT_OR(shown.port, 0));
    const struct health *health =
        row == NULL ? NULL
                    : elbv2_health_find(e, elbv2_target_key(op, group->target_group_arn,
                                                            elbv2_served_host(op, e, row->host),
                                                            OPT_OR(row->port, 0)));
    add_included(op, include, health, item);
    return elbv2_see_health(op, e, group, row, item->target_health);
}

static enum err describe_all(struct op *op, struct elbv2 *e, const struct elbv2_target_group *group,
                             struct include include, struct elbv2_target_health_descriptions *to)
{
    struct elbv2_target_list targets = {0};
    TRY(elbv2_list_targets(op, e, group->target_group_arn, &targets));
    for (size_t i = 0; i < targets.count; i++) {
        const struct engine_elb_target *row = &targets.items[i];
        struct elbv2_target_description shown = {
            .id = row->host, .port = row->port, .availability_zone = row->zone};
        if (group->target_type == ELBV2_TARGET_TYPE_ENUM_LAMBDA) {
            shown.port = (struct opt_i32){0};
        }
        TRY(push_described(op, e, group, include, shown, row, to));
    }
    return ERR_OK;
}

static enum err describe_asked(struct op *op, struct elbv2 *e,
                               const struct elbv2_target_group *group, struct include include,
                               const struct elbv2_target_description *asked,
                               struct elbv2_target_health_descriptions *to)
{
    struct engine_elb_target row = {0};
    bool is_there = false;
    bool is_lambda = group->target_type == ELBV2_TARGET_TYPE_ENUM_LAMBDA;
    int32_t port = port_of(group, asked);
    TRY(find_target(op, e, group->target_group_arn, asked->id, port, &row, &is_there));
    if (!is_there) {
        TRY(check_id(op, e, group, asked));
    }
    struct elbv2_target_description shown = {.id = asked->id,
                                             .port = is_lambda ? asked->port : OPT_I32(port),
                                             .availability_zone = row.zone};
    return push_described(op, e, group, include, shown, is_there ? &row : NULL, to);
}

enum err elbv2_describe_target_health(struct op *op, struct elbv2 *e,
                                      const struct elbv2_describe_target_health_in *in,
                                      struct elbv2_describe_target_health_out *ret)
{
    struct elbv2_target_group group = {0};
    struct include include = read_include(in);
    ret->target_health_descriptions.is_set = true;
    TRY(elbv2_get_group(op, e, in->target_group_arn, &group));
    if (in->targets.count == 0) {
        return describe_all(op, e, &group, include, &ret->target_health_descriptions);
    }
    for (size_t i = 0; i < in->targets.count; i++) {
        TRY(describe_asked(op, e, &group, include, &in->targets.items[i],
                           &ret->target_health_descriptions));
    }
    return ERR_OK;
}
