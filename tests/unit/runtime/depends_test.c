#include "test.h"

#include "base/check.h"
#include "runtime/depends.h"

static struct runtime_task_spec three(const struct runtime_dependency *of_second,
                                      const struct runtime_dependency *of_third)
{
    static struct runtime_container_spec containers[3];
    containers[0] = (struct runtime_container_spec){.name = STR("a"), .image = STR("i")};
    containers[1] = (struct runtime_container_spec){.name = STR("b"), .image = STR("i")};
    containers[2] = (struct runtime_container_spec){.name = STR("c"), .image = STR("i")};
    containers[1].depends_on = of_second;
    containers[1].depends_on_count = of_second == NULL ? 0 : 1;
    containers[2].depends_on = of_third;
    containers[2].depends_on_count = of_third == NULL ? 0 : 1;
    return (struct runtime_task_spec){.containers = containers, .container_count = 3};
}

TEST(each_condition_gives_its_verdict_in_each_phase)
{
    static const struct {
        enum runtime_condition condition;
        struct runtime_depends_sight seen;
        enum runtime_depends_verdict want;
    } cases[] = {
        {RUNTIME_WHEN_STARTED, {.phase = RUNTIME_DEPENDS_WAITING}, RUNTIME_DEPENDS_WAIT},
        {RUNTIME_WHEN_STARTED, {.phase = RUNTIME_DEPENDS_RUNNING}, RUNTIME_DEPENDS_START},
        {RUNTIME_WHEN_STARTED,
         {.phase = RUNTIME_DEPENDS_EXITED, .exit_code = 1},
         RUNTIME_DEPENDS_START},
        {RUNTIME_WHEN_STARTED, {.phase = RUNTIME_DEPENDS_FAILED}, RUNTIME_DEPENDS_NEVER},
        {RUNTIME_WHEN_COMPLETE, {.phase = RUNTIME_DEPENDS_RUNNING}, RUNTIME_DEPENDS_WAIT},
        {RUNTIME_WHEN_COMPLETE,
         {.phase = RUNTIME_DEPENDS_EXITED, .exit_code = 3},
         RUNTIME_DEPENDS_START},
        {RUNTIME_WHEN_SUCCESS,
         {.phase = RUNTIME_DEPENDS_EXITED, .exit_code = 0},
         RUNTIME_DEPENDS_START},
        {RUNTIME_WHEN_SUCCESS,
         {.phase = RUNTIME_DEPENDS_EXITED, .exit_code = 3},
         RUNTIME_DEPENDS_NEVER},
        {RUNTIME_WHEN_SUCCESS,
         {.phase = RUNTIME_DEPENDS_RUNNING, .is_overdue = true},
         RUNTIME_DEPENDS_NEVER},
        {RUNTIME_WHEN_HEALTHY,
         {.phase = RUNTIME_DEPENDS_RUNNING, .health = RUNTIME_HEALTH_UNKNOWN},
         RUNTIME_DEPENDS_WAIT},
        {RUNTIME_WHEN_HEALTHY,
         {.phase = RUNTIME_DEPENDS_RUNNING, .health = RUNTIME_UNHEALTHY},
         RUNTIME_DEPENDS_WAIT},
        {RUNTIME_WHEN_HEALTHY,
         {.phase = RUNTIME_DEPENDS_RUNNING, .health = RUNTIME_HEALTHY, .is_overdue = true},
         RUNTIME_DEPENDS_START},
        {RUNTIME_WHEN_HEALTHY,
         {.phase = RUNTIME_DEPENDS_EXITED, .exit_code = 0},
         RUNTIME_DEPENDS_NEVER},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct runtime_dependency d = {.container = STR("a"), .condition = cases[i].condition};
        struct runtime_task_spec spec = three(&d, NULL);
        struct runtime_depends_sight sights[3] = {cases[i].seen};
        struct runtime_depends_answer got = runtime_depends_may_start(&spec, sights, 1);
        EXPECT_EQ(got.verdict, cases[i].want);
        EXPECT_EQ(got.blocker, got.verdict == RUNTIME_DEPENDS_START ? RUNTIME_DEPENDS_NONE : 0);
    }
}

TEST(a_container_stops_after_those_that_depend_on_it)
{
    struct runtime_dependency on_a = {.container = STR("a")};
    struct runtime_dependency on_b = {.container = STR("b")};
    struct runtime_task_spec spec = three(&on_a, &on_b);
    struct runtime_depends_sight s[3] = {{.phase = RUNTIME_DEPENDS_RUNNING},
                                         {.phase = RUNTIME_DEPENDS_RUNNING},
                                         {.phase = RUNTIME_DEPENDS_RUNNING}};
    EXPECT(!runtime_depends_may_stop(&spec, s, 0));
    EXPECT(!runtime_depends_may_stop(&spec, s, 1));
    EXPECT(runtime_depends_may_stop(&spec, s, 2));
    s[2].phase = RUNTIME_DEPENDS_EXITED;
    EXPECT(!runtime_depends_may_stop(&spec, s, 0));
    EXPECT(runtime_depends_may_stop(&spec, s, 1));
    s[1].phase = RUNTIME_DEPENDS_FAILED;
    EXPECT(runtime_depends_may_stop(&spec, s, 0));
}

TEST(the_network_belongs_to_a_lasting_container_that_starts_first)
{
    struct runtime_task_spec none = three(NULL, NULL);
    EXPECT_EQ(runtime_depends_network_owner(&none), 0);

    struct runtime_dependency after_setup = {.container = STR("a"),
                                             .condition = RUNTIME_WHEN_SUCCESS};
    struct runtime_dependency after_proxy = {.container = STR("c"),
                                             .condition = RUNTIME_WHEN_STARTED};
    struct runtime_task_spec setup = three(&after_setup, NULL);
    EXPECT(runtime_depends_is_awaited_to_end(&setup, 0));
    EXPECT_EQ(runtime_depends_network_owner(&setup), 1);

    struct runtime_task_spec proxy = three(&after_proxy, &after_setup);
    EXPECT_EQ(runtime_depends_network_owner(&proxy), 2);
}

TEST(a_circle_of_dependencies_is_seen)
{
    struct runtime_dependency on_c = {.container = STR("c")};
    struct runtime_dependency on_b = {.container = STR("b")};
    struct runtime_dependency on_a = {.container = STR("a")};
    struct runtime_task_spec circle = three(&on_c, &on_b);
    EXPECT(!runtime_depends_is_acyclic(&circle));
    struct runtime_task_spec chain = three(&on_a, &on_b);
    EXPECT(runtime_depends_is_acyclic(&chain));
}
