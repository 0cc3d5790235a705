/* RunTask, StartTask, StopTask, ListTasks, DescribeTasks. */
#include "svc/ecs/ecs_priv.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "shape/walk.h"

/* ---- what RunTask refuses ---------------------------------------------------------------------*/

static enum err write_json(struct op *op, const struct shape *shape, const void *value,
                           size_t max_bytes, struct str *ret)
{
    auto_buf struct buf b;
    buf_init(&b, max_bytes);
    shape_json_encode(&b, shape, value);
    if (b.is_overflown) {
        return fail_parameter(op, "The request has more than %zu bytes", max_bytes);
    }
    *ret = arena_str(&op->arena, buf_str(&b));
    return ERR_OK;
}

static enum err check_override_sizes(struct op *op, const struct ecs_task_override *o)
{
    int32_t number = 0;
    if (o->cpu.len > 0 && !ecs_parse_cpu(o->cpu, &number)) {
        return fail_parameter(op, "Invalid 'cpu' setting for task.");
    }
    if (o->memory.len > 0 && !ecs_parse_memory(o->memory, &number)) {
        return fail_parameter(op, "Invalid 'memory' setting for task.");
    }
    return ERR_OK;
}

static enum err check_overrides(struct op *op, const struct ecs_task_definition *td,
                                const struct ecs_task_override *o)
{
    if (o == NULL) {
        return ERR_OK;
    }
    struct str text = STR_NONE;
    if (write_json(op, &shape_ecs_task_override, o, ECS_OVERRIDES_BYTES_MAX, &text) != ERR_OK) {
        return fail_parameter(op, "Overrides length must be at most %d characters.",
                              ECS_OVERRIDES_BYTES_MAX);
    }
    for (size_t i = 0; i < o->container_overrides.count; i++) {
        struct str name = o->container_overrides.items[i].name;
        if (ecs_container_find(td, name) == NULL) {
            return fail_parameter(op,
                                  "Override for container named %.*s is not a container in the "
                                  "TaskDefinition.",
                                  STR_ARG(name));
        }
        if (o->container_overrides.items[i].environment_files.count > 0) {
            return fail_unsupported(op, "environmentFiles are not offered here");
        }
    }
    return check_override_sizes(op, o);
}

/* Sizes after the overrides, in the form in which they are kept. */
static enum err fill_overrides(struct op *op, const struct ecs_task_definition *td,
                               enum ecs_launch_type launch_type, const struct ecs_task_override *in,
                               struct ecs_task_override **ret)
{
    *ret = NULL;
    if (in == NULL) {
        return ERR_OK;
    }
    struct ecs_task_override *o = ARENA_NEW(&op->arena, struct ecs_task_override);
    *o = *in;
    int32_t cpu_units = 0;
    int32_t memory_mib = 0;
    if (o->cpu.len > 0 && ecs_parse_cpu(o->cpu, &cpu_units)) {
        o->cpu = arena_printf(&op->arena, "%d", cpu_units);
    }
    if (o->memory.len > 0 && ecs_parse_memory(o->memory, &memory_mib)) {
        o->memory = arena_printf(&op->arena, "%d", memory_mib);
    }
    if (launch_type == ECS_LAUNCH_TYPE_FARGATE && (o->cpu.len > 0 || o->memory.len > 0)) {
        (void)ecs_parse_cpu(ecs_default(o->cpu, td->cpu), &cpu_units);
        (void)ecs_parse_memory(ecs_default(o->memory, td->memory), &memory_mib);
        if (!ecs_is_fargate_size(cpu_units, memory_mib)) {
            return fail_parameter(op, "No Fargate configuration exists for given values.");
        }
    }
    *ret = o;
    return ERR_OK;
}

static enum err check_run(struct op *op, const struct ecs_run_task_in *in)
{
    int32_t count = OPT_OR(in->count, 1);
    if (count < 1 || count > ECS_RUN_COUNT_MAX) {
        return fail_parameter(op, "count must be between 1 and %d.", ECS_RUN_COUNT_MAX);
    }
    if (in->started_by.len > ECS_STARTED_BY_BYTES_MAX) {
        return fail_parameter(op, "startedBy can have at most %d characters.",
                              ECS_STARTED_BY_BYTES_MAX);
    }
    if (in->client_token.len > ECS_RUN_TOKEN_BYTES_MAX) {
        return fail_parameter(op, "clientToken can have at most %d characters.",
                              ECS_RUN_TOKEN_BYTES_MAX);
    }
    if (str_starts_with(in->group, STR("service:"))) {
        return fail_parameter(op, "Task group must not start with service:.");
    }
    if (in->volume_configurations.count > 0) {
        return fail_unsupported(op, "volumeConfigurations are not offered here");
    }
    return ecs_tags_check(op, &in->tags);
}

/* ---- RunTask ----------------------------------------------------------------------------------*/

static struct ecs_tags make_tags(struct op *op, const struct ecs_run_task_in *in,
                                 const struct ecs_cluster *cluster,
                                 const struct engine_ecs_task_definition *td)
{
    struct ecs_tags tags = {.is_set = true};
    for (size_t i = 0; i < in->tags.count; i++) {
        *ARENA_PUSH(&op->arena, &tags) = in->tags.items[i];
    }
    struct tags given = TAGS_FROM(&op->arena, in->tags);
    bool wants_definition = in->propagate_tags == ECS_PROPAGATE_TAGS_TASK_DEFINITION;
    for (size_t i = 0; wants_definition && i < td->tags.count; i++) {
        if (tags_find(&given, td->tags.items[i].key) != NULL) {
            continue;
        }
        *ARENA_PUSH(&op->arena, &tags) = td->tags.items[i];
    }
    if (OPT_OR(in->enable_ecs_managed_tags, false)) {
        *ARENA_PUSH(&op->arena, &tags) =
            (struct ecs_tag){.key = STR("aws:ecs:clusterName"), .value = cluster->cluster_name};
    }
    return tags;
}

static enum err make_plan(struct op *op, struct ecs *ecs, const struct ecs_cluster *cluster,
                          const struct ecs_run_task_in *in, struct task_plan *ret)
{
    struct engine_ecs_task_definition *td =
        ARENA_NEW(&op->arena, struct engine_ecs_task_definition);
    TRY(ecs_task_definition_for_use(op, ecs, in->task_definition, td));
    enum ecs_launch_type launch_type = ECS_LAUNCH_TYPE_UNSET;
    struct ecs_capacity_provider_strategy strategy = {0};
    TRY(ecs_launch_resolve(op, cluster, in->launch_type, &in->capacity_provider_strategy,
                           &launch_type, &strategy));
    struct str provider = STR_NONE;
    ecs_pick_capacity(&strategy, &launch_type, &provider);
    TRY(ecs_launch_check(op, td->definition, launch_type));
    TRY(ecs_platform_check(op, launch_type, in->platform_version));
    TRY(ecs_placement_check(op, launch_type, &in->placement_constraints, &in->placement_strategy));
    TRY(ecs_network_check(op, td->definition, in->network_configuration));
    TRY(check_overrides(op, td->definition, in->overrides));
    struct ecs_task_override *overrides = NULL;
    TRY(fill_overrides(op, td->definition, launch_type, in->overrides, &overrides));
    *ret = (struct task_plan){
        .definition = td->definition,
        .cluster = cluster->cluster_name,
        .group = ecs_default(
            in->group, arena_printf(&op->arena, "family:%.*s", STR_ARG(td->definition->family))),
        .started_by = in->started_by,
        .launch_type = launch_type,
        .capacity_provider = provider,
        .platform_version = in->platform_version,
        .overrides = overrides,
        .network = ecs_network_fill(op, in->network_configuration),
        .tags = make_tags(op, in, cluster, td),
        .is_execute_command_enabled = OPT_OR(in->enable_execute_command, false),
    };
    return ERR_OK;
}

/* The tasks of an earlier call with this token. */
static enum err find_run(struct op *op, struct ecs *ecs, struct str key, struct str request,
                         struct ecs_run_task_out *ret, bool *ret_is_there)
{
    struct engine_ecs_run_token row = {0};
    *ret_is_there = false;
    enum err e = store_get(op, ecs->config.store, &ecs_kind_run_token, key, &row);
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        return ERR_OK;
    }
    TRY(e);
    if (!str_equal(row.request, request)) {
        return op_fail_as(op, ERR_CONFLICT, &ecs_error_conflict_exception,
                          "The client token was used with other parameters before; it started %zu "
                          "tasks, the first is %.*s",
                          row.task_arns.count,
                          STR_ARG(row.task_arns.count > 0 ? row.task_arns.items[0] : STR("")));
    }
    struct str cluster = STR_NONE;
    struct str token = STR_NONE;
    (void)str_cut(key, '/', &cluster, &token);
    for (size_t i = 0; i < row.task_arns.count; i++) {
        struct engine_ecs_task task = {0};
        e = ecs_task_get(op, ecs, cluster, ecs_last_part(row.task_arns.items[i]), &task);
        if (e == ERR_NOT_FOUND) {
            op_note_clear(op);
            continue; /* stopped so long ago that it was forgotten */
        }
        TRY(e);
        *ARENA_PUSH(&op->arena, &ret->tasks) = *task.task;
    }
    *ret_is_there = true;
    return ERR_OK;
}

static enum err run_all(struct op *op, struct ecs *ecs, const struct task_plan *plan, int32_t count,
                        struct engine_ecs_run_token *token, struct ecs_run_task_out *out)
{
    for (int32_t i = 0; i < count; i++) {
        struct engine_ecs_task row = {0};
        TRY(ecs_task_make(op, ecs, plan, &row));
        *ARENA_PUSH(&op->arena, &out->tasks) = *row.task;
        *ARENA_PUSH(&op->arena, &token->task_arns) = row.task->task_arn;
    }
    token->task_arns.is_set = true;
    return ERR_OK;
}

static enum err run_new(struct op *op, struct ecs *ecs, const struct ecs_cluster *cluster,
                        const struct ecs_run_task_in *in, struct engine_ecs_run_token *token,
                        struct ecs_run_task_out *out)
{
    struct task_plan plan = {0};
    TRY(make_plan(op, ecs, cluster, in, &plan));
    TRY(run_all(op, ecs, &plan, OPT_OR(in->count, 1), token, out));
    if (in->client_token.len == 0) {
        return ERR_OK;
    }
    struct str key = ecs_key(op, cluster->cluster_name, in->client_token);
    return store_put(op, ecs->config.store, &ecs_kind_run_token, key, STR(""), token);
}

enum err ecs_run_task(struct op *op, struct ecs *ecs, const struct ecs_run_task_in *in,
                      struct ecs_run_task_out *ret)
{
    TRY(check_run(op, in));
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ecs->config.store, &tx));
    struct ecs_cluster cluster = {0};
    TRY(ecs_cluster_need(op, ecs, in->cluster, &cluster));
    struct ecs_run_task_out out = {.tasks = {.is_set = true}, .failures = {.is_set = true}};
    struct engine_ecs_run_token token = {.used_at = OPT_TIME(op->now)};
    struct str key = ecs_key(op, cluster.cluster_name, in->client_token);
    bool is_there = false;
    if (in->client_token.len > 0) {
        TRY(write_json(op, &shape_ecs_run_task_in, in, STORE_ROW_BYTES_MAX / 2, &token.request));
        TRY(find_run(op, ecs, key, token.request, &out, &is_there));
    }
    if (!is_there) {
        TRY(run_new(op, ecs, &cluster, in, &token, &out));
    }
    FAULT_POINT("ecs.run_task.commit");
    TRY(store_tx_commit(op, &tx));
    *ret = out;
    return ERR_OK;
}

/* There are no container instances, so there is none to start a task on. */
enum err ecs_start_task(struct op *op, struct ecs *ecs, const struct ecs_start_task_in *in,
                        struct ecs_start_task_out *ret)
{
    struct ecs_cluster cluster = {0};
    TRY(ecs_cluster_find(op, ecs, in->cluster, &cluster));
    if (in->container_instances.count == 0) {
        return fail_parameter(op, "Container instances cannot be empty.");
    }
    struct engine_ecs_task_definition td = {0};
    TRY(ecs_task_definition_for_use(op, ecs, in->task_definition, &td));
    struct ecs_start_task_out out = {.tasks = {.is_set = true}, .failures = {.is_set = true}};
    for (size_t i = 0; i < in->container_instances.count; i++) {
        struct str asked = in->container_instances.items[i];
        struct str arn = arn_looks_like_one(asked)
                             ? asked
                             : arn_makef(op, STR("ecs"), "container-instance/%.*s/%.*s",
                                         STR_ARG(cluster.cluster_name), STR_ARG(asked));
        ecs_add_failure(op, &out.failures, arn, STR("MISSING"));
    }
    *ret = out;
    return ERR_OK;
}

/* ---- StopTask ---------------------------------------------------------------------------------*/

enum err ecs_stop_task(struct op *op, struct ecs *ecs, const struct ecs_stop_task_in *in,
                       struct ecs_stop_task_out *ret)
{
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, ecs->config.store, &tx));
    struct ecs_cluster cluster = {0};
    TRY(ecs_cluster_find(op, ecs, in->cluster, &cluster));
    struct str id = STR_NONE;
    struct engine_ecs_task row = {0};
    enum err e = ERR_NOT_FOUND;
    if (ecs_task_ref(op, cluster.cluster_name, in->task, &id)) {
        e = ecs_task_get(op, ecs, cluster.cluster_name, id, &row);
    }
    if (e == ERR_NOT_FOUND) {
        return op_fail_as(op, e, &ecs_error_invalid_parameter_exception,
                          "The referenced task was not found.");
    }
    TRY(e);
    if (!ecs_task_is_stop_decided(row.task)) {
        TRY(ecs_task_begin_stop(op, ecs, &row, ECS_TASK_STOP_CODE_USERINITIATED,
                                ecs_default(in->reason, STR("Task stopped by user"))));
        TRY(ecs_task_put(op, ecs, &row));
    }
    ret->task = row.task;
    FAULT_POINT("ecs.stop_task.commit");
    return store_tx_commit(op, &tx);
}

/* ---- ListTasks, DescribeTasks -----------------------------------------------------------------*/

struct filter {
    struct str service; /* name; absent: any */
    struct str family;
    struct str started_by;
    enum ecs_launch_type launch_type;
    struct str desired_status;
    bool is_nothing; /* a filter that nothing passes */
};

static struct str family_of(const struct ecs_task *t)
{
    struct str family = ecs_last_part(t->task_definition_arn);
    struct str revision = STR_NONE;
    (void)str_cut(family, ':', &family, &revision);
    return family;
}

static bool passes(const struct filter *f, const struct engine_ecs_task *row)
{
    const struct ecs_task *t = row->task;
    return !f->is_nothing && (f->service.len == 0 || str_equal(row->service, f->service)) &&
           (f->family.len == 0 || str_equal(family_of(t), f->family)) &&
           (f->started_by.len == 0 || str_equal(t->started_by, f->started_by)) &&
           (f->launch_type == ECS_LAUNCH_TYPE_UNSET || t->launch_type == f->launch_type) &&
           str_equal(t->desired_status, f->desired_status);
}

static enum err read_filter(struct op *op, struct ecs *ecs, const struct ecs_cluster *cluster,
                            const struct ecs_list_tasks_in *in, struct filter *ret)
{
    struct filter f = {
        .family = in->family,
        .started_by = in->started_by,
        .launch_type = in->launch_type,
        .desired_status =
            in->desired_status == ECS_DESIRED_STATUS_STOPPED ? STR("STOPPED") : STR("RUNNING"),
        .is_nothing = in->desired_status == ECS_DESIRED_STATUS_PENDING ||
                      in->container_instance.len > 0 || in->daemon_name.len > 0,
    };
    bool has_others =
        in->service_name.len > 0 || in->family.len > 0 || in->container_instance.len > 0;
    if (in->started_by.len > 0 && has_others) {
        return fail_parameter(op, "startedBy cannot be combined with other filters.");
    }
    if (in->service_name.len > 0) {
        struct service_ref ref = {0};
        struct engine_ecs_service row = {0};
        TRY(ecs_service_find(op, ecs, cluster->cluster_name, in->service_name, &ref, &row));
        f.service = ref.name;
    }
    *ret = f;
    return ERR_OK;
}

enum err ecs_list_tasks(struct op *op, struct ecs *ecs, const struct ecs_list_tasks_in *in,
                        struct ecs_list_tasks_out *ret)
{
    static const struct page_rules rules = {.list_name = "ecs.tasks",
                                            .default_count = ECS_PAGE_MAX,
                                            .max_count = ECS_PAGE_MAX,
                                            .bad_token = &ecs_error_invalid_parameter_exception,
                                            .bad_token_text = "Invalid token"};
    struct ecs_cluster cluster = {0};
    TRY(ecs_cluster_find(op, ecs, in->cluster, &cluster));
    struct filter filter = {0};
    TRY(read_filter(op, ecs, &cluster, in, &filter));
    struct store_items rows = {0};
    struct store_range range = {.prefix = ecs_key(op, cluster.cluster_name, STR(""))};
    TRY(store_list(op, ecs->config.store, &ecs_kind_task, &range, &rows));
    struct str *keys = ARENA_ARRAY(&op->arena, struct str, rows.count + 1);
    struct str *arns = ARENA_ARRAY(&op->arena, struct str, rows.count + 1);
    size_t count = 0;
    for (size_t i = 0; i < rows.count; i++) {
        const struct engine_ecs_task *row = rows.items[i].value;
        if (passes(&filter, row)) {
            keys[count] = rows.items[i].key;
            arns[count++] = row->task->task_arn;
        }
    }
    struct page_ask ask = {.token = in->next_token, .max_results = in->max_results};
    size_t from = 0;
    size_t to = 0;
    struct ecs_list_tasks_out out = {.task_arns = {.is_set = true}};
    TRY(page_cut(op, &rules, ask, keys, count, &from, &to, &out.next_token));
    for (size_t i = from; i < to; i++) {
        *ARENA_PUSH(&op->arena, &out.task_arns) = arns[i];
    }
    *ret = out;
    return ERR_OK;
}

struct str ecs_task_arn_of(struct op *op, struct str cluster, struct str asked)
{
    return arn_looks_like_one(asked)
               ? asked
               : arn_makef(op, STR("ecs"), "task/%.*s/%.*s", STR_ARG(cluster), STR_ARG(asked));
}

static enum err describe_one(struct op *op, struct ecs *ecs, struct str cluster, struct str asked,
                             bool with_tags, struct ecs_describe_tasks_out *out)
{
    struct str id = STR_NONE;
    struct engine_ecs_task row = {0};
    enum err e = ERR_NOT_FOUND;
    if (ecs_task_ref(op, cluster, asked, &id)) {
        e = ecs_task_get(op, ecs, cluster, id, &row);
    }
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        ecs_add_failure(op, &out->failures, ecs_task_arn_of(op, cluster, asked), STR("MISSING"));
        return ERR_OK;
    }
    TRY(e);
    struct ecs_task *t = ARENA_PUSH(&op->arena, &out->tasks);
    *t = *row.task;
    if (!with_tags) {
        t->tags = (struct ecs_tags){.is_set = true};
    }
    return ERR_OK;
}

enum err ecs_describe_tasks(struct op *op, struct ecs *ecs, const struct ecs_describe_tasks_in *in,
                            struct ecs_describe_tasks_out *ret)
{
    struct ecs_cluster cluster = {0};
    TRY(ecs_cluster_find(op, ecs, in->cluster, &cluster));
    if (in->tasks.count == 0) {
        return fail_parameter(op, "Tasks cannot be empty.");
    }
    if (in->tasks.count > ECS_DESCRIBE_TASKS_MAX) {
        return fail_parameter(op, "taskIds can have at most %d items.", ECS_DESCRIBE_TASKS_MAX);
    }
    bool with_tags = false;
    for (size_t i = 0; i < in->include.count; i++) {
        with_tags = with_tags || in->include.items[i] == ECS_TASK_FIELD_TAGS;
    }
    struct ecs_describe_tasks_out out = {.tasks = {.is_set = true}, .failures = {.is_set = true}};
    for (size_t i = 0; i < in->tasks.count; i++) {
        TRY(describe_one(op, ecs, cluster.cluster_name, in->tasks.items[i], with_tags, &out));
    }
    *ret = out;
    return ERR_OK;
}
