#include "base/check.h"
#include "svc/cloudwatch/errors.h"
#include "svc/cloudwatch/limits.h"
#include "svc/cloudwatch/metric_math_parts.h"

/* ---- tokens ---------------------------------------------------------------------------------- */

enum token_kind {
    TOKEN_END,
    TOKEN_NUMBER,
    TOKEN_NAME,
    TOKEN_TEXT,
    TOKEN_OPERATOR,
    TOKEN_OPEN, /* ( */
    TOKEN_CLOSE,
    TOKEN_OPEN_ARRAY, /* [ */
    TOKEN_CLOSE_ARRAY,
    TOKEN_COMMA,
};

struct token {
    enum token_kind kind;
    struct str text;
    double number;
    enum cw_math_operator operation;
};

struct lexer {
    struct op *op;
    struct str id;
    struct str text;
    size_t at;
};

static const struct {
    struct str text; /* longer ones first */
    enum cw_math_operator operation;
} operators[] = {
    {STR_INIT("=="), CW_OP_EQUAL},      {STR_INIT("!="), CW_OP_NOT_EQUAL},
    {STR_INIT("<="), CW_OP_LESS_EQUAL}, {STR_INIT(">="), CW_OP_GREATER_EQUAL},
    {STR_INIT("&&"), CW_OP_AND},        {STR_INIT("||"), CW_OP_OR},
    {STR_INIT("<"), CW_OP_LESS},        {STR_INIT(">"), CW_OP_GREATER},
    {STR_INIT("+"), CW_OP_ADD},         {STR_INIT("-"), CW_OP_SUBTRACT},
    {STR_INIT("*"), CW_OP_MULTIPLY},    {STR_INIT("/"), CW_OP_DIVIDE},
    {STR_INIT("^"), CW_OP_POWER},
};

static const struct {
    char character;
    enum token_kind kind;
} brackets[] = {
    {'(', TOKEN_OPEN},        {')', TOKEN_CLOSE}, {'[', TOKEN_OPEN_ARRAY},
    {']', TOKEN_CLOSE_ARRAY}, {',', TOKEN_COMMA},
};

/* One of OR .. POWER; a higher number binds tighter. */
static int precedence_of(enum cw_math_operator operation)
{
    switch (operation) {
    case CW_OP_OR:
        return 1;
    case CW_OP_AND:
        return 2;
    case CW_OP_EQUAL:
    case CW_OP_NOT_EQUAL:
    case CW_OP_LESS:
    case CW_OP_LESS_EQUAL:
    case CW_OP_GREATER:
    case CW_OP_GREATER_EQUAL:
        return 3;
    case CW_OP_ADD:
    case CW_OP_SUBTRACT:
        return 4;
    case CW_OP_MULTIPLY:
    case CW_OP_DIVIDE:
        return 5;
    case CW_OP_POWER:
        return 7;
    case CW_OP_NONE:
        break;
    }
    UNREACHABLE("every operator has a precedence");
}
#define NEGATE_PRECEDENCE 6

const char *cw_math_operator_text(enum cw_math_operator operation)
{
    for (size_t i = 0; i < ARRAY_COUNT(operators); i++) {
        if (operators[i].operation == operation) {
            return operators[i].text.ptr;
        }
    }
    UNREACHABLE("every operator has a text");
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_char(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static char char_at(const struct lexer *lx, size_t at)
{
    return at < lx->text.len ? lx->text.ptr[at] : '\0';
}

static enum err syntax_error(const struct lexer *lx)
{
    return CW_MATH_INVALID(lx->op, lx->id, "Syntax error at position %zu.", lx->at + 1);
}

static enum err take_number(struct lexer *lx, struct token *ret)
{
    size_t end = lx->at;
    while (is_digit(char_at(lx, end)) || char_at(lx, end) == '.') {
        end++;
    }
    if (char_at(lx, end) == 'e' || char_at(lx, end) == 'E') {
        size_t sign = char_at(lx, end + 1) == '+' || char_at(lx, end + 1) == '-' ? 1 : 0;
        if (is_digit(char_at(lx, end + 1 + sign))) {
            end += 1 + sign;
            while (is_digit(char_at(lx, end))) {
                end++;
            }
        }
    }
    struct token t = {.kind = TOKEN_NUMBER};
    if (is_name_char(char_at(lx, end)) ||
        !str_parse_f64(str_slice(lx->text, lx->at, end), &t.number)) {
        return syntax_error(lx);
    }
    lx->at = end;
    *ret = t;
    return ERR_OK;
}

static enum err take_text(struct lexer *lx, struct token *ret)
{
    size_t end = str_find_char(lx->text, lx->text.ptr[lx->at], lx->at + 1);
    if (end == STR_NOT_FOUND) {
        return syntax_error(lx);
    }
    *ret = (struct token){.kind = TOKEN_TEXT, .text = str_slice(lx->text, lx->at + 1, end)};
    lx->at = end + 1;
    return ERR_OK;
}

static void take_name(struct lexer *lx, struct token *ret)
{
    size_t end = lx->at;
    while (is_name_char(char_at(lx, end))) {
        end++;
    }
    struct token t = {.kind = TOKEN_NAME, .text = str_slice(lx->text, lx->at, end)};
    if (STR_IS(t.text, "AND") || STR_IS(t.text, "OR")) {
        t.kind = TOKEN_OPERATOR;
        t.operation = STR_IS(t.text, "AND") ? CW_OP_AND : CW_OP_OR;
    }
    lx->at = end;
    *ret = t;
}

static bool take_symbol(struct lexer *lx, struct token *ret)
{
    struct str rest = str_from(lx->text, lx->at);
    for (size_t i = 0; i < ARRAY_COUNT(operators); i++) {
        if (str_starts_with(rest, operators[i].text)) {
            *ret = (struct token){.kind = TOKEN_OPERATOR, .operation = operators[i].operation};
            lx->at += operators[i].text.len;
            return true;
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(brackets); i++) {
        if (rest.ptr[0] == brackets[i].character) {
            *ret = (struct token){.kind = brackets[i].kind};
            lx->at++;
            return true;
        }
    }
    return false;
}

static enum err next_token(struct lexer *lx, struct token *ret)
{
    char c = char_at(lx, lx->at);
    while (lx->at < lx->text.len && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
        c = char_at(lx, ++lx->at);
    }
    if (lx->at >= lx->text.len) {
        *ret = (struct token){.kind = TOKEN_END};
        return ERR_OK;
    }
    if (is_digit(c) || (c == '.' && is_digit(char_at(lx, lx->at + 1)))) {
        return take_number(lx, ret);
    }
    if (c == '"' || c == '\'') {
        return take_text(lx, ret);
    }
    if (is_name_char(c)) {
        take_name(lx, ret);
        return ERR_OK;
    }
    return take_symbol(lx, ret) ? ERR_OK : syntax_error(lx);
}

/* ---- parser: operators and brackets wait on a stack until their operands are out ------------- */

enum pending_kind { PENDING_BINARY, PENDING_NEGATE, PENDING_GROUP, PENDING_CALL, PENDING_ARRAY };

struct pending {
    enum pending_kind kind;
    enum cw_math_operator operation;
    struct str function;
    size_t count; /* arguments or items so far */
};

struct parser {
    struct lexer lx;
    struct cw_math math;
    struct pending stack[CW_MATH_DEPTH_MAX * 4];
    size_t depth;
    size_t bracket_depth;
    bool is_operand_next; /* an operand must come now, else an operator */
};

static enum err add_step(struct parser *p, struct cw_math_step step)
{
    if (p->math.count >= CW_MATH_STEPS_MAX) {
        return CW_MATH_INVALID(p->lx.op, p->lx.id, "The expression is too complex.");
    }
    *ARENA_PUSH(&p->lx.op->arena, &p->math) = step;
    return ERR_OK;
}

static enum err push(struct parser *p, struct pending item)
{
    bool is_bracket = item.kind >= PENDING_GROUP;
    if (p->depth >= ARRAY_COUNT(p->stack) ||
        (is_bracket && p->bracket_depth >= CW_MATH_DEPTH_MAX)) {
        return CW_MATH_INVALID(p->lx.op, p->lx.id, "The expression is nested too deeply.");
    }
    p->stack[p->depth++] = item;
    p->bracket_depth += is_bracket;
    return ERR_OK;
}

static struct pending *top(struct parser *p)
{
    return p->depth == 0 ? NULL : &p->stack[p->depth - 1];
}

/* Moves out the operators on top that bind at least as tightly; stops at a bracket. */
static enum err pop_operators(struct parser *p, int precedence)
{
    for (struct pending *t = top(p); t != NULL && t->kind < PENDING_GROUP; t = top(p)) {
        int its = t->kind == PENDING_NEGATE ? NEGATE_PRECEDENCE : precedence_of(t->operation);
        if (its < precedence) {
            return ERR_OK;
        }
        struct cw_math_step step = {
            .kind = t->kind == PENDING_NEGATE ? CW_STEP_NEGATE : CW_STEP_BINARY,
            .operation = t->operation,
        };
        p->depth--;
        TRY(add_step(p, step));
    }
    return ERR_OK;
}

/* A name is a call when a parenthesis follows, a word when it is upper case, else an id. */
static enum err on_name(struct parser *p, struct str name)
{
    struct lexer ahead = p->lx;
    struct token next = {0};
    TRY(next_token(&ahead, &next));
    if (next.kind == TOKEN_OPEN) {
        if (!cw_math_is_function(name)) {
            return CW_MATH_INVALID(p->lx.op, p->lx.id, "Unsupported function '%.*s'.",
                                   STR_ARG(name));
        }
        p->lx = ahead;
        return push(p, (struct pending){.kind = PENDING_CALL, .function = name});
    }
    bool is_word = name.ptr[0] >= 'A' && name.ptr[0] <= 'Z';
    p->is_operand_next = false;
    return add_step(
        p, (struct cw_math_step){.kind = is_word ? CW_STEP_WORD : CW_STEP_ID, .text = name});
}

static enum err close_bracket(struct parser *p, enum token_kind close)
{
    struct pending *t = top(p);
    if (p->is_operand_next && (t == NULL || t->kind < PENDING_GROUP)) {
        return syntax_error(&p->lx); /* an operator lacks its right side */
    }
    TRY(pop_operators(p, 0));
    t = top(p);
    bool is_array = close == TOKEN_CLOSE_ARRAY;
    if (t == NULL || (t->kind == PENDING_ARRAY) != is_array) {
        return syntax_error(&p->lx);
    }
    struct pending done = *t;
    p->depth--;
    p->bracket_depth--;
    /* "f()" and "[]" close while an operand is due; anything else must have had one */
    bool is_empty = p->is_operand_next;
    if (is_empty && (done.kind == PENDING_GROUP || done.count > 0)) {
        return syntax_error(&p->lx);
    }
    p->is_operand_next = false;
    size_t count = done.count + (is_empty ? 0 : 1);
    if (done.kind == PENDING_GROUP) {
        return ERR_OK;
    }
    return add_step(p, (struct cw_math_step){.kind = is_array ? CW_STEP_ARRAY : CW_STEP_CALL,
                                             .text = done.function,
                                             .count = count});
}

static enum err on_comma(struct parser *p)
{
    TRY(pop_operators(p, 0));
    struct pending *t = top(p);
    if (t == NULL || t->kind == PENDING_GROUP) {
        return syntax_error(&p->lx);
    }
    t->count++;
    p->is_operand_next = true;
    return ERR_OK;
}

static enum err on_operand(struct parser *p, const struct token *t)
{
    switch (t->kind) {
    case TOKEN_NUMBER:
        p->is_operand_next = false;
        return add_step(p, (struct cw_math_step){.kind = CW_STEP_NUMBER, .number = t->number});
    case TOKEN_TEXT:
        p->is_operand_next = false;
        return add_step(p, (struct cw_math_step){.kind = CW_STEP_TEXT, .text = t->text});
    case TOKEN_NAME:
        return on_name(p, t->text);
    case TOKEN_OPEN:
        return push(p, (struct pending){.kind = PENDING_GROUP});
    case TOKEN_OPEN_ARRAY:
        return push(p, (struct pending){.kind = PENDING_ARRAY});
    case TOKEN_CLOSE:
    case TOKEN_CLOSE_ARRAY:
        return close_bracket(p, t->kind);
    case TOKEN_OPERATOR:
        return t->operation == CW_OP_SUBTRACT ? push(p, (struct pending){.kind = PENDING_NEGATE})
                                              : syntax_error(&p->lx);
    case TOKEN_COMMA:
    case TOKEN_END:
        return syntax_error(&p->lx);
    }
    UNREACHABLE("every token is listed");
}

static enum err on_binary(struct parser *p, enum cw_math_operator operation)
{
    int precedence = precedence_of(operation);
    /* a^b^c is a^(b^c) */
    TRY(pop_operators(p, operation == CW_OP_POWER ? precedence + 1 : precedence));
    p->is_operand_next = true;
    return push(p, (struct pending){.kind = PENDING_BINARY, .operation = operation});
}

static enum err on_operator(struct parser *p, const struct token *t)
{
    switch (t->kind) {
    case TOKEN_OPERATOR:
        return on_binary(p, t->operation);
    case TOKEN_CLOSE:
    case TOKEN_CLOSE_ARRAY:
        return close_bracket(p, t->kind);
    case TOKEN_COMMA:
        return on_comma(p);
    case TOKEN_END:
    case TOKEN_NUMBER:
    case TOKEN_NAME:
    case TOKEN_TEXT:
    case TOKEN_OPEN:
    case TOKEN_OPEN_ARRAY:
        return syntax_error(&p->lx);
    }
    UNREACHABLE("every token is listed");
}

enum err cw_math_parse(struct op *op, struct str id, struct str expression, struct cw_math *ret)
{
    struct parser p = {
        .lx = {.op = op, .id = id, .text = expression},
        .math = {.id = id},
        .is_operand_next = true,
    };
    if (expression.len > CW_EXPRESSION_BYTES_MAX) {
        return CW_MATH_INVALID(op, id, "The expression must not be longer than %d characters.",
                               CW_EXPRESSION_BYTES_MAX);
    }
    struct token t = {0};
    TRY(next_token(&p.lx, &t));
    while (t.kind != TOKEN_END || p.is_operand_next) {
        TRY(p.is_operand_next ? on_operand(&p, &t) : on_operator(&p, &t));
        TRY(next_token(&p.lx, &t));
    }
    TRY(pop_operators(&p, 0));
    if (p.depth > 0) {
        return syntax_error(&p.lx);
    }
    *ret = p.math;
    return ERR_OK;
}
