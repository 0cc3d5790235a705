/* Reads a tree of YAML into struct config, by the tables of config_fields.c. A mistake is noted and
 * reading goes on, so that one run tells them all. */
#include "deployer/config.h"

#include "base/check.h"
#include "base/near.h"
#include "deployer/config_fields.h"
#include "deployer/config_priv.h"

#include <stdarg.h>

void config_complain(struct config_reader *r, const struct yaml_node *at, const char *format, ...)
{
    if (r->problems->count == CONFIG_PROBLEMS_MAX) {
        return;
    }
    va_list args;
    va_start(args, format);
    struct str text = arena_vprintf(&r->op->arena, format, args);
    va_end(args);
    struct config_problem *p = ARENA_PUSH(&r->op->arena, r->problems);
    *p = (struct config_problem){.line = at->line, .column = at->column, .text = text};
}

static void complain_unknown_key(struct config_reader *r, const struct section *section,
                                 const struct yaml_node *key)
{
    struct str known[64] = {0};
    CHECK(section->field_count <= ARRAY_COUNT(known));
    for (size_t i = 0; i < section->field_count; i++) {
        known[i] = str_of(section->fields[i].key);
    }
    struct str near = near_word(key->text, known, section->field_count);
    const char *where = section->name[0] == '\0' ? "the file" : section->name;
    if (str_is_set(near)) {
        config_complain(r, key, "%s has no key \"%.*s\"; did you mean \"%.*s\"?", where,
                        STR_ARG(key->text), STR_ARG(near));
        return;
    }
    struct str all = STR("");
    for (size_t i = 0; i < section->field_count; i++) {
        all = arena_printf(&r->op->arena, "%.*s%s%s", STR_ARG(all), i == 0 ? "" : ", ",
                           section->fields[i].key);
    }
    config_complain(r, key, "%s has no key \"%.*s\"; expected one of %.*s", where,
                    STR_ARG(key->text), STR_ARG(all));
}

/* ---- values ---- */

/* Replaces ${env:NAME}; "$${" stands for "${". */
static bool expand(struct config_reader *r, const struct yaml_node *node, struct str *ret_text)
{
    struct str rest = node->text;
    struct str out = STR("");
    for (;;) {
        size_t at = str_find(rest, STR("${"), 0);
        if (at == STR_NOT_FOUND) {
            *ret_text = out.len == 0
                            ? rest
                            : arena_printf(&r->op->arena, "%.*s%.*s", STR_ARG(out), STR_ARG(rest));
            return true;
        }
        if (at > 0 && rest.ptr[at - 1] == '$') {
            out = arena_printf(&r->op->arena, "%.*s%.*s${", STR_ARG(out),
                               STR_ARG(str_slice(rest, 0, at - 1)));
            rest = str_from(rest, at + 2);
            continue;
        }
        size_t end = str_find_char(rest, '}', at);
        struct str name = str_slice(rest, at + 2, end == STR_NOT_FOUND ? rest.len : end);
        if (end == STR_NOT_FOUND || !str_starts_with(name, STR("env:")) || name.len == 4) {
            config_complain(r, node, "\"%.*s\": expected ${env:NAME}", STR_ARG(node->text));
            return false;
        }
        struct str value = r->source->lookup(r->source->self, str_from(name, 4));
        if (!str_is_set(value)) {
            config_complain(r, node, "the environment variable %.*s is not set",
                            STR_ARG(str_from(name, 4)));
            return false;
        }
        out = arena_printf(&r->op->arena, "%.*s%.*s%.*s", STR_ARG(out),
                           STR_ARG(str_slice(rest, 0, at)), STR_ARG(value));
        rest = str_from(rest, end + 1);
    }
}

bool config_read_text(struct config_reader *r, const struct yaml_node *node, const char *what,
                      struct str *ret_text)
{
    if (node->type != YAML_TEXT) {
        config_complain(r, node, "%s: expected a text, found %s", what, yaml_type_text(node->type));
        return false;
    }
    return expand(r, node, ret_text);
}

static bool is_name(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool is_allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (!is_allowed) {
            return false;
        }
    }
    return text.len >= 1 && text.len <= 255;
}

bool config_check_name(struct config_reader *r, const struct yaml_node *node, const char *what,
                       struct str text)
{
    if (!is_name(text)) {
        config_complain(r, node, "%s \"%.*s\": expected letters, digits, - and _, at most 255",
                        what, STR_ARG(text));
        return false;
    }
    return true;
}

static void read_number(struct config_reader *r, const struct field *f,
                        const struct yaml_node *node, struct str text, int64_t *ret)
{
    int64_t value = 0;
    bool is_read = f->kind == FIELD_SPAN ? config_read_span_s(text, &value)
                                         : str_parse_i64(text, INT64_MIN, INT64_MAX, &value);
    if (!is_read || value < f->min || value > f->max) {
        config_complain(
            r, node, "%s: \"%.*s\": expected %s from %lld to %lld%s", f->key, STR_ARG(text),
            f->kind == FIELD_SPAN ? "a span (90s, 5m, 1h)" : "a whole number", (long long)f->min,
            (long long)f->max, f->kind == FIELD_SPAN ? " seconds" : "");
        return;
    }
    *ret = value;
}

static void read_choice(struct config_reader *r, const struct field *f,
                        const struct yaml_node *node, struct str text, int *ret)
{
    struct str known[16] = {0};
    struct str all = STR("");
    size_t count = 0;
    for (; f->choices[count] != NULL; count++) {
        CHECK(count < ARRAY_COUNT(known));
        known[count] = str_of(f->choices[count]);
        all = arena_printf(&r->op->arena, "%.*s%s%s", STR_ARG(all), count == 0 ? "" : ", ",
                           f->choices[count]);
        if (str_equal(text, known[count])) {
            *ret = (int)count;
            return;
        }
    }
    struct str near = near_word(text, known, count);
    if (str_is_set(near)) {
        config_complain(r, node, "%s: \"%.*s\": did you mean \"%.*s\"? expected one of %.*s",
                        f->key, STR_ARG(text), STR_ARG(near), STR_ARG(all));
    } else {
        config_complain(r, node, "%s: \"%.*s\": expected one of %.*s", f->key, STR_ARG(text),
                        STR_ARG(all));
    }
}

void config_split_words(struct arena *a, struct str text, struct config_words *ret)
{
    struct str word = STR_NONE;
    while (str_next(&text, ' ', &word)) {
        if (word.len > 0) {
            *ARENA_PUSH(a, ret) = word;
        }
    }
}

static void read_words(struct config_reader *r, const struct field *f, const struct yaml_node *node,
                       struct config_words *ret)
{
    struct str text = STR_NONE;
    if (node->type == YAML_TEXT) {
        if (expand(r, node, &text)) {
            config_split_words(&r->op->arena, text, ret);
        }
        return;
    }
    if (node->type != YAML_LIST) {
        config_complain(r, node, "%s: expected a list of texts, found %s", f->key,
                        yaml_type_text(node->type));
        return;
    }
    for (size_t i = 0; i < node->count; i++) {
        if (config_read_text(r, &node->items[i], f->key, &text)) {
            *ARENA_PUSH(&r->op->arena, ret) = text;
        }
    }
}

static void read_pairs(struct config_reader *r, const struct field *f, const struct yaml_node *node,
                       struct config_pairs *ret)
{
    if (node->type != YAML_MAP) {
        config_complain(r, node, "%s: expected a map of texts, found %s", f->key,
                        yaml_type_text(node->type));
        return;
    }
    for (size_t i = 0; i < node->count; i++) {
        struct str value = STR("");
        const struct yaml_node *item = &node->items[i];
        bool is_read = item->type == YAML_NULL || config_read_text(r, item, f->key, &value);
        if (is_read) {
            *ARENA_PUSH(&r->op->arena, ret) = (struct config_pair){.name = node->keys[i].text,
                                                                   .value = value,
                                                                   .line = item->line,
                                                                   .column = item->column};
        }
    }
}

static void read_scalar(struct config_reader *r, const struct field *f,
                        const struct yaml_node *node, char *slot)
{
    struct str text = STR_NONE;
    if (!config_read_text(r, node, f->key, &text)) {
        return;
    }
    switch (f->kind) {
    case FIELD_NAME:
        if (config_check_name(r, node, f->key, text)) {
            *(struct str *)(void *)slot = text;
        }
        break;
    case FIELD_TEXT:
        *(struct str *)(void *)slot = text;
        break;
    case FIELD_INT:
    case FIELD_SPAN:
        read_number(r, f, node, text, (int64_t *)(void *)slot);
        break;
    case FIELD_CHOICE:
        read_choice(r, f, node, text, (int *)(void *)slot);
        break;
    case FIELD_WORDS:
    case FIELD_PAIRS:
    case FIELD_NODE:
        UNREACHABLE("not a scalar");
    }
}

static void read_field(struct config_reader *r, const struct field *f, const struct yaml_node *node,
                       char *into)
{
    switch (f->kind) {
    case FIELD_NODE:
        break;
    case FIELD_WORDS:
        read_words(r, f, node, (struct config_words *)(void *)(into + f->offset));
        break;
    case FIELD_PAIRS:
        read_pairs(r, f, node, (struct config_pairs *)(void *)(into + f->offset));
        break;
    case FIELD_TEXT:
    case FIELD_NAME:
    case FIELD_INT:
    case FIELD_SPAN:
    case FIELD_CHOICE:
        read_scalar(r, f, node, into + f->offset);
        break;
    }
}

static void fill_fallbacks(struct config_reader *r, const struct section *section, char *into)
{
    for (size_t i = 0; i < section->field_count; i++) {
        const struct field *f = &section->fields[i];
        if (f->fallback != NULL) {
            struct yaml_node node = {.type = YAML_TEXT, .text = str_of(f->fallback)};
            read_field(r, f, &node, into);
        }
    }
}

void config_read_section(struct config_reader *r, const struct section *section,
                         const struct yaml_node *node, void *into)
{
    fill_fallbacks(r, section, into);
    if (node->type != YAML_MAP) {
        if (node->type != YAML_NULL) {
            config_complain(r, node, "%s: expected a map, found %s", section->name,
                            yaml_type_text(node->type));
        }
        return;
    }
    for (size_t i = 0; i < node->count; i++) {
        const struct field *f = NULL;
        for (size_t k = 0; k < section->field_count; k++) {
            f = str_equal(node->keys[i].text, str_of(section->fields[k].key)) ? &section->fields[k]
                                                                              : f;
        }
        if (f == NULL) {
            complain_unknown_key(r, section, &node->keys[i]);
        } else if (node->items[i].type != YAML_NULL) {
            read_field(r, f, &node->items[i], into);
        }
    }
    for (size_t k = 0; k < section->field_count; k++) {
        const struct field *f = &section->fields[k];
        if (f->is_required && yaml_find(node, str_of(f->key)) == NULL) {
            config_complain(r, node, "%s%sthe key \"%s\" is missing: %s", section->name,
                            section->name[0] == '\0' ? "" : ": ", f->key, f->doc);
        }
    }
}
