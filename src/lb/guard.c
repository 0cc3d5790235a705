#include "lb/guard.h"

#include "base/check.h"
#include "base/log.h"

static bool read_format(struct str text, enum jwt_format *ret)
{
    static const struct {
        struct str name;
        enum jwt_format format;
    } formats[] = {
        {STR_INIT("single-string"), JWT_SINGLE_STRING},
        {STR_INIT("string-array"), JWT_STRING_ARRAY},
        {STR_INIT("space-separated-values"), JWT_SPACE_SEPARATED},
    };
    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        if (str_equal(formats[i].name, text)) {
            *ret = formats[i].format;
            return true;
        }
    }
    return false;
}

static enum err read_claim(struct op *op, struct arena *a, const struct lbconf_claim *in,
                           struct jwt_claim *c)
{
    struct str *values = ARENA_ARRAY(a, struct str, in->values.count);
    for (size_t i = 0; i < in->values.count; i++) {
        values[i] = arena_str(a, in->values.items[i]);
    }
    c->name = arena_str(a, in->name);
    c->values = values;
    c->value_count = in->values.count;
    if (in->values.count == 0 || in->values.count > JWT_CLAIM_VALUES_MAX ||
        !read_format(in->format, &c->format)) {
        return op_fail(op, ERR_INPUT, "the claim \"%.*s\" has %zu values in the format \"%.*s\"",
                       STR_ARG(in->name), in->values.count, STR_ARG(in->format));
    }
    return ERR_OK;
}

enum err lb_guard_add(struct op *op, struct arena *a, const struct lbconf_action *in,
                      struct lb_guard **guards)
{
    if (!STR_IS(in->type, "jwt-validation")) {
        return op_fail(op, ERR_UNSUPPORTED, "action \"%.*s\" is not known", STR_ARG(in->type));
    }
    if (in->claims.count > JWT_CLAIMS_MAX) {
        return op_fail(op, ERR_LIMIT, "an action validates %zu claims, the limit is %d",
                       in->claims.count, JWT_CLAIMS_MAX);
    }
    struct lb_guard *guard = ARENA_NEW(a, struct lb_guard);
    struct jwt_claim *claims = ARENA_ARRAY(a, struct jwt_claim, in->claims.count);
    for (size_t i = 0; i < in->claims.count; i++) {
        TRY(read_claim(op, a, &in->claims.items[i], &claims[i]));
    }
    guard->policy = (struct jwt_policy){
        .issuer = arena_str(a, in->issuer), .claims = claims, .claim_count = in->claims.count};
    if (str_is_set(in->jwks)) {
        TRY(jwt_keys_read(op, in->jwks, &guard->keys));
    }
    guard->next = *guards;
    *guards = guard;
    return ERR_OK;
}

void lb_guards_free(struct lb_conf *conf)
{
    for (size_t i = 0; i < conf->listener_count; i++) {
        const struct lb_listener *l = &conf->listeners[i];
        for (size_t j = 0; j < l->rule_count; j++) {
            for (struct lb_guard *g = l->rules[j].guard; g != NULL; g = g->next) {
                jwt_keys_free(g->keys);
                g->keys = NULL;
            }
        }
    }
}

/* The one token of the request; absent without one, and when there are several. */
static struct str token_of(const struct h1_head *h)
{
    size_t at = 0;
    struct str value;
    struct str second;
    struct str scheme;
    struct str token;
    bool is_one = h1_find_next(h, STR("authorization"), &at, &value) &&
                  !h1_find_next(h, STR("authorization"), &at, &second);
    if (!is_one || !str_cut(value, ' ', &scheme, &token) ||
        !str_equal_nocase(scheme, STR("bearer"))) {
        return STR_NONE;
    }
    return str_trim(token);
}

static unsigned ask_one(const struct lb_guard *guard, struct str token)
{
    if (guard->keys == NULL) {
        return 500;
    }
    enum jwt_verdict verdict = jwt_check(guard->keys, &guard->policy, token, clock_wall());
    if (verdict != JWT_VALID) {
        log_debug("lb", "a token is %s", jwt_verdict_text(verdict));
        return 401;
    }
    return 0;
}

unsigned lb_guard_ask(const struct lb_guard *guards, const struct h1_head *h)
{
    struct str token = token_of(h);
    unsigned status = token.len == 0 ? 401 : 0;
    for (const struct lb_guard *g = guards; g != NULL && status == 0; g = g->next) {
        status = ask_one(g, token);
    }
    return status;
}
