#include "svc/ec2/describe.h"
#include "svc/ec2/filter.h"
#include "svc/ec2/security.h"

#include "base/cleanup.h"
#include "gen/elbv2.h"
#include "svc/common/arn.h"
#include "svc/common/ids.h"

#define TEXT_CHARS_MAX 255
#define GROUPS_MAX     2500

const struct err_public ec2_error_group_not_found = {.code = "InvalidGroup.NotFound",
                                                     .http_status = 400};
const struct err_public ec2_error_group_malformed = {.code = "InvalidGroupId.Malformed",
                                                     .http_status = 400};
static const struct err_public duplicate_group = {.code = "InvalidGroup.Duplicate",
                                                  .http_status = 400};
static const struct err_public limit_exceeded = {.code = "SecurityGroupLimitExceeded",
                                                 .http_status = 400};
static const struct err_public in_use = {.code = "DependencyViolation", .http_status = 400};
static const struct err_public cannot_delete = {.code = "CannotDelete", .http_status = 400};
static const struct err_public vpc_not_found = {.code = "InvalidVpcID.NotFound",
                                                .http_status = 400};
static const struct err_public invalid_id = {.code = "InvalidID", .http_status = 400};
static const struct err_public too_many_tags = {.code = "TagLimitExceeded", .http_status = 400};
const struct tag_errors ec2_tag_errors = {.too_many = &too_many_tags,
                                          .duplicate = &ec2_error_invalid_parameter_value,
                                          .invalid = &ec2_error_invalid_parameter_value};

/* Load balancers name the groups that protect them. */
static const struct store_kind load_balancers = {"elbv2.load_balancer", &shape_elbv2_load_balancer};

/* ---- rows ----------------------------------------------------------------------------------- */

static void push_group(struct op *op, struct engine_ec2_group **items, size_t *count,
                       const struct engine_ec2_group *group)
{
    struct {
        struct engine_ec2_group *items;
        size_t count;
    } list = {*items, *count};
    *ARENA_PUSH(&op->arena, &list) = *group;
    *items = list.items;
    *count = list.count;
}

enum err ec2_list_groups(struct op *op, struct ec2 *ec2, struct engine_ec2_group **ret,
                         size_t *ret_count)
{
    struct network n = network_default(&op->arena, op->region);
    struct store *store = ec2 == NULL ? NULL : ec2->store;
    struct engine_ec2_group group = {0};
    struct store_items rows = {0};
    *ret = NULL;
    *ret_count = 0;
    TRY(security_group_get(op, store, n.security_group_id, &group, NULL));
    push_group(op, ret, ret_count, &group);
    if (store == NULL) {
        return ERR_OK;
    }
    TRY(store_list(op, store, &security_group_kind, &(struct store_range){0}, &rows));
    for (size_t i = 0; i < rows.count; i++) {
        if (!str_equal(rows.items[i].key, n.security_group_id)) {
            push_group(op, ret, ret_count, rows.items[i].value);
        }
    }
    return ERR_OK;
}

enum err ec2_find_group(struct op *op, struct ec2 *ec2, struct str id, struct str name,
                        struct engine_ec2_group *ret)
{
    if (id.len > 0 && !str_starts_with(id, STR("sg-"))) {
        return op_fail_as(op, ERR_INPUT, &ec2_error_group_malformed,
                          "Invalid id: \"%.*s\" (expecting \"sg-...\")", STR_ARG(id));
    }
    struct engine_ec2_group *groups = NULL;
    size_t count = 0;
    TRY(ec2_list_groups(op, ec2, &groups, &count));
    for (size_t i = 0; i < count; i++) {
        const struct ec2_security_group *group = groups[i].group;
        if (id.len > 0 ? str_equal(group->group_id, id) : str_equal(group->group_name, name)) {
            *ret = groups[i];
            return ERR_OK;
        }
    }
    return op_fail_as(op, ERR_NOT_FOUND, &ec2_error_group_not_found,
                      "The security group '%.*s' does not exist", STR_ARG(id.len > 0 ? id : name));
}

enum err ec2_put_group(struct op *op, struct ec2 *ec2, const struct engine_ec2_group *group)
{
    TRY(store_put(op, ec2->store, &security_group_kind, group->group->group_id, STR(""), group));
    if (ec2->groups_changed != NULL) {
        ec2->groups_changed(ec2->self, op);
    }
    return ERR_OK;
}

/* ---- tags ----------------------------------------------------------------------------------- */

enum err ec2_tags_for(struct op *op, const struct ec2_tag_specification_list *specifications,
                      enum ec2_resource_type type, struct ec2_tag_list *ret)
{
    struct tags tags = {.is_set = true};
    for (size_t i = 0; i < specifications->count; i++) {
        if (specifications->items[i].resource_type == type) {
            struct tags more = TAGS_FROM(&op->arena, specifications->items[i].tags);
            TRY(tags_check(op, &ec2_tag_errors, &more));
            TRY(tags_merge(op, &ec2_tag_errors, &tags, &more, &tags));
        }
    }
    TAGS_INTO(&op->arena, tags, ret);
    return ERR_OK;
}

void ec2_tag_facts(struct arena *a, struct ec2_facts *facts, const struct ec2_tag_list *tags)
{
    for (size_t i = 0; i < tags->count; i++) {
        struct str name = arena_printf(a, "tag:%.*s", STR_ARG(tags->items[i].key));
        ec2_fact(a, facts, name.ptr, tags->items[i].value);
        ec2_fact(a, facts, "tag-key", tags->items[i].key);
        ec2_fact(a, facts, "tag-value", tags->items[i].value);
    }
}

/* The tags of a group or of one of its rules; NULL when the id names neither. */
static struct ec2_tag_list *tags_of(struct engine_ec2_group *group, struct str id)
{
    if (str_equal(group->group->group_id, id)) {
        return &group->group->tags;
    }
    for (size_t i = 0; i < group->rules.count; i++) {
        if (str_equal(group->rules.items[i].security_group_rule_id, id)) {
            return &group->rules.items[i].tags;
        }
    }
    return NULL;
}

static enum err find_tags(struct op *op, struct ec2 *ec2, struct str id,
                          struct engine_ec2_group *ret_group, struct ec2_tag_list **ret_tags)
{
    struct engine_ec2_group *groups = NULL;
    size_t count = 0;
    TRY(ec2_list_groups(op, ec2, &groups, &count));
    for (size_t i = 0; i < count; i++) {
        *ret_tags = tags_of(&groups[i], id);
        if (*ret_tags != NULL) {
            *ret_group = groups[i];
            return ERR_OK;
        }
    }
    return op_fail_as(op, ERR_NOT_FOUND, &invalid_id,
                      "The ID '%.*s' is not valid: this engine tags security groups and their "
                      "rules",
                      STR_ARG(id));
}

enum err ec2_create_tags(struct op *op, struct ec2 *ec2, const struct ec2_create_tags_in *in,
                         struct ec2_create_tags_out *ret)
{
    (void)ret;
    TRY(ec2_check_dry_run(op, in->dry_run));
    struct tags sent = TAGS_FROM(&op->arena, in->tags);
    TRY(tags_check(op, &ec2_tag_errors, &sent));
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ec2->store, &tx));
    for (size_t i = 0; i < in->resources.count; i++) {
        struct engine_ec2_group group = {0};
        struct ec2_tag_list *tags = NULL;
        TRY(find_tags(op, ec2, in->resources.items[i], &group, &tags));
        struct tags have = TAGS_FROM(&op->arena, *tags);
        struct tags merged = {0};
        TRY(tags_merge(op, &ec2_tag_errors, &have, &sent, &merged));
        TAGS_INTO(&op->arena, merged, tags);
        TRY(ec2_put_group(op, ec2, &group));
    }
    return store_tx_commit(op, &tx);
}

enum err ec2_delete_tags(struct op *op, struct ec2 *ec2, const struct ec2_delete_tags_in *in,
                         struct ec2_delete_tags_out *ret)
{
    (void)ret;
    TRY(ec2_check_dry_run(op, in->dry_run));
    struct str *keys = ARENA_ARRAY(&op->arena, struct str, in->tags.count);
    for (size_t i = 0; i < in->tags.count; i++) {
        keys[i] = in->tags.items[i].key;
    }
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ec2->store, &tx));
    for (size_t i = 0; i < in->resources.count; i++) {
        struct engine_ec2_group group = {0};
        struct ec2_tag_list *tags = NULL;
        TRY(find_tags(op, ec2, in->resources.items[i], &group, &tags));
        struct tags have = TAGS_FROM(&op->arena, *tags);
        struct tags left = {.is_set = true}; /* without keys: all of them go */
        if (in->tags.count > 0) {
            left = tags_without(&op->arena, &have, keys, in->tags.count);
        }
        TAGS_INTO(&op->arena, left, tags);
        TRY(ec2_put_group(op, ec2, &group));
    }
    return store_tx_commit(op, &tx);
}

/* ---- create, delete ------------------------------------------------------------------------- */

static bool is_text(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = str_lower_char(s.ptr[i]);
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!is_plain && str_find_char(STR(" ._-:/()#,@[]+=&;{}!$*"), c, 0) == STR_NOT_FOUND) {
            return false;
        }
    }
    return s.len > 0 && s.len <= TEXT_CHARS_MAX;
}

static enum err check_new(struct op *op, struct ec2 *ec2, const struct network *n,
                          const struct ec2_create_security_group_in *in)
{
    if (!is_text(in->group_name) || str_starts_with(in->group_name, STR("sg-"))) {
        return op_fail_as(op, ERR_INPUT, &ec2_error_invalid_parameter_value,
                          "Value (%.*s) for parameter GroupName is invalid. Group names may not be "
                          "in the format sg-*, have up to 255 characters",
                          STR_ARG(in->group_name));
    }
    if (!is_text(in->description)) {
        return op_fail_as(op, ERR_INPUT, &ec2_error_invalid_parameter_value,
                          "Value (%.*s) for parameter GroupDescription is invalid. Character sets "
                          "beyond ASCII are not supported.",
                          STR_ARG(in->description));
    }
    if (in->vpc_id.len > 0 && !str_equal(in->vpc_id, n->vpc_id)) {
        return op_fail_as(op, ERR_NOT_FOUND, &vpc_not_found, "The vpc ID '%.*s' does not exist",
                          STR_ARG(in->vpc_id));
    }
    struct engine_ec2_group *groups = NULL;
    size_t count = 0;
    TRY(ec2_list_groups(op, ec2, &groups, &count));
    for (size_t i = 0; i < count; i++) {
        if (str_equal(groups[i].group->group_name, in->group_name)) {
            return op_fail_as(op, ERR_EXISTS, &duplicate_group,
                              "The security group '%.*s' already exists for VPC '%.*s'",
                              STR_ARG(in->group_name), STR_ARG(n->vpc_id));
        }
    }
    return count < GROUPS_MAX ? ERR_OK
                              : op_fail_as(op, ERR_LIMIT, &limit_exceeded,
                                           "The maximum number of security groups has been "
                                           "reached: %d",
                                           GROUPS_MAX);
}

static void add_way_out(struct op *op, struct engine_ec2_group *to)
{
    to->rules.is_set = true;
    *ARENA_PUSH(&op->arena, &to->rules) = (struct ec2_security_group_rule){
        .security_group_rule_id =
            arena_printf(&op->arena, "sgr-%.*s", STR_ARG(id_hex17(&op->arena))),
        .group_id = to->group->group_id,
        .group_owner_id = op->account,
        .is_egress = OPT_BOOL(true),
        .ip_protocol = STR("-1"),
        .from_port = OPT_I32(-1),
        .to_port = OPT_I32(-1),
        .cidr_ipv4 = STR("0.0.0.0/0"),
    };
}

enum err ec2_create_security_group(struct op *op, struct ec2 *ec2,
                                   const struct ec2_create_security_group_in *in,
                                   struct ec2_create_security_group_out *ret)
{
    TRY(ec2_check_dry_run(op, in->dry_run));
    struct network n = network_default(&op->arena, op->region);
    struct ec2_security_group group = {
        .group_id = arena_printf(&op->arena, "sg-%.*s", STR_ARG(id_hex17(&op->arena))),
        .group_name = in->group_name,
        .description = in->description,
        .owner_id = op->account,
        .vpc_id = n.vpc_id,
    };
    group.security_group_arn =
        arn_makef(op, STR("ec2"), "security-group/%.*s", STR_ARG(group.group_id));
    TRY(ec2_tags_for(op, &in->tag_specifications, EC2_RESOURCE_TYPE_SECURITY_GROUP, &group.tags));
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ec2->store, &tx));
    TRY(check_new(op, ec2, &n, in));
    struct engine_ec2_group row = {.group = &group};
    add_way_out(op, &row);
    TRY(ec2_put_group(op, ec2, &row));
    TRY(store_tx_commit(op, &tx));
    ret->group_id = group.group_id;
    ret->security_group_arn = group.security_group_arn;
    ret->tags = group.tags;
    return ERR_OK;
}

static bool names_group(const struct engine_ec2_group *group, struct str id)
{
    for (size_t i = 0; i < group->rules.count; i++) {
        const struct ec2_referenced_security_group *other =
            group->rules.items[i].referenced_group_info;
        if (other != NULL && str_equal(other->group_id, id)) {
            return !str_equal(group->group->group_id, id);
        }
    }
    return false;
}

static enum err check_unused(struct op *op, struct ec2 *ec2, struct str id)
{
    struct engine_ec2_group *groups = NULL;
    size_t count = 0;
    struct store_items rows = {0};
    bool is_used = false;
    TRY(ec2_list_groups(op, ec2, &groups, &count));
    for (size_t i = 0; i < count; i++) {
        is_used = is_used || names_group(&groups[i], id);
    }
    TRY(store_list(op, ec2->store, &load_balancers, &(struct store_range){0}, &rows));
    for (size_t i = 0; i < rows.count; i++) {
        const struct elbv2_load_balancer *lb = rows.items[i].value;
        for (size_t k = 0; k < lb->security_groups.count; k++) {
            is_used = is_used || str_equal(lb->security_groups.items[k], id);
        }
    }
    return is_used ? op_fail_as(op, ERR_STATE, &in_use, "resource %.*s has a dependent object",
                                STR_ARG(id))
                   : ERR_OK;
}

enum err ec2_delete_security_group(struct op *op, struct ec2 *ec2,
                                   const struct ec2_delete_security_group_in *in,
                                   struct ec2_delete_security_group_out *ret)
{
    TRY(ec2_check_dry_run(op, in->dry_run));
    struct engine_ec2_group row = {0};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ec2->store, &tx));
    TRY(ec2_find_group(op, ec2, in->group_id, in->group_name, &row));
    struct str id = row.group->group_id;
    if (STR_IS(row.group->group_name, "default")) {
        return op_fail_as(op, ERR_STATE, &cannot_delete,
                          "the specified group: \"%.*s\" name: \"default\" cannot be deleted by a "
                          "user",
                          STR_ARG(id));
    }
    TRY(check_unused(op, ec2, id));
    TRY(store_remove(op, ec2->store, &security_group_kind, id));
    ret->return_ = OPT_BOOL(true);
    ret->group_id = id;
    return store_tx_commit(op, &tx);
}

/* ---- describe ------------------------------------------------------------------------------- */

static bool is_same_kind(const struct ec2_ip_permission *p,
                         const struct ec2_security_group_rule *rule)
{
    return str_equal(p->ip_protocol, rule->ip_protocol) &&
           (STR_IS(rule->ip_protocol, "-1") ||
            (OPT_OR(p->from_port, -1) == OPT_OR(rule->from_port, -1) &&
             OPT_OR(p->to_port, -1) == OPT_OR(rule->to_port, -1)));
}

/* The permission of the rule's protocol and ports, which rules of other sources share. */
static struct ec2_ip_permission *permission_for(struct arena *a, struct ec2_ip_permission_list *to,
                                                const struct ec2_security_group_rule *rule)
{
    for (size_t i = 0; i < to->count; i++) {
        if (is_same_kind(&to->items[i], rule)) {
            return &to->items[i];
        }
    }
    struct ec2_ip_permission *p = ARENA_PUSH(a, to);
    p->ip_protocol = rule->ip_protocol;
    if (!STR_IS(rule->ip_protocol, "-1")) {
        p->from_port = rule->from_port;
        p->to_port = rule->to_port;
    }
    p->user_id_group_pairs.is_set = true;
    p->ip_ranges.is_set = true;
    p->ipv6_ranges.is_set = true;
    p->prefix_list_ids.is_set = true;
    return p;
}

static void add_permission(struct arena *a, struct ec2_security_group *to,
                           const struct ec2_security_group_rule *rule)
{
    struct ec2_ip_permission *p = permission_for(
        a, OPT_OR(rule->is_egress, false) ? &to->ip_permissions_egress : &to->ip_permissions, rule);
    if (rule->cidr_ipv4.len > 0) {
        *ARENA_PUSH(a, &p->ip_ranges) =
            (struct ec2_ip_range){.cidr_ip = rule->cidr_ipv4, .description = rule->description};
    } else if (rule->cidr_ipv6.len > 0) {
        *ARENA_PUSH(a, &p->ipv6_ranges) =
            (struct ec2_ipv6_range){.cidr_ipv6 = rule->cidr_ipv6, .description = rule->description};
    } else if (rule->referenced_group_info != NULL) {
        *ARENA_PUSH(a, &p->user_id_group_pairs) =
            (struct ec2_user_id_group_pair){.group_id = rule->referenced_group_info->group_id,
                                            .user_id = rule->referenced_group_info->user_id,
                                            .description = rule->description};
    }
}

static struct ec2_security_group shown(struct op *op, const struct engine_ec2_group *row)
{
    struct ec2_security_group group = *row->group;
    group.ip_permissions = (struct ec2_ip_permission_list){.is_set = true};
    group.ip_permissions_egress = (struct ec2_ip_permission_list){.is_set = true};
    group.tags.is_set = true;
    for (size_t i = 0; i < row->rules.count; i++) {
        add_permission(&op->arena, &group, &row->rules.items[i]);
    }
    return group;
}

static void add_rule_facts(struct arena *a, struct ec2_facts *f,
                           const struct ec2_security_group_rule *rule)
{
    const char *way = OPT_OR(rule->is_egress, false) ? "egress." : "";
    const struct ec2_referenced_security_group *other = rule->referenced_group_info;
    const struct {
        const char *name;
        struct str value;
    } facts[] = {
        {"protocol", rule->ip_protocol},
        {"cidr", rule->cidr_ipv4},
        {"ipv6-cidr", rule->cidr_ipv6},
        {"from-port", arena_printf(a, "%d", OPT_OR(rule->from_port, -1))},
        {"to-port", arena_printf(a, "%d", OPT_OR(rule->to_port, -1))},
        {"group-id", other == NULL ? STR_NONE : other->group_id},
        {"user-id", other == NULL ? STR_NONE : other->user_id},
    };
    for (size_t i = 0; i < sizeof(facts) / sizeof(*facts); i++) {
        struct str name = arena_printf(a, "%sip-permission.%s", way, facts[i].name);
        ec2_fact(a, f, name.ptr, facts[i].value);
    }
}

static struct ec2_facts group_facts(struct op *op, const struct engine_ec2_group *row)
{
    struct arena *a = &op->arena;
    struct ec2_facts f = {0};
    ec2_fact(a, &f, "group-id", row->group->group_id);
    ec2_fact(a, &f, "group-name", row->group->group_name);
    ec2_fact(a, &f, "description", row->group->description);
    ec2_fact(a, &f, "owner-id", op->account);
    ec2_fact(a, &f, "vpc-id", row->group->vpc_id);
    ec2_tag_facts(a, &f, &row->group->tags);
    for (size_t i = 0; i < row->rules.count; i++) {
        add_rule_facts(a, &f, &row->rules.items[i]);
    }
    ec2_facts_without(
        a, &f,
        "ip-permission.cidr ip-permission.from-port ip-permission.group-id "
        "ip-permission.group-name ip-permission.ipv6-cidr ip-permission.prefix-list-id "
        "ip-permission.protocol ip-permission.to-port ip-permission.user-id "
        "egress.ip-permission.cidr egress.ip-permission.from-port "
        "egress.ip-permission.group-id egress.ip-permission.group-name "
        "egress.ip-permission.ipv6-cidr egress.ip-permission.prefix-list-id "
        "egress.ip-permission.protocol egress.ip-permission.to-port "
        "egress.ip-permission.user-id");
    return f;
}

static enum err check_names(struct op *op, struct ec2 *ec2, const struct network *n,
                            const struct ec2_group_name_string_list *names, struct str **ret_ids)
{
    *ret_ids = ARENA_ARRAY(&op->arena, struct str, names->count);
    for (size_t i = 0; i < names->count; i++) {
        struct engine_ec2_group group = {0};
        if (ec2_find_group(op, ec2, STR_NONE, names->items[i], &group) != ERR_OK) {
            return op_fail_as(op, ERR_NOT_FOUND, &ec2_error_group_not_found,
                              "The security group '%.*s' does not exist in default VPC '%.*s'",
                              STR_ARG(names->items[i]), STR_ARG(n->vpc_id));
        }
        (*ret_ids)[i] = group.group->group_id;
    }
    return ERR_OK;
}

enum err ec2_describe_security_groups(struct op *op, struct ec2 *ec2,
                                      const struct ec2_describe_security_groups_in *in,
                                      struct ec2_describe_security_groups_out *ret)
{
    TRY(ec2_check_dry_run(op, in->dry_run));
    struct network n = network_default(&op->arena, op->region);
    struct engine_ec2_group *groups = NULL;
    size_t count = 0;
    struct str *named = NULL;
    TRY(check_names(op, ec2, &n, &in->group_names, &named));
    TRY(ec2_list_groups(op, ec2, &groups, &count));
    struct ec2_resources all = {.items = ARENA_ARRAY(&op->arena, struct ec2_resource, count),
                                .count = count};
    for (size_t i = 0; i < count; i++) {
        all.items[i] = (struct ec2_resource){
            .id = groups[i].group->group_id, .facts = group_facts(op, &groups[i]), .index = i};
    }
    bool is_by_id = in->group_ids.count > 0;
    struct ec2_asked asked = {.ids = is_by_id ? in->group_ids.items : named,
                              .id_count = is_by_id ? in->group_ids.count : in->group_names.count,
                              .filters = &in->filters,
                              .max_results = in->max_results,
                              .next_token = in->next_token,
                              .list_name = "ec2.security_groups",
                              .noun = "security group",
                              .prefix = "sg-",
                              .not_found = &ec2_error_group_not_found,
                              .malformed = &ec2_error_group_malformed};
    struct ec2_resources chosen = {0};
    TRY(ec2_choose(op, &asked, &all, &chosen, &ret->next_token));
    ret->security_groups.is_set = true;
    for (size_t i = 0; i < chosen.count; i++) {
        *ARENA_PUSH(&op->arena, &ret->security_groups) = shown(op, &groups[chosen.items[i].index]);
    }
    return ERR_OK;
}
