/* Clusters. A cluster's row is what the API shows, without the counts. */
#include "svc/ecs/ecs_priv.h"

static const struct tag_errors tag_errors = {.too_many = &ecs_error_invalid_parameter_exception,
                                             .duplicate = &ecs_error_invalid_parameter_exception,
                                             .invalid = &ecs_error_invalid_parameter_exception};

enum err ecs_tags_check(struct op *op, const struct ecs_tags *tags)
{
    struct tags plain = TAGS_FROM(&op->arena, *tags);
    return tags_check(op, &tag_errors, &plain);
}

static enum err fail_not_found(struct op *op)
{
    return op_fail_as(op, ERR_NOT_FOUND, &ecs_error_cluster_not_found_exception,
                      "Cluster not found.");
}

static enum err get_cluster(struct op *op, struct ecs *ecs, struct str name_or_arn,
                            struct ecs_cluster *ret)
{
    struct str name = STR_NONE;
    TRY(ecs_cluster_ref(op, name_or_arn, &name));
    return store_get(op, ecs->config.store, &ecs_kind_cluster, name, ret);
}

static enum err put_cluster(struct op *op, struct ecs *ecs, const struct ecs_cluster *row)
{
    return store_put(op, ecs->config.store, &ecs_kind_cluster, row->cluster_name, STR(""), row);
}

enum err ecs_cluster_find(struct op *op, struct ecs *ecs, struct str name_or_arn,
                          struct ecs_cluster *ret)
{
    struct ecs_cluster row = {0};
    enum err e = get_cluster(op, ecs, name_or_arn, &row);
    if (e == ERR_NOT_FOUND || (e == ERR_OK && !STR_IS(row.status, "ACTIVE"))) {
        return fail_not_found(op);
    }
    TRY(e);
    *ret = row;
    return ERR_OK;
}

/* ---- the form of a row ------------------------------------------------------------------------*/

static enum err fill_settings(struct op *op, const struct ecs_cluster_settings *in,
                              struct ecs_cluster_settings *ret)
{
    struct str insights = STR("disabled");
    for (size_t i = 0; i < in->count; i++) {
        struct str value = in->items[i].value;
        if (in->items[i].name != ECS_CLUSTER_SETTING_NAME_CONTAINERINSIGHTS ||
            !(STR_IS(value, "enabled") || STR_IS(value, "disabled") || STR_IS(value, "enhanced"))) {
            return fail_parameter(op, "Invalid cluster setting value: %.*s", STR_ARG(value));
        }
        insights = value;
    }
    *ret = (struct ecs_cluster_settings){.is_set = true};
    *ARENA_PUSH(&op->arena, ret) = (struct ecs_cluster_setting){
        .name = ECS_CLUSTER_SETTING_NAME_CONTAINERINSIGHTS, .value = insights};
    return ERR_OK;
}

static bool is_provider(struct str name)
{
    return STR_IS(name, "FARGATE") || STR_IS(name, "FARGATE_SPOT");
}

enum err ecs_strategy_check(struct op *op, const struct ecs_capacity_provider_strategy *s)
{
    if (s->count > ECS_STRATEGY_ITEMS_MAX) {
        return fail_parameter(op, "The capacity provider strategy has more than %d items",
                              ECS_STRATEGY_ITEMS_MAX);
    }
    size_t with_base = 0;
    int64_t weights = 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct ecs_capacity_provider_strategy_item *item = &s->items[i];
        if (!is_provider(item->capacity_provider)) {
            return fail_parameter(op, "The specified capacity provider '%.*s' was not found.",
                                  STR_ARG(item->capacity_provider));
        }
        with_base += OPT_OR(item->base, 0) > 0 ? 1 : 0;
        weights += OPT_OR(item->weight, 0);
    }
    if (with_base > 1) {
        return fail_parameter(op, "The specified capacity provider strategy has more than one "
                                  "base value defined.");
    }
    if (s->count > 0 && weights == 0) {
        return fail_parameter(op, "The specified capacity provider strategy must have at least "
                                  "one capacity provider with a weight greater than 0.");
    }
    return ERR_OK;
}

static enum err fill_providers(struct op *op, const struct ecs_string_list *providers,
                               const struct ecs_capacity_provider_strategy *strategy,
                               struct ecs_cluster *row)
{
    for (size_t i = 0; i < providers->count; i++) {
        if (!is_provider(providers->items[i])) {
            return fail_parameter(op, "The specified capacity provider '%.*s' was not found.",
                                  STR_ARG(providers->items[i]));
        }
    }
    TRY(ecs_strategy_check(op, strategy));
    row->capacity_providers = *providers;
    row->capacity_providers.is_set = true;
    row->default_capacity_provider_strategy =
        (struct ecs_capacity_provider_strategy){.is_set = true};
    for (size_t i = 0; i < strategy->count; i++) {
        struct ecs_capacity_provider_strategy_item item = strategy->items[i];
        item.weight = OPT_I32(OPT_OR(item.weight, 0));
        item.base = OPT_I32(OPT_OR(item.base, 0));
        *ARENA_PUSH(&op->arena, &row->default_capacity_provider_strategy) = item;
    }
    return ERR_OK;
}

static struct ecs_cluster_service_connect_defaults *fill_defaults(
    struct op *op, const struct ecs_cluster_service_connect_defaults_request *in)
{
    if (in == NULL || in->namespace.len == 0) {
        return NULL;
    }
    struct ecs_cluster_service_connect_defaults *d =
        ARENA_NEW(&op->arena, struct ecs_cluster_service_connect_defaults);
    d->namespace = in->namespace;
    return d;
}

enum err ecs_cluster_need(struct op *op, struct ecs *ecs, struct str name_or_arn,
                          struct ecs_cluster *ret)
{
    struct str name = STR_NONE;
    TRY(ecs_cluster_ref(op, name_or_arn, &name));
    enum err e = ecs_cluster_find(op, ecs, name, ret);
    if (e != ERR_NOT_FOUND || !STR_IS(name, "default")) {
        return e;
    }
    op_note_clear(op);
    struct ecs_cluster row = {.cluster_arn = ecs_cluster_arn(op, name),
                              .cluster_name = name,
                              .status = STR("ACTIVE"),
                              .tags = {.is_set = true}};
    TRY(fill_settings(op, &(struct ecs_cluster_settings){0}, &row.settings));
    TRY(fill_providers(op, &(struct ecs_string_list){0},
                       &(struct ecs_capacity_provider_strategy){0}, &row));
    TRY(put_cluster(op, ecs, &row));
    *ret = row;
    return ERR_OK;
}

/* ---- what is counted --------------------------------------------------------------------------*/

struct counts {
    int32_t running_ec2;
    int32_t running_fargate;
    int32_t pending_ec2;
    int32_t pending_fargate;
    int32_t services_active;
    int32_t services_draining;
};

static enum err count_tasks(struct op *op, struct ecs *ecs, struct str cluster,
                            struct counts *counts)
{
    struct store_items tasks = {0};
    struct store_range range = {.prefix = ecs_key(op, cluster, STR(""))};
    TRY(store_list(op, ecs->config.store, &ecs_kind_task, &range, &tasks));
    for (size_t i = 0; i < tasks.count; i++) {
        const struct ecs_task *t = ((const struct engine_ecs_task *)tasks.items[i].value)->task;
        bool is_fargate = t->launch_type == ECS_LAUNCH_TYPE_FARGATE;
        if (ecs_task_status(t) == TASK_RUNNING) {
            *(is_fargate ? &counts->running_fargate : &counts->running_ec2) += 1;
        } else if (ecs_task_status(t) < TASK_RUNNING) {
            *(is_fargate ? &counts->pending_fargate : &counts->pending_ec2) += 1;
        }
    }
    return ERR_OK;
}

static enum err count_cluster(struct op *op, struct ecs *ecs, struct str cluster,
                              struct counts *ret)
{
    struct counts counts = {0};
    TRY(count_tasks(op, ecs, cluster, &counts));
    struct store_items services = {0};
    struct store_range range = {.parent = cluster};
    TRY(store_list(op, ecs->config.store, &ecs_kind_service, &range, &services));
    for (size_t i = 0; i < services.count; i++) {
        const struct engine_ecs_service *row = services.items[i].value;
        counts.services_active += STR_IS(row->service->status, "ACTIVE") ? 1 : 0;
        counts.services_draining += STR_IS(row->service->status, "DRAINING") ? 1 : 0;
    }
    *ret = counts;
    return ERR_OK;
}

static void add_statistic(struct op *op, struct ecs_statistics *to, const char *name, int32_t value)
{
    *ARENA_PUSH(&op->arena, to) = (struct ecs_key_value_pair){
        .name = str_of(name), .value = arena_printf(&op->arena, "%d", value)};
}

/* What DescribeClusters was asked to include. */
struct wanted {
    bool tags;
    bool settings;
    bool statistics;
    bool configurations;
    bool attachments;
};
static const struct wanted everything = {true, true, true, true, true};

static enum err view_cluster(struct op *op, struct ecs *ecs, const struct ecs_cluster *row,
                             const struct wanted *wanted, struct ecs_cluster *ret)
{
    struct counts n = {0};
    TRY(count_cluster(op, ecs, row->cluster_name, &n));
    struct ecs_cluster c = *row;
    c.registered_container_instances_count = OPT_I32(0);
    c.running_tasks_count = OPT_I32(n.running_ec2 + n.running_fargate);
    c.pending_tasks_count = OPT_I32(n.pending_ec2 + n.pending_fargate);
    c.active_services_count = OPT_I32(n.services_active);
    c.statistics = (struct ecs_statistics){.is_set = true};
    if (wanted->statistics) {
        add_statistic(op, &c.statistics, "runningEC2TasksCount", n.running_ec2);
        add_statistic(op, &c.statistics, "runningFargateTasksCount", n.running_fargate);
        add_statistic(op, &c.statistics, "pendingEC2TasksCount", n.pending_ec2);
        add_statistic(op, &c.statistics, "pendingFargateTasksCount", n.pending_fargate);
        add_statistic(op, &c.statistics, "activeServiceCount", n.services_active);
        add_statistic(op, &c.statistics, "drainingServiceCount", n.services_draining);
        add_statistic(op, &c.statistics, "runningExternalTasksCount", 0);
        add_statistic(op, &c.statistics, "pendingExternalTasksCount", 0);
    }
    if (!wanted->tags) {
        c.tags = (struct ecs_tags){.is_set = true};
    }
    if (!wanted->settings) {
        c.settings = (struct ecs_cluster_settings){.is_set = true};
    }
    if (!wanted->configurations) {
        c.configuration = NULL;
    }
    if (wanted->attachments && c.attachments.count == 0) {
        c.attachments = (struct ecs_attachments){.is_set = true};
    }
    *ret = c;
    return ERR_OK;
}

static enum err show_cluster(struct op *op, struct ecs *ecs, const struct ecs_cluster *row,
                             struct ecs_cluster **ret)
{
    struct ecs_cluster *c = ARENA_NEW(&op->arena, struct ecs_cluster);
    TRY(view_cluster(op, ecs, row, &everything, c));
    *ret = c;
    return ERR_OK;
}

/* ---- operations -------------------------------------------------------------------------------*/

enum err ecs_create_cluster(struct op *op, struct ecs *ecs, const struct ecs_create_cluster_in *in,
                            struct ecs_create_cluster_out *ret)
{
    struct str name = ecs_default(in->cluster_name, STR("default"));
    if (!name_is(name, 1, ECS_NAME_BYTES_MAX, STR("-_"))) {
        return fail_parameter(op,
                              "The cluster name has up to %d letters, digits, hyphens and "
                              "underscores",
                              ECS_NAME_BYTES_MAX);
    }
    struct ecs_cluster row = {0};
    enum err e = ecs_cluster_find(op, ecs, name, &row);
    if (e == ERR_OK) {
        return show_cluster(op, ecs, &row, &ret->cluster); /* creating twice is fine */
    }
    if (e != ERR_NOT_FOUND) {
        return e;
    }
    op_note_clear(op);
    row = (struct ecs_cluster){.cluster_arn = ecs_cluster_arn(op, name),
                               .cluster_name = name,
                               .status = STR("ACTIVE"),
                               .configuration = in->configuration,
                               .service_connect_defaults =
                                   fill_defaults(op, in->service_connect_defaults),
                               .tags = in->tags};
    row.tags.is_set = true;
    TRY(ecs_tags_check(op, &row.tags));
    TRY(fill_settings(op, &in->settings, &row.settings));
    TRY(fill_providers(op, &in->capacity_providers, &in->default_capacity_provider_strategy, &row));
    TRY(put_cluster(op, ecs, &row));
    return show_cluster(op, ecs, &row, &ret->cluster);
}

static struct wanted read_wanted(const struct ecs_cluster_field_list *include)
{
    struct wanted w = {0};
    for (size_t i = 0; i < include->count; i++) {
        w.tags |= include->items[i] == ECS_CLUSTER_FIELD_TAGS;
        w.settings |= include->items[i] == ECS_CLUSTER_FIELD_SETTINGS;
        w.statistics |= include->items[i] == ECS_CLUSTER_FIELD_STATISTICS;
        w.configurations |= include->items[i] == ECS_CLUSTER_FIELD_CONFIGURATIONS;
        w.attachments |= include->items[i] == ECS_CLUSTER_FIELD_ATTACHMENTS;
    }
    return w;
}

static enum err describe_one(struct op *op, struct ecs *ecs, struct str name_or_arn,
                             const struct wanted *wanted, struct ecs_describe_clusters_out *ret)
{
    struct ecs_cluster row = {0};
    enum err e = get_cluster(op, ecs, name_or_arn, &row);
    if (e == ERR_NOT_FOUND || e == ERR_INPUT) {
        op_note_clear(op);
        struct str arn =
            arn_looks_like_one(name_or_arn) ? name_or_arn : ecs_cluster_arn(op, name_or_arn);
        ecs_add_failure(op, &ret->failures, arn, STR("MISSING"));
        return ERR_OK;
    }
    TRY(e);
    struct ecs_cluster view = {0};
    TRY(view_cluster(op, ecs, &row, wanted, &view));
    *ARENA_PUSH(&op->arena, &ret->clusters) = view;
    return ERR_OK;
}

enum err ecs_describe_clusters(struct op *op, struct ecs *ecs,
                               const struct ecs_describe_clusters_in *in,
                               struct ecs_describe_clusters_out *ret)
{
    if (in->clusters.count > ECS_DESCRIBE_CLUSTERS_MAX) {
        return fail_parameter(op, "clusterIds can have at most %d items.",
                              ECS_DESCRIBE_CLUSTERS_MAX);
    }
    struct wanted wanted = read_wanted(&in->include);
    struct ecs_describe_clusters_out out = {.clusters = {.is_set = true},
                                            .failures = {.is_set = true}};
    if (in->clusters.count == 0) {
        TRY(describe_one(op, ecs, STR("default"), &wanted, &out));
    }
    for (size_t i = 0; i < in->clusters.count; i++) {
        TRY(describe_one(op, ecs, in->clusters.items[i], &wanted, &out));
    }
    *ret = out;
    return ERR_OK;
}

enum err ecs_list_clusters(struct op *op, struct ecs *ecs, const struct ecs_list_clusters_in *in,
                           struct ecs_list_clusters_out *ret)
{
    static const struct page_rules rules = {.list_name = "ecs.clusters",
                                            .default_count = ECS_PAGE_MAX,
                                            .max_count = ECS_PAGE_MAX,
                                            .bad_token = &ecs_error_invalid_parameter_exception,
                                            .bad_token_text = "Invalid token"};
    struct store_items rows = {0};
    TRY(store_list(op, ecs->config.store, &ecs_kind_cluster, &(struct store_range){0}, &rows));
    struct str *names = ARENA_ARRAY(&op->arena, struct str, rows.count + 1);
    size_t count = 0;
    for (size_t i = 0; i < rows.count; i++) {
        const struct ecs_cluster *c = rows.items[i].value;
        if (STR_IS(c->status, "ACTIVE")) {
            names[count++] = c->cluster_name;
        }
    }
    struct page_ask ask = {.token = in->next_token, .max_results = in->max_results};
    size_t from = 0;
    size_t to = 0;
    struct ecs_list_clusters_out out = {.cluster_arns = {.is_set = true}};
    TRY(page_cut(op, &rules, ask, names, count, &from, &to, &out.next_token));
    for (size_t i = from; i < to; i++) {
        *ARENA_PUSH(&op->arena, &out.cluster_arns) = ecs_cluster_arn(op, names[i]);
    }
    *ret = out;
    return ERR_OK;
}

enum err ecs_delete_cluster(struct op *op, struct ecs *ecs, const struct ecs_delete_cluster_in *in,
                            struct ecs_delete_cluster_out *ret)
{
    struct ecs_cluster row = {0};
    TRY(ecs_cluster_find(op, ecs, in->cluster, &row));
    struct counts n = {0};
    TRY(count_cluster(op, ecs, row.cluster_name, &n));
    if (n.services_active > 0 || n.services_draining > 0) {
        return op_fail_as(op, ERR_STATE, &ecs_error_cluster_contains_services_exception,
                          "The Cluster cannot be deleted while Services are active.");
    }
    if (n.running_ec2 + n.running_fargate + n.pending_ec2 + n.pending_fargate > 0) {
        return op_fail_as(op, ERR_STATE, &ecs_error_cluster_contains_tasks_exception,
                          "The Cluster cannot be deleted while Tasks are active.");
    }
    row.status = STR("INACTIVE");
    row.tags = (struct ecs_tags){.is_set = true};
    TRY(put_cluster(op, ecs, &row));
    return show_cluster(op, ecs, &row, &ret->cluster);
}

enum err ecs_update_cluster(struct op *op, struct ecs *ecs, const struct ecs_update_cluster_in *in,
                            struct ecs_update_cluster_out *ret)
{
    struct ecs_cluster row = {0};
    TRY(ecs_cluster_find(op, ecs, in->cluster, &row));
    if (in->settings.count > 0) {
        TRY(fill_settings(op, &in->settings, &row.settings));
    }
    if (in->configuration != NULL) {
        row.configuration = in->configuration;
    }
    if (in->service_connect_defaults != NULL) {
        row.service_connect_defaults = fill_defaults(op, in->service_connect_defaults);
    }
    TRY(put_cluster(op, ecs, &row));
    return show_cluster(op, ecs, &row, &ret->cluster);
}

enum err ecs_update_cluster_settings(struct op *op, struct ecs *ecs,
                                     const struct ecs_update_cluster_settings_in *in,
                                     struct ecs_update_cluster_settings_out *ret)
{
    struct ecs_cluster row = {0};
    TRY(ecs_cluster_find(op, ecs, in->cluster, &row));
    TRY(fill_settings(op, &in->settings, &row.settings));
    TRY(put_cluster(op, ecs, &row));
    return show_cluster(op, ecs, &row, &ret->cluster);
}

enum err ecs_put_cluster_capacity_providers(struct op *op, struct ecs *ecs,
                                            const struct ecs_put_cluster_capacity_providers_in *in,
                                            struct ecs_put_cluster_capacity_providers_out *ret)
{
    struct ecs_cluster row = {0};
    TRY(ecs_cluster_find(op, ecs, in->cluster, &row));
    TRY(fill_providers(op, &in->capacity_providers, &in->default_capacity_provider_strategy, &row));
    TRY(put_cluster(op, ecs, &row));
    return show_cluster(op, ecs, &row, &ret->cluster);
}
