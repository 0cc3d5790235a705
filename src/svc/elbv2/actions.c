#include "svc/elbv2/actions.h"

#include "base/check.h"
#include "svc/elbv2/attributes.h"
#include "svc/elbv2/limits.h"
#include "svc/elbv2/rows.h"
#include "svc/elbv2/sign_in.h"
#include "svc/elbv2/state.h"

#define FIXED_BODY_BYTES_MAX 1024

#define bad_action(op, ...) \
    op_fail_as((op), ERR_INPUT, &elbv2_error_invalid_load_balancer_action_exception, __VA_ARGS__)

const char *elbv2_protocol_name(enum elbv2_protocol_enum protocol)
{
    const char *name = shape_enum_name(&shape_elbv2_protocol_enum, (int)protocol);
    return name == NULL ? "" : name;
}

static const char *type_name(enum elbv2_action_type_enum type)
{
    const char *name = shape_enum_name(&shape_elbv2_action_type_enum, (int)type);
    return name == NULL ? "" : name;
}

struct elbv2_action *elbv2_find_forward(const struct elbv2_actions *actions)
{
    for (size_t i = 0; i < actions->count; i++) {
        if (actions->items[i].type == ELBV2_ACTION_TYPE_ENUM_FORWARD) {
            return &actions->items[i];
        }
    }
    return NULL;
}

/* ---- forward -------------------------------------------------------------------------------- */

struct elbv2_action elbv2_forward_action(struct arena *a,
                                         const struct elbv2_forward_action_config *config,
                                         struct opt_i32 order)
{
    struct elbv2_forward_action_config *full = ARENA_NEW(a, struct elbv2_forward_action_config);
    size_t count = config->target_groups.count;
    full->target_groups = (struct elbv2_target_group_list){
        .items = ARENA_ARRAY(a, struct elbv2_target_group_tuple, count),
        .count = count,
        .is_set = true};
    for (size_t i = 0; i < count; i++) {
        full->target_groups.items[i] = config->target_groups.items[i];
        struct opt_i32 *weight = &full->target_groups.items[i].weight;
        *weight = OPT_I32(OPT_OR(*weight, 1));
    }
    full->target_group_stickiness_config =
        ARENA_NEW(a, struct elbv2_target_group_stickiness_config);
    const struct elbv2_target_group_stickiness_config *sticky =
        config->target_group_stickiness_config;
    bool is_sticky = sticky != NULL && OPT_OR(sticky->enabled, false);
    full->target_group_stickiness_config->enabled = OPT_BOOL(is_sticky);
    if (sticky != NULL) {
        full->target_group_stickiness_config->duration_seconds = sticky->duration_seconds;
    }
    return (struct elbv2_action){
        .type = ELBV2_ACTION_TYPE_ENUM_FORWARD,
        .target_group_arn = count == 1 ? full->target_groups.items[0].target_group_arn : STR_NONE,
        .order = order,
        .forward_config = full};
}

static bool is_web(enum elbv2_protocol_enum protocol)
{
    return protocol == ELBV2_PROTOCOL_ENUM_HTTP || protocol == ELBV2_PROTOCOL_ENUM_HTTPS;
}

/* The protocols that listeners of network load balancers may pass on to. */
static bool is_compatible(enum elbv2_protocol_enum listener, const struct elbv2_target_group *group)
{
    if (group->target_type == ELBV2_TARGET_TYPE_ENUM_LAMBDA) {
        return is_web(listener);
    }
    if (is_web(listener) || is_web(group->protocol)) {
        return is_web(listener) && is_web(group->protocol);
    }
    if (listener == ELBV2_PROTOCOL_ENUM_TLS || listener == ELBV2_PROTOCOL_ENUM_TCP) {
        return group->protocol == ELBV2_PROTOCOL_ENUM_TCP ||
               group->protocol == ELBV2_PROTOCOL_ENUM_TLS ||
               group->protocol == ELBV2_PROTOCOL_ENUM_TCP_UDP;
    }
    return group->protocol == listener || group->protocol == ELBV2_PROTOCOL_ENUM_TCP_UDP;
}

static enum err check_group(struct op *op, struct elbv2 *e, struct elbv2_action_place place,
                            struct str arn)
{
    struct elbv2_target_group group = {0};
    TRY(elbv2_get_group(op, e, arn, &group));
    if (!is_compatible(place.protocol, &group)) {
        return op_fail_as(op, ERR_INPUT, &elbv2_error_incompatible_protocols_exception,
                          "Listener protocol '%s' is not supported with a target group with the "
                          "protocol '%s'",
                          elbv2_protocol_name(place.protocol), elbv2_protocol_name(group.protocol));
    }
    if (place.protocol == ELBV2_PROTOCOL_ENUM_HTTP && group.protocol_version.len > 0 &&
        !STR_IS(group.protocol_version, "HTTP1")) {
        return bad_action(op,
                          "Listener protocol 'HTTP' is not supported with a target group with the "
                          "protocol-version '%.*s'",
                          STR_ARG(group.protocol_version));
    }
    struct str owner = STR_NONE;
    TRY(elbv2_group_load_balancer(op, e, arn, &owner));
    if (str_is_set(owner) && !str_equal(owner, place.lb->load_balancer_arn)) {
        return op_fail_as(
            op, ERR_STATE, &elbv2_error_target_group_association_limit_exception,
            "The following target groups cannot be associated with more than one load "
            "balancer: %.*s",
            STR_ARG(arn));
    }
    return ERR_OK;
}

static enum err check_group_stickiness(struct op *op, struct elbv2 *e, struct str arn,
                                       bool is_rule_sticky)
{
    struct elbv2_target_group group = {0};
    struct engine_elb_more more = {0};
    TRY(elbv2_get_group(op, e, arn, &group));
    TRY(elbv2_get_more(op, e, arn, &more));
    struct elbv2_attribute_owner owner = elbv2_owner_of_group(&group);
    bool is_sticky =
        STR_IS(elbv2_attribute(owner, &more.attributes, STR("stickiness.enabled")), "true");
    if (is_sticky && !is_rule_sticky) {
        return bad_action(
            op,
            "You must enable stickiness at the target group level for a rule that has "
            "several target groups, because target group '%.*s' has stickiness enabled",
            STR_ARG(arn));
    }
    return ERR_OK;
}

static enum err check_sticky_actions(struct op *op, const struct elbv2_actions *actions,
                                     struct str from_arn)
{
    const struct elbv2_action *forward = elbv2_find_forward(actions);
    const struct elbv2_forward_action_config *config =
        forward == NULL ? NULL : forward->forward_config;
    if (config == NULL || config->target_groups.count < 2) {
        return ERR_OK;
    }
    const struct elbv2_target_group_stickiness_config *sticky =
        config->target_group_stickiness_config;
    if (sticky != NULL && OPT_OR(sticky->enabled, false)) {
        return ERR_OK;
    }
    return op_fail_as(op, ERR_INPUT, &elbv2_error_invalid_configuration_request_exception,
                      "This target group appears behind a rule with group stickiness disabled "
                      "(%.*s). You must enable group stickiness before enabling target stickiness",
                      STR_ARG(from_arn));
}

enum err elbv2_check_sticky_rules(struct op *op, struct elbv2 *e, struct str group_arn)
{
    struct store_items references = {0};
    TRY(store_list(op, e->store, &elbv2_kind_reference, &(struct store_range){.parent = group_arn},
                   &references));
    for (size_t i = 0; i < references.count; i++) {
        struct str group = STR_NONE;
        struct str from = STR_NONE;
        (void)str_cut(references.items[i].key, '\n', &group, &from);
        if (elbv2_read_arn(op, from).resource == ELBV2_RULE) {
            struct elbv2_rule rule = {0};
            TRY(elbv2_get_rule(op, e, from, &rule));
            TRY(check_sticky_actions(op, &rule.actions, from));
        } else {
            struct elbv2_listener listener = {0};
            TRY(elbv2_get_listener(op, e, from, &listener));
            TRY(check_sticky_actions(op, &listener.default_actions, from));
        }
    }
    return ERR_OK;
}

static enum err check_sticky_config(struct op *op,
                                    const struct elbv2_target_group_stickiness_config *sticky)
{
    if (sticky == NULL) {
        return ERR_OK;
    }
    int32_t seconds = OPT_OR(sticky->duration_seconds, 0);
    bool is_on = OPT_OR(sticky->enabled, false);
    if ((is_on || sticky->duration_seconds.is_set) &&
        (seconds < 1 || seconds > ELBV2_STICKY_SECONDS_MAX)) {
        return bad_action(op,
                          "The target group stickiness duration must be between '1' and '%d' "
                          "seconds",
                          ELBV2_STICKY_SECONDS_MAX);
    }
    return ERR_OK;
}

/* The index-th group of the list. */
static enum err check_tuple(struct op *op, struct elbv2 *e, struct elbv2_action_place place,
                            const struct elbv2_target_group_list *groups, size_t index)
{
    const struct elbv2_target_group_tuple *tuple = &groups->items[index];
    int32_t weight = OPT_OR(tuple->weight, 1);
    if (weight < 0 || weight > ELBV2_WEIGHT_MAX) {
        return bad_action(op, "The weight of a target group must be between '0' and '%d', not '%d'",
                          ELBV2_WEIGHT_MAX, weight);
    }
    for (size_t i = 0; i < index; i++) {
        if (str_equal(groups->items[i].target_group_arn, tuple->target_group_arn)) {
            return bad_action(op, "A target group ARN can only be specified once in a forward "
                                  "action");
        }
    }
    return check_group(op, e, place, tuple->target_group_arn);
}

static enum err check_tuples(struct op *op, struct elbv2 *e, struct elbv2_action_place place,
                             const struct elbv2_forward_action_config *config)
{
    const struct elbv2_target_group_list *groups = &config->target_groups;
    const struct elbv2_target_group_stickiness_config *sticky =
        config->target_group_stickiness_config;
    bool is_rule_sticky = sticky != NULL && OPT_OR(sticky->enabled, false);
    if (groups->count == 0) {
        return bad_action(op, "A forward action must have at least one target group");
    }
    if (groups->count > ELBV2_GROUPS_OF_ACTION_MAX) {
        return bad_action(op, "A forward action cannot have more than '%d' target groups",
                          ELBV2_GROUPS_OF_ACTION_MAX);
    }
    for (size_t i = 0; i < groups->count; i++) {
        TRY(check_tuple(op, e, place, groups, i));
    }
    for (size_t i = 0; groups->count > 1 && !place.is_shift && i < groups->count; i++) {
        TRY(check_group_stickiness(op, e, groups->items[i].target_group_arn, is_rule_sticky));
    }
    return check_sticky_config(op, sticky);
}

static enum err check_forward(struct op *op, struct elbv2 *e, struct elbv2_action_place place,
                              const struct elbv2_action *sent, struct elbv2_action *ret)
{
    struct elbv2_target_group_tuple only = {.target_group_arn = sent->target_group_arn};
    struct elbv2_forward_action_config simple = {
        .target_groups = {.items = &only, .count = 1, .is_set = true}};
    const struct elbv2_forward_action_config *config = sent->forward_config;
    if (config == NULL && sent->target_group_arn.len == 0) {
        return elbv2_invalid(op, "A target group ARN must be specified");
    }
    if (config == NULL) {
        config = &simple;
    } else if ((sent->target_group_arn.len > 0) &&
               (config->target_groups.count != 1 ||
                !str_equal(config->target_groups.items[0].target_group_arn,
                           sent->target_group_arn))) {
        return elbv2_invalid(op, "You can specify both a target group ARN and a forward "
                                 "configuration only if the forward configuration has the same "
                                 "target group and no other");
    }
    TRY(check_tuples(op, e, place, config));
    *ret = elbv2_forward_action(&op->arena, config, sent->order);
    return ERR_OK;
}

/* ---- redirect ------------------------------------------------------------------------------- */

static struct str or_else(struct str value, struct str otherwise)
{
    return str_is_set(value) ? value : otherwise;
}

static size_t count_of(struct str text, struct str needle)
{
    size_t count = 0;
    size_t at = str_find(text, needle, 0);
    while (at != STR_NOT_FOUND) {
        count++;
        at = str_find(text, needle, at + needle.len);
    }
    return count;
}

/* Every "#{" opens one of the placeholders, none of them twice. */
static bool has_good_placeholders(struct str text, const struct str *names, size_t name_count)
{
    size_t known = 0;
    for (size_t i = 0; i < name_count; i++) {
        size_t count = count_of(text, names[i]);
        if (count > 1) {
            return false;
        }
        known += count;
    }
    return count_of(text, STR("#{")) == known;
}

static bool is_redirect_port(struct str port)
{
    uint64_t number = 0;
    return STR_IS(port, "#{port}") || (str_parse_u64(port, 65535, &number) && number > 0);
}

static enum err check_redirect_parts(struct op *op, enum elbv2_protocol_enum listener,
                                     const struct elbv2_redirect_action_config *r)
{
    const struct str path_names[] = {STR("#{path}"), STR("#{host}"), STR("#{port}")};
    const struct str query_names[] = {STR("#{path}"), STR("#{host}"), STR("#{port}"),
                                      STR("#{protocol}"), STR("#{query}")};
    const struct str host_names[] = {STR("#{host}")};
    if (!STR_IS(r->protocol, "HTTP") && !STR_IS(r->protocol, "HTTPS") &&
        !STR_IS(r->protocol, "#{protocol}")) {
        return bad_action(op, "The Protocol parameter must be 'HTTP', 'HTTPS' or '#{protocol}'");
    }
    if (!is_redirect_port(r->port)) {
        return bad_action(op, "The Port parameter must be an integer between 1 and 65535 or "
                              "'#{port}'");
    }
    if (r->path.ptr[0] != '/' || !has_good_placeholders(r->path, path_names, 3)) {
        return bad_action(
            op, "The Path parameter must be a valid path, should start with a '/' and may "
                "contain up to one of each of these placeholders: '#{path}', '#{host}', "
                "'#{port}'.");
    }
    if (!has_good_placeholders(r->host, host_names, 1)) {
        return bad_action(op, "The Host parameter must be a valid host name and may contain the "
                              "placeholder '#{host}'");
    }
    if (!has_good_placeholders(r->query, query_names, 5)) {
        return bad_action(op, "The Query parameter may contain up to one of each of these "
                              "placeholders: '#{path}', '#{host}', '#{port}', '#{protocol}', "
                              "'#{query}'");
    }
    if (listener == ELBV2_PROTOCOL_ENUM_HTTPS && STR_IS(r->protocol, "HTTP")) {
        return bad_action(op, "You cannot redirect HTTPS to HTTP");
    }
    return ERR_OK;
}

/* Nothing but the query may stay as it is: the client would come back with the same request. */
static bool is_loop(enum elbv2_protocol_enum listener, const struct elbv2_redirect_action_config *r)
{
    bool is_same_protocol = STR_IS(r->protocol, "#{protocol}") ||
                            str_equal(r->protocol, str_of(elbv2_protocol_name(listener)));
    return is_same_protocol && STR_IS(r->port, "#{port}") && STR_IS(r->host, "#{host}") &&
           STR_IS(r->path, "/#{path}");
}

static enum err check_redirect(struct op *op, struct elbv2_action_place place,
                               const struct elbv2_action *sent, struct elbv2_action *ret)
{
    const struct elbv2_redirect_action_config *config = sent->redirect_config;
    if (config == NULL) {
        return elbv2_invalid(op, "A redirect configuration must be specified for the action type "
                                 "'redirect'");
    }
    struct elbv2_redirect_action_config *full =
        ARENA_NEW(&op->arena, struct elbv2_redirect_action_config);
    *full = (struct elbv2_redirect_action_config){
        .protocol = or_else(config->protocol, STR("#{protocol}")),
        .port = or_else(config->port, STR("#{port}")),
        .host = or_else(config->host, STR("#{host}")),
        .path = or_else(config->path, STR("/#{path}")),
        .query = or_else(config->query, STR("#{query}")),
        .status_code = config->status_code,
    };
    TRY(check_redirect_parts(op, place.protocol, full));
    if (is_loop(place.protocol, full)) {
        return bad_action(op, "The redirect configuration is not valid because it creates a loop.");
    }
    *ret = (struct elbv2_action){.type = sent->type, .order = sent->order, .redirect_config = full};
    return ERR_OK;
}

/* ---- fixed response ------------------------------------------------------------------------- */

static bool is_fixed_status(struct str code)
{
    uint64_t number = 0;
    return code.len == 3 && (code.ptr[0] == '2' || code.ptr[0] == '4' || code.ptr[0] == '5') &&
           str_parse_u64(code, 599, &number);
}

static enum err check_fixed(struct op *op, const struct elbv2_action *sent,
                            struct elbv2_action *ret)
{
    static const struct str types[] = {STR_INIT("text/plain"), STR_INIT("text/css"),
                                       STR_INIT("text/html"), STR_INIT("application/javascript"),
                                       STR_INIT("application/json")};
    const struct elbv2_fixed_response_action_config *config = sent->fixed_response_config;
    if (config == NULL) {
        return elbv2_invalid(op, "A fixed response configuration must be specified for the action "
                                 "type 'fixed-response'");
    }
    if (!is_fixed_status(config->status_code)) {
        return bad_action(op, "The status code '%.*s' of a fixed response must be 2XX, 4XX or 5XX",
                          STR_ARG(config->status_code));
    }
    if (config->message_body.len > FIXED_BODY_BYTES_MAX) {
        return bad_action(op,
                          "The message body of a fixed response cannot be longer than '%d' "
                          "characters",
                          FIXED_BODY_BYTES_MAX);
    }
    bool is_known = config->content_type.len == 0;
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        is_known = is_known || str_equal(types[i], config->content_type);
    }
    if (!is_known) {
        return bad_action(op,
                          "The content type '%.*s' of a fixed response must be one of "
                          "[text/plain, text/css, text/html, application/javascript, "
                          "application/json]",
                          STR_ARG(config->content_type));
    }
    *ret = (struct elbv2_action){.type = sent->type,
                                 .order = sent->order,
                                 .fixed_response_config = sent->fixed_response_config};
    return ERR_OK;
}

/* ---- all of them ---------------------------------------------------------------------------- */

static bool is_routing(enum elbv2_action_type_enum type)
{
    return type == ELBV2_ACTION_TYPE_ENUM_FORWARD || type == ELBV2_ACTION_TYPE_ENUM_REDIRECT ||
           type == ELBV2_ACTION_TYPE_ENUM_FIXED_RESPONSE;
}

static bool is_login(enum elbv2_action_type_enum type)
{
    return type == ELBV2_ACTION_TYPE_ENUM_AUTHENTICATE_OIDC ||
           type == ELBV2_ACTION_TYPE_ENUM_AUTHENTICATE_COGNITO;
}

static enum err check_claim(struct op *op,
                            const struct elbv2_jwt_validation_action_additional_claim *claim)
{
    static const struct str own[] = {STR_INIT("exp"), STR_INIT("iss"), STR_INIT("nbf"),
                                     STR_INIT("iat")};
    for (size_t i = 0; i < ARRAY_COUNT(own); i++) {
        if (str_equal(own[i], claim->name)) {
            return bad_action(op, "The claim '%.*s' cannot be specified, it is always validated",
                              STR_ARG(claim->name));
        }
    }
    if (claim->name.len == 0 || claim->name.len > ELBV2_CLAIM_CHARS_MAX ||
        claim->values.count == 0 || claim->values.count > ELBV2_CLAIM_VALUES_MAX) {
        return bad_action(op, "A claim must have a name and between '1' and '%d' values",
                          ELBV2_CLAIM_VALUES_MAX);
    }
    bool is_spaced =
        claim->format ==
        ELBV2_JWT_VALIDATION_ACTION_ADDITIONAL_CLAIM_FORMAT_ENUM_SPACE_SEPARATED_VALUES;
    for (size_t i = 0; i < claim->values.count; i++) {
        struct str value = claim->values.items[i];
        if (value.len == 0 || value.len > ELBV2_CLAIM_CHARS_MAX ||
            (is_spaced && str_find_char(value, ' ', 0) != STR_NOT_FOUND)) {
            return bad_action(op,
                              "The value '%.*s' of the claim '%.*s' must have between '1' and '%d' "
                              "characters, and no spaces where spaces separate values",
                              STR_ARG(value), STR_ARG(claim->name), ELBV2_CLAIM_CHARS_MAX);
        }
    }
    return ERR_OK;
}

static enum err check_jwt(struct op *op, const struct elbv2_jwt_validation_action_config *config)
{
    if (!str_starts_with(config->jwks_endpoint, STR("https://")) ||
        config->jwks_endpoint.len > ELBV2_CLAIM_CHARS_MAX) {
        return bad_action(op,
                          "The JWKS endpoint '%.*s' must be a full URL that begins with 'https://' "
                          "and has up to '%d' characters",
                          STR_ARG(config->jwks_endpoint), ELBV2_CLAIM_CHARS_MAX);
    }
    if (config->issuer.len == 0 || config->issuer.len > ELBV2_CLAIM_CHARS_MAX) {
        return bad_action(op, "The issuer must have between '1' and '%d' characters",
                          ELBV2_CLAIM_CHARS_MAX);
    }
    if (config->additional_claims.count > ELBV2_CLAIMS_MAX) {
        return bad_action(op, "Up to '%d' additional claims can be validated", ELBV2_CLAIMS_MAX);
    }
    for (size_t i = 0; i < config->additional_claims.count; i++) {
        TRY(check_claim(op, &config->additional_claims.items[i]));
        for (size_t k = 0; k < i; k++) {
            if (str_equal(config->additional_claims.items[k].name,
                          config->additional_claims.items[i].name)) {
                return bad_action(op, "The claim '%.*s' can only be specified once",
                                  STR_ARG(config->additional_claims.items[i].name));
            }
        }
    }
    return ERR_OK;
}

static enum err check_guard(struct op *op, struct elbv2 *e, struct elbv2_action_place place,
                            const struct elbv2_action *sent, struct elbv2_action *ret)
{
    bool has_config = sent->type == ELBV2_ACTION_TYPE_ENUM_AUTHENTICATE_OIDC
                          ? sent->authenticate_oidc_config != NULL
                      : sent->type == ELBV2_ACTION_TYPE_ENUM_AUTHENTICATE_COGNITO
                          ? sent->authenticate_cognito_config != NULL
                          : sent->jwt_validation_config != NULL;
    if (!has_config) {
        return elbv2_invalid(op, "A configuration must be specified for the action type '%s'",
                             type_name(sent->type));
    }
    if (place.protocol != ELBV2_PROTOCOL_ENUM_HTTPS) {
        return bad_action(op, "The action type '%s' is supported only with HTTPS listeners",
                          type_name(sent->type));
    }
    if (sent->type == ELBV2_ACTION_TYPE_ENUM_AUTHENTICATE_OIDC) {
        return elbv2_check_oidc(op, e, place.lb->load_balancer_arn, !place.is_shift, sent, ret);
    }
    if (sent->type != ELBV2_ACTION_TYPE_ENUM_JWT_VALIDATION) {
        return op_fail_as(op, ERR_UNSUPPORTED, &elbv2_error_operation_not_permitted_exception,
                          "The action type '%s' is not supported by this engine",
                          type_name(sent->type));
    }
    TRY(check_jwt(op, sent->jwt_validation_config));
    *ret = *sent;
    return ERR_OK;
}

static enum err check_one(struct op *op, struct elbv2 *e, struct elbv2_action_place place,
                          const struct elbv2_action *sent, struct elbv2_action *ret)
{
    if (place.lb->type != ELBV2_LOAD_BALANCER_TYPE_ENUM_APPLICATION &&
        sent->type != ELBV2_ACTION_TYPE_ENUM_FORWARD) {
        const char *lb_type =
            shape_enum_name(&shape_elbv2_load_balancer_type_enum, (int)place.lb->type);
        return bad_action(op, "The action type '%s' is not valid with %s load balancer",
                          type_name(sent->type), lb_type);
    }
    switch (sent->type) {
    case ELBV2_ACTION_TYPE_ENUM_FORWARD:
        return check_forward(op, e, place, sent, ret);
    case ELBV2_ACTION_TYPE_ENUM_REDIRECT:
        return check_redirect(op, place, sent, ret);
    case ELBV2_ACTION_TYPE_ENUM_FIXED_RESPONSE:
        return check_fixed(op, sent, ret);
    case ELBV2_ACTION_TYPE_ENUM_AUTHENTICATE_OIDC:
    case ELBV2_ACTION_TYPE_ENUM_AUTHENTICATE_COGNITO:
    case ELBV2_ACTION_TYPE_ENUM_JWT_VALIDATION:
        return check_guard(op, e, place, sent, ret);
    case ELBV2_ACTION_TYPE_ENUM_UNSET:
        break;
    }
    return elbv2_invalid(op, "An action type must be specified");
}

static enum err insert_by_order(struct op *op, struct elbv2_actions *to, struct elbv2_action action)
{
    int32_t order = OPT_OR(action.order, 1);
    size_t at = to->count++;
    for (; at > 0 && OPT_OR(to->items[at - 1].order, 1) >= order; at--) {
        if (OPT_OR(to->items[at - 1].order, 1) == order) {
            return elbv2_invalid(op, "Actions must have unique values for order. Duplicate: '%d'",
                                 order);
        }
        to->items[at] = to->items[at - 1];
    }
    to->items[at] = action;
    return ERR_OK;
}

enum err elbv2_check_actions(struct op *op, struct elbv2 *e, struct elbv2_action_place place,
                             const struct elbv2_actions *sent, struct elbv2_actions *ret)
{
    if (sent->count == 0) {
        return elbv2_invalid(op, "At least one action must be specified");
    }
    if (sent->count > ELBV2_ACTIONS_OF_RULE_MAX) {
        return op_fail_as(op, ERR_LIMIT, &elbv2_error_too_many_actions_exception,
                          "A rule cannot have more than '%d' actions", ELBV2_ACTIONS_OF_RULE_MAX);
    }
    struct elbv2_actions checked = {
        .items = ARENA_ARRAY(&op->arena, struct elbv2_action, sent->count), .is_set = true};
    size_t routing_count = 0;
    size_t login_count = 0;
    for (size_t i = 0; i < sent->count; i++) {
        struct elbv2_action action = {0};
        if (sent->count > 1 && !sent->items[i].order.is_set) {
            return elbv2_invalid(op, "An order must be specified for each of several actions");
        }
        TRY(check_one(op, e, place, &sent->items[i], &action));
        TRY(insert_by_order(op, &checked, action));
        routing_count += is_routing(action.type);
        login_count += is_login(action.type);
    }
    if (routing_count != 1 || !is_routing(checked.items[checked.count - 1].type)) {
        return bad_action(op, "Exactly one of the actions 'forward', 'redirect' and "
                              "'fixed-response' must be specified, and it must be the last one");
    }
    if (login_count > 1) {
        return bad_action(op, "Only one of the actions 'authenticate-oidc' and "
                              "'authenticate-cognito' can be specified");
    }
    *ret = checked;
    return ERR_OK;
}
