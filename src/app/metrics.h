#pragma once
/* GET /metrics: the data plane's counters for Prometheus (text exposition format 0.0.4), and GET
 * /_hitless/counters: the same as JSON, with whole histograms, for `hitless top`.
 *
 * Names   those of CloudWatch: alb_RequestCount_total, nlb_NewFlowCount_TCP_total, and hitless_...
 *         for our own. What CloudWatch tells for target groups has the label target_group, the rest
 *         only load_balancer, so that a sum over a metric counts nothing twice.
 * Who     anyone on this machine; from elsewhere only with "Authorization: Bearer TOKEN", TOKEN
 *         being what the file STATE/metrics-token holds. Without that file nobody from elsewhere.
 */

#include "httpio/server.h"
#include "stats/lbstats.h"

/* Answers when the path is one of the two; else false. state: the engine's folder. */
bool metrics_take(struct httpio_exchange *x, const struct lbstats *stats, struct str state);
