/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_bank.c - transfers between the accounts of a group. Each reads all accounts and writes all
 * of them, so whoever reads a group atomically finds the sum that it had at first, whatever updates
 * were lost. One request in four only looks.
 */
#include <stdio.h>

#include "tests/sim/world/load.h"
#include "tests/sim/world/world.h"

#define FIRST_BALANCE 1000
#define ACCOUNTS_MAX  8

enum { GROUP, FROM, TO, AMOUNT };

static uint32_t groups(const struct world *world)
{
	return 1 + world->plan.keys / 16;
}

static uint32_t accounts(uint64_t group)
{
	return 4 + (uint32_t)(group % 5);
}

static void name(char key[PLATFORM_KEY_BYTES], uint64_t group, uint32_t account)
{
	snprintf(key, PLATFORM_KEY_BYTES, "bank:%u:%u", (uint32_t)group, account);
}

static void begin(struct world *world, struct request *request)
{
	request->steps = 1;
	request->facts[GROUP] = load_roll(request, groups(world));
	request->facts[FROM] = load_roll(request, accounts(request->facts[GROUP]));
	request->facts[TO] = load_roll(request, accounts(request->facts[GROUP]));
	request->facts[AMOUNT] = load_roll(request, 4) ? 1 + load_roll(request, 100) : 0;
}

/* Balances may be below nothing: they are kept in two's complement. None: nobody wrote yet. */
static bool check_sum(struct world *world, const struct run_op *ops, uint32_t count,
		      int64_t *balance)
{
	int64_t sum = 0;
	uint32_t there = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t number = FIRST_BALANCE;

		there += load_number(&ops[i], &number);
		balance[i] = (int64_t)number;
		sum += balance[i];
	}
	if (there != 0 && there != count)
		world_fail(world, "bank: half a group", "%u of %u accounts from %s on are there",
			   there, count, ops[0].key);
	if (sum != (int64_t)count * FIRST_BALANCE)
		world_fail(world, "bank: the sum", "accounts from %s on hold %" PRId64 ", not %u",
			   ops[0].key, sum, count * FIRST_BALANCE);
	return there != 0;
}

static bool round_of(struct world *world, struct run *run)
{
	const uint64_t *facts = run->request->facts;
	uint32_t count = accounts(facts[GROUP]);
	int64_t balance[ACCOUNTS_MAX];
	char key[PLATFORM_KEY_BYTES];

	if (run->round > 1)
		return false;
	if (run->round == 0) {
		for (uint32_t i = 0; i < count; i++) {
			name(key, facts[GROUP], i);
			(void)run_get(run, key);
		}
		return true;
	}
	(void)check_sum(world, run->ops, count, balance);
	balance[facts[FROM]] -= (int64_t)facts[AMOUNT];
	balance[facts[TO]] += (int64_t)facts[AMOUNT];
	for (uint32_t i = 0; i < count && facts[AMOUNT]; i++) {
		name(key, facts[GROUP], i);
		load_put_number(run, key, (uint64_t)balance[i]);
	}
	run_commit(run);
	return true;
}

static bool key_of(const struct world *world, uint32_t i, char key[PLATFORM_KEY_BYTES])
{
	uint32_t group = 0;

	while (group < groups(world) && i >= accounts(group))
		i -= accounts(group++);
	name(key, group, i);
	return group < groups(world);
}

static void final(struct world *world, const struct run_op *ops, uint32_t count)
{
	int64_t balance[ACCOUNTS_MAX];

	for (uint32_t group = 0, at = 0; at < count; at += accounts(group), group++)
		(void)check_sum(world, ops + at, accounts(group), balance);
}

const struct load load_bank = {"bank", begin, round_of, key_of, final};
