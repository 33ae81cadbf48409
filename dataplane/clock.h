/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - the time within a pass, in nanoseconds of CLOCK_MONOTONIC, for a few cycles.
 *
 * A worker reads the system's clock once per pass (clock_begin()). Between two such looks the
 * processor's cycle counter goes on from there; how fast it goes is learnt from the looks. Where
 * there is no counter to trust, and in simulations, the time stands still within a pass. One
 * thread's.
 */
#ifndef ABAFT_DATAPLANE_CLOCK_H
#define ABAFT_DATAPLANE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct clock {
	uint64_t base_ns, base_ticks;	/* of the last look */
	uint64_t first_ns, first_ticks; /* of the look that `rate` is measured from */
	uint64_t rate;			/* ns per tick, times 2^32; 0: not known yet */
	bool ticks;			/* there is a counter */
};

/* `ticks`: use the processor's counter if it runs at a constant rate. */
void clock_init(struct clock *clock, bool ticks);
/* A look at the system's clock: it is `mono_ns` now. */
void clock_begin(struct clock *clock, uint64_t mono_ns);

static inline uint64_t clock_ticks(void)
{
	return __builtin_ia32_rdtsc();
}

static inline uint64_t clock_now_ns(const struct clock *clock)
{
	uint64_t ticks;

	if (clock->rate == 0)
		return clock->base_ns;
	ticks = clock_ticks() - clock->base_ticks;
	return clock->base_ns + (uint64_t)((unsigned __int128)ticks * clock->rate >> 32);
}

#endif
