#pragma once
/* The operations; between the files of this module only. */

#include "svc/cloudwatch/service.h"

enum err cw_op_put_metric_alarm(struct op *op, struct cloudwatch *cw,
                                const struct cloudwatch_put_metric_alarm_in *in,
                                struct cloudwatch_put_metric_alarm_out *ret);
enum err cw_op_put_composite_alarm(struct op *op, struct cloudwatch *cw,
                                   const struct cloudwatch_put_composite_alarm_in *in,
                                   struct cloudwatch_put_composite_alarm_out *ret);
enum err cw_op_delete_alarms(struct op *op, struct cloudwatch *cw,
                             const struct cloudwatch_delete_alarms_in *in,
                             struct cloudwatch_delete_alarms_out *ret);
enum err cw_op_set_alarm_state(struct op *op, struct cloudwatch *cw,
                               const struct cloudwatch_set_alarm_state_in *in,
                               struct cloudwatch_set_alarm_state_out *ret);
enum err cw_op_enable_alarm_actions(struct op *op, struct cloudwatch *cw,
                                    const struct cloudwatch_enable_alarm_actions_in *in,
                                    struct cloudwatch_enable_alarm_actions_out *ret);
enum err cw_op_disable_alarm_actions(struct op *op, struct cloudwatch *cw,
                                     const struct cloudwatch_disable_alarm_actions_in *in,
                                     struct cloudwatch_disable_alarm_actions_out *ret);
enum err cw_op_describe_alarms(struct op *op, struct cloudwatch *cw,
                               const struct cloudwatch_describe_alarms_in *in,
                               struct cloudwatch_describe_alarms_out *ret);
enum err cw_op_describe_alarms_for_metric(struct op *op, struct cloudwatch *cw,
                                          const struct cloudwatch_describe_alarms_for_metric_in *in,
                                          struct cloudwatch_describe_alarms_for_metric_out *ret);
enum err cw_op_describe_alarm_history(struct op *op, struct cloudwatch *cw,
                                      const struct cloudwatch_describe_alarm_history_in *in,
                                      struct cloudwatch_describe_alarm_history_out *ret);
enum err cw_op_put_metric_data(struct op *op, struct cloudwatch *cw,
                               const struct cloudwatch_put_metric_data_in *in,
                               struct cloudwatch_put_metric_data_out *ret);
enum err cw_op_get_metric_data(struct op *op, struct cloudwatch *cw,
                               const struct cloudwatch_get_metric_data_in *in,
                               struct cloudwatch_get_metric_data_out *ret);
enum err cw_op_get_metric_statistics(struct op *op, struct cloudwatch *cw,
                                     const struct cloudwatch_get_metric_statistics_in *in,
                                     struct cloudwatch_get_metric_statistics_out *ret);
enum err cw_op_list_metrics(struct op *op, struct cloudwatch *cw,
                            const struct cloudwatch_list_metrics_in *in,
                            struct cloudwatch_list_metrics_out *ret);
enum err cw_op_put_dashboard(struct op *op, struct cloudwatch *cw,
                             const struct cloudwatch_put_dashboard_in *in,
                             struct cloudwatch_put_dashboard_out *ret);
enum err cw_op_get_dashboard(struct op *op, struct cloudwatch *cw,
                             const struct cloudwatch_get_dashboard_in *in,
                             struct cloudwatch_get_dashboard_out *ret);
enum err cw_op_list_dashboards(struct op *op, struct cloudwatch *cw,
                               const struct cloudwatch_list_dashboards_in *in,
                               struct cloudwatch_list_dashboards_out *ret);
enum err cw_op_delete_dashboards(struct op *op, struct cloudwatch *cw,
                                 const struct cloudwatch_delete_dashboards_in *in,
                                 struct cloudwatch_delete_dashboards_out *ret);
enum err cw_op_tag_resource(struct op *op, struct cloudwatch *cw,
                            const struct cloudwatch_tag_resource_in *in,
                            struct cloudwatch_tag_resource_out *ret);
enum err cw_op_untag_resource(struct op *op, struct cloudwatch *cw,
                              const struct cloudwatch_untag_resource_in *in,
                              struct cloudwatch_untag_resource_out *ret);
enum err cw_op_list_tags_for_resource(struct op *op, struct cloudwatch *cw,
                                      const struct cloudwatch_list_tags_for_resource_in *in,
                                      struct cloudwatch_list_tags_for_resource_out *ret);

/* ---- tags, for the operations that make and delete resources (ops_tags.c) -------------------- */

/* Tags of a new resource, within the caller's transaction; nothing when there are none. */
enum err cw_tags_put_new(struct op *op, struct store *st, struct str arn,
                         const struct cloudwatch_tag_list *tags);
enum err cw_tags_forget(struct op *op, struct store *st, struct str arn);
enum err cw_tags_reset(struct op *op, struct store *st);
bool cw_dashboard_exists(struct op *op, struct store *st, struct str name);
enum err cw_dashboards_reset(struct op *op, struct store *st);

/* The name in an error message: "MetricData.member.1.Value". */
#define CW_MEMBER(op, list, index, part) \
    arena_printf(&(op)->arena, "%s.member.%zu.%s", (list), (size_t)(index) + 1, (part))
/* Dimensions that name one thing twice are refused. */
enum err cw_dimensions_check(struct op *op, const struct cloudwatch_dimensions *dimensions);
