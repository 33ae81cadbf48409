/* SPDX-License-Identifier: Apache-2.0 */
/* space_test.c - live bytes by segment: what the index holds, wherever it stands. */
#include "tests/unit/core/region.h"

#include <stdio.h>

#include "dataplane/core/space.h"
#include "tests/lib/node_bed.h"

#define WORKERS	 3
#define SEGMENTS 1024 /* more than a fake log has */
#define KEYS	 40

static uint64_t random_state;

static uint32_t pick(uint32_t below)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(random_state >> 33) % below;
}

static void counters_are_by_log_and_segment(void **state)
{
	const struct mapper mapper = {0};
	struct space space;

	assert_int_equal(space_init(&space, &mapper, 2), 0);
	space_add(&space, place_make(1, 7, 96), 30);
	space_add(&space, place_make(1, 7, 5000), 12);
	space_add(&space, place_make(ABAFT_LOG_KEPT, 7, 96), 5);
	space_add(&space, place_make(0, 0, 4128), 1);
	assert_int_equal(space_live(&space, 1, 7), 42);
	assert_int_equal(space_live(&space, 1, 6), 0);
	assert_int_equal(space_live(&space, ABAFT_LOG_KEPT, 7), 5);
	assert_int_equal(space_total(&space), 48);
	space_sub(&space, place_make(1, 7, 96), 30);
	assert_int_equal(space_live(&space, 1, 7), 12);
	assert_int_equal(space_total(&space), 18);
	/* Nowhere: no place, a log that nobody counts, a number that is no log's. */
	space_add(&space, PLACE_NONE, 9);
	space_sub(&space, PLACE_NONE, 9);
	space_add(&space, place_make(2, 0, 96), 9);
	space_add(&space, place_make(127, 0, 96), 9);
	assert_int_equal(space_live(&space, 2, 0), 0);
	assert_int_equal(space_live(&space, 127, 0), 0);
	assert_true(space_counts(&space, 1) && space_counts(&space, ABAFT_LOG_KEPT));
	assert_false(space_counts(&space, 2) || space_counts(&space, 127));
	assert_int_equal(space_total(&space), 18);
	space_fini(&space, &mapper);
}

/* Numbers go on for ever, counters come round. */
static void a_counter_is_used_again(void **state)
{
	const struct mapper mapper = {0};
	struct space space;

	assert_int_equal(space_init(&space, &mapper, 1), 0);
	space_add(&space, place_make(0, 3, 96), 10);
	space_sub(&space, place_make(0, 3, 96), 10);
	space_add(&space, place_make(0, ABAFT_LOG_SEGMENTS_MAX + 3, 96), 4);
	assert_int_equal(space_live(&space, 0, ABAFT_LOG_SEGMENTS_MAX + 3), 4);
	space_add(&space, place_make(0, 2 * ABAFT_LOG_SEGMENTS_MAX - 1, 96), 2);
	assert_int_equal(space_total(&space), 6);
	space_fini(&space, &mapper);
}

static int setup(void **state)
{
	static struct bed bed;

	bed_defaults(&bed, WORKERS);
	bed_open(&bed);
	*state = &bed;
	return 0;
}

static int teardown(void **state)
{
	bed_close(*state);
	return 0;
}

/* Where the write stands in the fake log, as its place says. */
static const uint8_t *at_place(const struct bed *bed, uint64_t place)
{
	uint64_t at = place_segment(place) * (uint64_t)LOG_FAKE_SEGMENT_BYTES + place_offset(place);

	assert_in_range(place_log(place), 0, WORKERS - 1);
	return bed->log[place_log(place)].space + at - LOG_FAKE_FIRST_BYTES;
}

/* The place holds this very write. */
static void check_place(const struct bed *bed, const struct version *v)
{
	const uint8_t *at = at_place(bed, atomic_load(&v->place));

	assert_int_equal(load_le16(at), v->key->bytes);
	assert_int_equal(at[2], v->kind);
	assert_int_equal(load_le32(at + 4), v->bytes);
	assert_memory_equal(at + RECORD_WRITE_BYTES, v->key->data, v->key->bytes);
	if (v->bytes > 0)
		assert_memory_equal(at + RECORD_WRITE_BYTES + v->key->bytes, version_value(v),
				    v->bytes);
}

static void sum_bucket(const struct bed *bed, const struct bucket *b,
		       uint64_t sum[WORKERS][SEGMENTS])
{
	for (uint32_t i = 0; i < INDEX_SLOTS; i++) {
		const struct key *key =
			(const void *)(uintptr_t)(atomic_load(&b->slot[i]) & 0xffffffffffff);
		const struct version *v = key ? atomic_load(&key->newest) : NULL;

		for (; v; v = atomic_load(&v->older)) {
			uint64_t place = atomic_load(&v->place);

			if (!version_published(v))
				continue;
			check_place(bed, v);
			sum[place_log(place)][place_segment(place)] +=
				RECORD_WRITE_BYTES + key->bytes + v->bytes;
		}
	}
}

/* The counters are what a walk over the whole index finds. Returns all live bytes. */
static uint64_t check_live(const struct bed *bed)
{
	static uint64_t sum[WORKERS][SEGMENTS];
	const struct index *index = &bed->store->index;
	uint64_t total = 0;

	memset(sum, 0, sizeof(sum));
	for (uint64_t i = 0; i <= index->mask; i++)
		for (const struct bucket *b = &index->buckets[i]; b; b = atomic_load(&b->overflow))
			sum_bucket(bed, b, sum);
	for (uint32_t log = 0; log < WORKERS; log++)
		for (uint32_t segment = 0; segment < SEGMENTS; segment++) {
			assert_int_equal(space_live(&bed->store->space, log, segment),
					 sum[log][segment]);
			total += sum[log][segment];
		}
	assert_int_equal(space_total(&bed->store->space), total);
	return total;
}

/* Values of all sizes, small and large ones in one record. */
static void write_some(struct bed *bed, uint32_t worker, struct bed_answer *answer)
{
	static const uint8_t value[ABAFT_PACKET_BYTES_MAX];
	struct packet p;
	uint8_t id[16];
	char key[8];

	bed_id(bed, worker, id);
	packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	for (uint32_t n = pick(4) + 1; n > 0; n--) {
		uint16_t bytes = (uint16_t)snprintf(key, sizeof(key), "k%u", pick(KEYS));

		if (pick(4) == 0)
			packet_delete(&p, key, bytes);
		else
			packet_put(&p, key, bytes, value, pick(300));
	}
	packet_commit(&p);
	packet_finish(&p);
	bed_send(bed, worker, &p, answer);
}

/* Random commits, deletes, readers that freeze and hold versions back, and reclaiming. */
static void live_bytes_are_those_of_the_index(void **state)
{
	static struct bed_answer answer[6000];
	struct bed *bed = *state;
	struct packet p;
	uint8_t id[16];
	char key[8];

	random_state = 1;
	for (uint32_t i = 0; i < 6000; i++) {
		write_some(bed, pick(WORKERS), &answer[i]);
		if (pick(3))
			bed_durable(bed, pick(WORKERS), pick(4));
		if (pick(10) == 0)
			bed_ticks(bed, pick(10));
		if (pick(50) == 0) { /* reads one key, and stays open until its deadline */
			static struct bed_answer read;

			bed_id(bed, 1, id);
			packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
			packet_get(&p, key, (uint16_t)snprintf(key, sizeof(key), "k%u", i % KEYS),
				   0);
			packet_finish(&p);
			bed_send(bed, 1, &p, &read);
		}
		if (i % 100 == 0)
			check_live(bed);
	}
	for (uint32_t w = 0; w < WORKERS; w++)
		bed_durable(bed, w, UINT64_MAX);
	assert_true(check_live(bed) > 0);
	bed_ticks(bed, 700); /* open transactions expire */
	assert_true(check_live(bed) > 0);
	for (uint32_t i = 0; i < KEYS; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		assert_int_equal(bed_put(bed, i % WORKERS, key, NULL), ABAFT_OK);
	}
	bed_ticks(bed, 100);
	assert_int_equal(check_live(bed), 0);
}

/* What was refused, what waits for the log and what the log lost is not live. */
static void only_what_became_visible_is_live(void **state)
{
	static struct bed_answer answer[4];
	struct bed *bed = *state;

	random_state = 2;
	bed->log[0].busy = true;
	write_some(bed, 0, &answer[0]);
	assert_int_equal(answer[0].verdict, NODE_ANSWER);
	bed->log[0].busy = false;
	write_some(bed, 0, &answer[1]);
	write_some(bed, 1, &answer[2]);
	assert_int_equal(answer[2].verdict, NODE_WAIT);
	assert_int_equal(space_total(&bed->store->space), 0);
	bed_log_failed(bed, 0, -EIO);
	bed_durable(bed, 1, UINT64_MAX);
	assert_int_equal(space_live(&bed->store->space, 0, 0), 0);
	assert_int_equal(space_live(&bed->store->space, 1, 0),
			 bed->log[1].records[0].bytes - RECORD_HEAD_BYTES);
}

static bool move(struct bed *bed, const char *key, struct vnum number, uint64_t from, uint64_t to)
{
	struct index *index = &bed->store->index;
	uint32_t bytes = (uint32_t)strlen(key);

	return index_move(index, index_id(index, (const uint8_t *)key, bytes), (const uint8_t *)key,
			  bytes, number, from, to);
}

static struct version *newest(struct bed *bed, const char *key)
{
	struct index *index = &bed->store->index;
	uint32_t bytes = (uint32_t)strlen(key);
	struct key *k = index_find(index, index_id(index, (const uint8_t *)key, bytes),
				   (const uint8_t *)key, bytes);

	assert_non_null(k);
	return atomic_load(&k->newest);
}

/* K1: each byte is taken off where it was added. */
static void a_moved_write_takes_its_bytes_along(void **state)
{
	const uint64_t to = place_make(ABAFT_LOG_KEPT, 5, 4128);
	struct bed *bed = *state;
	struct space *space = &bed->store->space;
	struct vnum number;
	uint64_t from, live;

	assert_int_equal(bed_put2(bed, 0, "a", "b", "value"), ABAFT_OK);
	live = space_live(space, 0, 0);
	number = newest(bed, "a")->number;
	from = atomic_load(&newest(bed, "a")->place);
	assert_false(move(bed, "a", number, from + 1, to));
	assert_false(move(bed, "a", (struct vnum){number.time + 1, number.origin}, from, to));
	assert_false(move(bed, "c", number, from, to));
	assert_int_equal(space_live(space, 0, 0), live);
	assert_true(move(bed, "a", number, from, to));
	assert_false(move(bed, "a", number, from, to));
	assert_int_equal(atomic_load(&newest(bed, "a")->place), to);
	assert_int_equal(space_live(space, 0, 0), live / 2);
	assert_int_equal(space_live(space, ABAFT_LOG_KEPT, 5), live / 2);
	assert_int_equal(space_total(space), live);
	/* Overwritten and reclaimed: it leaves its new place. The older one is found below. */
	assert_int_equal(bed_put(bed, 1, "a", "other"), ABAFT_OK);
	assert_true(move(bed, "a", number, to, to + 8));
	bed_ticks(bed, 5);
	assert_false(move(bed, "a", number, to + 8, to));
	assert_int_equal(space_live(space, ABAFT_LOG_KEPT, 5), 0);
	assert_int_equal(space_live(space, 0, 0), live / 2);
}

static void what_is_not_visible_does_not_move(void **state)
{
	static struct bed_answer answer;
	struct bed *bed = *state;
	struct version *v;
	struct packet p;
	uint8_t id[16];

	bed_id(bed, 0, id);
	packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	packet_put(&p, "a", 1, "v", 1);
	packet_commit(&p);
	packet_finish(&p);
	assert_int_equal(bed_send(bed, 0, &p, &answer), NODE_WAIT);
	v = newest(bed, "a");
	assert_int_not_equal(atomic_load(&v->place), PLACE_NONE);
	assert_false(move(bed, "a", v->number, atomic_load(&v->place), place_make(1, 1, 4128)));
	assert_int_equal(space_total(&bed->store->space), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters_are_by_log_and_segment),
		cmocka_unit_test(a_counter_is_used_again),
		CASE(live_bytes_are_those_of_the_index),
		CASE(only_what_became_visible_is_live),
		CASE(a_moved_write_takes_its_bytes_along),
		CASE(what_is_not_visible_does_not_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
