#pragma once
/* The stored form of a blue/green machine (rollout/shift.h), for the services that run one. */

#include "base/op.h"
#include "gen/engine.h"
#include "rollout/shift.h"

/* A state or cause of a newer engine that we do not know is one that we cannot go on from: back to
 * blue. */
struct shift_row shift_row_read(const struct engine_shift_machine *m);
/* In the op's arena. */
struct engine_shift_machine *shift_row_write(struct op *op, const struct shift_row *row);
