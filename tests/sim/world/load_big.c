/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_big.c - values of many packets beside small ones, written together. A value begins with its
 * writer's number, and all its bytes follow from that: it is read whole, or not at all.
 */
#include <stdio.h>
#include <string.h>

#include "tests/sim/world/load.h"
#include "tests/sim/world/world.h"

#define PAIRS	  6
#define BYTES_MAX (60 << 10)

enum { PAIR, BYTES, WRITES };

static void name(char key[PLATFORM_KEY_BYTES], uint64_t pair, bool small)
{
	snprintf(key, PLATFORM_KEY_BYTES, "big:%u%s", (uint32_t)pair, small ? ":small" : "");
}

static void begin(struct world *world, struct request *request)
{
	(void)world;
	request->steps = 1;
	request->facts[PAIR] = load_roll(request, PAIRS);
	/* Many a little over one packet, some of many. */
	request->facts[BYTES] =
		8 + load_roll(request, load_roll(request, 3) ? 4096 : BYTES_MAX - 8);
	request->facts[WRITES] = load_roll(request, 2);
}

static void fill(uint8_t *to, uint64_t number, uint32_t bytes)
{
	memcpy(to, &number, sizeof(number));
	for (uint32_t i = sizeof(number); i < bytes; i++)
		to[i] = (uint8_t)(number * 31 + i * 7 + (i >> 8));
}

static void check_pair(struct world *world, const struct run_op *ops)
{
	static uint8_t expected[BYTES_MAX];
	uint32_t bytes = 0;
	const uint8_t *value = run_value(&ops[0], &bytes);
	uint64_t number;

	load_check_family(world, "big: half a pair", ops, 2);
	if (!load_number(&ops[0], &number))
		return;
	if (bytes > BYTES_MAX)
		world_fail(world, "big: not whole", "%s has %u bytes", ops[0].key, bytes);
	fill(expected, number, bytes);
	if (memcmp(value, expected, bytes) != 0)
		world_fail(world, "big: not whole", "%s of request %" PRIu64 " has wrong bytes",
			   ops[0].key, number - 1);
}

static bool round_of(struct world *world, struct run *run)
{
	static uint8_t value[BYTES_MAX];
	const uint64_t *facts = run->request->facts;
	char key[PLATFORM_KEY_BYTES];

	if (run->round > 1)
		return false;
	if (run->round == 0) {
		name(key, facts[PAIR], false);
		(void)run_get_big(run, key);
		name(key, facts[PAIR], true);
		(void)run_get(run, key);
		return true;
	}
	check_pair(world, run->ops);
	if (facts[WRITES]) {
		fill(value, run->request->number + 1u, (uint32_t)facts[BYTES]);
		name(key, facts[PAIR], false);
		(void)run_put(run, key, value, (uint32_t)facts[BYTES]);
		name(key, facts[PAIR], true);
		load_put_number(run, key, run->request->number + 1u);
	}
	run_commit(run);
	return true;
}

static bool key_of(const struct world *world, uint32_t i, char key[PLATFORM_KEY_BYTES])
{
	(void)world;
	name(key, i / 2, i % 2);
	return i / 2 < PAIRS;
}

static void final(struct world *world, const struct run_op *ops, uint32_t count)
{
	for (uint32_t at = 0; at < count; at += 2)
		check_pair(world, ops + at);
}

const struct load load_big = {"big", begin, round_of, key_of, final};
