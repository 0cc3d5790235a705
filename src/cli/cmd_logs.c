/* hitless logs: what the tasks wrote. */
#include "base/check.h"
#include "cli/session.h"
#include "gen/logs.h"

#include <stdio.h>

#define SINCE_DEFAULT_S 600
#define FOLLOW_EVERY    DUR_MS(1000)
#define SEEN_MAX        512
#define ID_BYTES        96

enum { OPTION_FOLLOW, OPTION_SINCE, OPTION_FILTER, OPTION_SERVICE, OPTION_FILE, OPTION_COUNT };

/* The events of the newest millisecond, so that none is shown twice and none is missed. */
struct reader {
    int64_t from_ms;
    char seen[SEEN_MAX][ID_BYTES];
    size_t seen_count;
};

static bool is_seen(const struct reader *r, struct str id)
{
    for (size_t i = 0; i < r->seen_count; i++) {
        if (str_equal(id, str_of(r->seen[i]))) {
            return true;
        }
    }
    return false;
}

static void note_seen(struct reader *r, const struct logs_filtered_log_event *e)
{
    int64_t at = OPT_OR(e->timestamp, 0);
    if (at > r->from_ms) {
        r->from_ms = at;
        r->seen_count = 0;
    }
    if (at == r->from_ms && r->seen_count < SEEN_MAX &&
        str_to_c(e->event_id, r->seen[r->seen_count], ID_BYTES)) {
        r->seen_count++;
    }
}

/* "ecs/shop/6880abce..." is shown by its last part's beginning. */
static struct str task_of(struct str stream)
{
    return str_slice(str_from(stream, str_find_last_char(stream, '/') + 1), 0, 8);
}

static enum err read_once(const struct session *s, struct str group, struct str filter,
                          struct reader *r, struct op *op)
{
    struct logs_filter_log_events_in in = {
        .log_group_name = group, .start_time = OPT_I64(r->from_ms), .filter_pattern = filter};
    bool has_more = true;
    while (has_more) {
        struct logs_filter_log_events_out out = {0};
        TRY(aws_call_page(op, s->cloud.client, &logs_service, &logs_op_filter_log_events, &in, &out,
                          &has_more));
        for (size_t i = 0; i < out.events.count; i++) {
            const struct logs_filtered_log_event *e = &out.events.items[i];
            if (is_seen(r, e->event_id)) {
                continue;
            }
            struct str at =
                wall_iso8601(&op->arena, (wall_t){.us = OPT_OR(e->timestamp, 0) * 1000});
            (void)printf("%.*s %.*s %.*s\n", STR_ARG(at), STR_ARG(task_of(e->log_stream_name)),
                         STR_ARG(str_trim(e->message)));
            note_seen(r, e);
        }
    }
    (void)fflush(stdout);
    return ERR_OK;
}

static int show_logs(struct op *op, const struct session *s, const struct cli_option *o)
{
    struct place place = {0};
    int64_t since_s = SINCE_DEFAULT_S;
    struct str since = o[OPTION_SINCE].value;
    if (!session_place(op, s, o[OPTION_SERVICE].value, &place)) {
        return CLI_USAGE;
    }
    if (str_is_set(since) && !config_read_span_s(since, &since_s)) {
        return cli_fail(CLI_USAGE, NULL, "--since \"%.*s\": expected a span, as 90s, 5m, 1h",
                        STR_ARG(since));
    }
    struct reader *r = ARENA_NEW(&op->arena, struct reader);
    r->from_ms = clock_wall().us / 1000 - since_s * 1000;
    bool is_following = str_is_set(o[OPTION_FOLLOW].value);
    do {
        auto_op struct op one;
        cloud_op_init(&one, &s->cloud);
        if (read_once(s, place.log_group, o[OPTION_FILTER].value, r, &one) != ERR_OK) {
            return cli_fail_op(CLI_CANNOT_TELL, &one, NULL);
        }
        if (is_following) {
            cloud_wait(FOLLOW_EVERY);
        }
    } while (is_following && !session_is_interrupted(NULL));
    return CLI_OK;
}

static int run(struct op *op, const struct cli_args *args)
{
    struct cli_option o[OPTION_COUNT] = {
        [OPTION_FOLLOW] = {.name = "--follow", .short_name = "-f"},
        [OPTION_SINCE] = {.name = "--since", .has_value = true},
        [OPTION_FILTER] = {.name = "--filter", .has_value = true},
        [OPTION_SERVICE] = {.name = "--service", .has_value = true},
        [OPTION_FILE] = {.name = "--file", .has_value = true},
    };
    struct cli_parsed parsed = {0};
    struct session s = {0};
    if (cli_parse(op, args, o, OPTION_COUNT, &parsed) != ERR_OK) {
        return cli_fail_op(CLI_USAGE, op, NULL);
    }
    session_catch_interrupt();
    int code = session_begin(op, o[OPTION_FILE].value, parsed.words[0], false, &s);
    code = code != CLI_OK ? code : show_logs(op, &s, o);
    session_close(&s);
    return code;
}

const struct cli_command cli_logs = {
    .name = "logs",
    .arguments = "[ENV]",
    .summary = "what the tasks wrote",
    .help = "  -f, --follow     goes on as new lines come\n"
            "  --since SPAN     how far back (default: 10m)\n"
            "  --filter TEXT    only lines that match, in CloudWatch's filter syntax\n"
            "  --service NAME   (default: the first of the file)\n"
            "  --file FILE      (default: hitless.yaml here or above)\n"
            "\n"
            "Example:\n"
            "  hitless logs production -f --since 1h\n",
    .run = run,
};
