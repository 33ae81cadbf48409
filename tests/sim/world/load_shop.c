/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_shop.c - orders: an order, its lines and the stock that they take are written together, or
 * deleted together. Whoever reads some of them, in any order, finds one request's, or nothing.
 */
#include <stdio.h>

#include "tests/sim/world/load.h"
#include "tests/sim/world/world.h"

#define PARTS 5 /* the order, three lines, the stock */

enum { ORDER, ACTION };
enum { ACTION_PLACE, ACTION_CANCEL = 4, ACTION_LOOK, ACTIONS = 8 };

static void name(char key[PLATFORM_KEY_BYTES], uint64_t order, uint32_t part)
{
	static const char *const parts[PARTS] = {"order", "line1", "line2", "line3", "stock"};

	snprintf(key, PLATFORM_KEY_BYTES, "shop:%u:%s", (uint32_t)order, parts[part]);
}

static void begin(struct world *world, struct request *request)
{
	request->steps = 1;
	request->facts[ORDER] = load_roll(request, world->plan.keys);
	request->facts[ACTION] = load_roll(request, ACTIONS);
}

static void read_all(struct run *run)
{
	uint32_t order[PARTS];
	char key[PLATFORM_KEY_BYTES];

	load_shuffle(run, order, PARTS);
	for (uint32_t i = 0; i < PARTS; i++) {
		name(key, run->request->facts[ORDER], order[i]);
		(void)run_get(run, key);
	}
}

static bool round_of(struct world *world, struct run *run)
{
	uint64_t action = run->request->facts[ACTION];
	char key[PLATFORM_KEY_BYTES];

	if (run->round == 0) {
		read_all(run);
		return true;
	}
	if (run->round > 1)
		return false;
	load_check_family(world, "shop: half an order", run->ops, PARTS);
	for (uint32_t i = 0; i < PARTS && action < ACTION_LOOK; i++) {
		name(key, run->request->facts[ORDER], i);
		if (action == ACTION_CANCEL)
			(void)run_delete(run, key);
		else
			load_put_number(run, key, run->request->number + 1);
	}
	run_commit(run);
	return true;
}

static bool key_of(const struct world *world, uint32_t i, char key[PLATFORM_KEY_BYTES])
{
	name(key, i / PARTS, i % PARTS);
	return i / PARTS < world->plan.keys;
}

static void final(struct world *world, const struct run_op *ops, uint32_t count)
{
	for (uint32_t at = 0; at < count; at += PARTS)
		load_check_family(world, "shop: half an order", ops + at, PARTS);
}

const struct load load_shop = {"shop", begin, round_of, key_of, final};
