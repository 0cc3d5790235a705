#include "test.h"

#include "base/check.h"
#include "runtime/spec.h"

#define ID "0123456789abcdef0123456789abcdef"

static struct runtime_container_spec container(struct str name)
{
    return (struct runtime_container_spec){.name = name, .image = STR("dir:///srv/app")};
}

static enum err check_one(struct op *op, struct runtime_container_spec c)
{
    struct runtime_task_spec spec = {.id = STR(ID), .containers = &c, .container_count = 1};
    return runtime_spec_check(op, &spec);
}

TEST(a_plain_spec_passes)
{
    auto_op struct op op;
    op_init(&op);
    EXPECT_OK(check_one(&op, container(STR("app"))), &op);
}

TEST(what_is_wrong_is_refused_with_a_sentence)
{
    struct str nothing[] = {STR_INIT("CMD")};
    struct str strange[] = {STR_INIT("RUN"), STR_INIT("x")};
    struct str two[] = {STR_INIT("CMD-SHELL"), STR_INIT("x"), STR_INIT("y")};
    struct runtime_port port = {.container_port = 70000};
    struct runtime_dependency self = {.container = STR("app")};
    struct runtime_pair bad_name = {.name = STR("A=B"), .value = STR("s3cret")};
    struct runtime_container_spec cases[] = {
        container(STR("")),
        container(STR("a b")),
        {.name = STR("app"), .image = STR("")},
        {.name = STR("app"), .image = STR("i"), .cpu_units = -1},
        {.name = STR("app"), .image = STR("i"), .stop_signal = STR("SIGNOTHING")},
        {.name = STR("app"), .image = STR("i"), .health_check.command = {nothing, 1}},
        {.name = STR("app"), .image = STR("i"), .health_check.command = {strange, 2}},
        {.name = STR("app"), .image = STR("i"), .health_check.command = {two, 3}},
        {.name = STR("app"), .image = STR("i"), .ports = &port, .port_count = 1},
        {.name = STR("app"), .image = STR("i"), .depends_on = &self, .depends_on_count = 1},
        {.name = STR("app"), .image = STR("i"), .environment = {&bad_name, 1}},
        {.name = STR("app"), .image = str_make("a\0b", 3)},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        auto_op struct op op;
        op_init(&op);
        EXPECT(check_one(&op, cases[i]) != ERR_OK);
        EXPECT(op.note.text[0] != '\0');
        EXPECT(str_find(str_of(op.note.text), STR("s3cret"), 0) == STR_NOT_FOUND);
    }
}

TEST(each_limit_holds_at_it_and_past_it)
{
    static struct str words[RUNTIME_WORDS_MAX + 1];
    static struct runtime_pair pairs[RUNTIME_ENVIRONMENT_MAX + 1];
    static struct runtime_port ports[RUNTIME_PORTS_MAX + 1];
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        words[i] = STR("w");
    }
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        pairs[i] = (struct runtime_pair){.name = STR("N"), .value = STR("v")};
    }
    for (size_t i = 0; i < ARRAY_COUNT(ports); i++) {
        ports[i] = (struct runtime_port){.container_port = 1};
    }
    auto_op struct op op;
    op_init(&op);
    struct runtime_container_spec c = container(STR("app"));
    c.command = (struct runtime_words){words, RUNTIME_WORDS_MAX};
    c.environment = (struct runtime_pairs){pairs, RUNTIME_ENVIRONMENT_MAX};
    c.ports = ports;
    c.port_count = RUNTIME_PORTS_MAX;
    EXPECT_OK(check_one(&op, c), &op);
    struct runtime_container_spec more = c;
    more.command.count++;
    EXPECT_EQ(check_one(&op, more), ERR_LIMIT);
    more = c;
    more.environment.count++;
    EXPECT_EQ(check_one(&op, more), ERR_LIMIT);
    more = c;
    more.port_count++;
    EXPECT_EQ(check_one(&op, more), ERR_LIMIT);
}

TEST(a_task_id_is_32_lower_case_hex_digits)
{
    EXPECT(runtime_task_id_is_valid(STR(ID)));
    EXPECT(!runtime_task_id_is_valid(STR("0123456789abcdef0123456789abcde")));
    EXPECT(!runtime_task_id_is_valid(STR("0123456789abcdef0123456789abcdef0")));
    EXPECT(!runtime_task_id_is_valid(STR("0123456789ABCDEF0123456789abcdef")));
    EXPECT(!runtime_task_id_is_valid(STR("../3456789abcdef0123456789abcdef")));
}

TEST(signals_are_known_by_name_and_number)
{
    EXPECT_EQ(runtime_signal_number(STR("SIGTERM")), 15);
    EXPECT_EQ(runtime_signal_number(STR("INT")), 2);
    EXPECT_EQ(runtime_signal_number(STR("3")), 3);
    EXPECT_EQ(runtime_signal_number(STR("0")), 0);
    EXPECT_EQ(runtime_signal_number(STR("999")), 0);
    EXPECT_EQ(runtime_signal_number(STR("")), 0);
}

TEST(a_kept_spec_comes_back_without_its_secrets)
{
    struct str probe[] = {STR_INIT("CMD-SHELL"), STR_INIT("curl -f localhost")};
    struct runtime_pair env = {.name = STR("DB"), .value = STR("s3cret")};
    struct runtime_pair label = {.name = STR("cluster"), .value = STR("shop \"x\"")};
    struct runtime_dependency on_db = {.container = STR("db"), .condition = RUNTIME_WHEN_HEALTHY};
    struct runtime_port port = {.container_port = 80, .host_port = 8080, .is_udp = true};
    struct runtime_container_spec containers[] = {container(STR("app")), container(STR("db"))};
    containers[0].environment = (struct runtime_pairs){&env, 1};
    containers[0].depends_on = &on_db;
    containers[0].depends_on_count = 1;
    containers[0].is_essential = true;
    containers[0].stop_timeout = DUR_S(7);
    containers[1].ports = &port;
    containers[1].port_count = 1;
    containers[1].health_check.command = (struct runtime_words){probe, 2};
    containers[1].health_check.retries = 4;
    struct runtime_task_spec spec = {.id = STR(ID),
                                     .labels = {&label, 1},
                                     .containers = containers,
                                     .container_count = 2,
                                     .login = {.user = STR("u"), .password = STR("s3cret")}};
    auto_op struct op op;
    op_init(&op);
    REQUIRE_OK(runtime_spec_check(&op, &spec), &op);
    auto_buf struct buf json;
    buf_init(&json, RUNTIME_SPEC_JSON_BYTES_MAX);
    runtime_spec_to_json(&json, &spec);
    EXPECT(str_find(buf_str(&json), STR("s3cret"), 0) == STR_NOT_FOUND);

    struct runtime_task_spec *back = NULL;
    REQUIRE_OK(runtime_spec_from_json(&op, &op.arena, buf_str(&json), &back), &op);
    EXPECT_STR(back->id, ID);
    EXPECT_STR(back->labels.items[0].value, "shop \"x\"");
    REQUIRE_EQ(back->container_count, 2);
    EXPECT_STR(back->containers[0].name, "app");
    EXPECT(back->containers[0].is_essential);
    EXPECT_EQ(back->containers[0].stop_timeout.us, DUR_S(7).us);
    REQUIRE_EQ(back->containers[0].depends_on_count, 1);
    EXPECT_EQ(back->containers[0].depends_on[0].condition, RUNTIME_WHEN_HEALTHY);
    EXPECT(!back->containers[1].is_essential);
    EXPECT_STR(back->containers[1].health_check.command.items[1], "curl -f localhost");
    EXPECT_EQ(back->containers[1].health_check.retries, 4);
    EXPECT_EQ(back->containers[1].ports[0].host_port, 8080);
    EXPECT(back->containers[1].ports[0].is_udp);

    for (size_t len = 0; len < json.len; len++) {
        EXPECT(runtime_spec_from_json(&op, &op.arena, str_slice(buf_str(&json), 0, len), &back) !=
               ERR_OK);
    }
}
