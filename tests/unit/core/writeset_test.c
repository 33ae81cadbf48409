/* SPDX-License-Identifier: Apache-2.0 */
/* writeset_test.c - buffered writes: which one counts, parts in any order, and every limit. */
#include "tests/unit/core/region.h"

#include <abaft/limits.h>

#include "dataplane/core/writeset.h"

struct bed {
	struct region region;
	struct writeset set;
};

static uint8_t pattern[ABAFT_VALUE_BYTES_MAX];

static void open_bed(struct bed *b)
{
	for (uint32_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 7 + i / 256);
	region_open(&b->region, 16);
	writeset_init(&b->set);
}

static void close_bed(struct bed *b)
{
	writeset_fini(&b->set, &b->region.cache);
	assert_int_equal(b->set.value_bytes + b->set.meta_bytes + b->set.count, 0);
	region_close(&b->region);
}

static struct write_args args_of(uint32_t key, uint64_t opnum, const void *data, uint32_t bytes)
{
	static uint8_t name[4];

	memcpy(name, &key, 4);
	return (struct write_args){.id = {.lo = key + 1, .hi = key},
				   .opnum = opnum,
				   .packet = opnum,
				   .key = name,
				   .key_bytes = 4,
				   .data = data,
				   .total = bytes,
				   .data_bytes = bytes};
}

static int put(struct bed *b, uint32_t key, uint64_t opnum, const char *value)
{
	struct write_args a = args_of(key, opnum, value, (uint32_t)strlen(value));

	return writeset_put(&b->set, &b->region.cache, &a);
}

static int put_part(struct bed *b, uint32_t key, uint64_t opnum, uint32_t total, uint32_t offset,
		    uint32_t bytes)
{
	struct write_args a = args_of(key, opnum, pattern + offset, bytes);

	a.total = total;
	a.offset = offset;
	a.part = true;
	return writeset_put(&b->set, &b->region.cache, &a);
}

static const struct write *find(struct bed *b, uint32_t key)
{
	return writeset_find(&b->set, (struct key_id){.lo = key + 1, .hi = key}, UINT64_MAX);
}

static void expect(struct bed *b, uint32_t key, const char *value)
{
	const struct write *w = find(b, key);

	assert_non_null(w);
	assert_null(w->parts);
	assert_int_equal(w->bytes, strlen(value));
	if (w->bytes > 0)
		assert_memory_equal(w->value, value, w->bytes);
}

static void higher_numbers_replace(void **state)
{
	struct bed b;

	open_bed(&b);
	assert_null(find(&b, 1));
	assert_int_equal(put(&b, 1, opnum_make(0, 0, 5), "five"), 0);
	assert_int_equal(put(&b, 1, opnum_make(0, 0, 4), "four"), 0);
	expect(&b, 1, "five");
	assert_int_equal(put(&b, 1, opnum_make(0, 0, 5), "again"), 0);
	expect(&b, 1, "five");
	assert_int_equal(put(&b, 1, opnum_make(0, 0, 6), ""), 0);
	expect(&b, 1, "");
	assert_int_equal(put(&b, 1, opnum_make(0, 1, 0), "later attempt"), 0);
	expect(&b, 1, "later attempt");
	assert_int_equal(b.set.count, 1);
	assert_int_equal(b.set.value_bytes, 13);
	close_bed(&b);
}

static void the_later_step_counts_and_uncovers_the_earlier(void **state)
{
	struct bed b;

	open_bed(&b);
	assert_int_equal(put(&b, 1, opnum_make(2, 0, 0), "step 2"), 0);
	assert_int_equal(put(&b, 1, opnum_make(1, 7, 9), "step 1"), 0);
	expect(&b, 1, "step 2");
	writeset_drop(&b.set, &b.region.cache, 2, 1);
	expect(&b, 1, "step 1");
	assert_int_equal(put(&b, 1, opnum_make(2, 1, 0), "step 2 again"), 0);
	expect(&b, 1, "step 2 again");
	close_bed(&b);
}

static void a_later_attempt_drops_what_the_earlier_wrote(void **state)
{
	struct bed b;

	open_bed(&b);
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(put(&b, i, opnum_make((uint16_t)(i % 2), 3, i), "value"), 0);
	assert_int_equal(put_part(&b, 99, opnum_make(1, 2, 0), 1000, 0, 256), 0);
	writeset_drop(&b.set, &b.region.cache, 1, 3); /* the same attempt stays */
	assert_null(find(&b, 99));
	assert_int_equal(b.set.count, 20);
	writeset_drop(&b.set, &b.region.cache, 1, 4);
	for (uint32_t i = 0; i < 20; i++)
		assert_true(!find(&b, i) == (i % 2 == 1));
	assert_int_equal(b.set.count, 10);
	assert_int_equal(b.set.value_bytes, 50);
	close_bed(&b);
}

static void tombstones_and_values_replace_each_other(void **state)
{
	struct write_args a;
	struct bed b;

	open_bed(&b);
	assert_int_equal(put(&b, 1, 1, "value"), 0);
	a = args_of(1, 2, NULL, 0);
	a.kind = VERSION_TOMBSTONE;
	assert_int_equal(writeset_put(&b.set, &b.region.cache, &a), 0);
	assert_int_equal(find(&b, 1)->kind, VERSION_TOMBSTONE);
	assert_int_equal(b.set.value_bytes, 0);
	assert_int_equal(put(&b, 1, 3, "back"), 0);
	assert_int_equal(find(&b, 1)->kind, VERSION_VALUE);
	close_bed(&b);
}

/* A value of 1000 bytes in parts of 256, backwards and twice; the last one is short. */
static void parts_come_in_any_order_and_twice(void **state)
{
	struct bed b;

	open_bed(&b);
	for (uint32_t i = 4; i-- > 0;) {
		uint32_t bytes = i == 3 ? 1000 - 768 : 256;

		assert_int_equal(put_part(&b, 1, 9, 1000, i * 256, bytes), 0);
		assert_int_equal(put_part(&b, 1, 9, 1000, i * 256, bytes), 0);
		assert_true(!find(&b, 1)->parts == (i == 0));
		assert_true(writeset_settle(&b.set) == (i == 0));
	}
	assert_memory_equal(find(&b, 1)->value, pattern, 1000);
	assert_int_equal(put_part(&b, 1, 9, 1000, 0, 256), 0); /* late, whole already */
	assert_int_equal(put_part(&b, 1, 9, 1001, 0, 256), -EINVAL);
	close_bed(&b);
}

static void several_granules_make_one_part(void **state)
{
	struct bed b;

	open_bed(&b);
	assert_int_equal(put_part(&b, 1, 9, ABAFT_VALUE_BYTES_MAX, 1024, 1024), 0);
	for (uint32_t at = 0; at < ABAFT_VALUE_BYTES_MAX; at += 1280) {
		uint32_t left = ABAFT_VALUE_BYTES_MAX - at;

		assert_non_null(find(&b, 1)->parts);
		assert_int_equal(
			put_part(&b, 1, 9, ABAFT_VALUE_BYTES_MAX, at, left < 1280 ? left : 1280),
			0);
	}
	assert_null(find(&b, 1)->parts);
	assert_memory_equal(find(&b, 1)->value, pattern, ABAFT_VALUE_BYTES_MAX);
	close_bed(&b);
}

static void one_part_may_be_the_whole_value(void **state)
{
	struct bed b;

	open_bed(&b);
	assert_int_equal(put_part(&b, 1, 9, 100, 0, 100), 0);
	assert_null(find(&b, 1)->parts);
	assert_int_equal(put_part(&b, 2, 9, 0, 0, 0), 0);
	expect(&b, 2, "");
	assert_int_equal(put_part(&b, 3, 9, 512, 512, 0), 0); /* a part of nothing */
	assert_non_null(find(&b, 3)->parts);
	assert_false(writeset_settle(&b.set));
	close_bed(&b);
}

/* A whole value of a higher number ends the reassembly of a lower one. */
static void a_value_replaces_parts(void **state)
{
	struct bed b;

	open_bed(&b);
	assert_int_equal(put_part(&b, 1, 9, 1000, 0, 256), 0);
	assert_int_equal(put(&b, 1, 10, "whole"), 0);
	expect(&b, 1, "whole");
	assert_int_equal(put_part(&b, 1, 9, 1000, 256, 256), 0); /* late: no effect */
	expect(&b, 1, "whole");
	assert_int_equal(put_part(&b, 1, 11, 600, 0, 512), 0);
	assert_non_null(find(&b, 1)->parts);
	close_bed(&b);
}

static void keys_are_limited(void **state)
{
	struct bed b;

	open_bed(&b);
	for (uint32_t i = 0; i < ABAFT_TXN_WRITES_MAX; i++)
		assert_int_equal(put(&b, i, i, "v"), 0);
	assert_int_equal(put(&b, ABAFT_TXN_WRITES_MAX, 999, "v"), -E2BIG);
	assert_int_equal(put(&b, 7, 999, "replaced"), 0);
	for (uint32_t i = 0; i < ABAFT_TXN_WRITES_MAX; i++)
		expect(&b, i, i == 7 ? "replaced" : "v");
	close_bed(&b);
}

static void bytes_of_keys_are_limited(void **state)
{
	static uint8_t key[ABAFT_KEY_BYTES_MAX];
	struct write_args a;
	uint32_t n;
	struct bed b;

	open_bed(&b);
	for (n = 0; n < ABAFT_TXN_WRITES_MAX; n++) {
		a = args_of(n, n, "v", 1);
		a.key = key;
		a.key_bytes = sizeof(key);
		if (writeset_put(&b.set, &b.region.cache, &a))
			break;
	}
	assert_int_equal(writeset_put(&b.set, &b.region.cache, &a), -EFBIG);
	assert_true(n > 50 && b.set.meta_bytes <= ABAFT_TXN_META_BYTES_MAX);
	assert_int_equal(b.set.count, n);
	close_bed(&b);
}

static void bytes_of_values_are_limited(void **state)
{
	uint32_t n = ABAFT_TXN_VALUE_BYTES_MAX / ABAFT_VALUE_BYTES_MAX;
	struct bed b;

	open_bed(&b);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(put_part(&b, i, i, ABAFT_VALUE_BYTES_MAX, 0, 256), 0);
	assert_int_equal(put(&b, n, n, "v"), -EFBIG);
	assert_null(find(&b, n));
	assert_int_equal(put_part(&b, 0, n, ABAFT_VALUE_BYTES_MAX - 1, 0, 256), 0);
	assert_int_equal(put(&b, n, n, "v"), 0);
	close_bed(&b);
}

static void says_when_there_is_no_memory(void **state)
{
	void *block[16];
	struct bed b;

	open_bed(&b);
	for (uint32_t i = 0; i < 16; i++)
		block[i] = memory_alloc(&b.region.cache, 1 << 20);
	assert_int_equal(put(&b, 1, 1, "v"), -ENOMEM);
	memory_free(&b.region.cache, block[15], 1 << 20);
	memory_cache_flush(&b.region.cache);
	assert_int_equal(put(&b, 1, 1, "v"), 0); /* key and value: one class */
	assert_int_equal(put_part(&b, 2, 2, 1000, 0, 256), -ENOMEM);
	assert_null(find(&b, 2));
	expect(&b, 1, "v");
	for (uint32_t i = 0; i < 15; i++)
		memory_free(&b.region.cache, block[i], 1 << 20);
	close_bed(&b);
}

/* Winners stand in front, whatever the order; losers stay, with their parts missing or not. */
static void settling_moves_winners_to_the_front(void **state)
{
	struct bed b;

	open_bed(&b);
	assert_int_equal(put(&b, 1, opnum_make(0, 0, 0), "1 loses"), 0);
	assert_int_equal(put_part(&b, 2, opnum_make(0, 0, 1), 1000, 0, 256), 0); /* loses */
	assert_int_equal(put(&b, 3, opnum_make(0, 0, 2), "3 wins"), 0);
	assert_int_equal(put(&b, 2, opnum_make(1, 0, 0), "2 wins"), 0);
	assert_int_equal(put(&b, 1, opnum_make(2, 0, 0), "1 wins"), 0);
	assert_int_equal(put(&b, 1, opnum_make(1, 0, 1), "1 loses"), 0);
	for (uint32_t round = 0; round < 2; round++) {
		assert_true(writeset_settle(&b.set));
		assert_int_equal(b.set.winners, 3);
		assert_int_equal(b.set.count, 6);
		for (uint32_t i = 0; i < 3; i++)
			assert_ptr_equal(writeset_find(&b.set, b.set.entries[i].id, UINT64_MAX),
					 &b.set.entries[i]);
	}
	expect(&b, 1, "1 wins");
	expect(&b, 2, "2 wins");
	expect(&b, 3, "3 wins");
	writeset_drop(&b.set, &b.region.cache, 1, 1);
	assert_false(writeset_settle(&b.set)); /* 2 of step 0 counts again, and misses parts */
	close_bed(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(higher_numbers_replace),
		cmocka_unit_test(the_later_step_counts_and_uncovers_the_earlier),
		cmocka_unit_test(a_later_attempt_drops_what_the_earlier_wrote),
		cmocka_unit_test(tombstones_and_values_replace_each_other),
		cmocka_unit_test(parts_come_in_any_order_and_twice),
		cmocka_unit_test(several_granules_make_one_part),
		cmocka_unit_test(one_part_may_be_the_whole_value),
		cmocka_unit_test(a_value_replaces_parts),
		cmocka_unit_test(keys_are_limited),
		cmocka_unit_test(bytes_of_keys_are_limited),
		cmocka_unit_test(bytes_of_values_are_limited),
		cmocka_unit_test(says_when_there_is_no_memory),
		cmocka_unit_test(settling_moves_winners_to_the_front),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
