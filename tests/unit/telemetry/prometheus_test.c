/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prometheus_test.c - the page for Prometheus, line by line, and by promtool where it is installed.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "telemetry/names.h"
#include "telemetry/prometheus.h"
#include "tests/unit/telemetry/made.h"

static struct snapshot *made;
static struct prometheus_text page;

static void write_page(uint32_t workers)
{
	made = made_snapshot(workers, 23);
	assert_int_equal(prometheus_write(&page, made), 0);
	assert_int_equal(strlen(page.data), page.bytes);
}

static int unmake(void **state)
{
	free(made);
	made = NULL;
	prometheus_free(&page);
	return 0;
}

/* What stands behind a line's name and labels. */
static const char *value_of(const char *series)
{
	const char *found = page.data;
	size_t bytes = strlen(series);

	while ((found = strstr(found, series)) != NULL) {
		if ((found == page.data || found[-1] == '\n') && found[bytes] == ' ')
			return found + bytes + 1;
		found++;
	}
	fail_msg("there is no %s", series);
	return NULL;
}

static void is(const char *series, const char *want)
{
	const char *have = value_of(series);

	if (strncmp(have, want, strlen(want)) != 0 || have[strlen(want)] != '\n')
		fail_msg("%s is %.24s, not %s", series, have, want);
}

static void is_number(const char *series, uint64_t want)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, want);
	is(series, text);
}

static void counters_and_gauges(void **state)
{
	char text[64];

	write_page(2);
	is("abaft_up{node=\"3\"}", "1");
	is("abaft_build_info{node=\"3\",version=\"0.1.0\",layout=\"1\"}", "1");
	is("abaft_start_time_seconds{node=\"3\"}", "1795960000.123456");
	is_number("abaft_worker_frames_total{node=\"3\",worker=\"1\"}",
		  made->worker[1].worker.frames);
	is_number("abaft_core_outcomes_evicted_total{node=\"3\",worker=\"0\"}",
		  made->worker[0].node.outcomes_evicted);
	is_number("abaft_core_txns_open{node=\"3\",worker=\"0\"}", made->worker[0].node.txns_open);
	is_number("abaft_log_segments{node=\"3\",worker=\"1\"}", made->worker[1].log.segments);
	is_number("abaft_op_requests_total{node=\"3\",worker=\"1\",op=\"put\"}",
		  made->worker[1].ops.put.count);
	is_number("abaft_op_bytes_total{node=\"3\",worker=\"1\",op=\"put\"}",
		  made->worker[1].ops.put.bytes);
	is_number("abaft_op_errors_total{node=\"3\",worker=\"1\",op=\"get\",error=\"CORRUPT\"}",
		  made->worker[1].ops.get.errors.CORRUPT);
	assert_non_null(strstr(page.data, "# TYPE abaft_core_txns_open gauge\n"));
	assert_non_null(strstr(page.data, "# TYPE abaft_core_gets_total counter\n"));
	assert_non_null(strstr(page.data, "# HELP abaft_core_gets_total keys read\n"));
	/* Counted in microseconds, told in seconds, to the last digit. */
	prometheus_free(&page);
	made->worker[1].log.stalled_us = 1230004;
	made->alive = false;
	assert_int_equal(prometheus_write(&page, made), 0);
	is("abaft_log_stalled_seconds{node=\"3\",worker=\"1\"}", "1.230004");
	is("abaft_up{node=\"3\"}", "0");
	snprintf(text, sizeof(text), "stalled_us");
	assert_null(strstr(page.data, text));
}

static void the_kernel_side(void **state)
{
	write_page(2);
	is_number("abaft_steer_packets_total{node=\"3\",reason=\"pass_other_port\"}",
		  made->steer.pass_other_port);
	is_number("abaft_steer_bytes_total{node=\"3\",reason=\"redirected\"}",
		  made->steer_bytes.redirected);
	is("abaft_tenant_packets_total{node=\"3\",tenant=\"42\"}", "20");
	is("abaft_tenant_bytes_total{node=\"3\",tenant=\"42\"}", "3000");
	/* Two threads of one name are one; quotes and backslashes are escaped. */
	is("abaft_thief_seconds_total{node=\"3\",worker=\"0\",comm=\"a\\\"b\\\\c\"}",
	   "5.000000001");
	is("abaft_thief_runs_total{node=\"3\",worker=\"0\",comm=\"a\\\"b\\\\c\"}", "7");
	is("abaft_thief_runs_total{node=\"3\",worker=\"1\",comm=\"bash\"}", "2");
	is_number("abaft_softirq_runs_total{node=\"3\",cpu=\"5\",softirq=\"net_rx\"}",
		  made->softirqs[0].softirqs.net_rx.count);
	is_number("abaft_run_delay_seconds_count{node=\"3\",worker=\"0\"}",
		  made->worker[0].kernel[HISTOGRAM_run_delay].count);
	prometheus_free(&page);
	made->has_kernel[HISTOGRAM_run_delay] = made->has_steer = made->has_thieves =
		made->has_softirqs = false;
	assert_int_equal(prometheus_write(&page, made), 0);
	assert_null(strstr(page.data, "abaft_run_delay"));
	assert_non_null(strstr(page.data, "abaft_preempted_seconds_count"));
	assert_null(strstr(page.data, "abaft_steer"));
	assert_null(strstr(page.data, "abaft_thief"));
	assert_null(strstr(page.data, "abaft_softirq"));
}

static void the_storage_engine(void **state)
{
	write_page(2);
	is_number("abaft_engine_round_trips_total{node=\"3\",engine=\"redis\"}",
		  made->engine.round_trips);
	is_number("abaft_engine_failed_total{node=\"3\",engine=\"redis\"}", made->engine.failed);
	is_number("abaft_engine_open{node=\"3\",engine=\"redis\"}", made->engine.open);
	assert_non_null(strstr(page.data, "# TYPE abaft_engine_open gauge\n"));
	prometheus_free(&page);
	made->engine.failing_us = 2500000;
	made->engine.error = 110;
	assert_int_equal(prometheus_write(&page, made), 0);
	is("abaft_engine_failing_seconds{node=\"3\",engine=\"redis\"}", "2.5");
	is("abaft_engine_error{node=\"3\",engine=\"redis\"}", "110");
	prometheus_free(&page);
	made->has_engine = false;
	assert_int_equal(prometheus_write(&page, made), 0);
	assert_null(strstr(page.data, "abaft_engine_open"));
}

/* Every bucket counts exactly the numbers that are not above its bound. */
static void buckets_hold_what_their_bounds_say(void **state)
{
	static uint64_t numbers[3000];
	struct histogram *histogram;
	uint64_t seed = 77, sum = 0;
	const char *line;
	int bounds = 0;

	made = made_snapshot(1, 23);
	histogram = &made->worker[0].histogram[HISTOGRAM_service];
	memset(histogram, 0, sizeof(*histogram));
	for (uint32_t i = 0; i < 3000; i++) {
		numbers[i] = i == 0   ? UINT64_C(1) << 40
			     : i < 60 ? UINT64_C(1) << (i / 2)
				      : made_time(&seed);
		sum += numbers[i];
		histogram_add(histogram, numbers[i]);
	}
	assert_int_equal(prometheus_write(&page, made), 0);
	for (line = page.data; (line = strstr(line, "\nabaft_service_seconds_bucket{")) != NULL;
	     line++) {
		const char *le = strstr(line, "le=\"") + 4;
		uint64_t bound = UINT64_MAX, count = 0;

		if (strncmp(le, "+Inf", 4) != 0)
			bound = (uint64_t)(strtod(le, NULL) * 1e9 + 0.5);
		for (uint32_t i = 0; i < 3000; i++)
			count += numbers[i] <= bound;
		assert_int_equal(strtoull(strstr(le, "} ") + 2, NULL, 10), count);
		bounds++;
	}
	assert_int_equal(bounds, 30);
	is("abaft_service_seconds_count{node=\"3\",worker=\"0\"}", "3000");
	assert_true(strtod(value_of("abaft_service_seconds_sum{node=\"3\",worker=\"0\"}"), NULL) ==
		    (double)sum / 1e9);
}

static void small_numbers_have_bounds_of_their_own(void **state)
{
	struct histogram *histogram;

	made = made_snapshot(1, 23);
	histogram = &made->worker[0].histogram[HISTOGRAM_log_group];
	memset(histogram, 0, sizeof(*histogram));
	for (uint64_t n = 1; n <= 8; n++)
		histogram_add(histogram, n);
	assert_int_equal(prometheus_write(&page, made), 0);
	is("abaft_log_group_records_bucket{node=\"3\",worker=\"0\",le=\"1\"}", "1");
	is("abaft_log_group_records_bucket{node=\"3\",worker=\"0\",le=\"3\"}", "3");
	is("abaft_log_group_records_bucket{node=\"3\",worker=\"0\",le=\"7\"}", "7");
	is("abaft_log_group_records_bucket{node=\"3\",worker=\"0\",le=\"4095\"}", "8");
	is("abaft_log_group_records_sum{node=\"3\",worker=\"0\"}", "36");
}

/* Each metric has its HELP and TYPE, once, and all of its samples behind them. */
static void samples_stand_behind_their_head(void **state)
{
	char metric[96] = "", seen[64 << 10] = "";
	const char *line;
	uint32_t samples = 0;

	write_page(3);
	for (line = page.data; *line != '\0'; line = strchr(line, '\n') + 1) {
		char name[96], padded[100];

		if (sscanf(line, "# HELP %95s", name) == 1) {
			snprintf(padded, sizeof(padded), " %s ", name);
			assert_null(strstr(seen, padded));
			memcpy(seen + strlen(seen), padded, strlen(padded) + 1);
			memcpy(metric, name, sizeof(metric));
			line = strchr(line, '\n') + 1;
			assert_int_equal(sscanf(line, "# TYPE %95s", name), 1);
			assert_string_equal(name, metric);
			continue;
		}
		assert_int_equal(strncmp(line, metric, strlen(metric)), 0);
		assert_non_null(strchr("{_", line[strlen(metric)]));
		samples++;
	}
	assert_true(samples > 3 * 500);
}

static void the_largest_node_fits(void **state)
{
	write_page(ABAFT_WORKERS_MAX);
	print_message("# %u workers: %zu bytes\n", ABAFT_WORKERS_MAX, page.bytes);
	assert_true(page.bytes < PROMETHEUS_BYTES_MAX / 2);
	/* And what would be too much is refused. */
	for (int i = 0; i < 8 && page.err == 0; i++)
		(void)!prometheus_write(&page, made);
	assert_int_equal(page.err, -E2BIG);
	assert_true(page.room <= PROMETHEUS_BYTES_MAX);
}

static void without_maps_it_says_why(void **state)
{
	struct telemetry_node node = {.node = 3, .workers = 2, .layout = 1, .version = "0.1.0"};

	assert_int_equal(prometheus_write_bare(&page, &node, "telemetry = no\nabaft_up 7"), 0);
	is("abaft_up{node=\"3\"}", "1");
	assert_non_null(strstr(page.data, "telemetry = no abaft_up 7\n"));
}

static void promtool_has_nothing_to_say(void **state)
{
	FILE *promtool;

	if (system("command -v promtool >/dev/null") != 0) {
		print_message("# promtool is not installed (package prometheus)\n");
		skip();
	}
	write_page(2);
	promtool = popen("promtool check metrics 2>&1 | grep . >&2 && exit 1 || exit 0", "w");
	assert_non_null(promtool);
	assert_int_equal(fwrite(page.data, 1, page.bytes, promtool), page.bytes);
	assert_int_equal(pclose(promtool), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(counters_and_gauges, unmake),
		cmocka_unit_test_teardown(the_kernel_side, unmake),
		cmocka_unit_test_teardown(the_storage_engine, unmake),
		cmocka_unit_test_teardown(buckets_hold_what_their_bounds_say, unmake),
		cmocka_unit_test_teardown(small_numbers_have_bounds_of_their_own, unmake),
		cmocka_unit_test_teardown(samples_stand_behind_their_head, unmake),
		cmocka_unit_test_teardown(the_largest_node_fits, unmake),
		cmocka_unit_test_teardown(without_maps_it_says_why, unmake),
		cmocka_unit_test_teardown(promtool_has_nothing_to_say, unmake),
	};

	return cmocka_run_group_tests_name("prometheus", tests, NULL, NULL);
}
