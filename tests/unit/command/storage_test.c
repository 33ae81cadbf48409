/* SPDX-License-Identifier: Apache-2.0 */
/* storage_test.c - facts of a node become sentences of its disk, and faults say what to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/command/storage.h"

static const char healthy[] =
	"cache_values 100\ncache_bytes 1048576\ncache_hits 750\nfetches 200\nfetches_joined 50\n"
	"log_record_bytes 4000\nlog_error 0\nlog_no_room 0\nlog_stalled_us 0\n"
	"data_live_bytes 5242880\ndata_disk_bytes 10485760\ndata_disk_bytes_max 20971520\n"
	"restart_us 250000\nrestart_us_max 1500000\nrestart_rate 209715200\n"
	"restart_rate_measured 0\ncheckpoint_number 12\ncheckpoint_bytes 2097152\n"
	"checkpoint_age_us 61000000\ncheckpoint_tail_bytes 3145728\ncheckpoints_bytes 1000\n"
	"cleaned_segments 3\ncleaned_bytes 8388608\nkept_bytes 2000\n";
static const char second[] = "cache_values 1\ncache_bytes 1048576\ncache_hits 250\nfetches 0\n"
			     "log_record_bytes 2000\n";

static char printed[4096];

/* Prints the node of these two workers, each with `more`. */
static struct status_table tell(const char *first, const char *more)
{
	struct status_table table = {.workers = 2};
	FILE *file = fmemopen(printed, sizeof(printed), "w");

	memset(printed, 0, sizeof(printed));
	assert_true(status_take(&table, 0, first) && status_take(&table, 0, more));
	assert_true(status_take(&table, 1, second) && status_take(&table, 1, more));
	status_sum(&table);
	storage_print(&table, file);
	fclose(file);
	return table;
}

static void says(const char *what)
{
	if (strstr(printed, what) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", printed, what);
}

static void a_healthy_node_in_sentences(void **state)
{
	struct status_table table = tell(healthy, "");

	says("data        5.0 MiB live, 10.0 MiB on disk of 20.0 MiB\n");
	says("cache       101 large values, 2.0 MiB; 80.0 % of reads of large values hit it\n");
	says("checkpoint  12, 2.0 MiB, begun 61 s ago\n");
	says("restart     now reads 2.0 MiB of checkpoint and 3.0 MiB of log: about 0.2 s; "
	     "at most 1.5 s (at 200 MiB/s, assumed)\n");
	says("cleaning    3 segments, 8.0 MiB, of which 0.0 MiB were kept; 1.50 bytes written "
	     "for each of a commit's\n");
	says("faults      none\n");
	status_free(&table);
}

static void without_checkpoints_there_is_no_bound(void **state)
{
	struct status_table table =
		tell("data_live_bytes 1048576\ndata_disk_bytes 2097152\nrestart_us 10000000\n"
		     "restart_us_max 18446744073709551615\nrestart_rate 1048576\n"
		     "restart_rate_measured 1\n",
		     "");

	says("data        1.0 MiB live, 2.0 MiB on disk\n");
	says("checkpoint  none is written (checkpoint = 0)\n");
	says("restart     now reads 2.0 MiB of log: about 10.0 s; no bound without checkpoints (at "
	     "1 MiB/s, as the last start did)\n");
	assert_null(strstr(printed, "cleaning"));
	status_free(&table);
}

static void an_engine_that_fails_is_a_sentence(void **state)
{
	static char first[sizeof(healthy) + 256];
	struct status_table table;

	snprintf(first, sizeof(first),
		 "%sengine_failing_us 42000000\nengine_error 111\n"
		 "engine_why 10.0.0.7:6379: connection refused      \nengine_lag_error 116\n",
		 healthy);
	table = tell(first, "");
	says("the storage engine fails since 42 s: 10.0.0.7:6379: connection refused\n");
	says("the storage engine gets no more of the logs (another node writes there) until a");
	status_free(&table);
	snprintf(first, sizeof(first), "%sengine_failing_us 0\nengine_why -    \n", healthy);
	table = tell(first, "");
	says("faults      none\n");
	status_free(&table);
}

static void faults_are_sentences(void **state)
{
	struct status_table table;

	table = tell(healthy, "log_error 5\n");
	says("fault       log-000 failed (Input/output error): all commits get LOG_FAILED");
	says("fault       log-001 failed");
	assert_null(strstr(printed, "faults      none"));
	status_free(&table);
	table = tell(healthy, "log_error 28\nlog_no_room 28\n");
	says("fault       log-000 is full: its commits get NO_SPACE");
	status_free(&table);
	table = tell(healthy, "log_error 28\nlog_no_room 30\nlog_stalled_us 2500000\n");
	says("fault       log-001 cannot be made longer (Read-only file system)");
	says("fault       log-000 has waited 2.5 s for the disk");
	status_free(&table);
	table = tell(healthy, "fetches_corrupt 2\nfetches_failed 1\ncheckpoint_error 28\n"
			      "clean_error 5\n"
			      "clean_damaged_segments 1\nclean_damaged_bytes 1048576\n"
			      "damaged_log 1\ndamaged_segment 18\ndamaged_offset 4096\n"
			      "damaged_key_bytes 3\ndamaged_key 6b0031          \n");
	says("fault       4 values that were read since the start are damaged on disk");
	says("fault       damaged: log-001 segment 00000012 byte 4096, key \"k\\x001\" (3 bytes)");
	says("fault       2 reads since the start failed");
	says("fault       the last checkpoint could not be written (No space left on device)");
	says("fault       the log of what cleaning keeps failed (Input/output error)");
	says("fault       1 segments cannot be cleaned: 1.0 MiB");
	status_free(&table);
}

static void json_has_numbers_and_faults(void **state)
{
	struct status_table table = tell(healthy, "log_error 5\n");
	cJSON *json = status_json(&table);
	cJSON *storage = cJSON_GetObjectItem(json, "storage");

	assert_non_null(storage);
	assert_int_equal(cJSON_GetObjectItem(storage, "checkpoint")->valueint, 12);
	assert_true(cJSON_GetObjectItem(storage, "write_amplification")->valuedouble == 1.5);
	assert_true(cJSON_GetObjectItem(storage, "restart_s_max")->valuedouble == 1.5);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(storage, "faults")), 2);
	cJSON_Delete(json);
	status_free(&table);
}

static void a_node_that_tells_nothing_is_borne(void **state)
{
	struct status_table table = tell("gets 1\n", "");

	assert_string_equal(printed, "");
	assert_null(storage_json(&table));
	status_free(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_healthy_node_in_sentences),
		cmocka_unit_test(without_checkpoints_there_is_no_bound),
		cmocka_unit_test(an_engine_that_fails_is_a_sentence),
		cmocka_unit_test(faults_are_sentences),
		cmocka_unit_test(json_has_numbers_and_faults),
		cmocka_unit_test(a_node_that_tells_nothing_is_borne),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
