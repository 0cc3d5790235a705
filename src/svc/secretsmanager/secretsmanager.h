#pragma once
/* Secrets Manager: secrets with versions and staging labels. Every value lies in the store sealed
 * (crypt/envelope.h) and is never part of a sentence. On the control loop. */

#include "base/op.h"
#include "crypt/seal.h"
#include "gen/secretsmanager.h"

struct store;

struct secretsmanager {
    struct store *store;
    struct seal_key key;
};

/* What a task's `secrets` ask for: ARN[:json-key:version-stage:version-id], each part may be empty;
 * in the op's arena; whoever asks clears it. ERR_NOT_FOUND, ERR_STATE or ERR_INPUT with AWS's
 * sentence. */
enum err secrets_read(struct op *op, struct secretsmanager *sm, struct str value_from,
                      struct str *ret_value);

extern const struct secretsmanager_handlers secretsmanager_handlers;
