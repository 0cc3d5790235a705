#include "svc/elbv2/load_balancers.h"

#include "base/cleanup.h"
#include "base/rand.h"
#include "svc/common/arn.h"
#include "svc/common/ids.h"
#include "svc/common/network.h"
#include "svc/common/page.h"
#include "svc/elbv2/actions.h"
#include "svc/elbv2/attributes.h"
#include "svc/elbv2/limits.h"
#include "svc/elbv2/rows.h"
#include "svc/elbv2/secure.h"
#include "svc/elbv2/state.h"
#include "svc/elbv2/zones.h"

const struct tag_errors elbv2_tag_errors = {
    .too_many = &elbv2_error_too_many_tags_exception,
    .duplicate = &elbv2_error_duplicate_tag_keys_exception,
    .invalid = &elbv2_validation_error,
};

static const struct page_rules pages = {.list_name = "elbv2.load_balancers",
                                        .default_count = 400,
                                        .max_count = 400,
                                        .bad_token = &elbv2_validation_error,
                                        .bad_token_text = "The marker is not valid"};

/* ---- what is told --------------------------------------------------------------------------- */

static bool is_served(enum elbv2_protocol_enum protocol)
{
    return protocol != ELBV2_PROTOCOL_ENUM_UNSET && protocol != ELBV2_PROTOCOL_ENUM_GENEVE &&
           protocol != ELBV2_PROTOCOL_ENUM_QUIC && protocol != ELBV2_PROTOCOL_ENUM_TCP_QUIC;
}

struct str elbv2_why_not_served(struct op *op, const struct elbv2_load_balancer *lb,
                                const struct elbv2_listener *listener)
{
    const char *protocol = elbv2_protocol_name(listener->protocol);
    int port = OPT_OR(listener->port, 0);
    bool is_gateway = lb->type == ELBV2_LOAD_BALANCER_TYPE_ENUM_GATEWAY;
    if (is_gateway || !is_served(listener->protocol)) {
        return arena_printf(&op->arena,
                            "The listener on port %d (%s) is kept but not served: this engine "
                            "serves HTTP, HTTPS, TCP, TLS and UDP.",
                            port, protocol);
    }
    return STR_NONE;
}

static enum err add_reasons(struct op *op, struct elbv2 *e, struct elbv2_load_balancer *lb)
{
    struct store_items items = {0};
    TRY(store_list(op, e->store, &elbv2_kind_listener,
                   &(struct store_range){.parent = lb->load_balancer_arn}, &items));
    struct str reason = STR_NONE;
    for (size_t i = 0; i < items.count; i++) {
        const struct elbv2_listener *listener = items.items[i].value;
        struct str why = elbv2_why_not_served(op, lb, listener);
        if (!str_is_set(why)) {
            why = elbv2_why_not_secure(op, e, listener);
        }
        const char *failure = map_find(&e->listen_failures, listener->listener_arn);
        if (!str_is_set(why) && failure != NULL) {
            lb->state->code = ELBV2_LOAD_BALANCER_STATE_ENUM_ACTIVE_IMPAIRED;
            why = arena_printf(&op->arena, "The listener on port %d does not listen: %s",
                               OPT_OR(listener->port, 0), failure);
        }
        if (!str_is_set(why)) {
            why = elbv2_snapshot_unserved(e, &op->arena, listener->listener_arn);
        }
        if (str_is_set(why)) {
            reason = arena_printf(&op->arena, "%.*s%s%.*s", STR_ARG(reason),
                                  str_is_set(reason) ? " " : "", STR_ARG(why));
        }
    }
    lb->state->reason = reason;
    return ERR_OK;
}

/* The row as the API tells it: with its state, and a DNSName that answers on this machine. */
static enum err show(struct op *op, struct elbv2 *e, struct elbv2_load_balancer *lb)
{
    struct engine_elb_more more = {0};
    TRY(elbv2_get_more(op, e, lb->load_balancer_arn, &more));
    if (!e->are_names_written && str_is_set(more.address)) {
        lb->dns_name = more.address;
    }
    lb->state = ARENA_NEW(&op->arena, struct elbv2_load_balancer_state);
    lb->state->code = ELBV2_LOAD_BALANCER_STATE_ENUM_ACTIVE;
    return add_reasons(op, e, lb);
}

static enum err push_shown(struct op *op, struct elbv2 *e, const struct elbv2_load_balancer *lb,
                           struct elbv2_load_balancers *to)
{
    struct elbv2_load_balancer *item = ARENA_PUSH(&op->arena, to);
    *item = *lb;
    to->is_set = true;
    return show(op, e, item);
}

/* ---- create --------------------------------------------------------------------------------- */

enum err elbv2_check_name(struct op *op, const char *noun, struct str name)
{
    if (name.len > ELBV2_NAME_CHARS_MAX) {
        return elbv2_invalid(op, "%s '%.*s' cannot be longer than '%d' characters", noun,
                             STR_ARG(name), ELBV2_NAME_CHARS_MAX);
    }
    if (!name_is(name, 1, ELBV2_NAME_CHARS_MAX, STR("-"))) {
        return elbv2_invalid(op,
                             "%s '%.*s' can only contain characters that are alphanumeric "
                             "characters or hyphens(-)",
                             noun, STR_ARG(name));
    }
    if (name.ptr[0] == '-' || name.ptr[name.len - 1] == '-') {
        return elbv2_invalid(op, "%s '%.*s' cannot begin or end with '-'", noun, STR_ARG(name));
    }
    return ERR_OK;
}

static const char *family_of(enum elbv2_load_balancer_type_enum type)
{
    if (type == ELBV2_LOAD_BALANCER_TYPE_ENUM_APPLICATION) {
        return "app";
    }
    return type == ELBV2_LOAD_BALANCER_TYPE_ENUM_NETWORK ? "net" : "gwy";
}

void elbv2_keep_tags(struct op *op, const struct tags *tags, struct engine_elb_more *more)
{
    TAGS_INTO(&op->arena, *tags, &more->tags);
}

struct tags elbv2_kept_tags(struct op *op, const struct engine_elb_more *more)
{
    return TAGS_FROM(&op->arena, more->tags);
}

static enum err refuse_unknown(struct op *op, const struct elbv2_create_load_balancer_in *in)
{
    if ((in->customer_owned_ipv4_pool.len > 0) || in->ipam_pools != NULL) {
        return op_fail_as(op, ERR_UNSUPPORTED, &elbv2_error_operation_not_permitted_exception,
                          "Address pools are not supported by this engine");
    }
    return ERR_OK;
}

/* What the client asks for, with the defaults of AWS; nothing that only a new one gets. */
static enum err settle(struct op *op, struct elbv2 *e,
                       const struct elbv2_create_load_balancer_in *in,
                       struct elbv2_load_balancer *ret)
{
    TRY(elbv2_check_name(op, "The load balancer name", in->name));
    if (str_starts_with(in->name, STR("internal-"))) {
        return elbv2_invalid(op, "The load balancer name '%.*s' cannot begin with 'internal-'",
                             STR_ARG(in->name));
    }
    TRY(refuse_unknown(op, in));
    struct elbv2_load_balancer lb = {
        .load_balancer_name = in->name,
        .type = in->type == ELBV2_LOAD_BALANCER_TYPE_ENUM_UNSET
                    ? ELBV2_LOAD_BALANCER_TYPE_ENUM_APPLICATION
                    : in->type,
        .scheme = in->scheme == ELBV2_LOAD_BALANCER_SCHEME_ENUM_UNSET
                      ? ELBV2_LOAD_BALANCER_SCHEME_ENUM_INTERNET_FACING
                      : in->scheme,
        .ip_address_type = in->ip_address_type == ELBV2_IP_ADDRESS_TYPE_UNSET
                               ? ELBV2_IP_ADDRESS_TYPE_IPV4
                               : in->ip_address_type,
        .vpc_id = network_default(&op->arena, op->region).vpc_id,
    };
    TRY(elbv2_check_ip_address_type(op, e, in->ip_address_type));
    TRY(elbv2_check_zones(op, lb.type, &in->subnets, &in->subnet_mappings, &lb.availability_zones));
    TRY(elbv2_check_security_groups(op, e, lb.type, &in->security_groups, &lb.security_groups));
    *ret = lb;
    return ERR_OK;
}

static bool has_text(const struct str *items, size_t count, struct str text)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal(items[i], text)) {
            return true;
        }
    }
    return false;
}

static bool are_same_groups(const struct elbv2_security_groups *a,
                            const struct elbv2_security_groups *b)
{
    for (size_t i = 0; i < a->count; i++) {
        if (!has_text(b->items, b->count, a->items[i])) {
            return false;
        }
    }
    return a->count == b->count;
}

static bool are_same_zones(const struct elbv2_availability_zones *a,
                           const struct elbv2_availability_zones *b)
{
    size_t same = 0;
    for (size_t i = 0; i < a->count; i++) {
        for (size_t k = 0; k < b->count; k++) {
            same += str_equal(a->items[i].subnet_id, b->items[k].subnet_id);
        }
    }
    return a->count == b->count && same == a->count;
}

static enum err compare(struct op *op, struct elbv2 *e, const struct elbv2_load_balancer *old,
                        const struct elbv2_load_balancer *asked, const struct tags *tags)
{
    struct engine_elb_more more = {0};
    TRY(elbv2_get_more(op, e, old->load_balancer_arn, &more));
    struct tags old_tags = elbv2_kept_tags(op, &more);
    if (old->type == asked->type && old->scheme == asked->scheme &&
        are_same_zones(&old->availability_zones, &asked->availability_zones) &&
        are_same_groups(&old->security_groups, &asked->security_groups) &&
        tags_equal(&old_tags, tags)) {
        return ERR_OK;
    }
    return op_fail_as(
        op, ERR_EXISTS, &elbv2_error_duplicate_load_balancer_name_exception,
        "A load balancer with the same name '%.*s' exists, but with different settings",
        STR_ARG(asked->load_balancer_name));
}

static enum err check_quota(struct op *op, struct elbv2 *e, enum elbv2_load_balancer_type_enum type)
{
    struct store_items items = {0};
    TRY(store_list(op, e->store, &elbv2_kind_load_balancer, &(struct store_range){0}, &items));
    size_t count = 0;
    for (size_t i = 0; i < items.count; i++) {
        count += ((const struct elbv2_load_balancer *)items.items[i].value)->type == type;
    }
    if (count >= ELBV2_LOAD_BALANCERS_MAX) {
        return op_fail_as(op, ERR_LIMIT, &elbv2_error_too_many_load_balancers_exception,
                          "You have reached the maximum number of load balancers: %d",
                          ELBV2_LOAD_BALANCERS_MAX);
    }
    return ERR_OK;
}

/* Identity, name and address of a new one. */
static enum err equip(struct op *op, struct elbv2 *e, struct elbv2_load_balancer *lb,
                      struct engine_elb_more *more)
{
    struct str id = id_hex16(&op->arena);
    struct str number = rand_text(&op->arena, RAND_DIGITS, 10);
    bool is_internal = lb->scheme == ELBV2_LOAD_BALANCER_SCHEME_ENUM_INTERNAL;
    lb->load_balancer_arn =
        arn_makef(op, STR("elasticloadbalancing"), "loadbalancer/%s/%.*s/%.*s", family_of(lb->type),
                  STR_ARG(lb->load_balancer_name), STR_ARG(id));
    lb->dns_name = arena_printf(&op->arena, "%s%.*s-%.*s.%.*s.elb.amazonaws.com",
                                is_internal ? "internal-" : "", STR_ARG(lb->load_balancer_name),
                                STR_ARG(number), STR_ARG(op->region));
    lb->canonical_hosted_zone_id = elbv2_hosted_zone(op, lb->type);
    lb->created_time = OPT_TIME(((wall_t){.us = op->now.us / 1000 * 1000})); /* as rows keep it */
    if (!is_internal && e->options.lb_address.len > 0) {
        more->address = e->options.lb_address;
        return ERR_OK;
    }
    return elbv2_new_address(op, e, &more->address);
}

enum err elbv2_create_load_balancer(struct op *op, struct elbv2 *e,
                                    const struct elbv2_create_load_balancer_in *in,
                                    struct elbv2_create_load_balancer_out *ret)
{
    struct elbv2_load_balancer lb = {0};
    struct tags tags = TAGS_FROM(&op->arena, in->tags);
    TRY(settle(op, e, in, &lb));
    TRY(tags_check(op, &elbv2_tag_errors, &tags));
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    if (store_has(op, e->store, &elbv2_kind_load_balancer, in->name)) {
        struct elbv2_load_balancer old = {0};
        TRY(store_get(op, e->store, &elbv2_kind_load_balancer, in->name, &old));
        TRY(compare(op, e, &old, &lb, &tags));
        TRY(store_tx_commit(op, &tx));
        return push_shown(op, e, &old, &ret->load_balancers);
    }
    struct engine_elb_more more = {0};
    TRY(check_quota(op, e, lb.type));
    TRY(equip(op, e, &lb, &more));
    elbv2_keep_tags(op, &tags, &more);
    TRY(elbv2_put_load_balancer(op, e, &lb));
    TRY(elbv2_put_more(op, e, lb.load_balancer_arn, &more));
    TRY(store_tx_commit(op, &tx));
    return push_shown(op, e, &lb, &ret->load_balancers);
}

/* ---- describe, delete ----------------------------------------------------------------------- */

static enum err describe_arns(struct op *op, struct elbv2 *e,
                              const struct elbv2_load_balancer_arns *arns,
                              struct elbv2_load_balancers *ret)
{
    for (size_t i = 0; i < arns->count; i++) {
        struct elbv2_load_balancer lb = {0};
        enum err result = elbv2_get_load_balancer(op, e, arns->items[i], &lb);
        if (result == ERR_NOT_FOUND) {
            return op_fail_as(op, ERR_NOT_FOUND, &elbv2_error_load_balancer_not_found_exception,
                              "One or more load balancers not found");
        }
        TRY(result);
        TRY(push_shown(op, e, &lb, ret));
    }
    return ERR_OK;
}

static enum err describe_names(struct op *op, struct elbv2 *e,
                               const struct elbv2_load_balancer_names *names,
                               struct elbv2_load_balancers *ret)
{
    struct str missing = STR_NONE;
    for (size_t i = 0; i < names->count; i++) {
        struct elbv2_load_balancer lb = {0};
        if (!store_has(op, e->store, &elbv2_kind_load_balancer, names->items[i])) {
            missing = arena_printf(&op->arena, "%.*s%s%.*s", STR_ARG(missing),
                                   str_is_set(missing) ? ", " : "", STR_ARG(names->items[i]));
            continue;
        }
        TRY(store_get(op, e->store, &elbv2_kind_load_balancer, names->items[i], &lb));
        TRY(push_shown(op, e, &lb, ret));
    }
    if (str_is_set(missing)) {
        return op_fail_as(op, ERR_NOT_FOUND, &elbv2_error_load_balancer_not_found_exception,
                          "Load balancers '[%.*s]' not found", STR_ARG(missing));
    }
    return ERR_OK;
}

enum err elbv2_describe_load_balancers(struct op *op, struct elbv2 *e,
                                       const struct elbv2_describe_load_balancers_in *in,
                                       struct elbv2_describe_load_balancers_out *ret)
{
    ret->load_balancers.is_set = true;
    if (in->load_balancer_arns.count > 0 && in->names.count > 0) {
        return elbv2_invalid(op,
                             "Load balancer names and load balancer ARNs cannot be specified at "
                             "the same time");
    }
    if (in->load_balancer_arns.count > ELBV2_ARNS_OF_CALL_MAX ||
        in->names.count > ELBV2_ARNS_OF_CALL_MAX) {
        return elbv2_invalid(op, "Up to '%d' load balancers can be described in a single call",
                             ELBV2_ARNS_OF_CALL_MAX);
    }
    if (in->load_balancer_arns.count > 0) {
        return describe_arns(op, e, &in->load_balancer_arns, &ret->load_balancers);
    }
    if (in->names.count > 0) {
        return describe_names(op, e, &in->names, &ret->load_balancers);
    }
    struct store_items items = {0};
    TRY(page_list(op, e->store, &elbv2_kind_load_balancer, &(struct store_range){0}, &pages,
                  (struct page_ask){in->marker, in->page_size}, &items, &ret->next_marker));
    for (size_t i = 0; i < items.count; i++) {
        TRY(push_shown(op, e, items.items[i].value, &ret->load_balancers));
    }
    return ERR_OK;
}

enum err elbv2_delete_load_balancer(struct op *op, struct elbv2 *e,
                                    const struct elbv2_delete_load_balancer_in *in,
                                    struct elbv2_delete_load_balancer_out *ret)
{
    (void)ret;
    struct elbv2_load_balancer lb = {0};
    struct engine_elb_more more = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    enum err result = elbv2_get_load_balancer(op, e, in->load_balancer_arn, &lb);
    if (result == ERR_NOT_FOUND) {
        op_note_clear(op);
        return store_tx_commit(op, &tx); /* deleting twice succeeds */
    }
    TRY(result);
    TRY(elbv2_get_more(op, e, lb.load_balancer_arn, &more));
    struct str protection = elbv2_attribute(elbv2_owner_of_load_balancer(&lb), &more.attributes,
                                            STR("deletion_protection.enabled"));
    if (STR_IS(protection, "true")) {
        return op_fail_as(op, ERR_STATE, &elbv2_error_operation_not_permitted_exception,
                          "Load balancer '%.*s' cannot be deleted because deletion protection is "
                          "enabled",
                          STR_ARG(lb.load_balancer_arn));
    }
    TRY(elbv2_remove_load_balancer(op, e, &lb));
    return store_tx_commit(op, &tx);
}

/* ---- attributes ----------------------------------------------------------------------------- */

enum err elbv2_describe_load_balancer_attributes(
    struct op *op, struct elbv2 *e, const struct elbv2_describe_load_balancer_attributes_in *in,
    struct elbv2_describe_load_balancer_attributes_out *ret)
{
    struct elbv2_load_balancer lb = {0};
    struct engine_elb_more more = {0};
    TRY(elbv2_get_load_balancer(op, e, in->load_balancer_arn, &lb));
    TRY(elbv2_get_more(op, e, lb.load_balancer_arn, &more));
    struct tags all =
        elbv2_attributes_all(&op->arena, elbv2_owner_of_load_balancer(&lb), &more.attributes);
    TAGS_INTO(&op->arena, all, &ret->attributes);
    return ERR_OK;
}

enum err elbv2_modify_load_balancer_attributes(
    struct op *op, struct elbv2 *e, const struct elbv2_modify_load_balancer_attributes_in *in,
    struct elbv2_modify_load_balancer_attributes_out *ret)
{
    struct elbv2_load_balancer lb = {0};
    struct engine_elb_more more = {0};
    struct tags changes = TAGS_FROM(&op->arena, in->attributes);
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    TRY(elbv2_get_load_balancer(op, e, in->load_balancer_arn, &lb));
    TRY(elbv2_get_more(op, e, lb.load_balancer_arn, &more));
    struct elbv2_attribute_owner owner = elbv2_owner_of_load_balancer(&lb);
    TRY(elbv2_attributes_change(op, owner, &more.attributes, &changes, &more.attributes));
    TRY(elbv2_put_more(op, e, lb.load_balancer_arn, &more));
    TRY(store_tx_commit(op, &tx));
    struct tags all = elbv2_attributes_all(&op->arena, owner, &more.attributes);
    TAGS_INTO(&op->arena, all, &ret->attributes);
    return ERR_OK;
}

/* ---- where it stands ------------------------------------------------------------------------ */

enum err elbv2_set_security_groups(struct op *op, struct elbv2 *e,
                                   const struct elbv2_set_security_groups_in *in,
                                   struct elbv2_set_security_groups_out *ret)
{
    struct elbv2_load_balancer lb = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    TRY(elbv2_get_load_balancer(op, e, in->load_balancer_arn, &lb));
    if (in->security_groups.count == 0) {
        return elbv2_invalid(op, "At least one security group must be specified");
    }
    TRY(elbv2_check_security_groups(op, e, lb.type, &in->security_groups, &lb.security_groups));
    TRY(elbv2_put_load_balancer(op, e, &lb));
    TRY(store_tx_commit(op, &tx));
    ret->security_group_ids = lb.security_groups;
    return ERR_OK;
}

enum err elbv2_set_subnets(struct op *op, struct elbv2 *e, const struct elbv2_set_subnets_in *in,
                           struct elbv2_set_subnets_out *ret)
{
    struct elbv2_load_balancer lb = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    TRY(elbv2_get_load_balancer(op, e, in->load_balancer_arn, &lb));
    TRY(elbv2_check_ip_address_type(op, e, in->ip_address_type));
    if (in->ip_address_type != ELBV2_IP_ADDRESS_TYPE_UNSET) {
        lb.ip_address_type = in->ip_address_type;
    }
    TRY(elbv2_check_zones(op, lb.type, &in->subnets, &in->subnet_mappings, &lb.availability_zones));
    TRY(elbv2_put_load_balancer(op, e, &lb));
    TRY(store_tx_commit(op, &tx));
    ret->availability_zones = lb.availability_zones;
    ret->ip_address_type = lb.ip_address_type;
    return ERR_OK;
}

enum err elbv2_set_ip_address_type(struct op *op, struct elbv2 *e,
                                   const struct elbv2_set_ip_address_type_in *in,
                                   struct elbv2_set_ip_address_type_out *ret)
{
    struct elbv2_load_balancer lb = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, e->store, &tx));
    TRY(elbv2_get_load_balancer(op, e, in->load_balancer_arn, &lb));
    TRY(elbv2_check_ip_address_type(op, e, in->ip_address_type));
    lb.ip_address_type = in->ip_address_type;
    TRY(elbv2_put_load_balancer(op, e, &lb));
    ret->ip_address_type = lb.ip_address_type;
    return store_tx_commit(op, &tx);
}

enum err elbv2_describe_capacity_reservation(
    struct op *op, struct elbv2 *e, const struct elbv2_describe_capacity_reservation_in *in,
    struct elbv2_describe_capacity_reservation_out *ret)
{
    struct elbv2_load_balancer lb = {0};
    TRY(elbv2_get_load_balancer(op, e, in->load_balancer_arn, &lb));
    ret->capacity_reservation_state.is_set = true; /* nothing is reserved: an empty list */
    return ERR_OK;
}
