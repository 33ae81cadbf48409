/* SPDX-License-Identifier: Apache-2.0 */
/* hlc_test.c - the clock that numbers versions never goes back, and follows the wall when it can.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/core/hlc.h"

static void follows_the_wall(void **state)
{
	struct hlc clock = {0};

	assert_int_equal(hlc_next(&clock, 1000), 1000ull << HLC_COUNT_BITS);
	assert_int_equal(hlc_next(&clock, 1001), 1001ull << HLC_COUNT_BITS);
}

static void counts_within_a_microsecond_and_when_the_wall_goes_back(void **state)
{
	struct hlc clock = {0};
	uint64_t first = hlc_next(&clock, 1000);

	assert_int_equal(hlc_next(&clock, 1000), first + 1);
	assert_int_equal(hlc_next(&clock, 10), first + 2);
	assert_int_equal(hlc_next(&clock, 1001), 1001ull << HLC_COUNT_BITS);
}

static void goes_above_what_it_saw(void **state)
{
	struct hlc clock = {0};

	hlc_see(&clock, 5000ull << HLC_COUNT_BITS);
	hlc_see(&clock, 1);
	assert_int_equal(hlc_next(&clock, 10), (5000ull << HLC_COUNT_BITS) + 1);
}

static void versions_are_ordered_by_time_then_origin(void **state)
{
	struct vnum a = {1, 9}, b = {2, 1}, c = {2, 2};

	assert_true(vnum_less(a, b) && vnum_less(b, c) && vnum_less(a, c));
	assert_false(vnum_less(b, a) || vnum_less(c, b) || vnum_less(a, a));
	assert_true(vnum_equal(b, b));
	assert_false(vnum_equal(b, c) || vnum_equal(a, b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_the_wall),
		cmocka_unit_test(counts_within_a_microsecond_and_when_the_wall_goes_back),
		cmocka_unit_test(goes_above_what_it_saw),
		cmocka_unit_test(versions_are_ordered_by_time_then_origin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
