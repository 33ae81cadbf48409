/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics.h - the node's numbers over HTTP, for Prometheus and for those who watch over processes.
 *
 *	GET /metrics	the counters and histograms of the node's pinned maps
 *	GET /healthz	200 while the process lives
 *	GET /readyz	200 while the node takes transactions, else 503 and why
 *
 * One thread of libmicrohttpd's, which answers one request after the other. It reads the pinned
 * maps like everybody else and touches no worker. Bounded in connections, in memory for each, and
 * in how long one may stand idle. There is no authentication: by default it listens on loopback.
 *
 * Main thread, but for metrics_ready(), which any thread may call.
 */
#ifndef ABAFT_CONTROL_METRICS_H
#define ABAFT_CONTROL_METRICS_H

#include <sched.h>
#include <stdint.h>

#include <abaft/telemetry.h>

#include "control/endpoint.h"

#define METRICS_WHY_BYTES	512
#define METRICS_CONNECTIONS_MAX 8
#define METRICS_IDLE_S		10
#define METRICS_MEMORY_BYTES	(16u << 10) /* of a connection, beside the page it is sent */

struct metrics;

struct metrics_config {
	struct endpoint endpoint;
	const char *pin_dir;  /* outlives it */
	const char *unpinned; /* why no maps are pinned, copied; NULL: they are */
	/* What can be told without maps. */
	const char *version;
	uint32_t node, workers;
	/* On which CPUs its thread may run. */
	cpu_set_t cpus;
};

/*
 * Listens and answers; not ready yet. 0, or a negative errno with a sentence in
 * why[METRICS_WHY_BYTES], *out untouched.
 */
int metrics_start(struct metrics **out, const struct metrics_config *config, char *why)
	__attribute__((warn_unused_result));
/* Why the node is not ready, a text that is copied as far as METRICS_WHY_BYTES reach; NULL: it is.
 * `metrics` may be NULL. */
void metrics_ready(struct metrics *metrics, const char *why_not);
/* Ends the thread; connections are closed. NULL is fine. */
void metrics_stop(struct metrics *metrics);

#endif
