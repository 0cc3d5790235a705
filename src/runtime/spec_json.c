#include "base/check.h"
#include "codec/json.h"
#include "runtime/spec.h"

enum member_kind { MEMBER_TEXT, MEMBER_I32, MEMBER_SPAN, MEMBER_BOOL, MEMBER_WORDS };

struct member {
    struct str key;
    enum member_kind kind;
    size_t offset;
};

#define OF(type, member_) offsetof(struct runtime_##type, member_)

static const struct member container_members[] = {
    {STR_INIT("name"), MEMBER_TEXT, OF(container_spec, name)},
    {STR_INIT("image"), MEMBER_TEXT, OF(container_spec, image)},
    {STR_INIT("stop_signal"), MEMBER_TEXT, OF(container_spec, stop_signal)},
    {STR_INIT("stop_timeout_us"), MEMBER_SPAN, OF(container_spec, stop_timeout)},
    {STR_INIT("start_timeout_us"), MEMBER_SPAN, OF(container_spec, start_timeout)},
    {STR_INIT("health_command"), MEMBER_WORDS, OF(container_spec, health_check.command)},
    {STR_INIT("health_interval_us"), MEMBER_SPAN, OF(container_spec, health_check.interval)},
    {STR_INIT("health_timeout_us"), MEMBER_SPAN, OF(container_spec, health_check.timeout)},
    {STR_INIT("health_start_us"), MEMBER_SPAN, OF(container_spec, health_check.start_period)},
    {STR_INIT("health_retries"), MEMBER_I32, OF(container_spec, health_check.retries)},
    {STR_INIT("is_essential"), MEMBER_BOOL, OF(container_spec, is_essential)},
    {STR_INIT("wants_log"), MEMBER_BOOL, OF(container_spec, wants_log)},
};

static const struct member dependency_members[] = {
    {STR_INIT("container"), MEMBER_TEXT, OF(dependency, container)},
    {STR_INIT("condition"), MEMBER_I32, OF(dependency, condition)},
};

static const struct member port_members[] = {
    {STR_INIT("container_port"), MEMBER_I32, OF(port, container_port)},
    {STR_INIT("host_port"), MEMBER_I32, OF(port, host_port)},
    {STR_INIT("is_udp"), MEMBER_BOOL, OF(port, is_udp)},
};

static const struct member label_members[] = {
    {STR_INIT("name"), MEMBER_TEXT, OF(pair, name)},
    {STR_INIT("value"), MEMBER_TEXT, OF(pair, value)},
};

/* ---- writing --------------------------------------------------------------------------------- */

static void write_words(struct json_writer *w, const struct runtime_words *words)
{
    json_begin_array(w);
    for (size_t i = 0; i < words->count; i++) {
        json_add_string(w, words->items[i]);
    }
    json_end_array(w);
}

static void write_member(struct json_writer *w, const struct member *m, const void *object)
{
    const char *at = (const char *)object + m->offset;
    switch (m->kind) {
    case MEMBER_TEXT: {
        const struct str *text = (const void *)at;
        if (str_is_set(*text)) {
            json_key(w, m->key);
            json_add_string(w, *text);
        }
        return;
    }
    case MEMBER_I32:
        json_key(w, m->key);
        json_add_i64(w, *(const int32_t *)(const void *)at);
        return;
    case MEMBER_SPAN:
        json_key(w, m->key);
        json_add_i64(w, ((const dur_t *)(const void *)at)->us);
        return;
    case MEMBER_BOOL:
        json_key(w, m->key);
        json_add_bool(w, *(const bool *)(const void *)at);
        return;
    case MEMBER_WORDS:
        json_key(w, m->key);
        write_words(w, (const void *)at);
        return;
    }
}

static void write_members(struct json_writer *w, const struct member *members, size_t count,
                          const void *object)
{
    for (size_t i = 0; i < count; i++) {
        write_member(w, &members[i], object);
    }
}

#define WRITE_LIST(w, key_, items_, count_, members_)                             \
    do {                                                                          \
        json_key((w), STR(key_));                                                 \
        json_begin_array(w);                                                      \
        for (size_t i_ = 0; i_ < (count_); i_++) {                                \
            json_begin_object(w);                                                 \
            write_members((w), (members_), ARRAY_COUNT(members_), &(items_)[i_]); \
            json_end_object(w);                                                   \
        }                                                                         \
        json_end_array(w);                                                        \
    } while (0)

static void write_container(struct json_writer *w, const struct runtime_container_spec *c)
{
    json_begin_object(w);
    write_members(w, container_members, ARRAY_COUNT(container_members), c);
    WRITE_LIST(w, "depends_on", c->depends_on, c->depends_on_count, dependency_members);
    WRITE_LIST(w, "ports", c->ports, c->port_count, port_members);
    json_end_object(w);
}

void runtime_spec_to_json(struct buf *out, const struct runtime_task_spec *spec)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_key(&w, STR("id"));
    json_add_string(&w, spec->id);
    json_key(&w, STR("publishes_ports"));
    json_add_bool(&w, spec->publishes_ports);
    WRITE_LIST(&w, "labels", spec->labels.items, spec->labels.count, label_members);
    json_key(&w, STR("containers"));
    json_begin_array(&w);
    for (size_t i = 0; i < spec->container_count; i++) {
        write_container(&w, &spec->containers[i]);
    }
    json_end_array(&w);
    json_end_object(&w);
}

/* ---- reading --------------------------------------------------------------------------------- */

static void read_words(struct json_reader *r, struct runtime_words *ret)
{
    struct str *items = ARENA_ARRAY(r->arena, struct str, RUNTIME_WORDS_MAX);
    size_t count = 0;
    json_enter_array(r);
    while (json_next_item(r)) {
        if (count == RUNTIME_WORDS_MAX) {
            json_refuse(r, "too many words");
            break;
        }
        json_read_string(r, &items[count++]);
    }
    *ret = (struct runtime_words){.items = items, .count = count};
}

static void read_i64(struct json_reader *r, int64_t min, int64_t max, int64_t *ret)
{
    int64_t value = 0;
    bool is_whole = false;
    if (!json_read_i64(r, &value, &is_whole) || !is_whole || value < min || value > max) {
        json_refuse(r, "a whole number is out of range");
        return;
    }
    *ret = value;
}

static void read_member(struct json_reader *r, const struct member *m, void *object)
{
    char *at = (char *)object + m->offset;
    int64_t number = 0;
    switch (m->kind) {
    case MEMBER_TEXT:
        json_read_string(r, (struct str *)(void *)at);
        return;
    case MEMBER_I32:
        read_i64(r, 0, INT32_MAX, &number);
        *(int32_t *)(void *)at = (int32_t)number;
        return;
    case MEMBER_SPAN:
        read_i64(r, 0, INT64_MAX / 2, &number);
        *(dur_t *)(void *)at = DUR_US(number);
        return;
    case MEMBER_BOOL:
        json_read_bool(r, (bool *)(void *)at);
        return;
    case MEMBER_WORDS:
        read_words(r, (struct runtime_words *)(void *)at);
        return;
    }
}

static bool read_known(struct json_reader *r, struct str key, const struct member *members,
                       size_t count, void *object)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal(members[i].key, key)) {
            read_member(r, &members[i], object);
            return true;
        }
    }
    return false;
}

static void read_object(struct json_reader *r, const struct member *members, size_t count,
                        void *object)
{
    struct str key = STR_NONE;
    json_enter_object(r);
    while (json_next_key(r, &key)) {
        if (!read_known(r, key, members, count, object)) {
            json_skip(r);
        }
    }
}

/* A list of objects of one kind. */
struct kind {
    const struct member *members;
    size_t member_count;
    size_t bytes; /* of one object */
    size_t max;
};

#define KIND(type, members_, max_)                                    \
    {                                                                 \
        .members = (members_), .member_count = ARRAY_COUNT(members_), \
        .bytes = sizeof(struct runtime_##type), .max = (max_)         \
    }

static const struct kind dependencies = KIND(dependency, dependency_members, RUNTIME_DEPENDS_MAX);
static const struct kind ports = KIND(port, port_members, RUNTIME_PORTS_MAX);
static const struct kind labels = KIND(pair, label_members, RUNTIME_LABELS_MAX);

static void *read_list(struct json_reader *r, const struct kind *kind, size_t *ret_count)
{
    char *items = arena_alloc_array(r->arena, kind->max, kind->bytes);
    size_t count = 0;
    json_enter_array(r);
    while (json_next_item(r)) {
        if (count == kind->max) {
            json_refuse(r, "too many items");
            break;
        }
        read_object(r, kind->members, kind->member_count, items + count * kind->bytes);
        count++;
    }
    *ret_count = count;
    return items;
}

static void read_container_member(struct json_reader *r, struct str key,
                                  struct runtime_container_spec *c)
{
    if (STR_IS(key, "depends_on")) {
        c->depends_on = read_list(r, &dependencies, &c->depends_on_count);
    } else if (STR_IS(key, "ports")) {
        c->ports = read_list(r, &ports, &c->port_count);
    } else if (!read_known(r, key, container_members, ARRAY_COUNT(container_members), c)) {
        json_skip(r);
    }
}

static void read_containers(struct json_reader *r, struct runtime_task_spec *spec)
{
    struct runtime_container_spec *items =
        ARENA_ARRAY(r->arena, struct runtime_container_spec, RUNTIME_CONTAINERS_MAX);
    size_t count = 0;
    json_enter_array(r);
    while (json_next_item(r)) {
        if (count == RUNTIME_CONTAINERS_MAX) {
            json_refuse(r, "too many containers");
            break;
        }
        struct str key = STR_NONE;
        json_enter_object(r);
        while (json_next_key(r, &key)) {
            read_container_member(r, key, &items[count]);
        }
        count++;
    }
    spec->containers = items;
    spec->container_count = count;
}

static void read_spec(struct json_reader *r, struct runtime_task_spec *spec)
{
    struct str key = STR_NONE;
    json_enter_object(r);
    while (json_next_key(r, &key)) {
        if (STR_IS(key, "id")) {
            json_read_string(r, &spec->id);
        } else if (STR_IS(key, "publishes_ports")) {
            json_read_bool(r, &spec->publishes_ports);
        } else if (STR_IS(key, "labels")) {
            spec->labels.items = read_list(r, &labels, &spec->labels.count);
        } else if (STR_IS(key, "containers")) {
            read_containers(r, spec);
        } else {
            json_skip(r);
        }
    }
}

static enum err check_conditions(struct op *op, const struct runtime_task_spec *spec)
{
    for (size_t i = 0; i < spec->container_count; i++) {
        const struct runtime_container_spec *c = &spec->containers[i];
        for (size_t d = 0; d < c->depends_on_count; d++) {
            if ((int)c->depends_on[d].condition > (int)RUNTIME_WHEN_HEALTHY) {
                return op_fail(op, ERR_INPUT, "unknown condition %d",
                               (int)c->depends_on[d].condition);
            }
        }
    }
    return ERR_OK;
}

enum err runtime_spec_from_json(struct op *op, struct arena *arena, struct str json,
                                struct runtime_task_spec **ret)
{
    if (json.len > RUNTIME_SPEC_JSON_BYTES_MAX) {
        return op_fail(op, ERR_LIMIT, "a kept task has %zu bytes, the limit is %u", json.len,
                       RUNTIME_SPEC_JSON_BYTES_MAX);
    }
    struct runtime_task_spec *spec = ARENA_NEW(arena, struct runtime_task_spec);
    struct json_reader r;
    json_reader_init(&r, arena, json);
    read_spec(&r, spec);
    TRY(json_finish(&r, op));
    TRY(check_conditions(op, spec));
    TRY(runtime_spec_check(op, spec));
    *ret = spec;
    return ERR_OK;
}
