#pragma once
/* What a command shows: a view that is redrawn on a terminal, plain lines with the time elsewhere,
 * one JSON object a line for programs. */

#include "deployer/deploy.h"

enum show_kind { SHOW_PLAIN, SHOW_LIVE, SHOW_JSON };

struct show;

/* is_json: --json was given. Otherwise the kind follows from stdout. Owns: the caller. */
struct show *show_open(bool is_json);
void show_close(struct show *s);
enum show_kind show_kind_of(const struct show *s);

/* A tell_fn; self is a struct show. */
void show_tell(void *self, const struct tell *tell);
/* The report; in JSON the last object. exit_code: what the command ends with. */
void show_result(struct show *s, const struct deploy_result *r, int exit_code);
/* A failure before anything was begun. */
void show_failure(struct show *s, int exit_code, struct str text);
