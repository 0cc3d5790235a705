#include "svc/elbv2/elbv2.h"

#include "base/log.h"
#include "base/mem.h"
#include "svc/elbv2/jwks.h"
#include "svc/elbv2/listeners.h"
#include "svc/elbv2/load_balancers.h"
#include "svc/elbv2/policies.h"
#include "svc/elbv2/resource_tags.h"
#include "svc/elbv2/rows.h"
#include "svc/elbv2/rules.h"
#include "svc/elbv2/sign_in.h"
#include "svc/elbv2/state.h"
#include "svc/elbv2/target_groups.h"
#include "svc/elbv2/targets.h"
#include "svc/elbv2/trust_stores.h"

enum err elbv2_start(struct op *op, const struct elbv2_options *options, struct elbv2 **ret)
{
    struct elbv2 *e = MEM_NEW(struct elbv2);
    arena_init(&e->arena);
    e->store = options->store;
    e->options = *options;
    e->options.account = arena_str(&e->arena, options->account);
    e->options.objects = arena_str(&e->arena, options->objects);
    e->options.files = arena_str(&e->arena, options->files);
    e->options.lb_address = arena_str(&e->arena, options->lb_address);
    e->options.hosts_mark = arena_str(&e->arena, options->hosts_mark);
    if (options->hosts_path != NULL) {
        e->options.hosts_path = arena_c_str(&e->arena, str_of(options->hosts_path));
    }
    map_init(&e->health);
    map_init(&e->listen_failures);
    elbv2_jwks_init(e);
    elbv2_sign_ins_init(e);
    elbv2_snapshot_init(e);
    enum err result = elbv2_sign_in_key_load(op, e);
    if (result == ERR_OK) {
        result = elbv2_snapshot_load(op, e);
    }
    if (result != ERR_OK) {
        elbv2_stop(e);
        return result;
    }
    e->are_names_stale = true;
    elbv2_names_write(e); /* before the first call is answered: it may ask for a DNSName */
    e->options.host.wake(e->options.host.self, DUR_US(0));
    *ret = e;
    return ERR_OK;
}

void elbv2_stop(struct elbv2 *e)
{
    elbv2_names_remove(e);
    elbv2_health_fini(e);
    elbv2_snapshot_fini(e);
    elbv2_jwks_fini(e);
    elbv2_sign_ins_fini(e);
    arena_fini(&e->arena);
    mem_free(e);
}

/* Ends the drains of every group whose time has come, and says when the next one comes. */
static void end_drains(struct elbv2 *e)
{
    int64_t ends_us = INT64_MAX;
    int64_t now_us = clock_wall().us;
    struct str arn = elbv2_snapshot_next_drain(e, &ends_us);
    while (ends_us <= now_us) {
        auto_op struct op op;
        elbv2_begin_op(e, arn, &op);
        enum err result = elbv2_end_drains(&op, e, arn);
        if (result != ERR_OK) {
            log_error("elbv2", "could not end the drain of \"%.*s\": %s", STR_ARG(arn),
                      op.note.text);
            e->options.host.wake(e->options.host.self, DUR_S(1));
            return;
        }
        e->options.wakes.target_changed(e->options.wakes.self, op.region,
                                        arena_str(&op.arena, arn));
        elbv2_publish(e); /* reads the group again, which gives it its next end */
        arn = elbv2_snapshot_next_drain(e, &ends_us);
    }
    if (ends_us != INT64_MAX) {
        e->options.host.wake(e->options.host.self, DUR_US(ends_us - now_us));
    }
}

void elbv2_turn(struct elbv2 *e)
{
    elbv2_publish(e);
    elbv2_names_write(e);
    end_drains(e);
    elbv2_jwks_turn(e);
}

const struct elbv2_handlers elbv2_handlers = {
    .create_load_balancer = elbv2_create_load_balancer,
    .describe_load_balancers = elbv2_describe_load_balancers,
    .delete_load_balancer = elbv2_delete_load_balancer,
    .describe_load_balancer_attributes = elbv2_describe_load_balancer_attributes,
    .modify_load_balancer_attributes = elbv2_modify_load_balancer_attributes,
    .set_security_groups = elbv2_set_security_groups,
    .set_subnets = elbv2_set_subnets,
    .set_ip_address_type = elbv2_set_ip_address_type,
    .describe_capacity_reservation = elbv2_describe_capacity_reservation,
    .create_target_group = elbv2_create_target_group,
    .describe_target_groups = elbv2_describe_target_groups,
    .modify_target_group = elbv2_modify_target_group,
    .delete_target_group = elbv2_delete_target_group,
    .describe_target_group_attributes = elbv2_describe_target_group_attributes,
    .modify_target_group_attributes = elbv2_modify_target_group_attributes,
    .create_listener = elbv2_create_listener,
    .describe_listeners = elbv2_describe_listeners,
    .modify_listener = elbv2_modify_listener,
    .delete_listener = elbv2_delete_listener,
    .describe_listener_attributes = elbv2_describe_listener_attributes,
    .modify_listener_attributes = elbv2_modify_listener_attributes,
    .create_rule = elbv2_create_rule,
    .describe_rules = elbv2_describe_rules,
    .modify_rule = elbv2_modify_rule,
    .delete_rule = elbv2_delete_rule,
    .set_rule_priorities = elbv2_set_rule_priorities,
    .register_targets = elbv2_register_targets,
    .deregister_targets = elbv2_deregister_targets,
    .describe_target_health = elbv2_describe_target_health,
    .add_tags = elbv2_add_tags,
    .remove_tags = elbv2_remove_tags,
    .describe_tags = elbv2_describe_tags,
    .describe_account_limits = elbv2_describe_account_limits,
    .describe_ssl_policies = elbv2_describe_ssl_policies,
    .add_listener_certificates = elbv2_add_listener_certificates,
    .remove_listener_certificates = elbv2_remove_listener_certificates,
    .describe_listener_certificates = elbv2_describe_listener_certificates,
    .create_trust_store = elbv2_create_trust_store,
    .modify_trust_store = elbv2_modify_trust_store,
    .delete_trust_store = elbv2_delete_trust_store,
    .describe_trust_stores = elbv2_describe_trust_stores,
    .describe_trust_store_associations = elbv2_describe_trust_store_associations,
    .add_trust_store_revocations = elbv2_add_trust_store_revocations,
    .remove_trust_store_revocations = elbv2_remove_trust_store_revocations,
    .describe_trust_store_revocations = elbv2_describe_trust_store_revocations,
    .get_trust_store_ca_certificates_bundle = elbv2_get_trust_store_ca_certificates_bundle,
    .get_trust_store_revocation_content = elbv2_get_trust_store_revocation_content,
    .delete_shared_trust_store_association = elbv2_delete_shared_trust_store_association,
};
