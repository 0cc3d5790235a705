/* hitless plan: what a deployment would change. */
#include "base/check.h"
#include "cli/session.h"
#include "deployer/plan.h"

#include <stdio.h>

#define TEXT_BYTES_MAX 262144

enum { OPTION_VERSION, OPTION_IMAGE, OPTION_SERVICE, OPTION_FILE, OPTION_COUNT };

static void tell_nobody(void *self, const struct tell *told)
{
    (void)self;
    (void)told;
}

static int show_plan(struct op *op, const struct session *s, const struct cli_option *o)
{
    auto_buf struct buf text;
    buf_init(&text, TEXT_BYTES_MAX);
    struct deploy_request request = {
        .config = &s->config,
        .environment = s->environment,
        .service = o[OPTION_SERVICE].value,
        .release = {.version = str_is_set(o[OPTION_VERSION].value)
                                   ? o[OPTION_VERSION].value
                                   : session_version(op, s->config.folder),
                    .image = o[OPTION_IMAGE].value},
        .is_interrupted = session_is_interrupted,
        .tell = tell_nobody,
    };
    struct deployment d = {.request = &request, .cloud = &s->cloud};
    size_t changes = 0;
    if (deploy_prepare(op, &d) != ERR_OK || plan_write(op, &d, &text, &changes) != ERR_OK) {
        return cli_fail_op(CLI_PREFLIGHT, op, NULL);
    }
    (void)printf("%.*s", STR_ARG(buf_str(&text)));
    return changes == 0 ? CLI_OK : CLI_CHANGES;
}

static int run(struct op *op, const struct cli_args *args)
{
    struct cli_option o[OPTION_COUNT] = {
        [OPTION_VERSION] = {.name = "--version", .has_value = true},
        [OPTION_IMAGE] = {.name = "--image", .has_value = true},
        [OPTION_SERVICE] = {.name = "--service", .has_value = true},
        [OPTION_FILE] = {.name = "--file", .has_value = true},
    };
    struct cli_parsed parsed = {0};
    struct session s = {0};
    if (cli_parse(op, args, o, OPTION_COUNT, &parsed) != ERR_OK) {
        return cli_fail_op(CLI_USAGE, op, NULL);
    }
    int code = session_begin(op, o[OPTION_FILE].value, parsed.words[0], false, &s);
    code = code != CLI_OK ? code : show_plan(op, &s, o);
    session_close(&s);
    return code;
}

const struct cli_command cli_plan = {
    .name = "plan",
    .arguments = "[ENV]",
    .summary = "what a deployment would change; changes nothing",
    .help = "  --version V      what the version would be called (default: the commit)\n"
            "  --image REF      instead of the file's image\n"
            "  --service NAME   only this service of the file\n"
            "  --file FILE      (default: hitless.yaml here or above)\n"
            "\n"
            "Exit code 0 when nothing would change, 2 when something would.\n"
            "\n"
            "Example:\n"
            "  hitless plan production\n",
    .run = run,
};
