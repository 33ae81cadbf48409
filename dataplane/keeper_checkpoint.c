/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_checkpoint.c - the keeper writes a checkpoint, a bounded piece at a time:
 *
 *	questions that are open end ▶ keep_walk_prepare() ▶ all workers' marks ▶ copies under way
 *	become moves (Q5) ▶ the kept log's mark ▶ head, segments ▶ keys ▶ outcomes ▶ end
 *
 * A failure only means that there is no such file: the next attempt waits, from a second on for
 * twice as long each time, and nothing that is served depends on it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/keeper_impl.h"
#include "dataplane/log/filedev.h"
#include "dataplane/log/log.h"
#include "dataplane/post.h"

#define BACKOFF_US_MIN	  UINT64_C(1000000)
#define BACKOFF_US_MAX	  UINT64_C(60000000)
#define CHECKPOINT_SPREAD 4
/* Buckets of the index in one step: far below a millisecond. */
#define WALK_BUCKETS	  64

bool checkpointer_holds_moves(const struct keeper *k)
{
	return k->ck.stage != CK_NONE && k->ck.stage < CK_KEYS;
}

/* A checkpoint costs what the index is long, so a large one must last for longer: what is written
 * for checkpoints stays below a quarter of what is written to the logs. */
uint64_t checkpointer_interval(const struct keeper *k)
{
	uint64_t size = CHECKPOINT_SPREAD * k->stats.checkpoint_bytes;

	return size > k->config.checkpoint_bytes ? size : k->config.checkpoint_bytes;
}

static bool due(const struct keeper *k)
{
	if (atomic_load_explicit(&k->asked, memory_order_relaxed))
		return true;
	return k->config.checkpoint_bytes > 0 && k->looked && k->mono_us >= k->ck.retry_us &&
	       (k->grown >= checkpointer_interval(k) || k->checkpoint_helps);
}

static void walk_end(struct keeper *k)
{
	if (!k->ck.walking)
		return;
	keep_begin(k->keep);
	keep_walk_end(k->keep);
	keep_end(k->keep);
	k->ck.walking = false;
}

void checkpointer_stop(struct keeper *k)
{
	walk_end(k);
	if (k->ck.writer)
		checkpoint_abandon(k->ck.writer);
	k->ck.writer = NULL;
	k->ck.stage = CK_NONE;
}

static void failed(struct keeper *k, int err)
{
	struct checkpointing *ck = &k->ck;

	checkpointer_stop(k);
	ck->backoff_us = ck->backoff_us ? 2 * ck->backoff_us : BACKOFF_US_MIN;
	if (ck->backoff_us > BACKOFF_US_MAX)
		ck->backoff_us = BACKOFF_US_MAX;
	ck->retry_us = k->mono_us + ck->backoff_us;
	k->stats.checkpoint_failures++;
	k->stats.error = err;
}

static void wake_all(struct keeper *k)
{
	for (uint32_t w = 0; w < k->config.workers; w++)
		keeper_wake(k, w);
}

static void begin(struct keeper *k)
{
	atomic_store_explicit(&k->asked, false, memory_order_relaxed);
	k->checkpoint_helps = false;
	k->ck.began_us = k->mono_us;
	k->ck.stage = CK_PREPARE;
	if (!keeper_answered(k))
		wake_all(k);
}

static void prepare(struct keeper *k)
{
	struct checkpointing *ck = &k->ck;

	k->looking = false;
	keep_begin(k->keep);
	keep_walk_prepare(k->keep);
	keep_end(k->keep);
	ck->walking = true;
	memset(&ck->head, 0, sizeof(ck->head));
	ck->head.number = ++k->number_max;
	ck->head.wall_us = k->wall_us;
	keeper_ask_marks(k, true);
	ck->stage = CK_MARKS;
}

static uint32_t list_segments(const struct keeper *k, struct checkpoint_segment *out, uint32_t max)
{
	struct shelf_segment segment;
	uint32_t count = 0;

	for (uint32_t log = 0; log < ABAFT_LOGS_MAX; log++) {
		uint32_t number = 0;

		while (keeper_log(k, log) && shelf_next(k->config.shelf, log, &number, &segment)) {
			if (out && count < max)
				out[count] = (struct checkpoint_segment){
					.log = log,
					.segment = segment.segment,
					.bytes = segment.bytes,
					.time = segment.open ? 0 : segment.time};
			count++;
			number = segment.segment + 1;
		}
	}
	return out && count > max ? max : count;
}

static int write_segments(struct keeper *k)
{
	uint32_t count = list_segments(k, NULL, 0);
	struct checkpoint_segment *segments = calloc(count + 1, sizeof(*segments));
	int err;

	if (!segments)
		return -ENOMEM;
	count = list_segments(k, segments, count);
	err = checkpoint_segments(k->ck.writer, segments, count);
	free(segments);
	return err;
}

/* Everything that was copied has moved (Q5): the kept log's mark, and the walk may begin. */
static int open_writer(struct keeper *k)
{
	struct checkpointing *ck = &k->ck;
	int err;

	log_mark(k->config.kept, &k->mark[ABAFT_LOG_KEPT]);
	keep_begin(k->keep);
	keep_walk_begin(k->keep);
	keep_end(k->keep);
	for (uint32_t n = 0; n < ABAFT_LOGS_MAX; n++)
		if (keeper_log(k, n))
			ck->head.mark[ck->head.logs++] =
				(struct checkpoint_mark){.log = n, .mark = k->mark[n]};
	err = checkpoint_begin(&ck->writer, k->config.checkpoints, k->config.node_id, &ck->head);
	if (err) {
		ck->writer = NULL;
		return err;
	}
	ck->cursor = 0;
	ck->walked = false;
	ck->stage = CK_KEYS;
	return write_segments(k);
}

static uint32_t count_keys(const uint8_t *data, uint32_t bytes)
{
	struct cursor cursor = cursor_of(data, bytes);
	struct snapshot_key key;
	uint32_t keys = 0;

	while (cursor.at != cursor.end && snapshot_key_next(&cursor, &key))
		keys++;
	return keys;
}

static void ask_outcomes(struct keeper *k)
{
	post_ask(&k->config.posts[k->ck.worker], POST_OUTCOMES_NEXT);
	keeper_wake(k, k->ck.worker);
}

static int walk(struct keeper *k)
{
	struct checkpointing *ck = &k->ck;
	uint32_t bytes;
	int err = 0;

	keep_begin(k->keep);
	bytes = keep_walk(k->keep, &ck->cursor, WALK_BUCKETS, ck->block, CHECKPOINT_PAYLOAD_BYTES,
			  &ck->walked);
	keep_end(k->keep);
	if (bytes > 0)
		err = checkpoint_add(ck->writer, CHECKPOINT_KEYS, ck->block, bytes,
				     count_keys(ck->block, bytes));
	if (ck->walked) {
		walk_end(k);
		if (!keeper_answered(k)) /* a look's question: it is answered first */
			wake_all(k);
	}
	return err;
}

static void begin_outcomes(struct keeper *k)
{
	k->looking = false;
	k->ck.stage = CK_OUTCOMES;
	k->ck.worker = 0;
	k->config.posts[0].cursor = 0;
	ask_outcomes(k);
}

/* Keeps `newest` and `older`: also damaged files go, now that two are whole (Q1). */
static void drop_others(struct keeper *k)
{
	struct filedev *dev = k->config.checkpoints;
	uint32_t numbers[ABAFT_CHECKPOINTS_MAX];
	int count = checkpoint_list(dev, numbers, ABAFT_CHECKPOINTS_MAX);

	for (int i = 0; i < count && k->older.number > 0; i++)
		if (numbers[i] != k->newest.number && numbers[i] != k->older.number)
			(void)!dev->ops->remove(dev, numbers[i]); /* the next one tries again */
}

static int finish(struct keeper *k)
{
	struct checkpointing *ck = &k->ck;
	struct checkpoint_writer *writer = ck->writer;
	struct checkpoint_stats stats;
	int err;

	ck->writer = NULL;
	err = checkpoint_finish(writer, ck->head.horizon_ms, &stats);
	if (err)
		return err;
	k->older = k->newest;
	k->newest = ck->head;
	k->newest_stats = stats;
	ck->stage = CK_NONE;
	ck->backoff_us = 0;
	ck->fresh = true;
	k->grown = 0; /* until the next look says */
	drop_others(k);
	k->stats.checkpoints++;
	k->stats.checkpoint_number = ck->head.number;
	k->stats.checkpoint_bytes = stats.bytes;
	k->stats.checkpoints_bytes += stats.bytes;
	k->stats.checkpoint_wall_us = ck->head.wall_us;
	k->stats.checkpoint_us = k->mono_us - ck->began_us;
	k->stats.error = 0;
	return 0;
}

static int take_outcomes(struct keeper *k)
{
	struct checkpointing *ck = &k->ck;
	const struct post *post = &k->config.posts[ck->worker];

	if (post->horizon_ms > ck->head.horizon_ms)
		ck->head.horizon_ms = post->horizon_ms;
	if (post->bytes > 0) {
		int err = checkpoint_add(ck->writer, CHECKPOINT_OUTCOMES, post->outcomes,
					 post->bytes, post->bytes / SNAPSHOT_OUTCOME_BYTES);

		if (!err)
			ask_outcomes(k);
		return err;
	}
	if (++ck->worker == k->config.workers)
		return finish(k);
	k->config.posts[ck->worker].cursor = 0;
	ask_outcomes(k);
	return 0;
}

/* One step of what is under way. */
static int go_on(struct keeper *k)
{
	switch (k->ck.stage) {
	case CK_PREPARE:
		prepare(k);
		return 0;
	case CK_MARKS:
		keeper_take_marks(k, &k->ck.head.time);
		k->ck.stage = CK_KEPT;
		return 0;
	case CK_KEPT:
		return open_writer(k);
	case CK_KEYS:
		if (!k->ck.walked)
			return walk(k);
		begin_outcomes(k);
		return 0;
	case CK_OUTCOMES:
		return take_outcomes(k);
	case CK_NONE:
		break;
	}
	return 0;
}

static bool must_wait(const struct keeper *k)
{
	switch (k->ck.stage) {
	case CK_PREPARE:
	case CK_MARKS:
		return !keeper_answered(k);
	case CK_KEPT:
		return cleaner_outstanding(k);
	case CK_OUTCOMES:
		return !post_answered(&k->config.posts[k->ck.worker]);
	case CK_KEYS:
		return k->ck.walked && !keeper_answered(k);
	case CK_NONE:
		break;
	}
	return false;
}

uint64_t checkpointer_step(struct keeper *k)
{
	int err;

	if (k->ck.stage == CK_NONE) {
		if (!due(k))
			return KEEPER_LOOK_US;
		begin(k);
	}
	if (must_wait(k))
		return KEEPER_NAP_US;
	err = go_on(k);
	if (err)
		failed(k, err);
	return k->ck.stage == CK_NONE ? KEEPER_LOOK_US : 0;
}
