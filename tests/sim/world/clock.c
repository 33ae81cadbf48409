/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - see clock.h. */
#include "tests/sim/world/clock.h"

/* What the clock has gained since the last change. */
static int64_t drifted(const struct sim_clock *clock, uint64_t true_us)
{
	return (int64_t)(true_us - clock->since_us) * clock->drift_ppm / 1000000;
}

uint64_t sim_clock_wall_us(const struct sim_clock *clock, uint64_t true_us)
{
	return true_us + (uint64_t)(clock->offset_us + drifted(clock, true_us));
}

uint64_t sim_clock_mono_us(const struct sim_clock *clock, uint64_t true_us)
{
	return clock->mono_us + (true_us - clock->since_us) + (uint64_t)drifted(clock, true_us);
}

void sim_clock_boot(struct sim_clock *clock, uint64_t true_us, uint64_t mono_us)
{
	clock->offset_us += drifted(clock, true_us);
	clock->mono_us = mono_us;
	clock->since_us = true_us;
}

void sim_clock_set(struct sim_clock *clock, uint64_t true_us, int64_t offset_us, int32_t drift_ppm)
{
	clock->mono_us = sim_clock_mono_us(clock, true_us);
	clock->since_us = true_us;
	clock->offset_us = offset_us;
	clock->drift_ppm = drift_ppm;
}
