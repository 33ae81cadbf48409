/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logdev_behind.c - a log's device on a disk whose durable groups a shipper brings to the engine.
 *
 * Writes end in their order here: one that the disk has ended is given to the shipper first, and
 * told to the log when the shipper had room for it (behind.h, B2). All else is the near device's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataplane/log/format.h"
#include "dataplane/remote/behind_impl.h"

#define WRITES_MAX 8
/* While the shipper has no room. */
#define LOOK_NS	   1000000

/* One that the disk has, or is to have. */
struct pending {
	struct range range;
	uint64_t tag;
	bool done;
};

struct logdev_behind {
	struct logdev dev;
	struct behind *behind;
	struct logdev *near;
	struct shipper *shipper;
	uint8_t node_id[16];
	uint8_t *buffer[WRITES_MAX];
	struct pending pending[WRITES_MAX]; /* a ring in the order of writing */
	uint32_t first, count;
};

static struct logdev_behind *of(struct logdev *dev)
{
	return (struct logdev_behind *)dev;
}

static int behind_list(struct logdev *dev, uint32_t *numbers, size_t max)
{
	return of(dev)->near->ops->list(of(dev)->near, numbers, max);
}

static int behind_create_segment(struct logdev *dev, uint32_t number, uint64_t bytes)
{
	return of(dev)->near->ops->create(of(dev)->near, number, bytes);
}

static int behind_open(struct logdev *dev, uint32_t number, uint64_t *bytes)
{
	return of(dev)->near->ops->open(of(dev)->near, number, bytes);
}

static void behind_close(struct logdev *dev, int handle)
{
	of(dev)->near->ops->close(of(dev)->near, handle);
}

static ssize_t behind_read(struct logdev *dev, int handle, uint8_t *to, size_t bytes,
			   uint64_t offset)
{
	return of(dev)->near->ops->read(of(dev)->near, handle, to, bytes, offset);
}

static int behind_sync(struct logdev *dev, int handle)
{
	return of(dev)->near->ops->sync(of(dev)->near, handle);
}

static int behind_sync_names(struct logdev *dev)
{
	return of(dev)->near->ops->sync_names(of(dev)->near);
}

/* B4. */
static int remove_far(struct logdev_behind *device, uint32_t number)
{
	struct remote_segment *segment;
	int error = behind_barrier(device->behind);

	segment = remote_segment_find(device->behind->remote, device->shipper->log, number);
	if (error || !segment)
		return error;
	return remote_segment_remove(device->behind->remote, device->shipper->log, segment);
}

static int behind_remove(struct logdev *dev, uint32_t number)
{
	int error = remove_far(of(dev), number);

	return error ? error : of(dev)->near->ops->remove(of(dev)->near, number);
}

static int behind_recycle(struct logdev *dev, uint32_t from, uint32_t to)
{
	int error = remove_far(of(dev), from);

	return error ? error : of(dev)->near->ops->recycle(of(dev)->near, from, to);
}

/* Before the owner's first write: what the last run left (B3). */
static int behind_start(struct logdev *dev, uint8_t *const *buffers, uint32_t count, uint32_t bytes)
{
	struct logdev_behind *device = of(dev);
	int error = count <= WRITES_MAX ? 0 : -EINVAL;

	/* A closed log: nothing will be written, but what the last run left goes to the engine. */
	if (!error && count > 0)
		error = device->near->ops->start(device->near, buffers, count, bytes);
	if (error)
		return error;
	if (count > 0)
		memcpy(device->buffer, buffers, count * sizeof(*buffers));
	device->near->incarnation = dev->incarnation;
	atomic_store(&device->behind->remote->log[device->shipper->log].incarnation,
		     dev->incarnation);
	error = shipper_start(device->shipper);
	return error ? error : shipper_catch_up(device->shipper, device->node_id);
}

static int behind_attach(struct logdev *dev, uint32_t slot, int handle)
{
	return of(dev)->near->ops->attach(of(dev)->near, slot, handle);
}

static void behind_write(struct logdev *dev, const struct logdev_write *write)
{
	struct logdev_behind *device = of(dev);
	const struct group_header *header =
		(const struct group_header *)device->buffer[write->buffer];
	struct pending *pending = &device->pending[(device->first + device->count++) % WRITES_MAX];

	*pending = (struct pending){
		.range = {.segment = header->segment,
			  .offset = write->offset,
			  .bytes = write->bytes},
		.tag = write->tag,
	};
	device->near->ops->write(device->near, write);
}

static int behind_start_reads(struct logdev *dev, uint8_t *const *buffers, uint32_t count,
			      uint32_t bytes)
{
	return of(dev)->near->ops->start_reads(of(dev)->near, buffers, count, bytes);
}

static void behind_fetch(struct logdev *dev, const struct logdev_fetch *fetch)
{
	struct logdev_fetch near = *fetch;

	near.from = of(fetch->from)->near;
	of(dev)->near->ops->fetch(of(dev)->near, &near);
}

static int behind_submit(struct logdev *dev)
{
	return of(dev)->near->ops->submit(of(dev)->near);
}

static void note_done(struct logdev_behind *device, uint64_t tag)
{
	for (uint32_t i = 0; i < device->count; i++) {
		struct pending *pending = &device->pending[(device->first + i) % WRITES_MAX];

		if (pending->tag == tag)
			pending->done = true;
	}
}

/* True when the first write that waits can be told. */
static bool next_done(struct logdev_behind *device, struct logdev_done *out)
{
	const struct pending *pending = &device->pending[device->first];
	int error = atomic_load(&device->shipper->error);

	if (device->count == 0 || !pending->done)
		return false;
	if (!error && !shipper_give(device->shipper, &pending->range))
		return false;
	*out = (struct logdev_done){.tag = pending->tag, .result = error};
	device->first = (device->first + 1) % WRITES_MAX;
	device->count--;
	return true;
}

static uint32_t behind_poll(struct logdev *dev, struct logdev_done *done, uint32_t max)
{
	struct logdev_behind *device = of(dev);
	uint32_t got = device->near->ops->poll(device->near, done, max), count = 0;

	/* Writes that went well are told below; who waited before has its place first. */
	for (uint32_t i = 0; i < got; i++) {
		if (!(done[i].tag & LOGDEV_FETCH) && done[i].result == 0)
			note_done(device, done[i].tag);
		else
			done[count++] = done[i];
	}
	while (count < max && next_done(device, &done[count]))
		count++;
	return count;
}

static int behind_wait(struct logdev *dev)
{
	const struct timespec ts = {.tv_nsec = LOOK_NS};
	struct logdev_behind *device = of(dev);

	if (device->count == 0 || !device->pending[device->first].done)
		return device->near->ops->wait(device->near);
	nanosleep(&ts, NULL);
	return atomic_load(&device->behind->given_up) ? -ECANCELED : 0;
}

static int behind_sleep_fd(struct logdev *dev)
{
	return of(dev)->near->ops->sleep_fd(of(dev)->near);
}

static void set_shipper(struct behind *behind, uint32_t log, struct shipper *shipper)
{
	pthread_mutex_lock(&behind->lock);
	behind->shipper[log] = shipper;
	pthread_mutex_unlock(&behind->lock);
}

static void behind_destroy_dev(struct logdev *dev)
{
	struct logdev_behind *device = of(dev);

	if (device->shipper) {
		struct shipper *shipper = device->shipper;
		uint32_t log = shipper->log;

		/* It stays known while it ships what it has: others wait for that (B4). */
		shipper_finish(shipper);
		set_shipper(device->behind, log, NULL);
		shipper_destroy(shipper);
	}
	device->near->ops->destroy(device->near);
	free(device);
}

static const struct logdev_ops ops = {
	.list = behind_list,
	.create = behind_create_segment,
	.open = behind_open,
	.close = behind_close,
	.read = behind_read,
	.sync = behind_sync,
	.sync_names = behind_sync_names,
	.remove = behind_remove,
	.recycle = behind_recycle,
	.start = behind_start,
	.attach = behind_attach,
	.write = behind_write,
	.start_reads = behind_start_reads,
	.fetch = behind_fetch,
	.submit = behind_submit,
	.poll = behind_poll,
	.wait = behind_wait,
	.sleep_fd = behind_sleep_fd,
	.destroy = behind_destroy_dev,
};

int behind_logdev(struct behind *behind, uint32_t number, const uint8_t node_id[16],
		  struct logdev *near, struct logdev **out)
{
	struct logdev_behind *device = calloc(1, sizeof(*device));
	int error;

	if (!device) {
		near->ops->destroy(near);
		return -ENOMEM;
	}
	device->dev = (struct logdev){
		.ops = &ops, .threads = near->threads, .catches_up = true, .sector = near->sector};
	device->behind = behind;
	device->near = near;
	memcpy(device->node_id, node_id, sizeof(device->node_id));
	error = shipper_create(&device->shipper, behind, number, near);
	if (error) {
		behind_destroy_dev(&device->dev);
		return error;
	}
	set_shipper(behind, number, device->shipper);
	*out = &device->dev;
	return 0;
}
