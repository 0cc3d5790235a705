#include "deployer/names.h"

#include "base/check.h"
#include "crypt/hash.h"

#define BALANCER_CHARS_MAX 32  /* ELBv2 names */
#define FAMILY_CHARS_MAX   255 /* ECS families */
#define HASH_CHARS         8

struct str name_cut(struct arena *a, struct str text, size_t max)
{
    CHECK(max > HASH_CHARS + 1);
    if (text.len <= max) {
        return arena_str(a, text);
    }
    struct sha256 h = sha256_of(text);
    struct str head = str_slice(text, 0, max - HASH_CHARS - 1);
    while (head.len > 0 && head.ptr[head.len - 1] == '-') {
        head.len--;
    }
    return arena_printf(a, "%.*s-%02x%02x%02x%02x", STR_ARG(head), h.bytes[0], h.bytes[1],
                        h.bytes[2], h.bytes[3]);
}

/* Load balancers and target groups take letters, digits and dashes only. */
static struct str with_dashes(struct arena *a, struct str text)
{
    char *out = arena_alloc(a, text.len + 1);
    for (size_t i = 0; i < text.len; i++) {
        out[i] = text.ptr[i] == '_' ? '-' : text.ptr[i];
    }
    return str_make(out, text.len);
}

void place_name(struct arena *a, const struct config *c, const struct config_environment *e,
                const struct config_service *s, struct place *ret_place)
{
    struct str whole =
        arena_printf(a, "%.*s-%.*s-%.*s", STR_ARG(c->app), STR_ARG(e->name), STR_ARG(s->name));
    struct str dashed = with_dashes(a, whole);
    struct str cluster = arena_printf(a, "%.*s-%.*s", STR_ARG(c->app), STR_ARG(e->name));
    *ret_place = (struct place){
        .config = c,
        .environment = e,
        .service = s,
        .cluster = str_is_set(e->cluster) ? e->cluster : name_cut(a, cluster, FAMILY_CHARS_MAX),
        .service_name = str_is_set(e->service) && c->service_count == 1 ? e->service : s->name,
        .family = name_cut(a, whole, FAMILY_CHARS_MAX),
        .balancer = name_cut(a, dashed, BALANCER_CHARS_MAX),
        .groups = {name_cut(a,
                            arena_printf(a, "%.*s-a",
                                         STR_ARG(name_cut(a, dashed, BALANCER_CHARS_MAX - 2))),
                            BALANCER_CHARS_MAX),
                   name_cut(a,
                            arena_printf(a, "%.*s-b",
                                         STR_ARG(name_cut(a, dashed, BALANCER_CHARS_MAX - 2))),
                            BALANCER_CHARS_MAX)},
        .log_group = arena_printf(a, "/ecs/%.*s", STR_ARG(whole)),
        .alarm_prefix = arena_printf(a, "%.*s-", STR_ARG(whole)),
        .migration_family =
            name_cut(a, arena_printf(a, "%.*s-migrate", STR_ARG(whole)), FAMILY_CHARS_MAX),
        .count = e->count > 0 ? e->count : s->count,
    };
}
