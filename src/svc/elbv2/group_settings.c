#include "svc/elbv2/group_settings.h"

#include "base/check.h"
#include "svc/common/network.h"
#include "svc/elbv2/actions.h"
#include "svc/elbv2/rows.h"

#define PATH_BYTES_MAX    1024
#define MATCHER_PARTS_MAX 32 /* as many as the data plane takes */

static bool is_web(enum elbv2_protocol_enum protocol)
{
    return protocol == ELBV2_PROTOCOL_ENUM_HTTP || protocol == ELBV2_PROTOCOL_ENUM_HTTPS;
}

static bool is_grpc(const struct elbv2_target_group *group)
{
    return STR_IS(group->protocol_version, "GRPC");
}

/* ---- matcher -------------------------------------------------------------------------------- */

static bool is_code(struct str text, uint64_t least, uint64_t most, uint64_t *ret_code)
{
    return str_parse_u64(text, most, ret_code) && *ret_code >= least;
}

/* "200", "200,202", "200-299": numbers and ranges, as Matcher takes them. */
static bool is_code_list(struct str text, uint64_t least, uint64_t most)
{
    struct str rest = text;
    struct str part = STR_NONE;
    for (size_t count = 0; str_next(&rest, ',', &part); count++) {
        if (count == MATCHER_PARTS_MAX) {
            return false;
        }
        struct str from = STR_NONE;
        struct str to = STR_NONE;
        uint64_t first = 0;
        uint64_t last = 0;
        if (str_cut(str_trim(part), '-', &from, &to)) {
            if (!is_code(from, least, most, &first) || !is_code(to, least, most, &last) ||
                first > last) {
                return false;
            }
        } else if (!is_code(str_trim(part), least, most, &first)) {
            return false;
        }
    }
    return true;
}

static enum err check_matcher(struct op *op, const struct elbv2_target_group *group)
{
    const struct elbv2_matcher *m = group->matcher;
    if (m == NULL) {
        return ERR_OK;
    }
    if (is_grpc(group) != (m->grpc_code.len > 0) || is_grpc(group) == (m->http_code.len > 0)) {
        return elbv2_invalid(op, is_grpc(group)
                                     ? "The matcher of a target group with the protocol-version "
                                       "'GRPC' must have GrpcCode and no HttpCode"
                                     : "The matcher must have HttpCode and no GrpcCode");
    }
    if (is_grpc(group) && !is_code_list(m->grpc_code, 0, 99)) {
        return elbv2_invalid(op,
                             "Health check matcher GRPC code '%.*s' must be within '0-99' "
                             "inclusive",
                             STR_ARG(m->grpc_code));
    }
    bool is_web_group =
        is_web(group->protocol) || group->target_type == ELBV2_TARGET_TYPE_ENUM_LAMBDA;
    uint64_t most = is_web_group ? 499 : 599;
    if (!is_grpc(group) && !is_code_list(m->http_code, 200, most)) {
        return elbv2_invalid(op,
                             "Health check matcher HTTP code '%.*s' must be within '200-%d' "
                             "inclusive",
                             STR_ARG(m->http_code), (int)most);
    }
    return ERR_OK;
}

/* ---- health check --------------------------------------------------------------------------- */

static enum err check_check_protocol(struct op *op, const struct elbv2_target_group *group)
{
    enum elbv2_protocol_enum protocol = group->health_check_protocol;
    bool is_fine =
        is_web(protocol) || (protocol == ELBV2_PROTOCOL_ENUM_TCP && !is_web(group->protocol));
    if (!is_fine) {
        return elbv2_invalid(op,
                             "Health check protocol '%s' is not supported for target groups with "
                             "the protocol '%s'",
                             elbv2_protocol_name(protocol), elbv2_protocol_name(group->protocol));
    }
    return ERR_OK;
}

static enum err check_check_port(struct op *op, struct str port)
{
    uint64_t number = 0;
    if (STR_IS(port, "traffic-port") || (str_parse_u64(port, 65535, &number) && number > 0)) {
        return ERR_OK;
    }
    return elbv2_invalid(op,
                         "Health check port '%.*s' must be 'traffic-port' or in the range 1-65535",
                         STR_ARG(port));
}

static enum err check_check_path(struct op *op, struct str path)
{
    if (!str_is_set(path)) {
        return ERR_OK;
    }
    if (path.len == 0 || path.ptr[0] != '/' || path.len > PATH_BYTES_MAX) {
        return elbv2_invalid(op,
                             "Health check path '%.*s' must begin with a '/' character and cannot "
                             "be longer than '%d' characters",
                             STR_ARG(path), PATH_BYTES_MAX);
    }
    for (size_t i = 0; i < path.len; i++) {
        if (path.ptr[i] <= ' ' || path.ptr[i] > '~') {
            return elbv2_invalid(op,
                                 "Health check path '%.*s' contains a character that is not valid",
                                 STR_ARG(path));
        }
    }
    return ERR_OK;
}

static enum err check_health_check(struct op *op, const struct elbv2_target_group *group)
{
    int32_t interval = OPT_OR(group->health_check_interval_seconds, 0);
    int32_t timeout = OPT_OR(group->health_check_timeout_seconds, 0);
    if (group->target_type != ELBV2_TARGET_TYPE_ENUM_LAMBDA) {
        TRY(check_check_protocol(op, group));
        TRY(check_check_port(op, group->health_check_port));
        if (!OPT_OR(group->health_check_enabled, true)) {
            return elbv2_invalid(
                op,
                "Health check enabled must be true for target groups with target "
                "type '%s'",
                shape_enum_name(&shape_elbv2_target_type_enum, (int)group->target_type));
        }
    }
    if (timeout >= interval) {
        return elbv2_invalid(op, "Health check interval must be greater than the timeout.");
    }
    TRY(check_check_path(op, group->health_check_path));
    return check_matcher(op, group);
}

/* ---- defaults ------------------------------------------------------------------------------- */

static void default_i32(struct opt_i32 *slot, int32_t otherwise)
{
    *slot = OPT_I32(OPT_OR(*slot, otherwise));
}

static void default_health_check(struct op *op, struct elbv2_target_group *group)
{
    bool is_lambda = group->target_type == ELBV2_TARGET_TYPE_ENUM_LAMBDA;
    bool is_stream = !is_lambda && !is_web(group->protocol);
    if (!is_lambda) {
        if (group->health_check_protocol == ELBV2_PROTOCOL_ENUM_UNSET) {
            group->health_check_protocol =
                is_stream ? ELBV2_PROTOCOL_ENUM_TCP : ELBV2_PROTOCOL_ENUM_HTTP;
        }
        if (group->health_check_port.len == 0) {
            group->health_check_port = STR("traffic-port");
        }
    }
    bool is_web_check = is_lambda || is_web(group->health_check_protocol);
    group->health_check_enabled = OPT_BOOL(OPT_OR(group->health_check_enabled, !is_lambda));
    default_i32(&group->health_check_interval_seconds, is_lambda ? 35 : 30);
    int32_t stream_timeout = is_web_check ? 6 : 10;
    default_i32(&group->health_check_timeout_seconds, is_lambda   ? 30
                                                      : is_stream ? stream_timeout
                                                                  : 5);
    default_i32(&group->healthy_threshold_count, 5);
    default_i32(&group->unhealthy_threshold_count, is_lambda ? 5 : 2);
    if (is_web_check && group->health_check_path.len == 0) {
        group->health_check_path = is_grpc(group) ? STR("/AWS.ALB/healthcheck") : STR("/");
    }
    if (is_web_check && group->matcher == NULL) {
        struct elbv2_matcher *m = ARENA_NEW(&op->arena, struct elbv2_matcher);
        *m = is_grpc(group) ? (struct elbv2_matcher){.grpc_code = STR("12")}
             : is_stream    ? (struct elbv2_matcher){.http_code = STR("200-399")}
                            : (struct elbv2_matcher){.http_code = STR("200")};
        group->matcher = m;
    }
}

/* ---- create --------------------------------------------------------------------------------- */

static enum err settle_lambda(struct op *op, const struct elbv2_create_target_group_in *in)
{
    if (in->protocol != ELBV2_PROTOCOL_ENUM_UNSET) {
        return elbv2_invalid(op, "Protocol cannot be specified for target groups with target type "
                                 "'lambda'");
    }
    if (in->port.is_set || in->health_check_port.len > 0) {
        return elbv2_invalid(
            op, "Port cannot be specified for target groups with target type 'lambda'");
    }
    if (in->vpc_id.len > 0) {
        return elbv2_invalid(
            op, "VPC ID cannot be specified for target groups with target type 'lambda'");
    }
    return ERR_OK;
}

static enum err settle_version(struct op *op, const struct elbv2_create_target_group_in *in,
                               struct elbv2_target_group *group)
{
    if (!is_web(in->protocol)) {
        if (in->protocol_version.len > 0) {
            return elbv2_invalid(op,
                                 "Protocol version cannot be specified for target groups with the "
                                 "protocol '%s'",
                                 elbv2_protocol_name(in->protocol));
        }
        return ERR_OK;
    }
    group->protocol_version = (in->protocol_version.len > 0) ? in->protocol_version : STR("HTTP1");
    if (!STR_IS(group->protocol_version, "HTTP1") && !STR_IS(group->protocol_version, "HTTP2") &&
        !is_grpc(group)) {
        return elbv2_invalid(op, "Protocol version '%.*s' must be one of 'HTTP1', 'HTTP2', 'GRPC'",
                             STR_ARG(in->protocol_version));
    }
    return ERR_OK;
}

static enum err settle_network(struct op *op, const struct elbv2_create_target_group_in *in,
                               struct elbv2_target_group *group)
{
    if (in->protocol == ELBV2_PROTOCOL_ENUM_UNSET) {
        return elbv2_invalid(op, "A protocol must be specified");
    }
    if (!in->port.is_set) {
        return elbv2_invalid(op, "A port must be specified");
    }
    if (in->vpc_id.len == 0) {
        return elbv2_invalid(op, "A VPC ID must be specified");
    }
    if (!str_equal(in->vpc_id, network_default(&op->arena, op->region).vpc_id)) {
        return elbv2_invalid(op, "The VPC ID '%.*s' is not found", STR_ARG(in->vpc_id));
    }
    if (in->target_type == ELBV2_TARGET_TYPE_ENUM_ALB && in->protocol != ELBV2_PROTOCOL_ENUM_TCP) {
        return elbv2_invalid(op,
                             "Protocol '%s' is not supported for target groups with target type "
                             "'alb'",
                             elbv2_protocol_name(in->protocol));
    }
    group->protocol = in->protocol;
    group->port = in->port;
    group->vpc_id = in->vpc_id;
    group->ip_address_type = in->ip_address_type == ELBV2_TARGET_GROUP_IP_ADDRESS_TYPE_ENUM_UNSET
                                 ? ELBV2_TARGET_GROUP_IP_ADDRESS_TYPE_ENUM_IPV4
                                 : in->ip_address_type;
    return settle_version(op, in, group);
}

enum err elbv2_settle_group(struct op *op, const struct elbv2_create_target_group_in *in,
                            struct elbv2_target_group *ret)
{
    struct elbv2_target_group group = {
        .target_group_name = in->name,
        .target_type = in->target_type == ELBV2_TARGET_TYPE_ENUM_UNSET
                           ? ELBV2_TARGET_TYPE_ENUM_INSTANCE
                           : in->target_type,
        .health_check_protocol = in->health_check_protocol,
        .health_check_port = in->health_check_port,
        .health_check_enabled = in->health_check_enabled,
        .health_check_path = in->health_check_path,
        .health_check_interval_seconds = in->health_check_interval_seconds,
        .health_check_timeout_seconds = in->health_check_timeout_seconds,
        .healthy_threshold_count = in->healthy_threshold_count,
        .unhealthy_threshold_count = in->unhealthy_threshold_count,
        .matcher = in->matcher,
        .target_control_port = in->target_control_port,
    };
    if (group.target_type == ELBV2_TARGET_TYPE_ENUM_LAMBDA) {
        TRY(settle_lambda(op, in));
    } else {
        TRY(settle_network(op, in, &group));
    }
    default_health_check(op, &group);
    TRY(check_health_check(op, &group));
    *ret = group;
    return ERR_OK;
}

/* ---- change --------------------------------------------------------------------------------- */

static void take_i32(struct opt_i32 *slot, struct opt_i32 asked)
{
    if (asked.is_set) {
        *slot = asked;
    }
}

enum err elbv2_change_group(struct op *op, const struct elbv2_modify_target_group_in *in,
                            struct elbv2_target_group *group)
{
    struct elbv2_target_group changed = *group;
    if (in->health_check_protocol != ELBV2_PROTOCOL_ENUM_UNSET) {
        changed.health_check_protocol = in->health_check_protocol;
        if (!is_web(in->health_check_protocol)) {
            changed.health_check_path = STR_NONE;
            changed.matcher = NULL;
        }
    }
    if (in->health_check_port.len > 0) {
        changed.health_check_port = in->health_check_port;
    }
    if (in->health_check_path.len > 0) {
        changed.health_check_path = in->health_check_path;
    }
    if (in->health_check_enabled.is_set) {
        changed.health_check_enabled = in->health_check_enabled;
    }
    if (in->matcher != NULL) {
        changed.matcher = in->matcher;
    }
    take_i32(&changed.health_check_interval_seconds, in->health_check_interval_seconds);
    take_i32(&changed.health_check_timeout_seconds, in->health_check_timeout_seconds);
    take_i32(&changed.healthy_threshold_count, in->healthy_threshold_count);
    take_i32(&changed.unhealthy_threshold_count, in->unhealthy_threshold_count);
    default_health_check(op, &changed);
    TRY(check_health_check(op, &changed));
    *group = changed;
    return ERR_OK;
}

static bool is_stream(enum elbv2_protocol_enum protocol)
{
    return protocol == ELBV2_PROTOCOL_ENUM_TCP || protocol == ELBV2_PROTOCOL_ENUM_UDP ||
           protocol == ELBV2_PROTOCOL_ENUM_TCP_UDP;
}

struct str elbv2_why_group_not_served(const struct elbv2_target_group *group)
{
    if (group->target_type == ELBV2_TARGET_TYPE_ENUM_LAMBDA) {
        return STR("this engine does not invoke Lambda functions");
    }
    if (group->protocol == ELBV2_PROTOCOL_ENUM_TLS) {
        return STR("this engine does not speak TLS to targets of network load balancers");
    }
    if (!is_web(group->protocol) && !is_stream(group->protocol)) {
        return STR("this engine serves HTTP, TCP and UDP only");
    }
    return STR_NONE;
}

static bool are_same_i32(struct opt_i32 a, struct opt_i32 b)
{
    return a.is_set == b.is_set && (!a.is_set || a.value == b.value);
}

static bool are_same_matchers(const struct elbv2_matcher *a, const struct elbv2_matcher *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    return str_equal(a->http_code, b->http_code) && str_equal(a->grpc_code, b->grpc_code);
}

static bool are_same_checks(const struct elbv2_target_group *a, const struct elbv2_target_group *b)
{
    return a->health_check_protocol == b->health_check_protocol &&
           str_equal(a->health_check_port, b->health_check_port) &&
           str_equal(a->health_check_path, b->health_check_path) &&
           OPT_OR(a->health_check_enabled, true) == OPT_OR(b->health_check_enabled, true) &&
           are_same_i32(a->health_check_interval_seconds, b->health_check_interval_seconds) &&
           are_same_i32(a->health_check_timeout_seconds, b->health_check_timeout_seconds) &&
           are_same_i32(a->healthy_threshold_count, b->healthy_threshold_count) &&
           are_same_i32(a->unhealthy_threshold_count, b->unhealthy_threshold_count) &&
           are_same_matchers(a->matcher, b->matcher);
}

bool elbv2_groups_are_alike(const struct elbv2_target_group *a, const struct elbv2_target_group *b)
{
    return a->protocol == b->protocol && a->target_type == b->target_type &&
           a->ip_address_type == b->ip_address_type && are_same_i32(a->port, b->port) &&
           str_equal(a->vpc_id, b->vpc_id) && str_equal(a->protocol_version, b->protocol_version) &&
           are_same_checks(a, b);
}
