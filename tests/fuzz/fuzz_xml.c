/* XML: skipping and decoding agree; what was decoded survives a round trip. */

#include "base/check.h"
#include "base/cleanup.h"
#include "codec/xml.h"
#include "fuzz.h"
#include "gen/elbv2.h"
#include "shape/walk.h"

static enum err decode(struct op *op, struct str text, struct elbv2_describe_rules_out *ret)
{
    struct xml_reader r;
    struct str name;
    xml_reader_init(&r, &op->arena, text);
    if (xml_enter_root(&r, &name)) {
        TRY(shape_xml_decode(op, elbv2_op_describe_rules.out, &r, SHAPE_LENIENT, ret));
    }
    return xml_finish(&r, op);
}

static void encode(struct buf *out, const struct elbv2_describe_rules_out *value)
{
    xml_open(out, STR("R"));
    shape_xml_encode(out, elbv2_op_describe_rules.out, value);
    xml_close(out, STR("R"));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    auto_op struct op op;
    struct xml_reader r;
    struct str name;
    struct elbv2_describe_rules_out out;
    struct elbv2_describe_rules_out again;
    struct str text = str_make((const char *)bytes, count);
    op_init(&op);
    xml_reader_init(&r, &op.arena, text);
    if (xml_enter_root(&r, &name)) {
        (void)xml_skip(&r); /* xml_finish tells */
    }
    bool is_xml = xml_finish(&r, &op) == ERR_OK;
    bool is_decoded = decode(&op, text, &out) == ERR_OK;
    CHECK(is_xml || !is_decoded);
    if (is_decoded) {
        auto_buf struct buf first;
        auto_buf struct buf second;
        buf_init(&first, 64 << 20);
        buf_init(&second, 64 << 20);
        encode(&first, &out);
        CHECK(decode(&op, buf_str(&first), &again) == ERR_OK);
        encode(&second, &again);
        CHECK(str_equal(buf_str(&first), buf_str(&second)));
    }
    return 0;
}
