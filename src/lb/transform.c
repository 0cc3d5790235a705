#include "lb/transform.h"

#include "lb/rule.h"
#include "regex/regex.h"

#define HOST_BYTES_MAX 255

struct room {
    char *ptr;
    size_t len;
    bool is_full;
};

static void add(struct room *to, struct str s)
{
    if (to->is_full || s.len > LB_TRANSFORM_BYTES_MAX - to->len) {
        to->is_full = true;
        return;
    }
    if (s.len > 0) {
        memcpy(to->ptr + to->len, s.ptr, s.len);
        to->len += s.len;
    }
}

static struct str room_str(const struct room *r)
{
    return str_make(r->ptr, r->len);
}

static void add_group(struct room *to, struct str text, const struct regex_match *m, size_t group)
{
    bool is_set = group < m->group_count && m->groups[group].from != STR_NOT_FOUND;
    if (is_set) {
        add(to, str_slice(text, m->groups[group].from, m->groups[group].to));
    }
}

/* The replacement with its groups filled in. A $ in front of anything but 1 to 9 is a $. */
static void add_replacement(struct room *to, struct str replace, struct str text,
                            const struct regex_match *m)
{
    size_t from = 0;
    while (from < replace.len) {
        size_t at = str_find_char(replace, '$', from);
        add(to, str_slice(replace, from, at));
        if (at == STR_NOT_FOUND) {
            return;
        }
        char next = at + 1 < replace.len ? replace.ptr[at + 1] : '\0';
        if (next >= '1' && next <= '9') {
            add_group(to, text, m, (size_t)(next - '0'));
            from = at + 2;
        } else {
            add(to, STR("$"));
            from = at + 1;
        }
    }
}

/* False when it failed; *ret stays absent when nothing matched. */
static bool apply(const struct lb_transform *t, struct regex_scratch *scratch, struct str text,
                  char *ptr, struct str *ret)
{
    struct regex_match m;
    enum regex_result found = regex_find(t->regex, scratch, text, &m);
    if (found != REGEX_YES) {
        return found == REGEX_NO;
    }
    struct room to = {.ptr = ptr};
    add(&to, str_slice(text, 0, m.groups[0].from));
    add_replacement(&to, t->replace, text, &m);
    add(&to, str_from(text, m.groups[0].to));
    *ret = room_str(&to);
    return !to.is_full;
}

/* Path and query in one piece, a space as what it means. */
static struct str url_of(const struct h1_head *h, char *ptr)
{
    struct room to = {.ptr = ptr};
    struct str parts[] = {lb_rule_path(h), h->has_query ? STR("?") : STR(""),
                          h->has_query ? h1_str(h, h->query) : STR("")};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct str rest = parts[i];
        struct str run;
        bool is_first = true;
        while (str_next(&rest, ' ', &run)) {
            add(&to, is_first ? STR("") : STR("%20"));
            add(&to, run);
            is_first = false;
        }
    }
    return to.is_full ? STR_NONE : room_str(&to);
}

static bool is_url(struct str url)
{
    for (size_t i = 0; i < url.len; i++) {
        unsigned char c = (unsigned char)url.ptr[i];
        if (c <= ' ' || c >= 0x7f || c == '#') {
            return false;
        }
    }
    return url.len > 0 && url.ptr[0] == '/';
}

static bool is_host(struct str host)
{
    for (size_t i = 0; i < host.len; i++) {
        char c = str_lower_char(host.ptr[i]);
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!is_plain && str_find_char(STR("-._:[]"), c, 0) == STR_NOT_FOUND) {
            return false;
        }
    }
    return host.len > 0 && host.len <= HOST_BYTES_MAX;
}

/* The port that came goes on, unless the new host brings its own. */
static bool transform_host(const struct lb_transform *t, struct str came,
                           struct regex_scratch *scratch, char *ptr, struct str *ret)
{
    struct str name = lb_host_name(came);
    if (!apply(t, scratch, name, ptr, ret)) {
        return false;
    }
    if (!str_is_set(*ret)) {
        return true;
    }
    if (!is_host(*ret)) {
        return false;
    }
    struct room to = {.ptr = ptr, .len = ret->len};
    if (lb_host_name(*ret).len == ret->len) {
        add(&to, str_from(came, name.len));
    }
    *ret = room_str(&to);
    return !to.is_full;
}

bool lb_transform_request(const struct lb_rule *rule, const struct h1_head *h,
                          struct regex_scratch *scratch, char room[LB_TRANSFORM_ROOM_BYTES],
                          struct lb_transformed *ret)
{
    *ret = (struct lb_transformed){STR_NONE, STR_NONE};
    if (rule->host_transform.regex != NULL &&
        !transform_host(&rule->host_transform, h1_str(h, h->host), scratch, room, &ret->host)) {
        return false;
    }
    if (rule->url_transform.regex != NULL) {
        struct str url = url_of(h, room + LB_TRANSFORM_BYTES_MAX);
        if (!str_is_set(url) ||
            !apply(&rule->url_transform, scratch, url, room + 2 * LB_TRANSFORM_BYTES_MAX,
                   &ret->url) ||
            (str_is_set(ret->url) && !is_url(ret->url))) {
            return false;
        }
    }
    return true;
}
