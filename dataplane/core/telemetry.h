/* SPDX-License-Identifier: Apache-2.0 */
/*
 * telemetry.h - where one worker, its node and its log write their numbers.
 *
 * control/ points these at the memory of BPF maps (include/abaft/telemetry.h); tests at their own.
 * Written by the worker's thread alone, with plain stores. Who has no struct telemetry (NULL)
 * counts in memory of its own and measures no times.
 */
#ifndef ABAFT_CORE_TELEMETRY_H
#define ABAFT_CORE_TELEMETRY_H

#include <stddef.h>
#include <stdint.h>

#include <abaft/telemetry.h>

struct telemetry {
	struct worker_counters *worker;
	struct node_counters *node;
	struct log_counters *log;
	struct op_counters *ops;
	struct slow_txns *slow;
	struct histogram *histogram[HISTOGRAM_COUNT];
	/* The worker's last look at the clock, CLOCK_MONOTONIC: within a pass the core's time is
	 * the pass's, which is too coarse for what takes microseconds. */
	uint64_t now_ns;
};

static inline void telemetry_add(struct telemetry *telemetry, enum histogram_name name,
				 uint64_t number)
{
	if (telemetry != NULL)
		histogram_add(telemetry->histogram[name], number);
}

#endif
