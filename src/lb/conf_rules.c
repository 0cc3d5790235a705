/* The rules of a listener, from a snapshot's form to that of the workers. */

#include "lb/conf_build.h"
#include "lb/login.h"
#include "lb/registry.h"
#include "lb/rule.h"

#include "base/check.h"

static const struct {
    struct str name;
    enum lb_field field;
} fields[] = {
    {STR_INIT("host-header"), LB_HOST},   {STR_INIT("path-pattern"), LB_PATH},
    {STR_INIT("http-header"), LB_HEADER}, {STR_INIT("http-request-method"), LB_METHOD},
    {STR_INIT("query-string"), LB_QUERY}, {STR_INIT("source-ip"), LB_SOURCE_IP},
};

static enum err read_cidrs(struct lb_build *b, const struct lbconf_condition *in,
                           struct lb_condition *c)
{
    c->cidrs = ARENA_ARRAY(b->arena, struct lb_cidr, c->count);
    for (size_t i = 0; i < c->count; i++) {
        if (!lb_cidr_read(in->values.items[i], &c->cidrs[i])) {
            return op_fail(b->op, ERR_INPUT, "\"%.*s\" is no address range",
                           STR_ARG(in->values.items[i]));
        }
    }
    return ERR_OK;
}

static enum err read_regexes(struct lb_build *b, const struct lbconf_condition *in,
                             struct lb_condition *c)
{
    c->regex_count = in->regex_values.count;
    c->regexes = ARENA_ARRAY(b->arena, const struct regex *, c->regex_count);
    for (size_t i = 0; i < c->regex_count; i++) {
        TRY(lb_regex_take(b->op, b->registry, b->conf, in->regex_values.items[i],
                          c->field != LB_PATH, &c->regexes[i]));
    }
    return ERR_OK;
}

static enum err read_condition(struct lb_build *b, const struct lbconf_condition *in,
                               struct lb_condition *c)
{
    size_t known = 0;
    while (known < ARRAY_COUNT(fields) && !str_equal(fields[known].name, in->field)) {
        known++;
    }
    if (known == ARRAY_COUNT(fields)) {
        return op_fail(b->op, ERR_UNSUPPORTED, "condition field \"%.*s\" is not known",
                       STR_ARG(in->field));
    }
    c->field = fields[known].field;
    c->count = c->field == LB_QUERY ? in->pairs.count : in->values.count;
    size_t alternatives = c->count + in->regex_values.count;
    if (alternatives == 0 || alternatives > LB_VALUES_MAX) {
        return op_fail(b->op, ERR_LIMIT, "condition %.*s has %zu values", STR_ARG(in->field),
                       alternatives);
    }
    if (c->field == LB_SOURCE_IP) {
        return read_cidrs(b, in, c);
    }
    if (c->field == LB_QUERY) {
        c->pairs = ARENA_ARRAY(b->arena, struct lb_pair, c->count);
        for (size_t i = 0; i < c->count; i++) {
            c->pairs[i].key = arena_str(b->arena, in->pairs.items[i].key);
            c->pairs[i].value = arena_str(b->arena, in->pairs.items[i].value);
        }
        return ERR_OK;
    }
    c->header_name = arena_str(b->arena, in->header_name);
    c->values = ARENA_ARRAY(b->arena, struct str, c->count);
    for (size_t i = 0; i < c->count; i++) {
        c->values[i] = arena_str(b->arena, in->values.items[i]);
    }
    return read_regexes(b, in, c);
}

static enum err read_transform(struct lb_build *b, const struct lbconf_transform *in,
                               struct lb_rule *rule)
{
    bool is_host = STR_IS(in->type, "host-header-rewrite");
    if (!is_host && !STR_IS(in->type, "url-rewrite")) {
        return op_fail(b->op, ERR_UNSUPPORTED, "transform \"%.*s\" is not known",
                       STR_ARG(in->type));
    }
    struct lb_transform *t = is_host ? &rule->host_transform : &rule->url_transform;
    t->replace = arena_str(b->arena, in->replace);
    rule->has_transforms = true;
    return lb_regex_take(b->op, b->registry, b->conf, in->regex, is_host, &t->regex);
}

static enum err read_forward(struct lb_build *b, const struct lbconf_action *in,
                             struct lb_action *a)
{
    a->type = LB_FORWARD;
    if (in->weights.count == 0 || in->weights.count > LB_WEIGHTS_MAX) {
        return op_fail(b->op, ERR_LIMIT, "a forward action has %zu target groups, 1 to %d can be",
                       in->weights.count, LB_WEIGHTS_MAX);
    }
    a->weight_count = in->weights.count;
    for (size_t i = 0; i < in->weights.count; i++) {
        int32_t group = OPT_OR(in->weights.items[i].target_group, -1);
        int32_t weight = OPT_OR(in->weights.items[i].weight, 1);
        if (group < 0 || (size_t)group >= b->conf->group_count || weight < 0 ||
            weight > LB_WEIGHT_MAX) {
            return op_fail(b->op, ERR_INPUT, "a forward action names group %d with weight %d",
                           group, weight);
        }
        a->weights[i] =
            (struct lb_weight){.group = &b->conf->groups[group], .weight = (uint32_t)weight};
        a->weight_sum += (uint32_t)weight;
    }
    return ERR_OK;
}

static enum err read_status(struct lb_build *b, struct str text, unsigned *ret)
{
    struct str digits = str_starts_with(text, STR("HTTP_")) ? str_from(text, 5) : text;
    uint64_t status;
    if (digits.len != 3 || !str_parse_u64(digits, 599, &status) || status < 200) {
        return op_fail(b->op, ERR_INPUT, "an action has the status \"%.*s\"", STR_ARG(text));
    }
    *ret = (unsigned)status;
    return ERR_OK;
}

static struct str copy_or(struct lb_build *b, struct str text, struct str otherwise)
{
    return str_is_set(text) ? arena_str(b->arena, text) : otherwise;
}

static enum err read_action(struct lb_build *b, const struct lbconf_listener *listener,
                            const struct lbconf_action *in, struct lb_action *a)
{
    if (STR_IS(in->type, "forward")) {
        TRY(read_forward(b, in, a));
        return lb_conf_read_stay(b->op, b->arena, listener, b->groups, in, a);
    }
    if (STR_IS(in->type, "fixed-response")) {
        a->type = LB_FIXED;
        if (in->message_body.len > LB_FIXED_BODY_BYTES_MAX) {
            return op_fail(b->op, ERR_LIMIT, "a fixed response has %zu bytes, the limit is %d",
                           in->message_body.len, LB_FIXED_BODY_BYTES_MAX);
        }
        a->body = copy_or(b, in->message_body, STR(""));
        a->content_type = copy_or(b, in->content_type, STR("text/plain; charset=utf-8"));
        return read_status(b, in->status_code, &a->status);
    }
    if (STR_IS(in->type, "redirect")) {
        a->type = LB_REDIRECT;
        a->protocol = copy_or(b, in->protocol, STR("#{protocol}"));
        a->host = copy_or(b, in->host, STR("#{host}"));
        a->port = copy_or(b, in->port, STR("#{port}"));
        a->path = copy_or(b, in->path, STR("/#{path}"));
        a->query = copy_or(b, in->query, STR("#{query}"));
        return read_status(b, in->status_code, &a->status);
    }
    return op_fail(b->op, ERR_UNSUPPORTED, "action \"%.*s\" is not known", STR_ARG(in->type));
}

static enum err read_rule(struct lb_build *b, const struct lbconf_listener *listener,
                          const struct lbconf_rule *in, struct lb_rule *rule)
{
    rule->arn = arena_str(b->arena, in->arn);
    rule->priority = OPT_OR(in->priority, 0);
    if (in->conditions.count > LB_CONDITIONS_MAX) {
        return op_fail(b->op, ERR_LIMIT, "%.*s has %zu conditions", STR_ARG(in->arn),
                       in->conditions.count);
    }
    if (in->actions.count == 0 || in->actions.count > LB_ACTIONS_MAX) {
        return op_fail(b->op, ERR_LIMIT, "%.*s has %zu actions, 1 to %d can be", STR_ARG(in->arn),
                       in->actions.count, LB_ACTIONS_MAX);
    }
    for (size_t i = in->actions.count - 1; i > 0; i--) {
        TRY(lb_login_or_guard_add(b->op, b->conf, listener, &in->actions.items[i - 1], rule));
    }
    rule->conditions = ARENA_ARRAY(b->arena, struct lb_condition, in->conditions.count);
    rule->condition_count = in->conditions.count;
    for (size_t i = 0; i < in->conditions.count; i++) {
        TRY(read_condition(b, &in->conditions.items[i], &rule->conditions[i]));
    }
    for (size_t i = 0; i < in->transforms.count; i++) {
        TRY(read_transform(b, &in->transforms.items[i], rule));
    }
    const struct lbconf_action *last = &in->actions.items[in->actions.count - 1];
    return read_action(b, listener, last, &rule->action);
}

static bool comes_before(const struct lb_rule *a, const struct lb_rule *b)
{
    if (a->priority == 0 || b->priority == 0) {
        return a->priority != 0;
    }
    return a->priority < b->priority;
}

/* Insertion: rules come nearly sorted, and there are few. */
static void sort_rules(struct lb_rule *rules, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct lb_rule rule = rules[i];
        size_t at = i;
        while (at > 0 && comes_before(&rule, &rules[at - 1])) {
            rules[at] = rules[at - 1];
            at--;
        }
        rules[at] = rule;
    }
}

enum err lb_rules_read(struct lb_build *b, const struct lbconf_listener *in, struct lb_listener *l)
{
    l->rules = ARENA_ARRAY(b->arena, struct lb_rule, in->rules.count);
    l->rule_count = in->rules.count;
    for (size_t i = 0; i < in->rules.count; i++) {
        TRY(read_rule(b, in, &in->rules.items[i], &l->rules[i]));
        l->has_logins |= l->rules[i].login != NULL;
    }
    sort_rules(l->rules, l->rule_count);
    return ERR_OK;
}
