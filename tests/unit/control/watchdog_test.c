/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watchdog_test.c - workers whose passes the test counts: who gets signs of life, and when not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "control/watchdog.h"

#define WORKERS	 3
#define INTERVAL UINT64_C(1000000)
#define BEGIN	 UINT64_C(77000000)

struct world {
	struct watchdog watchdog;
	uint64_t now_us, passes[WORKERS];
	bool stuck[WORKERS], asleep[WORKERS];
	uint32_t signs, kicks;
	uint64_t last_us, longest_us; /* of signs: the last one, the longest wait for one */
	char said[4 * WATCHDOG_TEXT_BYTES];
};

static uint64_t passes(void *arg, uint32_t worker)
{
	return ((struct world *)arg)->passes[worker];
}

static void kick(void *arg, uint32_t worker)
{
	struct world *world = arg;

	world->kicks++;
	if (!world->stuck[worker] && world->asleep[worker])
		world->passes[worker]++;
}

static void alive(void *arg)
{
	struct world *world = arg;

	world->signs++;
	if (world->now_us - world->last_us > world->longest_us)
		world->longest_us = world->now_us - world->last_us;
	world->last_us = world->now_us;
}

static void say(void *arg, enum report_level level, const char *event, const char *text)
{
	struct world *world = arg;
	size_t at = strlen(world->said);

	snprintf(world->said + at, sizeof(world->said) - at, "%u %s: %s\n", level, event, text);
}

static void begin(struct world *world, uint64_t interval_us)
{
	*world = (struct world){.watchdog = {.interval_us = interval_us,
					     .workers = WORKERS,
					     .passes = passes,
					     .kick = kick,
					     .alive = alive,
					     .say = say,
					     .arg = world},
				.now_us = BEGIN,
				.last_us = BEGIN};
	watchdog_begin(&world->watchdog, BEGIN);
}

/* Lets time go by; whoever is awake makes a pass each millisecond. */
static void live(struct world *world, uint64_t us)
{
	for (uint64_t end_us = world->now_us + us; world->now_us < end_us; world->now_us += 1000) {
		for (uint32_t w = 0; w < WORKERS; w++)
			world->passes[w] += !world->stuck[w] && !world->asleep[w];
		(void)watchdog_look(&world->watchdog, world->now_us);
	}
}

static void busy_workers(void **state)
{
	struct world world;

	begin(&world, INTERVAL);
	live(&world, 20 * INTERVAL);
	assert_in_range(world.signs, 38, 40);
	assert_true(world.longest_us <= INTERVAL / 2 + 2000);
	assert_string_equal(world.said, "");
}

/* They make a pass only when they are woken. */
static void sleeping_workers(void **state)
{
	struct world world;

	begin(&world, INTERVAL);
	memset(world.asleep, true, sizeof(world.asleep));
	live(&world, 20 * INTERVAL);
	assert_in_range(world.signs, 38, 40);
	assert_string_equal(world.said, "");
	/* No more often than needed: four times in an interval. */
	assert_in_range(world.kicks, 78 * WORKERS, 82 * WORKERS);
}

static int times_said(const struct world *world, const char *what)
{
	int count = 0;

	for (const char *at = world->said; (at = strstr(at, what)) != NULL; at++)
		count++;
	return count;
}

static void one_hangs(void **state)
{
	for (uint32_t w = 0; w < WORKERS; w++) {
		struct world world;
		char want[64];
		uint32_t before;

		begin(&world, INTERVAL);
		world.asleep[0] = true;
		live(&world, 5 * INTERVAL);
		before = world.signs;
		world.stuck[w] = true;
		live(&world, 10 * INTERVAL);
		/* One more at most, for a pass that it made before. */
		assert_in_range(world.signs, before, before + 1);
		snprintf(want, sizeof(want), "%u hung: worker %u has made no pass", REPORT_ERROR,
			 w);
		assert_int_equal(strncmp(world.said, want, strlen(want)), 0);
		assert_int_equal(times_said(&world, "hung"), 1);

		before = world.signs;
		world.stuck[w] = false;
		live(&world, 5 * INTERVAL);
		assert_in_range(world.signs, before + 9, before + 11);
		snprintf(want, sizeof(want), "%u going: worker %u goes on", REPORT_INFO, w);
		assert_non_null(strstr(world.said, want));
		assert_int_equal(times_said(&world, "going"), 1);
		assert_int_equal(times_said(&world, "hung"), 1);
	}
}

static void hangs_from_the_beginning(void **state)
{
	struct world world;

	begin(&world, INTERVAL);
	world.stuck[2] = true;
	live(&world, 3 * INTERVAL);
	assert_int_equal(world.signs, 0);
	assert_int_equal(times_said(&world, "hung: worker 2"), 1);
}

/* Two hang, one after the other: it takes both of them to go on. */
static void two_hang(void **state)
{
	struct world world;
	uint32_t before;

	begin(&world, INTERVAL);
	live(&world, INTERVAL);
	world.stuck[0] = true;
	live(&world, 2 * INTERVAL);
	world.stuck[1] = true;
	live(&world, 2 * INTERVAL);
	before = world.signs;
	world.stuck[0] = false;
	live(&world, 2 * INTERVAL);
	assert_int_equal(world.signs, before);
	assert_int_equal(times_said(&world, "hung"), 2);
	world.stuck[1] = false;
	live(&world, 2 * INTERVAL);
	assert_in_range(world.signs, before + 3, before + 5);
}

/* A worker that is late for a moment costs no restart, whenever the moment comes. */
static void short_halts(void **state)
{
	struct world world;

	begin(&world, INTERVAL);
	for (int i = 0; i < 200; i++) {
		live(&world, INTERVAL + (uint64_t)i * 1000);
		world.stuck[1] = true;
		live(&world, INTERVAL * 2 / 5);
		world.stuck[1] = false;
	}
	assert_true(world.longest_us < INTERVAL);
	assert_true(world.signs > 400);
}

static void nobody_asks(void **state)
{
	struct world world;

	begin(&world, 0);
	assert_true(watchdog_look(&world.watchdog, BEGIN + INTERVAL) == UINT64_MAX);
	live(&world, 5 * INTERVAL);
	assert_int_equal(world.signs + world.kicks, 0);
	assert_string_equal(world.said, "");
}

/* How long the main thread may wait. */
static void time_to_the_next(void **state)
{
	struct world world;

	begin(&world, INTERVAL);
	assert_true(watchdog_look(&world.watchdog, BEGIN) == INTERVAL / 4);
	assert_true(watchdog_look(&world.watchdog, BEGIN + 100000) == INTERVAL / 4 - 100000);
	assert_int_equal(world.kicks, WORKERS);
	assert_true(watchdog_look(&world.watchdog, BEGIN + INTERVAL / 4) == INTERVAL / 4);
	assert_int_equal(world.kicks, 2 * WORKERS);
	begin(&world, 1); /* a microsecond */
	assert_true(watchdog_look(&world.watchdog, BEGIN) == 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(busy_workers), cmocka_unit_test(sleeping_workers),
		cmocka_unit_test(one_hangs),	cmocka_unit_test(hangs_from_the_beginning),
		cmocka_unit_test(two_hang),	cmocka_unit_test(short_halts),
		cmocka_unit_test(nobody_asks),	cmocka_unit_test(time_to_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
