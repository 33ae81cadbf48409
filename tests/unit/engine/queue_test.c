/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_test.c - order, pauses, deadlines and the rate of removals, in a time of the test's own.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/engine/queue.h"

#define OPS	  1000
#define SECOND_US UINT64_C(1000000)
#define START_US  (5 * SECOND_US)

static struct queue queue;
static struct engine_op ops[OPS];
static struct engine_item items[ENGINE_ITEMS_MAX];

static void begin(uint64_t rate)
{
	memset(ops, 0, sizeof(ops));
	for (uint32_t i = 0; i < OPS; i++)
		ops[i] = (struct engine_op){.verb = ENGINE_PUT, .until_us = ENGINE_FOREVER};
	for (uint32_t i = 0; i < ENGINE_ITEMS_MAX; i++)
		items[i].result = -EINPROGRESS;
	assert_int_equal(queue_init(&queue, rate, START_US), 0);
}

static struct engine_op *removal(uint32_t i, uint32_t count)
{
	ops[i].verb = ENGINE_DELETE;
	ops[i].items = items;
	ops[i].count = count;
	return &ops[i];
}

static void first_come_first_served(void **state)
{
	begin(0);
	assert_null(queue_next(&queue, START_US));
	assert_true(queue_next_us(&queue) == UINT64_MAX);
	for (uint32_t i = 0; i < OPS; i++)
		queue_add(&queue, i % 7 == 0 ? removal(i, 1) : &ops[i]);
	for (uint32_t i = 0; i < OPS; i++)
		assert_ptr_equal(queue_next(&queue, START_US), &ops[i]);
	assert_null(queue_next(&queue, START_US));
	assert_null(queue_any(&queue));
	queue_free(&queue);
}

static void pauses_end_in_their_order(void **state)
{
	begin(0);
	for (uint32_t i = 0; i < OPS; i++) {
		ops[i].own.again_us = START_US + 1 + i * 617 % OPS; /* each once */
		queue_pause(&queue, &ops[i]);
	}
	for (uint32_t i = 0; i < OPS; i++) {
		struct engine_op *op;

		assert_true(queue_next_us(&queue) == START_US + 1 + i);
		assert_null(queue_next(&queue, START_US + i));
		op = queue_next(&queue, START_US + 1 + i);
		assert_non_null(op);
		assert_true(op->own.again_us == START_US + 1 + i);
	}
	assert_true(queue_next_us(&queue) == UINT64_MAX);
	queue_free(&queue);
}

static void what_is_over_is_found(void **state)
{
	begin(1);
	for (uint32_t i = 0; i < 30; i++) {
		ops[i].until_us = i % 3 == 0 ? START_US + 10000 * (30 - i) : ENGINE_FOREVER;
		queue_add(&queue, i % 2 == 0 ? removal(i, 1) : &ops[i]);
	}
	assert_null(queue_expired(&queue, START_US));
	for (uint32_t i = 27;; i -= 3) { /* the last is over first */
		assert_true(queue_next_us(&queue) <= ops[i].until_us);
		assert_null(queue_expired(&queue, ops[i].until_us - 1));
		assert_ptr_equal(queue_expired(&queue, ops[i].until_us), &ops[i]);
		assert_null(queue_expired(&queue, ops[i].until_us));
		if (i == 0)
			break;
	}
	/* The others are there, in their order, and the lists' ends are whole. */
	queue_add(&queue, &ops[100]);
	for (uint32_t i = 1; i < 30; i += 2)
		if (i % 3 != 0)
			assert_ptr_equal(queue_any(&queue), &ops[i]);
	assert_ptr_equal(queue_any(&queue), &ops[100]);
	for (uint32_t i = 2; i < 30; i += 2)
		if (i % 3 != 0)
			assert_ptr_equal(queue_any(&queue), &ops[i]);
	assert_null(queue_any(&queue));
	queue_free(&queue);
}

/* Removes for a simulated time; how many went. */
static uint64_t removed(uint64_t seconds, uint32_t count)
{
	uint64_t now_us = START_US, end_us = START_US + seconds * SECOND_US, gone = 0;
	uint32_t turns = 0;

	while (now_us <= end_us) {
		struct engine_op *op;

		if (queue.deletes.first == NULL)
			queue_add(&queue, removal(0, count));
		op = queue_next(&queue, now_us);
		gone += op != NULL ? op->count : 0;
		if (op == NULL) {
			assert_true(queue_next_us(&queue) > now_us);
			now_us = queue_next_us(&queue);
		}
		assert_true(++turns < 1000000);
	}
	assert_non_null(queue_any(&queue));
	return gone;
}

static void removals_keep_to_their_rate(void **state)
{
	static const struct {
		uint64_t rate;
		uint32_t count;
	} cases[] = {{1, 1}, {7, 1}, {100, 1}, {1000, 10}, {1000, 1024}, {5, 1024}, {100000, 100}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint64_t seconds = 100;
		uint64_t want = cases[i].rate * seconds, saved = cases[i].rate / 10 + 1, gone;

		begin(cases[i].rate);
		gone = removed(seconds, cases[i].count);
		/* Never more than was allowed and saved, and one operation that was begun. */
		assert_in_range(gone, want - want / 100 - 1, want + saved + cases[i].count);
		queue_free(&queue);
	}
}

static void nothing_is_saved_for_long(void **state)
{
	begin(1000);
	for (uint32_t i = 0; i < 500; i++)
		queue_add(&queue, removal(i, 1));
	/* An hour of silence is worth a tenth of a second. */
	for (uint32_t i = 0; i < 100; i++)
		assert_non_null(queue_next(&queue, START_US + 3600 * SECOND_US));
	assert_null(queue_next(&queue, START_US + 3600 * SECOND_US));
	queue_free(&queue);
}

static void only_removals_wait_for_the_rate(void **state)
{
	begin(1);
	queue_add(&queue, removal(0, 10));
	queue_add(&queue, removal(1, 1));
	queue_add(&queue, &ops[2]);
	assert_ptr_equal(queue_next(&queue, START_US), &ops[0]); /* nine in debt */
	assert_ptr_equal(queue_next(&queue, START_US), &ops[2]);
	assert_null(queue_next(&queue, START_US + 9 * SECOND_US));
	assert_ptr_equal(queue_next(&queue, START_US + 10 * SECOND_US), &ops[1]);
	queue_free(&queue);
}

/* What a batch has left to do is what it costs. */
static void done_items_cost_nothing(void **state)
{
	begin(1);
	for (uint32_t i = 0; i < 9; i++)
		items[i].result = 0;
	queue_add(&queue, removal(0, 10));
	queue_add(&queue, removal(1, 10));
	assert_ptr_equal(queue_next(&queue, START_US), &ops[0]);
	assert_null(queue_next(&queue, START_US));
	assert_ptr_equal(queue_next(&queue, START_US + SECOND_US), &ops[1]);
	queue_free(&queue);
}

static uint64_t longest_us(uint32_t tries, bool throttled)
{
	uint64_t random = tries, longest = 0, sum = 0;

	for (uint32_t i = 0; i < 10000; i++) {
		uint64_t again_us =
			queue_again_us(START_US, ENGINE_FOREVER, tries, throttled, &random);

		assert_true(again_us >= START_US);
		sum += again_us - START_US;
		if (again_us - START_US > longest)
			longest = again_us - START_US;
	}
	/* Full jitter: from nothing to all, the half of it on average. */
	assert_in_range(sum / 10000, longest * 48 / 100, longest * 52 / 100);
	return longest;
}

static void pauses_double_to_the_last(void **state)
{
	for (uint32_t tries = 1; tries < 40; tries++) {
		uint64_t most = PAUSE_FIRST_US, throttled = PAUSE_THROTTLED_US;

		for (uint32_t i = 1; i < tries; i++) {
			most = most < PAUSE_LAST_US ? 2 * most : most;
			throttled = throttled < PAUSE_LAST_US ? 2 * throttled : throttled;
		}
		most = most < PAUSE_LAST_US ? most : PAUSE_LAST_US;
		throttled = throttled < PAUSE_LAST_US ? throttled : PAUSE_LAST_US;
		assert_in_range(longest_us(tries, false), most * 99 / 100, most);
		assert_in_range(longest_us(tries, true), throttled * 99 / 100, throttled);
	}
}

static void pauses_leave_time_for_a_try(void **state)
{
	uint64_t random = 1, again_us;

	for (uint64_t left_us = 2000; left_us < 4 * SECOND_US; left_us += 997) {
		again_us = queue_again_us(START_US, START_US + left_us, 30, false, &random);
		assert_in_range(again_us, START_US, START_US + left_us / 2);
	}
	assert_int_equal(queue_again_us(START_US, START_US + 1999, 1, false, &random), 0);
	assert_int_equal(queue_again_us(START_US, START_US, 1, false, &random), 0);
	assert_int_equal(queue_again_us(START_US, START_US - 1, 1, true, &random), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_come_first_served),
		cmocka_unit_test(pauses_end_in_their_order),
		cmocka_unit_test(what_is_over_is_found),
		cmocka_unit_test(removals_keep_to_their_rate),
		cmocka_unit_test(nothing_is_saved_for_long),
		cmocka_unit_test(only_removals_wait_for_the_rate),
		cmocka_unit_test(done_items_cost_nothing),
		cmocka_unit_test(pauses_double_to_the_last),
		cmocka_unit_test(pauses_leave_time_for_a_try),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
