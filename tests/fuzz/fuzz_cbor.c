/* CBOR: what was decoded survives a round trip. */

#include "base/check.h"
#include "base/cleanup.h"
#include "codec/cbor.h"
#include "fuzz.h"
#include "gen/cloudwatch.h"
#include "shape/walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    auto_op struct op op;
    struct cbor_reader r;
    struct cloudwatch_put_metric_data_in in;
    struct cloudwatch_put_metric_data_in again;
    const struct shape *shape = cloudwatch_op_put_metric_data.in;
    struct str input = str_make((const char *)bytes, count);
    op_init(&op);
    cbor_reader_init(&r, &op.arena, input);
    (void)cbor_skip(&r); /* cbor_finish tells */
    bool is_cbor = cbor_finish(&r, &op) == ERR_OK;
    bool is_strict = shape_cbor_decode(&op, shape, input, SHAPE_STRICT, &in) == ERR_OK;
    bool is_lenient = shape_cbor_decode(&op, shape, input, SHAPE_LENIENT, &in) == ERR_OK;
    CHECK(is_cbor || count == 0 || !is_lenient);
    CHECK(is_lenient || !is_strict);
    if (is_lenient) {
        auto_buf struct buf first;
        auto_buf struct buf second;
        buf_init(&first, 64 << 20);
        buf_init(&second, 64 << 20);
        shape_cbor_encode(&first, shape, &in);
        CHECK(shape_cbor_decode(&op, shape, buf_str(&first), SHAPE_LENIENT, &again) == ERR_OK);
        shape_cbor_encode(&second, shape, &again);
        CHECK(str_equal(buf_str(&first), buf_str(&second)));
    }
    return 0;
}
