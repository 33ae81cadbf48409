/* SPDX-License-Identifier: Apache-2.0 */
/* clean_test.c - which segment is cleaned next, whether any, and how fast. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/log/clean.h"

#define BYTES 1000u
#define NOW   1000000u

static struct clean_segment segment(uint32_t number, uint64_t live, uint64_t time)
{
	return (struct clean_segment){.segment = number, .full = BYTES, .live = live, .time = time};
}

/* The one of two that is chosen; UINT32_MAX: none. */
static uint32_t better(enum clean_policy policy, struct clean_segment a, struct clean_segment b)
{
	struct clean_choice choice;

	clean_choose(&choice, policy, NOW, 100);
	clean_offer(&choice, &a);
	clean_offer(&choice, &b);
	return choice.found ? choice.victim.segment : UINT32_MAX;
}

/* The paper's point: cold segments are cleaned at a higher use than hot ones. */
static void age_pays_for_use(void **state)
{
	struct clean_segment hot = segment(1, 400, NOW - 10), cold = segment(2, 750, NOW - 1000);

	assert_int_equal(better(CLEAN_BENEFIT, hot, cold), 2);
	assert_int_equal(better(CLEAN_BENEFIT, cold, hot), 2);
	assert_int_equal(better(CLEAN_GREEDY, hot, cold), 1);
	cold.time = hot.time;
	assert_int_equal(better(CLEAN_BENEFIT, hot, cold), 1);
	cold.time = 0; /* not known: the oldest there is */
	assert_int_equal(better(CLEAN_BENEFIT, hot, cold), 2);
}

/* The very formula, where two are equal but for a little: (1 - u) * age / (1 + u). */
static void benefit_over_cost(void **state)
{
	/* u 0.5, age 300: 100; u 0.2, age 150: 100. */
	assert_int_equal(
		better(CLEAN_BENEFIT, segment(1, 500, NOW - 301), segment(2, 200, NOW - 150)), 1);
	assert_int_equal(
		better(CLEAN_BENEFIT, segment(1, 500, NOW - 299), segment(2, 200, NOW - 150)), 2);
}

static void empty_ones_come_first(void **state)
{
	struct clean_segment behind = segment(2, BYTES, 1);

	behind.behind = CLEAN_NUMBERS_BEHIND;
	assert_int_equal(better(CLEAN_BENEFIT, segment(1, 0, NOW), segment(2, 1, 1)), 1);
	assert_int_equal(better(CLEAN_GREEDY, segment(1, 0, NOW), behind), 1);
	assert_int_equal(better(CLEAN_BENEFIT, behind, segment(1, 0, NOW)), 1);
}

static void numbers_that_run_out_come_next(void **state)
{
	struct clean_segment a = segment(1, BYTES, NOW), b = segment(2, BYTES, NOW);

	a.behind = CLEAN_NUMBERS_BEHIND;
	b.behind = CLEAN_NUMBERS_BEHIND + 1;
	assert_int_equal(better(CLEAN_BENEFIT, a, segment(3, 1, 1)), 1);
	assert_int_equal(better(CLEAN_BENEFIT, segment(3, 1, 1), a), 1);
	assert_int_equal(better(CLEAN_BENEFIT, a, b), 2);
	assert_int_equal(better(CLEAN_BENEFIT, b, a), 2);
	a.behind = CLEAN_NUMBERS_BEHIND - 1;
	assert_int_equal(better(CLEAN_BENEFIT, a, a), UINT32_MAX);
}

static void full_ones_are_not_worth_it(void **state)
{
	struct clean_segment it = segment(1, BYTES - BYTES / CLEAN_DEAD_SHARE + 1, 1);

	assert_false(clean_worthwhile(&it, 100));
	it.live--;
	assert_true(clean_worthwhile(&it, 100));
	assert_false(clean_worthwhile(&it, 80));
	it.live = 799;
	assert_true(clean_worthwhile(&it, 80));
	it.live = 800;
	assert_false(clean_worthwhile(&it, 80));
}

static void the_pace_is_kept(void **state)
{
	struct clean_pace pace = {.rate = 1000000};
	uint64_t now = 5000000, given = 0, end = now + 10000000, wait;

	while (now < end) {
		wait = clean_pace_take(&pace, now, 4096);
		given += wait ? 0 : 4096;
		now += wait;
	}
	/* Ten seconds, and the one that it holds. */
	assert_true(given <= 11 * 1000000 + 4096);
	assert_true(given >= 10 * 1000000);
	pace = (struct clean_pace){.rate = 100}; /* what is more than a second's worth fits, too */
	wait = clean_pace_take(&pace, 1000000, 4096);
	assert_true(wait > 0 && wait <= 41000000);
	for (uint64_t at = 1000000; wait; at += 1000000) {
		assert_true(at < 60000000);
		wait = clean_pace_take(&pace, at, 4096);
	}
	pace.rate = 0;
	assert_int_equal(clean_pace_take(&pace, 0, UINT64_MAX), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(age_pays_for_use),
		cmocka_unit_test(benefit_over_cost),
		cmocka_unit_test(empty_ones_come_first),
		cmocka_unit_test(numbers_that_run_out_come_next),
		cmocka_unit_test(full_ones_are_not_worth_it),
		cmocka_unit_test(the_pace_is_kept),
	};

	return cmocka_run_group_tests_name("clean", tests, NULL, NULL);
}
