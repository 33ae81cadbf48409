// SPDX-License-Identifier: Apache-2.0
/*
 * top_view.c - the head of `abaft top`'s page, the list of nodes, the help; and texts that several
 * views share.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/telemetry/amount.h"
#include "tools/telemetry/top_view.h"

static const char *const view_names[] = {"overview", "workers", "drops", "latency", "help"};

static const struct {
	const char *name;
	enum top_look look;
} states[] = {
	[TOP_RUNNING] = {"running", TOP_GOOD},
	[TOP_DEAD] = {"DEAD", TOP_BAD},
	[TOP_GONE] = {"GONE", TOP_WARN},
	[TOP_UNREADABLE] = {"UNREADABLE", TOP_BAD},
};

const char *top_rate(char *text, const struct top_change *change, uint64_t added)
{
	return amount_count(text, top_change_rate(change, added));
}

const char *top_quantile(char *text, const struct histogram *histogram, double share, bool ns)
{
	uint64_t number = histogram_quantile(histogram, share);

	if (!histogram->count)
		return amount_count(text, -1);
	return ns ? amount_time(text, number) : amount_count(text, (double)number);
}

uint64_t top_refused(const struct node_counters *counters)
{
	uint64_t sum = counters->log_failed + counters->fetches_failed;

#define SUM(name, what)                                                                            \
	if (!strncmp(#name, "refused_", 8))                                                        \
		sum += counters->name;
	ABAFT_NODE_COUNTERS(SUM)
#undef SUM
	return sum;
}

uint64_t top_busy(const struct node_counters *counters)
{
	uint64_t sum = 0;

#define SUM(name, what)                                                                            \
	if (!strncmp(#name, "busy_", 5))                                                           \
		sum += counters->name;
	ABAFT_NODE_COUNTERS(SUM)
#undef SUM
	return sum;
}

enum top_look top_log_state(char *text, const struct log_counters *log)
{
	char time[AMOUNT_BYTES];

	if (log->error)
		snprintf(text, TOP_CELL_BYTES, "FAILED %s", strerrorname_np((int)log->error));
	else if (log->stalled_us)
		snprintf(text, TOP_CELL_BYTES, "STALLED %s",
			 amount_time(time, log->stalled_us * 1000));
	else if (log->no_room)
		snprintf(text, TOP_CELL_BYTES, "NO ROOM %s", strerrorname_np((int)log->no_room));
	else
		snprintf(text, TOP_CELL_BYTES, "ok");
	return log->error || log->stalled_us || log->no_room ? TOP_BAD : TOP_GOOD;
}

const struct top_column top_quantile_columns[TOP_QUANTILE_COLUMNS] = {
	{"LATENCY", 15}, {"PER S", 6}, {"P50", 7}, {"P90", 7}, {"P99", 7}, {"P99.9", 7}, {"MAX", 7},
};

enum top_look top_quantile_cell(char *text, const struct top_change *change,
				const struct histogram *histogram, unsigned int column, bool ns)
{
	static const double share[TOP_QUANTILE_COLUMNS] = {0, 0, 0.5, 0.9, 0.99, 0.999, 1};

	if (column == 1)
		top_rate(text, change, histogram->count);
	else if (column == TOP_QUANTILE_COLUMNS - 1 && histogram->count)
		(ns ? amount_time(text, histogram->max)
		    : amount_count(text, (double)histogram->max));
	else
		top_quantile(text, histogram, share[column], ns);
	return TOP_PLAIN;
}

const char *top_node_name(const struct top_node *node)
{
	size_t root = strlen(TOP_BPF_ROOT "/");

	return strncmp(node->path, TOP_BPF_ROOT "/", root) ? node->path : node->path + root;
}

static void title(struct top_page *page, const struct top_nodes *nodes,
		  const struct top_settings *settings)
{
	static const char *const keys[] = {"o overview", "w workers", "d drops", "l latency",
					   "p pause",	 "? help",    "q quit"};
	unsigned int columns = 0, count = sizeof(keys) / sizeof(keys[0]);

	top_page_line(page);
	top_page_put(page, TOP_STRONG, "abaft top");
	top_page_put(page, TOP_PLAIN, "  %s  every %gs  %s  %u node%s", settings->clock,
		     settings->interval_s, view_names[settings->view], nodes->count,
		     nodes->count == 1 ? "" : "s");
	if (settings->paused)
		top_page_put(page, TOP_WARN, "  PAUSED");
	if (!settings->rows)
		return;
	for (unsigned int i = 0; i < count; i++)
		columns += (unsigned int)strlen(keys[i]) + (i ? 2 : 0);
	if (!top_page_right(page, columns))
		return;
	for (unsigned int i = 0; i < count; i++)
		top_page_put(page, TOP_FAINT, "%s%s", i ? "  " : "", keys[i]);
}

enum list_column {
	LIST_NODE,
	LIST_STATE,
	LIST_REQUESTS,
	LIST_COMMITS,
	LIST_SERVICE,
	LIST_DURABLE,
	LIST_REFUSED,
	LIST_LOG,
	LIST_UP,
	LIST_PID,
	LIST_COLUMNS,
};

static const struct top_column list_columns[LIST_COLUMNS] = {
	[LIST_NODE] = {"NODE", 20},
	[LIST_STATE] = {"STATE", 10},
	[LIST_REQUESTS] = {"REQ/S", 6},
	[LIST_COMMITS] = {"COMMIT/S", 8},
	[LIST_SERVICE] = {"SERVICE P99", 11},
	[LIST_DURABLE] = {"DURABLE P99", 11},
	[LIST_REFUSED] = {"REFUSED/S", 9},
	[LIST_LOG] = {"LOG", 14},
	[LIST_UP] = {"UP", 6},
	[LIST_PID] = {"PID", 7},
};

struct list {
	const struct top_nodes *nodes;
	unsigned int first, chosen;
	bool mark;
};

static enum top_look list_number(const struct top_node *node, unsigned int column, char *text)
{
	const struct top_change *change = node->change;
	const struct scrape_worker *total = &change->total;
	int64_t up_us;

	switch (column) {
	case LIST_REQUESTS:
		top_rate(text, change, total->worker.requests);
		break;
	case LIST_COMMITS:
		top_rate(text, change, total->node.commits + total->node.commits_read_only);
		break;
	case LIST_SERVICE:
		top_quantile(text, &total->histogram[HISTOGRAM_service], 0.99, true);
		break;
	case LIST_DURABLE:
		top_quantile(text, &total->histogram[HISTOGRAM_commit_durable], 0.99, true);
		break;
	case LIST_REFUSED:
		top_rate(text, change, top_refused(&total->node) + top_busy(&total->node));
		break;
	case LIST_LOG:
		return top_log_state(text, &total->log);
	case LIST_UP:
		up_us = (int64_t)(node->now->unix_us - node->now->node.started_unix_us);
		if (node->state == TOP_RUNNING && up_us >= 0)
			amount_span(text, (uint64_t)up_us / 1000000);
		else
			amount_count(text, -1);
		break;
	default:
		snprintf(text, TOP_CELL_BYTES, "%u", node->now->node.pid);
	}
	return TOP_PLAIN;
}

static enum top_look list_cell(const void *context, unsigned int row, unsigned int column,
			       char *text)
{
	const struct list *list = context;
	const struct top_node *node = &list->nodes->node[list->first + row];
	bool chosen = list->mark && list->first + row == list->chosen;
	enum top_look look = TOP_PLAIN;

	if (column == LIST_NODE) {
		snprintf(text, TOP_CELL_BYTES, "%s%.36s",
			 !list->mark ? ""
			 : chosen    ? "> "
				     : "  ",
			 top_node_name(node));
	} else if (column == LIST_STATE) {
		snprintf(text, TOP_CELL_BYTES, "%s", states[node->state].name);
		look = states[node->state].look;
	} else if (node->now && node->change) {
		look = list_number(node, column, text);
	} else {
		amount_count(text, -1);
	}
	return chosen && (look == TOP_PLAIN || look == TOP_GOOD) ? TOP_CHOSEN : look;
}

/* All nodes, or as many as may stand in the head, the chosen one among them. */
static void list(struct top_page *page, const struct top_nodes *nodes,
		 const struct top_settings *settings)
{
	struct list context = {
		.nodes = nodes, .chosen = settings->chosen, .mark = settings->rows > 0};
	unsigned int shown = nodes->count, most = settings->rows / 4;

	if (settings->rows && most < 1)
		most = 1;
	if (settings->rows && shown > most) {
		shown = most;
		context.first = settings->chosen >= most ? settings->chosen - most + 1 : 0;
	}
	top_page_table(page, list_columns, top_page_fits(page, list_columns, LIST_COLUMNS), shown,
		       list_cell, &context);
}

/* How the node is as a whole, and what the numbers below are. */
static void state(struct top_page *page, const struct top_node *node)
{
	const char *name = top_node_name(node);

	if (node->state == TOP_DEAD)
		top_page_words(page, TOP_BAD,
			       "%s is DEAD: process %u ended; its last values, since its start:",
			       name, node->now->node.pid);
	else if (node->state == TOP_GONE)
		top_page_words(page, TOP_WARN, "%s is GONE, stopped or being restarted: %s", name,
			       node->now ? "its last values, since its start:" : node->why);
	else if (node->state == TOP_UNREADABLE)
		top_page_words(page, TOP_BAD, "%s cannot be read: %s", name, node->why);
	else if (node->change->seconds > 0)
		top_page_words(page, TOP_PLAIN, "%s: the last %.3g s", name, node->change->seconds);
	else
		top_page_words(page, TOP_PLAIN, "%s: since its start; rates follow", name);
	if (node->restarts)
		top_page_words(page, TOP_WARN, "restarted %u time%s while it was looked at",
			       node->restarts, node->restarts == 1 ? "" : "s");
	if (node->change && node->change->went_back)
		top_page_words(page, TOP_WARN,
			       "counters went BACK: these count as 0 in this interval");
}

static void details(struct top_page *page, const struct top_node *node, enum top_view view)
{
	state(page, node);
	if (!node->now || !node->change)
		return;
	switch (view) {
	case TOP_WORKERS:
		top_workers(page, node);
		break;
	case TOP_DROPS:
		top_drops(page, node);
		break;
	case TOP_LATENCY:
		top_latency(page, node);
		break;
	default:
		top_overview(page, node);
	}
}

static void help(struct top_page *page)
{
	static const char *const lines[] = {
		"",
		"  o          overview: all of a node in short",
		"  w          its workers, one a line",
		"  d          drops and refusals by reason",
		"  l          latencies, the kernel's side too",
		"             (the same key again: back to the overview)",
		"  Up, Down   choose a node; Tab: the next one",
		"  PgUp PgDn  scroll, where the window is too small",
		"  p, Space   pause, go on",
		"  q          quit",
		"",
		"Rates and percentiles are those of the last interval. A node that is dead or",
		"gone has none: its numbers are those since its start, as it left them.",
		"`not watched`: the BPF program that would see it is not loaded; the node's",
		"log says why. `-`: nothing happened, or it is not known yet.",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		top_page_line(page);
		top_page_put(page, TOP_PLAIN, "%s", lines[i]);
	}
}

void top_view(struct top_page *page, const struct top_nodes *nodes,
	      const struct top_settings *settings)
{
	top_page_clear(page, settings->columns);
	title(page, nodes, settings);
	list(page, nodes, settings);
	page->head = page->lines;
	if (settings->view == TOP_HELP) {
		help(page);
		return;
	}
	for (unsigned int i = 0; i < nodes->count; i++) {
		if (settings->rows && i != settings->chosen)
			continue;
		top_page_line(page);
		details(page, &nodes->node[i], settings->view);
	}
}
