/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.c - two lists, a heap and a bucket.
 */
#include "dataplane/engine/queue.h"

#include <errno.h>
#include <stdlib.h>

#include "dataplane/engine/random.h"

#define MILLION	       1000000
/* The lists are not walked for what has expired more often than this. */
#define EXPIRY_STEP_US 1000
/* With less time left there is no other try. */
#define TRY_US_MIN     2000

int queue_init(struct queue *queue, uint64_t rate, uint64_t now_us)
{
	*queue = (struct queue){
		.until_us = UINT64_MAX,
		.rate = rate < DELETE_RATE_MAX ? rate : DELETE_RATE_MAX,
		.allowed = MILLION,
		.allowed_us = now_us,
	};
	queue->pausing = calloc(QUEUE_OPS_MAX, sizeof(struct engine_op *));
	return queue->pausing != NULL ? 0 : -ENOMEM;
}

void queue_free(struct queue *queue)
{
	free(queue->pausing);
	queue->pausing = NULL;
}

static void list_add(struct op_list *list, struct engine_op *op)
{
	op->own.next = NULL;
	if (list->last != NULL)
		list->last->own.next = op;
	else
		list->first = op;
	list->last = op;
	list->count++;
}

static struct engine_op *list_take(struct op_list *list)
{
	struct engine_op *op = list->first;

	if (op == NULL)
		return NULL;
	list->first = op->own.next;
	if (list->first == NULL)
		list->last = NULL;
	list->count--;
	return op;
}

void queue_add(struct queue *queue, struct engine_op *op)
{
	if (op->until_us < queue->until_us)
		queue->until_us = op->until_us;
	list_add(op->verb == ENGINE_DELETE && queue->rate != 0 ? &queue->deletes : &queue->ready,
		 op);
}

static bool sooner(const struct engine_op *a, const struct engine_op *b)
{
	return a->own.again_us < b->own.again_us;
}

void queue_pause(struct queue *queue, struct engine_op *op)
{
	uint32_t at = queue->pausing_count++;

	for (uint32_t up; at > 0; at = up) {
		up = (at - 1) / 2;
		if (!sooner(op, queue->pausing[up]))
			break;
		queue->pausing[at] = queue->pausing[up];
	}
	queue->pausing[at] = op;
}

/* The soonest of those that pause. */
static struct engine_op *pausing_take(struct queue *queue)
{
	struct engine_op **heap = queue->pausing;
	struct engine_op *op = heap[0], *last = heap[--queue->pausing_count];
	uint32_t at = 0, count = queue->pausing_count;

	for (uint32_t down; (down = 2 * at + 1) < count; at = down) {
		if (down + 1 < count && sooner(heap[down + 1], heap[down]))
			down++;
		if (!sooner(heap[down], last))
			break;
		heap[at] = heap[down];
	}
	heap[at] = last;
	return op;
}

static void rate_refill(struct queue *queue, uint64_t now_us)
{
	uint64_t passed_us = now_us - queue->allowed_us;
	int64_t most = (int64_t)(queue->rate * DELETE_RATE_SAVED_US);

	if (most < MILLION)
		most = MILLION;
	/* A debt of ENGINE_ITEMS_MAX is paid off in this time at any rate. */
	if (passed_us > UINT64_C(2) * ENGINE_ITEMS_MAX * MILLION)
		passed_us = UINT64_C(2) * ENGINE_ITEMS_MAX * MILLION;
	queue->allowed_us = now_us;
	if (passed_us > (uint64_t)(most - queue->allowed) / queue->rate)
		queue->allowed = most;
	else
		queue->allowed += (int64_t)(passed_us * queue->rate);
}

static uint32_t items_left(const struct engine_op *op)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < op->count; i++)
		left += op->items[i].result == -EINPROGRESS;
	return left;
}

struct engine_op *queue_next(struct queue *queue, uint64_t now_us)
{
	struct engine_op *op;

	while (queue->pausing_count > 0 && queue->pausing[0]->own.again_us <= now_us)
		queue_add(queue, pausing_take(queue));
	if (queue->deletes.first != NULL) {
		rate_refill(queue, now_us);
		if (queue->allowed >= MILLION) {
			op = list_take(&queue->deletes);
			queue->allowed -= (int64_t)items_left(op) * MILLION;
			return op;
		}
	}
	return list_take(&queue->ready);
}

/* Takes the first of the list whose time is over, and learns when the next one's is. */
static struct engine_op *list_expired(struct op_list *list, uint64_t now_us, uint64_t *until_us)
{
	struct engine_op *before = NULL;

	for (struct engine_op *op = list->first; op != NULL; before = op, op = op->own.next) {
		if (op->until_us > now_us) {
			if (op->until_us < *until_us)
				*until_us = op->until_us;
			continue;
		}
		if (before == NULL)
			return list_take(list);
		before->own.next = op->own.next;
		if (list->last == op)
			list->last = before;
		list->count--;
		return op;
	}
	return NULL;
}

struct engine_op *queue_expired(struct queue *queue, uint64_t now_us)
{
	uint64_t until_us = UINT64_MAX;
	struct engine_op *op;

	if (queue->until_us > now_us)
		return NULL;
	op = list_expired(&queue->ready, now_us, &until_us);
	if (op == NULL)
		op = list_expired(&queue->deletes, now_us, &until_us);
	if (op == NULL)
		queue->until_us =
			until_us < now_us + EXPIRY_STEP_US ? now_us + EXPIRY_STEP_US : until_us;
	return op;
}

struct engine_op *queue_any(struct queue *queue)
{
	struct engine_op *op = list_take(&queue->ready);

	if (op == NULL)
		op = list_take(&queue->deletes);
	if (op == NULL && queue->pausing_count > 0)
		op = pausing_take(queue);
	return op;
}

uint64_t queue_next_us(const struct queue *queue)
{
	uint64_t next_us = UINT64_MAX, rate_us;

	if (queue->ready.first != NULL || queue->deletes.first != NULL)
		next_us = queue->until_us;
	if (queue->pausing_count > 0 && queue->pausing[0]->own.again_us < next_us)
		next_us = queue->pausing[0]->own.again_us;
	if (queue->deletes.first != NULL && queue->allowed < MILLION) {
		rate_us =
			queue->allowed_us + 1 + (uint64_t)(MILLION - queue->allowed) / queue->rate;
		if (rate_us < next_us)
			next_us = rate_us;
	}
	return next_us;
}

uint64_t queue_again_us(uint64_t now_us, uint64_t until_us, uint32_t tries, bool throttled,
			uint64_t *random)
{
	uint64_t most_us = throttled ? PAUSE_THROTTLED_US : PAUSE_FIRST_US, left_us, pause_us;

	for (uint32_t i = 1; i < tries && most_us < PAUSE_LAST_US; i++)
		most_us *= 2;
	if (most_us > PAUSE_LAST_US)
		most_us = PAUSE_LAST_US;
	pause_us = random_upto(random, most_us);
	if (until_us == ENGINE_FOREVER)
		return now_us + pause_us;
	left_us = until_us > now_us ? until_us - now_us : 0;
	if (left_us < TRY_US_MIN)
		return 0;
	return now_us + (pause_us < left_us / 2 ? pause_us : left_us / 2);
}
