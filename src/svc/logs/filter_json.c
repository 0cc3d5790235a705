#include "base/check.h"
#include "codec/json.h"
#include "svc/logs/filter_parts.h"

/* ---- parsing --------------------------------------------------------------------------------- */

enum word { WORD_OR, WORD_AND, WORD_OPEN };

struct parser {
    struct op *op;
    struct str rest;
    struct logs_filter *filter;
    enum word stack[LOGS_FILTER_DEPTH_MAX * 2];
    size_t depth;
};

static void skip_spaces(struct parser *p)
{
    while (p->rest.len > 0 && (p->rest.ptr[0] == ' ' || p->rest.ptr[0] == '\t' ||
                               p->rest.ptr[0] == '\n' || p->rest.ptr[0] == '\r')) {
        p->rest = str_from(p->rest, 1);
    }
}

static bool take(struct parser *p, struct str token)
{
    skip_spaces(p);
    if (!str_starts_with(p->rest, token)) {
        return false;
    }
    p->rest = str_from(p->rest, token.len);
    return true;
}

static char first(const struct parser *p)
{
    return p->rest.len > 0 ? p->rest.ptr[0] : '\0';
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '@' || (unsigned char)c >= 0x80;
}

/* Letters, digits, _ and - */
static struct str take_name(struct parser *p)
{
    size_t end = 0;
    while (end < p->rest.len && is_name_char(p->rest.ptr[end])) {
        end++;
    }
    struct str name = str_slice(p->rest, 0, end);
    p->rest = str_from(p->rest, end);
    return name;
}

/* [3] or ["a key"] */
static enum err take_subscript(struct parser *p, struct logs_path_part *part)
{
    if (first(p) == '"') {
        TRY(logs_filter_quoted(p->op, &p->rest, &part->key));
    } else {
        struct str digits = take_name(p);
        if (!str_parse_u64(digits, UINT32_MAX, &part->index)) {
            return logs_filter_invalid(p->op);
        }
    }
    return take(p, STR("]")) ? ERR_OK : logs_filter_invalid(p->op);
}

/* .name or a subscript */
static enum err take_part(struct parser *p, struct logs_path_part *part)
{
    bool is_subscript = first(p) == '[';
    p->rest = str_from(p->rest, 1);
    if (is_subscript) {
        return take_subscript(p, part);
    }
    part->key = take_name(p);
    return part->key.len > 0 ? ERR_OK : logs_filter_invalid(p->op);
}

/* $.a.b[0] */
static enum err take_path(struct parser *p, struct logs_step *step)
{
    if (!take(p, STR("$"))) {
        return logs_filter_invalid(p->op);
    }
    while (first(p) == '.' || first(p) == '[') {
        if (step->path_count >= LOGS_FILTER_PATH_MAX) {
            return logs_filter_invalid(p->op);
        }
        TRY(take_part(p, &step->path[step->path_count++]));
    }
    return step->path_count > 0 ? ERR_OK : logs_filter_invalid(p->op);
}

static const struct {
    struct str text; /* longer ones first */
    enum logs_compare compare;
    bool takes_value;
} comparisons[] = {
    {STR_INIT("!="), LOGS_NOT_EQUAL, true},
    {STR_INIT("<="), LOGS_LESS_EQUAL, true},
    {STR_INIT(">="), LOGS_GREATER_EQUAL, true},
    {STR_INIT("="), LOGS_EQUAL, true},
    {STR_INIT("<"), LOGS_LESS, true},
    {STR_INIT(">"), LOGS_GREATER, true},
    {STR_INIT("IS NULL"), LOGS_IS_NULL, false},
    {STR_INIT("IS TRUE"), LOGS_IS_TRUE, false},
    {STR_INIT("IS FALSE"), LOGS_IS_FALSE, false},
    {STR_INIT("NOT EXISTS"), LOGS_NOT_EXISTS, false},
    {STR_INIT("EXISTS"), LOGS_EXISTS, false},
};

/* A quoted text, or anything up to a space, parenthesis, brace or operator. */
static enum err take_value(struct parser *p, struct logs_step *step)
{
    skip_spaces(p);
    if (first(p) == '"') {
        return logs_filter_quoted(p->op, &p->rest, &step->text);
    }
    size_t end = 0;
    while (end < p->rest.len && strchr(" \t\r\n(){}&|\"", p->rest.ptr[end]) == NULL) {
        end++;
    }
    step->text = str_slice(p->rest, 0, end);
    p->rest = str_from(p->rest, end);
    step->is_number = str_parse_f64(step->text, &step->number);
    return end > 0 && step->text.ptr[0] != '%' ? ERR_OK : logs_filter_invalid(p->op);
}

static enum err take_condition(struct parser *p)
{
    struct logs_step step = {.kind = LOGS_STEP_CONDITION};
    TRY(take_path(p, &step));
    size_t i = 0;
    while (i < ARRAY_COUNT(comparisons) && !take(p, comparisons[i].text)) {
        i++;
    }
    if (i == ARRAY_COUNT(comparisons)) {
        return logs_filter_invalid(p->op);
    }
    step.compare = comparisons[i].compare;
    if (comparisons[i].takes_value) {
        TRY(take_value(p, &step));
    }
    bool is_order = step.compare >= LOGS_LESS && step.compare <= LOGS_GREATER_EQUAL;
    if ((is_order && !step.is_number) || p->filter->steps.count >= 2 * LOGS_FILTER_TERMS_MAX) {
        return logs_filter_invalid(p->op);
    }
    *ARENA_PUSH(&p->op->arena, &p->filter->steps) = step;
    return ERR_OK;
}

static enum err push(struct parser *p, enum word word)
{
    if (p->depth >= ARRAY_COUNT(p->stack)) {
        return logs_filter_invalid(p->op);
    }
    p->stack[p->depth++] = word;
    return ERR_OK;
}

/* Moves out the operators on top that bind at least as tightly. */
static void pop_operators(struct parser *p, enum word loosest)
{
    while (p->depth > 0 && p->stack[p->depth - 1] != WORD_OPEN &&
           p->stack[p->depth - 1] >= loosest) {
        enum word word = p->stack[--p->depth];
        ARENA_PUSH(&p->op->arena, &p->filter->steps)->kind =
            word == WORD_AND ? LOGS_STEP_AND : LOGS_STEP_OR;
    }
}

/* What follows a condition. *ret_is_end: the closing brace came. */
static enum err after_condition(struct parser *p, bool *ret_is_end)
{
    *ret_is_end = false;
    while (take(p, STR(")"))) {
        pop_operators(p, WORD_OR);
        if (p->depth == 0) {
            return logs_filter_invalid(p->op);
        }
        p->depth--;
    }
    if (take(p, STR("&&"))) {
        pop_operators(p, WORD_AND);
        return push(p, WORD_AND);
    }
    if (take(p, STR("||"))) {
        pop_operators(p, WORD_OR);
        return push(p, WORD_OR);
    }
    *ret_is_end = take(p, STR("}"));
    return *ret_is_end ? ERR_OK : logs_filter_invalid(p->op);
}

static enum err take_opening(struct parser *p)
{
    while (take(p, STR("("))) {
        TRY(push(p, WORD_OPEN));
    }
    return ERR_OK;
}

enum err logs_filter_parse_json(struct op *op, struct str text, struct logs_filter *ret)
{
    struct parser p = {.op = op, .rest = str_from(text, 1), .filter = ret};
    bool is_end = false;
    while (!is_end) {
        TRY(take_opening(&p));
        TRY(take_condition(&p));
        TRY(after_condition(&p, &is_end));
    }
    pop_operators(&p, WORD_OR);
    skip_spaces(&p);
    return p.depth == 0 && p.rest.len == 0 ? ERR_OK : logs_filter_invalid(op);
}

/* ---- matching -------------------------------------------------------------------------------- */

/* Into the member of that name; false when there is none. */
static bool enter_member(struct json_reader *r, struct str name)
{
    struct str key = STR_NONE;
    json_enter_object(r);
    while (json_next_key(r, &key)) {
        if (str_equal(key, name)) {
            return true;
        }
        json_skip(r);
    }
    return false;
}

static bool enter_item(struct json_reader *r, uint64_t wanted)
{
    uint64_t index = 0;
    json_enter_array(r);
    while (json_next_item(r)) {
        if (index++ == wanted) {
            return true;
        }
        json_skip(r);
    }
    return false;
}

/* Moves the reader into the value that the path names; false when there is none. */
static bool find_value(struct json_reader *r, const struct logs_step *step)
{
    for (size_t i = 0; i < step->path_count; i++) {
        const struct logs_path_part *part = &step->path[i];
        bool is_member = str_is_set(part->key);
        if (json_peek(r) != (is_member ? JSON_OBJECT : JSON_ARRAY)) {
            return false;
        }
        bool is_found = is_member ? enter_member(r, part->key) : enter_item(r, part->index);
        if (!is_found) {
            return false;
        }
    }
    return json_peek(r) != JSON_NONE;
}

static bool compare_numbers(enum logs_compare compare, double value, double with)
{
    switch (compare) {
    case LOGS_EQUAL:
        return value == with;
    case LOGS_NOT_EQUAL:
        return value != with;
    case LOGS_LESS:
        return value < with;
    case LOGS_LESS_EQUAL:
        return value <= with;
    case LOGS_GREATER:
        return value > with;
    case LOGS_GREATER_EQUAL:
        return value >= with;
    case LOGS_IS_NULL:
    case LOGS_IS_TRUE:
    case LOGS_IS_FALSE:
    case LOGS_EXISTS:
    case LOGS_NOT_EXISTS:
        break;
    }
    return false;
}

static bool compare_value(struct json_reader *r, const struct logs_step *step)
{
    enum json_kind kind = json_peek(r);
    bool is_equality = step->compare == LOGS_EQUAL || step->compare == LOGS_NOT_EQUAL;
    if (kind == JSON_NUMBER && step->is_number) {
        double value = 0;
        return json_read_f64(r, &value) && compare_numbers(step->compare, value, step->number);
    }
    if (kind == JSON_STRING && is_equality) {
        struct str text = STR_NONE;
        return json_read_string(r, &text) &&
               str_match(step->text, text, false) == (step->compare == LOGS_EQUAL);
    }
    if (kind == JSON_BOOL && is_equality) {
        bool value = false;
        return json_read_bool(r, &value) &&
               str_equal(step->text, value ? STR("true") : STR("false")) ==
                   (step->compare == LOGS_EQUAL);
    }
    return false;
}

static bool condition_matches(const struct logs_step *step, struct str message,
                              struct arena *scratch)
{
    struct json_reader r = {0};
    json_reader_init(&r, scratch, message);
    bool is_there = find_value(&r, step);
    if (step->compare == LOGS_NOT_EXISTS) {
        return !is_there && r.error == NULL;
    }
    if (!is_there) {
        return false;
    }
    enum json_kind kind = json_peek(&r);
    bool value = false;
    if (step->compare == LOGS_IS_NULL || step->compare == LOGS_EXISTS) {
        return step->compare == LOGS_EXISTS || kind == JSON_NULL;
    }
    if (step->compare == LOGS_IS_TRUE || step->compare == LOGS_IS_FALSE) {
        return kind == JSON_BOOL && json_read_bool(&r, &value) &&
               value == (step->compare == LOGS_IS_TRUE);
    }
    return compare_value(&r, step);
}

bool logs_filter_json_matches(const struct logs_filter *filter, struct str message,
                              struct arena *scratch)
{
    struct str text = str_trim(message);
    if (text.len == 0 || text.ptr[0] != '{') {
        return false;
    }
    bool stack[LOGS_FILTER_TERMS_MAX * 2 + 1] = {false};
    size_t count = 0;
    for (size_t i = 0; i < filter->steps.count; i++) {
        const struct logs_step *step = &filter->steps.items[i];
        if (step->kind == LOGS_STEP_CONDITION) {
            stack[count++] = condition_matches(step, text, scratch);
            continue;
        }
        CHECK(count >= 2);
        count--;
        stack[count - 1] = step->kind == LOGS_STEP_AND ? stack[count - 1] && stack[count]
                                                       : stack[count - 1] || stack[count];
    }
    CHECK(count == 1);
    return stack[0];
}
