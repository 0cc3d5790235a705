#include "svc/elbv2/rows.h"

#include "svc/common/arn.h"

#define PARTS_MAX 6

/* The kinds of load balancer as ARNs write them. */
static bool is_family(struct str s)
{
    return STR_IS(s, "app") || STR_IS(s, "net") || STR_IS(s, "gwy");
}

/* Splits at '/'; 0 when there are more than PARTS_MAX parts or one is empty. */
static size_t split(struct str resource, struct str parts[PARTS_MAX])
{
    size_t count = 0;
    struct str rest = resource;
    struct str part = STR_NONE;
    while (str_next(&rest, '/', &part)) {
        if (count == PARTS_MAX || part.len == 0) {
            return 0;
        }
        parts[count++] = part;
    }
    return count;
}

/* From the start of `from` to the end of `to`, which lie in one text. */
static struct str span(struct str from, struct str to)
{
    return str_make(from.ptr, (size_t)(to.ptr + to.len - from.ptr));
}

struct elbv2_name elbv2_read_arn(const struct op *op, struct str arn_text)
{
    struct elbv2_name none = {0};
    struct arn arn = {0};
    struct str p[PARTS_MAX] = {0};
    if (!arn_parse(arn_text, &arn) || !arn_is_here(op, &arn, STR("elasticloadbalancing")) ||
        arn.region.len == 0) {
        return none;
    }
    size_t count = split(arn.resource, p);
    if (count == 3 && STR_IS(p[0], "targetgroup")) {
        return (struct elbv2_name){.resource = ELBV2_GROUP, .name = p[1]};
    }
    if (count == 3 && STR_IS(p[0], "truststore")) {
        return (struct elbv2_name){.resource = ELBV2_TRUST_STORE, .name = p[1]};
    }
    if (count < 4 || !is_family(p[1])) {
        return none;
    }
    struct elbv2_name name = {.load_balancer = span(p[1], p[3]), .name = p[2]};
    if (count == 4 && STR_IS(p[0], "loadbalancer")) {
        name.resource = ELBV2_LOAD_BALANCER;
    } else if (count == 5 && STR_IS(p[0], "listener")) {
        name.resource = ELBV2_LISTENER;
        name.listener_id = p[4];
    } else if (count == 6 && STR_IS(p[0], "listener-rule")) {
        name.resource = ELBV2_RULE;
        name.listener_id = p[4];
        name.rule_id = p[5];
    } else {
        return none;
    }
    return name;
}

struct str elbv2_dimension(struct str arn_text)
{
    struct arn arn = {0};
    struct str tail = STR_NONE;
    if (!arn_parse(arn_text, &arn)) {
        return STR("");
    }
    return arn_tail(&arn, STR("loadbalancer/"), &tail) ? tail : arn.resource;
}

struct str elbv2_load_balancer_arn_of(struct op *op, struct str arn)
{
    struct elbv2_name name = elbv2_read_arn(op, arn);
    return arn_makef(op, STR("elasticloadbalancing"), "loadbalancer/%.*s",
                     STR_ARG(name.load_balancer));
}

struct str elbv2_listener_arn_of(struct op *op, struct str rule_arn)
{
    struct elbv2_name name = elbv2_read_arn(op, rule_arn);
    return arn_makef(op, STR("elasticloadbalancing"), "listener/%.*s/%.*s",
                     STR_ARG(name.load_balancer), STR_ARG(name.listener_id));
}
