// SPDX-License-Identifier: Apache-2.0
/*
 * top_change.c - what happened between two snapshots of a node.
 *
 * The structs of counters are rows of 64-bit numbers and nothing else, so they are subtracted as
 * such; telemetry/names.h tells gauges from what only grows.
 */
#include <stdlib.h>
#include <string.h>

#include "telemetry/names.h"
#include "tools/telemetry/top_change.h"

#define NUMBERS(object) (sizeof(object) / sizeof(__u64))

/* What only grows and is lower now: a defect, or maps that somebody wrote to. It is told, and not
 * computed with. */
static uint64_t difference(uint64_t earlier, uint64_t later, bool *went_back)
{
	if (later >= earlier)
		return later - earlier;
	*went_back = true;
	return 0;
}

static void subtract(void *from, const void *earlier, size_t count, bool *went_back)
{
	const __u64 *was = earlier;
	__u64 *is = from;

	for (size_t i = 0; i < count; i++)
		is[i] = difference(was[i], is[i], went_back);
}

static void group_subtract(void *from, const void *earlier, const struct counter_group *group,
			   bool *went_back)
{
	const __u64 *was = earlier;
	__u64 *is = from;

	for (uint32_t i = 0; i < group->count; i++)
		if (!counter_is_gauge(&group->names[i]))
			is[i] = difference(was[i], is[i], went_back);
}

static void histogram_subtract(struct histogram *from, const struct histogram *earlier,
			       const struct histogram *later, bool *went_back)
{
	if (later->count >= earlier->count) {
		histogram_since(later, earlier, from);
		return;
	}
	*went_back = true;
	memset(from, 0, sizeof(*from));
}

static void worker_subtract(struct scrape_worker *from, const struct scrape_worker *earlier,
			    const struct scrape_worker *later, bool *went_back)
{
	for (int i = 0; i < COUNTER_GROUPS; i++) {
		size_t offset = counter_groups[i].offset;

		group_subtract((char *)from + offset, (const char *)earlier + offset,
			       &counter_groups[i], went_back);
	}
	subtract(&from->ops, &earlier->ops, NUMBERS(from->ops), went_back);
	for (int i = 0; i < HISTOGRAM_COUNT; i++)
		histogram_subtract(&from->histogram[i], &earlier->histogram[i],
				   &later->histogram[i], went_back);
	for (int i = 0; i < HISTOGRAM_KERNEL_COUNT; i++)
		histogram_subtract(&from->kernel[i], &earlier->kernel[i], &later->kernel[i],
				   went_back);
}

static int by_time(const void *a, const void *b)
{
	const struct scrape_thief *x = a, *y = b;

	if (x->thief.ns != y->thief.ns)
		return x->thief.ns < y->thief.ns ? 1 : -1;
	return x->key.pid < y->key.pid ? -1 : x->key.pid > y->key.pid;
}

/* An entry may have left its map for another and come back with less: no reason to worry. */
static void thief_subtract(struct thief *from, struct thief_key key, const struct snapshot *earlier)
{
	for (uint32_t i = 0; i < earlier->thieves && i < SCRAPE_THIEVES_MAX; i++) {
		const struct scrape_thief *was = &earlier->thief[i];

		if (was->key.worker != key.worker || was->key.pid != key.pid)
			continue;
		if (was->thief.ns <= from->ns && was->thief.count <= from->count) {
			from->ns -= was->thief.ns;
			from->count -= was->thief.count;
		}
		return;
	}
}

static void thieves_subtract(struct snapshot *from, const struct snapshot *earlier)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < from->thieves && i < SCRAPE_THIEVES_MAX; i++) {
		struct scrape_thief thief = from->thief[i];

		thief_subtract(&thief.thief, thief.key, earlier);
		if (thief.thief.ns || thief.thief.count)
			from->thief[kept++] = thief;
	}
	from->thieves = kept;
}

static void tenants_subtract(struct snapshot *from, const struct snapshot *earlier, bool *went_back)
{
	for (uint32_t i = 0; i < from->tenants; i++)
		for (uint32_t k = 0; k < earlier->tenants; k++)
			if (earlier->tenant[k].tenant == from->tenant[i].tenant)
				subtract(&from->tenant[i].counter, &earlier->tenant[k].counter,
					 NUMBERS(from->tenant[i].counter), went_back);
}

static void softirqs_subtract(struct snapshot *from, const struct snapshot *earlier,
			      bool *went_back)
{
	for (uint32_t i = 0; i < from->cpus; i++)
		for (uint32_t k = 0; k < earlier->cpus; k++)
			if (earlier->softirqs[k].cpu == from->softirqs[i].cpu)
				subtract(&from->softirqs[i].softirqs,
					 &earlier->softirqs[k].softirqs,
					 NUMBERS(from->softirqs[i].softirqs), went_back);
}

static void engine_subtract(struct telemetry_engine *from, const struct telemetry_engine *earlier,
			    bool *went_back)
{
	const __u64 *was = (const void *)earlier;
	__u64 *is = (void *)from;

	for (uint32_t i = 0; i < engine_names_count; i++)
		if (!counter_is_gauge(&engine_names[i]))
			is[i] = difference(was[i], is[i], went_back);
}

static int by_cpu(const void *a, const void *b)
{
	const struct scrape_softirqs *x = a, *y = b;

	return x->cpu < y->cpu ? -1 : x->cpu > y->cpu;
}

static size_t snapshot_bytes(uint32_t workers)
{
	return sizeof(struct snapshot) + workers * sizeof(struct scrape_worker);
}

struct top_change *top_change_alloc(uint32_t workers)
{
	size_t bytes =
		sizeof(struct top_change) - sizeof(struct snapshot) + snapshot_bytes(workers);
	struct top_change *change;

	bytes = (bytes + 63) / 64 * 64;
	change = aligned_alloc(64, bytes);
	if (change)
		memset(change, 0, bytes);
	return change;
}

void top_change_make(struct top_change *change, const struct snapshot *earlier,
		     const struct snapshot *later, double seconds)
{
	struct snapshot *added = &change->added;
	bool *went_back = &change->went_back;

	memcpy(added, later, snapshot_bytes(later->workers));
	*went_back = false;
	change->seconds = 0;
	if (earlier && seconds > 0) {
		change->seconds = seconds;
		subtract(&added->steer, &earlier->steer, NUMBERS(added->steer), went_back);
		subtract(&added->steer_bytes, &earlier->steer_bytes, NUMBERS(added->steer_bytes),
			 went_back);
		engine_subtract(&added->engine, &earlier->engine, went_back);
		for (uint32_t w = 0; w < later->workers && w < earlier->workers; w++)
			worker_subtract(&added->worker[w], &earlier->worker[w], &later->worker[w],
					went_back);
		tenants_subtract(added, earlier, went_back);
		thieves_subtract(added, earlier);
		softirqs_subtract(added, earlier, went_back);
	}
	qsort(added->thief, added->thieves, sizeof(added->thief[0]), by_time);
	qsort(added->softirqs, added->cpus, sizeof(added->softirqs[0]), by_cpu);
	snapshot_sum(added, &change->total);
	snapshot_sum(later, &change->life);
}

bool top_change_same_run(const struct telemetry_node *a, const struct telemetry_node *b)
{
	return a->pid == b->pid && a->pid_start == b->pid_start &&
	       a->started_unix_us == b->started_unix_us && a->workers == b->workers;
}

double top_change_rate(const struct top_change *change, uint64_t number)
{
	return change->seconds > 0 ? (double)number / change->seconds : -1;
}
