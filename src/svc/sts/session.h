#pragma once
/* Temporary credentials without any store: all that belongs to a session stands sealed in its
 * session token. They outlive a restart, and end with the engine's own key. */

#include "base/op.h"
#include "crypt/seal.h"

#define STS_SESSION_SECRET_CHARS    40
#define STS_SESSION_TOKEN_CHARS_MAX 4096

struct sts_session {
    struct str access_key_id; /* "ASIA..." */
    struct str secret_access_key;
    struct str caller_arn;
    struct str caller_id; /* "AROA...:session" */
    wall_t expires_at;
};

/* The key that seals sessions, from the engine's own secret. */
struct seal_key sts_session_key(struct str root_secret);

/* Makes the two keys of `session`, which has the caller and the end, and its token. Texts live in
 * the op's arena. */
struct str sts_session_make(struct op *op, const struct seal_key *key, struct sts_session *session);
/* False when the token is not ours, was changed, or belongs to another access key. Does not look
 * at the clock. */
bool sts_session_read(struct op *op, const struct seal_key *key, struct str access_key_id,
                      struct str token, struct sts_session *ret);
