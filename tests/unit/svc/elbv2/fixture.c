#include "fixture.h"

#include "store/store.h"

#include <stdio.h>

static void publish(void *self, const struct lbconf_snapshot *snapshot)
{
    struct fixture *f = self;
    arena_reset(&f->snapshot_arena);
    shape_copy(&f->snapshot_arena, &shape_lbconf_snapshot, snapshot, &f->snapshot);
    f->publish_count++;
}

static void wake(void *self, dur_t within)
{
    struct fixture *f = self;
    f->wake_count++;
    if (!f->is_wake_asked || within.us < f->wake_within.us) {
        f->wake_within = within;
    }
    f->is_wake_asked = true;
}

static void alarm_changed(void *self, struct str region, struct str name)
{
    (void)self;
    (void)region;
    (void)name;
}

static void target_changed(void *self, struct str region, struct str group_arn)
{
    struct fixture *f = self;
    EXPECT_STR(region, "eu-west-1");
    f->target_changed_count++;
    EXPECT(str_to_c(group_arn, f->changed_group, sizeof(f->changed_group)));
}

static void weights_published(void *self)
{
    struct fixture *f = self;
    f->weights_published_count++;
}

static enum err check_certificate(void *self, struct op *op, struct str arn)
{
    (void)self;
    if (str_ends_with(arn, STR("-pending"))) {
        return op_fail(op, ERR_STATE, "it is not issued yet");
    }
    return str_ends_with(arn, STR("-gone"))
               ? op_fail(op, ERR_NOT_FOUND, "there is no such certificate")
               : ERR_OK;
}

static enum err find_certificate(void *self, struct op *op, struct str arn,
                                 struct port_certificate *ret)
{
    struct fixture *f = self;
    TRY(check_certificate(self, op, arn));
    ret->chain_pem =
        arena_printf(&op->arena, "chain %zu of %.*s", f->certificate_edition, STR_ARG(arn));
    ret->key_pem = arena_printf(&op->arena, "key of %.*s", STR_ARG(arn));
    return ERR_OK;
}

static enum err list_challenges(void *self, struct op *op, struct port_challenges *ret)
{
    struct fixture *f = self;
    (void)op;
    *ret = (struct port_challenges){.items = &f->challenge, .count = f->challenge_count};
    return ERR_OK;
}

static void start(struct fixture *f, const char *hosts_path, struct str lb_address)
{
    struct elbv2_options options = {
        .store = f->store,
        .account = STR("123456789012"),
        .lb_address = lb_address,
        .hosts_path = hosts_path,
        .hosts_mark = STR("unit-test"),
        .host = {.self = f, .publish = publish, .wake = wake},
        .certificates = {.self = f,
                         .find = find_certificate,
                         .check = check_certificate,
                         .list_challenges = list_challenges},
        .wakes = {.self = f,
                  .alarm_changed = alarm_changed,
                  .target_changed = target_changed,
                  .task_set_changed = alarm_changed,
                  .weights_published = weights_published},
    };
    REQUIRE_OK(elbv2_start(&f->op, &options, &f->e), &f->op);
    f->port = elbv2_port(f->e);
}

void fixture_open(struct fixture *f, const char *path, const char *hosts_path,
                  struct str lb_address)
{
    *f = (struct fixture){0};
    op_init(&f->op);
    arena_init(&f->snapshot_arena);
    f->op.account = STR("123456789012");
    f->op.region = STR("eu-west-1");
    f->network = network_default(&f->op.arena, f->op.region);
    REQUIRE_OK(store_open(&f->op, path, &f->store), &f->op);
    start(f, hosts_path, lb_address);
}

void fixture_restart(struct fixture *f)
{
    elbv2_stop(f->e);
    f->is_wake_asked = false;
    start(f, NULL, STR_NONE);
}

void fixture_close(struct fixture *f)
{
    if (f->e != NULL) {
        elbv2_stop(f->e);
    }
    if (f->store != NULL) {
        store_close(f->store);
    }
    arena_fini(&f->snapshot_arena);
    op_fini(&f->op);
}

void fixture_turn(struct fixture *f)
{
    f->is_wake_asked = false;
    f->wake_count = 0;
    elbv2_turn(f->e);
    f->op.now = clock_wall();
}

void fixture_acknowledge(struct fixture *f)
{
    elbv2_heard_published(f->e, &(struct lbconf_published){.version = f->snapshot.version});
}

void fixture_report(struct fixture *f, struct str group, struct str host, int32_t port,
                    const char *state, const char *reason, const char *description)
{
    struct lbconf_health_row row = {.target_group = group,
                                    .host = host,
                                    .port = OPT_I32(port),
                                    .state = str_of(state),
                                    .reason = str_of(reason),
                                    .description = str_of(description)};
    elbv2_heard_health(f->e, &(struct lbconf_health){.targets = {.items = &row, .count = 1}});
}

const char *fixture_code(const struct fixture *f, enum err result)
{
    if (result == ERR_OK) {
        return "";
    }
    return f->op.note.public_error == NULL ? "(none)" : f->op.note.public_error->code;
}

struct elbv2_load_balancer make_load_balancer(struct fixture *f, struct str name)
{
    struct elbv2_create_load_balancer_in in = {.name = name};
    for (size_t i = 0; i < 2; i++) {
        *ARENA_PUSH(&f->op.arena, &in.subnets) = f->network.subnets[i].id;
    }
    struct elbv2_create_load_balancer_out out = {0};
    REQUIRE_OK(elbv2_handlers.create_load_balancer(&f->op, f->e, &in, &out), &f->op);
    REQUIRE_EQ(out.load_balancers.count, 1);
    return out.load_balancers.items[0];
}

struct str make_group(struct fixture *f, struct str name)
{
    struct elbv2_create_target_group_in in = {.name = name,
                                              .protocol = ELBV2_PROTOCOL_ENUM_HTTP,
                                              .port = OPT_I32(8080),
                                              .vpc_id = f->network.vpc_id,
                                              .target_type = ELBV2_TARGET_TYPE_ENUM_IP};
    struct elbv2_create_target_group_out out = {0};
    REQUIRE_OK(elbv2_handlers.create_target_group(&f->op, f->e, &in, &out), &f->op);
    REQUIRE_EQ(out.target_groups.count, 1);
    return out.target_groups.items[0].target_group_arn;
}

struct elbv2_actions forward_to(struct fixture *f, struct str group_arn)
{
    struct elbv2_actions actions = {.is_set = true};
    *ARENA_PUSH(&f->op.arena, &actions) = (struct elbv2_action){
        .type = ELBV2_ACTION_TYPE_ENUM_FORWARD, .target_group_arn = group_arn};
    return actions;
}

struct elbv2_actions split_between(struct fixture *f, struct str first, int32_t first_weight,
                                   struct str second, int32_t second_weight)
{
    struct elbv2_forward_action_config *config =
        ARENA_NEW(&f->op.arena, struct elbv2_forward_action_config);
    *ARENA_PUSH(&f->op.arena, &config->target_groups) = (struct elbv2_target_group_tuple){
        .target_group_arn = first, .weight = OPT_I32(first_weight)};
    *ARENA_PUSH(&f->op.arena, &config->target_groups) = (struct elbv2_target_group_tuple){
        .target_group_arn = second, .weight = OPT_I32(second_weight)};
    struct elbv2_actions actions = {.is_set = true};
    *ARENA_PUSH(&f->op.arena, &actions) =
        (struct elbv2_action){.type = ELBV2_ACTION_TYPE_ENUM_FORWARD, .forward_config = config};
    return actions;
}

struct elbv2_listener make_listener(struct fixture *f, struct str lb_arn, int32_t port,
                                    struct str group_arn)
{
    struct elbv2_create_listener_in in = {.load_balancer_arn = lb_arn,
                                          .protocol = ELBV2_PROTOCOL_ENUM_HTTP,
                                          .port = OPT_I32(port),
                                          .default_actions = forward_to(f, group_arn)};
    struct elbv2_create_listener_out out = {0};
    REQUIRE_OK(elbv2_handlers.create_listener(&f->op, f->e, &in, &out), &f->op);
    REQUIRE_EQ(out.listeners.count, 1);
    return out.listeners.items[0];
}

struct elbv2_create_rule_in rule_in(struct fixture *f, struct str listener_arn, int32_t priority,
                                    struct str path, struct str group_arn)
{
    struct elbv2_create_rule_in in = {.listener_arn = listener_arn,
                                      .priority = OPT_I32(priority),
                                      .actions = forward_to(f, group_arn)};
    struct elbv2_rule_condition *condition = ARENA_PUSH(&f->op.arena, &in.conditions);
    condition->field = STR("path-pattern");
    *ARENA_PUSH(&f->op.arena, &condition->values) = path;
    return in;
}

void register_target(struct fixture *f, struct str group_arn, struct str host, int32_t port)
{
    struct elbv2_register_targets_in in = {.target_group_arn = group_arn};
    struct elbv2_register_targets_out out = {0};
    *ARENA_PUSH(&f->op.arena, &in.targets) =
        (struct elbv2_target_description){.id = host, .port = OPT_I32(port)};
    REQUIRE_OK(elbv2_handlers.register_targets(&f->op, f->e, &in, &out), &f->op);
}

const struct lbconf_target_group *snapshot_group(const struct fixture *f, struct str arn)
{
    for (size_t i = 0; i < f->snapshot.target_groups.count; i++) {
        if (str_equal(f->snapshot.target_groups.items[i].arn, arn)) {
            return &f->snapshot.target_groups.items[i];
        }
    }
    return NULL;
}

struct elbv2_target_health_description see_one(struct fixture *f, struct str group_arn,
                                               struct str host, int32_t port)
{
    struct elbv2_describe_target_health_in in = {.target_group_arn = group_arn};
    struct elbv2_describe_target_health_out out = {0};
    *ARENA_PUSH(&f->op.arena, &in.targets) =
        (struct elbv2_target_description){.id = host, .port = OPT_I32(port)};
    REQUIRE_OK(elbv2_handlers.describe_target_health(&f->op, f->e, &in, &out), &f->op);
    REQUIRE_EQ(out.target_health_descriptions.count, 1);
    return out.target_health_descriptions.items[0];
}
