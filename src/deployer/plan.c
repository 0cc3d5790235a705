#include "deployer/plan.h"

#include "base/check.h"

static size_t compare_text(struct buf *to, const char *what, struct str live, struct str next)
{
    if (str_equal(live, next)) {
        return 0;
    }
    buf_addf(to, "  ~ %s: %.*s -> %.*s\n", what, STR_ARG(str_is_set(live) ? live : STR("(none)")),
             STR_ARG(str_is_set(next) ? next : STR("(none)")));
    return 1;
}

static struct str join(struct arena *a, const struct ecs_string_list *words)
{
    struct str out = STR("");
    for (size_t i = 0; i < words->count; i++) {
        out = arena_printf(a, "%.*s%s%.*s", STR_ARG(out), i == 0 ? "" : " ",
                           STR_ARG(words->items[i]));
    }
    return out;
}

static struct str find_variable(const struct ecs_environment_variables *list, struct str name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (str_equal(list->items[i].name, name)) {
            return list->items[i].value;
        }
    }
    return STR_NONE;
}

static size_t compare_variables(struct arena *a, struct buf *to,
                                const struct ecs_environment_variables *live,
                                const struct ecs_environment_variables *next)
{
    size_t changes = 0;
    for (size_t i = 0; i < next->count; i++) {
        struct str name = arena_printf(a, "env %.*s", STR_ARG(next->items[i].name));
        changes += compare_text(to, name.ptr, find_variable(live, next->items[i].name),
                                next->items[i].value);
    }
    for (size_t i = 0; i < live->count; i++) {
        if (!str_is_set(find_variable(next, live->items[i].name))) {
            buf_addf(to, "  - env %.*s\n", STR_ARG(live->items[i].name));
            changes++;
        }
    }
    return changes;
}

static size_t compare_secrets(struct buf *to, const struct ecs_secret_list *live,
                              const struct ecs_secret_list *next)
{
    size_t changes = 0;
    for (size_t i = 0; i < next->count; i++) {
        bool is_same = false;
        for (size_t k = 0; k < live->count; k++) {
            is_same = is_same || (str_equal(live->items[k].name, next->items[i].name) &&
                                  str_equal(live->items[k].value_from, next->items[i].value_from));
        }
        if (!is_same) {
            buf_addf(to, "  ~ secret %.*s\n", STR_ARG(next->items[i].name));
            changes++;
        }
    }
    return changes;
}

static const struct ecs_container_definition *find(const struct ecs_task_definition *live,
                                                   struct str name)
{
    for (size_t i = 0; i < live->container_definitions.count; i++) {
        if (str_equal(live->container_definitions.items[i].name, name)) {
            return &live->container_definitions.items[i];
        }
    }
    return NULL;
}

size_t plan_compare(struct buf *to, const struct ecs_task_definition *live,
                    const struct ecs_register_task_definition_in *next)
{
    static const struct ecs_task_definition nothing = {0};
    static const struct ecs_container_definition no_container = {0};
    struct arena a;
    arena_init(&a);
    const struct ecs_task_definition *old = live == NULL ? &nothing : live;
    size_t changes = compare_text(to, "cpu", old->cpu, next->cpu);
    changes += compare_text(to, "memory", old->memory, next->memory);
    for (size_t i = 0; i < next->container_definitions.count; i++) {
        const struct ecs_container_definition *c = &next->container_definitions.items[i];
        const struct ecs_container_definition *was = find(old, c->name);
        was = was == NULL ? &no_container : was;
        changes += compare_text(to, "image", was->image, c->image);
        changes += compare_text(to, "command", join(&a, &was->command), join(&a, &c->command));
        changes += compare_variables(&a, to, &was->environment, &c->environment);
        changes += compare_secrets(to, &was->secrets, &c->secrets);
    }
    arena_fini(&a);
    return changes;
}

static size_t write_missing(struct buf *to, const struct leg *leg)
{
    const struct resources *r = &leg->resources;
    const struct place *p = &leg->place;
    size_t changes = 0;
    const struct {
        bool is_missing;
        const char *what;
        struct str name;
    } rows[] = {
        {r->has_balancer && !str_is_set(r->balancer_arn), "load balancer", p->balancer},
        {r->has_balancer && !str_is_set(r->groups[0]), "target group", p->groups[0]},
        {r->has_balancer && !str_is_set(r->groups[1]), "target group", p->groups[1]},
        {r->has_balancer && !str_is_set(r->listener_arn), "listener of", p->balancer},
        {r->service == NULL, "service", p->service_name},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (rows[i].is_missing) {
            buf_addf(to, "  + %s %.*s\n", rows[i].what, STR_ARG(rows[i].name));
            changes++;
        }
    }
    return changes;
}

static enum err write_leg(struct op *op, const struct deployment *d, const struct leg *leg,
                          struct buf *to, size_t *ret_changes)
{
    const struct ecs_service *service = leg->resources.service;
    struct ecs_describe_task_definition_out out = {0};
    if (service != NULL) {
        struct ecs_describe_task_definition_in in = {.task_definition = service->task_definition};
        TRY(ecs_call_describe_task_definition(op, d->cloud->client, &in, &out));
    }
    buf_addf(to, "%.*s (%.*s, %s)\n", STR_ARG(leg->place.service_name), STR_ARG(leg->place.cluster),
             config_strategy_text(d->request->environment->strategy));
    size_t changes = write_missing(to, leg);
    if (service != NULL && OPT_OR(service->desired_count, 0) != leg->place.count) {
        buf_addf(to, "  ~ tasks: %d -> %lld\n", OPT_OR(service->desired_count, 0),
                 (long long)leg->place.count);
        changes++;
    }
    size_t differences =
        leg->is_changed ? plan_compare(to, out.task_definition, &leg->definition) : 0;
    if (leg->is_changed && differences + changes == 0) {
        buf_add(to, STR("  ~ the task definition, in what is not shown here\n"));
        differences = 1;
    }
    if (changes + differences == 0) {
        buf_add(to, STR("  no changes\n"));
    }
    *ret_changes += changes + differences;
    return ERR_OK;
}

enum err plan_write(struct op *op, const struct deployment *d, struct buf *to, size_t *ret_changes)
{
    *ret_changes = 0;
    for (size_t i = 0; i < d->leg_count; i++) {
        TRY(write_leg(op, d, &d->legs[i], to, ret_changes));
    }
    return ERR_OK;
}
