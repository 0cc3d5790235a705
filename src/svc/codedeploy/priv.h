#pragma once
/* What the files of this service share. */

#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/map.h"
#include "ev/loop.h"
#include "gen/engine.h"
#include "rollout/shift.h"
#include "store/store.h"
#include "svc/codedeploy/appspec.h"
#include "svc/codedeploy/codedeploy.h"
#include "svc/codedeploy/limits.h"
#include "svc/common/arn.h"
#include "svc/common/ids.h"
#include "svc/common/page.h"
#include "svc/common/tags.h"

struct codedeploy {
    struct codedeploy_config config;
    struct map seats; /* "<region> <deployment id>" -> struct seat, of open deployments */
};

/* Where a running deployment is driven from. */
struct seat {
    struct codedeploy *cd;
    char *region_text; /* own memory, as region and id show it */
    char *id_text;
    struct str region;
    struct str id;
    struct ev_timer timer;
    struct ev_defer turn;
};

/* ---- rows: kind, then key and parent (model/engine.api) ----------------------------------------
 *
 *   application   <name>                          ""
 *   group         <application id> \n <name>      <application id>
 *   config        <name>                          ""
 *   revision      <application id> \n <sha256>    <application id>
 *   deployment    <deployment id>                 <group id>
 *   open          <group id>                      ""
 */
extern const struct store_kind codedeploy_kind_application;
extern const struct store_kind codedeploy_kind_group;
extern const struct store_kind codedeploy_kind_config;
extern const struct store_kind codedeploy_kind_revision;
extern const struct store_kind codedeploy_kind_deployment;
extern const struct store_kind codedeploy_kind_open;

#define cd_fail(op, error, ...) op_fail_as((op), ERR_INPUT, &codedeploy_error_##error, __VA_ARGS__)

/* "<a>\n<b>" in the op's arena. */
struct str cd_key(struct op *op, struct str a, struct str b);

/* ---- applications, groups, configurations, revisions -------------------------------------------
 */

enum err cd_find_application(struct op *op, struct codedeploy *cd, struct str name,
                             struct engine_codedeploy_application *ret);
enum err cd_put_application(struct op *op, struct codedeploy *cd,
                            const struct engine_codedeploy_application *a);
enum err cd_find_group(struct op *op, struct codedeploy *cd,
                       const struct engine_codedeploy_application *a, struct str name,
                       struct engine_codedeploy_group *ret);
enum err cd_put_group(struct op *op, struct codedeploy *cd, struct str application_id,
                      const struct engine_codedeploy_group *g);
/* Every group of the application. */
enum err cd_list_groups(struct op *op, struct codedeploy *cd, struct str application_id,
                        struct store_items *ret);
/* The group as reads show it: defaults filled in, last deployments with their present status. */
enum err cd_show_group(struct op *op, struct codedeploy *cd,
                       const struct engine_codedeploy_group *g,
                       struct codedeploy_deployment_group_info **ret);
/* Everything that AWS checks when a group is made or changed. */
enum err cd_check_group(struct op *op, struct codedeploy *cd,
                        const struct codedeploy_deployment_group_info *g);
enum err cd_check_alarms(struct op *op, const struct codedeploy_alarm_configuration *alarms);
enum err cd_check_rollback(struct op *op, const struct codedeploy_auto_rollback_configuration *r);
/* The group's only target group pair, or NULL. */
const struct codedeploy_target_group_pair_info *cd_pair_of(
    const struct codedeploy_deployment_group_info *g);

/* A predefined configuration or one of the user's. */
enum err cd_find_config(struct op *op, struct codedeploy *cd, struct str name,
                        struct codedeploy_deployment_config_info *ret);

/* Remembers the revision, as CreateDeployment does with the ones that it is given. */
enum err cd_note_revision(struct op *op, struct codedeploy *cd, struct str application_id,
                          struct str group_name,
                          const struct codedeploy_revision_location *location,
                          struct str description, bool is_used);
enum err cd_check_revision(struct op *op, const struct codedeploy_revision_location *location);
/* The text of the AppSpec, for revisions that carry it. */
struct str cd_revision_content(const struct codedeploy_revision_location *location);
struct codedeploy_revision_location *cd_revision_of_content(struct arena *a, struct str content);

/* ---- deployments -------------------------------------------------------------------------------
 */

enum err cd_find_deployment(struct op *op, struct codedeploy *cd, struct str id,
                            struct engine_codedeploy_deployment *ret);
enum err cd_put_deployment(struct op *op, struct codedeploy *cd,
                           const struct engine_codedeploy_deployment *d);
/* Looks up service, target groups and sides. What is missing is noted as the deployment's fault:
 * it then fails by itself, as with AWS. */
enum err cd_bind(struct op *op, struct codedeploy *cd, struct engine_codedeploy_deployment *d,
                 struct str last_successful_id);
/* A new row of this group, marked open, with a seat once the transaction is committed. */
enum err cd_open_deployment(struct op *op, struct codedeploy *cd,
                            struct engine_codedeploy_deployment *d);
/* The deployment as reads show it. */
struct codedeploy_deployment_info *cd_show_deployment(struct op *op,
                                                      const struct engine_codedeploy_deployment *d);
enum err cd_show_target(struct op *op, struct codedeploy *cd,
                        const struct engine_codedeploy_deployment *d,
                        struct codedeploy_deployment_target *ret);
enum codedeploy_deployment_status cd_status(const struct engine_codedeploy_deployment *d);
bool cd_is_over(const struct engine_codedeploy_deployment *d);

/* ---- the machine -------------------------------------------------------------------------------
 */

/* Between the stored form and rollout/shift.h. */
struct shift_row cd_row_of(const struct engine_codedeploy_deployment *d);
void cd_row_into(struct op *op, const struct shift_row *row,
                 struct engine_codedeploy_deployment *d);
struct shift_config cd_config_of(const struct engine_codedeploy_deployment *d);

/* A weight that none of our effects sets: a route that others point elsewhere as well. */
#define CD_FOREIGN_WEIGHT 10000

/* What was seen, with what the records and error texts need of it. */
struct cd_sight {
    struct shift_sight shift;
    struct port_task_set blue; /* zero when it is not there */
    struct port_task_set green;
    struct engine_texts alarms;           /* in ALARM */
    struct str alarm_fault;               /* an alarm could not be read */
    enum codedeploy_error_code gone_code; /* when the service or its listener is gone */
    struct str gone_text;
};

enum err cd_observe(struct op *op, struct codedeploy *cd,
                    const struct engine_codedeploy_deployment *d, struct cd_sight *ret);
/* Performs one effect and notes in the row what it gave (ids). */
enum err cd_perform(struct op *op, struct codedeploy *cd, const struct shift_decision *decision,
                    struct engine_codedeploy_deployment *d);
/* The hook of this event, NULL when it was not called yet. */
struct engine_codedeploy_hook *cd_hook_of(const struct engine_codedeploy_deployment *d,
                                          enum shift_event event);
/* Both sides as taskSetsInfo shows them; a side that is gone keeps its last entry with counts 0. */
void cd_note_task_sets(struct op *op, const struct cd_sight *sight,
                       struct engine_codedeploy_deployment *d);
/* The deployment failed or was stopped: says why in the row. */
void cd_note_cause(struct op *op, const struct cd_sight *sight,
                   struct engine_codedeploy_deployment *d, const struct shift_row *row);
/* It is over: closes it; a rollback deployment is opened where one is due. */
enum err cd_close_deployment(struct op *op, struct codedeploy *cd,
                             struct engine_codedeploy_deployment *d, bool is_rollback_due);

/* A turn at the end of this turn of the loop. */
void cd_wake(struct codedeploy *cd, struct str region, struct str id);
/* Gives the deployment a seat and a turn, after the commit. */
void cd_seat_after_commit(struct codedeploy *cd, struct str region, struct str id);
