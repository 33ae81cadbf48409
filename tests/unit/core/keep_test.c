/* SPDX-License-Identifier: Apache-2.0 */
/* keep_test.c - what the keeper sees of a store that workers change meanwhile. */
#include "tests/unit/core/region.h"

#include <stdio.h>

#include "dataplane/core/keep.h"
#include "dataplane/core/record.h"
#include "dataplane/core/snapshot.h"
#include "tests/lib/node_bed.h"

#define WORKERS 3

static struct bed bed;
static struct keep *keep;
static char large[600];

static int setup(void **state)
{
	bed_defaults(&bed, WORKERS);
	bed_open(&bed);
	assert_int_equal(keep_create(&keep, bed.store), 0);
	memset(large, 'L', sizeof(large) - 1);
	return 0;
}

static int teardown(void **state)
{
	keep_destroy(keep);
	bed_close(&bed);
	return 0;
}

/* The only write of a log's i-th record (0: the first), and where it stands. */
struct found {
	struct record_write write;
	struct vnum number;
	uint64_t place;
};

static struct found write_of(uint32_t log, uint64_t i)
{
	const struct log_fake_record *r = &bed.log[log].records[i];
	struct record record;
	struct found found;

	assert_true(record_open(&record, r->type, r->data, r->bytes));
	assert_true(record_next(&record, &found.write));
	found.number = record.number;
	found.place = r->place + found.write.offset;
	return found;
}

static bool is_live(const struct found *f)
{
	bool live;

	keep_begin(keep);
	live = keep_live(keep, f->place, f->number, &f->write);
	keep_end(keep);
	return live;
}

static bool move(const struct found *f, uint64_t from, uint64_t to)
{
	bool moved;

	keep_begin(keep);
	moved = keep_move(keep, f->number, &f->write, from, to);
	keep_end(keep);
	return moved;
}

static void a_write_lives_as_long_as_its_version(void **state)
{
	struct found first, second, deleted;

	assert_int_equal(bed_put(&bed, 0, "k", "one"), ABAFT_OK);
	first = write_of(0, 0);
	assert_true(is_live(&first));
	first.place++;
	assert_false(is_live(&first)); /* not there */
	first.place--;
	first.number.origin++;
	assert_false(is_live(&first)); /* not that one */
	first.number.origin--;
	assert_int_equal(bed_put(&bed, 1, "k", "two"), ABAFT_OK);
	second = write_of(1, 0);
	assert_true(is_live(&second));
	bed_ticks(&bed, 5);
	assert_false(is_live(&first));
	assert_true(is_live(&second));
	assert_int_equal(keep_segment_live(keep, 1, 0), 8 + 1 + 3);
	assert_int_equal(keep_live_total(keep), 8 + 1 + 3);
	assert_int_equal(keep_keys(keep), 1);
	assert_int_equal(bed_put(&bed, 2, "k", NULL), ABAFT_OK);
	deleted = write_of(2, 0);
	assert_true(is_live(&deleted));
	bed_ticks(&bed, 5);
	assert_false(is_live(&deleted));
	assert_int_equal(keep_live_total(keep), 0);
	assert_int_equal(keep_keys(keep), 0);
}

static void what_is_not_visible_is_not_live(void **state)
{
	static struct bed_answer answer;
	struct found f;
	struct packet p;
	uint8_t id[16];

	bed_id(&bed, 0, id);
	packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	packet_put(&p, "k", 1, "v", 1);
	packet_commit(&p);
	packet_finish(&p);
	assert_int_equal(bed_send(&bed, 0, &p, &answer), NODE_WAIT);
	f = write_of(0, 0);
	assert_false(is_live(&f));
	assert_false(move(&f, f.place, place_make(ABAFT_LOG_KEPT, 9, 4096)));
	bed_durable(&bed, 0, 1);
	assert_true(is_live(&f));
}

static void a_move_takes_the_live_bytes_along(void **state)
{
	uint64_t to = place_make(ABAFT_LOG_KEPT, 9, 4096);
	struct found f;

	assert_int_equal(bed_put(&bed, 0, "k", "one"), ABAFT_OK);
	f = write_of(0, 0);
	assert_true(move(&f, f.place, to));
	assert_int_equal(keep_segment_live(keep, 0, 0), 0);
	assert_int_equal(keep_segment_live(keep, ABAFT_LOG_KEPT, 9), 12);
	assert_false(is_live(&f));
	assert_false(move(&f, f.place, to + 100)); /* it is not there any more */
	f.place = to;
	assert_true(is_live(&f));
	assert_int_equal(bed_put(&bed, 0, "k", "two"), ABAFT_OK);
	bed_ticks(&bed, 5);
	assert_false(move(&f, to, to + 100)); /* it died meanwhile */
	assert_int_equal(keep_live_total(keep), 12);
}

static void a_copy_comes_from_memory_and_is_checked(void **state)
{
	uint8_t to[sizeof(large)];
	struct found f;
	uint8_t *value;
	const struct key *key;
	struct version *v;

	assert_int_equal(bed_put(&bed, 0, "small", "one"), ABAFT_OK);
	assert_int_equal(bed_put(&bed, 0, "large", large), ABAFT_OK);
	keep_begin(keep);
	f = write_of(0, 0);
	assert_true(keep_copy(keep, f.place, f.number, &f.write, to));
	assert_memory_equal(to, "one", 3);
	f.write.bytes++; /* what damage says of its length is not believed */
	assert_false(keep_copy(keep, f.place, f.number, &f.write, to));
	f = write_of(0, 1);
	assert_true(keep_copy(keep, f.place, f.number, &f.write, to));
	assert_memory_equal(to, large, sizeof(large) - 1);
	key = index_find(&bed.store->index, index_id(&bed.store->index, f.write.key, 5),
			 f.write.key, 5);
	assert_non_null(key);
	v = atomic_load(&key->newest);
	value = (uint8_t *)(uintptr_t)version_value(v);
	value[300] ^= 4;
	assert_false(keep_copy(keep, f.place, f.number, &f.write, to));
	value[300] ^= 4;
	atomic_store(&v->value, NULL); /* cold */
	assert_false(keep_copy(keep, f.place, f.number, &f.write, to));
	atomic_store(&v->value, value);
	keep_end(keep);
}

/* A whole walk, that many buckets or bytes at a time. */
static uint32_t walk(uint8_t *out, uint32_t out_bytes, uint32_t buckets, uint32_t room)
{
	uint64_t cursor = 0;
	uint32_t used = 0;
	bool ended = false;

	while (!ended) {
		uint32_t left = out_bytes - used;

		keep_begin(keep);
		used += keep_walk(keep, &cursor, buckets, out + used, room < left ? room : left,
				  &ended);
		keep_end(keep);
	}
	return used;
}

static void a_walk_finds_the_newest_visible_of_each_key(void **state)
{
	static uint8_t all[64 << 10], piecewise[64 << 10];
	static struct bed_answer answer;
	struct snapshot_key entry;
	struct cursor cursor;
	struct packet p;
	uint32_t bytes, seen[60] = {0};
	uint8_t id[16];
	char name[8];

	for (uint32_t i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "k%u", i);
		assert_int_equal(bed_put(&bed, i % 3, name, "old"), ABAFT_OK);
		assert_int_equal(bed_put(&bed, 0, name, i % 3 ? i % 3 == 1 ? "new" : large : NULL),
				 ABAFT_OK);
	}
	bed_id(&bed, 1, id);
	packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	packet_put(&p, "k1", 2, "unseen", 6);
	packet_put(&p, "k-none", 6, "unseen", 6);
	packet_commit(&p);
	packet_finish(&p);
	assert_int_equal(bed_send(&bed, 1, &p, &answer), NODE_WAIT);
	bytes = walk(all, sizeof(all), 1 << 20, sizeof(all));
	assert_int_equal(walk(piecewise, sizeof(piecewise), 3, 64), bytes);
	assert_memory_equal(all, piecewise, bytes);
	cursor = cursor_of(all, bytes);
	while (cursor.at < cursor.end) {
		uint32_t i;

		assert_true(snapshot_key_next(&cursor, &entry));
		snprintf(name, sizeof(name), "%.*s", (int)entry.key_bytes, entry.key);
		i = (uint32_t)atoi(name + 1);
		assert_in_range(i, 0, 59);
		seen[i]++;
		assert_int_equal(entry.kind, i % 3 ? VERSION_VALUE : VERSION_TOMBSTONE);
		assert_int_equal(entry.bytes, i % 3 == 0 ? 0 : i % 3 == 1 ? 3 : sizeof(large) - 1);
		assert_int_equal(entry.value != NULL, i % 3 == 1);
		if (entry.value)
			assert_memory_equal(entry.value, "new", 3);
		assert_int_equal(entry.crc != 0, i % 3 == 2);
		assert_int_equal(place_log(entry.place), 0);
	}
	for (uint32_t i = 0; i < 60; i++)
		assert_int_equal(seen[i], 1);
}

/* Keys that share one bucket, so that it overflows. */
static void a_walk_follows_overflow(void **state)
{
	static uint8_t out[64 << 10];
	struct snapshot_key entry;
	struct cursor cursor;
	uint32_t keys = 0, found = 0;
	uint64_t mask = bed.store->index.mask;
	char name[16];

	for (uint32_t i = 0; keys < 20; i++) {
		int n = snprintf(name, sizeof(name), "key%u", i);
		struct key_id id = index_id(&bed.store->index, (const uint8_t *)name, (uint32_t)n);

		if ((id.lo & mask) != 5)
			continue;
		assert_int_equal(bed_put(&bed, 0, name, "v"), ABAFT_OK);
		keys++;
	}
	cursor = cursor_of(out, walk(out, sizeof(out), 1, 200));
	for (; cursor.at < cursor.end; found++)
		assert_true(snapshot_key_next(&cursor, &entry));
	assert_int_equal(found, 20);
}

/* Restarts from a walk's entries and the tails of the logs behind `marks`. */
static void restart_from(const uint8_t *entries, uint32_t bytes, const uint64_t marks[WORKERS])
{
	keep_destroy(keep);
	bed_crash(&bed);
	assert_int_equal(keep_create(&keep, bed.store), 0);
	node_recover_begin(bed.node, (1u << WORKERS) - 1);
	assert_int_equal(node_restore_keys(bed.node, WORKERS, entries, bytes), 0);
	for (uint32_t w = 0; w < WORKERS; w++) {
		assert_int_equal(log_fake_replay(&bed.log[w], w, marks[w], bed.node, WORKERS), 0);
		node_recover_end(bed.node, w);
	}
	node_recovered(bed.node, WORKERS);
}

/*
 * K2: a write of a lower number than the tombstone, in flight when its log's mark was taken. When
 * the walk comes both would have left the index, and the log's tail would bring the write back.
 */
static void a_write_in_flight_beside_a_tombstone_stays_hidden(void **state)
{
	static struct bed_answer answer;
	static uint8_t entries[4096];
	uint64_t marks[WORKERS];
	struct packet p;
	uint8_t id[16];
	uint32_t bytes;
	char text[16];

	bed_id(&bed, 1, id);
	packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	packet_put(&p, "k", 1, "back", 4);
	packet_commit(&p);
	packet_finish(&p);
	assert_int_equal(bed_send(&bed, 1, &p, &answer), NODE_WAIT);
	assert_int_equal(bed_put(&bed, 0, "k", NULL), ABAFT_OK);
	keep_walk_prepare(keep);
	for (uint32_t w = 0; w < WORKERS; w++)
		marks[w] = bed.log[w].durable;
	keep_walk_begin(keep);
	bed_durable(&bed, 1, 1);
	bed_ticks(&bed, 50);
	bytes = walk(entries, sizeof(entries), 1 << 20, sizeof(entries));
	assert_int_equal(keep_keys(keep), 1);
	keep_walk_end(keep);
	bed_ticks(&bed, 50);
	assert_int_equal(keep_keys(keep), 0); /* afterwards it goes as ever */
	restart_from(entries, bytes, marks);
	bed_get(&bed, 0, "k", text, sizeof(text));
	assert_string_equal(text, "");
	assert_int_equal(keep_keys(keep), 0);
}

/* Only tombstones from before the marks are held: later ones are in the logs' tails. */
static void later_tombstones_are_not_held(void **state)
{
	bed_advance_us(&bed, 2000);
	keep_walk_prepare(keep);
	keep_walk_begin(keep);
	bed_ticks(&bed, 2);
	assert_int_equal(bed_put(&bed, 0, "k", NULL), ABAFT_OK);
	bed_ticks(&bed, 20);
	assert_int_equal(keep_keys(keep), 0);
	keep_walk_end(keep);
}

/* What is put aside does not pile up on a key that is deleted again and again. */
static void held_tombstones_leave_when_they_are_superseded(void **state)
{
	const struct key *key;

	keep_walk_prepare(keep);
	for (uint32_t i = 0; i < 500; i++) {
		assert_int_equal(bed_put(&bed, i % 3, "k", "v"), ABAFT_OK);
		assert_int_equal(bed_put(&bed, i % 3, "k", NULL), ABAFT_OK);
		bed_ticks(&bed, 1);
	}
	bed_ticks(&bed, 10);
	key = index_find(&bed.store->index, index_id(&bed.store->index, (const uint8_t *)"k", 1),
			 (const uint8_t *)"k", 1);
	assert_non_null(key);
	assert_int_equal(key->versions, 1);
	keep_walk_end(keep);
	bed_ticks(&bed, 10);
	assert_int_equal(keep_keys(keep), 0);
}

static void held_tombstones_leave_after_the_walk(void **state)
{
	const char *keys[] = {"a", "b", "c", "d"};

	keep_walk_prepare(keep);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(bed_put(&bed, 0, keys[i], NULL), ABAFT_OK);
	bed_ticks(&bed, 10);
	assert_int_equal(bed.node[0]->reclaim.kept.count, 4);
	assert_int_equal(keep_keys(keep), 4);
	keep_walk_end(keep);
	bed_ticks(&bed, 20);
	assert_int_equal(bed.node[0]->reclaim.kept.count, 0);
	assert_int_equal(keep_keys(keep), 0);
	assert_int_equal(bed_used(&bed), 0);
}

/* A walk between keep_begin() and keep_end() may stand on what leaves: it is not freed. */
static void memory_waits_for_the_keeper(void **state)
{
	struct found f;
	uint64_t used;
	uint8_t to[8];

	assert_int_equal(bed_put(&bed, 0, "k", "one"), ABAFT_OK);
	f = write_of(0, 0);
	keep_begin(keep);
	assert_true(keep_copy(keep, f.place, f.number, &f.write, to));
	assert_int_equal(bed_put(&bed, 0, "k", "two"), ABAFT_OK);
	used = bed_used(&bed);
	bed_ticks(&bed, 20);
	assert_int_equal(bed.node[0]->reclaim.freed, 1);
	assert_int_equal(bed_used(&bed), used);
	keep_end(keep);
	bed_ticks(&bed, 20);
	assert_true(bed_used(&bed) < used);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_write_lives_as_long_as_its_version),
		CASE(what_is_not_visible_is_not_live),
		CASE(a_move_takes_the_live_bytes_along),
		CASE(a_copy_comes_from_memory_and_is_checked),
		CASE(a_walk_finds_the_newest_visible_of_each_key),
		CASE(a_walk_follows_overflow),
		CASE(a_write_in_flight_beside_a_tombstone_stays_hidden),
		CASE(later_tombstones_are_not_held),
		CASE(held_tombstones_leave_when_they_are_superseded),
		CASE(held_tombstones_leave_after_the_walk),
		CASE(memory_waits_for_the_keeper),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
