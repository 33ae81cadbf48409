/* SPDX-License-Identifier: Apache-2.0 */
/* cache.c - see cache.h. */
#include "dataplane/core/cache.h"

#include "dataplane/core/lock.h"

void cache_init(struct cache *cache, const struct memory *memory, uint32_t shards,
		uint64_t bytes_max)
{
	cache->memory = memory;
	cache->shards = shards;
	cache->shard_bytes_max = bytes_max ? bytes_max / shards : UINT64_MAX;
	for (uint32_t i = 0; i < ABAFT_WORKERS_MAX; i++) {
		struct cache_shard *shard = &cache->shard[i];

		ck_spinlock_init(&shard->lock);
		shard->hand = NULL;
		atomic_store_explicit(&shard->values, 0, memory_order_relaxed);
		atomic_store_explicit(&shard->bytes, 0, memory_order_relaxed);
	}
}

static uint64_t shard_bytes(const struct cache_shard *shard)
{
	return atomic_load_explicit(&shard->bytes, memory_order_relaxed);
}

/* The lock, so nobody else writes. */
static void shard_count(struct cache_shard *shard, uint64_t values, uint64_t bytes)
{
	uint64_t n = atomic_load_explicit(&shard->values, memory_order_relaxed);

	atomic_store_explicit(&shard->values, n + values, memory_order_relaxed);
	atomic_store_explicit(&shard->bytes, shard_bytes(shard) + bytes, memory_order_relaxed);
}

void cache_add(struct cache *cache, uint32_t number, struct version *version)
{
	struct cache_shard *shard = &cache->shard[number];
	struct large *large = version_large(version);

	lock_take(&shard->lock);
	if (shard->hand) { /* behind the hand: it comes here last */
		struct large *hand = version_large(shard->hand);

		large->next = shard->hand;
		large->previous = hand->previous;
		version_large(hand->previous)->next = version;
		hand->previous = version;
	} else {
		large->next = version;
		large->previous = version;
		shard->hand = version;
	}
	large->shard = (uint8_t)number;
	large->in_cache = true;
	atomic_store_explicit(&large->used, 0, memory_order_relaxed);
	shard_count(shard, 1, memory_block_bytes(version->bytes));
	lock_give(&shard->lock);
}

/* Shard's lock. */
static void ring_remove(struct cache_shard *shard, struct version *version)
{
	struct large *large = version_large(version);

	if (large->next == version) {
		shard->hand = NULL;
	} else {
		version_large(large->previous)->next = large->next;
		version_large(large->next)->previous = large->previous;
		if (shard->hand == version)
			shard->hand = large->next;
	}
	large->in_cache = false;
	shard_count(shard, UINT64_MAX, 0 - (uint64_t)memory_block_bytes(version->bytes));
}

const uint8_t *cache_take(struct cache *cache, struct version *version)
{
	struct large *large = version_large(version);
	/* Nobody adds it any more (H3), so this stays. */
	struct cache_shard *shard = &cache->shard[large->shard];
	const uint8_t *block;

	lock_take(&shard->lock);
	if (large->in_cache)
		ring_remove(shard, version);
	block = atomic_load_explicit(&version->value, memory_order_relaxed);
	lock_give(&shard->lock);
	return block;
}

uint32_t cache_evict(struct cache *cache, uint32_t number, uint64_t press, struct cache_block *out,
		     uint32_t max)
{
	struct cache_shard *shard = &cache->shard[number];
	uint64_t gone = 0;
	uint32_t n = 0;

	if (press == 0 && !cache_over(cache, number))
		return 0;
	lock_take(&shard->lock);
	for (uint32_t i = 0; i < 4 * max && n < max && shard->hand; i++) {
		struct version *version = shard->hand;
		struct large *large = version_large(version);

		if (gone >= press && shard_bytes(shard) <= cache->shard_bytes_max)
			break;
		shard->hand = large->next;
		__builtin_prefetch(version_large(large->next)->next);
		if (atomic_load_explicit(&large->used, memory_order_relaxed) &&
		    !(press > 0 && memory_sparse(cache->memory, version_value(version)))) {
			atomic_store_explicit(&large->used, 0, memory_order_relaxed);
			continue;
		}
		out[n].block = atomic_load_explicit(&version->value, memory_order_relaxed);
		out[n++].bytes = version->bytes;
		gone += memory_block_bytes(version->bytes);
		ring_remove(shard, version);
		/* Last, and release (H4). The block stays as it is for who has it already (H2). */
		atomic_store_explicit(&version->value, NULL, memory_order_release);
	}
	lock_give(&shard->lock);
	return n;
}

uint64_t cache_values(const struct cache *cache, uint32_t number)
{
	return atomic_load_explicit(&cache->shard[number].values, memory_order_relaxed);
}

uint64_t cache_bytes(const struct cache *cache, uint32_t number)
{
	return shard_bytes(&cache->shard[number]);
}

bool cache_over(const struct cache *cache, uint32_t number)
{
	return shard_bytes(&cache->shard[number]) > cache->shard_bytes_max;
}

uint32_t cache_fullest(const struct cache *cache)
{
	uint32_t fullest = 0;

	for (uint32_t i = 1; i < cache->shards; i++)
		if (shard_bytes(&cache->shard[i]) > shard_bytes(&cache->shard[fullest]))
			fullest = i;
	return fullest;
}
