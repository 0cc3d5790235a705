/* Rules in the words of the data plane. */

#include "svc/elbv2/jwks.h"
#include "svc/elbv2/rows.h"
#include "svc/elbv2/sign_in.h"
#include "svc/elbv2/state.h"

static struct lbconf_texts texts_of(const struct elbv2_list_of_string *values)
{
    return (struct lbconf_texts){.items = values->items, .count = values->count, .is_set = true};
}

static struct lbconf_pairs pairs_of(struct arena *a,
                                    const struct elbv2_query_string_key_value_pair_list *values)
{
    struct lbconf_pairs pairs = {.items = ARENA_ARRAY(a, struct lbconf_pair, values->count),
                                 .count = values->count,
                                 .is_set = true};
    for (size_t i = 0; i < values->count; i++) {
        pairs.items[i] =
            (struct lbconf_pair){.key = values->items[i].key, .value = values->items[i].value};
    }
    return pairs;
}

static struct lbconf_condition condition_of(struct arena *a,
                                            const struct elbv2_rule_condition *from)
{
    struct lbconf_condition to = {.field = from->field,
                                  .values = texts_of(&from->values),
                                  .regex_values = texts_of(&from->regex_values)};
    if (from->http_header_config != NULL) {
        to.regex_values = texts_of(&from->http_header_config->regex_values);
        to.header_name = from->http_header_config->http_header_name;
        to.values = texts_of(&from->http_header_config->values);
    }
    if (from->http_request_method_config != NULL) {
        to.values = texts_of(&from->http_request_method_config->values);
    }
    if (from->source_ip_config != NULL) {
        to.values = texts_of(&from->source_ip_config->values);
    }
    if (from->query_string_config != NULL) {
        to.pairs = pairs_of(a, &from->query_string_config->values);
    }
    return to;
}

static void forward_of(struct arena *a, const struct elbv2_forward_action_config *from,
                       struct lbconf_action *to)
{
    size_t count = from->target_groups.count;
    to->weights = (struct lbconf_weights){
        .items = ARENA_ARRAY(a, struct lbconf_weight, count), .count = count, .is_set = true};
    for (size_t i = 0; i < count; i++) {
        to->weights.items[i].weight = OPT_I32(OPT_OR(from->target_groups.items[i].weight, 1));
        to->weights.items[i].target_group = OPT_I32(-1);
    }
    const struct elbv2_target_group_stickiness_config *sticky =
        from->target_group_stickiness_config;
    if (sticky != NULL && OPT_OR(sticky->enabled, false)) {
        to->stickiness_seconds = sticky->duration_seconds;
    }
}

static struct lbconf_action action_of(struct arena *a, const struct elbv2_action *from)
{
    struct lbconf_action to = {
        .type = str_of(shape_enum_name(&shape_elbv2_action_type_enum, (int)from->type))};
    if (from->forward_config != NULL) {
        forward_of(a, from->forward_config, &to);
    }
    if (from->fixed_response_config != NULL) {
        to.status_code = from->fixed_response_config->status_code;
        to.content_type = from->fixed_response_config->content_type;
        to.message_body = from->fixed_response_config->message_body;
    }
    if (from->redirect_config != NULL) {
        const struct elbv2_redirect_action_config *r = from->redirect_config;
        to.status_code = str_of(
            shape_enum_name(&shape_elbv2_redirect_action_status_code_enum, (int)r->status_code));
        to.protocol = r->protocol;
        to.host = r->host;
        to.port = r->port;
        to.path = r->path;
        to.query = r->query;
    }
    return to;
}

/* The one rewrite that a transform has. */
static struct lbconf_transform transform_of(const struct elbv2_rule_transform *from)
{
    bool is_url = from->type == ELBV2_TRANSFORM_TYPE_ENUM_URL_REWRITE;
    const struct elbv2_rewrite_config *rewrite =
        is_url ? &from->url_rewrite_config->rewrites.items[0]
               : &from->host_header_rewrite_config->rewrites.items[0];
    return (struct lbconf_transform){
        .type = str_of(shape_enum_name(&shape_elbv2_transform_type_enum, (int)from->type)),
        .regex = rewrite->regex,
        .replace = rewrite->replace};
}

static void claims_of(struct arena *a, const struct elbv2_jwt_validation_action_config *from,
                      struct lbconf_action *to)
{
    size_t count = from->additional_claims.count;
    to->claims = (struct lbconf_claims){
        .items = ARENA_ARRAY(a, struct lbconf_claim, count), .count = count, .is_set = true};
    for (size_t i = 0; i < count; i++) {
        const struct elbv2_jwt_validation_action_additional_claim *claim =
            &from->additional_claims.items[i];
        to->claims.items[i] = (struct lbconf_claim){
            .name = claim->name,
            .format = str_of(
                shape_enum_name(&shape_elbv2_jwt_validation_action_additional_claim_format_enum,
                                (int)claim->format)),
            .values = {.items = claim->values.items, .count = claim->values.count, .is_set = true}};
    }
}

/* Actions that we refuse, in rows of an engine that took them: nobody gets past a guard without
 * keys. */
static bool is_unknown_guard(const struct elbv2_action *action)
{
    return action->type == ELBV2_ACTION_TYPE_ENUM_AUTHENTICATE_COGNITO;
}

struct lbconf_rule elbv2_snapshot_rule(struct elbv2 *e, struct arena *a,
                                       const struct elbv2_rule *from)
{
    struct lbconf_rule to = {.arn = from->rule_arn,
                             .priority = OPT_I32(elbv2_priority(from)),
                             .conditions = {.is_set = true},
                             .actions = {.is_set = true}};
    to.conditions.count = from->conditions.count;
    to.conditions.items = ARENA_ARRAY(a, struct lbconf_condition, from->conditions.count);
    for (size_t i = 0; i < from->conditions.count; i++) {
        to.conditions.items[i] = condition_of(a, &from->conditions.items[i]);
    }
    to.actions.count = from->actions.count;
    to.actions.items = ARENA_ARRAY(a, struct lbconf_action, from->actions.count);
    for (size_t i = 0; i < from->actions.count; i++) {
        struct lbconf_action *action = &to.actions.items[i];
        *action = action_of(a, &from->actions.items[i]);
        const struct elbv2_jwt_validation_action_config *jwt =
            from->actions.items[i].jwt_validation_config;
        if (jwt != NULL) {
            action->jwks_url = jwt->jwks_endpoint;
            action->jwks = elbv2_jwks_want(e, jwt->jwks_endpoint);
            action->issuer = jwt->issuer;
            claims_of(a, jwt, action);
        }
        if (from->actions.items[i].authenticate_oidc_config != NULL) {
            elbv2_snapshot_oidc(a, from->actions.items[i].authenticate_oidc_config, action);
        }
        if (is_unknown_guard(&from->actions.items[i])) {
            action->type = STR("jwt-validation");
        }
    }
    to.transforms.is_set = true;
    to.transforms.count = from->transforms.count;
    to.transforms.items = ARENA_ARRAY(a, struct lbconf_transform, from->transforms.count);
    for (size_t i = 0; i < from->transforms.count; i++) {
        to.transforms.items[i] = transform_of(&from->transforms.items[i]);
    }
    return to;
}
