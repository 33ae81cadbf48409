/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_reply_test.c - replies in pieces, replies without bounds, and what errors mean.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/engine/redis_reply.h"

#define ROOM 1000

static struct redis_reader reader;
static struct redisReply *reply;

static int opens(void **state)
{
	return redis_reader_open(&reader);
}

static int closes(void **state)
{
	redis_reader_close(&reader);
	return 0;
}

static int feed(const char *bytes)
{
	assert_int_equal(redis_reader_feed(&reader, (const uint8_t *)bytes, strlen(bytes)), 0);
	return redis_reader_next(&reader, ROOM, &reply);
}

static void replies_come_in_pieces(void **state)
{
	assert_int_equal(feed("$5\r\nhe"), 0);
	assert_int_equal(feed("llo\r"), 0);
	assert_int_equal(feed("\n:7\r\n"), 1);
	assert_int_equal(reply->type, REDIS_REPLY_STRING);
	assert_string_equal(reply->str, "hello");
	redis_reply_free(reply);
	assert_int_equal(redis_reader_next(&reader, ROOM, &reply), 1);
	assert_int_equal(reply->integer, 7);
	redis_reply_free(reply);
	assert_int_equal(redis_reader_next(&reader, ROOM, &reply), 0);
}

/* What is allocated when an array is announced is bounded, not only what comes. */
static void arrays_are_bounded_by_what_they_announce(void **state)
{
	assert_int_equal(feed("*2147483647\r\n"), -EPROTO);
}

static void elements_of_a_reply_are_bounded(void **state)
{
	char text[64];

	/* Each is small enough, all together are not. */
	snprintf(text, sizeof(text), "*2\r\n*%u\r\n", REDIS_REPLY_ELEMENTS_MAX - 1);
	assert_int_equal(feed(text), -EPROTO);
}

/* Announced and never sent, they count no more for the next reply. */
static void each_reply_has_its_own_bounds(void **state)
{
	for (int i = 0; i < 3; i++) {
		char text[64];

		snprintf(text, sizeof(text), "*%u\r\n", REDIS_REPLY_ELEMENTS_MAX - 2);
		assert_int_equal(feed(text), 0);
		for (uint32_t k = 0; k < REDIS_REPLY_ELEMENTS_MAX - 2; k++)
			assert_int_equal(redis_reader_feed(&reader, (const uint8_t *)":1\r\n", 4),
					 0);
		assert_int_equal(redis_reader_next(&reader, ROOM, &reply), 1);
		assert_int_equal(reply->elements, REDIS_REPLY_ELEMENTS_MAX - 2);
		redis_reply_free(reply);
	}
}

static void nesting_is_bounded(void **state)
{
	assert_int_equal(feed("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"),
			 -EPROTO);
}

static void a_string_is_bounded_before_it_is_whole(void **state)
{
	char bytes[ROOM];

	memset(bytes, 'x', sizeof(bytes));
	assert_int_equal(feed("$2000\r\n"), 0);
	assert_int_equal(redis_reader_feed(&reader, (const uint8_t *)bytes, sizeof(bytes)), 0);
	assert_int_equal(redis_reader_next(&reader, ROOM, &reply), -EPROTO);
}

static void a_line_is_bounded_before_it_is_whole(void **state)
{
	uint32_t fed = 0;

	assert_int_equal(feed("+"), 0);
	while (fed <= REDIS_REPLY_LINE_MAX) {
		assert_int_equal(redis_reader_next(&reader, 1u << 20, &reply), 0);
		fed += 16;
		assert_int_equal(
			redis_reader_feed(&reader, (const uint8_t *)"0123456789abcdef", 16), 0);
	}
	assert_int_equal(redis_reader_next(&reader, 1u << 20, &reply), -EPROTO);
}

static void a_header_is_bounded(void **state)
{
	assert_int_equal(feed("$1111111111111111"), 0);
	assert_int_equal(feed("1111111111111111"), -EPROTO);
}

static void what_is_no_reply_is_refused(void **state)
{
	assert_int_equal(feed("HTTP/1.1 400 Bad Request\r\n"), -EPROTO);
}

static void bad_lengths_are_refused(void **state)
{
	assert_int_equal(feed("$-2\r\n"), -EPROTO);
}

static struct redis_error error(const char *text)
{
	return redis_error_of(text, strlen(text));
}

static void errors_have_meanings(void **state)
{
	static const struct {
		const char *text;
		int error;
	} rows[] = {
		{"OOM command not allowed when used memory > 'maxmemory'.", -ENOSPC},
		{"MISCONF Redis is configured to save RDB snapshots", -ENOSPC},
		{"NOAUTH Authentication required.", -EACCES},
		{"WRONGPASS invalid username-password pair", -EACCES},
		{"NOPERM this user has no permissions", -EACCES},
		{"DENIED Redis is running in protected mode", -EACCES},
		{"ERR max number of clients reached", -EBUSY},
		{"BUSY Redis is busy running a script.", -EBUSY},
		{"TRYAGAIN Multiple keys request during rehashing of slot", -EBUSY},
		{"LOADING Redis is loading the dataset in memory", -ENOTCONN},
		{"CLUSTERDOWN The cluster is down", -ENOTCONN},
		{"MASTERDOWN Link with MASTER is down", -ENOTCONN},
		{"NOREPLICAS Not enough good replicas to write.", -ENOTCONN},
		{"READONLY You can't write against a read only replica.", -ENOTCONN},
		{"WRONGTYPE Operation against a key", -EPROTO},
		{"ERR unknown command", -EPROTO},
		{"", -EPROTO},
		{"OOM", -EPROTO},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(error(rows[i].text).meaning, REDIS_FAILED);
		assert_int_equal(error(rows[i].text).error, rows[i].error);
		assert_true(strlen(error(rows[i].text).advice) > 10);
	}
	assert_int_equal(error("MOVED 1 h:1").meaning, REDIS_MOVED);
	assert_int_equal(error("ASK 1 h:1").meaning, REDIS_ASK);
}

static void errors_are_printed_as_one_short_line(void **state)
{
	char text[8];

	redis_error_print(text, sizeof(text), "a\r\n\x1b\xff~0123", 10);
	assert_string_equal(text, "a????~0");
	redis_error_print(text, sizeof(text), "", 0);
	assert_string_equal(text, "");
}

#define WITH_READER(name) cmocka_unit_test_setup_teardown(name, opens, closes)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_READER(replies_come_in_pieces),
		WITH_READER(arrays_are_bounded_by_what_they_announce),
		WITH_READER(elements_of_a_reply_are_bounded),
		WITH_READER(each_reply_has_its_own_bounds),
		WITH_READER(nesting_is_bounded),
		WITH_READER(a_string_is_bounded_before_it_is_whole),
		WITH_READER(a_line_is_bounded_before_it_is_whole),
		WITH_READER(a_header_is_bounded),
		WITH_READER(what_is_no_reply_is_refused),
		WITH_READER(bad_lengths_are_refused),
		cmocka_unit_test(errors_have_meanings),
		cmocka_unit_test(errors_are_printed_as_one_short_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
