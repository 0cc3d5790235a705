/* PutLogEvents, GetLogEvents, FilterLogEvents. */

#include "base/check.h"
#include "svc/common/page.h"
#include "svc/logs/filter.h"
#include "svc/logs/handlers.h"

#define BATCH_BYTES_MAX   1048576 /* of one PutLogEvents, 26 bytes an event included */
#define EVENT_EXTRA_BYTES 26
#define AHEAD_MS          (2 * 3600 * 1000LL)
#define OLD_MS            (14 * 86400 * 1000LL)
#define SPAN_MS           (24 * 3600 * 1000LL)
#define PAGE_EVENTS_MAX   10000
#define PAGE_BYTES_MAX    1048576
#define SCAN_EVENTS_MAX   5000 /* events looked at for one page of FilterLogEvents */

struct str logs_sequence_token(struct arena *a, int64_t ingested_ms)
{
    return arena_printf(a, "49039859%048lld", (long long)(ingested_ms < 0 ? 0 : ingested_ms));
}

/* ---- PutLogEvents ---------------------------------------------------------------------------- */

static enum err check_batch(struct op *op, const struct logs_put_log_events_in *in)
{
    size_t bytes = 0;
    int64_t first_ms = INT64_MAX;
    int64_t last_ms = 0;
    for (size_t i = 0; i < in->log_events.count; i++) {
        const struct logs_input_log_event *e = &in->log_events.items[i];
        bytes += e->message.len + EVENT_EXTRA_BYTES;
        if (i > 0 && e->timestamp.value < last_ms) {
            return op_fail_as(
                op, ERR_INPUT, &logs_error_invalid_parameter_exception,
                "Log events in a single PutLogEvents request must be in chronological "
                "order.");
        }
        last_ms = e->timestamp.value;
        first_ms = first_ms < last_ms ? first_ms : last_ms;
    }
    if (bytes > BATCH_BYTES_MAX) {
        return op_fail_as(op, ERR_INPUT, &logs_error_invalid_parameter_exception,
                          "Upload too large: %zu bytes exceeds limit of %d", bytes,
                          BATCH_BYTES_MAX);
    }
    if (in->log_events.count > 0 && last_ms - first_ms > SPAN_MS) {
        return op_fail_as(
            op, ERR_INPUT, &logs_error_invalid_parameter_exception,
            "The batch of log events in a single PutLogEvents request cannot span more "
            "than 24 hours.");
    }
    return ERR_OK;
}

/* Events are in order: a run of old ones, good ones, a run of those too far ahead. */
struct taken {
    size_t from;
    size_t to;
    size_t old_count;     /* older than two weeks */
    size_t expired_count; /* older than the group keeps */
};

static struct taken which_are_taken(const struct op *op, const struct logs_input_log_events *events,
                                    int64_t oldest_kept_ms)
{
    int64_t now_ms = logs_ms(op->now);
    struct taken t = {0};
    while (t.old_count < events->count &&
           events->items[t.old_count].timestamp.value < now_ms - OLD_MS) {
        t.old_count++;
    }
    while (t.expired_count < events->count &&
           events->items[t.expired_count].timestamp.value < oldest_kept_ms) {
        t.expired_count++;
    }
    t.from = t.old_count > t.expired_count ? t.old_count : t.expired_count;
    t.to = events->count;
    while (t.to > t.from && events->items[t.to - 1].timestamp.value > now_ms + AHEAD_MS) {
        t.to--;
    }
    return t;
}

static void tell_rejected(struct op *op, const struct taken *t, size_t count,
                          struct logs_put_log_events_out *ret)
{
    if (t->from == 0 && t->to == count) {
        return;
    }
    struct logs_rejected_log_events_info *info =
        ARENA_NEW(&op->arena, struct logs_rejected_log_events_info);
    if (t->old_count > 0) {
        info->too_old_log_event_end_index = OPT_I32((int32_t)t->old_count);
    }
    if (t->expired_count > t->old_count) {
        info->expired_log_event_end_index = OPT_I32((int32_t)t->expired_count);
    }
    if (t->to < count) {
        info->too_new_log_event_start_index = OPT_I32((int32_t)t->to);
    }
    ret->rejected_log_events_info = info;
}

LOGS_OPERATION(put_log_events)
{
    struct engine_logs_group group = {0};
    struct logs_stream *stream = NULL;
    TRY(check_batch(op, in));
    TRY(logs_group_get(op, logs, in->log_group_name, &group));
    TRY(logs_stream_get(op, logs, in->log_group_name, in->log_stream_name, &stream));
    struct taken t = which_are_taken(op, &in->log_events, logs_oldest_ms(op, &group));
    int64_t now_ms = logs_ms(op->now);
    for (size_t i = t.from; i < t.to; i++) {
        logs_batch_add(logs, stream, in->log_events.items[i].timestamp.value, now_ms,
                       in->log_events.items[i].message);
    }
    TRY(logs_batch_flush(op, logs)); /* what a client was told is kept */
    tell_rejected(op, &t, in->log_events.count, ret);
    ret->next_sequence_token = logs_sequence_token(&op->arena, now_ms);
    return ERR_OK;
}

/* ---- places in a stream ---------------------------------------------------------------------- */

/* Between two events: behind the event of that time and id. */
struct place {
    int64_t at_ms;
    int64_t id;
};

/* "f/<28 digits of time><28 digits of id>/s" */
static struct str place_token(struct arena *a, char direction, struct place p)
{
    return arena_printf(a, "%c/%028lld%028lld/s", direction, (long long)p.at_ms, (long long)p.id);
}

static bool read_place(struct str token, char *ret_direction, struct place *ret)
{
    bool is_whole = token.len == 60 && (token.ptr[0] == 'f' || token.ptr[0] == 'b') &&
                    token.ptr[1] == '/' && str_ends_with(token, STR("/s"));
    if (!is_whole || !str_parse_i64(str_slice(token, 2, 30), 0, INT64_MAX, &ret->at_ms) ||
        !str_parse_i64(str_slice(token, 30, 58), 0, INT64_MAX, &ret->id)) {
        return false;
    }
    *ret_direction = token.ptr[0];
    return true;
}

/* ---- GetLogEvents ---------------------------------------------------------------------------- */

struct found {
    struct place place;
    struct logs_output_log_event event;
};

struct found_list {
    struct found *items;
    size_t count;
};

struct get {
    int64_t stream_id;
    int64_t from_ms;
    int64_t to_ms; /* exclusive */
    struct place place;
    bool is_forward;
    size_t limit;
};

static const char *const get_sql[2] = {
    "SELECT id, at_ms, ingested_ms, message FROM log_event WHERE stream = ?1 AND at_ms >= ?2"
    " AND at_ms < ?3 AND (at_ms, id) < (?4, ?5) ORDER BY at_ms DESC, id DESC LIMIT ?6",
    "SELECT id, at_ms, ingested_ms, message FROM log_event WHERE stream = ?1 AND at_ms >= ?2"
    " AND at_ms < ?3 AND (at_ms, id) > (?4, ?5) ORDER BY at_ms, id LIMIT ?6",
};

static enum err get_events(struct op *op, struct logs *logs, const struct get *g,
                           struct found_list *ret)
{
    auto_query struct store_query q = {0};
    size_t bytes = 0;
    TRY(store_query_begin(op, logs->config.store, get_sql[g->is_forward], &q));
    store_bind_i64(&q, g->stream_id);
    store_bind_i64(&q, g->from_ms);
    store_bind_i64(&q, g->to_ms);
    store_bind_i64(&q, g->place.at_ms);
    store_bind_i64(&q, g->place.id);
    store_bind_i64(&q, (int64_t)g->limit);
    for (;;) {
        bool has_row = false;
        TRY(store_step(op, &q, &has_row));
        if (!has_row) {
            return ERR_OK;
        }
        struct str message = store_column_str(&q, 3);
        bytes += message.len + EVENT_EXTRA_BYTES;
        if (bytes > PAGE_BYTES_MAX && ret->count > 0) {
            return ERR_OK;
        }
        struct found *f = ARENA_PUSH(&op->arena, ret);
        f->place = (struct place){.at_ms = store_column_i64(&q, 1), .id = store_column_i64(&q, 0)};
        f->event.timestamp = OPT_I64(f->place.at_ms);
        f->event.ingestion_time = OPT_I64(store_column_i64(&q, 2));
        f->event.message = arena_str(&op->arena, message);
    }
}

/* Where reading goes on in both directions. Nothing found: the token that came comes back, which is
 * how clients know that they are at the end. */
static void tell_places(struct op *op, const struct get *g, const struct found_list *found,
                        bool has_token, struct logs_get_log_events_out *ret)
{
    struct place first = g->place;
    struct place last = g->place;
    if (found->count > 0) {
        const struct found *oldest = &found->items[g->is_forward ? 0 : found->count - 1];
        const struct found *newest = &found->items[g->is_forward ? found->count - 1 : 0];
        first = oldest->place;
        last = newest->place;
    } else if (!has_token) {
        first = last = (struct place){0};
    } else if (g->is_forward) {
        first.id++; /* backwards from here, the event of this place is the first */
    } else if (last.id > 0) {
        last.id--;
    }
    ret->next_backward_token = place_token(&op->arena, 'b', first);
    ret->next_forward_token = place_token(&op->arena, 'f', last);
}

static enum err get_of(struct op *op, const struct logs_get_log_events_in *in,
                       const struct logs_stream *stream, int64_t oldest_kept_ms, struct get *ret)
{
    struct get g = {
        .stream_id = stream->id,
        .from_ms = OPT_OR(in->start_time, 0),
        .to_ms = OPT_OR(in->end_time, INT64_MAX),
        .is_forward = OPT_OR(in->start_from_head, false),
        .limit = (size_t)OPT_OR(in->limit, PAGE_EVENTS_MAX),
    };
    g.from_ms = g.from_ms > oldest_kept_ms ? g.from_ms : oldest_kept_ms;
    if (!g.is_forward) {
        g.place = (struct place){.at_ms = INT64_MAX, .id = INT64_MAX};
    }
    char direction = '\0';
    if (str_is_set(in->next_token)) {
        if (!read_place(in->next_token, &direction, &g.place)) {
            return op_fail_as(op, ERR_INPUT, &logs_error_invalid_parameter_exception,
                              "The specified nextToken is invalid.");
        }
        g.is_forward = direction == 'f';
    }
    *ret = g;
    return ERR_OK;
}

LOGS_OPERATION(get_log_events)
{
    struct str name = STR_NONE;
    struct engine_logs_group group = {0};
    struct logs_stream *stream = NULL;
    struct get g = {0};
    struct found_list found = {0};
    TRY(logs_group_name(op, in->log_group_name, in->log_group_identifier, &name));
    TRY(logs_group_get(op, logs, name, &group));
    TRY(logs_stream_get(op, logs, name, in->log_stream_name, &stream));
    TRY(logs_batch_flush(op, logs));
    TRY(get_of(op, in, stream, logs_oldest_ms(op, &group), &g));
    TRY(get_events(op, logs, &g, &found));
    ret->events.is_set = true;
    ret->events.count = found.count;
    ret->events.items = ARENA_ARRAY(&op->arena, struct logs_output_log_event, found.count + 1);
    for (size_t i = 0; i < found.count; i++) {
        ret->events.items[i] = found.items[g.is_forward ? i : found.count - 1 - i].event;
    }
    tell_places(op, &g, &found, str_is_set(in->next_token), ret);
    return ERR_OK;
}

/* ---- FilterLogEvents ------------------------------------------------------------------------- */

struct search {
    struct logs_filter filter;
    struct arena scratch;
    int64_t group_number;
    int64_t from_ms;
    int64_t to_ms; /* exclusive */
    struct place after;
    size_t limit;
    struct str prefix;
    const struct logs_input_log_stream_names *names;
    /* names of streams by id, as far as events were met */
    struct {
        struct stream_name {
            int64_t id;
            struct str name; /* absent: not wanted */
        } * items;
        size_t count;
    } known;
};

static bool is_stream_wanted(const struct search *s, struct str name)
{
    for (size_t i = 0; i < s->names->count; i++) {
        if (str_equal(s->names->items[i], name)) {
            return true;
        }
    }
    return s->names->count == 0 && str_starts_with(name, s->prefix);
}

/* Streams that are gone but not yet purged have no row and are not wanted. */
static enum err stream_name_of(struct op *op, struct logs *logs, struct search *s, int64_t id,
                               struct str *ret)
{
    for (size_t i = 0; i < s->known.count; i++) {
        if (s->known.items[i].id == id) {
            *ret = s->known.items[i].name;
            return ERR_OK;
        }
    }
    auto_query struct store_query q = {0};
    bool has_row = false;
    TRY(store_query_begin(op, logs->config.store, "SELECT name FROM log_stream WHERE id = ?1", &q));
    store_bind_i64(&q, id);
    TRY(store_step(op, &q, &has_row));
    struct str name = has_row ? arena_str(&op->arena, store_column_str(&q, 0)) : STR_NONE;
    if (has_row && !is_stream_wanted(s, name)) {
        name = STR_NONE;
    }
    *ARENA_PUSH(&op->arena, &s->known) = (struct stream_name){.id = id, .name = name};
    *ret = name;
    return ERR_OK;
}

static enum err look_at(struct op *op, struct logs *logs, struct search *s,
                        const struct store_query *q, size_t *bytes,
                        struct logs_filter_log_events_out *ret)
{
    struct str stream = STR_NONE;
    struct str message = store_column_str(q, 4);
    TRY(stream_name_of(op, logs, s, store_column_i64(q, 1), &stream));
    if (!str_is_set(stream) || !logs_filter_matches(&s->filter, message, &s->scratch)) {
        return ERR_OK;
    }
    int64_t id = store_column_i64(q, 0);
    int64_t at_ms = store_column_i64(q, 2);
    struct logs_filtered_log_event *e = ARENA_PUSH(&op->arena, &ret->events);
    e->log_stream_name = stream;
    e->timestamp = OPT_I64(at_ms);
    e->message = arena_str(&op->arena, message);
    e->ingestion_time = OPT_I64(store_column_i64(q, 3));
    e->event_id = arena_printf(&op->arena, "%028lld%028lld", (long long)at_ms, (long long)id);
    *bytes += message.len + EVENT_EXTRA_BYTES;
    return ERR_OK;
}

/* Until the page is full, enough was looked at, or nothing follows. */
static enum err scan(struct op *op, struct logs *logs, struct search *s, bool *ret_has_more,
                     struct logs_filter_log_events_out *ret)
{
    auto_query struct store_query q = {0};
    size_t bytes = 0;
    TRY(store_query_begin(op, logs->config.store,
                          "SELECT id, stream, at_ms, ingested_ms, message FROM log_event"
                          " WHERE grp = ?1 AND at_ms >= ?2 AND at_ms < ?3"
                          " AND (at_ms, id) > (?4, ?5) ORDER BY at_ms, id LIMIT ?6",
                          &q));
    store_bind_i64(&q, s->group_number);
    store_bind_i64(&q, s->from_ms > s->after.at_ms ? s->from_ms : s->after.at_ms);
    store_bind_i64(&q, s->to_ms);
    store_bind_i64(&q, s->after.at_ms);
    store_bind_i64(&q, s->after.id);
    store_bind_i64(&q, SCAN_EVENTS_MAX + 1);
    for (size_t looked_at = 0;; looked_at++) {
        TRY(store_step(op, &q, ret_has_more));
        bool is_full = ret->events.count >= s->limit || bytes >= PAGE_BYTES_MAX ||
                       looked_at >= SCAN_EVENTS_MAX;
        if (!*ret_has_more || is_full) {
            return ERR_OK;
        }
        TRY(look_at(op, logs, s, &q, &bytes, ret));
        s->after = (struct place){.at_ms = store_column_i64(&q, 2), .id = store_column_i64(&q, 0)};
        if (s->scratch.total_bytes > PAGE_BYTES_MAX) {
            arena_reset(&s->scratch);
        }
    }
}

static enum err search_of(struct op *op, const struct logs_filter_log_events_in *in,
                          const struct engine_logs_group *group, struct search *s)
{
    if (in->log_stream_names.count > 0 && str_is_set(in->log_stream_name_prefix)) {
        return op_fail_as(op, ERR_INPUT, &logs_error_invalid_parameter_exception,
                          "logStreamNames and logStreamNamePrefix are mutually exclusive.");
    }
    int64_t oldest_ms = logs_oldest_ms(op, group);
    s->group_number = OPT_OR(group->number, 0);
    s->from_ms = OPT_OR(in->start_time, 0) > oldest_ms ? OPT_OR(in->start_time, 0) : oldest_ms;
    /* endTime is inclusive here, unlike in GetLogEvents */
    s->to_ms =
        in->end_time.is_set && in->end_time.value < INT64_MAX ? in->end_time.value + 1 : INT64_MAX;
    s->limit = (size_t)OPT_OR(in->limit, PAGE_EVENTS_MAX);
    s->names = &in->log_stream_names;
    s->prefix = in->log_stream_name_prefix;
    char direction = '\0';
    struct str text = STR_NONE;
    if (str_is_set(in->next_token) &&
        (in->next_token.len > 256 || !page_decode(&op->arena, in->next_token, &text) ||
         !read_place(text, &direction, &s->after))) {
        return op_fail_as(op, ERR_INPUT, &logs_error_invalid_parameter_exception,
                          "The specified nextToken is invalid.");
    }
    return logs_filter_parse(op, in->filter_pattern, &s->filter);
}

LOGS_OPERATION(filter_log_events)
{
    struct str name = STR_NONE;
    struct engine_logs_group group = {0};
    struct search s = {0};
    bool has_more = false;
    TRY(logs_group_name(op, in->log_group_name, in->log_group_identifier, &name));
    TRY(logs_group_get(op, logs, name, &group));
    TRY(logs_batch_flush(op, logs));
    TRY(search_of(op, in, &group, &s));
    for (size_t i = 0; i < in->log_stream_names.count; i++) {
        struct logs_stream *stream = NULL;
        TRY(logs_stream_get(op, logs, name, in->log_stream_names.items[i], &stream));
    }
    arena_init(&s.scratch);
    enum err e = scan(op, logs, &s, &has_more, ret);
    arena_fini(&s.scratch);
    TRY(e);
    if (has_more) {
        ret->next_token = page_encode(&op->arena, place_token(&op->arena, 'f', s.after));
    }
    ret->events.is_set = true;
    ret->searched_log_streams.is_set = true;
    return ERR_OK;
}
