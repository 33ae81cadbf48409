/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_impl.h - an engine from inside: what service.c (the thread), tries.c (what becomes of a
 * try) and channel.c (the rings) share.
 *
 * I1. Ring `begun` of a channel is written by the channel's thread and read by the service's, ring
 *     `ended` the other way round. At most ENGINE_CHANNEL_OPS are open, which both rings hold, so
 *     giving back never fails. Once the engine is dead, the channel's thread reads both.
 * I2. No wake-up of the service is lost: it stores sleeping = 1, fences, and looks into the rings;
 *     who begins an operation stores into the ring, fences, and looks at sleeping. Who takes it
 *     from 1 to 0 writes wake_fd, once. The service knows how many did (kicks), and reads that
 *     many: whatever comes late is not left behind in the descriptor.
 * I3. No wake-up of a channel's thread is lost, and its descriptor polls readable whenever ring
 *     `ended` has something: who puts something there fences, then takes told from 0 to 1 and
 *     writes fd; the channel's thread takes it to 0 after it has read fd, fences, and looks once
 * more. I4. The lock holds the table of channels: a channel in it is not freed. So the service
 * gives operations back under the lock, and forgets the channel with it.
 */
#ifndef ABAFT_ENGINE_IMPL_H
#define ABAFT_ENGINE_IMPL_H

#include <ck_ring.h>
#include <pthread.h>

#include "dataplane/engine/driver.h"
#include "dataplane/engine/queue.h"

/* ck_ring wants a power of two, and holds one less. */
#define CHANNEL_RING	 (2 * ENGINE_CHANNEL_OPS)
/* PUT_NEWs at a time whose object is read back (N2); more try again a little later. */
#define COMPARISONS_MAX	 16
#define TRY_MS_DEFAULT	 10000
#define CACHE_LINE_BYTES 64

struct engine_channel {
	struct engine *engine;
	uint32_t index;
	int fd;
	/* The channel's thread's. */
	uint32_t open;
	/* Everybody's (I3). */
	uint32_t told __attribute__((aligned(CACHE_LINE_BYTES)));
	struct ck_ring begun __attribute__((aligned(CACHE_LINE_BYTES)));
	struct ck_ring ended __attribute__((aligned(CACHE_LINE_BYTES)));
	struct ck_ring_buffer begun_slots[CHANNEL_RING];
	struct ck_ring_buffer ended_slots[CHANNEL_RING];
};

/* A GET of what stands under the name of a PUT_NEW. */
struct comparison {
	struct engine_op op;
	struct engine_item item;
	bool used;
};

struct engine {
	struct engine_driver *driver;
	struct engine_caps caps;
	uint64_t try_us;
	pthread_t thread;
	bool running;
	int wake_fd;

	/* The service thread's. */
	struct queue queue;
	uint64_t random;
	uint32_t begun; /* what the driver has */
	uint32_t begun_before;
	uint64_t worked_us; /* when something happened last */
	uint64_t kicks;	    /* of wake_fd, not read yet */
	struct comparison comparisons[COMPARISONS_MAX];
	uint64_t cancel_us; /* of engine_close() */

	/* Written by the service thread, read by anybody. */
	struct engine_counters counters;
	uint64_t open;

	/* Everybody's, atomic. */
	uint32_t sleeping __attribute__((aligned(CACHE_LINE_BYTES)));
	uint32_t closing;
	uint32_t dead;
	uint64_t refused;

	/* Under the lock. */
	pthread_mutex_t lock __attribute__((aligned(CACHE_LINE_BYTES)));
	struct engine_channel *channels[ENGINE_CHANNELS_MAX];
	uint64_t close_us;
	uint64_t failing_since_us; /* all but puts; 0: well */
	uint64_t puts_failing_since_us;
	int error;
	char why[ENGINE_WHY_BYTES];
};

/* engine_open() with a driver that is there already, and whose it becomes, whatever this returns.
 * For tests, beside engine_open(). */
int engine_open_driver(struct engine **out, struct engine_driver *driver,
		       const struct engine_config *config, char *why)
	__attribute__((warn_unused_result));

/* Wakes the service if it sleeps (I2). Any thread. */
void engine_kick(struct engine *engine);

/* channel.c, for the service thread: what a channel's thread has begun, or NULL; and its end. */
struct engine_op *channel_begun(struct engine_channel *channel);
void channel_end(struct engine *engine, struct engine_op *op);
/* Makes the channel's descriptor readable (I3). */
void channel_tell(struct engine_channel *channel);

/* tries.c, for the service thread: an operation that came; one whose time is over; one that is
 * given up; and what the driver says at the end of a try. */
void op_admit(struct engine *engine, struct engine_op *op);
void op_expire(struct engine *engine, struct engine_op *op);
void op_cancel(struct engine *engine, struct engine_op *op);
void op_tried(void *engine, struct engine_op *op, int result);
/* The next try. */
void op_try(struct engine *engine, struct engine_op *op, uint64_t now_us);

#endif
