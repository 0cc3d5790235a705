#pragma once
/* The services whose tables we have (gen/). */

#include "shape/shape.h"

#define AWS_SERVICES_MAX 16

/* Ends with NULL. */
extern const struct shape_service *const aws_services[];

/* NULL when there is none. */
const struct shape_service *aws_service_by_signing_name(struct str signing_name);
/* prefix: of an X-Amz-Target, and the service name of rpc-v2-cbor. */
const struct shape_service *aws_service_by_target(struct str prefix);
/* The first service that speaks query in that API version. */
const struct shape_service *aws_service_by_version(struct str api_version);
const struct shape_operation *aws_operation_find(const struct shape_service *service,
                                                 struct str name);
