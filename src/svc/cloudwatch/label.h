#pragma once
/* Dynamic labels: "p99 of ${PROP('Dim.LoadBalancer')}: ${LAST}". What is not known stays as it is
 * written.
 * Source  CloudWatch user guide, "using dynamic labels". */

#include "svc/cloudwatch/query.h"

/* The label of one result; in is the query that it answers. */
struct str cw_label(struct arena *a, const struct cloudwatch_metric_data_query *in,
                    const struct cw_series *s);
