#include "svc/cloudwatch/handlers.h"

#include "base/cleanup.h"
#include "store/store.h"
#include "svc/cloudwatch/history.h"

const struct cloudwatch_handlers cloudwatch_handlers = {
    .put_metric_alarm = cw_op_put_metric_alarm,
    .put_composite_alarm = cw_op_put_composite_alarm,
    .describe_alarms = cw_op_describe_alarms,
    .describe_alarms_for_metric = cw_op_describe_alarms_for_metric,
    .describe_alarm_history = cw_op_describe_alarm_history,
    .delete_alarms = cw_op_delete_alarms,
    .set_alarm_state = cw_op_set_alarm_state,
    .enable_alarm_actions = cw_op_enable_alarm_actions,
    .disable_alarm_actions = cw_op_disable_alarm_actions,
    .put_metric_data = cw_op_put_metric_data,
    .get_metric_data = cw_op_get_metric_data,
    .get_metric_statistics = cw_op_get_metric_statistics,
    .list_metrics = cw_op_list_metrics,
    .put_dashboard = cw_op_put_dashboard,
    .get_dashboard = cw_op_get_dashboard,
    .list_dashboards = cw_op_list_dashboards,
    .delete_dashboards = cw_op_delete_dashboards,
    .tag_resource = cw_op_tag_resource,
    .untag_resource = cw_op_untag_resource,
    .list_tags_for_resource = cw_op_list_tags_for_resource,
};

enum err cloudwatch_reset(struct op *op, struct cloudwatch *cw)
{
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, cw->config.store, &tx));
    TRY(cw_history_reset(op, cw->config.store));
    TRY(cw_dashboards_reset(op, cw->config.store));
    TRY(cw_tags_reset(op, cw->config.store));
    TRY(cw_alarms_reset(op, &cw->alarms));
    TRY(cw_metrics_reset(op, &cw->metrics));
    return store_tx_commit(op, &tx);
}
