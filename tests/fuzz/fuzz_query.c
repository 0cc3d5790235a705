/* Query forms in both dialects: what was decoded can be sent and decoded again. */

#include "base/check.h"
#include "base/cleanup.h"
#include "fuzz.h"
#include "gen/ec2.h"
#include "gen/elbv2.h"
#include "shape/walk.h"

#define ROUNDS_MAX 16

/* What has no member leaves no trace in a form, so an item that is an empty structure is lost and
 * those behind it move up: the form settles within as many rounds as shapes are deep. */
static void try_one(const struct shape *shape, enum shape_query_dialect dialect, struct str text)
{
    auto_op struct op op;
    struct url_form form;
    struct str before = STR_NONE;
    op_init(&op);
    void *in = arena_alloc(&op.arena, shape->bytes);
    if (url_form_parse(&op, text, &form) != ERR_OK ||
        shape_query_decode(&op, shape, &form, dialect, SHAPE_LENIENT, NULL, in) != ERR_OK) {
        return;
    }
    for (int round = 0; round < ROUNDS_MAX; round++) {
        auto_buf struct buf out;
        buf_init(&out, 64 << 20);
        shape_query_encode(&out, shape, dialect, in);
        if (str_is_set(before) && str_equal(before, buf_str(&out))) {
            return;
        }
        before = arena_str(&op.arena, buf_str(&out));
        CHECK(url_form_parse(&op, before, &form) == ERR_OK);
        CHECK(shape_query_decode(&op, shape, &form, dialect, SHAPE_LENIENT, NULL, in) == ERR_OK);
    }
    UNREACHABLE("the form settles");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct str text = str_make((const char *)bytes, count);
    try_one(elbv2_op_create_rule.in, SHAPE_QUERY_AWS, text);
    try_one(ec2_op_describe_vpcs.in, SHAPE_QUERY_EC2, text);
    return 0;
}
