/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.h - the operations that no driver has: those that may begin, in order; DELETEs that wait
 * for the rate; those that pause between two tries. The service thread's, and pure: time and
 * randomness are arguments. Bounded by what the channels let in.
 */
#ifndef ABAFT_ENGINE_QUEUE_H
#define ABAFT_ENGINE_QUEUE_H

#include "dataplane/engine/driver.h"

/* All channels' operations at once. */
#define QUEUE_OPS_MAX (ENGINE_CHANNELS_MAX * ENGINE_CHANNEL_OPS)

/* Pauses: at random from 0 to the first of these, which doubles with each try up to the last
 * ("full jitter"). */
#define PAUSE_FIRST_US	     10000u
#define PAUSE_THROTTLED_US   50000u
#define PAUSE_LAST_US	     2000000u
/* A DELETE of many objects may take what the rate has saved up over so long, at most. */
#define DELETE_RATE_SAVED_US 100000u
#define DELETE_RATE_MAX	     UINT64_C(1000000000)

struct op_list {
	struct engine_op *first, *last;
	uint32_t count;
};

struct queue {
	struct op_list ready, deletes;
	uint64_t until_us; /* of the lists, no operation's is sooner */
	/* A heap by own.again_us. */
	struct engine_op **pausing;
	uint32_t pausing_count;
	/* Of DELETE: how many objects may go, in millionths; below 0 after a large operation. */
	uint64_t rate;
	int64_t allowed;
	uint64_t allowed_us; /* as of */
};

/* 0 or -ENOMEM. `rate`: DELETEd objects per second, 0: any. */
int queue_init(struct queue *queue, uint64_t rate, uint64_t now_us)
	__attribute__((warn_unused_result));
void queue_free(struct queue *queue);

/* It may begin. */
void queue_add(struct queue *queue, struct engine_op *op);
/* It may begin from own.again_us on. */
void queue_pause(struct queue *queue, struct engine_op *op);
/* Takes what may begin now, or NULL. */
struct engine_op *queue_next(struct queue *queue, uint64_t now_us);
/* Takes one whose time is over, or NULL; one that pauses only when its pause is over. */
struct engine_op *queue_expired(struct queue *queue, uint64_t now_us);
/* Takes any, or NULL. */
struct engine_op *queue_any(struct queue *queue);
/* When one of the above has something next, if nothing is added; UINT64_MAX: never. */
uint64_t queue_next_us(const struct queue *queue);

/*
 * When the next try may begin after `tries` of them, of which the last was told that it is asked
 * too much, or not: so that another fits before until_us. 0: there is no time for one.
 */
uint64_t queue_again_us(uint64_t now_us, uint64_t until_us, uint32_t tries, bool throttled,
			uint64_t *random);

#endif
