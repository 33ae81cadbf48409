/* SPDX-License-Identifier: Apache-2.0 */
/* telemetry_memory.h - a worker's telemetry in plain memory, for tests; and what always holds of
 * it. */
#ifndef ABAFT_TESTS_TELEMETRY_MEMORY_H
#define ABAFT_TESTS_TELEMETRY_MEMORY_H

#include "dataplane/core/telemetry.h"

struct telemetry_memory {
	struct telemetry telemetry; /* points into the rest */
	struct worker_counters worker;
	struct node_counters node;
	struct log_counters log;
	struct op_counters ops;
	struct slow_txns slow;
	struct histogram histogram[HISTOGRAM_COUNT];
};

/* All zeros but the pointers and the threshold of slow requests. The memory must be aligned as its
 * type is: static, or by aligned_alloc(). */
void telemetry_memory_init(struct telemetry_memory *memory, uint64_t slow_ns);
/* NULL, or what is wrong with a histogram: its buckets' sum is its count, its sum and its greatest
 * number lie where its buckets say. */
const char *telemetry_histogram_wrong(const struct histogram *histogram);

#endif
