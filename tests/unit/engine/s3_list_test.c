/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_list_test.c - the driver for S3: listings in pages, and those that lead nowhere.
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

static char leaves[3000][ENGINE_LEAF_BYTES];

static int try_list(struct engine_list *list, const char *after, uint32_t max)
{
	struct engine_op op = {.verb = ENGINE_LIST, .list = list};

	*list = (struct engine_list){.dir = "dir", .leaf = leaves, .max = max};
	snprintf(list->after, sizeof(list->after), "%s", after);
	begin(&op);
	wait_for(ended + 1);
	return op.result;
}

static void fill(uint32_t count)
{
	char key[64];

	for (uint32_t i = 0; i < count; i++) {
		snprintf(key, sizeof(key), "a/b/dir/%05u", i);
		s3_fake_put(fake, key, "x", 1);
	}
}

static void check_lists(void)
{
	struct engine_list list;
	char want[16];

	assert_int_equal(try_list(&list, "", 100), 0);
	assert_int_equal(list.count, 0);
	assert_false(list.more);
	fill(2500);
	/* Neighbours, and others' below ours. */
	s3_fake_put(fake, "a/b/di/x", "x", 1);
	s3_fake_put(fake, "a/b/dir", "x", 1);
	s3_fake_put(fake, "a/b/dir/00002/below", "x", 1);
	s3_fake_put(fake, "a/b/dir/00003 x", "x", 1);
	s3_fake_put(fake, "a/b/dir/", "x", 1);
	s3_fake_put(fake, "a/b/dir/0001-too-long-to-be-one-of-our-names", "x", 1);
	s3_fake_put(fake, "a/b/dir2/x", "x", 1);
	assert_int_equal(try_list(&list, "", 3000), 0);
	assert_int_equal(list.count, 2500);
	assert_false(list.more);
	for (uint32_t i = 0; i < 2500; i++) {
		snprintf(want, sizeof(want), "%05u", i);
		assert_string_equal(leaves[i], want);
	}
	assert_int_equal(try_list(&list, "00999", 2), 0);
	assert_int_equal(list.count, 2);
	assert_true(list.more);
	assert_string_equal(leaves[0], "01000");
	assert_int_equal(try_list(&list, "02497", 2), 0);
	assert_int_equal(list.count, 2);
	assert_false(list.more);
	assert_int_equal(try_list(&list, "024980", 2), 0);
	assert_int_equal(list.count, 1);
	assert_int_equal(try_list(&list, "03", 2), 0);
	assert_int_equal(list.count, 0);
	assert_false(list.more);
}

static void test_lists(void **state)
{
	check_lists();
	assert_int_equal(s3_fake_seen(fake, "LIST"), 8);
	restart(&(struct s3_fake_ways){.page_max = 60});
	check_lists();
	restart(&(struct s3_fake_ways){.keys_plain = true, .no_token = true});
	check_lists();
	restart(&(struct s3_fake_ways){.encodes_late = true, .page_max = 100});
	check_lists();
}

/* Listings that lead nowhere, or elsewhere. */
static void test_bad_lists(void **state)
{
#define LIST(inner) "<ListBucketResult>" inner "</ListBucketResult>"
#define KEY(key)    "<Contents><Key>" key "</Key></Contents>"
#define MORE	    "<IsTruncated>true</IsTruncated>"
	static const char *const texts[] = {
		LIST(KEY("a/b/dir/2") KEY("a/b/dir/1")),
		LIST(KEY("a/b/dir/2") KEY("a/b/dir/2")),
		LIST(KEY("a/b/other/2")),
		LIST(KEY("other")),
		LIST(MORE),
		LIST(MORE KEY("a/b/dir/1") KEY("a/b/dir/1")),
		LIST(KEY("a/b/dir/0")),
	};
	struct engine_list list;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		rule("LIST", 1, S3_FAKE_STATUS, 200, texts[i]);
		assert_int_equal(try_list(&list, "0", 10), -EPROTO);
		assert_true(driver->why[0] != '\0');
	}
	/* Pages without end that bring nothing. */
	rule("LIST", UINT32_MAX, S3_FAKE_STATUS, 200,
	     LIST(MORE "<NextContinuationToken>t</NextContinuationToken>"));
	assert_int_equal(try_list(&list, "", 10), -EPROTO);
	assert_in_range(s3_fake_seen(fake, "LIST"), 50, 200);
	/* But some may. */
	rule("LIST", 5, S3_FAKE_STATUS, 200,
	     LIST(MORE "<NextContinuationToken>t</NextContinuationToken>"));
	fill(3);
	assert_int_equal(try_list(&list, "", 10), 0);
	/* The same page again and again. */
	rule("LIST", 5, S3_FAKE_STATUS, 200, LIST(MORE KEY("a/b/dir/1")));
	assert_int_equal(try_list(&list, "", 10), -EPROTO);
}

/* More than a listing can be. */
static void test_huge_answers(void **state)
{
	uint32_t length = 5u << 20;
	char *text = malloc(length + 1);
	struct engine_list list;

	assert_non_null(text);
	memset(text, ' ', length);
	memcpy(text, "<ListBucketResult>", 18);
	memcpy(text + length - 19, "</ListBucketResult>", 19);
	text[length] = '\0';
	rule("LIST", 1, S3_FAKE_STATUS, 200, text);
	assert_int_equal(try_list(&list, "", 10), -EPROTO);
	rule("POST", 1, S3_FAKE_STATUS, 200, text);
	batch(2);
	assert_int_equal(try_items(ENGINE_DELETE, 2), -EPROTO);
	rule("PUT", 1, S3_FAKE_STATUS, 403, text);
	assert_int_equal(try_put(ENGINE_PUT, "leaf", "x"), -EACCES);
	rule("PUT", 0, S3_FAKE_RIGHT, 0, ""); /* waits until it is not being sent */
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_lists),
		CASE(test_bad_lists),
		CASE(test_huge_answers),
	};

	if (!loopback_enter()) {
		printf("1..0 # SKIP no network namespace can be made here\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
