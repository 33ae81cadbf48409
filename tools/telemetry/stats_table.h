/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats_table.h - a snapshot as a table for people.
 */
#ifndef ABAFT_TOOLS_TELEMETRY_STATS_TABLE_H
#define ABAFT_TOOLS_TELEMETRY_STATS_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include "telemetry/scrape.h"

/* `all`: what is zero, too. `buckets`: those of all workers' histograms that are not empty. False:
 * out of memory, nothing was printed. */
bool stats_table_print(const struct snapshot *snapshot, FILE *to, bool all, bool buckets);

#endif
