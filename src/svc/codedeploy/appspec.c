#include "svc/codedeploy/appspec.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/near.h"
#include "codec/json.h"
#include "rollout/shift.h"
#include "svc/codedeploy/limits.h"

#define PORT_MAX 65535

/* A key that may stand in a map, and who reads its value. */
struct field {
    struct str name;
    enum err (*read)(struct op *op, const struct appspec_node *node,
                     struct engine_codedeploy_spec *to);
};

static enum err refuse(struct op *op, const struct appspec_node *node, const char *what)
{
    if (str_is_set(node->key)) {
        return op_fail(op, ERR_INPUT, "line %d: %.*s %s", node->line, STR_ARG(node->key), what);
    }
    return op_fail(op, ERR_INPUT, "line %d: %s", node->line, what);
}

static enum err unknown_key(struct op *op, const struct appspec_node *node,
                            const struct field *fields, size_t count)
{
    struct str *names = ARENA_ARRAY(&op->arena, struct str, count);
    for (size_t i = 0; i < count; i++) {
        names[i] = fields[i].name;
    }
    struct str near = near_word(node->key, names, count);
    if (str_is_set(near)) {
        return op_fail(op, ERR_INPUT, "line %d: unknown key \"%.*s\", did you mean \"%.*s\"?",
                       node->line, STR_ARG(node->key), STR_ARG(near));
    }
    return op_fail(op, ERR_INPUT, "line %d: unknown key \"%.*s\"", node->line, STR_ARG(node->key));
}

static enum err read_fields(struct op *op, const struct appspec_node *map,
                            const struct field *fields, size_t count,
                            struct engine_codedeploy_spec *to)
{
    if (map->kind != APPSPEC_MAP) {
        return refuse(op, map, "must be a map of keys and values");
    }
    for (const struct appspec_node *n = map->first; n != NULL; n = n->next) {
        size_t i = 0;
        while (i < count && !str_equal_nocase(fields[i].name, n->key)) {
            i++;
        }
        if (i == count) {
            return unknown_key(op, n, fields, count);
        }
        TRY(fields[i].read(op, n, to));
    }
    return ERR_OK;
}

static enum err read_text(struct op *op, const struct appspec_node *node, struct str *ret)
{
    if (node->kind != APPSPEC_SCALAR) {
        return refuse(op, node, "must be a text");
    }
    *ret = node->text;
    return ERR_OK;
}

static enum err read_texts(struct op *op, const struct appspec_node *node, struct engine_texts *ret)
{
    if (node->kind != APPSPEC_LIST) {
        return refuse(op, node, "must be a list");
    }
    ret->is_set = true;
    for (const struct appspec_node *n = node->first; n != NULL; n = n->next) {
        struct str text = STR_NONE;
        TRY(read_text(op, n, &text));
        *ARENA_PUSH(&op->arena, ret) = text;
    }
    return ERR_OK;
}

/* ---- properties ----------------------------------------------------------------------------- */

static enum err pass_over(struct op *op, const struct appspec_node *node,
                          struct engine_codedeploy_spec *to)
{
    (void)op;
    (void)node;
    (void)to;
    return ERR_OK;
}

static enum err read_task_definition(struct op *op, const struct appspec_node *node,
                                     struct engine_codedeploy_spec *to)
{
    return read_text(op, node, &to->task_definition);
}

static enum err read_platform(struct op *op, const struct appspec_node *node,
                              struct engine_codedeploy_spec *to)
{
    return read_text(op, node, &to->platform_version);
}

static enum err read_container_name(struct op *op, const struct appspec_node *node,
                                    struct engine_codedeploy_spec *to)
{
    return read_text(op, node, &to->container_name);
}

static enum err read_container_port(struct op *op, const struct appspec_node *node,
                                    struct engine_codedeploy_spec *to)
{
    struct str text = STR_NONE;
    uint64_t port = 0;
    TRY(read_text(op, node, &text));
    if (!str_parse_u64(text, PORT_MAX, &port) || port == 0) {
        return refuse(op, node, "must be a port, 1 to 65535");
    }
    to->container_port = OPT_I32((int32_t)port);
    return ERR_OK;
}

static enum err read_load_balancer(struct op *op, const struct appspec_node *node,
                                   struct engine_codedeploy_spec *to)
{
    static const struct field fields[] = {
        {STR_INIT("ContainerName"), read_container_name},
        {STR_INIT("ContainerPort"), read_container_port},
    };
    return read_fields(op, node, fields, ARRAY_COUNT(fields), to);
}

static enum err read_subnets(struct op *op, const struct appspec_node *node,
                             struct engine_codedeploy_spec *to)
{
    return read_texts(op, node, &to->subnets);
}

static enum err read_security_groups(struct op *op, const struct appspec_node *node,
                                     struct engine_codedeploy_spec *to)
{
    return read_texts(op, node, &to->security_groups);
}

static enum err read_public_ip(struct op *op, const struct appspec_node *node,
                               struct engine_codedeploy_spec *to)
{
    TRY(read_text(op, node, &to->assign_public_ip));
    if (!STR_IS(to->assign_public_ip, "ENABLED") && !STR_IS(to->assign_public_ip, "DISABLED")) {
        return refuse(op, node, "must be ENABLED or DISABLED");
    }
    return ERR_OK;
}

static enum err read_awsvpc(struct op *op, const struct appspec_node *node,
                            struct engine_codedeploy_spec *to)
{
    static const struct field fields[] = {
        {STR_INIT("Subnets"), read_subnets},
        {STR_INIT("SecurityGroups"), read_security_groups},
        {STR_INIT("AssignPublicIp"), read_public_ip},
    };
    return read_fields(op, node, fields, ARRAY_COUNT(fields), to);
}

static enum err read_network(struct op *op, const struct appspec_node *node,
                             struct engine_codedeploy_spec *to)
{
    static const struct field fields[] = {{STR_INIT("AwsvpcConfiguration"), read_awsvpc}};
    return read_fields(op, node, fields, ARRAY_COUNT(fields), to);
}

static enum err read_properties(struct op *op, const struct appspec_node *node,
                                struct engine_codedeploy_spec *to)
{
    /* on one machine there is no capacity to choose from */
    static const struct field fields[] = {
        {STR_INIT("TaskDefinition"), read_task_definition},
        {STR_INIT("LoadBalancerInfo"), read_load_balancer},
        {STR_INIT("PlatformVersion"), read_platform},
        {STR_INIT("NetworkConfiguration"), read_network},
        {STR_INIT("CapacityProviderStrategy"), pass_over},
    };
    return read_fields(op, node, fields, ARRAY_COUNT(fields), to);
}

/* ---- the file ------------------------------------------------------------------------------- */

static enum err read_type(struct op *op, const struct appspec_node *node,
                          struct engine_codedeploy_spec *to)
{
    struct str type = STR_NONE;
    (void)to;
    TRY(read_text(op, node, &type));
    return str_equal_nocase(type, STR("AWS::ECS::Service"))
               ? ERR_OK
               : refuse(op, node, "must be AWS::ECS::Service");
}

static enum err read_resources(struct op *op, const struct appspec_node *node,
                               struct engine_codedeploy_spec *to)
{
    static const struct field fields[] = {
        {STR_INIT("Type"), read_type},
        {STR_INIT("Properties"), read_properties},
    };
    const struct appspec_node *entry = node->first;
    bool is_one = node->kind == APPSPEC_LIST && entry != NULL && entry->next == NULL;
    if (!is_one || entry->kind != APPSPEC_MAP || entry->first == NULL ||
        entry->first->next != NULL) {
        return refuse(op, node, "must be a list with one resource");
    }
    return read_fields(op, entry->first, fields, ARRAY_COUNT(fields), to);
}

static enum err read_hook(struct op *op, const struct appspec_node *node,
                          struct engine_codedeploy_spec *to)
{
    enum shift_event event = SHIFT_EVENT_NONE;
    if (!shift_event_parse(node->key, &event) || !shift_event_takes_hook(event)) {
        return refuse(op, node, "is not a lifecycle event that takes a hook");
    }
    struct str function = STR_NONE;
    TRY(read_text(op, node, &function));
    if (function.len == 0) {
        return ERR_OK;
    }
    *ARENA_PUSH(&op->arena, &to->hooks) =
        (struct engine_text_map_entry){.key = str_of(shift_event_name(event)), .value = function};
    return ERR_OK;
}

static enum err read_hook_entry(struct op *op, const struct appspec_node *entry,
                                struct engine_codedeploy_spec *to)
{
    if (entry->kind != APPSPEC_MAP) {
        return refuse(op, entry, "a hook is an event and a function");
    }
    for (const struct appspec_node *n = entry->first; n != NULL; n = n->next) {
        TRY(read_hook(op, n, to));
    }
    return ERR_OK;
}

static enum err read_hooks(struct op *op, const struct appspec_node *node,
                           struct engine_codedeploy_spec *to)
{
    if (node->kind == APPSPEC_SCALAR && !str_is_set(node->text)) {
        return ERR_OK; /* "Hooks:" with nothing behind it */
    }
    if (node->kind != APPSPEC_LIST) {
        return refuse(op, node, "must be a list of events");
    }
    to->hooks.is_set = true;
    for (const struct appspec_node *entry = node->first; entry != NULL; entry = entry->next) {
        TRY(read_hook_entry(op, entry, to));
    }
    return ERR_OK;
}

static enum err read_version(struct op *op, const struct appspec_node *node,
                             struct engine_codedeploy_spec *to)
{
    struct str text = STR_NONE;
    double version = 0;
    (void)to;
    TRY(read_text(op, node, &text));
    bool is_known = str_parse_f64(text, &version) && (version == 0.0 || version == 1.0);
    return is_known ? ERR_OK : refuse(op, node, "must be 0.0");
}

enum err appspec_parse(struct op *op, struct str text, struct engine_codedeploy_spec *ret)
{
    static const struct field fields[] = {
        {STR_INIT("version"), read_version},
        {STR_INIT("Resources"), read_resources},
        {STR_INIT("Hooks"), read_hooks},
    };
    struct appspec_node *root = NULL;
    struct engine_codedeploy_spec spec = {0};
    TRY(appspec_tree(op, text, &root));
    TRY(read_fields(op, root, fields, ARRAY_COUNT(fields), &spec));
    if (spec.task_definition.len == 0) {
        return op_fail(op, ERR_INPUT, "TaskDefinition is missing");
    }
    if (spec.container_name.len == 0 || !spec.container_port.is_set) {
        return op_fail(op, ERR_INPUT, "LoadBalancerInfo needs ContainerName and ContainerPort");
    }
    *ret = spec;
    return ERR_OK;
}

struct str appspec_write(struct op *op, const struct engine_codedeploy_spec *spec)
{
    auto_buf struct buf b;
    struct json_writer w;
    buf_init(&b, APPSPEC_BYTES_MAX);
    json_writer_init(&w, &b);
    json_begin_object(&w);
    json_key(&w, STR("version"));
    json_add_raw(&w, STR("0.0"));
    json_key(&w, STR("Resources"));
    json_begin_array(&w);
    json_begin_object(&w);
    json_key(&w, STR("TargetService"));
    json_begin_object(&w);
    json_key(&w, STR("Type"));
    json_add_string(&w, STR("AWS::ECS::Service"));
    json_key(&w, STR("Properties"));
    json_begin_object(&w);
    json_key(&w, STR("TaskDefinition"));
    json_add_string(&w, spec->task_definition);
    json_key(&w, STR("LoadBalancerInfo"));
    json_begin_object(&w);
    json_key(&w, STR("ContainerName"));
    json_add_string(&w, spec->container_name);
    json_key(&w, STR("ContainerPort"));
    json_add_i64(&w, OPT_OR(spec->container_port, 0));
    json_end_object(&w);
    json_end_object(&w);
    json_end_object(&w);
    json_end_object(&w);
    json_end_array(&w);
    json_end_object(&w);
    return arena_str(&op->arena, buf_str(&b));
}
