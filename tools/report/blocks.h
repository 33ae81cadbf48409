/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blocks.h - the numbers of runs as gnuplot's blocks of data.
 *
 * Where there are more seconds than a line can show, some of them make one point: rates on average,
 * latencies the worst. Rates are per second, times in seconds.
 */
#ifndef ABAFT_TOOLS_REPORT_BLOCKS_H
#define ABAFT_TOOLS_REPORT_BLOCKS_H

#include "tools/report/report.h"

/* Columns of a run's block, behind the time. */
enum {
	COLUMN_COMMITTED = 2,
	COLUMN_P50,
	COLUMN_P99,
	COLUMN_P999,
	COLUMN_MAX,
	COLUMN_ERRORS,
	COLUMN_RETRIES,
	COLUMN_RESENDS,
	COLUMN_LOST,
};

/* Columns of a node's block; of each histogram three, from the first on. */
enum {
	NODE_REQUESTS = 2,
	NODE_OPERATIONS,
	NODE_DROPPED,
	NODE_REFUSED,
	NODE_BUSY,
	NODE_RECORDS,
	NODE_HISTOGRAMS,
};

/* How many of `count` seconds or scrapes make one point; 0 of none. */
size_t blocks_step(size_t count);
/* Without a short last second, which would show a rate of nothing, or of too much. */
size_t blocks_seconds(const struct report_run *run);
/* Writes $runN and $tailN: the latency at 1 / (1 - share), where each nine takes the same room. */
void blocks_run(FILE *file, const struct report_run *run, uint32_t number);
/* Writes $node, of one that has scrapes. */
void blocks_node(FILE *file, const struct report_run *run);

#endif
