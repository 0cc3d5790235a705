#include "cli/show.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/map.h"
#include "codec/json.h"
#include "deployer/report.h"
#include "deployer/screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LINE_BYTES_MAX   65536
#define SCREEN_BYTES_MAX 65536
#define PLAIN_EVERY      DUR_S(5)
#define WIDTH_DEFAULT    80

struct show {
    enum show_kind kind;
    bool has_color;
    struct screen screen;
    size_t drawn_lines; /* of the live view, to be drawn over */
    mono_t plain_at;    /* when a plain line about the shift is due again */
    uint64_t last_look; /* hash of the last one */
    mono_t started;
};

struct show *show_open(bool is_json)
{
    struct show *s = MEM_NEW(struct show);
    const char *term = getenv("TERM");
    bool is_terminal = isatty(STDOUT_FILENO) == 1 && term != NULL && strcmp(term, "dumb") != 0;
    s->kind = is_json ? SHOW_JSON : is_terminal ? SHOW_LIVE : SHOW_PLAIN;
    const char *no_color = getenv("NO_COLOR");
    s->has_color = s->kind == SHOW_LIVE && (no_color == NULL || no_color[0] == '\0');
    s->started = clock_mono();
    return s;
}

void show_close(struct show *s)
{
    mem_free(s);
}

enum show_kind show_kind_of(const struct show *s)
{
    return s->kind;
}

static void put(const struct buf *b)
{
    (void)fwrite(b->ptr, 1, b->len, stdout);
    (void)fflush(stdout);
}

/* ---- the live view ---- */

static size_t width(void)
{
    struct winsize size = {0};
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                           : WIDTH_DEFAULT;
}

static void erase(struct show *s, struct buf *out)
{
    if (s->drawn_lines > 0) {
        buf_addf(out, "\033[%zuA\033[J", s->drawn_lines);
    }
    s->drawn_lines = 0;
}

static void draw(struct show *s, struct buf *out, const struct sight *sight)
{
    auto_buf struct buf view;
    buf_init(&view, SCREEN_BYTES_MAX);
    s->screen.elapsed_s = (double)mono_since(clock_mono(), s->started).us / 1e6;
    s->screen.width = width();
    s->screen.has_color = s->has_color;
    screen_render(&view, &s->screen, sight);
    for (size_t i = 0; i < view.len; i++) {
        s->drawn_lines += view.ptr[i] == '\n' ? 1 : 0;
    }
    buf_add(out, buf_str(&view));
}

static void tell_live(struct show *s, const struct tell *t)
{
    auto_buf struct buf out;
    buf_init(&out, SCREEN_BYTES_MAX * 2);
    erase(s, &out);
    if (t->kind == TELL_SIGHT) {
        draw(s, &out, t->sight);
    } else {
        screen_line(&out, t, s->has_color);
    }
    put(&out);
}

/* ---- plain lines ---- */

static void tell_plain(struct show *s, const struct tell *t)
{
    auto_buf struct buf out;
    auto_op struct op op;
    buf_init(&out, LINE_BYTES_MAX);
    op_init(&op);
    struct str at = wall_iso8601(&op.arena, op.now);
    buf_addf(&out, "%.*sZ ", STR_ARG(str_slice(at, 0, 19)));
    if (t->kind != TELL_SIGHT) {
        screen_line(&out, t, false);
        put(&out);
        return;
    }
    struct str line = report_sight_line(&op.arena, t->sight);
    uint64_t look = hash_str(report_sight_key(&op.arena, t->sight));
    if (look == s->last_look && clock_mono().us < s->plain_at.us) {
        return;
    }
    s->last_look = look;
    s->plain_at = mono_add(clock_mono(), PLAIN_EVERY);
    buf_addf(&out, "      %.*s\n", STR_ARG(line));
    put(&out);
}

static void tell_json(struct show *s, const struct tell *t)
{
    auto_buf struct buf out;
    buf_init(&out, LINE_BYTES_MAX);
    if (t->kind == TELL_SIGHT) {
        auto_op struct op op;
        op_init(&op);
        uint64_t look = hash_str(report_sight_key(&op.arena, t->sight));
        if (look == s->last_look && clock_mono().us < s->plain_at.us) {
            return;
        }
        s->last_look = look;
        s->plain_at = mono_add(clock_mono(), DUR_S(1));
    }
    report_tell_json(&out, clock_wall(), t);
    put(&out);
}

void show_tell(void *self, const struct tell *tell)
{
    struct show *s = self;
    switch (s->kind) {
    case SHOW_LIVE:
        tell_live(s, tell);
        break;
    case SHOW_PLAIN:
        tell_plain(s, tell);
        break;
    case SHOW_JSON:
        tell_json(s, tell);
        break;
    }
}

void show_result(struct show *s, const struct deploy_result *r, int exit_code)
{
    auto_buf struct buf out;
    buf_init(&out, LINE_BYTES_MAX);
    if (s->kind == SHOW_JSON) {
        report_result_json(&out, clock_wall(), r, exit_code);
    } else {
        erase(s, &out);
        report_result(&out, r, s->has_color);
    }
    put(&out);
}

void show_failure(struct show *s, int exit_code, struct str text)
{
    struct deploy_result r = {.outcome = DEPLOY_REFUSED, .text = text};
    if (s->kind == SHOW_JSON) {
        show_result(s, &r, exit_code);
    }
}
