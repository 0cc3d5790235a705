/* hitless operations: what the engine offers, from the very tables that it answers by.
 * docs/fidelity.md is made of it, so that the page cannot say more than the program does. */
#include "app/operations.h"

#include "base/check.h"
#include "gen/acm.h"
#include "gen/cloudwatch.h"
#include "gen/codedeploy.h"
#include "gen/ec2.h"
#include "gen/ecs.h"
#include "gen/elbv2.h"
#include "gen/logs.h"
#include "gen/secretsmanager.h"
#include "gen/ssm.h"
#include "gen/sts.h"
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

#include <stdio.h>

struct offered {
    const struct shape_service *service;
    const void *handlers;
    size_t handlers_bytes;
};

static const struct offered offered[] = {
    {&sts_service, &sts_handlers, sizeof(sts_handlers)},
    {&ec2_service, &ec2_handlers, sizeof(ec2_handlers)},
    {&ecs_service, &ecs_handlers, sizeof(ecs_handlers)},
    {&elbv2_service, &elbv2_handlers, sizeof(elbv2_handlers)},
    {&acm_service, &acm_handlers, sizeof(acm_handlers)},
    {&ssm_service, &ssm_handlers, sizeof(ssm_handlers)},
    {&secretsmanager_service, &secretsmanager_handlers, sizeof(secretsmanager_handlers)},
    {&codedeploy_service, &codedeploy_handlers, sizeof(codedeploy_handlers)},
    {&cloudwatch_service, &cloudwatch_handlers, sizeof(cloudwatch_handlers)},
    {&logs_service, &logs_handlers, sizeof(logs_handlers)},
};

typedef void (*any_fn)(void);

/* A handler table holds one function an operation, in the order of the service's operations. */
static bool is_offered(const struct offered *o, size_t index)
{
    any_fn fn = NULL;
    CHECK((index + 1) * sizeof(fn) <= o->handlers_bytes);
    memcpy(&fn, (const char *)o->handlers + index * sizeof(fn), sizeof(fn));
    return fn != NULL;
}

static void print_service(const struct offered *o)
{
    const struct shape_service *s = o->service;
    size_t count = 0;
    for (size_t i = 0; i < s->operation_count; i++) {
        count += is_offered(o, i);
    }
    (void)printf("## %s (`%s`)\n\n%zu of the %zu operations that are described here.\n\n",
                 s->full_name, s->name, count, s->operation_count);
    (void)printf("| operation | |\n| --- | --- |\n");
    for (size_t i = 0; i < s->operation_count; i++) {
        (void)printf("| %s | %s |\n", s->operations[i]->name, is_offered(o, i) ? "yes" : "not yet");
    }
    (void)printf("\n");
}

static int run(struct op *op, const struct cli_args *args)
{
    (void)op;
    (void)args;
    (void)printf("# The AWS operations that the engine answers\n\nMade by `hitless operations`, of "
                 "the tables by which the "
                 "program answers. What differs from AWS\nin spite of a yes stands in "
                 "[fidelity.md](fidelity.md).\n\n");
    for (size_t i = 0; i < ARRAY_COUNT(offered); i++) {
        print_service(&offered[i]);
    }
    return CLI_OK;
}

const struct cli_command app_operations = {
    .name = "operations",
    .arguments = "",
    .summary = "which AWS operations the engine offers",
    .help = "Prints a table for each service, in Markdown.\n"
            "\n"
            "Example:\n"
            "  hitless operations > operations.md\n",
    .run = run,
};
