/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - the loads by number, and what they share: values that are a number, families of keys. */
#include "tests/sim/world/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world/world.h"

static const struct load *const loads[] = {
#define LOAD_ROW(name, text) &load_##name,
	LOADS(LOAD_ROW)
#undef LOAD_ROW
};

const struct load *load_of(uint32_t number)
{
	return loads[number];
}

void load_put_number(struct run *run, const char *key, uint64_t number)
{
	(void)run_put(run, key, &number, sizeof(number));
}

bool load_number(const struct run_op *op, uint64_t *number)
{
	uint32_t bytes;
	const uint8_t *value = run_value(op, &bytes);

	if (!value || bytes < sizeof(*number))
		return false;
	memcpy(number, value, sizeof(*number));
	return true;
}

void load_check_family(struct world *world, const char *rule, const struct run_op *ops,
		       uint32_t count)
{
	uint64_t first = 0, other = 0;
	bool there = count && load_number(&ops[0], &first);

	for (uint32_t i = 1; i < count; i++) {
		bool too = load_number(&ops[i], &other);

		if (too != there || (there && other != first))
			world_fail(world, rule,
				   "%s is %s%.0" PRIu64 ", %s is %s%.0" PRIu64
				   ", though always written together",
				   ops[0].key, there ? "" : "not there", first, ops[i].key,
				   too ? "" : "not there", other);
	}
}

void load_shuffle(struct run *run, uint32_t *order, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		order[i] = i;
	for (uint32_t i = count; i > 1; i--) {
		uint32_t j = (uint32_t)run_roll(run, i), kept = order[i - 1];

		order[i - 1] = order[j];
		order[j] = kept;
	}
}

uint64_t load_roll(struct request *request, uint64_t limit)
{
	return sim_random(&request->random, limit);
}
