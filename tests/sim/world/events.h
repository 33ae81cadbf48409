/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.h - virtual time: what happens next, and when.
 *
 * A heap of events, earliest first; of two at the same time the one that was set first. An event
 * stands inside what it concerns and can be moved or taken back at any time. Nothing is allocated
 * for one, and nothing compares addresses (world.h, W1).
 */
#ifndef ABAFT_TESTS_EVENTS_H
#define ABAFT_TESTS_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

struct event;
typedef void (*event_fn)(void *arg);

/* Zero it, then event_set(). */
struct event {
	uint64_t due_us;
	uint64_t order;
	event_fn fn;
	void *arg;
	uint32_t at; /* place in the heap + 1; 0: not set */
};

struct events {
	uint64_t now_us;
	uint64_t order;
	struct event **heap;
	uint32_t count, room;
};

void events_create(struct events *events, uint64_t now_us);
void events_destroy(struct events *events);
/* Sets it, or moves it if it is set. A time that has passed is now. */
void event_set(struct events *events, struct event *event, uint64_t due_us, event_fn fn, void *arg);
void event_remove(struct events *events, struct event *event);
/* Moves time to the earliest event, takes it out and calls it. False: there is none, or it is due
 * after `until_us` (then time is moved there). */
bool events_step(struct events *events, uint64_t until_us);

static inline bool event_is_set(const struct event *event)
{
	return event->at != 0;
}

#endif
