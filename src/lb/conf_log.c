/* Where a listener's lines go, from its load balancer's attributes. */

#include "base/log.h"
#include "lb/conf_build.h"
#include "lb/logs.h"

#include <stdio.h>

/* What a name or prefix may not be is left out: it would lead elsewhere. */
static struct str log_name(const struct lbconf_attributes *a, const char *kind, const char *what)
{
    char key[64];
    (void)snprintf(key, sizeof(key), "%s%s", kind, what);
    struct str value = lb_attribute(a, str_of(key));
    bool may_have_folders = str_ends_with(str_of(key), STR("prefix"));
    if (value.len > 0 && !lb_log_is_safe(value, may_have_folders)) {
        log_warn("lb", "the attribute %s is left aside: \"%.*s\" is no plain name", key,
                 STR_ARG(value));
        return STR("");
    }
    return value;
}

/* arn:aws:elasticloadbalancing:REGION:ACCOUNT:listener/... */
static struct str arn_part(struct str arn, size_t index)
{
    struct str part = STR("");
    for (size_t i = 0; i <= index; i++) {
        if (!str_next(&arn, ':', &part)) {
            return STR("");
        }
    }
    return part;
}

static uint32_t access_sink(struct lb_logs *logs, const struct lbconf_listener *in,
                            const struct lb_listener *l)
{
    const struct lbconf_attributes *a = &in->attributes;
    char address[NET_ADDR_TEXT_BYTES_MAX];
    struct lb_log_plan plan = {
        .kind = STR(""),
        .balancer = l->dimension,
        .region = arn_part(in->arn, 3),
        .account = arn_part(in->arn, 4),
        .address = str_make(address, net_addr_format_host(&l->addr, address)),
        .file = log_name(a, "hitless.access_logs", ".file"),
        .socket = lb_attribute(a, STR("hitless.access_logs.socket")),
    };
    if (STR_IS(lb_attribute(a, STR("access_logs.s3.enabled")), "true")) {
        plan.bucket = log_name(a, "access_logs.s3", ".bucket");
        plan.prefix = log_name(a, "access_logs.s3", ".prefix");
    }
    return lb_logs_sink(logs, &plan);
}

static uint32_t connection_sink(struct lb_logs *logs, const struct lbconf_listener *in,
                                const struct lb_listener *l)
{
    const struct lbconf_attributes *a = &in->attributes;
    char address[NET_ADDR_TEXT_BYTES_MAX];
    struct lb_log_plan plan = {
        .kind = STR("conn_log."),
        .balancer = l->dimension,
        .region = arn_part(in->arn, 3),
        .account = arn_part(in->arn, 4),
        .address = str_make(address, net_addr_format_host(&l->addr, address)),
        .file = log_name(a, "hitless.connection_logs", ".file"),
        .socket = lb_attribute(a, STR("hitless.connection_logs.socket")),
    };
    if (STR_IS(lb_attribute(a, STR("connection_logs.s3.enabled")), "true")) {
        plan.bucket = log_name(a, "connection_logs.s3", ".bucket");
        plan.prefix = log_name(a, "connection_logs.s3", ".prefix");
    }
    return lb_logs_sink(logs, &plan);
}

void lb_log_read(struct lb_logs *logs, const struct lbconf_listener *in, struct lb_listener *l)
{
    l->access_sink = access_sink(logs, in, l);
    l->connection_sink = connection_sink(logs, in, l);
}
