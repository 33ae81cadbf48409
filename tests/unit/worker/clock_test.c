/* SPDX-License-Identifier: Apache-2.0 */
/* clock_test.c - the worker's clock against the system's: never back, and never far from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/clock.h"

/* Between two readings the rate may be off by as much as the readings were, and this thread may be
 * kept from running between a look and its check: the best of some looks counts. */
#define OFF_NS_MAX 100000
#define LOOKS	   200

static uint64_t system_ns(clockid_t which)
{
	struct timespec ts;

	clock_gettime(which, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static uint64_t apart(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static void it_agrees_with_the_system(void **state)
{
	uint64_t mono_off = UINT64_MAX, wall_off = UINT64_MAX, look_off = UINT64_MAX;
	struct clock clock;

	clock_init(&clock);
	for (uint32_t i = 0; i < LOOKS; i++) {
		struct now now = clock_pass(&clock);
		uint64_t wall = apart(system_ns(CLOCK_REALTIME), clock.wall_ns);
		uint64_t mono = apart(system_ns(CLOCK_MONOTONIC), clock.mono_ns), look;

		assert_int_equal(now.mono_us, clock.mono_ns / 1000);
		assert_int_equal(now.wall_us, clock.wall_ns / 1000);
		usleep(100);
		look = apart(system_ns(CLOCK_MONOTONIC), clock_now_ns(&clock));
		if (i < LOOKS / 2) /* it is still learning */
			continue;
		mono_off = mono < mono_off ? mono : mono_off;
		wall_off = wall < wall_off ? wall : wall_off;
		look_off = look < look_off ? look : look_off;
	}
	assert_true(mono_off < OFF_NS_MAX);
	assert_true(wall_off < OFF_NS_MAX);
	if (clock.constant) /* else it stands still within a pass */
		assert_true(look_off < OFF_NS_MAX);
}

static void it_never_goes_back(void **state)
{
	struct clock clock;
	uint64_t last = 0;

	clock_init(&clock);
	for (uint32_t i = 0; i < 200000; i++) {
		struct now now = clock_pass(&clock);

		assert_true(now.mono_us >= last / 1000 && clock.mono_ns >= last);
		last = clock_now_ns(&clock);
		assert_true(last >= clock.mono_ns);
	}
}

/* Until the rate is known; false where the counter cannot be used. */
static bool learn(struct clock *clock)
{
	clock_init(clock);
	if (!clock->constant) {
		print_message("# skipped: the processor's counter has no constant rate here\n");
		return false;
	}
	for (uint32_t i = 0; i < 100 && clock->rate == 0; i++) {
		clock_pass(clock);
		usleep(1000);
	}
	assert_true(clock->rate != 0);
	return true;
}

/* C1: by a rate that is too high it runs ahead; then it waits for the system's. */
static void a_wrong_rate_does_not_turn_it_back(void **state)
{
	struct clock clock;
	uint64_t wrong;

	if (!learn(&clock))
		skip();
	wrong = clock.rate * 2;
	for (uint32_t i = 0; i < 100000; i++) {
		uint64_t look = clock_now_ns(&clock);

		clock_pass(&clock);
		assert_true(clock.mono_ns >= look);
		clock.rate = wrong;
	}
}

/* What it told ahead of the system's time is no measure: else a rate that is too high would stay.
 */
static void a_wrong_rate_does_not_confirm_itself(void **state)
{
	uint64_t right, start_ns;
	struct clock clock;

	if (!learn(&clock))
		skip();
	right = clock.rate;
	clock.mono_ns += 50000000;
	clock.told_ns = clock.mono_ns;
	start_ns = system_ns(CLOCK_MONOTONIC);
	do {
		clock_pass(&clock);
		if (clock.rate != 0)
			assert_true(apart(clock.rate, right) < right / 10);
	} while (system_ns(CLOCK_MONOTONIC) - start_ns < 10000000);
}

/* A suspended machine's counter may have gone on without CLOCK_MONOTONIC. */
static void a_counter_that_jumped_is_measured_anew(void **state)
{
	struct clock clock;
	uint64_t right;

	if (!learn(&clock))
		skip();
	right = clock.rate;
	clock.sync_ticks -= UINT64_C(1) << 44;
	clock.first_ticks -= UINT64_C(1) << 44;
	clock_pass(&clock);
	for (uint32_t i = 0; i < 100 && clock.rate == 0; i++) {
		usleep(1000);
		clock_pass(&clock);
	}
	assert_true(apart(clock.rate, right) < right / 10);
}

static void simulated_time_stands_still(void **state)
{
	struct clock clock;

	clock_init(&clock);
	clock_set(&clock, (struct now){.wall_us = 5000000, .mono_us = 7000});
	assert_int_equal(clock_now_ns(&clock), 7000000);
	usleep(1000);
	assert_int_equal(clock_now_ns(&clock), 7000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_agrees_with_the_system),
		cmocka_unit_test(it_never_goes_back),
		cmocka_unit_test(a_wrong_rate_does_not_turn_it_back),
		cmocka_unit_test(a_wrong_rate_does_not_confirm_itself),
		cmocka_unit_test(a_counter_that_jumped_is_measured_anew),
		cmocka_unit_test(simulated_time_stands_still),
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
