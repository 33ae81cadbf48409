/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_test.c - the driver for S3: objects, conditions, and what no S3 should answer: one try of
 * each operation, its end, and the sentence.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/engine/engine_impl.h"
#include "tests/lib/loopback.h"
#include "tests/unit/engine/s3_bed.h"

static void test_put_and_get(void **state)
{
	assert_int_equal(try_put(ENGINE_PUT, "leaf", "hello"), 0);
	assert_int_equal(s3_fake_bytes(fake, "a/b/dir/leaf"), 5);
	assert_true(s3_fake_last_has(fake, "\r\nx-amz-security-token: " TOKEN "\r\n"));
	assert_true(s3_fake_last_has(fake, "Credential=key/"));
	assert_true(s3_fake_last_has(fake, "/us-east-1/s3/aws4_request, SignedHeaders="
					   "host;x-amz-content-sha256;x-amz-date;"
					   "x-amz-security-token, "));
	assert_int_equal(try_get("leaf", 0, 5), 0);
	assert_int_equal(items[0].got, 5);
	assert_memory_equal(bytes[0], "hello-", 6);
	assert_int_equal(counters.put_bytes, 5);
	assert_int_equal(counters.get_bytes, 5);
	assert_int_equal(counters.round_trips, 2);
}

static void check_ranges(void)
{
	s3_fake_put(fake, "a/b/dir/ten", "0123456789", 10);
	s3_fake_put(fake, "a/b/dir/none", "", 0);
	assert_int_equal(try_get("ten", 2, 3), 0);
	assert_int_equal(items[0].got, 3);
	assert_memory_equal(bytes[0], "234-", 4);
	assert_int_equal(try_get("ten", 8, 5), 0);
	assert_int_equal(items[0].got, 2);
	assert_memory_equal(bytes[0], "89-", 3);
	assert_int_equal(try_get("ten", 10, 5), 0);
	assert_int_equal(items[0].got, 0);
	assert_int_equal(try_get("ten", 4000000000u, 60), 0);
	assert_int_equal(items[0].got, 0);
	assert_int_equal(try_get("none", 0, 5), 0);
	assert_int_equal(items[0].got, 0);
	assert_int_equal(try_get("gone", 0, 5), -ENOENT);
}

static void test_ranges(void **state)
{
	check_ranges();
	/* The same of one that always sends the whole object. */
	restart(&(struct s3_fake_ways){.ignores_ranges = true});
	check_ranges();
	/* And when it does not even say how much that is: an end proves nothing. */
	restart(&(struct s3_fake_ways){.ignores_ranges = true, .no_length = true});
	s3_fake_put(fake, "a/b/dir/ten", "0123456789", 10);
	assert_int_equal(try_get("ten", 0, 10), -EPROTO);
}

/* Parts that are not what was asked for. */
static void test_wrong_ranges(void **state)
{
	static const char *const lines[] = {
		"",
		"Content-Range: bytes 0-3/10\r\n",
		"Content-Range: bytes 2-5/5\r\n",
		"Content-Range: bytes 2-4/10\r\n",
		"Content-Range: bytes 2-6/10\r\n",
		"Content-Range: bytes 2-5/*\r\n",
		"Content-Range: bytes 2-5/10x\r\n",
		"Content-Range: pages 2-5/10\r\n",
		"Content-Range: bytes 18446744073709551613-0/10\r\n",
	};
	char text[256];

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(text, sizeof(text), "HTTP/1.1 206 X\r\nContent-Length: 4\r\n%s\r\n2345",
			 lines[i]);
		rule("GET", 1, S3_FAKE_RAW, 0, text);
		assert_int_equal(try_get("ten", 2, 4), -EPROTO);
	}
	/* It says to end where it does not. */
	rule("GET", 1, S3_FAKE_RAW, 0,
	     "HTTP/1.1 206 X\r\nContent-Length: 4\r\nContent-Range: bytes 2-5/10\r\n\r\n2345");
	assert_int_equal(try_get("ten", 2, 5), -EPROTO);
	rule("GET", 1, S3_FAKE_RAW, 0,
	     "HTTP/1.1 416 X\r\nContent-Length: 0\r\nContent-Range: bytes */10\r\n\r\n");
	assert_int_equal(try_get("ten", 2, 5), -EPROTO);
	/* More than was asked for, and less than was announced. */
	rule("GET", 1, S3_FAKE_RAW, 0,
	     "HTTP/1.1 206 X\r\nContent-Length: 6\r\nContent-Range: bytes 2-7/10\r\n\r\n234567");
	assert_int_equal(try_get("ten", 2, 4), -EPROTO);
	assert_memory_equal(bytes[0] + 4, "--", 2);
	rule("GET", 1, S3_FAKE_RAW, 0,
	     "HTTP/1.1 206 X\r\nContent-Length: 4\r\nContent-Range: bytes 2-5/10\r\n\r\n23");
	assert_int_equal(try_get("ten", 2, 4), -ENOTCONN);
}

struct refusal {
	int status;
	const char *code;
	int get, put_new; /* how a GET and a PUT_NEW end */
	const char *word; /* of the sentence */
};

static const struct refusal refusals[] = {
	{403, "AccessDenied", -EACCES, -EACCES, "right"},
	{403, "InvalidAccessKeyId", -EACCES, -EACCES, "access-key"},
	{403, "SignatureDoesNotMatch", -EACCES, -EACCES, "secret-key"},
	{403, "RequestTimeTooSkewed", -EACCES, -EACCES, "clock"},
	{400, "ExpiredToken", -EACCES, -EACCES, "expired"},
	{400, "AuthorizationHeaderMalformed", -EACCES, -EACCES, "region="},
	{301, "PermanentRedirect", -EACCES, -EACCES, "endpoint="},
	{403, "Unheard", -EACCES, -EACCES, "403 Unheard"},
	{403, "", -EACCES, -EACCES, "403"},
	{404, "NoSuchBucket", -EACCES, -EACCES, "no such bucket"},
	{404, "NoSuchKey", -ENOENT, -EPROTO, ""},
	{404, "", -EPROTO, -EPROTO, "no S3"},
	{500, "NoSuchKey", -EBUSY, -EBUSY, "NoSuchKey"},
	{412, "PreconditionFailed", -EPROTO, -EEXIST, ""},
	{412, "", -EPROTO, -EEXIST, ""},
	{409, "ConditionalRequestConflict", -EBUSY, -EBUSY, "same time"},
	{409, "OperationAborted", -EBUSY, -EBUSY, "same time"},
	{409, "Unheard", -EPROTO, -EEXIST, ""},
	{503, "SlowDown", -EBUSY, -EBUSY, "too much"},
	{503, "ServiceUnavailable", -EBUSY, -EBUSY, "503"},
	{429, "", -EBUSY, -EBUSY, "too much"},
	{500, "InternalError", -EBUSY, -EBUSY, "went wrong"},
	{502, "", -EBUSY, -EBUSY, "502"},
	{403, "QuotaExceeded", -ENOSPC, -ENOSPC, "quota"},
	{507, "", -ENOSPC, -ENOSPC, "full"},
	{400, "EntityTooLarge", -E2BIG, -E2BIG, "large"},
	{413, "", -E2BIG, -E2BIG, "large"},
	{200, "InternalError", 0, -EBUSY, "200 InternalError"},
	{302, "", -EPROTO, -EPROTO, "302"},
	{204, "", -EPROTO, 0, "204"},
	{100, "", -ENOTCONN, -ENOTCONN, "up"},
};

static void test_refusals(void **state)
{
	char text[256];

	assert_int_equal(try_put(ENGINE_PUT_NEW, "first", "x"), 0);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct refusal *row = &refusals[i];
		int get, put_new;

		snprintf(text, sizeof(text),
			 row->code[0]
				 ? "<?xml version=\"1.0\"?>\n<Error><Code>%s</Code><Message>" SECRET
				   "</Message></Error>"
				 : "%s",
			 row->code);
		driver->why[0] = '\0';
		rule("GET", row->status == 100 ? 2 : 1,
		     row->status == 100 ? S3_FAKE_CLOSE : S3_FAKE_STATUS, row->status, text);
		get = try_get("leaf", 0, 5);
		if (get != 0 && get != -ENOENT)
			assert_non_null(strstr(driver->why, row->word));
		rule("PUT", row->status == 100 ? 2 : 1,
		     row->status == 100 ? S3_FAKE_CLOSE : S3_FAKE_STATUS, row->status, text);
		put_new = try_put(ENGINE_PUT_NEW, "leaf", "x");
		if (get != row->get || put_new != row->put_new)
			print_message("# %d %s: %s\n", row->status, row->code, driver->why);
		assert_int_equal(get, row->get);
		assert_int_equal(put_new, row->put_new);
		if (put_new != 0 && put_new != -EEXIST)
			assert_non_null(strstr(driver->why, row->word));
		assert_int_equal(items[0].result, put_new);
	}
}

/* Garbage, where XML should be. */
static void test_garbage(void **state)
{
	static const char *const texts[] = {"",
					    "{}",
					    "<Error>",
					    "<Error><Code>AccessDenied</Code><Mess",
					    "<html><body>Code</body></html>",
					    "\xff\xfe<\xff"};
	char leaf[2][ENGINE_LEAF_BYTES];
	struct engine_list list = {.dir = "dir", .leaf = leaf, .max = 2};
	struct engine_op op = {.verb = ENGINE_LIST, .list = &list};

	batch(3);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		rule("LIST", 1, S3_FAKE_STATUS, 200, texts[i]);
		begin(&op);
		wait_for(ended + 1);
		assert_int_equal(op.result, i == 3 ? -EACCES : -EPROTO);
		rule("POST", 1, S3_FAKE_STATUS, 200, texts[i]);
		assert_int_equal(try_items(ENGINE_DELETE, 3), i == 3 ? -EACCES : -EPROTO);
	}
}

static void test_put_new(void **state)
{
	assert_true((driver->caps.flags & ENGINE_CONDITIONAL) != 0);
	assert_int_equal(try_put(ENGINE_PUT_NEW, "leaf", "one"), 0);
	/* The probe twice: it was not there. Then what was asked. */
	assert_int_equal(s3_fake_seen(fake, "PUT"), 3);
	assert_int_equal(s3_fake_bytes(fake, "a/b/probe/conditional"), 5);
	assert_int_equal(try_put(ENGINE_PUT_NEW, "leaf", "another"), -EEXIST);
	assert_int_equal(s3_fake_bytes(fake, "a/b/dir/leaf"), 3);
	assert_int_equal(s3_fake_seen(fake, "PUT"), 4);
	assert_true((driver->caps.flags & ENGINE_CONDITIONAL) != 0);
	assert_int_equal(try_put(ENGINE_PUT, "leaf", "another"), 0);
	assert_int_equal(s3_fake_bytes(fake, "a/b/dir/leaf"), 7);
	/* The next node finds the probe there: one request. */
	driver->ops->destroy(driver);
	assert_int_equal(create(s3_fake_port(fake), S3_FAKE_BUCKET, 4), 0);
	assert_int_equal(try_put(ENGINE_PUT_NEW, "leaf", "third"), -EEXIST);
	assert_int_equal(s3_fake_seen(fake, "PUT"), 7);
}

static void test_conditions_are_ignored(void **state)
{
	struct s3_fake_ways ways = {.ignores_conditions = true};

	restart(&ways);
	assert_int_equal(try_put(ENGINE_PUT_NEW, "leaf", "one"), 0);
	assert_true((driver->caps.flags & ENGINE_CONDITIONAL) == 0);
	assert_true((driver->caps.flags & ENGINE_RANGES) != 0);
	assert_int_equal(s3_fake_seen(fake, "PUT"), 3);
	assert_false(s3_fake_last_has(fake, "if-none-match"));
	assert_int_equal(try_put(ENGINE_PUT_NEW, "leaf", "another"), 0);
	assert_int_equal(s3_fake_bytes(fake, "a/b/dir/leaf"), 7);
	/* One that knows of no such header. */
	restart(&ways);
	rule("PUT", 1, S3_FAKE_STATUS, 501, "<Error><Code>NotImplemented</Code></Error>");
	assert_int_equal(try_put(ENGINE_PUT_NEW, "leaf", "one"), 0);
	assert_true((driver->caps.flags & ENGINE_CONDITIONAL) == 0);
}

/* Who asked the engine's caps hears of it, too. */
static void test_caps_follow(void **state)
{
	struct engine_item item = {.data = bytes[0], .bytes = 1};
	struct engine_op op = {
		.verb = ENGINE_PUT_NEW, .count = 1, .items = &item, .until_us = now_us() + LONG_US};
	struct engine_config config = {.seed = 1};
	struct engine_channel *channel;
	char why[ENGINE_WHY_BYTES];
	struct engine *engine;

	restart(&(struct s3_fake_ways){.ignores_conditions = true});
	name_set(&item, "leaf");
	assert_int_equal(engine_open_driver(&engine, driver, &config, why), 0);
	assert_int_equal(engine_channel_open(engine, &channel), 0);
	assert_true((engine_caps(engine)->flags & ENGINE_CONDITIONAL) != 0);
	assert_int_equal(engine_call(channel, &op), 0);
	assert_true((engine_caps(engine)->flags & ENGINE_CONDITIONAL) == 0);
	engine_close(engine, 0);
	engine_channel_close(channel);
	engine_destroy(engine);
	assert_int_equal(create(s3_fake_port(fake), S3_FAKE_BUCKET, 4), 0);
}

/* The probe fails: so does who waits for it; and then it is asked again. */
static void test_probe_fails(void **state)
{
	struct engine_op ops[3];
	struct engine_item puts[3] = {0};

	rule("PUT", 1, S3_FAKE_STATUS, 503, "");
	for (int i = 0; i < 3; i++) {
		ops[i] = (struct engine_op){.verb = ENGINE_PUT_NEW, .count = 1, .items = &puts[i]};
		name_set(&puts[i], "leaf");
		puts[i].data = (const uint8_t *)"x";
		puts[i].bytes = 1;
		puts[i].result = -EINPROGRESS;
		begin(&ops[i]);
	}
	wait_for(3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ops[i].result, -EBUSY);
	assert_int_equal(s3_fake_count(fake), 0);
	assert_true((driver->caps.flags & ENGINE_CONDITIONAL) != 0);
	assert_int_equal(try_put(ENGINE_PUT_NEW, "leaf", "one"), 0);
	assert_int_equal(try_put(ENGINE_PUT_NEW, "leaf", "two"), -EEXIST);
}

/* All wait for the probe until their time is over. */
static void test_probe_is_silent(void **state)
{
	struct engine_item puts[2] = {{.data = bytes[0]}, {.data = bytes[0]}};
	struct engine_op ops[2];
	uint64_t start_us = now_us();

	rule("PUT", 2, S3_FAKE_SILENT, 0, "");
	for (int i = 0; i < 2; i++) {
		name_set(&puts[i], "leaf");
		puts[i].result = -EINPROGRESS;
		ops[i] =
			(struct engine_op){.verb = ENGINE_PUT_NEW,
					   .count = 1,
					   .items = &puts[i],
					   .own.try_until_us = start_us + (i == 0 ? 60000 : 20000)};
		begin(&ops[i]);
	}
	wait_for(1);
	assert_int_equal(ops[1].result, -ETIMEDOUT);
	assert_true(now_us() < start_us + LONG_US / 2);
	wait_for(2);
	assert_int_equal(ops[0].result, -ETIMEDOUT);
	rule("PUT", 0, S3_FAKE_RIGHT, 0, "");
	assert_int_equal(try_put(ENGINE_PUT_NEW, "leaf", "one"), 0);
}

static void test_lost_acknowledgement(void **state)
{
	assert_int_equal(try_put(ENGINE_PUT_NEW, "first", "x"), 0);
	rule("PUT", 1, S3_FAKE_CLOSE_AFTER, 0, "");
	/* libcurl sends it once more over a new connection when a kept one is closed (H2). */
	assert_int_equal(try_put(ENGINE_PUT_NEW, "leaf", "one"), -EEXIST);
	rule("PUT", 1, S3_FAKE_STATUS_AFTER, 500, "");
	assert_int_equal(try_put(ENGINE_PUT_NEW, "other", "one"), -EBUSY);
	assert_int_equal(try_put(ENGINE_PUT_NEW, "other", "one"), -EEXIST);
}

static void test_nobody_there(void **state)
{
	uint16_t port = s3_fake_port(fake);

	driver->ops->destroy(driver);
	assert_int_equal(create(1, S3_FAKE_BUCKET, 4), 0);
	batch(ITEMS);
	assert_int_equal(try_items(ENGINE_PUT, ITEMS), -ENOTCONN);
	assert_non_null(strstr(driver->why, "endpoint="));
	assert_int_equal(try_put(ENGINE_PUT_NEW, "x", "x"), -ENOTCONN);
	driver->ops->destroy(driver);
	assert_int_equal(create(port, "another", 4), 0);
	assert_int_equal(try_get("leaf", 0, 1), -EACCES);
	assert_non_null(strstr(driver->why, "no such bucket"));
	assert_non_null(strstr(driver->why, "another"));
}

static void test_wakes(void **state)
{
	int fd = eventfd(1, EFD_CLOEXEC);

	driver->ops->run(driver, fd, -1);
	close(fd);
}

static void test_no_credentials(void **state)
{
	struct engine_credentials credentials = {.access_key = "key"};
	struct engine_url url = {.host = "bucket", .endpoint = "http://127.0.0.1:1"};
	struct engine_driver *other;
	char why[ENGINE_WHY_BYTES] = "";

	assert_int_equal(
		s3_driver_create(&other, &url, &credentials, &(struct engine_config){0}, why),
		-EINVAL);
	assert_non_null(strstr(why, "secret-key"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_put_and_get),
		CASE(test_ranges),
		CASE(test_wrong_ranges),
		CASE(test_refusals),
		CASE(test_garbage),
		CASE(test_put_new),
		CASE(test_conditions_are_ignored),
		CASE(test_caps_follow),
		CASE(test_probe_fails),
		CASE(test_probe_is_silent),
		CASE(test_lost_acknowledgement),
		CASE(test_nobody_there),
		CASE(test_wakes),
		CASE(test_no_credentials),
	};

	if (!loopback_enter()) {
		printf("1..0 # SKIP no network namespace can be made here\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
