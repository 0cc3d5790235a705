#pragma once
/* stop_if rules as CloudWatch alarms over the load balancer's own counters. */

#include "deployer/cloud.h"
#include "deployer/names.h"
#include "gen/cloudwatch.h"

/* The name of a rule's alarm: the one that it refers to, or PREFIX and what it measures
 * ("shop-production-api-error-rate"). Rules of one measure are told apart by their number. */
struct str alarm_name(struct arena *a, const struct place *place, size_t rule_index);

/* The alarm of a rule, not for CONFIG_ALARM. balancer_suffix: the value of the dimension
 * LoadBalancer ("app/shop/50dc6c495c0c9188"). Pure. */
void alarm_define(struct arena *a, const struct place *place, size_t rule_index,
                  struct str balancer_suffix, struct cloudwatch_put_metric_alarm_in *ret);

/* The part of a load balancer's or target group's ARN that metrics carry. */
struct str alarm_balancer_suffix(struct str load_balancer_arn);
struct str alarm_group_suffix(struct str target_group_arn);

/* Makes or updates the alarms of the place and finds those that it refers to; ERR_NOT_FOUND names
 * the one that does not exist. ret_names: all of them. */
enum err alarms_ensure(struct op *op, const struct cloud *cloud, const struct place *place,
                       struct str load_balancer_arn, struct config_words *ret_names) MUST_USE;

struct alarm_state {
    struct str name;
    struct str reason; /* CloudWatch's StateReason */
    bool is_in_alarm;
};

struct alarm_states {
    struct alarm_state *items;
    size_t count;
};

enum err alarms_read(struct op *op, const struct cloud *cloud, const struct config_words *names,
                     struct alarm_states *ret) MUST_USE;
