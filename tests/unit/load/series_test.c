/* SPDX-License-Identifier: Apache-2.0 */
/*
 * series_test.c - what ended falls into its second, whoever is slow; one thread plays both sides.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tools/load/series.h"

#define START  7000000123ull
#define SECOND 1000000000ull

static int set_up(void **state)
{
	*state = series_create(START, NULL);
	return *state ? 0 : -1;
}

static int tear_down(void **state)
{
	series_destroy(*state);
	return 0;
}

static void commit_at(struct series *series, uint64_t at_ns, uint64_t latency_ns)
{
	struct series_second *second = series_now(series, at_ns);

	second->committed++;
	latency_add(&second->latency, latency_ns);
}

static void to_the_nanosecond(void **state)
{
	static struct series_second sum;
	struct series *series = *state;

	memset(&sum, 0, sizeof(sum));
	commit_at(series, START - 5, 1000); /* a turn that was due before the run: its first */
	commit_at(series, START + SECOND - 1, 3000);
	assert_false(series_passed(series, 0));
	commit_at(series, START + SECOND, 500000);
	assert_true(series_passed(series, 0));
	assert_false(series_passed(series, 1));
	series_take(series, 0, &sum);
	assert_int_equal(sum.committed, 2);
	assert_int_equal(sum.latency.count, 2);
	assert_int_equal(sum.latency.max_ns, 3000);
	series_now(series, START + SECOND + 1)->aborted++;
	series_tick(series, START + 3 * SECOND); /* nothing in second 2 */
	assert_true(series_passed(series, 1) && series_passed(series, 2));
	assert_false(series_passed(series, 3));
	series_take(series, 1, &sum);
	assert_int_equal(sum.committed, 3);
	assert_int_equal(sum.aborted, 1);
	assert_int_equal(sum.latency.max_ns, 500000);
	memset(&sum, 0, sizeof(sum));
	series_take(series, 2, &sum);
	assert_int_equal(sum.committed + sum.latency.count, 0);
	assert_int_equal(series->late, 0);
}

static void every_member_is_taken(void **state)
{
	static struct series_second sum;
	struct series *series = *state;
	struct series_second *second = series_now(series, START);

	memset(&sum, 0, sizeof(sum));
	second->committed = 1;
	second->aborted = 20;
	second->failed = 300;
	second->unknown = 4000;
	second->errors = 50000;
	second->retries = 600000;
	second->resends = 7000000;
	for (int twice = 0; twice < 2; twice++)
		series_take(series, 0, &sum);
	assert_int_equal(sum.committed + sum.aborted + sum.failed + sum.unknown + sum.errors +
				 sum.retries + sum.resends,
			 7654321);
}

/* S2: more seconds than the ring holds, and the recording thread sleeps. */
static void nobody_records(void **state)
{
	enum { SECONDS = 3 * SERIES_RING };
	static struct series_second sum;
	struct series *series = *state;
	uint64_t total = 0, next = 0;

	for (uint64_t t = 0; t < SECONDS; t++)
		commit_at(series, START + t * SECOND, 1000);
	assert_int_equal(series->late, SECONDS - SERIES_RING);
	for (uint64_t t = 0; t < SERIES_RING - 1; t++) {
		memset(&sum, 0, sizeof(sum));
		assert_true(series_passed(series, t));
		series_take(series, next++, &sum);
		assert_int_equal(sum.committed, 1);
		total += sum.committed;
	}
	assert_false(series_passed(series, next));
	/* It has woken up: the next one is in time, as far as there is room. */
	commit_at(series, START + (SECONDS - 1) * SECOND, 1000);
	series_over(series);
	while (next <= series->second) {
		memset(&sum, 0, sizeof(sum));
		series_take(series, next++, &sum);
		total += sum.committed;
	}
	assert_int_equal(total, SECONDS + 1);
}

static void over_is_over(void **state)
{
	struct series *series = *state;

	commit_at(series, START, 1000);
	assert_false(series_passed(series, 0));
	series_over(series);
	assert_true(series_passed(series, 0));
	assert_true(series_passed(series, SERIES_OVER - 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(to_the_nanosecond, set_up, tear_down),
		cmocka_unit_test_setup_teardown(every_member_is_taken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nobody_records, set_up, tear_down),
		cmocka_unit_test_setup_teardown(over_is_over, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
