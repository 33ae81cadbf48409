/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_change.h - what happened between two snapshots of a node.
 *
 * Pure: snapshots in, differences out. One thread at a time.
 */
#ifndef ABAFT_TOOLS_TELEMETRY_TOP_CHANGE_H
#define ABAFT_TOOLS_TELEMETRY_TOP_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "telemetry/scrape.h"

struct top_change {
	double seconds; /* between the two; 0: there is no earlier one, all is since the start */
	/* Numbers that were lower than before although it is the same node: they count as 0. */
	bool went_back;
	struct scrape_worker total; /* of `added`, all workers */
	struct scrape_worker life;  /* of the later snapshot, all workers */
	/* As the later snapshot, but counters and histograms hold only what was added; gauges what
	 * they are. Thieves: the greatest first, who stole nothing left out. Softirqs by CPU. */
	struct snapshot added;
};

/* Room for a node's workers, or NULL; free() it. */
struct top_change *top_change_alloc(uint32_t workers);
/* Fills *change, which has room for all workers of `later`. `earlier` is of the same run of the
 * same node, or NULL. */
void top_change_make(struct top_change *change, const struct snapshot *earlier,
		     const struct snapshot *later, double seconds);
/* Whether both are of one run of a node: else there is nothing to compare. */
bool top_change_same_run(const struct telemetry_node *a, const struct telemetry_node *b);
/* What was added per second, or a negative number if that is not known. */
double top_change_rate(const struct top_change *change, uint64_t added);

#endif
