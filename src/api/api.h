#pragma once
/* The AWS endpoint: one port, every service, every protocol. A request is routed (aws/route.h),
 * its signature checked, its body decoded and validated into the operation's input, the handler
 * called, and the result or error put on the wire.
 *
 * Handlers run on the loop's thread, one after the other, and do not block. */

#include "aws/answer.h"
#include "aws/sigv4.h"
#include "base/op.h"
#include "codec/json.h"
#include "httpio/server.h"
#include "shape/shape.h"

#define API_SERVICES_MAX 16
#define API_BODY_BYTES_MAX                                                 \
    (10 << 20) /* of a request, unpacked; AWS's largest is 1 MiB of events \
                */
#define API_REGION_CHARS_MAX 32

/* Who owns an access key. Texts live in the op's arena. */
struct api_identity {
    struct str secret_access_key;
    struct str caller_arn;
    struct str caller_id; /* "AIDA...", "AROA...:session", or the account for its root */
    struct str account;
    bool is_expired; /* the session's time is over */
};

struct api_hooks {
    void *self;
    /* ERR_NOT_FOUND when nobody has that key, or its session token is another one (absent for keys
     * without). */
    enum err (*find_key)(void *self, struct op *op, struct str access_key_id,
                         struct str session_token, struct api_identity *ret_identity);
    /* POST /moto-api/reset, in test mode only: forget everything. May be NULL. */
    enum err (*reset)(void *self, struct op *op);
    /* Adds members to the object of GET /_hitless/health; false: not healthy (503). May be NULL. */
    bool (*add_health)(void *self, struct op *op, struct json_writer *w);
    /* Requests that are no AWS call (dashboard, image registry). True when it took the exchange,
     * which it then answers. May be NULL. */
    bool (*take_other)(void *self, struct httpio_exchange *x);
};

struct api_options {
    struct str account;        /* of unsigned calls, and of every call in test mode */
    struct str default_region; /* of unsigned calls */
    struct str version;        /* of the program, for people */
    /* Takes any credentials and none, and answers /moto-api/reset. */
    bool is_test_mode;
    struct api_hooks hooks;
};

struct api_service {
    const struct shape_service *service;
    const void *handlers; /* struct <service>_handlers */
    void *self;           /* struct <service> */
};

struct api {
    struct api_options options;
    struct api_service services[API_SERVICES_MAX];
    size_t service_count;
    struct sigv4_cache keys;
    struct httpio_server server;
    bool is_open;
};

/* options' texts live as long as the api. */
void api_init(struct api *api, const struct api_options *options);
/* Offers a service. Handlers that are NULL in the table answer UnsupportedOperation. */
void api_add(struct api *api, const struct shape_service *service, const void *handlers,
             void *self);

/* One call without any socket. op is fresh (op_init); its caller, region and request id are set
 * here. ret_answer is initialised by the caller. */
void api_serve(struct api *api, struct op *op, const struct aws_request *request,
               struct aws_answer *ret_answer);

/* Serves on listen_fd, which it takes over. The api stays where it is until api_close(). */
enum err api_open(struct op *op, struct api *api, struct ev_loop *loop, int listen_fd) MUST_USE;
void api_close(struct api *api);
