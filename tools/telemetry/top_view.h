/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_view.h - what `abaft top` shows: nodes in, a page out.
 *
 * Pure. top_view.c has the head, the list of nodes and the help, and calls one of the others for
 * what stands below: top_overview.c, top_workers.c, top_drops.c, top_latency.c.
 */
#ifndef ABAFT_TOOLS_TELEMETRY_TOP_VIEW_H
#define ABAFT_TOOLS_TELEMETRY_TOP_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/telemetry/top_nodes.h"
#include "tools/telemetry/top_page.h"

enum top_view { TOP_OVERVIEW, TOP_WORKERS, TOP_DROPS, TOP_LATENCY, TOP_HELP };

struct top_settings {
	enum top_view view;
	unsigned int chosen; /* the node whose details are shown */
	bool paused;
	double interval_s;
	const char *clock; /* the time of day, as it is to be shown */
	/* Of the window; rows = 0: as many as it takes, and all nodes' details in turn. */
	unsigned int columns, rows;
};

void top_view(struct top_page *page, const struct top_nodes *nodes,
	      const struct top_settings *settings);
/* The node's name in lists: its folder, the usual part left out. */
const char *top_node_name(const struct top_node *node);

/* The parts below the head, of a node that has been read. */
void top_overview(struct top_page *page, const struct top_node *node);
void top_workers(struct top_page *page, const struct top_node *node);
void top_drops(struct top_page *page, const struct top_node *node);
void top_latency(struct top_page *page, const struct top_node *node);

/* Texts for cells; `text` has TOP_CELL_BYTES or more and is returned. */
const char *top_rate(char *text, const struct top_change *change, uint64_t added);
/* Of a histogram of times if ns, else of plain numbers; "-" if it is empty. */
const char *top_quantile(char *text, const struct histogram *histogram, double share, bool ns);
/* Refusals of all reasons, and answers to come again later. */
uint64_t top_refused(const struct node_counters *counters);
uint64_t top_busy(const struct node_counters *counters);
/* What is wrong with a log, "ok" if nothing is. */
enum top_look top_log_state(char *text, const struct log_counters *log);

/* The columns of tables of histograms, the name first. */
#define TOP_QUANTILE_COLUMNS 7
extern const struct top_column top_quantile_columns[TOP_QUANTILE_COLUMNS];
enum top_look top_quantile_cell(char *text, const struct top_change *change,
				const struct histogram *histogram, unsigned int column, bool ns);

#endif
