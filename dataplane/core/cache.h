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
 * Source: CLOCK, F. J. Corbato, "A Paging Experiment with the Multics System" (1968).
 */
#ifndef ABAFT_CORE_CACHE_H
#define ABAFT_CORE_CACHE_H

#include <ck_spinlock.h>
#include <stdbool.h>
#include <stdint.h>

#include <abaft/limits.h>

#include "dataplane/core/version.h"

struct cache_shard {
	ck_spinlock_t lock;
	struct version *hand; /* a ring through struct large; NULL: empty */
	uint64_t values;
	uint64_t bytes;
} __attribute__((aligned(64)));

struct cache {
	uint64_t shard_bytes_max; /* UINT64_MAX: no bound but the memory's */
	struct cache_shard shard[ABAFT_WORKERS_MAX];
};

/* bytes_max: of all shards together; 0: no bound but the memory's. */
void cache_init(struct cache *cache, uint32_t shards, uint64_t bytes_max);
/* The version's value, which was put in place by the caller, may be evicted from now on: the
 * version is durable and has its place. */
void cache_add(struct cache *cache, uint32_t shard, struct version *version);
/*
 * The version is about to be freed: takes it off its ring. Returns its block, the caller's now, or
 * NULL when it is cold.
 */
const uint8_t *cache_take(struct cache *cache, struct version *version);
/*
 * Moves the hand until the shard is within its bound (or, with `press`, until one value went) and
 * gives up to `max` blocks that readers may still be reading: free them after a grace period.
 * Returns how many.
 */
struct cache_block {
	const uint8_t *block;
	uint32_t bytes;
};
uint32_t cache_evict(struct cache *cache, uint32_t shard, bool press, struct cache_block *out,
		     uint32_t max);
/* A reader met the value. */
static inline void cache_hit(struct version *version)
{
	struct large *large = version_large(version);

	if (!atomic_load_explicit(&large->used, memory_order_relaxed))
		atomic_store_explicit(&large->used, 1, memory_order_relaxed);
}

#endif
