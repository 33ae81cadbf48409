/* SPDX-License-Identifier: Apache-2.0 */
/* Names of objects: what is made is taken again, and nothing else is (remote.h's table). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/remote/remote_impl.h"
#include "tests/lib/logdev_sim.h"

static const uint32_t edges[] = {0,	      1,	  9,	     10,      15,
				 16,	      0xff,	  0xffff,    0x10000, 0x7fffffff,
				 0x80000000u, 0xfffffffe, 0xffffffff};
#define EDGES (sizeof(edges) / sizeof(edges[0]))

static uint64_t random_state = 7;

/* An edge, or any number. */
static uint32_t any(void)
{
	uint32_t which = (uint32_t)sim_random(&random_state, 2 * EDGES);

	return which < EDGES ? edges[which] : (uint32_t)sim_random(&random_state, UINT64_MAX);
}

static void log_names(void **state)
{
	struct engine_name name;
	uint32_t log;

	for (uint32_t i = 0; i < ABAFT_LOGS_MAX; i++) {
		remote_name_log(&name, i);
		assert_string_equal(name.dir, "logs");
		assert_true(remote_parse_log(name.leaf, &log));
		assert_int_equal(log, i);
	}
	remote_name_log(&name, 7);
	assert_string_equal(name.leaf, "007");
}

static void marker_names(void **state)
{
	struct engine_name name;

	for (int i = 0; i < 20000; i++) {
		const struct remote_id id = {any(), any()};
		uint64_t bytes = sim_random(&random_state, UINT64_C(1) << 40), found_bytes;
		struct remote_id found;

		remote_name_marker(&name, (uint32_t)i % ABAFT_LOGS_MAX, &id, bytes);
		assert_true(strlen(name.leaf) < ENGINE_LEAF_BYTES - 1);
		assert_true(remote_parse_marker(name.leaf, &found, &found_bytes));
		assert_int_equal(found.number, id.number);
		assert_int_equal(found.incarnation, id.incarnation);
		assert_int_equal(found_bytes, bytes);
	}
	remote_name_marker(&name, 64, &(struct remote_id){0x1a, 3}, 64 << 20);
	assert_string_equal(name.dir, "log-064");
	assert_string_equal(name.leaf, "0000001a-00000003-0004000000");
}

static void part_names(void **state)
{
	struct engine_name name;
	uint32_t block, part;

	for (int i = 0; i < 20000; i++) {
		const struct remote_id id = {any(), any()};
		uint32_t wanted = any(), of = (uint32_t)sim_random(&random_state, 0x10000);

		remote_name_part(&name, 64, &id, wanted, of);
		assert_true(strlen(name.dir) < ENGINE_DIR_BYTES - 1);
		assert_true(remote_parse_part(name.leaf, &block, &part));
		assert_int_equal(block, wanted);
		assert_int_equal(part, of);
	}
	remote_name_part(&name, 0, &(struct remote_id){2, 0xab}, 0x10, 0);
	assert_string_equal(name.dir, "log-000-00000002-000000ab");
	assert_string_equal(name.leaf, "00000010");
	remote_name_part(&name, 0, &(struct remote_id){2, 0xab}, 0x10, 1);
	assert_string_equal(name.leaf, "00000010-0001");
}

static void checkpoint_names(void **state)
{
	struct engine_name name;

	for (int i = 0; i < 20000; i++) {
		uint32_t number = any(), attempt = any(), found_number, found_attempt;
		uint64_t bytes = sim_random(&random_state, UINT64_C(1) << 40), found_bytes;

		remote_name_checkpoint(&name, number, attempt, bytes);
		assert_string_equal(name.dir, "checkpoints");
		assert_true(remote_parse_checkpoint(name.leaf, &found_number, &found_attempt,
						    &found_bytes));
		assert_int_equal(found_number, number);
		assert_int_equal(found_attempt, attempt);
		assert_int_equal(found_bytes, bytes);
	}
}

static void piece_names(void **state)
{
	struct engine_name name;

	for (int i = 0; i < 20000; i++) {
		uint32_t incarnation = any(), piece = any(), found_incarnation, found_piece;

		remote_name_piece(&name, any(), incarnation, piece);
		assert_true(remote_parse_piece(name.leaf, &found_incarnation, &found_piece));
		assert_int_equal(found_incarnation, incarnation);
		assert_int_equal(found_piece, piece);
	}
	remote_name_piece(&name, 5, 0xfe, 0x11);
	assert_string_equal(name.dir, "checkpoint-00000005");
	assert_string_equal(name.leaf, "000000fe-00000011");
}

/* A list's order is that of the bytes: it must be that of numbers. */
static void names_sort_as_numbers(void **state)
{
	for (int i = 0; i < 20000; i++) {
		struct remote_id a = {any(), any()}, b = {any(), any()};
		struct engine_name left, right;
		int order = a.number != b.number ? (a.number < b.number ? -1 : 1)
			    : a.incarnation != b.incarnation
				    ? (a.incarnation < b.incarnation ? -1 : 1)
				    : 0;

		remote_name_marker(&left, 1, &a, 4096);
		remote_name_marker(&right, 1, &b, 4096);
		assert_int_equal(strcmp(left.leaf, right.leaf) < 0, order < 0);
		remote_name_part(&left, 1, &a, a.number, 0);
		remote_name_part(&right, 1, &a, b.number, 0);
		assert_int_equal(strcmp(left.leaf, right.leaf) < 0, a.number < b.number);
		remote_name_part(&right, 1, &a, a.number, 1);
		assert_true(strcmp(left.leaf, right.leaf) < 0);
	}
}

/* Two names are the same only if all numbers are. */
static void names_are_distinct(void **state)
{
	struct engine_name a, b;

	remote_name_part(&a, 1, &(struct remote_id){1, 2}, 3, 4);
	for (int i = 0; i < 5; i++) {
		remote_name_part(&b, 1 + (i == 0), &(struct remote_id){1 + (i == 1), 2 + (i == 2)},
				 3 + (i == 3), 4 + (i == 4));
		assert_true(strcmp(a.dir, b.dir) != 0 || strcmp(a.leaf, b.leaf) != 0);
	}
}

static void near_misses_of_logs(void **state)
{
	static const char *const bad[] = {"",	 "0",	"00",	"0000", "065",	"999", "-01",
					  "+01", " 01", "01 ",	"001 ", "0x1",	"1",   "001a",
					  "a01", "00a", "01\n", "-1",	"1000", "\t01"};
	uint32_t log;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (remote_parse_log(bad[i], &log))
			fail_msg("taken: \"%s\"", bad[i]);
}

static void near_misses_of_markers(void **state)
{
	static const char *const bad[] = {
		"",
		"00000001-00000002",
		"00000001-00000002-",
		"00000001-00000002-000000100",
		"00000001-00000002-00000001000",
		"0000001-00000002-0000001000",
		"000000001-00000002-0000001000",
		"00000001_00000002-0000001000",
		"00000001-00000002-0000001000-",
		"00000001-00000002-000000100g",
		"0000000A-00000002-0000001000",
		"0x000001-00000002-0000001000",
		"-0000001-00000002-0000001000",
		"+0000001-00000002-0000001000",
		"00000001--0000002-0000001000",
		" 0000001-00000002-0000001000",
		"00000001-00000002- 000001000",
		"00000001- 0000002-0000001000",
		"00000001-00000002-0000001000 ",
		"00000001-00000002--000001000",
		"00000001-00000002-0x00001000",
	};
	struct remote_id id;
	uint64_t bytes;
	uint32_t number, attempt;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (remote_parse_marker(bad[i], &id, &bytes))
			fail_msg("taken: \"%s\"", bad[i]);
		if (remote_parse_checkpoint(bad[i], &number, &attempt, &bytes))
			fail_msg("taken: \"%s\"", bad[i]);
	}
}

static void near_misses_of_parts(void **state)
{
	static const char *const bad[] = {"",
					  "0000001",
					  "000000001",
					  "0000001g",
					  "0000001A",
					  "00000001-",
					  "00000001-1",
					  "00000001-001",
					  "00000001-00001",
					  "00000001-0000",
					  "00000001-000A",
					  "00000001_0001",
					  "00000001-0x01",
					  "00000001--001",
					  "00000001-+001",
					  "00000001- 001",
					  " 0000001",
					  "-0000001",
					  "+0000001",
					  "0x000001",
					  "00000001 ",
					  "00000001-0001 ",
					  "00000001-0001-"};
	uint32_t block, part;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (remote_parse_part(bad[i], &block, &part))
			fail_msg("taken: \"%s\"", bad[i]);
		if (remote_parse_piece(bad[i], &block, &part))
			fail_msg("taken: \"%s\"", bad[i]);
	}
}

/* Each name with one byte changed, gone or added is another name or none. */
static void mutants(void **state)
{
	struct engine_name name, again;
	struct remote_id id;
	uint64_t bytes;

	for (int i = 0; i < 200000; i++) {
		char text[ENGINE_LEAF_BYTES + 1];
		size_t length, at;

		remote_name_marker(&name, 3, &(struct remote_id){any(), any()},
				   sim_random(&random_state, UINT64_C(1) << 40));
		snprintf(text, sizeof(text), "%s", name.leaf);
		length = strlen(text);
		at = sim_random(&random_state, length);
		switch (sim_random(&random_state, 3)) {
		case 0:
			text[at] = (char)(1 + sim_random(&random_state, 255));
			break;
		case 1:
			memmove(text + at, text + at + 1, length - at);
			break;
		default:
			memmove(text + at + 1, text + at, length - at + 1);
		}
		if (!remote_parse_marker(text, &id, &bytes))
			continue;
		remote_name_marker(&again, 3, &id, bytes);
		assert_string_equal(again.leaf, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(log_names),
		cmocka_unit_test(marker_names),
		cmocka_unit_test(part_names),
		cmocka_unit_test(checkpoint_names),
		cmocka_unit_test(piece_names),
		cmocka_unit_test(names_sort_as_numbers),
		cmocka_unit_test(names_are_distinct),
		cmocka_unit_test(near_misses_of_logs),
		cmocka_unit_test(near_misses_of_markers),
		cmocka_unit_test(near_misses_of_parts),
		cmocka_unit_test(mutants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
