#pragma once
/* The handlers of the operations, one each; and what some of them share. */

#include "gen/codedeploy.h"
#include "gen/engine.h"
#include "svc/codedeploy/codedeploy.h"

/* "cluster:service", in the op's arena. */
struct str cd_target_id(struct op *op, const struct engine_codedeploy_deployment *d);
enum codedeploy_target_status cd_target_status(const struct engine_codedeploy_deployment *d);

enum err cd_create_application(struct op *op, struct codedeploy *cd,
                               const struct codedeploy_create_application_in *in,
                               struct codedeploy_create_application_out *ret);
enum err cd_get_application(struct op *op, struct codedeploy *cd,
                            const struct codedeploy_get_application_in *in,
                            struct codedeploy_get_application_out *ret);
enum err cd_list_applications(struct op *op, struct codedeploy *cd,
                              const struct codedeploy_list_applications_in *in,
                              struct codedeploy_list_applications_out *ret);
enum err cd_update_application(struct op *op, struct codedeploy *cd,
                               const struct codedeploy_update_application_in *in,
                               struct codedeploy_update_application_out *ret);
enum err cd_delete_application(struct op *op, struct codedeploy *cd,
                               const struct codedeploy_delete_application_in *in,
                               struct codedeploy_delete_application_out *ret);
enum err cd_batch_get_applications(struct op *op, struct codedeploy *cd,
                                   const struct codedeploy_batch_get_applications_in *in,
                                   struct codedeploy_batch_get_applications_out *ret);
enum err cd_create_deployment_group(struct op *op, struct codedeploy *cd,
                                    const struct codedeploy_create_deployment_group_in *in,
                                    struct codedeploy_create_deployment_group_out *ret);
enum err cd_get_deployment_group(struct op *op, struct codedeploy *cd,
                                 const struct codedeploy_get_deployment_group_in *in,
                                 struct codedeploy_get_deployment_group_out *ret);
enum err cd_list_deployment_groups(struct op *op, struct codedeploy *cd,
                                   const struct codedeploy_list_deployment_groups_in *in,
                                   struct codedeploy_list_deployment_groups_out *ret);
enum err cd_update_deployment_group(struct op *op, struct codedeploy *cd,
                                    const struct codedeploy_update_deployment_group_in *in,
                                    struct codedeploy_update_deployment_group_out *ret);
enum err cd_delete_deployment_group(struct op *op, struct codedeploy *cd,
                                    const struct codedeploy_delete_deployment_group_in *in,
                                    struct codedeploy_delete_deployment_group_out *ret);
enum err cd_batch_get_deployment_groups(struct op *op, struct codedeploy *cd,
                                        const struct codedeploy_batch_get_deployment_groups_in *in,
                                        struct codedeploy_batch_get_deployment_groups_out *ret);
enum err cd_create_deployment_config(struct op *op, struct codedeploy *cd,
                                     const struct codedeploy_create_deployment_config_in *in,
                                     struct codedeploy_create_deployment_config_out *ret);
enum err cd_get_deployment_config(struct op *op, struct codedeploy *cd,
                                  const struct codedeploy_get_deployment_config_in *in,
                                  struct codedeploy_get_deployment_config_out *ret);
enum err cd_list_deployment_configs(struct op *op, struct codedeploy *cd,
                                    const struct codedeploy_list_deployment_configs_in *in,
                                    struct codedeploy_list_deployment_configs_out *ret);
enum err cd_delete_deployment_config(struct op *op, struct codedeploy *cd,
                                     const struct codedeploy_delete_deployment_config_in *in,
                                     struct codedeploy_delete_deployment_config_out *ret);
enum err cd_create_deployment(struct op *op, struct codedeploy *cd,
                              const struct codedeploy_create_deployment_in *in,
                              struct codedeploy_create_deployment_out *ret);
enum err cd_get_deployment(struct op *op, struct codedeploy *cd,
                           const struct codedeploy_get_deployment_in *in,
                           struct codedeploy_get_deployment_out *ret);
enum err cd_list_deployments(struct op *op, struct codedeploy *cd,
                             const struct codedeploy_list_deployments_in *in,
                             struct codedeploy_list_deployments_out *ret);
enum err cd_stop_deployment(struct op *op, struct codedeploy *cd,
                            const struct codedeploy_stop_deployment_in *in,
                            struct codedeploy_stop_deployment_out *ret);
enum err cd_continue_deployment(struct op *op, struct codedeploy *cd,
                                const struct codedeploy_continue_deployment_in *in,
                                struct codedeploy_continue_deployment_out *ret);
enum err cd_batch_get_deployments(struct op *op, struct codedeploy *cd,
                                  const struct codedeploy_batch_get_deployments_in *in,
                                  struct codedeploy_batch_get_deployments_out *ret);
enum err cd_get_deployment_target(struct op *op, struct codedeploy *cd,
                                  const struct codedeploy_get_deployment_target_in *in,
                                  struct codedeploy_get_deployment_target_out *ret);
enum err cd_list_deployment_targets(struct op *op, struct codedeploy *cd,
                                    const struct codedeploy_list_deployment_targets_in *in,
                                    struct codedeploy_list_deployment_targets_out *ret);
enum err cd_batch_get_deployment_targets(
    struct op *op, struct codedeploy *cd,
    const struct codedeploy_batch_get_deployment_targets_in *in,
    struct codedeploy_batch_get_deployment_targets_out *ret);
enum err cd_put_lifecycle_event_hook_execution_status(
    struct op *op, struct codedeploy *cd,
    const struct codedeploy_put_lifecycle_event_hook_execution_status_in *in,
    struct codedeploy_put_lifecycle_event_hook_execution_status_out *ret);
enum err cd_register_application_revision(
    struct op *op, struct codedeploy *cd,
    const struct codedeploy_register_application_revision_in *in,
    struct codedeploy_register_application_revision_out *ret);
enum err cd_get_application_revision(struct op *op, struct codedeploy *cd,
                                     const struct codedeploy_get_application_revision_in *in,
                                     struct codedeploy_get_application_revision_out *ret);
enum err cd_list_application_revisions(struct op *op, struct codedeploy *cd,
                                       const struct codedeploy_list_application_revisions_in *in,
                                       struct codedeploy_list_application_revisions_out *ret);
enum err cd_batch_get_application_revisions(
    struct op *op, struct codedeploy *cd,
    const struct codedeploy_batch_get_application_revisions_in *in,
    struct codedeploy_batch_get_application_revisions_out *ret);
enum err cd_tag_resource(struct op *op, struct codedeploy *cd,
                         const struct codedeploy_tag_resource_in *in,
                         struct codedeploy_tag_resource_out *ret);
enum err cd_untag_resource(struct op *op, struct codedeploy *cd,
                           const struct codedeploy_untag_resource_in *in,
                           struct codedeploy_untag_resource_out *ret);
enum err cd_list_tags_for_resource(struct op *op, struct codedeploy *cd,
                                   const struct codedeploy_list_tags_for_resource_in *in,
                                   struct codedeploy_list_tags_for_resource_out *ret);
