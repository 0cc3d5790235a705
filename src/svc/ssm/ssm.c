/* The table of operations. */

#include "svc/ssm/service.h"

const struct ssm_handlers ssm_handlers = {
    .put_parameter = ssm_do_put_parameter,
    .get_parameter = ssm_do_get_parameter,
    .get_parameters = ssm_do_get_parameters,
    .get_parameters_by_path = ssm_do_get_parameters_by_path,
    .get_parameter_history = ssm_do_get_parameter_history,
    .describe_parameters = ssm_do_describe_parameters,
    .delete_parameter = ssm_do_delete_parameter,
    .delete_parameters = ssm_do_delete_parameters,
    .label_parameter_version = ssm_do_label_parameter_version,
    .unlabel_parameter_version = ssm_do_unlabel_parameter_version,
    .add_tags_to_resource = ssm_do_add_tags_to_resource,
    .remove_tags_from_resource = ssm_do_remove_tags_from_resource,
    .list_tags_for_resource = ssm_do_list_tags_for_resource,
};
