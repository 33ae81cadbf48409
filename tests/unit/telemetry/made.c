/* SPDX-License-Identifier: Apache-2.0 */
/*
 * made.c - see made.h.
 */
#include "tests/unit/telemetry/made.h"

#include <stdlib.h>
#include <string.h>

uint64_t made_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

uint64_t made_time(uint64_t *seed)
{
	uint32_t magnitude = (uint32_t)(made_random(seed) % 33);

	return (UINT64_C(1) << magnitude) + made_random(seed) % (UINT64_C(1) << magnitude);
}

static void fill_words(void *words, size_t bytes, uint64_t *seed)
{
	for (size_t i = 0; i < bytes / 8; i++)
		((uint64_t *)words)[i] = 1 + made_random(seed) % 1000000;
}

static void fill_histograms(struct histogram *histograms, uint32_t count, uint64_t *seed)
{
	for (uint32_t h = 0; h < count; h++)
		for (uint64_t n = 100 + made_random(seed) % 300; n > 0; n--)
			histogram_add(&histograms[h], made_time(seed));
}

static void fill_worker(struct scrape_worker *worker, uint64_t *seed)
{
	fill_words(&worker->worker, sizeof(worker->worker), seed);
	fill_words(&worker->node, sizeof(worker->node), seed);
	fill_words(&worker->log, sizeof(worker->log), seed);
	fill_words(&worker->ops, sizeof(worker->ops), seed);
	fill_histograms(worker->histogram, HISTOGRAM_COUNT, seed);
	fill_histograms(worker->kernel, HISTOGRAM_KERNEL_COUNT, seed);
}

struct snapshot *made_snapshot(uint32_t workers, uint64_t seed)
{
	size_t bytes = sizeof(struct snapshot) + workers * sizeof(struct scrape_worker);
	struct snapshot *made = aligned_alloc(64, (bytes + 63) / 64 * 64);

	if (made == NULL)
		abort();
	memset(made, 0, bytes);
	made->node = (struct telemetry_node){.layout = TELEMETRY_LAYOUT,
					     .pid = 4711,
					     .pid_start = 1,
					     .started_unix_us = 1795960000123456,
					     .node = 3,
					     .workers = workers,
					     .udp_port = 7400,
					     .version = "0.1.0",
					     .port = "afxdp:lo",
					     .data_dir = "/var/lib/abaft"};
	made->unix_us = 1795961489363246;
	made->alive = true;
	made->has_steer = made->has_thieves = made->has_softirqs = true;
	memset(made->has_kernel, true, sizeof(made->has_kernel));
	fill_words(&made->steer, sizeof(made->steer), &seed);
	fill_words(&made->steer_bytes, sizeof(made->steer_bytes), &seed);
	made->tenants = 2;
	made->tenant[0] = (struct scrape_tenant){0, {10, 1000}};
	made->tenant[1] = (struct scrape_tenant){42, {20, 3000}};
	made->thieves = 3;
	made->thief[0] = (struct scrape_thief){{0, 77}, {"a\"b\\c", 3, 5000000000}};
	made->thief[1] = (struct scrape_thief){{workers - 1, 78}, {"bash", 2, 300}};
	made->thief[2] = (struct scrape_thief){{0, 79}, {"a\"b\\c", 4, 1}};
	made->cpus = 1;
	made->softirqs[0].cpu = 5;
	fill_words(&made->softirqs[0].softirqs, sizeof(struct softirqs), &seed);
	made->has_engine = true;
	fill_words(&made->engine, sizeof(made->engine), &seed);
	memset(made->engine.name, 0, sizeof(made->engine.name));
	memcpy(made->engine.name, "redis", 5);
	made->workers = workers;
	for (uint32_t w = 0; w < workers; w++)
		fill_worker(&made->worker[w], &seed);
	return made;
}
