/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - what time it is, for one look at the processor's cycle counter.
 *
 * Reading the system's clocks takes two to four times as long, and a worker wants to know the time
 * in each pass. So they are read once in CLOCK_SYNC_NS, and the counter goes on from there; how
 * fast it goes is measured from one reading to another. Where the counter does not run at a
 * constant rate the system's clocks are read each time. One thread's.
 *
 * C1. mono never goes back, whatever the rate was taken for, and whether a pass or a look within it
 *     tells it. Where it was ahead it stands still until the system's is there.
 * C2. A step of the wall clock is seen CLOCK_SYNC_NS later at most.
 */
#ifndef ABAFT_DATAPLANE_CLOCK_H
#define ABAFT_DATAPLANE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/core/now.h"

#define CLOCK_SYNC_NS UINT64_C(1000000)

struct clock {
	uint64_t mono_ns, wall_ns;	     /* of the last pass */
	uint64_t told_ns;		     /* the latest mono, of a pass or a look */
	uint64_t sync_mono_ns, sync_wall_ns; /* of the last reading: the system's own */
	uint64_t sync_ticks;
	uint64_t first_mono_ns, first_ticks; /* of the reading that `rate` is measured from */
	uint64_t least_ns;		     /* how long after that it is measured, at least */
	uint64_t rate;			     /* ns per tick, times 2^32; 0: not known yet */
	bool constant;			     /* the counter can be used */
};

void clock_init(struct clock *clock);
/* The real time, for a pass that begins. */
struct now clock_pass(struct clock *clock);
/* A pass begins at this simulated time, which stands still within it. */
void clock_set(struct clock *clock, struct now now);
/* CLOCK_MONOTONIC in nanoseconds, within the pass. */
uint64_t clock_now_ns(struct clock *clock);

#endif
