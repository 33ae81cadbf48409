/* SPDX-License-Identifier: Apache-2.0 */
/* restore_test.c - after a restart: what was durable is there, once, and nothing else. */
#include "tests/unit/core/region.h"

#include <stdio.h>

#include "dataplane/core/crc.h"
#include "dataplane/core/record.h"
#include "tests/lib/node_bed.h"

static struct bed bed;
static struct bed few; /* one worker, few keys, a long log */

#define KEYS_FEW 500

static int setup(void **state)
{
	bed_defaults(&bed, 3);
	bed_open(&bed);
	return 0;
}

static int teardown(void **state)
{
	bed_close(&bed);
	return 0;
}

static void expect(const char *key, const char *value)
{
	char text[32];

	bed_get(&bed, 0, key, text, sizeof(text));
	assert_string_equal(text, value);
}

static void what_was_durable_is_there(void **state)
{
	static struct bed_answer lost;
	struct packet p;
	uint8_t id[16];

	assert_int_equal(bed_put2(&bed, 0, "a", "b", "one"), ABAFT_OK);
	assert_int_equal(bed_put(&bed, 1, "a", "two"), ABAFT_OK);
	assert_int_equal(bed_put(&bed, 2, "c", "three"), ABAFT_OK);
	bed_id(&bed, 0, id);
	packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	packet_put(&p, "a", 1, "lost", 4);
	packet_put(&p, "c", 1, "lost", 4);
	packet_commit(&p);
	packet_finish(&p);
	assert_int_equal(bed_send(&bed, 0, &p, &lost), NODE_WAIT);
	assert_int_equal(bed_restart(&bed), 0);
	expect("a", "two");
	expect("b", "one");
	expect("c", "three");
	bed_run(&bed, 0, &p, &lost); /* P6: it never took effect, so it may now */
	assert_int_equal(bed_status(&lost, 2), ABAFT_OK);
	expect("c", "lost");
}

/* P6 over a restart. */
static void outcomes_are_remembered(void **state)
{
	struct bed_answer first, again;
	struct packet p, abort;
	uint8_t id[16];

	bed_id(&bed, 0, id);
	packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	packet_put(&p, "k", 1, "v", 1);
	packet_commit(&p);
	packet_finish(&p);
	bed_run(&bed, 0, &p, &first);
	bed_id(&bed, 0, id);
	packet_begin(&abort, id, 0, 0, 0, 0, 0);
	packet_abort(&abort);
	packet_finish(&abort);
	bed_run(&bed, 0, &abort, &again);
	assert_int_equal(bed_restart(&bed), 0);
	bed_run(&bed, 0, &p, &again);
	assert_int_equal(bed_result(&again, 1).flags, ABAFT_RESULT_REPEAT);
	assert_int_equal(bed_result(&again, 1).time, bed_result(&first, 1).time);
	bed_run(&bed, 0, &abort, &again);
	assert_int_equal(bed_result(&again, 0).flags, ABAFT_RESULT_REPEAT);
	assert_int_equal(bed.log[0].count, 2);
}

/* Records of all logs, one after the other, from the back, or alternating: the same state. */
static void the_order_of_logs_does_not_matter(void **state)
{
	static const uint32_t orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}};
	char key[8], value[16];

	for (uint32_t i = 0; i < 200; i++) {
		snprintf(key, sizeof(key), "k%u", i % 13);
		snprintf(value, sizeof(value), "v%u", i);
		assert_int_equal(bed_put2(&bed, i % 3, key, "shared", i % 7 ? value : NULL),
				 ABAFT_OK);
	}
	for (uint32_t o = 0; o < 3; o++) {
		struct store *store;
		struct node *nodes[3];

		assert_int_equal(store_create(&store, &bed.store_config), 0);
		for (uint32_t w = 0; w < 3; w++) {
			struct node_config config = bed.config;

			config.worker = w;
			assert_int_equal(node_create(&nodes[w], store, &config), 0);
		}
		for (uint32_t w = 0; w < 3; w++)
			assert_int_equal(
				log_fake_replay(&bed.log[orders[o][w]], orders[o][w], 0, nodes, 3),
				0);
		node_recovered(nodes, 3);
		for (uint32_t k = 0; k < 14; k++) {
			struct key *now, *then;
			struct version *a, *b;
			int n = snprintf(key, sizeof(key), k < 13 ? "k%u" : "shared", k);
			const uint8_t *name = (const uint8_t *)key;
			struct key_id id = index_id(&store->index, name, (uint32_t)n);

			now = index_find(&bed.store->index, id, name, (uint32_t)n);
			then = index_find(&store->index, id, name, (uint32_t)n);
			assert_non_null(now);
			a = atomic_load(&now->newest);
			assert_int_equal(then == NULL, a->kind == VERSION_TOMBSTONE);
			if (!then)
				continue;
			b = atomic_load(&then->newest);
			assert_true(vnum_equal(a->number, b->number));
			assert_int_equal(a->kind, b->kind);
			assert_int_equal(a->bytes, b->bytes);
			if (a->bytes > 0)
				assert_memory_equal(a->value, b->value, a->bytes);
		}
		for (uint32_t w = 0; w < 3; w++)
			node_destroy(nodes[w]);
		store_destroy(store);
	}
}

/* After recovery and reclamation memory is as that of a store that recovered nothing else. */
static void memory_is_that_of_what_is_left(void **state)
{
	uint64_t used;
	char key[8];

	for (uint32_t i = 0; i < 20; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		assert_int_equal(bed_put(&bed, i % 3, key, "value"), ABAFT_OK);
	}
	assert_int_equal(bed_restart(&bed), 0);
	used = bed_used(&bed);
	bed_close(&bed);
	bed_open(&bed);
	for (uint32_t i = 0; i < 300; i++) {
		snprintf(key, sizeof(key), "k%u", i % 30);
		bed_advance_us(&bed, 1000);
		assert_int_equal(bed_put(&bed, i % 3, key, i % 5 ? "value" : NULL), ABAFT_OK);
	}
	for (uint32_t i = 0; i < 30; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		assert_int_equal(bed_put(&bed, (i + 1) % 3, key, i < 20 ? "value" : NULL),
				 ABAFT_OK);
	}
	bed.config.outcomes_max = 1000;
	assert_int_equal(bed_restart(&bed), 0);
	bed_ticks(&bed, 20);
	assert_int_equal(bed_used(&bed), used);
	assert_int_equal(atomic_load(&bed.store->index.keys), 20);
	for (uint32_t i = 0; i < 30; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		expect(key, i < 20 ? "value" : "");
	}
}

/* R5, C2: a key that was deleted, left, and came back while the wall clock was behind. */
static void a_tombstone_in_the_log_hides_nothing_newer(void **state)
{
	assert_int_equal(bed_put(&bed, 0, "k", "old"), ABAFT_OK);
	bed_advance_us(&bed, 20000000);
	assert_int_equal(bed_put(&bed, 0, "k", NULL), ABAFT_OK);
	bed_ticks(&bed, 20);
	assert_int_equal(atomic_load(&bed.store->index.keys), 0);
	bed.now.wall_us -= 10000000;
	assert_int_equal(bed_put(&bed, 1, "k", "new"), ABAFT_OK);
	expect("k", "new");
	assert_int_equal(bed_restart(&bed), 0);
	expect("k", "new");
	bed_ticks(&bed, 20);
	expect("k", "new");
}

static void clocks_go_on_above_what_was_recovered(void **state)
{
	assert_int_equal(bed_put(&bed, 0, "k", "old"), ABAFT_OK);
	bed.now.wall_us -= 30000000; /* the clock is wrong after the restart */
	assert_int_equal(bed_restart(&bed), 0);
	assert_int_equal(bed_put(&bed, 1, "k", "new"), ABAFT_OK);
	expect("k", "new");
	assert_int_equal(bed_put(&bed, 2, "other", "v"), ABAFT_OK);
	assert_int_equal(bed_restart(&bed), 0);
	expect("k", "new");
}

static void commits_bind_readers_after_recovery_too(void **state)
{
	struct bed_answer answer;
	struct packet p;
	uint8_t id[16];

	assert_int_equal(bed_put2(&bed, 0, "a", "b", "1"), ABAFT_OK);
	assert_int_equal(bed_restart(&bed), 0);
	bed_id(&bed, 0, id);
	packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	packet_get(&p, "a", 1, 0);
	packet_finish(&p);
	bed_run(&bed, 0, &p, &answer);
	assert_memory_equal(bed_result(&answer, 0).data, "1", 1);
	assert_int_equal(bed_put2(&bed, 1, "a", "b", "2"), ABAFT_OK);
	bed_ticks(&bed, 5);
	packet_begin(&p, id, bed_instance(&answer), 0, 0, 1, 0);
	packet_get(&p, "b", 1, 0);
	packet_finish(&p);
	bed_run(&bed, 0, &p, &answer);
	assert_memory_equal(bed_result(&answer, 0).data, "1", 1);
}

static int replay_once(const struct log_fake_record *r, const uint8_t *data, uint32_t bytes)
{
	return node_recover(bed.node, 3, 0, r->type, r->place, data, bytes);
}

static void bad_records_are_refused(void **state)
{
	struct log_fake_record *r;
	uint8_t *copy;

	assert_int_equal(bed_put(&bed, 0, "k", "v"), ABAFT_OK);
	r = &bed.log[0].records[0];
	assert_int_equal(node_recover(bed.node, 3, 0, 99, r->place, r->data, r->bytes), -EBADMSG);
	assert_int_equal(
		node_recover(bed.node, 3, ABAFT_LOGS_MAX, r->type, r->place, r->data, r->bytes),
		-EBADMSG);
	/* Each kind in its own logs. */
	assert_int_equal(
		node_recover(bed.node, 3, ABAFT_LOG_KEPT, r->type, r->place, r->data, r->bytes),
		-EBADMSG);
	assert_int_equal(node_recover(bed.node, 3, 0, RECORD_KEPT, r->place, r->data, r->bytes),
			 -EBADMSG);
	copy = malloc(r->bytes);
	assert_non_null(copy);
	memcpy(copy, r->data, r->bytes);
	for (uint32_t n = 0; n < r->bytes; n++) {
		copy[0]++; /* another id each time */
		assert_int_equal(replay_once(r, copy, n), -EBADMSG);
	}
	free(copy);
	expect("k", "v");
}

/* Whatever is in it, and in whichever log. */
static void lost_records_change_nothing(void **state)
{
	struct log_fake_record *r = &bed.log[0].records[0];
	uint64_t used;

	assert_int_equal(bed_put(&bed, 0, "k", "v"), ABAFT_OK);
	used = bed_used(&bed);
	assert_int_equal(node_recover(bed.node, 3, 0, RECORD_LOST, r->place, r->data, r->bytes), 0);
	assert_int_equal(
		node_recover(bed.node, 3, ABAFT_LOG_KEPT, RECORD_LOST, PLACE_NONE, r->data, 0), 0);
	assert_int_equal(
		node_recover(bed.node, 3, ABAFT_LOGS_MAX, RECORD_LOST, PLACE_NONE, r->data, 0),
		-EBADMSG);
	assert_int_equal(node_recover_lost(bed.node), 2);
	assert_int_equal(bed_used(&bed), used);
	expect("k", "v");
}

/* Once more is nothing; the same id with another end, or another commit with its number, is no
 * record of ours (P6). */
static void a_record_may_come_twice(void **state)
{
	struct log_fake_record *r = bed.log[0].records;
	uint64_t used;
	uint8_t copy[64];

	assert_int_equal(bed_put(&bed, 0, "k", "v"), ABAFT_OK);
	assert_int_equal(bed_put(&bed, 0, "k", "w"), ABAFT_OK);
	assert_int_equal(bed_restart(&bed), 0);
	node_recover_begin(bed.node, 1);
	used = bed_used(&bed);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(replay_once(&r[i % 2], r[i % 2].data, r[i % 2].bytes), 0);
	assert_int_equal(bed_used(&bed), used);
	assert_int_equal(bed.node[0]->outcomes.count, 2);
	assert_true(r[0].bytes <= sizeof(copy));
	memcpy(copy, r[0].data, r[0].bytes);
	copy[16]++; /* another number */
	assert_int_equal(replay_once(r, copy, r->bytes), -EBADMSG);
	copy[16]--;
	copy[8]++; /* another id */
	assert_int_equal(replay_once(r, copy, r->bytes), -EBADMSG);
	copy[8]--;
	store_le32(copy + 28, 0); /* aborted, and not */
	assert_int_equal(node_recover(bed.node, 3, 0, RECORD_ABORT, PLACE_NONE, copy, 32),
			 -EBADMSG);
	expect("k", "w");
}

static const struct version *version_of(const char *name)
{
	const uint8_t *data = (const uint8_t *)name;
	uint32_t bytes = (uint32_t)strlen(name);
	struct key_id id = index_id(&bed.store->index, data, bytes);
	const struct key *key = index_find(&bed.store->index, id, data, bytes);

	assert_non_null(key);
	return atomic_load(&key->newest);
}

/* Each write stands behind the one before it, in its record; live bytes are those of what stays. */
static void versions_get_their_places(void **state)
{
	const struct log_fake_record *r = bed.log[1].records;
	const struct space *space;
	uint64_t bytes = space_bytes(1, 5);

	assert_int_equal(bed_put2(&bed, 1, "a", "b", "first"), ABAFT_OK);
	assert_int_equal(bed_put(&bed, 0, "b", "other"), ABAFT_OK);
	assert_int_equal(bed_put(&bed, 0, "c", "other"), ABAFT_OK);
	assert_int_equal(bed_put(&bed, 2, "c", NULL), ABAFT_OK);
	assert_int_equal(bed_restart(&bed), 0);
	space = &bed.store->space;
	assert_int_equal(version_of("a")->place, r->place + RECORD_HEAD_BYTES);
	assert_memory_equal(r->data + RECORD_HEAD_BYTES + RECORD_WRITE_BYTES, "afirst", 6);
	assert_int_equal(version_of("b")->place, bed.log[0].records[0].place + RECORD_HEAD_BYTES);
	assert_int_equal(space_live(space, 1, 0), bytes);
	assert_int_equal(space_live(space, 0, 0), bytes);
	assert_int_equal(space_total(space), 2 * bytes);
}

static void a_store_that_is_too_small_is_told(void **state)
{
	char key[8];

	for (uint32_t i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		assert_int_equal(bed_put(&bed, i % 3, key, "v"), ABAFT_OK);
	}
	bed.store_config.keys_max = 50;
	assert_int_equal(bed_restart(&bed), -ENOSPC);
}

/* Outcomes beyond the table move the horizon, as they did before the restart. */
static void the_horizon_is_recovered(void **state)
{
	static struct packet first;
	struct bed_answer answer;
	uint8_t id[16];

	bed_id(&bed, 0, id);
	packet_begin(&first, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	packet_put(&first, "k", 1, "v", 1);
	packet_commit(&first);
	packet_finish(&first);
	bed_run(&bed, 0, &first, &answer);
	for (uint32_t i = 0; i < 300; i++) {
		bed_advance_us(&bed, 1000);
		assert_int_equal(bed_put(&bed, 0, "k", "v"), ABAFT_OK);
	}
	assert_int_equal(bed_restart(&bed), 0);
	bed_run(&bed, 0, &first, &answer);
	assert_int_equal(bed_status(&answer, 0), ABAFT_EXPIRED);
}

static void put_large(uint32_t i, char fill)
{
	char key[16], value[1201];

	memset(value, fill, sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	snprintf(key, sizeof(key), "large%u", i);
	bed_advance_us(&bed, 1000); /* outcomes leave: ids must rise */
	assert_int_equal(bed_put(&bed, i % 3, key, value), ABAFT_OK);
}

/* Counts values in memory and on disk, and checks both. */
static void count_large(uint32_t keys, uint32_t *hot, uint32_t *cold)
{
	uint8_t value[1200];
	char name[16];

	memset(value, 'v', sizeof(value));
	*hot = 0;
	*cold = 0;
	for (uint32_t i = 0; i < keys; i++) {
		struct version *v;

		snprintf(name, sizeof(name), "large%u", i);
		v = (struct version *)(uintptr_t)version_of(name);
		assert_int_equal(v->bytes, 1200);
		assert_int_equal(version_large(v)->crc, crc32c(value, 1200));
		assert_int_equal(place_log(v->place), i % 3);
		assert_int_equal(version_large(v)->in_cache, version_value(v) != NULL);
		if (version_value(v))
			assert_memory_equal(version_value(v), value, 1200);
		*(version_value(v) ? hot : cold) += 1;
	}
}

/* T7, with a bound of the cache. */
static void values_beyond_the_bound_stay_on_disk(void **state)
{
	uint32_t hot, cold;

	for (uint32_t i = 0; i < 120; i++) {
		put_large(i / 2, 'o'); /* replaced: not counted twice */
		put_large(i / 2, 'v');
	}
	bed.store_config.cache_bytes = 30 * memory_block_bytes(1200);
	assert_int_equal(bed_restart(&bed), 0);
	count_large(60, &hot, &cold);
	assert_int_equal(hot, 30);
	for (uint32_t w = 0; w < 3; w++)
		assert_int_equal(cache_values(&bed.store->cache, w), 10);
	bed.store_config.cache_bytes = 0;
	assert_int_equal(bed_restart(&bed), 0);
	count_large(60, &hot, &cold);
	assert_int_equal(hot, 60);
}

/* T7, with the memory as the bound: first values, which go again for keys and small ones. */
static void more_values_than_memory(void **state)
{
	uint32_t keys = 7000, small = 8000, hot, cold;
	char name[16], text[160];

	bed.store_config.keys_max = 1 << 16;
	bed_close(&bed);
	bed_open(&bed);
	for (uint32_t i = 0; i < keys; i++)
		put_large(i, 'v');
	bed.store_config.memory_bytes = 6 << 20;
	assert_int_equal(bed_restart(&bed), 0);
	count_large(keys, &hot, &cold);
	assert_in_range(hot, 500, 3500);
	bed.store_config.memory_bytes = BED_MEMORY_BYTES;
	assert_int_equal(bed_restart(&bed), 0);
	memset(text, 's', 140);
	text[140] = '\0';
	for (uint32_t i = 0; i < small; i++) {
		snprintf(name, sizeof(name), "small%u", i);
		bed_advance_us(&bed, 1000);
		assert_int_equal(bed_put(&bed, i % 3, name, text), ABAFT_OK);
	}
	bed.store_config.memory_bytes = 7 << 20;
	assert_int_equal(bed_restart(&bed), 0);
	count_large(keys, &hot, &cold);
	assert_in_range(hot, 0, 1600);
	bed_get(&bed, 0, "small7999", text, sizeof(text));
	assert_int_equal(strlen(text), 140);
	bed.store_config.memory_bytes = 3 << 20;
	assert_int_equal(bed_restart(&bed), -ENOMEM);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* A log of many deletes needs no more room than the node had that wrote it (T2). */
static void deletes_leave_no_room_taken(void **state)
{
	char key[16];

	(void)state;
	for (uint32_t i = 0; i < 3 * KEYS_FEW; i++) {
		snprintf(key, sizeof(key), "gone%u", i);
		assert_int_equal(bed_put(&few, 0, key, "v"), ABAFT_OK);
		assert_int_equal(bed_put(&few, 0, key, NULL), ABAFT_OK);
		bed_ticks(&few, 1);
	}
	assert_int_equal(bed_put(&few, 0, "stays", "v"), ABAFT_OK);
	assert_int_equal(bed_restart(&few), 0);
	assert_int_equal(atomic_load(&few.store->index.keys), 1);
}

/* The same key, put and deleted more often than a key may have versions: and in linear time. */
static void one_key_deleted_often(void **state)
{
	char text[8];

	(void)state;
	for (uint32_t i = 0; i < ABAFT_KEY_VERSIONS_MAX + 100; i++) {
		assert_int_equal(bed_put(&few, 0, "k", "v"), ABAFT_OK);
		assert_int_equal(bed_put(&few, 0, "k", NULL), ABAFT_OK);
		if (i % 64 == 0)
			bed_ticks(&few, 1);
	}
	assert_int_equal(bed_restart(&few), 0);
	bed_get(&few, 0, "k", text, sizeof(text));
	assert_string_equal(text, "");
	assert_int_equal(atomic_load(&few.store->index.keys), 0);
}

/* A tombstone waits for the logs that may bring an older value of its key. */
static void a_delete_waits_for_the_other_logs(void **state)
{
	const struct log_fake_record *put, *deleted;
	struct store *store;
	struct node *nodes[3];

	(void)state;
	assert_int_equal(bed_put(&bed, 0, "k", "old"), ABAFT_OK);
	bed_advance_us(&bed, 1000);
	assert_int_equal(bed_put(&bed, 1, "k", NULL), ABAFT_OK);
	assert_int_equal(bed_put(&bed, 1, "other", "v"), ABAFT_OK);
	assert_int_equal(store_create(&store, &bed.store_config), 0);
	for (uint32_t w = 0; w < 3; w++) {
		struct node_config config = bed.config;

		config.worker = w;
		assert_int_equal(node_create(&nodes[w], store, &config), 0);
	}
	put = &bed.log[0].records[0];
	deleted = &bed.log[1].records[0];
	node_recover_begin(nodes, 1 << 0 | 1 << 1);
	for (uint32_t i = 0; i < 2; i++) {
		store->restore.sweep_at = 0; /* as if there were many */
		assert_int_equal(node_recover(nodes, 3, 1, deleted[i].type, PLACE_NONE,
					      deleted[i].data, deleted[i].bytes),
				 0);
	}
	node_recover_end(nodes, 1);
	assert_int_equal(node_recover(nodes, 3, 0, put->type, PLACE_NONE, put->data, put->bytes),
			 0);
	node_recover_end(nodes, 0);
	node_recovered(nodes, 3);
	assert_int_equal(atomic_load(&store->index.keys), 1);
	for (uint32_t w = 0; w < 3; w++)
		node_destroy(nodes[w]);
	store_destroy(store);
}

static int setup_few(void **state)
{
	(void)state;
	bed_defaults(&few, 1);
	few.store_config.keys_max = KEYS_FEW;
	few.config.outcomes_max = 1u << 18;
	few.log_records = 200000;
	few.log_bytes = 32u << 20;
	bed_open(&few);
	return 0;
}

static int teardown_few(void **state)
{
	(void)state;
	bed_close(&few);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_was_durable_is_there),
		CASE(outcomes_are_remembered),
		CASE(the_order_of_logs_does_not_matter),
		CASE(memory_is_that_of_what_is_left),
		CASE(a_tombstone_in_the_log_hides_nothing_newer),
		CASE(clocks_go_on_above_what_was_recovered),
		CASE(commits_bind_readers_after_recovery_too),
		CASE(bad_records_are_refused),
		CASE(lost_records_change_nothing),
		CASE(a_record_may_come_twice),
		CASE(versions_get_their_places),
		CASE(values_beyond_the_bound_stay_on_disk),
		CASE(more_values_than_memory),
		CASE(a_store_that_is_too_small_is_told),
		CASE(the_horizon_is_recovered),
		CASE(a_delete_waits_for_the_other_logs),
		cmocka_unit_test_setup_teardown(deletes_leave_no_room_taken, setup_few,
						teardown_few),
		cmocka_unit_test_setup_teardown(one_key_deleted_often, setup_few, teardown_few),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
