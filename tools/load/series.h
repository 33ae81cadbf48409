/* SPDX-License-Identifier: Apache-2.0 */
/*
 * series.h - what ended in each second of a run, from the threads to the one that records it.
 *
 * Each thread has a series: a short ring of seconds, which it fills, and the recording thread adds
 * up and empties. No lock, and nothing is shared on the way of a transaction but what the thread
 * itself writes.
 *
 * S1. Slot t % SERIES_RING is the thread's from the moment that it goes on to second t until it
 *     goes on to a later one, which `passed` says; then it is the recording thread's, which leaves
 *     it as zeros, until `taken` says that. Each of the two has one writer, which releases what it
 *     wrote to the slots before; the other side acquires it.
 * S2. A thread never waits. When the recording thread is SERIES_RING seconds behind, what ends is
 *     added to the last second that there is room for, and counted as late.
 */
#ifndef ABAFT_TOOLS_LOAD_SERIES_H
#define ABAFT_TOOLS_LOAD_SERIES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <abaft/abaft.h>

#include "tools/load/latency.h"

#define SERIES_RING 8
/* Of a thread that is over: every second has passed. */
#define SERIES_OVER UINT64_MAX

struct series_second {
	uint64_t committed, aborted, failed, unknown; /* transactions, at their end */
	uint64_t errors;			      /* answers that were no success */
	uint64_t retries;			      /* transactions run again */
	uint64_t resends;			      /* packets sent again */
	struct latency latency;			      /* of what committed or aborted */
};

struct series {
	const struct abaft *client; /* whose resends are counted; NULL: nobody's */
	uint64_t start_ns, resends;
	uint64_t second; /* the thread's own copy of `passed` */
	uint64_t late;
	_Atomic uint64_t passed; /* seconds below it are over */
	_Atomic uint64_t taken;	 /* seconds below it are recorded, and their slots empty */
	struct series_second slot[SERIES_RING];
};

/* A thread's series, of seconds since start_ns; series_destroy() it. NULL: no memory. */
struct series *series_create(uint64_t start_ns, const struct abaft *client);
void series_destroy(struct series *series);

/* The thread's: goes on to the second of now_ns. Often enough that seconds end though nothing
 * happens in them. */
void series_tick(struct series *series, uint64_t now_ns);
/* The thread's: the second of now_ns, to add to before the next call. */
struct series_second *series_now(struct series *series, uint64_t now_ns);
/* The thread's: nothing more will come. */
void series_over(struct series *series);

/* The recording thread's: whether a second is over. */
bool series_passed(struct series *series, uint64_t second);
/* The recording thread's: adds a second to a sum and gives its slot back. Each second once, in
 * order, when it has passed. */
void series_take(struct series *series, uint64_t second, struct series_second *sum);

#endif
