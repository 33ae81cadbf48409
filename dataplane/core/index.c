/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.c - see index.h.
 *
 * I1. A key stands in exactly one slot: slots are filled and emptied under the partition lock, and
 *     a writer searches the whole bucket chain before it fills one.
 * I2. A chain is sorted by number, newest first; numbers are unique (origin breaks ties).
 * I3. A key in a slot has at least one version, pending ones included, so a writer that has linked
 *     its version need not fear that the key disappears.
 * I4. A spare bucket leaves its chain when it is empty and the last one, at once and not after a
 *     grace period. Whoever still stands on it has seen all keys of his own chain that were there
 *     all the while: they stand before it (I1). What he may find behind it are other chains' keys,
 *     which are not the one he looks for; a walk tells them by their ids.
 */
#include "dataplane/core/index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <abaft/limits.h>

#include "dataplane/core/bytes.h"
#include "dataplane/core/lock.h"

#define POINTER_BITS 48
#define POINTER_MASK ((1ull << POINTER_BITS) - 1)

/* A walk's cursor: a bucket, and a slot among those of its chain. */
#define WALK_SLOT_BITS 28

int index_init(struct index *index, const struct mapper *mapper, uint64_t keys_max, uint64_t seed)
{
	uint64_t buckets = 64;

	if (keys_max == 0 || keys_max > 1ull << 36)
		return -EINVAL;
	memset(index, 0, sizeof(*index));
	while (buckets * 4 < keys_max) /* at most 4 of 7 slots in use on average */
		buckets *= 2;
	index->mask = buckets - 1;
	index->spares = buckets / 4;
	index->keys_max = keys_max;
	index->seed = seed;
	index->buckets = mapper_map(mapper, buckets * sizeof(struct bucket));
	index->spare = mapper_map(mapper, index->spares * sizeof(struct bucket));
	index->returned = mapper_map(mapper, index->spares * sizeof(struct bucket *));
	ck_spinlock_init(&index->spare_lock);
	if (!index->buckets || !index->spare || !index->returned) {
		index_fini(index, mapper);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < INDEX_PARTITIONS; i++)
		ck_spinlock_init(&index->partition[i].lock);
	return 0;
}

void index_fini(struct index *index, const struct mapper *mapper)
{
	mapper_unmap(mapper, index->buckets, (index->mask + 1) * sizeof(struct bucket));
	mapper_unmap(mapper, index->spare, index->spares * sizeof(struct bucket));
	mapper_unmap(mapper, index->returned, index->spares * sizeof(struct bucket *));
	index->buckets = NULL;
	index->spare = NULL;
	index->returned = NULL;
}

struct key_id index_id(const struct index *index, const uint8_t *key, uint32_t bytes)
{
	XXH128_hash_t h = XXH3_128bits_withSeed(key, bytes, index->seed);

	return (struct key_id){.lo = h.low64 ? h.low64 : 1, .hi = h.high64};
}

static struct bucket *bucket_of(const struct index *index, struct key_id id)
{
	return &index->buckets[id.lo & index->mask];
}

static ck_spinlock_t *lock_of(struct index *index, struct key_id id)
{
	return &index->partition[id.lo & index->mask & (INDEX_PARTITIONS - 1)].lock;
}

static struct key *slot_key(uint64_t slot)
{
	return (struct key *)(uintptr_t)(slot & POINTER_MASK);
}

static uint64_t slot_tag(struct key_id id)
{
	return id.lo & ~POINTER_MASK;
}

void index_prefetch(const struct index *index, struct key_id id)
{
	__builtin_prefetch(bucket_of(index, id));
}

const struct key *index_peek(const struct index *index, struct key_id id)
{
	const struct bucket *b = bucket_of(index, id);

	for (uint32_t i = 0; i < INDEX_SLOTS; i++) {
		uint64_t slot = atomic_load_explicit(&b->slot[i], memory_order_acquire);

		if (slot && (slot & ~POINTER_MASK) == slot_tag(id))
			return slot_key(slot);
	}
	return NULL;
}

static bool slot_is(uint64_t slot, struct key_id id, const uint8_t *key, uint32_t bytes)
{
	const struct key *k = slot_key(slot);

	return k && (slot & ~POINTER_MASK) == slot_tag(id) && key_id_equal(k->id, id) &&
	       k->bytes == bytes && bytes_equal(k->data, key, bytes);
}

struct key *index_find(const struct index *index, struct key_id id, const uint8_t *key,
		       uint32_t bytes)
{
	const struct bucket *b = bucket_of(index, id);

	/* The acquire of the slot pairs with the release in slot_fill(): the key's fields. */
	for (; b; b = atomic_load_explicit(&b->overflow, memory_order_acquire))
		for (uint32_t i = 0; i < INDEX_SLOTS; i++) {
			uint64_t slot = atomic_load_explicit(&b->slot[i], memory_order_acquire);

			if (slot_is(slot, id, key, bytes))
				return slot_key(slot);
		}
	return NULL;
}

/* NULL: none is left. */
static struct bucket *spare_take(struct index *index)
{
	struct bucket *spare = NULL;

	lock_take(&index->spare_lock);
	if (index->returns > 0)
		spare = index->returned[--index->returns];
	else if (index->touched < index->spares)
		spare = &index->spare[index->touched++];
	if (spare)
		atomic_fetch_add_explicit(&index->spares_used, 1, memory_order_relaxed);
	lock_give(&index->spare_lock);
	return spare;
}

static void spare_give(struct index *index, struct bucket *spare)
{
	lock_take(&index->spare_lock);
	index->returned[index->returns++] = spare;
	atomic_fetch_sub_explicit(&index->spares_used, 1, memory_order_relaxed);
	lock_give(&index->spare_lock);
}

/* An empty slot of the chain, made if need be; partition lock. NULL: no spare bucket is left. */
static _Atomic uint64_t *slot_empty(struct index *index, struct key_id id)
{
	struct bucket *b = bucket_of(index, id), *last = NULL, *spare;

	for (; b; last = b, b = atomic_load_explicit(&b->overflow, memory_order_relaxed))
		for (uint32_t i = 0; i < INDEX_SLOTS; i++)
			if (!atomic_load_explicit(&b->slot[i], memory_order_relaxed))
				return &b->slot[i];
	spare = spare_take(index);
	if (!spare)
		return NULL;
	/* Pairs with the acquire of `overflow` in index_find(). */
	atomic_store_explicit(&last->overflow, spare, memory_order_release);
	return &spare->slot[0];
}

/* A new key with this one version in an empty slot; partition lock. */
static int key_insert(struct index *index, struct memory_cache *memory, struct key_id id,
		      const uint8_t *data, uint32_t bytes, struct version *version)
{
	_Atomic uint64_t *slot;
	struct key *key;

	if (atomic_load_explicit(&index->keys, memory_order_relaxed) >= index->keys_max)
		return -ENOSPC;
	key = memory_alloc(memory, (uint32_t)sizeof(*key) + bytes);
	if (!key)
		return -ENOMEM;
	slot = slot_empty(index, id);
	if (!slot) {
		memory_free(memory, key, (uint32_t)sizeof(*key) + bytes);
		return -ENOSPC;
	}
	key->id = id;
	key->versions = 1;
	key->bytes = bytes;
	memcpy(key->data, data, bytes);
	version->key = key;
	version->newer = NULL;
	atomic_store_explicit(&version->older, NULL, memory_order_relaxed);
	atomic_store_explicit(&key->newest, version, memory_order_relaxed);
	atomic_fetch_add_explicit(&index->keys, 1, memory_order_relaxed);
	/* Pairs with the acquire in index_find(). */
	atomic_store_explicit(slot, slot_tag(id) | (uint64_t)(uintptr_t)key, memory_order_release);
	return 0;
}

/* Sorted insertion (I2); partition lock. Nearly always at the head. */
static void chain_insert(struct key *key, struct version *version)
{
	struct version *newer = NULL;
	struct version *older = atomic_load_explicit(&key->newest, memory_order_relaxed);

	while (older && vnum_less(version->number, older->number)) {
		newer = older;
		older = atomic_load_explicit(&older->older, memory_order_relaxed);
	}
	version->key = key;
	version->newer = newer;
	atomic_store_explicit(&version->older, older, memory_order_relaxed);
	if (older)
		older->newer = version;
	/* Release: pairs with the acquires of `newest` and `older` in readers. */
	if (newer)
		atomic_store_explicit(&newer->older, version, memory_order_release);
	else
		atomic_store_explicit(&key->newest, version, memory_order_release);
	key->versions++;
}

int index_link(struct index *index, struct memory_cache *memory, struct key_id id,
	       const uint8_t *data, uint32_t bytes, struct version *version)
{
	ck_spinlock_t *lock = lock_of(index, id);
	struct key *key;
	int err = 0;

	lock_take(lock);
	key = index_find(index, id, data, bytes);
	if (!key)
		err = key_insert(index, memory, id, data, bytes, version);
	else if (key->versions >= ABAFT_KEY_VERSIONS_MAX)
		err = -EBUSY;
	else
		chain_insert(key, version);
	lock_give(lock);
	return err;
}

/* Partition lock. */
static void chain_remove(struct version *version)
{
	struct version *older = atomic_load_explicit(&version->older, memory_order_relaxed);

	if (older)
		older->newer = version->newer;
	if (version->newer)
		atomic_store_explicit(&version->newer->older, older, memory_order_release);
	else
		atomic_store_explicit(&version->key->newest, older, memory_order_release);
	version->key->versions--;
}

static bool bucket_empty(const struct bucket *b)
{
	for (uint32_t i = 0; i < INDEX_SLOTS; i++)
		if (atomic_load_explicit(&b->slot[i], memory_order_relaxed))
			return false;
	return true;
}

/* Gives back the empty spare buckets at the chain's end (I4); partition lock. Without it every
 * bucket that was ever crowded would keep one, until none is left for those that are. */
static void chain_trim(struct index *index, struct bucket *head)
{
	struct bucket *before, *last, *next;

	for (;;) {
		before = head;
		last = atomic_load_explicit(&head->overflow, memory_order_relaxed);
		if (!last)
			return;
		while ((next = atomic_load_explicit(&last->overflow, memory_order_relaxed))) {
			before = last;
			last = next;
		}
		if (!bucket_empty(last))
			return;
		atomic_store_explicit(&before->overflow, NULL, memory_order_release);
		spare_give(index, last);
	}
}

/* Partition lock; the key is there (I3). */
static void slot_clear(struct index *index, const struct key *key)
{
	struct bucket *head = bucket_of(index, key->id);

	for (struct bucket *b = head; b;
	     b = atomic_load_explicit(&b->overflow, memory_order_relaxed))
		for (uint32_t i = 0; i < INDEX_SLOTS; i++)
			if (slot_key(atomic_load_explicit(&b->slot[i], memory_order_relaxed)) ==
			    key) {
				atomic_store_explicit(&b->slot[i], 0, memory_order_release);
				atomic_fetch_sub_explicit(&index->keys, 1, memory_order_relaxed);
				chain_trim(index, head);
				return;
			}
}

/* The version leaves the index; partition lock, as index_move() may be at its place. What was
 * never visible has no place yet, and was never counted. */
static void space_leave(struct index *index, const struct version *version)
{
	if (index->space)
		space_sub(index->space, atomic_load_explicit(&version->place, memory_order_relaxed),
			  space_bytes(version->key->bytes, version->bytes));
}

bool index_unlink(struct index *index, struct version *version)
{
	struct key *key = version->key;
	ck_spinlock_t *lock = lock_of(index, key->id);
	bool last;

	lock_take(lock);
	version_unbind(version);
	chain_remove(version);
	space_leave(index, version);
	last = key->versions == 0;
	if (last)
		slot_clear(index, key);
	lock_give(lock);
	return last;
}

/* Before the key's slot is empty, so that who finds no key finds this. */
static void removed_raise(struct index *index, uint64_t time)
{
	uint64_t old = atomic_load_explicit(&index->removed, memory_order_relaxed);

	while (old < time &&
	       !atomic_compare_exchange_weak_explicit(&index->removed, &old, time,
						      memory_order_release, memory_order_relaxed))
		;
}

bool index_unlink_key(struct index *index, struct version *tombstone)
{
	struct key *key = tombstone->key;
	ck_spinlock_t *lock = lock_of(index, key->id);
	bool only;

	lock_take(lock);
	only = key->versions == 1;
	if (only) {
		version_unbind(tombstone);
		space_leave(index, tombstone);
		removed_raise(index, tombstone->number.time);
		slot_clear(index, key);
	}
	lock_give(lock);
	return only;
}

struct version *index_prune(struct index *index, struct key_id id, const uint8_t *data,
			    uint32_t bytes)
{
	ck_spinlock_t *lock = lock_of(index, id);
	struct version *v, *older, *pruned = NULL;
	struct key *key;

	lock_take(lock);
	key = index_find(index, id, data, bytes);
	v = key ? atomic_load_explicit(&key->newest, memory_order_relaxed) : NULL;
	v = v ? atomic_load_explicit(&v->older, memory_order_relaxed) : NULL;
	for (; v; v = older) {
		older = atomic_load_explicit(&v->older, memory_order_relaxed);
		version_unbind(v);
		chain_remove(v);
		space_leave(index, v);
		v->newer = pruned;
		pruned = v;
	}
	lock_give(lock);
	return pruned;
}

/* Partition lock. */
static struct version *chain_find(const struct key *key, struct vnum number)
{
	struct version *v = atomic_load_explicit(&key->newest, memory_order_relaxed);

	while (v && vnum_less(number, v->number))
		v = atomic_load_explicit(&v->older, memory_order_relaxed);
	return v && vnum_equal(v->number, number) ? v : NULL;
}

bool index_move(struct index *index, struct key_id id, const uint8_t *data, uint32_t bytes,
		struct vnum number, uint64_t from, uint64_t to)
{
	ck_spinlock_t *lock = lock_of(index, id);
	struct version *v = NULL;
	const struct key *key;
	bool moved = false;

	lock_take(lock);
	key = index_find(index, id, data, bytes);
	if (key)
		v = chain_find(key, number);
	if (v && version_published(v) &&
	    atomic_load_explicit(&v->place, memory_order_relaxed) == from) {
		if (index->space) {
			space_add(index->space, to, space_bytes(bytes, v->bytes));
			space_sub(index->space, from, space_bytes(bytes, v->bytes));
		}
		/* Release: whoever reads the place finds its segment on the shelf. */
		atomic_store_explicit(&v->place, to, memory_order_release);
		moved = true;
	}
	lock_give(lock);
	return moved;
}

/* The slot with that number in a chain of buckets; NULL: it has fewer. */
static const _Atomic uint64_t *chain_slot(const struct bucket *b, uint64_t slot)
{
	for (; b && slot >= INDEX_SLOTS; slot -= INDEX_SLOTS)
		b = atomic_load_explicit(&b->overflow, memory_order_acquire);
	return b ? &b->slot[slot] : NULL;
}

uint64_t index_walk_bucket(uint64_t cursor)
{
	return cursor >> WALK_SLOT_BITS;
}

struct key *index_walk(const struct index *index, uint64_t *cursor, uint64_t end)
{
	uint64_t bucket = index_walk_bucket(*cursor);
	uint64_t slot = *cursor & ((1ull << WALK_SLOT_BITS) - 1);
	struct key *key = NULL;

	if (end > index->mask + 1)
		end = index->mask + 1;
	while (!key && bucket < end) {
		/* I1: a key stays in its slot. Acquire: as in index_find(). */
		const _Atomic uint64_t *at = chain_slot(&index->buckets[bucket], slot++);

		if (at) {
			key = slot_key(atomic_load_explicit(at, memory_order_acquire));
			if (key && (key->id.lo & index->mask) != bucket)
				key = NULL; /* of another chain by now (I4) */
		} else {
			bucket++;
			slot = 0;
		}
	}
	*cursor = bucket << WALK_SLOT_BITS | slot;
	return key;
}

void key_free(struct memory_cache *memory, struct key *key)
{
	memory_free(memory, key, (uint32_t)sizeof(*key) + key->bytes);
}
