#include "svc/ec2/describe.h"

#include "svc/common/network.h"
#include "svc/ec2/filter.h"

static const struct err_public table_not_found = {.code = "InvalidRouteTableID.NotFound",
                                                  .http_status = 400};
static const struct err_public table_malformed = {.code = "InvalidRouteTableId.Malformed",
                                                  .http_status = 400};
static const struct err_public gateway_not_found = {.code = "InvalidInternetGatewayID.NotFound",
                                                    .http_status = 400};
static const struct err_public gateway_malformed = {.code = "InvalidInternetGatewayId.Malformed",
                                                    .http_status = 400};
static const struct err_public interface_not_found = {.code = "InvalidNetworkInterfaceID.NotFound",
                                                      .http_status = 400};
static const struct err_public interface_malformed = {.code = "InvalidNetworkInterfaceId.Malformed",
                                                      .http_status = 400};

/* ---- the main route table ------------------------------------------------------------------- */

static struct str main_association(struct op *op, const struct network *n)
{
    return arena_printf(&op->arena, "rtbassoc-%.*s", STR_ARG(str_from(n->route_table_id, 4)));
}

static struct ec2_facts table_facts(struct op *op, const struct network *n)
{
    struct arena *a = &op->arena;
    struct ec2_facts f = {0};
    ec2_fact(a, &f, "route-table-id", n->route_table_id);
    ec2_fact(a, &f, "vpc-id", n->vpc_id);
    ec2_fact(a, &f, "owner-id", op->account);
    ec2_fact_bool(a, &f, "association.main", true);
    ec2_fact(a, &f, "association.route-table-id", n->route_table_id);
    ec2_fact(a, &f, "association.route-table-association-id", main_association(op, n));
    ec2_fact(a, &f, "association.state", STR("associated"));
    ec2_fact(a, &f, "route.destination-cidr-block", STR(NETWORK_VPC_CIDR));
    ec2_fact(a, &f, "route.destination-cidr-block", STR("0.0.0.0/0"));
    ec2_fact(a, &f, "route.gateway-id", STR("local"));
    ec2_fact(a, &f, "route.gateway-id", n->internet_gateway_id);
    ec2_fact(a, &f, "route.origin", STR("CreateRouteTable"));
    ec2_fact(a, &f, "route.origin", STR("CreateRoute"));
    ec2_fact(a, &f, "route.state", STR("active"));
    ec2_facts_without(a, &f,
                      "association.gateway-id association.subnet-id "
                      "route.destination-ipv6-cidr-block route.destination-prefix-list-id "
                      "route.egress-only-internet-gateway-id route.instance-id "
                      "route.nat-gateway-id route.transit-gateway-id "
                      "route.vpc-peering-connection-id");
    return f;
}

static void push_route(struct arena *a, struct ec2_route_list *to, struct ec2_route route)
{
    to->is_set = true;
    *ARENA_PUSH(a, to) = route;
}

static struct ec2_route_table table_of(struct op *op, const struct network *n)
{
    struct ec2_route_table table = {.route_table_id = n->route_table_id,
                                    .vpc_id = n->vpc_id,
                                    .owner_id = op->account,
                                    .associations = {.is_set = true},
                                    .propagating_vgws = {.is_set = true}};
    struct ec2_route_table_association *main = ARENA_PUSH(&op->arena, &table.associations);
    main->main = OPT_BOOL(true);
    main->route_table_association_id = main_association(op, n);
    main->route_table_id = n->route_table_id;
    main->association_state = ARENA_NEW(&op->arena, struct ec2_route_table_association_state);
    main->association_state->state = EC2_ROUTE_TABLE_ASSOCIATION_STATE_CODE_ASSOCIATED;
    push_route(&op->arena, &table.routes,
               (struct ec2_route){.destination_cidr_block = STR(NETWORK_VPC_CIDR),
                                  .gateway_id = STR("local"),
                                  .origin = EC2_ROUTE_ORIGIN_CREATEROUTETABLE,
                                  .state = EC2_ROUTE_STATE_ACTIVE});
    push_route(&op->arena, &table.routes,
               (struct ec2_route){.destination_cidr_block = STR("0.0.0.0/0"),
                                  .gateway_id = n->internet_gateway_id,
                                  .origin = EC2_ROUTE_ORIGIN_CREATEROUTE,
                                  .state = EC2_ROUTE_STATE_ACTIVE});
    return table;
}

enum err ec2_describe_route_tables(struct op *op, struct ec2 *ec2,
                                   const struct ec2_describe_route_tables_in *in,
                                   struct ec2_describe_route_tables_out *ret)
{
    (void)ec2;
    TRY(ec2_check_dry_run(op, in->dry_run));
    struct network n = network_default(&op->arena, op->region);
    struct ec2_resource only = {.id = n.route_table_id, .facts = table_facts(op, &n)};
    struct ec2_asked asked = {.ids = in->route_table_ids.items,
                              .id_count = in->route_table_ids.count,
                              .filters = &in->filters,
                              .max_results = in->max_results,
                              .next_token = in->next_token,
                              .list_name = "ec2.route_tables",
                              .noun = "routeTable ID",
                              .prefix = "rtb-",
                              .not_found = &table_not_found,
                              .malformed = &table_malformed};
    struct ec2_resources shown = {0};
    TRY(ec2_choose(op, &asked, &(struct ec2_resources){&only, 1}, &shown, &ret->next_token));
    ret->route_tables.is_set = true;
    for (size_t i = 0; i < shown.count; i++) {
        *ARENA_PUSH(&op->arena, &ret->route_tables) = table_of(op, &n);
    }
    return ERR_OK;
}

/* ---- the internet gateway ------------------------------------------------------------------- */

enum err ec2_describe_internet_gateways(struct op *op, struct ec2 *ec2,
                                        const struct ec2_describe_internet_gateways_in *in,
                                        struct ec2_describe_internet_gateways_out *ret)
{
    (void)ec2;
    TRY(ec2_check_dry_run(op, in->dry_run));
    struct network n = network_default(&op->arena, op->region);
    struct ec2_resource only = {.id = n.internet_gateway_id};
    ec2_fact(&op->arena, &only.facts, "internet-gateway-id", n.internet_gateway_id);
    ec2_fact(&op->arena, &only.facts, "attachment.state", STR("available"));
    ec2_fact(&op->arena, &only.facts, "attachment.vpc-id", n.vpc_id);
    ec2_fact(&op->arena, &only.facts, "owner-id", op->account);
    struct ec2_asked asked = {.ids = in->internet_gateway_ids.items,
                              .id_count = in->internet_gateway_ids.count,
                              .filters = &in->filters,
                              .max_results = in->max_results,
                              .next_token = in->next_token,
                              .list_name = "ec2.internet_gateways",
                              .noun = "internetGateway ID",
                              .prefix = "igw-",
                              .not_found = &gateway_not_found,
                              .malformed = &gateway_malformed};
    struct ec2_resources shown = {0};
    TRY(ec2_choose(op, &asked, &(struct ec2_resources){&only, 1}, &shown, &ret->next_token));
    ret->internet_gateways.is_set = true;
    for (size_t i = 0; i < shown.count; i++) {
        struct ec2_internet_gateway *gateway = ARENA_PUSH(&op->arena, &ret->internet_gateways);
        gateway->internet_gateway_id = n.internet_gateway_id;
        gateway->owner_id = op->account;
        gateway->attachments.is_set = true;
        *ARENA_PUSH(&op->arena, &gateway->attachments) = (struct ec2_internet_gateway_attachment){
            .vpc_id = n.vpc_id, .state = EC2_ATTACHMENT_STATUS_ATTACHED};
    }
    return ERR_OK;
}

/* ---- network interfaces: tasks have addresses, but no interfaces that EC2 would know ----------
 */

enum err ec2_describe_network_interfaces(struct op *op, struct ec2 *ec2,
                                         const struct ec2_describe_network_interfaces_in *in,
                                         struct ec2_describe_network_interfaces_out *ret)
{
    (void)ec2;
    TRY(ec2_check_dry_run(op, in->dry_run));
    struct ec2_facts none = {0};
    ec2_facts_without(
        &op->arena, &none,
        "association.allocation-id association.association-id addresses.association.owner-id "
        "addresses.association.public-ip addresses.primary addresses.private-ip-address "
        "association.ip-owner-id association.public-ip association.public-dns-name "
        "attachment.attach-time attachment.attachment-id attachment.delete-on-termination "
        "attachment.device-index attachment.instance-id attachment.instance-owner-id "
        "attachment.status availability-zone availability-zone-id description group-id group-name "
        "interface-type ipv6-addresses.ipv6-address mac-address network-interface-id owner-id "
        "private-dns-name private-ip-address requester-id requester-managed source-dest-check "
        "status subnet-id vpc-id operator.managed operator.principal");
    bool is_shown = false;
    TRY(ec2_filter(op, &in->filters, &none, &is_shown)); /* for the names */
    struct ec2_asked asked = {.ids = in->network_interface_ids.items,
                              .id_count = in->network_interface_ids.count,
                              .filters = &in->filters,
                              .max_results = in->max_results,
                              .next_token = in->next_token,
                              .list_name = "ec2.network_interfaces",
                              .noun = "networkInterface ID",
                              .prefix = "eni-",
                              .not_found = &interface_not_found,
                              .malformed = &interface_malformed};
    struct ec2_resources shown = {0};
    TRY(ec2_choose(op, &asked, &(struct ec2_resources){0}, &shown, &ret->next_token));
    ret->network_interfaces.is_set = true;
    return ERR_OK;
}
