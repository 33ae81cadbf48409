/* SPDX-License-Identifier: Apache-2.0 */
/* behind.c - what the shippers of all logs have in common, and the checkpoints' device. */
#include "dataplane/remote/behind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataplane/remote/behind_impl.h"

#define LOOK_NS 2000000

int behind_create(struct behind **out, struct remote *remote, uint64_t lag_bytes)
{
	struct behind *behind = calloc(1, sizeof(*behind));

	if (!behind)
		return -ENOMEM;
	behind->remote = remote;
	behind->lag_bytes = lag_bytes;
	pthread_mutex_init(&behind->lock, NULL);
	*out = behind;
	return 0;
}

void behind_destroy(struct behind *behind)
{
	pthread_mutex_destroy(&behind->lock);
	free(behind);
}

void behind_give_up(struct behind *behind)
{
	atomic_store(&behind->given_up, true);
	pthread_mutex_lock(&behind->lock);
	for (uint32_t log = 0; log < ABAFT_LOGS_MAX; log++)
		if (behind->shipper[log])
			sem_post(&behind->shipper[log]->work);
	pthread_mutex_unlock(&behind->lock);
}

void behind_stats(struct behind *behind, struct behind_stats *out)
{
	*out = (struct behind_stats){.lag_bytes_max = behind->lag_bytes};
	pthread_mutex_lock(&behind->lock);
	for (uint32_t log = 0; log < ABAFT_LOGS_MAX; log++) {
		const struct shipper *shipper = behind->shipper[log];
		uint64_t shipped;

		if (!shipper)
			continue;
		shipped = atomic_load(&shipper->shipped_bytes);
		out->lag_bytes += atomic_load(&shipper->put_bytes) - shipped;
		out->shipped_bytes += shipped;
		out->objects += atomic_load(&shipper->objects);
		if (!out->error)
			out->error = atomic_load(&shipper->error);
	}
	pthread_mutex_unlock(&behind->lock);
}

/* Ranges of this log that must be there; 0 when it is not open. */
static uint64_t given(struct behind *behind, uint32_t log)
{
	const struct shipper *shipper;
	uint64_t put;

	pthread_mutex_lock(&behind->lock);
	shipper = behind->shipper[log];
	put = shipper ? atomic_load_explicit(&shipper->put, memory_order_acquire) : 0;
	pthread_mutex_unlock(&behind->lock);
	return put;
}

/* 1: they are there; 0: not yet; or an error. A log that was closed is as far as it gets. */
static int there(struct behind *behind, uint32_t log, uint64_t put)
{
	const struct shipper *shipper;
	int result = 1;

	pthread_mutex_lock(&behind->lock);
	shipper = behind->shipper[log];
	if (shipper && atomic_load_explicit(&shipper->shipped, memory_order_acquire) < put) {
		result = atomic_load(&shipper->error);
		if (!result && atomic_load(&behind->given_up))
			result = -ECANCELED;
	}
	pthread_mutex_unlock(&behind->lock);
	return result;
}

int behind_barrier(struct behind *behind)
{
	const struct timespec ts = {.tv_nsec = LOOK_NS};
	uint64_t put[ABAFT_LOGS_MAX];
	int result;

	for (uint32_t log = 0; log < ABAFT_LOGS_MAX; log++)
		put[log] = given(behind, log);
	for (uint32_t log = 0; log < ABAFT_LOGS_MAX; log++) {
		while ((result = there(behind, log, put[log])) == 0)
			nanosleep(&ts, NULL);
		if (result < 0)
			return result;
	}
	return 0;
}

/* Checkpoints: on both, read from the disk. */
struct filedev_behind {
	struct filedev dev;
	struct behind *behind;
	struct filedev *near, *far;
};

static struct filedev_behind *of(struct filedev *dev)
{
	return (struct filedev_behind *)dev;
}

static int both_list(struct filedev *dev, uint32_t *numbers, size_t max)
{
	return of(dev)->near->ops->list(of(dev)->near, numbers, max);
}

static int both_create(struct filedev *dev, uint32_t number)
{
	struct filedev_behind *both = of(dev);
	int error = both->near->ops->create(both->near, number);

	if (error)
		return error;
	error = both->far->ops->create(both->far, number);
	if (error)
		both->near->ops->abandon(both->near);
	return error;
}

static int both_append(struct filedev *dev, const uint8_t *data, size_t bytes)
{
	struct filedev_behind *both = of(dev);
	int error = both->near->ops->append(both->near, data, bytes);

	return error ? error : both->far->ops->append(both->far, data, bytes);
}

static void both_abandon(struct filedev *dev)
{
	of(dev)->near->ops->abandon(of(dev)->near);
	of(dev)->far->ops->abandon(of(dev)->far);
}

/* B4. The disk's first: one that only the engine has would be taken for nothing here, and its
 * number for free. */
static int both_finish(struct filedev *dev)
{
	struct filedev_behind *both = of(dev);
	int error = behind_barrier(both->behind);

	if (error) {
		both_abandon(dev);
		return error;
	}
	error = both->near->ops->finish(both->near);
	if (error) {
		both->far->ops->abandon(both->far);
		return error;
	}
	return both->far->ops->finish(both->far);
}

static int both_open(struct filedev *dev, uint32_t number, uint64_t *bytes)
{
	return of(dev)->near->ops->open(of(dev)->near, number, bytes);
}

static ssize_t both_read(struct filedev *dev, int handle, uint8_t *to, size_t bytes,
			 uint64_t offset)
{
	return of(dev)->near->ops->read(of(dev)->near, handle, to, bytes, offset);
}

static void both_close(struct filedev *dev, int handle)
{
	of(dev)->near->ops->close(of(dev)->near, handle);
}

static int both_remove(struct filedev *dev, uint32_t number)
{
	int error = of(dev)->far->ops->remove(of(dev)->far, number);

	if (error && error != -ENOENT)
		return error;
	return of(dev)->near->ops->remove(of(dev)->near, number);
}

static void both_destroy(struct filedev *dev)
{
	of(dev)->near->ops->destroy(of(dev)->near);
	if (of(dev)->far)
		of(dev)->far->ops->destroy(of(dev)->far);
	free(dev);
}

static const struct filedev_ops ops = {
	.list = both_list,
	.create = both_create,
	.append = both_append,
	.finish = both_finish,
	.abandon = both_abandon,
	.open = both_open,
	.read = both_read,
	.close = both_close,
	.remove = both_remove,
	.destroy = both_destroy,
};

int behind_filedev(struct behind *behind, struct filedev *near, struct filedev **out)
{
	struct filedev_behind *both = calloc(1, sizeof(*both));
	int error;

	if (!both) {
		near->ops->destroy(near);
		return -ENOMEM;
	}
	both->dev.ops = &ops;
	both->behind = behind;
	both->near = near;
	error = remote_filedev(behind->remote, &both->far);
	if (error) {
		both_destroy(&both->dev);
		return error;
	}
	*out = &both->dev;
	return 0;
}
