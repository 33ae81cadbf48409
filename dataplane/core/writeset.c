/* SPDX-License-Identifier: Apache-2.0 */
/* writeset.c - see writeset.h. */
#include "dataplane/core/writeset.h"

#include <errno.h>
#include <string.h>

#include <abaft/limits.h>

void writeset_init(struct writeset *set)
{
	set->entries = set->few;
	set->count = 0;
	set->winners = 0;
	set->room = WRITESET_INLINE;
	set->meta_bytes = 0;
	set->value_bytes = 0;
	set->bloom = 0;
}

static uint32_t granules(uint32_t bytes)
{
	return (bytes + ABAFT_PART_BYTES - 1) / ABAFT_PART_BYTES;
}

static uint32_t parts_bytes(uint32_t bytes)
{
	return (granules(bytes) + 63) / 64 * 8;
}

static uint32_t meta_bytes(uint32_t key_bytes)
{
	return key_bytes + 32;
}

static void value_free(struct writeset *set, struct memory_cache *memory, struct write *w)
{
	if (w->parts)
		memory_free(memory, w->parts, parts_bytes(w->bytes));
	if (w->value)
		memory_free(memory, w->value, w->bytes);
	set->value_bytes -= w->bytes;
	w->parts = NULL;
	w->value = NULL;
	w->bytes = 0;
	w->parts_missing = 0;
}

/* The last entry takes the freed place. */
static void entry_remove(struct writeset *set, struct memory_cache *memory, uint32_t i)
{
	struct write *w = &set->entries[i];

	value_free(set, memory, w);
	set->meta_bytes -= meta_bytes(w->key_bytes);
	memory_free(memory, w->key, w->key_bytes);
	*w = set->entries[--set->count];
}

void writeset_fini(struct writeset *set, struct memory_cache *memory)
{
	while (set->count > 0)
		entry_remove(set, memory, set->count - 1);
	if (set->entries != set->few)
		memory_free(memory, set->entries, set->room * (uint32_t)sizeof(struct write));
	writeset_init(set);
}

struct write *writeset_find(const struct writeset *set, struct key_id id, uint64_t below)
{
	struct write *best = NULL;

	if (!bloom_holds(set->bloom, id))
		return NULL;
	for (uint32_t i = 0; i < set->count; i++) {
		struct write *w = &set->entries[i];

		if (key_id_equal(w->id, id) && w->opnum < below &&
		    (!best || w->opnum > best->opnum))
			best = w;
	}
	return best;
}

/* The step's write with this very number, or else its highest one; NULL if there is none. */
static struct write *find_of_step(struct writeset *set, struct key_id id, uint64_t opnum)
{
	struct write *best = NULL;

	if (!bloom_holds(set->bloom, id))
		return NULL;
	for (uint32_t i = 0; i < set->count; i++) {
		struct write *w = &set->entries[i];

		if (!key_id_equal(w->id, id) || opnum_step(w->opnum) != opnum_step(opnum))
			continue;
		if (w->opnum == opnum)
			return w;
		if (!best || w->opnum > best->opnum)
			best = w;
	}
	return best;
}

static int writeset_grow(struct writeset *set, struct memory_cache *memory)
{
	uint32_t room = set->room * 4 > ABAFT_TXN_WRITES_MAX ? ABAFT_TXN_WRITES_MAX : set->room * 4;
	struct write *entries = memory_alloc(memory, room * (uint32_t)sizeof(struct write));

	if (!entries)
		return -ENOMEM;
	memcpy(entries, set->entries, set->count * sizeof(struct write));
	if (set->entries != set->few)
		memory_free(memory, set->entries, set->room * (uint32_t)sizeof(struct write));
	set->entries = entries;
	set->room = room;
	return 0;
}

/* A new entry for the key, without a value. */
static int entry_add(struct writeset *set, struct memory_cache *memory,
		     const struct write_args *args, struct write **out)
{
	struct write *w;
	int err;

	if (set->count == ABAFT_TXN_WRITES_MAX)
		return -E2BIG;
	if (set->meta_bytes + meta_bytes(args->key_bytes) > ABAFT_TXN_META_BYTES_MAX)
		return -EFBIG;
	if (set->count == set->room) {
		err = writeset_grow(set, memory);
		if (err)
			return err;
	}
	w = &set->entries[set->count];
	*w = (struct write){.id = args->id, .key_bytes = (uint16_t)args->key_bytes};
	w->key = memory_alloc(memory, args->key_bytes);
	if (!w->key)
		return -ENOMEM;
	memcpy(w->key, args->key, args->key_bytes);
	set->count++;
	set->meta_bytes += meta_bytes(args->key_bytes);
	set->bloom |= key_id_bits(args->id);
	*out = w;
	return 0;
}

/* Room for the whole value, and for the map of its parts if it comes in parts. */
static int value_alloc(struct memory_cache *memory, const struct write_args *args, uint8_t **value,
		       uint64_t **parts)
{
	*value = NULL;
	*parts = NULL;
	if (args->total == 0)
		return 0;
	*value = memory_alloc(memory, args->total);
	if (!*value)
		return -ENOMEM;
	if (!args->part)
		return 0;
	*parts = memory_alloc(memory, parts_bytes(args->total));
	if (!*parts) {
		memory_free(memory, *value, args->total);
		return -ENOMEM;
	}
	memset(*parts, 0, parts_bytes(args->total));
	return 0;
}

/* Offsets and lengths were checked: they are whole granules, but for the value's end. */
static void part_store(struct write *w, struct memory_cache *memory, const struct write_args *args)
{
	uint32_t first = args->offset / ABAFT_PART_BYTES;
	uint32_t n = granules(args->data_bytes);

	if (!w->parts)
		return; /* whole already */
	memcpy(w->value + args->offset, args->data, args->data_bytes);
	for (uint32_t i = first; i < first + n; i++) {
		uint64_t bit = 1ull << (i % 64);

		if (!(w->parts[i / 64] & bit)) {
			w->parts[i / 64] |= bit;
			w->parts_missing--;
		}
	}
	if (w->parts_missing == 0) {
		memory_free(memory, w->parts, parts_bytes(w->bytes));
		w->parts = NULL;
	}
}

/* Replaces (or first sets) the entry's value. */
static int value_set(struct writeset *set, struct memory_cache *memory, struct write *w,
		     const struct write_args *args)
{
	uint64_t *parts;
	uint8_t *value;
	int err;

	if (set->value_bytes - w->bytes + args->total > ABAFT_TXN_VALUE_BYTES_MAX)
		return -EFBIG;
	err = value_alloc(memory, args, &value, &parts);
	if (err)
		return err;
	value_free(set, memory, w);
	w->value = value;
	w->parts = parts;
	w->bytes = args->total;
	w->opnum = args->opnum;
	w->kind = args->kind;
	w->observed = 0;
	set->value_bytes += args->total;
	if (args->part) {
		w->parts_missing = (uint16_t)granules(args->total);
		part_store(w, memory, args);
	} else if (args->total > 0) {
		memcpy(value, args->data, args->total);
	}
	return 0;
}

int writeset_put(struct writeset *set, struct memory_cache *memory, const struct write_args *args)
{
	struct write *w = find_of_step(set, args->id, args->opnum);
	bool added = false;
	int err;

	if (w && args->opnum < w->opnum)
		return 0;
	if (w && args->opnum == w->opnum) {
		if (!args->part)
			return 0;
		if (args->total != w->bytes)
			return -EINVAL;
		part_store(w, memory, args);
		return 0;
	}
	if (!w || w->observed > args->packet) {
		err = entry_add(set, memory, args, &w);
		if (err)
			return err;
		added = true;
	}
	err = value_set(set, memory, w, args);
	if (err && added)
		entry_remove(set, memory, set->count - 1);
	return err;
}

void writeset_drop(struct writeset *set, struct memory_cache *memory, uint16_t step,
		   uint16_t attempt)
{
	uint64_t floor = opnum_make(step, attempt, 0);

	for (uint32_t i = set->count; i-- > 0;)
		if (opnum_step(set->entries[i].opnum) == step && set->entries[i].opnum < floor)
			entry_remove(set, memory, i);
}

bool writeset_settle(struct writeset *set)
{
	set->winners = 0;
	for (uint32_t i = 0; i < set->count; i++) {
		struct write *w = &set->entries[i], *front = &set->entries[set->winners], old;

		if (writeset_find(set, w->id, UINT64_MAX) != w)
			continue;
		if (w->parts)
			return false;
		old = *front;
		*front = *w;
		*w = old;
		set->winners++;
	}
	return true;
}
