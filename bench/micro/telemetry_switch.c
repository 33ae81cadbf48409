/* SPDX-License-Identifier: Apache-2.0 */
/* telemetry_switch.c - see telemetry_switch.h. */
#include "bench/micro/telemetry_switch.h"

#include "dataplane/core/node_impl.h"
#include "dataplane/worker_impl.h"

void telemetry_switch(struct worker *worker, struct node *node, struct telemetry *telemetry)
{
	worker->telemetry = telemetry;
	node->telemetry = telemetry;
	node->reclaim.telemetry = telemetry;
	node->fetches->telemetry = telemetry;
}

struct now telemetry_clock_pass(struct worker *worker)
{
	return clock_pass(&worker->clock);
}
