#pragma once
/* What was deployed to a place before: for `history`, and to find what to go back to. */

#include "deployer/shift.h"

#define HISTORY_MAX 20

struct history_row {
    struct str task_definition; /* ARN */
    struct str version;
    const char *status; /* "SUCCESSFUL" */
    struct str reason;
    wall_t started;
    wall_t finished; /* 0: not yet */
};

struct history {
    struct history_row *items; /* newest first */
    size_t count;
};

enum err history_read(struct op *op, const struct cloud *cloud, const struct place *place,
                      struct history *ret) MUST_USE;

/* Pure: the row to go back to: the newest that succeeded with another task definition than
 * `current`; NULL when there is none. */
const struct history_row *history_previous(const struct history *h, struct str current);
/* Pure: the row that a person means by "3", "family:3" or a version; NULL when there is none. */
const struct history_row *history_find(const struct history *h, struct str word);
