/* SPDX-License-Identifier: Apache-2.0 */
/* txn.c - see txn.h. */
#include "dataplane/core/txn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <abaft/limits.h>

#include "dataplane/core/txn_id.h"

#define FREEZE_US      (ABAFT_TXN_FREEZE_MS * 1000ull)
/* How often the intervals are made anew when frozen transactions have ended. */
#define INTERVALS_US   100000u
/* Transactions frozen, and wheel entries looked at, per tick. */
#define STEPS_PER_TICK 256

int txn_table_init(struct txn_table *table, const struct mapper *mapper, uint32_t max,
		   uint64_t seed)
{
	uint32_t buckets = 64;

	if (max == 0 || max > 1u << 24)
		return -EINVAL;
	memset(table, 0, sizeof(*table));
	while (buckets < max)
		buckets *= 2;
	table->max = max;
	table->seed = seed;
	table->mask = buckets - 1;
	table->all = mapper_map(mapper, max * sizeof(*table->all));
	table->buckets = mapper_map(mapper, buckets * sizeof(*table->buckets));
	if (!table->all || !table->buckets) {
		txn_table_fini(table, mapper);
		return -ENOMEM;
	}
	for (uint32_t i = max; i-- > 0;)
		LIST_INSERT_HEAD(&table->free, &table->all[i], hash);
	TAILQ_INIT(&table->young);
	TAILQ_INIT(&table->frozen);
	TAILQ_INIT(&table->fresh);
	TAILQ_INIT(&table->fresh_heavy);
	return 0;
}

void txn_table_fini(struct txn_table *table, const struct mapper *mapper)
{
	mapper_unmap(mapper, table->all, table->max * sizeof(*table->all));
	mapper_unmap(mapper, table->buckets, (table->mask + 1ull) * sizeof(*table->buckets));
	table->all = NULL;
	table->buckets = NULL;
}

static struct txn_list *bucket_of(const struct txn_table *table, const uint8_t id[16])
{
	return &table->buckets[txn_id_hash(id, table->seed) & table->mask];
}

struct txn *txn_find(const struct txn_table *table, const uint8_t id[16])
{
	struct txn *txn;

	LIST_FOREACH(txn, bucket_of(table, id), hash)
	if (txn_id_equal(txn->id, id))
		return txn;
	return NULL;
}

/* At least one slot ahead of what has passed, at most one turn; later deadlines come round again.
 */
static void wheel_insert(struct txn_table *table, struct txn *txn)
{
	uint64_t slot = txn->deadline_us / TXN_WHEEL_SLOT_US + 1;

	if (slot <= table->wheel_at)
		slot = table->wheel_at + 1;
	if (slot >= table->wheel_at + TXN_WHEEL_SLOTS)
		slot = table->wheel_at + TXN_WHEEL_SLOTS - 1;
	LIST_INSERT_HEAD(&table->wheel[slot % TXN_WHEEL_SLOTS], txn, wheel);
}

struct txn *txn_begin(struct txn_table *table, const uint8_t id[16], uint64_t instance,
		      uint64_t mono_us, uint64_t deadline_us, uint64_t era)
{
	struct txn *txn = LIST_FIRST(&table->free);

	if (!txn)
		return NULL;
	LIST_REMOVE(txn, hash);
	if (table->open++ == 0)
		table->wheel_at = mono_us / TXN_WHEEL_SLOT_US;
	memcpy(txn->id, id, 16);
	txn->instance = instance;
	txn->state = TXN_OPEN;
	txn->begin_us = mono_us;
	txn->deadline_us = deadline_us;
	txn->begin_era = era;
	txn->cut = UINT64_MAX;
	txn->seen = 0;
	txn->steps = 0;
	txn->commit = NULL;
	txn->token = NULL;
	txn->is_fresh = false;
	readset_init(&txn->reads);
	writeset_init(&txn->writes);
	LIST_INSERT_HEAD(bucket_of(table, id), txn, hash);
	TAILQ_INSERT_TAIL(&table->young, txn, age);
	wheel_insert(table, txn);
	return txn;
}

void txn_set_fresh(struct txn_table *table, struct txn *txn)
{
	txn->is_fresh = true;
	txn->is_heavy = false;
	txn->fresh_bytes = 0;
	TAILQ_INSERT_TAIL(&table->fresh, txn, fresh);
}

void txn_came_back(struct txn_table *table, struct txn *txn)
{
	if (!txn->is_fresh)
		return;
	txn->is_fresh = false;
	table->fresh_bytes -= txn->fresh_bytes;
	TAILQ_REMOVE(txn->is_heavy ? &table->fresh_heavy : &table->fresh, txn, fresh);
}

void txn_weigh(struct txn_table *table, struct txn *txn)
{
	uint32_t bytes = txn->writes.value_bytes + txn->writes.meta_bytes;

	if (!txn->is_fresh)
		return;
	table->fresh_bytes += bytes - txn->fresh_bytes;
	txn->fresh_bytes = bytes;
	if (bytes > ABAFT_PACKET_BYTES_MAX && !txn->is_heavy) {
		TAILQ_REMOVE(&table->fresh, txn, fresh);
		TAILQ_INSERT_TAIL(&table->fresh_heavy, txn, fresh);
		txn->is_heavy = true;
	}
}

struct txn *txn_fresh_for_place(const struct txn_table *table)
{
	struct txn *light = TAILQ_FIRST(&table->fresh), *heavy = TAILQ_FIRST(&table->fresh_heavy);

	if (!light || !heavy)
		return light ? light : heavy;
	return light->instance < heavy->instance ? light : heavy;
}

struct txn *txn_fresh_for_memory(const struct txn_table *table)
{
	struct txn *heavy = TAILQ_FIRST(&table->fresh_heavy);

	return heavy ? heavy : TAILQ_FIRST(&table->fresh);
}

void txn_renew(struct txn_table *table, struct txn *txn, uint64_t deadline_us)
{
	bool sooner = deadline_us < txn->deadline_us;

	txn->deadline_us = deadline_us;
	if (sooner) { /* later ones are moved when their slot comes round */
		LIST_REMOVE(txn, wheel);
		wheel_insert(table, txn);
	}
}

void txn_release(struct txn_table *table, struct txn *txn)
{
	LIST_REMOVE(txn, wheel);
	txn_came_back(table, txn);
	if (txn->cut == UINT64_MAX) {
		TAILQ_REMOVE(&table->young, txn, age);
		return;
	}
	TAILQ_REMOVE(&table->frozen, txn, age);
	table->intervals_stale = true;
}

void txn_end(struct txn_table *table, struct memory_cache *memory, struct txn *txn)
{
	if (txn->state == TXN_OPEN)
		txn_release(table, txn);
	readset_fini(&txn->reads, memory);
	writeset_fini(&txn->writes, memory);
	LIST_REMOVE(txn, hash);
	LIST_INSERT_HEAD(&table->free, txn, hash);
	table->open--;
}

uint64_t txn_young_era(const struct txn_table *table)
{
	const struct txn *oldest = TAILQ_FIRST(&table->young);

	return oldest ? oldest->begin_era : UINT64_MAX;
}

/* Transactions freeze in the order of their begins, so both ends of intervals only grow. */
static void interval_add(struct txn_table *table, const struct txn *txn)
{
	struct interval *last =
		&table->intervals[table->interval_count ? table->interval_count - 1 : 0];

	if (table->interval_count > 0 &&
	    (txn->begin_era <= last->hi || table->interval_count == STORE_INTERVALS)) {
		last->hi = txn->cut;
		return;
	}
	table->intervals[table->interval_count++] =
		(struct interval){.lo = txn->begin_era, .hi = txn->cut};
}

void txn_freeze(struct txn_table *table, struct reclaim *reclaim, uint64_t mono_us, uint64_t era)
{
	bool changed = false;
	struct txn *txn;

	for (uint32_t i = 0; i < STEPS_PER_TICK; i++) {
		txn = TAILQ_FIRST(&table->young);
		if (!txn || txn->begin_us + FREEZE_US > mono_us)
			break;
		TAILQ_REMOVE(&table->young, txn, age);
		TAILQ_INSERT_TAIL(&table->frozen, txn, age);
		txn->cut = era;
		table->frozen_ever++;
		interval_add(table, txn);
		changed = true;
	}
	if (table->intervals_stale && mono_us >= table->intervals_us + INTERVALS_US) {
		table->intervals_us = mono_us;
		table->intervals_stale = false;
		table->interval_count = 0;
		TAILQ_FOREACH(txn, &table->frozen, age)
		interval_add(table, txn);
		changed = true;
	}
	if (changed)
		reclaim_publish(reclaim, table->intervals, table->interval_count);
}

struct txn *txn_expired(struct txn_table *table, uint64_t mono_us)
{
	for (uint32_t i = 0; i < STEPS_PER_TICK; i++) {
		struct txn_list *slot = &table->wheel[table->wheel_at % TXN_WHEEL_SLOTS];
		struct txn *txn = LIST_FIRST(slot);

		if (!txn) {
			if (table->open == 0 || mono_us / TXN_WHEEL_SLOT_US <= table->wheel_at)
				return NULL;
			table->wheel_at++;
			continue;
		}
		if (txn->deadline_us <= mono_us)
			return txn;
		LIST_REMOVE(txn, wheel);
		wheel_insert(table, txn);
	}
	return NULL;
}

uint64_t txn_next_us(const struct txn_table *table, uint64_t mono_us)
{
	uint64_t next = UINT64_MAX;

	if (!TAILQ_EMPTY(&table->young) || !TAILQ_EMPTY(&table->frozen))
		next = TXN_WHEEL_SLOT_US - mono_us % TXN_WHEEL_SLOT_US;
	if (table->intervals_stale && next > INTERVALS_US)
		next = INTERVALS_US;
	return next;
}
