/* hitless rollback and hitless stop: back to a version that was good. */
#include "base/check.h"
#include "cli/outcome.h"
#include "cli/session.h"
#include "cli/show.h"
#include "deployer/deploy.h"
#include "deployer/history.h"

enum { OPTION_TO, OPTION_SERVICE, OPTION_FILE, OPTION_JSON, OPTION_COUNT };

static int begin(struct op *op, const struct cli_args *args, struct cli_option *o,
                 struct session *s, struct leg *leg)
{
    struct cli_parsed parsed = {0};
    o[OPTION_TO] = (struct cli_option){.name = "--to", .has_value = true};
    o[OPTION_SERVICE] = (struct cli_option){.name = "--service", .has_value = true};
    o[OPTION_FILE] = (struct cli_option){.name = "--file", .has_value = true};
    o[OPTION_JSON] = (struct cli_option){.name = "--json"};
    if (cli_parse(op, args, o, OPTION_COUNT, &parsed) != ERR_OK) {
        return cli_fail_op(CLI_USAGE, op, NULL);
    }
    int code = session_begin(op, o[OPTION_FILE].value, parsed.words[0], false, s);
    if (code != CLI_OK) {
        return code;
    }
    if (!session_place(op, s, o[OPTION_SERVICE].value, &leg->place)) {
        return CLI_USAGE;
    }
    if (resources_find(op, &s->cloud, &leg->place, &leg->resources) != ERR_OK) {
        return cli_fail_op(CLI_CANNOT_TELL, op, NULL);
    }
    if (leg->resources.service == NULL) {
        return cli_fail(CLI_PREFLIGHT, NULL, "\"%.*s\" is not deployed in %.*s",
                        STR_ARG(leg->place.service_name), STR_ARG(s->environment->name));
    }
    if (leg->resources.service->load_balancers.count > 0) {
        leg->container = leg->resources.service->load_balancers.items[0].container_name;
        leg->container_port =
            OPT_OR(leg->resources.service->load_balancers.items[0].container_port, 0);
    }
    leg->place.count = OPT_OR(leg->resources.service->desired_count, leg->place.count);
    return CLI_OK;
}

static struct deploy_request request_of(const struct session *s, struct show *show)
{
    return (struct deploy_request){.config = &s->config,
                                   .environment = s->environment,
                                   .is_interrupted = session_is_interrupted,
                                   .tell = show_tell,
                                   .self = show};
}

/* ---- rollback ---- */

static int pick(struct op *op, const struct session *s, struct str word, struct leg *leg,
                struct str *ret_version)
{
    struct history h = {0};
    if (history_read(op, &s->cloud, &leg->place, &h) != ERR_OK) {
        return cli_fail_op(CLI_CANNOT_TELL, op, NULL);
    }
    struct str current = leg->resources.service->task_definition;
    const struct history_row *row =
        str_is_set(word) ? history_find(&h, word) : history_previous(&h, current);
    if (row == NULL || !str_is_set(row->task_definition)) {
        return cli_fail(CLI_PREFLIGHT, "hitless history shows what was deployed",
                        str_is_set(word) ? "there is no revision or version \"%.*s\""
                                         : "there is no earlier version to go back to%.*s",
                        STR_ARG(word));
    }
    leg->task_definition = row->task_definition;
    leg->old_version = deploy_version_of(op, &s->cloud, current);
    *ret_version = row->version;
    return CLI_OK;
}

static int go_back(struct op *op, const struct session *s, const struct cli_option *o,
                   struct leg *leg)
{
    struct handle moving = {0};
    if (shift_find_current(op, &s->cloud, &leg->place, leg->resources.service, &moving) == ERR_OK) {
        return cli_fail(CLI_LOCKED, "hitless stop takes it back", "a deployment is under way: %.*s",
                        STR_ARG(moving.id));
    }
    op_note_clear(op);
    struct show *show = show_open(str_is_set(o[OPTION_JSON].value));
    struct deploy_request request = request_of(s, show);
    struct deploy_result r = {0};
    int code = pick(op, s, o[OPTION_TO].value, leg, &request.release.version);
    if (code == CLI_OK && deploy_back(op, &s->cloud, &request, leg, &r) != ERR_OK) {
        code = cli_fail_op(CLI_PREFLIGHT, op, NULL);
    } else if (code == CLI_OK) {
        code = (int)outcome_exit(r.outcome);
        show_result(show, &r, code);
    }
    show_close(show);
    return code;
}

static int run_rollback(struct op *op, const struct cli_args *args)
{
    struct cli_option o[OPTION_COUNT] = {0};
    struct session s = {0};
    struct leg leg = {0};
    session_catch_interrupt();
    int code = begin(op, args, o, &s, &leg);
    code = code != CLI_OK ? code : go_back(op, &s, o, &leg);
    session_close(&s);
    return code;
}

const struct cli_command cli_rollback = {
    .name = "rollback",
    .arguments = "[ENV]",
    .summary = "brings the last good version back",
    .help =
        "  --to REV         a revision (3), or a version (default: the last other good one)\n"
        "  --service NAME   (default: the first of the file)\n"
        "  --file FILE      (default: hitless.yaml here or above)\n"
        "  --json           one object a line, the last one the result\n"
        "\n"
        "No steps and no waits on the way back: it starts the old version and moves the traffic.\n"
        "\n"
        "Example:\n"
        "  hitless rollback production --to 41\n",
    .run = run_rollback,
};

/* ---- stop ---- */

static int stop(struct op *op, const struct session *s, const struct cli_option *o, struct leg *leg)
{
    if (shift_find_current(op, &s->cloud, &leg->place, leg->resources.service, &leg->handle) !=
        ERR_OK) {
        return cli_fail_op(CLI_PREFLIGHT, op, NULL);
    }
    struct show *show = show_open(str_is_set(o[OPTION_JSON].value));
    struct deploy_request request = request_of(s, show);
    request.release.version = deploy_version_of(op, &s->cloud, leg->handle.task_definition);
    struct deployment d = {.request = &request,
                           .cloud = &s->cloud,
                           .legs = leg,
                           .leg_count = 1,
                           .started = clock_mono()};
    if (shift_stop(op, &s->cloud, &leg->handle) != ERR_OK) {
        show_close(show);
        return cli_fail_op(CLI_PREFLIGHT, op, NULL);
    }
    struct sight last = {0};
    enum deploy_outcome outcome = follow_run(op, &d, leg, NULL, NULL, &last);
    struct deploy_result r = {.outcome = outcome,
                              .text = str_is_set(last.reason) ? last.reason : str_of(op->note.text),
                              .service = leg->place.service_name,
                              .version = request.release.version,
                              .deployment = leg->handle.id,
                              .seconds = (double)mono_since(clock_mono(), d.started).us / 1e6};
    bool is_stopped = outcome == DEPLOY_STOPPED || outcome == DEPLOY_ROLLED_BACK;
    r.outcome = outcome == DEPLOY_ROLLED_BACK ? DEPLOY_STOPPED : outcome;
    int code = is_stopped && !session_is_interrupted(NULL) ? CLI_OK : (int)outcome_exit(outcome);
    show_result(show, &r, code);
    show_close(show);
    return code;
}

static int run_stop(struct op *op, const struct cli_args *args)
{
    struct cli_option o[OPTION_COUNT] = {0};
    struct session s = {0};
    struct leg leg = {0};
    session_catch_interrupt();
    int code = begin(op, args, o, &s, &leg);
    code = code != CLI_OK ? code : stop(op, &s, o, &leg);
    session_close(&s);
    return code;
}

const struct cli_command cli_stop = {
    .name = "stop",
    .arguments = "[ENV]",
    .summary = "stops the deployment under way and takes the new version back",
    .help = "  --service NAME   (default: the first of the file)\n"
            "  --file FILE      (default: hitless.yaml here or above)\n"
            "  --json           one object a line, the last one the result\n"
            "\n"
            "Example:\n"
            "  hitless stop production\n",
    .run = run_stop,
};
