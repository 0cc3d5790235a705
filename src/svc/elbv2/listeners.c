#include "svc/elbv2/listeners.h"

#include "base/cleanup.h"
#include "shape/walk.h"
#include "svc/common/arn.h"
#include "svc/common/ids.h"
#include "svc/common/page.h"
#include "svc/elbv2/actions.h"
#include "svc/elbv2/attributes.h"
#include "svc/elbv2/limits.h"
#include "svc/elbv2/load_balancers.h"
#include "svc/elbv2/policies.h"
#include "svc/elbv2/rows.h"
#include "svc/elbv2/secure.h"
#include "svc/elbv2/state.h"

#define DEFAULT_SSL_POLICY STR("ELBSecurityPolicy-2016-08")

static const struct page_rules pages = {.list_name = "elbv2.listeners",
                                        .default_count = 400,
                                        .max_count = 400,
                                        .bad_token = &elbv2_validation_error,
                                        .bad_token_text = "The marker is not valid"};

#define bad_setting(op, ...) \
    op_fail_as((op), ERR_INPUT, &elbv2_error_invalid_configuration_request_exception, __VA_ARGS__)

/* ---- settings ------------------------------------------------------------------------------- */

static enum err check_protocol(struct op *op, const struct elbv2_load_balancer *lb,
                               enum elbv2_protocol_enum protocol)
{
    bool is_web = protocol == ELBV2_PROTOCOL_ENUM_HTTP || protocol == ELBV2_PROTOCOL_ENUM_HTTPS;
    if (protocol == ELBV2_PROTOCOL_ENUM_UNSET) {
        return elbv2_invalid(op, "A listener protocol must be specified");
    }
    if (lb->type == ELBV2_LOAD_BALANCER_TYPE_ENUM_APPLICATION) {
        return is_web ? ERR_OK
                      : op_fail_as(op, ERR_INPUT, &elbv2_error_unsupported_protocol_exception,
                                   "Protocol '%s' must be one of 'HTTP, HTTPS'",
                                   elbv2_protocol_name(protocol));
    }
    if (is_web) {
        return op_fail_as(op, ERR_INPUT, &elbv2_error_unsupported_protocol_exception,
                          "Protocol '%s' must be one of 'UDP, TCP, TCP_UDP, TLS'",
                          elbv2_protocol_name(protocol));
    }
    return ERR_OK;
}

static enum err check_secure(struct op *op, struct elbv2 *e, struct elbv2_listener *listener)
{
    const char *protocol = elbv2_protocol_name(listener->protocol);
    if (listener->certificates.count == 0) {
        return elbv2_invalid(op, "A certificate must be specified for %s listeners", protocol);
    }
    if (listener->certificates.count > 1) {
        return elbv2_invalid(op,
                             "Up to one certificate can be specified for %s listeners; use "
                             "AddListenerCertificates for more",
                             protocol);
    }
    struct str arn = listener->certificates.items[0].certificate_arn;
    TRY(elbv2_check_certificate(op, e, arn));
    listener->certificates.items = ARENA_NEW(&op->arena, struct elbv2_certificate);
    listener->certificates.items[0].certificate_arn = arn;
    if (listener->ssl_policy.len == 0) {
        listener->ssl_policy = DEFAULT_SSL_POLICY;
    }
    if (!elbv2_has_ssl_policy(listener->ssl_policy)) {
        return op_fail_as(op, ERR_NOT_FOUND, &elbv2_error_ssl_policy_not_found_exception,
                          "SSL policy '%.*s' not found", STR_ARG(listener->ssl_policy));
    }
    return ERR_OK;
}

static enum err check_alpn(struct op *op, const struct elbv2_listener *listener)
{
    if (listener->alpn_policy.count == 0) {
        return ERR_OK;
    }
    if (listener->protocol != ELBV2_PROTOCOL_ENUM_TLS) {
        return op_fail_as(op, ERR_INPUT, &elbv2_error_alpn_policy_not_supported_exception,
                          "ALPN policies are supported only for TLS listeners");
    }
    struct str policy = listener->alpn_policy.items[0];
    if (listener->alpn_policy.count > 1 ||
        (!STR_IS(policy, "HTTP1Only") && !STR_IS(policy, "HTTP2Only") &&
         !STR_IS(policy, "HTTP2Optional") && !STR_IS(policy, "HTTP2Preferred") &&
         !STR_IS(policy, "None"))) {
        return op_fail_as(op, ERR_INPUT, &elbv2_error_alpn_policy_not_supported_exception,
                          "ALPN policy '%.*s' is not supported", STR_ARG(policy));
    }
    return ERR_OK;
}

/* Everything but the actions. Fills in defaults. */
static enum err check_settings(struct op *op, struct elbv2 *e, const struct elbv2_load_balancer *lb,
                               struct elbv2_listener *listener)
{
    TRY(check_protocol(op, lb, listener->protocol));
    if (!listener->port.is_set) {
        return elbv2_invalid(op, "A listener port must be specified");
    }
    if (elbv2_is_secure(listener)) {
        TRY(check_secure(op, e, listener));
    } else if (listener->certificates.count > 0 || listener->ssl_policy.len > 0) {
        return bad_setting(op, "Certificates and SSL policies are supported only for HTTPS and TLS "
                               "listeners");
    } else {
        listener->ssl_policy = STR_NONE;
    }
    TRY(check_alpn(op, listener));
    return elbv2_check_mutual(op, e, listener);
}

/* ---- the port ------------------------------------------------------------------------------- */

/* A listener of this load balancer on this port; *ret_arn absent when there is none. */
static enum err find_on_port(struct op *op, struct elbv2 *e, const struct elbv2_listener *listener,
                             struct elbv2_listener *ret)
{
    struct store_items items = {0};
    TRY(store_list(op, e->store, &elbv2_kind_listener,
                   &(struct store_range){.parent = listener->load_balancer_arn}, &items));
    *ret = (struct elbv2_listener){0};
    for (size_t i = 0; i < items.count; i++) {
        const struct elbv2_listener *other = items.items[i].value;
        if (other->port.value == listener->port.value &&
            !str_equal(other->listener_arn, listener->listener_arn)) {
            *ret = *other;
        }
    }
    return ERR_OK;
}

static enum err refuse_port(struct op *op, const struct elbv2_listener *listener)
{
    return op_fail_as(op, ERR_EXISTS, &elbv2_error_duplicate_listener_exception,
                      "A listener already exists on this port for this load balancer '%.*s'",
                      STR_ARG(listener->load_balancer_arn));
}

/* Internet-facing load balancers may share one address; then the port must be free there. */
static enum err check_shared_address(struct op *op, struct elbv2 *e,
                                     const struct elbv2_listener *listener)
{
    struct engine_elb_more mine = {0};
    TRY(elbv2_get_more(op, e, listener->load_balancer_arn, &mine));
    if (e->options.lb_address.len == 0 || !str_equal(mine.address, e->options.lb_address)) {
        return ERR_OK;
    }
    struct store_items rows = {0};
    struct store_items others = {0};
    struct store_range everywhere = {.is_every_region = true};
    TRY(store_list(op, e->store, &elbv2_kind_more, &everywhere, &rows));
    TRY(store_list(op, e->store, &elbv2_kind_listener, &everywhere, &others));
    struct map shared;
    map_init(&shared);
    for (size_t i = 0; i < rows.count; i++) {
        const struct engine_elb_more *more = rows.items[i].value;
        if (str_equal(more->address, mine.address)) {
            (void)map_put(&shared, rows.items[i].key, rows.items[i].value);
        }
    }
    struct str taken_by = STR_NONE;
    for (size_t i = 0; i < others.count; i++) {
        const struct elbv2_listener *other = others.items[i].value;
        if (OPT_OR(other->port, 0) == OPT_OR(listener->port, 0) &&
            !str_equal(other->load_balancer_arn, listener->load_balancer_arn) &&
            map_find(&shared, other->load_balancer_arn) != NULL) {
            taken_by = other->load_balancer_arn;
        }
    }
    map_fini(&shared);
    if (str_is_set(taken_by)) {
        return bad_setting(op,
                           "Port '%d' of the address %.*s is already used by the load balancer "
                           "'%.*s'; internet-facing load balancers share this address",
                           OPT_OR(listener->port, 0), STR_ARG(mine.address), STR_ARG(taken_by));
    }
    return ERR_OK;
}

/* ---- create --------------------------------------------------------------------------------- */

static bool are_alike(struct op *op, const struct elbv2_listener *a, const struct elbv2_listener *b)
{
    (void)op;
    auto_buf struct buf first = {0};
    auto_buf struct buf second = {0};
    struct elbv2_listener renamed = *b;
    renamed.listener_arn = a->listener_arn;
    buf_init(&first, STORE_ROW_BYTES_MAX);
    buf_init(&second, STORE_ROW_BYTES_MAX);
    shape_json_encode(&first, &shape_elbv2_listener, a);
    shape_json_encode(&second, &shape_elbv2_listener, &renamed);
    return str_equal(buf_str(&first), buf_str(&second));
}

static enum err check_quota(struct op *op, struct elbv2 *e, struct str lb_arn)
{
    size_t count = 0;
    TRY(store_count(op, e->store, &elbv2_kind_listener, &(struct store_range){.parent = lb_arn},
                    &count));
    if (count >= ELBV2_LISTENERS_MAX) {
        return op_fail_as(op, ERR_LIMIT, &elbv2_error_too_many_listeners_exception,
                          "You have reached the maximum number of listeners: %d",
                          ELBV2_LISTENERS_MAX);
    }
    return ERR_OK;
}

static void push_listener(struct arena *a, struct elbv2_listeners *to,
                          const struct elbv2_listener *listener)
{
    to->is_set = true;
    *ARENA_PUSH(a, to) = *listener;
}

static enum err put_new(struct op *op, struct elbv2 *e, struct elbv2_listener *listener,
                        const struct tags *tags)
{
    struct str dimension = elbv2_dimension(listener->load_balancer_arn);
    struct str id = id_hex16(&op->arena);
    struct str rule_id = id_hex16(&op->arena);
    listener->listener_arn = arn_makef(op, STR("elasticloadbalancing"), "listener/%.*s/%.*s",
                                       STR_ARG(dimension), STR_ARG(id));
    TRY(elbv2_put_listener(op, e, listener));
    struct elbv2_rule rule = {
        .rule_arn = arn_makef(op, STR("elasticloadbalancing"), "listener-rule/%.*s/%.*s/%.*s",
                              STR_ARG(dimension), STR_ARG(id), STR_ARG(rule_id)),
        .priority = STR("default"),
        .is_default = OPT_BOOL(true)};
    TRY(elbv2_put_rule(op, e, &rule));
    if (tags->count > 0) {
        struct engine_elb_more more = {0};
        elbv2_keep_tags(op, tags, &more);
        TRY(elbv2_put_more(op, e, listener->listener_arn, &more));
    }
    return ERR_OK;
}

enum err elbv2_create_listener(struct op *op, struct elbv2 *e,
                               const struct elbv2_create_listener_in *in,
                               struct elbv2_create_listener_out *ret)
{
    struct elbv2_load_balancer lb = {0};
    struct elbv2_listener old = {0};
    struct elbv2_listener listener = {.load_balancer_arn = in->load_balancer_arn,
                                      .protocol = in->protocol,
                                      .port = in->port,
                                      .ssl_policy = in->ssl_policy,
                                      .certificates = in->certificates,
                                      .alpn_policy = in->alpn_policy,
                                      .mutual_authentication = in->mutual_authentication};
    struct tags tags = TAGS_FROM(&op->arena, in->tags);
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    TRY(elbv2_get_load_balancer(op, e, in->load_balancer_arn, &lb));
    TRY(check_settings(op, e, &lb, &listener));
    TRY(elbv2_check_actions(op, e, (struct elbv2_action_place){&lb, listener.protocol},
                            &in->default_actions, &listener.default_actions));
    TRY(tags_check(op, &elbv2_tag_errors, &tags));
    TRY(find_on_port(op, e, &listener, &old));
    if (str_is_set(old.listener_arn)) {
        if (!are_alike(op, &old, &listener)) {
            return refuse_port(op, &listener);
        }
        TRY(store_tx_commit(op, &tx));
        push_listener(&op->arena, &ret->listeners, &old);
        return ERR_OK;
    }
    TRY(check_shared_address(op, e, &listener));
    TRY(check_quota(op, e, lb.load_balancer_arn));
    TRY(put_new(op, e, &listener, &tags));
    TRY(elbv2_check_group_quota(op, e, lb.load_balancer_arn));
    TRY(store_tx_commit(op, &tx));
    push_listener(&op->arena, &ret->listeners, &listener);
    return ERR_OK;
}

/* ---- describe, modify, delete --------------------------------------------------------------- */

enum err elbv2_describe_listeners(struct op *op, struct elbv2 *e,
                                  const struct elbv2_describe_listeners_in *in,
                                  struct elbv2_describe_listeners_out *ret)
{
    ret->listeners.is_set = true;
    if ((in->listener_arns.count > 0) == (in->load_balancer_arn.len > 0)) {
        return elbv2_invalid(op, "You must specify either listener ARNs or a load balancer ARN");
    }
    for (size_t i = 0; i < in->listener_arns.count; i++) {
        struct elbv2_listener listener = {0};
        TRY(elbv2_get_listener(op, e, in->listener_arns.items[i], &listener));
        push_listener(&op->arena, &ret->listeners, &listener);
    }
    if (in->listener_arns.count > 0) {
        return ERR_OK;
    }
    struct elbv2_load_balancer lb = {0};
    struct store_items items = {0};
    TRY(elbv2_get_load_balancer(op, e, in->load_balancer_arn, &lb));
    TRY(page_list(op, e->store, &elbv2_kind_listener,
                  &(struct store_range){.parent = lb.load_balancer_arn}, &pages,
                  (struct page_ask){in->marker, in->page_size}, &items, &ret->next_marker));
    for (size_t i = 0; i < items.count; i++) {
        push_listener(&op->arena, &ret->listeners, items.items[i].value);
    }
    return ERR_OK;
}

/* A listener that stops to be secure loses what only secure ones have. */
static void take_changes(const struct elbv2_modify_listener_in *in, struct elbv2_listener *listener)
{
    if (in->protocol != ELBV2_PROTOCOL_ENUM_UNSET) {
        listener->protocol = in->protocol;
    }
    if (!elbv2_is_secure(listener)) {
        listener->certificates = (struct elbv2_certificate_list){0};
        listener->ssl_policy = STR_NONE;
        listener->mutual_authentication = NULL;
    }
    if (in->port.is_set) {
        listener->port = in->port;
    }
    if (in->ssl_policy.len > 0) {
        listener->ssl_policy = in->ssl_policy;
    }
    if (in->certificates.count > 0) {
        listener->certificates = in->certificates;
    }
    if (in->alpn_policy.count > 0) {
        listener->alpn_policy = in->alpn_policy;
    }
    if (in->mutual_authentication != NULL) {
        listener->mutual_authentication = in->mutual_authentication;
    }
}

enum err elbv2_modify_listener(struct op *op, struct elbv2 *e,
                               const struct elbv2_modify_listener_in *in,
                               struct elbv2_modify_listener_out *ret)
{
    struct elbv2_load_balancer lb = {0};
    struct elbv2_listener listener = {0};
    struct elbv2_listener other = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    TRY(elbv2_get_listener(op, e, in->listener_arn, &listener));
    TRY(elbv2_get_load_balancer(op, e, listener.load_balancer_arn, &lb));
    take_changes(in, &listener);
    TRY(check_settings(op, e, &lb, &listener));
    const struct elbv2_actions *actions =
        in->default_actions.count > 0 ? &in->default_actions : &listener.default_actions;
    TRY(elbv2_check_actions(op, e, (struct elbv2_action_place){&lb, listener.protocol}, actions,
                            &listener.default_actions));
    TRY(find_on_port(op, e, &listener, &other));
    if (str_is_set(other.listener_arn)) {
        return refuse_port(op, &listener);
    }
    TRY(check_shared_address(op, e, &listener));
    TRY(elbv2_put_listener(op, e, &listener));
    TRY(elbv2_check_group_quota(op, e, lb.load_balancer_arn));
    TRY(store_tx_commit(op, &tx));
    push_listener(&op->arena, &ret->listeners, &listener);
    return ERR_OK;
}

enum err elbv2_delete_listener(struct op *op, struct elbv2 *e,
                               const struct elbv2_delete_listener_in *in,
                               struct elbv2_delete_listener_out *ret)
{
    (void)ret;
    struct elbv2_listener listener = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    TRY(elbv2_get_listener(op, e, in->listener_arn, &listener));
    TRY(elbv2_remove_listener(op, e, listener.listener_arn));
    return store_tx_commit(op, &tx);
}

/* ---- attributes ----------------------------------------------------------------------------- */

enum err elbv2_describe_listener_attributes(struct op *op, struct elbv2 *e,
                                            const struct elbv2_describe_listener_attributes_in *in,
                                            struct elbv2_describe_listener_attributes_out *ret)
{
    struct elbv2_listener listener = {0};
    struct engine_elb_more more = {0};
    TRY(elbv2_get_listener(op, e, in->listener_arn, &listener));
    TRY(elbv2_get_more(op, e, in->listener_arn, &more));
    struct tags all =
        elbv2_attributes_all(&op->arena, elbv2_owner_of_listener(&listener), &more.attributes);
    TAGS_INTO(&op->arena, all, &ret->attributes);
    return ERR_OK;
}

enum err elbv2_modify_listener_attributes(struct op *op, struct elbv2 *e,
                                          const struct elbv2_modify_listener_attributes_in *in,
                                          struct elbv2_modify_listener_attributes_out *ret)
{
    struct elbv2_listener listener = {0};
    struct engine_elb_more more = {0};
    struct tags changes = TAGS_FROM(&op->arena, in->attributes);
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    TRY(elbv2_get_listener(op, e, in->listener_arn, &listener));
    TRY(elbv2_get_more(op, e, in->listener_arn, &more));
    struct elbv2_attribute_owner owner = elbv2_owner_of_listener(&listener);
    TRY(elbv2_attributes_change(op, owner, &more.attributes, &changes, &more.attributes));
    TRY(elbv2_put_more(op, e, in->listener_arn, &more));
    TRY(store_tx_commit(op, &tx));
    struct tags all = elbv2_attributes_all(&op->arena, owner, &more.attributes);
    TAGS_INTO(&op->arena, all, &ret->attributes);
    return ERR_OK;
}
