/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timers.h - when to do what next: a heap of timers, earliest first.
 *
 * Pure. Each packet in flight and each submit has one timer, so a set or a removal costs the
 * logarithm of what is in flight; looking at the earliest costs nothing.
 */
#ifndef ABAFT_CLIENT_TIMERS_H
#define ABAFT_CLIENT_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

struct timer {
	uint64_t due_us;
	uint32_t at;  /* place in the heap + 1; 0: not set */
	uint8_t kind; /* the owner's */
};

struct timers {
	struct timer **heap;
	uint32_t count, max;
};

/* Room for `max` timers set at once. 0 or -ENOMEM. */
int timers_create(struct timers *timers, uint32_t max) __attribute__((warn_unused_result));
void timers_destroy(struct timers *timers);
/* Sets the timer, or moves it if it is set. */
void timers_set(struct timers *timers, struct timer *timer, uint64_t due_us);
void timers_remove(struct timers *timers, struct timer *timer);
/* The earliest timer, or NULL. */
struct timer *timers_first(const struct timers *timers);

#endif
