#include "deployer/slack.h"

#include "codec/json.h"
#include "deployer/report.h"
#include "deployer/web.h"

#define TIMEOUT       DUR_S(10)
#define PAUSE_MS_BASE 500

/* &, < and > are Slack's own signs. */
static void add_escaped(struct buf *to, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        switch (text.ptr[i]) {
        case '&':
            buf_add(to, STR("&amp;"));
            break;
        case '<':
            buf_add(to, STR("&lt;"));
            break;
        case '>':
            buf_add(to, STR("&gt;"));
            break;
        default:
            buf_add_char(to, text.ptr[i]);
        }
    }
}

static void add_text(struct buf *to, const char *before, struct str text, const char *after)
{
    buf_add(to, str_of(before));
    add_escaped(to, text);
    buf_add(to, str_of(after));
}

static void wrap(struct buf *to, struct str text)
{
    struct json_writer w;
    json_writer_init(&w, to);
    json_begin_object(&w);
    json_key(&w, STR("text"));
    json_add_string(&w, text);
    json_end_object(&w);
}

static const char *sign_of(enum deploy_outcome outcome)
{
    switch (outcome) {
    case DEPLOY_RELEASED:
        return ":white_check_mark:";
    case DEPLOY_ROLLED_BACK:
        return ":rewind:";
    case DEPLOY_NOT_ROLLED_BACK:
    case DEPLOY_MIGRATION:
    case DEPLOY_CANNOT_TELL:
        return ":x:";
    case DEPLOY_NOTHING:
    case DEPLOY_REFUSED:
    case DEPLOY_STOPPED:
    case DEPLOY_WAITING:
    case DEPLOY_SUPERSEDED:
    case DEPLOY_LOCKED:
        break;
    }
    return NULL;
}

static const char *verb_of(enum deploy_outcome outcome)
{
    switch (outcome) {
    case DEPLOY_RELEASED:
        return "is live in";
    case DEPLOY_ROLLED_BACK:
        return "failed and was rolled back in";
    case DEPLOY_MIGRATION:
        return "failed in its migration, before any traffic moved, in";
    case DEPLOY_CANNOT_TELL:
        return "was started, and how it ended cannot be told, in";
    case DEPLOY_NOT_ROLLED_BACK:
    case DEPLOY_NOTHING:
    case DEPLOY_REFUSED:
    case DEPLOY_STOPPED:
    case DEPLOY_WAITING:
    case DEPLOY_SUPERSEDED:
    case DEPLOY_LOCKED:
        break;
    }
    return "failed and was NOT rolled back in";
}

static void add_why(struct buf *to, const struct deploy_result *r)
{
    add_text(to, "\n", r->text, "");
    if (r->why.has_exit_code) {
        buf_addf(to, "\nexit code %lld", (long long)r->why.exit_code);
    }
    size_t skip = r->why.line_count > SLACK_LINES_MAX ? r->why.line_count - SLACK_LINES_MAX : 0;
    for (size_t i = skip; i < r->why.line_count; i++) {
        add_text(to, i == skip ? "\n```" : "\n", r->why.lines[i], "");
    }
    if (r->why.line_count > 0) {
        buf_add(to, STR("```"));
    }
    if (r->outcome == DEPLOY_ROLLED_BACK && str_is_set(r->old_version)) {
        add_text(to, "\nVersion ", r->old_version, " serves.");
    }
}

bool slack_message(struct buf *to, struct str app, struct str environment,
                   const struct deploy_result *r)
{
    const char *sign = sign_of(r->outcome);
    if (sign == NULL) {
        return false;
    }
    auto_buf struct buf text;
    buf_init(&text, SLACK_BYTES_MAX);
    buf_addf(&text, "%s ", sign);
    add_text(&text, "*", app, "/");
    add_text(&text, "", r->service, "*");
    add_text(&text, " version *", r->version, "* ");
    buf_add(&text, str_of(verb_of(r->outcome)));
    add_text(&text, " *", environment, "*");
    if (r->outcome == DEPLOY_RELEASED) {
        buf_addf(&text, " (%.0f s)", r->seconds);
    } else {
        add_why(&text, r);
    }
    wrap(to, buf_str(&text));
    return true;
}

void slack_alarm_message(struct buf *to, struct str app, struct str environment,
                         const struct alarm_state *alarm)
{
    auto_buf struct buf text;
    buf_init(&text, SLACK_BYTES_MAX);
    add_text(&text, ":rotating_light: *", app, "* in ");
    add_text(&text, "*", environment, "*: alarm ");
    add_text(&text, "*", alarm->name, "*\n");
    add_escaped(&text, alarm->reason);
    wrap(to, buf_str(&text));
}

enum err slack_send(struct op *op, struct str webhook, struct str json)
{
    struct web_request request = {.url = webhook, .json_body = json, .timeout = TIMEOUT};
    enum err e = ERR_NET;
    for (int i = 0; i < SLACK_TRIES; i++) {
        struct web_answer answer = {0};
        e = web_send(op, &request, &answer);
        if (e == ERR_OK && answer.status < 300) {
            return ERR_OK;
        }
        if (e == ERR_OK) {
            e = op_fail(op, ERR_REMOTE, "Slack answered %d", answer.status);
        }
        if (i + 1 < SLACK_TRIES) {
            cloud_wait(DUR_MS(PAUSE_MS_BASE << i));
        }
    }
    return e;
}
