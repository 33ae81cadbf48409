/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment.c - names of segments, and the thread that makes them ahead. See segment.h.
 *
 * Numbers of a log, in order (those of one that was freed leave holes on the left):
 *
 *	first .. on the shelf .. next - 1 | next .. shelved - 1 | shelved .. end - 1
 *	           taken or ready             to be opened          on disk only
 *
 * I1. `ready` is a ring with one producer (the thread) and one consumer (the owner): entry i is
 *     written before `made` passes i and read before `taken` does. `freed` likewise, from the
 *     keeper to the thread.
 * I2. The owner never blocks: it loads, stores and posts. The thread waits on `work`.
 * I3. A file has its room claimed from before it is made until after it is gone; a recycled one
 *     keeps the claim it had. So what is claimed is never less than what is on disk.
 * I4. A new number is less than ABAFT_LOG_SEGMENTS_MAX above the oldest on the shelf, and below
 *     what a place can name. Freed ones, which have left the shelf, are dealt with first.
 * I5. While the shelf is not ample no more than one is made ahead or recycled, and what is on disk
 *     beyond that and not ready goes: what an idle log hoards would be lacking to a busy one, which
 *     could wait for it for ever.
 */
#include "dataplane/log/segment.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <abaft/limits.h>

#include "dataplane/core/place.h"
#include "dataplane/log/shelf.h"

/* A disk that was full is tried again after this long, or when something was freed. */
#define RETRY_S 1

struct segments {
	struct logdev *dev;
	struct shelf *shelf;	  /* NULL: none */
	struct segment_plan plan; /* the maker's from `next` on */
	uint32_t first;		  /* the oldest that was found; where there is no shelf */
	uint32_t shelved, end;
	uint64_t claimed; /* bytes */
	struct segment ready[SEGMENT_AHEAD_MAX];
	uint32_t freed[SEGMENT_FREED_MAX];
	_Atomic uint64_t made;
	_Atomic uint64_t taken;
	_Atomic uint64_t freed_put;
	_Atomic uint64_t freed_taken;
	_Atomic uint64_t on_disk;
	_Atomic uint64_t recycled;
	_Atomic int error; /* of the last attempt to make one */
	atomic_bool stop;
	bool started; /* before, none is made ahead (log.c, F2) */
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

/* By a seal, which takes a segment (log.c, F3): the room for it is never refused, or a node that
 * was started often enough could not be started any more, and nobody would clean. */
static bool opens(const struct segments *segments)
{
	return segments->dev->fences && !segments->started;
}

static int claim(struct segments *segments, uint64_t bytes)
{
	int error = segments->shelf ? shelf_claim(segments->shelf, segments->plan.log, bytes) : 0;

	if (error && opens(segments)) {
		shelf_found(segments->shelf, bytes);
		error = 0;
	}
	if (!error)
		segments->claimed += bytes;
	return error;
}

static void unclaim(struct segments *segments, uint64_t bytes)
{
	segments->claimed -= bytes;
	if (segments->shelf)
		shelf_unclaim(segments->shelf, bytes);
}

/* I4. */
static bool number_left(const struct segments *segments)
{
	struct shelf_segment segment;
	uint32_t oldest = segments->first;

	if (segments->shelf) {
		oldest = 0;
		if (!shelf_next(segments->shelf, segments->plan.log, &oldest, &segment))
			oldest = segments->end;
	}
	return segments->end - oldest < ABAFT_LOG_SEGMENTS_MAX &&
	       segments->end < UINT32_C(1) << PLACE_SEGMENT_BITS;
}

/* Those that the owner can take or the thread could open at once. */
static uint64_t ahead(const struct segments *segments)
{
	return segments_ready(segments) + (segments->end - segments->plan.next);
}

/* The disk is full, or a segment came all the same. */
static void wait_for_disk(struct segments *segments, bool waits)
{
	if (segments->shelf && segments->plan.log == ABAFT_LOG_KEPT)
		shelf_kept_first(segments->shelf, waits);
}

static int make_new(struct segments *segments)
{
	struct segment_plan *plan = &segments->plan;
	int error;

	if (!number_left(segments))
		return -ENOSPC;
	error = claim(segments, plan->segment_bytes);
	if (error)
		return error;
	error = segments->dev->ops->create(segments->dev, segments->end, plan->segment_bytes);
	if (error == -ENOSPC || error == -EDQUOT)
		wait_for_disk(segments, true);
	if (error) {
		unclaim(segments, plan->segment_bytes);
		return error;
	}
	segments->end++;
	atomic_fetch_add(&segments->on_disk, 1);
	return 0;
}

/* Puts `shelved`, which is on disk, on the shelf. */
static int put_on_shelf(struct segments *segments)
{
	struct shelf_segment segment = {
		.dev = segments->dev,
		.log = segments->plan.log,
		.segment = segments->shelved,
		.open = !segments->plan.closed && segments->shelved >= segments->plan.next,
	};
	int error;

	if (!segments->shelf)
		return 0;
	segment.handle = segments->dev->ops->open(segments->dev, segment.segment, &segment.bytes);
	if (segment.handle < 0)
		return segment.handle;
	error = shelf_add(segments->shelf, &segment);
	if (error)
		segments->dev->ops->close(segments->dev, segment.handle);
	return error;
}

static int make_one(struct segments *segments)
{
	struct segment_plan *plan = &segments->plan;
	uint64_t made = atomic_load_explicit(&segments->made, memory_order_relaxed);
	struct segment *segment = &segments->ready[made % SEGMENT_AHEAD_MAX];
	int error = 0;

	if (plan->next == segments->end)
		error = make_new(segments);
	if (!error && plan->next == segments->shelved) {
		error = put_on_shelf(segments);
		segments->shelved += error == 0;
	}
	if (error)
		return error;
	segment->number = plan->next;
	segment->handle = segments->dev->ops->open(segments->dev, plan->next, &segment->bytes);
	if (segment->handle < 0)
		return segment->handle;
	plan->next++;
	wait_for_disk(segments, false);
	atomic_store_explicit(&segments->made, made + 1, memory_order_release);
	return 0;
}

static int bytes_of(struct segments *segments, uint32_t number, uint64_t *bytes)
{
	int handle = segments->dev->ops->open(segments->dev, number, bytes);

	if (handle < 0)
		return handle;
	segments->dev->ops->close(segments->dev, handle);
	return 0;
}

/* I5: how many may be ahead, of those that it would have while there is room. */
static uint64_t ahead_most(const struct segments *segments, uint64_t most)
{
	bool ample = !segments->shelf || shelf_ample(segments->shelf, segments->plan.segment_bytes);

	return ample ? most : 1;
}

/* Whether one more of the log's own is wanted, and it may keep the room. */
static bool recycles(struct segments *segments, uint64_t bytes)
{
	uint64_t most =
		ahead_most(segments, (uint64_t)segments->plan.ahead * SEGMENT_RECYCLED_AHEAD);

	return !segments->plan.closed && bytes == segments->plan.segment_bytes &&
	       ahead(segments) < most && number_left(segments) && claim(segments, 0) == 0;
}

/* A segment that nobody needs any more: becomes a new one, or goes. */
static int end_one(struct segments *segments, uint32_t number)
{
	uint64_t bytes = 0;
	int error = bytes_of(segments, number, &bytes);

	if (error)
		return error == -ENOENT ? 0 : error; /* somebody else took it away */
	if (recycles(segments, bytes)) {
		error = segments->dev->ops->recycle(segments->dev, number, segments->end);
		if (!error) {
			segments->end++;
			atomic_fetch_add(&segments->recycled, 1);
			return 0;
		}
	}
	/* What could not be recycled may be there still under its old name, or not. */
	error = segments->dev->ops->remove(segments->dev, number);
	if (error && error != -ENOENT)
		return error;
	unclaim(segments, bytes);
	atomic_fetch_sub(&segments->on_disk, 1);
	return 0;
}

static int end_next(struct segments *segments)
{
	uint64_t taken = atomic_load_explicit(&segments->freed_taken, memory_order_relaxed);
	int error;

	if (atomic_load_explicit(&segments->freed_put, memory_order_acquire) == taken)
		return -EAGAIN;
	error = end_one(segments, segments->freed[taken % SEGMENT_FREED_MAX]);
	if (!error)
		atomic_store_explicit(&segments->freed_taken, taken + 1, memory_order_release);
	return error;
}

int segments_free(struct segments *segments, uint32_t number)
{
	uint64_t put = atomic_load_explicit(&segments->freed_put, memory_order_relaxed);

	if (!segments->running)
		return end_one(segments, number) ? -EAGAIN : 0;
	if (put - atomic_load_explicit(&segments->freed_taken, memory_order_acquire) ==
	    SEGMENT_FREED_MAX)
		return -EAGAIN;
	segments->freed[put % SEGMENT_FREED_MAX] = number;
	atomic_store_explicit(&segments->freed_put, put + 1, memory_order_release);
	sem_post(&segments->work);
	return 0;
}

static bool wanted(struct segments *segments)
{
	return segments_ready(segments) < ahead_most(segments, segments->plan.ahead);
}

/* On disk, but neither on the shelf nor ready. */
static bool has_spare(const struct segments *segments)
{
	return segments->end > segments->shelved;
}

/* I5: gives one back that was kept while there was room; the highest first, and each only when the
 * one before is durable: a crash that undid one removal and kept a later one would leave a gap.
 * Over a device that fences it stays, as it takes no room there, and its name is needed again: a
 * removal that was thought to have failed could take it away from under what is written then. */
static int drop_spare(struct segments *segments)
{
	uint64_t bytes = 0;
	int error;

	if (!has_spare(segments) || ahead(segments) <= ahead_most(segments, UINT64_MAX))
		return -EAGAIN;
	error = bytes_of(segments, segments->end - 1, &bytes);
	if (!error && !segments->dev->fences)
		error = segments->dev->ops->sync_names(segments->dev);
	if (!error && !segments->dev->fences)
		error = segments->dev->ops->remove(segments->dev, segments->end - 1);
	if (error)
		return error;
	segments->end--;
	unclaim(segments, bytes);
	atomic_fetch_sub(&segments->on_disk, 1);
	return 0;
}

/* Until there is work, or for RETRY_S: after a failure, or while it has what others may want. */
static void wait(struct segments *segments, bool look_again)
{
	struct timespec until;

	if (!look_again) {
		while (sem_wait(&segments->work) < 0 && errno == EINTR)
			;
		return;
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += RETRY_S;
	while (sem_timedwait(&segments->work, &until) < 0 && errno == EINTR)
		;
}

static void *run(void *arg)
{
	struct segments *segments = arg;

	while (!atomic_load(&segments->stop)) {
		int freed = end_next(segments), made = -EAGAIN;

		if (wanted(segments)) {
			made = make_one(segments);
			atomic_store(&segments->error, made);
		}
		if (freed && made && drop_spare(segments))
			wait(segments, freed != -EAGAIN || made != -EAGAIN || has_spare(segments));
	}
	return NULL;
}

int segments_create(struct segments **out, struct logdev *dev, const struct segment_plan *plan)
{
	struct segments *segments = calloc(1, sizeof(*segments));

	if (!segments)
		return -ENOMEM;
	segments->dev = dev;
	segments->shelf = plan->shelf;
	segments->plan = *plan;
	if (!segments->plan.ahead)
		segments->plan.ahead = SEGMENT_AHEAD_DEFAULT;
	if (segments->plan.ahead > SEGMENT_AHEAD_MAX)
		segments->plan.ahead = SEGMENT_AHEAD_MAX;
	segments->shelved = segments->end = plan->next;
	sem_init(&segments->work, 0, 0);
	*out = segments;
	return 0;
}

int segments_found(struct segments *segments, uint32_t number, uint64_t bytes, bool claimed)
{
	int error;

	if (segments->shelf && !claimed)
		shelf_found(segments->shelf, bytes);
	segments->claimed += bytes;
	if (!segments->on_disk)
		segments->first = number;
	segments->on_disk++;
	segments->end = number + 1;
	/* What lies ahead comes there when it is made ready, or goes (I5). */
	if (!segments->plan.closed && number > segments->plan.next)
		return 0;
	segments->shelved = number;
	error = put_on_shelf(segments);
	segments->shelved = number + 1;
	return error;
}

int segments_start(struct segments *segments)
{
	int error;

	segments->started = true;
	if (!segments->dev->threads || segments->plan.closed)
		return 0;
	error = pthread_create(&segments->thread, NULL, run, segments);
	segments->running = error == 0;
	return -error;
}

int segments_take(struct segments *segments, struct segment *out)
{
	uint64_t taken = atomic_load_explicit(&segments->taken, memory_order_relaxed);
	int error = 0;

	while (!segments->running && !drop_spare(segments))
		;
	while (!segments->running && !error && wanted(segments)) {
		error = make_one(segments);
		atomic_store(&segments->error, error);
		if (!segments->started || segments->dev->threads)
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

uint64_t segments_recycled(const struct segments *segments)
{
	return atomic_load(&segments->recycled);
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
	if (segments->shelf) {
		shelf_forget(segments->shelf, segments->plan.log);
		shelf_unclaim(segments->shelf, segments->claimed);
	}
	sem_destroy(&segments->work);
	free(segments);
}
