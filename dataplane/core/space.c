/* SPDX-License-Identifier: Apache-2.0 */
/* space.c - see space.h. A commit adds once for all its writes, a dying version takes off one. */
#include "dataplane/core/space.h"

#include <errno.h>

#define RING_MASK (ABAFT_LOG_SEGMENTS_MAX - 1)

_Static_assert((ABAFT_LOG_SEGMENTS_MAX & RING_MASK) == 0, "a ring by the number's low bits");

int space_init(struct space *space, const struct mapper *mapper, uint32_t logs)
{
	_Atomic uint64_t *ring;

	*space = (struct space){.memory_bytes = (uint64_t)(logs + 1) * ABAFT_LOG_SEGMENTS_MAX *
						sizeof(*ring)};
	ring = mapper_map(mapper, space->memory_bytes);
	if (!ring)
		return -ENOMEM;
	space->memory = ring;
	for (uint32_t log = 0; log < logs; log++, ring += ABAFT_LOG_SEGMENTS_MAX)
		space->log[log].live = ring;
	space->log[ABAFT_LOG_KEPT].live = ring;
	return 0;
}

void space_fini(struct space *space, const struct mapper *mapper)
{
	mapper_unmap(mapper, space->memory, space->memory_bytes);
	*space = (struct space){0};
}

/* NULL: not counted. */
static _Atomic uint64_t *counter_of(const struct space *space, uint32_t log, uint32_t segment)
{
	if (log >= ABAFT_LOGS_MAX || !space->log[log].live)
		return NULL;
	return &space->log[log].live[segment & RING_MASK];
}

static _Atomic uint64_t *counter_at(const struct space *space, uint64_t place)
{
	if (place == PLACE_NONE)
		return NULL;
	return counter_of(space, place_log(place), place_segment(place));
}

/* So that space_total() need not look at all of the ring. */
static void counts_raise(struct space_log *log, uint32_t counts)
{
	uint32_t old = atomic_load_explicit(&log->counts, memory_order_relaxed);

	while (old < counts &&
	       !atomic_compare_exchange_weak_explicit(&log->counts, &old, counts,
						      memory_order_relaxed, memory_order_relaxed))
		;
}

void space_add(struct space *space, uint64_t place, uint32_t bytes)
{
	_Atomic uint64_t *live = counter_at(space, place);

	if (!live)
		return;
	counts_raise(&space->log[place_log(place)], (place_segment(place) & RING_MASK) + 1);
	atomic_fetch_add_explicit(live, bytes, memory_order_relaxed);
}

void space_sub(struct space *space, uint64_t place, uint32_t bytes)
{
	_Atomic uint64_t *live = counter_at(space, place);

	if (live)
		atomic_fetch_sub_explicit(live, bytes, memory_order_relaxed);
}

uint64_t space_live(const struct space *space, uint32_t log, uint32_t segment)
{
	_Atomic uint64_t *live = counter_of(space, log, segment);

	return live ? atomic_load_explicit(live, memory_order_relaxed) : 0;
}

bool space_counts(const struct space *space, uint32_t log)
{
	return log < ABAFT_LOGS_MAX && space->log[log].live;
}

uint64_t space_total(const struct space *space)
{
	uint64_t total = 0;

	for (uint32_t log = 0; log < ABAFT_LOGS_MAX; log++) {
		uint32_t counts =
			atomic_load_explicit(&space->log[log].counts, memory_order_relaxed);

		for (uint32_t i = 0; i < counts; i++)
			total += space_live(space, log, i);
	}
	return total;
}
