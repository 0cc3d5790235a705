#pragma once
/* SEARCH expressions: '{Namespace,Dim1,Dim2} MetricName="x" (a OR b) NOT c'. Terms without an
 * operator between them are joined by AND. Parsing gives postfix steps; nothing recurses.
 *
 * Tokens   A name falls into tokens at capitals, digits and other characters; an unquoted term
 *          matches when its tokens follow each other in a name's tokens, without regard to case;
 *          a quoted term matches a whole name.
 * Source   CloudWatch user guide, "search expression syntax". */

#include "svc/cloudwatch/metrics.h"

enum cw_search_kind { CW_SEARCH_TERM, CW_SEARCH_NOT, CW_SEARCH_AND, CW_SEARCH_OR };

struct cw_search_step {
    enum cw_search_kind kind;
    struct str property; /* "MetricName", "Namespace", a dimension's name; absent: any */
    struct str text;
    bool is_exact; /* was quoted */
};

struct cw_search {
    struct str query;
    bool has_schema;
    struct str namespace;
    struct str *dimensions; /* those that a metric must have, and no others */
    size_t dimension_count;
    struct cw_search_step *items;
    size_t count;
};

enum err cw_search_parse(struct op *op, struct str query, struct cw_search *ret);
bool cw_search_matches(struct arena *a, const struct cw_search *s,
                       const struct cw_metric_name *metric);
/* What tells the series of one search apart: the metric's name and its dimensions' values. */
struct str cw_search_label(struct arena *a, const struct cw_metric_name *metric);
