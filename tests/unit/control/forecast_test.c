/* SPDX-License-Identifier: Apache-2.0 */
/* forecast_test.c - what a restart would read and how long that takes, by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/forecast.h"
#include "dataplane/worker_info.h"

#define MIB UINT64_C(1048576)

static struct forecast_facts facts_of(void)
{
	return (struct forecast_facts){
		.wall_us = 90000000,
		.recovered_bytes = 100 * MIB,
		.recovered_us = 500000,
		.keeps = true,
		.keeper = {.checkpoint_number = 7,
			   .checkpoint_bytes = 20 * MIB,
			   .checkpoint_wall_us = 60000000,
			   .tail_bytes = 30 * MIB,
			   .tail_bytes_max = 80 * MIB,
			   .live_bytes = 5 * MIB,
			   .log_bytes = 200 * MIB},
	};
}

static void checkpoint_and_tail_at_the_measured_rate(void **state)
{
	struct forecast_facts facts = facts_of();
	struct forecast forecast;

	forecast_make(&forecast, &facts);
	assert_true(forecast.measured);
	assert_int_equal(forecast.rate, 200 * MIB);
	assert_int_equal(forecast.bytes, 50 * MIB);
	assert_int_equal(forecast.us, 250000);
	assert_int_equal(forecast.bytes_max, 100 * MIB);
	assert_int_equal(forecast.us_max, 500000);
	facts.keeper.tail_bytes = 90 * MIB;
	forecast_make(&forecast, &facts);
	assert_int_equal(forecast.bytes_max, 110 * MIB);
	assert_int_equal(forecast.us_max, forecast.us);
}

static void a_small_recovery_tells_no_rate(void **state)
{
	struct forecast_facts facts = facts_of();
	struct forecast forecast;

	facts.recovered_bytes = FORECAST_BYTES_MIN - 1;
	facts.recovered_us = 1;
	forecast_make(&forecast, &facts);
	assert_false(forecast.measured);
	assert_int_equal(forecast.rate, FORECAST_RATE);
	facts.recovered_us = 0;
	facts.recovered_bytes = FORECAST_BYTES_MIN;
	forecast_make(&forecast, &facts);
	assert_false(forecast.measured);
}

static void without_checkpoints_all_logs_are_read(void **state)
{
	struct forecast_facts facts = facts_of();
	struct forecast forecast;

	facts.keeper.checkpoint_number = 0;
	facts.keeper.tail_bytes_max = UINT64_MAX;
	forecast_make(&forecast, &facts);
	assert_int_equal(forecast.bytes, 30 * MIB);
	assert_int_equal(forecast.bytes_max, UINT64_MAX);
	assert_int_equal(forecast.us_max, UINT64_MAX);
	facts.keeps = false;
	forecast_make(&forecast, &facts);
	assert_int_equal(forecast.bytes, 200 * MIB);
	assert_int_equal(forecast.bytes_max, UINT64_MAX);
}

static uint64_t line(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	assert_non_null(at);
	return strtoull(at + strlen(name), NULL, 10);
}

static void lines_have_names_and_one_width(void **state)
{
	static char lines[4096], later[4096];
	struct info_text text = {.at = lines, .room = sizeof(lines)};
	struct info_text second = {.at = later, .room = sizeof(later)};
	struct forecast_facts facts = facts_of();

	forecast_info(&facts, &text);
	assert_false(text.full);
	assert_int_equal(line(lines, "data_live_bytes "), 5 * MIB);
	assert_int_equal(line(lines, "\nrestart_bytes "), 50 * MIB);
	assert_int_equal(line(lines, "\nrestart_us_max "), 500000);
	assert_int_equal(line(lines, "\ncheckpoint_age_us "), 30000000);
	assert_int_equal(line(lines, "\ncheckpoint_number "), 7);
	facts.keeper.tail_bytes = facts.keeper.tail_bytes_max = UINT64_MAX;
	facts.keeper.error = -28;
	facts.keeper.kept_error = -5;
	forecast_info(&facts, &second);
	assert_int_equal(second.bytes, text.bytes);
	assert_int_equal(line(later, "\ncheckpoint_error "), 28);
	assert_int_equal(line(later, "\nclean_error "), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checkpoint_and_tail_at_the_measured_rate),
		cmocka_unit_test(a_small_recovery_tells_no_rate),
		cmocka_unit_test(without_checkpoints_all_logs_are_read),
		cmocka_unit_test(lines_have_names_and_one_width),
	};

	return cmocka_run_group_tests_name("forecast", tests, NULL, NULL);
}
