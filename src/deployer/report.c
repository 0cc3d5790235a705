#include "deployer/report.h"

#include "base/check.h"
#include "codec/json.h"

#define GREEN "\033[32m"
#define RED   "\033[31m"
#define PLAIN "\033[0m"

struct outcome_words {
    const char *word;
    const char *text;
    bool is_good;
};

static const struct outcome_words outcome_words[] = {
    [DEPLOY_RELEASED] = {"released", "released", true},
    [DEPLOY_NOTHING] = {"nothing_to_do", "nothing to do", true},
    [DEPLOY_REFUSED] = {"refused", "not begun", false},
    [DEPLOY_ROLLED_BACK] = {"rolled_back", "failed and rolled back", false},
    [DEPLOY_NOT_ROLLED_BACK] = {"not_rolled_back", "failed and NOT rolled back", false},
    [DEPLOY_STOPPED] = {"stopped", "stopped", false},
    [DEPLOY_WAITING] = {"waiting", "still going on", false},
    [DEPLOY_SUPERSEDED] = {"superseded", "superseded", false},
    [DEPLOY_LOCKED] = {"locked", "not begun", false},
    [DEPLOY_CANNOT_TELL] = {"cannot_tell", "cannot tell how it ended", false},
    [DEPLOY_MIGRATION] = {"migration_failed", "the migration failed; no traffic has moved", false},
};

static const struct outcome_words *words_of(enum deploy_outcome outcome)
{
    CHECK(outcome < ARRAY_COUNT(outcome_words));
    return &outcome_words[outcome];
}

const char *report_outcome_word(enum deploy_outcome outcome)
{
    return words_of(outcome)->word;
}

/* ---- one look ---- */

static struct str side_text(struct arena *a, const char *name, const struct sight_side *s,
                            bool has_rates)
{
    if (!s->is_there) {
        return STR("");
    }
    struct str text =
        arena_printf(a, "%s%s%.*s %lld/%lld running", name, s->version.len > 0 ? " " : "",
                     STR_ARG(s->version), (long long)s->running, (long long)s->desired);
    if (s->failed > 0) {
        text = arena_printf(a, "%.*s, %lld failed", STR_ARG(text), (long long)s->failed);
    }
    if (s->weight >= 0) {
        text = arena_printf(a, "%.*s, %g %% of the traffic", STR_ARG(text), s->weight);
    }
    if (has_rates && s->metrics.is_set) {
        text = arena_printf(a, "%.*s, %.0f/s, %.1f %% errors, p99 %.0f ms", STR_ARG(text),
                            s->metrics.requests_per_s, s->metrics.error_percent, s->metrics.p99_ms);
    }
    return text;
}

static struct str sight_text(struct arena *a, const struct sight *s, bool has_rates)
{
    struct str text = str_of(sight_state_text(s->state));
    if (str_is_set(s->stage) && !sight_is_over(s->state)) {
        text = arena_printf(a, "%.*s (%.*s)", STR_ARG(text), STR_ARG(s->stage));
    }
    struct str new_text = side_text(a, "new", &s->new_side, has_rates);
    struct str old_text = side_text(a, "old", &s->old_side, has_rates);
    text = arena_printf(a, "%.*s%s%.*s%s%.*s", STR_ARG(text), new_text.len > 0 ? "; " : "",
                        STR_ARG(new_text), old_text.len > 0 ? "; " : "", STR_ARG(old_text));
    if (has_rates && s->total.is_set && !s->new_side.metrics.is_set) {
        text = arena_printf(a, "%.*s; %.0f requests/s, %.1f %% errors", STR_ARG(text),
                            s->total.requests_per_s, s->total.error_percent);
    }
    return text;
}

struct str report_sight_line(struct arena *a, const struct sight *s)
{
    return sight_text(a, s, true);
}

struct str report_sight_key(struct arena *a, const struct sight *s)
{
    return sight_text(a, s, false);
}

/* ---- for programs ---- */

static void add_text(struct json_writer *w, const char *key, struct str text)
{
    if (str_is_set(text)) {
        json_key(w, str_of(key));
        json_add_string(w, text);
    }
}

static void add_number(struct json_writer *w, const char *key, double value)
{
    json_key(w, str_of(key));
    json_add_f64(w, value);
}

static void begin(struct json_writer *w, struct buf *to, wall_t now, const char *type)
{
    struct arena a;
    arena_init(&a);
    json_writer_init(w, to);
    json_begin_object(w);
    add_text(w, "type", str_of(type));
    add_text(w, "time", wall_iso8601(&a, now));
    arena_fini(&a);
}

static void end(struct json_writer *w, struct buf *to)
{
    json_end_object(w);
    buf_add_char(to, '\n');
}

static void add_metrics(struct json_writer *w, const struct sight_metrics *m)
{
    if (!m->is_set) {
        return;
    }
    add_number(w, "requestsPerSecond", m->requests_per_s);
    add_number(w, "errorPercent", m->error_percent);
    add_number(w, "p50Ms", m->p50_ms);
    add_number(w, "p95Ms", m->p95_ms);
    add_number(w, "p99Ms", m->p99_ms);
}

static void add_side(struct json_writer *w, const char *key, const struct sight_side *s)
{
    if (!s->is_there) {
        return;
    }
    json_key(w, str_of(key));
    json_begin_object(w);
    add_text(w, "version", s->version);
    json_key(w, STR("desired"));
    json_add_i64(w, s->desired);
    json_key(w, STR("running"));
    json_add_i64(w, s->running);
    json_key(w, STR("failed"));
    json_add_i64(w, s->failed);
    if (s->healthy >= 0) {
        json_key(w, STR("healthyTargets"));
        json_add_i64(w, s->healthy);
    }
    if (s->weight >= 0) {
        add_number(w, "weight", s->weight);
    }
    add_metrics(w, &s->metrics);
    json_end_object(w);
}

static void add_sight(struct json_writer *w, const struct sight *s)
{
    add_text(w, "state", str_of(sight_state_word(s->state)));
    add_text(w, "stage", s->stage);
    add_text(w, "reason", s->reason);
    add_side(w, "new", &s->new_side);
    add_side(w, "old", &s->old_side);
    if (s->total.is_set) {
        json_key(w, STR("total"));
        json_begin_object(w);
        add_metrics(w, &s->total);
        json_end_object(w);
    }
}

void report_tell_json(struct buf *to, wall_t now, const struct tell *tell)
{
    static const char *const types[] = {
        [TELL_STEP] = "step",   [TELL_LINE] = "line", [TELL_WARNING] = "warning",
        [TELL_EVENT] = "event", [TELL_LOG] = "log",   [TELL_SIGHT] = "progress"};
    struct json_writer w;
    begin(&w, to, now, types[tell->kind]);
    if (tell->kind == TELL_STEP) {
        json_key(&w, STR("step"));
        json_add_i64(&w, tell->number);
        json_key(&w, STR("steps"));
        json_add_i64(&w, tell->count);
    }
    add_text(&w, "text", tell->text);
    if (tell->kind == TELL_SIGHT) {
        add_sight(&w, tell->sight);
    }
    end(&w, to);
}

static void add_why(struct json_writer *w, const struct why *y)
{
    add_text(w, "stoppedReason", y->stopped_reason);
    if (y->has_exit_code) {
        json_key(w, STR("taskExitCode"));
        json_add_i64(w, y->exit_code);
    }
    if (y->line_count > 0) {
        json_key(w, STR("log"));
        json_begin_array(w);
        for (size_t i = 0; i < y->line_count; i++) {
            json_add_string(w, y->lines[i]);
        }
        json_end_array(w);
    }
    if (y->alarms.count > 0) {
        json_key(w, STR("alarms"));
        json_begin_array(w);
        for (size_t i = 0; i < y->alarms.count; i++) {
            json_begin_object(w);
            add_text(w, "name", y->alarms.items[i].name);
            add_text(w, "reason", y->alarms.items[i].reason);
            json_end_object(w);
        }
        json_end_array(w);
    }
}

void report_result_json(struct buf *to, wall_t now, const struct deploy_result *r, int exit_code)
{
    struct json_writer w;
    begin(&w, to, now, "result");
    add_text(&w, "outcome", str_of(report_outcome_word(r->outcome)));
    json_key(&w, STR("exitCode"));
    json_add_i64(&w, exit_code);
    add_text(&w, "text", r->text);
    add_text(&w, "service", r->service);
    add_text(&w, "version", r->version);
    add_text(&w, "oldVersion", r->old_version);
    add_text(&w, "taskDefinition", r->revision);
    add_text(&w, "deployment", r->deployment);
    add_text(&w, "url", r->url);
    add_text(&w, "serving", r->serving);
    add_number(&w, "seconds", r->seconds);
    add_why(&w, &r->why);
    end(&w, to);
}

/* ---- for people ---- */

void report_why(struct buf *to, const struct why *w, const char *indent)
{
    if (str_is_set(w->task)) {
        struct str id = str_from(w->task, str_find_last_char(w->task, '/') + 1);
        buf_addf(to, "%stask %.*s: %.*s", indent, STR_ARG(id), STR_ARG(w->stopped_reason));
        if (w->has_exit_code) {
            buf_addf(to, "; container %.*s ended with %lld", STR_ARG(w->container),
                     (long long)w->exit_code);
        }
        buf_add(to, STR("\n"));
    }
    for (size_t i = 0; i < w->line_count; i++) {
        buf_addf(to, "%s  | %.*s\n", indent, STR_ARG(w->lines[i]));
    }
    for (size_t i = 0; i < w->alarms.count; i++) {
        buf_addf(to, "%salarm %.*s: %.*s\n", indent, STR_ARG(w->alarms.items[i].name),
                 STR_ARG(w->alarms.items[i].reason));
    }
}

static void add_versions(struct buf *to, const struct deploy_result *r)
{
    if (!str_is_set(r->service)) {
        return;
    }
    buf_addf(to, "%.*s: ", STR_ARG(r->service));
    bool has_old = str_is_set(r->old_version) && !str_equal(r->old_version, r->version);
    if (has_old) {
        buf_addf(to, "%.*s -> ", STR_ARG(r->old_version));
    }
    buf_addf(to, "%.*s ", STR_ARG(r->version));
}

void report_result(struct buf *to, const struct deploy_result *r, bool has_color)
{
    const struct outcome_words *words = words_of(r->outcome);
    add_versions(to, r);
    buf_addf(to, "%s%s%s", has_color ? (words->is_good ? GREEN : RED) : "", words->text,
             has_color ? PLAIN : "");
    buf_addf(to, " after %.1f s\n", r->seconds);
    if (!words->is_good || r->outcome == DEPLOY_NOTHING) {
        buf_addf(to, "  %.*s\n", STR_ARG(r->text));
    }
    report_why(to, &r->why, "  ");
    if ((r->outcome == DEPLOY_ROLLED_BACK || r->outcome == DEPLOY_STOPPED) &&
        str_is_set(r->old_version) && str_is_set(r->serving)) {
        buf_addf(to, "  version %.*s serves: %.*s\n", STR_ARG(r->old_version), STR_ARG(r->serving));
    } else if (str_is_set(r->serving)) {
        buf_addf(to, "  %.*s\n", STR_ARG(r->serving));
    }
    bool is_live = r->outcome == DEPLOY_RELEASED || r->outcome == DEPLOY_NOTHING;
    if (is_live && str_is_set(r->url)) {
        buf_addf(to, "  %.*s\n", STR_ARG(r->url));
    }
}
