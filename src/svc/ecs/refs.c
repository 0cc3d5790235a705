/* Names and ARNs by which clients say what they mean. */
#include "svc/ecs/ecs_priv.h"

void ecs_add_failure(struct op *op, struct ecs_failures *to, struct str arn, struct str reason)
{
    *ARENA_PUSH(&op->arena, to) = (struct ecs_failure){.arn = arn, .reason = reason};
}

struct str ecs_default(struct str s, struct str otherwise)
{
    return s.len > 0 ? s : otherwise;
}

struct str ecs_key(struct op *op, struct str a, struct str b)
{
    return arena_printf(&op->arena, "%.*s/%.*s", STR_ARG(a), STR_ARG(b));
}

struct str ecs_last_part(struct str s)
{
    size_t slash = str_find_last_char(s, '/');
    return slash == STR_NOT_FOUND ? s : str_from(s, slash + 1);
}

struct str ecs_cluster_arn(struct op *op, struct str cluster)
{
    return arn_makef(op, STR("ecs"), "cluster/%.*s", STR_ARG(cluster));
}

struct str ecs_task_definition_arn(struct op *op, struct str family, int32_t revision)
{
    return arn_makef(op, STR("ecs"), "task-definition/%.*s:%d", STR_ARG(family), revision);
}

static bool is_name(struct str s)
{
    return name_is(s, 1, ECS_NAME_BYTES_MAX, STR("-_"));
}

/* The resource of an ARN of this place behind "<type>/". */
static bool read_arn(const struct op *op, struct str text, struct str type, struct str *ret_tail)
{
    struct arn arn = {0};
    if (!arn_parse(text, &arn) || !arn_is_here(op, &arn, STR("ecs")) ||
        !str_starts_with(arn.resource, type) || arn.resource.len <= type.len + 1 ||
        arn.resource.ptr[type.len] != '/') {
        return false;
    }
    *ret_tail = str_from(arn.resource, type.len + 1);
    return true;
}

enum err ecs_cluster_ref(struct op *op, struct str name_or_arn, struct str *ret_name)
{
    struct str name = ecs_default(name_or_arn, STR("default"));
    if (arn_looks_like_one(name) && !read_arn(op, name, STR("cluster"), &name)) {
        return op_fail_as(op, ERR_NOT_FOUND, &ecs_error_cluster_not_found_exception,
                          "Cluster not found.");
    }
    if (!is_name(name)) {
        return fail_parameter(op,
                              "Invalid identifier: Identifier is for a cluster, and has up to "
                              "%d letters, digits, hyphens and underscores",
                              ECS_NAME_BYTES_MAX);
    }
    *ret_name = name;
    return ERR_OK;
}

enum err ecs_service_ref(struct op *op, struct str cluster, struct str name_or_arn,
                         struct str *ret_name)
{
    struct str name = name_or_arn;
    bool is_here = true;
    if (arn_looks_like_one(name)) {
        is_here = read_arn(op, name, STR("service"), &name);
        struct str named_cluster = STR_NONE;
        if (is_here && str_cut(name, '/', &named_cluster, &name)) {
            is_here = str_equal(named_cluster, cluster);
        }
    }
    if (!is_here || !is_name(name)) {
        return op_fail_as(op, ERR_NOT_FOUND, &ecs_error_service_not_found_exception,
                          "Service not found.");
    }
    *ret_name = name;
    return ERR_OK;
}

bool ecs_task_ref(struct op *op, struct str cluster, struct str id_or_arn, struct str *ret_id)
{
    struct str id = id_or_arn;
    if (arn_looks_like_one(id)) {
        if (!read_arn(op, id, STR("task"), &id)) {
            return false;
        }
        struct str named_cluster = STR_NONE;
        if (str_cut(id, '/', &named_cluster, &id) && !str_equal(named_cluster, cluster)) {
            return false;
        }
    }
    if (!name_is(id, 1, ECS_NAME_BYTES_MAX, STR("-"))) {
        return false;
    }
    *ret_id = id;
    return true;
}

bool ecs_task_definition_ref(struct op *op, struct str text, struct str *ret_family,
                             int32_t *ret_revision)
{
    struct str family = text;
    if (arn_looks_like_one(family) && !read_arn(op, family, STR("task-definition"), &family)) {
        return false;
    }
    struct str digits = STR_NONE;
    uint64_t revision = 0;
    if (str_cut(family, ':', &family, &digits) &&
        (!str_parse_u64(digits, INT32_MAX, &revision) || revision == 0)) {
        return false;
    }
    if (!is_name(family)) {
        return false;
    }
    *ret_family = family;
    *ret_revision = (int32_t)revision;
    return true;
}

bool ecs_task_set_ref(struct str text, struct str *ret_digits)
{
    struct str digits = ecs_last_part(text);
    if (!name_is(digits, 1, 32, STR(""))) {
        return false;
    }
    *ret_digits = digits;
    return true;
}

bool ecs_service_part_ref(struct op *op, struct str arn, struct str type, struct str *ret_key)
{
    struct str key = STR_NONE;
    if (!read_arn(op, arn, type, &key)) {
        return false;
    }
    struct str cluster = STR_NONE;
    struct str service = STR_NONE;
    struct str id = STR_NONE;
    if (!str_cut(key, '/', &cluster, &id) || !str_cut(id, '/', &service, &id) ||
        !is_name(cluster) || !is_name(service) || !is_name(id)) {
        return false;
    }
    *ret_key = key;
    return true;
}

struct service_ref ecs_make_ref(struct op *op, struct str cluster, struct str name)
{
    return (struct service_ref){
        .cluster = cluster, .name = name, .key = ecs_key(op, cluster, name)};
}
