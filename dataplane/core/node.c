/* SPDX-License-Identifier: Apache-2.0 */
/* node.c - a worker's node and the store it shares: life, passes, ticks. Requests: execute.c. */
#include "dataplane/core/node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/core/bytes.h"
#include "dataplane/core/node_impl.h"
#include "dataplane/core/probe.h"

/* Ending a transaction frees all that it buffered; a tick must not take long (P7). */
#define EXPIRED_PER_TICK 256
/* More than the requests of a pass bring in. */
#define EVICTED_PER_TICK 256
/* Free blocks that workers keep for themselves go back at most this often. */
#define FLUSH_US	 10000

int store_create(struct store **out, const struct store_config *config)
{
	uint32_t logs = config->logs > config->workers ? config->logs : config->workers;
	struct store *store;
	int err;

	if (config->workers == 0 || logs > ABAFT_WORKERS_MAX)
		return -EINVAL;
	store = aligned_alloc(64, (sizeof(*store) + 63) / 64 * 64);
	if (!store)
		return -ENOMEM;
	memset(store, 0, sizeof(*store));
	store->workers = config->workers;
	atomic_store_explicit(&store->era, 1, memory_order_relaxed);
	for (uint32_t w = 0; w < ABAFT_WORKERS_MAX; w++)
		atomic_store_explicit(&store->slot[w].low, UINT64_MAX, memory_order_relaxed);
	ck_epoch_init(&store->epoch);
	ck_epoch_register(&store->epoch, &store->keeping.record, NULL);
	ck_spinlock_init(&store->restore.lock);
	store->mapper = (struct mapper){.map = config->map, .unmap = config->unmap};
	err = index_init(&store->index, &store->mapper, config->keys_max, config->seed);
	if (err)
		goto free_store;
	err = memory_init(&store->memory, &store->mapper, config->memory_bytes);
	if (err)
		goto free_index;
	err = space_init(&store->space, &store->mapper, logs);
	if (err)
		goto free_memory;
	store->index.space = &store->space;
	cache_init(&store->cache, &store->memory, config->workers, config->cache_bytes);
	*out = store;
	return 0;
free_memory:
	memory_fini(&store->memory, &store->mapper);
free_index:
	index_fini(&store->index, &store->mapper);
free_store:
	free(store);
	return err;
}

void store_destroy(struct store *store)
{
	space_fini(&store->space, &store->mapper);
	memory_fini(&store->memory, &store->mapper);
	index_fini(&store->index, &store->mapper);
	free(store);
}

int node_create(struct node **out, struct store *store, const struct node_config *config)
{
	struct node *node;
	int err;

	if (config->worker >= store->workers)
		return -EINVAL;
	node = aligned_alloc(64, (sizeof(*node) + 63) / 64 * 64);
	if (!node)
		return -ENOMEM;
	memset(node, 0, sizeof(*node));
	node->store = store;
	node->config = *config;
	node->telemetry = config->telemetry;
	node->counters = node->telemetry ? node->telemetry->node : &node->own_counters;
	if (node->config.deadline_ms == 0)
		node->config.deadline_ms = ABAFT_TXN_DEADLINE_MS_DEFAULT;
	node->next_instance = config->instance_seed ? config->instance_seed : 1;
	memory_cache_init(&node->memory, &store->memory);
	err = txn_table_init(&node->txns, &store->mapper, config->txns_max, store->index.seed);
	if (err)
		goto free_node;
	err = outcome_init(&node->outcomes, &store->mapper, config->outcomes_max,
			   store->index.seed);
	if (err)
		goto free_txns;
	err = fetch_init(&node->fetches, &store->mapper, &node->memory, &node->log, node->counters);
	if (err)
		goto free_outcomes;
	node->fetches->telemetry = node->telemetry;
	reclaim_init(&node->reclaim, store, config->worker, &node->memory);
	node->reclaim.telemetry = node->telemetry;
	node->fresh_bytes_max = (uint64_t)store->memory.spans_total * MEMORY_SPAN_BYTES /
				ABAFT_TXNS_FRESH_SHARE / store->workers;
	*out = node;
	return 0;
free_outcomes:
	outcome_fini(&node->outcomes, &node->store->mapper);
free_txns:
	txn_table_fini(&node->txns, &node->store->mapper);
free_node:
	free(node);
	return err;
}

void node_destroy(struct node *node)
{
	ck_epoch_unregister(&node->reclaim.record);
	fetch_fini(node->fetches, &node->store->mapper);
	outcome_fini(&node->outcomes, &node->store->mapper);
	txn_table_fini(&node->txns, &node->store->mapper);
	free(node);
}

void node_attach_log(struct node *node, const struct node_log *log)
{
	node->log = *log;
}

void node_set_info(struct node *node, node_info_fn fn, void *arg)
{
	node->info = fn;
	node->info_arg = arg;
}

void node_stop(struct node *node)
{
	node->stopping = true;
}

uint32_t node_owner(const uint8_t txn[16], uint32_t workers)
{
	return (uint32_t)((uint64_t)load_be32(txn + 12) * workers >> 32);
}

void node_pass_begin(struct node *node, struct now now)
{
	node->now = now;
	node->era = reclaim_pass_begin(&node->reclaim, txn_young_era(&node->txns));
}

void node_pass_end(struct node *node)
{
	reclaim_pass_end(&node->reclaim, txn_young_era(&node->txns));
}

static void blocks_defer(struct node *node, const struct cache_block *out, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		reclaim_block(&node->reclaim, out[i].block, out[i].bytes);
	node->counters->cache_evictions += n;
}

/* Values leave while our shard is over its bound, and of the fullest one while memory is short: an
 * idle worker's shard is as good as ours. What cannot be read back stays. */
static void evict(struct node *node)
{
	struct cache *cache = &node->store->cache;
	struct cache_block out[EVICTED_PER_TICK];
	uint32_t room = node->reclaim.block_room, n;
	uint64_t press;

	if (!node->log.read)
		return;
	if (memory_scattered(&node->memory) && node->now.mono_us >= node->flushed_us + FLUSH_US) {
		node->flushed_us = node->now.mono_us;
		memory_cache_flush(&node->memory);
	}
	if (room > EVICTED_PER_TICK)
		room = EVICTED_PER_TICK;
	n = cache_evict(cache, node->config.worker, 0, out, room);
	blocks_defer(node, out, n);
	press = memory_short(&node->store->memory);
	if (press > 0) {
		uint32_t shard = cache_fullest(cache);

		if (cache_bytes(cache, shard) == 0) /* what comes later does not pay for it */
			memory_paid(&node->store->memory, press);
		n = cache_evict(cache, shard, press, out, room - n);
		blocks_defer(node, out, n);
	}
}

/* What a worker's shard is over its bound goes before it sleeps, as far as there is room. */
static bool evictions_wait(const struct node *node)
{
	return node->log.read && node->reclaim.block_room > 0 &&
	       cache_over(&node->store->cache, node->config.worker);
}

void node_end_early(struct node *node, struct txn *txn, bool displaced)
{
	uint64_t age_ns = (node->now.mono_us - txn->begin_us) * UINT64_C(1000);

	PROBE(txn__expire, 4, PROBE_ID(txn->id), age_ns, displaced);
	telemetry_add(node->telemetry, HISTOGRAM_txn_life, age_ns);
	txn_end(&node->txns, &node->memory, txn);
}

static void gauges(struct node *node)
{
	const struct cache *cache = &node->store->cache;

	node->counters->cache_values = cache_values(cache, node->config.worker);
	node->counters->cache_bytes = cache_bytes(cache, node->config.worker);
	node->counters->versions_freed = node->reclaim.freed;
	node->counters->versions_held = node->reclaim.held.count;
	node->counters->txns_frozen = node->txns.frozen_ever;
	node->counters->txns_open = node->txns.open;
	node->counters->outcomes = node->outcomes.count;
	node->counters->outcomes_evicted = node->outcomes.evicted;
}

uint64_t node_tick(struct node *node)
{
	uint64_t next_us, us, era;
	uint32_t expired = 0;
	struct txn *txn;

	while (expired < EXPIRED_PER_TICK && (txn = txn_expired(&node->txns, node->now.mono_us))) {
		node_end_early(node, txn, false);
		node->counters->expired++;
		expired++;
	}
	/* Not the era of the pass: what was read during it may be of a later one (R3). */
	era = atomic_load_explicit(&node->store->era, memory_order_acquire);
	txn_freeze(&node->txns, &node->reclaim, node->now.mono_us, era);
	evict(node);
	next_us = reclaim_tick(&node->reclaim, node->now.mono_us);
	us = txn_next_us(&node->txns, node->now.mono_us);
	next_us = us < next_us ? us : next_us;
	us = fetch_tick(node->fetches, node->now.mono_us);
	next_us = us < next_us ? us : next_us;
	gauges(node);
	return expired == EXPIRED_PER_TICK || evictions_wait(node) ? 0 : next_us;
}

const struct node_counters *node_counters(const struct node *node)
{
	return node->counters;
}
