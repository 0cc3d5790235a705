#include "base/check.h"
#include "codec/utf8.h"
#include "shape/slot.h"
#include "shape/source.h"

#include <math.h>

#define VALUE_TEXT_BYTES_MAX 128 /* of a refused value in a message */

/* One step of the path from the top to where we are. */
struct step {
    struct str name; /* of a member or a map's key; absent: an item */
    size_t index;    /* of the item, from 0 */
    bool is_sensitive;
};

struct walk {
    struct op *op;
    struct shape_source *src;
    bool is_strict;
    bool refuses_unknown;
    bool is_past_limit;
    const char *limit_text;
    size_t bytes_before; /* the arena's, when we began */
    struct shape_findings *findings;
    size_t depth;
    struct step steps[SHAPE_DEPTH_MAX];
};

static bool decode_value(struct walk *w, const struct shape *shape, char *slot);

bool shape_time_of_seconds(double seconds, wall_t *ret_time)
{
    /* years 0000 to 9999 */
    if (!(seconds >= -62167219200.0 && seconds < 253402300800.0)) {
        return false;
    }
    *ret_time = wall_from_seconds(seconds);
    return true;
}

bool shape_special_f64(struct str text, double *ret_value)
{
    if (STR_IS(text, "NaN")) {
        *ret_value = (double)NAN;
    } else if (STR_IS(text, "Infinity")) {
        *ret_value = (double)INFINITY;
    } else if (STR_IS(text, "-Infinity")) {
        *ret_value = (double)-INFINITY;
    } else {
        return false;
    }
    return true;
}

/* ---- findings ------------------------------------------------------------------------------- */

static struct str path_text(const struct walk *w)
{
    struct arena *a = &w->op->arena;
    struct str path = STR("");
    for (size_t i = 0; i < w->depth; i++) {
        const struct step *s = &w->steps[i];
        path = str_is_set(s->name) ? arena_printf(a, "%.*s%s%.*s", STR_ARG(path), i == 0 ? "" : ".",
                                                  STR_ARG(s->name))
                                   : arena_printf(a, "%.*s[%zu]", STR_ARG(path), s->index);
    }
    return path;
}

/* AWS's validation messages write member names with a small first letter and items from 1. */
static struct str coral_path_text(const struct walk *w)
{
    struct arena *a = &w->op->arena;
    struct str path = STR("");
    for (size_t i = 0; i < w->depth; i++) {
        const struct step *s = &w->steps[i];
        const char *dot = i == 0 ? "" : ".";
        if (!str_is_set(s->name)) {
            path = arena_printf(a, "%.*s%s%zu.member", STR_ARG(path), dot, s->index + 1);
        } else if (s->name.len > 0) {
            char first = str_lower_char(s->name.ptr[0]);
            struct str rest = str_from(s->name, 1);
            path = arena_printf(a, "%.*s%s%c%.*s", STR_ARG(path), dot, first, STR_ARG(rest));
        }
    }
    return path;
}

static struct shape_finding *find_fault(struct walk *w, enum shape_fault fault,
                                        const struct shape *shape, struct str value)
{
    struct shape_findings *f = w->findings;
    f->total_count++;
    if (f->count == SHAPE_FINDINGS_MAX) {
        return &f->items[SHAPE_FINDINGS_MAX - 1];
    }
    struct shape_finding *one = &f->items[f->count++];
    bool is_sensitive = false;
    struct str member = STR("");
    for (size_t i = 0; i < w->depth; i++) {
        is_sensitive = is_sensitive || w->steps[i].is_sensitive;
        member = str_is_set(w->steps[i].name) ? w->steps[i].name : member;
    }
    value = value.len > VALUE_TEXT_BYTES_MAX
                ? arena_printf(&w->op->arena, "%.*s...", VALUE_TEXT_BYTES_MAX, value.ptr)
                : value;
    *one = (struct shape_finding){.fault = fault,
                                  .member = member,
                                  .path = path_text(w),
                                  .coral_path = coral_path_text(w),
                                  .value = is_sensitive ? STR_NONE : value,
                                  .shape = shape};
    return one;
}

static bool past_limit(struct walk *w, const char *text)
{
    w->is_past_limit = true;
    w->limit_text = text;
    return false;
}

static bool push(struct walk *w, struct step step)
{
    if (w->depth == SHAPE_DEPTH_MAX) {
        return past_limit(w, "is nested too deeply");
    }
    w->steps[w->depth++] = step;
    return true;
}

/* A read failed: a finding when the type is wrong, else the source knows why. Always false. */
static bool refuse_type(struct walk *w, const struct shape *shape, const char *wanted)
{
    if (w->src->found != NULL) {
        struct shape_finding *f = find_fault(w, SHAPE_FAULT_MISTYPED, shape, STR_NONE);
        f->wanted = wanted;
        f->found = w->src->found;
        w->src->found = NULL;
    }
    return false;
}

static void check_length(struct walk *w, const struct shape *shape, size_t length, struct str value)
{
    if (!w->is_strict) {
        return;
    }
    if (shape->has_min && (double)length < shape->min) {
        (void)find_fault(w, SHAPE_FAULT_TOO_SHORT, shape, value); /* nothing to add to it */
    } else if (shape->has_max && (double)length > shape->max) {
        (void)find_fault(w, SHAPE_FAULT_TOO_LONG, shape, value);
    }
}

static void check_number(struct walk *w, const struct shape *shape, double value)
{
    bool is_low = shape->has_min && value < shape->min;
    bool is_high = shape->has_max && value > shape->max;
    if (w->is_strict && (is_low || is_high)) {
        struct str text = arena_printf(&w->op->arena, "%.15g", value);
        (void)find_fault(w, is_low ? SHAPE_FAULT_TOO_SMALL : SHAPE_FAULT_TOO_LARGE, shape, text);
    }
}

/* ---- scalars -------------------------------------------------------------------------------- */

static bool decode_text(struct walk *w, const struct shape *shape, char *slot)
{
    struct str text;
    if (!w->src->ops->read_text(w->src, &text)) {
        return refuse_type(w, shape, "a text");
    }
    if (w->is_strict && (shape->has_min || shape->has_max)) {
        /* most texts are so short in bytes that their characters need no counting */
        bool is_surely_fine = !shape->has_min && (double)text.len <= shape->max;
        check_length(w, shape, is_surely_fine ? text.len : utf8_count(text), text);
    }
    *SLOT(struct str, slot) = text;
    return true;
}

static bool decode_blob(struct walk *w, const struct shape *shape, char *slot)
{
    struct str bytes;
    if (!w->src->ops->read_blob(w->src, &bytes)) {
        return refuse_type(w, shape, "a blob");
    }
    check_length(w, shape, bytes.len, STR("(blob)"));
    *SLOT(struct str, slot) = bytes;
    return true;
}

static bool decode_bool(struct walk *w, const struct shape *shape, char *slot)
{
    bool value;
    if (!w->src->ops->read_bool(w->src, &value)) {
        return refuse_type(w, shape, "true or false");
    }
    *SLOT(struct opt_bool, slot) = OPT_BOOL(value);
    return true;
}

static bool decode_whole(struct walk *w, const struct shape *shape, char *slot)
{
    int64_t value;
    bool is_long = shape->type == SHAPE_LONG;
    if (!w->src->ops->read_i64(w->src, &value)) {
        return refuse_type(w, shape, "a whole number");
    }
    if (!is_long && (value < INT32_MIN || value > INT32_MAX)) {
        w->src->found = "a number past 32 bits";
        return refuse_type(w, shape, "a whole number");
    }
    check_number(w, shape, (double)value);
    if (is_long) {
        *SLOT(struct opt_i64, slot) = OPT_I64(value);
    } else {
        *SLOT(struct opt_i32, slot) = OPT_I32((int32_t)value);
    }
    return true;
}

static bool decode_f64(struct walk *w, const struct shape *shape, char *slot)
{
    double value;
    if (!w->src->ops->read_f64(w->src, &value)) {
        return refuse_type(w, shape, "a number");
    }
    check_number(w, shape, value);
    *SLOT(struct opt_f64, slot) = OPT_F64(value);
    return true;
}

static bool decode_time(struct walk *w, const struct shape *shape, char *slot)
{
    wall_t value;
    if (!w->src->ops->read_time(w->src, shape->time_format, &value)) {
        return refuse_type(w, shape, "a timestamp");
    }
    *SLOT(struct opt_time, slot) = OPT_TIME(value);
    return true;
}

static void set_enum(struct walk *w, const struct shape *shape, struct str text, char *slot)
{
    int value = shape_enum_value(shape, text);
    if (value == 0 && w->is_strict) {
        (void)find_fault(w, SHAPE_FAULT_ENUM, shape, text); /* nothing to add to it */
    }
    *SLOT(int, slot) = value;
}

static bool decode_enum(struct walk *w, const struct shape *shape, char *slot)
{
    struct str text;
    if (!w->src->ops->read_text(w->src, &text)) {
        return refuse_type(w, shape, "a text");
    }
    set_enum(w, shape, text, slot);
    return true;
}

/* ---- containers ----------------------------------------------------------------------------- */

/* Room for one more item. */
static char *grow(struct walk *w, struct slot_list *list, size_t step, size_t items_max)
{
    if (list->count >= items_max) {
        (void)past_limit(w, "has too many items");
        return NULL;
    }
    if ((list->count & (list->count - 1)) == 0) {
        size_t room = list->count == 0 ? 1 : list->count * 2;
        if (w->op->arena.total_bytes - w->bytes_before + room * step > SHAPE_DECODE_BYTES_MAX) {
            (void)past_limit(w, "takes too much memory");
            return NULL;
        }
        list->items = arena_grow(&w->op->arena, list->items, list->count, room, step);
    }
    return list->items + step * list->count++;
}

/* NOLINTNEXTLINE(misc-no-recursion): push() bounds the depth */
static bool decode_item(struct walk *w, const struct shape *shape, struct slot_list *list)
{
    if (!push(w, (struct step){.index = list->count})) {
        return false;
    }
    char *item = grow(w, list, shape->item->bytes, SHAPE_ITEMS_MAX);
    if (item == NULL) {
        return false;
    }
    if (w->src->ops->take_null(w->src)) {
        list->count--; /* AWS drops nulls from lists */
    } else if (!decode_value(w, shape->item, item)) {
        return false;
    }
    w->depth--;
    return true;
}

/* NOLINTNEXTLINE(misc-no-recursion): push() bounds the depth */
static bool decode_list(struct walk *w, const struct shape *shape, char *slot)
{
    struct slot_list *list = SLOT(struct slot_list, slot);
    if (w->src->names == SHAPE_NAMES_XML && shape->is_flattened) {
        list->is_set = true; /* each item is an element of the same name */
        return decode_item(w, shape, list);
    }
    *list = (struct slot_list){.is_set = true};
    if (!w->src->ops->enter_list(w->src, shape)) {
        return refuse_type(w, shape, "a list");
    }
    while (w->src->ops->next_item(w->src)) {
        if (!decode_item(w, shape, list)) {
            return false;
        }
    }
    if (w->is_strict && (shape->has_min || shape->has_max)) {
        struct str text = arena_printf(&w->op->arena, "[%zu items]", list->count);
        check_length(w, shape, list->count, text);
    }
    return !w->src->ops->is_broken(w->src);
}

/* The entry of that key, for the last of equal keys to win; else a new one. */
static char *entry_of(struct walk *w, const struct shape *shape, struct slot_list *map,
                      struct str key)
{
    for (size_t i = 0; shape->key->type != SHAPE_ENUM && i < map->count; i++) {
        char *entry = map->items + i * shape->entry_bytes;
        if (str_equal(*SLOT_CONST(struct str, entry), key)) {
            memset(entry, 0, shape->entry_bytes);
            return entry;
        }
    }
    return grow(w, map, shape->entry_bytes, SHAPE_ENTRIES_MAX);
}

/* NOLINTNEXTLINE(misc-no-recursion): push() bounds the depth */
static bool decode_entry(struct walk *w, const struct shape *shape, struct slot_list *map,
                         struct str key)
{
    if (!push(w, (struct step){.name = key})) {
        return false;
    }
    char *entry = entry_of(w, shape, map, key);
    if (entry == NULL) {
        return false;
    }
    if (shape->key->type == SHAPE_ENUM) {
        set_enum(w, shape->key, key, entry);
    } else {
        check_length(w, shape->key, utf8_count(key), key);
        *SLOT(struct str, entry) = key;
    }
    if (!w->src->ops->take_null(w->src) &&
        !decode_value(w, shape->item, entry + shape->value_offset)) {
        return false;
    }
    w->depth--;
    return true;
}

/* NOLINTNEXTLINE(misc-no-recursion): push() bounds the depth */
static bool decode_map(struct walk *w, const struct shape *shape, char *slot)
{
    struct slot_list *map = SLOT(struct slot_list, slot);
    struct str key;
    *map = (struct slot_list){.is_set = true};
    if (!w->src->ops->enter_map(w->src, shape)) {
        return refuse_type(w, shape, "a map");
    }
    while (w->src->ops->next_entry(w->src, &key)) {
        if (!decode_entry(w, shape, map, key)) {
            return false;
        }
    }
    if (w->is_strict && (shape->has_min || shape->has_max)) {
        struct str text = arena_printf(&w->op->arena, "{%zu entries}", map->count);
        check_length(w, shape, map->count, text);
    }
    return !w->src->ops->is_broken(w->src);
}

static const char *member_name(const struct shape_member *m, enum shape_names names)
{
    return names == SHAPE_NAMES_WIRE    ? m->name
           : names == SHAPE_NAMES_QUERY ? m->query_name
                                        : m->xml_name;
}

/* Clients mostly send members in the model's order: begins behind the one found last. */
static const struct shape_member *find_member(const struct shape *shape, enum shape_names names,
                                              struct str name, size_t *next)
{
    for (size_t i = 0; i < shape->member_count; i++) {
        size_t at = *next + i;
        at = at >= shape->member_count ? at - shape->member_count : at;
        const char *known = member_name(&shape->members[at], names);
        if (str_equal(name, str_of(known))) {
            *next = at + 1 == shape->member_count ? 0 : at + 1;
            return &shape->members[at];
        }
    }
    return NULL;
}

/* NOLINTNEXTLINE(misc-no-recursion): push() bounds the depth */
static bool decode_member(struct walk *w, const struct shape_member *m, char *structure)
{
    char *slot = structure + m->offset;
    struct step step = {.name = str_of(m->name), .is_sensitive = (m->flags & SHAPE_SENSITIVE) != 0};
    if (!push(w, step)) {
        return false;
    }
    bool is_repeated = w->src->names == SHAPE_NAMES_XML && m->shape->is_flattened;
    if (!is_repeated) {
        memset(slot, 0, slot_bytes(m->shape)); /* of equal names the last one counts */
    }
    bool is_null = w->src->ops->take_null(w->src);
    if (!is_null && m->shape->type == SHAPE_STRUCT) {
        char *inner = arena_alloc(&w->op->arena, m->shape->bytes);
        *SLOT(char *, slot) = inner;
        slot = inner;
    }
    if (!is_null && !decode_value(w, m->shape, slot)) {
        return false;
    }
    w->depth--;
    return true;
}

static bool skip_unknown(struct walk *w, struct str name)
{
    if (w->refuses_unknown) {
        if (!push(w, (struct step){.name = name})) {
            return false;
        }
        (void)find_fault(w, SHAPE_FAULT_UNKNOWN, NULL, STR_NONE); /* nothing to add to it */
        w->depth--;
    }
    return w->src->ops->skip(w->src);
}

static void check_required(struct walk *w, const struct shape *shape, const char *structure)
{
    for (size_t i = 0; i < shape->member_count; i++) {
        const struct shape_member *m = &shape->members[i];
        if ((m->flags & SHAPE_REQUIRED) == 0 || slot_is_set(m->shape, structure + m->offset) ||
            !push(w, (struct step){.name = str_of(m->name)})) {
            continue;
        }
        bool is_told = false; /* an enumeration's bad value leaves the slot unset as well */
        struct str path = path_text(w);
        for (size_t f = 0; f < w->findings->count; f++) {
            is_told = is_told || str_equal(w->findings->items[f].path, path);
        }
        if (!is_told) {
            (void)find_fault(w, SHAPE_FAULT_MISSING, m->shape, STR_NONE); /* nothing to add */
        }
        w->depth--;
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): push() bounds the depth */
static bool decode_struct(struct walk *w, const struct shape *shape, char *structure)
{
    struct str name;
    size_t next = 0;
    if (!w->src->ops->enter_struct(w->src)) {
        return refuse_type(w, shape, "a structure");
    }
    while (w->src->ops->next_member(w->src, &name)) {
        const struct shape_member *m = find_member(shape, w->src->names, name, &next);
        bool goes_on = m != NULL ? decode_member(w, m, structure) : skip_unknown(w, name);
        if (!goes_on) {
            return false;
        }
    }
    if (w->src->ops->is_broken(w->src)) {
        return false;
    }
    if (w->is_strict) {
        check_required(w, shape, structure);
    }
    return true;
}

/* NOLINTNEXTLINE(misc-no-recursion): push() bounds the depth */
static bool decode_value(struct walk *w, const struct shape *shape, char *slot)
{
    switch (shape->type) {
    case SHAPE_STRING:
        return decode_text(w, shape, slot);
    case SHAPE_BLOB:
        return decode_blob(w, shape, slot);
    case SHAPE_BOOLEAN:
        return decode_bool(w, shape, slot);
    case SHAPE_INTEGER:
    case SHAPE_LONG:
        return decode_whole(w, shape, slot);
    case SHAPE_FLOAT:
    case SHAPE_DOUBLE:
        return decode_f64(w, shape, slot);
    case SHAPE_TIMESTAMP:
        return decode_time(w, shape, slot);
    case SHAPE_ENUM:
        return decode_enum(w, shape, slot);
    case SHAPE_LIST:
        return decode_list(w, shape, slot);
    case SHAPE_MAP:
        return decode_map(w, shape, slot);
    case SHAPE_STRUCT:
        return decode_struct(w, shape, slot);
    }
    UNREACHABLE("every type is decoded");
}

enum err shape_decode(struct op *op, const struct shape *shape, struct shape_source *src,
                      enum shape_strictness strictness, struct shape_findings *findings, void *ret)
{
    CHECK(shape->type == SHAPE_STRUCT);
    struct shape_findings own;
    /* the steps are written as they are pushed */
    struct walk w;
    w.op = op;
    w.src = src;
    w.is_strict = strictness != SHAPE_LENIENT;
    w.refuses_unknown = strictness == SHAPE_STRICT;
    w.is_past_limit = false;
    w.limit_text = NULL;
    w.bytes_before = op->arena.total_bytes;
    w.findings = findings != NULL ? findings : &own;
    w.findings->count = 0;
    w.findings->total_count = 0;
    w.depth = 0;
    memset(ret, 0, shape->bytes);

    bool is_whole = decode_struct(&w, shape, ret);
    if (w.is_past_limit) {
        w.findings->count = 0;
        struct str path = path_text(&w);
        return op_fail(op, ERR_LIMIT, "\"%.*s\" %s", STR_ARG(path), w.limit_text);
    }
    if (is_whole || w.findings->count == 0 || src->ops->is_broken(src)) {
        enum err e = src->ops->finish(src, op);
        if (e != ERR_OK) {
            w.findings->count = 0;
            return e;
        }
    }
    if (w.findings->count > 0) {
        struct str text = shape_finding_text(&op->arena, &w.findings->items[0]);
        return op_fail(op, ERR_INPUT, "%.*s", STR_ARG(text));
    }
    CHECK(is_whole);
    return ERR_OK;
}

const struct shape_member *shape_member_find(const struct shape *shape, struct str name)
{
    size_t next = 0;
    return find_member(shape, SHAPE_NAMES_WIRE, name, &next);
}

bool shape_member_is_set(const struct shape_member *member, const void *value)
{
    return slot_is_set(member->shape, SLOT_CONST(char, value) + member->offset);
}
