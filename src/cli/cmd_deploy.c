/* hitless deploy: ships the folder's version to an environment. */
#include "base/check.h"
#include "cli/outcome.h"
#include "cli/session.h"
#include "cli/show.h"
#include "deployer/slack.h"

#include <stdio.h>
#include <unistd.h>

#define WORD_BYTES_MAX 256

enum {
    OPTION_VERSION,
    OPTION_IMAGE,
    OPTION_SERVICE,
    OPTION_STRATEGY,
    OPTION_FORCE,
    OPTION_CONFIRM,
    OPTION_YES,
    OPTION_FILE,
    OPTION_JSON,
    OPTION_COUNT
};

/* ---- the word that must be typed ---- */

static int confirm(struct op *op, const struct config_environment *e, const struct cli_option *o)
{
    if (e->confirm == CONFIG_CONFIRM_NONE) {
        return CLI_OK;
    }
    bool is_always = e->confirm == CONFIG_CONFIRM_ALWAYS;
    struct str word = is_always ? e->name : e->confirm_word;
    if (str_is_set(o[OPTION_YES].value)) {
        return is_always ? cli_fail(CLI_USAGE, NULL, "--yes is refused: %.*s says confirm: always",
                                    STR_ARG(e->name))
                         : CLI_OK;
    }
    struct str typed = o[OPTION_CONFIRM].value;
    char line[WORD_BYTES_MAX];
    if (!str_is_set(typed) && isatty(STDIN_FILENO) == 1) {
        (void)fprintf(stderr, "type %.*s to deploy to %.*s: ", STR_ARG(word), STR_ARG(e->name));
        typed = fgets(line, sizeof(line), stdin) == NULL
                    ? STR("")
                    : arena_str(&op->arena, str_trim(str_of(line)));
    }
    if (!str_equal(typed, word)) {
        return cli_fail(CLI_PREFLIGHT, NULL, "not confirmed: %.*s wants the word %.*s%s",
                        STR_ARG(e->name), STR_ARG(word),
                        is_always ? "" : " (--confirm WORD, or --yes)");
    }
    return CLI_OK;
}

/* ---- options ---- */

static int take_strategy(struct op *op, struct str word, struct session *s)
{
    if (!str_is_set(word)) {
        return CLI_OK;
    }
    struct config_environment *e = ARENA_NEW(&op->arena, struct config_environment);
    *e = *s->environment;
    if (!config_use_strategy(&op->arena, word, e)) {
        return cli_fail(CLI_USAGE, "rolling, canary, linear, blue_green",
                        "--strategy: there is no strategy \"%.*s\"", STR_ARG(word));
    }
    s->environment = e;
    return CLI_OK;
}

/* Variables of this release: the words behind the environment. */
static int take_pairs(struct op *op, const struct cli_parsed *parsed, struct config_pairs *pairs)
{
    for (size_t i = 1; i < parsed->word_count; i++) {
        struct str name = STR_NONE;
        struct str value = STR_NONE;
        if (!str_cut(parsed->words[i], '=', &name, &value) || name.len == 0) {
            return cli_fail(CLI_USAGE, "hitless deploy --help",
                            "expected NAME=VALUE, found \"%.*s\"", STR_ARG(parsed->words[i]));
        }
        *ARENA_PUSH(&op->arena, pairs) = (struct config_pair){.name = name, .value = value};
    }
    return CLI_OK;
}

static void notify(struct op *op, const struct session *s, const struct deploy_result *r)
{
    struct str webhook = s->config.notify.slack;
    if (!str_is_set(webhook)) {
        return;
    }
    auto_buf struct buf text;
    buf_init(&text, SLACK_BYTES_MAX);
    for (size_t i = 0; i < r->why.alarms.count; i++) {
        slack_alarm_message(&text, s->config.app, s->environment->name, &r->why.alarms.items[i]);
        if (slack_send(op, webhook, buf_str(&text)) != ERR_OK) {
            session_say("warning: Slack was not told of the alarm: %s", op->note.text);
        }
        buf_reset(&text);
    }
    if (slack_message(&text, s->config.app, s->environment->name, r) &&
        slack_send(op, webhook, buf_str(&text)) != ERR_OK) {
        session_say("warning: Slack was not told: %s", op->note.text);
    }
}

static int go(struct op *op, struct session *s, const struct cli_option *o,
              const struct config_pairs *pairs)
{
    struct show *show = show_open(str_is_set(o[OPTION_JSON].value));
    struct deploy_request request = {
        .config = &s->config,
        .environment = s->environment,
        .service = o[OPTION_SERVICE].value,
        .release = {.version = str_is_set(o[OPTION_VERSION].value)
                                   ? o[OPTION_VERSION].value
                                   : session_version(op, s->config.folder),
                    .image = o[OPTION_IMAGE].value,
                    .env = *pairs},
        .is_forced = str_is_set(o[OPTION_FORCE].value),
        .is_interrupted = session_is_interrupted,
        .tell = show_tell,
        .self = show,
    };
    struct deploy_result r = {0};
    session_catch_interrupt();
    enum err e = deploy_run(op, &s->cloud, &request, &r);
    CHECK(e == ERR_OK);
    int code = (int)outcome_exit(r.outcome);
    notify(op, s, &r);
    show_result(show, &r, code);
    outcome_hint(&r, s->environment->name);
    show_close(show);
    return code;
}

static int run(struct op *op, const struct cli_args *args)
{
    struct cli_option o[OPTION_COUNT] = {
        [OPTION_VERSION] = {.name = "--version", .has_value = true},
        [OPTION_IMAGE] = {.name = "--image", .has_value = true},
        [OPTION_SERVICE] = {.name = "--service", .has_value = true},
        [OPTION_STRATEGY] = {.name = "--strategy", .has_value = true},
        [OPTION_FORCE] = {.name = "--force"},
        [OPTION_CONFIRM] = {.name = "--confirm", .has_value = true},
        [OPTION_YES] = {.name = "--yes"},
        [OPTION_FILE] = {.name = "--file", .has_value = true},
        [OPTION_JSON] = {.name = "--json"},
    };
    struct cli_parsed parsed = {0};
    struct session s = {0};
    struct config_pairs pairs = {0};
    if (cli_parse(op, args, o, OPTION_COUNT, &parsed) != ERR_OK) {
        return cli_fail_op(CLI_USAGE, op, "hitless deploy --help");
    }
    int code = session_read(op, o[OPTION_FILE].value, &s);
    code = code != CLI_OK ? code : session_choose(op, parsed.words[0], &s);
    code = code != CLI_OK ? code : take_strategy(op, o[OPTION_STRATEGY].value, &s);
    code = code != CLI_OK ? code : take_pairs(op, &parsed, &pairs);
    code = code != CLI_OK ? code : confirm(op, s.environment, o);
    code = code != CLI_OK ? code : session_open(op, &s, true);
    code = code != CLI_OK ? code : go(op, &s, o, &pairs);
    session_close(&s);
    return code;
}

const struct cli_command cli_deploy = {
    .name = "deploy",
    .arguments = "[ENV]",
    .summary = "ships this version, and takes it back when it is bad",
    .help = "  --version V      what this version is called (default: the commit)\n"
            "  --image REF      instead of the file's image\n"
            "  NAME=VALUE ...   variables of this release, behind the environment\n"
            "  --service NAME   only this service of the file\n"
            "  --strategy S     rolling, canary, linear, blue_green (default: the file's)\n"
            "  --force          also when nothing changed\n"
            "  --confirm WORD   the environment's word, instead of typing it\n"
            "  --yes            without the word (refused where it says confirm: always)\n"
            "  --file FILE      (default: hitless.yaml here or above)\n"
            "  --json           one object a line, the last one the result\n"
            "\n"
            "Ctrl-C stops following; the deployment goes on. Exit codes: docs/deploy.md.\n"
            "\n"
            "Example:\n"
            "  hitless deploy staging --version 1.4.2\n",
    .run = run,
};
