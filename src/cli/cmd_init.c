/* hitless init: a commented hitless.yaml for the folder one stands in; and hitless alone: where one
 * stands and what is next. */
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "cli/session.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX (1u << 20)
#define TEXT_BYTES_MAX 65536
#define PATH_BYTES_MAX 4096
#define PORT_DEFAULT   8080

/* What the folder tells of itself. */
struct finding {
    struct str app;
    const char *from; /* "Dockerfile" */
    struct str image;
    struct str context; /* absent: none */
    struct str command; /* YAML, or absent */
    int64_t port;
};

static struct str name_of(struct op *op, struct str folder)
{
    struct str base = str_from(folder, str_find_last_char(folder, '/') + 1);
    char *out = arena_alloc(&op->arena, base.len + 1);
    for (size_t i = 0; i < base.len; i++) {
        char c = str_lower_char(base.ptr[i]);
        bool is_fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
        out[i] = is_fine ? c : '-';
    }
    return base.len == 0 ? STR("app") : str_make(out, base.len);
}

/* The first port that EXPOSE names. */
static int64_t exposed_port(struct str dockerfile)
{
    struct str line = STR_NONE;
    while (str_next(&dockerfile, '\n', &line)) {
        line = str_trim(line);
        struct str word = STR_NONE;
        struct str rest = STR_NONE;
        uint64_t port = 0;
        if (!str_cut(line, ' ', &word, &rest) || !str_equal_nocase(word, STR("EXPOSE"))) {
            continue;
        }
        rest = str_trim(rest);
        (void)str_cut(rest, '/', &rest, &word);
        if (str_parse_u64(rest, 65535, &port) && port > 0) {
            return (int64_t)port;
        }
    }
    return PORT_DEFAULT;
}

static bool read_here(struct op *op, const char *name, struct str *ret_text)
{
    bool is_read = file_read(op, name, FILE_BYTES_MAX, ret_text) == ERR_OK;
    op_note_clear(op);
    return is_read;
}

/* The only program of the folder, or absent when there is none or more than one. */
static struct str find_program(struct op *op)
{
    DIR *folder = opendir(".");
    struct str found = STR_NONE;
    size_t count = 0;
    for (struct dirent *e = folder == NULL ? NULL : readdir(folder); e != NULL;
         e = readdir(folder)) {
        struct stat st = {0};
        bool is_program = e->d_name[0] != '.' && stat(e->d_name, &st) == 0 && S_ISREG(st.st_mode) &&
                          (st.st_mode & S_IXUSR) != 0;
        if (is_program) {
            found = arena_str(&op->arena, str_of(e->d_name));
            count++;
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return count == 1 ? found : STR_NONE;
}

static struct finding look_around(struct op *op)
{
    char here[PATH_BYTES_MAX];
    struct finding f = {.app = STR("app"), .port = PORT_DEFAULT};
    if (getcwd(here, sizeof(here)) != NULL) {
        f.app = name_of(op, arena_str(&op->arena, str_of(here)));
    }
    struct str text = STR_NONE;
    struct str program = find_program(op);
    if (read_here(op, "Dockerfile", &text)) {
        f.from = "Dockerfile";
        f.image = f.app;
        f.context = STR(".");
        f.port = exposed_port(text);
    } else if (read_here(op, "package.json", &text)) {
        f.from = "package.json";
        f.image = STR("dir://.");
        f.command = STR("[node, .]");
    } else if (read_here(op, "go.mod", &text)) {
        f.from = "go.mod";
        f.image = STR("dir://.");
        f.command = arena_printf(&op->arena, "[./%.*s]", STR_ARG(f.app));
    } else if (str_is_set(program)) {
        f.from = "program";
        f.image = STR("dir://.");
        f.command = arena_printf(&op->arena, "[./%.*s]", STR_ARG(program));
    } else {
        f.from = NULL;
        f.image = STR("dir://.");
        f.command = STR("[./server]");
    }
    return f;
}

static void write_file_text(struct buf *to, const struct finding *f)
{
    buf_addf(to,
             "# How %.*s is shipped. Every key: docs/configuration.md, or `hitless schema`.\n"
             "app: %.*s\n\n",
             STR_ARG(f->app), STR_ARG(f->app));
    if (str_is_set(f->context)) {
        buf_addf(
            to,
            "images:\n"
            "  %.*s: { context: %.*s }          # built elsewhere; its reference: --image REF\n"
            "\n",
            STR_ARG(f->app), STR_ARG(f->context));
    }
    buf_addf(to, "services:\n  %.*s:\n    image: %.*s\n", STR_ARG(f->app), STR_ARG(f->image));
    if (str_is_set(f->command)) {
        buf_addf(to, "    command: %.*s\n", STR_ARG(f->command));
    }
    buf_addf(to,
             "    port: %lld                      # where it listens; told in PORT\n"
             "    health: /                       # answers 200 when it can serve\n"
             "    count: 2\n"
             "    # env: { LOG_LEVEL: info }\n"
             "    # secrets: { DATABASE_URL: /%.*s/database-url }\n"
             "\n"
             "# migrations:                      # before any traffic moves\n"
             "#   command: [./migrate, up]\n"
             "\n"
             "verify:                             # else the release is taken back\n"
             "  - get: /\n"
             "\n"
             "environments:\n"
             "  local:\n"
             "    target: local                   # an engine on this machine\n"
             "    strategy: rolling\n"
             "  # production:\n"
             "  #   target: aws                   # the same on ECS itself\n"
             "  #   region: eu-west-1\n"
             "  #   after: local                  # only what is live and stable there\n"
             "  #   strategy: canary\n"
             "  #   steps: [10%% 5m, 100%%]\n"
             "  #   stop_if: [error_rate > 1%% for 5m, p99 > 500ms]\n"
             "  #   confirm: deploy-prod\n"
             "\n"
             "# notify:\n"
             "#   slack: ${env:SLACK_WEBHOOK}\n",
             (long long)f->port, STR_ARG(f->app));
}

static int run_init(struct op *op, const struct cli_args *args)
{
    struct cli_parsed parsed = {0};
    if (cli_parse(op, args, NULL, 0, &parsed) != ERR_OK) {
        return cli_fail_op(CLI_USAGE, op, NULL);
    }
    struct finding f = look_around(op);
    auto_buf struct buf text;
    buf_init(&text, TEXT_BYTES_MAX);
    write_file_text(&text, &f);
    auto_fd int fd = open(CONFIG_FILE_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd == -1) {
        err_ignore(op_fail_errno(op, "could not write " CONFIG_FILE_NAME)); /* told here */
        return cli_fail_op(CLI_USAGE, op, "hitless init never overwrites");
    }
    if (write(fd, text.ptr, text.len) != (ssize_t)text.len) {
        return cli_fail(CLI_USAGE, NULL, "could not write " CONFIG_FILE_NAME);
    }
    (void)printf("wrote " CONFIG_FILE_NAME "%s%s; look at command, port and health, then:\n"
                 "  hitless deploy\n",
                 f.from == NULL ? "" : " for the ", f.from == NULL ? "" : f.from);
    return CLI_OK;
}

const struct cli_command cli_init = {
    .name = "init",
    .arguments = "",
    .summary = "writes a commented hitless.yaml for this folder",
    .help = "Looks for a Dockerfile, package.json, go.mod or a program. Never overwrites.\n"
            "\n"
            "Example:\n"
            "  cd my-service && hitless init\n",
    .run = run_init,
};

int cli_alone(struct op *op)
{
    struct session s = {0};
    if (access(CONFIG_FILE_NAME, F_OK) != 0) {
        (void)puts("hitless: ships new versions of services with no request lost\n\n"
                   "There is no " CONFIG_FILE_NAME " here. Next:\n"
                   "  hitless init     writes one for this folder\n"
                   "  hitless demo     shows what happens, on an example\n"
                   "  hitless help     all commands");
        return CLI_OK;
    }
    int code = session_read(op, STR_NONE, &s);
    if (code != CLI_OK) {
        return code;
    }
    (void)printf("%.*s, to be shipped to:\n", STR_ARG(s.config.app));
    for (size_t i = 0; i < s.config.environment_count; i++) {
        const struct config_environment *e = &s.config.environments[i];
        (void)printf("  %-14.*s %s, %s\n", STR_ARG(e->name),
                     e->target == CONFIG_TARGET_LOCAL ? "this machine" : "AWS",
                     config_strategy_text(e->strategy));
    }
    struct str name = s.config.environments[0].name;
    (void)printf("\nNext:\n  hitless plan %.*s     what would change\n"
                 "  hitless deploy %.*s   ships version %.*s\n"
                 "  hitless status %.*s   what runs there\n"
                 "  hitless help         all commands\n",
                 STR_ARG(name), STR_ARG(name), STR_ARG(session_version(op, s.config.folder)),
                 STR_ARG(name));
    return CLI_OK;
}
