/* SPDX-License-Identifier: Apache-2.0 */
/* telemetry_memory.c - see telemetry_memory.h. */
#include "tests/lib/telemetry_memory.h"

#include <string.h>

void telemetry_memory_init(struct telemetry_memory *memory, uint64_t slow_ns)
{
	memset(memory, 0, sizeof(*memory));
	memory->telemetry = (struct telemetry){.worker = &memory->worker,
					       .node = &memory->node,
					       .log = &memory->log,
					       .ops = &memory->ops,
					       .slow = &memory->slow,
					       .slow_ns = slow_ns};
	for (uint32_t h = 0; h < HISTOGRAM_COUNT; h++)
		memory->telemetry.histogram[h] = &memory->histogram[h];
	memory->slow.threshold_ns = slow_ns;
}

const char *telemetry_histogram_wrong(const struct histogram *histogram)
{
	uint64_t count = 0, low = 0, high = 0;
	uint32_t last = 0;

	for (uint32_t i = 0; i < HISTOGRAM_SIZE; i++) {
		uint64_t n = histogram->bucket[i];

		if (n == 0)
			continue;
		count += n;
		low += n * histogram_low(i, HISTOGRAM_BITS);
		high += n * (histogram_low(i + 1, HISTOGRAM_BITS) - 1);
		last = i;
	}
	if (count != histogram->count)
		return "the buckets' sum is not the count";
	if (count == 0)
		return histogram->sum == 0 && histogram->max == 0 ? NULL : "it holds nothing";
	if (histogram_bucket(histogram->max, HISTOGRAM_BITS, HISTOGRAM_RANGE_BITS) != last)
		return "the greatest number is not in the last bucket";
	/* The last bucket of all has no upper bound. */
	if (histogram->sum < low || (last < HISTOGRAM_SIZE - 1 && histogram->sum > high))
		return "the sum is not that of such buckets";
	return NULL;
}
