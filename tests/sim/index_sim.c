/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_sim.c - millions of operations on an index, one after the other, held against a plain table
 * (tests/lib/index_player.h), which also predicts every refusal.
 *
 *	index_sim [--seed S] [--seeds N] [--steps N]
 *
 * Each seed is an index of another size, with more keys than it takes, so that it is full at times;
 * a fourth of them are rather empty. In the end nothing may be left, neither in the index nor of
 * memory.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/index_player.h"

#define MEMORY_BYTES (128u << 20)

struct totals {
	uint64_t done[PLAYER_OPS], steps, refused_keys, refused_buckets, overflows;
};

static int fail(const char *what, uint64_t seed)
{
	printf("not ok 1 - seed %" PRIu64 ": %s\n", seed, what);
	return 1;
}

static void add(struct totals *totals, const struct player *p)
{
	for (int i = 0; i < PLAYER_OPS; i++)
		totals->done[i] += p->done[i];
	totals->steps += p->steps;
	totals->refused_keys += p->refused_keys;
	totals->refused_buckets += p->refused_buckets;
	totals->overflows += atomic_load(&p->index->spares_used);
}

static int run(uint64_t seed, uint64_t steps, struct totals *totals)
{
	const uint32_t keys_max[] = {300, 1024, 4096, 1000};
	uint32_t keys = keys_max[seed % 4] * 2;
	const struct mapper mapper = {0};
	static ck_epoch_t epoch;
	static struct memory memory;
	static struct index index;
	static struct space space;
	static struct player p;

	if (seed % 4 == 3)
		keys /= 4;
	ck_epoch_init(&epoch);
	if (memory_init(&memory, &mapper, MEMORY_BYTES) ||
	    index_init(&index, &mapper, keys_max[seed % 4], seed) || space_init(&space, &mapper, 2))
		return fail("no memory", seed);
	index.space = &space;
	p = (struct player){.index = &index,
			    .memory = &memory,
			    .epoch = &epoch,
			    .alone = true,
			    .players = 1,
			    .keys = keys,
			    .seed = seed};
	p.all = player_names(&index, keys);
	player_open(&p);
	while (p.steps < steps && player_step(&p))
		;
	add(totals, &p);
	player_close(&p);
	if (!p.failure[0] && (atomic_load(&index.keys) || p.cache.bytes_used ||
			      space_total(&space) || memory.free_span_count != memory.spans_total))
		snprintf(p.failure, sizeof(p.failure), "something is left");
	free(p.all);
	space_fini(&space, &mapper);
	index_fini(&index, &mapper);
	memory_fini(&memory, &mapper);
	return p.failure[0] ? fail(p.failure, seed) : 0;
}

int main(int argc, char **argv)
{
	uint64_t first = 1, seeds = 8, steps = 6000000;
	static struct totals totals;

	for (int i = 1; i + 1 < argc; i += 2) {
		uint64_t *option = strcmp(argv[i], "--seed") == 0    ? &first
				   : strcmp(argv[i], "--seeds") == 0 ? &seeds
				   : strcmp(argv[i], "--steps") == 0 ? &steps
								     : NULL;

		if (!option)
			return 2;
		*option = strtoull(argv[i + 1], NULL, 0);
		if (option == &first)
			seeds = 1;
	}
	printf("1..1\n");
	for (uint64_t seed = first; seed < first + seeds; seed++)
		if (run(seed, steps, &totals))
			return 1;
	for (int i = 0; i < PLAYER_OPS; i++)
		if (totals.done[i] == 0)
			return fail("some operation was never done", first);
	printf("ok 1 - seeds %" PRIu64 " to %" PRIu64 ": %" PRIu64 " operations, %" PRIu64
	       " walks, %" PRIu64 " refused by a full index, %" PRIu64 " by a full bucket, %" PRIu64
	       " overflow buckets\n",
	       first, first + seeds - 1, totals.steps, totals.done[PLAYER_WALK],
	       totals.refused_keys, totals.refused_buckets, totals.overflows);
	return 0;
}
