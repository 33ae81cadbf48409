/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_chain.c - chains of two to four functions: each writes a key of its own, and reads what the
 * one before it wrote; the last one commits, or changes its mind. All keys of a chain hold one
 * request's number, or none is there.
 */
#include <stdio.h>

#include "tests/sim/world/load.h"
#include "tests/sim/world/world.h"

enum { CHAIN, ABORTS };

static uint32_t chains(const struct world *world)
{
	return 1 + world->plan.keys / 8;
}

static uint32_t steps_of(uint64_t chain)
{
	return 2 + (uint32_t)(chain % 3);
}

/* Steps count from 1. */
static void name(char key[PLATFORM_KEY_BYTES], uint64_t chain, uint32_t step)
{
	snprintf(key, PLATFORM_KEY_BYTES, "chain:%u:%u", (uint32_t)chain, step);
}

static void begin(struct world *world, struct request *request)
{
	request->facts[CHAIN] = load_roll(request, chains(world));
	request->facts[ABORTS] = load_roll(request, 8) == 0;
	request->steps = steps_of(request->facts[CHAIN]);
}

/* The first one looks at all that the chain before left; the others at their predecessor's. */
static void look(struct run *run)
{
	uint64_t chain = run->request->facts[CHAIN];
	char key[PLATFORM_KEY_BYTES];
	uint32_t from = run->step == 1 ? 1 : run->step - 1u;
	uint32_t to = run->step == 1 ? steps_of(chain) : from;

	for (uint32_t step = from; step <= to; step++) {
		name(key, chain, step);
		(void)run_get(run, key);
	}
}

static void judge(struct world *world, const struct run *run)
{
	uint64_t number = 0;

	if (run->step == 1) {
		load_check_family(world, "chain: half of one", run->ops, run->ops_count);
		for (uint32_t i = 0; i < run->ops_count; i++)
			if (run->ops[i].result.own)
				world_fail(world, "chain: a dead attempt's write",
					   "request %u, attempt %u reads %s as its own",
					   run->request->number, run->attempt, run->ops[i].key);
		return;
	}
	if (!load_number(&run->ops[0], &number) || number != run->request->number + 1u ||
	    !run->ops[0].result.own)
		world_fail(world, "chain: the step before",
			   "request %u, step %u reads %" PRIu64 " at %s", run->request->number,
			   run->step, number, run->ops[0].key);
}

static bool round_of(struct world *world, struct run *run)
{
	const struct request *request = run->request;
	char key[PLATFORM_KEY_BYTES];

	if (run->round > 1)
		return false;
	if (run->round == 0) {
		look(run);
		return true;
	}
	judge(world, run);
	name(key, request->facts[CHAIN], run->step);
	load_put_number(run, key, request->number + 1);
	if (run->step == request->steps) {
		if (request->facts[ABORTS])
			run_abort(run);
		else
			run_commit(run);
	}
	return true;
}

static bool key_of(const struct world *world, uint32_t i, char key[PLATFORM_KEY_BYTES])
{
	uint32_t chain = 0;

	while (chain < chains(world) && i >= steps_of(chain))
		i -= steps_of(chain++);
	name(key, chain, i + 1);
	return chain < chains(world);
}

static void final(struct world *world, const struct run_op *ops, uint32_t count)
{
	for (uint32_t chain = 0, at = 0; at < count; at += steps_of(chain), chain++)
		load_check_family(world, "chain: half of one", ops + at, steps_of(chain));
}

const struct load load_chain = {"chain", begin, round_of, key_of, final};
