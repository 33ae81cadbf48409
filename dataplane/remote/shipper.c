/* SPDX-License-Identifier: Apache-2.0 */
/* shipper.c - the thread that brings one log's ranges from the disk to the engine. See behind.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataplane/remote/behind_impl.h"

#define SLOT	0
/* While the engine takes nothing, to see whether it was given up. */
#define LOOK_US 10000

static bool ends(const struct shipper *shipper)
{
	return atomic_load(&shipper->behind->given_up) || atomic_load(&shipper->error) != 0;
}

static uint64_t lag(const struct shipper *shipper)
{
	return atomic_load(&shipper->put_bytes) - atomic_load(&shipper->shipped_bytes);
}

bool shipper_give(struct shipper *shipper, const struct range *range)
{
	uint64_t put = atomic_load_explicit(&shipper->put, memory_order_relaxed);

	if (put - atomic_load_explicit(&shipper->taken, memory_order_acquire) == SHIPPER_RANGES ||
	    (lag(shipper) > 0 && lag(shipper) + range->bytes > shipper->behind->lag_bytes))
		return false;
	shipper->ring[put % SHIPPER_RANGES] = *range;
	atomic_fetch_add(&shipper->put_bytes, range->bytes);
	atomic_store_explicit(&shipper->put, put + 1, memory_order_release);
	sem_post(&shipper->work);
	return true;
}

/* What of the engine has come: flights end in order. */
static void land(struct shipper *shipper, bool wait)
{
	struct logdev_done done[SHIPPER_FLIGHTS];
	uint32_t count = shipper->far->ops->poll(shipper->far, done, SHIPPER_FLIGHTS);

	if (count == 0 && wait && shipper->far->ops->wait(shipper->far) == 0)
		count = shipper->far->ops->poll(shipper->far, done, SHIPPER_FLIGHTS);
	for (uint32_t i = 0; i < count; i++) {
		shipper->flight[done[i].tag % SHIPPER_FLIGHTS].done = true;
		if (done[i].result && !atomic_load(&shipper->error))
			atomic_store(&shipper->error, done[i].result);
	}
	for (; shipper->first < shipper->next && !atomic_load(&shipper->error); shipper->first++) {
		struct flight *flight = &shipper->flight[shipper->first % SHIPPER_FLIGHTS];

		if (!flight->done)
			return;
		atomic_fetch_add(&shipper->objects, 1);
		atomic_fetch_add(&shipper->shipped_bytes, flight->bytes);
		atomic_store_explicit(&shipper->shipped, flight->ranges, memory_order_release);
	}
}

static int pause_a_little(void)
{
	const struct timespec ts = {.tv_nsec = LOOK_US * 1000};

	return nanosleep(&ts, NULL);
}

/* A call to the engine that may be made again. */
static int persist(struct shipper *shipper, int (*call)(struct shipper *, uint32_t),
		   uint32_t number)
{
	int error;

	do {
		error = call(shipper, number);
		if (error)
			pause_a_little();
	} while (error && error != -ECANCELED && error != -ENOMEM && !ends(shipper));
	return error;
}

static int make_far(struct shipper *shipper, uint32_t number)
{
	struct logdev *near = shipper->near;
	uint64_t bytes;
	int handle;

	if (remote_segment_find(shipper->behind->remote, shipper->log, number))
		return 0;
	handle = near->ops->open(near, number, &bytes);
	if (handle < 0)
		return handle;
	near->ops->close(near, handle);
	shipper->far->incarnation = near->incarnation;
	return shipper->far->ops->create(shipper->far, number, bytes);
}

/* B1: all of the segment before is there. */
static int move_to(struct shipper *shipper, uint32_t number)
{
	struct logdev *near = shipper->near, *far = shipper->far;
	uint64_t bytes;
	int handle, error;

	if (shipper->attached && shipper->segment == number)
		return 0;
	while (shipper->first < shipper->next && !ends(shipper))
		land(shipper, true);
	if (shipper->near_handle >= 0)
		near->ops->close(near, shipper->near_handle);
	shipper->attached = false;
	shipper->near_handle = near->ops->open(near, number, &bytes);
	if (shipper->near_handle < 0)
		return shipper->near_handle;
	error = persist(shipper, make_far, number);
	handle = error ? error : far->ops->open(far, number, &bytes);
	if (handle < 0)
		return handle;
	error = far->ops->attach(far, SLOT, handle);
	far->ops->close(far, handle);
	shipper->segment = number;
	shipper->attached = error == 0;
	return error;
}

/* The next ranges that are neighbours, as one. False: there are none. */
static bool next_range(struct shipper *shipper, struct range *out)
{
	uint64_t taken = atomic_load_explicit(&shipper->taken, memory_order_relaxed);
	uint64_t put = atomic_load_explicit(&shipper->put, memory_order_acquire);

	if (taken == put)
		return false;
	*out = shipper->ring[taken++ % SHIPPER_RANGES];
	for (; taken < put; taken++) {
		const struct range *next = &shipper->ring[taken % SHIPPER_RANGES];

		if (next->segment != out->segment || next->offset != out->offset + out->bytes ||
		    out->bytes + next->bytes > ABAFT_LOG_GROUP_BYTES_MAX)
			break;
		out->bytes += next->bytes;
	}
	atomic_store_explicit(&shipper->taken, taken, memory_order_release);
	return true;
}

static int fly(struct shipper *shipper, const struct range *range)
{
	uint32_t number = (uint32_t)(shipper->next % SHIPPER_FLIGHTS);
	struct flight *flight = &shipper->flight[number];
	struct logdev_write write = {
		.slot = SLOT,
		.buffer = number,
		.bytes = range->bytes,
		.offset = range->offset,
		.tag = shipper->next,
		.sync = true,
	};
	ssize_t got =
		shipper->near->ops->read(shipper->near, shipper->near_handle,
					 shipper->buffer[number], range->bytes, range->offset);

	if (got < 0 || (uint32_t)got != range->bytes)
		return got < 0 ? (int)got : -EIO;
	*flight = (struct flight){
		.ranges = atomic_load_explicit(&shipper->taken, memory_order_relaxed),
		.bytes = range->bytes,
	};
	shipper->next++;
	shipper->far->ops->write(shipper->far, &write);
	return 0;
}

static void *run(void *arg)
{
	struct shipper *shipper = arg;
	struct range range;
	int error = 0;

	while (!error && !ends(shipper)) {
		bool flying = shipper->first < shipper->next;

		if (shipper->next - shipper->first == SHIPPER_FLIGHTS) {
			land(shipper, true);
			continue;
		}
		if (next_range(shipper, &range)) {
			error = move_to(shipper, range.segment);
			if (!error)
				error = fly(shipper, &range);
			continue;
		}
		if (flying)
			land(shipper, true);
		else if (atomic_load(&shipper->stop))
			break;
		else
			while (sem_wait(&shipper->work) < 0 && errno == EINTR)
				;
	}
	if (error && !atomic_load(&shipper->error))
		atomic_store(&shipper->error, error);
	return NULL;
}

int shipper_create(struct shipper **out, struct behind *behind, uint32_t log, struct logdev *near)
{
	struct shipper *shipper = calloc(1, sizeof(*shipper));
	int error = -ENOMEM;

	if (!shipper)
		return error;
	shipper->behind = behind;
	shipper->near = near;
	shipper->log = log;
	shipper->near_handle = -1;
	sem_init(&shipper->work, 0, 0);
	for (uint32_t i = 0; i < SHIPPER_FLIGHTS; i++)
		if (posix_memalign((void **)&shipper->buffer[i], ABAFT_LOG_BLOCK_BYTES,
				   ABAFT_LOG_GROUP_BYTES_MAX))
			goto fail;
	error = remote_logdev(behind->remote, log, &shipper->far);
	if (!error)
		error = shipper->far->ops->start(shipper->far, shipper->buffer, SHIPPER_FLIGHTS,
						 ABAFT_LOG_GROUP_BYTES_MAX);
	if (error)
		goto fail;
	*out = shipper;
	return 0;
fail:
	shipper_destroy(shipper);
	return error;
}

int shipper_start(struct shipper *shipper)
{
	int error = pthread_create(&shipper->thread, NULL, run, shipper);

	shipper->running = error == 0;
	return -error;
}

void shipper_finish(struct shipper *shipper)
{
	if (!shipper->running)
		return;
	atomic_store(&shipper->stop, true);
	sem_post(&shipper->work);
	pthread_join(shipper->thread, NULL);
	shipper->running = false;
}

void shipper_destroy(struct shipper *shipper)
{
	shipper_finish(shipper);
	if (shipper->near_handle >= 0)
		shipper->near->ops->close(shipper->near, shipper->near_handle);
	if (shipper->far)
		shipper->far->ops->destroy(shipper->far);
	for (uint32_t i = 0; i < SHIPPER_FLIGHTS; i++)
		free(shipper->buffer[i]);
	sem_destroy(&shipper->work);
	free(shipper);
}
