/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prometheus.h - a snapshot in Prometheus' text format, version 0.0.4.
 *
 *	abaft_GROUP_NAME_total, abaft_GROUP_NAME     counters and gauges; GROUP is worker (packet
 *						     path), core (transactions) or log
 *	abaft_op_requests_total, ..._bytes_total, ..._errors_total	by `op`, and by `error`
 *	abaft_HISTOGRAM_seconds (or _UNIT)	     histograms, thinned to powers of two
 *	abaft_steer_packets_total, ..._bytes_total   by `reason`
 *
 * Each has the label `node`, most have `worker`. Names are telemetry.h's, times are in seconds.
 */
#ifndef ABAFT_TELEMETRY_PROMETHEUS_H
#define ABAFT_TELEMETRY_PROMETHEUS_H

#include <stddef.h>

#include "telemetry/scrape.h"

/* Twice of what the most workers there can be make. */
#define PROMETHEUS_BYTES_MAX	(16u << 20)
#define PROMETHEUS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Begin with {0}. */
struct prometheus_text {
	char *data; /* with a NUL behind it */
	size_t bytes, room;
	int err;
};

/* Adds the page of a snapshot. 0, -ENOMEM, or -E2BIG (beyond PROMETHEUS_BYTES_MAX); then the text
 * is of no use. */
__attribute__((warn_unused_result)) int prometheus_write(struct prometheus_text *text,
							 const struct snapshot *snapshot);
/* Adds what can be told of a node whose maps cannot be read, and in a comment why that is so. */
__attribute__((warn_unused_result)) int prometheus_write_bare(struct prometheus_text *text,
							      const struct telemetry_node *node,
							      const char *why);
void prometheus_free(struct prometheus_text *text);

#endif
