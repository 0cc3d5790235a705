#include "lb/rule.h"

#include "base/check.h"
#include "lb/rule_index.h"
#include "regex/regex.h"

void lb_addr_bytes(const struct net_addr *addr, uint8_t ret_bytes[16])
{
    memset(ret_bytes, 0, 16);
    if (addr->any.sa_family == AF_INET6) {
        memcpy(ret_bytes, &addr->v6.sin6_addr, 16);
    } else if (addr->any.sa_family == AF_INET) {
        ret_bytes[10] = 0xff;
        ret_bytes[11] = 0xff;
        memcpy(ret_bytes + 12, &addr->v4.sin_addr, 4);
    }
}

bool lb_addr_is_v4(const uint8_t bytes[16])
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(bytes, prefix, sizeof(prefix)) == 0;
}

bool lb_cidr_read(struct str text, struct lb_cidr *ret)
{
    struct str host = text;
    struct str bits_text = STR_NONE;
    (void)str_cut(text, '/', &host, &bits_text);
    struct net_addr addr;
    if (!net_addr_parse_host(host, 0, &addr) || net_addr_is_unix(&addr)) {
        return false;
    }
    bool is_v6 = addr.any.sa_family == AF_INET6;
    uint64_t bits_max = is_v6 ? 128 : 32;
    uint64_t bits = bits_max;
    if (str_is_set(bits_text) && !str_parse_u64(bits_text, bits_max, &bits)) {
        return false;
    }
    lb_addr_bytes(&addr, ret->bytes);
    ret->bits = (uint8_t)(is_v6 ? bits : bits + 96);
    ret->is_v4 = !is_v6;
    return true;
}

static bool same(char a, char b, bool ignore_case)
{
    return ignore_case ? str_lower_char(a) == str_lower_char(b) : a == b;
}

/* One step of the pattern at p matches one character; *ret_next is the step behind. */
static bool match_one(struct str pattern, size_t p, char c, bool ignore_case, size_t *ret_next)
{
    char want = pattern.ptr[p];
    *ret_next = p + 1;
    if (want == '?') {
        return true;
    }
    if (want == '\\' && p + 1 < pattern.len) {
        want = pattern.ptr[p + 1];
        *ret_next = p + 2;
    }
    return same(want, c, ignore_case);
}

bool lb_rule_match(struct str pattern, struct str text, bool ignore_case)
{
    size_t p = 0;
    size_t t = 0;
    size_t star = STR_NOT_FOUND; /* behind the last * */
    size_t star_text = 0;        /* what that * has taken so far ends here */
    while (t < text.len) {
        size_t next = p;
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = ++p;
            star_text = t;
        } else if (p < pattern.len && match_one(pattern, p, text.ptr[t], ignore_case, &next)) {
            p = next;
            t++;
        } else if (star != STR_NOT_FOUND) {
            p = star;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*') {
        p++;
    }
    return p == pattern.len;
}

struct str lb_host_name(struct str host)
{
    if (host.len > 0 && host.ptr[0] == '[') {
        size_t close = str_find_char(host, ']', 0);
        return close == STR_NOT_FOUND ? host : str_slice(host, 0, close + 1);
    }
    size_t colon = str_find_char(host, ':', 0);
    return colon == STR_NOT_FOUND ? host : str_slice(host, 0, colon);
}

static bool any_matches(const struct lb_condition *c, struct regex_scratch *scratch,
                        struct str text, bool ignore_case)
{
    for (size_t i = 0; i < c->count; i++) {
        if (lb_rule_match(c->values[i], text, ignore_case)) {
            return true;
        }
    }
    for (size_t i = 0; i < c->regex_count; i++) {
        if (regex_find(c->regexes[i], scratch, text, NULL) == REGEX_YES) {
            return true;
        }
    }
    return false;
}

static bool method_matches(const struct lb_condition *c, struct str method)
{
    for (size_t i = 0; i < c->count; i++) {
        if (str_equal(c->values[i], method)) {
            return true;
        }
    }
    return false;
}

static bool header_matches(const struct lb_condition *c, const struct lb_request_facts *facts)
{
    const struct h1_head *head = facts->head;
    size_t at = 0;
    struct str value;
    while (h1_find_next(head, c->header_name, &at, &value)) {
        if (any_matches(c, facts->scratch, value, true)) {
            return true;
        }
    }
    return false;
}

static bool pair_matches(const struct lb_pair *pair, struct str query)
{
    struct str part;
    while (str_next(&query, '&', &part)) {
        struct str key = part;
        struct str value = STR("");
        (void)str_cut(part, '=', &key, &value);
        bool is_key = !str_is_set(pair->key) || lb_rule_match(pair->key, key, true);
        if (is_key && lb_rule_match(pair->value, value, true)) {
            return true;
        }
    }
    return false;
}

static bool query_matches(const struct lb_condition *c, const struct h1_head *head)
{
    if (!head->has_query) {
        return false;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (pair_matches(&c->pairs[i], h1_str(head, head->query))) {
            return true;
        }
    }
    return false;
}

bool lb_cidr_has(const struct lb_cidr *cidr, const uint8_t bytes[16])
{
    size_t whole = cidr->bits / 8;
    if (cidr->is_v4 != lb_addr_is_v4(bytes)) {
        return false;
    }
    if (memcmp(cidr->bytes, bytes, whole) != 0) {
        return false;
    }
    unsigned rest = cidr->bits % 8;
    if (rest == 0) {
        return true;
    }
    unsigned mask = 0xffu << (8 - rest) & 0xffu;
    return ((cidr->bytes[whole] ^ bytes[whole]) & mask) == 0;
}

static bool source_matches(const struct lb_condition *c, const uint8_t bytes[16])
{
    for (size_t i = 0; i < c->count; i++) {
        if (lb_cidr_has(&c->cidrs[i], bytes)) {
            return true;
        }
    }
    return false;
}

struct str lb_rule_path(const struct h1_head *h)
{
    return h->path.len > 0 ? h1_str(h, h->path) : STR("/");
}

static bool condition_holds(const struct lb_condition *c, const struct lb_request_facts *facts)
{
    const struct h1_head *h = facts->head;
    switch (c->field) {
    case LB_HOST:
        return any_matches(c, facts->scratch, lb_host_name(h1_str(h, h->host)), true);
    case LB_PATH:
        return any_matches(c, facts->scratch, lb_rule_path(h), false);
    case LB_HEADER:
        return header_matches(c, facts);
    case LB_METHOD:
        return method_matches(c, h1_str(h, h->method));
    case LB_QUERY:
        return query_matches(c, h);
    case LB_SOURCE_IP:
        return source_matches(c, facts->peer);
    }
    UNREACHABLE("every field is handled");
}

bool lb_rule_holds(const struct lb_rule *rule, const struct lb_request_facts *facts)
{
    size_t held = 0;
    while (held < rule->condition_count && condition_holds(&rule->conditions[held], facts)) {
        held++;
    }
    return held == rule->condition_count;
}

const struct lb_rule *lb_rule_find(const struct lb_listener *l,
                                   const struct lb_request_facts *facts)
{
    if (l->rule_index != NULL) {
        size_t at = lb_rule_index_find(l->rule_index, l->rules, l->rule_count, facts);
        return at < l->rule_count ? &l->rules[at] : NULL;
    }
    for (size_t i = 0; i < l->rule_count; i++) {
        if (lb_rule_holds(&l->rules[i], facts)) {
            return &l->rules[i];
        }
    }
    return NULL;
}
