#include "svc/elbv2/jwks.h"

#include "base/log.h"
#include "base/mem.h"
#include "jwt/jwt.h"
#include "svc/elbv2/state.h"
#include "webcall/webcall.h"

#include <stdio.h>

#define FRESH_FOR   DUR_MIN(5)
#define RETRY_AFTER DUR_S(5)
#define TIMEOUT     DUR_S(10)

struct jwks {
    struct elbv2 *e;
    struct str url;  /* heap */
    struct str text; /* heap; absent while nothing was fetched */
    mono_t due;
    struct webcall *call; /* NULL: none under way */
    bool has_failed;      /* the last time; said once */
};

static struct str copied(struct str s)
{
    return str_make(mem_dup(s.ptr, s.len), s.len);
}

static void free_text(struct str s)
{
    union {
        const char *text;
        void *memory;
    } owned = {.text = s.ptr};
    mem_free(owned.memory);
}

static void free_jwks(struct jwks *j)
{
    webcall_cancel(j->call);
    free_text(j->url);
    free_text(j->text);
    mem_free(j);
}

void elbv2_jwks_init(struct elbv2 *e)
{
    map_init(&e->jwks);
}

void elbv2_jwks_fini(struct elbv2 *e)
{
    size_t at = 0;
    struct str key;
    void *value;
    while (map_next(&e->jwks, &at, &key, &value)) {
        free_jwks(value);
    }
    map_fini(&e->jwks);
}

struct str elbv2_jwks_want(struct elbv2 *e, struct str url)
{
    struct jwks *j = map_find(&e->jwks, url);
    if (j == NULL) {
        j = MEM_NEW(struct jwks);
        j->e = e;
        j->url = copied(url);
        j->due = clock_mono();
        (void)map_put(&e->jwks, url, j);
        e->options.host.wake(e->options.host.self, DUR_US(0));
    }
    return j->text;
}

/* ---- fetching ------------------------------------------------------------------------------- */

/* Keeps what was there: keys that cannot be read now were good until now. */
static void note_failure(struct jwks *j, const char *why)
{
    if (!j->has_failed) {
        log_warn("elbv2", "the key set \"%.*s\" cannot be used%s: %s", STR_ARG(j->url),
                 str_is_set(j->text) ? ", the one before is kept" : "", why);
    }
    j->has_failed = true;
    j->due = mono_add(clock_mono(), RETRY_AFTER);
}

static void take(struct jwks *j, struct str body)
{
    struct jwt_keys *keys = NULL;
    auto_op struct op op;
    op_init(&op);
    if (jwt_keys_read(&op, body, &keys) != ERR_OK) {
        note_failure(j, op.note.text);
        return;
    }
    jwt_keys_free(keys);
    j->has_failed = false;
    j->due = mono_add(clock_mono(), FRESH_FOR);
    if (str_is_set(j->text) && str_equal(j->text, body)) {
        return;
    }
    free_text(j->text);
    j->text = copied(body);
    elbv2_note_jwks(j->e, j->url);
}

static void on_answer(void *self, const struct webcall_answer *answer)
{
    struct jwks *j = self;
    char why[64];
    j->call = NULL;
    if (!answer->has_come) {
        note_failure(j, answer->problem);
    } else if (answer->status != 200) {
        (void)snprintf(why, sizeof(why), "the answer has the status %d", answer->status);
        note_failure(j, why);
    } else {
        take(j, answer->body);
    }
    j->e->options.host.wake(j->e->options.host.self, DUR_US(0));
}

static void fetch(struct jwks *j)
{
    struct webcall_request request = {.method = "GET", .url = j->url, .timeout = TIMEOUT};
    j->call = webcall_start(j->e->options.web, &request, on_answer, j);
}

/* One that no rule uses any more; NULL when all are used. */
static struct jwks *find_unused(struct elbv2 *e)
{
    size_t at = 0;
    struct str key;
    void *value;
    while (map_next(&e->jwks, &at, &key, &value)) {
        if (!elbv2_snapshot_uses_jwks(e, key)) {
            return value;
        }
    }
    return NULL;
}

void elbv2_jwks_turn(struct elbv2 *e)
{
    struct jwks *unused;
    while ((unused = find_unused(e)) != NULL) {
        (void)map_remove(&e->jwks, unused->url);
        free_jwks(unused);
    }
    size_t at = 0;
    struct str key;
    void *value;
    mono_t now = clock_mono();
    while (e->options.web != NULL && map_next(&e->jwks, &at, &key, &value)) {
        struct jwks *j = value;
        if (j->call == NULL && j->due.us <= now.us) {
            fetch(j);
        } else if (j->call == NULL) {
            e->options.host.wake(e->options.host.self, mono_since(j->due, now));
        }
    }
}
