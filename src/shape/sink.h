#pragma once
/* Where an encoder writes to: one format behind a table of functions; shape/encode.c walks the
 * value. Internal to this module. */

#include "base/buf.h"
#include "shape/shape.h"

struct shape_sink {
    const struct shape_sink_ops *ops;
};

struct shape_sink_ops {
    void (*begin_struct)(struct shape_sink *sink, size_t member_count);
    void (*begin_member)(struct shape_sink *sink, const struct shape_member *member);
    void (*end_member)(struct shape_sink *sink, const struct shape_member *member);
    void (*end_struct)(struct shape_sink *sink);
    void (*begin_list)(struct shape_sink *sink, const struct shape *shape, size_t count);
    void (*begin_item)(struct shape_sink *sink, const struct shape *shape, size_t index);
    void (*end_item)(struct shape_sink *sink, const struct shape *shape);
    void (*end_list)(struct shape_sink *sink);
    void (*begin_map)(struct shape_sink *sink, const struct shape *shape, size_t count);
    void (*begin_entry)(struct shape_sink *sink, const struct shape *shape, size_t index,
                        struct str key);
    void (*end_entry)(struct shape_sink *sink, const struct shape *shape);
    void (*end_map)(struct shape_sink *sink);
    void (*add_text)(struct shape_sink *sink, struct str text);
    void (*add_blob)(struct shape_sink *sink, struct str bytes);
    void (*add_bool)(struct shape_sink *sink, bool value);
    void (*add_i64)(struct shape_sink *sink, int64_t value);
    void (*add_f64)(struct shape_sink *sink, double value);
    void (*add_time)(struct shape_sink *sink, enum shape_time_format format, wall_t time);
};

void shape_encode(struct shape_sink *sink, const struct shape *shape, const void *value);

/* "NaN", "Infinity" or "-Infinity"; absent for numbers that a decimal can carry. */
struct str shape_special_f64_text(double value);
/* Seconds since the epoch with up to three decimals: "1700000000.5". Returns the characters. */
#define SHAPE_EPOCH_TEXT_BYTES 32
size_t shape_epoch_text(wall_t time, char ret_text[SHAPE_EPOCH_TEXT_BYTES]);
