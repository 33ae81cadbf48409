/* SPDX-License-Identifier: Apache-2.0 */
/* record_test.c - log records: the round trip, and every byte and length that is wrong. */
#include "tests/unit/core/region.h"

#include <abaft/limits.h>

#include "dataplane/core/record.h"

static const uint8_t id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

/* Two writes and a loser behind them: a value, a tombstone. */
static uint32_t make(uint8_t *out)
{
	struct writeset set;

	writeset_init(&set);
	set.count = 3;
	set.winners = 2;
	set.few[0] = (struct write){.key = (uint8_t *)(uintptr_t) "key",
				    .key_bytes = 3,
				    .value = (uint8_t *)(uintptr_t) "value",
				    .bytes = 5};
	set.few[1] = (struct write){
		.key = (uint8_t *)(uintptr_t) "gone", .key_bytes = 4, .kind = VERSION_TOMBSTONE};
	set.few[2] = set.few[0];
	record_encode(out, id, (struct vnum){77, 88}, &set);
	return record_bytes(&set);
}

/* All that recovery does to judge a record. */
static bool good(uint8_t type, const uint8_t *data, uint32_t bytes)
{
	struct record_write w;
	struct record r;

	if (!record_open(&r, type, data, bytes))
		return false;
	for (uint32_t i = 0; i < r.writes; i++)
		if (!record_next(&r, &w))
			return false;
	return record_ended(&r);
}

static void a_commit_makes_the_round_trip(void **state)
{
	struct record_write w;
	uint8_t data[256];
	uint32_t bytes = make(data);
	struct record r;

	assert_int_equal(bytes, 32 + 8 + 3 + 5 + 8 + 4);
	assert_true(record_open(&r, RECORD_COMMIT, data, bytes));
	assert_memory_equal(r.id, id, 16);
	assert_int_equal(r.number.time, 77);
	assert_int_equal(r.number.origin, 88);
	assert_int_equal(r.writes, 2);
	assert_true(record_next(&r, &w));
	assert_int_equal(w.key_bytes, 3);
	assert_memory_equal(w.key, "key", 3);
	assert_int_equal(w.kind, VERSION_VALUE);
	assert_int_equal(w.bytes, 5);
	assert_int_equal(w.offset, 32);
	assert_memory_equal(w.value, "value", 5);
	assert_false(record_ended(&r));
	assert_true(record_next(&r, &w));
	assert_int_equal(w.offset, 32 + 8 + 3 + 5);
	assert_memory_equal(w.key, "gone", 4);
	assert_int_equal(w.kind, VERSION_TOMBSTONE);
	assert_int_equal(w.bytes, 0);
	assert_true(record_ended(&r));
	assert_false(record_next(&r, &w));
}

static void an_abort_makes_the_round_trip(void **state)
{
	struct writeset set;
	uint8_t data[64];
	struct record r;

	writeset_init(&set);
	assert_int_equal(record_bytes(&set), RECORD_HEAD_BYTES);
	record_encode(data, id, (struct vnum){0, 0}, &set);
	assert_true(record_open(&r, RECORD_ABORT, data, RECORD_HEAD_BYTES));
	assert_memory_equal(r.id, id, 16);
	assert_true(record_ended(&r));
	assert_false(good(RECORD_COMMIT, data, RECORD_HEAD_BYTES)); /* nothing written */
}

/* Byte for byte as the commit that they came from, whatever order the writes are given in. */
static void kept_writes_make_the_round_trip(void **state)
{
	struct record_write writes[2];
	uint8_t data[256], copy[256];
	uint32_t bytes = make(data);
	struct record r;

	assert_true(record_open(&r, RECORD_COMMIT, data, bytes));
	assert_true(record_next(&r, &writes[0]) && record_next(&r, &writes[1]));
	assert_int_equal(record_kept_bytes(writes, 2), bytes);
	record_kept_encode(copy, id, (struct vnum){77, 88}, writes, 2);
	assert_memory_equal(copy, data, bytes);
	assert_true(good(RECORD_KEPT, copy, bytes));
	bytes = record_kept_bytes(&writes[1], 1);
	assert_int_equal(bytes, 32 + 8 + 4);
	record_kept_encode(copy, id, (struct vnum){77, 88}, &writes[1], 1);
	assert_int_equal(writes[1].offset, 32); /* where it stands now */
	assert_true(good(RECORD_KEPT, copy, bytes));
	assert_false(good(RECORD_KEPT, data, RECORD_HEAD_BYTES));
}

static void the_layout_is_as_documented(void **state)
{
	static const uint8_t writes[] = {3,   0,   0, 0, 5, 0, 0, 0, 'k', 'e', 'y', 'v', 'a', 'l',
					 'u', 'e', 4, 0, 1, 0, 0, 0, 0,	  0,   'g', 'o', 'n', 'e'};
	static const uint8_t number[] = {77, 0, 0, 0, 0, 0, 0, 0, 88, 0, 0, 0, 2, 0, 0, 0};
	uint8_t data[256];

	make(data);
	assert_memory_equal(data, id, 16);
	assert_memory_equal(data + 16, number, sizeof(number));
	assert_memory_equal(data + 32, writes, sizeof(writes));
}

/* A copy of the exact size, so that a sanitizer sees a step beyond it. */
static bool good_exactly(uint8_t type, const uint8_t *data, uint32_t bytes)
{
	uint8_t *copy = malloc(bytes ? bytes : 1);
	bool ok;

	assert_non_null(copy);
	memcpy(copy, data, bytes);
	ok = good(type, copy, bytes);
	free(copy);
	return ok;
}

static void every_wrong_length_is_refused(void **state)
{
	uint8_t data[256] = {0};
	uint32_t bytes = make(data);

	for (uint32_t n = 0; n < bytes; n++)
		assert_false(good_exactly(RECORD_COMMIT, data, n));
	assert_true(good_exactly(RECORD_COMMIT, data, bytes));
	assert_false(good_exactly(RECORD_COMMIT, data, bytes + 1));
}

static bool good_with(uint32_t at, uint8_t byte)
{
	uint8_t data[256];
	uint32_t bytes = make(data);

	data[at] = byte;
	return good_exactly(RECORD_COMMIT, data, bytes);
}

static void every_wrong_field_is_refused(void **state)
{
	uint8_t data[256];
	uint32_t bytes = make(data);

	assert_false(good(0, data, bytes));
	assert_false(good(RECORD_ABORT, data, bytes));
	assert_false(good(4, data, bytes));
	assert_false(good_with(28, 0));	 /* writes: none */
	assert_false(good_with(28, 1));	 /* fewer than there are */
	assert_false(good_with(28, 3));	 /* more */
	assert_false(good_with(29, 2));	 /* more than a transaction may have */
	assert_false(good_with(16, 0));	 /* no version */
	assert_false(good_with(32, 0));	 /* an empty key */
	assert_false(good_with(33, 5));	 /* a key over the limit */
	assert_false(good_with(34, 2));	 /* an unknown kind */
	assert_false(good_with(34, 1));	 /* a tombstone with a value */
	assert_false(good_with(35, 1));	 /* the reserved byte */
	assert_false(good_with(38, 17)); /* a value over the limit */
	assert_false(good_with(39, 1));
	for (uint32_t at = 32; at < 40; at++) /* any other length overruns or leaves over */
		for (uint32_t byte = 0; byte < 256; byte++)
			if (byte != data[at])
				assert_false(good_with(at, (uint8_t)byte));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_commit_makes_the_round_trip),
		cmocka_unit_test(an_abort_makes_the_round_trip),
		cmocka_unit_test(kept_writes_make_the_round_trip),
		cmocka_unit_test(the_layout_is_as_documented),
		cmocka_unit_test(every_wrong_length_is_refused),
		cmocka_unit_test(every_wrong_field_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
