#include "runtime/docker/internal.h"

#include "base/check.h"
#include "codec/json.h"
#include "runtime/depends.h"

#define LOG_SIZE  "10m"
#define LOG_FILES "3"

static void text_member(struct json_writer *w, struct str key, struct str value)
{
    json_key(w, key);
    json_add_string(w, value);
}

static void number_member(struct json_writer *w, struct str key, int64_t value)
{
    json_key(w, key);
    json_add_i64(w, value);
}

static void words_member(struct json_writer *w, struct str key, struct runtime_words words)
{
    if (words.count == 0) {
        return; /* the image's */
    }
    json_key(w, key);
    json_begin_array(w);
    for (size_t i = 0; i < words.count; i++) {
        json_add_string(w, words.items[i]);
    }
    json_end_array(w);
}

bool docker_joins_network(const struct runtime_container *c)
{
    size_t owner = docker_task_of(c->task)->network_owner;
    return c->index != owner && !runtime_depends_is_awaited_to_end(c->task->spec, c->index);
}

/* ---- environment and labels -------------------------------------------------------------------
 */

static bool is_set_by(const struct runtime_container_spec *spec, struct str name)
{
    for (size_t i = 0; i < spec->environment.count; i++) {
        if (str_equal(spec->environment.items[i].name, name)) {
            return true;
        }
    }
    return false;
}

static struct str label_of(const struct runtime_task_spec *spec, struct str name)
{
    for (size_t i = 0; i < spec->labels.count; i++) {
        if (str_equal(spec->labels.items[i].name, name)) {
            return spec->labels.items[i].value;
        }
    }
    return STR_NONE;
}

static void add_variable(struct json_writer *w, struct arena *a, struct str name, struct str value)
{
    json_add_string(w, arena_printf(a, "%.*s=%.*s", STR_ARG(name), STR_ARG(value)));
}

static void write_environment(struct json_writer *w, struct arena *a,
                              const struct runtime_container *c)
{
    const struct runtime_container_spec *spec = runtime_container_spec_of(c);
    struct str region = label_of(c->task->spec, STR("region"));
    struct runtime_pair own[] = {
        {STR("HITLESS_TASK_ID"), c->task->spec->id},
        {STR("HITLESS_CONTAINER"), spec->name},
        {STR("HOST"), STR("0.0.0.0")},
        {STR("PORT"),
         spec->port_count > 0 ? arena_printf(a, "%d", spec->ports[0].container_port) : STR_NONE},
        {STR("AWS_REGION"), region},
        {STR("AWS_DEFAULT_REGION"), region},
    };
    json_key(w, STR("Env"));
    json_begin_array(w);
    for (size_t i = 0; i < ARRAY_COUNT(own); i++) {
        if (str_is_set(own[i].value) && !is_set_by(spec, own[i].name)) {
            add_variable(w, a, own[i].name, own[i].value);
        }
    }
    for (size_t i = 0; i < spec->environment.count; i++) {
        add_variable(w, a, spec->environment.items[i].name, spec->environment.items[i].value);
    }
    json_end_array(w);
}

static void write_labels(struct json_writer *w, struct arena *a, const struct runtime_container *c)
{
    const struct runtime_container_spec *spec = runtime_container_spec_of(c);
    json_key(w, STR("Labels"));
    json_begin_object(w);
    for (size_t i = 0; i < spec->docker_labels.count; i++) {
        text_member(w, spec->docker_labels.items[i].name, spec->docker_labels.items[i].value);
    }
    for (size_t i = 0; i < c->task->spec->labels.count; i++) {
        const struct runtime_pair *p = &c->task->spec->labels.items[i];
        text_member(w, arena_printf(a, "hitless.%.*s", STR_ARG(p->name)), p->value);
    }
    text_member(w, STR("hitless.instance"), str_of(docker_of(c->task)->instance));
    text_member(w, STR("hitless.task"), c->task->spec->id);
    text_member(w, STR("hitless.container"), spec->name);
    json_end_object(w);
}

/* ---- ports ------------------------------------------------------------------------------------
 */

static struct str port_name(struct arena *a, const struct runtime_port *port)
{
    return arena_printf(a, "%d/%s", port->container_port, port->is_udp ? "udp" : "tcp");
}

/* Ports belong to the owner of the network, whichever container listens on them. */
static bool is_port_written(const struct runtime_container *c, size_t other)
{
    return other == c->index || docker_joins_network(c->task->containers[other]);
}

static void write_ports(struct json_writer *w, struct arena *a, const struct runtime_container *c,
                        bool has_bindings)
{
    json_begin_object(w);
    for (size_t i = 0; i < c->task->spec->container_count; i++) {
        const struct runtime_container_spec *spec = &c->task->spec->containers[i];
        for (size_t n = 0; is_port_written(c, i) && n < spec->port_count; n++) {
            json_key(w, port_name(a, &spec->ports[n]));
            if (!has_bindings) {
                json_begin_object(w);
                json_end_object(w);
                continue;
            }
            int32_t host_port = spec->ports[n].host_port;
            json_begin_array(w);
            json_begin_object(w);
            text_member(w, STR("HostPort"),
                        host_port == 0 ? STR("") : arena_printf(a, "%d", host_port));
            json_end_object(w);
            json_end_array(w);
        }
    }
    json_end_object(w);
}

/* ---- limits -----------------------------------------------------------------------------------
 */

static void write_limits(struct json_writer *w, const struct runtime_container *c)
{
    const struct runtime_container_spec *spec = runtime_container_spec_of(c);
    const struct runtime_task_spec *task = c->task->spec;
    /* Docker has no limit for a group: each container gets the task's where it has none. */
    int32_t memory_mib = spec->memory_mib == 0 ? task->memory_mib : spec->memory_mib;
    if (memory_mib > 0) {
        number_member(w, STR("Memory"), (int64_t)memory_mib << 20);
        number_member(w, STR("MemorySwap"), (int64_t)memory_mib << 20); /* no swap on top */
    }
    if (spec->memory_reservation_mib > 0) {
        number_member(w, STR("MemoryReservation"), (int64_t)spec->memory_reservation_mib << 20);
    }
    number_member(w, STR("CpuShares"), spec->cpu_units < 2 ? 2 : spec->cpu_units);
    if (task->cpu_units > 0) {
        number_member(w, STR("NanoCpus"), (int64_t)task->cpu_units * 1000000000 / 1024);
    }
    json_key(w, STR("Ulimits"));
    json_begin_array(w);
    for (size_t i = 0; i < spec->ulimit_count; i++) {
        json_begin_object(w);
        text_member(w, STR("Name"), spec->ulimits[i].name);
        number_member(w, STR("Soft"), spec->ulimits[i].soft);
        number_member(w, STR("Hard"), spec->ulimits[i].hard);
        json_end_object(w);
    }
    json_end_array(w);
}

static void write_host_config(struct json_writer *w, struct arena *a,
                              const struct runtime_container *c)
{
    json_key(w, STR("HostConfig"));
    json_begin_object(w);
    write_limits(w, c);
    json_key(w, STR("ReadonlyRootfs"));
    json_add_bool(w, runtime_container_spec_of(c)->is_root_read_only);
    json_key(w, STR("LogConfig"));
    json_begin_object(w);
    text_member(w, STR("Type"), STR("json-file"));
    json_key(w, STR("Config"));
    json_begin_object(w);
    text_member(w, STR("max-size"), STR(LOG_SIZE));
    text_member(w, STR("max-file"), STR(LOG_FILES));
    json_end_object(w);
    json_end_object(w);
    if (docker_joins_network(c)) {
        size_t owner = docker_task_of(c->task)->network_owner;
        struct str name = docker_name_of(c->task->containers[owner], a);
        text_member(w, STR("NetworkMode"), arena_printf(a, "container:%.*s", STR_ARG(name)));
    } else {
        text_member(w, STR("NetworkMode"), STR("bridge"));
        if (c->task->spec->publishes_ports) {
            json_key(w, STR("PortBindings"));
            write_ports(w, a, c, true);
        }
    }
    json_end_object(w);
}

void docker_create_body(struct buf *out, struct arena *a, const struct runtime_container *c)
{
    const struct runtime_container_spec *spec = runtime_container_spec_of(c);
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    text_member(&w, STR("Image"), spec->image);
    words_member(&w, STR("Entrypoint"), spec->entry_point);
    words_member(&w, STR("Cmd"), spec->command);
    if (spec->working_folder.len > 0) {
        text_member(&w, STR("WorkingDir"), spec->working_folder);
    }
    if (spec->user.len > 0) {
        text_member(&w, STR("User"), spec->user);
    }
    /* Only the task definition's health check counts, not the image's. */
    json_key(&w, STR("Healthcheck"));
    json_begin_object(&w);
    json_key(&w, STR("Test"));
    json_begin_array(&w);
    json_add_string(&w, STR("NONE"));
    json_end_array(&w);
    json_end_object(&w);
    write_environment(&w, a, c);
    write_labels(&w, a, c);
    if (!docker_joins_network(c)) {
        json_key(&w, STR("ExposedPorts"));
        write_ports(&w, a, c, false);
    }
    write_host_config(&w, a, c);
    json_end_object(&w);
}
