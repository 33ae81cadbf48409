/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_test.c - a snapshot's JSON, read back: every number under its name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "telemetry/json.h"
#include "telemetry/names.h"
#include "tests/unit/telemetry/made.h"

#define WORKERS 2

static struct snapshot *made;

/* Printed and read back, as others read it. */
static cJSON *json_of(bool buckets)
{
	cJSON *written = snapshot_json(made, "/sys/fs/bpf/abaft", buckets), *read;
	char *text = cJSON_PrintUnformatted(written);

	assert_non_null(text);
	read = cJSON_Parse(text);
	assert_non_null(read);
	cJSON_free(text);
	cJSON_Delete(written);
	return read;
}

static const cJSON *at(const cJSON *from, const char *name)
{
	const cJSON *found = cJSON_GetObjectItemCaseSensitive(from, name);

	if (found == NULL)
		fail_msg("there is no \"%s\"", name);
	return found;
}

static void is(const cJSON *from, const char *name, uint64_t want)
{
	assert_true(cJSON_IsNumber(at(from, name)));
	if (at(from, name)->valuedouble != (double)want)
		fail_msg("\"%s\" is %f, not %llu", name, at(from, name)->valuedouble,
			 (unsigned long long)want);
}

static void holds_worker(const cJSON *json, const struct scrape_worker *worker)
{
	const struct op_counter *op = (const void *)&worker->ops;
	const cJSON *one;

	for (uint32_t g = 0; g < COUNTER_GROUPS; g++) {
		one = at(json, g == 0 ? "counters" : counter_groups[g].name);
		assert_int_equal(cJSON_GetArraySize(one), counter_groups[g].count);
		for (uint32_t i = 0; i < counter_groups[g].count; i++)
			is(one, counter_groups[g].names[i].name,
			   counter_at((const uint8_t *)worker + counter_groups[g].offset, i));
	}
	for (uint32_t i = 0; i < op_names_count; i++) {
		one = at(at(json, "ops"), op_names[i].name);
		is(one, "count", op[i].count);
		is(one, "bytes", op[i].bytes);
		is(at(one, "errors"), "NOT_FOUND", op[i].errors.NOT_FOUND);
	}
	one = at(at(json, "histograms"), "service");
	assert_string_equal(at(one, "unit")->valuestring, "ns");
	is(one, "count", worker->histogram[HISTOGRAM_service].count);
	is(one, "sum", worker->histogram[HISTOGRAM_service].sum);
	is(one, "max", worker->histogram[HISTOGRAM_service].max);
	is(one, "p50", histogram_quantile(&worker->histogram[HISTOGRAM_service], 0.5));
	is(one, "p99.9", histogram_quantile(&worker->histogram[HISTOGRAM_service], 0.999));
	assert_string_equal(at(at(at(json, "histograms"), "log_group"), "unit")->valuestring,
			    "records");
	is(at(at(json, "kernel"), "run_delay"), "count", worker->kernel[HISTOGRAM_run_delay].count);
}

static void every_number_has_its_name(void **state)
{
	struct scrape_worker *sum = aligned_alloc(64, sizeof(*sum));
	cJSON *json = json_of(false);

	snapshot_sum(made, sum);
	assert_true(at(json, "time")->valuedouble == 1795961489.363246);
	assert_string_equal(at(json, "pin_dir")->valuestring, "/sys/fs/bpf/abaft");
	assert_true(cJSON_IsTrue(at(json, "alive")));
	is(at(json, "node"), "pid", 4711);
	is(at(json, "node"), "workers", WORKERS);
	assert_string_equal(at(at(json, "node"), "data_dir")->valuestring, "/var/lib/abaft");
	assert_int_equal(cJSON_GetArraySize(at(json, "workers")), WORKERS);
	for (int w = 0; w < WORKERS; w++) {
		is(cJSON_GetArrayItem(at(json, "workers"), w), "worker", (uint64_t)w);
		holds_worker(cJSON_GetArrayItem(at(json, "workers"), w), &made->worker[w]);
	}
	holds_worker(at(json, "total"), sum);
	cJSON_Delete(json);
	free(sum);
}

static void the_engine_has_its_names(void **state)
{
	cJSON *json = json_of(false);
	const cJSON *engine = at(json, "engine");

	assert_string_equal(at(engine, "name")->valuestring, "redis");
	for (uint32_t i = 0; i < engine_names_count; i++)
		is(engine, engine_names[i].name, counter_at(&made->engine, i));
	is(engine, "error", made->engine.error);
	cJSON_Delete(json);
	made->has_engine = false;
	json = json_of(false);
	assert_true(cJSON_IsNull(at(json, "engine")));
	cJSON_Delete(json);
}

static void the_kernel_side_has_its_names(void **state)
{
	cJSON *json = json_of(false);
	const cJSON *steer = at(json, "steer"), *one;

	is(at(steer, "packets"), "redirected", made->steer.redirected);
	is(at(steer, "bytes"), "drop_length", made->steer_bytes.drop_length);
	assert_int_equal(cJSON_GetArraySize(at(steer, "tenants")), 2);
	one = cJSON_GetArrayItem(at(steer, "tenants"), 1);
	is(one, "tenant", 42);
	is(one, "packets", 20);
	is(one, "bytes", 3000);
	one = cJSON_GetArrayItem(at(json, "thieves"), 0);
	is(one, "worker", 0);
	is(one, "pid", 77);
	is(one, "count", 3);
	is(one, "ns", 5000000000);
	assert_string_equal(at(one, "comm")->valuestring, "a\"b\\c");
	one = cJSON_GetArrayItem(at(json, "softirqs"), 0);
	is(one, "cpu", 5);
	is(at(one, "net_rx"), "count", made->softirqs[0].softirqs.net_rx.count);
	is(at(one, "rcu"), "ns", made->softirqs[0].softirqs.rcu.ns);
	cJSON_Delete(json);
}

static void what_is_not_there_is_null(void **state)
{
	cJSON *json;

	made->has_steer = made->has_thieves = made->has_softirqs = made->alive = false;
	memset(made->has_kernel, 0, sizeof(made->has_kernel));
	memset(&made->worker[0].ops.get.errors, 0, sizeof(made->worker[0].ops.get.errors));
	made->worker[0].ops.get.errors.BUSY = 4;
	json = json_of(false);
	assert_true(cJSON_IsNull(at(json, "steer")));
	assert_true(cJSON_IsNull(at(json, "thieves")));
	assert_true(cJSON_IsNull(at(json, "softirqs")));
	assert_true(cJSON_IsFalse(at(json, "alive")));
	assert_int_equal(cJSON_GetArraySize(at(at(json, "total"), "kernel")), 0);
	const cJSON *errors =
		at(at(at(cJSON_GetArrayItem(at(json, "workers"), 0), "ops"), "get"), "errors");

	assert_int_equal(cJSON_GetArraySize(errors), 1);
	is(errors, "BUSY", 4);
	cJSON_Delete(json);
}

static void buckets_are_those_that_are_not_empty(void **state)
{
	cJSON *json = json_of(true);
	const cJSON *one = at(at(at(json, "total"), "histograms"), "handover"), *row;
	double sum = 0, end = 0;

	cJSON_ArrayForEach(row, at(one, "buckets"))
	{
		double low = cJSON_GetArrayItem(row, 0)->valuedouble;
		double count = cJSON_GetArrayItem(row, 2)->valuedouble;

		assert_int_equal(cJSON_GetArraySize(row), 3);
		assert_true(low >= end && count > 0);
		end = cJSON_GetArrayItem(row, 1)->valuedouble;
		assert_true(end > low && end - low <= (low < 32 ? 1 : low / 32));
		sum += count;
	}
	assert_true(sum > 0 && sum == at(one, "count")->valuedouble);
	cJSON_Delete(json);
	json = json_of(false);
	one = at(at(at(json, "total"), "histograms"), "handover");
	assert_null(cJSON_GetObjectItem(one, "buckets"));
	cJSON_Delete(json);
}

static int make(void **state)
{
	made = made_snapshot(WORKERS, 11);
	return 0;
}

static int unmake(void **state)
{
	free(made);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_number_has_its_name, make, unmake),
		cmocka_unit_test_setup_teardown(the_engine_has_its_names, make, unmake),
		cmocka_unit_test_setup_teardown(the_kernel_side_has_its_names, make, unmake),
		cmocka_unit_test_setup_teardown(what_is_not_there_is_null, make, unmake),
		cmocka_unit_test_setup_teardown(buckets_are_those_that_are_not_empty, make, unmake),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
