/* SPDX-License-Identifier: Apache-2.0 */
/* cases.c - see cases.h. */
#include "tests/engine/cases.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/engine/random.h"

#define SMALL_BYTES  100
/* More than two pages of any storage's. */
#define LEAVES	     2600
#define RACERS	     8
#define RACES	     20
#define THREADS	     4
#define THREAD_NAMES 40

static struct engine_item items[ENGINE_ITEMS_MAX];
static char leaves[ENGINE_ITEMS_MAX][ENGINE_LEAF_BYTES];

/* Items 0 to count - 1 of a batch: leaf "i-<n>", of `bytes`, in the buffers. */
static void batch_set(const char *dir, uint32_t count, uint32_t bytes)
{
	char leaf[ENGINE_LEAF_BYTES];

	memset(items, 0, count * sizeof(items[0]));
	bed_fill(buffer_ours, count * bytes, count);
	memset(buffer_theirs, 0, count * bytes);
	for (uint32_t i = 0; i < count; i++) {
		snprintf(leaf, sizeof(leaf), "i-%" PRIu32, i);
		bed_name(&items[i].name, dir, leaf);
		items[i].data = buffer_ours + i * bytes;
		items[i].to = buffer_theirs + i * bytes;
		items[i].bytes = bytes;
		items[i].result = 1;
	}
}

static void batch_all(uint32_t count, int result)
{
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(items[i].result, result);
}

/* Written, read, removed, gone: all in one operation each. */
static void batch(const char *dir, uint32_t count, uint32_t bytes)
{
	batch_set(dir, count, bytes);
	assert_int_equal(bed_items(bed.channel, ENGINE_PUT, items, count), 0);
	batch_all(count, 0);
	assert_int_equal(bed_items(bed.channel, ENGINE_GET, items, count), 0);
	batch_all(count, 0);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(items[i].got, bytes);
	assert_int_equal(memcmp(buffer_theirs, buffer_ours, count * bytes), 0);
	assert_int_equal(bed_items(bed.channel, ENGINE_DELETE, items, count), 0);
	batch_all(count, 0);
	assert_int_equal(bed_items(bed.channel, ENGINE_GET, items, count), -ENOENT);
	batch_all(count, -ENOENT);
}

void batches_of_all_sizes(void **state)
{
	const char *dir = bed_dir(&bed, "batch");
	uint32_t most = bed.caps->batch_max;

	batch(dir, 2, SMALL_BYTES);
	if (most > 1 && most < ENGINE_ITEMS_MAX) {
		batch(dir, most, SMALL_BYTES);
		batch(dir, most + 1, SMALL_BYTES);
	}
	batch(dir, ENGINE_ITEMS_MAX, SMALL_BYTES);
}

void batches_of_large_objects(void **state)
{
	const char *dir = bed_dir(&bed, "heavy");
	uint32_t count = 40, bytes = bed.caps->value_max / count;

	batch(dir, count, bytes < 200000 ? bytes : 200000);
}

/* What no character of names may do is what it means to a shell, a path, an expression. */
void names_at_the_limit(void **state)
{
	char dir[ENGINE_DIR_BYTES] = "", leaf[ENGINE_LEAF_BYTES] = "";
	char what[ENGINE_DIR_BYTES] = "";
	struct engine_list list = {.leaf = leaves, .max = 10};
	uint32_t got;

	memset(what, 'd', ENGINE_DIR_BYTES - 1 - strlen(bed.run) - 1);
	snprintf(dir, sizeof(dir), "%s", bed_dir(&bed, what));
	assert_int_equal(strlen(dir), ENGINE_DIR_BYTES - 1);
	memset(leaf, 'Z', ENGINE_LEAF_BYTES - 1);
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT_NEW, dir, leaf, "long", 4), 0);
	leaf[ENGINE_LEAF_BYTES - 2] = 'z';
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT, dir, leaf, "other", 5), 0);
	assert_int_equal(bed_get(bed.channel, dir, leaf, 0, buffer_theirs, 10, &got), 0);
	assert_int_equal(got, 5);
	memcpy(list.dir, dir, sizeof(dir));
	assert_int_equal(bed_list(bed.channel, &list), 0);
	assert_int_equal(list.count, 2);
	assert_string_equal(leaves[1], leaf);
	memcpy(list.after, leaves[0], sizeof(leaves[0]));
	assert_int_equal(bed_list(bed.channel, &list), 0);
	assert_int_equal(list.count, 1);
	assert_int_equal(bed_delete(bed.channel, dir, leaf), 0);
	leaf[ENGINE_LEAF_BYTES - 2] = 'Z';
	assert_int_equal(bed_get(bed.channel, dir, leaf, 0, buffer_theirs, 10, &got), 0);
	assert_memory_equal(buffer_theirs, "long", 4);
}

static void listed(const char *dir, const char *after, uint32_t max, const char *const *want,
		   uint32_t count, bool more)
{
	struct engine_list list = {.leaf = leaves, .max = max};

	snprintf(list.dir, sizeof(list.dir), "%s", dir);
	snprintf(list.after, sizeof(list.after), "%s", after);
	assert_int_equal(bed_list(bed.channel, &list), 0);
	for (uint32_t i = 0; i < count && i < list.count; i++)
		assert_string_equal(leaves[i], want[i]);
	assert_int_equal(list.count, count);
	assert_int_equal(list.more, more);
}

/* Every character of names, and names that begin others; sorted as bytes are. */
void lists_are_in_order(void **state)
{
	static const char *const sorted[] = {"-",  "--", "-a", "...", "..a", ".a", "0",
					     "00", "9",	 "A",  "A-",  "A.",  "A0", "AA",
					     "A_", "Aa", "Z",  "_",   "__",  "a",  "z"};
	const uint32_t count = sizeof(sorted) / sizeof(sorted[0]);
	const char *dir = bed_dir(&bed, "order");

	listed(dir, "", 10, NULL, 0, false);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t k = i * 8 % count; /* mixed: 8 and 21 have no common divisor */

		assert_int_equal(bed_put(bed.channel, ENGINE_PUT, dir, sorted[k], "x", 1), 0);
	}
	listed(dir, "", 1000, sorted, count, false);
	listed(dir, "", count, sorted, count, false);
	listed(dir, "", count - 1, sorted, count - 1, true);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t left = count - 1 - i;

		listed(dir, sorted[i], 1, sorted + i + 1, left > 0 ? 1 : 0, left > 1);
		listed(dir, sorted[i], 1000, sorted + i + 1, left, false);
	}
	/* Behind what is not there. */
	listed(dir, "A1", 1000, sorted + 13, count - 13, false);
	listed(dir, "zz", 1000, NULL, 0, false);
}

static void leaves_put(const char *dir, uint32_t from, uint32_t to)
{
	char leaf[ENGINE_LEAF_BYTES];

	for (uint32_t at = from; at < to;) {
		uint32_t count = to - at < ENGINE_ITEMS_MAX ? to - at : ENGINE_ITEMS_MAX;

		memset(items, 0, sizeof(items));
		for (uint32_t i = 0; i < count; i++, at++) {
			snprintf(leaf, sizeof(leaf), "%08" PRIx32, at);
			bed_name(&items[i].name, dir, leaf);
			items[i].data = (const uint8_t *)"x";
			items[i].bytes = 1;
		}
		assert_int_equal(bed_items(bed.channel, ENGINE_PUT, items, count), 0);
	}
}

/* Reads all pages; how many there were. */
static uint32_t pages_read(const char *dir, uint32_t max, uint32_t from, uint32_t to)
{
	struct engine_list list = {.leaf = leaves, .max = max};
	char leaf[ENGINE_LEAF_BYTES];
	uint32_t at = from, pages = 0;

	snprintf(list.dir, sizeof(list.dir), "%s", dir);
	if (from > 0)
		snprintf(list.after, sizeof(list.after), "%08" PRIx32, from - 1);
	do {
		assert_int_equal(bed_list(bed.channel, &list), 0);
		assert_true(list.count > 0 && list.count <= max);
		for (uint32_t i = 0; i < list.count; i++, at++) {
			snprintf(leaf, sizeof(leaf), "%08" PRIx32, at);
			assert_string_equal(leaves[i], leaf);
		}
		memcpy(list.after, leaves[list.count - 1], ENGINE_LEAF_BYTES);
		pages++;
	} while (list.more);
	assert_int_equal(at, to);
	return pages;
}

void lists_come_in_pages(void **state)
{
	static char many[LEAVES][ENGINE_LEAF_BYTES];
	const char *dir = bed_dir(&bed, "pages");
	struct engine_list list = {.leaf = many, .max = LEAVES};

	leaves_put(dir, 0, LEAVES);
	(void)pages_read(dir, ENGINE_ITEMS_MAX, 0, LEAVES);
	(void)pages_read(dir, 1000, 0, LEAVES);
	(void)pages_read(dir, 333, LEAVES / 2, LEAVES);
	/* All in one, as one may have pages inside. */
	snprintf(list.dir, sizeof(list.dir), "%s", dir);
	assert_int_equal(bed_list(bed.channel, &list), 0);
	assert_int_equal(list.count, LEAVES);
	assert_false(list.more);
	for (uint32_t i = 1; i < LEAVES; i++)
		assert_true(strcmp(many[i - 1], many[i]) < 0);
}

void lists_show_what_is_there(void **state)
{
	static const char *const all[] = {"a", "b", "c"}, *const two[] = {"a", "c"};
	const char *dir = bed_dir(&bed, "shown");

	for (int i = 0; i < 3; i++)
		assert_int_equal(bed_put(bed.channel, i == 1 ? ENGINE_PUT_NEW : ENGINE_PUT, dir,
					 all[i], "x", 1),
				 0);
	listed(dir, "", 10, all, 3, false);
	assert_int_equal(bed_delete(bed.channel, dir, "b"), 0);
	listed(dir, "", 10, two, 2, false);
	assert_int_equal(bed_put(bed.channel, ENGINE_PUT, dir, "b", "x", 1), 0);
	listed(dir, "", 10, all, 3, false);
	for (int i = 0; i < 3; i++)
		assert_int_equal(bed_delete(bed.channel, dir, all[i]), 0);
	listed(dir, "", 10, NULL, 0, false);
}

void lists_keep_to_their_directory(void **state)
{
	static const char *const one[] = {"here"};
	const char *dirs[] = {bed_dir(&bed, "d"),  bed_dir(&bed, "d-"), bed_dir(&bed, "d."),
			      bed_dir(&bed, "d0"), bed_dir(&bed, "D"),	bed_dir(&bed, "dd")};
	uint32_t got;

	assert_int_equal(bed_put(bed.channel, ENGINE_PUT, dirs[0], "here", "0", 1), 0);
	for (uint32_t i = 1; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		listed(dirs[i], "", 10, NULL, 0, false);
		assert_int_equal(bed_get(bed.channel, dirs[i], "here", 0, buffer_theirs, 1, &got),
				 -ENOENT);
		assert_int_equal(bed_put(bed.channel, ENGINE_PUT, dirs[i], "there", "1", 1), 0);
	}
	listed(dirs[0], "", 10, one, 1, false);
}

void many_in_flight(void **state)
{
	static struct engine_op ops[ENGINE_CHANNEL_OPS + 1];
	struct engine_op *ended[64];
	const char *dir = bed_dir(&bed, "flight");
	const enum engine_verb verbs[] = {ENGINE_PUT_NEW, ENGINE_GET, ENGINE_DELETE};

	for (uint32_t v = 0; v < 3; v++) {
		uint32_t left = ENGINE_CHANNEL_OPS, wrong = 0;

		batch_set(dir, ENGINE_CHANNEL_OPS, SMALL_BYTES);
		for (uint32_t i = 0; i < ENGINE_CHANNEL_OPS; i++) {
			ops[i] = (struct engine_op){.verb = verbs[v],
						    .items = &items[i],
						    .count = 1,
						    .until_us = bed_until(),
						    .tag = i};
			assert_int_equal(engine_begin(bed.channel, &ops[i]), 0);
		}
		assert_int_equal(engine_begin(bed.channel, &ops[ENGINE_CHANNEL_OPS]), -EAGAIN);
		while (left > 0) {
			uint32_t n = engine_poll(bed.channel, ended, 64);

			for (uint32_t i = 0; i < n; i++)
				wrong += ended[i] != &ops[ended[i]->tag] || ended[i]->result != 0;
			left -= n;
			if (n == 0)
				assert_int_equal(engine_wait(bed.channel, 60000), 0);
		}
		assert_int_equal(wrong, 0); /* all have ended: nothing is in the next case's way */
		if (verbs[v] == ENGINE_GET)
			assert_memory_equal(buffer_theirs, buffer_ours,
					    ENGINE_CHANNEL_OPS * SMALL_BYTES);
	}
}

struct racer {
	pthread_t thread;
	struct engine_channel *channel;
	uint32_t number;
	const char *dir;
	pthread_barrier_t *barrier;
	int results[RACES];
	uint32_t wrong;
};

static void *race(void *arg)
{
	struct racer *racer = arg;
	char leaf[ENGINE_LEAF_BYTES], data[32];

	for (uint32_t i = 0; i < RACES; i++) {
		snprintf(leaf, sizeof(leaf), "race-%" PRIu32, i);
		snprintf(data, sizeof(data), "racer %" PRIu32, racer->number);
		pthread_barrier_wait(racer->barrier);
		racer->results[i] = bed_put(racer->channel, ENGINE_PUT_NEW, racer->dir, leaf, data,
					    (uint32_t)strlen(data));
	}
	return NULL;
}

static void race_judge(const char *dir, const struct racer *racers, uint32_t i)
{
	const bool conditional = (bed.caps->flags & ENGINE_CONDITIONAL) != 0;
	char leaf[ENGINE_LEAF_BYTES], data[32];
	uint32_t winner = RACERS, got;

	for (uint32_t r = 0; r < RACERS && !conditional; r++)
		assert_int_equal(racers[r].results[i], 0);
	if (!conditional)
		return;
	for (uint32_t r = 0; r < RACERS; r++) {
		if (racers[r].results[i] == 0) {
			assert_int_equal(winner, RACERS);
			winner = r;
			continue;
		}
		assert_int_equal(racers[r].results[i], -EEXIST);
	}
	assert_int_not_equal(winner, RACERS);
	snprintf(leaf, sizeof(leaf), "race-%" PRIu32, i);
	snprintf(data, sizeof(data), "racer %" PRIu32, winner);
	assert_int_equal(bed_get(bed.channel, dir, leaf, 0, buffer_theirs, 100, &got), 0);
	assert_int_equal(got, strlen(data));
	assert_memory_equal(buffer_theirs, data, got);
}

void racers_have_one_winner(void **state)
{
	static struct racer racers[RACERS];
	const char *dir = bed_dir(&bed, "race");
	pthread_barrier_t barrier;

	pthread_barrier_init(&barrier, NULL, RACERS);
	for (uint32_t r = 0; r < RACERS; r++) {
		racers[r] = (struct racer){.number = r, .dir = dir, .barrier = &barrier};
		assert_int_equal(engine_channel_open(bed.engine, &racers[r].channel), 0);
		assert_int_equal(pthread_create(&racers[r].thread, NULL, race, &racers[r]), 0);
	}
	for (uint32_t r = 0; r < RACERS; r++) {
		pthread_join(racers[r].thread, NULL);
		engine_channel_close(racers[r].channel);
	}
	pthread_barrier_destroy(&barrier);
	for (uint32_t i = 0; i < RACES; i++)
		race_judge(dir, racers, i);
}

/* Writes, reads, lists and removes names of its own; counts what is not as it should be. */
static void *mingle(void *arg)
{
	struct racer *racer = arg;
	uint8_t ours[3000], theirs[3001];
	uint64_t random = racer->number;
	char leaf[ENGINE_LEAF_BYTES];
	uint32_t got;

	for (uint32_t i = 0; i < THREAD_NAMES; i++) {
		uint32_t bytes = (uint32_t)random_upto(&random, sizeof(ours));

		snprintf(leaf, sizeof(leaf), "t%" PRIu32 "-%" PRIu32, racer->number, i);
		bed_fill(ours, bytes, random);
		racer->wrong += bed_put(racer->channel, i % 2 ? ENGINE_PUT : ENGINE_PUT_NEW,
					racer->dir, leaf, ours, bytes) != 0;
		racer->wrong +=
			bed_get(racer->channel, racer->dir, leaf, 0, theirs, bytes + 1, &got) != 0;
		racer->wrong += got != bytes || memcmp(ours, theirs, bytes) != 0;
		if (i % 3 != 0)
			continue;
		racer->wrong += bed_delete(racer->channel, racer->dir, leaf) != 0;
		racer->wrong +=
			bed_get(racer->channel, racer->dir, leaf, 0, theirs, 10, &got) != -ENOENT;
	}
	return NULL;
}

void channels_at_once(void **state)
{
	static struct racer racers[THREADS];
	const char *dir = bed_dir(&bed, "mingle");
	struct engine_list list = {.leaf = leaves, .max = ENGINE_ITEMS_MAX};

	for (uint32_t r = 0; r < THREADS; r++) {
		racers[r] = (struct racer){.number = r, .dir = dir};
		assert_int_equal(engine_channel_open(bed.engine, &racers[r].channel), 0);
		assert_int_equal(pthread_create(&racers[r].thread, NULL, mingle, &racers[r]), 0);
	}
	for (uint32_t r = 0; r < THREADS; r++) {
		pthread_join(racers[r].thread, NULL);
		engine_channel_close(racers[r].channel);
		assert_int_equal(racers[r].wrong, 0);
	}
	snprintf(list.dir, sizeof(list.dir), "%s", dir);
	assert_int_equal(bed_list(bed.channel, &list), 0);
	assert_int_equal(list.count, THREADS * (THREAD_NAMES - (THREAD_NAMES + 2) / 3));
}
