#include "deployer/screen.h"

#include "base/check.h"

#define BOLD   "\033[1m"
#define DIM    "\033[2m"
#define GREEN  "\033[32m"
#define YELLOW "\033[33m"
#define CYAN   "\033[36m"
#define PLAIN  "\033[0m"

#define BAR_CELLS_MAX  40
#define LINE_BYTES_MAX 4096
#define WIDE_ENOUGH    72 /* for rates beside the counts */

/* Cuts by characters, not bytes, so that a line never wraps; the end of a line is its own. */
static void add_cut(struct buf *to, struct str line, size_t width)
{
    size_t cells = 0;
    size_t at = 0;
    while (at < line.len && cells < width) {
        at++;
        while (at < line.len && ((unsigned char)line.ptr[at] & 0xC0U) == 0x80U) {
            at++;
        }
        cells++;
    }
    buf_add(to, str_slice(line, 0, at));
}

static void add_line(struct buf *to, const struct screen *s, const char *color, struct str line)
{
    buf_add(to, str_of(s->has_color ? color : ""));
    add_cut(to, line, s->width - 1);
    buf_add(to, str_of(s->has_color ? PLAIN : ""));
    buf_add_char(to, '\n');
}

static double share_of(const struct sight *s)
{
    if (s->new_side.weight >= 0) {
        return s->new_side.weight / 100;
    }
    int64_t all = s->new_side.running + s->old_side.running;
    return all == 0 ? 0 : (double)s->new_side.running / (double)all;
}

static void add_bar(struct buf *to, const struct screen *screen, const struct sight *s)
{
    size_t room = screen->width > 20 ? screen->width - 20 : 4;
    size_t cells = room < BAR_CELLS_MAX ? room : BAR_CELLS_MAX;
    double share = share_of(s);
    size_t full = (size_t)(share * (double)cells + 0.5);
    buf_add(to, STR("  "));
    buf_add(to, str_of(screen->has_color ? GREEN : ""));
    for (size_t i = 0; i < cells; i++) {
        if (i == full && screen->has_color) {
            buf_add(to, STR(PLAIN));
        }
        buf_add(to, i < full ? STR("#") : STR("."));
    }
    buf_add(to, str_of(screen->has_color ? PLAIN : ""));
    buf_addf(to, " %3.0f %% new\n", share * 100);
}

static void add_side(struct buf *to, const struct screen *screen, const char *name,
                     const struct sight_side *side, const struct sight_metrics *m)
{
    if (!side->is_there) {
        return;
    }
    auto_buf struct buf line;
    buf_init(&line, LINE_BYTES_MAX);
    buf_addf(&line, "  %s %-12.*s %lld/%lld tasks", name, STR_ARG(side->version),
             (long long)side->running, (long long)side->desired);
    if (side->failed > 0) {
        buf_addf(&line, ", %lld failed", (long long)side->failed);
    }
    if (side->healthy >= 0) {
        buf_addf(&line, ", %lld healthy", (long long)side->healthy);
    }
    if (side->weight >= 0) {
        buf_addf(&line, ", %g %%", side->weight);
    }
    bool is_wide = screen->width >= WIDE_ENOUGH;
    if (m->is_set && is_wide) {
        buf_addf(&line, "  %.0f/s  %.1f %% errors  p50 %.0f p95 %.0f p99 %.0f ms",
                 m->requests_per_s, m->error_percent, m->p50_ms, m->p95_ms, m->p99_ms);
    }
    add_line(to, screen, m->is_set && m->error_percent > 0 ? YELLOW : "", buf_str(&line));
}

void screen_render(struct buf *to, const struct screen *screen, const struct sight *s)
{
    struct screen view = *screen;
    view.width = view.width < SCREEN_WIDTH_MIN ? SCREEN_WIDTH_MIN : view.width;
    auto_buf struct buf head;
    buf_init(&head, LINE_BYTES_MAX);
    buf_addf(&head, "  %s", sight_state_text(s->state));
    if (str_is_set(s->stage) && !sight_is_over(s->state)) {
        buf_addf(&head, ": %.*s", STR_ARG(s->stage));
    }
    buf_addf(&head, ", %.0f s", view.elapsed_s);
    add_line(to, &view, BOLD, buf_str(&head));
    add_bar(to, &view, s);
    add_side(to, &view, "new", &s->new_side, &s->new_side.metrics);
    add_side(to, &view, "old", &s->old_side, &s->old_side.metrics);
    if (s->total.is_set && !s->new_side.metrics.is_set) {
        auto_buf struct buf line;
        buf_init(&line, LINE_BYTES_MAX);
        buf_addf(&line, "  all %.0f requests/s  %.1f %% errors  p50 %.0f p95 %.0f p99 %.0f ms",
                 s->total.requests_per_s, s->total.error_percent, s->total.p50_ms, s->total.p95_ms,
                 s->total.p99_ms);
        add_line(to, &view, s->total.error_percent > 0 ? YELLOW : "", buf_str(&line));
    }
}

void screen_line(struct buf *to, const struct tell *tell, bool has_color)
{
    const char *end = has_color ? PLAIN : "";
    switch (tell->kind) {
    case TELL_STEP:
        buf_addf(to, "%s[%d/%d] %.*s%s\n", has_color ? BOLD : "", tell->number, tell->count,
                 STR_ARG(tell->text), end);
        return;
    case TELL_WARNING:
        buf_addf(to, "      %swarning: %.*s%s\n", has_color ? YELLOW : "", STR_ARG(tell->text),
                 end);
        return;
    case TELL_EVENT:
        buf_addf(to, "      %s%.*s%s\n", has_color ? DIM : "", STR_ARG(tell->text), end);
        return;
    case TELL_LOG:
        buf_addf(to, "      %s| %.*s%s\n", has_color ? CYAN : "", STR_ARG(tell->text), end);
        return;
    case TELL_LINE:
    case TELL_SIGHT:
        break;
    }
    buf_addf(to, "      %.*s\n", STR_ARG(tell->text));
}
