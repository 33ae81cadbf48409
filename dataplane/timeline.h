/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timeline.h - when a request was where: what the worker notes of each on its way, and counts into
 * histograms and the list of slow transactions.
 *
 *	XDP ─▶ received ─▶ (lent) ─▶ executed ─▶ given to the disk ─▶ durable ─▶ answered ─▶ sent
 *	                        └─ parked: a value is on disk ─┘
 *
 * A timeline travels with its request's slot and belongs to whom the slot belongs to. All times are
 * nanoseconds of CLOCK_MONOTONIC, which all workers share. Every function takes the telemetry of
 * the calling worker; without one nothing is noted, and nobody calls them.
 */
#ifndef ABAFT_DATAPLANE_TIMELINE_H
#define ABAFT_DATAPLANE_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>

#include <abaft/limits.h>

#include "dataplane/core/probe.h"
#include "dataplane/core/telemetry.h"

/* Which fields are set, and when, keeps this cheap: most requests are answered at once. */
struct timeline {
	/* From its receipt on: */
	uint64_t arrival_ns;  /* at the XDP program; 0: unknown */
	uint64_t received_ns; /* by the worker whose port it came to */
	uint64_t executed_ns; /* for the last time; 0: not yet, or not timed yet */
	uint64_t durable_ns;  /* 0: it did not wait for the log, or the log failed */
	uint64_t answered_ns; /* after it waited for the log; 0: it did not */
	uint32_t request_bytes;
	bool again; /* it was parked, and its values are here */
	/* From its execution on: */
	uint32_t owner;	     /* the worker that executed it */
	uint8_t ended;	     /* its transaction, by this operation; 0: it goes on */
	bool parked;	     /* it only began: it will be executed once more */
	uint64_t begin_ns;   /* its transaction's first packet */
	uint64_t service_ns; /* executed, in all */
	uint64_t fetch_ns;   /* waited for values, in all */
	uint64_t parked_ns;
	/* If it waits for the log: */
	uint64_t record;
	uint64_t given_ns; /* to the disk; 0: unknown */
};

/* It came from the port, at `now_ns`; the XDP program saw it at `arrival_ns` (0: unknown). */
static inline void timeline_received(struct timeline *line, uint64_t now_ns, uint64_t arrival_ns,
				     uint32_t request_bytes)
{
	line->received_ns = now_ns;
	line->arrival_ns = 0;
	line->executed_ns = 0;
	line->durable_ns = 0;
	line->answered_ns = 0;
	line->again = false;
	line->request_bytes = request_bytes;
	/* The pass began a moment before the frame came, perhaps. What is older than that, or much
	 * younger, is another boot's, or nonsense. */
	if (arrival_ns > now_ns)
		line->arrival_ns = arrival_ns - now_ns < UINT64_C(1000000000) ? now_ns : 0;
	else if (arrival_ns != 0 && now_ns - arrival_ns < UINT64_C(60000000000))
		line->arrival_ns = arrival_ns;
}

/* It was borrowed from the worker that received it. */
void timeline_borrowed(const struct timeline *line, struct telemetry *telemetry);
/* It was executed by worker `owner`: what the core says of its transaction is noted. `parked`: it
 * waits for a value, and will be executed once more. */
static inline void timeline_executed(struct timeline *line, const struct telemetry *telemetry,
				     uint32_t owner, bool parked)
{
	line->begin_ns = telemetry->begin_ns;
	line->ended = telemetry->ended;
	line->parked = parked;
	line->owner = owner;
}

/* Worker `owner` answers it without executing it. */
static inline void timeline_refused(struct timeline *line, uint32_t owner)
{
	line->begin_ns = 0;
	line->ended = 0;
	line->owner = owner;
}

/* Requests of a pass share a look at the clock, up to a burst of them: one for each would cost as
 * much as a tenth of what it measures. A request that comes alone is timed alone. */
#define TIMED_MAX ABAFT_BURST

/* What was executed since `begun_ns`, all of it by one worker, and is not timed yet. */
struct timed {
	uint64_t begun_ns;
	uint32_t plain; /* requests that were answered at once, and are forgotten */
	uint32_t whole; /* of them, such as began a transaction and ended it */
	uint32_t count; /* requests that go on: parked, or waiting for the log; and some others */
	struct timeline *line[TIMED_MAX];
};

/* It was executed all at once, and nothing of it will be asked again. */
static inline bool timed_is_plain(const struct timed *timed, const struct timeline *line)
{
	return !line->parked && !line->again && (!line->ended || line->begin_ns == timed->begun_ns);
}

/* All of them took from begun_ns to telemetry->now_ns together. There is one at least. */
void timeline_timed(const struct timed *timed, struct telemetry *telemetry);
/* The XDP program's time of it is known, and it was executed from begun_ns on. */
void timeline_arrived(const struct timeline *line, struct telemetry *telemetry, uint64_t begun_ns);
/* It waits for a value from disk since telemetry->now_ns, and goes on at telemetry->now_ns. */
void timeline_parked(struct timeline *line, const struct telemetry *telemetry);
void timeline_again(struct timeline *line, const struct telemetry *telemetry);
/* Its record is durable since `durable_ns`, or never will be (0). */
void timeline_settled(struct timeline *line, struct telemetry *telemetry, uint64_t durable_ns);
/* Whether it has been in the node for longer than a slow request. */
static inline bool timeline_is_slow(const struct timeline *line, const struct telemetry *telemetry)
{
	uint64_t came_ns = line->arrival_ns != 0 ? line->arrival_ns : line->received_ns;

	return telemetry->now_ns > came_ns + telemetry->slow_ns;
}

/* Most answers have nothing more to be counted. */
static inline bool timeline_wants_sent(const struct timeline *line,
				       const struct telemetry *telemetry)
{
	return line->durable_ns != 0 || PROBE_WATCHED(txn__ack) ||
	       timeline_is_slow(line, telemetry);
}

/* Its answer, which begins with a wire header, is on its way to the port at telemetry->now_ns. */
void timeline_sent(const struct timeline *line, struct telemetry *telemetry, const uint8_t *answer,
		   uint32_t answer_bytes, uint64_t unix_us);

#endif
