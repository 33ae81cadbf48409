/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slow.c - slow transactions, out of the rings that workers write without waiting for readers.
 */
#include <string.h>

#include "telemetry/opened.h"
#include "telemetry/scrape.h"

/* The ring itself, or a copy of it where it cannot be mapped; NULL: none. */
static const struct slow_txns *ring_of(struct scrape *scrape, uint32_t worker)
{
	const struct pinned *map = &scrape->maps[OPENED_SLOW];

	if (map->fd < 0 || worker >= scrape->workers)
		return NULL;
	if (map->memory != NULL)
		return (const struct slow_txns *)(void *)map->memory + worker;
	if (pinned_get(map, worker, scrape->room, NULL) != 0)
		return NULL;
	return (const struct slow_txns *)(void *)scrape->room;
}

/* Whether the entry was that one before the copy and after it; telemetry.h: the writer sets the
 * sequence to 0 before it writes, and to its own after. */
static bool take(const struct slow_txn *entry, uint64_t sequence, struct slow_txn *out)
{
	if (__atomic_load_n(&entry->sequence, __ATOMIC_ACQUIRE) != sequence)
		return false;
	pinned_copy(out, entry, sizeof(*out));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&entry->sequence, __ATOMIC_RELAXED) == sequence &&
	       out->sequence == sequence;
}

uint32_t scrape_slow(struct scrape *scrape, uint32_t worker, uint64_t *next, struct slow_txn *out,
		     uint32_t max, uint64_t *lost)
{
	const struct slow_txns *ring = ring_of(scrape, worker);
	uint64_t written, oldest, left;
	uint32_t count = 0;

	if (ring == NULL)
		return 0;
	written = __atomic_load_n(&ring->written, __ATOMIC_ACQUIRE);
	oldest = written > SLOW_TXNS ? written - SLOW_TXNS + 1 : 1;
	if (*next > written + 1) /* another life of the node */
		*next = oldest;
	if (*next < oldest) {
		*lost += *next == 0 ? 0 : oldest - *next;
		*next = oldest;
	}
	/* At most SLOW_TXNS, whatever stands in `written`. */
	for (left = written + 1 - *next; left > 0 && count < max; left--, (*next)++) {
		if (take(&ring->entry[*next % SLOW_TXNS], *next, &out[count]))
			count++;
		else
			(*lost)++;
	}
	return count;
}
