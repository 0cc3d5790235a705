/* The service itself: its rows' kinds, and the seats of its machines. */
#include "svc/ecs/ecs_priv.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"

const struct store_kind ecs_kind_cluster = {"ecs.cluster", &shape_ecs_cluster};
const struct store_kind ecs_kind_task_definition = {"ecs.task_definition",
                                                    &shape_engine_ecs_task_definition};
const struct store_kind ecs_kind_service = {"ecs.service", &shape_engine_ecs_service};
const struct store_kind ecs_kind_deployment = {"ecs.deployment", &shape_engine_ecs_deployment};
const struct store_kind ecs_kind_service_deployment = {"ecs.service_deployment",
                                                       &shape_engine_ecs_service_deployment};
const struct store_kind ecs_kind_revision = {"ecs.revision", &shape_ecs_service_revision};
const struct store_kind ecs_kind_event = {"ecs.event", &shape_ecs_service_event};
const struct store_kind ecs_kind_task_set = {"ecs.task_set", &shape_engine_ecs_task_set};
const struct store_kind ecs_kind_task = {"ecs.task", &shape_engine_ecs_task};
const struct store_kind ecs_kind_task_log = {"ecs.task_log", &shape_engine_ecs_task_log};
const struct store_kind ecs_kind_run_token = {"ecs.run_token", &shape_engine_ecs_run_token};
const struct store_kind ecs_kind_setting = {"ecs.setting", &shape_ecs_setting};

const struct ecs_handlers ecs_handlers = {
    .create_cluster = ecs_create_cluster,
    .describe_clusters = ecs_describe_clusters,
    .list_clusters = ecs_list_clusters,
    .delete_cluster = ecs_delete_cluster,
    .update_cluster = ecs_update_cluster,
    .update_cluster_settings = ecs_update_cluster_settings,
    .put_cluster_capacity_providers = ecs_put_cluster_capacity_providers,
    .register_task_definition = ecs_register_task_definition,
    .describe_task_definition = ecs_describe_task_definition,
    .list_task_definitions = ecs_list_task_definitions,
    .list_task_definition_families = ecs_list_task_definition_families,
    .deregister_task_definition = ecs_deregister_task_definition,
    .delete_task_definitions = ecs_delete_task_definitions,
    .create_service = ecs_create_service,
    .update_service = ecs_update_service,
    .describe_services = ecs_describe_services,
    .list_services = ecs_list_services,
    .delete_service = ecs_delete_service,
    .run_task = ecs_run_task,
    .start_task = ecs_start_task,
    .stop_task = ecs_stop_task,
    .list_tasks = ecs_list_tasks,
    .describe_tasks = ecs_describe_tasks,
    .update_task_protection = ecs_update_task_protection,
    .get_task_protection = ecs_get_task_protection,
    .list_service_deployments = ecs_list_service_deployments,
    .describe_service_deployments = ecs_describe_service_deployments,
    .stop_service_deployment = ecs_stop_service_deployment,
    .describe_service_revisions = ecs_describe_service_revisions,
    .create_task_set = ecs_create_task_set,
    .update_task_set = ecs_update_task_set,
    .describe_task_sets = ecs_describe_task_sets,
    .delete_task_set = ecs_delete_task_set,
    .update_service_primary_task_set = ecs_update_service_primary_task_set,
    .tag_resource = ecs_tag_resource,
    .untag_resource = ecs_untag_resource,
    .list_tags_for_resource = ecs_list_tags_for_resource,
    .list_account_settings = ecs_list_account_settings,
    .put_account_setting = ecs_put_account_setting,
    .put_account_setting_default = ecs_put_account_setting_default,
    .delete_account_setting = ecs_delete_account_setting,
    .list_container_instances = ecs_list_container_instances,
    .describe_container_instances = ecs_describe_container_instances,
    .describe_capacity_providers = ecs_describe_capacity_providers,
};

/* ---- seats of tasks ---------------------------------------------------------------------------*/

static char *own_text(struct str s)
{
    char *copy = mem_alloc(s.len + 1);
    memcpy(copy, s.ptr == NULL ? "" : s.ptr, s.len);
    return copy;
}

static void run_task_turn(struct ev_defer *d)
{
    ecs_task_turn(CONTAINER_OF(d, struct task_seat, turn));
}

static void wake_task_on_time(struct ev_timer *t)
{
    ecs_task_seat_wake(CONTAINER_OF(t, struct task_seat, wake));
}

void ecs_task_seat_wake(struct task_seat *seat)
{
    ev_defer(seat->ecs->config.loop, &seat->turn, run_task_turn);
}

void ecs_task_seat_wake_after(struct task_seat *seat, dur_t after)
{
    ev_timer_set(seat->ecs->config.loop, &seat->wake, after, wake_task_on_time);
}

static struct task_seat *seat_task(struct ecs *ecs, struct str region, struct str cluster,
                                   struct str id, struct str service)
{
    struct task_seat *seat = map_find(&ecs->task_seats, id);
    if (seat == NULL) {
        seat = MEM_NEW(struct task_seat);
        seat->ecs = ecs;
        seat->region = own_text(region);
        seat->cluster = own_text(cluster);
        seat->id = own_text(id);
        seat->service = own_text(service);
        (void)map_put(&ecs->task_seats, id, seat);
    }
    return seat;
}

void ecs_task_seat_drop(struct task_seat *seat)
{
    (void)map_remove(&seat->ecs->task_seats, str_of(seat->id));
    ev_defer_cancel(&seat->turn);
    ev_timer_stop(&seat->wake);
    ecs_task_logs_drop(seat);
    mem_free(seat->region);
    mem_free(seat->cluster);
    mem_free(seat->id);
    mem_free(seat->service);
    mem_free(seat);
}

/* ---- seats of services ------------------------------------------------------------------------*/

static void run_service_turn(struct ev_defer *d)
{
    ecs_service_turn(CONTAINER_OF(d, struct service_seat, turn));
}

static void wake_service_on_time(struct ev_timer *t)
{
    struct service_seat *seat = CONTAINER_OF(t, struct service_seat, wake);
    ev_defer(seat->ecs->config.loop, &seat->turn, run_service_turn);
}

void ecs_service_seat_wake(struct service_seat *seat)
{
    ev_defer(seat->ecs->config.loop, &seat->turn, run_service_turn);
}

void ecs_service_seat_wake_after(struct service_seat *seat, dur_t after)
{
    ev_timer_set(seat->ecs->config.loop, &seat->wake, after, wake_service_on_time);
}

static struct str service_seat_key(struct arena *a, struct str region, struct str cluster,
                                   struct str name)
{
    return arena_printf(a, "%.*s %.*s/%.*s", STR_ARG(region), STR_ARG(cluster), STR_ARG(name));
}

static struct service_seat *seat_service(struct ecs *ecs, struct arena *a, struct str region,
                                         struct str cluster, struct str name)
{
    struct str key = service_seat_key(a, region, cluster, name);
    struct service_seat *seat = map_find(&ecs->service_seats, key);
    if (seat == NULL) {
        seat = MEM_NEW(struct service_seat);
        seat->ecs = ecs;
        seat->region = own_text(region);
        seat->cluster = own_text(cluster);
        seat->name = own_text(name);
        (void)map_put(&ecs->service_seats, key, seat);
    }
    return seat;
}

static void forget_watched(struct service_seat *seat)
{
    for (size_t i = 0; i < seat->watched_count; i++) {
        mem_free(seat->watched[i]);
    }
    mem_free(seat->watched);
    seat->watched = NULL;
    seat->watched_count = 0;
}

void ecs_service_seat_watch(struct service_seat *seat, const struct str *names, size_t count)
{
    forget_watched(seat);
    if (count == 0) {
        return;
    }
    seat->watched = mem_alloc_array(count, sizeof(*seat->watched));
    for (size_t i = 0; i < count; i++) {
        seat->watched[i] = own_text(names[i]);
    }
    seat->watched_count = count;
}

void ecs_service_seat_drop(struct service_seat *seat)
{
    struct arena a;
    arena_init(&a);
    (void)map_remove(
        &seat->ecs->service_seats,
        service_seat_key(&a, str_of(seat->region), str_of(seat->cluster), str_of(seat->name)));
    arena_fini(&a);
    ev_defer_cancel(&seat->turn);
    ev_timer_stop(&seat->wake);
    forget_watched(seat);
    mem_free(seat->region);
    mem_free(seat->cluster);
    mem_free(seat->name);
    mem_free(seat);
}

/* ---- wakes ------------------------------------------------------------------------------------*/

/* "<region> <cluster> <task id> <service>" */
static void on_task_committed(void *self, struct str key)
{
    struct str region = STR_NONE;
    struct str cluster = STR_NONE;
    struct str id = STR_NONE;
    struct str rest = key;
    bool is_whole = str_cut(rest, ' ', &region, &rest) && str_cut(rest, ' ', &cluster, &rest) &&
                    str_cut(rest, ' ', &id, &rest);
    CHECK(is_whole);
    ecs_task_seat_wake(seat_task(self, region, cluster, id, rest));
}

/* "<region> <cluster> <service>" */
static void on_service_committed(void *self, struct str key)
{
    struct str region = STR_NONE;
    struct str cluster = STR_NONE;
    struct str rest = key;
    bool is_whole = str_cut(rest, ' ', &region, &rest) && str_cut(rest, ' ', &cluster, &rest);
    CHECK(is_whole);
    struct arena a;
    arena_init(&a);
    ecs_service_seat_wake(seat_service(self, &a, region, cluster, rest));
    arena_fini(&a);
}

void ecs_wake_task(struct op *op, struct ecs *ecs, struct str cluster, struct str id,
                   struct str service)
{
    struct str key = arena_printf(&op->arena, "%.*s %.*s %.*s %.*s", STR_ARG(op->region),
                                  STR_ARG(cluster), STR_ARG(id), STR_ARG(service));
    store_after_commit(ecs->config.store, on_task_committed, ecs, key);
}

void ecs_wake_service(struct op *op, struct ecs *ecs, struct str cluster, struct str service)
{
    struct str key = arena_printf(&op->arena, "%.*s %.*s %.*s", STR_ARG(op->region),
                                  STR_ARG(cluster), STR_ARG(service));
    store_after_commit(ecs->config.store, on_service_committed, ecs, key);
}

static void wake_watchers(struct ecs *ecs, struct str region, struct str name)
{
    size_t at = 0;
    struct str key = STR_NONE;
    void *value = NULL;
    while (map_next(&ecs->service_seats, &at, &key, &value)) {
        struct service_seat *seat = value;
        if (!str_equal(str_of(seat->region), region)) {
            continue;
        }
        for (size_t i = 0; i < seat->watched_count; i++) {
            if (str_equal(str_of(seat->watched[i]), name)) {
                ecs_service_seat_wake(seat);
                break;
            }
        }
    }
}

void ecs_target_changed(struct ecs *ecs, struct str region, struct str target_group_arn)
{
    wake_watchers(ecs, region, target_group_arn);
}

void ecs_alarm_changed(struct ecs *ecs, struct str region, struct str alarm_name)
{
    wake_watchers(ecs, region, alarm_name);
}

void ecs_op_init(struct op *op, const struct ecs *ecs, const char *region)
{
    op_init(op);
    op->account = ecs->config.account;
    op->region = arena_str(&op->arena, str_of(region));
}

/* ---- the runtime's side -----------------------------------------------------------------------*/

/* An event says that something changed; the turn looks at what is. Log lines are told only here. */
static void on_runtime_event(void *self, const struct runtime_event *event)
{
    struct ecs *ecs = self;
    struct task_seat *seat = map_find(&ecs->task_seats, event->task_id);
    if (seat != NULL && event->kind == RUNTIME_LOG) {
        ecs_task_log_event(seat, event);
    } else if (seat != NULL) {
        ecs_task_seat_wake(seat);
    } else if (event->kind == RUNTIME_TASK_OVER) {
        auto_op struct op op;
        ecs_op_init(&op, ecs, "");
        /* a task without a row; what is left of it is found again at the next start */
        err_ignore(runtime_forget_task(ecs->rt, &op, event->task_id));
    }
}

/* Tasks of the runtime that no live row knows: their rows are gone, so nobody else ends them. */
static void stop_strangers(struct ecs *ecs)
{
    auto_op struct op op;
    ecs_op_init(&op, ecs, "");
    struct runtime_sights sights = {0};
    if (runtime_observe(ecs->rt, &op, &sights) != ERR_OK) {
        log_warn("ecs", "text=\"could not look at the running tasks: %s\"", op.note.text);
        return;
    }
    for (size_t i = 0; i < sights.count; i++) {
        struct str id = sights.items[i].id;
        if (map_find(&ecs->task_seats, id) != NULL) {
            continue;
        }
        log_info("ecs", "task=%.*s text=\"ending a task that belongs to no row\"", STR_ARG(id));
        enum err e = sights.items[i].is_over ? runtime_forget_task(ecs->rt, &op, id)
                                             : runtime_stop_task(ecs->rt, &op, id);
        if (e != ERR_OK) {
            log_warn("ecs", "task=%.*s text=\"%s\"", STR_ARG(id), op.note.text);
        }
    }
}

static void wake_all(struct ecs *ecs)
{
    size_t at = 0;
    struct str key = STR_NONE;
    void *value = NULL;
    while (map_next(&ecs->task_seats, &at, &key, &value)) {
        ecs_task_seat_wake(value);
    }
    at = 0;
    while (map_next(&ecs->service_seats, &at, &key, &value)) {
        ecs_service_seat_wake(value);
    }
}

/* Both sides know their tasks. */
static void begin_work(struct ecs *ecs)
{
    stop_strangers(ecs);
    wake_all(ecs);
}

static void on_runtime_ready(void *self)
{
    struct ecs *ecs = self;
    ecs->is_ready = true;
    if (ecs->is_started) {
        begin_work(ecs);
    }
}

/* ---- life -------------------------------------------------------------------------------------*/

enum err ecs_create(struct op *op, const struct ecs_config *config, struct ecs **ret)
{
    CHECK(config->store != NULL && config->loop != NULL);
    if (config->account.len != 12) {
        return op_fail(op, ERR_INPUT, "the account \"%.*s\" has not 12 digits",
                       STR_ARG(config->account));
    }
    struct ecs *ecs = MEM_NEW(struct ecs);
    ecs->config = *config;
    ecs->sink = (struct runtime_sink){
        .self = ecs, .on_event = on_runtime_event, .on_ready = on_runtime_ready};
    map_init(&ecs->task_seats);
    map_init(&ecs->service_seats);
    *ret = ecs;
    return ERR_OK;
}

const struct runtime_sink *ecs_runtime_sink(struct ecs *ecs)
{
    return &ecs->sink;
}

void ecs_set_runtime(struct ecs *ecs, struct runtime *rt)
{
    ecs->rt = rt;
}

enum err ecs_start(struct op *op, struct ecs *ecs)
{
    CHECK(ecs->rt != NULL);
    struct store_range everywhere = {.is_every_region = true};
    struct store_items tasks = {0};
    TRY(store_list(op, ecs->config.store, &ecs_kind_task, &everywhere, &tasks));
    for (size_t i = 0; i < tasks.count; i++) {
        const struct engine_ecs_task *row = tasks.items[i].value;
        if (ecs_task_status(row->task) != TASK_STOPPED) {
            (void)seat_task(ecs, tasks.items[i].region, ecs_task_cluster(row->task),
                            ecs_task_id(row->task), row->service);
        }
    }
    struct store_items services = {0};
    TRY(store_list(op, ecs->config.store, &ecs_kind_service, &everywhere, &services));
    for (size_t i = 0; i < services.count; i++) {
        const struct engine_ecs_service *row = services.items[i].value;
        if (!STR_IS(row->service->status, "INACTIVE")) {
            (void)seat_service(ecs, &op->arena, services.items[i].region, services.items[i].parent,
                               row->service->service_name);
        }
    }
    ev_timer_set(ecs->config.loop, &ecs->sweep, ECS_SWEEP_EVERY, ecs_sweep);
    ecs->is_started = true;
    if (ecs->is_ready) {
        begin_work(ecs);
    } else {
        wake_all(ecs);
    }
    return ERR_OK;
}

void ecs_close(struct ecs *ecs)
{
    if (ecs == NULL) {
        return;
    }
    ev_timer_stop(&ecs->sweep);
    size_t at = 0;
    struct str key = STR_NONE;
    void *value = NULL;
    while (map_next(&ecs->task_seats, &at, &key, &value)) {
        ecs_task_seat_drop(value);
        at = 0; /* the map changed */
    }
    at = 0;
    while (map_next(&ecs->service_seats, &at, &key, &value)) {
        ecs_service_seat_drop(value);
        at = 0;
    }
    map_fini(&ecs->task_seats);
    map_fini(&ecs->service_seats);
    mem_free(ecs);
}
