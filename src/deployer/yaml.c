#include "deployer/yaml.h"

#include "base/check.h"
#include "base/cleanup.h"

#include <yaml.h>

struct frame {
    struct yaml_node *node;
    bool has_key; /* in a map: a key waits for its value */
};

struct reader {
    struct op *op;
    struct str file_name;
    yaml_parser_t parser;
    struct frame frames[YAML_DEPTH_MAX];
    size_t depth;
    size_t node_count;
    struct yaml_node *root;
    bool has_root;
};

const char *yaml_type_text(enum yaml_type type)
{
    static const char *const texts[] = {[YAML_NULL] = "nothing",
                                        [YAML_TEXT] = "a text",
                                        [YAML_LIST] = "a list",
                                        [YAML_MAP] = "a map"};
    return texts[type];
}

const struct yaml_node *yaml_find(const struct yaml_node *map, struct str key)
{
    for (size_t i = 0; map->type == YAML_MAP && i < map->count; i++) {
        if (str_equal(map->keys[i].text, key)) {
            return &map->items[i];
        }
    }
    return NULL;
}

static enum err fail_at(struct reader *r, yaml_mark_t mark, const char *what)
{
    return op_fail(r->op, ERR_INPUT, "%.*s:%zu:%zu: %s", STR_ARG(r->file_name), mark.line + 1,
                   mark.column + 1, what);
}

static enum err fail_parser(struct reader *r)
{
    const char *problem = r->parser.problem == NULL ? "this is no YAML" : r->parser.problem;
    struct str text =
        arena_printf(&r->op->arena, "%s%s%s", problem, r->parser.context == NULL ? "" : " ",
                     r->parser.context == NULL ? "" : r->parser.context);
    return fail_at(r, r->parser.problem_mark, text.ptr);
}

/* Room for one more child; doubles. */
static void make_room(struct arena *a, struct yaml_node *parent)
{
    size_t count = parent->count;
    if ((count & (count - 1)) != 0) {
        return;
    }
    size_t room = count == 0 ? 1 : count * 2;
    parent->items = arena_grow(a, parent->items, count, room, sizeof(*parent->items));
    if (parent->type == YAML_MAP) {
        parent->keys = arena_grow(a, parent->keys, count, room, sizeof(*parent->keys));
    }
}

static enum err add_key(struct reader *r, struct frame *f, const struct yaml_node *node,
                        yaml_mark_t mark)
{
    if (node->type != YAML_TEXT) {
        return fail_at(r, mark, "a key must be a text");
    }
    if (yaml_find(f->node, node->text) != NULL) {
        struct str what =
            arena_printf(&r->op->arena, "the key \"%.*s\" stands twice", STR_ARG(node->text));
        return fail_at(r, mark, what.ptr);
    }
    make_room(&r->op->arena, f->node);
    f->node->keys[f->node->count] = *node;
    f->has_key = true;
    return ERR_OK;
}

/* Puts the node where it belongs; *ret_at is where it lies from now on (NULL for a key). */
static enum err place(struct reader *r, const struct yaml_node *node, yaml_mark_t mark,
                      struct yaml_node **ret_at)
{
    if (++r->node_count > YAML_NODES_MAX) {
        return fail_at(r, mark, "the file has too many entries");
    }
    if (r->depth == 0) {
        *r->root = *node;
        r->has_root = true;
        *ret_at = r->root;
        return ERR_OK;
    }
    struct frame *f = &r->frames[r->depth - 1];
    if (f->node->type == YAML_MAP && !f->has_key) {
        *ret_at = NULL;
        return add_key(r, f, node, mark);
    }
    if (f->node->type == YAML_LIST) {
        make_room(&r->op->arena, f->node);
    }
    f->has_key = false;
    f->node->items[f->node->count] = *node;
    *ret_at = &f->node->items[f->node->count++];
    return ERR_OK;
}

static bool is_null_text(struct str text)
{
    return text.len == 0 || STR_IS(text, "~") || STR_IS(text, "null");
}

static enum err on_scalar(struct reader *r, const yaml_event_t *event)
{
    struct yaml_node node = {
        .type = YAML_TEXT,
        .is_quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE,
        .text = arena_str(&r->op->arena, str_make((const char *)event->data.scalar.value,
                                                  event->data.scalar.length)),
        .line = (int)event->start_mark.line + 1,
        .column = (int)event->start_mark.column + 1,
    };
    if (event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL) {
        return fail_at(r, event->start_mark, "anchors and tags are not used in this file");
    }
    if (!node.is_quoted && is_null_text(node.text)) {
        node.type = YAML_NULL;
    }
    struct yaml_node *at = NULL;
    return place(r, &node, event->start_mark, &at);
}

static enum err on_open(struct reader *r, const yaml_event_t *event, enum yaml_type type)
{
    struct yaml_node node = {.type = type,
                             .line = (int)event->start_mark.line + 1,
                             .column = (int)event->start_mark.column + 1};
    if (r->depth == YAML_DEPTH_MAX) {
        return fail_at(r, event->start_mark, "the file is nested too deeply");
    }
    struct yaml_node *at = NULL;
    TRY(place(r, &node, event->start_mark, &at));
    if (at == NULL) {
        return fail_at(r, event->start_mark, "a key must be a text");
    }
    r->frames[r->depth++] = (struct frame){.node = at};
    return ERR_OK;
}

static enum err on_event(struct reader *r, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(r, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(r, event, YAML_LIST);
    case YAML_MAPPING_START_EVENT:
        return on_open(r, event, YAML_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        CHECK(r->depth > 0);
        r->depth--;
        return ERR_OK;
    case YAML_ALIAS_EVENT:
        return fail_at(r, event->start_mark, "anchors and tags are not used in this file");
    case YAML_DOCUMENT_START_EVENT:
        return r->has_root ? fail_at(r, event->start_mark, "the file holds a second document")
                           : ERR_OK;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return ERR_OK;
    }
    UNREACHABLE("all events are listed");
}

static enum err read_events(struct reader *r)
{
    for (bool is_over = false; !is_over;) {
        yaml_event_t event;
        if (yaml_parser_parse(&r->parser, &event) == 0) {
            return fail_parser(r);
        }
        enum err e = on_event(r, &event);
        is_over = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        TRY(e);
    }
    return ERR_OK;
}

enum err yaml_parse(struct op *op, struct str file_name, struct str text,
                    struct yaml_node *ret_root)
{
    if (text.len > YAML_TEXT_BYTES_MAX) {
        return op_fail(op, ERR_LIMIT, "%.*s has more than %u bytes", STR_ARG(file_name),
                       YAML_TEXT_BYTES_MAX);
    }
    struct reader *r = ARENA_NEW(&op->arena, struct reader);
    struct yaml_node root = {.type = YAML_NULL, .line = 1, .column = 1};
    r->op = op;
    r->file_name = file_name;
    r->root = &root;
    CHECK(yaml_parser_initialize(&r->parser) == 1);
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)(text.len == 0 ? "" : text.ptr),
                                 text.len);
    enum err e = read_events(r);
    yaml_parser_delete(&r->parser);
    TRY(e);
    *ret_root = root;
    return ERR_OK;
}
