#include "cli/tally.h"

struct line {
    wall_t due;
    int64_t status;
    struct str version;
};

static bool read_line(struct str text, struct line *ret)
{
    struct str fields[3] = {0};
    for (size_t i = 0; i < 3; i++) {
        if (!str_next(&text, '\t', &fields[i])) {
            return false;
        }
    }
    int64_t due_us = 0;
    if (!str_parse_i64(fields[0], 0, INT64_MAX, &due_us) ||
        !str_parse_i64(fields[1], 0, 999, &ret->status)) {
        return false;
    }
    ret->due = (wall_t){.us = due_us};
    ret->version = fields[2];
    return true;
}

static void count_canary(const struct line *l, bool is_new, struct tally *t)
{
    if (t->canary_from.us == 0 || l->due.us < t->canary_from.us || l->due.us > t->canary_to.us) {
        return;
    }
    t->canary_all++;
    t->canary_new += is_new ? 1 : 0;
}

static void count_line(const struct line *l, bool is_failed, struct tally *t)
{
    if (l->due.us < t->from.us || l->due.us > t->to.us) {
        return;
    }
    bool is_new = str_equal(l->version, t->version);
    t->request_count++;
    t->failed_new += is_failed && is_new ? 1 : 0;
    t->failed_old += is_failed && !is_new ? 1 : 0;
    count_canary(l, is_new, t);
    if (is_new && l->due.us > t->last_new.us) {
        t->last_new = l->due;
    }
    if (is_new && is_failed && (t->first_bad.us == 0 || l->due.us < t->first_bad.us)) {
        t->first_bad = l->due;
    }
}

void tally_count(struct str log, struct tally *items, size_t count, struct tally_total *ret_total)
{
    struct tally_total total = {0};
    struct str text = STR_NONE;
    while (str_next(&log, '\n', &text)) {
        struct line l = {0};
        if (text.len == 0) {
            continue;
        }
        if (!read_line(text, &l)) {
            total.line_count_bad++;
            continue;
        }
        bool is_failed = l.status == 0 || l.status >= 500;
        total.request_count++;
        total.failed_count += is_failed ? 1 : 0;
        for (size_t i = 0; i < count; i++) {
            count_line(&l, is_failed, &items[i]);
        }
    }
    *ret_total = total;
}
