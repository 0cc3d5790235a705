#pragma once
/* Where a deployment goes: the AWS client of an environment and who we are there. The engine and
 * the cloud differ in nothing but the endpoint. */

#include "aws/client.h"
#include "deployer/config.h"

#define CLOUD_REGION_DEFAULT "eu-west-1" /* of the engine, where nothing says another */

/* How the client reaches the target; texts may be absent. The caller keeps them alive. */
struct cloud_door {
    struct str endpoint;
    struct str access_key_id;
    struct str secret_access_key;
    bool (*is_cancelled)(void *self);
    void *cancel_self;
};

struct cloud {
    struct aws_client *client;
    struct str region;
    struct str account;
    struct str caller_arn;
    bool is_local;
    dur_t poll; /* between two looks at a deployment */
};

/* Opens the client and asks who we are: shows that the endpoint answers and the credentials hold.
 * Sets op->region and op->account. Owns: the caller, until cloud_close. */
enum err cloud_open(struct op *op, const struct config_environment *e,
                    const struct cloud_door *door, struct cloud *ret_cloud) MUST_USE;
void cloud_close(struct cloud *cloud);

/* Reads the engine's credentials file (AWS shared-credentials format). ERR_NOT_FOUND when a key is
 * missing. */
enum err cloud_read_keys(struct op *op, const char *path, struct cloud_door *ret_door) MUST_USE;

/* An op for one look: its memory dies with it, region and account are the cloud's. */
void cloud_op_init(struct op *op, const struct cloud *cloud);
/* The failure of a look, taken over into the op that goes on. */
enum err cloud_op_fail(struct op *op, const struct op *look, enum err e);

/* Waits; a signal ends the wait early. */
void cloud_wait(dur_t span);

/* Whether the failed call's answer was this error of the service. */
bool cloud_failed_as(const struct op *op, const struct err_public *error);
