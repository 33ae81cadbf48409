/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - a host's clocks, made of the true time (events.now_us): the wall clock, which may be
 * off, drift and be set, forwards and backwards; and the monotonic one, which drifts with it but
 * never goes back, and begins anew when the host boots.
 */
#ifndef ABAFT_TESTS_CLOCK_H
#define ABAFT_TESTS_CLOCK_H

#include <stdint.h>

struct sim_clock {
	uint64_t since_us; /* true time of the last change */
	int64_t offset_us; /* of the wall clock, then */
	uint64_t mono_us;  /* then */
	int32_t drift_ppm;
};

/* The host boots: its monotonic clock begins at `mono_us`; the wall clock stays. */
void sim_clock_boot(struct sim_clock *clock, uint64_t true_us, uint64_t mono_us);
/* The wall clock is set; from now on both drift by so much. */
void sim_clock_set(struct sim_clock *clock, uint64_t true_us, int64_t offset_us, int32_t drift_ppm);
uint64_t sim_clock_wall_us(const struct sim_clock *clock, uint64_t true_us);
uint64_t sim_clock_mono_us(const struct sim_clock *clock, uint64_t true_us);

#endif
