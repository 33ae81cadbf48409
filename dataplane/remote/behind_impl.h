/* SPDX-License-Identifier: Apache-2.0 */
/* behind_impl.h - the inside of write-back: the shipper of each log, and what all wait for. */
#ifndef ABAFT_REMOTE_BEHIND_IMPL_H
#define ABAFT_REMOTE_BEHIND_IMPL_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "dataplane/remote/behind.h"
#include "dataplane/remote/remote_impl.h"

/* Ranges that wait to be shipped, of one log. */
#define SHIPPER_RANGES 4096

/* Bytes of a segment that are durable on the disk: whole groups. */
struct range {
	uint64_t offset;
	uint32_t segment;
	uint32_t bytes;
};

/*
 * One log's way to the engine. Ranges are a ring with one producer (the log's owner; at the start
 * whoever opens it) and one consumer (the thread): range i is written before `put` passes i, and
 * read before `taken` does. `shipped` ranges, in order, are in the engine.
 */
struct shipper {
	struct behind *behind;
	struct logdev *near, *far;
	uint32_t log;
	struct range ring[SHIPPER_RANGES];
	_Atomic uint64_t put, taken, shipped;
	_Atomic uint64_t put_bytes, shipped_bytes, objects;
	_Atomic int error;
	atomic_bool stop;
	sem_t work;
	pthread_t thread;
	bool running;
	/* The thread's. */
	uint8_t *buffer, *other;
	uint32_t segment; /* that is attached */
	uint64_t covered; /* bytes of it that are in the engine */
	bool attached;
	int near_handle;
};

struct behind {
	struct remote *remote;
	uint64_t lag_bytes;
	pthread_mutex_t lock; /* of the list */
	struct shipper *shipper[ABAFT_LOGS_MAX];
	atomic_bool given_up;
};

/* near stays the caller's. */
int shipper_create(struct shipper **out, struct behind *behind, uint32_t log, struct logdev *near)
	__attribute__((warn_unused_result));
int shipper_start(struct shipper *shipper) __attribute__((warn_unused_result));
/* Ships what it was given, unless the engine is closed or it was given up, and ends the thread. */
void shipper_finish(struct shipper *shipper);
void shipper_destroy(struct shipper *shipper);
/* The owner: false when there is no room, by number or by bytes (B2). */
bool shipper_give(struct shipper *shipper, const struct range *range);
/* Gives it what is on the disk and not in the engine: before the owner's first range. -ESTALE: the
 * engine has more of the log than the disk. */
int shipper_catch_up(struct shipper *shipper, const uint8_t node_id[16])
	__attribute__((warn_unused_result));

/* B4: all that was given to any shipper until now is in the engine. 0, or -ECANCELED. */
int behind_barrier(struct behind *behind) __attribute__((warn_unused_result));

#endif
