// SPDX-License-Identifier: Apache-2.0
/*
 * amount_test.c - numbers for people: three digits and a unit.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tools/telemetry/amount.h"

static char text[AMOUNT_BYTES];

static void counts(void **state)
{
	assert_string_equal(amount_count(text, 0), "0");
	assert_string_equal(amount_count(text, 0.001), "<0.01");
	assert_string_equal(amount_count(text, 0.25), "0.25");
	assert_string_equal(amount_count(text, 7.5), "7.5");
	assert_string_equal(amount_count(text, 9.994), "9.99");
	assert_string_equal(amount_count(text, 9.996), "10");
	assert_string_equal(amount_count(text, 99.96), "100");
	assert_string_equal(amount_count(text, 100), "100");
	assert_string_equal(amount_count(text, 999.4), "999");
	assert_string_equal(amount_count(text, 999.6), "1k");
	assert_string_equal(amount_count(text, 1234), "1.23k");
	assert_string_equal(amount_count(text, 45600000), "45.6M");
	assert_string_equal(amount_count(text, 1e13), "10T");
}

/* What is not known is not a number. */
static void unknown(void **state)
{
	assert_string_equal(amount_count(text, -1), "-");
	assert_string_equal(amount_count(text, (double)NAN), "-");
	assert_string_equal(amount_count(text, (double)INFINITY), "-");
	assert_string_equal(amount_share(text, 0, 0), "-");
}

static void units(void **state)
{
	assert_string_equal(amount_bytes(text, 0), "0B");
	assert_string_equal(amount_bytes(text, 1230000), "1.23MB");
	assert_string_equal(amount_time(text, 850), "850ns");
	assert_string_equal(amount_time(text, 12340), "12.3us");
	assert_string_equal(amount_time(text, 95000000), "95ms");
	assert_string_equal(amount_time(text, 68719000000), "68.7s");
	assert_string_equal(amount_time(text, UINT64_MAX), "18446744074s");
	assert_string_equal(amount_share(text, 1, 3), "33.3%");
	assert_string_equal(amount_share(text, 3, 3), "100%");
}

static void spans(void **state)
{
	assert_string_equal(amount_span(text, 42), "42s");
	assert_string_equal(amount_span(text, 7 * 60 + 2), "7m02s");
	assert_string_equal(amount_span(text, 3 * 3600 + 5 * 60), "3h05m");
	assert_string_equal(amount_span(text, 12 * 86400 + 4 * 3600), "12d04h");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts),
		cmocka_unit_test(unknown),
		cmocka_unit_test(units),
		cmocka_unit_test(spans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
