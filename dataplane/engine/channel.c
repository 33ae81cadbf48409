/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.c - the rings between who uses an engine and its service thread.
 */
#include <ck_pr.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dataplane/core/spsc.h"
#include "dataplane/engine/engine_impl.h"

_Static_assert((CHANNEL_RING & (CHANNEL_RING - 1)) == 0, "ck_ring wants a power of two");
_Static_assert(CHANNEL_RING > ENGINE_CHANNEL_OPS, "I1");

static int channel_enter(struct engine *engine, struct engine_channel *channel)
{
	int err = -EAGAIN;

	pthread_mutex_lock(&engine->lock);
	for (uint32_t i = 0; i < ENGINE_CHANNELS_MAX; i++) {
		if (engine->channels[i] != NULL)
			continue;
		channel->index = i;
		engine->channels[i] = channel;
		err = 0;
		break;
	}
	pthread_mutex_unlock(&engine->lock);
	return err;
}

int engine_channel_open(struct engine *engine, struct engine_channel **out)
{
	struct engine_channel *channel = aligned_alloc(CACHE_LINE_BYTES, sizeof(*channel));
	int err;

	if (channel == NULL)
		return -ENOMEM;
	channel->engine = engine;
	channel->open = 0;
	channel->told = 0;
	ck_ring_init(&channel->begun, CHANNEL_RING);
	ck_ring_init(&channel->ended, CHANNEL_RING);
	channel->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	err = channel->fd >= 0 ? channel_enter(engine, channel) : -ENOMEM;
	if (err != 0) {
		if (channel->fd >= 0)
			close(channel->fd);
		free(channel);
		return err;
	}
	*out = channel;
	return 0;
}

void engine_channel_close(struct engine_channel *channel)
{
	struct engine *engine = channel->engine;

	pthread_mutex_lock(&engine->lock);
	engine->channels[channel->index] = NULL;
	pthread_mutex_unlock(&engine->lock);
	close(channel->fd);
	free(channel);
}

int engine_sleep_fd(const struct engine_channel *channel)
{
	return channel->fd;
}

static bool is_dead(const struct engine *engine)
{
	return __atomic_load_n(&engine->dead, __ATOMIC_SEQ_CST) != 0;
}

void channel_tell(struct engine_channel *channel)
{
	uint64_t one = 1;

	ck_pr_fence_memory(); /* I3: the ring before told */
	if (__atomic_load_n(&channel->told, __ATOMIC_SEQ_CST) != 0 ||
	    __atomic_exchange_n(&channel->told, 1, __ATOMIC_SEQ_CST) != 0)
		return;
	/* It cannot be full: who took told to 1 before has been read. */
	if (write(channel->fd, &one, sizeof(one)) < 0)
		abort();
}

int engine_begin(struct engine_channel *channel, struct engine_op *op)
{
	struct engine *engine = channel->engine;

	if (channel->open == ENGINE_CHANNEL_OPS) {
		__atomic_fetch_add(&engine->refused, 1, __ATOMIC_RELAXED);
		return -EAGAIN;
	}
	op->own.channel = channel;
	if (!spsc_give(&channel->begun, channel->begun_slots, op))
		abort(); /* I1 broken */
	channel->open++;
	engine_kick(engine);
	/* The service may have looked into the ring for the last time. */
	if (is_dead(engine))
		channel_tell(channel);
	return 0;
}

struct engine_op *channel_begun(struct engine_channel *channel)
{
	return spsc_take(&channel->begun, channel->begun_slots);
}

void channel_end(struct engine *engine, struct engine_op *op)
{
	struct engine_channel *channel = op->own.channel;

	pthread_mutex_lock(&engine->lock); /* I4 */
	if (!spsc_give(&channel->ended, channel->ended_slots, op))
		abort(); /* I1 broken: losing it in silence would hide that */
	channel_tell(channel);
	pthread_mutex_unlock(&engine->lock);
}

/* Begun after the service's end: nobody has looked at it. */
static struct engine_op *take_unseen(struct engine_channel *channel)
{
	struct engine_op *op = spsc_take(&channel->begun, channel->begun_slots);

	if (op == NULL)
		return NULL;
	op->result = -ECANCELED;
	for (uint32_t i = 0; op->verb != ENGINE_LIST && i < op->count; i++)
		op->items[i].result = -ECANCELED;
	return op;
}

static uint32_t take_ended(struct engine_channel *channel, struct engine_op **ended, uint32_t max)
{
	bool dead = is_dead(channel->engine);
	uint32_t n = 0;

	while (n < max) {
		struct engine_op *op = spsc_take(&channel->ended, channel->ended_slots);

		if (op == NULL && dead)
			op = take_unseen(channel);
		if (op == NULL)
			break;
		ended[n++] = op;
	}
	channel->open -= n;
	return n;
}

static bool something_ended(const struct engine_channel *channel)
{
	if (ck_ring_size(&channel->ended) > 0)
		return true;
	return is_dead(channel->engine) && ck_ring_size(&channel->begun) > 0;
}

/* Makes fd unreadable, when there is nothing to tell (I3). True: it was readable, or is. */
static bool channel_settle(struct engine_channel *channel)
{
	uint64_t count;

	if (__atomic_load_n(&channel->told, __ATOMIC_SEQ_CST) == 0)
		return false;
	/* Whoever took told to 1 may not have written yet: the next look's, then. */
	if (read(channel->fd, &count, sizeof(count)) < 0)
		return false;
	__atomic_store_n(&channel->told, 0, __ATOMIC_SEQ_CST);
	ck_pr_fence_memory(); /* I3: told before the ring */
	if (something_ended(channel))
		channel_tell(channel);
	return true;
}

uint32_t engine_poll(struct engine_channel *channel, struct engine_op **ended, uint32_t max)
{
	uint32_t n = take_ended(channel, ended, max);

	if (n < max)
		(void)channel_settle(channel);
	return n;
}

int engine_wait(struct engine_channel *channel, uint32_t ms)
{
	uint64_t end_us = engine_now_us() + ms * UINT64_C(1000), now_us;
	struct pollfd p = {.fd = channel->fd, .events = POLLIN};

	while (!something_ended(channel)) {
		/* It may be readable for what was taken already. */
		if (channel_settle(channel))
			continue;
		now_us = engine_now_us();
		if (now_us >= end_us)
			return -ETIMEDOUT;
		(void)poll(&p, 1, (int)((end_us - now_us + 999) / 1000));
	}
	return 0;
}

int engine_call(struct engine_channel *channel, struct engine_op *op)
{
	struct engine_op *ended = NULL;
	int err = engine_begin(channel, op);

	if (err != 0)
		return err;
	while (engine_poll(channel, &ended, 1) == 0)
		(void)engine_wait(channel, 1000);
	if (ended != op)
		abort(); /* the caller had others open */
	return op->result;
}
