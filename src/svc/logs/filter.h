#pragma once
/* Filter patterns of FilterLogEvents.
 *
 *   term "a phrase"        every one occurs in the message (case counts)
 *   ?a ?b                  one of them occurs
 *   -term                  does not occur
 *   { $.level = "error" && ($.ms > 100 || $.path = "/api*") }
 *                          of a message that is JSON: = != < <= > >= on strings (with * as
 *                          wildcard) and numbers, IS NULL, IS TRUE, IS FALSE, NOT EXISTS, EXISTS
 *
 * An empty pattern matches everything. Parsing gives steps that run without recursion. Not
 * available: regular expressions (%...%) and patterns of columns ([ip, user, ...]).
 *
 * Errors  ERR_INPUT, code InvalidParameterException.
 * Source  CloudWatch Logs user guide, "filter pattern syntax". */

#include "base/op.h"

#include <stdbool.h>

#define LOGS_FILTER_BYTES_MAX 1024
#define LOGS_FILTER_TERMS_MAX 128
#define LOGS_FILTER_DEPTH_MAX 32
#define LOGS_FILTER_PATH_MAX  16 /* parts of one selector */

enum logs_term_kind { LOGS_TERM_REQUIRED, LOGS_TERM_OPTIONAL, LOGS_TERM_EXCLUDED };

struct logs_term {
    enum logs_term_kind kind;
    struct str text;
};

enum logs_compare {
    LOGS_EQUAL,
    LOGS_NOT_EQUAL,
    LOGS_LESS,
    LOGS_LESS_EQUAL,
    LOGS_GREATER,
    LOGS_GREATER_EQUAL,
    LOGS_IS_NULL,
    LOGS_IS_TRUE,
    LOGS_IS_FALSE,
    LOGS_EXISTS,
    LOGS_NOT_EXISTS,
};

struct logs_path_part {
    struct str key; /* absent: an index */
    uint64_t index;
};

enum logs_step_kind { LOGS_STEP_CONDITION, LOGS_STEP_AND, LOGS_STEP_OR };

struct logs_step {
    enum logs_step_kind kind;
    struct logs_path_part path[LOGS_FILTER_PATH_MAX];
    size_t path_count;
    enum logs_compare compare;
    struct str text;
    double number;
    bool is_number; /* the value was written without quotes and reads as a number */
};

struct logs_filter {
    bool is_json;
    struct {
        struct logs_term *items;
        size_t count;
    } terms;
    struct {
        struct logs_step *items; /* postfix */
        size_t count;
    } steps;
};

enum err logs_filter_parse(struct op *op, struct str pattern, struct logs_filter *ret_filter);
/* scratch: for the message's JSON; the caller resets it now and then. */
bool logs_filter_matches(const struct logs_filter *filter, struct str message,
                         struct arena *scratch);
