/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_info.h - how the storage engine is and what was asked of it, as lines of worker 0's INFO
 * and in the map `engine` (telemetry.h). Pure.
 */
#ifndef ABAFT_CONTROL_ENGINE_INFO_H
#define ABAFT_CONTROL_ENGINE_INFO_H

#include <stdbool.h>

#include "dataplane/engine/engine.h"
#include "dataplane/remote/behind.h"

struct info_text;

/* Columns of the line engine_why; a longer sentence is cut. */
#define ENGINE_INFO_COLUMNS 150

struct engine_facts {
	const char *name;
	struct engine_counters counters;
	struct engine_health health;
	bool behind; /* it gets the logs a little later than a disk */
	struct behind_stats lag;
};

void engine_info(const struct engine_facts *facts, struct info_text *text);
/* Each number whole; its reader may see some from before. */
void engine_tell(const struct engine_facts *facts, struct telemetry_engine *to);

#endif
