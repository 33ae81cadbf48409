/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_hot.c - few keys, drawn by Zipf's law with exponent 2.0: the first gets six requests of ten.
 * Reads, writes and deletes of one to three keys in one transaction. The history is what judges it.
 */
#include <stdio.h>

#include "tests/sim/world/load.h"
#include "tests/sim/world/world.h"

#define KEYS	 16
#define KEYS_MAX 3

/* What is done to each: a nibble. */
enum { COUNT, CHOICE, ACTIONS };

/* 1 / i^2 over the sum of all, in millionths, summed up. */
static const uint32_t zipf[KEYS] = {631175, 788969, 859099, 898548, 923795, 941327,
				    954209, 964071, 971863, 978175, 983391, 987774,
				    991509, 994729, 997534, 1000000};

static void name(char key[PLATFORM_KEY_BYTES], uint32_t i)
{
	snprintf(key, PLATFORM_KEY_BYTES, "hot:%u", i);
}

static uint32_t draw(struct request *request)
{
	uint64_t at = load_roll(request, 1000000);
	uint32_t i = 0;

	while (at >= zipf[i])
		i++;
	return i;
}

static void begin(struct world *world, struct request *request)
{
	(void)world;
	request->steps = 1;
	request->facts[COUNT] = 1 + load_roll(request, KEYS_MAX);
	request->facts[CHOICE] = 0;
	for (uint32_t i = 0; i < KEYS_MAX; i++)
		request->facts[CHOICE] |= (uint64_t)draw(request) << 8 * i;
	request->facts[ACTIONS] = load_roll(request, 1 << 4 * KEYS_MAX);
}

static bool round_of(struct world *world, struct run *run)
{
	const struct request *request = run->request;
	char key[PLATFORM_KEY_BYTES];

	(void)world;
	if (run->round > 1)
		return false;
	for (uint32_t i = 0; i < request->facts[COUNT]; i++) {
		uint64_t action = request->facts[ACTIONS] >> 4 * i & 0xf;

		name(key, (uint32_t)(request->facts[CHOICE] >> 8 * i & 0xff));
		if (run->round == 0)
			(void)run_get(run, key);
		else if (action < 2)
			(void)run_delete(run, key);
		else if (action < 13)
			load_put_number(run, key, request->number + 1);
		if (run->round && run_roll(run, 8) == 0)
			(void)run_get(run, key); /* its own write */
	}
	if (run->round)
		run_commit(run);
	return true;
}

static bool key_of(const struct world *world, uint32_t i, char key[PLATFORM_KEY_BYTES])
{
	(void)world;
	name(key, i);
	return i < KEYS;
}

const struct load load_hot = {"hot", begin, round_of, key_of, NULL};
