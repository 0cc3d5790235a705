#pragma once
/* Between the files of the filter; nothing outside includes this. */

#include "svc/logs/filter.h"

enum err logs_filter_invalid(struct op *op);
enum err logs_filter_quoted(struct op *op, struct str *rest, struct str *ret);
enum err logs_filter_parse_json(struct op *op, struct str text, struct logs_filter *ret);
bool logs_filter_json_matches(const struct logs_filter *filter, struct str message,
                              struct arena *scratch);
