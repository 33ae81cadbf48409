// SPDX-License-Identifier: Apache-2.0
/*
 * names.c - an open-addressed hash table over names that stand one after the other.
 */
#include "tools/history/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#define NAMES_MAX (1u << 30)

int check_grow(void **array, size_t *cap, size_t need, size_t size)
{
	size_t more = *cap ? *cap : 64;
	void *moved;

	if (need <= *cap)
		return 0;
	while (more < need)
		more *= 2;
	moved = reallocarray(*array, more, size);
	if (!moved)
		return -ENOMEM;
	*array = moved;
	*cap = more;
	return 0;
}

const void *check_names_get(const struct check_names *names, uint32_t number, size_t *bytes)
{
	*bytes = names->start[number + 1] - names->start[number];
	return names->text + names->start[number];
}

/* The slot that holds the name, or the free one where it belongs. */
static struct check_slot *slot_of(const struct check_names *names, const void *name, size_t bytes,
				  uint64_t hash)
{
	uint32_t at = (uint32_t)hash & (names->slots - 1);

	for (;; at = (at + 1) & (names->slots - 1)) {
		struct check_slot *slot = &names->table[at];
		const void *other;
		size_t other_bytes;

		if (slot->number == UINT32_MAX)
			return slot;
		if (slot->hash != hash >> 32)
			continue;
		other = check_names_get(names, slot->number, &other_bytes);
		if (other_bytes == bytes && (bytes == 0 || memcmp(other, name, bytes) == 0))
			return slot;
	}
}

static int rehash(struct check_names *names)
{
	uint32_t slots = names->slots ? names->slots * 2 : 1024;
	struct check_slot *table = malloc(slots * sizeof(*table));

	if (!table)
		return -ENOMEM;
	memset(table, 0xff, slots * sizeof(*table));
	free(names->table);
	names->table = table;
	names->slots = slots;
	for (uint32_t i = 0; i < names->count; i++) {
		size_t bytes;
		const void *name = check_names_get(names, i, &bytes);
		uint64_t hash = XXH3_64bits(name, bytes);

		*slot_of(names, name, bytes, hash) = (struct check_slot){i, (uint32_t)(hash >> 32)};
	}
	return 0;
}

int check_names_add(struct check_names *names, const void *name, size_t bytes, uint32_t *number)
{
	uint64_t hash = XXH3_64bits(name, bytes);
	struct check_slot *slot;
	uint64_t at;

	if (names->count >= names->slots / 4 * 3 && rehash(names))
		return -ENOMEM;
	slot = slot_of(names, name, bytes, hash);
	if (slot->number != UINT32_MAX) {
		*number = slot->number;
		return 0;
	}
	if (names->count == NAMES_MAX)
		return -E2BIG;
	at = names->count ? names->start[names->count] : 0;
	if (check_grow((void **)&names->start, &names->start_cap, names->count + 2ul,
		       sizeof(*names->start)) ||
	    /* One more: an empty name is to stand somewhere, even if no other one does. */
	    check_grow((void **)&names->text, &names->text_cap, at + bytes + 1, 1))
		return -ENOMEM;
	if (bytes > 0) /* an empty one may be NULL */
		memcpy(names->text + at, name, bytes);
	names->start[names->count] = at;
	names->start[names->count + 1] = at + bytes;
	slot->hash = (uint32_t)(hash >> 32);
	*number = slot->number = names->count++;
	return 0;
}

void check_names_free(struct check_names *names)
{
	free(names->table);
	free(names->start);
	free(names->text);
	memset(names, 0, sizeof(*names));
}
