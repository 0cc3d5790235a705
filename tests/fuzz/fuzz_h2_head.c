/* Field lists as nghttp2 would give them, odd ones too: whatever becomes a head is exactly one head
 * for the strict parser, with as many lines as there were fields, and becomes the same fields
 * again. Input: pieces that end with 0xff, in turn name and value; frames for the watch are the
 * same bytes. */

#include "base/check.h"
#include "lb/h2.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void watch(struct str bytes)
{
    struct lb_h2_watch whole;
    struct lb_h2_watch pieces;
    mono_t now = {.us = 1};
    lb_h2_watch_init(&whole, now);
    lb_h2_watch_init(&pieces, now);
    bool is_fine = lb_h2_watch_pass(&whole, bytes, now);
    bool is_fine_too = true;
    for (size_t i = 0; is_fine_too && i < bytes.len; i++) {
        is_fine_too = lb_h2_watch_pass(&pieces, str_slice(bytes, i, i + 1), now);
    }
    CHECK(is_fine == is_fine_too);
    CHECK(!is_fine || whole.spent == pieces.spent);
}

static void read_again(const struct h1_head *h, struct str text)
{
    static char names[LB_H2_NAME_BYTES_MAX];
    static struct lb_h2_fields fields = {.names = names};
    if (h->verdict > H1_COMPLIANT || h->field_count + 4 > LB_H2_FIELDS_MAX) {
        return;
    }
    size_t used = lb_h2_fields_of_request(&fields, text, STR("http"));
    CHECK(used == text.len);
    CHECK(fields.count <= h->field_count + 4);
    for (size_t i = 0; i < fields.count; i++) {
        CHECK(memchr(fields.at[i].name, '\n', fields.at[i].namelen) == NULL);
        CHECK(fields.at[i].valuelen == 0 ||
              memchr(fields.at[i].value, '\n', fields.at[i].valuelen) == NULL);
    }
}

static void check_text(struct str text, size_t fields_in)
{
    static struct h1_head h;
    h1_head_init(&h);
    enum h1_result r = h1_parse_request(&h, text.ptr, text.len);
    CHECK(r != H1_MORE);
    if (r == H1_DONE) {
        CHECK(h.head_bytes == text.len); /* nothing is left for a second request */
        CHECK(h.field_count <= fields_in + 2);
        read_again(&h, text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct lb_blocks blocks = {0};
    struct lb_h2_head h;
    lb_h2_head_init(&h, &blocks);
    struct str rest = str_make((const char *)bytes, count);
    struct str name;
    struct str value;
    enum lb_h2_result r = LB_H2_OK;
    size_t fields_in = 0;
    watch(rest);
    while (r == LB_H2_OK && str_next(&rest, (char)0xff, &name) &&
           str_next(&rest, (char)0xff, &value)) {
        r = lb_h2_head_add(&h, name, value);
        fields_in++;
    }
    r = r == LB_H2_OK ? lb_h2_head_end(&h, count % 2 == 1) : r;
    if (r == LB_H2_OK) {
        check_text(str_make(h.text->bytes, lb_block_waiting(h.text)), fields_in);
    }
    lb_h2_head_fini(&h);
    lb_blocks_fini(&blocks);
    return 0;
}
