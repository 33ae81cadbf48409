// SPDX-License-Identifier: Apache-2.0
/*
 * latency.c - buckets: times below 64 ns have one each; above, the six bits after the leading one
 * choose the bucket within the power of two.
 */
#include "tools/load/latency.h"

#include <math.h>

#define SUB (1u << LATENCY_SUB_BITS)

static uint32_t bucket_of(uint64_t ns)
{
	uint32_t shift;

	if (ns < SUB)
		return (uint32_t)ns;
	if (ns >> LATENCY_BITS)
		return LATENCY_BUCKETS - 1;
	shift = 63u - (uint32_t)__builtin_clzll(ns) - LATENCY_SUB_BITS;
	return (shift << LATENCY_SUB_BITS) + (uint32_t)(ns >> shift);
}

static uint64_t bucket_middle(uint32_t bucket)
{
	uint32_t shift;
	uint64_t low;

	if (bucket < SUB)
		return bucket;
	shift = (bucket >> LATENCY_SUB_BITS) - 1;
	low = (uint64_t)(bucket - (shift << LATENCY_SUB_BITS)) << shift;
	return low + ((1ull << shift) >> 1);
}

void latency_add(struct latency *latency, uint64_t ns)
{
	latency->bucket[bucket_of(ns)]++;
	latency->count++;
	latency->sum_ns += (double)ns;
	if (ns > latency->max_ns)
		latency->max_ns = ns;
}

void latency_merge(struct latency *into, const struct latency *from)
{
	for (uint32_t i = 0; i < LATENCY_BUCKETS; i++)
		into->bucket[i] += from->bucket[i];
	into->count += from->count;
	into->sum_ns += from->sum_ns;
	if (from->max_ns > into->max_ns)
		into->max_ns = from->max_ns;
}

uint64_t latency_quantile(const struct latency *latency, double share)
{
	uint64_t rank, sum = 0;

	if (latency->count == 0)
		return 0;
	rank = (uint64_t)ceil(share * (double)latency->count);
	if (rank < 1)
		rank = 1;
	if (rank >= latency->count)
		return latency->max_ns;
	for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
		sum += latency->bucket[i];
		if (sum >= rank) {
			uint64_t middle = bucket_middle(i);

			return middle < latency->max_ns ? middle : latency->max_ns;
		}
	}
	return latency->max_ns;
}

double latency_mean(const struct latency *latency)
{
	return latency->count ? latency->sum_ns / (double)latency->count : 0;
}
