/* Groups of network load balancers from their attributes. */

#include "lb/conf_build.h"

bool lb_is_network(struct str protocol)
{
    return STR_IS(protocol, "TCP") || STR_IS(protocol, "TLS") || STR_IS(protocol, "UDP") ||
           STR_IS(protocol, "TCP_UDP");
}

static bool is_on(const struct lbconf_attributes *set, struct str key, bool otherwise)
{
    struct str value = lb_attribute(set, key);
    return value.len > 0 ? STR_IS(value, "true") : otherwise;
}

/* Source: defaults of ELBv2 for target groups of TCP, TLS and UDP. */
void lb_network_group_read(const struct lbconf_attributes *set, struct lb_group *g)
{
    if (!g->is_network) {
        return;
    }
    g->sends_header = is_on(set, STR("proxy_protocol_v2.enabled"), false);
    g->sticks_by_source = is_on(set, STR("stickiness.enabled"), false);
    g->cuts_after_drain =
        is_on(set, STR("deregistration_delay.connection_termination.enabled"), false);
    g->cuts_unhealthy =
        is_on(set, STR("target_health_state.unhealthy.connection_termination.enabled"), true);
}
