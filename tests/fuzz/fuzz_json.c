/* JSON: the reader agrees with itself (skipping and decoding see the same text as right), and what
 * was decoded survives a round trip. */

#include "base/check.h"
#include "base/cleanup.h"
#include "codec/json.h"
#include "fuzz.h"
#include "gen/ecs.h"
#include "shape/walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    auto_op struct op op;
    struct json_reader r;
    struct ecs_register_task_definition_in in;
    struct ecs_register_task_definition_in again;
    const struct shape *shape = ecs_op_register_task_definition.in;
    struct str text = str_make((const char *)bytes, count);
    op_init(&op);
    json_reader_init(&r, &op.arena, text);
    (void)json_skip(&r); /* json_finish tells */
    bool is_json = json_finish(&r, &op) == ERR_OK;
    bool is_strict = shape_json_decode(&op, shape, text, SHAPE_STRICT, &in) == ERR_OK;
    bool is_lenient = shape_json_decode(&op, shape, text, SHAPE_LENIENT, &in) == ERR_OK;
    CHECK(is_json || !is_lenient);
    CHECK(is_lenient || !is_strict);
    if (is_lenient) {
        auto_buf struct buf first;
        auto_buf struct buf second;
        buf_init(&first, 64 << 20);
        buf_init(&second, 64 << 20);
        shape_json_encode(&first, shape, &in);
        CHECK(shape_json_decode(&op, shape, buf_str(&first), SHAPE_LENIENT, &again) == ERR_OK);
        shape_json_encode(&second, shape, &again);
        CHECK(str_equal(buf_str(&first), buf_str(&second)));
    }
    return 0;
}
