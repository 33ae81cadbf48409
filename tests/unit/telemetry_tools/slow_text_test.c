// SPDX-License-Identifier: Apache-2.0
/*
 * slow_text_test.c - a slow transaction as a line and as JSON.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include "tools/telemetry/slow_text.h"

static const struct slow_txn txn = {
	.sequence = 9,
	.unix_us = UINT64_C(1790000000123456),
	.id = {0x01, 0xa2, 0x27, 0xa5, 0xf6, 0x85, 0x7e, 0xb6, 0x80, 0xd7, 0xcb, 0xe2, 0xbc, 0x6e,
	       0xf8, 0x16},
	.worker = 1,
	.step = 2,
	.attempt = 3,
	.ops = 4,
	.status = 0,
	.request_bytes = 300,
	.answer_bytes = 60,
	.ended = 1,
	.phase_ns = {.open = 5000000,
		     .arrival = 12000,
		     .service = 8000,
		     .log_wait = 1200000,
		     .device = 95000000,
		     .publish = 3000,
		     .reply = 20000},
};

#define ID "01a227a5-f685-7eb6-80d7-cbe2bc6ef816"

static void line(void **state)
{
	char text[SLOW_LINE_BYTES];

	slow_line(&txn, text);
	assert_string_equal(text, "2026-09-21 14:13:20.123  " ID "  worker 1  step 2 attempt 3  "
				  "4 ops  OK, ended  open for 5ms  96.2ms: arrival 12us | service "
				  "8us | log_wait 1.2ms | device 95ms | publish 3us | reply 20us");
}

/* Went on, refused, nothing but a value's way from disk. */
static void line_of_a_step(void **state)
{
	struct slow_txn other = txn;
	char text[SLOW_LINE_BYTES];

	other.ended = 0;
	other.ops = 1;
	other.status = 20;
	memset(&other.phase_ns, 0, sizeof(other.phase_ns));
	other.phase_ns.fetch = 2000000000;
	slow_line(&other, text);
	assert_non_null(strstr(text, "  1 op  READ_FAILED, goes on  2s: fetch 2s"));
	assert_null(strstr(text, "open for"));
}

/* Where all is as long as it can be, it still fits. */
static void longest_line(void **state)
{
	struct slow_txn other = txn;
	char text[SLOW_LINE_BYTES];

	other.worker = UINT32_MAX;
	other.step = other.attempt = other.ops = UINT16_MAX;
	other.status = 13;
	memset(&other.phase_ns, 0x7f, sizeof(other.phase_ns));
	slow_line(&other, text);
	assert_non_null(strstr(text, "reply "));
	assert_true(strlen(text) < SLOW_LINE_BYTES - 1);
}

/* Its request's time: what came before is not the node's. */
static void total(void **state)
{
	assert_int_equal(slow_total_ns(&txn), 96243000);
}

static double number(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	assert_true(cJSON_IsNumber(item));
	return item->valuedouble;
}

static void json(void **state)
{
	char *text = slow_json(&txn, 0);
	cJSON *object = cJSON_Parse(text);
	const cJSON *phases = cJSON_GetObjectItemCaseSensitive(object, "phases_ns");
	const cJSON *id = cJSON_GetObjectItemCaseSensitive(object, "id");
	const cJSON *status = cJSON_GetObjectItemCaseSensitive(object, "status");

	assert_non_null(object);
	assert_null(strchr(text, '\n'));
	assert_string_equal(cJSON_GetStringValue(id), ID);
	assert_string_equal(cJSON_GetStringValue(status), "OK");
	assert_true(number(object, "unix_us") == 1790000000123456);
	assert_true(number(object, "worker") == 1);
	assert_true(number(object, "step") == 2);
	assert_true(number(object, "attempt") == 3);
	assert_true(number(object, "ops") == 4);
	assert_true(number(object, "request_bytes") == 300);
	assert_true(number(object, "answer_bytes") == 60);
	assert_true(number(object, "total_ns") == 96243000);
	assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "ended")));
	assert_int_equal(cJSON_GetArraySize(phases), 8);
	assert_true(number(phases, "open") == 5000000);
	assert_true(number(phases, "device") == 95000000);
	assert_true(number(phases, "fetch") == 0);
	assert_null(cJSON_GetObjectItemCaseSensitive(object, "lost"));
	cJSON_Delete(object);
	free(text);
}

static void json_tells_what_was_lost(void **state)
{
	char *text = slow_json(&txn, 12);
	cJSON *object = cJSON_Parse(text);

	assert_true(number(object, "lost") == 12);
	cJSON_Delete(object);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line),		cmocka_unit_test(line_of_a_step),
		cmocka_unit_test(longest_line), cmocka_unit_test(total),
		cmocka_unit_test(json),		cmocka_unit_test(json_tells_what_was_lost),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
