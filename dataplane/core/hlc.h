/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hlc.h - versions and the hybrid logical clock that numbers them (Kulkarni et al., 2014).
 *
 * A version's time is microseconds since 1970, shifted left by 12, plus a count. The clock follows
 * the wall clock but never goes back and is pushed above every version its worker has met, so a
 * wall clock that jumps changes freshness, never order.
 */
#ifndef ABAFT_CORE_HLC_H
#define ABAFT_CORE_HLC_H

#include <stdbool.h>
#include <stdint.h>

#define HLC_COUNT_BITS 12

/* Total order of commits: time, then origin. {0, 0} is older than all: "no version". */
struct vnum {
	uint64_t time;
	uint32_t origin;
};

static inline bool vnum_less(struct vnum a, struct vnum b)
{
	return a.time < b.time || (a.time == b.time && a.origin < b.origin);
}

static inline bool vnum_equal(struct vnum a, struct vnum b)
{
	return a.time == b.time && a.origin == b.origin;
}

struct hlc {
	uint64_t last;
};

static inline void hlc_see(struct hlc *clock, uint64_t time)
{
	if (time > clock->last)
		clock->last = time;
}

/* A time above all seen so far, and not behind the wall clock. */
static inline uint64_t hlc_next(struct hlc *clock, uint64_t wall_us)
{
	uint64_t wall = wall_us << HLC_COUNT_BITS;

	clock->last = wall > clock->last ? wall : clock->last + 1;
	return clock->last;
}

#endif
