/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot_test.c - entries of a checkpoint: the round trip, what is refused, and what they become
 * beside the records of logs. Whole checkpoints of running nodes: tests/sim/snapshot_sim.c. */
#include "tests/unit/core/region.h"

#include <stdio.h>

#include "dataplane/core/crc.h"
#include "dataplane/core/record.h"
#include "dataplane/core/snapshot.h"
#include "tests/lib/node_bed.h"

#define WORKERS	   3
#define PLACE	   place_make(2, 7, 4128)
#define LARGE_SIZE 500

static struct bed bed;
static uint8_t large[LARGE_SIZE];

static int setup(void **state)
{
	bed_defaults(&bed, WORKERS);
	bed_open(&bed);
	memset(large, 'L', sizeof(large));
	return 0;
}

static int teardown(void **state)
{
	bed_close(&bed);
	return 0;
}

static struct snapshot_key small_key(const char *key, const char *value, uint64_t time)
{
	return (struct snapshot_key){.number = {time, 256},
				     .place = PLACE,
				     .key = (const uint8_t *)key,
				     .value = (const uint8_t *)value,
				     .key_bytes = (uint32_t)strlen(key),
				     .bytes = value ? (uint32_t)strlen(value) : 0,
				     .kind = value ? VERSION_VALUE : VERSION_TOMBSTONE};
}

static struct snapshot_key large_key(const char *key, uint64_t time)
{
	struct snapshot_key k = small_key(key, "", time);

	k.value = NULL;
	k.bytes = LARGE_SIZE;
	k.crc = crc32c(large, LARGE_SIZE);
	return k;
}

static uint32_t put_key(uint8_t *out, uint32_t at, struct snapshot_key k)
{
	snapshot_key_encode(out + at, &k);
	return at + snapshot_key_bytes(&k);
}

static uint32_t make_keys(uint8_t *out)
{
	uint32_t at = put_key(out, 0, small_key("small", "value", 500));

	at = put_key(out, at, large_key("large", 600));
	return put_key(out, at, small_key("gone", NULL, 700));
}

/* In memory of the exact size, so that a sanitizer sees a step beyond it. */
static int restore_exactly(const uint8_t *data, uint32_t bytes)
{
	uint8_t *copy = malloc(bytes ? bytes : 1);
	int err;

	assert_non_null(copy);
	memcpy(copy, data, bytes);
	err = node_restore_keys(bed.node, WORKERS, copy, bytes);
	free(copy);
	return err;
}

static const struct key *key_of(const char *name)
{
	const uint8_t *data = (const uint8_t *)name;
	uint32_t bytes = (uint32_t)strlen(name);

	return index_find(&bed.store->index, index_id(&bed.store->index, data, bytes), data, bytes);
}

static const struct version *version_of(const char *name)
{
	const struct key *key = key_of(name);

	assert_non_null(key);
	return atomic_load(&key->newest);
}

static void keys_make_the_round_trip(void **state)
{
	uint8_t data[512];
	uint32_t bytes = make_keys(data);
	struct cursor cursor = cursor_of(data, bytes);
	struct snapshot_key k;

	assert_int_equal(bytes, 3 * SNAPSHOT_KEY_BYTES + 5 + 5 + 5 + 4);
	assert_true(snapshot_key_next(&cursor, &k));
	assert_memory_equal(k.key, "small", 5);
	assert_memory_equal(k.value, "value", 5);
	assert_int_equal(k.number.time, 500);
	assert_int_equal(k.number.origin, 256);
	assert_true(k.place == PLACE);
	assert_true(snapshot_key_next(&cursor, &k));
	assert_memory_equal(k.key, "large", 5);
	assert_null(k.value);
	assert_int_equal(k.bytes, LARGE_SIZE);
	assert_int_equal(k.crc, crc32c(large, LARGE_SIZE));
	assert_true(snapshot_key_next(&cursor, &k));
	assert_int_equal(k.kind, VERSION_TOMBSTONE);
	assert_ptr_equal(cursor.at, cursor.end);
}

static void the_layout_is_as_documented(void **state)
{
	static const uint8_t head[] = {5, 0, 0, 0, 5, 0, 0, 0, 0xf4, 1,	   0, 0,    0, 0, 0, 0,
				       0, 1, 0, 0, 0, 0, 0, 0, 0x20, 0x10, 0, 0xc0, 1, 0, 0, 4};
	static const uint8_t outcome[] = {9, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0};
	struct snapshot_outcome o = {.number = {265, 2}, .state = OUTCOME_ABORTED};
	uint8_t data[512];

	make_keys(data);
	assert_memory_equal(data, head, sizeof(head));
	assert_memory_equal(data + 32, "smallvalue", 10);
	memset(o.id, 7, 16);
	snapshot_outcome_encode(data, &o);
	assert_memory_equal(data, o.id, 16);
	assert_memory_equal(data + 16, outcome, sizeof(outcome));
}

/* Entries become versions: small values with them, large ones cold, each counted at its place. */
static void entries_become_versions(void **state)
{
	static const uint64_t bytes[] = {8 + 5 + 5, 8 + 5 + LARGE_SIZE};
	const struct version *v;
	uint8_t data[512];
	char text[16];

	assert_int_equal(restore_exactly(data, make_keys(data)), 0);
	node_recovered(bed.node, WORKERS);
	bed_get(&bed, 0, "small", text, sizeof(text));
	assert_string_equal(text, "value");
	bed_get(&bed, 0, "gone", text, sizeof(text));
	assert_string_equal(text, "");
	v = version_of("large");
	assert_null(version_value(v));
	assert_int_equal(v->bytes, LARGE_SIZE);
	assert_true(v->place == PLACE);
	assert_int_equal(version_large((struct version *)(uintptr_t)v)->crc,
			 crc32c(large, LARGE_SIZE));
	assert_int_equal(atomic_load(&bed.store->index.keys), 2);
	assert_int_equal(space_live(&bed.store->space, 2, 7), bytes[0] + bytes[1]);
	/* Later commits are above all of it, the deleted key's number too. */
	assert_true(node_time(bed.node[0]) >= 700 && node_time(bed.node[2]) >= 700);
}

static void every_wrong_length_is_refused(void **state)
{
	uint8_t data[512] = {0};
	uint32_t bytes = make_keys(data);
	uint32_t first = snapshot_key_bytes(&(struct snapshot_key){.key_bytes = 5, .bytes = 5});
	uint32_t second = first + SNAPSHOT_KEY_BYTES + 5;

	for (uint32_t n = 1; n < bytes; n++)
		assert_int_equal(restore_exactly(data, n),
				 n == first || n == second ? 0 : -EBADMSG);
	assert_int_equal(restore_exactly(data, bytes + 1), -EBADMSG);
}

/* Whatever bit flips: an entry, or none, and no harm. */
static void flipped_bits_do_no_harm(void **state)
{
	uint8_t data[512];
	uint32_t bytes = make_keys(data);

	for (uint32_t bit = 0; bit < 8 * bytes; bit++) {
		int err;

		data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		err = restore_exactly(data, bytes);
		assert_true(err == 0 || err == -EBADMSG);
		data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static bool good_with(uint32_t at, uint8_t byte)
{
	struct snapshot_key k;
	struct cursor cursor;
	uint8_t data[512];

	cursor = cursor_of(data, make_keys(data));
	data[at] = byte;
	for (uint32_t i = 0; i < 3; i++)
		if (!snapshot_key_next(&cursor, &k))
			return false;
	return cursor.at == cursor.end;
}

static void every_wrong_field_is_refused(void **state)
{
	uint8_t second = SNAPSHOT_KEY_BYTES + 10, third = 2 * SNAPSHOT_KEY_BYTES + 15;
	struct cursor cursor;
	struct snapshot_outcome o = {.number = {9, 9}, .state = OUTCOME_COMMITTED};
	uint8_t data[SNAPSHOT_OUTCOME_BYTES];

	assert_true(good_with(16, 3));		/* another origin is as good */
	assert_false(good_with(0, 0));		/* an empty key */
	assert_false(good_with(1, 5));		/* a key over the limit */
	assert_false(good_with(2, 1));		/* a tombstone with a value */
	assert_false(good_with(2, 2));		/* an unknown kind */
	assert_false(good_with(3, 1));		/* the reserved byte */
	assert_false(good_with(6, 17));		/* a value over the limit */
	assert_false(good_with(20, 1));		/* a checksum that nothing has */
	assert_false(good_with(second + 2, 1)); /* a large tombstone */
	assert_false(good_with(third + 2, 0) && good_with(third + 4, 1));
	for (uint32_t i = 0; i < 32; i++) {
		snapshot_outcome_encode(data, &o);
		if (i >= 28)
			data[i] = 3;
		cursor = cursor_of(data, i);
		assert_false(snapshot_outcome_next(&cursor, &o));
		cursor = cursor_of(data, SNAPSHOT_OUTCOME_BYTES);
		assert_int_equal(snapshot_outcome_next(&cursor, &o), i < 28);
		o = (struct snapshot_outcome){.number = {9, 9}, .state = OUTCOME_COMMITTED};
	}
}

/* A large value that stands nowhere, and a version without a number. */
static void what_cannot_be_is_refused(void **state)
{
	struct snapshot_key k = large_key("large", 600);
	uint8_t data[512];

	k.place = PLACE_NONE;
	assert_int_equal(restore_exactly(data, put_key(data, 0, k)), -EBADMSG);
	k = small_key("small", "v", 0);
	assert_int_equal(restore_exactly(data, put_key(data, 0, k)), -EBADMSG);
	k = small_key("small", "v", 5);
	assert_int_equal(restore_exactly(data, put_key(data, 0, k)), 0);
	k = small_key("small", "vv", 5); /* another value of the same version */
	assert_int_equal(restore_exactly(data, put_key(data, 0, k)), -EBADMSG);
}

/* The newest of a key stays, whatever order entries come in. */
static void the_newest_entry_stays(void **state)
{
	uint8_t data[512];
	uint32_t bytes = put_key(data, 0, small_key("k", "old", 10));
	uint64_t used;

	bytes = put_key(data, bytes, small_key("k", "new", 30));
	bytes = put_key(data, bytes, small_key("k", NULL, 20));
	bytes = put_key(data, bytes, small_key("k", "new", 30));
	assert_int_equal(restore_exactly(data, bytes), 0);
	assert_memory_equal(version_value(version_of("k")), "new", 3);
	assert_int_equal(version_of("k")->key->versions, 1);
	used = space_total(&bed.store->space);
	assert_int_equal(used, 8 + 1 + 3);
	assert_int_equal(restore_exactly(data, bytes), 0); /* nothing */
	assert_int_equal(space_total(&bed.store->space), used);
}

/* T2: a tombstone of the checkpoint hides what a log's tail brings, until all logs got past it. */
static void a_tombstone_waits_for_the_logs(void **state)
{
	uint8_t data[512];
	uint64_t time;
	char text[8];

	assert_int_equal(bed_put(&bed, 1, "k", "old"), ABAFT_OK);
	time = version_of("k")->number.time;
	bed_crash(&bed);
	node_recover_begin(bed.node, 1 << 1);
	assert_int_equal(restore_exactly(data, put_key(data, 0, small_key("k", NULL, time + 1))),
			 0);
	bed.store->restore.count = bed.store->restore.sweep_at + 1; /* as if there were many */
	assert_int_equal(log_fake_replay(&bed.log[1], 1, 0, bed.node, WORKERS), 0);
	assert_int_equal(atomic_load(&bed.store->index.keys), 1);
	node_recover_end(bed.node, 1);
	node_recovered(bed.node, WORKERS);
	assert_int_equal(atomic_load(&bed.store->index.keys), 0);
	bed_get(&bed, 0, "k", text, sizeof(text));
	assert_string_equal(text, "");
}

static int kept(const char *key, const char *value, uint64_t time, uint64_t place)
{
	struct record_write w = {.key = (const uint8_t *)key,
				 .value = (const uint8_t *)value,
				 .key_bytes = (uint32_t)strlen(key),
				 .bytes = (uint32_t)strlen(value)};
	static const uint8_t id[16] = {1};
	uint8_t data[512];

	record_kept_encode(data, id, (struct vnum){time, 256}, &w, 1);
	return node_recover(bed.node, WORKERS, ABAFT_LOG_KEPT, RECORD_KEPT, place, data,
			    record_kept_bytes(&w, 1));
}

/* T5: kept records relocate, and do nothing else; the last place in the kept log wins. */
static void kept_records_only_relocate(void **state)
{
	uint64_t first = place_make(ABAFT_LOG_KEPT, 1, 4096),
		 second = place_make(ABAFT_LOG_KEPT, 2, 4096);
	uint8_t data[512];

	assert_int_equal(restore_exactly(data, make_keys(data)), 0);
	assert_int_equal(kept("small", "value", 499, first), 0); /* dead: an older one */
	assert_int_equal(kept("small", "value", 501, first), 0); /* unknown */
	assert_int_equal(kept("other", "value", 500, first), 0);
	assert_true(version_of("small")->place == PLACE);
	assert_null(key_of("other"));
	assert_int_equal(kept("small", "value", 500, second), 0);
	assert_true(version_of("small")->place == second + RECORD_HEAD_BYTES);
	assert_int_equal(kept("small", "value", 500, first), 0); /* out of order */
	assert_true(version_of("small")->place == second + RECORD_HEAD_BYTES);
	assert_int_equal(kept("small", "value", 500, second), 0); /* twice */
	assert_true(version_of("small")->place == second + RECORD_HEAD_BYTES);
	assert_int_equal(space_live(&bed.store->space, 2, 7), 8 + 5 + LARGE_SIZE + 8 + 4);
	assert_int_equal(space_live(&bed.store->space, ABAFT_LOG_KEPT, 2), 8 + 5 + 5);
	assert_int_equal(space_live(&bed.store->space, ABAFT_LOG_KEPT, 1), 0);
	assert_int_equal(restore_exactly(data, make_keys(data)), 0); /* the original again */
	assert_true(version_of("small")->place == second + RECORD_HEAD_BYTES);
	assert_int_equal(kept("small", "longer", 500, second), -EBADMSG);
	assert_int_equal(bed.node[0]->outcomes.count, 0);
}

/* Outcomes go out oldest first, in pieces, while others leave; and come back as they were. */
static void outcomes_make_the_round_trip(void **state)
{
	static uint8_t out[400 * SNAPSHOT_OUTCOME_BYTES];
	const struct outcome_table *table = &bed.node[0]->outcomes;
	uint32_t used = 0, bytes;
	uint64_t cursor = 0, horizon;
	uint8_t id[16] = {0};

	for (uint32_t i = 0; i < 300; i++) {
		packet_id(id, 1000 + i, i, 0);
		outcome_add(&bed.node[0]->outcomes, id, i % 3 ? OUTCOME_COMMITTED : OUTCOME_ABORTED,
			    (struct vnum){i % 3 ? i : 0, 1});
		if (i % 100 != 50)
			continue;
		bytes = node_snapshot_outcomes(bed.node[0], &cursor, out + used,
					       40 * SNAPSHOT_OUTCOME_BYTES + 1);
		assert_int_equal(bytes, 40 * SNAPSHOT_OUTCOME_BYTES);
		used += bytes;
	}
	assert_int_equal(table->evicted, 44);
	while ((bytes = node_snapshot_outcomes(bed.node[0], &cursor, out + used, 1000)))
		used += bytes;
	assert_int_equal(used, 300 * SNAPSHOT_OUTCOME_BYTES);
	horizon = node_horizon_ms(bed.node[0]);
	assert_int_equal(horizon, 1043);
	cursor = 0; /* one that begins now passes over those that left */
	used = node_snapshot_outcomes(bed.node[0], &cursor, out, sizeof(out));
	assert_int_equal(used, 256 * SNAPSHOT_OUTCOME_BYTES);
	bed_crash(&bed);
	for (uint32_t i = 0; i < 2; i++) /* twice is once */
		assert_int_equal(node_restore_outcomes(bed.node, WORKERS, out, used), 0);
	node_restore_horizon(bed.node, WORKERS, horizon);
	node_restore_time(bed.node, WORKERS, 5000);
	table = &bed.node[0]->outcomes;
	assert_int_equal(table->count, 256);
	assert_int_equal(table->evicted, 0);
	for (uint32_t i = 0; i < 256; i++) {
		packet_id(id, 1044 + i, 44 + i, 0);
		assert_memory_equal(table->ring[i].id, id, 16);
		assert_int_equal(table->ring[i].state,
				 (i + 44) % 3 ? OUTCOME_COMMITTED : OUTCOME_ABORTED);
	}
	assert_int_equal(table->horizon_ms, 1043);
	assert_true(node_time(bed.node[1]) == 5000);
	out[28] ^= 3; /* committed, and aborted */
	assert_int_equal(node_restore_outcomes(bed.node, WORKERS, out, 32), -EBADMSG);
	assert_int_equal(node_restore_outcomes(bed.node, WORKERS, out + 32, 31), -EBADMSG);
}

/* The checkpoint has the outcome, but its walk was past the key before the commit was visible. */
static void a_known_outcome_does_not_hide_its_record(void **state)
{
	static uint8_t out[SNAPSHOT_OUTCOME_BYTES];
	uint64_t cursor = 0;
	char text[8];

	assert_int_equal(bed_put(&bed, 0, "k", "v"), ABAFT_OK);
	assert_int_equal(node_snapshot_outcomes(bed.node[0], &cursor, out, sizeof(out)),
			 sizeof(out));
	bed_crash(&bed);
	node_recover_begin(bed.node, 1);
	assert_int_equal(node_restore_outcomes(bed.node, WORKERS, out, sizeof(out)), 0);
	assert_int_equal(log_fake_replay(&bed.log[0], 0, 0, bed.node, WORKERS), 0);
	node_recovered(bed.node, WORKERS);
	bed_get(&bed, 0, "k", text, sizeof(text));
	assert_string_equal(text, "v");
	assert_int_equal(bed.node[0]->outcomes.count, 1);
}

/* T6: keys that left and keys that came while the walk was on may stand in one checkpoint. */
static void a_checkpoint_may_hold_more_keys_than_the_index(void **state)
{
	uint8_t data[64];
	char name[8];

	bed_close(&bed);
	bed.store_config.keys_max = 100;
	bed_open(&bed);
	for (uint32_t i = 0; i < 151; i++) {
		snprintf(name, sizeof(name), "k%u", i);
		assert_int_equal(
			restore_exactly(data, put_key(data, 0, small_key(name, "v", 10 + i))),
			i < 150 ? 0 : -ENOSPC);
	}
	for (uint32_t i = 0; i < 150; i++) {
		snprintf(name, sizeof(name), "k%u", i);
		assert_int_equal(restore_exactly(data, put_key(data, 0,
							       small_key(name, i < 99 ? "w" : NULL,
									 1000 + i))),
				 0);
	}
	node_recovered(bed.node, WORKERS);
	assert_int_equal(bed.store->index.keys_max, 100);
	assert_int_equal(bed_put(&bed, 0, "one", "v"), ABAFT_OK);
	assert_int_equal(bed_put(&bed, 0, "two", "v"), ABAFT_NO_SPACE);
}

struct places {
	uint64_t sum;
	uint32_t count, stop_at;
};

static int count_place(void *arg, uint64_t place, const uint8_t *key, uint32_t key_bytes)
{
	struct places *p = arg;

	assert_int_equal(key_bytes, 5);
	p->sum += place;
	return ++p->count == p->stop_at ? -ENOENT : 0;
}

static void every_place_is_handed_out(void **state)
{
	struct places all = {0}, some = {.stop_at = 1};
	uint8_t data[512];

	assert_int_equal(restore_exactly(data, make_keys(data)), 0);
	node_recovered(bed.node, WORKERS);
	assert_int_equal(node_restore_places(bed.node, count_place, &all), 0);
	assert_int_equal(all.count, 2);
	assert_true(all.sum == 2 * PLACE);
	assert_int_equal(node_restore_places(bed.node, count_place, &some), -ENOENT);
	assert_int_equal(some.count, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(keys_make_the_round_trip),
		CASE(the_layout_is_as_documented),
		CASE(entries_become_versions),
		CASE(every_wrong_length_is_refused),
		CASE(flipped_bits_do_no_harm),
		CASE(every_wrong_field_is_refused),
		CASE(what_cannot_be_is_refused),
		CASE(the_newest_entry_stays),
		CASE(a_tombstone_waits_for_the_logs),
		CASE(kept_records_only_relocate),
		CASE(outcomes_make_the_round_trip),
		CASE(a_known_outcome_does_not_hide_its_record),
		CASE(a_checkpoint_may_hold_more_keys_than_the_index),
		CASE(every_place_is_handed_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
