#pragma once
/* The operations; between the files of this module only. */

#include "svc/logs/service.h"

#define LOGS_OPERATION(name_)                                                                      \
    enum err logs_do_##name_(struct op *op, struct logs *logs, const struct logs_##name_##_in *in, \
                             struct logs_##name_##_out *ret)

LOGS_OPERATION(create_log_group);
LOGS_OPERATION(delete_log_group);
LOGS_OPERATION(describe_log_groups);
LOGS_OPERATION(put_retention_policy);
LOGS_OPERATION(delete_retention_policy);
LOGS_OPERATION(create_log_stream);
LOGS_OPERATION(delete_log_stream);
LOGS_OPERATION(describe_log_streams);
LOGS_OPERATION(put_log_events);
LOGS_OPERATION(get_log_events);
LOGS_OPERATION(filter_log_events);
LOGS_OPERATION(tag_resource);
LOGS_OPERATION(untag_resource);
LOGS_OPERATION(list_tags_for_resource);
LOGS_OPERATION(tag_log_group);
LOGS_OPERATION(untag_log_group);
LOGS_OPERATION(list_tags_log_group);
