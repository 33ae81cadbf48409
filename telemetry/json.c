/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.c - see json.h.
 *
 * A double holds whole numbers up to 2^53 exactly: 104 days of nanoseconds in one sum, beyond
 * which its last digits are rounded.
 */
#include "telemetry/json.h"

#include <stdlib.h>

#include "telemetry/names.h"

/* Out of memory somewhere: a cJSON that lacks a part must not be taken for whole. */
struct writer {
	bool buckets;
	bool failed;
};

static void number(struct writer *writer, cJSON *to, const char *name, uint64_t value)
{
	if (cJSON_AddNumberToObject(to, name, (double)value) == NULL)
		writer->failed = true;
}

static void text(struct writer *writer, cJSON *to, const char *name, const char *value)
{
	if (cJSON_AddStringToObject(to, name, value) == NULL)
		writer->failed = true;
}

static cJSON *object(struct writer *writer, cJSON *to, const char *name)
{
	cJSON *made = cJSON_AddObjectToObject(to, name);

	writer->failed |= made == NULL;
	return made;
}

static cJSON *array(struct writer *writer, cJSON *to, const char *name)
{
	cJSON *made = cJSON_AddArrayToObject(to, name);

	writer->failed |= made == NULL;
	return made;
}

static cJSON *element(struct writer *writer, cJSON *to)
{
	cJSON *made = cJSON_CreateObject();

	if (made == NULL || !cJSON_AddItemToArray(to, made)) {
		cJSON_Delete(made);
		writer->failed = true;
		return NULL;
	}
	return made;
}

static void counters(struct writer *writer, cJSON *to, const struct counter_name *names,
		     uint32_t count, const void *values)
{
	for (uint32_t i = 0; i < count; i++)
		number(writer, to, names[i].name, counter_at(values, i));
}

static void add_ops(struct writer *writer, cJSON *to, const struct op_counters *ops)
{
	const struct op_counter *op = (const void *)ops;

	for (uint32_t i = 0; i < op_names_count; i++) {
		cJSON *one = object(writer, to, op_names[i].name), *errors;

		number(writer, one, "count", op[i].count);
		number(writer, one, "bytes", op[i].bytes);
		errors = object(writer, one, "errors");
		for (uint32_t e = 0; e < op_error_names_count; e++)
			if (counter_at(&op[i].errors, e) != 0)
				number(writer, errors, op_error_names[e].name,
				       counter_at(&op[i].errors, e));
	}
}

static void add_buckets(struct writer *writer, cJSON *to, const struct histogram *histogram)
{
	for (uint32_t i = 0; i < HISTOGRAM_SIZE; i++) {
		double row[3] = {(double)histogram_low(i, HISTOGRAM_BITS),
				 (double)histogram_low(i + 1, HISTOGRAM_BITS),
				 (double)histogram->bucket[i]};
		cJSON *made;

		if (histogram->bucket[i] == 0)
			continue;
		made = cJSON_CreateDoubleArray(row, 3);
		if (made == NULL || !cJSON_AddItemToArray(to, made)) {
			cJSON_Delete(made);
			writer->failed = true;
		}
	}
}

static void add_histogram(struct writer *writer, cJSON *to, const struct histogram_text *name,
			  const struct histogram *histogram)
{
	static const struct {
		const char *name;
		double share;
	} quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}};
	cJSON *one = object(writer, to, name->name);

	text(writer, one, "unit", name->unit);
	number(writer, one, "count", histogram->count);
	number(writer, one, "sum", histogram->sum);
	number(writer, one, "max", histogram->max);
	for (size_t q = 0; q < sizeof(quantiles) / sizeof(quantiles[0]); q++)
		number(writer, one, quantiles[q].name,
		       histogram_quantile(histogram, quantiles[q].share));
	if (writer->buckets)
		add_buckets(writer, array(writer, one, "buckets"), histogram);
}

/* One worker, or the sum of all. */
static void add_worker(struct writer *writer, cJSON *to, const struct scrape_worker *worker,
		       const struct snapshot *snapshot)
{
	cJSON *kernel, *histograms;

	for (uint32_t g = 0; g < COUNTER_GROUPS; g++) {
		const struct counter_group *group = &counter_groups[g];
		const char *name = g == 0 ? "counters" : group->name;

		counters(writer, object(writer, to, name), group->names, group->count,
			 (const uint8_t *)worker + group->offset);
	}
	add_ops(writer, object(writer, to, "ops"), &worker->ops);
	histograms = object(writer, to, "histograms");
	for (uint32_t h = 0; h < HISTOGRAM_COUNT; h++)
		add_histogram(writer, histograms, &histogram_texts[h], &worker->histogram[h]);
	kernel = object(writer, to, "kernel");
	for (uint32_t h = 0; h < HISTOGRAM_KERNEL_COUNT; h++)
		if (snapshot->has_kernel[h])
			add_histogram(writer, kernel, &kernel_histogram_texts[h],
				      &worker->kernel[h]);
}

static void add_node(struct writer *writer, cJSON *to, const struct telemetry_node *node)
{
	number(writer, to, "layout", node->layout);
	number(writer, to, "pid", node->pid);
	if (cJSON_AddNumberToObject(to, "started", (double)node->started_unix_us / 1e6) == NULL)
		writer->failed = true;
	number(writer, to, "node", node->node);
	number(writer, to, "workers", node->workers);
	number(writer, to, "udp_port", node->udp_port);
	text(writer, to, "version", node->version);
	text(writer, to, "port", node->port);
	text(writer, to, "data_dir", node->data_dir);
}

static void add_engine(struct writer *writer, cJSON *to, const struct snapshot *snapshot)
{
	text(writer, to, "name", snapshot->engine.name);
	counters(writer, to, engine_names, engine_names_count, &snapshot->engine);
}

static void add_steer(struct writer *writer, cJSON *to, const struct snapshot *snapshot)
{
	cJSON *tenants;

	counters(writer, object(writer, to, "packets"), steer_names, steer_names_count,
		 &snapshot->steer);
	counters(writer, object(writer, to, "bytes"), steer_names, steer_names_count,
		 &snapshot->steer_bytes);
	tenants = array(writer, to, "tenants");
	for (uint32_t i = 0; i < snapshot->tenants; i++) {
		cJSON *one = element(writer, tenants);

		number(writer, one, "tenant", snapshot->tenant[i].tenant);
		number(writer, one, "packets", snapshot->tenant[i].counter.packets);
		number(writer, one, "bytes", snapshot->tenant[i].counter.bytes);
	}
}

static void add_thieves(struct writer *writer, cJSON *to, const struct snapshot *snapshot)
{
	for (uint32_t i = 0; i < snapshot->thieves; i++) {
		const struct scrape_thief *thief = &snapshot->thief[i];
		cJSON *one = element(writer, to);

		number(writer, one, "worker", thief->key.worker);
		number(writer, one, "pid", thief->key.pid);
		text(writer, one, "comm", thief->thief.comm);
		number(writer, one, "count", thief->thief.count);
		number(writer, one, "ns", thief->thief.ns);
	}
}

static void add_softirqs(struct writer *writer, cJSON *to, const struct snapshot *snapshot)
{
	for (uint32_t i = 0; i < snapshot->cpus; i++) {
		const struct softirq_stat *stat = (const void *)&snapshot->softirqs[i].softirqs;
		cJSON *one = element(writer, to);

		number(writer, one, "cpu", snapshot->softirqs[i].cpu);
		for (uint32_t s = 0; s < softirq_names_count; s++) {
			cJSON *irq = object(writer, one, softirq_names[s]);

			number(writer, irq, "count", stat[s].count);
			number(writer, irq, "ns", stat[s].ns);
		}
	}
}

/* The sum is large: not on the stack. */
static void add_total(struct writer *writer, cJSON *to, const struct snapshot *snapshot)
{
	struct scrape_worker *sum = aligned_alloc(64, sizeof(*sum));

	if (sum == NULL) {
		writer->failed = true;
		return;
	}
	snapshot_sum(snapshot, sum);
	add_worker(writer, to, sum, snapshot);
	free(sum);
}

static void add_maybe(struct writer *writer, cJSON *to, const char *name, bool there,
		      cJSON *(*make)(struct writer *, cJSON *, const char *),
		      void (*fill)(struct writer *, cJSON *, const struct snapshot *),
		      const struct snapshot *snapshot)
{
	if (there)
		fill(writer, make(writer, to, name), snapshot);
	else if (cJSON_AddNullToObject(to, name) == NULL)
		writer->failed = true;
}

cJSON *snapshot_json(const struct snapshot *snapshot, const char *pin_dir, bool buckets)
{
	struct writer writer = {.buckets = buckets};
	cJSON *json = cJSON_CreateObject(), *workers;

	if (cJSON_AddNumberToObject(json, "time", (double)snapshot->unix_us / 1e6) == NULL)
		writer.failed = true;
	text(&writer, json, "pin_dir", pin_dir);
	if (cJSON_AddBoolToObject(json, "alive", snapshot->alive) == NULL)
		writer.failed = true;
	add_node(&writer, object(&writer, json, "node"), &snapshot->node);
	workers = array(&writer, json, "workers");
	for (uint32_t w = 0; w < snapshot->workers; w++) {
		cJSON *one = element(&writer, workers);

		number(&writer, one, "worker", w);
		add_worker(&writer, one, &snapshot->worker[w], snapshot);
	}
	add_total(&writer, object(&writer, json, "total"), snapshot);
	add_maybe(&writer, json, "engine", snapshot->has_engine, object, add_engine, snapshot);
	add_maybe(&writer, json, "steer", snapshot->has_steer, object, add_steer, snapshot);
	add_maybe(&writer, json, "thieves", snapshot->has_thieves, array, add_thieves, snapshot);
	add_maybe(&writer, json, "softirqs", snapshot->has_softirqs, array, add_softirqs, snapshot);
	if (!writer.failed)
		return json;
	cJSON_Delete(json);
	return NULL;
}
