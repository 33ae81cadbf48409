/* SPDX-License-Identifier: Apache-2.0 */
/* events.c - see events.h. A binary heap; the order of setting breaks ties. */
#include "tests/sim/world/events.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void events_create(struct events *events, uint64_t now_us)
{
	memset(events, 0, sizeof(*events));
	events->now_us = now_us;
}

void events_destroy(struct events *events)
{
	free(events->heap);
	memset(events, 0, sizeof(*events));
}

static bool before(const struct event *a, const struct event *b)
{
	return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

static void place(struct events *events, uint32_t at, struct event *event)
{
	events->heap[at] = event;
	event->at = at + 1;
}

static void sift_up(struct events *events, uint32_t at, struct event *event)
{
	while (at > 0 && before(event, events->heap[(at - 1) / 2])) {
		place(events, at, events->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	place(events, at, event);
}

static void sift_down(struct events *events, uint32_t at, struct event *event)
{
	for (uint32_t child = 2 * at + 1; child < events->count; child = 2 * at + 1) {
		if (child + 1 < events->count &&
		    before(events->heap[child + 1], events->heap[child]))
			child++;
		if (!before(events->heap[child], event))
			break;
		place(events, at, events->heap[child]);
		at = child;
	}
	place(events, at, event);
}

void event_remove(struct events *events, struct event *event)
{
	uint32_t at = event->at;
	struct event *last;

	if (at-- == 0)
		return;
	assert(events->heap[at] == event);
	event->at = 0;
	last = events->heap[--events->count];
	if (last == event)
		return;
	if (at > 0 && before(last, events->heap[(at - 1) / 2]))
		sift_up(events, at, last);
	else
		sift_down(events, at, last);
}

void event_set(struct events *events, struct event *event, uint64_t due_us, event_fn fn, void *arg)
{
	event_remove(events, event);
	event->due_us = due_us < events->now_us ? events->now_us : due_us;
	event->order = events->order++;
	event->fn = fn;
	event->arg = arg;
	if (events->count == events->room) {
		events->room = events->room ? 2 * events->room : 64;
		events->heap = realloc(events->heap, events->room * sizeof(struct event *));
		if (events->heap == NULL)
			abort();
	}
	events->count++;
	sift_up(events, events->count - 1, event);
}

bool events_step(struct events *events, uint64_t until_us)
{
	struct event *event = events->count ? events->heap[0] : NULL;

	if (event == NULL || event->due_us > until_us) {
		if (until_us > events->now_us)
			events->now_us = until_us;
		return false;
	}
	event_remove(events, event);
	events->now_us = event->due_us;
	event->fn(event->arg);
	return true;
}
