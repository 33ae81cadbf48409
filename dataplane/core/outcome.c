/* SPDX-License-Identifier: Apache-2.0 */
/* outcome.c - see outcome.h. */
#include "dataplane/core/outcome.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/core/txn_id.h"

int outcome_init(struct outcome_table *table, const struct mapper *mapper, uint32_t size,
		 uint64_t seed)
{
	uint32_t heads = 64;

	if (size == 0 || size > 1u << 28)
		return -EINVAL;
	memset(table, 0, sizeof(*table));
	while (heads < 2ull * size) /* most chains are empty: one miss tells an id is new */
		heads *= 2;
	table->size = size;
	table->seed = seed;
	table->mask = heads - 1;
	table->ring = mapper_map(mapper, size * sizeof(*table->ring));
	table->heads = mapper_map(mapper, heads * sizeof(*table->heads));
	if (!table->ring || !table->heads) {
		outcome_fini(table, mapper);
		return -ENOMEM;
	}
	return 0;
}

void outcome_fini(struct outcome_table *table, const struct mapper *mapper)
{
	mapper_unmap(mapper, table->ring, table->size * sizeof(*table->ring));
	mapper_unmap(mapper, table->heads, (table->mask + 1ull) * sizeof(*table->heads));
	table->ring = NULL;
	table->heads = NULL;
}

static uint32_t *head_of(const struct outcome_table *table, const uint8_t id[16])
{
	return &table->heads[txn_id_hash(id, table->seed) & table->mask];
}

void outcome_prefetch(const struct outcome_table *table, const uint8_t id[16])
{
	__builtin_prefetch(head_of(table, id));
}

const struct outcome *outcome_find(const struct outcome_table *table, const uint8_t id[16])
{
	for (uint32_t i = *head_of(table, id); i; i = table->ring[i - 1].next)
		if (txn_id_equal(table->ring[i - 1].id, id))
			return &table->ring[i - 1];
	return NULL;
}

static void evict_oldest(struct outcome_table *table)
{
	struct outcome *o = &table->ring[table->first];
	uint32_t *link = head_of(table, o->id);
	uint64_t ms = txn_id_ms(o->id);

	while (&table->ring[*link - 1] != o)
		link = &table->ring[*link - 1].next;
	*link = o->next;
	/* The one after next will leave soon, too: its chain is cold. */
	__builtin_prefetch(head_of(table, table->ring[(table->first + 2) % table->size].id));
	if (ms > table->horizon_ms)
		table->horizon_ms = ms;
	table->first = (table->first + 1) % table->size;
	table->count--;
	table->evicted++;
}

void outcome_add(struct outcome_table *table, const uint8_t id[16], enum outcome_state state,
		 struct vnum number)
{
	struct outcome *o;
	uint32_t *head;
	uint32_t i;

	if (table->count == table->size)
		evict_oldest(table);
	i = (table->first + table->count++) % table->size;
	o = &table->ring[i];
	memcpy(o->id, id, 16);
	o->state = (uint8_t)state;
	o->number = number;
	head = head_of(table, id);
	o->next = *head;
	*head = i + 1;
}
