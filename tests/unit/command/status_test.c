/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status_test.c - INFO texts of workers become one table: counters summed, facts shown once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tools/command/status.h"

static void fill(struct status_table *table)
{
	*table = (struct status_table){.workers = 2};
	assert_true(
		status_take(table, 0, "version 0.1.0\nworker 0\ngets 5\ncommits 2\naborts 0\n"));
	assert_true(status_take(table, 1, "version 0.1.0\nworker 1\ngets 7\ncommits 1\naborts 0"));
	status_sum(table);
}

static const struct status_row *row(const struct status_table *table, const char *name)
{
	for (unsigned int i = 0; i < table->count; i++)
		if (!strcmp(table->rows[i].name, name))
			return &table->rows[i];
	fail_msg("no row %s", name);
	return NULL;
}

static void counters_are_summed(void **state)
{
	struct status_table table;

	fill(&table);
	assert_int_equal(table.count, 5);
	assert_true(row(&table, "gets")->counter);
	assert_int_equal(row(&table, "gets")->sum, 12);
	assert_int_equal(row(&table, "commits")->sum, 3);
	assert_false(row(&table, "worker")->counter);
	status_free(&table);
}

static void the_table_is_readable(void **state)
{
	struct status_table table;
	char text[2048] = "";
	FILE *file = fmemopen(text, sizeof(text), "w");

	fill(&table);
	status_print(&table, file, false);
	fclose(file);
	assert_non_null(strstr(text, "worker 0"));
	assert_non_null(strstr(text, "gets                               12"));
	assert_non_null(strstr(text, "version                         0.1.0\n"));
	assert_null(strstr(text, "aborts"));
	status_free(&table);
}

static void a_damaged_value_is_a_sentence(void **state)
{
	struct status_table table = {.workers = 2};
	char text[2048] = "";
	FILE *file = fmemopen(text, sizeof(text), "w");

	assert_true(status_take(&table, 0,
				"damaged_log 0\ndamaged_segment 0\ndamaged_offset 0\n"
				"damaged_key_bytes 0\ndamaged_key -    \n"));
	assert_true(status_take(&table, 1,
				"damaged_log   64\ndamaged_segment  26\ndamaged_offset  4242\n"
				"damaged_key_bytes 3\ndamaged_key 6b31   \n"));
	status_sum(&table);
	status_print(&table, file, false);
	fclose(file);
	assert_non_null(strstr(text, "worker 1: key 6b31... (hexadecimal), in log-064/seg-0000001a "
				     "at byte 4242."));
	assert_null(strstr(text, "worker 0: key"));
	assert_null(strstr(text, "damaged_"));
	status_free(&table);
}

static void json_has_the_node_and_its_workers(void **state)
{
	struct status_table table;
	cJSON *json;
	char *text;

	fill(&table);
	json = status_json(&table);
	text = cJSON_PrintUnformatted(json);
	assert_string_equal(text, "{\"node\":{\"version\":\"0.1.0\",\"gets\":12,\"commits\":3,"
				  "\"aborts\":0},\"workers\":[{\"version\":\"0.1.0\",\"worker\":0,"
				  "\"gets\":5,\"commits\":2,\"aborts\":0},{\"version\":\"0.1.0\","
				  "\"worker\":1,\"gets\":7,\"commits\":1,\"aborts\":0}]}");
	cJSON_free(text);
	cJSON_Delete(json);
	status_free(&table);
}

static void too_many_names_are_refused(void **state)
{
	struct status_table table = {.workers = 1};
	char line[32];

	for (int i = 0; i < STATUS_NAMES_MAX; i++) {
		snprintf(line, sizeof(line), "name%d 1\n", i);
		assert_true(status_take(&table, 0, line));
	}
	assert_false(status_take(&table, 0, "one_more 1\n"));
	assert_false(status_take(&table, 1, "name0 1\n"));
	status_free(&table);
}

static void broken_lines_are_passed_over(void **state)
{
	struct status_table table = {.workers = 1};

	assert_true(status_take(&table, 0, "alone\n\n lead 1\ngets 3\n"));
	assert_int_equal(table.count, 1);
	status_free(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters_are_summed),
		cmocka_unit_test(the_table_is_readable),
		cmocka_unit_test(a_damaged_value_is_a_sentence),
		cmocka_unit_test(json_has_the_node_and_its_workers),
		cmocka_unit_test(too_many_names_are_refused),
		cmocka_unit_test(broken_lines_are_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
