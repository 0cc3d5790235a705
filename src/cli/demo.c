/* hitless demo: five releases under load, two of them bad, and an account of every request. */
#include "base/check.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "cli/local.h"
#include "cli/session.h"
#include "cli/show.h"
#include "cli/tally.h"
#include "deployer/report.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_BYTES_MAX 4096
#define LOG_BYTES_MAX  (512u << 20)
#define STOP_MS        30000
#define LOOK_EVERY     DUR_MS(50)
#define CALM           DUR_MS(1500) /* between two releases */
#define FOLDERS_OPEN   16

enum { OPTION_RATE, OPTION_SCALE, OPTION_FILE, OPTION_KEEP, OPTION_COUNT };

struct release_plan {
    const char *version;
    const char *strategy;
    const char *variable; /* NULL: none */
    const char *value;
    const char *what;
    enum deploy_outcome expected;
};

static const struct release_plan plans[] = {
    {"v1", "rolling", NULL, NULL, "the first release", DEPLOY_RELEASED},
    {"v2", "rolling", NULL, NULL, "a good version", DEPLOY_RELEASED},
    {"v3", "canary", NULL, NULL, "a good version", DEPLOY_RELEASED},
    {"v4", "canary", "FAIL_EVERY", "3", "fails every third request", DEPLOY_ROLLED_BACK},
    {"v5", "rolling", "CRASH_AT_START", "1", "crashes at start", DEPLOY_ROLLED_BACK},
};

enum { RELEASES = ARRAY_COUNT(plans) };

struct demo {
    struct session session;
    struct show *show;
    struct str folder; /* of this run */
    struct str timeline;
    FILE *told; /* everything that the deployments told, as JSON */
    pid_t engine;
    pid_t load;
    struct tally tallies[RELEASES];
    struct deploy_result results[RELEASES];
    size_t done_count;
    struct tally *now;
};

/* ---- what is told ---- */

static void note_canary(struct tally *t, const struct sight *s)
{
    bool is_step = s->state == SIGHT_GOING && s->new_side.weight > 0 && s->new_side.weight < 100;
    if (!is_step) {
        return;
    }
    wall_t now = clock_wall();
    t->canary_from = t->canary_from.us == 0 ? now : t->canary_from;
    t->canary_to = now;
}

static void tell(void *self, const struct tell *told)
{
    struct demo *d = self;
    if (told->kind == TELL_SIGHT) {
        note_canary(d->now, told->sight);
        show_tell(d->show, told);
    } else if (told->kind == TELL_WARNING) {
        show_tell(d->show, told);
    }
    auto_buf struct buf line;
    buf_init(&line, 65536);
    report_tell_json(&line, clock_wall(), told);
    (void)fwrite(line.ptr, 1, line.len, d->told);
}

static void say(struct demo *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct demo *d, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    struct tell told = {.kind = TELL_LINE, .text = str_of(text)};
    show_tell(d->show, &told);
}

/* ---- children ---- */

static enum err free_port(struct op *op, int *ret_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(at);
    auto_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1 || bind(fd, (struct sockaddr *)&at, size) == -1 ||
        getsockname(fd, (struct sockaddr *)&at, &size) == -1) {
        return op_fail_errno(op, "could not find a free port");
    }
    *ret_port = ntohs(at.sin_port);
    return ERR_OK;
}

static enum err start_engine(struct op *op, struct demo *d, int64_t scale)
{
    int port = 0;
    TRY(free_port(op, &port));
    struct local_engine e = {.state = arena_printf(&op->arena, "%.*s/state", STR_ARG(d->folder)),
                             .api = arena_printf(&op->arena, "127.0.0.1:%d", port),
                             .endpoint = arena_printf(&op->arena, "http://127.0.0.1:%d", port),
                             .time_scale = scale,
                             .runtime = "process"};
    TRY(local_start(op, &e, true, &d->engine));
    struct cloud_door door = {.endpoint = e.endpoint};
    struct str keys = arena_printf(&op->arena, "%.*s/credentials", STR_ARG(e.state));
    TRY(cloud_read_keys(op, keys.ptr, &door));
    TRY(cloud_open(op, d->session.environment, &door, &d->session.cloud));
    d->session.is_open = true;
    return ERR_OK;
}

static _Noreturn void become_load(struct arena *a, struct str url, struct str log, struct str rate,
                                  struct str out)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    int fd = open(arena_c_str(a, out), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    (void)dup2(fd, STDOUT_FILENO);
    (void)dup2(fd, STDERR_FILENO);
    execl("/proc/self/exe", "hitless", "load", arena_c_str(a, url), "--rate", arena_c_str(a, rate),
          "--connections", "64", "--log", arena_c_str(a, log), "--json", (char *)NULL);
    _exit(127);
}

static enum err start_load(struct op *op, struct demo *d, struct str url, struct str rate)
{
    struct str out = arena_printf(&op->arena, "%.*s/load.json", STR_ARG(d->folder));
    say(d, "%.*s requests a second go to %.*s from now on", STR_ARG(rate), STR_ARG(url));
    d->load = fork();
    if (d->load == -1) {
        return op_fail_errno(op, "could not start the load");
    }
    if (d->load == 0) {
        become_load(&op->arena, url, d->timeline, rate, out);
    }
    return ERR_OK;
}

static void stop_child(pid_t *pid, int signal_number)
{
    if (*pid <= 0) {
        return;
    }
    (void)kill(*pid, signal_number);
    mono_t end = mono_add(clock_mono(), DUR_MS(STOP_MS));
    while (waitpid(*pid, NULL, WNOHANG) == 0) {
        if (clock_mono().us > end.us) {
            (void)kill(*pid, SIGKILL);
            (void)waitpid(*pid, NULL, 0);
            break;
        }
        cloud_wait(LOOK_EVERY);
    }
    *pid = 0;
}

/* ---- releases ---- */

static enum err release(struct op *op, struct demo *d, const struct release_plan *plan)
{
    struct config_environment e = *d->session.environment;
    CHECK(config_use_strategy(&op->arena, str_of(plan->strategy), &e));
    struct config_pair pair = {.name = str_of(plan->variable), .value = str_of(plan->value)};
    struct tally *t = &d->tallies[d->done_count];
    t->version = str_of(plan->version);
    t->from = clock_wall();
    d->now = t;
    struct deploy_request request = {
        .config = &d->session.config,
        .environment = &e,
        .release = {.version = str_of(plan->version),
                    .env = {.items = &pair, .count = plan->variable == NULL ? 0 : 1}},
        .is_interrupted = session_is_interrupted,
        .tell = tell,
        .self = d};
    struct deploy_result *r = &d->results[d->done_count];
    say(d, "%s, %s: %s", plan->version, plan->strategy, plan->what);
    TRY(deploy_run(op, &d->session.cloud, &request, r));
    t->to = clock_wall();
    d->done_count++;
    say(d, "%s: %s after %.1f s%s%.*s", plan->version, report_outcome_word(r->outcome), r->seconds,
        r->outcome == DEPLOY_RELEASED ? "" : ": ",
        r->outcome == DEPLOY_RELEASED ? 0 : (int)r->text.len,
        r->text.ptr == NULL ? "" : r->text.ptr);
    for (size_t i = 0; i < r->why.alarms.count; i++) {
        say(d, "    alarm %.*s", STR_ARG(r->why.alarms.items[i].name));
    }
    for (size_t i = 0; i < r->why.line_count && r->why.exit_code != 0; i++) {
        say(d, "    | %.*s", STR_ARG(r->why.lines[i]));
    }
    return session_is_interrupted(NULL) ? op_fail(op, ERR_CANCELLED, "stopped") : ERR_OK;
}

static enum err check_end(struct op *op, const struct release_plan *plan,
                          const struct deploy_result *r)
{
    return r->outcome == plan->expected
               ? ERR_OK
               : op_fail(op, ERR_STATE, "%s was expected to end as %s, but: %.*s", plan->version,
                         report_outcome_word(plan->expected), STR_ARG(r->text));
}

static enum err run_releases(struct op *op, struct demo *d, struct str rate)
{
    for (size_t i = 0; i < RELEASES; i++) {
        TRY(release(op, d, &plans[i]));
        TRY(check_end(op, &plans[i], &d->results[i]));
        enum err e = i == 0 ? start_load(op, d, d->results[0].url, rate) : ERR_OK;
        TRY(e);
        cloud_wait(CALM);
    }
    return ERR_OK;
}

/* ---- the account ---- */

static struct str seconds_text(struct op *op, wall_t from, wall_t to)
{
    return arena_printf(&op->arena, "%.2f s", (double)wall_since(to, from).us / 1e6);
}

static void print_row(struct op *op, const struct demo *d, size_t i)
{
    const struct tally *t = &d->tallies[i];
    struct str share = STR("-");
    struct str rollback = STR("-");
    if (t->canary_all > 0) {
        share = arena_printf(&op->arena, "%.1f %%",
                             (double)t->canary_new * 100 / (double)t->canary_all);
    }
    if (d->results[i].outcome == DEPLOY_ROLLED_BACK) {
        rollback = t->first_bad.us == 0 ? STR("no bad answer")
                                        : seconds_text(op, t->first_bad, t->last_new);
    }
    (void)printf("%-8s %-9s %-12s %8.1f s %9llu %11llu %11llu %13.*s  %.*s\n", plans[i].version,
                 plans[i].strategy, report_outcome_word(d->results[i].outcome),
                 d->results[i].seconds, (unsigned long long)t->request_count,
                 (unsigned long long)t->failed_old, (unsigned long long)t->failed_new,
                 STR_ARG(share), STR_ARG(rollback));
}

static uint64_t wrong_answers_of_v4(const struct demo *d)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < RELEASES; i++) {
        sum += plans[i].expected == DEPLOY_ROLLED_BACK ? d->tallies[i].failed_new : 0;
    }
    return sum;
}

static int print_account(struct op *op, struct demo *d)
{
    struct str log = STR_NONE;
    struct tally_total total = {0};
    if (file_read(op, arena_c_str(&op->arena, d->timeline), LOG_BYTES_MAX, &log) != ERR_OK) {
        return cli_fail_op(1, op, NULL);
    }
    tally_count(log, d->tallies, d->done_count, &total);
    (void)printf("\n%-8s %-9s %-12s %10s %9s %11s %11s %13s  %s\n", "release", "strategy",
                 "outcome", "took", "requests", "failed old", "failed new", "canary share",
                 "first bad answer to the last");
    for (size_t i = 0; i < d->done_count; i++) {
        print_row(op, d, i);
    }
    uint64_t lost = total.failed_count - wrong_answers_of_v4(d);
    (void)printf("\n%llu requests in all; %llu failed that the old version would have answered\n"
                 "every request: %.*s\nwhat the deployments told: %.*s/deployments.log\n",
                 (unsigned long long)total.request_count, (unsigned long long)lost,
                 STR_ARG(d->timeline), STR_ARG(d->folder));
    (void)fflush(stdout);
    if (total.request_count == 0 || total.line_count_bad > 0) {
        return cli_fail(1, NULL, "the log of the load cannot be counted");
    }
    return lost == 0 ? CLI_OK : 1;
}

/* ---- the frame ---- */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static struct str program_folder(struct op *op)
{
    char path[PATH_BYTES_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path));
    struct str whole = str_make(path, len > 0 ? (size_t)len : 0);
    return arena_str(&op->arena, str_slice(whole, 0, str_find_last_char(whole, '/')));
}

/* The example as it lies in the source tree: here, or beside the folder of the program. */
static struct str find_example(struct op *op, struct str given)
{
    if (str_is_set(given)) {
        return given;
    }
    struct str here = STR("examples/shop/" CONFIG_FILE_NAME);
    if (access(here.ptr, R_OK) == 0) {
        return here;
    }
    return arena_printf(&op->arena, "%.*s/../examples/shop/" CONFIG_FILE_NAME,
                        STR_ARG(program_folder(op)));
}

static int prepare(struct op *op, struct demo *d, const struct cli_option *o)
{
    struct str shop = arena_printf(&op->arena, "%.*s/examples/shop", STR_ARG(program_folder(op)));
    (void)setenv("SHOP_DIR", shop.ptr, 0);
    int code = session_read(op, find_example(op, o[OPTION_FILE].value), &d->session);
    code = code != CLI_OK ? code : session_choose(op, STR("rehearsal"), &d->session);
    if (code != CLI_OK) {
        return code;
    }
    const char *tmp = getenv("TMPDIR");
    char folder[PATH_BYTES_MAX];
    (void)snprintf(folder, sizeof(folder), "%s/hitless-demo-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    if (mkdtemp(folder) == NULL) {
        err_ignore(op_fail_errno(op, "could not make a folder in %s", folder)); /* told below */
        return cli_fail_op(CLI_USAGE, op, NULL);
    }
    d->folder = arena_str(&op->arena, str_of(folder));
    d->timeline = arena_printf(&op->arena, "%s/timeline.log", folder);
    struct str told = arena_printf(&op->arena, "%s/deployments.log", folder);
    d->told = fopen(told.ptr, "we");
    return d->told != NULL ? CLI_OK : cli_fail(CLI_USAGE, NULL, "could not write %s", told.ptr);
}

static int perform(struct op *op, struct demo *d, int64_t scale, struct str rate)
{
    session_catch_interrupt();
    say(d, "an engine of its own, in %.*s, every duration divided by %lld", STR_ARG(d->folder),
        (long long)scale);
    enum err e = start_engine(op, d, scale);
    if (e == ERR_OK) {
        e = run_releases(op, d, rate);
    }
    stop_child(&d->load, SIGINT);
    session_close(&d->session);
    stop_child(&d->engine, SIGTERM);
    if (e == ERR_CANCELLED) {
        return CLI_STOPPED;
    }
    int code = e == ERR_OK ? CLI_OK : cli_fail_op(1, op, NULL);
    int counted = d->done_count > 1 ? print_account(op, d) : 1;
    return code != CLI_OK ? code : counted;
}

static int run(struct op *op, const struct cli_args *args)
{
    struct cli_option o[OPTION_COUNT] = {
        [OPTION_RATE] = {.name = "--rate", .has_value = true},
        [OPTION_SCALE] = {.name = "--time-scale", .has_value = true},
        [OPTION_FILE] = {.name = "--file", .has_value = true},
        [OPTION_KEEP] = {.name = "--keep"},
    };
    struct cli_parsed parsed = {0};
    int64_t scale = 60;
    if (cli_parse(op, args, o, OPTION_COUNT, &parsed) != ERR_OK) {
        return cli_fail_op(CLI_USAGE, op, "hitless demo --help");
    }
    if (str_is_set(o[OPTION_SCALE].value) &&
        !str_parse_i64(o[OPTION_SCALE].value, 1, CLOCK_SCALE_MAX, &scale)) {
        return cli_fail(CLI_USAGE, NULL, "--time-scale: expected a whole number from 1 to %d",
                        CLOCK_SCALE_MAX);
    }
    struct str rate = str_is_set(o[OPTION_RATE].value) ? o[OPTION_RATE].value : STR("1000");
    struct demo d = {.show = show_open(false)};
    int code = prepare(op, &d, o);
    if (code == CLI_OK) {
        code = perform(op, &d, scale, rate);
        (void)fclose(d.told);
        struct str state = arena_printf(&op->arena, "%.*s/state", STR_ARG(d.folder));
        if (code == CLI_OK && !str_is_set(o[OPTION_KEEP].value)) {
            (void)nftw(state.ptr, remove_one, FOLDERS_OPEN, FTW_DEPTH | FTW_PHYS);
        } else {
            session_say("the engine's state and log stay in %.*s", STR_ARG(state));
        }
    }
    show_close(d.show);
    return code;
}

const struct cli_command cli_demo = {
    .name = "demo",
    .arguments = "",
    .summary = "five releases of an example under load, two of them bad",
    .help =
        "Starts an engine of its own, deploys examples/shop v1, sends a constant load, rolls to "
        "v2,\n"
        "canaries to v3, and ships a v4 that fails requests and a v5 that crashes. Accounts for\n"
        "every request; exit code 1 when one failed that the old version would have answered.\n"
        "\n"
        "  --rate N         requests a second (default: 1000)\n"
        "  --time-scale N   divides every duration (default: 60)\n"
        "  --file FILE      (default: examples/shop/hitless.yaml)\n"
        "  --keep           keeps the engine's state\n"
        "\n"
        "Example:\n"
        "  hitless demo --rate 2000\n",
    .run = run,
};
