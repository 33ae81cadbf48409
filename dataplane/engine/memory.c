/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c - the driver over a memory_store: what becomes of a try is decided when it begins, and
 * happens at once when its time has come.
 */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/engine/memory_store.h"
#include "dataplane/engine/random.h"

/* What happens when a try's time has come. */
enum fate {
	FATE_DONE,
	FATE_LOST,	/* done, and -ETIMEDOUT */
	FATE_LATE,	/* -ETIMEDOUT, and done later */
	FATE_TIMEOUT,	/* -ETIMEDOUT, not done */
	FATE_ERROR,	/* -ENOTCONN, not done */
	FATE_THROTTLED, /* -EBUSY, not done */
	FATE_PARTIAL,	/* of some items -EBUSY */
};

struct pending {
	struct engine_op *op;
	uint64_t due_us;
	enum fate fate;
};

struct memory_driver {
	struct engine_driver driver; /* the first member */
	struct memory_store *store;
	uint32_t count;
	struct pending heap[ENGINE_OPEN_MAX]; /* by due_us */
};

static void heap_add(struct memory_driver *md, struct pending pending)
{
	uint32_t at = md->count++;

	for (uint32_t up; at > 0; at = up) {
		up = (at - 1) / 2;
		if (md->heap[up].due_us <= pending.due_us)
			break;
		md->heap[at] = md->heap[up];
	}
	md->heap[at] = pending;
}

static struct pending heap_take(struct memory_driver *md)
{
	struct pending first = md->heap[0], last = md->heap[--md->count];
	uint32_t at = 0;

	for (uint32_t down; (down = 2 * at + 1) < md->count; at = down) {
		if (down + 1 < md->count && md->heap[down + 1].due_us < md->heap[down].due_us)
			down++;
		if (md->heap[down].due_us >= last.due_us)
			break;
		md->heap[at] = md->heap[down];
	}
	md->heap[at] = last;
	return first;
}

static bool is_write(enum engine_verb verb)
{
	return verb == ENGINE_PUT || verb == ENGINE_PUT_NEW || verb == ENGINE_DELETE;
}

static bool chance(struct memory_store *store, double probability)
{
	return probability > 0 && random_unit(&store->random) < probability;
}

/* Box and Muller's, one of the two. */
static uint64_t draw_us(struct memory_store *store, const struct memory_latency *latency)
{
	double a, b;

	if (latency->median_us <= 0)
		return 0;
	a = 1 - random_unit(&store->random);
	b = random_unit(&store->random);
	return (uint64_t)(latency->median_us *
			  exp(latency->sigma * sqrt(-2 * log(a)) * cos(2 * M_PI * b)));
}

static uint32_t requests_of(const struct memory_driver *md, const struct engine_op *op)
{
	uint32_t todo = 0, each = 1;

	if (op->verb == ENGINE_LIST)
		return 1;
	for (uint32_t i = 0; i < op->count; i++)
		todo += op->items[i].result == -EINPROGRESS;
	if (op->verb == ENGINE_PUT)
		each = md->driver.caps.batch_max;
	else if (op->verb == ENGINE_DELETE)
		each = md->driver.caps.delete_max;
	return (todo + each - 1) / each;
}

static bool is_down(const struct memory_store *store, uint64_t now_us)
{
	return now_us >= store->faults.down_us && now_us < store->faults.up_us;
}

static enum fate draw_fate(struct memory_store *store, const struct engine_op *op, uint64_t now_us)
{
	const struct memory_faults *faults = &store->faults;

	if (is_down(store, now_us) || chance(store, faults->error))
		return FATE_ERROR;
	if (chance(store, faults->throttle))
		return FATE_THROTTLED;
	if (chance(store, faults->lost))
		return FATE_LOST;
	if (is_write(op->verb) && chance(store, faults->late))
		return FATE_LATE;
	if (op->verb != ENGINE_LIST && op->count > 1 && chance(store, faults->partial))
		return FATE_PARTIAL;
	return FATE_DONE;
}

static void memory_begin(struct engine_driver *driver, struct engine_op *op)
{
	struct memory_driver *md = (struct memory_driver *)driver;
	struct memory_store *store = md->store;
	struct pending pending = {.op = op};
	uint64_t longest_us = 0, now_us = engine_now_us();
	uint32_t requests = requests_of(md, op);

	pthread_mutex_lock(&store->lock);
	pending.fate = draw_fate(store, op, now_us);
	/* All at once, so the slowest counts. */
	for (uint32_t i = 0; i < requests; i++) {
		uint64_t us = draw_us(store, &store->faults.latency[op->verb]);

		if (us > longest_us)
			longest_us = us;
	}
	pending.due_us = now_us + longest_us;
	if (pending.due_us > op->own.try_until_us) {
		pending.due_us = op->own.try_until_us;
		pending.fate = chance(store, 0.5) ? FATE_LOST : FATE_TIMEOUT;
	}
	pthread_mutex_unlock(&store->lock);
	engine_count(&driver->counters->round_trips, requests);
	heap_add(md, pending);
}

static int put_item(struct memory_driver *md, enum engine_verb verb, struct engine_item *item,
		    uint64_t now_us)
{
	struct memory_store *store = md->store;

	if (item->bytes > md->driver.caps.value_max)
		return -E2BIG;
	if (chance(store, store->faults.lose))
		return 0;
	engine_count(&md->driver.counters->put_bytes, item->bytes);
	return memory_put(store, verb, &item->name, item->data, item->bytes, now_us);
}

static int do_item(struct memory_driver *md, enum engine_verb verb, struct engine_item *item,
		   uint64_t now_us)
{
	int err = 0;

	switch (verb) {
	case ENGINE_GET:
		err = memory_get(md->store, item, now_us);
		engine_count(&md->driver.counters->get_bytes, item->got);
		return err;
	case ENGINE_PUT:
	case ENGINE_PUT_NEW:
		return put_item(md, verb, item, now_us);
	case ENGINE_DELETE:
		memory_remove(md->store, &item->name);
		return 0;
	default:
		return -EPROTO;
	}
}

/* Sets the items' results to `err`, or to what doing them says where it is 0. */
static int do_items(struct memory_driver *md, struct engine_op *op, enum fate fate, int err,
		    uint64_t now_us)
{
	struct memory_store *store = md->store;
	int first = 0;

	if (op->verb == ENGINE_LIST) {
		if (err == 0)
			memory_list(store, op->list, now_us);
		return err;
	}
	for (uint32_t i = 0; i < op->count; i++) {
		struct engine_item *item = &op->items[i];

		if (item->result != -EINPROGRESS)
			continue;
		item->result = err;
		if (fate == FATE_PARTIAL && chance(store, 0.5))
			item->result = -EBUSY;
		if (item->result == 0 || fate == FATE_LOST) {
			int done = do_item(md, op->verb, item, now_us);

			item->result = fate == FATE_LOST ? err : done;
		}
		if (fate == FATE_LATE)
			memory_put_late(store, op->verb, item, now_us + store->faults.late_us);
		if (first == 0)
			first = item->result;
	}
	return first;
}

static const char *sentence(int err)
{
	switch (err) {
	case -ENOTCONN:
		return "memory: no connection";
	case -EBUSY:
		return "memory: told that it is asked too much";
	case -ETIMEDOUT:
		return "memory: no answer in time";
	case -EACCES:
		return "memory: the credentials are wrong";
	case -ENOSPC:
		return "memory: the storage is full";
	default:
		return "memory: no memory";
	}
}

static int fate_error(struct memory_store *store, enum fate *fate, uint64_t now_us)
{
	if (is_down(store, now_us)) {
		/* Cut off on the way there or back. */
		*fate = *fate == FATE_DONE && chance(store, 0.5) ? FATE_LOST : FATE_ERROR;
		return -ENOTCONN;
	}
	if (store->faults.denied)
		return -EACCES;
	switch (*fate) {
	case FATE_DONE:
	case FATE_PARTIAL:
		return 0;
	case FATE_ERROR:
		return -ENOTCONN;
	case FATE_THROTTLED:
		return -EBUSY;
	default:
		return -ETIMEDOUT;
	}
}

static void pending_end(struct memory_driver *md, struct pending pending, uint64_t now_us)
{
	struct memory_store *store = md->store;
	int err;

	pthread_mutex_lock(&store->lock);
	err = fate_error(store, &pending.fate, now_us);
	err = do_items(md, pending.op, pending.fate, err, now_us);
	pthread_mutex_unlock(&store->lock);
	if (err != 0)
		snprintf(md->driver.why, sizeof(md->driver.why), "%s", sentence(err));
	md->driver.end(md->driver.end_arg, pending.op, err);
}

/* True: something has ended. */
static bool do_due(struct memory_driver *md)
{
	uint64_t now_us = engine_now_us();
	bool any = false;

	pthread_mutex_lock(&md->store->lock);
	memory_do_late(md->store, now_us);
	pthread_mutex_unlock(&md->store->lock);
	while (md->count > 0 && md->heap[0].due_us <= now_us) {
		pending_end(md, heap_take(md), now_us);
		any = true;
	}
	return any;
}

static void memory_run(struct engine_driver *driver, int wake_fd, int timeout_ms)
{
	struct memory_driver *md = (struct memory_driver *)driver;
	struct pollfd p = {.fd = wake_fd, .events = POLLIN};
	uint64_t wait_us = timeout_ms < 0 ? UINT64_MAX : (uint64_t)timeout_ms * 1000, now_us;
	struct timespec wait;

	if (do_due(md))
		return;
	if (md->count > 0) {
		now_us = engine_now_us();
		if (md->heap[0].due_us <= now_us)
			wait_us = 0;
		else if (md->heap[0].due_us - now_us < wait_us)
			wait_us = md->heap[0].due_us - now_us;
	}
	wait.tv_sec = (time_t)(wait_us / 1000000);
	wait.tv_nsec = (long)(wait_us % 1000000) * 1000;
	(void)ppoll(&p, 1, wait_us == UINT64_MAX ? NULL : &wait, NULL);
	do_due(md);
}

static void memory_destroy(struct engine_driver *driver)
{
	struct memory_driver *md = (struct memory_driver *)driver;

	while (md->count > 0) {
		struct engine_op *op = heap_take(md).op;

		for (uint32_t i = 0; op->verb != ENGINE_LIST && i < op->count; i++)
			if (op->items[i].result == -EINPROGRESS)
				op->items[i].result = -ECANCELED;
		driver->end(driver->end_arg, op, -ECANCELED);
	}
	memory_store_release(md->store);
	free(md);
}

static const struct engine_driver_ops memory_ops = {
	.begin = memory_begin,
	.run = memory_run,
	.destroy = memory_destroy,
};

static void caps_set(struct engine_caps *caps, const struct memory_faults *faults)
{
	*caps = (struct engine_caps){
		.name = "memory",
		.value_max = faults->value_max,
		.batch_max = faults->batch_max,
		.delete_max = faults->delete_max,
	};
	if (faults->conditional)
		caps->flags |= ENGINE_CONDITIONAL;
	if (faults->ranges)
		caps->flags |= ENGINE_RANGES;
}

int memory_driver_create(struct engine_driver **out, const struct engine_url *url,
			 const struct engine_credentials *credentials,
			 const struct engine_config *config, char *why)
{
	struct memory_driver *md = calloc(1, sizeof(*md));
	int err = -ENOMEM;

	if (md != NULL)
		md->store = memory_store_hold(url->host);
	if (md == NULL || md->store == NULL) {
		snprintf(why, ENGINE_WHY_BYTES, "memory: no memory");
		goto fail;
	}
	pthread_mutex_lock(&md->store->lock);
	if (md->store->objects == 0)
		md->store->random = config->seed;
	err = memory_faults_set(md->store, url->options, engine_now_us(), why);
	caps_set(&md->driver.caps, &md->store->faults);
	pthread_mutex_unlock(&md->store->lock);
	if (err != 0)
		goto fail;
	md->driver.ops = &memory_ops;
	*out = &md->driver;
	return 0;
fail:
	if (md != NULL && md->store != NULL)
		memory_store_release(md->store);
	free(md);
	return err;
}
