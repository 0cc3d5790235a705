#pragma once
/* Every limit of this module. AWS's own where AWS has one; ours are marked so. */

#define CW_EXPRESSION_BYTES_MAX 2048
#define CW_MATH_DEPTH_MAX       64   /* ours: brackets within brackets */
#define CW_MATH_STEPS_MAX       1024 /* ours: numbers, names and operators of one expression */
#define CW_MATH_SERIES_MAX      500  /* series in one array, as a graph shows at most */
#define CW_SEARCH_BYTES_MAX     1024
#define CW_SEARCH_DEPTH_MAX     32  /* ours */
#define CW_SEARCH_STEPS_MAX     128 /* ours */
#define CW_ID_BYTES_MAX         255
#define CW_RULE_BYTES_MAX       10240
#define CW_RULE_DEPTH_MAX       64 /* ours */
#define CW_RULE_STEPS_MAX       500
#define CW_RULE_CHILDREN_MAX    100
#define CW_COMPOSITE_DEPTH_MAX  10 /* ours: composites that watch composites */
#define CW_PAIRS_MAX \
    2048 /* ours: different values kept exactly in one bucket; all of a data plane histogram */
#define CW_EVALUATION_RANGE_EXTRA 2     /* points fetched beyond EvaluationPeriods */
#define CW_EVALUATION_PERIODS_MAX 10080 /* 7 days of minutes */
#define CW_METRICS_MAX            20000 /* ours: metrics of all regions */
#define CW_DIMENSIONS_MAX         30
#define CW_NAME_BYTES_MAX         255
#define CW_DIMENSION_VALUE_MAX    1024
#define CW_GRID_MAX               100800 /* windows of one read */
#define CW_QUERIES_MAX            500
#define CW_MATH_BYTES_MAX         (256u << 20) /* ours: memory of one request's series */
