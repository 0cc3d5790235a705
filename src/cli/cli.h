#pragma once
/* The commands: one file each, one row each in main.c. A command gets the words behind its name and
 * gives the exit code of exit_codes.def. */

#include "base/op.h"

#define HITLESS_VERSION "0.1.0" /* meson.build says the same */

/* What scripts rely on; docs/deploy.md says the same. */
enum cli_exit {
    CLI_OK = 0,          /* released, or nothing to do */
    CLI_USAGE = 1,       /* usage, configuration or lint; nothing changed */
    CLI_CHANGES = 2,     /* plan, diff: changes are present */
    CLI_PREFLIGHT = 3,   /* nothing changed */
    CLI_ROLLED_BACK = 4, /* failed and taken back: the old version serves */
    CLI_NOT_ROLLED_BACK = 5,
    CLI_STOPPED = 6,    /* by a person */
    CLI_WAITING = 7,    /* for approval, or `wait` timed out */
    CLI_SUPERSEDED = 8, /* or an older commit was refused */
    CLI_LOCKED = 9,     /* or the world moved since the plan */
    CLI_CANNOT_TELL = 10,
    CLI_MIGRATION = 11, /* failed before any traffic moved */
};

struct cli_args {
    int count;
    char *const *words; /* behind the command's name */
};

struct cli_command {
    const char *name;
    const char *arguments; /* "[ENV]" */
    const char *summary;   /* one line */
    const char *help;      /* options and an example */
    int (*run)(struct op *op, const struct cli_args *args);
};

/* Shown in the list of commands and dispatched; commands of the engine are given by app. */
int cli_main(int argc, char **argv, const struct cli_command *more, size_t more_count);

/* "hitless: sentence" on stderr, and the hint below it where there is one; gives the code back. */
int cli_fail(int code, const char *hint, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The op's note the same way. */
int cli_fail_op(int code, const struct op *op, const char *hint);

/* ---- options ---- */

struct cli_option {
    const char *name;       /* "--rate" */
    const char *short_name; /* "-f" or NULL */
    bool has_value;
    struct str value; /* set when given; "" for flags */
};

#define CLI_WORDS_MAX 16

struct cli_parsed {
    struct str words[CLI_WORDS_MAX]; /* what is no option */
    size_t word_count;
    bool wants_help;
};

/* Fills the values of `options`; ERR_INPUT names the word, with "did you mean". */
enum err cli_parse(struct op *op, const struct cli_args *args, struct cli_option *options,
                   size_t option_count, struct cli_parsed *ret_parsed);

extern const struct cli_command cli_certificate;
extern const struct cli_command cli_deploy;
extern const struct cli_command cli_demo;
extern const struct cli_command cli_history;
extern const struct cli_command cli_load;
extern const struct cli_command cli_logs;
extern const struct cli_command cli_plan;
extern const struct cli_command cli_rollback;
extern const struct cli_command cli_status;
extern const struct cli_command cli_stop;
extern const struct cli_command cli_top;
extern const struct cli_command cli_init;
extern const struct cli_command cli_schema;
extern const struct cli_command cli_version;

/* `hitless` without a command: where one stands, and what is next. */
int cli_alone(struct op *op);
