#include "base/check.h"
#include "codec/base64.h"
#include "shape/source.h"

#include <stdlib.h>

/* The parameters of a query request, cut at their dots, as a tree. "Tags.member.1.Key=a" becomes
 * Tags -> member -> 1 -> Key = "a". */
struct query_node {
    struct str name;  /* between two dots */
    struct str value; /* absent when there are only children */
    struct query_node *child;
    struct query_node *last_child;
    struct query_node *sibling;
    uint64_t number; /* of the name, for the items of lists */
};

/* A container that is being read. */
struct query_level {
    struct query_node *next;   /* members of a structure: the one that comes next */
    struct query_node **items; /* lists and maps: in the order of their numbers */
    size_t item_count;
    size_t item_at;
};

struct query_source {
    struct shape_source base;
    struct op *op;
    bool is_ec2;
    const char *error;
    struct query_node *at; /* the value that comes */
    size_t depth;
    struct query_level levels[SHAPE_DEPTH_MAX];
};

static struct query_source *source_of(struct shape_source *src)
{
    return CONTAINER_OF(src, struct query_source, base);
}

/* ---- the tree ------------------------------------------------------------------------------- */

/* Bytewise, but '.' before every other byte: a parameter then stands right before those below it.
 */
static int compare_names(const void *left, const void *right)
{
    struct str a = ((const struct url_pair *)left)->name;
    struct str b = ((const struct url_pair *)right)->name;
    size_t common = a.len < b.len ? a.len : b.len;
    for (size_t i = 0; i < common; i++) {
        int x = a.ptr[i] == '.' ? -1 : (uint8_t)a.ptr[i];
        int y = b.ptr[i] == '.' ? -1 : (uint8_t)b.ptr[i];
        if (x != y) {
            return x - y;
        }
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

static struct query_node *child_of(struct arena *a, struct query_node *parent, struct str name)
{
    if (parent->last_child != NULL && str_equal(parent->last_child->name, name)) {
        return parent->last_child;
    }
    struct query_node *node = ARENA_NEW(a, struct query_node);
    node->name = name;
    if (parent->last_child == NULL) {
        parent->child = node;
    } else {
        parent->last_child->sibling = node;
    }
    parent->last_child = node;
    return node;
}

/* What is addressed to the protocol and not to the operation. */
static bool is_envelope(struct str name)
{
    return STR_IS(name, "Action") || STR_IS(name, "Version") ||
           str_starts_with(name, STR("X-Amz-"));
}

static enum err build_tree(struct op *op, const struct url_form *form, struct query_node *root)
{
    struct url_pair *sorted = ARENA_ARRAY(&op->arena, struct url_pair, form->count);
    if (form->count > 0) {
        memcpy(sorted, form->items, form->count * sizeof(*sorted));
        qsort(sorted, form->count, sizeof(*sorted), compare_names);
    }
    for (size_t i = 0; i < form->count; i++) {
        if (is_envelope(sorted[i].name)) {
            continue;
        }
        struct query_node *node = root;
        struct str rest = sorted[i].name;
        struct str part;
        size_t depth = 0;
        while (str_next(&rest, '.', &part)) {
            if (++depth >= SHAPE_DEPTH_MAX) {
                return op_fail(op, ERR_LIMIT, "parameter %zu has more than %d parts", i,
                               SHAPE_DEPTH_MAX);
            }
            node = child_of(&op->arena, node, part);
        }
        node->value = sorted[i].value;
    }
    return ERR_OK;
}

/* ---- containers ----------------------------------------------------------------------------- */

static bool refuse(struct query_source *s, const char *found)
{
    s->base.found = found;
    return false;
}

/* "Name=" alone: an empty structure, list or map. */
static bool is_empty_value(const struct query_node *node)
{
    return node->child == NULL && str_is_set(node->value) && node->value.len == 0;
}

static bool push_level(struct query_source *s, struct query_level level)
{
    if (s->depth == SHAPE_DEPTH_MAX) {
        s->error = "nested too deeply";
        return false;
    }
    s->levels[s->depth++] = level;
    return true;
}

static bool take_null(struct shape_source *src)
{
    (void)src; /* a query request has no nulls */
    return false;
}

static bool enter_struct(struct shape_source *src)
{
    struct query_source *s = source_of(src);
    bool is_root = s->depth == 0;
    if (!is_root && s->at->child == NULL && !is_empty_value(s->at)) {
        return refuse(s, "a text");
    }
    return push_level(s, (struct query_level){.next = s->at->child});
}

static bool next_member(struct shape_source *src, struct str *ret_name)
{
    struct query_source *s = source_of(src);
    struct query_level *level = &s->levels[s->depth - 1];
    if (level->next == NULL || s->error != NULL) {
        s->depth -= s->error == NULL;
        return false;
    }
    s->at = level->next;
    level->next = s->at->sibling;
    *ret_name = s->at->name;
    return true;
}

static int compare_numbers(const void *left, const void *right)
{
    uint64_t a = (*(struct query_node *const *)left)->number;
    uint64_t b = (*(struct query_node *const *)right)->number;
    return a < b ? -1 : a > b;
}

/* The node's numbered children, in their order; a gap is no mistake, as with AWS. */
static bool push_items(struct query_source *s, struct query_node *holder)
{
    struct query_level level = {0};
    for (struct query_node *n = holder->child; n != NULL; n = n->sibling) {
        level.item_count++;
    }
    level.items = ARENA_ARRAY(&s->op->arena, struct query_node *, level.item_count);
    size_t count = 0;
    for (struct query_node *n = holder->child; n != NULL; n = n->sibling) {
        if (!str_parse_u64(n->name, UINT32_MAX, &n->number)) {
            return refuse(s, "a structure");
        }
        level.items[count++] = n;
    }
    if (count > 0) {
        qsort(level.items, count, sizeof(struct query_node *), compare_numbers);
    }
    return push_level(s, level);
}

/* The child that holds the numbered ones: "member" in "Tags.member.1". */
static struct query_node *holder_of(struct query_source *s, const struct shape *shape)
{
    struct query_node *only = s->at->child;
    bool is_flat = shape->is_flattened || s->is_ec2;
    if (is_flat || only == NULL || only->sibling != NULL) {
        return s->at;
    }
    bool is_named = str_equal(only->name, str_of(shape->item_name)) ||
                    STR_IS(only->name, "member") || STR_IS(only->name, "entry");
    return is_named ? only : s->at;
}

static bool enter_list(struct shape_source *src, const struct shape *shape)
{
    struct query_source *s = source_of(src);
    if (s->at->child == NULL && !is_empty_value(s->at)) {
        return refuse(s, "a text");
    }
    return push_items(s, holder_of(s, shape));
}

static bool next_item(struct shape_source *src)
{
    struct query_source *s = source_of(src);
    struct query_level *level = &s->levels[s->depth - 1];
    if (level->item_at == level->item_count || s->error != NULL) {
        s->depth -= s->error == NULL;
        return false;
    }
    s->at = level->items[level->item_at++];
    return true;
}

static bool next_entry(struct shape_source *src, struct str *ret_key)
{
    struct query_source *s = source_of(src);
    if (!next_item(src)) {
        return false;
    }
    struct query_node *key = NULL;
    struct query_node *value = NULL;
    for (struct query_node *n = s->at->child; n != NULL; n = n->sibling) {
        if (STR_IS(n->name, "key") || STR_IS(n->name, "Name")) {
            key = n;
        } else if (STR_IS(n->name, "value") || STR_IS(n->name, "Value")) {
            value = n;
        }
    }
    if (key == NULL || value == NULL || !str_is_set(key->value)) {
        s->error = "a map's entry without key or value";
        return false;
    }
    s->at = value;
    *ret_key = key->value;
    return true;
}

/* ---- scalars -------------------------------------------------------------------------------- */

static bool read_text(struct shape_source *src, struct str *ret_text)
{
    struct query_source *s = source_of(src);
    if (s->at->child != NULL) {
        return refuse(s, "a structure or a list");
    }
    CHECK(str_is_set(s->at->value)); /* every node has children or a value */
    *ret_text = s->at->value;
    return true;
}

static bool read_blob(struct shape_source *src, struct str *ret_bytes)
{
    struct query_source *s = source_of(src);
    struct str text;
    return read_text(src, &text) && (base64_decode(&s->op->arena, text, ret_bytes) ||
                                     refuse(s, "a text that is not base64"));
}

static bool read_bool(struct shape_source *src, bool *ret_value)
{
    struct str text;
    if (!read_text(src, &text)) {
        return false;
    }
    bool is_true = str_equal_nocase(text, STR("true")) || STR_IS(text, "1");
    if (!is_true && !str_equal_nocase(text, STR("false")) && !STR_IS(text, "0")) {
        return refuse(source_of(src), "another text");
    }
    *ret_value = is_true;
    return true;
}

static bool read_i64(struct shape_source *src, int64_t *ret_value)
{
    struct str text;
    return read_text(src, &text) && (str_parse_i64(text, INT64_MIN, INT64_MAX, ret_value) ||
                                     refuse(source_of(src), "another text"));
}

static bool read_f64(struct shape_source *src, double *ret_value)
{
    struct str text;
    return read_text(src, &text) &&
           (str_parse_f64(text, ret_value) || shape_special_f64(text, ret_value) ||
            refuse(source_of(src), "another text"));
}

static bool read_time(struct shape_source *src, enum shape_time_format format, wall_t *ret_time)
{
    struct str text;
    double seconds;
    if (!read_text(src, &text)) {
        return false;
    }
    bool is_right = format == SHAPE_TIME_EPOCH
                        ? str_parse_f64(text, &seconds) && shape_time_of_seconds(seconds, ret_time)
                        : wall_parse(text, ret_time);
    return is_right || refuse(source_of(src), "another text");
}

static bool skip(struct shape_source *src)
{
    (void)src; /* next_member has moved on already */
    return true;
}

static bool is_broken(struct shape_source *src)
{
    return source_of(src)->error != NULL;
}

static enum err finish(struct shape_source *src, struct op *op)
{
    const char *error = source_of(src)->error;
    return error == NULL ? ERR_OK : op_fail(op, ERR_INPUT, "the request's parameters: %s", error);
}

static const struct shape_source_ops query_ops = {
    .take_null = take_null,
    .enter_struct = enter_struct,
    .next_member = next_member,
    .enter_list = enter_list,
    .next_item = next_item,
    .enter_map = enter_list,
    .next_entry = next_entry,
    .read_text = read_text,
    .read_blob = read_blob,
    .read_bool = read_bool,
    .read_i64 = read_i64,
    .read_f64 = read_f64,
    .read_time = read_time,
    .skip = skip,
    .is_broken = is_broken,
    .finish = finish,
};

enum err shape_query_decode(struct op *op, const struct shape *shape, const struct url_form *form,
                            enum shape_query_dialect dialect, enum shape_strictness strictness,
                            struct shape_findings *findings, void *ret)
{
    struct query_node root = {0};
    if (findings != NULL) {
        findings->count = 0;
    }
    TRY(build_tree(op, form, &root));
    struct query_source s;
    s.base = (struct shape_source){.ops = &query_ops, .names = SHAPE_NAMES_QUERY};
    s.op = op;
    s.is_ec2 = dialect == SHAPE_QUERY_EC2;
    s.error = NULL;
    s.at = &root;
    s.depth = 0;
    return shape_decode(op, shape, &s.base, strictness, findings, ret);
}
