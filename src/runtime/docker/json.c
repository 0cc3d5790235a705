#include "runtime/docker/json.h"

#include "codec/json.h"

/* One step down: the raw value of `key` in the object `json`. */
static struct str member_of(struct arena *a, struct str json, struct str key)
{
    struct json_reader r;
    json_reader_init(&r, a, json);
    if (json_peek(&r) != JSON_OBJECT || !json_enter_object(&r)) {
        return STR_NONE;
    }
    struct str found = STR_NONE;
    struct str name = STR_NONE;
    while (json_next_key(&r, &name)) {
        struct str raw = STR_NONE;
        if (json_read_raw(&r, &raw) && str_equal(name, key)) {
            found = raw;
        }
    }
    return r.error == NULL ? found : STR_NONE;
}

struct str docker_json_raw(struct arena *a, struct str json, const char *path)
{
    struct str rest = str_of(path);
    struct str key = STR_NONE;
    while (rest.len > 0 && str_is_set(json) && str_next(&rest, '|', &key)) {
        json = member_of(a, json, key);
    }
    return json;
}

struct str docker_json_text(struct arena *a, struct str json, const char *path)
{
    struct str raw = docker_json_raw(a, json, path);
    struct str text = STR_NONE;
    struct json_reader r;
    json_reader_init(&r, a, raw);
    return str_is_set(raw) && json_peek(&r) == JSON_STRING && json_read_string(&r, &text)
               ? text
               : STR_NONE;
}

int64_t docker_json_i64(struct arena *a, struct str json, const char *path, int64_t otherwise)
{
    struct str raw = docker_json_raw(a, json, path);
    int64_t value = otherwise;
    bool is_whole = false;
    struct json_reader r;
    json_reader_init(&r, a, raw);
    if (str_is_set(raw) && json_peek(&r) == JSON_NUMBER && json_read_i64(&r, &value, &is_whole) &&
        is_whole) {
        return value;
    }
    return otherwise;
}

bool docker_json_bool(struct arena *a, struct str json, const char *path)
{
    return STR_IS(docker_json_raw(a, json, path), "true");
}

struct str docker_json_first(struct arena *a, struct str json, const char *path)
{
    struct str raw = docker_json_raw(a, json, path);
    struct str item = STR_NONE;
    struct json_reader r;
    json_reader_init(&r, a, raw);
    if (str_is_set(raw) && json_peek(&r) == JSON_ARRAY && json_enter_array(&r) &&
        json_next_item(&r) && json_read_raw(&r, &item)) {
        return item;
    }
    return STR_NONE;
}
