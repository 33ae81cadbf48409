/* SPDX-License-Identifier: Apache-2.0 */
/* telemetry_switch.h - turns the telemetry of a running worker and its node on and off, which only
 * a benchmark wants. Between passes; the counters stay where they are. */
#ifndef ABAFT_BENCH_TELEMETRY_SWITCH_H
#define ABAFT_BENCH_TELEMETRY_SWITCH_H

#include "dataplane/core/now.h"

struct node;
struct telemetry;
struct worker;

/* NULL: off. */
void telemetry_switch(struct worker *worker, struct node *node, struct telemetry *telemetry);

/* The time as worker_run() has it, by the worker's own clock, for its next pass. */
struct now telemetry_clock_pass(struct worker *worker);

#endif
