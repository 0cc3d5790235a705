#pragma once
/* The operations, as ecs_handlers lists them: one function each. */

#include "gen/ecs.h"

enum err ecs_create_cluster(struct op *op, struct ecs *ecs, const struct ecs_create_cluster_in *in,
                            struct ecs_create_cluster_out *ret);
enum err ecs_describe_clusters(struct op *op, struct ecs *ecs,
                               const struct ecs_describe_clusters_in *in,
                               struct ecs_describe_clusters_out *ret);
enum err ecs_list_clusters(struct op *op, struct ecs *ecs, const struct ecs_list_clusters_in *in,
                           struct ecs_list_clusters_out *ret);
enum err ecs_delete_cluster(struct op *op, struct ecs *ecs, const struct ecs_delete_cluster_in *in,
                            struct ecs_delete_cluster_out *ret);
enum err ecs_update_cluster(struct op *op, struct ecs *ecs, const struct ecs_update_cluster_in *in,
                            struct ecs_update_cluster_out *ret);
enum err ecs_update_cluster_settings(struct op *op, struct ecs *ecs,
                                     const struct ecs_update_cluster_settings_in *in,
                                     struct ecs_update_cluster_settings_out *ret);
enum err ecs_put_cluster_capacity_providers(struct op *op, struct ecs *ecs,
                                            const struct ecs_put_cluster_capacity_providers_in *in,
                                            struct ecs_put_cluster_capacity_providers_out *ret);
enum err ecs_register_task_definition(struct op *op, struct ecs *ecs,
                                      const struct ecs_register_task_definition_in *in,
                                      struct ecs_register_task_definition_out *ret);
enum err ecs_describe_task_definition(struct op *op, struct ecs *ecs,
                                      const struct ecs_describe_task_definition_in *in,
                                      struct ecs_describe_task_definition_out *ret);
enum err ecs_list_task_definitions(struct op *op, struct ecs *ecs,
                                   const struct ecs_list_task_definitions_in *in,
                                   struct ecs_list_task_definitions_out *ret);
enum err ecs_list_task_definition_families(struct op *op, struct ecs *ecs,
                                           const struct ecs_list_task_definition_families_in *in,
                                           struct ecs_list_task_definition_families_out *ret);
enum err ecs_deregister_task_definition(struct op *op, struct ecs *ecs,
                                        const struct ecs_deregister_task_definition_in *in,
                                        struct ecs_deregister_task_definition_out *ret);
enum err ecs_delete_task_definitions(struct op *op, struct ecs *ecs,
                                     const struct ecs_delete_task_definitions_in *in,
                                     struct ecs_delete_task_definitions_out *ret);
enum err ecs_create_service(struct op *op, struct ecs *ecs, const struct ecs_create_service_in *in,
                            struct ecs_create_service_out *ret);
enum err ecs_update_service(struct op *op, struct ecs *ecs, const struct ecs_update_service_in *in,
                            struct ecs_update_service_out *ret);
enum err ecs_describe_services(struct op *op, struct ecs *ecs,
                               const struct ecs_describe_services_in *in,
                               struct ecs_describe_services_out *ret);
enum err ecs_list_services(struct op *op, struct ecs *ecs, const struct ecs_list_services_in *in,
                           struct ecs_list_services_out *ret);
enum err ecs_delete_service(struct op *op, struct ecs *ecs, const struct ecs_delete_service_in *in,
                            struct ecs_delete_service_out *ret);
enum err ecs_run_task(struct op *op, struct ecs *ecs, const struct ecs_run_task_in *in,
                      struct ecs_run_task_out *ret);
enum err ecs_start_task(struct op *op, struct ecs *ecs, const struct ecs_start_task_in *in,
                        struct ecs_start_task_out *ret);
enum err ecs_stop_task(struct op *op, struct ecs *ecs, const struct ecs_stop_task_in *in,
                       struct ecs_stop_task_out *ret);
enum err ecs_list_tasks(struct op *op, struct ecs *ecs, const struct ecs_list_tasks_in *in,
                        struct ecs_list_tasks_out *ret);
enum err ecs_describe_tasks(struct op *op, struct ecs *ecs, const struct ecs_describe_tasks_in *in,
                            struct ecs_describe_tasks_out *ret);
enum err ecs_update_task_protection(struct op *op, struct ecs *ecs,
                                    const struct ecs_update_task_protection_in *in,
                                    struct ecs_update_task_protection_out *ret);
enum err ecs_get_task_protection(struct op *op, struct ecs *ecs,
                                 const struct ecs_get_task_protection_in *in,
                                 struct ecs_get_task_protection_out *ret);
enum err ecs_list_service_deployments(struct op *op, struct ecs *ecs,
                                      const struct ecs_list_service_deployments_in *in,
                                      struct ecs_list_service_deployments_out *ret);
enum err ecs_describe_service_deployments(struct op *op, struct ecs *ecs,
                                          const struct ecs_describe_service_deployments_in *in,
                                          struct ecs_describe_service_deployments_out *ret);
enum err ecs_stop_service_deployment(struct op *op, struct ecs *ecs,
                                     const struct ecs_stop_service_deployment_in *in,
                                     struct ecs_stop_service_deployment_out *ret);
enum err ecs_describe_service_revisions(struct op *op, struct ecs *ecs,
                                        const struct ecs_describe_service_revisions_in *in,
                                        struct ecs_describe_service_revisions_out *ret);
enum err ecs_create_task_set(struct op *op, struct ecs *ecs,
                             const struct ecs_create_task_set_in *in,
                             struct ecs_create_task_set_out *ret);
enum err ecs_update_task_set(struct op *op, struct ecs *ecs,
                             const struct ecs_update_task_set_in *in,
                             struct ecs_update_task_set_out *ret);
enum err ecs_describe_task_sets(struct op *op, struct ecs *ecs,
                                const struct ecs_describe_task_sets_in *in,
                                struct ecs_describe_task_sets_out *ret);
enum err ecs_delete_task_set(struct op *op, struct ecs *ecs,
                             const struct ecs_delete_task_set_in *in,
                             struct ecs_delete_task_set_out *ret);
enum err ecs_update_service_primary_task_set(
    struct op *op, struct ecs *ecs, const struct ecs_update_service_primary_task_set_in *in,
    struct ecs_update_service_primary_task_set_out *ret);
enum err ecs_tag_resource(struct op *op, struct ecs *ecs, const struct ecs_tag_resource_in *in,
                          struct ecs_tag_resource_out *ret);
enum err ecs_untag_resource(struct op *op, struct ecs *ecs, const struct ecs_untag_resource_in *in,
                            struct ecs_untag_resource_out *ret);
enum err ecs_list_tags_for_resource(struct op *op, struct ecs *ecs,
                                    const struct ecs_list_tags_for_resource_in *in,
                                    struct ecs_list_tags_for_resource_out *ret);
enum err ecs_list_account_settings(struct op *op, struct ecs *ecs,
                                   const struct ecs_list_account_settings_in *in,
                                   struct ecs_list_account_settings_out *ret);
enum err ecs_put_account_setting(struct op *op, struct ecs *ecs,
                                 const struct ecs_put_account_setting_in *in,
                                 struct ecs_put_account_setting_out *ret);
enum err ecs_put_account_setting_default(struct op *op, struct ecs *ecs,
                                         const struct ecs_put_account_setting_default_in *in,
                                         struct ecs_put_account_setting_default_out *ret);
enum err ecs_delete_account_setting(struct op *op, struct ecs *ecs,
                                    const struct ecs_delete_account_setting_in *in,
                                    struct ecs_delete_account_setting_out *ret);
enum err ecs_list_container_instances(struct op *op, struct ecs *ecs,
                                      const struct ecs_list_container_instances_in *in,
                                      struct ecs_list_container_instances_out *ret);
enum err ecs_describe_container_instances(struct op *op, struct ecs *ecs,
                                          const struct ecs_describe_container_instances_in *in,
                                          struct ecs_describe_container_instances_out *ret);
enum err ecs_describe_capacity_providers(struct op *op, struct ecs *ecs,
                                         const struct ecs_describe_capacity_providers_in *in,
                                         struct ecs_describe_capacity_providers_out *ret);
