#include "svc/common/arn.h"

#include <stdarg.h>

bool arn_parse(struct str text, struct arn *ret)
{
    if (text.len > ARN_BYTES_MAX) {
        return false;
    }
    struct str rest = text;
    struct str scheme = STR_NONE;
    struct arn arn = {0};
    if (!str_cut(rest, ':', &scheme, &rest) || !STR_IS(scheme, "arn") ||
        !str_cut(rest, ':', &arn.partition, &rest) || !str_cut(rest, ':', &arn.service, &rest) ||
        !str_cut(rest, ':', &arn.region, &rest) ||
        !str_cut(rest, ':', &arn.account, &arn.resource)) {
        return false;
    }
    if (arn.partition.len == 0 || arn.service.len == 0 || arn.resource.len == 0) {
        return false;
    }
    *ret = arn;
    return true;
}

bool arn_tail(const struct arn *arn, struct str prefix, struct str *ret_tail)
{
    if (!str_starts_with(arn->resource, prefix) || arn->resource.len == prefix.len) {
        return false;
    }
    *ret_tail = str_from(arn->resource, prefix.len);
    return true;
}

bool arn_is_here(const struct op *op, const struct arn *arn, struct str service)
{
    bool is_region = arn->region.len == 0 || str_equal(arn->region, op->region);
    return str_equal(arn->service, service) && is_region && str_equal(arn->account, op->account);
}

struct str arn_partition(struct str region)
{
    if (str_starts_with(region, STR("cn-"))) {
        return STR("aws-cn");
    }
    if (str_starts_with(region, STR("us-gov-"))) {
        return STR("aws-us-gov");
    }
    return STR("aws");
}

static struct str make(struct op *op, struct str service, struct str region, struct str resource)
{
    struct str partition = arn_partition(op->region);
    return arena_printf(&op->arena, "arn:%.*s:%.*s:%.*s:%.*s:%.*s", STR_ARG(partition),
                        STR_ARG(service), STR_ARG(region), STR_ARG(op->account), STR_ARG(resource));
}

struct str arn_make(struct op *op, struct str service, struct str resource)
{
    return make(op, service, op->region, resource);
}

struct str arn_makef(struct op *op, struct str service, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct str resource = arena_vprintf(&op->arena, format, args);
    va_end(args);
    return make(op, service, op->region, resource);
}

struct str arn_make_global(struct op *op, struct str service, struct str resource)
{
    return make(op, service, STR(""), resource);
}
