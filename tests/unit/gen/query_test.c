#include "base/check.h"
#include "base/cleanup.h"
#include "codec/xml.h"
#include "gen/cloudwatch.h"
#include "gen/ec2.h"
#include "gen/elbv2.h"
#include "gen/sts.h"
#include "shape/walk.h"
#include "test.h"

#include <stdlib.h>

static const struct shape_service *const services[] = {&elbv2_service, &cloudwatch_service,
                                                       &sts_service, &ec2_service};

static const struct shape_operation *find_operation(struct str service, struct str name)
{
    for (size_t i = 0; i < ARRAY_COUNT(services); i++) {
        for (size_t o = 0; o < services[i]->operation_count; o++) {
            if (str_equal(service, str_of(services[i]->name)) &&
                str_equal(name, str_of(services[i]->operations[o]->name))) {
                return services[i]->operations[o];
            }
        }
    }
    return NULL;
}

static int compare_pairs(const void *left, const void *right)
{
    const struct url_pair *a = left;
    const struct url_pair *b = right;
    return str_compare(a->name, b->name);
}

/* The parameters in the order of their names, one a line: the order of a form means nothing. */
static struct str sorted_text(struct op *op, struct str body)
{
    struct url_form form;
    struct str text = STR("");
    REQUIRE_OK(url_form_parse(op, body, &form), op);
    if (form.count > 0) {
        qsort(form.items, form.count, sizeof(form.items[0]), compare_pairs);
    }
    for (size_t i = 0; i < form.count; i++) {
        bool is_envelope =
            STR_IS(form.items[i].name, "Action") || STR_IS(form.items[i].name, "Version");
        if (!is_envelope) {
            text = arena_printf(&op->arena, "%.*s%.*s=%.*s\n", STR_ARG(text),
                                STR_ARG(form.items[i].name), STR_ARG(form.items[i].value));
        }
    }
    return text;
}

static void check_case(struct str service, const struct shape_operation *operation, struct str json,
                       struct str body)
{
    auto_op struct op op;
    op_init(&op);
    enum shape_query_dialect dialect = STR_IS(service, "ec2") ? SHAPE_QUERY_EC2 : SHAPE_QUERY_AWS;
    void *in = arena_alloc(&op.arena, operation->in->bytes);
    struct url_form form;
    auto_buf struct buf got;
    buf_init(&got, 100000);

    REQUIRE_OK(url_form_parse(&op, body, &form), &op);
    REQUIRE_OK(shape_query_decode(&op, operation->in, &form, dialect, SHAPE_STRICT, NULL, in), &op);
    shape_json_encode(&got, operation->in, in);
    EXPECT_STR_EQ(buf_str(&got), json);

    buf_reset(&got);
    shape_query_encode(&got, operation->in, dialect, in);
    struct str want = sorted_text(&op, body);
    /* a whole second is written with milliseconds, which means the same */
    size_t zone = str_find(want, STR("00:00Z"), 0);
    if (zone == STR_NOT_FOUND) {
        EXPECT_STR_EQ(sorted_text(&op, buf_str(&got)), want);
    }
}

TEST(queries_agree_with_those_of_botocore)
{
    struct str rest = test_file("vectors/query.txt");
    struct str line;
    size_t count = 0;
    while (str_next(&rest, '\n', &line)) {
        struct str service;
        struct str name;
        struct str json;
        struct str body;
        if (line.len == 0 || line.ptr[0] == '#') {
            continue;
        }
        REQUIRE(str_cut(line, ' ', &service, &name));
        REQUIRE(str_next(&rest, '\n', &json));
        REQUIRE(str_next(&rest, '\n', &body));
        const struct shape_operation *operation = find_operation(service, name);
        REQUIRE(operation != NULL);
        check_case(service, operation, json, body);
        count++;
    }
    EXPECT(count >= 10);
}

static enum err decode_rule(struct op *op, const char *body, struct shape_findings *findings)
{
    struct url_form form;
    struct elbv2_create_rule_in in;
    TRY(url_form_parse(op, str_of(body), &form));
    return shape_query_decode(op, elbv2_op_create_rule.in, &form, SHAPE_QUERY_AWS, SHAPE_STRICT,
                              findings, &in);
}

#define RULE "ListenerArn=a&Conditions.member.1.Field=host-header&Actions.member.1.Type=forward"

TEST(queries_are_refused_by_the_member_that_is_wrong)
{
    static const struct {
        const char *body;
        const char *note;
    } cases[] = {
        {RULE, "\"Priority\" is missing"},
        {RULE "&Priority=x", "\"Priority\" must be a whole number, not another text"},
        {RULE "&Priority=", "\"Priority\" must be a whole number, not another text"},
        {RULE "&Priority.member.1=1",
         "\"Priority\" must be a whole number, not a structure or a list"},
        {RULE "&Priority=0", "\"Priority\": Member must have value greater than or equal to 1"},
        {RULE "&Priority=1&Prioritee=1", "unknown member \"Prioritee\""},
        {RULE "&Priority=1&Actions.member.2.Typ=forward", "unknown member \"Actions[1].Typ\""},
        {RULE "&Priority=1&Tags=x", "\"Tags\" must be a list, not a text"},
        {RULE "&Priority=1&Tags.member.x.Key=k", "\"Tags\" must be a list, not a structure"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        auto_op struct op op;
        op_init(&op);
        EXPECT_EQ(decode_rule(&op, cases[i].body, NULL), ERR_INPUT);
        EXPECT_STR(str_of(op.note.text), cases[i].note);
    }
}

TEST(query_items_come_in_the_order_of_their_numbers)
{
    auto_op struct op op;
    op_init(&op);
    struct url_form form;
    struct elbv2_describe_load_balancers_in in;
    REQUIRE_OK(
        url_form_parse(&op, STR("Names.member.10=c&Names.member.2=b&Names.member.1=a"), &form),
        &op);
    REQUIRE_OK(shape_query_decode(&op, elbv2_op_describe_load_balancers.in, &form, SHAPE_QUERY_AWS,
                                  SHAPE_STRICT, NULL, &in),
               &op);
    REQUIRE_EQ(in.names.count, 3);
    EXPECT_STR(in.names.items[0], "a");
    EXPECT_STR(in.names.items[1], "b");
    EXPECT_STR(in.names.items[2], "c");
}

TEST(xml_answers_decode_into_the_same_structs)
{
    auto_op struct op op;
    op_init(&op);
    struct elbv2_describe_load_balancers_out out = {.next_marker = STR("<m>")};
    struct elbv2_load_balancer *lb = ARENA_PUSH(&op.arena, &out.load_balancers);
    lb->load_balancer_name = STR("a & b");
    lb->created_time = OPT_TIME(((wall_t){.us = 1700000000123000}));
    lb->security_groups.is_set = true;
    lb->state = ARENA_NEW(&op.arena, struct elbv2_load_balancer_state);
    lb->state->code = ELBV2_LOAD_BALANCER_STATE_ENUM_ACTIVE;
    auto_buf struct buf xml;
    buf_init(&xml, 10000);
    xml_open(&xml, STR("R"));
    shape_xml_encode(&xml, elbv2_op_describe_load_balancers.out, &out);
    xml_close(&xml, STR("R"));
    EXPECT_STR(buf_str(&xml),
               "<R><LoadBalancers><member><CreatedTime>2023-11-14T22:13:20.123Z</CreatedTime>"
               "<LoadBalancerName>a &amp; b</LoadBalancerName><State><Code>active</Code></State>"
               "<SecurityGroups></SecurityGroups></member></LoadBalancers>"
               "<NextMarker>&lt;m&gt;</NextMarker></R>");
    struct xml_reader r;
    struct str name;
    struct elbv2_describe_load_balancers_out back;
    xml_reader_init(&r, &op.arena, buf_str(&xml));
    REQUIRE(xml_enter_root(&r, &name));
    REQUIRE_OK(
        shape_xml_decode(&op, elbv2_op_describe_load_balancers.out, &r, SHAPE_LENIENT, &back), &op);
    REQUIRE_OK(xml_finish(&r, &op), &op);
    auto_buf struct buf again;
    buf_init(&again, 10000);
    xml_open(&again, STR("R"));
    shape_xml_encode(&again, elbv2_op_describe_load_balancers.out, &back);
    xml_close(&again, STR("R"));
    EXPECT_STR_EQ(buf_str(&again), buf_str(&xml));
}
