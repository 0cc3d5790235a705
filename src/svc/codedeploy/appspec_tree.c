/* Text to tree, by libyaml: JSON is YAML's flow style. Iterative, with a stack of known depth. */

#include "base/check.h"
#include "svc/codedeploy/appspec.h"
#include "svc/codedeploy/limits.h"

#include <yaml.h>

struct builder {
    struct op *op;
    yaml_parser_t parser;
    struct appspec_node *stack[APPSPEC_DEPTH_MAX];
    size_t depth;
    struct str key; /* read, its value not yet */
    bool has_key;
    struct appspec_node *root;
    size_t node_count;
    size_t document_count;
};

static enum err refuse(struct builder *b, const yaml_event_t *e, const char *what)
{
    return op_fail(b->op, ERR_INPUT, "line %zu: %s", e->start_mark.line + 1, what);
}

static enum err attach(struct builder *b, struct appspec_node *node)
{
    if (b->depth == 0) {
        b->root = node;
        return ERR_OK;
    }
    struct appspec_node *parent = b->stack[b->depth - 1];
    if (parent->kind == APPSPEC_MAP) {
        CHECK(b->has_key);
        node->key = b->key;
        b->has_key = false;
    }
    if (parent->last == NULL) {
        parent->first = node;
    } else {
        parent->last->next = node;
    }
    parent->last = node;
    return ERR_OK;
}

static enum err add_node(struct builder *b, const yaml_event_t *e, enum appspec_kind kind,
                         struct appspec_node **ret)
{
    if (b->node_count == APPSPEC_NODES_MAX) {
        return refuse(b, e, "the file has too many entries");
    }
    b->node_count++;
    struct appspec_node *node = ARENA_NEW(&b->op->arena, struct appspec_node);
    node->kind = kind;
    node->line = (int)e->start_mark.line + 1;
    TRY(attach(b, node));
    *ret = node;
    return ERR_OK;
}

static bool awaits_key(const struct builder *b)
{
    return b->depth > 0 && b->stack[b->depth - 1]->kind == APPSPEC_MAP && !b->has_key;
}

static bool is_null(const yaml_event_t *e, struct str text)
{
    bool is_plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return is_plain && (text.len == 0 || STR_IS(text, "~") || STR_IS(text, "null"));
}

static enum err take_scalar(struct builder *b, const yaml_event_t *e)
{
    if (e->data.scalar.anchor != NULL || e->data.scalar.tag != NULL) {
        return refuse(b, e, "anchors and tags are not supported");
    }
    struct str text = str_make((const char *)e->data.scalar.value, e->data.scalar.length);
    if (awaits_key(b)) {
        b->key = arena_str(&b->op->arena, text);
        b->has_key = true;
        return ERR_OK;
    }
    struct appspec_node *node = NULL;
    TRY(add_node(b, e, APPSPEC_SCALAR, &node));
    node->text = is_null(e, text) ? STR_NONE : arena_str(&b->op->arena, text);
    return ERR_OK;
}

static enum err open_container(struct builder *b, const yaml_event_t *e, enum appspec_kind kind)
{
    bool is_map = kind == APPSPEC_MAP;
    const yaml_char_t *anchor =
        is_map ? e->data.mapping_start.anchor : e->data.sequence_start.anchor;
    const yaml_char_t *tag = is_map ? e->data.mapping_start.tag : e->data.sequence_start.tag;
    if (anchor != NULL || tag != NULL) {
        return refuse(b, e, "anchors and tags are not supported");
    }
    if (awaits_key(b)) {
        return refuse(b, e, "a key must be a text");
    }
    if (b->depth == APPSPEC_DEPTH_MAX) {
        return refuse(b, e, "the file is nested too deeply");
    }
    struct appspec_node *node = NULL;
    TRY(add_node(b, e, kind, &node));
    b->stack[b->depth++] = node;
    return ERR_OK;
}

static enum err take_event(struct builder *b, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        b->document_count++;
        return b->document_count > 1 ? refuse(b, e, "a second document begins here") : ERR_OK;
    case YAML_ALIAS_EVENT:
        return refuse(b, e, "aliases are not supported");
    case YAML_SCALAR_EVENT:
        return take_scalar(b, e);
    case YAML_SEQUENCE_START_EVENT:
        return open_container(b, e, APPSPEC_LIST);
    case YAML_MAPPING_START_EVENT:
        return open_container(b, e, APPSPEC_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        CHECK(b->depth > 0);
        b->depth--;
        return ERR_OK;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
    default:
        return ERR_OK;
    }
}

static enum err read_all(struct builder *b)
{
    for (;;) {
        yaml_event_t e;
        if (yaml_parser_parse(&b->parser, &e) == 0) {
            const char *problem =
                b->parser.problem == NULL ? "it is neither YAML nor JSON" : b->parser.problem;
            return op_fail(b->op, ERR_INPUT, "line %zu: %s", b->parser.problem_mark.line + 1,
                           problem);
        }
        bool is_end = e.type == YAML_STREAM_END_EVENT;
        enum err taken = take_event(b, &e);
        yaml_event_delete(&e);
        TRY(taken);
        if (is_end) {
            return ERR_OK;
        }
    }
}

enum err appspec_tree(struct op *op, struct str text, struct appspec_node **ret_root)
{
    if (text.len > APPSPEC_BYTES_MAX) {
        return op_fail(op, ERR_INPUT, "the file has %zu bytes, the limit is %d", text.len,
                       APPSPEC_BYTES_MAX);
    }
    struct builder b = {.op = op};
    if (yaml_parser_initialize(&b.parser) == 0) {
        return op_fail(op, ERR_NO_SPACE, "no memory for the YAML parser");
    }
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)text.ptr, text.len);
    enum err e = read_all(&b);
    yaml_parser_delete(&b.parser);
    TRY(e);
    if (b.root == NULL) {
        return op_fail(op, ERR_INPUT, "the file is empty");
    }
    *ret_root = b.root;
    return ERR_OK;
}
