/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timers.c - the heap of timers.h.
 *
 * I1. heap[i] is not later than its children heap[2i + 1] and heap[2i + 2].
 * I2. heap[i]->at == i + 1, and at == 0 for timers outside the heap.
 */
#include <errno.h>
#include <stdlib.h>

#include "client/timers.h"

int timers_create(struct timers *timers, uint32_t max)
{
	timers->heap = calloc(max, sizeof(*timers->heap));
	if (!timers->heap)
		return -ENOMEM;
	timers->count = 0;
	timers->max = max;
	return 0;
}

void timers_destroy(struct timers *timers)
{
	free(timers->heap);
	timers->heap = NULL;
}

static void place(struct timers *timers, uint32_t at, struct timer *timer)
{
	timers->heap[at] = timer;
	timer->at = at + 1;
}

static void rise(struct timers *timers, uint32_t at, struct timer *timer)
{
	while (at) {
		uint32_t parent = (at - 1) / 2;

		if (timers->heap[parent]->due_us <= timer->due_us)
			break;
		place(timers, at, timers->heap[parent]);
		at = parent;
	}
	place(timers, at, timer);
}

static void sink(struct timers *timers, uint32_t at, struct timer *timer)
{
	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child >= timers->count)
			break;
		if (child + 1 < timers->count &&
		    timers->heap[child + 1]->due_us < timers->heap[child]->due_us)
			child++;
		if (timer->due_us <= timers->heap[child]->due_us)
			break;
		place(timers, at, timers->heap[child]);
		at = child;
	}
	place(timers, at, timer);
}

/* Puts `timer`, whose time is new, where it belongs, beginning from place `at`. */
static void settle(struct timers *timers, uint32_t at, struct timer *timer)
{
	if (at && timer->due_us < timers->heap[(at - 1) / 2]->due_us)
		rise(timers, at, timer);
	else
		sink(timers, at, timer);
}

void timers_set(struct timers *timers, struct timer *timer, uint64_t due_us)
{
	timer->due_us = due_us;
	if (timer->at) {
		settle(timers, timer->at - 1, timer);
	} else if (timers->count < timers->max) {
		/* Always true: the creator counted one place for each timer there is. */
		timers->count++;
		rise(timers, timers->count - 1, timer);
	}
}

void timers_remove(struct timers *timers, struct timer *timer)
{
	struct timer *last;
	uint32_t at;

	if (!timer->at)
		return;
	at = timer->at - 1;
	timer->at = 0;
	last = timers->heap[--timers->count];
	if (last != timer)
		settle(timers, at, last);
}

struct timer *timers_first(const struct timers *timers)
{
	return timers->count ? timers->heap[0] : NULL;
}
