/* SPDX-License-Identifier: Apache-2.0 */
/* small_world.c - see small_world.h. */
#include "tests/unit/sim/small_world.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include <cmocka.h>

jmp_buf small_world_failed;
bool small_world_may_fail;
char small_world_rule[64], small_world_reason[4096];

void world_fail(struct world *world, const char *rule, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(small_world_reason, sizeof(small_world_reason), format, args);
	va_end(args);
	snprintf(small_world_rule, sizeof(small_world_rule), "%s", rule);
	if (!small_world_may_fail) {
		print_error("%s: %s\n", rule, small_world_reason);
		abort();
	}
	small_world_may_fail = false;
	longjmp(small_world_failed, 1);
}

uint64_t world_roll(struct world *world, enum world_stream stream, uint64_t limit)
{
	uint64_t z = (world->stream[stream] += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return limit ? (z ^ (z >> 31)) % limit : 0;
}

bool world_chance(struct world *world, enum world_stream stream, uint32_t permille)
{
	return world_roll(world, stream, 1000) < permille;
}

void world_note_bytes(struct world *world, const void *bytes, uint32_t count)
{
	world->trace = XXH3_64bits_withSeed(bytes, count, world->trace);
}

void world_note(struct world *world, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	world_note_bytes(world, text, (uint32_t)strlen(text));
}

void small_world_create(struct world *world, uint64_t seed, uint32_t faults)
{
	memset(world, 0, sizeof(*world));
	world->options.seed = seed;
	world->plan.faults = faults;
	for (uint32_t i = 0; i < STREAMS; i++)
		world->stream[i] = seed * 1000 + i;
	events_create(&world->events, WORLD_BEGIN_US);
}

void small_world_destroy(struct world *world)
{
	events_destroy(&world->events);
}

void small_world_live(struct world *world, uint64_t us)
{
	uint64_t until_us = world->events.now_us + us;

	for (uint32_t i = 0; events_step(&world->events, until_us); i++)
		assert_true(i < 10000000);
}
