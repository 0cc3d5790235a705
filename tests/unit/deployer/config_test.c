#include "base/check.h"
#include "deployer/config.h"
#include "test.h"

static struct str lookup(void *self, struct str name)
{
    (void)self;
    return STR_IS(name, "WEBHOOK") ? STR("https://hooks.example/x") : STR_NONE;
}

static enum err parse(struct op *op, const char *text, struct config *ret,
                      struct config_problems *ret_problems)
{
    struct config_source source = {
        .path = STR("/srv/shop/hitless.yaml"), .text = str_of(text), .lookup = lookup};
    return config_parse(op, &source, ret, ret_problems);
}

static const char whole[] =
    "app: shop\n"
    "images:\n"
    "  api: { context: ./api, platform: linux/arm64 }\n"
    "services:\n"
    "  api:\n"
    "    image: api\n"
    "    port: 8080\n"
    "    health: /health\n"
    "    env: { LOG_LEVEL: info }\n"
    "    secrets: { DATABASE_URL: /shop/db }\n"
    "  worker: { image: dir://dist, command: ./work --all }\n"
    "migrations: { command: [./migrate, up], timeout: 5m }\n"
    "verify:\n"
    "  - get: /\n"
    "  - get: /stats\n"
    "    json: { .count: \"> 0\" }\n"
    "environments:\n"
    "  staging: { target: local }\n"
    "  production:\n"
    "    target: aws\n"
    "    after: staging\n"
    "    strategy: canary\n"
    "    steps: [10% 5m, 100%]\n"
    "    stop_if: [error_rate > 1% for 5m, p99 > 500ms, alarm api-5xx-rate-high]\n"
    "    confirm: deploy-prod\n"
    "notify: { slack: \"${env:WEBHOOK}\" }\n";

TEST(a_whole_file_is_read_with_its_defaults)
{
    auto_op struct op op;
    op_init(&op);
    struct config c;
    struct config_problems problems;
    REQUIRE_OK(parse(&op, whole, &c, &problems), &op);
    REQUIRE_EQ(c.service_count, 2);
    const struct config_service *api = &c.services[0];
    EXPECT_STR(api->context, "/srv/shop/api");
    EXPECT_STR(api->platform, "linux/arm64");
    EXPECT_STR(api->health.path, "/health");
    EXPECT_EQ(api->health.interval_s, 10);
    EXPECT_EQ(api->cpu, 256);
    EXPECT_STR(c.services[1].image, "dir:///srv/shop/dist");
    REQUIRE_EQ(c.services[1].command.count, 2);
    EXPECT_STR(c.services[1].command.items[1], "--all");
    EXPECT_EQ(c.migrations.timeout_s, 300);
    EXPECT_STR(c.verify[1].json[0].expected, "> 0");
    const struct config_environment *e = config_find_environment(&c, STR("production"));
    REQUIRE(e != NULL);
    EXPECT_EQ(e->strategy, CONFIG_CANARY);
    REQUIRE_EQ(e->step_count, 2);
    EXPECT_EQ(e->steps[0].wait_s, 300);
    REQUIRE_EQ(e->rule_count, 3);
    EXPECT_EQ(e->rules[0].for_s, 300);
    EXPECT(e->rules[1].threshold == 0.5);
    EXPECT_STR(e->rules[2].alarm, "api-5xx-rate-high");
    EXPECT_EQ(e->confirm, CONFIG_CONFIRM_WORD);
    EXPECT_STR(c.notify.slack, "https://hooks.example/x");
}

/* A small right file; each row puts one mistake into it. */
#define HEAD "app: shop\nservices:\n  api: { image: \"dir://.\", port: 8080 }\n"
#define ENV  "environments:\n  p: { target: local }\n"

TEST(every_mistake_names_its_place_and_what_was_expected)
{
    static const struct {
        const char *text;
        int line;
        int column;
        const char *says;
    } rows[] = {
        {"", 1, 1, "the file is empty"},
        {"- a\n", 1, 1, "expected a map, found a list"},
        {HEAD, 1, 1, "the key \"environments\" is missing"},
        {"app: shop\n" ENV, 1, 1, "the key \"services\" is missing"},
        {HEAD ENV "colour: red\n", 6, 1,
         "the file has no key \"colour\"; expected one of app, images"},
        {HEAD ENV "verfy: []\n", 6, 1, "did you mean \"verify\"?"},
        {HEAD ENV "app: twice\n", 6, 1, "the key \"app\" stands twice"},
        {HEAD ENV "notify:\n  slack: ${env:NOWHERE}\n", 7, 10,
         "the environment variable NOWHERE is not set"},
        {HEAD ENV "notify:\n  slack: ${file:x}\n", 7, 10, "expected ${env:NAME}"},
        {HEAD ENV "verify: yes\n", 6, 9, "verify: expected a list, found a text"},
        {HEAD ENV "verify: [{ get: stats }]\n", 6, 10, "expected a path that begins with /"},
        {HEAD ENV "verify: [{ status: 200 }]\n", 6, 10, "the key \"get\" is missing"},
        {HEAD ENV "verify: [{ get: /, status: 99 }]\n", 6, 28,
         "expected a whole number from 100 to 599"},
        {HEAD ENV "verify: [{ get: /, json: { count: 1 } }]\n", 6, 28, "expected a path as .count"},
        {HEAD ENV "migrations: { service: web }\n", 6, 24, "there is no service \"web\""},
        {HEAD ENV "migrations: { timeout: soon }\n", 6, 24, "expected a span (90s, 5m, 1h)"},
        {HEAD "environments:\n  p: { target: clowd }\n", 5, 16, "expected one of local, aws"},
        {HEAD "environments:\n  p: { strategy: canery }\n", 5, 18, "did you mean \"canary\"?"},
        {HEAD "environments:\n  p: { after: q }\n", 5, 15, "there is no environment \"q\""},
        {HEAD "environments:\n  p: { after: p }\n", 5, 15, "p would wait for itself"},
        {HEAD "environments:\n  \"a b\": { target: local }\n", 5, 3,
         "expected letters, digits, - and _"},
        {HEAD "environments:\n  p: { strategy: canary, steps: [5% 1m, 10% 1m, 100%] }\n", 5, 33,
         "canary has two steps"},
        {HEAD "environments:\n  p: { strategy: linear, steps: [5% 1m, 50% 1m, 100%] }\n", 5, 33,
         "linear has equal steps"},
        {HEAD "environments:\n  p: { strategy: canary, steps: [50% 1m, 40%] }\n", 5, 33,
         "the shares must rise"},
        {HEAD "environments:\n  p: { strategy: canary, steps: [10% 90s, 100%] }\n", 5, 33,
         "in whole minutes"},
        {HEAD "environments:\n  p: { strategy: canary, steps: [10% 1m, 90%] }\n", 5, 33,
         "the last step must be 100%"},
        {HEAD "environments:\n  p: { steps: [10% 1m, 100%] }\n", 5, 15,
         "only the strategies canary and linear"},
        {HEAD "environments:\n  p: { strategy: canary, steps: [ten] }\n", 5, 34,
         "expected a share and a span"},
        {HEAD "environments:\n  p: { stop_if: [errors > 1%] }\n", 5, 18,
         "expected as error_rate > 1% for 5m"},
        {HEAD "environments:\n  p: { stop_if: [p99 > 5] }\n", 5, 18,
         "expected as error_rate > 1% for 5m"},
        {HEAD "environments:\n  p: { bake: 90s }\n", 5, 14, "expected whole minutes"},
        {HEAD "environments:\n  p: { count: 0 }\n", 5, 15,
         "expected a whole number from 1 to 5000"},
        {"app: a b\n" ENV "services: { a: { image: x } }\n", 1, 6,
         "expected letters, digits, - and _"},
        {"app: a\n" ENV "services: { a: { port: 80 } }\n", 4, 16, "the key \"image\" is missing"},
        {"app: a\n" ENV "services: { a: { image: x, port: http } }\n", 4, 34,
         "expected a whole number from 1 to 65535"},
        {"app: a\n" ENV "services: { a: { image: x, env: [A] } }\n", 4, 33,
         "expected a map of texts, found a list"},
        {"app: a\n" ENV "services: { a: { image: x, health: up } }\n", 4, 36,
         "expected a path that begins with /"},
        {"app: a\n" ENV "services: { a: { image: x, health: { timeout: 20 } } }\n", 4, 36,
         "must be less than the interval"},
        {"app: a\n" ENV "services: { a: { image: x, env: { A: 1 }, secrets: { A: b } } }\n", 4, 57,
         "both in env and in secrets"},
        {"app: a\n" ENV "services: []\n", 4, 11, "expected a map of 1 to 20 services"},
        {"app: a\n" ENV "images: { i: { platform: x } }\nservices: { a: { image: i } }\n", 4, 14,
         "neither where it is built"},
        {"app: [\n", 2, 1, ""},
        {"app: \"open\n", 2, 1, ""},
        {"\tapp: x\n", 1, 1, ""},
        {"a: &x 1\nb: *x\n", 1, 4, "anchors and tags are not used"},
        {"app: a\n---\napp: b\n", 2, 1, "a second document"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        auto_op struct op op;
        op_init(&op);
        struct config c;
        struct config_problems problems;
        enum err e = parse(&op, rows[i].text, &c, &problems);
        bool is_right = false;
        for (size_t k = 0; e == ERR_INPUT && k < problems.count; k++) {
            const struct config_problem *p = &problems.items[k];
            is_right = is_right || (p->line == rows[i].line && p->column == rows[i].column &&
                                    str_find(p->text, str_of(rows[i].says), 0) != STR_NOT_FOUND);
        }
        if (!is_right) {
            test_failed(__FILE__, __LINE__, "%s\n# gave: %s (%zu problems)", rows[i].text,
                        op.note.text, problems.count);
        }
    }
}

TEST(all_mistakes_are_told_at_once_in_the_order_of_the_file)
{
    auto_op struct op op;
    op_init(&op);
    struct config c;
    struct config_problems problems;
    EXPECT_EQ(parse(&op,
                    "app: a b\nservices: { a: { image: x, port: 0 } }\nenvironments: { p: { "
                    "target: moon } }\n",
                    &c, &problems),
              ERR_INPUT);
    REQUIRE_EQ(problems.count, 3);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(problems.items[i].line, i + 1);
    }
}

TEST(spans_are_read_and_nothing_else)
{
    static const struct {
        const char *text;
        bool is_span;
        int64_t seconds;
    } rows[] = {{"90", true, 90},      {"90s", true, 90},       {"5m", true, 300},
                {"1h30m", true, 5400}, {"2d", true, 172800},    {"", false, 0},
                {"m", false, 0},       {"5x", false, 0},        {"1h30", false, 0},
                {"-5m", false, 0},     {"999999999d", false, 0}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        int64_t seconds = 0;
        EXPECT_EQ(config_read_span_s(str_of(rows[i].text), &seconds), rows[i].is_span);
        EXPECT_EQ(seconds, rows[i].seconds);
    }
}
