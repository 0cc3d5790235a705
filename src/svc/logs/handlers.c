#include "svc/logs/handlers.h"

const struct logs_handlers logs_handlers = {
    .create_log_group = logs_do_create_log_group,
    .delete_log_group = logs_do_delete_log_group,
    .describe_log_groups = logs_do_describe_log_groups,
    .put_retention_policy = logs_do_put_retention_policy,
    .delete_retention_policy = logs_do_delete_retention_policy,
    .create_log_stream = logs_do_create_log_stream,
    .delete_log_stream = logs_do_delete_log_stream,
    .describe_log_streams = logs_do_describe_log_streams,
    .put_log_events = logs_do_put_log_events,
    .get_log_events = logs_do_get_log_events,
    .filter_log_events = logs_do_filter_log_events,
    .tag_resource = logs_do_tag_resource,
    .untag_resource = logs_do_untag_resource,
    .list_tags_for_resource = logs_do_list_tags_for_resource,
    .tag_log_group = logs_do_tag_log_group,
    .untag_log_group = logs_do_untag_log_group,
    .list_tags_log_group = logs_do_list_tags_log_group,
};
