/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logdev_engine.c - a log's device over a storage engine. See remote.h for names, logdev.h for
 * what is promised.
 *
 *	write: parts behind the first (PUT) ──all there──▶ first part (PUT_NEW) ──▶ done
 *	fetch: which groups hold these bytes ──▶ one GET of all pieces ──▶ done
 *
 * D1. Writes have no end in time: the log waits, and its senders are told BUSY, until the engine
 *     is there again or is closed. A worker's fetches end after FETCH_US; reads of recovery and of
 *     the keeper wait as writes do, or they would take an engine that is away for one that has lost
 *     something.
 * D2. Only the owner uses `channel`; calls that wait go by the remote's.
 * D3. A write's object is [writer's id][group]; the id stands in the device's own memory in front
 *     of a copy of the group's first part, as the buffer has no room for it. Parts behind the
 *     first are sent from the log's buffer.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/log/format.h"
#include "dataplane/remote/remote_impl.h"

#define BUFFERS_MAX 8
/* Handles of segments, open at a time: on the shelf and ready, of all segments there can be. */
#define HANDLES_MAX (2 * ABAFT_LOG_SEGMENTS_MAX)
#define FETCH_US    (UINT64_C(1000) * ABAFT_FETCH_MS_MAX)
#define WAIT_MS	    1000

struct remote_write {
	struct engine_op op;
	uint8_t *first;		   /* D3 */
	uint32_t first_bytes;	   /* of it */
	struct engine_item *parts; /* those behind the first */
	struct engine_item item;   /* the first */
	struct remote_segment *segment;
	uint32_t block;
	uint64_t tag;
};

struct remote_fetch {
	struct engine_op op;
	struct engine_item *items;
	uint32_t bytes;
	uint64_t tag;
};

struct logdev_engine {
	struct logdev dev;
	struct remote *remote;
	struct engine_channel *channel;
	uint32_t log;
	bool wrote;	      /* something, so no write is the seal of E2 any more */
	bool announced;	      /* the log stands in the directory of logs */
	pthread_mutex_t lock; /* of the table of handles */
	struct remote_segment **handles;
	uint32_t handle_hint;
	struct remote_segment *slot[LOGDEV_SLOTS];
	uint32_t buffers;
	uint8_t *buffer_at[BUFFERS_MAX];
	struct remote_write write[BUFFERS_MAX];
	uint32_t fetches, fetch_items;
	uint8_t **fetch_at;
	struct remote_fetch *fetch;
	uint32_t open;		 /* operations of the engine */
	struct engine_op *ended; /* without it; linked through own.next */
};

static struct logdev_engine *of(struct logdev *dev)
{
	return (struct logdev_engine *)dev;
}

static int engine_list_segments(struct logdev *dev, uint32_t *numbers, size_t max)
{
	struct logdev_engine *device = of(dev);
	int error = remote_segments_load(device->remote, device->log);
	size_t count = 0;

	for (struct remote_segment *s = device->remote->log[device->log].segments; s && !error;
	     s = s->next) {
		if (count == max)
			return -E2BIG;
		numbers[count++] = s->id.number;
	}
	return error ? error : (int)count;
}

/* Before its first marker, or the log could be there and not be found. */
static int announce(struct logdev_engine *device)
{
	struct engine_name name;
	int error;

	if (device->announced)
		return 0;
	remote_name_log(&name, device->log);
	error = remote_put_marker(device->remote, &name);
	device->announced = error == 0;
	return error;
}

/* E3: one of a lower incarnation has nothing in it that counts. */
static int engine_create(struct logdev *dev, uint32_t number, uint64_t bytes)
{
	struct logdev_engine *device = of(dev);
	struct remote_id id = {.number = number, .incarnation = dev->incarnation};
	struct engine_name name;
	struct remote_segment *old = remote_segment_find(device->remote, device->log, number);
	int error = announce(device);

	if (error)
		return error;
	if (old && old->id.incarnation >= id.incarnation)
		return 0;
	/* First: a number must not be missing in between. */
	remote_name_marker(&name, device->log, &id, bytes);
	error = remote_put_marker(device->remote, &name);
	if (!error && old)
		error = remote_segment_remove(device->remote, device->log, old);
	return error ? error : remote_segment_new(device->remote, device->log, &id, bytes);
}

static int engine_open_segment(struct logdev *dev, uint32_t number, uint64_t *bytes)
{
	struct logdev_engine *device = of(dev);
	struct remote_segment *segment = remote_segment_find(device->remote, device->log, number);
	int handle = -EMFILE;

	if (!segment)
		return -ENOENT;
	pthread_mutex_lock(&device->lock);
	for (uint32_t i = 0; i < HANDLES_MAX && handle < 0; i++) {
		uint32_t at = (device->handle_hint + i) % HANDLES_MAX;

		if (!device->handles[at])
			handle = (int)at;
	}
	if (handle >= 0) {
		device->handles[handle] = segment;
		device->handle_hint = (uint32_t)handle + 1;
	}
	pthread_mutex_unlock(&device->lock);
	*bytes = segment->bytes;
	return handle;
}

static void engine_close_segment(struct logdev *dev, int handle)
{
	struct logdev_engine *device = of(dev);

	pthread_mutex_lock(&device->lock);
	device->handles[handle] = NULL;
	pthread_mutex_unlock(&device->lock);
}

static ssize_t engine_read(struct logdev *dev, int handle, uint8_t *to, size_t bytes,
			   uint64_t offset)
{
	struct logdev_engine *device = of(dev);
	const struct remote_segment *segment = device->handles[handle];
	struct engine_op op = {.verb = ENGINE_GET};
	uint32_t max;
	int count, error;

	if (offset >= segment->bytes)
		return 0;
	if (bytes > segment->bytes - offset)
		bytes = (size_t)(segment->bytes - offset);
	max = (uint32_t)(bytes / ABAFT_LOG_BLOCK_BYTES) + REMOTE_PARTS_MAX;
	if (max > ENGINE_ITEMS_MAX)
		return -EINVAL;
	op.items = calloc(max, sizeof(*op.items));
	if (!op.items)
		return -ENOMEM;
	count = remote_pieces(device->remote, device->log, segment, offset, (uint32_t)bytes, to,
			      op.items, max);
	op.count = count > 0 ? (uint32_t)count : 0;
	error = count > 0 ? remote_call_until(device->remote, &op, ENGINE_FOREVER) : count;
	if (count > 0 && (error == 0 || error == -ENOENT))
		error = remote_pieces_end(op.items, op.count);
	free(op.items);
	return error ? error : (ssize_t)bytes;
}

static int engine_sync(struct logdev *dev, int handle)
{
	return 0; /* N3: what is there is durable */
}

static int engine_sync_names(struct logdev *dev)
{
	return 0;
}

static int engine_remove(struct logdev *dev, uint32_t number)
{
	struct logdev_engine *device = of(dev);
	struct remote_segment *segment = remote_segment_find(device->remote, device->log, number);

	return segment ? remote_segment_remove(device->remote, device->log, segment) : -ENOENT;
}

static int engine_fenced(struct logdev *dev, uint32_t number)
{
	struct logdev_engine *device = of(dev);
	int error = remote_segments_same(device->remote, device->log, number);

	if (!error)
		atomic_store(&device->remote->log[device->log].incarnation, dev->incarnation);
	return error;
}

static int engine_recycle(struct logdev *dev, uint32_t from, uint32_t to)
{
	return -EOPNOTSUPP; /* N1 */
}

/* How much of a group its first part holds. */
static uint32_t first_part_bytes(const struct logdev_engine *device)
{
	return device->remote->part_bytes - REMOTE_WRITER_BYTES;
}

static int engine_start(struct logdev *dev, uint8_t *const *buffers, uint32_t count, uint32_t bytes)
{
	struct logdev_engine *device = of(dev);
	uint32_t first = REMOTE_WRITER_BYTES + bytes;

	if (count > BUFFERS_MAX)
		return -EINVAL;
	first = first < device->remote->part_bytes ? first : device->remote->part_bytes;
	for (uint32_t i = 0; i < count; i++) {
		struct remote_write *write = &device->write[i];

		device->buffer_at[i] = buffers[i];
		free(write->first);
		free(write->parts);
		write->first = malloc(first);
		write->parts = calloc(REMOTE_PARTS_MAX, sizeof(*write->parts));
		if (!write->first || !write->parts)
			return -ENOMEM;
		memcpy(write->first, device->remote->writer, REMOTE_WRITER_BYTES);
	}
	device->buffers = count;
	return 0;
}

static int engine_attach(struct logdev *dev, uint32_t slot, int handle)
{
	of(dev)->slot[slot] = of(dev)->handles[handle];
	return 0;
}

/* Ends it without the engine: taken by the next poll. */
static void end_now(struct logdev_engine *device, struct engine_op *op, int result)
{
	op->result = result;
	op->own.next = device->ended;
	device->ended = op;
}

static void begin(struct logdev_engine *device, struct engine_op *op)
{
	int error = engine_begin(device->channel, op);

	if (error)
		end_now(device, op, error);
	else
		device->open++;
}

static void put_first(struct logdev_engine *device, struct remote_write *write)
{
	write->item = (struct engine_item){.data = write->first, .bytes = write->first_bytes};
	remote_name_part(&write->item.name, device->log, &write->segment->id, write->block, 0);
	write->op = (struct engine_op){
		.verb = ENGINE_PUT_NEW,
		.count = 1,
		.items = &write->item,
		.until_us = ENGINE_FOREVER,
		.tag = (uint64_t)(write - device->write),
	};
	begin(device, &write->op);
}

/* Before the seal by which the log is opened (E4). */
static void put_hint(struct logdev_engine *device, struct remote_write *write)
{
	write->segment->fenced = true;
	remote_marker(&write->parts[0]);
	remote_name_part(&write->parts[0].name, device->log, &write->segment->id, write->block,
			 REMOTE_FENCE_PART);
	write->op = (struct engine_op){
		.verb = ENGINE_PUT,
		.count = 1,
		.items = write->parts,
		.until_us = ENGINE_FOREVER,
		.tag = (uint64_t)(write - device->write),
	};
	begin(device, &write->op);
}

/* The parts behind the first: `bytes` bytes of the group from `from` on. */
static void put_parts(struct logdev_engine *device, struct remote_write *write, const uint8_t *from,
		      uint32_t bytes)
{
	uint32_t count = 0;

	for (uint32_t at = 0; at < bytes; count++) {
		uint32_t left = bytes - at;
		struct engine_item *item = &write->parts[count];

		*item = (struct engine_item){.data = from + at};
		item->bytes = left < device->remote->part_bytes ? left : device->remote->part_bytes;
		remote_name_part(&item->name, device->log, &write->segment->id, write->block,
				 count + 1);
		at += item->bytes;
	}
	write->op = (struct engine_op){
		.verb = ENGINE_PUT,
		.count = count,
		.items = write->parts,
		.until_us = ENGINE_FOREVER,
		.tag = (uint64_t)(write - device->write),
	};
	begin(device, &write->op);
}

static void engine_write(struct logdev *dev, const struct logdev_write *wanted)
{
	struct logdev_engine *device = of(dev);
	struct remote_write *write = &device->write[wanted->buffer];
	const uint8_t *group = device->buffer_at[wanted->buffer];
	const struct group_header *header = (const struct group_header *)group;
	uint32_t bytes = LOG_GROUP_HEADER_BYTES + header->payload_bytes;
	uint32_t first = first_part_bytes(device);

	/* Several groups (behind.h), or the zeros behind one need not be kept. */
	if (format_blocks_up(bytes) != wanted->bytes)
		bytes = wanted->bytes;
	first = bytes < first ? bytes : first;
	write->tag = wanted->tag;
	write->segment = device->slot[wanted->slot];
	write->block = (uint32_t)(wanted->offset / ABAFT_LOG_BLOCK_BYTES);
	write->first_bytes = REMOTE_WRITER_BYTES + first;
	memcpy(write->first + REMOTE_WRITER_BYTES, group, first);
	if (bytes > first)
		put_parts(device, write, group + first, bytes - first);
	else if (!device->wrote && header->flags & LOG_FLAG_SEAL)
		put_hint(device, write);
	else
		put_first(device, write);
	device->wrote = true;
}

static int engine_start_reads(struct logdev *dev, uint8_t *const *buffers, uint32_t count,
			      uint32_t bytes)
{
	struct logdev_engine *device = of(dev);

	device->fetch_items = bytes / ABAFT_LOG_BLOCK_BYTES + REMOTE_PARTS_MAX;
	device->fetch_at = calloc(count, sizeof(*device->fetch_at));
	device->fetch = calloc(count, sizeof(*device->fetch));
	if (!device->fetch_at || !device->fetch || device->fetch_items > ENGINE_ITEMS_MAX)
		return -ENOMEM;
	device->fetches = count;
	for (uint32_t i = 0; i < count; i++) {
		device->fetch_at[i] = buffers[i];
		device->fetch[i].items =
			calloc(device->fetch_items, sizeof(*device->fetch[i].items));
		if (!device->fetch[i].items)
			return -ENOMEM;
	}
	return 0;
}

static void engine_fetch(struct logdev *dev, const struct logdev_fetch *wanted)
{
	struct logdev_engine *device = of(dev);
	const struct logdev_engine *from = of(wanted->from);
	struct remote_fetch *fetch = &device->fetch[wanted->buffer];
	const struct remote_segment *segment = from->handles[wanted->handle];
	uint64_t left = wanted->offset < segment->bytes ? segment->bytes - wanted->offset : 0;
	int count;

	fetch->tag = wanted->tag;
	fetch->bytes = wanted->bytes < left ? wanted->bytes : (uint32_t)left;
	count = remote_pieces(device->remote, from->log, segment, wanted->offset, fetch->bytes,
			      device->fetch_at[wanted->buffer], fetch->items, device->fetch_items);
	fetch->op = (struct engine_op){
		.verb = ENGINE_GET,
		.count = count > 0 ? (uint32_t)count : 0,
		.items = fetch->items,
		.until_us = device->buffers == 0 ? ENGINE_FOREVER : remote_now_us() + FETCH_US,
		.tag = LOGDEV_FETCH | wanted->buffer,
	};
	if (count <= 0)
		end_now(device, &fetch->op, count);
	else
		begin(device, &fetch->op);
}

static int engine_submit(struct logdev *dev)
{
	return 0; /* begin() did */
}

/* True and `out`, unless the write goes on with its first part. */
static bool take_write(struct logdev_engine *device, const struct engine_op *op,
		       struct logdev_done *out)
{
	struct remote_write *write = &device->write[op->tag];

	if (op->verb == ENGINE_PUT && op->result == 0) {
		put_first(device, write);
		return false;
	}
	out->tag = write->tag;
	out->result = op->result == -EEXIST ? -ESTALE : op->result; /* E2 */
	if (out->result == 0)
		remote_segment_set(write->segment, write->block);
	return true;
}

static void take_fetch(struct logdev_engine *device, const struct engine_op *op,
		       struct logdev_done *out)
{
	const struct remote_fetch *fetch = &device->fetch[op->tag & ~LOGDEV_FETCH];
	int error = op->result;

	if (op->count > 0 && (error == 0 || error == -ENOENT))
		error = remote_pieces_end(op->items, op->count);
	out->tag = LOGDEV_FETCH | fetch->tag;
	out->result = error ? error : (int)fetch->bytes;
}

static bool take(struct logdev_engine *device, const struct engine_op *op, struct logdev_done *out)
{
	if (!(op->tag & LOGDEV_FETCH))
		return take_write(device, op, out);
	take_fetch(device, op, out);
	return true;
}

static uint32_t engine_poll_done(struct logdev *dev, struct logdev_done *done, uint32_t max)
{
	struct logdev_engine *device = of(dev);
	uint32_t count = 0;

	while (count < max) {
		struct engine_op *op = device->ended;

		if (op)
			device->ended = op->own.next;
		else if (engine_poll(device->channel, &op, 1) == 1)
			device->open--;
		else
			break;
		count += take(device, op, &done[count]);
	}
	return count;
}

static int engine_wait_done(struct logdev *dev)
{
	struct logdev_engine *device = of(dev);
	int error = 0;

	if (device->ended || device->open == 0)
		return 0;
	do
		error = engine_wait(device->channel, WAIT_MS);
	while (error == -ETIMEDOUT);
	return error;
}

static int engine_sleep(struct logdev *dev)
{
	return engine_sleep_fd(of(dev)->channel);
}

/* The engine may still use buffers of operations that are open. */
static void engine_dev_destroy(struct logdev *dev)
{
	struct logdev_engine *device = of(dev);
	struct engine_op *op;

	while (device->open > 0) {
		if (engine_poll(device->channel, &op, 1) == 1)
			device->open--;
		else
			(void)engine_wait(device->channel, WAIT_MS);
	}
	if (device->channel)
		engine_channel_close(device->channel);
	for (uint32_t i = 0; i < BUFFERS_MAX; i++) {
		free(device->write[i].first);
		free(device->write[i].parts);
	}
	for (uint32_t i = 0; i < device->fetches; i++)
		free(device->fetch[i].items);
	free(device->fetch_at);
	free(device->fetch);
	free(device->handles);
	pthread_mutex_destroy(&device->lock);
	free(device);
}

static const struct logdev_ops ops = {
	.list = engine_list_segments,
	.create = engine_create,
	.open = engine_open_segment,
	.close = engine_close_segment,
	.read = engine_read,
	.sync = engine_sync,
	.sync_names = engine_sync_names,
	.remove = engine_remove,
	.recycle = engine_recycle,
	.fenced = engine_fenced,
	.start = engine_start,
	.attach = engine_attach,
	.write = engine_write,
	.start_reads = engine_start_reads,
	.fetch = engine_fetch,
	.submit = engine_submit,
	.poll = engine_poll_done,
	.wait = engine_wait_done,
	.sleep_fd = engine_sleep,
	.destroy = engine_dev_destroy,
};

int remote_logdev(struct remote *remote, uint32_t number, struct logdev **out)
{
	struct logdev_engine *device = calloc(1, sizeof(*device));
	int error = -ENOMEM;

	if (!device)
		return -ENOMEM;
	device->dev = (struct logdev){.ops = &ops,
				      .threads = true,
				      .sector = 1,
				      .fences = true,
				      .group_bytes = remote->part_bytes - REMOTE_WRITER_BYTES};
	device->remote = remote;
	device->log = number;
	pthread_mutex_init(&device->lock, NULL);
	device->handles = calloc(HANDLES_MAX, sizeof(*device->handles));
	if (device->handles)
		error = engine_channel_open(remote->engine, &device->channel);
	if (error) {
		engine_dev_destroy(&device->dev);
		return error;
	}
	*out = &device->dev;
	return 0;
}
