/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timers_test.c - the heap of timers against a plain search.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "client/timers.h"

#define COUNT 300

static struct timer all[COUNT];

static struct timer *earliest(void)
{
	struct timer *first = NULL;

	for (int i = 0; i < COUNT; i++) {
		if (all[i].at && (!first || all[i].due_us < first->due_us))
			first = &all[i];
	}
	return first;
}

static void first_is_the_earliest(void **state)
{
	struct timers timers;
	unsigned int random = 1;

	assert_int_equal(timers_create(&timers, COUNT), 0);
	assert_null(timers_first(&timers));
	for (int i = 0; i < 20000; i++) {
		struct timer *timer = &all[rand_r(&random) % COUNT];

		if (rand_r(&random) % 3)
			timers_set(&timers, timer, (uint64_t)rand_r(&random) % 1000);
		else
			timers_remove(&timers, timer);
		if (earliest())
			assert_int_equal(timers_first(&timers)->due_us, earliest()->due_us);
		else
			assert_null(timers_first(&timers));
	}
	while (timers_first(&timers)) {
		assert_int_equal(timers_first(&timers)->due_us, earliest()->due_us);
		timers_remove(&timers, timers_first(&timers));
	}
	assert_null(earliest());
	timers_destroy(&timers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(first_is_the_earliest)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
