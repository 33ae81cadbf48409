// SPDX-License-Identifier: Apache-2.0
/*
 * tag_test.c - tags go into values and come back, and broken ones are refused.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tools/history/tag.h"

static const struct abaft_id id = {{0x01, 0x93, 0x5a, 0x7b, 0xff, 0x00, 0x7c, 0x11, 0x92, 0x34,
				    0xab, 0xcd, 0xef, 0x01, 0x02, 0x03}};
#define ID "01935a7b-ff00-7c11-9234-abcdef010203"

static void writes_and_reads(void **state)
{
	const struct tag_key with[] = {{"a b", 3}, {"\0,/;", 4}};
	struct tag_source source = {&id, {2, 3, 77}, 1234567890123456u, {"k/1", 3}, with, 2};
	const char *expected = "@abt1/" ID "/2.3.77/1234567890123456/k%2f1/a%20b,%00%2c%2f%3b;";
	char value[256];
	struct tag tag;
	ssize_t n;

	memset(value, 'x', sizeof(value));
	n = tag_write(value, sizeof(value), &source);
	assert_int_equal(n, strlen(expected));
	assert_memory_equal(value, expected, (size_t)n);
	assert_int_equal(value[n], 'x');

	assert_int_equal(tag_read(value, sizeof(value), &tag), 0);
	assert_memory_equal(&tag.id, &id, sizeof(id));
	assert_int_equal(tag.number.step, 2);
	assert_int_equal(tag.number.attempt, 3);
	assert_int_equal(tag.number.seq, 77);
	assert_int_equal(tag.time_us, 1234567890123456u);
	assert_int_equal(tag.key_len, 5);
	assert_memory_equal(tag.key, "k%2f1", 5);
	assert_int_equal(tag.with_len, 18);
	assert_int_equal(tag.body_len, n - 7);

	/* One byte less than it needs is refused, exactly enough is not; also without `with`. */
	assert_int_equal(tag_write(value, (size_t)n, &source), n);
	for (size_t room = 0; room < (size_t)n; room++)
		assert_int_equal(tag_write(value, room, &source), -ENOSPC);
	source.with = NULL;
	source.with_count = 0;
	n = tag_write(value, sizeof(value), &source);
	assert_memory_equal(value + n - 2, "/;", 2);
	assert_int_equal(tag_write(value, (size_t)n, &source), n);
	assert_int_equal(tag_write(value, (size_t)n - 1, &source), -ENOSPC);
	assert_int_equal(tag_read(value, (size_t)n, &tag), 0);
	assert_int_equal(tag.with_len, 0);
}

static int read_text(const char *text)
{
	struct tag tag;

	return tag_read(text, strlen(text), &tag);
}

static void refuses_broken_tags(void **state)
{
	static const char *const broken[] = {
		"@abt1/" ID "/0.0.1/5/k/",				  /* no end */
		"@abt1/" ID "/0.0.1/5/k;",				  /* a field less */
		"@abt1/" ID "/0.0.1/5//;",				  /* no key */
		"@abt1/" ID "/0.0/5/k/;",				  /* number of two */
		"@abt1/" ID "/65536.0.1/5/k/;",				  /* step too large */
		"@abt1/" ID "/0.0.4294967296/5/k/;",			  /* seq too large */
		"@abt1/" ID "/0.0.1/18446744073709551616/k/;",		  /* time too large */
		"@abt1/" ID "/0.0.1/-5/k/;",				  /* time no number */
		"@abt1/01935a7b-ff00-7c11-9234-abcdef01020/0.0.1/5/k/;",  /* id short */
		"@abt1/01935a7bxff00-7c11-9234-abcdef010203/0.0.1/5/k/;", /* id without dash */
		"@abt1/" ID "/0.0.1/5/k k/;", /* a space would split a line */
		"@abt1/" ID "/0.0.1/5/k/a\nb;",
	};

	assert_int_equal(read_text("@abt1/" ID "/0.0.1/5/k/;"), 0);
	assert_int_equal(read_text("@abt1/" ID "/0.0.1/5/k/a,b;"), 0);
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		assert_int_equal(read_text(broken[i]), -EBADMSG);
	assert_int_equal(read_text(""), -ENOENT);
	assert_int_equal(read_text("@abt"), -ENOENT);
	assert_int_equal(read_text("hello, this is no tag"), -ENOENT);
}

static void escapes_every_byte(void **state)
{
	unsigned char key[256], back[256];
	char text[3 * 256];
	ssize_t n;

	for (int i = 0; i < 256; i++)
		key[i] = (unsigned char)i;
	n = tag_escape(text, sizeof(text), key, sizeof(key));
	assert_true(n > 0);
	assert_int_equal(tag_escape(text, (size_t)n - 1, key, sizeof(key)), -ENOSPC);
	assert_int_equal(tag_unescape(back, sizeof(back), text, (size_t)n), 256);
	assert_memory_equal(key, back, 256);
	assert_int_equal(tag_unescape(back, 255, text, (size_t)n), -ENOSPC);
	assert_int_equal(tag_unescape(back, 256, "a%2", 3), -EBADMSG);
	assert_int_equal(tag_unescape(back, 256, "a%2g", 4), -EBADMSG);
	assert_int_equal(tag_unescape(back, 256, "a/b", 3), -EBADMSG);
	assert_int_equal(tag_unescape(back, 256, "", 0), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_and_reads),
		cmocka_unit_test(refuses_broken_tags),
		cmocka_unit_test(escapes_every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
