#include "svc/elbv2/zones.h"

#include "base/check.h"
#include "base/rand.h"
#include "svc/common/network.h"
#include "svc/common/security_groups.h"
#include "svc/elbv2/limits.h"
#include "svc/elbv2/rows.h"
#include "svc/elbv2/state.h"

#define ADDRESS_TRIES_MAX 1000

static enum err add_zone(struct op *op, const struct network *network, struct str subnet_id,
                         struct elbv2_availability_zones *zones)
{
    const struct network_subnet *subnet = network_find_subnet(network, subnet_id);
    if (subnet == NULL) {
        return op_fail_as(op, ERR_NOT_FOUND, &elbv2_error_subnet_not_found_exception,
                          "The subnet ID '%.*s' is not valid", STR_ARG(subnet_id));
    }
    for (size_t i = 0; i < zones->count; i++) {
        if (str_equal(zones->items[i].zone_name, subnet->zone)) {
            return op_fail_as(op, ERR_INPUT, &elbv2_error_invalid_configuration_request_exception,
                              "A load balancer cannot be attached to multiple subnets in the same "
                              "Availability Zone");
        }
    }
    *ARENA_PUSH(&op->arena, zones) = (struct elbv2_availability_zone){
        .zone_name = subnet->zone,
        .subnet_id = subnet->id,
        .load_balancer_addresses = {.is_set = true},
    };
    return ERR_OK;
}

enum err elbv2_check_zones(struct op *op, enum elbv2_load_balancer_type_enum type,
                           const struct elbv2_subnets *subnets,
                           const struct elbv2_subnet_mappings *mappings,
                           struct elbv2_availability_zones *ret)
{
    struct network network = network_default(&op->arena, op->region);
    struct elbv2_availability_zones zones = {.is_set = true};
    if (subnets->count > 0 && mappings->count > 0) {
        return elbv2_invalid(op, "Only one of subnets or subnet mappings can be specified");
    }
    for (size_t i = 0; i < subnets->count; i++) {
        TRY(add_zone(op, &network, subnets->items[i], &zones));
    }
    for (size_t i = 0; i < mappings->count; i++) {
        const struct elbv2_subnet_mapping *m = &mappings->items[i];
        if (m->allocation_id.len > 0) {
            return op_fail_as(op, ERR_NOT_FOUND, &elbv2_error_allocation_id_not_found_exception,
                              "The allocation ID '%.*s' does not exist", STR_ARG(m->allocation_id));
        }
        TRY(add_zone(op, &network, m->subnet_id, &zones));
    }
    if (zones.count == 0) {
        return elbv2_invalid(op, "At least one subnet must be specified");
    }
    if (type == ELBV2_LOAD_BALANCER_TYPE_ENUM_APPLICATION && zones.count < ELBV2_ZONES_MIN) {
        return elbv2_invalid(op, "At least two subnets in two different Availability Zones must be "
                                 "specified");
    }
    *ret = zones;
    return ERR_OK;
}

enum err elbv2_check_security_groups(struct op *op, struct elbv2 *e,
                                     enum elbv2_load_balancer_type_enum type,
                                     const struct elbv2_security_groups *sent,
                                     struct elbv2_security_groups *ret)
{
    struct network network = network_default(&op->arena, op->region);
    struct elbv2_security_groups groups = {0};
    if (type == ELBV2_LOAD_BALANCER_TYPE_ENUM_GATEWAY && sent->count > 0) {
        return op_fail_as(
            op, ERR_INPUT, &elbv2_error_invalid_configuration_request_exception,
            "Security groups are not supported for load balancers with type 'gateway'");
    }
    for (size_t i = 0; i < sent->count; i++) {
        struct engine_ec2_group group = {0};
        if (security_group_get(op, e->store, sent->items[i], &group, NULL) != ERR_OK) {
            return op_fail_as(op, ERR_NOT_FOUND, &elbv2_error_invalid_security_group_exception,
                              "The security group '%.*s' does not exist", STR_ARG(sent->items[i]));
        }
    }
    if (sent->count > 0) {
        groups = *sent;
        groups.is_set = true;
    } else if (type == ELBV2_LOAD_BALANCER_TYPE_ENUM_APPLICATION) {
        groups.is_set = true;
        *ARENA_PUSH(&op->arena, &groups) = network.security_group_id;
    }
    *ret = groups;
    return ERR_OK;
}

enum err elbv2_check_ip_address_type(struct op *op, struct elbv2 *e,
                                     enum elbv2_ip_address_type type)
{
    bool has_ipv6 = str_find_char(e->options.lb_address, ':', 0) != STR_NOT_FOUND;
    if (type == ELBV2_IP_ADDRESS_TYPE_IPV4 || type == ELBV2_IP_ADDRESS_TYPE_UNSET || has_ipv6) {
        return ERR_OK;
    }
    return elbv2_invalid(op, "You must specify subnets with an associated IPv6 CIDR block.");
}

struct str elbv2_hosted_zone(struct op *op, enum elbv2_load_balancer_type_enum type)
{
    static const struct {
        struct str region;
        struct str app;
        struct str net;
    } known[] = {
        {STR_INIT("ap-northeast-1"), STR_INIT("Z14GRHDCWA56QT"), STR_INIT("Z31USIVHYNEOWT")},
        {STR_INIT("ap-northeast-2"), STR_INIT("ZWKZPGTI48KDX"), STR_INIT("ZIBE1TIR4HY56")},
        {STR_INIT("ap-northeast-3"), STR_INIT("Z5LXEXXYW11ES"), STR_INIT("Z1GWIQ4HH19I5X")},
        {STR_INIT("ap-south-1"), STR_INIT("ZP97RAFLXTNZK"), STR_INIT("ZVDDRBQ08TROA")},
        {STR_INIT("ap-southeast-1"), STR_INIT("Z1LMS91P8CMLE5"), STR_INIT("ZKVM4W9LS7TM")},
        {STR_INIT("ap-southeast-2"), STR_INIT("Z1GM3OXH4ZPM65"), STR_INIT("ZCT6FZBF4DROD")},
        {STR_INIT("ca-central-1"), STR_INIT("ZQSVJUPU6J1EY"), STR_INIT("Z2EPGBW3API2WT")},
        {STR_INIT("eu-central-1"), STR_INIT("Z215JYRZR1TBD5"), STR_INIT("Z3F0SRJ5LGBH90")},
        {STR_INIT("eu-north-1"), STR_INIT("Z23TAZ6LKFMNIO"), STR_INIT("Z1UDT6IFJ4EJM")},
        {STR_INIT("eu-west-1"), STR_INIT("Z32O12XQLNTSW2"), STR_INIT("Z2IFOLAFXWLO4F")},
        {STR_INIT("eu-west-2"), STR_INIT("ZHURV8PSTC4K8"), STR_INIT("ZD4D7Y8KGAS4G")},
        {STR_INIT("eu-west-3"), STR_INIT("Z3Q77PNBQS71R4"), STR_INIT("Z1CMS0P5QUZ6D5")},
        {STR_INIT("sa-east-1"), STR_INIT("Z2P70J7HTTTPLU"), STR_INIT("ZTK26PT1VY4CU")},
        {STR_INIT("us-east-1"), STR_INIT("Z35SXDOTRQ7X7K"), STR_INIT("Z26RNL4JYFTOTI")},
        {STR_INIT("us-east-2"), STR_INIT("Z3AADJGX6KTTL2"), STR_INIT("ZLMOA37VPKANP")},
        {STR_INIT("us-west-1"), STR_INIT("Z368ELLRRE2KJ0"), STR_INIT("Z24FKFUX50B4VW")},
        {STR_INIT("us-west-2"), STR_INIT("Z1H1FL5HABSF5"), STR_INIT("Z18D5FSROUN65G")},
    };
    bool is_app = type == ELBV2_LOAD_BALANCER_TYPE_ENUM_APPLICATION;
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        if (str_equal(known[i].region, op->region)) {
            return is_app ? known[i].app : known[i].net;
        }
    }
    return is_app ? STR("Z2P70J7EXAMPLE") : STR("Z26RNL4EXAMPLE");
}

static bool is_taken(const struct store_items *rows, struct str address)
{
    for (size_t i = 0; i < rows->count; i++) {
        const struct engine_elb_more *more = rows->items[i].value;
        if (str_equal(more->address, address)) {
            return true;
        }
    }
    return false;
}

/* Random, so that two engines on one machine seldom meet, and a name that somebody still remembers
 * does not soon lead to another load balancer. */
enum err elbv2_new_address(struct op *op, struct elbv2 *e, struct str *ret)
{
    struct store_items rows = {0};
    TRY(store_list(op, e->store, &elbv2_kind_more, &(struct store_range){.is_every_region = true},
                   &rows));
    for (int i = 0; i < ADDRESS_TRIES_MAX; i++) {
        uint64_t random = rand_u64();
        struct str address = arena_printf(&op->arena, "127.77.%d.%d", (int)(random % 256),
                                          1 + (int)(random / 256 % 254));
        if (!is_taken(&rows, address)) {
            *ret = address;
            return ERR_OK;
        }
    }
    return op_fail_as(op, ERR_LIMIT, &elbv2_error_too_many_load_balancers_exception,
                      "there is no free address left in 127.77.0.0/16");
}
