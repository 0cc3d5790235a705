#include "aws/services.h"

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

const struct shape_service *const aws_services[] = {
    &ecs_service, &elbv2_service, &codedeploy_service, &cloudwatch_service, &logs_service,
    &ec2_service, &sts_service,   &acm_service,        &ssm_service,        &secretsmanager_service,
    NULL,
};

static bool is_text(const char *text, struct str s)
{
    return text != NULL && str_equal(str_of(text), s);
}

const struct shape_service *aws_service_by_signing_name(struct str signing_name)
{
    for (size_t i = 0; aws_services[i] != NULL; i++) {
        if (is_text(aws_services[i]->signing_name, signing_name)) {
            return aws_services[i];
        }
    }
    return NULL;
}

const struct shape_service *aws_service_by_target(struct str prefix)
{
    for (size_t i = 0; aws_services[i] != NULL; i++) {
        if (is_text(aws_services[i]->target_prefix, prefix)) {
            return aws_services[i];
        }
    }
    return NULL;
}

const struct shape_service *aws_service_by_version(struct str api_version)
{
    for (size_t i = 0; aws_services[i] != NULL; i++) {
        const struct shape_service *s = aws_services[i];
        bool speaks_query = (s->protocols & (SHAPE_PROTOCOL_QUERY | SHAPE_PROTOCOL_EC2)) != 0;
        if (speaks_query && is_text(s->api_version, api_version)) {
            return s;
        }
    }
    return NULL;
}

const struct shape_operation *aws_operation_find(const struct shape_service *service,
                                                 struct str name)
{
    for (size_t i = 0; i < service->operation_count; i++) {
        if (is_text(service->operations[i]->name, name)) {
            return service->operations[i];
        }
    }
    return NULL;
}
