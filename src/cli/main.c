#include "cli/cli.h"

#include "base/check.h"
#include "base/near.h"

#include <stdarg.h>
#include <stdio.h>

#define COMMANDS_MAX 64

int cli_fail(int code, const char *hint, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("hitless: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputs("\n", stderr);
    va_end(args);
    if (hint != NULL) {
        (void)fprintf(stderr, "  %s\n", hint);
    }
    return code;
}

int cli_fail_op(int code, const struct op *op, const char *hint)
{
    return cli_fail(code, hint, "%s", op->note.text);
}

/* ---- options ---- */

static struct cli_option *find_option(struct cli_option *options, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++) {
        bool is_short =
            options[i].short_name != NULL && str_equal(name, str_of(options[i].short_name));
        if (is_short || str_equal(name, str_of(options[i].name))) {
            return &options[i];
        }
    }
    return NULL;
}

static enum err fail_unknown(struct op *op, const struct cli_option *options, size_t count,
                             struct str name)
{
    struct str known[COMMANDS_MAX] = {0};
    for (size_t i = 0; i < count; i++) {
        known[i] = str_of(options[i].name);
    }
    struct str near = near_word(name, known, count);
    if (str_is_set(near)) {
        return op_fail(op, ERR_INPUT, "unknown option \"%.*s\"; did you mean %.*s?", STR_ARG(name),
                       STR_ARG(near));
    }
    return op_fail(op, ERR_INPUT, "unknown option \"%.*s\"", STR_ARG(name));
}

static enum err take_option(struct op *op, const struct cli_args *args, struct cli_option *options,
                            size_t count, int *at)
{
    struct str word = str_of(args->words[(*at)++]);
    struct str name = word;
    struct str value = STR_NONE;
    (void)str_cut(word, '=', &name, &value);
    struct cli_option *o = find_option(options, count, name);
    if (o == NULL) {
        return fail_unknown(op, options, count, name);
    }
    if (!o->has_value && str_is_set(value)) {
        return op_fail(op, ERR_INPUT, "%s takes no value", o->name);
    }
    if (o->has_value && !str_is_set(value)) {
        if (*at == args->count) {
            return op_fail(op, ERR_INPUT, "%s wants a value", o->name);
        }
        value = str_of(args->words[(*at)++]);
    }
    o->value = o->has_value ? value : STR("");
    return ERR_OK;
}

enum err cli_parse(struct op *op, const struct cli_args *args, struct cli_option *options,
                   size_t option_count, struct cli_parsed *ret_parsed)
{
    CHECK(option_count <= COMMANDS_MAX);
    struct cli_parsed parsed = {0};
    for (int at = 0; at < args->count;) {
        struct str word = str_of(args->words[at]);
        if (STR_IS(word, "--help") || STR_IS(word, "-h")) {
            parsed.wants_help = true;
            at++;
        } else if (word.len > 1 && word.ptr[0] == '-') {
            TRY(take_option(op, args, options, option_count, &at));
        } else if (parsed.word_count == CLI_WORDS_MAX) {
            return op_fail(op, ERR_INPUT, "too many words: \"%.*s\"", STR_ARG(word));
        } else {
            parsed.words[parsed.word_count++] = word;
            at++;
        }
    }
    *ret_parsed = parsed;
    return ERR_OK;
}

/* ---- commands ---- */

static const struct cli_command *const own[] = {
    &cli_init,     &cli_plan, &cli_deploy, &cli_status,     &cli_history,
    &cli_rollback, &cli_stop, &cli_logs,   &cli_schema,     &cli_version,
    &cli_demo,     &cli_load, &cli_top,    &cli_certificate};

struct commands {
    const struct cli_command *items[COMMANDS_MAX];
    size_t count;
};

static void show_commands(const struct commands *c)
{
    (void)puts("hitless: ships new versions of services with no request lost\n");
    for (size_t i = 0; i < c->count; i++) {
        (void)printf("  hitless %-9s %-14s %s\n", c->items[i]->name, c->items[i]->arguments,
                     c->items[i]->summary);
    }
    (void)puts("\nhitless COMMAND --help says more, with an example.");
}

static int run_command(const struct cli_command *command, int argc, char **argv)
{
    struct cli_args args = {.count = argc - 2, .words = argv + 2};
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            (void)printf("hitless %s %s: %s\n\n%s", command->name, command->arguments,
                         command->summary, command->help);
            return CLI_OK;
        }
    }
    auto_op struct op op;
    op_init(&op);
    return command->run(&op, &args);
}

static int fail_command(const struct commands *c, struct str word)
{
    struct str known[COMMANDS_MAX] = {0};
    for (size_t i = 0; i < c->count; i++) {
        known[i] = str_of(c->items[i]->name);
    }
    struct str near = near_word(word, known, c->count);
    if (str_is_set(near)) {
        return cli_fail(CLI_USAGE, "hitless help lists the commands",
                        "there is no command \"%.*s\"; did you mean %.*s?", STR_ARG(word),
                        STR_ARG(near));
    }
    return cli_fail(CLI_USAGE, "hitless help lists the commands", "there is no command \"%.*s\"",
                    STR_ARG(word));
}

int cli_main(int argc, char **argv, const struct cli_command *more, size_t more_count)
{
    struct commands c = {0};
    for (size_t i = 0; i < ARRAY_COUNT(own); i++) {
        c.items[c.count++] = own[i];
    }
    for (size_t i = 0; i < more_count; i++) {
        CHECK(c.count < COMMANDS_MAX);
        c.items[c.count++] = &more[i];
    }
    if (argc < 2) {
        auto_op struct op op;
        op_init(&op);
        return cli_alone(&op);
    }
    struct str word = str_of(argv[1]);
    if (STR_IS(word, "help") || STR_IS(word, "--help") || STR_IS(word, "-h")) {
        show_commands(&c);
        return CLI_OK;
    }
    for (size_t i = 0; i < c.count; i++) {
        if (str_equal(word, str_of(c.items[i]->name))) {
            return run_command(c.items[i], argc, argv);
        }
    }
    return fail_command(&c, word);
}
