#include "lb/affinity.h"

#include "base/check.h"
#include "base/mem.h"
#include "lb/control.h"

/* ---- cookies of the request ------------------------------------------------------------------ */

/* "a=b; c=d": the next name and value. */
static bool next_cookie(struct str *rest, struct str *ret_name, struct str *ret_value)
{
    struct str pair;
    while (str_next(rest, ';', &pair)) {
        pair = str_trim(pair);
        if (str_cut(pair, '=', ret_name, ret_value) && ret_name->len > 0) {
            return true;
        }
    }
    return false;
}

struct str lb_find_cookie(const struct h1_head *h, struct str want)
{
    for (size_t i = 0; h1_has(h, H1_COOKIE) && i < h->field_count; i++) {
        if (h->fields[i].name != H1_COOKIE) {
            continue;
        }
        struct str rest = h1_field_value(h, &h->fields[i]);
        struct str name;
        struct str value;
        while (next_cookie(&rest, &name, &value)) {
            if (str_equal(name, want)) {
                return value;
            }
        }
    }
    return STR_NONE;
}

struct ours {
    struct str group; /* AWSALBTG, else AWSALBTGCORS */
    struct str target;
    struct str app;
};

/* `or_cors`: the twin counts where the first is missing. */
static void note(struct str *to, struct str value, bool is_twin)
{
    if (!is_twin || !str_is_set(*to)) {
        *to = value;
    }
}

static void sort_cookie(struct ours *o, struct str name, struct str value)
{
    if (STR_IS(name, "AWSALBTG") || STR_IS(name, "AWSALBTGCORS")) {
        note(&o->group, value, name.len > 8);
    } else if (STR_IS(name, "AWSALB") || STR_IS(name, "AWSALBCORS")) {
        note(&o->target, value, name.len > 6);
    } else if (STR_IS(name, "AWSALBAPP-0")) {
        o->app = value;
    }
}

static struct ours find_ours(const struct h1_head *h)
{
    struct ours o = {0};
    for (size_t i = 0; h1_has(h, H1_COOKIE) && i < h->field_count; i++) {
        if (h->fields[i].name != H1_COOKIE) {
            continue;
        }
        struct str rest = h1_field_value(h, &h->fields[i]);
        struct str name;
        struct str value;
        while (next_cookie(&rest, &name, &value)) {
            if (str_starts_with(name, STR("AWSALB"))) {
                sort_cookie(&o, name, value);
            }
        }
    }
    return o;
}

/* ---- the group ------------------------------------------------------------------------------- */

static bool is_mark_of(const struct lb_mark *mark, const struct lb_action *a, size_t index)
{
    const struct lb_weight *w = &a->weights[index];
    return w->group->tag == mark->group && w->weight > 0 && w->group->usable_count > 0;
}

/* The group that the client stays with; NULL when there is none (any more). */
static struct lb_group *kept_group(const struct lb_action *a, const struct lb_marks *marks)
{
    for (size_t i = 0; i < marks->count; i++) {
        for (size_t k = 0; k < a->weight_count; k++) {
            if (is_mark_of(&marks->items[i], a, k)) {
                return a->weights[k].group;
            }
        }
    }
    return NULL;
}

size_t lb_cohort_pick(const struct lb_action *a, const struct siphash_key *key, struct str id)
{
    /* (hash / 2^32) of the sum of weights, without the rounding of a division */
    uint64_t place = (siphash_of(key, id) >> 32) * a->weight_sum >> 32;
    size_t at = a->weight_count;
    uint64_t end = 0;
    while (at > 0) {
        at--;
        end += a->weights[at].weight;
        if (place < end) {
            return at;
        }
    }
    UNREACHABLE("the weights' sum is weight_sum");
}

static struct str cohort_id(const struct h1_head *h, const struct lb_cohort *cohort)
{
    struct str id = STR_NONE;
    size_t at = 0;
    if (cohort->is_cookie) {
        return lb_find_cookie(h, cohort->name);
    }
    return h1_find_next(h, cohort->name, &at, &id) ? id : STR_NONE;
}

static struct lb_group *weighted_group(struct lb_worker *w, const struct lb_rule *rule)
{
    const struct lb_action *a = &rule->action;
    if (a->weight_sum == 0) {
        return NULL;
    }
    if (str_is_set(a->cohort.name)) {
        struct str id = cohort_id(&w->request_head, &a->cohort);
        if (id.len > 0) {
            return a->weights[lb_cohort_pick(a, &w->conf->cohort_key, id)].group;
        }
    }
    if (a->weight_count == 1) {
        return a->weights[0].group;
    }
    return a
        ->weights[lb_split_pick(&w->splits[rule->index], rule, w->id,
                                (uint32_t)w->lb->worker_count)]
        .group;
}

/* ---- the target ------------------------------------------------------------------------------ */

/* Only among those that are registered and do not drain. */
static struct lb_peer *kept_target(const struct lb_worker *w, const struct lb_group *g,
                                   const struct lb_marks *marks)
{
    uint64_t tag = 0;
    for (size_t i = 0; i < marks->count && tag == 0; i++) {
        tag = marks->items[i].group == g->tag ? marks->items[i].peer : 0;
    }
    for (size_t i = 0; tag != 0 && i < g->usable_count; i++) {
        struct lb_peer *peer = g->targets[i].peer;
        if (peer->tag == tag) {
            return lb_may_take(w, g, peer) ? peer : NULL;
        }
    }
    return NULL;
}

/* Chrome 80 and later drop cookies without SameSite on requests of other sites. */
static bool is_chromium(const struct h1_head *h)
{
    struct str agent;
    size_t at = 0;
    if (!h1_find_next(h, STR("user-agent"), &at, &agent)) {
        return false;
    }
    size_t mark = str_find(agent, STR("Chrome/"), 0);
    uint64_t version = 0;
    struct str digits;
    struct str rest;
    if (mark == STR_NOT_FOUND) {
        return false;
    }
    struct str behind = str_from(agent, mark + strlen("Chrome/"));
    digits = behind;
    (void)str_cut(behind, '.', &digits, &rest);
    return str_parse_u64(digits, 100000, &version) && version >= 80;
}

static void choose_target(struct lb_worker *w, const struct lb_group *g, const struct ours *o,
                          int64_t now_ms, struct lb_affinity *ret)
{
    const struct h1_head *h = &w->request_head;
    if (g->stick == LB_STICK_LB) {
        (void)lb_cookie_read(&w->cookies, LB_COOKIE_TARGET, o->target, now_ms, &ret->targets);
        ret->wanted = kept_target(w, g, &ret->targets);
    } else if (g->stick == LB_STICK_APP) {
        ret->is_chromium = is_chromium(h);
        (void)lb_cookie_read(&w->cookies, LB_COOKIE_APP, o->app, now_ms, &ret->targets);
        if (str_is_set(lb_find_cookie(h, g->app_cookie))) {
            ret->wanted = kept_target(w, g, &ret->targets);
            ret->has_session = ret->wanted != NULL;
        }
    }
}

/* ---- a request ------------------------------------------------------------------------------- */

static struct lb_affinity *take(struct lb_worker *w)
{
    if (list_is_empty(&w->free_affinities)) {
        struct lb_affinities *more = MEM_NEW(struct lb_affinities);
        list_add_tail(&w->affinities, &more->node);
        for (size_t i = 0; i < ARRAY_COUNT(more->items); i++) {
            list_add_tail(&w->free_affinities, &more->items[i].node);
        }
    }
    struct lb_affinity *a = CONTAINER_OF(w->free_affinities.next, struct lb_affinity, node);
    list_remove(&a->node);
    *a = (struct lb_affinity){0};
    return a;
}

void lb_affinities_free(struct lb_worker *w)
{
    LIST_FOR (several, &w->affinities, struct lb_affinities, node) {
        mem_free(several);
    }
}

void lb_affinity_give(struct lb_worker *w, struct lb_affinity *a)
{
    if (a != NULL) {
        list_add_head(&w->free_affinities, &a->node);
    }
}

struct lb_group *lb_affinity_choose(struct lb_worker *w, const struct lb_rule *rule,
                                    struct lb_affinity **ret_affinity)
{
    const struct lb_action *a = &rule->action;
    struct ours o = find_ours(&w->request_head);
    int64_t now_ms = clock_wall().us / 1000;
    struct lb_affinity *affinity = take(w);
    struct lb_group *g = NULL;
    *ret_affinity = affinity;
    if (a->stick_for.us > 0) {
        (void)lb_cookie_read(&w->cookies, LB_COOKIE_GROUP, o.group, now_ms, &affinity->groups);
        g = kept_group(a, &affinity->groups);
    }
    bool is_new = a->stick_for.us > 0 && g == NULL;
    if (g == NULL) {
        g = weighted_group(w, rule);
    }
    if (g == NULL || g->usable_count == 0) {
        return NULL;
    }
    choose_target(w, g, &o, now_ms, affinity);
    affinity->is_new = is_new || (g->stick != LB_STICK_NONE && affinity->wanted == NULL);
    return g;
}

struct lb_group *lb_group_choose(struct lb_worker *w, const struct lb_rule *rule,
                                 struct lb_affinity **ret_affinity)
{
    return rule->action.has_affinity ? lb_affinity_choose(w, rule, ret_affinity)
                                     : weighted_group(w, rule);
}

/* ---- the response ---------------------------------------------------------------------------- */

/* The new mark first, then those of groups that have nothing to do with it, newest first. */
static struct lb_marks renewed(const struct lb_marks *old, const struct lb_action *replaced,
                               struct lb_mark mark)
{
    struct lb_marks marks = {.count = 1};
    marks.items[0] = mark;
    for (size_t i = 0; i < old->count && marks.count < LB_MARKS_MAX; i++) {
        bool is_gone = old->items[i].group == mark.group;
        for (size_t k = 0; replaced != NULL && k < replaced->weight_count; k++) {
            is_gone = is_gone || replaced->weights[k].group->tag == old->items[i].group;
        }
        if (!is_gone) {
            marks.items[marks.count++] = old->items[i];
        }
    }
    return marks;
}

static void write_cookie(struct h1_writer *out, struct str name, struct str value,
                         struct str expires, struct str more)
{
    h1_write_raw(out, STR("Set-Cookie: "));
    h1_write_raw(out, name);
    h1_write_raw(out, STR("="));
    h1_write_raw(out, value);
    h1_write_raw(out, STR("; Expires="));
    h1_write_raw(out, expires);
    h1_write_raw(out, STR("; Path=/"));
    h1_write_raw(out, more);
    h1_write_raw(out, STR("\r\n"));
}

/* The cookie and its twin for requests of other sites. Source: ALB sends both always; Secure where
 * the client came by TLS. */
static void write_pair(struct h1_writer *out, struct str name, struct str twin, struct str value,
                       struct str expires, bool is_secure)
{
    write_cookie(out, name, value, expires, STR(""));
    write_cookie(out, twin, value, expires,
                 is_secure ? STR("; SameSite=None; Secure") : STR("; SameSite=None"));
}

/* The target's Set-Cookie has the application's cookie. */
static bool sets_cookie(const struct h1_head *h, struct str want)
{
    size_t at = 0;
    struct str value;
    while (h1_find_next(h, STR("set-cookie"), &at, &value)) {
        struct str name = value;
        struct str rest;
        if (str_cut(value, '=', &name, &rest) && str_equal(str_trim(name), want)) {
            return true;
        }
    }
    return false;
}

static void write_app(struct lb_worker *w, const struct lb_exchange *ex, struct lb_mark mark,
                      int64_t now_ms, struct h1_writer *out)
{
    static const struct str names[] = {STR_INIT("AWSALBAPP-0"), STR_INIT("AWSALBAPP-1"),
                                       STR_INIT("AWSALBAPP-2"), STR_INIT("AWSALBAPP-3")};
    const struct lb_affinity *a = ex->affinity;
    char room[LB_COOKIE_CHARS_MAX];
    struct str value = STR("_remove_");
    struct str more =
        ex->listener->is_secure && a->is_chromium ? STR("; SameSite=None; Secure") : STR("");
    if (a->has_session || sets_cookie(&w->response_head, ex->group->app_cookie)) {
        struct lb_marks marks = renewed(&a->targets, NULL, mark);
        value = lb_cookie_write(&w->cookies, LB_COOKIE_APP, &marks, now_ms, room);
    }
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        write_cookie(out, names[i], i == 0 ? value : STR("_remove_"), lb_worker_expires(w, now_ms),
                     more);
    }
}

void lb_affinity_write(struct lb_worker *w, const struct lb_exchange *ex, struct h1_writer *out)
{
    const struct lb_affinity *a = ex->affinity;
    const struct lb_group *g = ex->group;
    char room[LB_COOKIE_CHARS_MAX];
    int64_t now_ms = clock_wall().us / 1000;
    bool is_secure = ex->listener->is_secure;
    if (ex->action->stick_for.us > 0) {
        struct lb_mark mark = {.group = g->tag,
                               .until_ms = lb_cookie_until_ms(now_ms, ex->action->stick_for)};
        struct lb_marks marks = renewed(&a->groups, ex->action, mark);
        struct str value = lb_cookie_write(&w->cookies, LB_COOKIE_GROUP, &marks, now_ms, room);
        write_pair(out, STR("AWSALBTG"), STR("AWSALBTGCORS"), value, lb_worker_expires(w, now_ms),
                   is_secure);
    }
    struct lb_mark mark = {.group = g->tag,
                           .peer = ex->pool->peer->tag,
                           .until_ms = lb_cookie_until_ms(now_ms, g->stick_for)};
    if (g->stick == LB_STICK_LB) {
        struct lb_marks marks = renewed(&a->targets, NULL, mark);
        struct str value = lb_cookie_write(&w->cookies, LB_COOKIE_TARGET, &marks, now_ms, room);
        write_pair(out, STR("AWSALB"), STR("AWSALBCORS"), value, lb_worker_expires(w, now_ms),
                   is_secure);
    } else if (g->stick == LB_STICK_APP) {
        write_app(w, ex, mark, now_ms, out);
    }
}
