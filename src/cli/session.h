#pragma once
/* What most commands begin with: the file, the environment, the way to its API. */

#include "cli/cli.h"
#include "deployer/cloud.h"
#include "deployer/config.h"
#include "deployer/names.h"

struct session {
    struct config config;
    const struct config_environment *environment;
    struct cloud cloud; /* once opened */
    bool is_open;
};

/* Reads hitless.yaml: file_word, or the nearest one from here upwards. Prints every mistake as
 * FILE:LINE:COLUMN: text. CLI_OK or CLI_USAGE. */
int session_read(struct op *op, struct str file_word, struct session *s);
/* Picks the environment: the word, or the only one. CLI_OK or CLI_USAGE. */
int session_choose(struct op *op, struct str environment_word, struct session *s);
/* Connects; starts the engine for `target: local` where none answers and may_start. CLI_OK or
 * CLI_PREFLIGHT. */
int session_open(struct op *op, struct session *s, bool may_start);
/* All three: for commands with [ENV] and --file. */
int session_begin(struct op *op, struct str file_word, struct str environment_word, bool may_start,
                  struct session *s);
void session_close(struct session *s);

/* The service of that name, or the first of the file; false (and told) when there is none. */
bool session_place(struct op *op, const struct session *s, struct str service_word,
                   struct place *ret_place);

/* Ctrl-C while a session follows something: asked between looks. */
void session_catch_interrupt(void);
bool session_is_interrupted(void *self);

/* The version of what stands in the folder: the commit, else the time. */
struct str session_version(struct op *op, struct str folder);
/* Prints a line about the command's own doing, to stderr. */
void session_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
