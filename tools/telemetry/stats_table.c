/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats_table.c - see stats_table.h.
 */
#include "tools/telemetry/stats_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "telemetry/names.h"

/* More columns than a terminal has help nobody; JSON has them all. */
#define COLUMNS_MAX 6

struct table {
	const struct snapshot *snapshot;
	struct scrape_worker *sum;
	FILE *to;
	bool all, buckets;
};

static bool has_columns(const struct table *table)
{
	return table->snapshot->workers > 1 && table->snapshot->workers <= COLUMNS_MAX;
}

static void print_node(const struct table *table)
{
	const struct telemetry_node *node = &table->snapshot->node;
	time_t started = (time_t)(node->started_unix_us / 1000000);
	char text[32] = "?";
	struct tm tm;

	if (localtime_r(&started, &tm) != NULL)
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	fprintf(table->to,
		"node %u, abaft %s, process %u%s, started %s\n"
		"port %s, udp %u, workers %u, data %s\n",
		node->node, node->version, node->pid,
		table->snapshot->alive ? "" : " (gone, last numbers)", text, node->port,
		node->udp_port, node->workers, node->data_dir);
}

static void print_heading(const struct table *table, const char *text)
{
	fprintf(table->to, "\n%-24s %16s", text, has_columns(table) ? "node" : "");
	for (uint32_t w = 0; has_columns(table) && w < table->snapshot->workers; w++)
		fprintf(table->to, " %13s%3u", "worker", w);
	fputc('\n', table->to);
}

static void print_group(const struct table *table, const struct counter_group *group)
{
	static const char *const headings[COUNTER_GROUPS] = {"packet path", "transactions",
							     "commit log"};
	size_t at = group->offset;

	print_heading(table, headings[group - counter_groups]);
	for (uint32_t i = 0; i < group->count; i++) {
		uint64_t sum = counter_at((const uint8_t *)table->sum + at, i);

		if (sum == 0 && !table->all)
			continue;
		fprintf(table->to, "  %-22s %16" PRIu64, group->names[i].name, sum);
		for (uint32_t w = 0; has_columns(table) && w < table->snapshot->workers; w++)
			fprintf(table->to, " %16" PRIu64,
				counter_at((const uint8_t *)&table->snapshot->worker[w] + at, i));
		fputc('\n', table->to);
	}
}

static void print_ops(const struct table *table)
{
	const struct op_counter *op = (const void *)&table->sum->ops;

	fprintf(table->to, "\n%-24s %16s %16s  errors\n", "operations", "count", "bytes");
	for (uint32_t i = 0; i < op_names_count; i++) {
		if (op[i].count == 0 && !table->all)
			continue;
		fprintf(table->to, "  %-22s %16" PRIu64 " %16" PRIu64 " ", op_names[i].name,
			(uint64_t)op[i].count, (uint64_t)op[i].bytes);
		for (uint32_t e = 0; e < op_error_names_count; e++)
			if (counter_at(&op[i].errors, e) != 0)
				fprintf(table->to, " %s %" PRIu64, op_error_names[e].name,
					counter_at(&op[i].errors, e));
		fputc('\n', table->to);
	}
}

static void print_amount(FILE *to, bool ns, uint64_t amount)
{
	if (ns)
		fprintf(to, " %12.1f", (double)amount / 1000);
	else
		fprintf(to, " %12" PRIu64, amount);
}

static void print_buckets(FILE *to, bool ns, const struct histogram *histogram)
{
	for (uint32_t i = 0; i < HISTOGRAM_SIZE; i++) {
		if (histogram->bucket[i] == 0)
			continue;
		fprintf(to, "    %10s", "from");
		print_amount(to, ns, histogram_low(i, HISTOGRAM_BITS));
		fprintf(to, " %12" PRIu64 "\n", (uint64_t)histogram->bucket[i]);
	}
}

static void print_histogram(const struct table *table, const struct histogram_text *text,
			    const struct histogram *histogram)
{
	static const double shares[] = {0.5, 0.9, 0.99, 0.999};
	bool ns = strcmp(text->unit, "ns") == 0;

	if (histogram->count == 0 && !table->all)
		return;
	fprintf(table->to, "  %-16s %8s %12" PRIu64, text->name, ns ? "us" : text->unit,
		(uint64_t)histogram->count);
	for (size_t q = 0; q < sizeof(shares) / sizeof(shares[0]); q++)
		print_amount(table->to, ns, histogram_quantile(histogram, shares[q]));
	print_amount(table->to, ns, histogram->max);
	fputc('\n', table->to);
	if (table->buckets)
		print_buckets(table->to, ns, histogram);
}

static void print_histograms(const struct table *table)
{
	fprintf(table->to, "\n%-18s %8s %12s %12s %12s %12s %12s %12s\n", "times and sizes", "",
		"count", "p50", "p90", "p99", "p99.9", "max");
	for (uint32_t h = 0; h < HISTOGRAM_COUNT; h++)
		print_histogram(table, &histogram_texts[h], &table->sum->histogram[h]);
	for (uint32_t h = 0; h < HISTOGRAM_KERNEL_COUNT; h++)
		if (table->snapshot->has_kernel[h])
			print_histogram(table, &kernel_histogram_texts[h], &table->sum->kernel[h]);
}

static void print_steer(const struct table *table)
{
	const struct snapshot *snapshot = table->snapshot;

	if (!snapshot->has_steer)
		return;
	fprintf(table->to, "\n%-24s %16s %16s\n", "XDP program", "packets", "bytes");
	for (uint32_t i = 0; i < steer_names_count; i++)
		if (table->all || counter_at(&snapshot->steer, i) != 0)
			fprintf(table->to, "  %-22s %16" PRIu64 " %16" PRIu64 "\n",
				steer_names[i].name, counter_at(&snapshot->steer, i),
				counter_at(&snapshot->steer_bytes, i));
	for (uint32_t i = 0; i < snapshot->tenants; i++)
		fprintf(table->to, "  tenant %-15u %16" PRIu64 " %16" PRIu64 "\n",
			snapshot->tenant[i].tenant, (uint64_t)snapshot->tenant[i].counter.packets,
			(uint64_t)snapshot->tenant[i].counter.bytes);
}

static void print_engine(const struct table *table)
{
	const struct snapshot *snapshot = table->snapshot;

	if (!snapshot->has_engine)
		return;
	fprintf(table->to, "\n%-24s %16s\n", "storage engine", snapshot->engine.name);
	for (uint32_t i = 0; i < engine_names_count; i++)
		if (table->all || counter_at(&snapshot->engine, i) != 0)
			fprintf(table->to, "  %-22s %16" PRIu64 "\n", engine_names[i].name,
				counter_at(&snapshot->engine, i));
}

static void print_thieves(const struct table *table)
{
	const struct snapshot *snapshot = table->snapshot;

	if (!snapshot->has_thieves || snapshot->thieves == 0)
		return;
	fprintf(table->to, "\n%-24s %16s %16s %16s\n", "who took a worker's core", "worker",
		"times", "us");
	for (uint32_t i = 0; i < snapshot->thieves; i++)
		fprintf(table->to, "  %-15s %6u %16u %16" PRIu64 " %16.1f\n",
			snapshot->thief[i].thief.comm, snapshot->thief[i].key.pid,
			snapshot->thief[i].key.worker, (uint64_t)snapshot->thief[i].thief.count,
			(double)snapshot->thief[i].thief.ns / 1000);
}

static void print_softirqs(const struct table *table)
{
	const struct snapshot *snapshot = table->snapshot;

	if (!snapshot->has_softirqs || snapshot->cpus == 0)
		return;
	fprintf(table->to, "\n%-24s %16s %16s %16s\n", "softirqs on workers' CPUs", "cpu", "times",
		"us");
	for (uint32_t i = 0; i < snapshot->cpus; i++) {
		const struct softirq_stat *stat = (const void *)&snapshot->softirqs[i].softirqs;

		for (uint32_t s = 0; s < softirq_names_count; s++)
			if (table->all || stat[s].count != 0)
				fprintf(table->to, "  %-22s %16u %16" PRIu64 " %16.1f\n",
					softirq_names[s], snapshot->softirqs[i].cpu,
					(uint64_t)stat[s].count, (double)stat[s].ns / 1000);
	}
}

bool stats_table_print(const struct snapshot *snapshot, FILE *to, bool all, bool buckets)
{
	struct table table = {.snapshot = snapshot, .to = to, .all = all, .buckets = buckets};

	table.sum = aligned_alloc(64, sizeof(*table.sum));
	if (table.sum == NULL)
		return false;
	snapshot_sum(snapshot, table.sum);
	print_node(&table);
	for (uint32_t g = 0; g < COUNTER_GROUPS; g++)
		print_group(&table, &counter_groups[g]);
	print_ops(&table);
	print_histograms(&table);
	print_engine(&table);
	print_steer(&table);
	print_thieves(&table);
	print_softirqs(&table);
	free(table.sum);
	return true;
}
