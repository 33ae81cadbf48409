/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tries.c - the life of an operation between two rings: checked, tried, judged, tried again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/engine/engine_impl.h"

#define ALPHABET "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

/* Some storages take a path's . and .. for what they mean in a file system. */
static bool name_good(const char *name, size_t bytes)
{
	size_t length = strnlen(name, bytes);

	if (length == 0 || length == bytes || strspn(name, ALPHABET) != length)
		return false;
	return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int item_check(const struct engine *engine, enum engine_verb verb,
		      const struct engine_item *item)
{
	if (!name_good(item->name.dir, sizeof(item->name.dir)) ||
	    !name_good(item->name.leaf, sizeof(item->name.leaf)))
		return -EINVAL;
	if (verb == ENGINE_GET)
		return item->to == NULL || item->bytes == 0 ||
				       item->bytes > UINT32_MAX - item->offset
			       ? -EINVAL
			       : 0;
	if (verb == ENGINE_DELETE)
		return 0;
	if (item->bytes > engine->caps.value_max)
		return -E2BIG;
	return item->data == NULL && item->bytes > 0 ? -EINVAL : 0;
}

static int list_check(const struct engine_list *list)
{
	if (list == NULL || list->leaf == NULL || list->max == 0 ||
	    !name_good(list->dir, sizeof(list->dir)))
		return -EINVAL;
	return list->after[0] == '\0' || name_good(list->after, sizeof(list->after)) ? 0 : -EINVAL;
}

/* Items that are not to blame are -ECANCELED. */
static int op_check(const struct engine *engine, struct engine_op *op)
{
	int first = 0;

	if (op->verb == ENGINE_LIST)
		return list_check(op->list);
	if (op->verb >= ENGINE_VERBS || op->items == NULL || op->count == 0 ||
	    op->count > ENGINE_ITEMS_MAX || (op->verb == ENGINE_PUT_NEW && op->count != 1))
		return -EINVAL;
	for (uint32_t i = 0; i < op->count; i++) {
		int err = item_check(engine, op->verb, &op->items[i]);

		op->items[i].result = err != 0 ? err : -ECANCELED;
		if (first == 0)
			first = err;
	}
	return first;
}

static void count_asked(struct engine *engine, const struct engine_op *op)
{
	if (op->verb == ENGINE_GET)
		engine_count(&engine->counters.gets, op->count);
	else if (op->verb == ENGINE_LIST)
		engine_count(&engine->counters.lists, 1);
}

static void count_done(struct engine *engine, const struct engine_op *op)
{
	uint64_t done = 0;

	if (op->verb == ENGINE_GET || op->verb == ENGINE_LIST)
		return;
	for (uint32_t i = 0; i < op->count; i++)
		done += op->items[i].result == 0;
	engine_count(op->verb == ENGINE_DELETE ? &engine->counters.deletes : &engine->counters.puts,
		     done);
}

static void op_end(struct engine *engine, struct engine_op *op, int result)
{
	op->result = result;
	if (result != -EINVAL)
		count_done(engine, op);
	if (result != 0 && result != -ENOENT && result != -EEXIST)
		engine_count(&engine->counters.failed, 1);
	__atomic_store_n(&engine->open, engine->open - 1, __ATOMIC_RELAXED);
	channel_end(engine, op);
}

void op_admit(struct engine *engine, struct engine_op *op)
{
	struct engine_channel *channel = op->own.channel;
	int err = op_check(engine, op);

	memset(&op->own, 0, sizeof(op->own));
	op->own.channel = channel;
	op->result = -EINPROGRESS;
	__atomic_store_n(&engine->open, engine->open + 1, __ATOMIC_RELAXED);
	if (err != 0) {
		op_end(engine, op, err);
		return;
	}
	for (uint32_t i = 0; op->verb != ENGINE_LIST && i < op->count; i++) {
		op->items[i].result = -EINPROGRESS;
		op->items[i].got = 0;
	}
	count_asked(engine, op);
	queue_add(&engine->queue, op);
}

/* Gives back all of an operation that no driver has; `err` for what is not done. */
static void op_give_up(struct engine *engine, struct engine_op *op, int err)
{
	struct engine_op *parent = op->own.parent;

	if (parent != NULL) {
		op_tried(engine, op, -ECANCELED);
		return;
	}
	for (uint32_t i = 0; op->verb != ENGINE_LIST && i < op->count; i++)
		if (op->items[i].result == -EINPROGRESS)
			op->items[i].result = err;
	op_end(engine, op, err);
}

void op_expire(struct engine *engine, struct engine_op *op)
{
	int err = op->result; /* the last try's */

	if (err == -EINPROGRESS || err == -EBUSY || err == -ENOTCONN || op->own.parent != NULL)
		err = -ETIMEDOUT;
	op_give_up(engine, op, err);
}

void op_cancel(struct engine *engine, struct engine_op *op)
{
	op_give_up(engine, op, -ECANCELED);
}

void op_try(struct engine *engine, struct engine_op *op, uint64_t now_us)
{
	struct engine_driver *driver = engine->driver;

	op->own.try_until_us = now_us + engine->try_us;
	if (op->until_us < op->own.try_until_us)
		op->own.try_until_us = op->until_us;
	op->own.left = 0;
	op->own.first = 0;
	op->own.driver = NULL;
	if (op->verb == ENGINE_LIST) {
		op->list->count = 0;
		op->list->more = false;
	}
	if (op->own.tries++ > 0)
		engine_count(&engine->counters.retries, 1);
	engine->begun++;
	driver->ops->begin(driver, op);
}

/* Nothing is gained by trying that again. */
static bool is_final(enum engine_verb verb, int err)
{
	switch (err) {
	case 0:
	case -E2BIG:
	case -EMSGSIZE:
	case -ECANCELED:
		return true;
	case -ENOENT:
		return verb == ENGINE_GET;
	case -EEXIST:
		return verb == ENGINE_PUT_NEW;
	default:
		return false;
	}
}

static void count_failure(struct engine_counters *counters, int err)
{
	switch (err) {
	case -EBUSY:
		engine_count(&counters->throttled, 1);
		break;
	case -ETIMEDOUT:
		engine_count(&counters->timeouts, 1);
		break;
	case -ENOTCONN:
		engine_count(&counters->unreachable, 1);
		break;
	case -EACCES:
		engine_count(&counters->denied, 1);
		break;
	case -ENOSPC:
		engine_count(&counters->full, 1);
		break;
	default:
		engine_count(&counters->broken, 1);
		break;
	}
}

/* Storage that is full still reads, so one kind's success says nothing of the other. */
static uint64_t *failing_since(struct engine *engine, enum engine_verb verb)
{
	return verb == ENGINE_PUT || verb == ENGINE_PUT_NEW ? &engine->puts_failing_since_us
							    : &engine->failing_since_us;
}

static void note_failure(struct engine *engine, enum engine_verb verb, int err, uint64_t now_us)
{
	count_failure(&engine->counters, err);
	pthread_mutex_lock(&engine->lock);
	if (*failing_since(engine, verb) == 0)
		*failing_since(engine, verb) = now_us;
	engine->error = err;
	memcpy(engine->why, engine->driver->why, sizeof(engine->why));
	engine->why[sizeof(engine->why) - 1] = '\0';
	pthread_mutex_unlock(&engine->lock);
}

static void note_success(struct engine *engine, enum engine_verb verb)
{
	if (*failing_since(engine, verb) == 0) /* only this thread writes it */
		return;
	pthread_mutex_lock(&engine->lock);
	*failing_since(engine, verb) = 0;
	pthread_mutex_unlock(&engine->lock);
}

static void op_pause(struct engine *engine, struct engine_op *op, int err, uint64_t now_us)
{
	op->result = err;
	op->own.again_us =
		queue_again_us(now_us, op->until_us, op->own.tries, err == -EBUSY, &engine->random);
	if (op->own.again_us == 0)
		op_expire(engine, op);
	else
		queue_pause(&engine->queue, op);
}

/*
 * What the try made of the items: how many are to be tried again, which are marked; and the first
 * error of those, or else of all.
 */
static uint32_t judge(struct engine *engine, struct engine_op *op, int result, int *first)
{
	uint32_t again = 0;
	int first_final = 0, first_again = 0;

	for (uint32_t i = 0; i < op->count; i++) {
		struct engine_item *item = &op->items[i];

		/* D3 broken. */
		if (item->result == -EINPROGRESS)
			item->result = result != 0 ? result : -EPROTO;
		if (is_final(op->verb, item->result)) {
			if (first_final == 0)
				first_final = item->result;
			continue;
		}
		again++;
		if (first_again == 0)
			first_again = item->result;
		item->result = -EINPROGRESS;
	}
	*first = again > 0 ? first_again : first_final;
	return again;
}

/* Reads back what stands under the name of a PUT_NEW. False: not now. */
static bool compare_begin(struct engine *engine, struct engine_op *put)
{
	const struct engine_item *ours = &put->items[0];
	/* One more shows that theirs is longer. */
	uint32_t bytes = ours->bytes < engine->caps.value_max ? ours->bytes + 1 : ours->bytes;

	for (uint32_t i = 0; i < COMPARISONS_MAX; i++) {
		struct comparison *c = &engine->comparisons[i];

		if (c->used)
			continue;
		memset(c, 0, sizeof(*c));
		c->item.to = malloc(bytes);
		if (c->item.to == NULL)
			return false;
		c->used = true;
		c->item.name = ours->name;
		c->item.bytes = bytes;
		c->item.result = -EINPROGRESS;
		c->op.verb = ENGINE_GET;
		c->op.items = &c->item;
		c->op.count = 1;
		c->op.until_us = put->until_us;
		c->op.own.parent = put;
		queue_add(&engine->queue, &c->op);
		return true;
	}
	return false;
}

static void compare_end(struct engine *engine, struct engine_op *get, int result, uint64_t now_us)
{
	struct engine_op *put = get->own.parent;
	struct engine_item *ours = &put->items[0], *theirs = &get->items[0];
	struct comparison *c = (struct comparison *)get; /* its first member */

	if (result == 0) {
		bool equal = theirs->got == ours->bytes &&
			     (ours->bytes == 0 || memcmp(theirs->to, ours->data, ours->bytes) == 0);

		ours->result = equal ? 0 : -EEXIST;
	}
	free(theirs->to);
	c->used = false;
	if (result == 0)
		op_end(engine, put, ours->result);
	else if (result == -ECANCELED)
		op_give_up(engine, put, put->until_us <= now_us ? -ETIMEDOUT : -ECANCELED);
	else
		/* Removed meanwhile, or hard to read: from the start. */
		op_pause(engine, put, result == -ENOENT ? -ETIMEDOUT : result, now_us);
}

static int list_judge(struct engine_op *op, int result, uint32_t *again)
{
	*again = result != 0 && result != -ECANCELED;
	return result;
}

void op_tried(void *arg, struct engine_op *op, int result)
{
	struct engine *engine = arg;
	uint64_t now_us = engine_now_us();
	uint32_t again;
	int err;

	/* What the driver found out (S3), before whose operation it was hears of it. */
	if (engine->driver != NULL && engine->caps.flags != engine->driver->caps.flags)
		__atomic_store_n(&engine->caps.flags, engine->driver->caps.flags, __ATOMIC_RELAXED);
	if (op->own.try_until_us != 0)
		engine->begun--;
	op->own.try_until_us = 0;
	if (op->verb == ENGINE_LIST)
		err = list_judge(op, result, &again);
	else
		again = judge(engine, op, result, &err);
	if (again > 0)
		note_failure(engine, op->verb, err, now_us);
	else if (err != -ECANCELED)
		note_success(engine, op->verb);
	if (op->own.parent != NULL) {
		compare_end(engine, op, err, now_us);
	} else if (again > 0) {
		op_pause(engine, op, err, now_us);
	} else if (err == -EEXIST) {
		op->items[0].result = -EINPROGRESS;
		if (!compare_begin(engine, op))
			op_pause(engine, op, -ETIMEDOUT, now_us);
	} else {
		op_end(engine, op, err);
	}
}
