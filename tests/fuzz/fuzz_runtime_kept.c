/* What lies in a state folder may be damaged: a kept description is refused or comes back the same
 * when it is written and read again; a launch block is refused or its lists are whole. */

#include "base/buf.h"
#include "base/check.h"
#include "runtime/process/wire.h"
#include "runtime/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void try_spec(struct op *op, struct str text)
{
    struct runtime_task_spec *spec = NULL;
    struct runtime_task_spec *again = NULL;
    if (runtime_spec_from_json(op, &op->arena, text, &spec) != ERR_OK) {
        return;
    }
    auto_buf struct buf first;
    auto_buf struct buf second;
    buf_init(&first, RUNTIME_SPEC_JSON_BYTES_MAX);
    buf_init(&second, RUNTIME_SPEC_JSON_BYTES_MAX);
    runtime_spec_to_json(&first, spec);
    CHECK(runtime_spec_from_json(op, &op->arena, buf_str(&first), &again) == ERR_OK);
    runtime_spec_to_json(&second, again);
    CHECK(str_equal(buf_str(&first), buf_str(&second)));
}

static void try_launch(struct op *op, struct str text)
{
    struct shim_launch launch;
    if (runtime_launch_decode(op, text, &launch) != ERR_OK) {
        return;
    }
    auto_buf struct buf again;
    buf_init(&again, SHIM_LAUNCH_BYTES_MAX);
    runtime_launch_encode(&again, &launch);
    CHECK(again.len == text.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    auto_op struct op op;
    op_init(&op);
    struct str text = str_make((const char *)bytes, count);
    try_spec(&op, text);
    try_launch(&op, text);
    return 0;
}
