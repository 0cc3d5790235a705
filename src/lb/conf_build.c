/* From the snapshot that control sends to the form that workers use. Two passes: everything is
 * checked and converted first, then names are taken, so that a refused snapshot leaves no trace. */

#include "lb/conf_build.h"
#include "lb/challenge.h"
#include "lb/cidr_set.h"
#include "lb/guard.h"
#include "lb/registry.h"
#include "lb/rule_index.h"
#include "lb/tls.h"
#include "lb/tls_facts.h"
#include "lb/tls_site.h"

#include "base/check.h"
#include "base/mem.h"
#include "stats/lbstats.h"

#include <stdio.h>

/* ---- attributes ------------------------------------------------------------------------------ */

struct str lb_attribute(const struct lbconf_attributes *attributes, struct str key)
{
    for (size_t i = 0; i < attributes->count; i++) {
        if (str_equal(attributes->items[i].key, key)) {
            return attributes->items[i].value;
        }
    }
    return STR_NONE;
}

static struct str attribute(const struct lbconf_attributes *attributes, struct str key)
{
    return lb_attribute(attributes, key);
}

enum err lb_attribute_number(struct op *op, const struct lbconf_attributes *attributes,
                             struct str key, uint64_t most, uint64_t *in_out)
{
    struct str text = lb_attribute(attributes, key);
    if (text.len > 0 && !str_parse_u64(text, most, in_out)) {
        return op_fail(op, ERR_INPUT, "attribute %.*s has the value \"%.*s\"", STR_ARG(key),
                       STR_ARG(text));
    }
    return ERR_OK;
}

static enum err attribute_seconds(struct lb_build *b, const struct lbconf_attributes *attributes,
                                  struct str key, uint64_t otherwise, dur_t *ret)
{
    struct str text = attribute(attributes, key);
    uint64_t seconds = otherwise;
    if (text.len > 0 && !str_parse_u64(text, 1000000, &seconds)) {
        return op_fail(b->op, ERR_INPUT, "attribute %.*s has the value \"%.*s\", not seconds",
                       STR_ARG(key), STR_ARG(text));
    }
    *ret = DUR_S(seconds);
    return ERR_OK;
}

static bool attribute_is(const struct lbconf_attributes *attributes, struct str key,
                         struct str value)
{
    return str_equal(attribute(attributes, key), value);
}

/* ---- target groups --------------------------------------------------------------------------- */

/* "200", "200,202", "200-299" and mixtures. */
static enum lb_version version_of(const struct lbconf_target_group *in)
{
    if (STR_IS(in->protocol_version, "HTTP2")) {
        return LB_HTTP2;
    }
    return STR_IS(in->protocol_version, "GRPC") ? LB_GRPC : LB_HTTP1;
}

static bool read_matcher(struct str text, struct lb_check *check)
{
    struct str part;
    while (str_next(&text, ',', &part)) {
        struct str low = part;
        struct str high = part;
        (void)str_cut(part, '-', &low, &high);
        uint64_t from;
        uint64_t to;
        if (check->range_count == LB_MATCHER_RANGES_MAX ||
            !str_parse_u64(str_trim(low), 999, &from) || !str_parse_u64(str_trim(high), 999, &to) ||
            from > to) {
            return false;
        }
        check->ranges[check->range_count++] =
            (struct lb_range){.from = (uint16_t)from, .to = (uint16_t)to};
    }
    return check->range_count > 0;
}

static bool is_probe_path(struct str path)
{
    if (path.len == 0 || path.ptr[0] != '/' || path.len > 1024) {
        return false;
    }
    for (size_t i = 0; i < path.len; i++) {
        if ((unsigned char)path.ptr[i] <= ' ' || path.ptr[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

static enum err read_check(struct lb_build *b, const struct lbconf_target_group *in,
                           struct lb_check *check)
{
    check->is_on = OPT_OR(in->is_check_enabled, true);
    bool is_grpc = version_of(in) == LB_GRPC;
    check->path = is_grpc ? STR("/AWS.ALB/healthcheck") : STR("/");
    if (str_is_set(in->check_path)) {
        check->path = arena_str(b->arena, in->check_path);
    }
    check->interval = DUR_S(OPT_OR(in->check_interval_seconds, 30));
    check->timeout = DUR_S(OPT_OR(in->check_timeout_seconds, 5));
    check->healthy_threshold = (uint32_t)OPT_OR(in->healthy_threshold, 5);
    check->unhealthy_threshold = (uint32_t)OPT_OR(in->unhealthy_threshold, 2);
    if (check->interval.us <= 0 || check->timeout.us <= 0 || check->healthy_threshold == 0 ||
        check->unhealthy_threshold == 0) {
        return op_fail(b->op, ERR_INPUT, "the health check of %.*s has a number below 1",
                       STR_ARG(in->arn));
    }
    if (!is_probe_path(check->path)) {
        return op_fail(b->op, ERR_INPUT, "the health check path of %.*s is no path",
                       STR_ARG(in->arn));
    }
    uint64_t port = 0;
    bool is_own = !str_is_set(in->check_port) || STR_IS(in->check_port, "traffic-port");
    if (!is_own && (!str_parse_u64(in->check_port, 65535, &port) || port == 0)) {
        return op_fail(b->op, ERR_INPUT, "the health check port of %.*s is \"%.*s\"",
                       STR_ARG(in->arn), STR_ARG(in->check_port));
    }
    check->port = (uint16_t)port;
    struct str usual = is_grpc ? STR("12") : STR("200");
    if (!read_matcher(str_is_set(in->matcher) ? in->matcher : usual, check)) {
        return op_fail(b->op, ERR_INPUT, "the matcher of %.*s is \"%.*s\"", STR_ARG(in->arn),
                       STR_ARG(in->matcher));
    }
    return ERR_OK;
}

/* The group as the newest configuration has it: with ten thousand targets, those that stay must not
 * cost a look-up each. NULL when it has none. */
static const struct lb_group *group_before(const struct lb_registry *registry, struct str arn)
{
    const struct lb_name *name = map_find(&registry->groups.by_key, arn);
    return name != NULL && name->last_version == registry->newest_version ? name->group : NULL;
}

/* The peer that had this place then, if it is the same target. */
static struct lb_peer *peer_before(const struct lb_group *before, size_t place,
                                   const struct lbconf_target *t)
{
    if (before == NULL || place >= before->target_count) {
        return NULL;
    }
    struct lb_peer *peer = before->targets[place].peer;
    bool is_same = peer->port == t->port.value && str_equal(peer->host, t->host);
    return is_same ? peer : NULL;
}

static struct str peer_key(struct arena *a, struct str group_arn, const struct lbconf_target *in)
{
    return arena_printf(a, "%.*s %.*s %d", STR_ARG(group_arn), STR_ARG(in->host), in->port.value);
}

static enum err check_target(struct lb_build *b, struct str arn, const struct lbconf_target *in)
{
    struct net_addr addr;
    bool is_port = in->port.is_set && in->port.value >= 0 && in->port.value <= 65535;
    if (!is_port || !net_addr_parse_host(in->host, (uint16_t)in->port.value, &addr) ||
        (in->port.value == 0 && !net_addr_is_unix(&addr))) {
        return op_fail(b->op, ERR_INPUT, "target \"%.*s\" port %d of %.*s is no address",
                       STR_ARG(in->host), in->port.value, STR_ARG(arn));
    }
    return ERR_OK;
}

/* "arn:...:targetgroup/NAME/ID" and "arn:...:loadbalancer/app/NAME/ID" end in the dimension. */
static struct str dimension_of(struct arena *a, struct str arn, struct str mark, size_t skip)
{
    size_t at = str_find(arn, mark, 0);
    return arena_str(a, at == STR_NOT_FOUND ? arn : str_from(arn, at + skip));
}

static struct str balancer_dimension(struct arena *a, struct str name_or_arn)
{
    return dimension_of(a, name_or_arn, STR("loadbalancer/"), strlen("loadbalancer/"));
}

static enum err read_group(struct lb_build *b, const struct lbconf_target_group *in,
                           struct lb_group *g)
{
    if (in->targets.count > LB_GROUP_TARGETS_MAX) {
        return op_fail(b->op, ERR_LIMIT, "%.*s has %zu targets, the limit is %d", STR_ARG(in->arn),
                       in->targets.count, LB_GROUP_TARGETS_MAX);
    }
    struct str check = str_is_set(in->check_protocol) ? in->check_protocol : in->protocol;
    bool is_network = lb_is_network(in->protocol);
    bool is_web_check = STR_IS(check, "HTTP") || STR_IS(check, "HTTPS");
    bool is_web = STR_IS(in->protocol, "HTTP") || STR_IS(in->protocol, "HTTPS");
    bool is_known = is_web ? is_web_check : is_network && !STR_IS(in->protocol, "TLS");
    g->is_tls = STR_IS(in->protocol, "HTTPS");
    g->check.is_tls = STR_IS(check, "HTTPS");
    g->check.is_connect = is_network && !is_web_check;
    if (OPT_OR(in->is_in_use, true) && !is_known) {
        return op_fail(b->op, ERR_UNSUPPORTED, "%.*s speaks %.*s and is checked by %.*s",
                       STR_ARG(in->arn), STR_ARG(in->protocol), STR_ARG(in->check_protocol));
    }
    g->version = version_of(in);
    g->arn = arena_str(b->arena, in->arn);
    g->dimension = dimension_of(b->arena, in->arn, STR("targetgroup/"), 0);
    g->load_balancer = balancer_dimension(b->arena, in->load_balancer);
    g->is_in_use = OPT_OR(in->is_in_use, true);
    g->slot = LBSTATS_NONE;
    g->is_network = is_network;
    lb_network_group_read(&in->attributes, g);
    TRY(lb_conf_read_choosing(b->op, b->arena, in, g));
    TRY(attribute_seconds(b, &in->attributes, STR("deregistration_delay.timeout_seconds"),
                          LB_DRAIN_DEFAULT_S, &g->drain));
    g->waits_fully =
        attribute_is(&in->attributes, STR("hitless.deregistration_delay.full_wait"), STR("true"));
    g->closes_websockets =
        attribute_is(&in->attributes, STR("hitless.websocket.drain"), STR("close"));
    TRY(read_check(b, in, &g->check));
    const struct lb_group *before = group_before(b->registry, in->arn);
    for (size_t i = 0; i < in->targets.count; i++) {
        if (peer_before(before, i, &in->targets.items[i]) == NULL) {
            TRY(check_target(b, in->arn, &in->targets.items[i]));
        }
    }
    return ERR_OK;
}

/* Targets that drain come last, so that picking looks at the first usable_count only. */
static void take_targets(struct lb_registry *registry, struct lb_build *b,
                         const struct lbconf_target_group *in, const struct lb_group *before,
                         struct lb_group *g)
{
    g->targets = ARENA_ARRAY(b->arena, struct lb_target, in->targets.count);
    g->target_count = in->targets.count;
    size_t usable = 0;
    size_t last = in->targets.count;
    for (size_t i = 0; i < in->targets.count; i++) {
        const struct lbconf_target *t = &in->targets.items[i];
        bool is_draining = OPT_OR(t->is_draining, false);
        struct lb_target *at = &g->targets[is_draining ? --last : usable++];
        at->is_draining = is_draining;
        at->peer = peer_before(before, (size_t)(at - g->targets), t);
        if (at->peer != NULL) {
            at->peer->ref_count++;
        } else {
            at->peer = lb_peer_take(registry, peer_key(&b->op->arena, in->arn, t), in->arn, t->host,
                                    (uint16_t)t->port.value);
        }
        if (at->peer->index >= b->conf->peers_end) {
            b->conf->peers_end = at->peer->index + 1;
        }
    }
    g->usable_count = usable;
    lb_conf_set_thresholds(g, &in->attributes);
}

/* ---- listeners ------------------------------------------------------------------------------- */

static void read_modes(const struct lbconf_attributes *a, struct lb_listener *l)
{
    l->xff = LB_XFF_APPEND;
    if (attribute_is(a, STR("routing.http.xff_header_processing.mode"), STR("preserve"))) {
        l->xff = LB_XFF_PRESERVE;
    } else if (attribute_is(a, STR("routing.http.xff_header_processing.mode"), STR("remove"))) {
        l->xff = LB_XFF_REMOVE;
    }
    l->desync = LB_DESYNC_DEFENSIVE;
    if (attribute_is(a, STR("routing.http.desync_mitigation_mode"), STR("monitor"))) {
        l->desync = LB_DESYNC_MONITOR;
    } else if (attribute_is(a, STR("routing.http.desync_mitigation_mode"), STR("strictest"))) {
        l->desync = LB_DESYNC_STRICTEST;
    }
    l->has_xff_port = attribute_is(a, STR("routing.http.xff_client_port.enabled"), STR("true"));
    l->keeps_host = attribute_is(a, STR("routing.http.preserve_host_header.enabled"), STR("true"));
    l->takes_prior_knowledge = attribute_is(a, STR("hitless.http2.prior_knowledge"), STR("true"));
    l->takes_proxy = attribute_is(a, STR("hitless.proxy_protocol.enabled"), STR("true"));
    l->drops_invalid =
        attribute_is(a, STR("routing.http.drop_invalid_header_fields.enabled"), STR("true"));
}

const struct lb_added_name lb_added_names[LB_ADDED_NAMES] = {
    {STR_INIT("strict_transport_security"), STR_INIT("Strict-Transport-Security")},
    {STR_INIT("access_control_allow_origin"), STR_INIT("Access-Control-Allow-Origin")},
    {STR_INIT("access_control_allow_methods"), STR_INIT("Access-Control-Allow-Methods")},
    {STR_INIT("access_control_allow_headers"), STR_INIT("Access-Control-Allow-Headers")},
    {STR_INIT("access_control_allow_credentials"), STR_INIT("Access-Control-Allow-Credentials")},
    {STR_INIT("access_control_expose_headers"), STR_INIT("Access-Control-Expose-Headers")},
    {STR_INIT("access_control_max_age"), STR_INIT("Access-Control-Max-Age")},
    {STR_INIT("content_security_policy"), STR_INIT("Content-Security-Policy")},
    {STR_INIT("x_content_type_options"), STR_INIT("X-Content-Type-Options")},
    {STR_INIT("x_frame_options"), STR_INIT("X-Frame-Options")},
};

/* Source: ELBv2 listener attributes routing.http.response.*; an empty value sets nothing. */
static enum err read_added_fields(struct lb_build *b, const struct lbconf_listener *in,
                                  struct lb_listener *l)
{
    struct h1_writer w;
    h1_writer_init(&w, arena_alloc(&b->op->arena, LB_ADDED_BYTES_MAX), LB_ADDED_BYTES_MAX);
    for (uint32_t i = 0; i < LB_ADDED_NAMES; i++) {
        struct str key = arena_printf(&b->op->arena, "routing.http.response.%.*s.header_value",
                                      STR_ARG(lb_added_names[i].attribute));
        struct str value = attribute(&in->attributes, key);
        if (value.len > 0) {
            h1_write_field(&w, lb_added_names[i].name, value);
            l->added_mask |= 1u << i;
        }
    }
    if (w.is_broken) {
        return op_fail(b->op, ERR_INPUT,
                       "listener %.*s has a response header with a line break or that is too long",
                       STR_ARG(in->arn));
    }
    l->added_fields = arena_str(b->arena, str_make(w.ptr, w.len));
    l->hides_server =
        attribute_is(&in->attributes, STR("routing.http.response.server.enabled"), STR("false"));
    l->edits_responses = l->hides_server || l->added_mask != 0;
    return ERR_OK;
}

/* Source: ALB: names of one's own replace the headers' names; "verify" tells the leaf's facts,
 * "passthrough" the chain. */
static void read_facts(struct lb_build *b, const struct lbconf_listener *in, struct lb_listener *l)
{
    static const unsigned client = 1u << LB_TLS_FACT_SERIAL | 1u << LB_TLS_FACT_ISSUER |
                                   1u << LB_TLS_FACT_SUBJECT | 1u << LB_TLS_FACT_VALIDITY |
                                   1u << LB_TLS_FACT_LEAF;
    l->fact_names = ARENA_ARRAY(b->arena, struct str, LB_TLS_FACT_COUNT);
    for (unsigned i = 0; i < LB_TLS_FACT_COUNT; i++) {
        struct str name = attribute(&in->attributes, lb_tls_fact_attribute(i));
        l->has_own_names = l->has_own_names || name.len > 0;
        l->fact_names[i] = name.len > 0 ? arena_str(b->arena, name) : lb_tls_fact_name(i);
    }
    if (l->tls->mutual != LB_TLS_MUTUAL_OFF) {
        l->told_facts = l->tls->mutual == LB_TLS_MUTUAL_VERIFY ? client : 1u << LB_TLS_FACT_CHAIN;
    }
    if (attribute_is(&in->attributes,
                     STR("routing.http.x_amzn_tls_version_and_cipher_suite.enabled"),
                     STR("true"))) {
        l->told_facts |= 1u << LB_TLS_FACT_VERSION | 1u << LB_TLS_FACT_CIPHER;
    }
}

static enum err take_tls(struct lb_build *b, const struct lbconf_listener *in,
                         struct lb_listener *l)
{
    bool offers_h2 = lb_h2_accept_hook != NULL && !l->is_network &&
                     !attribute_is(&in->attributes, STR("routing.http2.enabled"), STR("false"));
    TRY(lb_tls_site_take(b->op, b->registry->tls, in, offers_h2, &l->tls));
    read_facts(b, in, l);
    return ERR_OK;
}

static void give_tls(struct lb_conf *conf)
{
    for (size_t i = 0; i < conf->listener_count; i++) {
        lb_tls_site_give(conf->listeners[i].tls);
    }
}

static enum err read_source_cap(struct lb_build *b, const struct lbconf_attributes *a,
                                struct lb_listener *l)
{
    struct str text = attribute(a, STR("hitless.connections_per_source_max"));
    uint64_t most = 0;
    if (text.len > 0 && !str_parse_u64(text, LB_CLIENTS_MAX, &most)) {
        return op_fail(b->op, ERR_INPUT,
                       "hitless.connections_per_source_max is \"%.*s\", not 0..%d", STR_ARG(text),
                       LB_CLIENTS_MAX);
    }
    l->source_connections_max = (uint32_t)most;
    return ERR_OK;
}

static enum err read_sources(struct lb_build *b, const struct lbconf_listener *in,
                             struct lb_listener *l)
{
    if (!in->sources.is_set) {
        return ERR_OK;
    }
    struct lb_cidr *cidrs = ARENA_ARRAY(&b->op->arena, struct lb_cidr, in->sources.count);
    for (size_t i = 0; i < in->sources.count; i++) {
        if (!lb_cidr_read(in->sources.items[i], &cidrs[i])) {
            return op_fail(b->op, ERR_INPUT,
                           "\"%.*s\", which may connect to %.*s, is no address "
                           "range",
                           STR_ARG(in->sources.items[i]), STR_ARG(in->arn));
        }
    }
    l->sources = lb_cidr_set_build(b->arena, cidrs, in->sources.count);
    return ERR_OK;
}

static enum err read_listener(struct lb_build *b, const struct lbconf_listener *in,
                              struct lb_listener *l)
{
    int32_t port = OPT_OR(in->port, -1);
    if (port < 0 || port > 65535 || !net_addr_parse_host(in->address, (uint16_t)port, &l->addr)) {
        return op_fail(b->op, ERR_INPUT, "listener %.*s has the address \"%.*s\" port %d",
                       STR_ARG(in->arn), STR_ARG(in->address), port);
    }
    l->is_network = lb_is_network(in->protocol);
    l->has_tcp = !STR_IS(in->protocol, "UDP");
    l->has_udp = STR_IS(in->protocol, "UDP") || STR_IS(in->protocol, "TCP_UDP");
    bool is_tls = STR_IS(in->protocol, "HTTPS") || STR_IS(in->protocol, "TLS");
    if (!is_tls && !STR_IS(in->protocol, "HTTP") && !l->is_network) {
        return op_fail(b->op, ERR_UNSUPPORTED, "listener %.*s has the protocol %.*s",
                       STR_ARG(in->arn), STR_ARG(in->protocol));
    }
    if (in->rules.count > LB_RULES_MAX) {
        return op_fail(b->op, ERR_LIMIT, "listener %.*s has %zu rules, the limit is %d",
                       STR_ARG(in->arn), in->rules.count, LB_RULES_MAX);
    }
    l->arn = arena_str(b->arena, in->arn);
    l->key = arena_printf(b->arena, "%.*s %.*s %d", STR_ARG(in->arn), STR_ARG(in->address), port);
    l->dimension = balancer_dimension(b->arena, in->load_balancer);
    l->port = (uint16_t)port;
    (void)snprintf(l->port_text, sizeof(l->port_text), "%u", (unsigned)l->port);
    l->slot = LBSTATS_NONE;
    l->is_secure = STR_IS(in->protocol, "HTTPS");
    TRY(attribute_seconds(
        b, &in->attributes,
        l->is_network ? STR("tcp.idle_timeout.seconds") : STR("idle_timeout.timeout_seconds"),
        l->is_network ? LB_FLOW_IDLE_DEFAULT_S : LB_IDLE_TIMEOUT_DEFAULT_S, &l->idle_timeout));
    TRY(read_source_cap(b, &in->attributes, l));
    TRY(attribute_seconds(b, &in->attributes, STR("client_keep_alive.seconds"),
                          LB_CLIENT_KEEP_ALIVE_DEFAULT_S, &l->client_keep_alive));
    read_modes(&in->attributes, l);
    lb_log_read(b->registry->logs, in, l);
    TRY(lb_gate_read(b->op, b->arena, &in->attributes, l));
    TRY(read_added_fields(b, in, l));
    TRY(read_sources(b, in, l));
    TRY(lb_rules_read(b, in, l));
    if (l->rule_count > LB_RULES_WALKED_MAX) {
        l->rule_index = lb_rule_index_build(b->arena, l->rules, l->rule_count);
    }
    return is_tls ? take_tls(b, in, l) : ERR_OK;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static enum err read_snapshot(struct lb_build *b, const struct lbconf_snapshot *in)
{
    struct lb_conf *c = b->conf;
    if (in->listeners.count > LB_LISTENERS_MAX || in->target_groups.count > LB_GROUPS_MAX) {
        return op_fail(b->op, ERR_LIMIT, "%zu listeners and %zu target groups are too many",
                       in->listeners.count, in->target_groups.count);
    }
    c->version = (uint64_t)OPT_OR(in->version, 0);
    b->groups = &in->target_groups;
    TRY(lb_conf_read_key(b->op, b->registry, in, c));
    TRY(lb_challenges_read(b->op, b->arena, &in->acme_challenges, &c->challenges));
    c->challenge_count = in->acme_challenges.count;
    c->groups = ARENA_ARRAY(b->arena, struct lb_group, in->target_groups.count);
    c->group_count = in->target_groups.count;
    for (size_t i = 0; i < c->group_count; i++) {
        TRY(read_group(b, &in->target_groups.items[i], &c->groups[i]));
    }
    c->listeners = ARENA_ARRAY(b->arena, struct lb_listener, in->listeners.count);
    c->listener_count = in->listeners.count;
    for (size_t i = 0; i < c->listener_count; i++) {
        TRY(read_listener(b, &in->listeners.items[i], &c->listeners[i]));
    }
    return ERR_OK;
}

static uint32_t past(uint32_t end, uint32_t index)
{
    return index >= end ? index + 1 : end;
}

/* From here on nothing can fail. */
static void take_names(struct lb_registry *r, struct lb_build *b, const struct lbconf_snapshot *in,
                       struct lbstats *stats)
{
    struct lb_conf *c = b->conf;
    mono_t now = clock_mono();
    for (size_t i = 0; i < c->group_count; i++) {
        struct lb_group *g = &c->groups[i];
        const struct lb_group *before = group_before(r, g->arn);
        struct lb_name *name = lb_name_take(r, &r->groups, g->arn);
        g->index = name->index;
        g->serial = name->serial;
        c->groups_end = past(c->groups_end, g->index);
        bool has_slot = before != NULL && before->slot != LBSTATS_NONE;
        if (has_slot && str_equal(before->load_balancer, g->load_balancer)) {
            g->slot = before->slot; /* open already */
        } else if (g->load_balancer.len > 0) {
            g->slot = lbstats_slot_open(stats, g->load_balancer, g->dimension, now);
        }
        take_targets(r, b, &in->target_groups.items[i], before, g);
        lb_group_recount(g);
        name->last_version = c->version;
        name->group = g;
    }
    for (size_t i = 0; i < c->listener_count; i++) {
        struct lb_listener *l = &c->listeners[i];
        struct lb_name *name = lb_name_take(r, &r->listeners, l->key);
        l->index = name->index;
        l->serial = name->serial;
        name->last_version = c->version;
        l->socket = &name->socket;
        l->slot = lbstats_slot_open(stats, l->dimension, STR_NONE, now);
        c->listeners_end = past(c->listeners_end, l->index);
        for (size_t j = 0; j < l->rule_count; j++) {
            struct lb_name *rule = lb_name_take(r, &r->rules, l->rules[j].arn);
            l->rules[j].index = rule->index;
            l->rules[j].serial = rule->serial;
            c->rules_end = past(c->rules_end, rule->index);
        }
    }
    c->listeners_at = ARENA_ARRAY(b->arena, struct lb_listener *, c->listeners_end);
    for (size_t i = 0; i < c->listener_count; i++) {
        c->listeners_at[c->listeners[i].index] = &c->listeners[i];
    }
    r->newest_version = c->version;
}

enum err lb_conf_build(struct op *op, struct lb_registry *registry, struct lbstats *stats,
                       const struct lbconf_snapshot *snapshot, struct lb_conf **ret_conf)
{
    struct lb_conf *conf = MEM_NEW(struct lb_conf);
    arena_init(&conf->arena);
    struct lb_build b = {.op = op, .conf = conf, .arena = &conf->arena, .registry = registry};
    enum err e = read_snapshot(&b, snapshot);
    if (e != ERR_OK) {
        give_tls(conf);
        lb_regexes_give(registry, conf);
        lb_guards_free(conf);
        arena_fini(&conf->arena);
        mem_free(conf);
        return e;
    }
    take_names(registry, &b, snapshot, stats);
    *ret_conf = conf;
    return ERR_OK;
}

void lb_conf_free(struct lb_registry *registry, struct lb_conf *conf)
{
    for (size_t i = 0; i < conf->group_count; i++) {
        struct lb_group *g = &conf->groups[i];
        for (size_t j = 0; j < g->target_count; j++) {
            lb_peer_give(registry, g->targets[j].peer);
        }
        lb_name_give(&registry->groups, g->arn);
    }
    for (size_t i = 0; i < conf->listener_count; i++) {
        for (size_t j = 0; j < conf->listeners[i].rule_count; j++) {
            lb_name_give(&registry->rules, conf->listeners[i].rules[j].arn);
        }
        lb_name_give(&registry->listeners, conf->listeners[i].key);
    }
    give_tls(conf);
    lb_regexes_give(registry, conf);
    lb_guards_free(conf);
    arena_fini(&conf->arena);
    mem_free(conf);
}

void lb_group_recount(struct lb_group *g)
{
    unsigned healthy = 0;
    int64_t slow_until_us = 0;
    for (size_t i = 0; i < g->usable_count; i++) {
        const struct lb_peer *peer = g->targets[i].peer;
        int health = atomic_load_explicit(&peer->health, memory_order_relaxed);
        healthy += lb_health_takes_traffic(health);
        int64_t since_us = atomic_load_explicit(&peer->slow_since_us, memory_order_relaxed);
        int64_t until_us = since_us == 0 ? 0 : since_us + dur_scaled(g->slow_start).us;
        slow_until_us = until_us > slow_until_us ? until_us : slow_until_us;
    }
    atomic_store_explicit(&g->healthy_count, healthy, memory_order_relaxed);
    atomic_store_explicit(&g->slow_until_us, slow_until_us, memory_order_relaxed);
}

struct lb_group *lb_conf_group(struct lb_conf *conf, struct str arn)
{
    for (size_t i = 0; i < conf->group_count; i++) {
        if (str_equal(conf->groups[i].arn, arn)) {
            return &conf->groups[i];
        }
    }
    return NULL;
}
