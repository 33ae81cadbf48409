/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.h - which large values stay in memory: CLOCK with a bound in bytes.
 *
 * Values of up to VERSION_INLINE_BYTES stand with their version and never leave. A larger one is
 * *cached* while version->value points to its block, *cold* while that is NULL: then it stands at
 * version->place on disk. Each worker has a shard, a ring of the values that it brought in; any
 * worker may take a value out of any shard, under the shard's lock. A hit costs the reader one
 * test of a byte; it writes (the byte `used`) only after the hand has passed.
 *
 * H1. Only durable values that have their place are added, so what is evicted can be read back.
 * H2. What a version's value points to never changes: it becomes NULL, and later a block with the
 *     same bytes again. A block that was evicted is freed after a grace period, and not written to
 *     before: passes may be copying it.
 * H3. A version is taken off when its memory is freed, after its own grace period. By then nobody
 *     has it in a read set, so nobody can add it any more.
 * H4. A version is off its ring before its value becomes NULL. Whoever replaces that NULL, by a
 *     compare-and-swap with acquire, as two may come with the same value, adds the version: to
 *     another shard perhaps, so the old one's lock alone would not keep them apart.
 *
 * Source: CLOCK, F. J. Corbato, "A Paging Experiment with the Multics System" (1968).
 */
#ifndef ABAFT_CORE_CACHE_H
#define ABAFT_CORE_CACHE_H

#include <ck_spinlock.h>
#include <stdbool.h>
#include <stdint.h>

#include <abaft/limits.h>

#include "dataplane/core/memory.h"
#include "dataplane/core/version.h"

struct cache_shard {
	ck_spinlock_t lock;
	struct version *hand; /* a ring through struct large; NULL: empty */
	/* Written under the lock, read by all. */
	_Atomic uint64_t values;
	_Atomic uint64_t bytes; /* of memory that they take */
} __attribute__((aligned(64)));

struct cache {
	const struct memory *memory; /* whose blocks the values are */
	uint32_t shards;
	uint64_t shard_bytes_max; /* UINT64_MAX: no bound but the memory's */
	struct cache_shard shard[ABAFT_WORKERS_MAX];
};

/* bytes_max: of all shards together; 0: no bound but the memory's. */
void cache_init(struct cache *cache, const struct memory *memory, uint32_t shards,
		uint64_t bytes_max);
/* The version's value, which was put in place by the caller, may be evicted from now on: the
 * version is durable and has its place (H1). */
void cache_add(struct cache *cache, uint32_t shard, struct version *version);
/*
 * The version is about to be freed: takes it off its ring. Returns its block, the caller's now, or
 * NULL when it is cold. Also for versions that were never added.
 */
const uint8_t *cache_take(struct cache *cache, struct version *version);

struct cache_block {
	const uint8_t *block;
	uint32_t bytes; /* as it was allocated */
};
/*
 * Moves the hand until the shard is within its bound and blocks that take `press` bytes went, and
 * gives up to `max` blocks that readers may still be reading: free them after a grace period
 * (H2). Returns how many. Bounded: values that were used since are passed over, at most 4 * max
 * values are looked at, so less may go than was asked for; the next call goes on from there. With
 * `press` used ones go too where most of their span is free, so that it becomes a free span.
 */
uint32_t cache_evict(struct cache *cache, uint32_t shard, uint64_t press, struct cache_block *out,
		     uint32_t max);
/* What a shard holds, as of some moment. Any thread. */
uint64_t cache_values(const struct cache *cache, uint32_t shard);
uint64_t cache_bytes(const struct cache *cache, uint32_t shard);
/* More than its bound is in the shard. */
bool cache_over(const struct cache *cache, uint32_t shard);
/* The shard with the most bytes. */
uint32_t cache_fullest(const struct cache *cache);

/* A reader met the value. */
static inline void cache_hit(const struct version *version)
{
	struct large *large = version_large((struct version *)(uintptr_t)version);

	if (!atomic_load_explicit(&large->used, memory_order_relaxed))
		atomic_store_explicit(&large->used, 1, memory_order_relaxed);
}

#endif
