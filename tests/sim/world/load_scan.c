/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_scan.c - read-only scanners against writers of many keys: a writer writes all keys of a set
 * with its number; a scanner reads them some at a time, with pauses between, and finds one number.
 */
#include <stdio.h>

#include "tests/sim/world/load.h"
#include "tests/sim/world/world.h"

#define SET_KEYS 12
#define STRIDE	 4 /* keys read at a time */

enum { SET, WRITES };

static uint32_t sets(const struct world *world)
{
	return 1 + world->plan.keys / 32;
}

static void name(char key[PLATFORM_KEY_BYTES], uint64_t set, uint32_t i)
{
	snprintf(key, PLATFORM_KEY_BYTES, "scan:%u:%u", (uint32_t)set, i);
}

static void begin(struct world *world, struct request *request)
{
	request->steps = 1;
	request->facts[SET] = load_roll(request, sets(world));
	request->facts[WRITES] = load_roll(request, 2);
}

static bool write_all(struct run *run)
{
	char key[PLATFORM_KEY_BYTES];

	if (run->round)
		return false;
	for (uint32_t i = 0; i < SET_KEYS; i++) {
		name(key, run->request->facts[SET], i);
		load_put_number(run, key, run->request->number + 1);
	}
	run_commit(run);
	return true;
}

static bool round_of(struct world *world, struct run *run)
{
	char key[PLATFORM_KEY_BYTES];

	if (run->request->facts[WRITES])
		return write_all(run);
	load_check_family(world, "scan: two numbers", run->ops, run->ops_count);
	if (run->round > SET_KEYS / STRIDE)
		return false;
	if (run->round == SET_KEYS / STRIDE) {
		run_commit(run);
		return true;
	}
	for (uint32_t i = 0; i < STRIDE; i++) {
		name(key, run->request->facts[SET], run->round * STRIDE + i);
		(void)run_get(run, key);
	}
	if (run->round && run_roll(run, 2))
		run_pause(run, run_roll(run, 5000));
	return true;
}

static bool key_of(const struct world *world, uint32_t i, char key[PLATFORM_KEY_BYTES])
{
	name(key, i / SET_KEYS, i % SET_KEYS);
	return i / SET_KEYS < sets(world);
}

static void final(struct world *world, const struct run_op *ops, uint32_t count)
{
	for (uint32_t at = 0; at < count; at += SET_KEYS)
		load_check_family(world, "scan: two numbers", ops + at, SET_KEYS);
}

const struct load load_scan = {"scan", begin, round_of, key_of, final};
