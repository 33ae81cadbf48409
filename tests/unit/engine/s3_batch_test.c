/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_batch_test.c - the driver for S3: many items, in turn, in part, and late.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/loopback.h"
#include "tests/unit/engine/s3_bed.h"

static void test_batches(void **state)
{
	batch(ITEMS);
	assert_int_equal(try_items(ENGINE_PUT, ITEMS), 0);
	assert_int_equal(s3_fake_count(fake), ITEMS);
	assert_in_range(http_server_open_most(s3_fake_server(fake)), 2, 4);
	for (uint32_t i = 0; i < ITEMS; i++)
		memset(bytes[i], 0, sizeof(bytes[i]));
	assert_int_equal(try_items(ENGINE_GET, ITEMS), 0);
	for (uint32_t i = 0; i < ITEMS; i++) {
		char want[32];

		snprintf(want, sizeof(want), "data of %u", i);
		assert_string_equal((char *)bytes[i], want);
	}
	/* Some are gone: the others come. */
	s3_fake_put(fake, "a/b/dir/0003", "", 0);
	name_set(&items[7], "absent");
	name_set(&items[500], "absent");
	assert_int_equal(try_items(ENGINE_GET, ITEMS), -ENOENT);
	assert_int_equal(items[3].got, 0);
	for (uint32_t i = 0; i < ITEMS; i++)
		assert_int_equal(items[i].result, i == 7 || i == 500 ? -ENOENT : 0);
	/* In as many requests as needed. */
	batch(ITEMS);
	assert_int_equal(try_items(ENGINE_DELETE, ITEMS), 0);
	assert_int_equal(s3_fake_count(fake), 0);
	assert_int_equal(s3_fake_seen(fake, "POST"), 2);
	assert_int_equal(try_items(ENGINE_DELETE, 1), 0);
	assert_int_equal(s3_fake_seen(fake, "DELETE"), 1);
}

/* Items that are done are not sent again, and others than those alone that failed. */
static void test_batch_goes_on(void **state)
{
	struct engine_op op = {.verb = ENGINE_PUT, .count = 10, .items = items};
	uint32_t sent;

	batch(10);
	for (uint32_t i = 0; i < 10; i++)
		items[i].result = i % 2 == 0 ? 0 : -EINPROGRESS;
	begin(&op);
	wait_for(1);
	assert_int_equal(op.result, 0);
	assert_int_equal(s3_fake_count(fake), 5);
	assert_int_equal(s3_fake_bytes(fake, "a/b/dir/0000"), -1);
	/* One is throttled: those under way are done, no more are sent. */
	batch(ITEMS);
	rule("PUT", 1, S3_FAKE_STATUS, 503, "<Error><Code>SlowDown</Code></Error>");
	assert_int_equal(try_items(ENGINE_PUT, ITEMS), -EBUSY);
	sent = s3_fake_seen(fake, "PUT");
	assert_in_range(sent, 6, 5 + 12);
	for (uint32_t i = 0, done = 0; i < ITEMS; i++) {
		done += items[i].result == 0;
		assert_true(items[i].result == 0 || items[i].result == -EBUSY);
		if (i == ITEMS - 1)
			assert_int_equal(done, sent - 6);
	}
	/* The next try does the rest. */
	for (uint32_t i = 0; i < ITEMS; i++)
		if (items[i].result != 0)
			items[i].result = -EINPROGRESS;
	op = (struct engine_op){.verb = ENGINE_PUT, .count = ITEMS, .items = items};
	begin(&op);
	wait_for(3);
	assert_int_equal(op.result, 0);
	assert_int_equal(s3_fake_seen(fake, "PUT"), 5 + ITEMS + 1);
	assert_int_equal(s3_fake_count(fake), ITEMS);
}

static void test_deletes_fail_in_part(void **state)
{
	struct s3_fake_ways ways = {.fails_keys = "7", .fails_code = "InternalError"};

	restart(&ways);
	batch(100);
	assert_int_equal(try_items(ENGINE_PUT, 100), 0);
	assert_int_equal(try_items(ENGINE_DELETE, 100), -EBUSY);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(items[i].result, i % 10 == 7 || i / 10 == 7 ? -EBUSY : 0);
	assert_int_equal(s3_fake_count(fake), 19);
	assert_non_null(strstr(driver->why, "InternalError"));
	/* What is not there is no error. */
	ways.fails_code = "NoSuchKey";
	restart(&ways);
	assert_int_equal(try_items(ENGINE_DELETE, 100), 0);
	ways.fails_code = "AccessDenied";
	restart(&ways);
	assert_int_equal(try_items(ENGINE_DELETE, 100), -EACCES);
	rule("DELETE", 1, S3_FAKE_STATUS, 404, "<Error><Code>NoSuchKey</Code></Error>");
	assert_int_equal(try_items(ENGINE_DELETE, 1), 0);
	rule("DELETE", 1, S3_FAKE_STATUS, 404, "");
	assert_int_equal(try_items(ENGINE_DELETE, 1), -EPROTO);
	/* It names one that was not asked for. */
	rule("POST", 1, S3_FAKE_STATUS, 200,
	     "<DeleteResult><Error><Key>a/b/dir/x</Key><Code>InternalError</Code></Error>"
	     "</DeleteResult>");
	assert_int_equal(try_items(ENGINE_DELETE, 100), -EPROTO);
	assert_int_equal(items[99].result, -EPROTO);
}

/* The same of deletes: what is done stays out of the next try. */
static void test_deletes_go_on(void **state)
{
	struct engine_op op = {.verb = ENGINE_DELETE, .count = 100, .items = items};

	batch(100);
	assert_int_equal(try_items(ENGINE_PUT, 100), 0);
	for (uint32_t i = 0; i < 100; i++)
		items[i].result = i % 10 == 3 ? -EINPROGRESS : 0;
	begin(&op);
	wait_for(2);
	assert_int_equal(op.result, 0);
	assert_int_equal(s3_fake_count(fake), 90);
	assert_int_equal(s3_fake_bytes(fake, "a/b/dir/0003"), -1);
	/* One that is left is no batch. */
	for (uint32_t i = 0; i < 100; i++)
		items[i].result = i == 50 ? -EINPROGRESS : 0;
	begin(&op);
	wait_for(3);
	assert_int_equal(s3_fake_count(fake), 89);
	assert_int_equal(s3_fake_seen(fake, "POST"), 1);
	assert_int_equal(s3_fake_seen(fake, "DELETE"), 1);
}

/* In turn: a small one does not wait for all of a large one before it. */
static void test_turns(void **state)
{
	struct engine_op large = {.verb = ENGINE_PUT, .count = ITEMS, .items = items};
	struct engine_item item = {.data = bytes[0], .bytes = 1, .result = -EINPROGRESS};
	struct engine_op small = {.verb = ENGINE_PUT, .count = 1, .items = &item};

	batch(ITEMS);
	for (uint32_t i = 0; i < ITEMS; i++)
		items[i].result = -EINPROGRESS;
	name_set(&item, "small");
	begin(&large);
	begin(&small);
	while (ended == 0)
		driver->ops->run(driver, -1, 100);
	assert_int_equal(small.result, 0);
	assert_in_range(s3_fake_seen(fake, "PUT"), 1, 32);
	wait_for(2);
	assert_int_equal(large.result, 0);
}

/* Time is over while requests are under way, and while items wait for their turn. */
static void test_time_is_over(void **state)
{
	uint64_t start_us = now_us();
	struct engine_item get = {.to = bytes[0], .bytes = 1, .result = -EINPROGRESS};
	struct engine_op waits = {.verb = ENGINE_GET,
				  .count = 1,
				  .items = &get,
				  .own.try_until_us = start_us + 20000};
	struct engine_op op = {.verb = ENGINE_PUT,
			       .count = 10,
			       .items = items,
			       .own.try_until_us = start_us + 50000};

	rule("PUT", 100, S3_FAKE_SILENT, 0, "");
	batch(10);
	for (uint32_t i = 0; i < 10; i++)
		items[i].result = -EINPROGRESS;
	name_set(&get, "x");
	begin(&op);
	begin(&waits);
	/* On a busy machine both may be late, and the other one be told first. */
	for (uint32_t count = 1; waits.result == -EINPROGRESS; count++)
		wait_for(count);
	assert_int_equal(waits.result, -ETIMEDOUT);
	assert_true(now_us() >= start_us + 20000);
	wait_for(2);
	assert_int_equal(op.result, -ETIMEDOUT);
	assert_true(now_us() >= start_us + 50000);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(items[i].result, -ETIMEDOUT);
	assert_true(now_us() < start_us + LONG_US / 2);
}

static void test_destroy_cancels(void **state)
{
	struct engine_op ops[3] = {{.verb = ENGINE_PUT, .count = 10, .items = items},
				   {.verb = ENGINE_PUT_NEW, .count = 1, .items = &items[10]},
				   {.verb = ENGINE_DELETE, .count = 5, .items = &items[11]}};

	rule("PUT", 100, S3_FAKE_SILENT, 0, "");
	batch(16);
	for (uint32_t i = 0; i < 16; i++)
		items[i].result = -EINPROGRESS;
	for (int i = 0; i < 3; i++)
		begin(&ops[i]);
	driver->ops->run(driver, -1, 0);
	teardown(NULL);
	assert_int_equal(ended, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ops[i].result, -ECANCELED);
	assert_int_equal(setup(NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_batches),
		CASE(test_batch_goes_on),
		CASE(test_deletes_fail_in_part),
		CASE(test_deletes_go_on),
		CASE(test_turns),
		CASE(test_time_is_over),
		CASE(test_destroy_cancels),
	};

	if (!loopback_enter()) {
		printf("1..0 # SKIP no network namespace can be made here\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
