/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random.h - numbers for pauses and simulated faults: splitmix64 (Steele, Lea, Flood, 2014). Not
 * for secrets.
 */
#ifndef ABAFT_ENGINE_RANDOM_H
#define ABAFT_ENGINE_RANDOM_H

#include <stdint.h>

static inline uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* From 0 to below 1. */
static inline double random_unit(uint64_t *state)
{
	return (double)(random_next(state) >> 11) * 0x1p-53;
}

/* From 0 to `most`. */
static inline uint64_t random_upto(uint64_t *state, uint64_t most)
{
	return (uint64_t)(random_unit(state) * (double)(most + 1));
}

#endif
