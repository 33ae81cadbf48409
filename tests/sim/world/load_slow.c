/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_slow.c - long transactions across reclamation: readers take keys one at a time, over
 * seconds, while writers replace them; then they read all of them again. What they read stays
 * readable (P8) and stays the same (P3).
 */
#include <stdio.h>

#include "tests/sim/world/load.h"
#include "tests/sim/world/world.h"

#define KEYS	 8
#define READS	 5
#define WRITTEN	 3 /* by one request */
#define PAUSE_US 1500000

enum { FIRST, WRITES };

static void name(char key[PLATFORM_KEY_BYTES], uint64_t i)
{
	snprintf(key, PLATFORM_KEY_BYTES, "slow:%u", (uint32_t)(i % KEYS));
}

static void begin(struct world *world, struct request *request)
{
	(void)world;
	request->steps = 1;
	request->facts[FIRST] = load_roll(request, KEYS);
	request->facts[WRITES] = load_roll(request, 8) != 0;
}

static bool write_some(struct run *run)
{
	char key[PLATFORM_KEY_BYTES];

	if (run->round)
		return false;
	for (uint32_t i = 0; i < WRITTEN; i++) {
		name(key, run->request->facts[FIRST] + i);
		load_put_number(run, key, run->request->number + 1);
	}
	run_commit(run);
	return true;
}

/* Nobody deletes these keys: what was committed before the reader's request came is there. */
static void check_there(struct world *world, const struct run *run, uint32_t i)
{
	uint64_t place = (run->request->facts[FIRST] + i) % KEYS;

	for (uint32_t n = 0; n < world->plan.requests; n++) {
		const struct request *writer = platform_request(world->platform, n);

		if (writer->load == &load_slow && writer->facts[WRITES] && writer->committed &&
		    writer->committed_us < run->request->arrived_us &&
		    (place + KEYS - writer->facts[FIRST]) % KEYS < WRITTEN)
			world_fail(world, "slow: a missing version",
				   "request %u finds no %s, request %u had committed one",
				   run->request->number, run->ops[i].key, n);
	}
}

static void compare(struct world *world, const struct run *run)
{
	for (uint32_t i = 0; i < READS; i++) {
		const struct run_op *first = &run->ops[i], *again = &run->ops[READS + i];

		if (first->result.status != again->result.status ||
		    first->result.version.time != again->result.version.time ||
		    first->result.version.origin != again->result.version.origin)
			world_fail(world, "slow: not repeatable", "%s changed within a transaction",
				   first->key);
		if (first->result.status == ABAFT_NOT_FOUND)
			check_there(world, run, i);
	}
}

static bool round_of(struct world *world, struct run *run)
{
	char key[PLATFORM_KEY_BYTES];

	if (run->request->facts[WRITES])
		return write_some(run);
	if (run->round > READS + 1)
		return false;
	if (run->round == READS + 1) {
		compare(world, run);
		run_commit(run);
		return true;
	}
	for (uint32_t i = run->round < READS ? run->round : 0; i < READS; i++) {
		name(key, run->request->facts[FIRST] + i);
		(void)run_get(run, key);
		if (run->round < READS)
			break;
	}
	if (run->round)
		run_pause(run, run_roll(run, PAUSE_US));
	return true;
}

static bool key_of(const struct world *world, uint32_t i, char key[PLATFORM_KEY_BYTES])
{
	(void)world;
	name(key, i);
	return i < KEYS;
}

const struct load load_slow = {"slow", begin, round_of, key_of, NULL};
