/* SPDX-License-Identifier: Apache-2.0 */
/*
 * version.h - the records that all workers share: keys, versions, and the commit record whose one
 * store makes a transaction's versions visible together (promise P5; AFT, EuroSys'20, §3.3).
 *
 *	bucket ──▶ key ──newest──▶ version ──older──▶ version ──▶ NULL
 *	                              │ commit            │ commit
 *	                              ▼                   ▼
 *	                           commit {number, published, keys written}
 *
 * Readers hold no lock: they load slot, newest and older with acquire, and are inside an epoch
 * section (a pass). Writers change slots and chains under the key's partition lock with release
 * stores. A version's other fields are written before its commit is published and never after, but
 * for a large one's value, which comes and goes (cache.h), and the place, which cleaning changes
 * (index_move()); what a reader needs of an invisible one (number, commit, older) before it is
 * linked.
 */
#ifndef ABAFT_CORE_VERSION_H
#define ABAFT_CORE_VERSION_H

#include <ck_epoch.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/core/hlc.h"
#include "dataplane/core/place.h"

/* What a key is called inside: a seeded 128-bit hash. lo is never 0: 0 marks a cleared place. */
struct key_id {
	uint64_t lo, hi;
};

static inline bool key_id_equal(struct key_id a, struct key_id b)
{
	return a.lo == b.lo && a.hi == b.hi;
}

/* A small Bloom filter over ids: three bits of 64 for each, as a wrong guess costs a cache miss.
 * Over the 8 keys of a commit it guesses wrong once in 33 times, over 2 keys once in 1400. */
static inline uint64_t key_id_bits(struct key_id id)
{
	return 1ull << (id.hi & 63) | 1ull << (id.hi >> 6 & 63) | 1ull << (id.hi >> 12 & 63);
}

/* False only if the id was never added. */
static inline bool bloom_holds(uint64_t bloom, struct key_id id)
{
	uint64_t bits = key_id_bits(id);

	return (bloom & bits) == bits;
}

struct version;

struct key {
	struct key_id id;
	_Atomic(struct version *) newest;
	uint32_t versions; /* in the chain; partition lock */
	uint32_t bytes;
	union {
		ck_epoch_entry_t epoch; /* once unlinked: readers may still hold it */
		uint64_t reserved[2];
	};
	uint8_t data[];
};

/* The commit record of one transaction. */
struct commit {
	struct vnum number;
	uint32_t keys;		    /* places below */
	_Atomic uint64_t published; /* 0 = invisible; else 1 + era in which it became visible */
	uint64_t bloom;		    /* key_id_bits() of all keys written */
	_Atomic uint32_t live;	    /* versions not yet freed, + 1 while it is being built */
	uint32_t reserved;
	ck_epoch_entry_t epoch;
	/* Keys written. lo becomes 0 when the key's version is reclaimed: it then binds nobody. */
	struct commit_key {
		_Atomic uint64_t lo;
		uint64_t hi;
	} key[];
};

enum version_kind {
	VERSION_VALUE,
	VERSION_TOMBSTONE,
};

/* Values up to this stand behind their version, in the same block, and never leave memory. */
#define VERSION_INLINE_BYTES 152

struct version {
	_Atomic(struct version *) older;
	struct key *key;
	/* NULL when bytes is 0, and while a large one is cold (cache.h). */
	_Atomic(const uint8_t *) value;
	struct vnum number;	    /* as the commit's: a read need not touch that */
	uint64_t bloom;		    /* as the commit's */
	_Atomic uint64_t published; /* the commit's, once somebody has copied it; else 0 */
	uint32_t bytes;
	uint8_t kind;
	atomic_uchar retired; /* set by who queues it for reclamation */
	uint16_t slot;	      /* its index in commit->key; VERSION_NO_SLOT: it binds nobody */
	struct commit *commit;
	struct version *newer;	/* partition lock */
	_Atomic uint64_t place; /* of its write on disk; changed under the partition lock */
	union {
		struct {
			struct version *next; /* reclamation queue; its worker only */
			uint64_t era;	      /* in which it was superseded */
		};
		ck_epoch_entry_t epoch; /* after it was unlinked */
	};
};

_Static_assert(offsetof(struct version, commit) == 64, "what a read touches is one line");

#define VERSION_NO_SLOT UINT16_MAX

/* Stands behind a version whose value is large. */
struct large {
	struct version *next, *previous; /* in the cache's ring; the shard's lock */
	uint32_t crc;			 /* CRC32C of the value, set before it is visible */
	uint8_t shard;			 /* in whose ring it is; the lock of that shard */
	bool in_cache;			 /* in a ring; the same lock */
	atomic_uchar used;		 /* since the hand passed */
};

static inline bool version_is_large(const struct version *version)
{
	return version->bytes > VERSION_INLINE_BYTES;
}

static inline struct large *version_large(struct version *version)
{
	return (struct large *)(void *)(version + 1);
}

/* Bytes of the block that holds a version and, if it is small, its value. */
static inline uint32_t version_block_bytes(uint32_t value_bytes)
{
	return (uint32_t)sizeof(struct version) +
	       (value_bytes <= VERSION_INLINE_BYTES ? value_bytes : (uint32_t)sizeof(struct large));
}

/* Acquire: pairs with the release of who brought the value in. */
static inline const uint8_t *version_value(const struct version *version)
{
	return atomic_load_explicit(&version->value, memory_order_acquire);
}

/* 1 + the era in which it became visible, 0 if it is not. Acquire: pairs with reclaim_commit(). */
static inline uint64_t version_published(const struct version *version)
{
	uint64_t copy = atomic_load_explicit(&version->published, memory_order_acquire);

	return copy ? copy
		    : atomic_load_explicit(&version->commit->published, memory_order_acquire);
}

/* The version's commit no longer binds reads of its key: see R6 in reclaim.c. */
static inline void version_unbind(struct version *version)
{
	if (version->slot != VERSION_NO_SLOT)
		atomic_store_explicit(&version->commit->key[version->slot].lo, 0,
				      memory_order_release);
}

static inline uint32_t commit_bytes(uint32_t keys)
{
	return (uint32_t)(sizeof(struct commit) + keys * sizeof(struct commit_key));
}

/* True if the commit wrote the key and its version there has not been reclaimed. */
static inline bool commit_wrote(const struct commit *commit, struct key_id id)
{
	if (!bloom_holds(commit->bloom, id))
		return false;
	for (uint32_t i = 0; i < commit->keys; i++)
		if (atomic_load_explicit(&commit->key[i].lo, memory_order_relaxed) == id.lo &&
		    commit->key[i].hi == id.hi)
			return true;
	return false;
}

#endif
