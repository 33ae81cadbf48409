/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - one data plane thread, run to completion: packets in, the transaction core, the
 * commit log, packets out.
 *
 * The worker ties what does not know each other: a port's queue (net/port.h), a node
 * (core/node.h), a log (log/log.h) and the other workers (xcore/handover.h). control/ makes all of
 * these, gives them to worker_create(), and runs worker_run() on a thread of its own.
 *
 * Invariants:
 *  I1. A frame belongs to the worker whose port received it (its home) from rx to tx or release.
 *      It travels in a slot; a slot lent to another worker always comes back (handover.h I2, I3).
 *  I2. Slots never run out in mid-burst: a worker holds at most ABAFT_COMMITS_PENDING_MAX parked
 *      answers of its own and ABAFT_FETCH_WAITERS_MAX requests that wait for values (the core
 *      answers BUSY beyond), what it lent (bounded by the rings), one burst, and the answers that
 *      the port is given next; that many slots are made, and a burst takes no more frames than
 *      slots are free.
 *  I3. The store is touched only between node_pass_begin() and node_pass_end(); a sleeping worker
 *      is outside of a pass.
 *  I4. A worker that has said it is drained has nothing parked, nothing in its log's flight
 *      and nothing lent, and lends no more. So when all have said it, every ring is empty
 *      and every frame was sent or released. A request waits for values ABAFT_FETCH_MS_MAX at
 *      most, so that does not take for ever; the disk may still be reading into the store's
 *      memory, which must outlive the log.
 */
#ifndef ABAFT_DATAPLANE_WORKER_H
#define ABAFT_DATAPLANE_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include <abaft/telemetry.h>

#include "dataplane/core/now.h"

struct info_text;
struct worker;
struct port;
struct post;
struct node;
struct node_damage;
struct log;
struct handover;
struct host;
struct steer_port;
struct telemetry;

/* After this long in the drain a worker gives up: the log's device does not answer any more. */
#define WORKER_DRAIN_MS_MAX 10000

/* What the workers of a process share about their end. Zeroed by the caller. */
struct worker_group {
	uint32_t stop;	  /* set by worker_group_stop() */
	uint32_t quiet;	  /* workers whose open transactions have ended, or their time is up */
	uint32_t drained; /* workers that have said so (I4) */
	/* 0, or why some worker's log failed: from then on none of them takes commits, as it is one
	 * disk most likely. What their logs hold already is still acknowledged when it is durable.
	 */
	int log_failed;
};

struct worker_config {
	uint32_t number;	  /* 0 to workers - 1 */
	uint32_t workers;	  /* in the process */
	uint16_t udp_port;	  /* base: requests come to udp_port + 0 .. workers - 1 */
	struct port *port;	  /* its queue, or NULL: all requests come from other workers */
	struct steer_port *steer; /* decides on the port's frames; NULL: the kernel has done it */
	const struct host *host;  /* whose ARP, ND and ping to answer if the port owns its device */
	struct node *node;
	struct log *log;
	struct handover *handover;
	struct post *post; /* the keeper's questions, or NULL */
	struct worker_group *group;
	struct telemetry *telemetry; /* its slots, the node's and log's too; NULL: counters only */
	const char *version;	     /* of the program, for INFO; must outlive the worker */
	/* Further lines of this worker's INFO (worker_info.h), from its thread; or NULL. */
	void (*more)(void *arg, struct info_text *text);
	void *more_arg;
	bool poll;  /* never sleep */
	bool yield; /* a shared core: while a log writes, let others run every 20 us */
};

/* Takes memory and lends the log and the INFO text to the node. 0 or -ENOMEM. */
int worker_create(struct worker **out, const struct worker_config *config)
	__attribute__((warn_unused_result));
/* After worker_run() has returned, or never ran. Frees nothing of what config named. */
void worker_destroy(struct worker *worker);

/* The loop, until the group stops and has drained. 0, or -ETIMEDOUT when it gave up draining:
 * then commits may still be in flight, unacknowledged. */
int worker_run(struct worker *worker) __attribute__((warn_unused_result));
/*
 * What worker_run() consists of, for who has a clock and a schedule of his own (tests/sim/world):
 * while worker_stopped() says no, one pass at a time, and after each as long a pause as wanted.
 * worker_pass() returns the microseconds until the worker has something to do though no frame comes
 * and no peer calls; 0: at once, or when its disk has gone on.
 */
uint64_t worker_pass(struct worker *worker, struct now now);
bool worker_stopped(struct worker *worker) __attribute__((warn_unused_result));

/* Tells all workers to refuse new transactions with STOPPING, to let open ones end for a second,
 * then to drain and return. Any thread. */
void worker_group_stop(struct worker_group *group, struct handover *handover, uint32_t workers);

/* One writer, the worker's thread; readers take values that may be a moment old. */
const struct worker_counters *worker_counters(const struct worker *worker);
/* 0, or the negative errno the log reported. Any thread. */
int worker_log_error(const struct worker *worker);
/* Why, while that is -ENOSPC, the log found no room (log_stats.no_room). Any thread. */
int worker_log_no_room(const struct worker *worker);
/* The value on disk that the worker found damaged last; false: none. `count` tells a new one. Any
 * thread. */
bool worker_damage(const struct worker *worker, struct node_damage *out);
/* How long the oldest write of its log is in flight; 0: not long, or none is. Any thread. */
uint64_t worker_log_stalled_us(const struct worker *worker);
/* Commits that wait for the log; the worker's thread, or when worker_run() has returned. */
uint32_t worker_parked(const struct worker *worker);
/* Of all: a failed log's errno before a full one's, else 0. `no_room` as above, of the same log. */
int workers_log_error(struct worker *const workers[], uint32_t count, int *no_room);

#endif
