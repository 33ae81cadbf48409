/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keep_test.c - the keeper's walks, copies and moves on a thread of their own, beside workers that
 * commit and delete.
 *
 * Half of the keys are never deleted: each walk has to find each of them, and none older than what
 * was visible when it began. Values are made of one byte, so one that was used again shows. In the
 * end all memory is free, and no segment has live bytes.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/core/keep.h"
#include "dataplane/core/lock.h"
#include "dataplane/core/snapshot.h"
#include "tests/lib/node_bed.h"

#define WORKERS	  2
#define KEYS	  60 /* the first half stays */
#define VALUE_MAX 400
#define PASS_US	  400

#ifdef LOCK_TSAN
#define PASSES 5000
#else
#define PASSES 50000
#endif

struct worker {
	struct bed *bed;
	_Atomic uint64_t *clock_us;
	uint32_t number;
	uint64_t random, ids, told;
	struct now now;
	uint8_t answer[ABAFT_PACKET_BYTES_MAX];
};

static struct bed bed;
static _Atomic uint64_t visible[KEYS / 2]; /* time of the newest visible version */
static _Atomic uint64_t readable[WORKERS]; /* records that the keeper may look at */
static _Atomic uint32_t running;
static char failure[200]; /* the keeper's */

static uint32_t pick(uint64_t *random, uint32_t below)
{
	*random = *random * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*random >> 33) % below;
}

static void wrong(const char *what, uint64_t a, uint64_t b)
{
	if (!failure[0])
		snprintf(failure, sizeof(failure), "%s (%llu, %llu)", what, (unsigned long long)a,
			 (unsigned long long)b);
}

static void write_step(struct worker *w)
{
	uint64_t owner = (((uint64_t)w->number << 32) + (1ull << 31)) / WORKERS;
	uint32_t key = pick(&w->random, KEYS), out;
	uint8_t id[16], value[VALUE_MAX];
	struct packet p;
	char name[8];

	snprintf(name, sizeof(name), "k%02u", key);
	packet_id(id, w->now.wall_us / 1000, (uint64_t)w->number << 36 | ++w->ids, (uint32_t)owner);
	packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	memset(value, (int)pick(&w->random, 256), sizeof(value));
	if (key >= KEYS / 2 && pick(&w->random, 2))
		packet_delete(&p, name, 3);
	else
		packet_put(&p, name, 3, value, 1 + pick(&w->random, VALUE_MAX));
	packet_commit(&p);
	packet_finish(&p);
	node_execute(w->bed->node[w->number], p.bytes, p.used, w->answer, &out, NULL);
}

static void done(void *arg, void *token, const uint8_t *result, uint32_t at, uint32_t bytes)
{
	abort(); /* nobody waits */
}

/* What node_durable() made visible. */
static void tell(struct worker *w, uint64_t durable)
{
	for (; w->told < durable; w->told++) {
		const struct log_fake_record *r = &w->bed->log[w->number].records[w->told];
		struct record_write write;
		struct record record;
		uint64_t old;
		uint32_t key;

		if (!record_open(&record, r->type, r->data, r->bytes) ||
		    !record_next(&record, &write))
			abort();
		key = (uint32_t)(write.key[1] - '0') * 10 + write.key[2] - '0';
		if (key >= KEYS / 2)
			continue;
		old = atomic_load(&visible[key]);
		while (old < record.number.time &&
		       !atomic_compare_exchange_weak(&visible[key], &old, record.number.time))
			;
	}
	atomic_store(&readable[w->number], durable);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct node *node = w->bed->node[w->number];

	for (uint32_t i = 0; i < PASSES; i++) {
		uint64_t mono = atomic_fetch_add(w->clock_us, PASS_US) + PASS_US, durable;

		w->now = (struct now){.wall_us = BED_WALL_US + mono, .mono_us = mono};
		node_pass_begin(node, w->now);
		for (uint32_t k = pick(&w->random, 4); k > 0; k--)
			write_step(w);
		if (pick(&w->random, 3) == 0) {
			durable = log_fake_sync(&w->bed->log[w->number], UINT64_MAX);
			node_durable(node, durable, done, w);
			tell(w, durable);
		}
		node_tick(node);
		node_pass_end(node);
		if (pick(&w->random, 50) == 0)
			sched_yield();
	}
	atomic_fetch_sub(&running, 1);
	return NULL;
}

static void entries_check(const uint8_t *entries, uint32_t bytes, const uint64_t *floor,
			  uint32_t *seen)
{
	struct cursor cursor = cursor_of(entries, bytes);
	struct snapshot_key k;

	while (cursor.at < cursor.end) {
		uint32_t key;

		if (!snapshot_key_next(&cursor, &k)) {
			wrong("no entry", bytes, (uint64_t)(cursor.end - cursor.at));
			return;
		}
		key = (uint32_t)(k.key[1] - '0') * 10 + k.key[2] - '0';
		for (uint32_t i = 1; k.value && i < k.bytes; i++)
			if (k.value[i] != k.value[0])
				wrong("a value that nobody wrote", key, i);
		if (key >= KEYS / 2)
			continue;
		seen[key]++;
		if (k.kind != VERSION_VALUE || k.number.time < floor[key])
			wrong("older than what was visible", k.number.time, floor[key]);
	}
}

static void walk(struct keep *keep, uint64_t *random)
{
	static uint8_t entries[KEYS * 1024];
	uint64_t floor[KEYS / 2], cursor = 0;
	uint32_t seen[KEYS / 2] = {0};
	bool ended = false;

	keep_walk_prepare(keep);
	for (uint32_t k = 0; k < KEYS / 2; k++)
		floor[k] = atomic_load(&visible[k]);
	keep_walk_begin(keep);
	while (!ended) {
		uint32_t bytes;

		keep_begin(keep);
		bytes = keep_walk(keep, &cursor, 1 + pick(random, 20), entries, sizeof(entries),
				  &ended);
		keep_end(keep);
		entries_check(entries, bytes, floor, seen);
		if (pick(random, 10) == 0)
			sched_yield();
	}
	keep_walk_end(keep);
	for (uint32_t k = 0; k < KEYS / 2; k++)
		if (floor[k] > 0 && seen[k] != 1)
			wrong("a key that stays was not found once", k, seen[k]);
}

/* One of the newest writes: copied, and moved from its place to one in the kept log. */
static void move(struct keep *keep, uint64_t *random, uint64_t *moved)
{
	uint32_t log = pick(random, WORKERS);
	uint64_t count = atomic_load(&readable[log]);
	const struct log_fake_record *r;
	struct record_write write;
	struct record record;
	uint8_t to[VALUE_MAX];
	uint64_t place;

	if (count == 0)
		return;
	r = &bed.log[log].records[count - 1 - pick(random, count < 40 ? (uint32_t)count : 40)];
	if (!record_open(&record, r->type, r->data, r->bytes) || !record_next(&record, &write))
		abort();
	place = r->place + write.offset;
	keep_begin(keep);
	if (keep_copy(keep, place, record.number, &write, to)) {
		if (write.bytes > 0 && memcmp(to, write.value, write.bytes) != 0)
			wrong("another value", place, write.bytes);
		*moved += keep_move(
			keep, record.number, &write, place,
			place_make(ABAFT_LOG_KEPT, place_segment(place), place_offset(place)));
	}
	keep_end(keep);
}

static void the_keeper_works_beside_them(void **state)
{
	static struct worker workers[WORKERS];
	_Atomic uint64_t clock_us = 1000000;
	uint64_t random = 99, walks = 0, moved = 0;
	pthread_t thread[WORKERS];
	struct keep *keep;
	char name[8];

	bed_defaults(&bed, WORKERS);
	bed.store_config.keys_max = 256;
	bed.config.outcomes_max = 1 << 14;
	bed.log_records = 1 << 18;
	bed.log_bytes = 100 << 20;
	bed_open(&bed);
	assert_int_equal(keep_create(&keep, bed.store), 0);
	atomic_store(&running, WORKERS);
	for (uint32_t n = 0; n < WORKERS; n++) {
		workers[n] = (struct worker){
			.bed = &bed, .clock_us = &clock_us, .number = n, .random = n + 1};
		assert_int_equal(pthread_create(&thread[n], NULL, work, &workers[n]), 0);
	}
	for (; atomic_load(&running) > 0 && !failure[0]; walks++) {
		walk(keep, &random);
		for (uint32_t i = 0; i < 20; i++)
			move(keep, &random, &moved);
	}
	for (uint32_t n = 0; n < WORKERS; n++)
		pthread_join(thread[n], NULL);
	assert_string_equal(failure, "");
	printf("# %llu walks, %llu writes moved\n", (unsigned long long)walks,
	       (unsigned long long)moved);
	assert_true(walks > 0 && moved > 0);
	keep_destroy(keep);
	bed.now.mono_us = atomic_load(&clock_us) + 1000;
	bed.now.wall_us = BED_WALL_US + bed.now.mono_us;
	for (uint32_t w = 0; w < WORKERS; w++)
		bed_durable(&bed, w, UINT64_MAX);
	for (uint32_t i = 0; i < KEYS; i++) {
		snprintf(name, sizeof(name), "k%02u", i);
		assert_int_equal(bed_put(&bed, i % WORKERS, name, NULL), ABAFT_OK);
	}
	bed_ticks(&bed, 100);
	assert_int_equal(atomic_load(&bed.store->index.keys), 0);
	assert_int_equal(bed_used(&bed), 0);
	assert_int_equal(space_total(&bed.store->space), 0);
	bed_close(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_keeper_works_beside_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
