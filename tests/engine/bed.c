/* SPDX-License-Identifier: Apache-2.0 */
/* bed.c - see bed.h. */
#include "tests/engine/bed.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/engine/random.h"

static uint64_t now_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t bed_until(void)
{
	return now_us(CLOCK_MONOTONIC) + BED_CALL_US;
}

void bed_open(struct bed *bed, const char *url, const char *credentials)
{
	uint64_t seed = now_us(CLOCK_REALTIME) ^ (uint64_t)getpid() << 40;
	struct engine_config config = {
		.url = url, .credentials = credentials, .try_ms = 5000, .seed = seed};
	char why[ENGINE_WHY_BYTES] = "";

	memset(bed, 0, sizeof(*bed));
	if (engine_open(&bed->engine, &config, why) != 0 ||
	    engine_channel_open(bed->engine, &bed->channel) != 0) {
		fprintf(stderr, "%s\n", why);
		exit(2);
	}
	bed->caps = engine_caps(bed->engine);
	snprintf(bed->run, sizeof(bed->run), "t%08" PRIx32, (uint32_t)random_next(&seed));
}

/* How many would not go. */
static uint32_t dir_empty(struct bed *bed, const char *dir)
{
	static char leaves[ENGINE_ITEMS_MAX][ENGINE_LEAF_BYTES];
	static struct engine_item items[ENGINE_ITEMS_MAX];
	struct engine_list list = {.leaf = leaves, .max = ENGINE_ITEMS_MAX};

	snprintf(list.dir, sizeof(list.dir), "%s", dir);
	for (int rounds = 0; rounds < 100; rounds++) {
		if (bed_list(bed->channel, &list) != 0)
			return UINT32_MAX;
		if (list.count == 0)
			return 0;
		for (uint32_t i = 0; i < list.count; i++)
			bed_name(&items[i].name, dir, leaves[i]);
		if (bed_items(bed->channel, ENGINE_DELETE, items, list.count) != 0)
			return UINT32_MAX;
	}
	return list.count;
}

uint32_t bed_close(struct bed *bed)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < bed->dirs_count && left == 0; i++)
		left = dir_empty(bed, bed->dirs[i]);
	engine_close(bed->engine, 1000);
	engine_channel_close(bed->channel);
	engine_destroy(bed->engine);
	return left;
}

const char *bed_dir(struct bed *bed, const char *what)
{
	char *dir;

	if (bed->dirs_count == BED_DIRS)
		abort();
	dir = bed->dirs[bed->dirs_count++];
	if (snprintf(dir, ENGINE_DIR_BYTES, "%s-%s", bed->run, what) >= ENGINE_DIR_BYTES)
		abort();
	return dir;
}

void bed_fill(uint8_t *to, uint32_t bytes, uint64_t seed)
{
	uint64_t state = seed, word = 0;

	for (uint32_t i = 0; i < bytes; i++, word >>= 8) {
		if (i % 8 == 0)
			word = random_next(&state);
		to[i] = (uint8_t)word;
	}
}

void bed_name(struct engine_name *name, const char *dir, const char *leaf)
{
	if (snprintf(name->dir, sizeof(name->dir), "%s", dir) >= (int)sizeof(name->dir) ||
	    snprintf(name->leaf, sizeof(name->leaf), "%s", leaf) >= (int)sizeof(name->leaf))
		abort();
}

int bed_items(struct engine_channel *channel, enum engine_verb verb, struct engine_item *items,
	      uint32_t count)
{
	struct engine_op op = {
		.verb = verb, .count = count, .items = items, .until_us = bed_until()};

	return engine_call(channel, &op);
}

int bed_put(struct engine_channel *channel, enum engine_verb verb, const char *dir,
	    const char *leaf, const void *data, uint32_t bytes)
{
	struct engine_item item = {.data = data, .bytes = bytes};

	bed_name(&item.name, dir, leaf);
	return bed_items(channel, verb, &item, 1);
}

int bed_get(struct engine_channel *channel, const char *dir, const char *leaf, uint32_t offset,
	    void *to, uint32_t bytes, uint32_t *got)
{
	struct engine_item item = {.to = to, .offset = offset, .bytes = bytes};
	int err;

	bed_name(&item.name, dir, leaf);
	err = bed_items(channel, ENGINE_GET, &item, 1);
	*got = item.got;
	return err;
}

int bed_delete(struct engine_channel *channel, const char *dir, const char *leaf)
{
	struct engine_item item = {0};

	bed_name(&item.name, dir, leaf);
	return bed_items(channel, ENGINE_DELETE, &item, 1);
}

int bed_list(struct engine_channel *channel, struct engine_list *list)
{
	struct engine_op op = {.verb = ENGINE_LIST, .list = list, .until_us = bed_until()};

	return engine_call(channel, &op);
}
