/* SPDX-License-Identifier: Apache-2.0 */
/* outcome_test.c - O1 and O2: what is remembered, what leaves, and what is refused for it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/core/outcome.h"
#include "dataplane/core/txn_id.h"
#include "tests/lib/core_packet.h"

static const struct mapper plain = {0};

static void add(struct outcome_table *t, uint64_t ms, uint64_t number)
{
	uint8_t id[16];

	packet_id(id, ms, number, 0);
	outcome_add(t, id, number % 2 ? OUTCOME_COMMITTED : OUTCOME_ABORTED,
		    (struct vnum){number, 7});
}

static const struct outcome *find(const struct outcome_table *t, uint64_t ms, uint64_t number)
{
	uint8_t id[16];

	packet_id(id, ms, number, 0);
	return outcome_find(t, id);
}

static void remembers_state_and_number(void **state)
{
	struct outcome_table t;

	assert_int_equal(outcome_init(&t, &plain, 100, 5), 0);
	assert_null(find(&t, 5, 1));
	for (uint64_t i = 0; i < 100; i++)
		add(&t, 5 + i, i);
	for (uint64_t i = 0; i < 100; i++) {
		const struct outcome *o = find(&t, 5 + i, i);

		assert_non_null(o);
		assert_int_equal(o->state, i % 2 ? OUTCOME_COMMITTED : OUTCOME_ABORTED);
		assert_int_equal(o->number.time, i);
		assert_int_equal(o->number.origin, 7);
	}
	assert_null(find(&t, 6, 2));
	assert_int_equal(t.count, 100);
	assert_int_equal(t.evicted, 0);
	assert_int_equal(t.horizon_ms, 0);
	outcome_fini(&t, &plain);
}

/* O2: the oldest leaves first, and the horizon is the highest time of an id that left. */
static void the_oldest_leave_and_the_horizon_rises(void **state)
{
	struct outcome_table t;

	assert_int_equal(outcome_init(&t, &plain, 10, 5), 0);
	add(&t, 500, 1);
	add(&t, 300, 2);
	for (uint64_t i = 3; i <= 10; i++)
		add(&t, 1000 + i, i);
	assert_int_equal(t.horizon_ms, 0);
	add(&t, 2000, 11);
	assert_null(find(&t, 500, 1));
	assert_non_null(find(&t, 300, 2));
	assert_int_equal(t.horizon_ms, 500);
	add(&t, 2000, 12);
	assert_int_equal(t.horizon_ms, 500); /* never falls */
	add(&t, 2000, 13);
	assert_int_equal(t.horizon_ms, 1003);
	assert_int_equal(t.evicted, 3);
	assert_int_equal(t.count, 10);
	outcome_fini(&t, &plain);
}

static void turns_round_many_times(void **state)
{
	struct outcome_table t;

	assert_int_equal(outcome_init(&t, &plain, 37, 5), 0);
	for (uint64_t i = 0; i < 5000; i++) {
		add(&t, i, i);
		assert_non_null(find(&t, i, i));
		if (i >= 37) {
			assert_null(find(&t, i - 37, i - 37));
			assert_non_null(find(&t, i - 36, i - 36));
		}
	}
	assert_int_equal(t.count, 37);
	assert_int_equal(t.evicted, 5000 - 37);
	outcome_fini(&t, &plain);
}

static void a_table_of_one_works(void **state)
{
	struct outcome_table t;

	assert_int_equal(outcome_init(&t, &plain, 0, 5), -EINVAL);
	assert_int_equal(outcome_init(&t, &plain, 1, 5), 0);
	add(&t, 9, 1);
	add(&t, 8, 2);
	assert_null(find(&t, 9, 1));
	assert_non_null(find(&t, 8, 2));
	assert_int_equal(t.horizon_ms, 9);
	outcome_fini(&t, &plain);
}

static void an_ids_time_is_its_first_48_bits(void **state)
{
	const uint8_t id[16] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0x7f, 0xff, 0xbf, 0xff};

	assert_int_equal(txn_id_ms(id), 0x0123456789abull);
}

/* Ids chosen so that their halves cancel out still spread over the chains (P7). */
static void chosen_ids_do_not_share_a_chain(void **state)
{
	struct outcome_table t;
	uint32_t longest = 0;

	(void)state;
	assert_int_equal(outcome_init(&t, &plain, 10000, 12345), 0);
	for (uint64_t i = 0; i < 10000; i++) {
		uint8_t id[16];

		store_le64(id, i * 0x10000);
		store_le64(id + 8, i * 0x10000 ^ 77);
		outcome_add(&t, id, OUTCOME_ABORTED, (struct vnum){0, 0});
	}
	for (uint32_t head = 0; head <= t.mask; head++) {
		uint32_t length = 0;

		for (uint32_t i = t.heads[head]; i; i = t.ring[i - 1].next)
			length++;
		longest = length > longest ? length : longest;
	}
	assert_in_range(longest, 1, 12);
	outcome_fini(&t, &plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chosen_ids_do_not_share_a_chain),
		cmocka_unit_test(remembers_state_and_number),
		cmocka_unit_test(the_oldest_leave_and_the_horizon_rises),
		cmocka_unit_test(turns_round_many_times),
		cmocka_unit_test(a_table_of_one_works),
		cmocka_unit_test(an_ids_time_is_its_first_48_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
