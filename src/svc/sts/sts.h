#pragma once
/* Who is asking, and credentials for a while. Every role of the account may be assumed by whoever
 * holds a key: the engine has no IAM. */

#include "crypt/seal.h"
#include "gen/sts.h"

struct sts {
    struct seal_key key; /* sts_session_key() */
    bool is_test_mode;   /* identity tokens are taken without looking at their signature */
};

/* get_caller_identity works without a struct sts. */
extern const struct sts_handlers sts_handlers;
