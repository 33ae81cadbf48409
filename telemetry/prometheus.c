/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prometheus.c - see prometheus.h.
 *
 * A metric's samples must stand together, so the metrics are the outer loop and workers the inner.
 *
 * Buckets: `le` includes its number and ours do not, so the bounds are one less than powers of two:
 * whole numbers, and each sample is counted where its bound says.
 */
#include "telemetry/prometheus.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "telemetry/names.h"

/* Bounds of histograms of times: 2^8 ns (256 ns) to 2^36 ns (69 s); of others: 2 to 2^12. */
#define TIME_POWER_MIN	8
#define TIME_POWER_MAX	HISTOGRAM_RANGE_BITS
#define COUNT_POWER_MIN 1
#define COUNT_POWER_MAX 12
#define METRIC_BYTES	96

__attribute__((format(printf, 2, 3))) static void put(struct prometheus_text *text,
						      const char *format, ...)
{
	va_list list;
	int bytes;

	while (text->err == 0) {
		va_start(list, format);
		bytes = vsnprintf(text->data == NULL ? NULL : text->data + text->bytes,
				  text->room - text->bytes, format, list);
		va_end(list);
		if (text->room != 0 && (size_t)bytes < text->room - text->bytes) {
			text->bytes += (size_t)bytes;
			return;
		}
		if (text->room == PROMETHEUS_BYTES_MAX) {
			text->err = -E2BIG;
			return;
		}
		size_t room = text->room == 0 ? 65536 : text->room * 2;
		char *more = realloc(text->data, room);

		if (more == NULL) {
			text->err = -ENOMEM;
			return;
		}
		text->data = more;
		text->room = room;
	}
}

/* Exactly, which a double would not be. */
static void put_seconds(struct prometheus_text *text, uint64_t ns)
{
	char fraction[16];
	size_t bytes;

	snprintf(fraction, sizeof(fraction), ".%09" PRIu64, ns % 1000000000);
	bytes = strlen(fraction);
	while (bytes > 1 && fraction[bytes - 1] == '0')
		bytes--;
	put(text, "%" PRIu64 "%.*s", ns / 1000000000, bytes == 1 ? 0 : (int)bytes, fraction);
}

static void put_head(struct prometheus_text *text, const char *name, const char *type,
		     const char *help)
{
	put(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static bool ends_in(const char *name, const char *end)
{
	size_t bytes = strlen(name), end_bytes = strlen(end);

	return bytes > end_bytes && strcmp(name + bytes - end_bytes, end) == 0;
}

/* A counter or gauge of one number or more: its head and name[METRIC_BYTES]. Times are counted in
 * microseconds and told in seconds; says whether this is one. */
static bool put_counter_head(struct prometheus_text *text, const char *group,
			     const struct counter_name *counter, char *name)
{
	bool us = ends_in(counter->name, "_us"), gauge = counter_is_gauge(counter);

	snprintf(name, METRIC_BYTES, "abaft_%s_%.*s%s%s", group,
		 (int)(strlen(counter->name) - (us ? strlen("_us") : 0)), counter->name,
		 us ? "_seconds" : "", gauge ? "" : "_total");
	put_head(text, name, gauge ? "gauge" : "counter", counter->text);
	return us;
}

static void put_value(struct prometheus_text *text, bool us, uint64_t value)
{
	if (us)
		put_seconds(text, value * 1000);
	else
		put(text, "%" PRIu64, value);
	put(text, "\n");
}

/* One counter or gauge of all workers. */
static void put_counter(struct prometheus_text *text, const struct snapshot *snapshot,
			const struct counter_group *group, uint32_t index)
{
	char name[METRIC_BYTES];
	bool us = put_counter_head(text, group->name, &group->names[index], name);

	for (uint32_t w = 0; w < snapshot->workers; w++) {
		const uint8_t *values = (const uint8_t *)&snapshot->worker[w] + group->offset;

		put(text, "%s{node=\"%u\",worker=\"%u\"} ", name, snapshot->node.node, w);
		put_value(text, us, counter_at(values, index));
	}
}

static void put_engine(struct prometheus_text *text, const struct snapshot *snapshot)
{
	char name[METRIC_BYTES];

	for (uint32_t i = 0; snapshot->has_engine && i < engine_names_count; i++) {
		bool us = put_counter_head(text, "engine", &engine_names[i], name);

		put(text, "%s{node=\"%u\",engine=\"%s\"} ", name, snapshot->node.node,
		    snapshot->engine.name);
		put_value(text, us, counter_at(&snapshot->engine, i));
	}
}

static void put_ops(struct prometheus_text *text, const struct snapshot *snapshot, bool bytes)
{
	const char *name = bytes ? "abaft_op_bytes_total" : "abaft_op_requests_total";

	put_head(text, name, "counter",
		 bytes ? "bytes of values, and of requests, by operation"
		       : "operations executed, by kind; packet: requests");
	for (uint32_t w = 0; w < snapshot->workers; w++) {
		const struct op_counter *op = (const void *)&snapshot->worker[w].ops;

		for (uint32_t i = 0; i < op_names_count; i++)
			put(text, "%s{node=\"%u\",worker=\"%u\",op=\"%s\"} %" PRIu64 "\n", name,
			    snapshot->node.node, w, op_names[i].name,
			    (uint64_t)(bytes ? op[i].bytes : op[i].count));
	}
}

/* Only those that came: there are too many kinds that never do. */
static void put_op_errors(struct prometheus_text *text, const struct snapshot *snapshot)
{
	put_head(text, "abaft_op_errors_total", "counter",
		 "operations that were not OK, by kind and status; series appear with their first");
	for (uint32_t w = 0; w < snapshot->workers; w++) {
		const struct op_counter *op = (const void *)&snapshot->worker[w].ops;

		for (uint32_t i = 0; i < op_names_count; i++)
			for (uint32_t e = 0; e < op_error_names_count; e++)
				if (counter_at(&op[i].errors, e) != 0)
					put(text,
					    "abaft_op_errors_total{node=\"%u\",worker=\"%u\","
					    "op=\"%s\",error=\"%s\"} %" PRIu64 "\n",
					    snapshot->node.node, w, op_names[i].name,
					    op_error_names[e].name, counter_at(&op[i].errors, e));
	}
}

struct bounds {
	bool ns;
	uint32_t min, max; /* powers of two */
};

static void put_number(struct prometheus_text *text, bool ns, uint64_t number)
{
	if (ns)
		put_seconds(text, number);
	else
		put(text, "%" PRIu64, number);
}

static void put_buckets(struct prometheus_text *text, const char *name, const char *labels,
			const struct histogram *histogram, const struct bounds *bounds)
{
	uint64_t seen = 0;
	uint32_t bucket = 0;

	for (uint32_t power = bounds->min; power <= bounds->max; power++) {
		uint64_t bound = (UINT64_C(1) << power) - 1;

		/* The last bucket also has what lies beyond the range. */
		for (;
		     bucket < HISTOGRAM_SIZE - 1 && histogram_low(bucket, HISTOGRAM_BITS) <= bound;
		     bucket++)
			seen += histogram->bucket[bucket];
		put(text, "%s_bucket{%s,le=\"", name, labels);
		put_number(text, bounds->ns, bound);
		put(text, "\"} %" PRIu64 "\n", seen);
	}
	for (; bucket < HISTOGRAM_SIZE; bucket++)
		seen += histogram->bucket[bucket];
	put(text, "%s_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n%s_sum{%s} ", name, labels, seen, name,
	    labels);
	put_number(text, bounds->ns, histogram->sum);
	put(text, "\n%s_count{%s} %" PRIu64 "\n", name, labels, seen);
}

static void put_histogram(struct prometheus_text *text, const struct snapshot *snapshot,
			  const struct histogram_text *histogram, size_t offset)
{
	bool ns = strcmp(histogram->unit, "ns") == 0;
	struct bounds bounds = {ns, ns ? TIME_POWER_MIN : COUNT_POWER_MIN,
				ns ? TIME_POWER_MAX : COUNT_POWER_MAX};
	char name[96], labels[64];

	snprintf(name, sizeof(name), "abaft_%s_%s", histogram->name,
		 ns ? "seconds" : histogram->unit);
	put_head(text, name, "histogram", histogram->text);
	for (uint32_t w = 0; w < snapshot->workers; w++) {
		const uint8_t *worker = (const uint8_t *)&snapshot->worker[w];

		snprintf(labels, sizeof(labels), "node=\"%u\",worker=\"%u\"", snapshot->node.node,
			 w);
		put_buckets(text, name, labels, (const void *)(worker + offset), &bounds);
	}
}

static void put_steer(struct prometheus_text *text, const struct snapshot *snapshot, bool bytes)
{
	const char *name = bytes ? "abaft_steer_bytes_total" : "abaft_steer_packets_total";
	const void *counters =
		bytes ? (const void *)&snapshot->steer_bytes : (const void *)&snapshot->steer;

	put_head(text, name, "counter",
		 bytes ? "bytes of frames that the XDP program saw, by what it did with them"
		       : "frames that the XDP program saw, by what it did with them");
	for (uint32_t i = 0; i < steer_names_count; i++)
		put(text, "%s{node=\"%u\",reason=\"%s\"} %" PRIu64 "\n", name, snapshot->node.node,
		    steer_names[i].name, counter_at(counters, i));
}

static void put_tenants(struct prometheus_text *text, const struct snapshot *snapshot, bool bytes)
{
	const char *name = bytes ? "abaft_tenant_bytes_total" : "abaft_tenant_packets_total";

	put_head(text, name, "counter",
		 bytes ? "bytes of frames handed to the data plane, by tenant"
		       : "frames handed to the data plane, by tenant");
	for (uint32_t i = 0; i < snapshot->tenants; i++)
		put(text, "%s{node=\"%u\",tenant=\"%u\"} %" PRIu64 "\n", name, snapshot->node.node,
		    snapshot->tenant[i].tenant,
		    (uint64_t)(bytes ? snapshot->tenant[i].counter.bytes
				     : snapshot->tenant[i].counter.packets));
}

/* Whether this one's name stood before, for the same worker: threads come and go, names stay. */
static bool named_before(const struct snapshot *snapshot, uint32_t index)
{
	for (uint32_t i = 0; i < index; i++)
		if (snapshot->thief[i].key.worker == snapshot->thief[index].key.worker &&
		    strcmp(snapshot->thief[i].thief.comm, snapshot->thief[index].thief.comm) == 0)
			return true;
	return false;
}

static void put_thieves(struct prometheus_text *text, const struct snapshot *snapshot, bool times)
{
	const char *name = times ? "abaft_thief_runs_total" : "abaft_thief_seconds_total";

	put_head(text, name, "counter",
		 times ? "how often another thread ran while a worker wanted its core, by its name"
		       : "how long another thread ran while a worker wanted its core, by its name");
	for (uint32_t i = 0; i < snapshot->thieves; i++) {
		const struct scrape_thief *thief = &snapshot->thief[i];
		uint64_t sum = 0;

		if (named_before(snapshot, i))
			continue;
		for (uint32_t j = i; j < snapshot->thieves; j++)
			if (snapshot->thief[j].key.worker == thief->key.worker &&
			    strcmp(snapshot->thief[j].thief.comm, thief->thief.comm) == 0)
				sum += times ? snapshot->thief[j].thief.count
					     : snapshot->thief[j].thief.ns;
		put(text, "%s{node=\"%u\",worker=\"%u\",comm=\"", name, snapshot->node.node,
		    thief->key.worker);
		for (const char *at = thief->thief.comm; *at != '\0'; at++)
			put(text, *at == '"' || *at == '\\' ? "\\%c" : "%c", *at);
		put(text, "\"} ");
		put_number(text, !times, sum);
		put(text, "\n");
	}
}

static void put_softirqs(struct prometheus_text *text, const struct snapshot *snapshot, bool times)
{
	const char *name = times ? "abaft_softirq_runs_total" : "abaft_softirq_seconds_total";

	put_head(text, name, "counter",
		 times ? "softirqs handled on CPUs of workers, by kind"
		       : "time spent in softirqs on CPUs of workers, by kind");
	for (uint32_t i = 0; i < snapshot->cpus; i++) {
		const struct softirq_stat *stat = (const void *)&snapshot->softirqs[i].softirqs;

		for (uint32_t s = 0; s < softirq_names_count; s++) {
			put(text, "%s{node=\"%u\",cpu=\"%u\",softirq=\"%s\"} ", name,
			    snapshot->node.node, snapshot->softirqs[i].cpu, softirq_names[s]);
			put_number(text, !times, times ? stat[s].count : stat[s].ns);
			put(text, "\n");
		}
	}
}

static void put_node(struct prometheus_text *text, const struct telemetry_node *node, bool alive)
{
	put_head(text, "abaft_up", "gauge", "1 while the node's process lives");
	put(text, "abaft_up{node=\"%u\"} %d\n", node->node, alive);
	put_head(text, "abaft_build_info", "gauge", "1; the labels say what runs");
	put(text, "abaft_build_info{node=\"%u\",version=\"%s\",layout=\"%u\"} 1\n", node->node,
	    node->version, node->layout);
	put_head(text, "abaft_start_time_seconds", "gauge", "when the node started, Unix time");
	put(text, "abaft_start_time_seconds{node=\"%u\"} ", node->node);
	put_seconds(text, node->started_unix_us * 1000);
	put(text, "\n");
	put_head(text, "abaft_workers", "gauge", "workers of the node");
	put(text, "abaft_workers{node=\"%u\"} %u\n", node->node, node->workers);
}

static void put_kernel_side(struct prometheus_text *text, const struct snapshot *snapshot)
{
	for (uint32_t h = 0; h < HISTOGRAM_KERNEL_COUNT; h++)
		if (snapshot->has_kernel[h])
			put_histogram(text, snapshot, &kernel_histogram_texts[h],
				      offsetof(struct scrape_worker, kernel) +
					      h * sizeof(struct histogram));
	for (int which = 0; which < 2; which++) {
		if (snapshot->has_steer)
			put_steer(text, snapshot, which == 1);
		if (snapshot->has_steer)
			put_tenants(text, snapshot, which == 1);
		if (snapshot->has_thieves)
			put_thieves(text, snapshot, which == 1);
		if (snapshot->has_softirqs)
			put_softirqs(text, snapshot, which == 1);
	}
}

int prometheus_write(struct prometheus_text *text, const struct snapshot *snapshot)
{
	put_node(text, &snapshot->node, snapshot->alive);
	for (uint32_t g = 0; g < COUNTER_GROUPS; g++)
		for (uint32_t i = 0; i < counter_groups[g].count; i++)
			put_counter(text, snapshot, &counter_groups[g], i);
	put_engine(text, snapshot);
	put_ops(text, snapshot, false);
	put_ops(text, snapshot, true);
	put_op_errors(text, snapshot);
	for (uint32_t h = 0; h < HISTOGRAM_COUNT; h++)
		put_histogram(text, snapshot, &histogram_texts[h],
			      offsetof(struct scrape_worker, histogram) +
				      h * sizeof(struct histogram));
	put_kernel_side(text, snapshot);
	return text->err;
}

int prometheus_write_bare(struct prometheus_text *text, const struct telemetry_node *node,
			  const char *why)
{
	put(text, "# abaft: no counters and histograms: ");
	for (const char *at = why; *at != '\0'; at++)
		put(text, "%c", *at == '\n' || *at == '\r' ? ' ' : *at);
	put(text, "\n");
	put_node(text, node, true);
	return text->err;
}

void prometheus_free(struct prometheus_text *text)
{
	free(text->data);
	*text = (struct prometheus_text){0};
}
