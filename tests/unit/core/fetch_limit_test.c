/* SPDX-License-Identifier: Apache-2.0 */
/* fetch_limit_test.c - reads that the log cannot take, that do not end, and as many as there may be
 * (fetch.h F5, P7). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <abaft/error.h>

#include "tests/unit/core/cold.h"

/* Segments leave while they are asked for: the place is loaded again, a few times. */
static void a_place_that_is_no_more(void **state)
{
	struct bed_answer answer;

	(void)state;
	put_cold("k", 'a');
	disk->stale = 2;
	assert_int_equal(send_get("k", &answer), NODE_FETCH);
	assert_int_equal(disk->reads_asked, 3);
	bed_fetch(&bed, 0, 1);
	assert_value(&answer, 0, "k", 'a');
	bed_cold(&bed, "k");
	disk->stale = 1000;
	assert_int_equal(send_get("k", &answer), NODE_FETCH);
	bed_fetch(&bed, 0, 0);
	assert_int_equal(bed_status(&answer, 0), ABAFT_READ_FAILED);
	assert_in_range(disk->reads_asked, 5, 20);
	disk->stale = 0;
	disk->read_error = -ESTALE;
	assert_int_equal(send_get("k", &answer), NODE_FETCH);
	bed_fetch(&bed, 0, 1);
	assert_int_equal(answer.verdict, NODE_FETCH);
	assert_int_equal(counters->fetches_again, 1);
	disk->read_error = 0;
	bed_fetch(&bed, 0, 1);
	assert_value(&answer, 0, "k", 'a');
}

/* The log takes so many reads at a time only: the others come later, stale ones once more. */
static void reads_wait_for_room_in_the_log(void **state)
{
	struct bed_answer a, b, c;

	(void)state;
	put_cold("a", 'a');
	put_cold("b", 'b');
	put_cold("c", 'c');
	disk->reads_max = 1;
	assert_int_equal(send_get("a", &a), NODE_FETCH);
	assert_int_equal(send_get("b", &b), NODE_FETCH);
	assert_int_equal(send_get("c", &c), NODE_FETCH);
	assert_int_equal(disk->reading, 1);
	bed_fetch(&bed, 0, 0);
	assert_int_equal(disk->reading, 1);
	disk->stale = 1;
	bed_fetch(&bed, 0, 1);
	assert_value(&a, 0, "a", 'a');
	assert_int_equal(b.again, 1); /* b was stale, so c came before it */
	assert_int_equal(b.verdict, NODE_FETCH);
	bed_fetch(&bed, 0, 1);
	assert_value(&c, 0, "c", 'c');
	bed_fetch(&bed, 0, 1);
	assert_value(&b, 0, "b", 'b');
}

/* F5. */
static void a_disk_that_does_not_answer(void **state)
{
	struct bed_answer late, next;
	uint64_t used, us;

	(void)state;
	put_cold("k", 'a');
	used = bed_used(&bed);
	assert_int_equal(send_get("k", &late), NODE_FETCH);
	us = bed_tick(&bed, 0);
	assert_true(us > 0 && us <= ABAFT_FETCH_MS_MAX * 1000);
	bed_advance_us(&bed, ABAFT_FETCH_MS_MAX * 1000 - 1);
	bed_tick(&bed, 0);
	bed_fetch(&bed, 0, 0);
	assert_int_equal(late.again, 0);
	bed_advance_us(&bed, 1);
	assert_int_equal(send_get("k", &next), NODE_FETCH);
	assert_int_equal(bed_tick(&bed, 0), 0);
	bed_fetch(&bed, 0, 0);
	assert_int_equal(bed_status(&late, 0), ABAFT_READ_FAILED);
	assert_int_equal(counters->fetch_timeouts, 1);
	assert_int_equal(next.again, 0);
	bed_advance_us(&bed, ABAFT_FETCH_MS_MAX * 1000);
	bed_tick(&bed, 0);
	bed_fetch(&bed, 0, 0);
	assert_int_equal(bed_status(&next, 0), ABAFT_READ_FAILED);
	/* The buffer is the device's until it says so. */
	assert_int_equal(bed.node[0]->fetches->open, 1);
	assert_int_equal(disk->reading, 1);
	bed_fetch(&bed, 0, 1);
	assert_int_equal(bed.node[0]->fetches->open, 0);
	bed_advance_us(&bed, 10000000);
	bed_ticks(&bed, 10);
	assert_int_equal(bed_used(&bed), used);
}

/* Nobody waits any more for a read that the log has not taken yet. */
static void a_late_request_takes_back_what_was_not_begun(void **state)
{
	struct bed_answer a, b;

	(void)state;
	put_cold("a", 'a');
	put_cold("b", 'b');
	disk->reads_max = 1;
	assert_int_equal(send_get("a", &a), NODE_FETCH);
	assert_int_equal(send_get("b", &b), NODE_FETCH);
	bed_advance_us(&bed, ABAFT_FETCH_MS_MAX * 1000);
	bed_tick(&bed, 0);
	bed_fetch(&bed, 0, 0);
	assert_int_equal(counters->fetch_timeouts, 2);
	disk->reads_max = LOG_FAKE_READS;
	bed_fetch(&bed, 0, 0);
	assert_int_equal(bed.node[0]->fetches->open, 1);
	assert_int_equal(disk->reading, 1);
	bed_fetch(&bed, 0, 1);
}

/* A request that is parked once more keeps its time. */
static void waiting_again_does_not_begin_anew(void **state)
{
	struct bed_answer first, second;

	(void)state;
	put_cold("a", 'a');
	put_cold("b", 'b');
	assert_int_equal(send_get("a", &first), NODE_FETCH);
	bed_advance_us(&bed, 3000000);
	assert_int_equal(send_get("b", &second), NODE_FETCH);
	disk->read_damage = 1;
	bed_fetch(&bed, 0, 1);
	assert_int_equal(first.again, 1);
	assert_int_equal(first.verdict, NODE_FETCH);
	bed_advance_us(&bed, 2000000);
	bed_tick(&bed, 0);
	bed_fetch(&bed, 0, 0);
	assert_int_equal(bed_status(&first, 0), ABAFT_READ_FAILED);
	assert_int_equal(second.again, 0);
	bed_fetch(&bed, 0, 2);
	assert_value(&second, 0, "b", 'b');
}

static void as_many_values_as_there_may_be(void **state)
{
	static struct bed_answer answers[ABAFT_FETCHES_MAX];
	struct bed_answer answer;
	char key[16];

	(void)state;
	for (uint32_t i = 0; i <= ABAFT_FETCHES_MAX; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		put_cold(key, 'a');
	}
	for (uint32_t i = 0; i < ABAFT_FETCHES_MAX; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		assert_int_equal(send_get(key, &answers[i]), NODE_FETCH);
	}
	snprintf(key, sizeof(key), "k%u", ABAFT_FETCHES_MAX);
	assert_int_equal(send_get(key, &answer), NODE_ANSWER);
	assert_int_equal(bed_status(&answer, 0), ABAFT_BUSY);
	assert_int_equal(counters->busy_fetches, 1);
	bed_fetch(&bed, 0, UINT32_MAX);
	while (answers[ABAFT_FETCHES_MAX - 1].again == 0) /* so many in one pass */
		bed_fetch(&bed, 0, 0);
	for (uint32_t i = 0; i < ABAFT_FETCHES_MAX; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		assert_value(&answers[i], 0, key, 'a');
	}
	assert_int_equal(send_get(key, &answer), NODE_ANSWER);
}

static void as_many_requests_as_may_wait(void **state)
{
	static struct bed_answer answers[ABAFT_FETCH_WAITERS_MAX];
	struct bed_answer answer;
	struct packet p;
	uint8_t id[16];

	(void)state;
	put_cold("k", 'a');
	put_cold("other", 'a');
	begin(&p, id);
	get(&p, "k", 100);
	packet_finish(&p);
	for (uint32_t i = 0; i < ABAFT_FETCH_WAITERS_MAX; i++)
		assert_int_equal(bed_send(&bed, 0, &p, &answers[i]), NODE_FETCH);
	assert_int_equal(bed_send(&bed, 0, &p, &answer), NODE_ANSWER);
	assert_int_equal(bed_status(&answer, 0), ABAFT_BUSY);
	assert_int_equal(send_get("other", &answer), NODE_ANSWER);
	assert_int_equal(bed_status(&answer, 0), ABAFT_BUSY);
	assert_int_equal(counters->busy_fetches, 2);
	assert_int_equal(disk->reading, 1); /* nothing is begun that nobody waits for */
	bed_fetch(&bed, 0, 1);
	while (answers[ABAFT_FETCH_WAITERS_MAX - 1].again == 0)
		bed_fetch(&bed, 0, 0);
	for (uint32_t i = 0; i < ABAFT_FETCH_WAITERS_MAX; i++)
		assert_value(&answers[i], 0, "k", 'a');
}

static void no_memory_for_the_value(void **state)
{
	struct memory_cache *memory = &bed.node[0]->memory;
	void *blocks[64], *block;
	struct bed_answer answer;
	uint32_t count = 0, small = 0;
	struct packet p;
	uint8_t id[16];

	(void)state;
	put_cold("a", 'a');
	put_cold("b", 'b');
	begin(&p, id);
	get(&p, "a", 100);
	get(&p, "b", 100);
	packet_finish(&p);
	while (count < 64 && (block = memory_alloc(memory, MEMORY_SPAN_BYTES)))
		blocks[count++] = block;
	void *rest[4096];
	while (small < 4096 && (block = memory_alloc(memory, LARGE)))
		rest[small++] = block;
	memory_free(memory, rest[--small], LARGE);
	assert_int_equal(bed_send(&bed, 0, &p, &answer), NODE_ANSWER);
	assert_int_equal(bed_status(&answer, 0), ABAFT_BUSY);
	assert_int_equal(counters->busy_fetch_memory, 1);
	assert_int_equal(counters->fetches, 0); /* both or none */
	while (small > 0)
		memory_free(memory, rest[--small], LARGE);
	while (count > 0)
		memory_free(memory, blocks[--count], MEMORY_SPAN_BYTES);
	bed_run(&bed, 0, &p, &answer);
	assert_value(&answer, 1, "b", 'b');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		CASE(a_place_that_is_no_more),
		CASE(reads_wait_for_room_in_the_log),
		CASE(a_disk_that_does_not_answer),
		CASE(a_late_request_takes_back_what_was_not_begun),
		CASE(waiting_again_does_not_begin_anew),
		CASE(as_many_values_as_there_may_be),
		CASE(as_many_requests_as_may_wait),
		CASE(no_memory_for_the_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
