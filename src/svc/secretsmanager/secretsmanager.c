/* The table of operations. */

#include "svc/secretsmanager/service.h"

const struct secretsmanager_handlers secretsmanager_handlers = {
    .create_secret = secrets_do_create_secret,
    .put_secret_value = secrets_do_put_secret_value,
    .get_secret_value = secrets_do_get_secret_value,
    .update_secret = secrets_do_update_secret,
    .update_secret_version_stage = secrets_do_update_secret_version_stage,
    .describe_secret = secrets_do_describe_secret,
    .list_secrets = secrets_do_list_secrets,
    .list_secret_version_ids = secrets_do_list_secret_version_ids,
    .delete_secret = secrets_do_delete_secret,
    .restore_secret = secrets_do_restore_secret,
    .batch_get_secret_value = secrets_do_batch_get_secret_value,
    .get_random_password = secrets_do_get_random_password,
    .tag_resource = secrets_do_tag_resource,
    .untag_resource = secrets_do_untag_resource,
    .put_resource_policy = secrets_do_put_resource_policy,
    .get_resource_policy = secrets_do_get_resource_policy,
    .delete_resource_policy = secrets_do_delete_resource_policy,
    .validate_resource_policy = secrets_do_validate_resource_policy,
};
