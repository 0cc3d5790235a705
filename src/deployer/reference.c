/* docs/configuration.md and the JSON Schema of hitless.yaml, from the rows that read it. */
#include "base/buf.h"
#include "base/check.h"
#include "codec/json.h"
#include "deployer/config.h"
#include "deployer/config_fields.h"

static const char *kind_text(const struct field *f)
{
    switch (f->kind) {
    case FIELD_TEXT:
        return "text";
    case FIELD_NAME:
        return "name";
    case FIELD_INT:
        return "number";
    case FIELD_SPAN:
        return "span";
    case FIELD_CHOICE:
        return "one of";
    case FIELD_WORDS:
        return "list of texts";
    case FIELD_PAIRS:
        return "map of texts";
    case FIELD_NODE:
        break;
    }
    return "see below";
}

static void write_kind(struct buf *to, const struct field *f)
{
    buf_add(to, str_of(kind_text(f)));
    if (f->kind == FIELD_CHOICE) {
        for (size_t i = 0; f->choices[i] != NULL; i++) {
            buf_addf(to, "%s `%s`", i == 0 ? "" : ",", f->choices[i]);
        }
    } else if (f->kind == FIELD_INT) {
        buf_addf(to, ", %lld to %lld", (long long)f->min, (long long)f->max);
    } else if (f->kind == FIELD_SPAN) {
        buf_addf(to, ", %lld s to %lld s", (long long)f->min, (long long)f->max);
    }
}

static void write_cell(struct buf *to, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '|') {
            buf_add_char(to, '\\');
        }
        buf_add_char(to, *c);
    }
}

static void write_row(struct buf *to, const struct field *f)
{
    buf_addf(to, "| `%s` | ", f->key);
    write_kind(to, f);
    buf_add(to, STR(" | "));
    if (f->is_required) {
        buf_add(to, STR("**required**"));
    } else if (f->fallback != NULL) {
        buf_addf(to, "`%s`", f->fallback);
    }
    buf_add(to, STR(" | "));
    write_cell(to, f->doc);
    if (f->example != NULL) {
        buf_addf(to, " Example: `%s`", f->example);
    }
    buf_add(to, STR(" |\n"));
}

static const char head[] =
    "# hitless.yaml, every key\n"
    "\n"
    "<!-- Made by `hitless schema --reference`; a test compares the two. -->\n"
    "\n"
    "One file next to the application. Short where the defaults serve. A key that is not known is\n"
    "an error, told with file, line, column and the nearest key that there is; all mistakes of a\n"
    "file are told at once. `hitless init` writes a file to start from, `hitless schema` prints "
    "its\n"
    "JSON Schema for editors.\n"
    "\n"
    "- `${env:NAME}` in any text is replaced by that environment variable, which must be set;\n"
    "  `$${` stands for `${`.\n"
    "- A **span** is a number of seconds, or `90s`, `5m`, `1h`, `1h30m`.\n"
    "- A **name** has letters, digits, `-` and `_`.\n"
    "- Relative paths start at the folder of the file.\n"
    "\n"
    "```yaml\n"
    "app: shop\n"
    "services:\n"
    "  api:\n"
    "    image: registry.example/shop/api:1.4.2\n"
    "    port: 8080\n"
    "    health: /health\n"
    "    env: { LOG_LEVEL: info }\n"
    "migrations:\n"
    "  command: [./migrate, up]\n"
    "verify:\n"
    "  - get: /\n"
    "environments:\n"
    "  staging: { target: local }\n"
    "  production:\n"
    "    target: aws\n"
    "    region: eu-west-1\n"
    "    after: staging\n"
    "    strategy: canary\n"
    "    steps: [10% 5m, 100%]\n"
    "    stop_if: [error_rate > 1% for 5m, p99 > 500ms]\n"
    "    confirm: deploy-prod\n"
    "```\n";

static const char tail[] =
    "\n## The small languages\n"
    "\n"
    "**steps** – a share and how long it is watched, the last one `100%`. `canary` has two steps,\n"
    "`linear` equal ones, because ECS knows no others; waits are whole minutes.\n"
    "\n"
    "**stop_if** – a list; any rule that is met takes the new version back. Each becomes a\n"
    "CloudWatch alarm over the load balancer, named `APP-ENVIRONMENT-SERVICE-...`.\n"
    "\n"
    "| rule | alarm |\n"
    "| --- | --- |\n"
    "| `error_rate > 1% for 5m` | 5xx answers of the targets in percent of all requests, five "
    "minutes in a row |\n"
    "| `5xx > 10 for 1m` | 5xx answers a minute |\n"
    "| `p99 > 500ms` | a percentile of the response time; also `p50`, `p95`, `p99.9` |\n"
    "| `alarm NAME` | an alarm that you made |\n"
    "\n"
    "**verify.json** – a path (`.count`, `.items[0].name`) and what must stand there: a text, or\n"
    "`> 0`, `>= 1`, `< 5`, `<= 5`, `= open`, `!= closed`.\n";

void config_write_reference(struct buf *to)
{
    buf_add(to, str_of(head));
    for (size_t i = 0; sections[i] != NULL; i++) {
        const struct section *s = sections[i];
        buf_addf(to,
                 "\n## %s\n\n%s\n\n| key | holds | without it | what it means |\n"
                 "| --- | --- | --- | --- |\n",
                 s->name[0] == '\0' ? "The file" : s->name, s->doc);
        for (size_t k = 0; k < s->field_count; k++) {
            write_row(to, &s->fields[k]);
        }
    }
    buf_add(to, str_of(tail));
}

/* ---- JSON Schema ---- */

static void put(struct json_writer *w, const char *key, const char *text)
{
    json_key(w, str_of(key));
    json_add_string(w, str_of(text));
}

static void put_number(struct json_writer *w, const char *key, int64_t value)
{
    json_key(w, str_of(key));
    json_add_i64(w, value);
}

static void open_object(struct json_writer *w, const char *key)
{
    json_key(w, str_of(key));
    json_begin_object(w);
}

static void put_reference(struct json_writer *w, const char *key, const char *section)
{
    struct arena a;
    arena_init(&a);
    open_object(w, key);
    put(w, "$ref", arena_printf(&a, "#/$defs/%s", section).ptr);
    json_end_object(w);
    arena_fini(&a);
}

static void put_types(struct json_writer *w, const char *first, const char *second)
{
    json_key(w, STR("type"));
    json_begin_array(w);
    json_add_string(w, str_of(first));
    json_add_string(w, str_of(second));
    json_end_array(w);
}

/* What a FIELD_NODE holds stands here, as it stands in the functions that read it. */
static void write_node(struct json_writer *w, const char *key)
{
    static const struct {
        const char *key;
        const char *section;
        const char *around; /* "additionalProperties" of a map, "items" of a list, NULL: itself */
    } rows[] = {
        {"images", "images.NAME", "additionalProperties"},
        {"services", "services.NAME", "additionalProperties"},
        {"environments", "environments.NAME", "additionalProperties"},
        {"verify", "verify[]", "items"},
        {"migrations", "migrations", NULL},
        {"notify", "notify", NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (strcmp(rows[i].key, key) != 0) {
            continue;
        }
        if (rows[i].around == NULL) {
            json_key(w, STR("allOf"));
            json_begin_array(w);
            json_begin_object(w);
            struct arena a;
            arena_init(&a);
            put(w, "$ref", arena_printf(&a, "#/$defs/%s", rows[i].section).ptr);
            arena_fini(&a);
            json_end_object(w);
            json_end_array(w);
        } else {
            put(w, "type", strcmp(rows[i].around, "items") == 0 ? "array" : "object");
            put_reference(w, rows[i].around, rows[i].section);
        }
        return;
    }
    if (strcmp(key, "health") == 0) {
        json_key(w, STR("anyOf"));
        json_begin_array(w);
        json_begin_object(w);
        put(w, "type", "string");
        json_end_object(w);
        json_begin_object(w);
        put(w, "$ref", "#/$defs/services.NAME.health");
        json_end_object(w);
        json_end_array(w);
    } else if (strcmp(key, "json") == 0) {
        put(w, "type", "object");
    } else {
        put(w, "type", "array");
        open_object(w, "items");
        put(w, "type", "string");
        json_end_object(w);
    }
}

static void write_value(struct json_writer *w, const struct field *f)
{
    switch (f->kind) {
    case FIELD_TEXT:
        put(w, "type", "string");
        break;
    case FIELD_NAME:
        put(w, "type", "string");
        put(w, "pattern", "^[A-Za-z0-9_-]{1,255}$");
        break;
    case FIELD_INT:
        put(w, "type", "integer");
        put_number(w, "minimum", f->min);
        put_number(w, "maximum", f->max);
        break;
    case FIELD_SPAN:
        put_types(w, "integer", "string");
        put(w, "pattern", "^([0-9]+|([0-9]+[smhd])+)$");
        break;
    case FIELD_CHOICE:
        json_key(w, STR("enum"));
        json_begin_array(w);
        for (size_t i = 0; f->choices[i] != NULL; i++) {
            json_add_string(w, str_of(f->choices[i]));
        }
        json_end_array(w);
        break;
    case FIELD_WORDS:
        put_types(w, "string", "array");
        break;
    case FIELD_PAIRS:
        put(w, "type", "object");
        break;
    case FIELD_NODE:
        write_node(w, f->key);
        break;
    }
}

static void write_section(struct json_writer *w, const struct section *s)
{
    put(w, "type", "object");
    put(w, "description", s->doc);
    json_key(w, STR("additionalProperties"));
    json_add_bool(w, false);
    open_object(w, "properties");
    for (size_t i = 0; i < s->field_count; i++) {
        open_object(w, s->fields[i].key);
        put(w, "description", s->fields[i].doc);
        write_value(w, &s->fields[i]);
        json_end_object(w);
    }
    json_end_object(w);
    json_key(w, STR("required"));
    json_begin_array(w);
    for (size_t i = 0; i < s->field_count; i++) {
        if (s->fields[i].is_required) {
            json_add_string(w, str_of(s->fields[i].key));
        }
    }
    json_end_array(w);
}

void config_write_schema(struct buf *to)
{
    struct json_writer w;
    json_writer_init(&w, to);
    json_begin_object(&w);
    put(&w, "$schema", "https://json-schema.org/draft/2020-12/schema");
    put(&w, "title", "hitless.yaml");
    write_section(&w, &section_root);
    open_object(&w, "$defs");
    for (size_t i = 0; sections[i] != NULL; i++) {
        if (sections[i] == &section_root) {
            continue;
        }
        open_object(&w, sections[i]->name);
        write_section(&w, sections[i]);
        json_end_object(&w);
    }
    json_end_object(&w);
    json_end_object(&w);
    buf_add_char(to, '\n');
}
