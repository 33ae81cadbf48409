/* SPDX-License-Identifier: Apache-2.0 */
/* cache_test.c - H1 to H4: what stays, what goes, and when its block is used again. */
#include "tests/unit/core/region.h"

#include <stdio.h>

#include "dataplane/core/cache.h"
#include "dataplane/core/crc.h"
#include "tests/lib/node_bed.h"

#define WORKERS	    3
#define VALUE_BYTES 1000
#define BLOCK_BYTES 1024 /* what it takes */

/* Rings of versions that stand nowhere else. */
struct ring {
	struct cache cache;
	struct version *version[8];
	uint8_t value[8][VALUE_BYTES];
};

static void ring_open(struct ring *r, uint32_t shards, uint64_t bytes_max)
{
	cache_init(&r->cache, NULL, shards, bytes_max);
	for (uint32_t i = 0; i < 8; i++) {
		r->version[i] = calloc(1, version_block_bytes(VALUE_BYTES));
		assert_non_null(r->version[i]);
		r->version[i]->bytes = VALUE_BYTES;
		atomic_store(&r->version[i]->value, r->value[i]);
	}
}

static void ring_close(struct ring *r)
{
	for (uint32_t i = 0; i < 8; i++)
		free(r->version[i]);
}

/* Which value a block is; 8: none. */
static uint32_t value_of(const struct ring *r, const uint8_t *block)
{
	uint32_t i = 0;

	while (i < 8 && block != r->value[i])
		i++;
	return i;
}

static void the_oldest_go_first(void **state)
{
	struct cache_block out[8];
	struct ring r;

	ring_open(&r, 1, 3 * BLOCK_BYTES);
	for (uint32_t i = 0; i < 5; i++)
		cache_add(&r.cache, 0, r.version[i]);
	assert_int_equal(r.cache.shard[0].values, 5);
	assert_int_equal(r.cache.shard[0].bytes, 5 * BLOCK_BYTES);
	assert_true(cache_over(&r.cache, 0));
	assert_int_equal(cache_evict(&r.cache, 0, 0, out, 8), 2);
	assert_int_equal(value_of(&r, out[0].block), 0);
	assert_int_equal(value_of(&r, out[1].block), 1);
	assert_int_equal(out[1].bytes, VALUE_BYTES);
	assert_null(version_value(r.version[0]));
	assert_non_null(version_value(r.version[2]));
	assert_int_equal(r.cache.shard[0].values, 3);
	assert_int_equal(r.cache.shard[0].bytes, 3 * BLOCK_BYTES);
	assert_false(cache_over(&r.cache, 0));
	assert_int_equal(cache_evict(&r.cache, 0, 0, out, 8), 0);
	ring_close(&r);
}

static void a_hit_gives_a_second_turn(void **state)
{
	struct cache_block out[8];
	struct ring r;

	ring_open(&r, 1, 1);
	for (uint32_t i = 0; i < 4; i++)
		cache_add(&r.cache, 0, r.version[i]);
	cache_hit(r.version[0]);
	cache_hit(r.version[2]);
	assert_int_equal(cache_evict(&r.cache, 0, 0, out, 2), 2);
	assert_int_equal(value_of(&r, out[0].block), 1);
	assert_int_equal(value_of(&r, out[1].block), 3);
	/* One turn only; what is new comes behind what was passed over. */
	cache_add(&r.cache, 0, r.version[4]);
	assert_int_equal(cache_evict(&r.cache, 0, 0, out, 8), 3);
	assert_int_equal(value_of(&r, out[0].block), 0);
	assert_int_equal(value_of(&r, out[1].block), 2);
	assert_int_equal(value_of(&r, out[2].block), 4);
	assert_int_equal(cache_evict(&r.cache, 0, 1, out, 8), 0);
	ring_close(&r);
}

/* A call is bounded even if all were used; the next goes on. */
static void a_call_is_bounded(void **state)
{
	struct cache_block out[1];
	struct ring r;

	ring_open(&r, 1, 1);
	for (uint32_t i = 0; i < 8; i++) {
		cache_add(&r.cache, 0, r.version[i]);
		cache_hit(r.version[i]);
	}
	assert_int_equal(cache_evict(&r.cache, 0, 0, out, 1), 0);
	assert_int_equal(version_large(r.version[3])->used, 0);
	assert_int_equal(version_large(r.version[4])->used, 1);
	assert_int_equal(cache_evict(&r.cache, 0, 0, out, 1), 0);
	assert_int_equal(cache_evict(&r.cache, 0, 0, out, 1), 1);
	assert_int_equal(value_of(&r, out[0].block), 0);
	ring_close(&r);
}

static void press_takes_what_it_asks_for(void **state)
{
	struct cache_block out[8];
	struct ring r;

	ring_open(&r, 1, 0);
	for (uint32_t i = 0; i < 6; i++)
		cache_add(&r.cache, 0, r.version[i]);
	assert_false(cache_over(&r.cache, 0));
	assert_int_equal(cache_evict(&r.cache, 0, 0, out, 8), 0);
	assert_int_equal(cache_evict(&r.cache, 0, BLOCK_BYTES + 1, out, 8), 2);
	assert_int_equal(cache_evict(&r.cache, 0, 10 * BLOCK_BYTES, out, 3), 3);
	assert_int_equal(cache_evict(&r.cache, 0, 10 * BLOCK_BYTES, out, 8), 1);
	assert_int_equal(r.cache.shard[0].bytes, 0);
	ring_close(&r);
}

static void a_version_is_taken_off_from_anywhere(void **state)
{
	struct cache_block out[8];
	struct ring r;

	ring_open(&r, 2, 4 * BLOCK_BYTES);
	for (uint32_t i = 0; i < 6; i++)
		cache_add(&r.cache, i % 2, r.version[i]);
	assert_int_equal(cache_evict(&r.cache, 0, 0, out, 8), 1);
	assert_int_equal(cache_fullest(&r.cache), 1);
	assert_int_equal(value_of(&r, cache_take(&r.cache, r.version[3])), 3);
	assert_int_equal(value_of(&r, cache_take(&r.cache, r.version[2])), 2); /* at the hand */
	assert_null(cache_take(&r.cache, r.version[0]));		       /* cold */
	assert_int_equal(value_of(&r, cache_take(&r.cache, r.version[7])), 7); /* never in */
	assert_int_equal(r.cache.shard[0].values, 1);
	assert_int_equal(r.cache.shard[1].values, 2);
	assert_int_equal(value_of(&r, cache_take(&r.cache, r.version[4])), 4);
	assert_int_equal(cache_evict(&r.cache, 0, 1, out, 8), 0);
	assert_int_equal(r.cache.shard[0].bytes, 0);
	/* It comes back in another shard, and leaves that one. */
	atomic_store(&r.version[0]->value, r.value[0]);
	cache_add(&r.cache, 1, r.version[0]);
	assert_int_equal(r.cache.shard[1].values, 3);
	assert_int_equal(value_of(&r, cache_take(&r.cache, r.version[0])), 0);
	assert_int_equal(r.cache.shard[1].values, 2);
	ring_close(&r);
}

/* From here on with nodes. What makes values evictable is a log that can read; nobody asks it. */
static int read_never(void *log, const struct node_read *read)
{
	return -EIO;
}

static void open_bed(struct bed *bed, uint64_t memory_bytes, uint64_t cache_bytes)
{
	bed_defaults(bed, WORKERS);
	bed->store_config.memory_bytes = memory_bytes;
	bed->store_config.cache_bytes = cache_bytes;
	bed->store_config.keys_max = 1 << 16;
	bed->log_records = 1 << 17;
	bed->log_bytes = 160 << 20;
	bed_open(bed);
	for (uint32_t w = 0; w < WORKERS; w++)
		bed->node[w]->log.read = read_never;
}

/* Commits n values of so many bytes under keys from `first` on; the status. */
static uint16_t put_values(struct bed *bed, uint32_t worker, uint32_t first, uint32_t n,
			   uint32_t bytes)
{
	uint8_t value[ABAFT_PACKET_BYTES_MAX];
	struct bed_answer answer;
	struct packet p;
	uint8_t id[16];
	char key[12];

	bed_id(bed, worker, id);
	packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	for (uint32_t i = first; i < first + n; i++) {
		memset(value, (uint8_t)i, bytes);
		packet_put(&p, key, (uint16_t)snprintf(key, sizeof(key), "k%u", i), value, bytes);
	}
	packet_commit(&p);
	packet_finish(&p);
	bed_advance_us(bed, 1000);
	bed_run(bed, worker, &p, &answer);
	return bed_status(&answer, n);
}

static struct version *newest(struct bed *bed, uint32_t i)
{
	char text[12];
	uint32_t bytes = (uint32_t)snprintf(text, sizeof(text), "k%u", i);
	const uint8_t *data = (const uint8_t *)text;
	struct index *index = &bed->store->index;
	struct key *key = index_find(index, index_id(index, data, bytes), data, bytes);

	assert_non_null(key);
	return atomic_load(&key->newest);
}

static uint64_t cached_bytes(const struct bed *bed)
{
	uint64_t bytes = 0;

	for (uint32_t w = 0; w < WORKERS; w++)
		bytes += bed_counters(bed, w)->cache_bytes;
	return bytes;
}

/* Deletes all, from other workers than wrote it, and everything must have returned. */
static void drain(struct bed *bed, uint32_t keys)
{
	char key[12];

	for (uint32_t i = 0; i < keys; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		assert_int_equal(bed_put(bed, (i + 1) % WORKERS, key, NULL), ABAFT_OK);
		if (i % 64 == 0)
			bed_ticks(bed, 1);
	}
	bed_ticks(bed, 300);
	assert_int_equal(bed_used(bed), 0);
	assert_int_equal(cached_bytes(bed), 0);
	for (uint32_t w = 0; w < WORKERS; w++) {
		assert_int_equal(bed->node[w]->reclaim.block_room, RECLAIM_BLOCKS);
		memory_cache_flush(&bed->node[w]->memory);
	}
	assert_int_equal(bed->store->memory.free_span_count, bed->store->memory.spans_total);
}

static void values_stay_within_the_bound(void **state)
{
	const uint64_t bound = 48 * BLOCK_BYTES;
	static struct bed bed;
	uint64_t evicted = 0;
	uint32_t cold = 0;

	open_bed(&bed, BED_MEMORY_BYTES, bound);
	for (uint32_t i = 0; i < 300; i++) {
		assert_int_equal(put_values(&bed, i % WORKERS, i, 1, VALUE_BYTES), ABAFT_OK);
		bed_advance_us(&bed, 100);
		bed_tick(&bed, i % WORKERS);
		assert_true(cached_bytes(&bed) <= bound);
	}
	assert_int_equal(cached_bytes(&bed), bound);
	for (uint32_t i = 0; i < 300; i++)
		cold += version_value(newest(&bed, i)) == NULL;
	for (uint32_t w = 0; w < WORKERS; w++)
		evicted += bed_counters(&bed, w)->cache_evictions;
	assert_int_equal(cold, 300 - 48);
	assert_int_equal(evicted, cold);
	assert_int_equal(bed_counters(&bed, 0)->cache_values, 16);
	assert_null(version_value(newest(&bed, 0)));
	assert_non_null(version_value(newest(&bed, 299)));
	bed_ticks(&bed, 5);
	assert_true(bed_used(&bed) < 300 * 512 + bound); /* keys, versions, commits; the cached */
	drain(&bed, 300);
	bed_close(&bed);
}

/* What evicted values leave behind is enough to check them by. */
static void a_large_value_has_its_checksum(void **state)
{
	uint8_t value[VALUE_BYTES];
	static struct bed bed;

	open_bed(&bed, BED_MEMORY_BYTES, 1);
	assert_int_equal(put_values(&bed, 0, 7, 1, VALUE_BYTES), ABAFT_OK);
	bed_tick(&bed, 0);
	assert_null(version_value(newest(&bed, 7)));
	memset(value, 7, sizeof(value));
	assert_int_equal(version_large(newest(&bed, 7))->crc, crc32c(value, sizeof(value)));
	bed_close(&bed);
}

static void without_a_log_that_reads_nothing_leaves(void **state)
{
	static struct bed bed;

	open_bed(&bed, BED_MEMORY_BYTES, 1);
	for (uint32_t w = 0; w < WORKERS; w++)
		bed.node[w]->log.read = NULL;
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(put_values(&bed, 0, i, 1, VALUE_BYTES), ABAFT_OK);
	bed_ticks(&bed, 5);
	assert_int_equal(bed_counters(&bed, 0)->cache_values, 20);
	bed_close(&bed);
}

static void a_small_value_never_leaves(void **state)
{
	static struct bed bed;

	open_bed(&bed, BED_MEMORY_BYTES, 1);
	assert_int_equal(put_values(&bed, 0, 0, 4, VERSION_INLINE_BYTES), ABAFT_OK);
	assert_int_equal(put_values(&bed, 0, 4, 4, VERSION_INLINE_BYTES + 1), ABAFT_OK);
	bed_ticks(&bed, 5);
	assert_int_equal(bed_counters(&bed, 0)->cache_evictions, 4);
	for (uint32_t i = 0; i < 4; i++) {
		assert_non_null(version_value(newest(&bed, i)));
		assert_null(version_value(newest(&bed, 4 + i)));
	}
	bed_close(&bed);
}

/* Before its commit is durable a value cannot be read back. */
static void what_waits_for_the_log_stays(void **state)
{
	static struct bed_answer answer;
	uint8_t value[VALUE_BYTES] = {0};
	static struct bed bed;
	struct packet p;
	uint8_t id[16];

	open_bed(&bed, BED_MEMORY_BYTES, 1);
	bed_id(&bed, 0, id);
	packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	packet_put(&p, "k0", 2, value, sizeof(value));
	packet_commit(&p);
	packet_finish(&p);
	assert_int_equal(bed_send(&bed, 0, &p, &answer), NODE_WAIT);
	bed_ticks(&bed, 5);
	assert_non_null(version_value(newest(&bed, 0)));
	assert_int_equal(bed_counters(&bed, 0)->cache_evictions, 0);
	bed_durable(&bed, 0, 1);
	bed_ticks(&bed, 1);
	assert_null(version_value(newest(&bed, 0)));
	bed_close(&bed);
}

/* H2: a pass of another worker has the block in its hand. */
static void a_block_stays_until_passes_end(void **state)
{
	struct cache_block used[4096];
	const uint8_t *block;
	static struct bed bed;
	uint32_t n = 0;

	open_bed(&bed, 4 << 20, 1);
	assert_int_equal(put_values(&bed, 0, 5, 1, VALUE_BYTES), ABAFT_OK);
	node_pass_begin(bed.node[1], bed.now);
	block = version_value(newest(&bed, 5));
	for (uint32_t i = 0; i < 20; i++) {
		bed_advance_us(&bed, 10000);
		bed_tick(&bed, 0);
		bed_tick(&bed, 2);
	}
	assert_null(version_value(newest(&bed, 5)));
	assert_int_equal(bed.node[0]->reclaim.block_room, RECLAIM_BLOCKS - 1);
	for (uint32_t i = 0; i < 4096; i++) { /* nobody else gets it */
		used[i].block = memory_alloc(&bed.node[i % WORKERS]->memory, VALUE_BYTES);
		if (!used[i].block)
			break;
		assert_ptr_not_equal(used[i].block, block);
		memset((void *)(uintptr_t)used[i].block, 0xff, VALUE_BYTES);
		n++;
	}
	for (uint32_t i = 0; i < VALUE_BYTES; i++)
		assert_int_equal(block[i], 5);
	for (uint32_t i = 0; i < n; i++)
		memory_free(&bed.node[i % WORKERS]->memory, (void *)(uintptr_t)used[i].block,
			    VALUE_BYTES);
	node_pass_end(bed.node[1]);
	bed_ticks(&bed, 4);
	assert_int_equal(bed.node[0]->reclaim.block_room, RECLAIM_BLOCKS);
	bed_close(&bed);
}

/* More blocks wait for passes than there are entries: eviction stops, and goes on afterwards. */
static void waiting_blocks_are_bounded(void **state)
{
	static struct bed bed;

	open_bed(&bed, BED_MEMORY_BYTES, 1);
	for (uint32_t i = 0; i < RECLAIM_BLOCKS + 200; i += 4)
		assert_int_equal(put_values(&bed, 0, i, 4, 200), ABAFT_OK);
	node_pass_begin(bed.node[1], bed.now);
	assert_int_equal(bed_tick(&bed, 0), 0); /* there is more to do before it may sleep */
	for (uint32_t i = 0; i < 20; i++)
		bed_tick(&bed, 0);
	assert_int_equal(bed.node[0]->reclaim.block_room, 0);
	assert_true(bed_tick(&bed, 0) > 0);
	assert_int_equal(bed_counters(&bed, 0)->cache_values, 200);
	node_pass_end(bed.node[1]);
	bed_ticks(&bed, 10);
	assert_int_equal(bed_counters(&bed, 0)->cache_values, 0);
	drain(&bed, RECLAIM_BLOCKS + 200);
	bed_close(&bed);
}

/*
 * Without a bound of its own the cache gives way to whoever needs memory: several times what there
 * is is written, and not refused. When values of other sizes come all at once, some are, until
 * spans are free for these; then it goes on.
 */
static void values_give_way_when_memory_is_short(void **state)
{
	uint32_t refused = 0;
	static struct bed bed;
	uint64_t bytes;

	open_bed(&bed, 16 << 20, 0);
	bytes = (uint64_t)bed.store->memory.spans_total * MEMORY_SPAN_BYTES;
	for (uint32_t i = 0; i < 60000; i++) {
		uint32_t value_bytes = i < 30000 ? 1300 : 700 + i % 600;

		/* Nearly all is written by worker 0; the others press its shard. */
		refused += put_values(&bed, i % 16 ? 0 : i % WORKERS, i % 16000, 1, value_bytes) !=
			   ABAFT_OK;
		if (i < 30000)
			assert_int_equal(refused, 0);
		for (uint32_t w = 0; w < WORKERS; w++)
			bed_tick(&bed, w);
	}
	assert_true(refused < 100);
	assert_in_range(cached_bytes(&bed), bytes / 4, bytes);
	drain(&bed, 16000);
	bed_close(&bed);
}

/* A worker that sleeps does not evict: others do it for what they need. */
static void an_idle_workers_values_give_way(void **state)
{
	static struct bed bed;
	uint64_t before;

	open_bed(&bed, 16 << 20, 0);
	for (uint32_t i = 0; i < 6500; i++)
		assert_int_equal(put_values(&bed, 0, i, 1, 1300), ABAFT_OK);
	before = bed.store->cache.shard[0].bytes;
	for (uint32_t i = 0; i < 6500; i++) {
		assert_int_equal(put_values(&bed, 1, 10000 + i, 1, 1300), ABAFT_OK);
		bed_tick(&bed, 1);
	}
	assert_int_equal(bed_counters(&bed, 0)->cache_evictions, 0);
	assert_true(bed.store->cache.shard[0].bytes < before);
	bed_ticks(&bed, 1);
	assert_true(bed_counters(&bed, 1)->cache_evictions > 0);
	bed_close(&bed);
}

/* T7 of restore.c: a node starts again with more than fits its memory. */
static void a_restart_needs_no_more_memory(void **state)
{
	const uint32_t keys = 14000;
	static struct bed bed;
	uint64_t live;

	open_bed(&bed, 16 << 20, 0);
	bed.config.outcomes_max = 1 << 10;
	for (uint32_t i = 0; i < 2 * keys; i++) {
		assert_int_equal(put_values(&bed, i % WORKERS, i % keys, 1, 1300), ABAFT_OK);
		for (uint32_t w = 0; w < WORKERS; w++)
			bed_tick(&bed, w);
	}
	for (uint32_t w = 0; w < WORKERS; w++)
		bed_ticks(&bed, 20);
	live = space_total(&bed.store->space);
	assert_int_equal(bed_restart(&bed), 0);
	assert_int_equal(space_total(&bed.store->space), live);
	for (uint32_t w = 0; w < WORKERS; w++)
		bed.node[w]->log.read = read_never;
	bed_ticks(&bed, 1);
	assert_in_range(cached_bytes(&bed), 1 << 20, 14 << 20);
	for (uint32_t i = 0; i < keys; i++) {
		struct version *v = newest(&bed, i);
		const uint8_t *value = version_value(v);

		assert_int_equal(v->bytes, 1300);
		assert_int_not_equal(atomic_load(&v->place), PLACE_NONE);
		if (value)
			assert_int_equal(version_large(v)->crc, crc32c(value, v->bytes));
	}
	drain(&bed, keys);
	bed_close(&bed);
}

/* T7: large values came first and took all, small ones must be in memory. */
static void recovery_drops_values_for_what_must_be_there(void **state)
{
	static struct bed bed;
	uint64_t live;

	open_bed(&bed, 16 << 20, 0);
	for (uint32_t i = 0; i < 30000; i++) {
		assert_int_equal(put_values(&bed, 0, i, 1, i < 8000 ? 1300 : 100), ABAFT_OK);
		bed_tick(&bed, 0);
	}
	live = space_total(&bed.store->space);
	assert_int_equal(bed_restart(&bed), 0);
	assert_int_equal(space_total(&bed.store->space), live);
	assert_in_range(bed.store->cache.shard[0].values, 1, 6000);
	for (uint32_t i = 8000; i < 30000; i++)
		assert_non_null(version_value(newest(&bed, i)));
	bed_close(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_oldest_go_first),
		cmocka_unit_test(a_hit_gives_a_second_turn),
		cmocka_unit_test(a_call_is_bounded),
		cmocka_unit_test(press_takes_what_it_asks_for),
		cmocka_unit_test(a_version_is_taken_off_from_anywhere),
		cmocka_unit_test(values_stay_within_the_bound),
		cmocka_unit_test(a_large_value_has_its_checksum),
		cmocka_unit_test(without_a_log_that_reads_nothing_leaves),
		cmocka_unit_test(a_small_value_never_leaves),
		cmocka_unit_test(what_waits_for_the_log_stays),
		cmocka_unit_test(a_block_stays_until_passes_end),
		cmocka_unit_test(waiting_blocks_are_bounded),
		cmocka_unit_test(values_give_way_when_memory_is_short),
		cmocka_unit_test(an_idle_workers_values_give_way),
		cmocka_unit_test(a_restart_needs_no_more_memory),
		cmocka_unit_test(recovery_drops_values_for_what_must_be_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
