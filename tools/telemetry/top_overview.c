// SPDX-License-Identifier: Apache-2.0
/*
 * top_overview.c - all of a node in short: what it is, what it does, its log, who disturbs it, how
 * long things take.
 */
#include <stdio.h>
#include <string.h>

#include "tools/telemetry/amount.h"
#include "tools/telemetry/top_view.h"

#define THIEVES_SHOWN 4
#define REASONS_SHOWN 4

/* Per second, or how many since the start. */
static const char *amount(char *text, const struct top_change *change, uint64_t added)
{
	if (change->seconds <= 0)
		return amount_count(text, (double)added);
	top_rate(text, change, added);
	memcpy(text + strlen(text), "/s", 3);
	return text;
}

static void rate_item(struct top_page *page, const struct top_change *change, const char *name,
		      uint64_t added)
{
	char text[TOP_CELL_BYTES];

	top_page_item(page, TOP_PLAIN, name, "%s", amount(text, change, added));
}

/* What should not happen. */
static void worry_item(struct top_page *page, const struct top_change *change, const char *name,
		       uint64_t added)
{
	char text[TOP_CELL_BYTES];

	top_page_item(page, added ? TOP_WARN : TOP_PLAIN, name, "%s", amount(text, change, added));
}

static void bytes_item(struct top_page *page, const struct top_change *change, uint64_t added)
{
	bool rate = change->seconds > 0;
	char text[AMOUNT_BYTES];

	top_page_item(page, TOP_PLAIN, "", "%s%s",
		      amount_bytes(text, rate ? top_change_rate(change, added) : (double)added),
		      rate ? "/s" : "");
}

static void count_item(struct top_page *page, const char *name, uint64_t number)
{
	char text[AMOUNT_BYTES];

	top_page_item(page, TOP_PLAIN, name, "%s", amount_count(text, (double)number));
}

static void identity(struct top_page *page, const struct telemetry_node *node)
{
	top_page_section(page, "node");
	top_page_item(page, TOP_PLAIN, "", "%u", node->node);
	top_page_item(page, TOP_PLAIN, "pid", "%u", node->pid);
	top_page_item(page, TOP_PLAIN, "workers", "%u", node->workers);
	top_page_item(page, TOP_PLAIN, "port", "%.*s", (int)sizeof(node->port), node->port);
	top_page_item(page, TOP_PLAIN, "udp", "%u", node->udp_port);
	top_page_item(page, TOP_PLAIN, "version", "%.*s", (int)sizeof(node->version),
		      node->version);
	top_page_item(page, TOP_PLAIN, "data", "%.*s", (int)sizeof(node->data_dir), node->data_dir);
}

static void traffic(struct top_page *page, const struct top_change *change)
{
	const struct worker_counters *worker = &change->total.worker;
	char text[AMOUNT_BYTES];

	top_page_section(page, "requests");
	rate_item(page, change, "in", worker->requests);
	rate_item(page, change, "answers", worker->answers);
	top_page_item(page, TOP_PLAIN, "handed over", "%s",
		      amount_share(text, (double)worker->handed_over, (double)worker->requests));
	worry_item(page, change, "hand-over full", worker->handover_full);
	worry_item(page, change, "frames dropped",
		   worker->drop_frame + worker->drop_checksum + worker->drop_not_ours);
}

static void operations(struct top_page *page, const struct top_change *change)
{
	const struct op_counters *ops = &change->total.ops;

	top_page_section(page, "operations");
	rate_item(page, change, "get", ops->get.count + ops->get_part.count);
	rate_item(page, change, "put", ops->put.count + ops->put_part.count);
	rate_item(page, change, "delete", ops->delete.count);
	rate_item(page, change, "commit", ops->commit.count);
	rate_item(page, change, "abort", ops->abort.count);
	if (ops->status.count)
		rate_item(page, change, "status", ops->status.count);
	if (ops->info.count)
		rate_item(page, change, "info", ops->info.count);
}

static void transactions(struct top_page *page, const struct top_change *change)
{
	const struct node_counters *node = &change->total.node;

	top_page_section(page, "transactions");
	rate_item(page, change, "begun", node->opened);
	rate_item(page, change, "commits", node->commits);
	rate_item(page, change, "read-only", node->commits_read_only);
	rate_item(page, change, "aborts", node->aborts);
	worry_item(page, change, "expired", node->expired);
	count_item(page, "open", node->txns_open);
	worry_item(page, change, "frozen", node->txns_frozen);
	count_item(page, "versions held", node->versions_held);
	count_item(page, "outcomes", node->outcomes);
}

static void cache(struct top_page *page, const struct top_change *change)
{
	const struct node_counters *node = &change->total.node;
	char text[AMOUNT_BYTES];

	top_page_section(page, "large values");
	rate_item(page, change, "cache hits", node->cache_hits);
	rate_item(page, change, "misses", node->cache_misses);
	top_page_item(page, TOP_PLAIN, "hit share", "%s",
		      amount_share(text, (double)node->cache_hits,
				   (double)(node->cache_hits + node->cache_misses)));
	top_page_item(page, TOP_PLAIN, "in memory", "%s",
		      amount_bytes(text, (double)node->cache_bytes));
	worry_item(page, change, "not read",
		   node->fetches_failed + node->fetches_corrupt + node->fetch_timeouts);
}

static void device(struct top_page *page, const struct top_change *change)
{
	const struct scrape_worker *total = &change->total;
	const struct log_counters *log = &total->log;
	char text[TOP_CELL_BYTES], more[TOP_CELL_BYTES];
	enum top_look look = top_log_state(text, log);

	top_page_section(page, "log");
	top_page_item(page, look, "", "%s", text);
	bytes_item(page, change, log->group_bytes);
	rate_item(page, change, "groups", log->groups);
	top_page_item(
		page, TOP_PLAIN, "records a group", "%s",
		amount_count(text, log->groups ? (double)log->records / (double)log->groups : -1));
	top_page_item(page, TOP_PLAIN, "depth p50", "%s",
		      top_quantile(text, &total->histogram[HISTOGRAM_log_depth], 0.5, false));
	top_page_item(page, TOP_PLAIN, "max", "%s",
		      top_quantile(text, &total->histogram[HISTOGRAM_log_depth], 1, false));
	top_page_item(page, TOP_PLAIN, "device p50", "%s",
		      top_quantile(text, &total->histogram[HISTOGRAM_log_device], 0.5, true));
	top_page_item(page, TOP_PLAIN, "p99", "%s",
		      top_quantile(more, &total->histogram[HISTOGRAM_log_device], 0.99, true));
	count_item(page, "segments", log->segments);
}

static void engine(struct top_page *page, const struct snapshot *now,
		   const struct top_change *change)
{
	const struct telemetry_engine *state = &now->engine, *added = &change->added.engine;
	char text[AMOUNT_BYTES];

	if (!now->has_engine)
		return;
	top_page_section(page, "engine");
	top_page_item(page, TOP_PLAIN, "", "%.*s", (int)sizeof(state->name), state->name);
	if (state->failing_us)
		top_page_item(page, TOP_BAD, "", "FAILS %s since %s",
			      strerrorname_np((int)state->error),
			      amount_time(text, state->failing_us * 1000));
	else
		top_page_item(page, TOP_GOOD, "", "ok");
	rate_item(page, change, "requests", added->round_trips);
	rate_item(page, change, "puts", added->puts);
	bytes_item(page, change, added->put_bytes);
	rate_item(page, change, "gets", added->gets);
	bytes_item(page, change, added->get_bytes);
	worry_item(page, change, "retries", added->retries);
	worry_item(page, change, "throttled", added->throttled);
	count_item(page, "open", state->open);
	if (state->lag_bytes)
		top_page_item(page, TOP_PLAIN, "lacks", "%s",
			      amount_bytes(text, (double)state->lag_bytes));
}

/* The reasons with the greatest numbers, of a list of counters. */
struct reasons {
	const char *name[REASONS_SHOWN];
	uint64_t added[REASONS_SHOWN];
};

static void reasons_add(struct reasons *reasons, const char *name, uint64_t added)
{
	for (int i = 0; i < REASONS_SHOWN; i++) {
		const char *other = reasons->name[i];
		uint64_t others = reasons->added[i];

		if (added <= others)
			continue;
		reasons->name[i] = name;
		reasons->added[i] = added;
		name = other;
		added = others;
	}
}

static void reasons_put(struct top_page *page, const struct top_change *change,
			const struct reasons *reasons)
{
	for (int i = 0; i < REASONS_SHOWN && reasons->added[i]; i++)
		worry_item(page, change, reasons->name[i], reasons->added[i]);
}

static void refusals(struct top_page *page, const struct top_change *change)
{
	const struct node_counters *node = &change->total.node;
	struct reasons refused = {0}, busy = {0};

#define TELL(counter, what)                                                                        \
	if (!strncmp(#counter, "refused_", 8))                                                     \
		reasons_add(&refused, #counter, node->counter);                                    \
	else if (!strncmp(#counter, "busy_", 5))                                                   \
		reasons_add(&busy, #counter, node->counter);
	ABAFT_NODE_COUNTERS(TELL)
#undef TELL
	reasons_add(&refused, "log_failed", node->log_failed);
	reasons_add(&refused, "fetches_failed", node->fetches_failed);
	top_page_section(page, "refused");
	worry_item(page, change, "all", top_refused(node));
	reasons_put(page, change, &refused);
	top_page_section(page, "busy");
	worry_item(page, change, "all", top_busy(node));
	reasons_put(page, change, &busy);
}

static void steer(struct top_page *page, const struct snapshot *now,
		  const struct top_change *change)
{
	uint64_t passed = 0, dropped = 0;
	struct reasons reasons = {0};

	top_page_section(page, "xdp");
	if (!now->has_steer) {
		top_page_item(page, TOP_FAINT, "", "not watched");
		return;
	}
#define TELL(name, what)                                                                           \
	if (!strncmp(#name, "pass_", 5))                                                           \
		passed += change->added.steer.name;                                                \
	if (!strncmp(#name, "drop_", 5)) {                                                         \
		dropped += change->added.steer.name;                                               \
		reasons_add(&reasons, #name, change->added.steer.name);                            \
	}
	ABAFT_STEER_COUNTERS(TELL)
#undef TELL
	rate_item(page, change, "to workers", change->added.steer.redirected);
	if (now->steer_bytes.redirected)
		bytes_item(page, change, change->added.steer_bytes.redirected);
	rate_item(page, change, "to the kernel", passed);
	worry_item(page, change, "dropped", dropped);
	reasons_put(page, change, &reasons);
}

static void threads(struct top_page *page, const struct snapshot *now,
		    const struct top_change *change)
{
	static const struct {
		enum kernel_histogram_name name;
		const char *text;
	} watched[] = {{HISTOGRAM_run_delay, "run delay"}, {HISTOGRAM_preempted, "preempted"}};
	char text[TOP_CELL_BYTES];

	top_page_section(page, "threads");
	for (int i = 0; i < 2; i++) {
		const struct histogram *histogram = &change->total.kernel[watched[i].name];

		if (!now->has_kernel[watched[i].name]) {
			top_page_item(page, TOP_FAINT, watched[i].text, "not watched");
			continue;
		}
		rate_item(page, change, watched[i].text, histogram->count);
		top_page_item(page, TOP_PLAIN, "p99", "%s",
			      top_quantile(text, histogram, 0.99, true));
		top_page_item(page, TOP_PLAIN, "max", "%s", top_quantile(text, histogram, 1, true));
	}
	top_page_section(page, "thieves");
	if (!now->has_thieves)
		top_page_item(page, TOP_FAINT, "", "not watched");
	else if (!change->added.thieves)
		top_page_item(page, TOP_PLAIN, "", "none");
	for (uint32_t i = 0; now->has_thieves && i < change->added.thieves && i < THIEVES_SHOWN;
	     i++) {
		const struct scrape_thief *thief = &change->added.thief[i];
		char name[sizeof(thief->thief.comm) + 1];

		snprintf(name, sizeof(name), "%.16s", thief->thief.comm);
		top_page_item(page, TOP_WARN, thief->key.pid ? name : "interrupts",
			      "%s of worker %u", amount_time(text, thief->thief.ns),
			      thief->key.worker);
	}
}

/* Of each CPU the share of its time that softirqs took, and the one that took most. */
static void softirqs(struct top_page *page, const struct snapshot *now,
		     const struct top_change *change)
{
	char text[AMOUNT_BYTES];

	top_page_section(page, "softirqs");
	if (!now->has_softirqs)
		top_page_item(page, TOP_FAINT, "", "not watched");
	for (uint32_t i = 0; now->has_softirqs && i < change->added.cpus; i++) {
		const struct softirqs *cpu = &change->added.softirqs[i].softirqs;
		const char *most = "none";
		uint64_t sum = 0, greatest = 0;

#define TELL(name)                                                                                 \
	sum += cpu->name.ns;                                                                       \
	if (cpu->name.ns > greatest) {                                                             \
		greatest = cpu->name.ns;                                                           \
		most = #name;                                                                      \
	}
		ABAFT_SOFTIRQS(TELL)
#undef TELL
		if (change->seconds > 0)
			amount_share(text, (double)sum, change->seconds * 1e9);
		else
			amount_time(text, sum);
		top_page_item(page, TOP_FAINT, "", "cpu%u", change->added.softirqs[i].cpu);
		top_page_item(page, TOP_PLAIN, "", "%s, most %s", text, most);
	}
}

static const struct {
	const char *name;
	enum histogram_name histogram;
} latencies[] = {
/* clang-format off */
#define ROW(name) {#name, HISTOGRAM_##name}
	ROW(arrival), ROW(handover), ROW(service), ROW(engine_call), ROW(commit_durable),
	ROW(log_device), ROW(durable_ack), ROW(txn_life), ROW(reclaim_lag),
#undef ROW
	/* clang-format on */
};

static enum top_look latency_cell(const void *context, unsigned int row, unsigned int column,
				  char *text)
{
	const struct top_change *change = context;

	if (column)
		return top_quantile_cell(text, change,
					 &change->total.histogram[latencies[row].histogram], column,
					 true);
	snprintf(text, TOP_CELL_BYTES, "%s", latencies[row].name);
	return TOP_FAINT;
}

void top_overview(struct top_page *page, const struct top_node *node)
{
	const struct top_change *change = node->change;

	identity(page, &node->now->node);
	traffic(page, change);
	operations(page, change);
	transactions(page, change);
	device(page, change);
	engine(page, node->now, change);
	cache(page, change);
	refusals(page, change);
	steer(page, node->now, change);
	threads(page, node->now, change);
	softirqs(page, node->now, change);
	top_page_line(page);
	top_page_table(page, top_quantile_columns, TOP_QUANTILE_COLUMNS,
		       sizeof(latencies) / sizeof(latencies[0]), latency_cell, change);
}
