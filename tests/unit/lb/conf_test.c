#include "base/cleanup.h"
#include "lb/conf.h"
#include "shape/walk.h"
#include "stats/lbstats.h"
#include "test.h"

static struct lbstats *stats;
static struct lb_registry registry;

static void begin(void)
{
    auto_op struct op op;
    op_init(&op);
    auto_fd int fd = -1;
    REQUIRE_OK(lbstats_create(&op, &fd), &op);
    REQUIRE_OK(lbstats_map(&op, fd, &stats), &op);
    lb_registry_init(&registry, 1);
}

static void end(void)
{
    lb_registry_fini(&registry);
    lbstats_unmap(stats);
}

static enum err build(const char *json, struct lb_conf **ret, char *note, size_t note_bytes)
{
    auto_op struct op op;
    op_init(&op);
    struct lbconf_snapshot snapshot = {0};
    REQUIRE_OK(
        shape_json_decode(&op, &shape_lbconf_snapshot, str_of(json), SHAPE_STRICT, &snapshot), &op);
    enum err e = lb_conf_build(&op, &registry, stats, &snapshot, ret);
    if (e != ERR_OK) {
        EXPECT(str_to_c(str_of(op.note.text), note, note_bytes));
    }
    return e;
}

#define GROUP(more)                                                                               \
    "{\"arn\":\"x:targetgroup/blue/1\",\"name\":\"blue\",\"protocol\":\"HTTP\",\"isInUse\":true," \
    "\"loadBalancer\":\"x:loadbalancer/app/web/2\"" more "}"
#define LISTENER(rules)                                                           \
    "{\"arn\":\"l\",\"loadBalancer\":\"x:loadbalancer/app/web/2\",\"port\":8080," \
    "\"protocol\":\"HTTP\",\"address\":\"127.0.0.1\",\"rules\":[" rules "]}"
#define FORWARD                                                                      \
    "{\"arn\":\"r\",\"priority\":0,\"actions\":[{\"type\":\"forward\",\"weights\":[" \
    "{\"targetGroup\":0,\"weight\":1}]}]}"
#define SNAPSHOT(listeners, groups) \
    "{\"version\":1,\"listeners\":[" listeners "],\"targetGroups\":[" groups "]}"

TEST(a_snapshot_becomes_a_configuration)
{
    begin();
    struct lb_conf *conf = NULL;
    char note[256];
    const char *json = SNAPSHOT(
        LISTENER(FORWARD ",{\"arn\":\"r2\",\"priority\":7,\"conditions\":[{\"field\":\"source-ip\","
                         "\"values\":[\"10.0.0.0/8\",\"2001:db8::/32\"]}],\"actions\":[{\"type\":"
                         "\"fixed-response\",\"statusCode\":\"404\"}]}"),
        GROUP(",\"matcher\":\"200-299,301\",\"checkPort\":\"81\",\"attributes\":{"
              "\"deregistration_delay.timeout_seconds\":\"15\"},\"targets\":["
              "{\"host\":\"10.0.0.1\",\"port\":80,\"isDraining\":true},"
              "{\"host\":\"unix:/run/a\",\"port\":0},{\"host\":\"10.0.0.2\",\"port\":80}]"));
    REQUIRE_EQ(build(json, &conf, note, sizeof(note)), ERR_OK);
    const struct lb_listener *l = &conf->listeners[0];
    EXPECT_STR(l->dimension, "app/web/2");
    EXPECT_EQ(l->rules[0].priority, 7);
    EXPECT_EQ(l->rules[1].priority, 0);
    EXPECT_EQ(l->rules[0].conditions[0].cidrs[0].bits, 104);
    EXPECT_EQ(l->rules[0].conditions[0].cidrs[1].bits, 32);
    const struct lb_group *g = &conf->groups[0];
    EXPECT_STR(g->dimension, "targetgroup/blue/1");
    EXPECT_EQ(g->usable_count, 2);
    EXPECT(g->targets[2].is_draining);
    EXPECT_EQ(g->drain.us, DUR_S(15).us);
    EXPECT_EQ(g->check.range_count, 2);
    EXPECT_EQ(g->check.ranges[1].to, 301);
    EXPECT_EQ(g->check.port, 81);
    EXPECT(lbstats_find(stats, STR("app/web/2"), STR("targetgroup/blue/1")) == g->slot);
    lb_conf_free(&registry, conf);
    end();
}

TEST(what_stays_keeps_its_index_and_what_comes_back_is_new)
{
    begin();
    struct lb_conf *a = NULL;
    struct lb_conf *b = NULL;
    char note[256];
    const char *one =
        SNAPSHOT(LISTENER(FORWARD), GROUP(",\"targets\":[{\"host\":\"10.0.0.1\",\"port\":80}]"));
    REQUIRE_EQ(build(one, &a, note, sizeof(note)), ERR_OK);
    REQUIRE_EQ(build(one, &b, note, sizeof(note)), ERR_OK);
    EXPECT(a->groups[0].targets[0].peer == b->groups[0].targets[0].peer);
    EXPECT_EQ(a->listeners[0].serial, b->listeners[0].serial);
    uint64_t serial = b->groups[0].targets[0].peer->serial;
    lb_conf_free(&registry, a);
    lb_conf_free(&registry, b);
    REQUIRE_EQ(build(one, &a, note, sizeof(note)), ERR_OK);
    EXPECT(a->groups[0].targets[0].peer->serial != serial);
    EXPECT_EQ(a->groups[0].targets[0].peer->index, 0);
    lb_conf_free(&registry, a);
    end();
}

TEST(what_is_wrong_with_a_snapshot_is_said_and_leaves_no_trace)
{
    static const struct {
        const char *json;
        enum err kind;
        const char *says;
    } rows[] = {
        {SNAPSHOT("", GROUP(",\"targets\":[{\"host\":\"localhost\",\"port\":80}]")), ERR_INPUT,
         "target \"localhost\" port 80"},
        {SNAPSHOT("", GROUP(",\"targets\":[{\"host\":\"10.0.0.1\",\"port\":0}]")), ERR_INPUT,
         "is no address"},
        {SNAPSHOT("", GROUP(",\"targets\":[{\"host\":\"10.0.0.1\",\"port\":65536}]")), ERR_INPUT,
         "is no address"},
        {SNAPSHOT("", GROUP(",\"checkProtocol\":\"TCP\"")), ERR_UNSUPPORTED, "TCP"},
        {SNAPSHOT("", GROUP(",\"matcher\":\"200-\"")), ERR_INPUT, "matcher"},
        {SNAPSHOT("", GROUP(",\"matcher\":\"300-200\"")), ERR_INPUT, "matcher"},
        {SNAPSHOT("", GROUP(",\"checkPath\":\"/a b\"")), ERR_INPUT, "health check path"},
        {SNAPSHOT("", GROUP(",\"checkPort\":\"x\"")), ERR_INPUT, "health check port"},
        {SNAPSHOT("", GROUP(",\"checkIntervalSeconds\":0")), ERR_INPUT, "below 1"},
        {SNAPSHOT("", GROUP(",\"attributes\":{\"deregistration_delay.timeout_seconds\":\"x\"}")),
         ERR_INPUT, "not seconds"},
        {SNAPSHOT(LISTENER(FORWARD), ""), ERR_INPUT, "names group 0"},
        {SNAPSHOT(LISTENER("{\"arn\":\"r\",\"priority\":1,\"actions\":[{\"type\":\"forward\"}]}"),
                  ""),
         ERR_LIMIT, "0 target groups"},
        {SNAPSHOT(LISTENER("{\"arn\":\"r\",\"priority\":1,\"actions\":[{\"type\":\"teleport\"}]}"),
                  ""),
         ERR_UNSUPPORTED, "teleport"},
        {SNAPSHOT(LISTENER("{\"arn\":\"r\",\"priority\":1,\"actions\":[{\"type\":\"redirect\","
                           "\"statusCode\":\"HTTP_99\"}]}"),
                  ""),
         ERR_INPUT, "HTTP_99"},
        {SNAPSHOT(LISTENER("{\"arn\":\"r\",\"priority\":1,\"conditions\":[{\"field\":\"moon\"}],"
                           "\"actions\":[{\"type\":\"redirect\",\"statusCode\":\"301\"}]}"),
                  ""),
         ERR_UNSUPPORTED, "moon"},
        {SNAPSHOT(LISTENER("{\"arn\":\"r\",\"priority\":1,\"conditions\":[{\"field\":\"source-ip\","
                           "\"values\":[\"10.0.0.0/33\"]}],"
                           "\"actions\":[{\"type\":\"redirect\",\"statusCode\":\"301\"}]}"),
                  ""),
         ERR_INPUT, "10.0.0.0/33"},
        {SNAPSHOT("{\"arn\":\"l\",\"loadBalancer\":\"x\",\"port\":80,\"protocol\":\"HTTP\","
                  "\"address\":\"127.0.0.1\",\"attributes\":{\"hitless.maintenance.allow\":\"10.0."
                  "0.0/8,all\"}}",
                  ""),
         ERR_INPUT, "\"all\" is no address range"},
        {SNAPSHOT("{\"arn\":\"l\",\"loadBalancer\":\"x\",\"port\":80,\"protocol\":\"HTTP\","
                  "\"address\":\"here\"}",
                  ""),
         ERR_INPUT, "\"here\""},
    };
    begin();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct lb_conf *conf = NULL;
        char note[OP_NOTE_TEXT_BYTES] = "";
        EXPECT_EQ(build(rows[i].json, &conf, note, sizeof(note)), rows[i].kind);
        if (strstr(note, rows[i].says) == NULL) {
            test_failed(__FILE__, __LINE__, "row %zu says: %s", i, note);
        }
    }
    end(); /* fails when a name was left */
}
