/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h - the lists of include/abaft/telemetry.h as tables: for whoever prints all counters or
 * all histograms, so that a new one shows up everywhere by itself.
 *
 * Constant data, any thread.
 */
#ifndef ABAFT_TELEMETRY_NAMES_H
#define ABAFT_TELEMETRY_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <abaft/telemetry.h>

struct counter_name {
	const char *name;
	const char *text;
};

struct histogram_text {
	const char *name;
	const char *unit; /* "ns", or what is counted */
	const char *text;
};

/* A struct of counters: 64-bit words in the order of its table. */
struct counter_group {
	const char *name; /* in JSON, in Prometheus and on screens */
	const struct counter_name *names;
	uint32_t count;
	size_t offset; /* in a struct scrape_worker */
};

/* Those that each worker has: worker, core, log. */
#define COUNTER_GROUPS 3
extern const struct counter_group counter_groups[COUNTER_GROUPS];

extern const struct counter_name engine_names[]; /* by struct telemetry_engine */
extern const uint32_t engine_names_count;
extern const struct counter_name steer_names[]; /* by struct steer_counters */
extern const uint32_t steer_names_count;
extern const struct counter_name op_names[]; /* by struct op_counters */
extern const uint32_t op_names_count;
extern const struct counter_name op_error_names[]; /* by struct op_errors */
extern const uint32_t op_error_names_count;
extern const char *const softirq_names[]; /* by struct softirqs */
extern const uint32_t softirq_names_count;
extern const struct counter_name phase_names[]; /* by struct slow_phases */
extern const uint32_t phase_names_count;

extern const struct histogram_text histogram_texts[HISTOGRAM_COUNT];
extern const struct histogram_text kernel_histogram_texts[HISTOGRAM_KERNEL_COUNT];

/* Whether the number may fall, by the end of its text (telemetry.h); others only grow while a node
 * lives. */
bool counter_is_gauge(const struct counter_name *name);
/* Whether it is a state, of which the sum over workers says nothing: the largest does. */
bool counter_is_state(const struct counter_name *name);

/* A struct of 64-bit words, by number. */
static inline uint64_t counter_at(const void *counters, uint32_t index)
{
	return ((const uint64_t *)counters)[index];
}

#endif
