#include "aws/fault.h"

#include "aws/sigv4.h"
#include "base/check.h"
#include "base/log.h"

#include <ctype.h>

#define ERROR(code_text, status)                     \
    {                                                \
        .code = (code_text), .http_status = (status) \
    }
#define SERVER_ERROR(code_text, status)                                       \
    {                                                                         \
        .code = (code_text), .http_status = (status), .is_server_fault = true \
    }

/* The general errors of a service: for failures that a handler gave no public name. */
struct general {
    const char *service;
    struct err_public validation; /* a member breaks the model's constraints */
    struct err_public input;      /* ERR_INPUT, ERR_LIMIT and ERR_STATE */
    struct err_public not_found;
    struct err_public conflict; /* ERR_EXISTS, ERR_CONFLICT */
    struct err_public denied;
    struct err_public throttled;
    struct err_public internal;
};

#define JSON_DENIED     ERROR("AccessDeniedException", 400)
#define JSON_THROTTLED  ERROR("ThrottlingException", 400)
#define QUERY_DENIED    ERROR("AccessDenied", 403)
#define QUERY_THROTTLED ERROR("Throttling", 400)
#define INTERNAL        SERVER_ERROR("InternalFailure", 500)

static const struct general generals[] = {
    {"ecs", ERROR("InvalidParameterException", 400), ERROR("InvalidParameterException", 400),
     ERROR("ClientException", 400), ERROR("ClientException", 400), JSON_DENIED, JSON_THROTTLED,
     SERVER_ERROR("ServerException", 500)},
    {"codedeploy", ERROR("ValidationException", 400), ERROR("ValidationException", 400),
     ERROR("ValidationException", 400), ERROR("ValidationException", 400), JSON_DENIED,
     ERROR("ThrottlingException", 400), INTERNAL},
    {"logs", ERROR("InvalidParameterException", 400), ERROR("InvalidParameterException", 400),
     ERROR("ResourceNotFoundException", 400), ERROR("ResourceAlreadyExistsException", 400),
     JSON_DENIED, JSON_THROTTLED, SERVER_ERROR("ServiceUnavailableException", 500)},
    {"cloudwatch",
     {.code = "ValidationError", .shape_name = "ValidationException", .http_status = 400},
     {.code = "InvalidParameterValue",
      .shape_name = "InvalidParameterValueException",
      .http_status = 400},
     {.code = "ResourceNotFound", .shape_name = "ResourceNotFoundException", .http_status = 404},
     {.code = "ConflictException", .http_status = 409},
     {.code = "AccessDenied", .shape_name = "AccessDeniedException", .http_status = 403},
     {.code = "Throttling", .shape_name = "ThrottlingException", .http_status = 400},
     {.code = "InternalServiceError",
      .shape_name = "InternalServiceFault",
      .http_status = 500,
      .is_server_fault = true}},
    {"elbv2", ERROR("ValidationError", 400), ERROR("ValidationError", 400),
     ERROR("ValidationError", 400), ERROR("ValidationError", 400), QUERY_DENIED, QUERY_THROTTLED,
     INTERNAL},
    {"sts", ERROR("ValidationError", 400), ERROR("ValidationError", 400),
     ERROR("ValidationError", 400), ERROR("ValidationError", 400), QUERY_DENIED, QUERY_THROTTLED,
     INTERNAL},
    {"ec2", ERROR("InvalidParameterValue", 400), ERROR("InvalidParameterValue", 400),
     ERROR("InvalidParameterValue", 400), ERROR("IncorrectState", 400),
     ERROR("UnauthorizedOperation", 403), ERROR("RequestLimitExceeded", 503),
     SERVER_ERROR("InternalError", 500)},
    /* the last one serves every other service */
    {NULL, ERROR("ValidationException", 400), ERROR("ValidationException", 400),
     ERROR("ResourceNotFoundException", 400), ERROR("ConflictException", 400), JSON_DENIED,
     JSON_THROTTLED, INTERNAL},
};

static const struct general *general_of(const struct shape_service *service)
{
    size_t i = 0;
    while (generals[i].service != NULL &&
           (service == NULL || strcmp(generals[i].service, service->name) != 0)) {
        i++;
    }
    return &generals[i];
}

static struct err_public general_error(const struct shape_service *service, enum err kind)
{
    const struct general *g = general_of(service);
    switch (kind) {
    case ERR_INPUT:
    case ERR_LIMIT:
    case ERR_STATE:
    case ERR_CANCELLED:
        return g->input;
    case ERR_NOT_FOUND:
        return g->not_found;
    case ERR_EXISTS:
    case ERR_CONFLICT:
        return g->conflict;
    case ERR_DENIED:
        return g->denied;
    case ERR_THROTTLED:
        return g->throttled;
    case ERR_OK:
    case ERR_UNSUPPORTED:
    case ERR_IO:
    case ERR_NET:
    case ERR_TIMEOUT:
    case ERR_CLOSED:
    case ERR_REMOTE:
    case ERR_PROTOCOL:
    case ERR_NO_SPACE:
    case ERR_AGAIN:
    case ERR_INTERNAL:
        break;
    }
    return g->internal;
}

struct aws_fault aws_fault_of_note(struct op *op, const struct shape_service *service)
{
    const struct op_note *note = &op->note;
    struct str text = arena_str(&op->arena, str_of(note->text));
    if (note->public_error != NULL) {
        return (struct aws_fault){.error = *note->public_error, .message = text};
    }
    if (note->kind == ERR_UNSUPPORTED) {
        return (struct aws_fault){.error = {.code = "UnsupportedOperation",
                                            .shape_name = "UnsupportedOperationException",
                                            .http_status = 400},
                                  .message = text};
    }
    struct err_public error = general_error(service, note->kind);
    if (!error.is_server_fault) {
        return (struct aws_fault){.error = error, .message = text};
    }
    log_warn("aws", "request %.*s failed inside: %s (%s, %s:%d)", STR_ARG(op->request_id),
             note->text, err_text(note->kind), note->file == NULL ? "?" : note->file, note->line);
    return (struct aws_fault){
        .error = error,
        .message = STR("The request processing has failed because of an unknown error, exception "
                       "or failure.")};
}

/* ---- input ---------------------------------------------------------------------------------- */

/* CodeDeploy has an error of its own for most members: ApplicationNameRequiredException,
 * InvalidApplicationNameException. They follow the members' names; these do not. */
static const struct {
    const char *member;
    const char *stem;
} codedeploy_stems[] = {{"serviceRoleArn", "Role"},
                        {"alarmConfiguration", "AlarmConfig"},
                        {"autoRollbackConfiguration", "AutoRollbackConfig"},
                        {"minimumHealthyHosts", "MinimumHealthyHostValue"},
                        {"trafficRoutingConfig", "TrafficRoutingConfiguration"},
                        {"includeOnlyStatuses", "DeploymentStatus"},
                        {"type", "TrafficRoutingConfiguration"},
                        {"blueGreenDeploymentConfiguration", "BlueGreenDeploymentConfiguration"}};

static struct str codedeploy_stem(struct op *op, struct str member)
{
    for (size_t i = 0; i < ARRAY_COUNT(codedeploy_stems); i++) {
        if (str_equal(member, str_of(codedeploy_stems[i].member))) {
            return str_of(codedeploy_stems[i].stem);
        }
    }
    struct str rest = str_from(member, 1);
    int first = member.len == 0 ? ' ' : toupper((unsigned char)member.ptr[0]);
    return arena_printf(&op->arena, "%c%.*s", first, STR_ARG(rest));
}

static const struct err_public *codedeploy_error(struct op *op, const struct shape_service *service,
                                                 const struct shape_finding *f)
{
    struct str stem = codedeploy_stem(op, f->member);
    struct str name = f->fault == SHAPE_FAULT_MISSING
                          ? arena_printf(&op->arena, "%.*sRequiredException", STR_ARG(stem))
                          : arena_printf(&op->arena, "Invalid%.*sException", STR_ARG(stem));
    for (size_t i = 0; i < service->error_count; i++) {
        if (str_equal(str_of(service->errors[i]->code), name)) {
            return service->errors[i];
        }
    }
    return NULL;
}

/* EC2 has errors and sentences of its own. */
static struct aws_fault ec2_fault(struct op *op, const struct shape_finding *f)
{
    struct arena *a = &op->arena;
    switch (f->fault) {
    case SHAPE_FAULT_UNKNOWN:
        return (struct aws_fault){
            .error = ERROR("UnknownParameter", 400),
            .message = arena_printf(a, "The parameter %.*s is not recognized", STR_ARG(f->path))};
    case SHAPE_FAULT_MISSING:
        return (struct aws_fault){
            .error = ERROR("MissingParameter", 400),
            .message =
                arena_printf(a, "The request must contain the parameter %.*s", STR_ARG(f->member))};
    case SHAPE_FAULT_MISTYPED:
    case SHAPE_FAULT_TOO_SHORT:
    case SHAPE_FAULT_TOO_LONG:
    case SHAPE_FAULT_TOO_SMALL:
    case SHAPE_FAULT_TOO_LARGE:
    case SHAPE_FAULT_ENUM:
        break;
    }
    struct str why = shape_finding_constraint(a, f);
    return (struct aws_fault){.error = ERROR("InvalidParameterValue", 400),
                              .message =
                                  arena_printf(a,
                                               "Value (%.*s) for parameter %.*s is "
                                               "invalid. %.*s",
                                               STR_ARG(f->value), STR_ARG(f->path), STR_ARG(why))};
}

static struct err_public form_error(bool is_form)
{
    return is_form ? (struct err_public)ERROR("MalformedInput", 400)
                   : (struct err_public)ERROR("SerializationException", 400);
}

/* Members that are not known are passed over before this, but for EC2, which refuses them. Members
 * of another type are refused by all; AWS's sentence ("STRING_VALUE can not be converted to an
 * Integer") does not name the member, ours does. */
struct aws_fault aws_fault_of_findings(struct op *op, const struct shape_service *service,
                                       bool is_form, const struct shape_findings *findings)
{
    CHECK(findings->count > 0);
    const struct shape_finding *first = &findings->items[0];
    for (size_t i = 0; i < findings->count; i++) {
        const struct shape_finding *f = &findings->items[i];
        if (f->fault == SHAPE_FAULT_MISTYPED && strcmp(service->name, "ec2") != 0) {
            struct str text = shape_finding_text(&op->arena, f);
            return (struct aws_fault){.error = form_error(is_form), .message = text};
        }
    }
    if (strcmp(service->name, "ec2") == 0) {
        return ec2_fault(op, first);
    }
    struct aws_fault fault = {.error = general_of(service)->validation,
                              .message = shape_findings_coral_text(&op->arena, findings)};
    if (strcmp(service->name, "codedeploy") == 0) {
        const struct err_public *own = codedeploy_error(op, service, first);
        fault.error = own != NULL ? *own : fault.error;
    }
    return fault;
}

struct aws_fault aws_fault_of_input(struct op *op, const struct shape_service *service,
                                    bool is_form)
{
    (void)service; /* every service says it the same way */
    return (struct aws_fault){.error = form_error(is_form),
                              .message = arena_str(&op->arena, str_of(op->note.text))};
}

/* ---- signatures and operations -------------------------------------------------------------- */

/* JSON and CBOR services answer 400 to all of these; Query services as below. */
static const struct {
    const char *json_code;
    const char *query_code;
    int query_status;
} signature_errors[] = {
    [SIGV4_OK] = {NULL, NULL, 0},
    [SIGV4_MISSING] = {"MissingAuthenticationTokenException", "MissingAuthenticationToken", 403},
    [SIGV4_INCOMPLETE] = {"IncompleteSignatureException", "IncompleteSignature", 400},
    [SIGV4_UNKNOWN_KEY] = {"UnrecognizedClientException", "InvalidClientTokenId", 403},
    [SIGV4_EXPIRED_TOKEN] = {"ExpiredTokenException", "ExpiredToken", 403},
    [SIGV4_MISMATCH] = {"InvalidSignatureException", "SignatureDoesNotMatch", 403},
};

/* EC2 does not tell keys that it does not know from signatures that are wrong. */
static bool ec2_signature_fault(int sigv4_fault, struct str text, struct aws_fault *ret)
{
    if (sigv4_fault != SIGV4_UNKNOWN_KEY && sigv4_fault != SIGV4_MISMATCH) {
        return false;
    }
    if (str_starts_with(text, STR("Signature expired"))) {
        *ret = (struct aws_fault){.error = ERROR("RequestExpired", 400),
                                  .message = STR("Request has expired.")};
        return true;
    }
    *ret = (struct aws_fault){
        .error = ERROR("AuthFailure", 401),
        .message = STR("AWS was not able to validate the provided access credentials")};
    return true;
}

struct aws_fault aws_fault_of_signature(int sigv4_fault, const struct shape_service *service,
                                        bool is_form, struct str text)
{
    CHECK(sigv4_fault > SIGV4_OK && (size_t)sigv4_fault < ARRAY_COUNT(signature_errors));
    struct aws_fault own;
    if (service != NULL && strcmp(service->name, "ec2") == 0 &&
        ec2_signature_fault(sigv4_fault, text, &own)) {
        return own;
    }
    const char *json_code = signature_errors[sigv4_fault].json_code;
    return (struct aws_fault){
        .error = {.code = signature_errors[sigv4_fault].query_code,
                  .shape_name = json_code,
                  .http_status = is_form ? signature_errors[sigv4_fault].query_status : 400},
        .message = text};
}

struct aws_fault aws_fault_unknown_operation(struct op *op, const struct shape_service *service,
                                             bool is_form, bool is_cbor, struct str name)
{
    if (!is_form) {
        const char *who = service == NULL ? "This engine" : service->full_name;
        return (struct aws_fault){
            .error = {.code = "UnknownOperationException", .http_status = is_cbor ? 404 : 400},
            .message =
                arena_printf(&op->arena, "%s has no operation \"%.*s\"", who, STR_ARG(name))};
    }
    if (service == NULL) {
        return (struct aws_fault){
            .error = ERROR("InvalidAction", 400),
            .message = arena_printf(&op->arena, "Could not find operation %.*s", STR_ARG(name))};
    }
    return (struct aws_fault){
        .error = ERROR("InvalidAction", 400),
        .message = arena_printf(&op->arena, "Could not find operation %.*s for version %s",
                                STR_ARG(name), service->api_version)};
}
