// SPDX-License-Identifier: Apache-2.0
/*
 * top_drops.c - what was not done, by reason: by the XDP program, by the workers, by the
 * transaction core, and the errors of operations.
 */
#include <stdio.h>
#include <string.h>

#include "tools/telemetry/amount.h"
#include "tools/telemetry/top_view.h"

struct reason {
	const char *name;
	const char *what;
	uint64_t added, all;
	uint64_t bytes; /* of XDP's, added */
};

#define REASONS_MAX 320

struct reasons {
	const struct top_change *change;
	unsigned int count;
	unsigned int never;			 /* reasons left out: never happened */
	char names[REASONS_MAX][TOP_CELL_BYTES]; /* of those that are put together here */
	struct reason reason[REASONS_MAX];
};

static void tell(struct reasons *reasons, const char *name, const char *what, uint64_t added,
		 uint64_t all, uint64_t bytes)
{
	if (!all || reasons->count == REASONS_MAX) {
		reasons->never++;
		return;
	}
	reasons->reason[reasons->count++] = (struct reason){
		.name = name, .what = what, .added = added, .all = all, .bytes = bytes};
}

static enum top_look cell(const void *context, unsigned int row, unsigned int column, char *text)
{
	const struct reasons *reasons = context;
	const struct reason *reason = &reasons->reason[row];

	switch (column) {
	case 0:
		snprintf(text, TOP_CELL_BYTES, "%s", reason->name);
		return TOP_FAINT;
	case 1:
		top_rate(text, reasons->change, reason->added);
		break;
	case 2:
		amount_count(text, (double)reason->all);
		break;
	default:
		amount_bytes(text, top_change_rate(reasons->change, reason->bytes));
	}
	return TOP_PLAIN;
}

/* The reasons with their explanations behind, where these have room. */
static void put(struct top_page *page, const char *title, struct reasons *reasons, bool bytes)
{
	const struct top_column columns[] = {
		{title, 26}, {"PER S", 6}, {"TOTAL", 6}, {"BYTES/S", 8}};
	unsigned int head = page->lines;

	top_page_table(page, columns, bytes ? 4 : 3, reasons->count, cell, reasons);
	/* With more columns than have room the table is several: no place for explanations. */
	if (page->lines == head + 1 + reasons->count) {
		for (unsigned int i = 0; i < reasons->count; i++)
			top_page_tail(page, head + 1 + i, TOP_FAINT, reasons->reason[i].what);
	}
	if (reasons->never) {
		top_page_line(page);
		top_page_put(page, TOP_FAINT, "%u reason%s never came", reasons->never,
			     reasons->never == 1 ? "" : "s");
	}
	top_page_line(page);
	reasons->count = 0;
	reasons->never = 0;
}

static void steer(struct top_page *page, const struct top_node *node, struct reasons *reasons)
{
	const struct top_change *change = node->change;
	const struct steer_counters *all = &node->now->steer;

	if (!node->now->has_steer) {
		top_page_line(page);
		top_page_put(page, TOP_STRONG, "XDP");
		top_page_put(page, TOP_FAINT, "  not watched");
		top_page_line(page);
		return;
	}
#define TELL(name, what)                                                                           \
	tell(reasons, #name, what, change->added.steer.name, all->name,                            \
	     change->added.steer_bytes.name);
	ABAFT_STEER_COUNTERS(TELL)
#undef TELL
	put(page, "XDP", reasons, true);
}

static void worker(struct top_page *page, const struct top_change *change, struct reasons *reasons)
{
	const struct worker_counters *added = &change->total.worker, *all = &change->life.worker;

#define TELL(name, what)                                                                           \
	if (!strncmp(#name, "drop_", 5) || !strncmp(#name, "hand", 4))                             \
		tell(reasons, #name, what, added->name, all->name, 0);
	ABAFT_WORKER_COUNTERS(TELL)
#undef TELL
	put(page, "WORKERS", reasons, false);
}

static bool is_trouble(const char *name)
{
	static const char *const others[] = {
		"expired",	    "displaced",	 "log_failed",
		"fetches_failed",   "fetches_corrupt",	 "fetch_timeouts",
		"outcomes_evicted", "attempts_replaced", "txns_frozen",
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (!strcmp(name, others[i]))
			return true;
	return !strncmp(name, "refused_", 8) || !strncmp(name, "busy_", 5);
}

static void core(struct top_page *page, const struct top_change *change, struct reasons *reasons)
{
	const struct node_counters *added = &change->total.node, *all = &change->life.node;

#define TELL(name, what)                                                                           \
	if (is_trouble(#name))                                                                     \
		tell(reasons, #name, what, added->name, all->name, 0);
	ABAFT_NODE_COUNTERS(TELL)
#undef TELL
	put(page, "TRANSACTIONS", reasons, false);
}

static void op_errors(struct reasons *reasons, const char *op, const struct op_errors *added,
		      const struct op_errors *all)
{
	char *name;

#define TELL(status, code, retry, what)                                                            \
	if (all->status && reasons->count < REASONS_MAX) {                                         \
		name = reasons->names[reasons->count];                                             \
		snprintf(name, TOP_CELL_BYTES, "%s %s", op, #status);                              \
		tell(reasons, name, what, added->status, all->status, 0);                          \
	}
	ABAFT_NODE_ERRORS(TELL)
#undef TELL
}

static void operations(struct top_page *page, const struct top_change *change,
		       struct reasons *reasons)
{
	const struct op_counters *added = &change->total.ops, *all = &change->life.ops;

#define TELL(name, text) op_errors(reasons, text, &added->name.errors, &all->name.errors);
	ABAFT_OPS(TELL)
#undef TELL
	put(page, "ANSWERS BESIDE OK", reasons, false);
}

static enum top_look tenant_cell(const void *context, unsigned int row, unsigned int column,
				 char *text)
{
	const struct top_change *change = context;
	const struct scrape_tenant *tenant = &change->added.tenant[row];

	switch (column) {
	case 0:
		snprintf(text, TOP_CELL_BYTES, "tenant %u", tenant->tenant);
		return TOP_FAINT;
	case 1:
		top_rate(text, change, tenant->counter.packets);
		break;
	default:
		amount_bytes(text, top_change_rate(change, tenant->counter.bytes));
	}
	return TOP_PLAIN;
}

static void tenants(struct top_page *page, const struct top_change *change)
{
	static const struct top_column columns[] = {
		{"TO WORKERS", 26}, {"PER S", 6}, {"BYTES/S", 8}};

	if (!change->added.tenants)
		return;
	top_page_table(page, columns, 3, change->added.tenants, tenant_cell, change);
	top_page_line(page);
}

void top_drops(struct top_page *page, const struct top_node *node)
{
	static struct reasons reasons; /* large */

	reasons.count = 0;
	reasons.never = 0;
	reasons.change = node->change;
	steer(page, node, &reasons);
	tenants(page, node->change);
	worker(page, node->change, &reasons);
	core(page, node->change, &reasons);
	operations(page, node->change, &reasons);
}
