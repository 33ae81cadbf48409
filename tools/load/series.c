/* SPDX-License-Identifier: Apache-2.0 */
/*
 * series.c - see series.h.
 */
#include "tools/load/series.h"

#include <stdlib.h>
#include <string.h>

struct series *series_create(uint64_t start_ns, const struct abaft *client)
{
	struct series *series = calloc(1, sizeof(*series));

	if (series) {
		series->start_ns = start_ns;
		series->client = client;
	}
	return series;
}

void series_destroy(struct series *series)
{
	free(series);
}

static struct series_second *slot_of(struct series *series, uint64_t second)
{
	return &series->slot[second % SERIES_RING];
}

/* Resends are the client's to count; what it counted meanwhile is of the second that ends. */
static void count_resends(struct series *series)
{
	struct abaft_client_stats stats;

	if (!series->client)
		return;
	abaft_client_stats(series->client, &stats);
	slot_of(series, series->second)->resends += stats.resends - series->resends;
	series->resends = stats.resends;
}

/* Returns whether there was room for the second of now_ns (S2). */
static bool advance(struct series *series, uint64_t now_ns)
{
	uint64_t second = now_ns > series->start_ns ? (now_ns - series->start_ns) / 1000000000 : 0;
	uint64_t room;

	if (second <= series->second)
		return true;
	/* Pairs with the release of series_take(): the slots up to there are empty, and ours. */
	room = atomic_load_explicit(&series->taken, memory_order_acquire) + SERIES_RING - 1;
	if (second < room)
		room = second;
	if (room > series->second) {
		count_resends(series);
		series->second = room;
		/* Pairs with the acquire of series_passed(): what was added is seen there. */
		atomic_store_explicit(&series->passed, room, memory_order_release);
	}
	return room == second;
}

void series_tick(struct series *series, uint64_t now_ns)
{
	(void)advance(series, now_ns);
}

struct series_second *series_now(struct series *series, uint64_t now_ns)
{
	series->late += !advance(series, now_ns);
	return slot_of(series, series->second);
}

void series_over(struct series *series)
{
	count_resends(series);
	atomic_store_explicit(&series->passed, SERIES_OVER, memory_order_release);
}

bool series_passed(struct series *series, uint64_t second)
{
	return atomic_load_explicit(&series->passed, memory_order_acquire) > second;
}

void series_take(struct series *series, uint64_t second, struct series_second *sum)
{
	struct series_second *slot = slot_of(series, second);

	sum->committed += slot->committed;
	sum->aborted += slot->aborted;
	sum->failed += slot->failed;
	sum->unknown += slot->unknown;
	sum->errors += slot->errors;
	sum->retries += slot->retries;
	sum->resends += slot->resends;
	latency_merge(&sum->latency, &slot->latency);
	memset(slot, 0, sizeof(*slot));
	atomic_store_explicit(&series->taken, second + 1, memory_order_release);
}
