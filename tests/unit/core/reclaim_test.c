/* SPDX-License-Identifier: Apache-2.0 */
/* reclaim_test.c - R1 to R8: what is freed, and what is not freed yet. Memory must return. */
#include "tests/unit/core/region.h"

#include <stdio.h>

#include "tests/lib/node_bed.h"

static int setup(void **state)
{
	static struct bed bed;

	bed_defaults(&bed, 3);
	bed_open(&bed);
	*state = &bed;
	return 0;
}

static int teardown(void **state)
{
	bed_close(*state);
	return 0;
}

static uint64_t freed(const struct bed *bed)
{
	uint64_t n = 0;

	for (uint32_t w = 0; w < bed->workers; w++)
		n += bed->node[w]->reclaim.freed;
	return n;
}

static uint64_t held(const struct bed *bed)
{
	uint64_t n = 0;

	for (uint32_t w = 0; w < bed->workers; w++)
		n += bed->node[w]->reclaim.held.count;
	return n;
}

/* A transaction that stays open. */
struct reader {
	uint8_t id[16];
	uint64_t instance;
	uint32_t worker, seq;
};

static void reader_open(struct bed *bed, struct reader *r, uint32_t worker)
{
	memset(r, 0, sizeof(*r));
	r->worker = worker;
	bed_id(bed, worker, r->id);
}

/* Reads, creating the transaction with the first. */
static void reader_begin_packet(struct reader *r, struct packet *p, const char *key)
{
	packet_begin(p, r->id, r->instance, 0, 0, r->seq++, r->instance ? 0 : ABAFT_FLAG_OPEN);
	packet_get(p, key, (uint16_t)strlen(key), 0);
}

static void reader_expect(struct bed *bed, struct reader *r, const char *key, const char *value)
{
	struct reply_result result;
	struct bed_answer answer;
	struct packet p;

	reader_begin_packet(r, &p, key);
	packet_finish(&p);
	assert_int_equal(bed_send(bed, r->worker, &p, &answer), NODE_ANSWER);
	assert_int_equal(bed_status(&answer, 0), value ? ABAFT_OK : ABAFT_NOT_FOUND);
	r->instance = bed_instance(&answer);
	result = bed_result(&answer, 0);
	if (value) {
		assert_int_equal(result.data_bytes, strlen(value));
		assert_memory_equal(result.data, value, strlen(value));
	}
}

static void reader_end(struct bed *bed, struct reader *r)
{
	struct bed_answer answer;
	struct packet p;

	packet_begin(&p, r->id, r->instance, 0, 0, r->seq, 0);
	packet_commit(&p);
	packet_finish(&p);
	bed_run(bed, r->worker, &p, &answer);
	assert_int_equal(bed_status(&answer, 0), ABAFT_OK);
}

static void superseded_versions_go(void **state)
{
	struct bed *bed = *state;
	uint64_t used;

	assert_int_equal(bed_put(bed, 0, "k", "value"), ABAFT_OK);
	bed_ticks(bed, 5);
	used = bed_used(bed);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(bed_put(bed, i % 3, "k", "value"), ABAFT_OK);
	bed_ticks(bed, 5);
	assert_int_equal(freed(bed), 100);
	assert_int_equal(bed_used(bed), used);
}

/* The low-water mark: a young transaction that began before keeps everything. */
static void a_young_reader_keeps_what_it_may_read(void **state)
{
	struct bed *bed = *state;
	struct reader r;

	assert_int_equal(bed_put2(bed, 0, "a", "b", "1"), ABAFT_OK);
	reader_open(bed, &r, 1);
	reader_expect(bed, &r, "a", "1");
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(bed_put2(bed, i % 3, "a", "b", "2"), ABAFT_OK);
	bed_ticks(bed, 50);
	assert_int_equal(freed(bed), 0);
	reader_expect(bed, &r, "b", "1");
	reader_expect(bed, &r, "a", "1");
	reader_end(bed, &r);
	bed_ticks(bed, 5);
	assert_int_equal(freed(bed), 20);
}

/* R3, R4: frozen, it keeps only what its interval meets. */
static void a_frozen_reader_keeps_its_interval_only(void **state)
{
	struct bed *bed = *state;
	struct reader r;

	assert_int_equal(bed_put2(bed, 0, "a", "b", "1"), ABAFT_OK);
	reader_open(bed, &r, 1);
	reader_expect(bed, &r, "a", "1");
	bed_ticks(bed, 120);
	assert_int_equal(bed_counters(bed, 1)->txns_frozen, 1);
	bed_ticks(bed, 2);
	for (uint32_t i = 0; i < 10; i++) {
		assert_int_equal(bed_put2(bed, i % 3, "a", "b", "2"), ABAFT_OK);
		bed_ticks(bed, 2);
	}
	bed_ticks(bed, 5);
	assert_int_equal(held(bed), 2); /* a and b of the first commit */
	assert_int_equal(freed(bed), 18);
	reader_expect(bed, &r, "b", "1");
	reader_expect(bed, &r, "c", NULL);
	reader_end(bed, &r);
	bed_ticks(bed, 30);
	assert_int_equal(held(bed), 0);
	assert_int_equal(freed(bed), 20);
}

/* Its cut covers what it read in the very pass that freezes it, though the era has gone on. */
static void a_reader_freezes_behind_its_last_read(void **state)
{
	struct bed *bed = *state;
	struct bed_answer answer;
	struct reader r;
	struct packet p;

	assert_int_equal(bed_put(bed, 0, "a", "1"), ABAFT_OK);
	reader_open(bed, &r, 1);
	reader_expect(bed, &r, "x", NULL);
	bed_advance_us(bed, 1100000);
	node_pass_begin(bed->node[1], bed->now);
	bed_tick(bed, 0); /* the era ticks */
	assert_int_equal(bed_put(bed, 0, "a", "2"), ABAFT_OK);
	reader_begin_packet(&r, &p, "a");
	packet_finish(&p);
	assert_int_equal(node_execute(bed->node[1], p.bytes, p.used, answer.bytes, &answer.n, NULL),
			 NODE_ANSWER);
	assert_memory_equal(bed_result(&answer, 0).data, "2", 1);
	node_tick(bed->node[1]);
	node_pass_end(bed->node[1]);
	assert_int_equal(bed_counters(bed, 1)->txns_frozen, 1);
	bed_ticks(bed, 3);
	assert_int_equal(bed_put(bed, 0, "a", "3"), ABAFT_OK);
	bed_ticks(bed, 10);
	assert_int_equal(held(bed), 2); /* "1", too: it was there when the reader began */
	assert_int_equal(freed(bed), 0);
	reader_expect(bed, &r, "a", "2");
	reader_end(bed, &r);
}

static void put_pending(struct bed *bed, uint32_t worker, const char *value,
			struct bed_answer *answer)
{
	struct packet p;
	uint8_t id[16];

	bed_id(bed, worker, id);
	packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	packet_put(&p, "k", 1, value, (uint32_t)strlen(value));
	packet_commit(&p);
	packet_finish(&p);
	assert_int_equal(bed_send(bed, worker, &p, answer), NODE_WAIT);
}

/* R1 for a version that another worker supersedes before its own looked round. */
static void superseded_at_birth_counts_from_when_it_was_found(void **state)
{
	struct bed *bed = *state;
	struct bed_answer a, b;
	struct txn *txn[2];
	uint64_t era;

	put_pending(bed, 0, "1", &a);
	put_pending(bed, 1, "2", &b);
	for (uint32_t w = 0; w < 2; w++) {
		txn[w] = bed->node[w]->pending[bed->node[w]->pending_first];
		node_pass_begin(bed->node[w], bed->now);
	}
	era = reclaim_commit(&bed->node[0]->reclaim, txn[0]->commit);
	bed_advance_us(bed, 20000);
	bed_tick(bed, 2); /* the era ticks; here a reader would begin and read "1" */
	reclaim_commit(&bed->node[1]->reclaim, txn[1]->commit);
	reclaim_superseded(&bed->node[0]->reclaim, txn[0]->writes.entries[0].version, era);
	assert_int_equal(bed->node[0]->reclaim.queue.count, 1);
	assert_true(bed->node[0]->reclaim.queue.head->era > era);
	node_pass_end(bed->node[0]);
	node_pass_end(bed->node[1]);
}

/* R7: a pass that began before holds everything back, an idle worker nothing. */
static void a_pass_under_way_keeps_everything(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(bed_put(bed, 0, "k", "1"), ABAFT_OK);
	node_pass_begin(bed->node[1], bed->now);
	assert_int_equal(bed_put(bed, 0, "k", "2"), ABAFT_OK);
	for (uint32_t i = 0; i < 20; i++) {
		bed_advance_us(bed, 10000);
		bed_tick(bed, 0);
	}
	assert_int_equal(freed(bed), 0);
	node_pass_end(bed->node[1]);
	for (uint32_t i = 0; i < 5; i++) {
		bed_advance_us(bed, 10000);
		bed_tick(bed, 0);
	}
	assert_int_equal(freed(bed), 1);
}

/* R8: what is unlinked waits for passes that may stand on it. */
static void unlinked_memory_waits_for_passes(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(bed_put(bed, 0, "k", "1"), ABAFT_OK);
	assert_int_equal(bed_put(bed, 0, "k", "2"), ABAFT_OK);
	bed_ticks(bed, 1);
	bed_advance_us(bed, 10000);
	node_pass_begin(bed->node[1], bed->now);
	bed_tick(bed, 0);
	bed_advance_us(bed, 10000);
	bed_tick(bed, 0);
	assert_int_equal(freed(bed), 1);
	assert_int_equal(bed->node[0]->reclaim.deferred, 2); /* the version and its commit */
	node_pass_end(bed->node[1]);
	bed_ticks(bed, 4);
	assert_int_equal(bed->node[0]->reclaim.deferred, 0);
}

/* R5. */
static void a_deleted_key_leaves_nothing(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(bed_put2(bed, 0, "a", "b", "1"), ABAFT_OK);
	assert_int_equal(bed_put(bed, 1, "a", NULL), ABAFT_OK);
	assert_int_equal(bed_put(bed, 2, "b", NULL), ABAFT_OK);
	assert_int_equal(bed_put(bed, 0, "never there", NULL), ABAFT_OK);
	bed_ticks(bed, 20);
	assert_int_equal(bed_used(bed), 0);
	assert_int_equal(atomic_load(&bed->store->index.keys), 0);
}

static void a_reader_from_before_still_sees_a_deleted_key(void **state)
{
	struct bed *bed = *state;
	struct reader r, after;

	assert_int_equal(bed_put2(bed, 0, "a", "b", "1"), ABAFT_OK);
	reader_open(bed, &r, 1);
	reader_expect(bed, &r, "a", "1");
	assert_int_equal(bed_put2(bed, 0, "a", "b", NULL), ABAFT_OK);
	reader_open(bed, &after, 2);
	reader_expect(bed, &after, "a", NULL);
	bed_ticks(bed, 150); /* both freeze */
	reader_expect(bed, &r, "b", "1");
	reader_expect(bed, &after, "b", NULL);
	reader_end(bed, &r);
	reader_end(bed, &after);
	bed_ticks(bed, 40);
	assert_int_equal(bed_used(bed), 0);
}

/* R6: the commit that deleted a key does not hide its other keys once the key is gone. */
static void a_deletion_that_is_reclaimed_binds_nobody(void **state)
{
	struct bed *bed = *state;
	struct bed_answer answer;
	struct reader r;
	struct packet p;
	uint8_t id[16];

	assert_int_equal(bed_put2(bed, 0, "a", "b", "1"), ABAFT_OK);
	bed_id(bed, 1, id);
	packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	packet_delete(&p, "a", 1);
	packet_put(&p, "b", 1, "2", 1);
	packet_commit(&p);
	packet_finish(&p);
	bed_run(bed, 1, &p, &answer);
	bed_ticks(bed, 20);
	assert_int_equal(atomic_load(&bed->store->index.keys), 1);
	reader_open(bed, &r, 2);
	reader_expect(bed, &r, "a", NULL);
	reader_expect(bed, &r, "b", "2");
	reader_end(bed, &r);
}

static void a_key_that_comes_back_is_not_lost(void **state)
{
	struct bed *bed = *state;
	char text[16];

	for (uint32_t i = 0; i < 50; i++) {
		assert_int_equal(bed_put(bed, i % 3, "k", NULL), ABAFT_OK);
		bed_ticks(bed, i % 4);
		assert_int_equal(bed_put(bed, (i + 1) % 3, "k", "back"), ABAFT_OK);
		bed_ticks(bed, i % 3);
		bed_get(bed, (i + 2) % 3, "k", text, sizeof(text));
		assert_string_equal(text, "back");
	}
	assert_int_equal(bed_put(bed, 0, "k", NULL), ABAFT_OK);
	bed_ticks(bed, 30);
	assert_int_equal(bed_used(bed), 0);
}

/* All sizes, inline values and those of their own, a whole turn: every span comes back. */
static void all_memory_returns(void **state)
{
	static const uint32_t sizes[] = {0, 1, 63, 64, 96, 159, 160, 161, 256, 700, 1200};
	struct bed *bed = *state;
	struct bed_answer answer;
	uint8_t value[1200] = {0};
	char key[8];

	for (uint32_t round = 0; round < 3; round++)
		for (uint32_t i = 0; i < 11; i++) {
			struct packet p;
			uint8_t id[16];

			snprintf(key, sizeof(key), "k%u", i);
			bed_id(bed, i % 3, id);
			packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
			packet_put(&p, key, (uint16_t)strlen(key), value, sizes[i]);
			packet_commit(&p);
			packet_finish(&p);
			bed_run(bed, i % 3, &p, &answer);
			assert_int_equal(bed_status(&answer, 1), ABAFT_OK);
		}
	for (uint32_t i = 0; i < 11; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		assert_int_equal(bed_put(bed, (i + 1) % 3, key, NULL), ABAFT_OK);
	}
	bed_ticks(bed, 30);
	assert_int_equal(bed_used(bed), 0);
	for (uint32_t w = 0; w < 3; w++)
		memory_cache_flush(&bed->node[w]->memory);
	assert_int_equal(bed->store->memory.free_span_count, bed->store->memory.spans_total);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(superseded_versions_go),
		CASE(a_young_reader_keeps_what_it_may_read),
		CASE(a_frozen_reader_keeps_its_interval_only),
		CASE(a_reader_freezes_behind_its_last_read),
		CASE(superseded_at_birth_counts_from_when_it_was_found),
		CASE(a_pass_under_way_keeps_everything),
		CASE(unlinked_memory_waits_for_passes),
		CASE(a_deleted_key_leaves_nothing),
		CASE(a_reader_from_before_still_sees_a_deleted_key),
		CASE(a_deletion_that_is_reclaimed_binds_nobody),
		CASE(a_key_that_comes_back_is_not_lost),
		CASE(all_memory_returns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
