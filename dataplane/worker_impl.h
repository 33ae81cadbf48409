/* SPDX-License-Identifier: Apache-2.0 */
/* worker_impl.h - the inside of a worker, shared by worker.c and worker_slots.c only. */
#ifndef ABAFT_DATAPLANE_WORKER_IMPL_H
#define ABAFT_DATAPLANE_WORKER_IMPL_H

#include "dataplane/clock.h"
#include "dataplane/damage.h"
#include "dataplane/net/frame.h"
#include "dataplane/timeline.h"
#include "dataplane/worker.h"

#define WORKER_TX_FRAMES 64
/* A request on its way: its frame, and in the frame's payload its answer. */
struct slot {
	struct slot *next;
	struct frame frame;
	struct frame_view view;
	struct timeline line;
	uint32_t home;
	uint32_t answer_bytes; /* 0: release the frame */
};

struct worker {
	struct worker_config config;
	struct worker_counters *counters;
	struct telemetry *telemetry; /* NULL: none */
	struct clock clock;
	struct slot *slots;
	struct slot *free;
	uint32_t slots_free;
	uint32_t parked;   /* answers that wait for the log */
	uint32_t fetching; /* requests that wait for values */
	uint32_t lent;	   /* slots of ours with other workers */
	uint64_t wake;	   /* workers to wake at the end of the pass */
	uint64_t durable;
	uint64_t durable_ns; /* when that was seen; 0: the log failed */
	uint64_t record;     /* the last that was appended */
	uint64_t now_us;     /* monotonic, of this pass */
	uint64_t unix_us;    /* wall clock, of this pass */
	uint64_t publish_us;
	uint64_t start_us, work_us, yield_us, stop_us;
	uint64_t tick_us; /* pause the core allows */
	int log_error;
	int log_no_room;
	uint64_t log_stalled_us;
	bool worked;
	bool noted;    /* of some answer to be sent it will be noted when it was */
	bool stopping; /* told to stop; since stop_us, when it has looked at the clock again */
	bool closed;   /* refuses every request */
	bool quiet;
	bool drained;
	struct damage damage;
	struct timed timed;
	uint32_t tx_count;
	struct frame tx[WORKER_TX_FRAMES];
	struct slot *tx_slot[WORKER_TX_FRAMES]; /* whose answers these are; NULL: the host's */
	struct worker_counters own_counters;	/* where nobody gave us any */
	uint8_t scratch[ABAFT_PACKET_BYTES_MAX];
};

/* worker_slots.c: a request's way. A look at the clock, for all that is measured from here on; 0 if
 * nothing is. */
uint64_t worker_look(struct worker *w);
/* A pass begins, at the clock's time: what the last one executed is timed. */
void worker_times_begin(struct worker *w);
/* The same in its midst, with a look. Before what may take long: a yield, a sleep. */
void worker_times_end(struct worker *w);
/* `count` slots of no request. */
void worker_slots_init(struct worker *w, uint32_t count);
/* A burst from the port: executed, or handed to their owners. */
void worker_receive(struct worker *w);
/* What others lent, and what they give back. */
void worker_serve_peers(struct worker *w);
/* node_again_fn, node_done_fn */
void worker_slot_again(void *arg, void *token);
void worker_commit_done(void *arg, void *token, const uint8_t *result, uint32_t at, uint32_t bytes);
/* Gives all answers to the port. */
void worker_tx_flush(struct worker *w);

#endif
