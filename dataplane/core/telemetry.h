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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <abaft/telemetry.h>

/* Numbers that come alike many times in a row, as those of a group commit do: a run of them is
 * counted once. telemetry_runs_end() before a reader is to find all of them. */
enum telemetry_run_name { RUN_COMMIT_DURABLE, RUN_TXN_LIFE, RUN_DURABLE_ACK, RUN_COUNT };
struct telemetry_run {
	uint64_t number, times;
};

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
	/* What the core says of the transaction of the request that it executed, or told the
	 * outcome of, last: when its first packet was executed, and the operation that was its
	 * end, COMMIT or ABORT; 0: it goes on. */
	uint64_t begin_ns;
	uint8_t ended;
	uint64_t slow_ns; /* slow->threshold_ns */
	struct telemetry_run run[RUN_COUNT];
};

static inline void telemetry_run_end(struct telemetry *telemetry, enum telemetry_run_name name)
{
	static const enum histogram_name of[RUN_COUNT] = {
		HISTOGRAM_commit_durable, HISTOGRAM_txn_life, HISTOGRAM_durable_ack};
	struct telemetry_run *run = &telemetry->run[name];

	if (run->times != 0)
		histogram_add_times(telemetry->histogram[of[name]], run->number, run->times);
	run->times = 0;
}

static inline void telemetry_add_run(struct telemetry *telemetry, enum telemetry_run_name name,
				     uint64_t number)
{
	struct telemetry_run *run = &telemetry->run[name];

	if (run->number != number)
		telemetry_run_end(telemetry, name);
	run->number = number;
	run->times++;
}

static inline void telemetry_runs_end(struct telemetry *telemetry)
{
	for (int name = 0; name < RUN_COUNT; name++)
		telemetry_run_end(telemetry, (enum telemetry_run_name)name);
}

/* The counter of a wire operation; 0: of packets. */
static inline struct op_counter *telemetry_op(struct telemetry *telemetry, uint8_t code)
{
	return (struct op_counter *)telemetry->ops + code;
}

/* An operation's or a packet's status that is not OK. */
static inline void op_count_error(struct op_counter *counter, uint16_t status)
{
	((__u64 *)&counter->errors)[status - 1]++;
}

static inline void telemetry_add(struct telemetry *telemetry, enum histogram_name name,
				 uint64_t number)
{
	if (telemetry != NULL)
		histogram_add(telemetry->histogram[name], number);
}

#endif
