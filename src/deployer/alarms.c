#include "deployer/alarms.h"

#include "base/check.h"

#define PERIOD_S  60
#define NAMESPACE STR("AWS/ApplicationELB")

static const char *measure_text(const struct config_rule *r)
{
    switch (r->measure) {
    case CONFIG_ERROR_RATE:
        return "error-rate";
    case CONFIG_5XX_COUNT:
        return "5xx";
    case CONFIG_LATENCY:
        return "latency";
    case CONFIG_ALARM:
        break;
    }
    return "alarm";
}

/* How many rules before this one measure the same. */
static size_t number_of(const struct config_environment *e, size_t rule_index)
{
    size_t number = 0;
    for (size_t i = 0; i < rule_index; i++) {
        bool is_same = e->rules[i].measure == e->rules[rule_index].measure &&
                       e->rules[i].percentile == e->rules[rule_index].percentile;
        number += is_same ? 1 : 0;
    }
    return number;
}

struct str alarm_name(struct arena *a, const struct place *place, size_t rule_index)
{
    const struct config_rule *r = &place->environment->rules[rule_index];
    if (r->measure == CONFIG_ALARM) {
        return r->alarm;
    }
    size_t number = number_of(place->environment, rule_index);
    struct str name = arena_printf(a, "%.*s%s", STR_ARG(place->alarm_prefix), measure_text(r));
    if (r->measure == CONFIG_LATENCY) {
        name = arena_printf(a, "%.*sp%g", STR_ARG(place->alarm_prefix), r->percentile);
    }
    return number == 0 ? name : arena_printf(a, "%.*s-%zu", STR_ARG(name), number + 1);
}

struct str alarm_balancer_suffix(struct str load_balancer_arn)
{
    size_t at = str_find(load_balancer_arn, STR(":loadbalancer/"), 0);
    return at == STR_NOT_FOUND ? load_balancer_arn
                               : str_from(load_balancer_arn, at + strlen(":loadbalancer/"));
}

struct str alarm_group_suffix(struct str target_group_arn)
{
    size_t at = str_find(target_group_arn, STR(":targetgroup/"), 0);
    return at == STR_NOT_FOUND ? target_group_arn : str_from(target_group_arn, at + 1);
}

static struct cloudwatch_metric_data_query metric_query(struct arena *a, struct str id,
                                                        struct str metric_name, struct str suffix)
{
    struct cloudwatch_metric *metric = ARENA_NEW(a, struct cloudwatch_metric);
    metric->namespace = NAMESPACE;
    metric->metric_name = metric_name;
    metric->dimensions.is_set = true;
    *ARENA_PUSH(a, &metric->dimensions) =
        (struct cloudwatch_dimension){.name = STR("LoadBalancer"), .value = suffix};
    struct cloudwatch_metric_stat *stat = ARENA_NEW(a, struct cloudwatch_metric_stat);
    *stat = (struct cloudwatch_metric_stat){
        .metric = metric, .period = OPT_I32(PERIOD_S), .stat = STR("Sum")};
    return (struct cloudwatch_metric_data_query){
        .id = id, .metric_stat = stat, .return_data = OPT_BOOL(false)};
}

static void define_rate(struct arena *a, struct str suffix,
                        struct cloudwatch_put_metric_alarm_in *in)
{
    in->metrics.is_set = true;
    *ARENA_PUSH(a, &in->metrics) =
        (struct cloudwatch_metric_data_query){.id = STR("error_rate"),
                                              .expression = STR("(errors / requests) * 100"),
                                              .label = STR("5xx answers in percent"),
                                              .return_data = OPT_BOOL(true)};
    *ARENA_PUSH(a, &in->metrics) =
        metric_query(a, STR("errors"), STR("HTTPCode_Target_5XX_Count"), suffix);
    *ARENA_PUSH(a, &in->metrics) = metric_query(a, STR("requests"), STR("RequestCount"), suffix);
}

static void define_single(struct arena *a, struct str suffix, const struct config_rule *r,
                          struct cloudwatch_put_metric_alarm_in *in)
{
    in->namespace = NAMESPACE;
    in->period = OPT_I32(PERIOD_S);
    in->dimensions.is_set = true;
    *ARENA_PUSH(a, &in->dimensions) =
        (struct cloudwatch_dimension){.name = STR("LoadBalancer"), .value = suffix};
    if (r->measure == CONFIG_LATENCY) {
        in->metric_name = STR("TargetResponseTime");
        in->extended_statistic = arena_printf(a, "p%g", r->percentile);
    } else {
        in->metric_name = STR("HTTPCode_Target_5XX_Count");
        in->statistic = CLOUDWATCH_STATISTIC_SUM;
    }
}

void alarm_define(struct arena *a, const struct place *place, size_t rule_index,
                  struct str balancer_suffix, struct cloudwatch_put_metric_alarm_in *ret)
{
    const struct config_rule *r = &place->environment->rules[rule_index];
    CHECK(r->measure != CONFIG_ALARM);
    int32_t periods = (int32_t)(r->for_s / PERIOD_S);
    struct cloudwatch_put_metric_alarm_in in = {
        .alarm_name = alarm_name(a, place, rule_index),
        .alarm_description =
            arena_printf(a, "stop_if: %.*s (%.*s in %.*s)", STR_ARG(r->text),
                         STR_ARG(place->service->name), STR_ARG(place->environment->name)),
        .evaluation_periods = OPT_I32(periods < 1 ? 1 : periods),
        .datapoints_to_alarm = OPT_I32(periods < 1 ? 1 : periods),
        .threshold = OPT_F64(r->threshold),
        .comparison_operator = CLOUDWATCH_COMPARISON_OPERATOR_GREATERTHANTHRESHOLD,
        .treat_missing_data = STR("notBreaching"),
    };
    if (r->measure == CONFIG_ERROR_RATE) {
        define_rate(a, balancer_suffix, &in);
    } else {
        define_single(a, balancer_suffix, r, &in);
    }
    *ret = in;
}

enum err alarms_read(struct op *op, const struct cloud *cloud, const struct config_words *names,
                     struct alarm_states *ret)
{
    *ret = (struct alarm_states){0};
    if (names->count == 0) {
        return ERR_OK;
    }
    enum cloudwatch_alarm_type types[] = {CLOUDWATCH_ALARM_TYPE_METRICALARM,
                                          CLOUDWATCH_ALARM_TYPE_COMPOSITEALARM};
    struct cloudwatch_describe_alarms_in in = {
        .alarm_names = {.items = names->items, .count = names->count, .is_set = true},
        .alarm_types = {.items = types, .count = ARRAY_COUNT(types), .is_set = true}};
    struct cloudwatch_describe_alarms_out out = {0};
    TRY(cloudwatch_call_describe_alarms(op, cloud->client, &in, &out));
    for (size_t i = 0; i < out.metric_alarms.count; i++) {
        const struct cloudwatch_metric_alarm *m = &out.metric_alarms.items[i];
        *ARENA_PUSH(&op->arena, ret) =
            (struct alarm_state){.name = m->alarm_name,
                                 .reason = m->state_reason,
                                 .is_in_alarm = m->state_value == CLOUDWATCH_STATE_VALUE_ALARM};
    }
    for (size_t i = 0; i < out.composite_alarms.count; i++) {
        const struct cloudwatch_composite_alarm *m = &out.composite_alarms.items[i];
        *ARENA_PUSH(&op->arena, ret) =
            (struct alarm_state){.name = m->alarm_name,
                                 .reason = m->state_reason,
                                 .is_in_alarm = m->state_value == CLOUDWATCH_STATE_VALUE_ALARM};
    }
    return ERR_OK;
}

static enum err require_alarm(struct op *op, const struct cloud *cloud, struct str name)
{
    struct config_words names = {.items = &name, .count = 1};
    struct alarm_states states = {0};
    TRY(alarms_read(op, cloud, &names, &states));
    return states.count == 1
               ? ERR_OK
               : op_fail(op, ERR_NOT_FOUND,
                         "stop_if names the alarm \"%.*s\", which does not exist in %.*s",
                         STR_ARG(name), STR_ARG(cloud->region));
}

static enum err ensure_one(struct op *op, const struct cloud *cloud, const struct place *place,
                           size_t rule_index, struct str load_balancer_arn,
                           struct config_words *names)
{
    struct str name = alarm_name(&op->arena, place, rule_index);
    if (place->environment->rules[rule_index].measure == CONFIG_ALARM) {
        TRY(require_alarm(op, cloud, name));
    } else if (!str_is_set(load_balancer_arn)) {
        return ERR_OK; /* no requests are counted for a service without a port */
    } else {
        struct cloudwatch_put_metric_alarm_in in = {0};
        struct cloudwatch_put_metric_alarm_out out = {0};
        alarm_define(&op->arena, place, rule_index, alarm_balancer_suffix(load_balancer_arn), &in);
        TRY(cloudwatch_call_put_metric_alarm(op, cloud->client, &in, &out));
    }
    *ARENA_PUSH(&op->arena, names) = name;
    return ERR_OK;
}

enum err alarms_ensure(struct op *op, const struct cloud *cloud, const struct place *place,
                       struct str load_balancer_arn, struct config_words *ret_names)
{
    *ret_names = (struct config_words){0};
    for (size_t i = 0; i < place->environment->rule_count; i++) {
        TRY(ensure_one(op, cloud, place, i, load_balancer_arn, ret_names));
    }
    return ERR_OK;
}
