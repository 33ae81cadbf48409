/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment.c - names of segments, and the thread that makes them ahead. See segment.h.
 *
 * I1. `ready` is a ring with one producer (the thread) and one consumer (the owner): entry i is
 *     written before `made` passes i and read before `taken` does.
 * I2. The owner never blocks: it loads, stores and posts. The thread waits on `work`.
 */
#include "dataplane/log/segment.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <abaft/limits.h>

/* A disk that was full is tried again after this long. */
#define RETRY_S 1

struct segments {
	struct logdev *dev;
	struct segment_plan plan; /* the maker's, but for segment_bytes and ahead */
	struct segment ready[SEGMENT_AHEAD_MAX];
	_Atomic uint64_t made;
	_Atomic uint64_t taken;
	_Atomic uint64_t on_disk;
	_Atomic int error; /* of the last attempt */
	atomic_bool stop;
	bool running;
	sem_t work;
	pthread_t thread;
};

void segment_name(char name[SEGMENT_NAME_BYTES], uint32_t number)
{
	snprintf(name, SEGMENT_NAME_BYTES, "seg-%08x", number);
}

int segment_name_parse(const char *name, uint32_t *number)
{
	char again[SEGMENT_NAME_BYTES];

	if (sscanf(name, "seg-%8x", number) != 1)
		return -EINVAL;
	segment_name(again, *number);
	return strcmp(name, again) == 0 ? 0 : -EINVAL;
}

static int make_new(struct segments *segments)
{
	struct segment_plan *plan = &segments->plan;
	int error;

	if (plan->next >= ABAFT_LOG_SEGMENTS_MAX)
		return -ENOSPC;
	if (plan->bytes_max && plan->bytes + plan->segment_bytes > plan->bytes_max)
		return -ENOSPC;
	error = segments->dev->ops->create(segments->dev, plan->next, plan->segment_bytes);
	if (error)
		return error;
	plan->bytes += plan->segment_bytes;
	plan->end++;
	atomic_fetch_add(&segments->on_disk, 1);
	return 0;
}

static int make_one(struct segments *segments)
{
	struct segment_plan *plan = &segments->plan;
	uint64_t made = atomic_load_explicit(&segments->made, memory_order_relaxed);
	struct segment *segment = &segments->ready[made % SEGMENT_AHEAD_MAX];
	int error = 0;

	if (plan->next == plan->end)
		error = make_new(segments);
	if (error)
		return error;
	segment->number = plan->next;
	segment->handle = segments->dev->ops->open(segments->dev, plan->next, &segment->bytes);
	if (segment->handle < 0)
		return segment->handle;
	plan->next++;
	atomic_store_explicit(&segments->made, made + 1, memory_order_release);
	return 0;
}

static bool wanted(struct segments *segments)
{
	return atomic_load(&segments->made) - atomic_load(&segments->taken) < segments->plan.ahead;
}

static void *run(void *arg)
{
	struct segments *segments = arg;

	while (!atomic_load(&segments->stop)) {
		struct timespec until;

		if (!wanted(segments)) {
			while (sem_wait(&segments->work) < 0 && errno == EINTR)
				;
			continue;
		}
		atomic_store(&segments->error, make_one(segments));
		if (!atomic_load(&segments->error))
			continue;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += RETRY_S;
		while (!atomic_load(&segments->stop) && sem_timedwait(&segments->work, &until) == 0)
			;
	}
	return NULL;
}

int segments_create(struct segments **out, struct logdev *dev, const struct segment_plan *plan)
{
	struct segments *segments = calloc(1, sizeof(*segments));

	if (!segments)
		return -ENOMEM;
	segments->dev = dev;
	segments->plan = *plan;
	if (!segments->plan.ahead)
		segments->plan.ahead = SEGMENT_AHEAD_DEFAULT;
	if (segments->plan.ahead > SEGMENT_AHEAD_MAX)
		segments->plan.ahead = SEGMENT_AHEAD_MAX;
	atomic_store(&segments->on_disk, plan->segments);
	sem_init(&segments->work, 0, 0);
	*out = segments;
	return 0;
}

int segments_start(struct segments *segments)
{
	int error;

	if (!segments->dev->threads)
		return 0;
	error = pthread_create(&segments->thread, NULL, run, segments);
	segments->running = error == 0;
	return -error;
}

int segments_take(struct segments *segments, struct segment *out)
{
	uint64_t taken = atomic_load_explicit(&segments->taken, memory_order_relaxed);
	int error = 0;

	while (!segments->running && !error && wanted(segments)) {
		error = make_one(segments);
		atomic_store(&segments->error, error);
		if (segments->dev->threads)
			break;
	}
	if (atomic_load_explicit(&segments->made, memory_order_acquire) == taken) {
		error = atomic_load(&segments->error);
		return error ? error : -EAGAIN;
	}
	*out = segments->ready[taken % SEGMENT_AHEAD_MAX];
	atomic_store_explicit(&segments->taken, taken + 1, memory_order_release);
	if (segments->running)
		sem_post(&segments->work);
	return 0;
}

uint64_t segments_on_disk(const struct segments *segments)
{
	return atomic_load(&segments->on_disk);
}

uint64_t segments_ready(const struct segments *segments)
{
	return atomic_load(&segments->made) - atomic_load(&segments->taken);
}

void segments_destroy(struct segments *segments)
{
	struct segment segment;

	if (segments->running) {
		atomic_store(&segments->stop, true);
		sem_post(&segments->work);
		pthread_join(segments->thread, NULL);
	}
	for (uint64_t i = segments->taken; i < segments->made; i++) {
		segment = segments->ready[i % SEGMENT_AHEAD_MAX];
		segments->dev->ops->close(segments->dev, segment.handle);
	}
	sem_destroy(&segments->work);
	free(segments);
}
