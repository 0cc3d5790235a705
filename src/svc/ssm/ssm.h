#pragma once
/* Parameter Store: parameters with versions, labels, paths and tags. Every value lies in the store
 * sealed (crypt/envelope.h), also those of the types String and StringList: what is no secret today
 * is one tomorrow. Values are never part of a sentence. On the control loop. */

#include "base/op.h"
#include "crypt/seal.h"
#include "gen/ssm.h"

struct store;

struct ssm {
    struct store *store;
    struct seal_key key;
};

/* What a task's `secrets` ask for: a name or an ARN of the op's region, with or without a selector;
 * decrypted, in the op's arena; whoever asks clears it. ERR_NOT_FOUND or ERR_INPUT with AWS's
 * sentence. */
enum err ssm_read(struct op *op, struct ssm *ssm, struct str name_or_arn, struct str *ret_value);

extern const struct ssm_handlers ssm_handlers;
