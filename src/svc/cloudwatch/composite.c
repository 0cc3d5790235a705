#include "svc/cloudwatch/composite.h"

#include "base/check.h"
#include "svc/cloudwatch/errors.h"
#include "svc/cloudwatch/limits.h"

enum token_kind {
    TOKEN_END,
    TOKEN_OPERAND,
    TOKEN_NOT,
    TOKEN_AND,
    TOKEN_OR,
    TOKEN_OPEN,
    TOKEN_CLOSE
};

struct token {
    enum token_kind kind;
    struct cw_rule_step step; /* TOKEN_OPERAND */
};

struct parser {
    struct op *op;
    struct str text;
    size_t at;
    struct cw_rule rule;
    size_t element_count; /* alarms, constants and parentheses, which AWS limits */
    enum token_kind stack[CW_RULE_DEPTH_MAX * 3]; /* NOT, AND, OR, OPEN */
    size_t depth;
};

static enum err syntax_error(const struct parser *p)
{
    return CW_INVALID(p->op, "Error in AlarmRule: Syntax error at position %zu", p->at + 1);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static char char_at(const struct parser *p, size_t at)
{
    return at < p->text.len ? p->text.ptr[at] : '\0';
}

static void skip_spaces(struct parser *p)
{
    while (p->at < p->text.len && is_space(p->text.ptr[p->at])) {
        p->at++;
    }
}

struct str cw_alarm_name_of(struct str name_or_arn)
{
    size_t at = str_find(name_or_arn, STR(":alarm:"), 0);
    if (!str_starts_with(name_or_arn, STR("arn:")) || at == STR_NOT_FOUND) {
        return name_or_arn;
    }
    return str_from(name_or_arn, at + strlen(":alarm:"));
}

/* "..." with \" and \\ */
static enum err take_quoted_name(struct parser *p, struct str *ret)
{
    char *name = arena_alloc(&p->op->arena, p->text.len + 1);
    size_t len = 0;
    size_t at = p->at + 1;
    while (at < p->text.len && p->text.ptr[at] != '"') {
        bool is_escape =
            p->text.ptr[at] == '\\' && (char_at(p, at + 1) == '"' || char_at(p, at + 1) == '\\');
        at += is_escape;
        name[len++] = p->text.ptr[at++];
    }
    if (at >= p->text.len || len == 0) {
        return syntax_error(p);
    }
    p->at = at + 1;
    *ret = str_make(name, len);
    return ERR_OK;
}

static enum err take_plain_name(struct parser *p, struct str *ret)
{
    size_t end = p->at;
    while (end < p->text.len && !is_space(p->text.ptr[end]) && p->text.ptr[end] != ')' &&
           p->text.ptr[end] != '(' && p->text.ptr[end] != '"') {
        end++;
    }
    if (end == p->at) {
        return syntax_error(p);
    }
    *ret = str_slice(p->text, p->at, end);
    p->at = end;
    return ERR_OK;
}

/* ( name ) */
static enum err take_name(struct parser *p, struct str *ret)
{
    struct str name = STR_NONE;
    skip_spaces(p);
    if (char_at(p, p->at) != '(') {
        return syntax_error(p);
    }
    p->at++;
    skip_spaces(p);
    TRY(char_at(p, p->at) == '"' ? take_quoted_name(p, &name) : take_plain_name(p, &name));
    skip_spaces(p);
    if (char_at(p, p->at) != ')') {
        return syntax_error(p);
    }
    p->at++;
    *ret = cw_alarm_name_of(name);
    return ERR_OK;
}

static const struct {
    struct str word;
    struct token token;
    bool takes_name;
} words[] = {
    {STR_INIT("AND"), {.kind = TOKEN_AND}, false},
    {STR_INIT("OR"), {.kind = TOKEN_OR}, false},
    {STR_INIT("NOT"), {.kind = TOKEN_NOT}, false},
    {STR_INIT("TRUE"), {TOKEN_OPERAND, {.kind = CW_RULE_CONSTANT, .constant = true}}, false},
    {STR_INIT("FALSE"), {TOKEN_OPERAND, {.kind = CW_RULE_CONSTANT}}, false},
    {STR_INIT("OK"),
     {TOKEN_OPERAND, {.kind = CW_RULE_STATE, .state = CLOUDWATCH_STATE_VALUE_OK}},
     true},
    {STR_INIT("ALARM"),
     {TOKEN_OPERAND, {.kind = CW_RULE_STATE, .state = CLOUDWATCH_STATE_VALUE_ALARM}},
     true},
    {STR_INIT("INSUFFICIENT_DATA"),
     {TOKEN_OPERAND, {.kind = CW_RULE_STATE, .state = CLOUDWATCH_STATE_VALUE_INSUFFICIENT_DATA}},
     true},
};

static enum err take_word(struct parser *p, struct token *ret)
{
    size_t end = p->at;
    while ((char_at(p, end) >= 'A' && char_at(p, end) <= 'Z') || char_at(p, end) == '_') {
        end++;
    }
    struct str word = str_slice(p->text, p->at, end);
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (!str_equal(word, words[i].word)) {
            continue;
        }
        p->at = end;
        *ret = words[i].token;
        return words[i].takes_name ? take_name(p, &ret->step.name) : ERR_OK;
    }
    return syntax_error(p);
}

static enum err next_token(struct parser *p, struct token *ret)
{
    skip_spaces(p);
    char c = char_at(p, p->at);
    if (p->at >= p->text.len) {
        *ret = (struct token){.kind = TOKEN_END};
        return ERR_OK;
    }
    if (c == '(' || c == ')') {
        p->at++;
        *ret = (struct token){.kind = c == '(' ? TOKEN_OPEN : TOKEN_CLOSE};
        return ERR_OK;
    }
    return take_word(p, ret);
}

static enum err add_step(struct parser *p, struct cw_rule_step step)
{
    *ARENA_PUSH(&p->op->arena, &p->rule) = step;
    return ERR_OK;
}

static enum err count_element(struct parser *p)
{
    if (++p->element_count > CW_RULE_STEPS_MAX) {
        return CW_INVALID(p->op, "AlarmRule must not contain more than %d elements",
                          CW_RULE_STEPS_MAX);
    }
    return ERR_OK;
}

static enum err push(struct parser *p, enum token_kind kind)
{
    if (p->depth >= ARRAY_COUNT(p->stack)) {
        return CW_INVALID(p->op, "AlarmRule is nested too deeply");
    }
    p->stack[p->depth++] = kind;
    return ERR_OK;
}

/* NOT binds tightest, OR loosest; the tokens are declared in that order. */
static enum err pop_operators(struct parser *p, enum token_kind loosest)
{
    static const enum cw_rule_step_kind kinds[] = {
        [TOKEN_NOT] = CW_RULE_NOT, [TOKEN_AND] = CW_RULE_AND, [TOKEN_OR] = CW_RULE_OR};
    while (p->depth > 0 && p->stack[p->depth - 1] <= loosest) {
        TRY(add_step(p, (struct cw_rule_step){.kind = kinds[p->stack[--p->depth]]}));
    }
    return ERR_OK;
}

/* *is_operand_next says what must come; it is changed to what must come then. */
static enum err on_token(struct parser *p, const struct token *t, bool *is_operand_next)
{
    bool wants_operand = t->kind == TOKEN_OPERAND || t->kind == TOKEN_NOT || t->kind == TOKEN_OPEN;
    if (wants_operand != *is_operand_next || t->kind == TOKEN_END) {
        return syntax_error(p);
    }
    switch (t->kind) {
    case TOKEN_OPERAND:
        *is_operand_next = false;
        TRY(count_element(p));
        return add_step(p, t->step);
    case TOKEN_OPEN:
        TRY(count_element(p));
        return push(p, TOKEN_OPEN);
    case TOKEN_NOT:
        return push(p, TOKEN_NOT);
    case TOKEN_AND:
    case TOKEN_OR:
        TRY(pop_operators(p, t->kind));
        *is_operand_next = true;
        return push(p, t->kind);
    case TOKEN_CLOSE:
        TRY(pop_operators(p, TOKEN_OR));
        if (p->depth == 0) {
            return syntax_error(p);
        }
        p->depth--;
        return count_element(p);
    case TOKEN_END:
        break;
    }
    UNREACHABLE("the end was refused above");
}

enum err cw_rule_parse(struct op *op, struct str text, struct cw_rule *ret_rule)
{
    struct parser p = {.op = op, .text = text};
    if (text.len > CW_RULE_BYTES_MAX) {
        return CW_INVALID(op, "AlarmRule must not be longer than %d characters", CW_RULE_BYTES_MAX);
    }
    bool is_operand_next = true;
    struct token t = {0};
    TRY(next_token(&p, &t));
    while (t.kind != TOKEN_END || is_operand_next) {
        TRY(on_token(&p, &t, &is_operand_next));
        TRY(next_token(&p, &t));
    }
    TRY(pop_operators(&p, TOKEN_OR));
    if (p.depth > 0) {
        return syntax_error(&p);
    }
    if (cw_rule_children(&op->arena, &p.rule).count > CW_RULE_CHILDREN_MAX) {
        return CW_INVALID(op, "AlarmRule must not contain more than %d alarms",
                          CW_RULE_CHILDREN_MAX);
    }
    *ret_rule = p.rule;
    return ERR_OK;
}

struct cw_rule_names cw_rule_children(struct arena *a, const struct cw_rule *rule)
{
    struct cw_rule_names names = {0};
    for (size_t i = 0; i < rule->count; i++) {
        bool is_known = rule->items[i].kind != CW_RULE_STATE;
        for (size_t j = 0; j < names.count && !is_known; j++) {
            is_known = str_equal(names.items[j], rule->items[i].name);
        }
        if (is_known) {
            continue;
        }
        *ARENA_PUSH(a, &names) = rule->items[i].name;
    }
    return names;
}

struct machine {
    bool stack[CW_RULE_STEPS_MAX + 1];
    size_t count;
};

static bool pop(struct machine *m)
{
    CHECK(m->count > 0);
    return m->stack[--m->count];
}

static void push_value(struct machine *m, bool value)
{
    CHECK(m->count < ARRAY_COUNT(m->stack));
    m->stack[m->count++] = value;
}

static bool run_step(struct machine *m, const struct cw_rule_step *step, cw_rule_state_fn state_of,
                     void *self)
{
    switch (step->kind) {
    case CW_RULE_STATE:
        return state_of(self, step->name) == step->state;
    case CW_RULE_CONSTANT:
        return step->constant;
    case CW_RULE_NOT:
        return !pop(m);
    case CW_RULE_AND:
    case CW_RULE_OR: {
        bool right = pop(m);
        bool left = pop(m);
        return step->kind == CW_RULE_AND ? left && right : left || right;
    }
    }
    UNREACHABLE("every step is listed");
}

bool cw_rule_eval(const struct cw_rule *rule, cw_rule_state_fn state_of, void *self)
{
    struct machine m = {.count = 0};
    for (size_t i = 0; i < rule->count; i++) {
        push_value(&m, run_step(&m, &rule->items[i], state_of, self));
    }
    bool result = pop(&m);
    CHECK(m.count == 0);
    return result;
}
