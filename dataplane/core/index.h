/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.h - the key version index: key -> chain of versions, newest first. Shared by all workers.
 *
 * Lookups are lock-free and touch one bucket (a cache line of seven tagged pointers), then the key.
 * Writers lock one of 1024 partitions for a few instructions. The table never grows: buckets, and
 * the overflow buckets of crowded ones, are allocated at start (P7); what is empty again can be had
 * by other buckets.
 */
#ifndef ABAFT_CORE_INDEX_H
#define ABAFT_CORE_INDEX_H

#include <ck_spinlock.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/core/memory.h"
#include "dataplane/core/space.h"
#include "dataplane/core/version.h"

#define INDEX_PARTITIONS 1024
#define INDEX_SLOTS	 7

struct bucket {
	_Atomic uint64_t slot[INDEX_SLOTS]; /* tag << 48 | struct key *, 0 = empty */
	_Atomic(struct bucket *) overflow;
} __attribute__((aligned(64)));

struct partition {
	ck_spinlock_t lock;
} __attribute__((aligned(64)));

struct index {
	struct bucket *buckets;
	uint64_t mask; /* buckets - 1 */
	struct bucket *spare;
	struct bucket **returned;	   /* spares that came back, a stack; spare_lock */
	uint64_t spares, touched, returns; /* there are; ever taken; in the stack */
	ck_spinlock_t spare_lock;
	_Atomic uint64_t spares_used;
	_Atomic uint64_t keys;
	_Atomic uint64_t removed; /* highest version time of the keys that left */
	uint64_t keys_max;
	uint64_t seed;
	struct space *space; /* what leaves the index is taken off it; NULL: nobody counts */
	struct partition partition[INDEX_PARTITIONS];
};

/* 0, -EINVAL or -ENOMEM. */
int index_init(struct index *index, const struct mapper *mapper, uint64_t keys_max, uint64_t seed);
void index_fini(struct index *index, const struct mapper *mapper);

struct key_id index_id(const struct index *index, const uint8_t *key, uint32_t bytes);
void index_prefetch(const struct index *index, struct key_id id);
/* What is likely the key, by its tag alone: for prefetching. Inside an epoch section. */
const struct key *index_peek(const struct index *index, struct key_id id);
/* The key, or NULL. Inside an epoch section. */
struct key *index_find(const struct index *index, struct key_id id, const uint8_t *key,
		       uint32_t bytes);

/*
 * Links a version, not yet visible, into its key's chain by its number; makes the key if there is
 * none. On success version->key is set. 0, -ENOSPC (keys), -ENOMEM, -EBUSY (the key has
 * ABAFT_KEY_VERSIONS_MAX versions). `id` and the bytes name the same key.
 */
int index_link(struct index *index, struct memory_cache *memory, struct key_id id,
	       const uint8_t *key, uint32_t bytes, struct version *version);
/* Takes a version out of its chain, and the key out of the table if it was the last one (then it
 * returns true). Readers may still stand on both: free them after a grace period. */
bool index_unlink(struct index *index, struct version *version);
/*
 * A visible version of the key with this number, whose place is `from`, stands at `to` from now
 * on; its live bytes go with it. Both under the key's partition lock, where the functions here
 * that take versions out read the place. False: there is none. Inside an epoch section.
 */
bool index_move(struct index *index, struct key_id id, const uint8_t *key, uint32_t bytes,
		struct vnum number, uint64_t from, uint64_t to);
/*
 * Takes out a tombstone that is its key's only version, and the key with it. False, and nothing
 * done, when other versions are there.
 */
bool index_unlink_key(struct index *index, struct version *tombstone);
/* Recovery, when nobody reads: unlinks all below the key's newest version and returns them, linked
 * through `newer`. */
struct version *index_prune(struct index *index, struct key_id id, const uint8_t *key,
			    uint32_t bytes);
/*
 * The next key from *cursor on (0 at first), in buckets below `end`, or NULL; moves *cursor behind
 * it. Lock-free, inside an epoch section, which may end between calls: *cursor is no pointer. Finds
 * each key that is there all the while; one that leaves and comes back perhaps twice, or never.
 */
struct key *index_walk(const struct index *index, uint64_t *cursor, uint64_t end);
uint64_t index_walk_bucket(uint64_t cursor);
void key_free(struct memory_cache *memory, struct key *key);

#endif
