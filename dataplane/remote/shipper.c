/* SPDX-License-Identifier: Apache-2.0 */
/* shipper.c - the thread that brings one log's ranges from the disk to the engine. See behind.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataplane/log/format.h"
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

static int move_to(struct shipper *shipper, uint32_t number)
{
	struct logdev *near = shipper->near, *far = shipper->far;
	uint64_t bytes;
	int handle, error;

	if (shipper->attached && shipper->segment == number)
		return 0;
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
	shipper->covered = 0;
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

static int read_near(struct shipper *shipper, uint64_t offset, uint32_t bytes, uint8_t *to)
{
	struct logdev *near = shipper->near;
	ssize_t got = near->ops->read(near, shipper->near_handle, to, bytes, offset);

	return got < 0 ? (int)got : (uint32_t)got == bytes ? 0 : -EIO;
}

static int put(struct shipper *shipper, uint64_t offset, uint32_t bytes)
{
	const struct logdev_write write = {.slot = SLOT, .bytes = bytes, .offset = offset};
	struct logdev *far = shipper->far;
	struct logdev_done done;
	int error = 0;

	far->ops->write(far, &write);
	while (!error && far->ops->poll(far, &done, 1) == 0)
		error = far->ops->wait(far);
	return error ? error : done.result;
}

/* What stands at a name that was refused: how many bytes it brings, if they are the disk's (B3). */
static int adopt(struct shipper *shipper, uint32_t number)
{
	struct remote *remote = shipper->behind->remote;
	const struct remote_segment *far = remote_segment_find(remote, shipper->log, number);
	uint64_t offset = shipper->covered;
	uint32_t block = (uint32_t)(offset / ABAFT_LOG_BLOCK_BYTES), bytes = 0;
	int error =
		far ? remote_object_read(remote, shipper->log, far, block, shipper->other, &bytes)
		    : -ENOENT;

	/* Refused, and yet not to be seen: a moment later it will be. */
	if (error == -ENOENT && far) {
		pause_a_little();
		return 0;
	}
	if (!error && offset + format_blocks_up(bytes) > far->bytes)
		error = -ESTALE;
	if (!error)
		error = read_near(shipper, offset, format_blocks_up(bytes), shipper->buffer);
	if (!error && memcmp(shipper->buffer, shipper->other, bytes) != 0)
		error = -ESTALE;
	if (!error) {
		remote_segment_set((struct remote_segment *)(uintptr_t)far, block);
		shipper->covered += format_blocks_up(bytes);
	}
	return error;
}

/* Brings one range, or what of it is not there yet, in one object; more if some of it was. */
static int ship(struct shipper *shipper, const struct range *range)
{
	uint64_t end = range->offset + range->bytes;
	int error = move_to(shipper, range->segment);

	if (!error && shipper->covered < range->offset)
		shipper->covered = range->offset;
	while (!error && shipper->covered < end) {
		uint32_t left = (uint32_t)(end - shipper->covered);

		error = read_near(shipper, shipper->covered, left, shipper->buffer);
		if (!error)
			error = put(shipper, shipper->covered, left);
		if (error == -ESTALE)
			error = adopt(shipper, range->segment);
		else if (!error)
			shipper->covered = end;
		atomic_fetch_add(&shipper->objects, 1);
	}
	return error;
}

static void *run(void *arg)
{
	struct shipper *shipper = arg;
	struct range range;
	int error = 0;

	while (!error && !ends(shipper)) {
		if (next_range(shipper, &range)) {
			error = ship(shipper, &range);
			if (error)
				break;
			atomic_fetch_add(&shipper->shipped_bytes, range.bytes);
			atomic_store_explicit(
				&shipper->shipped,
				atomic_load_explicit(&shipper->taken, memory_order_relaxed),
				memory_order_release);
			continue;
		}
		if (atomic_load(&shipper->stop))
			break;
		while (sem_wait(&shipper->work) < 0 && errno == EINTR)
			;
	}
	if (error)
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
	if (posix_memalign((void **)&shipper->buffer, ABAFT_LOG_BLOCK_BYTES,
			   ABAFT_LOG_GROUP_BYTES_MAX))
		goto fail;
	shipper->other = malloc(remote_object_room(behind->remote));
	if (!shipper->other)
		goto fail;
	error = remote_logdev(behind->remote, log, &shipper->far);
	if (!error)
		error = shipper->far->ops->start(shipper->far, &shipper->buffer, 1,
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
	free(shipper->buffer);
	free(shipper->other);
	sem_destroy(&shipper->work);
	free(shipper);
}
