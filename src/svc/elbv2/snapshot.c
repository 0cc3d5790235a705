#include "svc/elbv2/state.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "crypt/envelope.h"
#include "svc/common/arn.h"
#include "svc/common/security_groups.h"
#include "svc/elbv2/actions.h"
#include "svc/elbv2/group_settings.h"
#include "svc/elbv2/jwks.h"
#include "svc/elbv2/load_balancers.h"
#include "svc/elbv2/rows.h"
#include "svc/elbv2/secure.h"
#include "svc/elbv2/targets.h"

#define COOKIE_KEY_DIGITS 64 /* 32 bytes */

/* A snapshot is put together of parts, one a target group and one a listener with its rules. Each
 * is read from the store once and again only after it changed, so that one target more among ten
 * thousand costs one part and not all of them. */
struct part {
    struct list
        link; /* in elbv2.groups or .listeners, in the order in which they were first seen */
    struct str arn;
    void *arn_memory;
    bool is_listener;
    bool is_stale;         /* to be read again before it is used */
    bool is_there;         /* the store has it, and the data plane serves it */
    struct str why_idle;   /* group: why it gets no requests though it is in use; else absent */
    int64_t drain_ends_us; /* group: when its first drain is over; INT64_MAX: none */
    struct arena arena;    /* of what follows */
    struct lbconf_target_group group;
    struct lbconf_listener listener;
    struct part_weight *weights; /* of the listener's rules: whose index has to be filled in */
    size_t weight_count;
};

struct part_weight {
    struct lbconf_weight *at;
    struct str group_arn;
};

/* ---- parts ---------------------------------------------------------------------------------- */

static void free_part(struct part *part)
{
    list_remove(&part->link);
    elbv2_secure_clear(&part->listener);
    arena_fini(&part->arena);
    mem_free(part->arn_memory);
    mem_free(part);
}

void elbv2_snapshot_init(struct elbv2 *e)
{
    map_init(&e->parts);
    list_init(&e->groups);
    list_init(&e->listeners);
}

void elbv2_snapshot_fini(struct elbv2 *e)
{
    LIST_FOR (part, &e->groups, struct part, link) {
        free_part(part);
    }
    LIST_FOR (listener, &e->listeners, struct part, link) {
        free_part(listener);
    }
    map_fini(&e->parts);
}

static void mark(struct elbv2 *e, struct str arn, bool is_listener)
{
    struct part *part = map_find(&e->parts, arn);
    if (part == NULL) {
        part = MEM_NEW(struct part);
        part->arn_memory = mem_dup(arn.ptr, arn.len);
        part->arn = str_make(part->arn_memory, arn.len);
        part->drain_ends_us = INT64_MAX;
        part->is_listener = is_listener;
        arena_init(&part->arena);
        list_add_tail(is_listener ? &e->listeners : &e->groups, &part->link);
        (void)map_put(&e->parts, arn, part);
    }
    part->is_stale = true;
}

static void note_at_once(void *self, struct str key)
{
    (void)key;
    struct elbv2 *e = self;
    e->is_dirty = true;
    elbv2_publish(e);
}

static void note_for_turn(void *self, struct str key)
{
    (void)key;
    struct elbv2 *e = self;
    e->is_dirty = true;
    e->options.host.wake(e->options.host.self, DUR_US(0));
}

static void wake_only(void *self, struct str key)
{
    (void)key;
    struct elbv2 *e = self;
    e->options.host.wake(e->options.host.self, DUR_US(0));
}

void elbv2_note_group(struct elbv2 *e, struct str arn)
{
    mark(e, arn, false);
    store_after_commit(e->store, note_for_turn, e, STR(""));
}

void elbv2_note_listener(struct elbv2 *e, struct str arn)
{
    mark(e, arn, true);
    store_after_commit(e->store, note_at_once, e, STR(""));
}

void elbv2_note_change(struct elbv2 *e)
{
    store_after_commit(e->store, wake_only, e, STR(""));
}

static enum err mark_all(struct op *op, struct elbv2 *e, const struct store_kind *kind)
{
    struct store_items items = {0};
    TRY(store_list(op, e->store, kind, &(struct store_range){.is_every_region = true}, &items));
    for (size_t i = 0; i < items.count; i++) {
        if (kind == &elbv2_kind_listener) {
            mark(e, items.items[i].key, true);
        } else {
            mark(e, ((const struct elbv2_target_group *)items.items[i].value)->target_group_arn,
                 false);
        }
    }
    return ERR_OK;
}

void elbv2_security_groups_changed(void *self, struct op *op)
{
    struct elbv2 *e = self;
    if (mark_all(op, e, &elbv2_kind_listener) != ERR_OK) {
        log_error("elbv2", "security groups changed and the listeners cannot be read: %s",
                  op->note.text);
        op_note_clear(op);
    }
    store_after_commit(e->store, note_at_once, e, STR(""));
}

/* The key is made once: cookies must open after every restart. */
static enum err load_cookie_key(struct op *op, struct elbv2 *e)
{
    static const struct store_kind kind = {"elbv2.secret", &shape_engine_elb_secret};
    struct engine_elb_secret secret = {0};
    struct str region = op->region;
    op->region = STR("");
    enum err result = store_get(op, e->store, &kind, STR("cookies"), &secret);
    struct str key = STR_NONE;
    bool is_there =
        result == ERR_OK && envelope_open(&op->arena, &e->options.key, STR("elbv2 cookie key"),
                                          secret.cookie_key, &key);
    if (result == ERR_NOT_FOUND || (result == ERR_OK && !is_there)) {
        /* none yet, or sealed under another key: clients are placed anew */
        op_note_clear(op);
        key = rand_text(&op->arena, RAND_HEX, COOKIE_KEY_DIGITS);
        secret.cookie_key =
            envelope_close(&op->arena, &e->options.key, STR("elbv2 cookie key"), key);
        result = store_put(op, e->store, &kind, STR("cookies"), STR(""), &secret);
    }
    op->region = region;
    e->cookie_key = arena_str(&e->arena, key);
    return result;
}

enum err elbv2_snapshot_load(struct op *op, struct elbv2 *e)
{
    TRY(load_cookie_key(op, e));
    TRY(mark_all(op, e, &elbv2_kind_group));
    TRY(mark_all(op, e, &elbv2_kind_listener));
    e->is_dirty = true;
    return ERR_OK;
}

/* ---- a target group ------------------------------------------------------------------------- */

static void add_attributes(struct arena *a, const struct engine_text_map *set,
                           struct lbconf_attributes *to)
{
    to->is_set = true;
    for (size_t i = 0; i < set->count; i++) {
        struct lbconf_attributes_entry *entry = ARENA_PUSH(a, to);
        entry->key = set->items[i].key;
        entry->value = set->items[i].value;
    }
}

static void add_targets(struct op *op, struct elbv2 *e, const struct elbv2_target_list *targets,
                        struct lbconf_targets *to)
{
    to->items = ARENA_ARRAY(&op->arena, struct lbconf_target, targets->count);
    to->is_set = true;
    for (size_t i = 0; i < targets->count; i++) {
        const struct engine_elb_target *t = &targets->items[i];
        struct str host = elbv2_served_host(op, e, t->host);
        if (OPT_OR(t->is_drained, false) || !elbv2_is_address(host)) {
            continue;
        }
        to->items[to->count++] =
            (struct lbconf_target){.host = host,
                                   .port = t->port,
                                   .is_draining = OPT_BOOL(t->draining_since.is_set),
                                   .draining_since_ms = {.value = t->draining_since.value.us / 1000,
                                                         .is_set = t->draining_since.is_set}};
    }
}

static int64_t drain_ends(const struct elbv2_target_list *targets, dur_t delay)
{
    int64_t ends_us = INT64_MAX;
    for (size_t i = 0; i < targets->count; i++) {
        const struct opt_time *since = &targets->items[i].draining_since;
        if (since->is_set && wall_add(since->value, delay).us < ends_us) {
            ends_us = wall_add(since->value, delay).us;
        }
    }
    return ends_us;
}

static void describe_check(const struct elbv2_target_group *group, struct lbconf_target_group *to)
{
    to->is_check_enabled = group->health_check_enabled;
    to->check_protocol = str_of(elbv2_protocol_name(group->health_check_protocol));
    to->check_port = group->health_check_port;
    to->check_path = group->health_check_path;
    to->check_interval_seconds = group->health_check_interval_seconds;
    to->check_timeout_seconds = group->health_check_timeout_seconds;
    to->healthy_threshold = group->healthy_threshold_count;
    to->unhealthy_threshold = group->unhealthy_threshold_count;
    if (group->matcher != NULL) {
        to->matcher = str_is_set(group->matcher->http_code) ? group->matcher->http_code
                                                            : group->matcher->grpc_code;
    }
}

static bool is_served_family(struct str dimension)
{
    return str_starts_with(dimension, STR("app/")) || str_starts_with(dimension, STR("net/"));
}

/* ERR_NOT_FOUND when it is gone. */
static enum err read_group(struct op *op, struct elbv2 *e, struct part *part)
{
    struct elbv2_target_group group = {0};
    struct engine_elb_more more = {0};
    struct elbv2_target_list targets = {0};
    struct str lb_arn = STR_NONE;
    TRY(elbv2_get_group(op, e, part->arn, &group));
    TRY(elbv2_get_more(op, e, part->arn, &more));
    TRY(elbv2_list_targets(op, e, part->arn, &targets));
    TRY(elbv2_group_load_balancer(op, e, part->arn, &lb_arn));
    struct str why = elbv2_why_group_not_served(&group); /* static text */
    struct str dimension = str_is_set(lb_arn) ? elbv2_dimension(lb_arn) : STR_NONE;
    struct lbconf_target_group built = {
        .arn = group.target_group_arn,
        .name = group.target_group_name,
        .load_balancer = dimension,
        .protocol = str_of(elbv2_protocol_name(group.protocol)),
        .protocol_version = group.protocol_version,
        .is_in_use = OPT_BOOL(is_served_family(dimension) && !str_is_set(why)),
    };
    describe_check(&group, &built);
    add_attributes(&op->arena, &more.attributes, &built.attributes);
    if (!str_is_set(why)) { /* else it answers 503, as a group without targets */
        add_targets(op, e, &targets, &built.targets);
    }
    part->why_idle = why;
    part->drain_ends_us = drain_ends(&targets, elbv2_drain_delay(&group, &more));
    shape_copy(&part->arena, &shape_lbconf_target_group, &built, &part->group);
    return ERR_OK;
}

/* ---- a listener with its rules -------------------------------------------------------------- */

static size_t count_weights(const struct lbconf_listener *listener)
{
    size_t count = 0;
    for (size_t r = 0; r < listener->rules.count; r++) {
        for (size_t i = 0; i < listener->rules.items[r].actions.count; i++) {
            count += listener->rules.items[r].actions.items[i].weights.count;
        }
    }
    return count;
}

/* Remembers which weight waits for the index of which group. The rules of the API and those of the
 * part are in the same order. */
static void collect_action(struct part *part, const struct elbv2_action *from,
                           struct lbconf_action *to)
{
    for (size_t i = 0; i < to->weights.count; i++) {
        struct str arn = from->forward_config->target_groups.items[i].target_group_arn;
        part->weights[part->weight_count++] = (struct part_weight){
            .at = &to->weights.items[i], .group_arn = arena_str(&part->arena, arn)};
    }
}

static void collect_weights(struct part *part, const struct elbv2_rule_list *rules)
{
    part->weights = ARENA_ARRAY(&part->arena, struct part_weight, count_weights(&part->listener));
    part->weight_count = 0;
    for (size_t r = 0; r < rules->count; r++) {
        for (size_t i = 0; i < rules->items[r].actions.count; i++) {
            collect_action(part, &rules->items[r].actions.items[i],
                           &part->listener.rules.items[r].actions.items[i]);
        }
    }
}

/* Without the ranges of IPv6. */
static size_t keep_ipv4(struct str *cidrs, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (str_find_char(cidrs[i], ':', 0) == STR_NOT_FOUND) {
            cidrs[kept++] = cidrs[i];
        }
    }
    return kept;
}

/* Who may connect: by the security groups, and by the address type: an engine that listens on "::"
 * does so for all, so that a change of the type needs no other socket. */
static enum err add_sources(struct op *op, struct elbv2 *e, const struct elbv2_load_balancer *lb,
                            struct lbconf_listener *to)
{
    static struct str every_ipv4[] = {STR_INIT("0.0.0.0/0")};
    bool is_open = true;
    struct str *cidrs = NULL;
    size_t count = 0;
    bool is_ipv4_only =
        STR_IS(to->address, "::") && (lb->ip_address_type == ELBV2_IP_ADDRESS_TYPE_IPV4 ||
                                      lb->ip_address_type == ELBV2_IP_ADDRESS_TYPE_UNSET);
    TRY(security_groups_sources(op, e->store, lb->security_groups.items, lb->security_groups.count,
                                OPT_OR(to->port, 0), &is_open, &cidrs, &count));
    if (is_open && !is_ipv4_only) {
        return ERR_OK;
    }
    if (is_open) {
        cidrs = every_ipv4;
        count = 1;
    } else if (is_ipv4_only) {
        count = keep_ipv4(cidrs, count);
    }
    to->sources = (struct lbconf_texts){.items = cidrs, .count = count, .is_set = true};
    return ERR_OK;
}

/* ERR_NOT_FOUND when it is gone, ERR_UNSUPPORTED when the data plane does not serve it. */
static enum err read_listener(struct op *op, struct elbv2 *e, struct part *part)
{
    struct elbv2_listener listener = {0};
    struct elbv2_load_balancer lb = {0};
    struct engine_elb_more lb_more = {0};
    struct engine_elb_more more = {0};
    struct elbv2_rule_list rules = {0};
    TRY(elbv2_get_listener(op, e, part->arn, &listener));
    TRY(elbv2_get_load_balancer(op, e, listener.load_balancer_arn, &lb));
    if (str_is_set(elbv2_why_not_served(op, &lb, &listener))) {
        return ERR_UNSUPPORTED;
    }
    TRY(elbv2_get_more(op, e, lb.load_balancer_arn, &lb_more));
    TRY(elbv2_get_more(op, e, part->arn, &more));
    TRY(elbv2_list_rules(op, e, part->arn, &rules));
    struct lbconf_listener built = {
        .arn = listener.listener_arn,
        .load_balancer = elbv2_dimension(lb.load_balancer_arn),
        .address = lb_more.address,
        .port = listener.port,
        .protocol = str_of(elbv2_protocol_name(listener.protocol)),
        .rules = {.items = ARENA_ARRAY(&op->arena, struct lbconf_rule, rules.count),
                  .count = rules.count,
                  .is_set = true},
    };
    TRY(add_sources(op, e, &lb, &built));
    add_attributes(&op->arena, &lb_more.attributes, &built.attributes);
    add_attributes(&op->arena, &more.attributes, &built.attributes);
    TRY(elbv2_secure_fill(op, e, &listener, &more, &built));
    for (size_t i = 0; i < rules.count; i++) {
        built.rules.items[i] = elbv2_snapshot_rule(e, &op->arena, &rules.items[i]);
    }
    shape_copy(&part->arena, &shape_lbconf_listener, &built, &part->listener);
    elbv2_secure_clear(&built);
    collect_weights(part, &rules);
    return ERR_OK;
}

/* ---- reading parts again -------------------------------------------------------------------- */

void elbv2_begin_op(struct elbv2 *e, struct str arn_text, struct op *op)
{
    struct arn arn = {0};
    op_init(op);
    op->account = e->options.account;
    op->region = arn_parse(arn_text, &arn) ? arena_str(&op->arena, arn.region) : STR("");
}

/* Targets that are gone need no health any more. */
static void forget_gone(struct op *op, struct elbv2 *e, const struct lbconf_targets *before,
                        const struct part *part)
{
    for (size_t i = 0; i < before->count; i++) {
        const struct lbconf_target *old = &before->items[i];
        bool is_kept = false;
        for (size_t k = 0; part->is_there && k < part->group.targets.count; k++) {
            const struct lbconf_target *target = &part->group.targets.items[k];
            is_kept = is_kept ||
                      (str_equal(target->host, old->host) && target->port.value == old->port.value);
        }
        if (!is_kept) {
            elbv2_health_forget(e, elbv2_target_key(op, part->arn, old->host, old->port.value));
        }
    }
}

/* False when the store failed: the part stays stale, and the old one serves on. */
static bool refresh(struct elbv2 *e, struct part *part)
{
    auto_op struct op op;
    elbv2_begin_op(e, part->arn, &op);
    struct part old = *part;
    part->listener = (struct lbconf_listener){0}; /* what is not read again is not kept either */
    arena_init(&part->arena);
    enum err result = part->is_listener ? read_listener(&op, e, part) : read_group(&op, e, part);
    if (result != ERR_OK && result != ERR_NOT_FOUND && result != ERR_UNSUPPORTED) {
        log_error("elbv2", "could not read \"%.*s\" for the data plane: %s", STR_ARG(part->arn),
                  op.note.text);
        arena_fini(&part->arena);
        part->arena = old.arena;
        part->group = old.group;
        part->listener = old.listener;
        part->weights = old.weights;
        part->weight_count = old.weight_count;
        return false;
    }
    part->is_there = result == ERR_OK;
    part->is_stale = false;
    if (!part->is_listener && old.is_there) {
        forget_gone(&op, e, &old.group.targets, part);
    }
    elbv2_secure_clear(&old.listener);
    arena_fini(&old.arena);
    return true;
}

static bool refresh_list(struct elbv2 *e, struct list *parts)
{
    bool is_complete = true;
    LIST_FOR (part, parts, struct part, link) {
        if (part->is_stale) {
            is_complete = refresh(e, part) && is_complete;
        }
        if (!part->is_stale && !part->is_there) {
            (void)map_remove(&e->parts, part->arn);
            free_part(part);
        }
    }
    return is_complete;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static void push_group(struct arena *a, struct lbconf_target_groups *to,
                       const struct lbconf_target_group *group)
{
    *ARENA_PUSH(a, to) = *group;
}

static void push_listener(struct arena *a, struct lbconf_listeners *to,
                          const struct lbconf_listener *listener)
{
    *ARENA_PUSH(a, to) = *listener;
}

/* Groups without traffic and targets stay at home. One that has just lost its traffic does not: its
 * targets still answer requests, and are drained when they leave. indexes: ARN -> the group in the
 * list, which no longer grows then. */
static void gather_groups(struct elbv2 *e, struct arena *a, struct map *indexes,
                          struct lbconf_target_groups *to)
{
    to->is_set = true;
    LIST_FOR (part, &e->groups, struct part, link) {
        bool is_known = str_is_set(part->group.load_balancer) || part->group.targets.count > 0;
        if (part->is_there && is_known) {
            push_group(a, to, &part->group);
        }
    }
    for (size_t i = 0; i < to->count; i++) {
        (void)map_put(indexes, to->items[i].arn, &to->items[i]);
    }
}

/* The weights name groups by their place in the snapshot. False when one is missing: references
 * forbid it, but the file could have been edited. */
static bool fill_indexes(const struct part *part, const struct map *indexes,
                         const struct lbconf_target_groups *groups)
{
    for (size_t i = 0; i < part->weight_count; i++) {
        const struct lbconf_target_group *group = map_find(indexes, part->weights[i].group_arn);
        if (group == NULL) {
            log_error("elbv2", "\"%.*s\" sends traffic to \"%.*s\", which does not exist",
                      STR_ARG(part->arn), STR_ARG(part->weights[i].group_arn));
            return false;
        }
        part->weights[i].at->target_group = OPT_I32((int32_t)(group - groups->items));
    }
    return true;
}

static void gather_listeners(struct elbv2 *e, struct arena *a, const struct map *indexes,
                             const struct lbconf_target_groups *groups, struct lbconf_listeners *to)
{
    to->is_set = true;
    LIST_FOR (part, &e->listeners, struct part, link) {
        if (part->is_there && fill_indexes(part, indexes, groups)) {
            push_listener(a, to, &part->listener);
        }
    }
}

/* Without them when they cannot be read: then a certificate waits, and traffic does not. */
static void gather_challenges(struct op *op, struct elbv2 *e, struct lbconf_acme_challenges *to)
{
    struct port_challenges found = {0};
    const struct port_certificates *port = &e->options.certificates;
    if (port->list_challenges(port->self, op, &found) != ERR_OK) {
        log_error("elbv2", "could not read the challenges of certificates: %s", op->note.text);
        return;
    }
    for (size_t i = 0; i < found.count; i++) {
        *ARENA_PUSH(&op->arena, to) = (struct lbconf_acme_challenge){
            .token = found.items[i].token, .answer = found.items[i].answer};
        to->is_set = true;
    }
}

static void send(struct elbv2 *e)
{
    auto_op struct op op;
    op_init(&op);
    struct lbconf_snapshot snapshot = {.version = OPT_I64(e->version),
                                       .cookie_key = e->cookie_key,
                                       .sign_in_key_pem = e->sign_in_key,
                                       .sign_in_key_id = e->sign_in_key_id};
    struct map indexes;
    map_init(&indexes);
    gather_groups(e, &op.arena, &indexes, &snapshot.target_groups);
    gather_listeners(e, &op.arena, &indexes, &snapshot.target_groups, &snapshot.listeners);
    gather_challenges(&op, e, &snapshot.acme_challenges);
    map_fini(&indexes);
    e->options.host.publish(e->options.host.self, &snapshot);
}

static bool uses_jwks(const struct part *part, struct str url)
{
    for (size_t r = 0; r < part->listener.rules.count; r++) {
        const struct lbconf_actions *actions = &part->listener.rules.items[r].actions;
        for (size_t i = 0; i < actions->count; i++) {
            if (str_equal(actions->items[i].jwks_url, url) && url.len > 0) {
                return true;
            }
        }
    }
    return false;
}

void elbv2_note_jwks(struct elbv2 *e, struct str url)
{
    LIST_FOR (part, &e->listeners, struct part, link) {
        if (uses_jwks(part, url)) {
            part->is_stale = true;
            e->is_dirty = true;
        }
    }
    elbv2_publish(e);
}

bool elbv2_snapshot_uses_jwks(const struct elbv2 *e, struct str url)
{
    LIST_FOR (part, &e->listeners, struct part, link) {
        if (part->is_stale || uses_jwks(part, url)) {
            return true;
        }
    }
    return false;
}

void elbv2_publish(struct elbv2 *e)
{
    if (!e->is_dirty) {
        return;
    }
    bool is_complete = refresh_list(e, &e->groups);
    is_complete = refresh_list(e, &e->listeners) && is_complete;
    if (!is_complete) { /* the store failed: what was published serves on */
        e->options.host.wake(e->options.host.self, DUR_S(1));
        return;
    }
    e->is_dirty = false;
    /* The clock makes versions grow over restarts, too. */
    int64_t now_us = clock_wall().us;
    e->version = now_us > e->version ? now_us : e->version + 1;
    elbv2_forget_failures(e);
    send(e);
}

void elbv2_publish_again(struct elbv2 *e)
{
    if (e->is_dirty || e->version == 0) {
        elbv2_publish(e);
        return;
    }
    send(e);
}

struct str elbv2_snapshot_next_drain(const struct elbv2 *e, int64_t *ret_ends_us)
{
    struct str arn = STR_NONE;
    *ret_ends_us = INT64_MAX;
    LIST_FOR (part, &e->groups, struct part, link) {
        if (part->drain_ends_us < *ret_ends_us) {
            *ret_ends_us = part->drain_ends_us;
            arn = part->arn;
        }
    }
    return arn;
}

struct str elbv2_snapshot_unserved(const struct elbv2 *e, struct arena *a, struct str listener_arn)
{
    const struct part *part = map_find(&e->parts, listener_arn);
    for (size_t i = 0; part != NULL && part->is_there && i < part->weight_count; i++) {
        const struct part *group = map_find(&e->parts, part->weights[i].group_arn);
        if (group != NULL && group->is_there && str_is_set(group->why_idle)) {
            return arena_printf(a, "Target group '%.*s' gets no requests: %.*s.",
                                STR_ARG(group->group.name), STR_ARG(group->why_idle));
        }
    }
    return STR_NONE;
}

struct str elbv2_region_of(void *self, struct arena *a, struct str load_balancer)
{
    struct elbv2 *e = self;
    struct arn arn = {0};
    LIST_FOR (part, &e->listeners, struct part, link) {
        if (part->is_there && str_equal(part->listener.load_balancer, load_balancer) &&
            arn_parse(part->arn, &arn)) {
            return arena_str(a, arn.region);
        }
    }
    return STR_NONE;
}

bool elbv2_snapshot_has_target(const struct elbv2 *e, struct str group_arn, struct str host,
                               int32_t port)
{
    const struct part *part = map_find(&e->parts, group_arn);
    if (part == NULL || !part->is_there || part->is_listener) {
        return false;
    }
    for (size_t i = 0; i < part->group.targets.count; i++) {
        const struct lbconf_target *target = &part->group.targets.items[i];
        if (target->port.value == port && str_equal(target->host, host)) {
            return true;
        }
    }
    return false;
}
