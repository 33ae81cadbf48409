/* SPDX-License-Identifier: Apache-2.0 */
/* engine_info.c - see engine_info.h. */
#include "control/engine_info.h"

#include <stdio.h>

#include "dataplane/worker_info.h"

static uint64_t error_of(const struct engine_health *health)
{
	return health->failing_us != 0 && health->error < 0 ? (uint64_t)-health->error : 0;
}

void engine_info(const struct engine_facts *facts, struct info_text *text)
{
	const struct engine_health *health = &facts->health;

	info_words(text, "engine_name", facts->name, sizeof(((struct telemetry_engine *)0)->name));
#define LINE(counter, about) info_number(text, "engine_" #counter, facts->counters.counter);
	ABAFT_ENGINE_COUNTERS(LINE)
#undef LINE
	info_number(text, "engine_open", health->open);
	info_number(text, "engine_failing_us", health->failing_us);
	info_number(text, "engine_error", error_of(health));
	info_words(text, "engine_why", health->failing_us != 0 ? health->why : "-",
		   ENGINE_INFO_COLUMNS);
	if (!facts->behind)
		return;
	info_number(text, "engine_lag_bytes", facts->lag.lag_bytes);
	info_number(text, "engine_lag_bytes_max", facts->lag.lag_bytes_max);
	info_number(text, "engine_lag_error",
		    (uint64_t)(facts->lag.error < 0 ? -facts->lag.error : 0));
}

void engine_tell(const struct engine_facts *facts, struct telemetry_engine *to)
{
#define TELL(counter, about)                                                                       \
	__atomic_store_n(&to->counter, facts->counters.counter, __ATOMIC_RELAXED);
	ABAFT_ENGINE_COUNTERS(TELL)
#undef TELL
	__atomic_store_n(&to->open, facts->health.open, __ATOMIC_RELAXED);
	__atomic_store_n(&to->failing_us, facts->health.failing_us, __ATOMIC_RELAXED);
	__atomic_store_n(&to->error, error_of(&facts->health), __ATOMIC_RELAXED);
	__atomic_store_n(&to->lag_bytes, facts->lag.lag_bytes, __ATOMIC_RELAXED);
	snprintf(to->name, sizeof(to->name), "%s", facts->name);
}
