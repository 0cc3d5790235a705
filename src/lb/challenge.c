/* Answers to a certificate authority that asks whether a name is ours: HTTP-01, RFC 8555 section
 * 8.3. Each is a fixed response of its own, asked for before any rule. */

#include "lb/challenge.h"

#define FOLDER "/.well-known/acme-challenge/"

/* base64url, as the section says. */
static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* token, full stop, base64url of a hash; the token alone has no full stop. */
static bool is_text(struct str s, bool may_have_stop)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_token_char(s.ptr[i]) && !(may_have_stop && s.ptr[i] == '.')) {
            return false;
        }
    }
    return s.len > 0 && s.len <= LB_CHALLENGE_CHARS_MAX;
}

enum err lb_challenges_read(struct op *op, struct arena *a,
                            const struct lbconf_acme_challenges *from,
                            struct lb_challenge **ret_items)
{
    if (from->count > LB_CHALLENGES_MAX) {
        return op_fail(op, ERR_LIMIT, "%zu challenges are too many: %d at most", from->count,
                       LB_CHALLENGES_MAX);
    }
    struct lb_challenge *items = ARENA_ARRAY(a, struct lb_challenge, from->count);
    for (size_t i = 0; i < from->count; i++) {
        const struct lbconf_acme_challenge *one = &from->items[i];
        if (!is_text(one->token, false) || !is_text(one->answer, true)) {
            return op_fail(op, ERR_INPUT, "challenge %zu has another alphabet than base64url", i);
        }
        items[i] = (struct lb_challenge){
            .path = arena_printf(a, FOLDER "%.*s", STR_ARG(one->token)),
            .action = {.type = LB_FIXED,
                       .status = 200,
                       .content_type = STR("application/octet-stream"),
                       .body = arena_str(a, one->answer)},
        };
    }
    *ret_items = items;
    return ERR_OK;
}

const struct lb_action *lb_challenge_find(const struct lb_conf *conf, const struct lb_listener *l,
                                          struct str path)
{
    if (l->tls != NULL || !str_starts_with(path, STR(FOLDER))) {
        return NULL;
    }
    for (size_t i = 0; i < conf->challenge_count; i++) {
        if (str_equal(conf->challenges[i].path, path)) {
            return &conf->challenges[i].action;
        }
    }
    return NULL;
}
