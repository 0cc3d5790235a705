#pragma once
/* Members of the Docker Engine API's answers, by path: "State|ExitCode". The answers are small and
 * looked at rarely, so each question reads the text again; a text that is no JSON has no members.
 */

#include "base/arena.h"
#include "base/str.h"

/* The member's JSON as it stands; absent when it is not there. */
struct str docker_json_raw(struct arena *a, struct str json, const char *path);
/* Absent when it is not there or no string. */
struct str docker_json_text(struct arena *a, struct str json, const char *path);
int64_t docker_json_i64(struct arena *a, struct str json, const char *path, int64_t otherwise);
bool docker_json_bool(struct arena *a, struct str json, const char *path);
/* The first item of a list, as JSON; absent when there is none. */
struct str docker_json_first(struct arena *a, struct str json, const char *path);
