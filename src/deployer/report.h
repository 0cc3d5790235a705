#pragma once
/* What is said about a deployment, for people and for programs. Pure: into buffers. */

#include "base/buf.h"
#include "deployer/deploy.h"

/* "new v3 2/2 running 10 %, old v2 2/2 running 90 %; 812 requests/s, 0.0 % errors". */
struct str report_sight_line(struct arena *a, const struct sight *s);
/* The same without what changes at every look. */
struct str report_sight_key(struct arena *a, const struct sight *s);
/* One object and a line feed. */
void report_tell_json(struct buf *to, wall_t now, const struct tell *tell);
void report_result_json(struct buf *to, wall_t now, const struct deploy_result *r, int exit_code);
/* The end of a deployment in a few lines. */
void report_result(struct buf *to, const struct deploy_result *r, bool has_color);
/* "released", "rolled_back", ...: for programs. */
const char *report_outcome_word(enum deploy_outcome outcome);
/* Exit code, stopped reason, last lines, alarms: one line each. */
void report_why(struct buf *to, const struct why *w, const char *indent);
