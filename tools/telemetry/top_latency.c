// SPDX-License-Identifier: Apache-2.0
/*
 * top_latency.c - a node's histograms, all workers together, and those of the kernel's side.
 */
#include <stdio.h>
#include <string.h>

#include "tools/telemetry/top_view.h"

struct row {
	const char *name, *unit, *what;
};

static const struct row rows[] = {
#define ROW(name, unit, text) {#name, unit, text},
	ABAFT_HISTOGRAMS(ROW)};

static const struct row kernel_rows[] = {ABAFT_KERNEL_HISTOGRAMS(ROW)
#undef ROW
};

static enum top_look name_cell(const struct row *row, char *text)
{
	snprintf(text, TOP_CELL_BYTES, "%s", row->name);
	return TOP_FAINT;
}

static enum top_look cell(const void *context, unsigned int row, unsigned int column, char *text)
{
	const struct top_node *node = context;

	if (!column)
		return name_cell(&rows[row], text);
	return top_quantile_cell(text, node->change, &node->change->total.histogram[row], column,
				 !strcmp(rows[row].unit, "ns"));
}

static enum top_look kernel_cell(const void *context, unsigned int row, unsigned int column,
				 char *text)
{
	const struct top_node *node = context;

	if (!column)
		return name_cell(&kernel_rows[row], text);
	if (node->now->has_kernel[row])
		return top_quantile_cell(text, node->change, &node->change->total.kernel[row],
					 column, !strcmp(kernel_rows[row].unit, "ns"));
	snprintf(text, TOP_CELL_BYTES, column == 1 ? "not" : column == 2 ? "watched" : "");
	return TOP_FAINT;
}

/* Behind each line what it is, where that has room. */
static void explain(struct top_page *page, unsigned int head, const struct row *row,
		    unsigned int count)
{
	if (page->lines != head + 1 + count)
		return;
	for (unsigned int i = 0; i < count; i++)
		top_page_tail(page, head + 1 + i, TOP_FAINT, row[i].what);
}

void top_latency(struct top_page *page, const struct top_node *node)
{
	struct top_column columns[TOP_QUANTILE_COLUMNS];
	unsigned int head = page->lines;

	top_page_table(page, top_quantile_columns, TOP_QUANTILE_COLUMNS, HISTOGRAM_COUNT, cell,
		       node);
	explain(page, head, rows, HISTOGRAM_COUNT);
	memcpy(columns, top_quantile_columns, sizeof(columns));
	columns[0].name = "KERNEL'S SIDE";
	top_page_line(page);
	head = page->lines;
	top_page_table(page, columns, TOP_QUANTILE_COLUMNS, HISTOGRAM_KERNEL_COUNT, kernel_cell,
		       node);
	explain(page, head, kernel_rows, HISTOGRAM_KERNEL_COUNT);
}
