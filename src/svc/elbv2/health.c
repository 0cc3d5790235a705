#include "svc/elbv2/state.h"
#include "svc/elbv2/targets.h"

#include "base/log.h"
#include "base/mem.h"
#include "svc/common/arn.h"
#include "svc/elbv2/rows.h"

#define SENTENCE_BYTES_MAX 1024

/* ---- memory --------------------------------------------------------------------------------- */

/* Reports come often and mostly say the same, so each keeps its two texts in one piece of memory.
 */
struct entry {
    struct health health; /* first: found by the cast of a pointer to it */
    char texts[];
};

static struct entry *new_entry(struct health health)
{
    struct entry *entry = mem_alloc(sizeof(*entry) + health.reason.len + health.description.len);
    char *at = entry->texts;
    entry->health = health;
    if (str_is_set(health.reason)) {
        memcpy(at, health.reason.ptr, health.reason.len);
        entry->health.reason.ptr = at;
        at += health.reason.len;
    }
    if (str_is_set(health.description)) {
        memcpy(at, health.description.ptr, health.description.len);
        entry->health.description.ptr = at;
    }
    return entry;
}

static void free_values(struct map *map)
{
    size_t at = 0;
    struct str key = STR_NONE;
    void *value = NULL;
    while (map_next(map, &at, &key, &value)) {
        mem_free(value);
    }
    map_fini(map);
}

void elbv2_health_fini(struct elbv2 *e)
{
    free_values(&e->health);
    free_values(&e->listen_failures);
}

void elbv2_forget_failures(struct elbv2 *e)
{
    if (e->listen_failures.count > 0) {
        free_values(&e->listen_failures);
    }
}

const struct health *elbv2_health_find(const struct elbv2 *e, struct str target_key)
{
    const struct entry *entry = map_find(&e->health, target_key);
    return entry == NULL ? NULL : &entry->health;
}

void elbv2_health_forget(struct elbv2 *e, struct str target_key)
{
    mem_free(map_remove(&e->health, target_key));
}

/* ---- what the data plane says --------------------------------------------------------------- */

static void tell_target(struct elbv2 *e, struct str group_arn)
{
    struct arn arn = {0};
    if (arn_parse(group_arn, &arn)) {
        e->options.wakes.target_changed(e->options.wakes.self, arn.region, group_arn);
    }
}

static enum port_target_state read_state(struct str state)
{
    static const struct {
        struct str name;
        enum port_target_state state;
    } states[] = {{STR_INIT("initial"), PORT_TARGET_INITIAL},
                  {STR_INIT("healthy"), PORT_TARGET_HEALTHY},
                  {STR_INIT("unhealthy"), PORT_TARGET_UNHEALTHY},
                  {STR_INIT("draining"), PORT_TARGET_DRAINING}};
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        if (str_equal(states[i].name, state)) {
            return states[i].state;
        }
    }
    return PORT_TARGET_UNUSED;
}

static bool is_same(const struct health *a, const struct health *b)
{
    return a != NULL && a->state == b->state && str_equal(a->reason, b->reason) &&
           str_equal(a->description, b->description);
}

static void hear_row(struct elbv2 *e, struct op *op, const struct lbconf_health_row *row)
{
    int32_t port = OPT_OR(row->port, 0);
    if (!elbv2_snapshot_has_target(e, row->target_group, row->host, port)) {
        return; /* of an older snapshot */
    }
    struct str key = elbv2_target_key(op, row->target_group, row->host, port);
    struct health health = {.state = read_state(row->state),
                            .reason = row->reason,
                            .description = str_slice(row->description, 0, SENTENCE_BYTES_MAX),
                            .inflight_count = (uint64_t)OPT_OR(row->inflight, 0),
                            .is_anomalous = OPT_OR(row->is_anomalous, false),
                            .is_mitigated = OPT_OR(row->is_mitigated, false)};
    struct entry *old = map_find(&e->health, key);
    /* A verdict gives way to another verdict only: a data plane that has just been started knows
     * none yet, and no target falls ill because it is asked again. */
    bool has_verdict = old != NULL && (old->health.state == PORT_TARGET_HEALTHY ||
                                       old->health.state == PORT_TARGET_UNHEALTHY);
    if (health.state == PORT_TARGET_INITIAL && has_verdict) {
        return;
    }
    if (old != NULL && is_same(&old->health, &health)) {
        old->health.inflight_count = health.inflight_count;
        old->health.is_anomalous = health.is_anomalous;
        old->health.is_mitigated = health.is_mitigated;
        return;
    }
    mem_free(map_put(&e->health, key, new_entry(health)));
    tell_target(e, row->target_group);
}

void elbv2_heard_health(struct elbv2 *e, const struct lbconf_health *message)
{
    auto_op struct op op;
    op_init(&op);
    for (size_t i = 0; i < message->targets.count; i++) {
        hear_row(e, &op, &message->targets.items[i]);
    }
}

/* The data plane knows a load balancer that is a target by its address. */
static enum err find_served(struct op *op, struct elbv2 *e, const struct lbconf_drained *message,
                            struct engine_elb_target *ret)
{
    struct elbv2_target_list targets = {0};
    int32_t port = OPT_OR(message->port, 0);
    enum err result = elbv2_get_target(op, e, message->target_group, message->host, port, ret);
    if (result != ERR_NOT_FOUND) {
        return result;
    }
    op_note_clear(op);
    TRY(elbv2_list_targets(op, e, message->target_group, &targets));
    for (size_t i = 0; i < targets.count; i++) {
        const struct engine_elb_target *t = &targets.items[i];
        if (OPT_OR(t->port, 0) == port &&
            str_equal(elbv2_served_host(op, e, t->host), message->host)) {
            *ret = *t;
            return ERR_OK;
        }
    }
    return ERR_NOT_FOUND;
}

static enum err keep_drained(struct op *op, struct elbv2 *e, const struct lbconf_drained *message)
{
    int32_t port = OPT_OR(message->port, 0);
    struct engine_elb_target target = {0};
    TRY(find_served(op, e, message, &target));
    if (!target.draining_since.is_set || OPT_OR(target.is_drained, false)) {
        return ERR_OK; /* it was registered again, or is known */
    }
    struct str lb_arn = STR_NONE;
    TRY(elbv2_group_load_balancer(op, e, message->target_group, &lb_arn));
    if (!str_is_set(lb_arn)) {
        return elbv2_remove_target(op, e, message->target_group, target.host, port);
    }
    target.is_drained = OPT_BOOL(true); /* told as draining until the delay is over, as AWS does */
    return elbv2_put_target(op, e, message->target_group, &target);
}

void elbv2_heard_drained(struct elbv2 *e, const struct lbconf_drained *message)
{
    auto_op struct op op;
    elbv2_begin_op(e, message->target_group, &op);
    enum err result = keep_drained(&op, e, message);
    if (result == ERR_OK) {
        tell_target(e, message->target_group);
    } else if (result != ERR_NOT_FOUND) {
        log_error("elbv2", "could not keep that a target is drained: %s", op.note.text);
    }
}

void elbv2_heard_listen_failed(struct elbv2 *e, const struct lbconf_listen_failed *message)
{
    size_t len =
        message->sentence.len < SENTENCE_BYTES_MAX ? message->sentence.len : SENTENCE_BYTES_MAX;
    char *sentence = mem_alloc(len + 1);
    memcpy(sentence, message->sentence.ptr, len);
    mem_free(map_put(&e->listen_failures, message->listener, sentence));
    log_warn("elbv2", "listener=%.*s does not listen: %s", STR_ARG(message->listener), sentence);
}

void elbv2_heard_published(struct elbv2 *e, const struct lbconf_published *message)
{
    int64_t version = OPT_OR(message->version, 0);
    if (version > e->heard_version) {
        e->heard_version = version;
    }
    if (!e->is_dirty && e->heard_version >= e->version) {
        e->options.wakes.weights_published(e->options.wakes.self);
    }
}
