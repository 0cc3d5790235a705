#pragma once
/* What a user's browser keeps of a sign-in: the state that goes to the identity provider and back,
 * and the session afterwards. Both are sealed (AES-256-GCM, crypt/seal.h); nothing is kept here.
 *
 * State    until when, for which login, the nonce that the browser has in a cookie of its own, and
 *          the address that the user wanted. It opens for fifteen minutes, in that browser.
 * Session  until when, subject, access token, claims; in up to four cookies NAME-0 to NAME-3. The
 *          first character of the first one is how many there are.
 *
 * Source   ELBv2 guide, "Authenticate users": cookies of 4K, up to 16K; claims up to 11K. Pure. */

#include "base/arena.h"
#include "crypt/seal.h"
#include "http/h1.h"

#define LB_CLAIMS_BYTES_MAX ((size_t)11 * 1024) /* ALB */

struct lb_state {
    int64_t until_ms; /* wall clock */
    uint64_t login;   /* lb_login.tag */
    struct str nonce; /* no blanks */
    struct str url;   /* likewise */
};

struct str lb_state_close(struct arena *a, const struct seal_key *key, const struct lb_state *s);
/* False when it was not made with this key, or is over. */
bool lb_state_open(struct arena *a, const struct seal_key *key, struct str text, int64_t now_ms,
                   struct lb_state *ret);

/* A user who signed in. */
struct lb_identity {
    int64_t until_ms;
    struct str subject;
    struct str access_token;
    struct str claims; /* one JSON object without "exp" and "iss" */
    struct str data;   /* x-amzn-oidc-data; of a request's identity alone */
};

/* purpose: of the login: a session opens for no other. Absent when it would not fit into the
 * cookies. */
struct str lb_session_close(struct arena *a, const struct seal_key *key, struct str purpose,
                            const struct lb_identity *who);
bool lb_session_open(struct arena *a, const struct seal_key *key, struct str purpose,
                     struct str text, int64_t now_ms, struct lb_identity *ret);

/* The Set-Cookie lines of what lb_session_close gave. */
struct str lb_session_cookies(struct arena *a, struct str name, struct str text, int64_t seconds);
/* Puts the request's cookies together; absent when one is missing. */
struct str lb_session_find(struct arena *a, const struct h1_head *h, struct str name);
