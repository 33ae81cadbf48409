/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handover.h - how workers pass requests to each other, and wake each other up.
 *
 * A request that came to the wrong worker is lent to its owner and comes back with its answer, so
 * that the frame is always sent or freed by the worker that received it. Items are opaque pointers
 * (the worker's slots). Between every ordered pair of workers stand two single-producer,
 * single-consumer rings: one carries what `from` lends to `to`, the other what `from` gives back
 * to `to`.
 *
 * Invariants:
 *  I1. One producer, one consumer: ring (from, to) is written by worker `from` alone and read by
 *      worker `to` alone. All functions name the calling worker first.
 *  I2. What `from` has lent to `to` and not got back is at most ABAFT_HANDOVER_RING - 1, which is
 *      what a ring holds. So giving back never fails, and nothing is ever dropped: when the limit
 *      is reached lending is refused and the caller says BUSY.
 *  I3. Ownership: an item belongs to exactly one worker. Lending moves it with all it points to:
 *      the producer's writes happen before the consumer's reads, because ck_ring's enqueue puts a
 *      store fence between the item and the tail, and its dequeue a load fence between the tail and
 *      the item. The producer does not touch the item again until it is given back, which orders
 *      the other way by the same fences.
 *  I4. No lost wake-up. The sleeper stores sleeping = 1, fences, and looks into its rings; the
 *      producer stores into the ring, fences, and looks at sleeping (handover_wake()). With a full
 *      fence on both sides (store then load), one of them sees the other's store: either the
 *      sleeper finds the item and stays awake, or the producer finds the flag and writes the
 *      eventfd, which poll() reports even if written before poll() began.
 */
#ifndef ABAFT_XCORE_HANDOVER_H
#define ABAFT_XCORE_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

struct handover;

/* All rings for `workers` (1 to ABAFT_WORKERS_MAX). 0, -EINVAL, -ENOMEM or eventfd's errno. */
int handover_create(struct handover **out, uint32_t workers) __attribute__((warn_unused_result));
void handover_destroy(struct handover *handover);

/* Lends an item to worker `to`. False: the limit of I2 is reached, the item stays the caller's. */
bool handover_lend(struct handover *handover, uint32_t self, uint32_t to, void *item)
	__attribute__((warn_unused_result));
/* The next item that `from` has lent to us, or NULL. */
void *handover_borrow(struct handover *handover, uint32_t self, uint32_t from);
/* Gives a borrowed item back to worker `to`, whose it is. */
void handover_give_back(struct handover *handover, uint32_t self, uint32_t to, void *item);
/* The next item of ours that `from` gives back, or NULL. */
void *handover_take_back(struct handover *handover, uint32_t self, uint32_t from);

/* Wakes the workers of the mask (bit w = worker w) if they sleep: once a pass, after everything
 * for them stands in the rings. */
void handover_wake(struct handover *handover, uint64_t mask);
/* Wakes worker `w` from outside, e.g. to tell it to stop. Any thread. */
void handover_kick(struct handover *handover, uint32_t w);

/* Before sleeping: true when nothing waits, and from then on the wake-up descriptor will poll
 * readable as soon as something does. False: do not sleep. */
bool handover_sleep_begin(struct handover *handover, uint32_t self)
	__attribute__((warn_unused_result));
/* After sleeping (not after a false from above). */
void handover_sleep_end(struct handover *handover, uint32_t self);
int handover_sleep_fd(const struct handover *handover, uint32_t self);

#endif
