/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_test.c - whole requests through node_execute(), over a log that the test makes durable.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/node_bed.h"

static int setup(void **state)
{
	static struct bed bed;

	bed_defaults(&bed, 2);
	bed_open(&bed);
	*state = &bed;
	return 0;
}

static int teardown(void **state)
{
	bed_close(*state);
	return 0;
}

static void commits_and_reads_across_workers(void **state)
{
	struct bed *bed = *state;
	char text[32];

	assert_int_equal(bed_put2(bed, 0, "a", "b", "one"), ABAFT_OK);
	bed_get(bed, 1, "a", text, sizeof(text));
	assert_string_equal(text, "one");
	bed_get(bed, 0, "b", text, sizeof(text));
	assert_string_equal(text, "one");
	assert_int_equal(bed_counters(bed, 0)->commits, 1);
	assert_int_equal(bed_counters(bed, 1)->commits_read_only, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(commits_and_reads_across_workers, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
