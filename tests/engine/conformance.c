/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conformance.c - what engine.h promises, asked of any engine. Prints TAP.
 *
 *	conformance URL [CREDENTIALS-FILE]
 *
 * Leaves the storage as it was: all names begin with a number of this run.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/engine/bed.h"
#include "tests/engine/cases.h"

struct bed bed;
uint8_t *buffer_ours, *buffer_theirs;

static void sizes(void **state, enum engine_verb verb, const char *what)
{
	const uint32_t max = bed.caps->value_max;
	const uint32_t bytes[] = {0, 1, 4096, max - 1, max};
	const char *dir = bed_dir(&bed, what);
	char leaf[ENGINE_LEAF_BYTES];
	uint32_t got;

	for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
		snprintf(leaf, sizeof(leaf), "size-%" PRIu32, bytes[i]);
		bed_fill(buffer_ours, bytes[i], i);
		assert_int_equal(bed_put(bed.channel, verb, dir, leaf, buffer_ours, bytes[i]), 0);
		memset(buffer_theirs, 0xaa, bytes[i] + 1);
		assert_int_equal(
			bed_get(bed.channel, dir, leaf, 0, buffer_theirs, bytes[i] + 1, &got), 0);
		assert_int_equal(got, bytes[i]);
		assert_int_equal(memcmp(buffer_theirs, buffer_ours, bytes[i]), 0);
		assert_int_equal(buffer_theirs[bytes[i]], 0xaa);
	}
}

static void put_and_get_of_all_sizes(void **state)
{
	sizes(state, ENGINE_PUT, "put");
}

static void put_new_and_get_of_all_sizes(void **state)
{
	sizes(state, ENGINE_PUT_NEW, "put-new");
}

static void too_large_is_refused(void **state)
{
	const char *dir = bed_dir(&bed, "large");
	uint32_t bytes = bed.caps->value_max + 1, got;
	struct engine_item items[2] = {{.data = buffer_ours, .bytes = 1},
				       {.data = buffer_ours, .bytes = bytes}};

	assert_int_equal(bed_put(bed.channel, ENGINE_PUT, dir, "a", buffer_ours, bytes), -E2BIG);
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT_NEW, dir, "b", buffer_ours, bytes),
			 -E2BIG);
	bed_name(&items[0].name, dir, "c");
	bed_name(&items[1].name, dir, "d");
	assert_int_equal(bed_items(bed.channel, ENGINE_PUT, items, 2), -E2BIG);
	assert_int_equal(items[1].result, -E2BIG);
	for (const char *leaf = "abcd"; *leaf != '\0'; leaf++) {
		char name[2] = {*leaf};

		assert_int_equal(bed_get(bed.channel, dir, name, 0, buffer_theirs, 1, &got),
				 -ENOENT);
	}
}

static void every_byte_comes_back(void **state)
{
	const char *dir = bed_dir(&bed, "bytes");
	uint32_t got;

	/* Each byte beside each other one. */
	for (uint32_t i = 0; i < 65536; i++) {
		buffer_ours[2 * i] = (uint8_t)(i >> 8);
		buffer_ours[2 * i + 1] = (uint8_t)i;
	}
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT, dir, "pairs", buffer_ours, 131072), 0);
	assert_int_equal(bed_get(bed.channel, dir, "pairs", 0, buffer_theirs, 131072, &got), 0);
	assert_int_equal(got, 131072);
	assert_memory_equal(buffer_theirs, buffer_ours, 131072);
}

static void ranges(void **state)
{
	static const struct {
		uint32_t offset, bytes, got;
	} cases[] = {
		{0, 1, 1},     {0, 10000, 10000},  {9999, 1, 1},
		{9999, 2, 1},  {5000, 3000, 3000}, {9000, 5000, 1000},
		{10000, 1, 0}, {123456, 100, 0},   {1, 9999, 9999},
	};
	const char *dir = bed_dir(&bed, "ranges");
	uint32_t got;

	bed_fill(buffer_ours, 10000, 5);
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT, dir, "o", buffer_ours, 10000), 0);
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT, dir, "empty", buffer_ours, 0), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(buffer_theirs, 0x55, 20000);
		assert_int_equal(bed_get(bed.channel, dir, "o", cases[i].offset, buffer_theirs,
					 cases[i].bytes, &got),
				 0);
		assert_int_equal(got, cases[i].got);
		assert_memory_equal(buffer_theirs, buffer_ours + cases[i].offset, got);
		assert_int_equal(buffer_theirs[cases[i].bytes], 0x55);
	}
	assert_int_equal(bed_get(bed.channel, dir, "empty", 0, buffer_theirs, 10, &got), 0);
	assert_int_equal(got, 0);
	assert_int_equal(bed_get(bed.channel, dir, "empty", 7, buffer_theirs, 10, &got), 0);
	assert_int_equal(got, 0);
}

static void missing_is_missing(void **state)
{
	const char *dir = bed_dir(&bed, "missing");
	struct engine_item items[3] = {{.to = buffer_theirs, .bytes = 10},
				       {.to = buffer_theirs + 10, .bytes = 10},
				       {.to = buffer_theirs + 20, .bytes = 10}};
	uint32_t got;

	assert_int_equal(bed_get(bed.channel, dir, "no", 0, buffer_theirs, 10, &got), -ENOENT);
	assert_int_equal(got, 0);
	assert_int_equal(bed_get(bed.channel, dir, "no", 5, buffer_theirs, 10, &got), -ENOENT);
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT, dir, "yes", "12345", 5), 0);
	/* A directory's name, a longer and a shorter leaf are other names. */
	assert_int_equal(bed_get(bed.channel, dir, "yes1", 0, buffer_theirs, 10, &got), -ENOENT);
	assert_int_equal(bed_get(bed.channel, dir, "ye", 0, buffer_theirs, 10, &got), -ENOENT);
	assert_int_equal(bed_get(bed.channel, dir, "Yes", 0, buffer_theirs, 10, &got), -ENOENT);
	bed_name(&items[0].name, dir, "no-1");
	bed_name(&items[1].name, dir, "yes");
	bed_name(&items[2].name, dir, "no-2");
	assert_int_equal(bed_items(bed.channel, ENGINE_GET, items, 3), -ENOENT);
	assert_int_equal(items[0].result, -ENOENT);
	assert_int_equal(items[1].result, 0);
	assert_int_equal(items[1].got, 5);
	assert_memory_equal(items[1].to, "12345", 5);
	assert_int_equal(items[2].result, -ENOENT);
}

static void writing_again_changes_nothing(void **state)
{
	const char *dir = bed_dir(&bed, "again");
	uint32_t got;

	bed_fill(buffer_ours, 5000, 9);
	for (int i = 0; i < 3; i++)
		assert_int_equal(bed_put(bed.channel, ENGINE_PUT, dir, "o", buffer_ours, 5000), 0);
	assert_int_equal(bed_get(bed.channel, dir, "o", 0, buffer_theirs, 6000, &got), 0);
	assert_int_equal(got, 5000);
	assert_memory_equal(buffer_theirs, buffer_ours, 5000);
}

static void put_new_is_a_put(const char *dir)
{
	uint32_t got;

	assert_int_equal(bed_put(bed.channel, ENGINE_PUT_NEW, dir, "o", "ours", 4), 0);
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT_NEW, dir, "o", "theirs", 6), 0);
	assert_int_equal(bed_get(bed.channel, dir, "o", 0, buffer_theirs, 10, &got), 0);
	assert_int_equal(got, 6);
}

static void put_new_refuses_others(void **state)
{
	const char *dir = bed_dir(&bed, "new");
	uint32_t got;

	if ((bed.caps->flags & ENGINE_CONDITIONAL) == 0) {
		put_new_is_a_put(dir);
		return;
	}
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT_NEW, dir, "o", "ours", 4), 0);
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT_NEW, dir, "o", "ours", 4), 0);
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT_NEW, dir, "o", "theirs", 6), -EEXIST);
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT_NEW, dir, "o", "OURS", 4), -EEXIST);
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT_NEW, dir, "o", "our", 3), -EEXIST);
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT_NEW, dir, "o", "ours!", 5), -EEXIST);
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT_NEW, dir, "o", "", 0), -EEXIST);
	assert_int_equal(bed_get(bed.channel, dir, "o", 0, buffer_theirs, 10, &got), 0);
	assert_int_equal(got, 4);
	assert_memory_equal(buffer_theirs, "ours", 4);
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT_NEW, dir, "empty", "", 0), 0);
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT_NEW, dir, "empty", "", 0), 0);
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT_NEW, dir, "empty", "x", 1), -EEXIST);
	/* What was removed is new again. */
	assert_int_equal(bed_delete(bed.channel, dir, "empty"), 0);
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT_NEW, dir, "empty", "x", 1), 0);
	/* What a PUT wrote is refused as well. */
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT, dir, "put", "a", 1), 0);
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT_NEW, dir, "put", "b", 1), -EEXIST);
}

/* The largest objects differ in the last byte alone. */
static void put_new_compares_to_the_end(void **state)
{
	const char *dir = bed_dir(&bed, "end");
	uint32_t bytes = bed.caps->value_max;

	bed_fill(buffer_ours, bytes, 3);
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT_NEW, dir, "o", buffer_ours, bytes), 0);
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT_NEW, dir, "o", buffer_ours, bytes), 0);
	buffer_ours[bytes - 1] ^= 1;
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT_NEW, dir, "o", buffer_ours, bytes),
			 (bed.caps->flags & ENGINE_CONDITIONAL) != 0 ? -EEXIST : 0);
}

static void deleting_again_is_no_error(void **state)
{
	const char *dir = bed_dir(&bed, "delete");
	struct engine_item items[3] = {0};
	uint32_t got;

	assert_int_equal(bed_delete(bed.channel, dir, "never"), 0);
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT, dir, "a", "1", 1), 0);
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT, dir, "b", "2", 1), 0);
	assert_int_equal(bed_delete(bed.channel, dir, "a"), 0);
	assert_int_equal(bed_delete(bed.channel, dir, "a"), 0);
	assert_int_equal(bed_get(bed.channel, dir, "a", 0, buffer_theirs, 1, &got), -ENOENT);
	assert_int_equal(bed_get(bed.channel, dir, "b", 0, buffer_theirs, 1, &got), 0);
	bed_name(&items[0].name, dir, "a");
	bed_name(&items[1].name, dir, "b");
	bed_name(&items[2].name, dir, "never");
	assert_int_equal(bed_items(bed.channel, ENGINE_DELETE, items, 3), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(items[i].result, 0);
	assert_int_equal(bed_get(bed.channel, dir, "b", 0, buffer_theirs, 1, &got), -ENOENT);
}

static void what_is_done_is_counted(void **state)
{
	struct engine_counters counters;
	struct engine_health health;

	engine_counters(bed.engine, &counters);
	assert_true(counters.gets > 0 && counters.puts > 0 && counters.deletes > 0 &&
		    counters.lists > 0);
	assert_true(counters.round_trips > 0);
	assert_true(counters.put_bytes > bed.caps->value_max);
	assert_true(counters.get_bytes > bed.caps->value_max);
	engine_health(bed.engine, &health);
	assert_int_equal(health.open, 0);
	assert_int_equal(health.failing_us, 0);
	print_message("# %" PRIu64 " round trips, %" PRIu64 " tries after the first\n",
		      counters.round_trips, counters.retries);
}

static void nothing_is_left(void **state)
{
	assert_int_equal(bed_close(&bed), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(put_and_get_of_all_sizes),
		cmocka_unit_test(put_new_and_get_of_all_sizes),
		cmocka_unit_test(too_large_is_refused),
		cmocka_unit_test(every_byte_comes_back),
		cmocka_unit_test(ranges),
		cmocka_unit_test(missing_is_missing),
		cmocka_unit_test(writing_again_changes_nothing),
		cmocka_unit_test(put_new_refuses_others),
		cmocka_unit_test(put_new_compares_to_the_end),
		cmocka_unit_test(deleting_again_is_no_error),
		cmocka_unit_test(batches_of_all_sizes),
		cmocka_unit_test(batches_of_large_objects),
		cmocka_unit_test(names_at_the_limit),
		cmocka_unit_test(lists_are_in_order),
		cmocka_unit_test(lists_come_in_pages),
		cmocka_unit_test(lists_show_what_is_there),
		cmocka_unit_test(lists_keep_to_their_directory),
		cmocka_unit_test(many_in_flight),
		cmocka_unit_test(racers_have_one_winner),
		cmocka_unit_test(channels_at_once),
		cmocka_unit_test(what_is_done_is_counted),
		cmocka_unit_test(nothing_is_left),
	};
	int failed;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: conformance URL [CREDENTIALS-FILE]\n");
		return 2;
	}
	bed_open(&bed, argv[1], argc > 2 ? argv[2] : NULL);
	buffer_ours = malloc(bed.caps->value_max + 131073);
	buffer_theirs = malloc(bed.caps->value_max + 131073);
	if (buffer_ours == NULL || buffer_theirs == NULL)
		return 2;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(buffer_ours);
	free(buffer_theirs);
	return failed;
}
