/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.c - see names.h.
 */
#include "telemetry/names.h"

#include <string.h>

#include "telemetry/scrape.h"

#define COUNT(table)			 (uint32_t)(sizeof(table) / sizeof((table)[0]))
#define NAME(name, text)		 {#name, text},
#define STATUS_NAME(name, code, r, text) {#name, text},
#define HISTOGRAM_TEXT(name, unit, text) {#name, unit, text},
#define SOFTIRQ_NAME(name)		 #name,
/* Words, and perhaps the padding that their alignment asks for. */
#define FITS(table, type)                                                                          \
	_Static_assert(sizeof(table) / sizeof((table)[0]) <= sizeof(type) / sizeof(uint64_t),      \
		       "a table of a word each")

/* clang-format off */
static const struct counter_name worker_names[] = {ABAFT_WORKER_COUNTERS(NAME)};
static const struct counter_name core_names[] = {ABAFT_NODE_COUNTERS(NAME)};
static const struct counter_name log_names[] = {ABAFT_LOG_COUNTERS(NAME)};
const struct counter_name engine_names[] = {ABAFT_ENGINE_COUNTERS(NAME) ABAFT_ENGINE_STATES(NAME)};
const struct counter_name steer_names[] = {ABAFT_STEER_COUNTERS(NAME)};
const struct counter_name op_names[] = {ABAFT_OPS(NAME)};
const struct counter_name op_error_names[] = {ABAFT_NODE_ERRORS(STATUS_NAME)};
const struct counter_name phase_names[] = {ABAFT_PHASES(NAME)};
const char *const softirq_names[] = {ABAFT_SOFTIRQS(SOFTIRQ_NAME)};
const struct histogram_text histogram_texts[] = {ABAFT_HISTOGRAMS(HISTOGRAM_TEXT)};
const struct histogram_text kernel_histogram_texts[] = {ABAFT_KERNEL_HISTOGRAMS(HISTOGRAM_TEXT)};
/* clang-format on */
const uint32_t engine_names_count = COUNT(engine_names);
const uint32_t steer_names_count = COUNT(steer_names);
const uint32_t op_names_count = COUNT(op_names);
const uint32_t op_error_names_count = COUNT(op_error_names);
const uint32_t phase_names_count = COUNT(phase_names);
const uint32_t softirq_names_count = COUNT(softirq_names);
FITS(worker_names, struct worker_counters);
FITS(core_names, struct node_counters);
FITS(log_names, struct log_counters);
FITS(engine_names, struct telemetry_engine);
FITS(steer_names, struct steer_counters);
FITS(op_error_names, struct op_errors);
FITS(phase_names, struct slow_phases);

#define GROUP(name, field)                                                                         \
	{                                                                                          \
#name, name##_names, COUNT(name##_names), offsetof(struct scrape_worker, field)    \
	}

const struct counter_group counter_groups[COUNTER_GROUPS] = {
	GROUP(worker, worker),
	GROUP(core, node),
	GROUP(log, log),
};

bool counter_is_gauge(const struct counter_name *name)
{
	static const char now[] = ", now";
	size_t bytes = strlen(name->text);

	return bytes > sizeof(now) && strcmp(name->text + bytes - (sizeof(now) - 1), now) == 0;
}

bool counter_is_state(const struct counter_name *name)
{
	static const char *const states[] = {"stalled_us", "error", "no_room"};

	for (size_t i = 0; i < COUNT(states); i++)
		if (strcmp(name->name, states[i]) == 0)
			return true;
	return false;
}
