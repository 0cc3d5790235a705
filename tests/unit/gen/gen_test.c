#include "base/check.h"
#include "gen/ecs.h"
#include "gen/lbconf.h"
#include "test.h"

TEST(tables_name_the_members_and_where_they_lie)
{
    const struct shape *in = ecs_op_create_service.in;
    EXPECT_EQ(in->type, SHAPE_STRUCT);
    EXPECT_EQ(in->bytes, sizeof(struct ecs_create_service_in));
    bool has_desired = false;
    for (size_t i = 0; i < in->member_count; i++) {
        if (strcmp(in->members[i].name, "desiredCount") == 0) {
            has_desired =
                in->members[i].offset == offsetof(struct ecs_create_service_in, desired_count);
        }
    }
    EXPECT(has_desired);
    EXPECT_EQ(shape_enum_value(&shape_ecs_launch_type, STR("FARGATE")), ECS_LAUNCH_TYPE_FARGATE);
    EXPECT_EQ(shape_enum_value(&shape_ecs_launch_type, STR("fargate")), ECS_LAUNCH_TYPE_UNSET);
    EXPECT_EQ(ecs_error_cluster_not_found_exception.http_status, 400);
}

TEST(copies_share_nothing_with_the_original)
{
    struct arena from;
    struct arena to;
    arena_init(&from);
    arena_init(&to);
    struct ecs_register_task_definition_in in = {.family = STR("web")};
    struct ecs_container_definition *c = ARENA_PUSH(&from, &in.container_definitions);
    c->name = arena_printf(&from, "app-%d", 1);
    c->cpu = OPT_I32(7);
    *ARENA_PUSH(&from, &c->environment) =
        (struct ecs_key_value_pair){.name = STR("A"), .value = STR("b")};
    struct ecs_register_task_definition_in copy;
    shape_copy(&to, ecs_op_register_task_definition.in, &in, &copy);
    arena_fini(&from);
    REQUIRE_EQ(copy.container_definitions.count, 1);
    EXPECT_STR(copy.container_definitions.items[0].name, "app-1");
    EXPECT_EQ(copy.container_definitions.items[0].cpu.value, 7);
    EXPECT_STR(copy.container_definitions.items[0].environment.items[0].value, "b");
    arena_fini(&to);
}

static enum err list_clusters(struct op *op, struct ecs *ecs, const struct ecs_list_clusters_in *in,
                              struct ecs_list_clusters_out *ret)
{
    (void)op;
    (void)ecs;
    ret->next_token = in->next_token;
    return ERR_OK;
}

TEST(operations_call_their_typed_handler_and_refuse_what_is_not_offered)
{
    auto_op struct op op;
    op_init(&op);
    const struct ecs_handlers handlers = {.list_clusters = list_clusters};
    struct ecs_list_clusters_in in = {.next_token = STR("x")};
    struct ecs_list_clusters_out out = {0};
    REQUIRE_OK(ecs_op_list_clusters.call(&handlers, NULL, &op, &in, &out), &op);
    EXPECT_STR(out.next_token, "x");
    EXPECT_EQ(ecs_op_create_service.call(&handlers, NULL, &op, &in, &out), ERR_UNSUPPORTED);
}
