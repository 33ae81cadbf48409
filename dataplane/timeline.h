/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timeline.h - when a request was where: what the worker notes of each on its way, and counts into
 * histograms and the list of slow transactions.
 *
 *	XDP ─▶ received ─▶ (lent) ─▶ executed ─▶ given to the disk ─▶ durable ─▶ answered ─▶ sent
 *	                        └─ parked: a value is on disk ─┘
 *
 * A timeline travels with its request's slot and belongs to whom the slot belongs to. All times are
 * nanoseconds of CLOCK_MONOTONIC, which all workers share; 0: it was not there. Every function
 * takes the telemetry of the calling worker, which may be NULL: then nothing is noted.
 */
#ifndef ABAFT_DATAPLANE_TIMELINE_H
#define ABAFT_DATAPLANE_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/core/telemetry.h"

struct timeline {
	uint64_t arrival_ns;  /* at the XDP program */
	uint64_t received_ns; /* by the worker whose port it came to */
	uint64_t parked_ns;
	uint64_t fetch_ns;   /* waited for values, in all */
	uint64_t service_ns; /* executed, in all */
	uint64_t executed_ns;
	uint64_t given_ns;
	uint64_t durable_ns;
	uint64_t answered_ns;
	uint64_t begin_ns; /* its transaction's first packet */
	uint64_t record;   /* in the log */
	uint32_t owner;	   /* the worker that executed it */
	uint32_t request_bytes;
	uint8_t ended; /* its transaction, by this operation; 0: it goes on */
};

/* It came from the port, at `now_ns`; the XDP program saw it at `arrival_ns` (0: unknown). */
void timeline_received(struct timeline *line, uint64_t now_ns, uint64_t arrival_ns,
		       uint32_t request_bytes);
/* It was borrowed from the worker that received it. */
void timeline_borrowed(const struct timeline *line, struct telemetry *telemetry);
/* It was executed from `begun_ns` to telemetry->now_ns; or it is parked, for a value is missing;
 * or it waits for a record of the log. */
void timeline_executed(struct timeline *line, struct telemetry *telemetry, uint64_t begun_ns);
void timeline_parked(struct timeline *line, const struct telemetry *telemetry);
/* It goes on after it was parked. */
void timeline_again(struct timeline *line, const struct telemetry *telemetry);
/* Its record is durable since `durable_ns`. */
void timeline_durable(struct timeline *line, struct telemetry *telemetry, uint64_t durable_ns);
/* Whether it has been in the node for longer than a slow request. */
bool timeline_is_slow(const struct timeline *line, const struct telemetry *telemetry);
/* Its answer, which begins with a wire header, is on its way to the port at telemetry->now_ns. */
void timeline_sent(const struct timeline *line, struct telemetry *telemetry, const uint8_t *answer,
		   uint32_t answer_bytes, uint64_t unix_us);

#endif
