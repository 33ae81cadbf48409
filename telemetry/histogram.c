/* SPDX-License-Identifier: Apache-2.0 */
/*
 * histogram.c - what is asked of the histograms of a snapshot: quantiles, sums, differences.
 *
 * A histogram that is read while it is written may hold some numbers in `count` and not yet in a
 * bucket, or the other way; what is asked here goes by the buckets.
 */
#include <stdio.h>

#include "telemetry/scrape.h"

/* What stands for a bucket's numbers. The last one has no upper end, and where the largest number
 * lies none is larger. */
static uint64_t bucket_number(uint32_t bucket, uint64_t max)
{
	uint64_t middle = histogram_middle(bucket, HISTOGRAM_BITS);

	if (bucket == HISTOGRAM_SIZE - 1 || middle > max)
		return max;
	return middle;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
	uint64_t total = 0, seen = 0;
	double rank;

	for (uint32_t i = 0; i < HISTOGRAM_SIZE; i++)
		total += histogram->bucket[i];
	if (total == 0)
		return 0;
	rank = share * (double)total;
	for (uint32_t i = 0; i < HISTOGRAM_SIZE; i++) {
		seen += histogram->bucket[i];
		if (seen == total && share >= 1)
			return histogram->max;
		if (histogram->bucket[i] != 0 && (double)seen >= rank)
			return bucket_number(i, histogram->max);
	}
	return histogram->max;
}

void histogram_since(const struct histogram *later, const struct histogram *earlier,
		     struct histogram *out)
{
	uint32_t highest = 0;

	if (later->count < earlier->count) { /* another life of the node */
		*out = *later;
		return;
	}
	out->count = later->count - earlier->count;
	out->sum = later->sum - earlier->sum;
	for (uint32_t i = 0; i < HISTOGRAM_SIZE; i++) {
		uint64_t before = earlier->bucket[i];

		out->bucket[i] = later->bucket[i] > before ? later->bucket[i] - before : 0;
		if (out->bucket[i] != 0)
			highest = i;
	}
	out->max = out->bucket[highest] != 0 ? bucket_number(highest, later->max) : 0;
	/* Where the largest of all lies, and something new with it. */
	if (out->max != 0 &&
	    highest == histogram_bucket(later->max, HISTOGRAM_BITS, HISTOGRAM_RANGE_BITS))
		out->max = later->max;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	into->count += from->count;
	into->sum += from->sum;
	if (from->max > into->max)
		into->max = from->max;
	for (uint32_t i = 0; i < HISTOGRAM_SIZE; i++)
		into->bucket[i] += from->bucket[i];
}
