/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sum.c - all workers' numbers as one: what a person asks of a node first.
 */
#include <string.h>

#include "telemetry/names.h"
#include "telemetry/scrape.h"

static void add_group(const struct counter_group *group, const struct scrape_worker *from,
		      struct scrape_worker *into)
{
	const uint64_t *add = (const void *)((const uint8_t *)from + group->offset);
	uint64_t *sum = (void *)((uint8_t *)into + group->offset);

	for (uint32_t i = 0; i < group->count; i++)
		if (!counter_is_state(&group->names[i]))
			sum[i] += add[i];
		else if (add[i] > sum[i])
			sum[i] = add[i];
}

static void add_ops(const struct op_counters *from, struct op_counters *into)
{
	const uint64_t *add = (const void *)from;
	uint64_t *sum = (void *)into;

	for (size_t i = 0; i < sizeof(*from) / sizeof(*add); i++)
		sum[i] += add[i];
}

void snapshot_sum(const struct snapshot *snapshot, struct scrape_worker *out)
{
	memset(out, 0, sizeof(*out));
	for (uint32_t w = 0; w < snapshot->workers; w++) {
		const struct scrape_worker *worker = &snapshot->worker[w];

		for (uint32_t g = 0; g < COUNTER_GROUPS; g++)
			add_group(&counter_groups[g], worker, out);
		add_ops(&worker->ops, &out->ops);
		for (uint32_t h = 0; h < HISTOGRAM_COUNT; h++)
			histogram_merge(&out->histogram[h], &worker->histogram[h]);
		for (uint32_t h = 0; h < HISTOGRAM_KERNEL_COUNT; h++)
			histogram_merge(&out->kernel[h], &worker->kernel[h]);
	}
}
