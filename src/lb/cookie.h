#pragma once
/* The load balancer's own cookies: which group and which target a client stays with.
 *
 * Text     base64 of: week (4 bytes), nonce (12), sealed marks, tag (16). AES-256-GCM; the key of a
 *          week is HMAC-SHA-256(key of the snapshot, "hitless cookie", week), so that it changes by
 *          itself, the same in every worker, process and generation. A cookie of the week before
 *          still opens: none is valid for longer than seven days.
 * Marks    one for each group that the client stays with, at most LB_MARKS_MAX: a site whose paths
 *          lead to several sticky groups shares one cookie name.
 * Costs    nothing is allocated; a cookie is sealed once for all clients of a target that get one
 *          within 256 ms, and one that was opened lately is known by its text.
 *
 * Source   ALB: names, attributes and limits; the content is encrypted with a rotating key. */

#include "crypt/sealer.h"
#include "lb/limits.h"

#define LB_MARKS_MAX 4
/* week, nonce, tag, four bytes of head, marks; in base64 */
#define LB_COOKIE_BYTES_MAX ((size_t)(4 + SEAL_MORE_BYTES + 4 + LB_MARKS_MAX * 24))
#define LB_COOKIE_CHARS_MAX (LB_COOKIE_BYTES_MAX / 3 * 4)
#define LB_COOKIE_CACHE     64
#define LB_COOKIE_KNOWN     256

enum lb_cookie_kind { LB_COOKIE_GROUP = 1, LB_COOKIE_TARGET, LB_COOKIE_APP };

struct lb_mark {
    uint64_t group;   /* lb_group.tag */
    uint64_t peer;    /* lb_peer.tag; 0 with LB_COOKIE_GROUP */
    int64_t until_ms; /* of the wall clock */
};

struct lb_marks {
    struct lb_mark items[LB_MARKS_MAX];
    size_t count;
};

struct lb_cookie_week {
    struct sealer sealer;
    uint32_t week;
    bool is_made;
};

struct lb_cookie_made {
    struct lb_mark mark;
    uint32_t week;
    enum lb_cookie_kind kind;
    size_t len;
    char text[LB_COOKIE_CHARS_MAX];
};

struct lb_cookie_known {
    struct lb_marks marks;
    uint32_t week;
    enum lb_cookie_kind kind;
    size_t len;
    char text[LB_COOKIE_CHARS_MAX];
};

/* Of one worker. All zero: without a key; opens nothing, and must not make any. */
struct lb_cookies {
    struct seal_key key;
    bool has_key;
    struct lb_cookie_week weeks[4];                /* by week % 4: three are good at a time */
    struct lb_cookie_known known[LB_COOKIE_KNOWN]; /* opened lately, by their last characters */
    struct lb_cookie_made made[LB_COOKIE_CACHE];   /* the newest of each hash */
};

/* Fine with the key that it has. */
void lb_cookies_set_key(struct lb_cookies *c, const struct seal_key *key);
void lb_cookies_fini(struct lb_cookies *c);

/* Marks that are valid still. False when the text is not ours, of another kind, or altered. */
bool lb_cookie_read(struct lb_cookies *c, enum lb_cookie_kind kind, struct str text, int64_t now_ms,
                    struct lb_marks *ret_marks);
/* The text, in `room` or in the cache: valid until the next call. marks->count > 0. */
struct str lb_cookie_write(struct lb_cookies *c, enum lb_cookie_kind kind,
                           const struct lb_marks *marks, int64_t now_ms,
                           char room[LB_COOKIE_CHARS_MAX]);
/* The end of a mark made now. */
int64_t lb_cookie_until_ms(int64_t now_ms, dur_t duration);
