/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_slots_test.c - slots of keys, and what servers say of slots.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/engine/redis_reply.h"
#include "dataplane/engine/redis_slots.h"

static uint32_t slot(const char *key)
{
	return redis_slot(key, strlen(key));
}

/* Numbers that redis-cli CLUSTER KEYSLOT gives. */
static void slots_are_those_of_redis(void **state)
{
	assert_int_equal(redis_crc16("123456789", 9), 0x31c3);
	assert_int_equal(redis_crc16("", 0), 0);
	assert_int_equal(slot("foo"), 12182);
	assert_int_equal(slot("123456789"), 12739);
	assert_int_equal(slot(""), 0);
}

static void the_first_pair_of_braces_counts(void **state)
{
	assert_int_equal(slot("abaft:{foo}:00000001"), 12182);
	assert_int_equal(slot("{foo}"), 12182);
	assert_int_equal(slot("{foo}{bar}"), 12182);
	assert_int_equal(slot("x{foo"), redis_crc16("x{foo", 5) % REDIS_SLOTS);
	assert_int_equal(slot("{}foo"), redis_crc16("{}foo", 5) % REDIS_SLOTS);
	assert_int_equal(slot("a{{foo}"), redis_crc16("{foo", 4) % REDIS_SLOTS);
	assert_int_equal(slot("}{foo}"), 12182);
}

static int redirect(struct redis_redirect *out, const char *text)
{
	return redis_redirect_parse(out, text, strlen(text));
}

static void redirects_are_read(void **state)
{
	struct redis_redirect out;

	assert_int_equal(redirect(&out, "MOVED 3999 127.0.0.1:6381"), 0);
	assert_int_equal(out.slot, 3999);
	assert_string_equal(out.place.host, "127.0.0.1");
	assert_int_equal(out.place.port, 6381);
	assert_int_equal(redirect(&out, "ASK 16383 ::1:1"), 0);
	assert_string_equal(out.place.host, "::1");
	assert_int_equal(redirect(&out, "MOVED 0 :6381"), 0);
	assert_string_equal(out.place.host, "");
	assert_int_equal(redirect(&out, "MOVED 1 a-b.example:65535"), 0);
	assert_int_equal(out.place.port, 65535);
}

static void broken_redirects_are_refused(void **state)
{
	static const char *const broken[] = {
		"MOVED",
		"MOVED ",
		"MOVED 1",
		"MOVED 1 ",
		"MOVED 1 host",
		"MOVED 1 host:",
		"MOVED 1 host:0",
		"MOVED 1 host:65536",
		"MOVED 1 host:123456",
		"MOVED 16384 host:1",
		"MOVED -1 host:1",
		"MOVED 1x host:1",
		"MOVED  host:1",
		"MOVED 1 ho st:1",
		"MOVED 1 ho\nst:1",
		"MOVED 1 ?:1",
	};
	struct redis_redirect out;
	char text[300];

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		assert_int_equal(redirect(&out, broken[i]), -EPROTO);
	memset(text, 'h', sizeof(text));
	memcpy(text, "MOVED 1 ", 8);
	memcpy(text + sizeof(text) - 3, ":1", 3);
	assert_int_equal(redirect(&out, text), -EPROTO);
	assert_int_equal(redis_redirect_parse(&out, "MOVED 1 ho\0st:1", 15), -EPROTO);
}

/* The first element of an answer. */
static int range(struct redis_range *out, const char *bytes)
{
	struct redis_reader reader;
	struct redisReply *reply;
	int err;

	assert_int_equal(redis_reader_open(&reader), 0);
	assert_int_equal(redis_reader_feed(&reader, (const uint8_t *)bytes, strlen(bytes)), 0);
	assert_int_equal(redis_reader_next(&reader, 1000, &reply), 1);
	err = redis_range_parse(out, reply);
	redis_reply_free(reply);
	redis_reader_close(&reader);
	return err;
}

static void ranges_are_read(void **state)
{
	struct redis_range out;

	assert_int_equal(range(&out,
			       "*4\r\n:0\r\n:5460\r\n*3\r\n$9\r\n127.0.0.1\r\n:7001\r\n$1\r\nx\r\n"
			       "*2\r\n$1\r\nr\r\n:1\r\n"),
			 0);
	assert_int_equal(out.first, 0);
	assert_int_equal(out.last, 5460);
	assert_string_equal(out.place.host, "127.0.0.1");
	assert_int_equal(out.place.port, 7001);
	assert_int_equal(range(&out, "*3\r\n:7\r\n:7\r\n*2\r\n$-1\r\n:1\r\n"), 0);
	assert_string_equal(out.place.host, "");
	assert_int_equal(range(&out, "*3\r\n:7\r\n:7\r\n*2\r\n$0\r\n\r\n:1\r\n"), 0);
	assert_string_equal(out.place.host, "");
	assert_int_equal(range(&out, "*3\r\n:7\r\n:7\r\n*2\r\n$1\r\n?\r\n:1\r\n"), -ENOENT);
	assert_int_equal(range(&out, "*3\r\n:7\r\n:7\r\n*2\r\n$1\r\nh\r\n:0\r\n"), -ENOENT);
}

static void broken_ranges_are_refused(void **state)
{
	static const char *const broken[] = {
		":1\r\n",
		"*0\r\n",
		"*-1\r\n",
		"*2\r\n:0\r\n:1\r\n",
		"*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\nh\r\n:1\r\n",
		"*3\r\n:5\r\n:4\r\n*2\r\n$1\r\nh\r\n:1\r\n",
		"*3\r\n:-1\r\n:4\r\n*2\r\n$1\r\nh\r\n:1\r\n",
		"*3\r\n$1\r\n0\r\n:4\r\n*2\r\n$1\r\nh\r\n:1\r\n",
		"*3\r\n:0\r\n:4\r\n:1\r\n",
		"*3\r\n:0\r\n:4\r\n*1\r\n$1\r\nh\r\n",
		"*3\r\n:0\r\n:4\r\n*2\r\n$1\r\nh\r\n:65536\r\n",
		"*3\r\n:0\r\n:4\r\n*2\r\n:1\r\n:1\r\n",
		"*3\r\n:0\r\n:4\r\n*2\r\n$3\r\na b\r\n:1\r\n",
	};
	struct redis_range out;

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		assert_int_equal(range(&out, broken[i]), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_are_those_of_redis),
		cmocka_unit_test(the_first_pair_of_braces_counts),
		cmocka_unit_test(redirects_are_read),
		cmocka_unit_test(broken_redirects_are_refused),
		cmocka_unit_test(ranges_are_read),
		cmocka_unit_test(broken_ranges_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
