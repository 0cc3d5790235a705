#pragma once
/* Where a decoder reads from: one format behind a table of functions, so that one walker
 * (shape/decode.c) serves JSON, CBOR, query forms and XML, and validates on the way. Internal to
 * this module.
 *
 * A read stands at a value and passes it. It returns false either because the value has another
 * type (then src->found says what it is, and the value is not passed) or because the input is
 * broken (then src->found is NULL and finish() gives the sentence). next_* return false at the end
 * too. */

#include "base/op.h"
#include "shape/findings.h"
#include "shape/shape.h"
#include "shape/walk.h"

enum shape_names { SHAPE_NAMES_WIRE, SHAPE_NAMES_QUERY, SHAPE_NAMES_XML };

struct shape_source {
    const struct shape_source_ops *ops;
    enum shape_names names;
    const char *found; /* "a text": what stands where another type was wanted */
};

struct shape_source_ops {
    bool (*take_null)(struct shape_source *src);
    bool (*enter_struct)(struct shape_source *src);
    bool (*next_member)(struct shape_source *src, struct str *ret_name);
    bool (*enter_list)(struct shape_source *src, const struct shape *shape);
    bool (*next_item)(struct shape_source *src);
    bool (*enter_map)(struct shape_source *src, const struct shape *shape);
    bool (*next_entry)(struct shape_source *src, struct str *ret_key);
    bool (*read_text)(struct shape_source *src, struct str *ret_text);
    bool (*read_blob)(struct shape_source *src, struct str *ret_bytes);
    bool (*read_bool)(struct shape_source *src, bool *ret_value);
    bool (*read_i64)(struct shape_source *src, int64_t *ret_value);
    bool (*read_f64)(struct shape_source *src, double *ret_value);
    bool (*read_time)(struct shape_source *src, enum shape_time_format format, wall_t *ret_time);
    bool (*skip)(struct shape_source *src);
    bool (*is_broken)(struct shape_source *src);
    enum err (*finish)(struct shape_source *src, struct op *op);
};

/* Instants that can be written as four digits of a year. */
bool shape_time_of_seconds(double seconds, wall_t *ret_time);
/* "NaN", "Infinity", "-Infinity": how texts carry what numbers cannot. */
bool shape_special_f64(struct str text, double *ret_value);

enum err shape_decode(struct op *op, const struct shape *shape, struct shape_source *src,
                      enum shape_strictness strictness, struct shape_findings *findings, void *ret);
