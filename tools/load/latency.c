// SPDX-License-Identifier: Apache-2.0
/*
 * latency.c - adds times to buckets, which histogram.h cuts, and finds quantiles in them.
 */
#include "tools/load/latency.h"

#include <math.h>

void latency_add(struct latency *latency, uint64_t ns)
{
	latency->bucket[histogram_bucket(ns, LATENCY_SUB_BITS, LATENCY_BITS)]++;
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
			uint64_t middle = histogram_middle(i, LATENCY_SUB_BITS);

			return middle < latency->max_ns ? middle : latency->max_ns;
		}
	}
	return latency->max_ns;
}

double latency_mean(const struct latency *latency)
{
	return latency->count ? latency->sum_ns / (double)latency->count : 0;
}
