/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper.c - the keeper's steps in turn, what it knows of the logs' growth, its thread; see
 * keeper.h for the rules.
 */
#include "dataplane/keeper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataplane/keeper_impl.h"
#include "dataplane/log/log.h"
#include "dataplane/post.h"

#define SECOND_US UINT64_C(1000000)

struct log *keeper_log(const struct keeper *k, uint32_t number)
{
	return number == ABAFT_LOG_KEPT ? k->config.kept : k->config.logs[number];
}

void keeper_wake(struct keeper *k, uint32_t worker)
{
	if (k->config.wake)
		k->config.wake(k->config.wake_arg, worker);
}

void keeper_ask_marks(struct keeper *k, bool wake)
{
	for (uint32_t w = 0; w < k->config.workers; w++) {
		post_ask(&k->config.posts[w], POST_MARK);
		if (wake)
			keeper_wake(k, w);
	}
}

bool keeper_answered(const struct keeper *k)
{
	for (uint32_t w = 0; w < k->config.workers; w++)
		if (!post_answered(&k->config.posts[w]))
			return false;
	return true;
}

void keeper_take_marks(struct keeper *k, uint64_t *time)
{
	k->full = false;
	for (uint32_t w = 0; w < k->config.workers; w++) {
		const struct post *post = &k->config.posts[w];

		k->mark[w] = post->mark;
		k->full |= post->log_error == -ENOSPC;
		if (time && post->time > *time)
			*time = post->time;
	}
	/* Nobody appends to these but the keeper itself. */
	for (uint32_t n = k->config.workers; n < ABAFT_LOGS_MAX; n++)
		if (keeper_log(k, n))
			log_mark(keeper_log(k, n), &k->mark[n]);
}

/* Bytes of the log between two marks. */
static uint64_t distance(const struct keeper *k, uint32_t log, const struct log_mark *from,
			 const struct log_mark *to)
{
	struct shelf_segment segment;
	uint32_t number = from->segment;
	uint64_t bytes = to->offset;

	while (number < to->segment && shelf_next(k->config.shelf, log, &number, &segment) &&
	       segment.segment < to->segment) {
		bytes += segment.bytes;
		number = segment.segment + 1;
	}
	return bytes > from->offset ? bytes - from->offset : 0;
}

static const struct log_mark *mark_of(const struct checkpoint_head *head, uint32_t log)
{
	static const struct log_mark beginning;

	for (uint32_t i = 0; i < head->logs; i++)
		if (head->mark[i].log == log)
			return &head->mark[i].mark;
	return &beginning;
}

static void measure(struct keeper *k)
{
	k->grown = 0;
	for (uint32_t n = 0; n < ABAFT_LOGS_MAX; n++)
		if (keeper_log(k, n))
			k->grown += distance(k, n, mark_of(&k->newest, n), &k->mark[n]);
	if (k->ck.fresh) { /* what was written while it was, and since */
		k->ck.fresh = false;
		k->ck.grown_max = k->grown > k->ck.grown_max ? k->grown : k->ck.grown_max;
	}
	k->stats.tail_bytes = k->grown;
	keep_begin(k->keep);
	k->stats.live_bytes = keep_live_total(k->keep);
	keep_end(k->keep);
	k->stats.log_bytes = shelf_bytes(k->config.shelf);
	k->looked = true;
}

/* Marks, after the first time without waking anybody: who sleeps writes nothing. */
static void look(struct keeper *k)
{
	if (k->ck.stage != CK_NONE && k->ck.stage != CK_KEYS)
		return;
	if (!keeper_answered(k))
		return;
	if (k->looking) {
		k->looking = false;
		keeper_take_marks(k, NULL);
		measure(k);
	}
	if (k->mono_us - k->look_us < KEEPER_LOOK_US && k->looked)
		return;
	k->look_us = k->mono_us;
	k->looking = true;
	keeper_ask_marks(k, !k->looked);
}

static void publish_stats(struct keeper *k)
{
	int kept = log_error(k->config.kept);

	k->stats.kept_error = kept == -ENOSPC ? 0 : kept;
	k->stats.tail_bytes_max = k->config.checkpoint_bytes
					  ? checkpointer_interval(k) + k->ck.grown_max
					  : UINT64_MAX;
	pthread_mutex_lock(&k->mutex);
	k->told = k->stats;
	pthread_mutex_unlock(&k->mutex);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t keeper_step(struct keeper *k, uint64_t wall_us, uint64_t mono_us)
{
	uint64_t us = KEEPER_LOOK_US;

	k->wall_us = wall_us;
	k->mono_us = mono_us;
	log_poll(k->config.kept);
	look(k);
	us = least(us, checkpointer_step(k));
	us = least(us, cleaner_step(k));
	us = least(us, leave_step(k));
	publish_stats(k);
	return us;
}

void keeper_ask_checkpoint(struct keeper *k)
{
	atomic_store_explicit(&k->asked, true, memory_order_relaxed);
	pthread_mutex_lock(&k->mutex);
	k->woken = true;
	pthread_cond_signal(&k->cond);
	pthread_mutex_unlock(&k->mutex);
}

void keeper_stats(const struct keeper *keeper, struct keeper_stats *out)
{
	struct keeper *k = (struct keeper *)(uintptr_t)keeper; /* for its lock */

	pthread_mutex_lock(&k->mutex);
	*out = k->told;
	pthread_mutex_unlock(&k->mutex);
}

static int sync_create(struct keeper *k)
{
	pthread_condattr_t attr;
	int err = pthread_condattr_init(&attr);

	if (err)
		return -err;
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	err = pthread_cond_init(&k->cond, &attr);
	pthread_condattr_destroy(&attr);
	if (err)
		return -err;
	err = pthread_mutex_init(&k->mutex, NULL);
	if (err)
		pthread_cond_destroy(&k->cond);
	return -err;
}

static void take_found(struct keeper *k, const struct keeper_found *found)
{
	k->newest = found->newest;
	k->older = found->older;
	k->newest_stats = found->newest_stats;
	k->number_max = found->number_max;
	k->stats.checkpoint_number = found->newest.number;
	k->stats.checkpoint_bytes = found->newest_stats.bytes;
	k->stats.checkpoint_wall_us = found->newest.wall_us;
}

/* What is not counted looks dead, and would be freed as a whole. */
static int check_counted(const struct keeper *k)
{
	for (uint32_t log = 0; log < ABAFT_LOGS_MAX; log++)
		if (keeper_log(k, log) && !keep_counts(k->keep, log))
			return -EINVAL;
	return 0;
}

int keeper_create(struct keeper **out, const struct keeper_config *config,
		  const struct keeper_found *found)
{
	struct keeper *k = calloc(1, sizeof(*k));
	int err;

	if (!k)
		return -ENOMEM;
	k->config = *config;
	take_found(k, found);
	err = sync_create(k);
	if (err)
		goto out_keeper;
	err = keep_create(&k->keep, config->store);
	if (err)
		goto out_sync;
	err = check_counted(k);
	if (err)
		goto out_keep;
	k->ck.block = malloc(CHECKPOINT_PAYLOAD_BYTES);
	err = k->ck.block ? cleaner_create(k) : -ENOMEM;
	if (err)
		goto out_block;
	publish_stats(k);
	*out = k;
	return 0;
out_block:
	free(k->ck.block);
out_keep:
	keep_destroy(k->keep);
out_sync:
	pthread_mutex_destroy(&k->mutex);
	pthread_cond_destroy(&k->cond);
out_keeper:
	free(k);
	return err;
}

void keeper_destroy(struct keeper *k)
{
	if (!k)
		return;
	checkpointer_stop(k);
	cleaner_destroy(k);
	free(k->ck.block);
	keep_destroy(k->keep);
	pthread_mutex_destroy(&k->mutex);
	pthread_cond_destroy(&k->cond);
	free(k);
}

static uint64_t clock_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * SECOND_US + (uint64_t)ts.tv_nsec / 1000;
}

/* Until `us` have passed, or somebody wants something. True: stop. */
static bool nap(struct keeper *k, uint64_t us)
{
	uint64_t until = clock_us(CLOCK_MONOTONIC) + us;
	struct timespec ts = {.tv_sec = (time_t)(until / SECOND_US),
			      .tv_nsec = (long)(until % SECOND_US) * 1000};
	bool stop;

	pthread_mutex_lock(&k->mutex);
	if (us > 0 && !k->stop && !k->woken)
		(void)pthread_cond_timedwait(&k->cond, &k->mutex, &ts);
	k->woken = false;
	stop = k->stop;
	pthread_mutex_unlock(&k->mutex);
	return stop;
}

static void *run(void *arg)
{
	struct keeper *k = arg;
	uint64_t us = 0;

	while (!nap(k, us))
		us = keeper_step(k, clock_us(CLOCK_REALTIME), clock_us(CLOCK_MONOTONIC));
	checkpointer_stop(k);
	return NULL;
}

int keeper_start(struct keeper *k)
{
	int err = pthread_create(&k->thread, NULL, run, k);

	k->running = err == 0;
	return -err;
}

void keeper_stop(struct keeper *k)
{
	if (!k->running)
		return;
	pthread_mutex_lock(&k->mutex);
	k->stop = true;
	pthread_cond_signal(&k->cond);
	pthread_mutex_unlock(&k->mutex);
	pthread_join(k->thread, NULL);
	k->running = false;
}
