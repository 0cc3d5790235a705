#include "svc/cloudwatch/search.h"

#include "base/check.h"
#include "svc/cloudwatch/errors.h"
#include "svc/cloudwatch/limits.h"

#define TOKENS_MAX 64 /* tokens of one name or term; more are not looked at */

/* ---- parsing --------------------------------------------------------------------------------- */

enum word_kind { WORD_END, WORD_TERM, WORD_NOT, WORD_AND, WORD_OR, WORD_OPEN, WORD_CLOSE };

struct parser {
    struct op *op;
    struct str text;
    size_t at;
    struct cw_search search;
    enum word_kind stack[CW_SEARCH_DEPTH_MAX * 3];
    size_t depth;
};

static enum err syntax_error(const struct parser *p)
{
    return CW_INVALID(p->op, "Error in SEARCH expression: Syntax error at position %zu.",
                      p->at + 1);
}

static char char_at(const struct parser *p)
{
    return p->at < p->text.len ? p->text.ptr[p->at] : '\0';
}

static void skip_spaces(struct parser *p)
{
    while (char_at(p) == ' ' || char_at(p) == '\t' || char_at(p) == '\n' || char_at(p) == '\r') {
        p->at++;
    }
}

/* "..." with backslash escapes */
static enum err take_quoted(struct parser *p, struct str *ret)
{
    char *text = arena_alloc(&p->op->arena, p->text.len + 1);
    size_t len = 0;
    for (p->at++; p->at < p->text.len && char_at(p) != '"'; p->at++) {
        if (char_at(p) == '\\' && p->at + 1 < p->text.len) {
            p->at++;
        }
        text[len++] = char_at(p);
    }
    if (p->at >= p->text.len) {
        return syntax_error(p);
    }
    p->at++;
    *ret = str_make(text, len);
    return ERR_OK;
}

static enum err take_plain(struct parser *p, const char *stops, struct str *ret)
{
    size_t from = p->at;
    while (p->at < p->text.len && strchr(stops, char_at(p)) == NULL) {
        p->at++;
    }
    if (p->at == from) {
        return syntax_error(p);
    }
    *ret = str_slice(p->text, from, p->at);
    return ERR_OK;
}

/* {Namespace, Dim, "Dim 2"} and an optional comma */
static enum err take_schema(struct parser *p)
{
    struct {
        struct str *items;
        size_t count;
    } names = {0};
    do {
        struct str name = STR_NONE;
        p->at++;
        skip_spaces(p);
        TRY(char_at(p) == '"' ? take_quoted(p, &name) : take_plain(p, ",}\"", &name));
        skip_spaces(p);
        if (names.count > CW_DIMENSIONS_MAX) {
            return syntax_error(p);
        }
        *ARENA_PUSH(&p->op->arena, &names) = str_trim(name);
    } while (char_at(p) == ',');
    if (char_at(p) != '}') {
        return syntax_error(p);
    }
    p->at++;
    skip_spaces(p);
    p->at += char_at(p) == ',';
    p->search.has_schema = true;
    p->search.namespace = names.items[0];
    p->search.dimensions = names.items + 1;
    p->search.dimension_count = names.count - 1;
    return ERR_OK;
}

static enum err take_term(struct parser *p, struct cw_search_step *ret)
{
    struct cw_search_step term = {.kind = CW_SEARCH_TERM};
    term.is_exact = char_at(p) == '"';
    TRY(term.is_exact ? take_quoted(p, &term.text) : take_plain(p, " \t\r\n()\"=", &term.text));
    if (char_at(p) == '=') {
        p->at++;
        term.property = term.text;
        term.is_exact = char_at(p) == '"';
        TRY(term.is_exact ? take_quoted(p, &term.text) : take_plain(p, " \t\r\n()\"", &term.text));
    }
    *ret = term;
    return ERR_OK;
}

static enum err next_word(struct parser *p, enum word_kind *ret_kind, struct cw_search_step *ret)
{
    skip_spaces(p);
    if (p->at >= p->text.len) {
        *ret_kind = WORD_END;
        return ERR_OK;
    }
    if (char_at(p) == '(' || char_at(p) == ')') {
        *ret_kind = char_at(p) == '(' ? WORD_OPEN : WORD_CLOSE;
        p->at++;
        return ERR_OK;
    }
    *ret_kind = WORD_TERM;
    TRY(take_term(p, ret));
    if (!ret->is_exact && !str_is_set(ret->property)) {
        *ret_kind = STR_IS(ret->text, "AND")   ? WORD_AND
                    : STR_IS(ret->text, "OR")  ? WORD_OR
                    : STR_IS(ret->text, "NOT") ? WORD_NOT
                                               : WORD_TERM;
    }
    return ERR_OK;
}

static enum err add_step(struct parser *p, struct cw_search_step step)
{
    if (p->search.count >= CW_SEARCH_STEPS_MAX) {
        return CW_INVALID(p->op, "The SEARCH expression is too complex.");
    }
    *ARENA_PUSH(&p->op->arena, &p->search) = step;
    return ERR_OK;
}

static enum err push(struct parser *p, enum word_kind kind)
{
    if (p->depth >= ARRAY_COUNT(p->stack)) {
        return CW_INVALID(p->op, "The SEARCH expression is nested too deeply.");
    }
    p->stack[p->depth++] = kind;
    return ERR_OK;
}

static enum err pop_operators(struct parser *p, enum word_kind loosest)
{
    static const enum cw_search_kind kinds[] = {
        [WORD_NOT] = CW_SEARCH_NOT, [WORD_AND] = CW_SEARCH_AND, [WORD_OR] = CW_SEARCH_OR};
    while (p->depth > 0 && p->stack[p->depth - 1] <= loosest) {
        TRY(add_step(p, (struct cw_search_step){.kind = kinds[p->stack[--p->depth]]}));
    }
    return ERR_OK;
}

/* is_term_next: no complete term stands before this word. */
static enum err on_word(struct parser *p, enum word_kind kind, const struct cw_search_step *term,
                        bool *is_term_next)
{
    bool starts_term = kind == WORD_TERM || kind == WORD_NOT || kind == WORD_OPEN;
    if (starts_term && !*is_term_next) {
        TRY(pop_operators(p, WORD_AND));
        TRY(push(p, WORD_AND));
    } else if (!starts_term && *is_term_next) {
        return syntax_error(p);
    }
    *is_term_next = true;
    switch (kind) {
    case WORD_TERM:
        *is_term_next = false;
        return add_step(p, *term);
    case WORD_NOT:
    case WORD_OPEN:
        return push(p, kind);
    case WORD_AND:
    case WORD_OR:
        TRY(pop_operators(p, kind));
        return push(p, kind);
    case WORD_CLOSE:
        *is_term_next = false;
        TRY(pop_operators(p, WORD_OR));
        if (p->depth == 0) {
            return syntax_error(p);
        }
        p->depth--;
        return ERR_OK;
    case WORD_END:
        break;
    }
    UNREACHABLE("the end is not a word");
}

enum err cw_search_parse(struct op *op, struct str query, struct cw_search *ret)
{
    struct parser p = {.op = op, .text = query, .search = {.query = query}};
    if (query.len > CW_SEARCH_BYTES_MAX) {
        return CW_INVALID(op, "A SEARCH expression must not be longer than %d characters.",
                          CW_SEARCH_BYTES_MAX);
    }
    skip_spaces(&p);
    if (char_at(&p) == '{') {
        TRY(take_schema(&p));
    }
    bool is_term_next = true;
    struct cw_search_step term = {0};
    enum word_kind kind = WORD_END;
    TRY(next_word(&p, &kind, &term));
    if (kind == WORD_END && !p.search.has_schema) {
        return syntax_error(&p);
    }
    bool is_schema_only = kind == WORD_END;
    while (kind != WORD_END) {
        TRY(on_word(&p, kind, &term, &is_term_next));
        TRY(next_word(&p, &kind, &term));
    }
    TRY(pop_operators(&p, WORD_OR));
    if ((is_term_next && !is_schema_only) || p.depth > 0) {
        return syntax_error(&p);
    }
    *ret = p.search;
    return ERR_OK;
}

/* ---- tokens ---------------------------------------------------------------------------------- */

enum char_class { LOWER, UPPER, DIGIT, OTHER };

static enum char_class class_of(char c)
{
    return c >= 'a' && c <= 'z'   ? LOWER
           : c >= 'A' && c <= 'Z' ? UPPER
           : c >= '0' && c <= '9' ? DIGIT
                                  : OTHER;
}

struct tokens {
    struct str items[TOKENS_MAX];
    size_t count;
};

static size_t end_of_run(struct str text, size_t at, enum char_class c)
{
    while (at < text.len && class_of(text.ptr[at]) == c) {
        at++;
    }
    return at;
}

/* "SDBFailure2" gives SDB, Failure, 2. */
static void tokenize(struct str text, struct tokens *ret)
{
    ret->count = 0;
    size_t at = 0;
    while (at < text.len && ret->count < TOKENS_MAX) {
        enum char_class c = class_of(text.ptr[at]);
        if (c == OTHER) {
            at++;
            continue;
        }
        size_t end = end_of_run(text, at, c);
        if (c == UPPER && end < text.len && class_of(text.ptr[end]) == LOWER) {
            /* the last capital starts the next word: SDB|Failure, C|ount */
            end = end - 1 > at ? end - 1 : end_of_run(text, end, LOWER);
        }
        ret->items[ret->count++] = str_slice(text, at, end);
        at = end;
    }
}

static bool has_tokens_at(const struct tokens *name, size_t from, const struct tokens *term)
{
    for (size_t i = 0; i < term->count; i++) {
        bool is_same = str_equal_nocase(name->items[from + i], term->items[i]);
        if (!is_same) {
            return false;
        }
    }
    return true;
}

static bool term_matches(const struct cw_search_step *term, struct str name)
{
    if (term->is_exact) {
        return str_equal(term->text, name);
    }
    struct tokens of_name = {0};
    struct tokens of_term = {0};
    tokenize(name, &of_name);
    tokenize(term->text, &of_term);
    if (str_equal_nocase(term->text, name)) {
        return true;
    }
    for (size_t i = 0; of_term.count > 0 && i + of_term.count <= of_name.count; i++) {
        if (has_tokens_at(&of_name, i, &of_term)) {
            return true;
        }
    }
    return false;
}

/* ---- matching -------------------------------------------------------------------------------- */

static bool schema_matches(const struct cw_search *s, const struct cw_metric_name *metric)
{
    if (!s->has_schema) {
        return true;
    }
    if (!str_equal(s->namespace, metric->namespace) ||
        (s->dimension_count > 0 && s->dimension_count != metric->dimension_count)) {
        return false;
    }
    for (size_t i = 0; i < s->dimension_count; i++) {
        bool has_it = false;
        for (size_t j = 0; j < metric->dimension_count; j++) {
            has_it = has_it || str_equal(s->dimensions[i], metric->dimensions[j].name);
        }
        if (!has_it) {
            return false;
        }
    }
    return true;
}

static bool step_matches(const struct cw_search_step *term, const struct cw_metric_name *metric)
{
    bool is_any = !str_is_set(term->property);
    if ((is_any || STR_IS(term->property, "MetricName")) && term_matches(term, metric->name)) {
        return true;
    }
    if ((is_any || STR_IS(term->property, "Namespace")) && term_matches(term, metric->namespace)) {
        return true;
    }
    for (size_t i = 0; i < metric->dimension_count; i++) {
        const struct cloudwatch_dimension *d = &metric->dimensions[i];
        if ((is_any && term_matches(term, d->name)) ||
            ((is_any || str_equal(term->property, d->name)) && term_matches(term, d->value))) {
            return true;
        }
    }
    return false;
}

bool cw_search_matches(struct arena *a, const struct cw_search *s,
                       const struct cw_metric_name *metric)
{
    if (!schema_matches(s, metric)) {
        return false;
    }
    bool *stack = ARENA_ARRAY(a, bool, s->count + 1);
    size_t count = 0;
    for (size_t i = 0; i < s->count; i++) {
        switch (s->items[i].kind) {
        case CW_SEARCH_TERM:
            stack[count++] = step_matches(&s->items[i], metric);
            break;
        case CW_SEARCH_NOT:
            stack[count - 1] = !stack[count - 1];
            break;
        case CW_SEARCH_AND:
            count--;
            stack[count - 1] = stack[count - 1] && stack[count];
            break;
        case CW_SEARCH_OR:
            count--;
            stack[count - 1] = stack[count - 1] || stack[count];
            break;
        }
    }
    return s->count == 0 || stack[0];
}

struct str cw_search_label(struct arena *a, const struct cw_metric_name *metric)
{
    struct str label = metric->name;
    for (size_t i = 0; i < metric->dimension_count; i++) {
        label = arena_printf(a, "%.*s %.*s", STR_ARG(label), STR_ARG(metric->dimensions[i].value));
    }
    return label;
}
