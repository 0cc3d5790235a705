#pragma once
/* The services, joined: opens each with the ports to the others, offers them at the API, and passes
 * on who must be told what. One engine a control process. */

#include "api/api.h"
#include "app/credentials.h"
#include "app/options.h"
#include "ev/loop.h"
#include "gen/lbconf.h"
#include "runtime/driver.h"
#include "stats/lbstats.h"
#include "store/store.h"
#include "svc/acm/acm.h"
#include "svc/cloudwatch/cloudwatch.h"
#include "svc/codedeploy/codedeploy.h"
#include "svc/ec2/ec2.h"
#include "svc/ecs/ecs.h"
#include "svc/elbv2/elbv2.h"
#include "svc/logs/logs.h"
#include "svc/secretsmanager/secretsmanager.h"
#include "svc/ssm/ssm.h"
#include "svc/sts/sts.h"

struct engine {
    struct ev_loop *loop;
    const struct options *options;
    struct credentials credentials;
    struct op op; /* of the engine itself: what was read at start lives here */
    struct store *store;
    struct lbstats *stats;
    struct sts sts;
    struct ec2 ec2;
    struct acm *acm;
    struct ssm ssm;
    struct secretsmanager secretsmanager;
    struct webcall_client *web; /* of elbv2 */
    struct elbv2 *elbv2;
    struct ev_timer elbv2_timer;
    struct cloudwatch *cloudwatch;
    struct logs *logs;
    struct ecs *ecs;
    struct codedeploy *codedeploy;
    struct port_elb port_elb;
    struct port_certificate_users port_users;
    struct port_alarms port_alarms;
    struct port_logs port_logs;
    struct port_secrets port_secrets;
    struct port_wakes port_wakes;
    struct runtime *runtime;
    struct runtime_sink sink; /* passes on to ecs, until tasks are being stopped */
    struct ev_timer usage_timer;
    struct api api;
    bool is_stopping;
    void (*publish)(void *self, const struct lbconf_snapshot *snapshot);
    void (*signed_in)(void *self, const struct lbconf_sign_in_answer *message);
    void *publish_self;
    void (*on_tasks_over)(struct engine *e);
};

/* Opens everything but the API's socket. ERR_*: with the sentence; what was opened is closed. */
enum err engine_open(struct op *op, struct engine *e, struct ev_loop *loop,
                     const struct options *options, struct lbstats *stats);
/* Every machine gets its first turn; then the API may be opened. */
enum err engine_start(struct op *op, struct engine *e);
/* Closes the API and the machines. Unless tasks are kept, stops them and calls on_tasks_over when
 * the last is over (at once when there is none). */
void engine_stop(struct engine *e, void (*on_tasks_over)(struct engine *e));
void engine_close(struct engine *e);
