/* From the tree to struct config: the sections, what they refer to, and what must agree. */
#include "base/check.h"
#include "deployer/config_priv.h"

static struct str folder_of(struct arena *a, struct str path)
{
    size_t slash = str_find_last_char(path, '/');
    return slash == STR_NOT_FOUND ? STR(".")
                                  : arena_str(a, str_slice(path, 0, slash == 0 ? 1 : slash));
}

/* Relative to the folder of the file. */
static struct str resolve(struct arena *a, struct str folder, struct str path)
{
    if (!str_is_set(path) || str_starts_with(path, STR("/"))) {
        return path;
    }
    while (str_starts_with(path, STR("./"))) {
        path = str_from(path, 2);
    }
    return STR_IS(path, ".") ? folder
                             : arena_printf(a, "%.*s/%.*s", STR_ARG(folder), STR_ARG(path));
}

/* ---- images and services ---- */

struct image {
    struct str context;
    struct str platform;
    struct str image;
};

static void read_image(struct config_reader *r, const struct yaml_node *images,
                       const struct config *c, struct config_service *s)
{
    const struct yaml_node *node = images == NULL ? NULL : yaml_find(images, s->image);
    if (str_starts_with(s->image, STR("dir://"))) {
        struct str folder = resolve(&r->op->arena, c->folder, str_from(s->image, 6));
        s->image = arena_printf(&r->op->arena, "dir://%.*s", STR_ARG(folder));
        return;
    }
    if (node == NULL) {
        return;
    }
    struct image image = {0};
    config_read_section(r, &section_image, node, &image);
    if (!str_is_set(image.context) && !str_is_set(image.image)) {
        config_complain(
            r, node,
            "the image \"%.*s\" says neither where it is built (context) nor its reference (image)",
            STR_ARG(s->image));
    }
    s->context = resolve(&r->op->arena, c->folder, image.context);
    s->platform = image.platform;
    s->image = str_is_set(image.image) ? image.image : s->image;
}

static void read_health(struct config_reader *r, const struct yaml_node *node,
                        struct config_service *s)
{
    struct yaml_node nothing = {.type = YAML_NULL};
    bool is_path = node != NULL && node->type == YAML_TEXT;
    config_read_section(r, &section_health, node == NULL || is_path ? &nothing : node, &s->health);
    if (is_path && config_read_text(r, node, "health", &s->health.path) &&
        !str_starts_with(s->health.path, STR("/"))) {
        config_complain(r, node, "health: \"%.*s\": expected a path that begins with /",
                        STR_ARG(s->health.path));
    }
    if (s->health.timeout_s >= s->health.interval_s) {
        config_complain(r, node == NULL ? s->node : node,
                        "health: the timeout (%lld s) must be less than the interval (%lld s)",
                        (long long)s->health.timeout_s, (long long)s->health.interval_s);
    }
}

static void check_env_twice(struct config_reader *r, const struct config_service *s)
{
    for (size_t i = 0; i < s->secrets.count; i++) {
        for (size_t k = 0; k < s->env.count; k++) {
            if (str_equal(s->secrets.items[i].name, s->env.items[k].name)) {
                struct yaml_node at = {.line = s->secrets.items[i].line,
                                       .column = s->secrets.items[i].column};
                config_complain(r, &at, "%.*s is both in env and in secrets",
                                STR_ARG(s->secrets.items[i].name));
            }
        }
    }
}

static void read_services(struct config_reader *r, const struct yaml_node *root, struct config *c)
{
    const struct yaml_node *node = yaml_find(root, STR("services"));
    if (node == NULL) {
        return;
    }
    if (node->type != YAML_MAP || node->count == 0 || node->count > CONFIG_SERVICES_MAX) {
        config_complain(r, node, "services: expected a map of 1 to %d services by name",
                        CONFIG_SERVICES_MAX);
        return;
    }
    c->services = ARENA_ARRAY(&r->op->arena, struct config_service, node->count);
    c->service_count = node->count;
    for (size_t i = 0; i < node->count; i++) {
        struct config_service *s = &c->services[i];
        s->name = node->keys[i].text;
        s->node = &node->items[i];
        (void)config_check_name(r, &node->keys[i], "the service's name", s->name);
        config_read_section(r, &section_service, s->node, s);
        read_health(r, yaml_find(s->node, STR("health")), s);
        s->task_definition = resolve(&r->op->arena, c->folder, s->task_definition);
        if (str_is_set(s->image)) {
            read_image(r, yaml_find(root, STR("images")), c, s);
        }
        check_env_twice(r, s);
    }
}

/* ---- verify ---- */

static void read_json_checks(struct config_reader *r, const struct yaml_node *node,
                             struct config_verify *v)
{
    if (node->type != YAML_MAP) {
        config_complain(r, node, "json: expected a map of paths to values, found %s",
                        yaml_type_text(node->type));
        return;
    }
    v->json = ARENA_ARRAY(&r->op->arena, struct config_json_check, node->count);
    for (size_t i = 0; i < node->count; i++) {
        struct config_json_check *check = &v->json[v->json_count];
        check->path = node->keys[i].text;
        if (!str_starts_with(check->path, STR("."))) {
            config_complain(r, &node->keys[i],
                            "json: \"%.*s\": expected a path as .count or .items[0].name",
                            STR_ARG(check->path));
        } else if (config_read_text(r, &node->items[i], "json", &check->expected)) {
            v->json_count++;
        }
    }
}

static void read_verify(struct config_reader *r, const struct yaml_node *root, struct config *c)
{
    const struct yaml_node *node = yaml_find(root, STR("verify"));
    if (node == NULL) {
        return;
    }
    if (node->type != YAML_LIST) {
        config_complain(r, node, "verify: expected a list, found %s", yaml_type_text(node->type));
        return;
    }
    c->verify = ARENA_ARRAY(&r->op->arena, struct config_verify, node->count);
    c->verify_count = node->count;
    for (size_t i = 0; i < node->count; i++) {
        struct config_verify *v = &c->verify[i];
        config_read_section(r, &section_verify, &node->items[i], v);
        bool is_place = str_starts_with(v->get, STR("/")) ||
                        str_starts_with(v->get, STR("http://")) ||
                        str_starts_with(v->get, STR("https://"));
        if (str_is_set(v->get) && !is_place) {
            config_complain(r, &node->items[i],
                            "get: \"%.*s\": expected a path that begins with /, or a URL",
                            STR_ARG(v->get));
        }
        const struct yaml_node *json = yaml_find(&node->items[i], STR("json"));
        if (json != NULL) {
            read_json_checks(r, json, v);
        }
    }
}

/* ---- environments ---- */

static const struct config_step canary_default[] = {{10, 300}, {100, 0}};
static const struct config_step linear_default[] = {{10, 60}, {20, 60}, {30, 60}, {40, 60},
                                                    {50, 60}, {60, 60}, {70, 60}, {80, 60},
                                                    {90, 60}, {100, 0}};

static void use_steps(struct arena *a, struct config_environment *e,
                      const struct config_step *steps, size_t count)
{
    e->steps = ARENA_ARRAY(a, struct config_step, count);
    memcpy(e->steps, steps, count * sizeof(*steps));
    e->step_count = count;
}

static void fill_steps(struct arena *a, struct config_environment *e)
{
    if (e->step_count > 0) {
        return;
    }
    if (e->strategy == CONFIG_CANARY) {
        use_steps(a, e, canary_default, ARRAY_COUNT(canary_default));
    } else if (e->strategy == CONFIG_LINEAR) {
        use_steps(a, e, linear_default, ARRAY_COUNT(linear_default));
    }
}

bool config_use_strategy(struct arena *a, struct str name, struct config_environment *e)
{
    static const struct {
        struct str name;
        enum config_strategy strategy;
    } known[] = {{STR_INIT("rolling"), CONFIG_ROLLING},
                 {STR_INIT("canary"), CONFIG_CANARY},
                 {STR_INIT("linear"), CONFIG_LINEAR},
                 {STR_INIT("blue_green"), CONFIG_BLUE_GREEN},
                 {STR_INIT("all_at_once"), CONFIG_BLUE_GREEN}};
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        if (!str_equal(known[i].name, name)) {
            continue;
        }
        if (known[i].strategy != e->strategy) {
            e->strategy = known[i].strategy;
            e->step_count = 0;
            fill_steps(a, e);
        }
        return true;
    }
    return false;
}

static bool is_even(const struct config_environment *e)
{
    for (size_t i = 0; i + 1 < e->step_count; i++) {
        double step = e->steps[0].percent;
        double difference = e->steps[i].percent - step * (double)(i + 1);
        if (difference > 0.001 || difference < -0.001 || e->steps[i].wait_s != e->steps[0].wait_s) {
            return false;
        }
    }
    return true;
}

static void check_steps(struct config_reader *r, const struct yaml_node *node,
                        const struct config_environment *e)
{
    for (size_t i = 0; i < e->step_count; i++) {
        if (i > 0 && e->steps[i].percent <= e->steps[i - 1].percent) {
            config_complain(r, node, "steps: the shares must rise");
            return;
        }
        bool is_last = i + 1 == e->step_count;
        if (!is_last && (e->steps[i].wait_s < 60 || e->steps[i].wait_s % 60 != 0)) {
            config_complain(r, node,
                            "steps: every step but the last says how long it is watched, in whole "
                            "minutes (10%% 5m)");
            return;
        }
    }
    if (e->steps[e->step_count - 1].percent < 100) {
        config_complain(r, node, "steps: the last step must be 100%%");
    } else if (e->strategy != CONFIG_CANARY && e->strategy != CONFIG_LINEAR) {
        config_complain(r, node, "steps: only the strategies canary and linear have steps");
    } else if (e->strategy == CONFIG_CANARY && e->step_count != 2) {
        config_complain(
            r, node,
            "steps: canary has two steps, as [10%% 5m, 100%%]; for more, equal ones use linear");
    } else if (e->strategy == CONFIG_LINEAR && !is_even(e)) {
        config_complain(r, node,
                        "steps: linear has equal steps, as [25%% 2m, 50%% 2m, 75%% 2m, 100%%]; ECS "
                        "knows no others");
    }
}

static void read_steps(struct config_reader *r, const struct yaml_node *node,
                       struct config_environment *e)
{
    if (node->type != YAML_LIST || node->count == 0 || node->count > CONFIG_STEPS_MAX) {
        config_complain(r, node, "steps: expected a list, as [10%% 5m, 100%%]");
        return;
    }
    e->steps = ARENA_ARRAY(&r->op->arena, struct config_step, node->count);
    for (size_t i = 0; i < node->count; i++) {
        struct str text = STR_NONE;
        if (!config_read_text(r, &node->items[i], "steps", &text)) {
            return;
        }
        if (!config_read_step(text, &e->steps[i])) {
            config_complain(r, &node->items[i],
                            "steps: \"%.*s\": expected a share and a span, as 10%% 5m",
                            STR_ARG(text));
            return;
        }
    }
    e->step_count = node->count;
    check_steps(r, node, e);
}

static void read_rules(struct config_reader *r, const struct yaml_node *node,
                       struct config_environment *e)
{
    if (node->type != YAML_LIST || node->count > CONFIG_RULES_MAX) {
        config_complain(r, node, "stop_if: expected a list of at most %d rules", CONFIG_RULES_MAX);
        return;
    }
    e->rules = ARENA_ARRAY(&r->op->arena, struct config_rule, node->count);
    for (size_t i = 0; i < node->count; i++) {
        struct str text = STR_NONE;
        if (!config_read_text(r, &node->items[i], "stop_if", &text)) {
            continue;
        }
        if (config_read_rule(&r->op->arena, text, &e->rules[e->rule_count])) {
            e->rule_count++;
        } else {
            config_complain(r, &node->items[i],
                            "stop_if: \"%.*s\": expected as error_rate > 1%% for 5m, p99 > 500ms, "
                            "5xx > 10, or alarm NAME"
                            " (spans in whole minutes)",
                            STR_ARG(text));
        }
    }
}

static void read_environment(struct config_reader *r, struct config_environment *e)
{
    config_read_section(r, &section_environment, e->node, e);
    if ((int)e->strategy > (int)CONFIG_BLUE_GREEN) {
        e->strategy = CONFIG_BLUE_GREEN; /* all_at_once is its other name */
    }
    const struct yaml_node *steps = yaml_find(e->node, STR("steps"));
    const struct yaml_node *rules = yaml_find(e->node, STR("stop_if"));
    if (steps != NULL) {
        read_steps(r, steps, e);
    }
    fill_steps(&r->op->arena, e);
    if (rules != NULL) {
        read_rules(r, rules, e);
    }
    if (e->bake_s % 60 != 0) {
        config_complain(r, yaml_find(e->node, STR("bake")), "bake: expected whole minutes");
    }
    e->confirm = !str_is_set(e->confirm_word)        ? CONFIG_CONFIRM_NONE
                 : STR_IS(e->confirm_word, "always") ? CONFIG_CONFIRM_ALWAYS
                                                     : CONFIG_CONFIRM_WORD;
}

/* Follows `after` as often as there are environments: longer is a circle. */
static void check_after(struct config_reader *r, const struct config *c,
                        const struct config_environment *e)
{
    const struct config_environment *at = e;
    for (size_t i = 0; i <= c->environment_count && at != NULL && str_is_set(at->after); i++) {
        const struct yaml_node *node = yaml_find(at->node, STR("after"));
        at = config_find_environment(c, at->after);
        if (at == NULL) {
            config_complain(r, node, "after: there is no environment \"%.*s\"",
                            STR_ARG(node->text));
        } else if (at == e) {
            config_complain(r, node, "after: %.*s would wait for itself", STR_ARG(e->name));
            return;
        }
    }
}

static void read_environments(struct config_reader *r, const struct yaml_node *root,
                              struct config *c)
{
    const struct yaml_node *node = yaml_find(root, STR("environments"));
    if (node == NULL) {
        return;
    }
    if (node->type != YAML_MAP || node->count == 0 || node->count > CONFIG_ENVIRONMENTS_MAX) {
        config_complain(r, node, "environments: expected a map of 1 to %d environments by name",
                        CONFIG_ENVIRONMENTS_MAX);
        return;
    }
    c->environments = ARENA_ARRAY(&r->op->arena, struct config_environment, node->count);
    c->environment_count = node->count;
    for (size_t i = 0; i < node->count; i++) {
        c->environments[i].name = node->keys[i].text;
        c->environments[i].node = &node->items[i];
        (void)config_check_name(r, &node->keys[i], "the environment's name", node->keys[i].text);
        read_environment(r, &c->environments[i]);
    }
    for (size_t i = 0; i < node->count; i++) {
        if (str_is_set(c->environments[i].after)) {
            check_after(r, c, &c->environments[i]);
        }
    }
}

static void read_rest(struct config_reader *r, const struct yaml_node *root, struct config *c)
{
    struct yaml_node nothing = {.type = YAML_NULL};
    const struct yaml_node *migrations = yaml_find(root, STR("migrations"));
    const struct yaml_node *notify = yaml_find(root, STR("notify"));
    config_read_section(r, &section_migrations, migrations == NULL ? &nothing : migrations,
                        &c->migrations);
    config_read_section(r, &section_notify, notify == NULL ? &nothing : notify, &c->notify);
    if (!str_is_set(c->migrations.service)) {
        c->migrations.service = c->service_count > 0 ? c->services[0].name : STR_NONE;
        return;
    }
    bool is_known = false;
    for (size_t i = 0; i < c->service_count; i++) {
        is_known = is_known || str_equal(c->services[i].name, c->migrations.service);
    }
    if (!is_known) {
        config_complain(r, yaml_find(migrations, STR("service")),
                        "migrations: there is no service \"%.*s\"", STR_ARG(c->migrations.service));
    }
}

const struct config_environment *config_find_environment(const struct config *c, struct str name)
{
    for (size_t i = 0; i < c->environment_count; i++) {
        if (str_equal(c->environments[i].name, name)) {
            return &c->environments[i];
        }
    }
    return NULL;
}

const char *config_strategy_text(enum config_strategy strategy)
{
    static const char *const texts[] = {[CONFIG_ROLLING] = "rolling",
                                        [CONFIG_CANARY] = "canary",
                                        [CONFIG_LINEAR] = "linear",
                                        [CONFIG_BLUE_GREEN] = "blue/green"};
    return texts[strategy];
}

/* The parser's own complaint begins with FILE:LINE:COLUMN, which a problem carries apart. */
static void take_syntax_problem(struct op *op, struct str path, struct config_problems *problems)
{
    struct str text = arena_str(&op->arena, str_of(op->note.text));
    struct str rest = str_from(text, str_starts_with(text, path) ? path.len + 1 : 0);
    struct str line = STR("1");
    struct str column = STR("1");
    uint64_t line_number = 1;
    uint64_t column_number = 1;
    struct str message = rest;
    if (str_cut(rest, ':', &line, &message) && str_cut(message, ':', &column, &message)) {
        (void)str_parse_u64(line, INT32_MAX, &line_number);
        (void)str_parse_u64(column, INT32_MAX, &column_number);
    }
    *ARENA_PUSH(&op->arena, problems) = (struct config_problem){
        .line = (int)line_number, .column = (int)column_number, .text = str_trim(message)};
}

static void sort_problems(struct config_problems *p)
{
    for (size_t i = 1; i < p->count; i++) {
        struct config_problem moved = p->items[i];
        size_t at = i;
        while (at > 0 &&
               (p->items[at - 1].line > moved.line ||
                (p->items[at - 1].line == moved.line && p->items[at - 1].column > moved.column))) {
            p->items[at] = p->items[at - 1];
            at--;
        }
        p->items[at] = moved;
    }
}

enum err config_parse(struct op *op, const struct config_source *source, struct config *ret_config,
                      struct config_problems *ret_problems)
{
    struct config *c = ret_config;
    *c = (struct config){.path = source->path, .folder = folder_of(&op->arena, source->path)};
    *ret_problems = (struct config_problems){0};
    struct yaml_node *root = ARENA_NEW(&op->arena, struct yaml_node);
    struct config_reader r = {.op = op, .source = source, .problems = ret_problems};
    enum err e = yaml_parse(op, source->path, source->text, root);
    if (e != ERR_OK) {
        take_syntax_problem(op, source->path, ret_problems);
        return e;
    }
    config_read_section(&r, &section_root, root, c);
    if (root->type == YAML_NULL) {
        config_complain(&r, root, "the file is empty; `hitless init` writes one to start from");
    }
    if (root->type == YAML_MAP) {
        read_services(&r, root, c);
        read_verify(&r, root, c);
        read_environments(&r, root, c);
        read_rest(&r, root, c);
    }
    sort_problems(ret_problems);
    if (ret_problems->count > 0) {
        const struct config_problem *first = &ret_problems->items[0];
        return op_fail(op, ERR_INPUT, "%.*s:%d:%d: %.*s", STR_ARG(source->path), first->line,
                       first->column, STR_ARG(first->text));
    }
    return ERR_OK;
}
