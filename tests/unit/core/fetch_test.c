/* SPDX-License-Identifier: Apache-2.0 */
/* fetch_test.c - requests whose values are on disk (fetch.h F1-F4). */
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

static void a_cold_value_is_read_back(void **state)
{
	struct bed_answer answer;

	(void)state;
	put_cold("k", 'a');
	assert_int_equal(send_get("k", &answer), NODE_FETCH);
	assert_int_equal(disk->reading, 1);
	assert_int_equal(counters->fetches, 1);
	assert_int_equal(counters->fetch_waits, 1);
	assert_int_equal(counters->gets, 0);
	bed_fetch(&bed, 0, 0);
	assert_int_equal(answer.again, 0);
	bed_fetch(&bed, 0, 1);
	assert_int_equal(answer.again, 1);
	assert_value(&answer, 0, "k", 'a');
	assert_int_equal(counters->gets, 1);
	/* And is in memory from now on. */
	assert_int_equal(send_get("k", &answer), NODE_ANSWER);
	assert_value(&answer, 0, "k", 'a');
	assert_int_equal(disk->reads_asked, 1);
}

static void a_part_of_a_cold_value(void **state)
{
	struct bed_answer answer;
	struct packet p;
	uint8_t id[16];

	(void)state;
	put_cold("k", 'b');
	begin(&p, id);
	packet_get_part(&p, "k", 1, 512, 256);
	packet_finish(&p);
	assert_int_equal(bed_send(&bed, 0, &p, &answer), NODE_FETCH);
	assert_int_equal(counters->get_parts, 0);
	bed_fetch(&bed, 0, 1);
	assert_int_equal(bed_result(&answer, 0).data_bytes, 256);
	assert_memory_equal(bed_result(&answer, 0).data, value_of("k", 'b') + 512, 256);
	assert_int_equal(counters->get_parts, 1);
}

/* F1, and a commit that goes on to the log. */
static void nothing_is_written_before_the_values_are_here(void **state)
{
	struct bed_answer answer;
	struct packet p;
	uint8_t id[16];

	(void)state;
	put_cold("k", 'a');
	put("w", 'a');
	begin(&p, id);
	packet_put(&p, "w", 1, "one", 3);
	get(&p, "w", 0);
	get(&p, "k", 100);
	packet_commit(&p);
	packet_finish(&p);
	assert_int_equal(bed_send(&bed, 0, &p, &answer), NODE_FETCH);
	assert_int_equal(txn_find(&bed.node[0]->txns, id)->writes.count, 0);
	assert_int_equal(txn_find(&bed.node[0]->txns, id)->reads.count, 1);
	assert_int_equal(counters->puts, 2);
	bed_fetch(&bed, 0, 1);
	assert_int_equal(answer.verdict, NODE_WAIT);
	bed_durable(&bed, 0, UINT64_MAX);
	assert_int_equal(bed_status(&answer, 0), ABAFT_OK);
	assert_int_equal(bed_result(&answer, 1).data_bytes, 3);
	assert_int_equal(bed_result(&answer, 1).flags, ABAFT_RESULT_OWN);
	assert_int_equal(bed_status(&answer, 3), ABAFT_OK);
	assert_int_equal(counters->puts, 3);
	assert_int_equal(counters->gets, 2);
}

static void own_writes_need_no_disk(void **state)
{
	struct bed_answer answer;
	struct packet p;
	uint8_t id[16];

	(void)state;
	put_cold("k", 'a');
	put_cold("d", 'a');
	begin(&p, id);
	packet_put(&p, "k", 1, "mine", 4);
	packet_delete(&p, "d", 1);
	get(&p, "k", 0);
	get(&p, "d", 0);
	packet_finish(&p);
	assert_int_equal(bed_send(&bed, 0, &p, &answer), NODE_ANSWER);
	assert_memory_equal(bed_result(&answer, 2).data, "mine", 4);
	assert_int_equal(bed_status(&answer, 3), ABAFT_NOT_FOUND);
	packet_begin(&p, id, bed_instance(&answer), 0, 0, 4, 0);
	get(&p, "k", 0);
	packet_finish(&p);
	assert_int_equal(bed_send(&bed, 0, &p, &answer), NODE_ANSWER);
	assert_int_equal(disk->reads_asked, 0);
}

/* Only what the answer has room for is read. */
static void no_room_no_read(void **state)
{
	struct bed_answer answer;
	char own[601] = "";
	struct packet p;
	uint8_t id[16];

	(void)state;
	put_cold("a", 'a');
	put_cold("b", 'b');
	put_cold("c", 'c');
	memset(own, 'o', 600);
	begin(&p, id);
	packet_put(&p, "o", 1, own, 600);
	get(&p, "o", 0);   /* 600 of 1440 - 80 - 6 * 32 = 1168 */
	get(&p, "a", 0);   /* 512 of 568 */
	get(&p, "b", 0);   /* none of 56 */
	get(&p, "c", 10);  /* 10 of 56 */
	get(&p, "a", 100); /* none of 46, as a part ends on a granule */
	packet_finish(&p);
	assert_int_equal(bed_send(&bed, 0, &p, &answer), NODE_FETCH);
	assert_int_equal(disk->reading, 2);
	bed_fetch(&bed, 0, 2);
	assert_int_equal(answer.verdict, NODE_ANSWER);
	assert_int_equal(bed_result(&answer, 2).data_bytes, 512);
	assert_int_equal(bed_result(&answer, 3).data_bytes, 0);
	assert_int_equal(bed_result(&answer, 3).total, LARGE);
	assert_int_equal(bed_result(&answer, 4).data_bytes, 10);
	assert_int_equal(bed_result(&answer, 5).data_bytes, 0);
	/* The same without a write before: nothing is looked through ahead. */
	begin(&p, id);
	get(&p, "a", 0);
	get(&p, "b", 0);
	packet_finish(&p);
	assert_int_equal(bed_send(&bed, 0, &p, &answer), NODE_FETCH);
	assert_int_equal(disk->reading, 1);
	bed_fetch(&bed, 0, 1);
	assert_value(&answer, 0, "a", 'a');
}

static void requests_join_one_read(void **state)
{
	struct bed_answer answer[3];
	struct packet p;
	uint8_t id[16];

	(void)state;
	put_cold("k", 'a');
	assert_int_equal(send_get("k", &answer[0]), NODE_FETCH);
	begin(&p, id);
	get(&p, "k", 1);
	get(&p, "k", 100); /* twice in one request */
	packet_commit(&p);
	packet_finish(&p);
	assert_int_equal(bed_send(&bed, 0, &p, &answer[1]), NODE_FETCH);
	assert_int_equal(bed_send(&bed, 0, &p, &answer[2]), NODE_FETCH); /* and sent twice */
	assert_int_equal(counters->fetches, 1);
	assert_int_equal(counters->fetches_joined, 2);
	assert_int_equal(counters->fetch_waits, 3);
	assert_int_equal(disk->reading, 1);
	bed_fetch(&bed, 0, 1);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(answer[i].again, 1);
		assert_value(&answer[i], 0, "k", 'a');
	}
	assert_value(&answer[2], 1, "k", 'a');
	assert_int_equal(counters->commits_read_only, 2);
}

/* F2. */
static void a_value_stays_until_all_who_wait_have_run(void **state)
{
	struct bed_answer both, one, new;
	struct packet p;
	uint8_t id[16];

	(void)state;
	put_cold("a", 'a');
	put_cold("b", 'b');
	begin(&p, id);
	get(&p, "a", 100);
	get(&p, "b", 100);
	packet_finish(&p);
	assert_int_equal(bed_send(&bed, 0, &p, &both), NODE_FETCH);
	assert_int_equal(send_get("a", &one), NODE_FETCH);
	assert_int_equal(disk->reading, 2);
	bed_fetch(&bed, 0, 1);
	assert_value(&one, 0, "a", 'a');
	assert_int_equal(both.again, 0);
	/* It is the fetch's still, so nobody can evict it; who comes now reads it there. */
	assert_null(version_value(bed_version(&bed, "a")));
	assert_int_equal(send_get("a", &new), NODE_ANSWER);
	assert_value(&new, 0, "a", 'a');
	bed_fetch(&bed, 0, 1);
	assert_int_equal(both.again, 1);
	assert_value(&both, 0, "a", 'a');
	assert_value(&both, 1, "b", 'b');
	assert_non_null(version_value(bed_version(&bed, "a")));
	assert_non_null(version_value(bed_version(&bed, "b")));
	assert_int_equal(disk->reads_asked, 2);
}

/* F2, whoever came first: given away it could be evicted, and freed under who waits still. */
static void who_waits_last_gives_the_value_away(void **state)
{
	struct bed_answer both, one;
	struct packet p;
	uint8_t id[16];

	(void)state;
	put_cold("a", 'a');
	put_cold("b", 'b');
	assert_int_equal(send_get("a", &one), NODE_FETCH);
	begin(&p, id);
	get(&p, "a", 100);
	get(&p, "b", 100);
	packet_finish(&p);
	assert_int_equal(bed_send(&bed, 0, &p, &both), NODE_FETCH);
	bed_fetch(&bed, 0, 1);
	assert_value(&one, 0, "a", 'a');
	assert_int_equal(both.again, 0);
	assert_null(version_value(bed_version(&bed, "a")));
	bed_fetch(&bed, 0, 1);
	assert_value(&both, 0, "a", 'a');
	assert_non_null(version_value(bed_version(&bed, "a")));
}

/* What was in memory when the request came, and is evicted while it waits. */
static void evicted_while_another_is_read(void **state)
{
	struct bed_answer answer;
	struct packet p;
	uint8_t id[16];

	(void)state;
	put("a", 'a');
	put_cold("b", 'b');
	begin(&p, id);
	get(&p, "a", 100);
	get(&p, "b", 100);
	packet_put(&p, "w", 1, "one", 3);
	packet_finish(&p);
	assert_int_equal(bed_send(&bed, 0, &p, &answer), NODE_FETCH);
	bed_cold(&bed, "a");
	bed_fetch(&bed, 0, 1);
	assert_int_equal(answer.again, 1);
	assert_int_equal(answer.verdict, NODE_FETCH);
	assert_null(version_value(bed_version(&bed, "b")));
	bed_fetch(&bed, 0, 1);
	assert_value(&answer, 0, "a", 'a');
	assert_value(&answer, 1, "b", 'b');
	assert_int_equal(bed_status(&answer, 2), ABAFT_OK);
	assert_int_equal(disk->reads_asked, 2);
	assert_int_equal(counters->gets, 2);
	assert_int_equal(counters->fetch_waits, 1);
	assert_int_equal(counters->cache_misses, 1);
}

/* F3: the version goes while its value is read. */
static void the_version_is_gone_when_its_value_comes(void **state)
{
	struct bed_answer answer;
	struct packet p;
	uint8_t id[16];
	uint64_t used;

	(void)state;
	put("k", 'b');
	bed_ticks(&bed, 10);
	used = bed_used(&bed);
	put("k", 'a');
	bed_cold(&bed, "k");
	begin(&p, id);
	get(&p, "k", 100);
	packet_deadline(&p, 50);
	packet_finish(&p);
	assert_int_equal(bed_send(&bed, 0, &p, &answer), NODE_FETCH);
	put("k", 'b');
	bed_ticks(&bed, 20);
	assert_int_equal(counters->expired, 1);
	assert_int_equal(bed_version(&bed, "k")->key->versions, 1);
	bed_fetch(&bed, 0, 1);
	/* Executed as if it came now: it opens the transaction anew. */
	assert_value(&answer, 0, "k", 'b');
	bed_ticks(&bed, 20);
	assert_int_equal(bed_used(&bed), used);
}

/* F3: another version stands where the one was that is still being read. */
static void another_version_at_the_same_address(void **state)
{
	const struct version *gone;
	struct bed_answer first, answer;
	uint32_t puts = 0;
	struct packet p;
	uint8_t id[16];

	(void)state;
	put_cold("k", 'a');
	gone = bed_version(&bed, "k");
	begin(&p, id);
	get(&p, "k", 100);
	packet_deadline(&p, 50);
	packet_finish(&p);
	assert_int_equal(bed_send(&bed, 0, &p, &first), NODE_FETCH);
	do {
		put("k", 'b');
		bed_ticks(&bed, 20);
	} while (bed_version(&bed, "k") != gone && ++puts < 100);
	assert_ptr_equal(bed_version(&bed, "k"), gone);
	bed_cold(&bed, "k");
	assert_int_equal(send_get("k", &answer), NODE_FETCH);
	assert_int_equal(disk->reading, 2);
	bed_fetch(&bed, 0, UINT32_MAX);
	assert_value(&answer, 0, "k", 'b');
	assert_value(&first, 0, "k", 'b');
}

/* F4: the first time it is read once more, where it stands then. */
static void a_value_that_moved_is_read_once_more(void **state)
{
	struct bed_answer answer;
	struct version *v;
	uint64_t from;
	uint8_t *old;

	(void)state;
	put_cold("k", 'a');
	v = bed_version(&bed, "k");
	from = v->place;
	old = disk->space + place_segment(from) * LOG_FAKE_SEGMENT_BYTES + place_offset(from) -
	      LOG_FAKE_FIRST_BYTES;
	assert_int_equal(send_get("k", &answer), NODE_FETCH);
	memcpy(disk->space + disk->used, old, 8 + 1 + LARGE);
	memset(old, 0, 8 + 1 + LARGE);
	v->place = place_make(
		0, (uint32_t)((disk->used + LOG_FAKE_FIRST_BYTES) / LOG_FAKE_SEGMENT_BYTES),
		(disk->used + LOG_FAKE_FIRST_BYTES) % LOG_FAKE_SEGMENT_BYTES);
	disk->used += 8 + 1 + LARGE;
	bed_fetch(&bed, 0, 1);
	assert_int_equal(answer.verdict, NODE_FETCH);
	assert_int_equal(counters->fetches_again, 1);
	bed_fetch(&bed, 0, 1);
	assert_value(&answer, 0, "k", 'a');
	assert_int_equal(counters->fetches_corrupt, 0);
	assert_int_equal(counters->gets, 1);
}

static void a_damaged_value_is_never_served(void **state)
{
	struct bed_answer first, second;
	struct packet p;
	uint8_t id[16];

	(void)state;
	put_cold("some key", 'a');
	assert_null(node_damage(bed.node[0]));
	begin(&p, id);
	get(&p, "some key", 1);
	packet_put(&p, "w", 1, "one", 3);
	packet_commit(&p);
	packet_finish(&p);
	disk->read_damage = 2;
	assert_int_equal(bed_send(&bed, 0, &p, &first), NODE_FETCH);
	assert_int_equal(send_get("some key", &second), NODE_FETCH);
	bed_fetch(&bed, 0, 1);
	assert_int_equal(first.verdict, NODE_FETCH);
	assert_int_equal(second.verdict, NODE_FETCH);
	bed_fetch(&bed, 0, 1);
	assert_int_equal(bed_status(&first, 0), ABAFT_CORRUPT);
	assert_int_equal(bed_result(&first, 0).data_bytes, 0);
	assert_int_equal(bed_status(&first, 1), ABAFT_SKIPPED);
	assert_int_equal(bed_status(&first, 2), ABAFT_SKIPPED);
	assert_int_equal(bed_status(&second, 0), ABAFT_CORRUPT);
	assert_int_equal(counters->fetches_corrupt, 1);
	assert_int_equal(counters->fetches_again, 1);
	assert_int_equal(counters->puts, 1);
	assert_non_null(node_damage(bed.node[0]));
	assert_int_equal(node_damage(bed.node[0])->place, bed_version(&bed, "some key")->place);
	assert_int_equal(node_damage(bed.node[0])->key_bytes, 8);
	assert_memory_equal(node_damage(bed.node[0])->key, "some key", 8);
	/* Nothing is remembered of it: should the disk think better of it, so do we. */
	assert_int_equal(send_get("some key", &second), NODE_FETCH);
	bed_fetch(&bed, 0, 1);
	assert_value(&second, 0, "some key", 'a');
}

static void a_key_longer_than_the_damage_has_room_for(void **state)
{
	struct bed_answer answer;
	char key[101] = "";

	(void)state;
	memset(key, 'y', 100);
	put_cold(key, 'a');
	disk->read_damage = 2;
	assert_int_equal(send_get(key, &answer), NODE_FETCH);
	bed_fetch(&bed, 0, 1);
	bed_fetch(&bed, 0, 1);
	assert_int_equal(bed_status(&answer, 0), ABAFT_CORRUPT);
	assert_int_equal(node_damage(bed.node[0])->key_bytes, 100);
	assert_memory_equal(node_damage(bed.node[0])->key, key, NODE_DAMAGE_KEY_BYTES);
}

static void the_disk_fails(void **state)
{
	struct bed_answer answer;

	(void)state;
	put_cold("k", 'a');
	disk->read_error = -EIO;
	assert_int_equal(send_get("k", &answer), NODE_FETCH);
	bed_fetch(&bed, 0, 1);
	assert_int_equal(bed_status(&answer, 0), ABAFT_READ_FAILED);
	assert_int_equal(counters->fetches_failed, 1);
	disk->read_error = 0;
	disk->read_refused = -EIO;
	assert_int_equal(send_get("k", &answer), NODE_FETCH);
	bed_fetch(&bed, 0, 0);
	assert_int_equal(bed_status(&answer, 0), ABAFT_READ_FAILED);
	assert_int_equal(counters->fetches_failed, 2);
	disk->read_refused = 0;
	assert_int_equal(send_get("k", &answer), NODE_FETCH);
	bed_fetch(&bed, 0, 1);
	assert_value(&answer, 0, "k", 'a');
}

/* Two workers read one value: whose comes second keeps it to himself. */
static void another_worker_was_faster(void **state)
{
	struct bed_answer mine, other;
	struct packet p;
	uint8_t id[16];
	uint64_t used;

	(void)state;
	put_cold("k", 'a');
	bed_ticks(&bed, 10);
	used = bed_used(&bed);
	assert_int_equal(send_get("k", &mine), NODE_FETCH);
	bed_id(&bed, 1, id);
	packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	get(&p, "k", 100);
	packet_finish(&p);
	assert_int_equal(bed_send(&bed, 1, &p, &other), NODE_FETCH);
	assert_int_equal(bed.log[1].reading, 1);
	bed_fetch(&bed, 1, 1);
	assert_value(&other, 0, "k", 'a');
	bed_fetch(&bed, 0, 1);
	assert_value(&mine, 0, "k", 'a');
	bed_cold(&bed, "k");
	bed_advance_us(&bed, 6000000);
	bed_ticks(&bed, 10);
	assert_int_equal(bed_used(&bed), used);
}

/* A request that reads a key twice gives its value once: evicted in between, the block is already
 * another's to free. */
static void a_value_is_given_once(void **state)
{
	struct node *node = bed.node[0];
	struct cache_block out[1];
	struct version *v;
	struct fetch *fetch;

	(void)state;
	put_cold("k", 'a');
	v = bed_version(&bed, "k");
	assert_int_equal(fetch_make(node->fetches, v, &fetch), 0);
	assert_true(fetch_give(fetch, v));
	assert_ptr_equal(version_value(v), fetch->value);
	cache_add(&bed.store->cache, 0, v);
	assert_int_equal(cache_evict(&bed.store->cache, 0, UINT64_MAX, out, 1), 1);
	assert_ptr_equal(out[0].block, fetch->value);
	assert_false(fetch_give(fetch, v));
	assert_null(version_value(v));
	fetch_drop(node->fetches, fetch);
	memory_free(&node->memory, (void *)(uintptr_t)out[0].block, out[0].bytes);
}

/* What a request read before it had to wait is counted when it is read once more. */
static void hits_and_misses_are_counted_once(void **state)
{
	struct bed_answer answer;
	struct packet p;
	uint8_t id[16];

	(void)state;
	put("a", 'a');
	put_cold("b", 'b');
	begin(&p, id);
	get(&p, "a", 100);
	get(&p, "b", 100);
	packet_finish(&p);
	assert_int_equal(bed_send(&bed, 0, &p, &answer), NODE_FETCH);
	assert_int_equal(counters->cache_hits, 0);
	assert_int_equal(counters->gets, 0);
	bed_fetch(&bed, 0, 1);
	assert_value(&answer, 1, "b", 'b');
	assert_int_equal(counters->cache_hits, 1);
	assert_int_equal(counters->cache_misses, 1);
	assert_int_equal(counters->gets, 2);
}

/* What ends the transaction while its request waits: it gets what is right then. */
static void the_transaction_ends_meanwhile(void **state)
{
	struct bed_answer waits, ends;
	struct packet p, q;
	uint8_t id[16];

	(void)state;
	put_cold("k", 'a');
	begin(&p, id);
	get(&p, "k", 100);
	packet_finish(&p);
	assert_int_equal(bed_send(&bed, 0, &p, &waits), NODE_FETCH);
	packet_begin(&q, id, 0, 0, 0, 7, 0);
	packet_abort(&q);
	packet_finish(&q);
	bed_run(&bed, 0, &q, &ends);
	assert_int_equal(bed_status(&ends, 0), ABAFT_OK);
	bed_fetch(&bed, 0, 1);
	assert_int_equal(bed_status(&waits, 0), ABAFT_ABORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		CASE(a_cold_value_is_read_back),
		CASE(a_part_of_a_cold_value),
		CASE(nothing_is_written_before_the_values_are_here),
		CASE(own_writes_need_no_disk),
		CASE(no_room_no_read),
		CASE(requests_join_one_read),
		CASE(a_value_stays_until_all_who_wait_have_run),
		CASE(who_waits_last_gives_the_value_away),
		CASE(evicted_while_another_is_read),
		CASE(the_version_is_gone_when_its_value_comes),
		CASE(another_version_at_the_same_address),
		CASE(a_value_that_moved_is_read_once_more),
		CASE(a_damaged_value_is_never_served),
		CASE(a_key_longer_than_the_damage_has_room_for),
		CASE(the_disk_fails),
		CASE(another_worker_was_faster),
		CASE(a_value_is_given_once),
		CASE(hits_and_misses_are_counted_once),
		CASE(the_transaction_ends_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
