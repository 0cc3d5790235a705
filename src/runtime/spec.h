#pragma once
/* Task specs as a runtime keeps them: checked, copied, and written to where they outlive this
 * program, without their secrets. */

#include "base/buf.h"
#include "runtime/driver.h"

#define RUNTIME_SPEC_JSON_BYTES_MAX (2u << 20)

/* ERR_INPUT or ERR_LIMIT with a sentence that names the container; never a value of the
 * environment. */
enum err runtime_spec_check(struct op *op, const struct runtime_task_spec *spec) MUST_USE;

/* A deep copy: names, commands and so on in `arena`, environment and login in `secrets`, which may
 * be given up earlier. */
struct runtime_task_spec *runtime_spec_copy(struct arena *arena, struct arena *secrets,
                                            const struct runtime_task_spec *spec);
/* Overwrites the environment's values and the login of a copy, and makes them absent. */
void runtime_spec_wipe(struct runtime_task_spec *copy);

/* What the rest of a task's life needs once its containers run, as one JSON object: names, labels,
 * order, health commands, stopping, ports. No environment, login, entryPoint or command. */
void runtime_spec_to_json(struct buf *out, const struct runtime_task_spec *spec);
/* The inverse, checked; members that are not written are zero. Lives in `arena`, as long as the
 * text does. ERR_INPUT. */
enum err runtime_spec_from_json(struct op *op, struct arena *arena, struct str json,
                                struct runtime_task_spec **ret) MUST_USE;

/* "SIGTERM", "TERM", "15" to 15; 0 when it is no signal. */
int runtime_signal_number(struct str text);
bool runtime_task_id_is_valid(struct str id);
