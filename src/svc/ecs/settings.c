/* Account settings: a value for a principal, else for the account, else AWS's. */
#include "svc/ecs/ecs_priv.h"

struct setting_rule {
    enum ecs_setting_name name;
    const char *otherwise; /* while nobody set it */
    const char *values[5]; /* what may be set */
    enum ecs_setting_type type;
};

#define ON_OFF                \
    {                         \
        "enabled", "disabled" \
    }
#define USER ECS_SETTING_TYPE_USER
static const struct setting_rule setting_rules[] = {
    {ECS_SETTING_NAME_SERVICELONGARNFORMAT, "enabled", ON_OFF, USER},
    {ECS_SETTING_NAME_TASKLONGARNFORMAT, "enabled", ON_OFF, USER},
    {ECS_SETTING_NAME_CONTAINERINSTANCELONGARNFORMAT, "enabled", ON_OFF, USER},
    {ECS_SETTING_NAME_AWSVPCTRUNKING, "disabled", ON_OFF, USER},
    {ECS_SETTING_NAME_CONTAINERINSIGHTS, "disabled", {"enabled", "disabled", "enhanced"}, USER},
    {ECS_SETTING_NAME_FARGATEFIPSMODE, "disabled", ON_OFF, USER},
    {ECS_SETTING_NAME_TAGRESOURCEAUTHORIZATION, "on", {"on", "off"}, USER},
    {ECS_SETTING_NAME_FARGATETASKRETIREMENTWAITPERIOD, "7", {"0", "7", "14"}, USER},
    {ECS_SETTING_NAME_GUARDDUTYACTIVATE, "off", {"on", "off"}, ECS_SETTING_TYPE_AWS_MANAGED},
    {ECS_SETTING_NAME_DEFAULTLOGDRIVERMODE, "non-blocking", {"blocking", "non-blocking"}, USER},
    {ECS_SETTING_NAME_FARGATEEVENTWINDOWS, "disabled", ON_OFF, USER},
};

static const struct setting_rule *find_rule(enum ecs_setting_name name)
{
    for (size_t i = 0; i < ARRAY_COUNT(setting_rules); i++) {
        if (setting_rules[i].name == name) {
            return &setting_rules[i];
        }
    }
    return NULL;
}

static struct str root_arn(struct op *op)
{
    return arn_make_global(op, STR("iam"), STR("root"));
}

static struct str setting_key(struct op *op, struct str principal, enum ecs_setting_name name)
{
    const char *text = shape_enum_name(&shape_ecs_setting_name, (int)name);
    return ecs_key(op, principal, str_of(text));
}

static struct str principal_of(struct op *op, struct str asked)
{
    return ecs_default(asked, ecs_default(op->caller_arn, root_arn(op)));
}

static enum err check_value(struct op *op, const struct setting_rule *rule, struct str value)
{
    if (rule == NULL || rule->type != ECS_SETTING_TYPE_USER) {
        return fail_parameter(op, "This account setting cannot be changed");
    }
    for (size_t i = 0; i < ARRAY_COUNT(rule->values) && rule->values[i] != NULL; i++) {
        if (str_equal(value, str_of(rule->values[i]))) {
            return ERR_OK;
        }
    }
    return fail_parameter(op, "Invalid setting value: \"%.*s\"", STR_ARG(value));
}

static enum err put_setting(struct op *op, struct ecs *ecs, enum ecs_setting_name name,
                            struct str value, struct str principal, struct ecs_setting **ret)
{
    const struct setting_rule *rule = find_rule(name);
    TRY(check_value(op, rule, value));
    struct ecs_setting *s = ARENA_NEW(&op->arena, struct ecs_setting);
    *s = (struct ecs_setting){
        .name = name, .value = value, .principal_arn = principal, .type = rule->type};
    TRY(store_put(op, ecs->config.store, &ecs_kind_setting, setting_key(op, principal, name),
                  principal, s));
    *ret = s;
    return ERR_OK;
}

enum err ecs_put_account_setting(struct op *op, struct ecs *ecs,
                                 const struct ecs_put_account_setting_in *in,
                                 struct ecs_put_account_setting_out *ret)
{
    return put_setting(op, ecs, in->name, in->value, principal_of(op, in->principal_arn),
                       &ret->setting);
}

enum err ecs_put_account_setting_default(struct op *op, struct ecs *ecs,
                                         const struct ecs_put_account_setting_default_in *in,
                                         struct ecs_put_account_setting_default_out *ret)
{
    return put_setting(op, ecs, in->name, in->value, root_arn(op), &ret->setting);
}

/* The value that holds for the principal. */
static enum err see_setting(struct op *op, struct ecs *ecs, const struct setting_rule *rule,
                            struct str principal, bool is_effective, struct ecs_setting *ret,
                            bool *ret_is_set)
{
    struct str owners[] = {principal, root_arn(op)};
    size_t owner_count = is_effective ? 2 : 1;
    for (size_t i = 0; i < owner_count; i++) {
        struct ecs_setting row = {0};
        enum err e = store_get(op, ecs->config.store, &ecs_kind_setting,
                               setting_key(op, owners[i], rule->name), &row);
        if (e == ERR_OK) {
            row.principal_arn = principal;
            *ret = row;
            *ret_is_set = true;
            return ERR_OK;
        }
        if (e != ERR_NOT_FOUND) {
            return e;
        }
        op_note_clear(op);
    }
    *ret = (struct ecs_setting){.name = rule->name,
                                .value = str_of(rule->otherwise),
                                .principal_arn = principal,
                                .type = rule->type};
    *ret_is_set = false;
    return ERR_OK;
}

enum err ecs_delete_account_setting(struct op *op, struct ecs *ecs,
                                    const struct ecs_delete_account_setting_in *in,
                                    struct ecs_delete_account_setting_out *ret)
{
    const struct setting_rule *rule = find_rule(in->name);
    if (rule == NULL) {
        return fail_parameter(op, "Unknown account setting");
    }
    struct str principal = principal_of(op, in->principal_arn);
    TRY(store_remove(op, ecs->config.store, &ecs_kind_setting,
                     setting_key(op, principal, in->name)));
    bool is_set = false;
    struct ecs_setting *s = ARENA_NEW(&op->arena, struct ecs_setting);
    TRY(see_setting(op, ecs, rule, principal, true, s, &is_set));
    ret->setting = s;
    return ERR_OK;
}

enum err ecs_list_account_settings(struct op *op, struct ecs *ecs,
                                   const struct ecs_list_account_settings_in *in,
                                   struct ecs_list_account_settings_out *ret)
{
    bool is_effective = OPT_OR(in->effective_settings, false);
    struct str principal = principal_of(op, in->principal_arn);
    struct ecs_list_account_settings_out out = {.settings = {.is_set = true}};
    for (size_t i = 0; i < ARRAY_COUNT(setting_rules); i++) {
        const struct setting_rule *rule = &setting_rules[i];
        if (in->name != ECS_SETTING_NAME_UNSET && in->name != rule->name) {
            continue;
        }
        struct ecs_setting s = {0};
        bool is_set = false;
        TRY(see_setting(op, ecs, rule, principal, is_effective, &s, &is_set));
        bool is_wanted = in->value.ptr == NULL || str_equal(in->value, s.value);
        if (!is_wanted || (!is_set && !is_effective)) {
            continue;
        }
        *ARENA_PUSH(&op->arena, &out.settings) = s;
    }
    *ret = out; /* eleven at most: one page */
    return ERR_OK;
}
