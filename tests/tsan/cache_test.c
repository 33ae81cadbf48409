/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache_test.c - workers on threads of their own bring large values in, evict them, read them back
 * and free them, while their writes are moved from place to place.
 *
 * Few keys, and a cache for a part of them. A reader keeps what it found until its pass ends, and
 * checks it only then: by its checksum, so a block that was used again too soon shows. In the end
 * all memory is free, and no segment has live bytes.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/core/crc.h"
#include "dataplane/core/lock.h"
#include "tests/lib/node_bed.h"

#define WORKERS	    3
#define KEYS	    60
#define VALUE_MAX   600
#define CACHE_BYTES (WORKERS * 8 * 768)
#define PASS_US	    400
#define HELD_MAX    16

#ifdef LOCK_TSAN
#define PASSES 5000
#else
#define PASSES 60000
#endif

/* What a reader found. */
struct held {
	const uint8_t *value;
	uint32_t bytes, crc;
};

struct worker {
	struct bed *bed;
	_Atomic uint64_t *clock_us;
	uint32_t number, helds;
	uint64_t random, ids;
	uint64_t hits, fetched, lost, moved, refused;
	struct now now;
	struct held held[HELD_MAX];
	uint8_t answer[ABAFT_PACKET_BYTES_MAX];
	char failure[200];
};

static uint32_t pick(struct worker *w, uint32_t below)
{
	w->random = w->random * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(w->random >> 33) % below;
}

static void wrong(struct worker *w, const char *what, uint64_t a, uint64_t b)
{
	if (!w->failure[0])
		snprintf(w->failure, sizeof(w->failure), "worker %u: %s (%llu, %llu)", w->number,
			 what, (unsigned long long)a, (unsigned long long)b);
}

static uint16_t key_name(char key[8], uint32_t i)
{
	return (uint16_t)snprintf(key, 8, "k%u", i);
}

/* One packet writes or deletes up to two keys and commits. */
static void write_step(struct worker *w)
{
	uint64_t owner = (((uint64_t)w->number << 32) + (1ull << 31)) / WORKERS;
	uint8_t id[16], value[VALUE_MAX];
	uint32_t n = 1 + pick(w, 2), out;
	enum node_verdict verdict;
	struct packet p;
	char key[8];

	packet_id(id, w->now.wall_us / 1000, (uint64_t)w->number << 36 | ++w->ids, (uint32_t)owner);
	packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	for (uint32_t i = 0; i < n; i++) {
		uint16_t bytes = key_name(key, pick(w, KEYS));

		memset(value, (int)pick(w, 256), sizeof(value));
		if (pick(w, 8) == 0)
			packet_delete(&p, key, bytes);
		else
			packet_put(&p, key, bytes, value, 100 + pick(w, VALUE_MAX - 100));
	}
	packet_commit(&p);
	packet_finish(&p);
	verdict = node_execute(w->bed->node[w->number], p.bytes, p.used, w->answer, &out, NULL);
	w->refused += verdict != NODE_WAIT;
}

/* Moved places are of the kept log and say where the bytes still are. */
#define MOVED_SHIFT 20

static const uint8_t *at_place(const struct bed *bed, uint64_t place)
{
	uint32_t log = place_log(place), segment = place_segment(place);

	if (log == ABAFT_LOG_KEPT) {
		log = segment >> MOVED_SHIFT & 3;
		segment &= (1u << MOVED_SHIFT) - 1;
	}
	return bed->log[log].space + (uint64_t)segment * LOG_FAKE_SEGMENT_BYTES +
	       place_offset(place) - LOG_FAKE_FIRST_BYTES;
}

/* A cold value comes back. Nobody can free the version in this pass (H3). */
static const uint8_t *fetch(struct worker *w, struct version *v)
{
	struct node *node = w->bed->node[w->number];
	const uint8_t *write =
		at_place(w->bed, atomic_load_explicit(&v->place, memory_order_acquire));
	uint8_t *block = memory_alloc(&node->memory, v->bytes);
	const uint8_t *there = NULL;

	if (!block) {
		wrong(w, "no memory", v->bytes, 0);
		return NULL;
	}
	memcpy(block, write + RECORD_WRITE_BYTES + v->key->bytes, v->bytes);
	if (atomic_compare_exchange_strong(&v->value, &there, block)) {
		cache_add(&node->store->cache, w->number, v);
		w->fetched++;
		return block;
	}
	memory_free(&node->memory, block, v->bytes);
	w->lost++;
	return there;
}

/* The key's newest visible version, or NULL. */
static struct version *visible(struct worker *w, uint32_t i)
{
	struct index *index = &w->bed->store->index;
	const struct key *key;
	struct version *v;
	char text[8];
	uint32_t bytes = key_name(text, i);

	key = index_find(index, index_id(index, (const uint8_t *)text, bytes),
			 (const uint8_t *)text, bytes);
	v = key ? atomic_load_explicit(&key->newest, memory_order_acquire) : NULL;
	while (v && !version_published(v))
		v = atomic_load_explicit(&v->older, memory_order_acquire);
	return v;
}

static void read_step(struct worker *w)
{
	struct version *v = visible(w, pick(w, KEYS));
	const uint8_t *value;

	if (!v || !version_is_large(v) || w->helds == HELD_MAX)
		return;
	value = version_value(v);
	if (value) {
		cache_hit(v);
		w->hits++;
	} else {
		value = fetch(w, v);
	}
	if (value)
		w->held[w->helds++] = (struct held){
			.value = value, .bytes = v->bytes, .crc = version_large(v)->crc};
}

/* As the cleaner does: the write stands somewhere else now. */
static void move_step(struct worker *w)
{
	struct version *v = visible(w, pick(w, KEYS));
	struct index *index = &w->bed->store->index;
	uint64_t from = v ? atomic_load_explicit(&v->place, memory_order_acquire) : PLACE_NONE;
	uint32_t log = place_log(from);

	if (!v || log == ABAFT_LOG_KEPT)
		return;
	w->moved += index_move(index, v->key->id, v->key->data, v->key->bytes, v->number, from,
			       place_make(ABAFT_LOG_KEPT, place_segment(from) | log << MOVED_SHIFT,
					  place_offset(from)));
}

static void held_check(struct worker *w)
{
	uint8_t copy[VALUE_MAX];

	while (w->helds > 0) {
		const struct held *h = &w->held[--w->helds];

		memcpy(copy, h->value, h->bytes); /* where TSan sees it */
		if (crc32c(copy, h->bytes) != h->crc)
			wrong(w, "a value changed while it was read", h->bytes, copy[0]);
	}
}

static void done(void *arg, void *token, const uint8_t *result, uint32_t at, uint32_t bytes)
{
	wrong(arg, "nobody waits", at, bytes);
}

static void pass(struct worker *w)
{
	struct node *node = w->bed->node[w->number];
	uint64_t mono = atomic_fetch_add(w->clock_us, PASS_US) + PASS_US;

	w->now = (struct now){.wall_us = BED_WALL_US + mono, .mono_us = mono};
	node_pass_begin(node, w->now);
	for (uint32_t k = 1 + pick(w, 6); k > 0; k--) {
		switch (pick(w, 5)) {
		case 0:
			write_step(w);
			break;
		case 1:
			move_step(w);
			break;
		default:
			read_step(w);
			break;
		}
		if (pick(w, 50) == 0)
			sched_yield();
	}
	if (pick(w, 3) == 0)
		node_durable(node, log_fake_sync(&w->bed->log[w->number], UINT64_MAX), done, w);
	node_tick(node);
	held_check(w);
	node_pass_end(node);
}

static void *run(void *arg)
{
	struct worker *w = arg;

	for (uint32_t i = 0; i < PASSES && !w->failure[0]; i++)
		pass(w);
	return NULL;
}

static int read_never(void *log, const struct node_read *read)
{
	return -EAGAIN;
}

/* Every key is deleted: nothing is left. */
static void drain(struct bed *bed)
{
	char key[8];

	for (uint32_t w = 0; w < WORKERS; w++)
		bed_durable(bed, w, UINT64_MAX);
	for (uint32_t i = 0; i < KEYS; i++) {
		key_name(key, i);
		assert_int_equal(bed_put(bed, i % WORKERS, key, NULL), ABAFT_OK);
	}
	bed_ticks(bed, 100);
	assert_int_equal(atomic_load(&bed->store->index.keys), 0);
	assert_int_equal(bed_used(bed), 0);
	assert_int_equal(space_total(&bed->store->space), 0);
	for (uint32_t w = 0; w < WORKERS; w++) {
		assert_int_equal(bed_counters(bed, w)->cache_values, 0);
		assert_int_equal(bed_counters(bed, w)->cache_bytes, 0);
	}
}

static void values_come_and_go(void **state)
{
	static struct worker workers[WORKERS];
	static struct bed bed;
	_Atomic uint64_t clock_us = 1000000;
	uint64_t hits = 0, fetched = 0, moved = 0, evicted = 0;
	pthread_t thread[WORKERS];

	bed_defaults(&bed, WORKERS);
	bed.store_config.cache_bytes = CACHE_BYTES;
	bed.config.outcomes_max = 1 << 14;
	bed.log_records = 1 << 18;
	bed.log_bytes = 100 << 20;
	bed_open(&bed);
	for (uint32_t n = 0; n < WORKERS; n++) {
		bed.node[n]->log.read = read_never;
		workers[n] = (struct worker){
			.bed = &bed, .clock_us = &clock_us, .number = n, .random = n + 1};
		assert_int_equal(pthread_create(&thread[n], NULL, run, &workers[n]), 0);
	}
	for (uint32_t n = 0; n < WORKERS; n++)
		pthread_join(thread[n], NULL);
	for (uint32_t n = 0; n < WORKERS; n++) {
		assert_string_equal(workers[n].failure, "");
		assert_int_equal(workers[n].refused, 0);
		hits += workers[n].hits;
		fetched += workers[n].fetched;
		moved += workers[n].moved;
		evicted += bed_counters(&bed, n)->cache_evictions;
	}
	printf("# %llu hits, %llu values fetched, %llu evicted, %llu moved\n",
	       (unsigned long long)hits, (unsigned long long)fetched, (unsigned long long)evicted,
	       (unsigned long long)moved);
	assert_true(hits > PASSES && fetched > PASSES / 10 && moved > PASSES / 10);
	assert_true(evicted > fetched / 2);
	bed.now.mono_us = atomic_load(&clock_us) + 1000;
	bed.now.wall_us = BED_WALL_US + bed.now.mono_us;
	drain(&bed);
	bed_close(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
