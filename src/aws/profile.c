#include "aws/profile.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/file.h"

#include <stdlib.h>

static const char *get_from_process(void *self, const char *name)
{
    (void)self;
    return getenv(name);
}

const struct aws_env aws_process_env = {.get = get_from_process};

struct str aws_env_find(const struct aws_env *env, const char *name)
{
    const char *value = env->get(env->self, name);
    return value == NULL || value[0] == '\0' ? STR_NONE : str_of(value);
}

/* ---- INI ------------------------------------------------------------------------------------ */

static bool is_blank_char(char c)
{
    return c == ' ' || c == '\t';
}

/* "# a", "; a", and " # a" behind a value. */
static struct str without_comment(struct str line)
{
    struct str s = str_trim(line);
    if (s.len > 0 && (s.ptr[0] == '#' || s.ptr[0] == ';')) {
        return STR("");
    }
    for (size_t i = 1; i < s.len; i++) {
        if ((s.ptr[i] == '#' || s.ptr[i] == ';') && is_blank_char(s.ptr[i - 1])) {
            return str_trim(str_slice(s, 0, i));
        }
    }
    return s;
}

enum err aws_settings_parse(struct op *op, struct arena *a, struct str text, const char *path,
                            bool is_credentials, struct aws_settings *settings)
{
    struct str rest = text;
    struct str raw;
    struct str section = STR_NONE;
    struct str parent = STR_NONE; /* "s3" of "s3 =", whose settings are indented below it */
    for (size_t number = 1; str_next(&rest, '\n', &raw); number++) {
        struct str line = without_comment(raw);
        if (line.len == 0) {
            continue;
        }
        if (line.ptr[0] == '[') {
            if (line.ptr[line.len - 1] != ']') {
                return op_fail(op, ERR_INPUT, "%s line %zu: a section without its ']'", path,
                               number);
            }
            section = str_trim(str_slice(line, 1, line.len - 1));
            parent = STR_NONE;
            continue;
        }
        struct str name;
        struct str value;
        if (!str_cut(line, '=', &name, &value) || !str_is_set(section)) {
            return op_fail(op, ERR_INPUT, "%s line %zu: expected \"name = value\" in a section",
                           path, number);
        }
        if (settings->count == AWS_PROFILE_SETTINGS_MAX) {
            return op_fail(op, ERR_LIMIT, "%s: more than %d settings", path,
                           AWS_PROFILE_SETTINGS_MAX);
        }
        name = str_trim(name);
        value = str_trim(value);
        bool is_nested = is_blank_char(raw.ptr[0]) && str_is_set(parent);
        parent = is_nested ? parent : value.len == 0 ? name : STR_NONE;
        *ARENA_PUSH(a, settings) = (struct aws_setting){
            .section = section,
            .name = is_nested ? arena_printf(a, "%.*s.%.*s", STR_ARG(parent), STR_ARG(name)) : name,
            .value = value,
            .is_from_credentials = is_credentials};
    }
    return ERR_OK;
}

static enum err load_file(struct op *op, struct arena *a, const struct aws_env *env,
                          const char *variable, const char *usual, bool is_credentials,
                          struct aws_settings *settings)
{
    struct str given = aws_env_find(env, variable);
    struct str home = aws_env_find(env, "HOME");
    if (!str_is_set(given) && !str_is_set(home)) {
        return ERR_OK;
    }
    struct str path = str_is_set(given) ? given : arena_printf(a, "%.*s/%s", STR_ARG(home), usual);
    const char *c_path = arena_c_str(a, path);
    struct str text;
    enum err e = file_read(op, c_path, AWS_PROFILE_FILE_BYTES_MAX, &text);
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        return ERR_OK;
    }
    TRY(e);
    return aws_settings_parse(op, a, arena_str(a, text), c_path, is_credentials, settings);
}

enum err aws_settings_load(struct op *op, struct arena *a, const struct aws_env *env,
                           struct aws_settings *ret_settings)
{
    struct aws_settings s = {0};
    TRY(load_file(op, a, env, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", true, &s));
    TRY(load_file(op, a, env, "AWS_CONFIG_FILE", ".aws/config", false, &s));
    *ret_settings = s;
    return ERR_OK;
}

/* ---- looking up ----------------------------------------------------------------------------- */

static struct str second_word(struct str section)
{
    struct str head;
    struct str tail;
    if (!str_cut(section, ' ', &head, &tail)) {
        return STR_NONE;
    }
    tail = str_trim(tail);
    bool is_quoted = tail.len >= 2 && tail.ptr[0] == '"' && tail.ptr[tail.len - 1] == '"';
    return is_quoted ? str_slice(tail, 1, tail.len - 1) : tail;
}

/* [dev] in the credentials file, [profile dev] in config, [default] in both. */
static bool is_of_profile(const struct aws_setting *s, struct str profile)
{
    if (s->is_from_credentials || STR_IS(s->section, "default")) {
        return str_equal(s->section, profile);
    }
    return str_starts_with(s->section, STR("profile ")) &&
           str_equal(second_word(s->section), profile);
}

bool aws_settings_has_profile(const struct aws_settings *s, struct str profile)
{
    for (size_t i = 0; i < s->count; i++) {
        if (is_of_profile(&s->items[i], profile)) {
            return true;
        }
    }
    return false;
}

struct str aws_settings_find(const struct aws_settings *s, struct str profile, const char *name)
{
    struct str found = STR_NONE;
    for (size_t i = 0; i < s->count; i++) {
        const struct aws_setting *one = &s->items[i];
        bool is_it = is_of_profile(one, profile) && str_equal(one->name, str_of(name));
        if (is_it && one->value.len > 0 && (!str_is_set(found) || one->is_from_credentials)) {
            found = one->value;
        }
    }
    return found;
}

/* "Elastic Load Balancing v2" is elastic_load_balancing_v2 here. */
static struct str service_key(struct arena *a, const char *service_id)
{
    struct str key = arena_printf(a, "%s", service_id);
    char *c = arena_alloc(a, key.len + 1);
    for (size_t i = 0; i < key.len; i++) {
        c[i] = key.ptr[i] == ' ' ? '_' : str_lower_char(key.ptr[i]);
    }
    return str_make(c, key.len);
}

struct str aws_settings_endpoint(struct arena *a, const struct aws_settings *s, struct str profile,
                                 const char *service_id)
{
    struct str services = aws_settings_find(s, profile, "services");
    struct str key = service_key(a, service_id);
    struct str name = arena_printf(a, "%.*s.endpoint_url", STR_ARG(key));
    for (size_t i = 0; str_is_set(services) && i < s->count; i++) {
        const struct aws_setting *one = &s->items[i];
        if (str_starts_with(one->section, STR("services ")) &&
            str_equal(second_word(one->section), services) && str_equal(one->name, name)) {
            return one->value;
        }
    }
    return aws_settings_find(s, profile, "endpoint_url");
}
