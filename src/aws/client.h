#pragma once
/* The AWS client: blocking, one call after the other over one kept connection; typed by the same
 * tables as the server.
 *
 *     struct aws_client *client;
 *     TRY(aws_client_open(op, &options, &client));
 *     TRY(ecs_call_describe_services(op, client, &in, &out));
 *
 * Endpoint    options.endpoint, AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL, the profile's
 *             endpoint_url, the cloud's own by region.
 * Region      options.region, AWS_REGION, AWS_DEFAULT_REGION, the profile's.
 * Credentials options, environment, web identity, profile (keys, role_arn with source_profile,
 *             credential_source or web_identity_token_file, credential_process), container
 *             endpoint, instance metadata (IMDSv2). Renewed five minutes before they end.
 * Retries     throttling, overload and network failures, with full jitter; a call that makes
 *             something and bears no idempotency token is not repeated once it may have arrived.
 * Errors      the op's note says service, operation, AWS's code and message, never a secret;
 *             note.public_error points to the service's table entry (&ecs_error_...) where the
 *             code is one of the model's. */

#include "base/op.h"
#include "shape/shape.h"

#define AWS_ATTEMPTS_DEFAULT   3
#define AWS_ATTEMPTS_MAX       20
#define AWS_RESPONSE_BYTES_MAX (64 << 20)
#define AWS_CONNECT_MS_DEFAULT 10000
#define AWS_ANSWER_MS_DEFAULT  60000
#define AWS_BACKOFF_MS_MAX     20000
#define AWS_ERROR_CODE_BYTES   128
#define AWS_ROLE_CHAIN_MAX     5 /* source_profile of source_profile of ... */
#define AWS_SECRET_BYTES_MAX   1024
#define AWS_TOKEN_BYTES_MAX    16384

/* Where settings come from; tests give their own. */
struct aws_env {
    void *self;
    const char *(*get)(void *self, const char *name); /* NULL when not set */
};

/* All texts may be absent. */
struct aws_client_options {
    struct str profile;
    struct str region;
    struct str endpoint;      /* for every service */
    struct str access_key_id; /* together with the secret */
    struct str secret_access_key;
    struct str session_token;
    unsigned attempts_max;     /* 0: AWS_MAX_ATTEMPTS, else AWS_ATTEMPTS_DEFAULT */
    dur_t connect_timeout;     /* 0: AWS_CONNECT_MS_DEFAULT */
    dur_t answer_timeout;      /* 0: AWS_ANSWER_MS_DEFAULT */
    const struct aws_env *env; /* NULL: the process's */
    /* Asked before every attempt and while waiting; true ends the call with ERR_CANCELLED. May be
     * NULL. */
    bool (*is_cancelled)(void *self);
    void *cancel_self;
};

struct aws_client;

enum err aws_client_open(struct op *op, const struct aws_client_options *options,
                         struct aws_client **ret_client) MUST_USE;
/* Wipes the secrets. NULL is fine. */
void aws_client_close(struct aws_client *client);

/* The region that calls go to; lives as long as the client. */
struct str aws_client_region(const struct aws_client *client);
/* The host that calls of a service go to, for people: "https://ecs.eu-west-1.amazonaws.com". */
enum err aws_client_endpoint(struct op *op, struct aws_client *client,
                             const struct shape_service *service, struct str *ret_url);
/* A client for another role, on top of this one's credentials (and renewed from them); the first
 * must outlive the second. */
enum err aws_client_assume(struct op *op, struct aws_client *client, struct str role_arn,
                           struct str session_name, struct str external_id,
                           struct aws_client **ret_client) MUST_USE;

/* One call. in and ret are the operation's structs; ret lies in the op's arena. The generated
 * headers declare it as well, for their typed calls. */
#ifndef AWS_CALL
#define AWS_CALL 1
enum err aws_call(struct op *op, struct aws_client *client, const struct shape_service *service,
                  const struct shape_operation *operation, const void *in, void *ret);
#endif

/* One page: puts the next token of the answer into `in`. Call again while *ret_has_more. */
enum err aws_call_page(struct op *op, struct aws_client *client,
                       const struct shape_service *service, const struct shape_operation *operation,
                       void *in, void *ret, bool *ret_has_more) MUST_USE;

/* AWS's code of the last call that failed ("" when the failure had none) and its request id; live
 * until the next call. */
struct str aws_client_error_code(const struct aws_client *client);
struct str aws_client_request_id(const struct aws_client *client);
