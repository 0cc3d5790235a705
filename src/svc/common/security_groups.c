#include "svc/common/security_groups.h"

#include "svc/common/arn.h"
#include "svc/common/ids.h"

const struct store_kind security_group_kind = {"ec2.security_group", &shape_engine_ec2_group};

static void push_rule(struct op *op, struct engine_ec2_group *to, bool is_egress,
                      const struct network *n)
{
    to->rules.is_set = true;
    struct ec2_security_group_rule *rule = ARENA_PUSH(&op->arena, &to->rules);
    struct str words =
        arena_printf(&op->arena, "%.*s %d", STR_ARG(n->security_group_id), is_egress);
    rule->security_group_rule_id =
        arena_printf(&op->arena, "sgr-%.*s", STR_ARG(id_derived(&op->arena, words, 17)));
    rule->group_id = n->security_group_id;
    rule->group_owner_id = op->account;
    rule->is_egress = OPT_BOOL(is_egress);
    rule->ip_protocol = STR("-1");
    rule->from_port = OPT_I32(-1);
    rule->to_port = OPT_I32(-1);
    if (is_egress) {
        rule->cidr_ipv4 = STR("0.0.0.0/0");
    } else {
        rule->referenced_group_info = ARENA_NEW(&op->arena, struct ec2_referenced_security_group);
        rule->referenced_group_info->group_id = n->security_group_id;
        rule->referenced_group_info->user_id = op->account;
    }
}

static void make_default(struct op *op, const struct network *n, struct engine_ec2_group *ret)
{
    *ret = (struct engine_ec2_group){.group = ARENA_NEW(&op->arena, struct ec2_security_group)};
    ret->group->group_id = n->security_group_id;
    ret->group->group_name = STR("default");
    ret->group->description = STR("default VPC security group");
    ret->group->owner_id = op->account;
    ret->group->vpc_id = n->vpc_id;
    ret->group->security_group_arn =
        arn_makef(op, STR("ec2"), "security-group/%.*s", STR_ARG(n->security_group_id));
    push_rule(op, ret, false, n);
    push_rule(op, ret, true, n);
}

enum err security_group_get(struct op *op, struct store *store, struct str id,
                            struct engine_ec2_group *ret, bool *ret_is_untouched)
{
    struct network n = network_default(&op->arena, op->region);
    bool is_untouched = false;
    enum err result =
        store == NULL ? ERR_NOT_FOUND : store_get(op, store, &security_group_kind, id, ret);
    if (result == ERR_NOT_FOUND && str_equal(id, n.security_group_id)) {
        op_note_clear(op);
        make_default(op, &n, ret);
        is_untouched = true;
        result = ERR_OK;
    }
    if (result == ERR_OK && ret_is_untouched != NULL) {
        *ret_is_untouched = is_untouched;
    }
    return result;
}

/* ---- what they let in ----------------------------------------------------------------------- */

struct sources {
    struct str *items;
    size_t count;
};

static bool lets_in(const struct ec2_security_group_rule *rule, int32_t port)
{
    bool is_any = STR_IS(rule->ip_protocol, "-1");
    bool is_tcp = STR_IS(rule->ip_protocol, "tcp") && OPT_OR(rule->from_port, 0) <= port &&
                  port <= OPT_OR(rule->to_port, 65535);
    return !OPT_OR(rule->is_egress, false) && (is_any || is_tcp);
}

static void add_sources(struct op *op, const struct ec2_security_group_rule *rule,
                        struct sources *to)
{
    static const struct str members[] = {STR_INIT("127.0.0.0/8"), STR_INIT("::1/128"),
                                         STR_INIT(NETWORK_VPC_CIDR)};
    if (rule->cidr_ipv4.len > 0) {
        *ARENA_PUSH(&op->arena, to) = rule->cidr_ipv4;
    }
    if (rule->cidr_ipv6.len > 0) {
        *ARENA_PUSH(&op->arena, to) = rule->cidr_ipv6;
    }
    for (size_t i = 0;
         rule->referenced_group_info != NULL && i < sizeof(members) / sizeof(*members); i++) {
        *ARENA_PUSH(&op->arena, to) = members[i];
    }
}

enum err security_groups_sources(struct op *op, struct store *store, const struct str *ids,
                                 size_t count, int32_t port, bool *ret_is_open,
                                 struct str **ret_cidrs, size_t *ret_cidr_count)
{
    struct sources sources = {0};
    *ret_is_open = count == 0;
    for (size_t i = 0; i < count; i++) {
        struct engine_ec2_group group = {0};
        bool is_untouched = false;
        enum err result = security_group_get(op, store, ids[i], &group, &is_untouched);
        if (result == ERR_NOT_FOUND) {
            op_note_clear(op); /* it lets nobody in */
            continue;
        }
        TRY(result);
        *ret_is_open = *ret_is_open || is_untouched;
        for (size_t k = 0; k < group.rules.count; k++) {
            if (lets_in(&group.rules.items[k], port)) {
                add_sources(op, &group.rules.items[k], &sources);
            }
        }
    }
    *ret_cidrs = sources.items;
    *ret_cidr_count = sources.count;
    return ERR_OK;
}
