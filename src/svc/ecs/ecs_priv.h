#pragma once
/* What the files of this service share. */

#include "base/cleanup.h"
#include "base/fault.h"
#include "base/map.h"
#include "ev/loop.h"
#include "gen/engine.h"
#include "rollout/service.h"
#include "store/store.h"
#include "svc/common/arn.h"
#include "svc/common/ids.h"
#include "svc/common/page.h"
#include "svc/common/tags.h"
#include "svc/ecs/ecs.h"
#include "svc/ecs/limits.h"

/* A service by its names. */
struct service_ref {
    struct str cluster;
    struct str name;
    struct str key; /* "<cluster>/<name>" */
};

struct ecs {
    struct ecs_config config;
    struct runtime_sink sink;
    struct runtime *rt;       /* NULL until ecs_set_runtime() */
    bool is_ready;            /* the runtime knows its tasks */
    bool is_started;          /* we know ours */
    struct map task_seats;    /* task id -> struct task_seat */
    struct map service_seats; /* "<region> <cluster>/<service>" -> struct service_seat */
    struct ev_timer sweep;
};

/* ---- rows: kind, then key and parent ----------------------------------------------------------
 *
 *   cluster             ecs.Cluster               <cluster>                   ""
 *   task_definition     EcsTaskDefinition         <family> <revision %010d>   <family>
 *   service             EcsService                <cluster>/<service>         <cluster>
 *   deployment          EcsDeployment             <cluster>/<service>/<digits>  <cluster>/<service>
 *   service_deployment  EcsServiceDeployment      the same, <21 characters>
 *   revision            ecs.ServiceRevision       the same, <19 digits>
 *   event               ecs.ServiceEvent          the same, <number %019d>
 *   task_set            EcsTaskSet                the same, <19 digits>
 *   task                EcsTask                   <cluster>/<task id>         ecs_task_parent()
 *   task_log            EcsTaskLog                <task id>/<container>       <task id>
 *   run_token           EcsRunToken               <cluster>/<token>           ""
 *   setting             ecs.Setting               <principal or "default">/<name>   the principal
 */
extern const struct store_kind ecs_kind_cluster;
extern const struct store_kind ecs_kind_task_definition;
extern const struct store_kind ecs_kind_service;
extern const struct store_kind ecs_kind_deployment;
extern const struct store_kind ecs_kind_service_deployment;
extern const struct store_kind ecs_kind_revision;
extern const struct store_kind ecs_kind_event;
extern const struct store_kind ecs_kind_task_set;
extern const struct store_kind ecs_kind_task;
extern const struct store_kind ecs_kind_task_log;
extern const struct store_kind ecs_kind_run_token;
extern const struct store_kind ecs_kind_setting;

/* ---- failures (failures.c)
 * ---------------------------------------------------------------------*/

/* The public errors that most files use; text as AWS writes it. */
#define fail_parameter(op, ...) \
    op_fail_as((op), ERR_INPUT, &ecs_error_invalid_parameter_exception, __VA_ARGS__)
#define fail_client(op, ...) op_fail_as((op), ERR_INPUT, &ecs_error_client_exception, __VA_ARGS__)
#define fail_unsupported(op, ...) \
    op_fail_as((op), ERR_UNSUPPORTED, &ecs_error_unsupported_feature_exception, __VA_ARGS__)

void ecs_add_failure(struct op *op, struct ecs_failures *to, struct str arn, struct str reason);

/* ---- names and references (refs.c) -------------------------------------------------------------
 *
 * A client names a thing by its name or by its ARN. */

struct str ecs_default(struct str s, struct str otherwise);
/* "<a>/<b>", in the op's arena. */
struct str ecs_key(struct op *op, struct str a, struct str b);
/* The part behind the last slash; the whole text without one. */
struct str ecs_last_part(struct str s);
/* "<cluster>/<service>" of a key or of the resource of an ARN that starts so. */
void ecs_split_key(struct str key, struct str *ret_first, struct str *ret_rest);

struct str ecs_cluster_arn(struct op *op, struct str cluster);
struct str ecs_task_definition_arn(struct op *op, struct str family, int32_t revision);

/* Absent: "default". ClusterNotFoundException when it cannot be a cluster of here. */
enum err ecs_cluster_ref(struct op *op, struct str name_or_arn, struct str *ret_name);
/* A service by name or by long or short ARN, in this cluster. Gives its name. */
enum err ecs_service_ref(struct op *op, struct str cluster, struct str name_or_arn,
                         struct str *ret_name);
/* False when it cannot be a task of this cluster. */
bool ecs_task_ref(struct op *op, struct str cluster, struct str id_or_arn, struct str *ret_id);
/* family, family:revision or ARN. *ret_revision 0: the latest active one. False: no such form. */
bool ecs_task_definition_ref(struct op *op, struct str text, struct str *ret_family,
                             int32_t *ret_revision);
/* "ecs-svc/<digits>" or ARN; gives the digits. */
bool ecs_task_set_ref(struct str text, struct str *ret_digits);
/* arn:...:<type>/<cluster>/<service>/<id>; gives the row's key. False: not of here. */
bool ecs_service_part_ref(struct op *op, struct str arn, struct str type, struct str *ret_key);

/* Keys unique, lengths, characters; InvalidParameterException. */
enum err ecs_tags_check(struct op *op, const struct ecs_tags *tags);
struct service_ref ecs_make_ref(struct op *op, struct str cluster, struct str name);

/* ---- clusters (clusters.c)
 * ---------------------------------------------------------------------*/

/* An ACTIVE cluster, or ClusterNotFoundException. */
enum err ecs_cluster_find(struct op *op, struct ecs *ecs, struct str name_or_arn,
                          struct ecs_cluster *ret);
/* The same for operations that put something into it: "default" is made when missing. Within the
 * caller's transaction. */
enum err ecs_cluster_need(struct op *op, struct ecs *ecs, struct str name_or_arn,
                          struct ecs_cluster *ret);
/* FARGATE and FARGATE_SPOT are known; at most one base; bounds of the list. */
enum err ecs_strategy_check(struct op *op, const struct ecs_capacity_provider_strategy *s);

/* ---- task definitions (task_definitions.c, _check.c, _fill.c)
 * ----------------------------------*/

struct str ecs_task_definition_key(struct op *op, struct str family, int32_t revision);
/* By reference; ERR_NOT_FOUND without a public name when there is none. */
enum err ecs_task_definition_find(struct op *op, struct ecs *ecs, struct str ref,
                                  struct engine_ecs_task_definition *ret);
/* The same for something new that is to run: ClientException when missing or not ACTIVE. */
enum err ecs_task_definition_for_use(struct op *op, struct ecs *ecs, struct str ref,
                                     struct engine_ecs_task_definition *ret);
/* By the ARN that a row holds, whatever its status. */
enum err ecs_task_definition_of(struct op *op, struct ecs *ecs, struct str arn,
                                struct ecs_task_definition *ret);
/* Everything that RegisterTaskDefinition refuses. Pure. */
enum err ecs_task_definition_check(struct op *op, const struct ecs_register_task_definition_in *in);
/* What AWS answers with: the request with its defaults. Pure. Shares texts with in. */
enum err ecs_task_definition_fill(struct op *op, const struct ecs_register_task_definition_in *in,
                                  struct ecs_task_definition *ret);
bool ecs_task_definition_has(const struct ecs_task_definition *td, enum ecs_compatibility what);
bool ecs_requires_fargate(const struct ecs_register_task_definition_in *in);
const struct ecs_container_definition *ecs_container_find(const struct ecs_task_definition *td,
                                                          struct str name);
/* An essential container has a health check. */
bool ecs_has_container_check(const struct ecs_task_definition *td);
bool ecs_is_checked(const struct ecs_container_definition *c);
static inline bool ecs_is_essential(const struct ecs_container_definition *c)
{
    return OPT_OR(c->essential, true);
}

/* ---- Fargate's sizes (sizes.c) -----------------------------------------------------------------
 *
 * "256", "0.25 vCPU", ".25 vcpu" -> 256 units; "512", "0.5GB", "1 GB" -> MiB. False: neither. */
bool ecs_parse_cpu(struct str text, int32_t *ret_units);
bool ecs_parse_memory(struct str text, int32_t *ret_mib);
bool ecs_is_fargate_size(int32_t cpu_units, int32_t memory_mib);

/* ---- network and load balancers of services, tasks and task sets (wiring.c)
 * --------------------*/

/* Bounds of the lists, and present exactly with networkMode awsvpc. */
enum err ecs_network_check(struct op *op, const struct ecs_task_definition *td,
                           const struct ecs_network_configuration *n);
/* Copy with the defaults that AWS answers with; NULL stays NULL. */
struct ecs_network_configuration *ecs_network_fill(struct op *op,
                                                   const struct ecs_network_configuration *n);
/* needs_listener: as AWS asks of a service's groups; a task set's gets its listener later. */
enum err ecs_load_balancers_check(struct op *op, struct ecs *ecs,
                                  const struct ecs_task_definition *td,
                                  const struct ecs_load_balancers *lbs, bool needs_listener);
/* What a task or service of this launch type may ask for; the platform that LATEST means. */
enum err ecs_launch_check(struct op *op, const struct ecs_task_definition *td,
                          enum ecs_launch_type launch_type);
enum err ecs_platform_check(struct op *op, enum ecs_launch_type launch_type, struct str version);
struct str ecs_platform_version(enum ecs_launch_type launch_type, struct str asked);
struct str ecs_platform_family(enum ecs_launch_type launch_type);
/* What a strategy chooses; writes *launch_type only when it chooses. */
void ecs_pick_capacity(const struct ecs_capacity_provider_strategy *s,
                       enum ecs_launch_type *launch_type, struct str *ret_provider);

/* ---- services (services.c, service_update.c, service_check.c, service_view.c)
 * ------------------*/

enum err ecs_service_find(struct op *op, struct ecs *ecs, struct str cluster, struct str service,
                          struct service_ref *ret_ref, struct engine_ecs_service *ret);
/* The same, ServiceNotActiveException unless it is ACTIVE. */
enum err ecs_service_find_active(struct op *op, struct ecs *ecs, struct str cluster,
                                 struct str service, struct service_ref *ret_ref,
                                 struct engine_ecs_service *ret);
enum err ecs_service_put(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                         struct engine_ecs_service *row);
enum ecs_deployment_controller_type ecs_service_controller(const struct ecs_service *s);
static inline bool ecs_service_has_task_sets(const struct ecs_service *s)
{
    return ecs_service_controller(s) != ECS_DEPLOYMENT_CONTROLLER_TYPE_ECS;
}
/* Tasks of a service by where they are; of one owner, or of all (absent). */
struct task_counts {
    int32_t running;
    int32_t pending;
    int32_t wanted; /* live, and not told to stop */
};
struct task_counts ecs_count_tasks(const struct store_items *tasks, struct str owner_id);
/* As the API shows it now: counts, deployments, task sets, events. */
enum err ecs_service_view(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                          const struct engine_ecs_service *row, bool with_tags,
                          struct ecs_service *ret);
/* The configuration with every default that AWS answers with. Checks it as well. */
enum err ecs_deployment_configuration_fill(struct op *op,
                                           const struct ecs_deployment_configuration *in,
                                           const struct ecs_deployment_configuration *have,
                                           const struct ecs_service *service,
                                           struct ecs_deployment_configuration **ret);
/* What a service may carry that this engine does not offer; refused when used. */
struct service_extras {
    const struct ecs_service_registries *registries;
    const struct ecs_service_connect_configuration *connect;
    const struct ecs_service_volume_configurations *volumes;
    const struct ecs_vpc_lattice_configurations *lattice;
};
enum err ecs_extras_check(struct op *op, const struct service_extras *x);
enum err ecs_placement_check(struct op *op, enum ecs_launch_type launch_type,
                             const struct ecs_placement_constraints *constraints,
                             const struct ecs_placement_strategies *strategies);
enum err ecs_desired_count_check(struct op *op, int32_t desired_count);
/* Launch type or strategy: what was asked for, else the cluster's default, else EC2. */
enum err ecs_launch_resolve(struct op *op, const struct ecs_cluster *cluster,
                            enum ecs_launch_type launch_type,
                            const struct ecs_capacity_provider_strategy *strategy,
                            enum ecs_launch_type *ret_launch_type,
                            struct ecs_capacity_provider_strategy *ret_strategy);
/* Checks a wish with launch type, strategy, network and load balancers against the definition and
 * fills in the rest. */
enum err ecs_wish_complete(struct op *op, struct ecs *ecs, const struct ecs_task_definition *td,
                           struct str asked_platform, bool needs_listener,
                           struct ecs_service_revision *wish);
enum err ecs_event_say(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                       const struct rollout_event *event);
enum err ecs_event_add(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                       struct str message);
enum err ecs_events_list(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                         struct ecs_service_events *ret);

/* ---- deployments, service deployments, revisions (deployments.c)
 * -------------------------------*/

/* A new PRIMARY deployment of the service by this wish (a revision without ARNs and createdAt), in
 * the caller's transaction: its three rows; the PRIMARY of before becomes ACTIVE; row gets the
 * revision's values, and is stored. */
enum err ecs_deployment_begin(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                              struct engine_ecs_service *row,
                              const struct ecs_service_revision *wish);
enum err ecs_deployment_put(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                            struct engine_ecs_deployment *row);
enum err ecs_deployments_list(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                              struct store_items *ret);
enum err ecs_revision_find(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                           struct str arn, struct ecs_service_revision *ret);
enum err ecs_service_deployment_find(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                                     struct str arn, struct engine_ecs_service_deployment *ret);
enum err ecs_service_deployment_put(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                                    struct engine_ecs_service_deployment *row);
/* The new PRIMARY deployment of a rollback, in the caller's transaction; row is not stored yet. */
enum err ecs_deployment_roll_back(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                                  struct engine_ecs_service *row,
                                  const struct engine_ecs_deployment *failed,
                                  const struct engine_ecs_deployment *from,
                                  const struct rollout_deployment *next);
struct deployment_news {
    int32_t desired_count;
    struct ecs_string_list triggered_alarms;
    bool is_rolled_back; /* a rollback begins in the same transaction */
};
/* Brings the service deployment up to date after its deployment changed. */
enum err ecs_service_deployment_follow(struct op *op, struct ecs *ecs,
                                       const struct service_ref *ref,
                                       const struct engine_ecs_deployment *row,
                                       const struct deployment_news *news);
/* Copies what a revision pins down into the service as the API shows it. */
void ecs_service_take_revision(struct ecs_service *s, const struct ecs_service_revision *r);

/* ---- the scheduler's memory in a row (scheduler_rows.c)
 * ----------------------------------------*/

struct rollout_memory ecs_memory_read(const struct engine_ecs_memory *row);
struct engine_ecs_memory *ecs_memory_write(struct op *op, const struct rollout_memory *m);
/* Any service update clears the restart throttle. */
void ecs_memory_update(struct op *op, struct engine_ecs_memory **memory);
struct rollout_deployment ecs_deployment_read(const struct engine_ecs_deployment *row);
void ecs_deployment_write(const struct rollout_deployment *d, struct engine_ecs_deployment *row);

/* ---- task sets (task_sets.c, task_set_port.c)
 * --------------------------------------------------*/

/* The first task set of a CODE_DEPLOY service, PRIMARY, by what the service says. */
enum err ecs_task_set_begin(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                            const struct engine_ecs_service *row);
/* computedDesiredCount of all after the service's desired count changed. */
enum err ecs_task_sets_count_again(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                                   const struct engine_ecs_service *row);
enum err ecs_task_set_put(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                          struct engine_ecs_task_set *row);
void ecs_task_set_view(const struct engine_ecs_task_set *row, const struct store_items *tasks,
                       struct ecs_task_set *ret);
enum err ecs_task_sets_list(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                            struct store_items *ret);

/* ---- tasks (task_rows.c)
 * -----------------------------------------------------------------------*/

/* What a task is made of. Texts are shared. */
struct task_plan {
    const struct ecs_task_definition *definition;
    struct str cluster;
    struct str service;  /* absent: a task of its own */
    struct str owner_id; /* "ecs-svc/..." of its deployment or task set; absent likewise */
    struct str group;
    struct str started_by;
    enum ecs_launch_type launch_type;
    struct str capacity_provider; /* absent: by launch type */
    struct str platform_version;
    const struct ecs_task_override *overrides; /* or NULL */
    const struct ecs_network_configuration *network;
    const struct ecs_load_balancers *load_balancers; /* or NULL */
    struct ecs_tags tags;
    bool is_execute_command_enabled;
};

enum err ecs_task_make(struct op *op, struct ecs *ecs, const struct task_plan *plan,
                       struct engine_ecs_task *ret);
/* Stores it with the next version number; its machine and its service get a turn. */
enum err ecs_task_put(struct op *op, struct ecs *ecs, struct engine_ecs_task *row);
/* Reads without a turn: for what no machine looks at. */
enum err ecs_task_get(struct op *op, struct ecs *ecs, struct str cluster, struct str id,
                      struct engine_ecs_task *ret);
/* As asked for in a list: an ARN as it is, an id made one. */
struct str ecs_task_arn_of(struct op *op, struct str cluster, struct str asked);
bool ecs_task_is_protected(const struct engine_ecs_task *row, wall_t now);
struct str ecs_task_id(const struct ecs_task *t);
struct str ecs_task_cluster(const struct ecs_task *t);
/* By what host the target group knows the task: its address, or its Unix socket. */
struct str ecs_target_host(const struct engine_ecs_task *row,
                           const struct engine_ecs_target *target);
/* Decides the stop and takes the first step of it: deregisters the targets. Changes nothing when
 * the stop was decided before. In the caller's transaction; the caller stores the row. */
enum err ecs_task_begin_stop(struct op *op, struct ecs *ecs, struct engine_ecs_task *row,
                             enum ecs_task_stop_code code, struct str reason);
/* An event of the task's service, if it has one, about one of its targets. */
enum err ecs_task_say(struct op *op, struct ecs *ecs, const struct engine_ecs_task *row,
                      enum rollout_event_kind kind, struct str target_group_arn);
/* Tasks of a service that are not STOPPED, or whose end the scheduler has not counted yet. */
enum err ecs_service_tasks(struct op *op, struct ecs *ecs, const struct service_ref *ref,
                           struct store_items *ret);

enum task_status {
#define X(name, is_live, is_pending) TASK_##name,
#include "svc/ecs/task_status.def"
#undef X
};
enum task_status ecs_task_status(const struct ecs_task *t);
struct str ecs_task_status_name(enum task_status s);
static inline bool ecs_task_is_stop_decided(const struct ecs_task *t)
{
    return STR_IS(t->desired_status, "STOPPED");
}

/* ---- machines
 * ----------------------------------------------------------------------------------*/

struct task_seat {
    struct ecs *ecs;
    char *region;
    char *cluster;
    char *id;
    char *service; /* "" for a task of its own */
    struct ev_defer turn;
    struct ev_timer wake;
    int32_t start_failures; /* in a row, of the runtime */
    struct runtime_usage last_usage;
    bool has_usage;
    struct task_logs *logs; /* task_log.c; made with the first line */
};

struct service_seat {
    struct ecs *ecs;
    char *region;
    char *cluster;
    char *name;
    struct ev_defer turn;
    struct ev_timer wake;
    char **watched; /* target group ARNs and alarm names whose changes concern it */
    size_t watched_count;
};

/* Turns after the commit of the open transaction. */
void ecs_wake_task(struct op *op, struct ecs *ecs, struct str cluster, struct str id,
                   struct str service);
void ecs_wake_service(struct op *op, struct ecs *ecs, struct str cluster, struct str service);
/* Now; for events from outside. */
void ecs_task_seat_wake(struct task_seat *seat);
void ecs_task_seat_wake_after(struct task_seat *seat, dur_t after);
void ecs_service_seat_wake(struct service_seat *seat);
void ecs_service_seat_wake_after(struct service_seat *seat, dur_t after);
void ecs_task_seat_drop(struct task_seat *seat);
void ecs_service_seat_drop(struct service_seat *seat);
/* What the seat watches from now on. Copies. */
void ecs_service_seat_watch(struct service_seat *seat, const struct str *names, size_t count);
/* An op of a machine: the engine's account, this region. Release with op_fini(). */
void ecs_op_init(struct op *op, const struct ecs *ecs, const char *region);

void ecs_task_turn(struct task_seat *seat);       /* task_engine.c */
void ecs_service_turn(struct service_seat *seat); /* scheduler.c */
void ecs_task_log_event(struct task_seat *seat, const struct runtime_event *event);
void ecs_task_logs_drop(struct task_seat *seat);
void ecs_sweep(struct ev_timer *t); /* sweep.c */

/* Takes over what the runtime shows; false when the row knew all of it (task_sight.c). */
bool ecs_task_absorb(struct op *op, struct engine_ecs_task *row,
                     const struct runtime_task_sight *sight);
/* Attachments, connectivity and containers as the task's status wants them. */
void ecs_task_follow(struct op *op, struct engine_ecs_task *row);
/* A task that failed leaves its story in its task set. */
enum err ecs_task_note_failure(struct op *op, struct ecs *ecs, const struct engine_ecs_task *row);

/* The runtime's view of a task row: definition, overrides, secrets resolved. A failure's sentence
 * is the stopped reason, and carries ERR_INPUT; it never holds a value. */
enum err ecs_task_spec(struct op *op, struct ecs *ecs, const struct engine_ecs_task *row,
                       const struct ecs_task_definition *td, struct runtime_task_spec *ret);

/* What the task's images were resolved to is kept with its owner; in the caller's transaction. */
enum err ecs_images_learn(struct op *op, struct ecs *ecs, const struct engine_ecs_task *task);
/* Images whose digest the owner knows are asked for by it. */
enum err ecs_images_pin(struct op *op, struct ecs *ecs, const struct engine_ecs_task *task,
                        const struct ecs_task_definition *td,
                        struct runtime_container_spec *containers, size_t count);

/* Makes the log streams of a task's containers. A failure's sentence is the stopped reason. */
enum err ecs_task_ensure_streams(struct op *op, struct ecs *ecs, struct str task_id,
                                 const struct ecs_task_definition *td);

#include "svc/ecs/handlers.h"
