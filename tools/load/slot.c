// SPDX-License-Identifier: Apache-2.0
/*
 * slot.c - a thread's slots for transactions in flight: idle, running, or waiting until a time; and
 * the clock of that time.
 *
 * I1. idle holds the idle slots, waiting counts those that wait.
 */
#include <time.h>

#include "tools/load/load.h"

uint64_t load_mono_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct load_slot *load_slot_take(struct load_thread *thread)
{
	struct load_slot *slot = &thread->slots[thread->idle[--thread->idle_count]];

	slot->state = LOAD_RUNNING;
	return slot;
}

void load_slot_wait(struct load_slot *slot, uint64_t wake_ns)
{
	slot->wake_ns = wake_ns;
	slot->state = LOAD_WAITING;
	slot->thread->waiting++;
}

void load_slot_resume(struct load_slot *slot)
{
	slot->thread->waiting--;
	slot->state = LOAD_RUNNING;
}

void load_slot_ended(struct load_slot *slot)
{
	struct load_thread *thread = slot->thread;

	if (slot->state == LOAD_WAITING)
		thread->waiting--;
	slot->state = LOAD_IDLE;
	thread->idle[thread->idle_count++] = (uint32_t)(slot - thread->slots);
}
