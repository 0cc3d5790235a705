#include "svc/elbv2/conditions.h"

#include "base/check.h"
#include "svc/elbv2/limits.h"
#include "svc/elbv2/rows.h"
#include "svc/elbv2/transforms.h"

#include <arpa/inet.h>

#define VALUE_CHARS_MAX  128
#define METHOD_CHARS_MAX 40
#define HEADER_CHARS_MAX 40

enum field { HOST, PATH, HEADER, METHOD, QUERY, SOURCE, FIELD_COUNT };

static const struct {
    struct str name;
    bool is_once; /* at most one such condition in a rule */
} fields[FIELD_COUNT] = {
    [HOST] = {STR_INIT("host-header"), true},    [PATH] = {STR_INIT("path-pattern"), true},
    [HEADER] = {STR_INIT("http-header"), false}, [METHOD] = {STR_INIT("http-request-method"), true},
    [QUERY] = {STR_INIT("query-string"), false}, [SOURCE] = {STR_INIT("source-ip"), true},
};

/* What is summed up over the conditions of a rule. */
struct totals {
    size_t value_count;
    size_t wildcard_count;
    bool is_seen[FIELD_COUNT];
};

/* ---- values --------------------------------------------------------------------------------- */

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool has_only(struct str s, struct str extra)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_letter_or_digit(s.ptr[i]) && str_find_char(extra, s.ptr[i], 0) == STR_NOT_FOUND) {
            return false;
        }
    }
    return true;
}

static bool is_printable(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < ' ' || s.ptr[i] > '~') {
            return false;
        }
    }
    return true;
}

static bool is_host(struct str s)
{
    size_t dot = str_find_last_char(s, '.');
    if (dot == STR_NOT_FOUND || !has_only(s, STR("-._*?"))) {
        return false;
    }
    struct str last = str_from(s, dot + 1); /* only letters after the last dot, or a wildcard */
    for (size_t i = 0; i < last.len; i++) {
        char c = str_lower_char(last.ptr[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '*' && c != '?' &&
            c != '-') {
            return false;
        }
    }
    return true;
}

static bool is_method(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!(s.ptr[i] >= 'A' && s.ptr[i] <= 'Z') && s.ptr[i] != '-' && s.ptr[i] != '_') {
            return false;
        }
    }
    return s.len > 0 && s.len <= METHOD_CHARS_MAX;
}

bool elbv2_is_cidr(struct str s)
{
    struct str address = STR_NONE;
    struct str bits_text = STR_NONE;
    char text[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    uint64_t bits = 0;
    if (!str_cut(s, '/', &address, &bits_text) || !str_to_c(address, text, sizeof(text))) {
        return false;
    }
    bool is_v4 = inet_pton(AF_INET, text, bytes) == 1;
    bool is_v6 = !is_v4 && inet_pton(AF_INET6, text, bytes) == 1;
    return (is_v4 || is_v6) && str_parse_u64(bits_text, is_v4 ? 32 : 128, &bits) &&
           !STR_IS(s, "255.255.255.255/32");
}

static bool is_value(enum field field, struct str value)
{
    if (value.len == 0 || value.len > VALUE_CHARS_MAX) {
        return false;
    }
    switch (field) {
    case HOST:
        return is_host(value);
    case PATH:
        return has_only(value, STR("_-.$/~\"'@:+&*?%=,;!()#^{}|[]<>\\")) && value.ptr[0] != ' ';
    case METHOD:
        return is_method(value);
    case SOURCE:
        return elbv2_is_cidr(value);
    case HEADER:
    case QUERY:
        return is_printable(value);
    case FIELD_COUNT:
        break;
    }
    UNREACHABLE("every field is above");
}

static size_t wildcards_in(struct str value)
{
    size_t count = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == '\\') {
            i++; /* the next one stands for itself */
        } else {
            count += value.ptr[i] == '*' || value.ptr[i] == '?';
        }
    }
    return count;
}

static enum err check_value(struct op *op, enum field field, struct str value,
                            struct totals *totals)
{
    if (value.len > VALUE_CHARS_MAX) {
        return elbv2_invalid(op, "Condition value '%.*s' cannot be longer than '%d' characters",
                             STR_ARG(value), VALUE_CHARS_MAX);
    }
    if (field == HOST && str_find_char(value, '.', 0) == STR_NOT_FOUND) {
        return elbv2_invalid(op, "Condition value '%.*s' must contain a '.'", STR_ARG(value));
    }
    if (!is_value(field, value)) {
        return elbv2_invalid(op, "The %s condition value '%.*s' is not valid",
                             fields[field].name.ptr, STR_ARG(value));
    }
    totals->value_count++;
    if (field != METHOD && field != SOURCE) {
        totals->wildcard_count += wildcards_in(value);
    }
    return ERR_OK;
}

static enum err check_count(struct op *op, enum field field, size_t count)
{
    if (count == 0) {
        return elbv2_invalid(op, "A condition value must be specified for the field '%s'",
                             fields[field].name.ptr);
    }
    return ERR_OK;
}

static enum err check_values(struct op *op, enum field field,
                             const struct elbv2_list_of_string *values, struct totals *totals)
{
    TRY(check_count(op, field, values->count));
    for (size_t i = 0; i < values->count; i++) {
        TRY(check_value(op, field, values->items[i], totals));
    }
    return ERR_OK;
}

static enum err check_pair(struct op *op, const struct elbv2_query_string_key_value_pair *pair,
                           struct totals *totals)
{
    if (pair->key.len > 0) {
        TRY(check_value(op, QUERY, pair->key, totals));
        totals->value_count--; /* a pair is one value */
    }
    return check_value(op, QUERY, pair->value, totals);
}

static enum err check_pairs(struct op *op,
                            const struct elbv2_query_string_key_value_pair_list *pairs,
                            struct totals *totals)
{
    TRY(check_count(op, QUERY, pairs->count));
    for (size_t i = 0; i < pairs->count; i++) {
        TRY(check_pair(op, &pairs->items[i], totals));
    }
    return ERR_OK;
}

static enum err check_header_name(struct op *op, struct str name)
{
    if (name.len == 0) {
        return elbv2_invalid(op, "A header name must be specified for the field 'http-header'");
    }
    if (name.len > HEADER_CHARS_MAX || !has_only(name, STR("!#$%&'+-.^_`|~"))) {
        return elbv2_invalid(op, "The http-header condition header name '%.*s' is not valid",
                             STR_ARG(name));
    }
    if (str_equal_nocase(name, STR("host"))) {
        return elbv2_invalid(op,
                             "The header 'Host' cannot be used in an http-header condition; use "
                             "the field 'host-header'");
    }
    return ERR_OK;
}

/* ---- conditions ----------------------------------------------------------------------------- */

/* Each is one value of the rule's few. */
static enum err check_regexes(struct op *op, const struct elbv2_list_of_string *regexes,
                              struct totals *totals)
{
    for (size_t i = 0; i < regexes->count; i++) {
        TRY(elbv2_check_regex(op, "Condition regex value", regexes->items[i], VALUE_CHARS_MAX,
                              NULL));
    }
    totals->value_count += regexes->count;
    return ERR_OK;
}

/* Values stand in the condition itself or in its typed configuration, not in both. */
static enum err choose(struct op *op, const struct elbv2_rule_condition *sent,
                       const struct elbv2_list_of_string *typed, bool has_typed,
                       const struct elbv2_list_of_string **ret)
{
    if (sent->values.count > 0 && has_typed) {
        return elbv2_invalid(op,
                             "You cannot specify both Values and a configuration for the "
                             "condition field '%.*s'",
                             STR_ARG(sent->field));
    }
    *ret = has_typed ? typed : &sent->values;
    return ERR_OK;
}

static enum err choose_regexes(struct op *op, const struct elbv2_rule_condition *sent,
                               const struct elbv2_list_of_string *typed,
                               const struct elbv2_list_of_string **ret)
{
    if (sent->regex_values.count > 0 && typed->count > 0) {
        return elbv2_invalid(op,
                             "You cannot specify both RegexValues and a configuration with "
                             "RegexValues for the condition field '%.*s'",
                             STR_ARG(sent->field));
    }
    *ret = typed->count > 0 ? typed : &sent->regex_values;
    return ERR_OK;
}

/* Absent when it is empty and something else stands for the condition. */
static struct elbv2_list_of_string present(const struct elbv2_list_of_string *values, bool must_be)
{
    struct elbv2_list_of_string list = *values;
    list.is_set = must_be || list.count > 0;
    return list;
}

static enum err check_host_or_path(struct op *op, enum field field,
                                   const struct elbv2_rule_condition *sent, struct totals *totals,
                                   struct elbv2_rule_condition *ret)
{
    const struct elbv2_list_of_string none = {0};
    const struct elbv2_host_header_condition_config *host = sent->host_header_config;
    const struct elbv2_path_pattern_condition_config *path = sent->path_pattern_config;
    bool has_typed = field == HOST ? host != NULL : path != NULL;
    const struct elbv2_list_of_string *typed = &none;
    const struct elbv2_list_of_string *typed_regexes = &none;
    if (has_typed) {
        typed = field == HOST ? &host->values : &path->values;
        typed_regexes = field == HOST ? &host->regex_values : &path->regex_values;
    }
    const struct elbv2_list_of_string *values = NULL;
    const struct elbv2_list_of_string *regexes = NULL;
    TRY(choose(op, sent, typed, typed->count > 0 || (has_typed && typed_regexes->count == 0),
               &values));
    TRY(choose_regexes(op, sent, typed_regexes, &regexes));
    TRY(check_regexes(op, regexes, totals));
    if (regexes->count == 0 || values->count > 0) {
        TRY(check_values(op, field, values, totals));
    }
    ret->values = present(values, regexes->count == 0);
    ret->regex_values = present(regexes, false);
    if (field == HOST) {
        ret->host_header_config = ARENA_NEW(&op->arena, struct elbv2_host_header_condition_config);
        ret->host_header_config->values = ret->values;
        ret->host_header_config->regex_values = ret->regex_values;
    } else {
        ret->path_pattern_config =
            ARENA_NEW(&op->arena, struct elbv2_path_pattern_condition_config);
        ret->path_pattern_config->values = ret->values;
        ret->path_pattern_config->regex_values = ret->regex_values;
    }
    return ERR_OK;
}

static enum err check_header(struct op *op, const struct elbv2_rule_condition *sent,
                             struct totals *totals, struct elbv2_rule_condition *ret)
{
    const struct elbv2_http_header_condition_config *config = sent->http_header_config;
    if (config == NULL) {
        return elbv2_invalid(op, "A configuration must be specified for the condition field "
                                 "'http-header'");
    }
    const struct elbv2_list_of_string *regexes = NULL;
    TRY(check_header_name(op, config->http_header_name));
    TRY(choose_regexes(op, sent, &config->regex_values, &regexes));
    TRY(check_regexes(op, regexes, totals));
    if (regexes->count == 0 || config->values.count > 0) {
        TRY(check_values(op, HEADER, &config->values, totals));
    }
    ret->http_header_config = ARENA_NEW(&op->arena, struct elbv2_http_header_condition_config);
    ret->http_header_config->http_header_name = config->http_header_name;
    ret->http_header_config->values = present(&config->values, regexes->count == 0);
    ret->http_header_config->regex_values = present(regexes, false);
    return ERR_OK;
}

/* Fields whose texts have no grammar to search in. */
static enum err refuse_regexes(struct op *op, const struct elbv2_rule_condition *sent)
{
    if (sent->regex_values.count == 0) {
        return ERR_OK;
    }
    return elbv2_invalid(op,
                         "RegexValues can only be specified for the condition fields "
                         "'host-header', 'path-pattern' and 'http-header', not '%.*s'",
                         STR_ARG(sent->field));
}

static enum err check_method(struct op *op, const struct elbv2_rule_condition *sent,
                             struct totals *totals, struct elbv2_rule_condition *ret)
{
    const struct elbv2_http_request_method_condition_config *config =
        sent->http_request_method_config;
    const struct elbv2_list_of_string *values = NULL;
    TRY(choose(op, sent, config == NULL ? NULL : &config->values, config != NULL, &values));
    TRY(check_values(op, METHOD, values, totals));
    ret->http_request_method_config =
        ARENA_NEW(&op->arena, struct elbv2_http_request_method_condition_config);
    ret->http_request_method_config->values = present(values, true);
    return ERR_OK;
}

static enum err check_source(struct op *op, const struct elbv2_rule_condition *sent,
                             struct totals *totals, struct elbv2_rule_condition *ret)
{
    const struct elbv2_source_ip_condition_config *config = sent->source_ip_config;
    const struct elbv2_list_of_string *values = NULL;
    TRY(choose(op, sent, config == NULL ? NULL : &config->values, config != NULL, &values));
    TRY(check_values(op, SOURCE, values, totals));
    ret->source_ip_config = ARENA_NEW(&op->arena, struct elbv2_source_ip_condition_config);
    ret->source_ip_config->values = present(values, true);
    return ERR_OK;
}

static enum err check_query(struct op *op, const struct elbv2_rule_condition *sent,
                            struct totals *totals, struct elbv2_rule_condition *ret)
{
    if (sent->query_string_config == NULL) {
        return elbv2_invalid(op, "A configuration must be specified for the condition field "
                                 "'query-string'");
    }
    TRY(check_pairs(op, &sent->query_string_config->values, totals));
    ret->query_string_config = sent->query_string_config;
    return ERR_OK;
}

static enum field find_field(struct str name)
{
    enum field field = HOST;
    while (field < FIELD_COUNT && !str_equal(fields[field].name, name)) {
        field++;
    }
    return field;
}

static enum err check_one(struct op *op, const struct elbv2_rule_condition *sent,
                          struct totals *totals, struct elbv2_rule_condition *ret)
{
    enum field field = find_field(sent->field);
    if (field == FIELD_COUNT) {
        return elbv2_invalid(op,
                             "Condition field '%.*s' must be one of '[path-pattern, host-header, "
                             "http-header, http-request-method, query-string, source-ip]'",
                             STR_ARG(sent->field));
    }
    if (fields[field].is_once && totals->is_seen[field]) {
        return elbv2_invalid(op, "A rule can only have one '%s' condition", fields[field].name.ptr);
    }
    totals->is_seen[field] = true;
    ret->field = sent->field;
    switch (field) {
    case HOST:
    case PATH:
        return check_host_or_path(op, field, sent, totals, ret);
    case HEADER:
        return check_header(op, sent, totals, ret);
    case METHOD:
        TRY(refuse_regexes(op, sent));
        return check_method(op, sent, totals, ret);
    case SOURCE:
        TRY(refuse_regexes(op, sent));
        return check_source(op, sent, totals, ret);
    case QUERY:
        TRY(refuse_regexes(op, sent));
        return check_query(op, sent, totals, ret);
    case FIELD_COUNT:
        break;
    }
    UNREACHABLE("every field is above");
}

enum err elbv2_check_conditions(struct op *op, const struct elbv2_rule_condition_list *sent,
                                struct elbv2_rule_condition_list *ret)
{
    if (sent->count == 0) {
        return elbv2_invalid(op, "A rule must have at least one condition");
    }
    struct totals totals = {0};
    struct elbv2_rule_condition_list checked = {
        .items = ARENA_ARRAY(&op->arena, struct elbv2_rule_condition, sent->count),
        .count = sent->count,
        .is_set = true};
    for (size_t i = 0; i < sent->count; i++) {
        TRY(check_one(op, &sent->items[i], &totals, &checked.items[i]));
    }
    if (totals.value_count > ELBV2_CONDITION_VALUES_OF_RULE_MAX) {
        return elbv2_invalid(op, "A rule can only have '%d' condition values",
                             ELBV2_CONDITION_VALUES_OF_RULE_MAX);
    }
    if (totals.wildcard_count > ELBV2_WILDCARDS_OF_RULE_MAX) {
        return elbv2_invalid(op, "A rule can only have '%d' condition wildcards",
                             ELBV2_WILDCARDS_OF_RULE_MAX);
    }
    *ret = checked;
    return ERR_OK;
}
